/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hierarchical timer wheel with 1 ms ticks: 4 levels of 256 slots reach 2^32 ms. One node per owner,
 * re-armed lazily: mt_wheel_arm() with a later deadline leaves the node where it is, and expiry looks
 * at `deadline` and moves it on. Arm, cancel and expiry are O(1); nothing is allocated.
 * One worker owns a wheel; time is a parameter.
 */
#pragma once

#include "mt_list.h"

#define MT_WHEEL_LEVELS 4
#define MT_WHEEL_SLOTS	256

struct mt_timer {
	struct mt_list node;
	uint64_t deadline; /* ns; what the owner wants */
	uint64_t slot_ms;  /* the tick at which the wheel will look at it */
};

struct mt_wheel {
	uint64_t now_ms;
	uint32_t armed;
	struct mt_list slots[MT_WHEEL_LEVELS][MT_WHEEL_SLOTS];
};

void mt_wheel_init(struct mt_wheel *w, uint64_t now);

static inline void mt_timer_init(struct mt_timer *t)
{
	mt_list_init(&t->node);
	t->deadline = MT_NEVER;
	t->slot_ms = 0;
}

static inline bool mt_timer_armed(const struct mt_timer *t)
{
	return mt_list_linked(&t->node);
}

/* Fires at the first mt_wheel_run() whose `now` is at or after `deadline`. MT_NEVER cancels. */
void mt_wheel_arm(struct mt_wheel *w, struct mt_timer *t, uint64_t deadline);
void mt_wheel_cancel(struct mt_wheel *w, struct mt_timer *t);

/*
 * Calls fire(arg, timer) for each due timer, at most `budget` of them (the rest fire in the next
 * call); the timer is disarmed before the call and may be armed again or freed in it. Returns how many
 * fired.
 */
uint32_t mt_wheel_run(struct mt_wheel *w, uint64_t now, uint32_t budget,
	void (*fire)(void *arg, struct mt_timer *t), void *arg);

/*
 * A lower bound of the next expiry in ns (exact within its level), MT_NEVER when nothing is armed: how
 * long a sleeping worker may sleep, and the simulator's next event.
 */
uint64_t mt_wheel_next(const struct mt_wheel *w);
