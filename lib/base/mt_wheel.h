/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hierarchical timer wheel with 1 ms ticks: 4 levels of 256 slots cover 2^32 ms. One node per
 * owner, re-armed lazily: mt_wheel_arm() with a later deadline leaves the node in its slot, and
 * expiry checks `due_ms` and moves it. Arm, cancel and expiry are O(1); nothing is allocated. A
 * slot of a higher level whose time has come is distributed to lower ones in slices, so that no
 * call costs more than its budget, however many timers are armed. One worker owns a wheel; time is
 * a parameter.
 */
#pragma once

#include "mt_list.h"

#define MT_WHEEL_LEVELS 4
#define MT_WHEEL_SLOTS	256
#define MT_WHEEL_WORDS	(MT_WHEEL_SLOTS / 64)

/* Times are ticks, of which the lower half is stored: 2^31 of them lie ahead of any moment. */
struct mt_timer {
	struct mt_list node;
	uint32_t due_ms;  /* the owner's deadline */
	uint32_t slot_ms; /* the tick at which the wheel will check it */
};

struct mt_wheel {
	uint64_t now_ms;
	uint32_t armed;
	bool unsettled; /* some timers are on falling[] */
	struct mt_list slots[MT_WHEEL_LEVELS][MT_WHEEL_SLOTS];
	struct mt_list falling[MT_WHEEL_LEVELS]; /* from slots of this level, to be distributed */
	/*
	 * One bit for each slot, set in all that have timers; an emptied slot keeps its bit for a
	 * while.
	 */
	uint64_t full[MT_WHEEL_LEVELS][MT_WHEEL_WORDS];
};

void mt_wheel_init(struct mt_wheel *w, uint64_t now);
/* Call after the slots were loaded from an image: finds out which of them have timers. */
void mt_wheel_loaded(struct mt_wheel *w);

static inline void mt_timer_init(struct mt_timer *t)
{
	mt_list_init(&t->node);
	t->due_ms = t->slot_ms = 0;
}

static inline bool mt_timer_armed(const struct mt_timer *t)
{
	return mt_list_linked(&t->node);
}

/*
 * Fires at the first mt_wheel_run() whose `now` is at or after `deadline`, rounded up to a tick.
 * MT_NEVER cancels. A deadline more than 24 days ahead fires after 24 days, and the owner checks
 * the time and arms it again.
 */
void mt_wheel_arm(struct mt_wheel *w, struct mt_timer *t, uint64_t deadline);
void mt_wheel_cancel(struct mt_wheel *w, struct mt_timer *t);

/*
 * Calls fire(arg, timer) for each due timer; the timer is disarmed before the call and may be armed
 * again or freed in it. At most `budget` timers are checked, and as many distributed to lower
 * levels; the rest is left to the next call, which mt_wheel_next() shows. Returns how many fired.
 */
uint32_t mt_wheel_run(struct mt_wheel *w, uint64_t now, uint32_t budget,
	void (*fire)(void *arg, struct mt_timer *t), void *arg);

/*
 * A lower bound of the next expiry in ns (exact within its level); MT_NEVER when nothing is armed.
 * This is how long a worker may sleep, and the simulator's next event.
 */
uint64_t mt_wheel_next(struct mt_wheel *w);
