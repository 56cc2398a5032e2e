/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slowest exchanges of this window and the one before it. One object per worker, used by the
 * worker's thread only.
 */
#pragma once

#include "mt_record.h"

#define MT_SLOW_CALLS  16 /* per window */
#define MT_SLOW_WINDOW (60 * MT_SEC)

struct mt_slow {
	uint64_t floor; /* ns: quicker calls are not kept */
	uint64_t until; /* start of the next window */
	uint8_t now_at; /* which of the two is the current window */
	uint32_t n[2];
	struct mt_record calls[2][MT_SLOW_CALLS];
};

/* Starts a new window. */
void mt_slow_turn(struct mt_slow *s, uint64_t now);
/* Adds a finished call that took s->floor or more. */
void mt_slow_keep(struct mt_slow *s, const struct mt_record *r);
/* Copies the calls in no particular order; returns their number. */
uint32_t mt_slow_read(const struct mt_slow *s, struct mt_record *out, uint32_t max);
