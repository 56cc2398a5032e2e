/* SPDX-License-Identifier: Apache-2.0 */
/* Between identity.c, which has all of them, and identity_one.c, which has one. Control thread. */
#pragma once

#include "daemon.h"
#include "mt_identity.h"
#include "mt_identity_source.h"

#define IDENTITY_AGENT_NS (2 * MT_SEC) /* how long who needs one waits for an agent's first word */

/* Where an identity is: one of directory, agent's socket and source. */
struct identity_place {
	const char *directory, *sds, *secret, *xds;
};

/* In words, which tell two of them apart; to be freed. NULL: no memory. */
char *identity_words(const struct identity_place *p);
/* There, in place of what was looked at before, if there is memory for it; what is used stays. 0 or -ENOMEM. */
int identity_open(struct node_identity *id, const struct identity_place *p);
/* Nowhere any more. */
void identity_close(struct node_identity *id);

/* From the next compile on, which follows at once where there is a loop; `c` is taken over, NULL: nobody. */
void identity_use(struct node_identity *id, struct mt_credential *c, const char *from);
/* The same of source `source`'s, if it is good and for whom it has to be; e->text: why there is none ("": there is). */
void identity_take(
	struct node_identity *id, struct mt_credential *c, const char *source, struct mt_err *e);
/* What is there now cannot be used; "": it can. Told once for each reason. */
void identity_trouble(struct node_identity *id, const char *why);
/* All that are held beside the node's own, for the next compile; without memory the next turn tries again. */
void identity_tell_held(struct daemon *d);

/* The first one with an identity; NULL: none has. */
struct mesh_source *identity_first_source(struct daemon *d);
/* Time passes: of a directory or agent, of a source's secrets, of one beside the node's own, wherever it is. */
void identity_turn_told(struct node_identity *id, uint64_t now);
void identity_turn_secrets(struct node_identity *id, const struct mesh_source *s);
void identity_turn_held(struct node_identity *id, uint64_t now);
