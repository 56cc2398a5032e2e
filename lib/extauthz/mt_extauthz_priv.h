/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared by the files of lib/extauthz, and for tests that take the thread's place. */
#pragma once

#include "mt_extauthz.h"

struct mt_extauthz_lane {
	struct mt_callout_lane callout;
};

struct mt_extauthz_provider {
	struct mt_callout_provider callout;
};

struct mt_extauthz {
	struct mt_callout callout;
	uint64_t counters[MT_EXTAUTHZ_N_OUTCOMES];
};

/* ---- client.c: for tests --------------------------------------------------------------------- */
/* A lane of a thread that is not started: `x` is zeroed, except for its other lanes. */
bool mt_extauthz_lane_init(struct mt_extauthz *x, struct mt_extauthz_lane *l);
void mt_extauthz_lane_fini(struct mt_extauthz_lane *l);
/* The next query of the worker; NULL if there is none. */
struct mt_extauthz_slot *mt_extauthz_lane_asked(struct mt_extauthz_lane *l);
/* Counts the result and hands the slot back to the worker. */
void mt_extauthz_lane_answered(struct mt_extauthz_slot *s);

/* ---- question.c, answer.c -------------------------------------------------------------------- */
/* Encodes a CheckRequest, allocated with malloc(). NULL: no memory, or the texts do not fit. */
uint8_t *mt_extauthz_pack(const struct mt_extauthz_slot *s, size_t *len);
/* Decodes a CheckResponse into the slot: verdict, why, changes. */
void mt_extauthz_read(struct mt_extauthz_slot *s, const uint8_t *data, size_t len);
static inline void mt_extauthz_unjudged(struct mt_extauthz_slot *s, enum mt_extauthz_outcome why)
{
	s->verdict = MT_EXTAUTHZ_UNJUDGED;
	s->why = why;
	s->n_changes = 0;
}
