/* SPDX-License-Identifier: Apache-2.0 */
/* The slowest exchanges of this window and the one before it. One per worker, whose thread alone touches it. */
#pragma once

#include "mt_record.h"

#define MT_SLOW_CALLS  16 /* kept of a window */
#define MT_SLOW_WINDOW (60 * MT_SEC)

struct mt_slow {
	uint64_t floor; /* ns: what is quicker finds no place */
	uint64_t until; /* when the next window begins */
	uint8_t now_at; /* which of the two this one is */
	uint32_t n[2];
	struct mt_record calls[2][MT_SLOW_CALLS];
};

/* A new window. */
void mt_slow_turn(struct mt_slow *s, uint64_t now);
/* One that took s->floor or more is over. */
void mt_slow_keep(struct mt_slow *s, const struct mt_record *r);
/* Copies them, in no order; how many. */
uint32_t mt_slow_read(const struct mt_slow *s, struct mt_record *out, uint32_t max);
