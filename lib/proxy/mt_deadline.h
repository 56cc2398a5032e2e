/* SPDX-License-Identifier: Apache-2.0 */
/* Deadlines: FIFO lists per distinct time-out value (deadline.c). */
#pragma once

#include "mt_base.h"
#include "mt_list.h"

#define MT_DEADLINE_LISTS 128

struct mt_deadline {
	struct mt_list node;
	uint64_t at; /* ns */
};

struct mt_deadlines {
	uint32_t n;
	struct {
		uint32_t ms;
		struct mt_list fifo; /* in the order of expiry */
	} lists[MT_DEADLINE_LISTS];
};

void mt_deadlines_init(struct mt_deadlines *d);
/* Arms `e`, armed or not. If all lists are taken, the time-out is rounded up to that of a list. */
void mt_deadline_arm(struct mt_deadlines *d, struct mt_deadline *e, uint64_t now, uint32_t ms);
void mt_deadline_cancel(struct mt_deadline *e);
/*
 * Rounds up a time-out that a client chose, by at most a half, if a quarter of the lists is taken.
 * So lists are left for time-outs of the configuration.
 */
uint32_t mt_deadline_round(struct mt_deadlines *d, uint32_t ms);
/* Removes an expired entry from its list and returns it; NULL: there is none. */
struct mt_deadline *mt_deadlines_pop(struct mt_deadlines *d, uint64_t now);
uint64_t mt_deadlines_next(const struct mt_deadlines *d);
