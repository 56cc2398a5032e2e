/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by identity.c, which manages all identities, and identity_one.c, which manages one.
 * Control thread only.
 */
#pragma once

#include "daemon.h"
#include "mt_identity.h"
#include "mt_identity_source.h"

/* how long to wait for an agent's first answer */
#define IDENTITY_AGENT_NS (2 * MT_SEC)

/* The place of an identity: a directory, an SDS agent's socket or an xDS source. */
struct identity_place {
	const char *directory, *sds, *secret, *xds;
};

/* A text that identifies the place, which the caller frees. NULL: no memory. */
char *identity_words(const struct identity_place *p);
/*
 * Watches that place instead of the one before, if there is memory for it; the credential in use
 * stays. 0 or -ENOMEM.
 */
int identity_open(struct node_identity *id, const struct identity_place *p);
/* Stops watching; the credential in use stays. */
void identity_close(struct node_identity *id);

/*
 * Uses `c`, which the identity owns from here on, in the next compilation; it follows at once if
 * the event loop runs. `c` NULL: no credential.
 */
void identity_use(struct node_identity *id, struct mt_credential *c, const char *from);
/*
 * The same for a credential of xDS source `source`, if it is good and has the required principal.
 * e->text: why there is none; "": there is one.
 */
void identity_take(
	struct node_identity *id, struct mt_credential *c, const char *source, struct mt_err *e);
/* Records why what was found now cannot be used; "": it can. Logs each reason once. */
void identity_trouble(struct node_identity *id, const char *why);
/*
 * Passes all identities of spec.identities to the compiler for its next run; without memory the
 * next tick tries again.
 */
void identity_tell_held(struct daemon *d);

/* The first source with an identity; NULL: none has one. */
struct mesh_source *identity_first_source(struct daemon *d);
/*
 * Check for new credentials. identity_turn_told(): in a directory or from an agent.
 * identity_turn_secrets(): in the secrets of a source. identity_turn_held(): in whichever of these
 * an identity of spec.identities uses.
 */
void identity_turn_told(struct node_identity *id, uint64_t now);
void identity_turn_secrets(struct node_identity *id, const struct mesh_source *s);
void identity_turn_held(struct node_identity *id, uint64_t now);
