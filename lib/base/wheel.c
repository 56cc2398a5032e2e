/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_wheel.h"

/* Fewer ticks than this are run through one by one: looking for the next full slot costs more. */
#define SKIP_MIN_MS 16

/* Rounds up: a timer never fires early. */
static uint64_t tick_of(uint64_t ns)
{
	return ns / MT_MSEC + (ns % MT_MSEC != 0);
}

void mt_wheel_init(struct mt_wheel *w, uint64_t now)
{
	w->now_ms = now / MT_MSEC;
	w->armed = 0;
	for (int l = 0; l < MT_WHEEL_LEVELS; l++)
		for (int s = 0; s < MT_WHEEL_SLOTS; s++)
			mt_list_init(&w->slots[l][s]);
}

/* The slot for a tick as seen from now_ms: the level is that of the highest byte in which they differ. */
static struct mt_list *slot_for(struct mt_wheel *w, uint64_t tick)
{
	uint64_t diff = tick ^ w->now_ms;
	int level = 0;

	while (level < MT_WHEEL_LEVELS - 1 && diff >> (8 * (level + 1)))
		level++;
	return &w->slots[level][(tick >> (8 * level)) % MT_WHEEL_SLOTS];
}

static void place(struct mt_wheel *w, struct mt_timer *t)
{
	uint64_t tick = tick_of(t->deadline);
	uint64_t horizon = w->now_ms + (1ull << 31);

	if (tick <= w->now_ms)
		tick = w->now_ms + 1;
	if (tick > horizon)
		tick = horizon; /* looked at then, and moved on */
	t->slot_ms = tick;
	mt_list_add_tail(slot_for(w, tick), &t->node);
	w->armed++;
}

void mt_wheel_cancel(struct mt_wheel *w, struct mt_timer *t)
{
	t->deadline = MT_NEVER;
	if (!mt_timer_armed(t))
		return;
	mt_list_del(&t->node);
	w->armed--;
}

void mt_wheel_arm(struct mt_wheel *w, struct mt_timer *t, uint64_t deadline)
{
	if (deadline == MT_NEVER) {
		mt_wheel_cancel(w, t);
		return;
	}
	t->deadline = deadline;
	if (mt_timer_armed(t)) {
		if (tick_of(deadline) >= t->slot_ms)
			return; /* lazily: expiry will move it on */
		mt_list_del(&t->node);
		w->armed--;
	}
	place(w, t);
}

/* Brings the slot of `level` that begins at now_ms one level down. */
static void cascade(struct mt_wheel *w, int level)
{
	struct mt_list *slot = &w->slots[level][(w->now_ms >> (8 * level)) % MT_WHEEL_SLOTS];
	struct mt_list moved, *n;

	if (mt_list_empty(slot))
		return;
	moved = *slot;
	moved.next->prev = moved.prev->next = &moved;
	mt_list_init(slot);
	while ((n = mt_list_first(&moved))) {
		struct mt_timer *t = mt_list_entry(n, struct mt_timer, node);

		mt_list_del(n);
		mt_list_add_tail(
			&w->slots[level - 1][(t->slot_ms >> (8 * (level - 1))) % MT_WHEEL_SLOTS],
			n);
	}
}

static void advance_tick(struct mt_wheel *w)
{
	w->now_ms++;
	for (int level = MT_WHEEL_LEVELS - 1; level > 0; level--)
		if ((w->now_ms & ((1ull << (8 * level)) - 1)) == 0)
			cascade(w, level);
}

static uint32_t run_slot(struct mt_wheel *w, uint64_t now, uint32_t budget,
	void (*fire)(void *arg, struct mt_timer *t), void *arg)
{
	struct mt_list *slot = &w->slots[0][w->now_ms % MT_WHEEL_SLOTS];
	uint32_t fired = 0;
	struct mt_list *n;

	while (fired < budget && (n = mt_list_first(slot))) {
		struct mt_timer *t = mt_list_entry(n, struct mt_timer, node);

		mt_list_del(n);
		w->armed--;
		if (t->deadline > now) {
			place(w, t);
			continue;
		}
		fired++;
		fire(arg, t);
	}
	return fired;
}

/* The first tick from now_ms on at which a slot is not empty or may be; something is armed. */
static uint64_t next_tick(const struct mt_wheel *w)
{
	if (!mt_list_empty(&w->slots[0][w->now_ms % MT_WHEEL_SLOTS]))
		return w->now_ms;
	for (int level = 0; level < MT_WHEEL_LEVELS; level++) {
		uint64_t base = w->now_ms >> (8 * level);

		/* A slot holds ticks of this turn of its level only, so no slot behind `base` counts. */
		for (uint64_t i = 1; base % MT_WHEEL_SLOTS + i < MT_WHEEL_SLOTS; i++)
			if (!mt_list_empty(&w->slots[level][(base + i) % MT_WHEEL_SLOTS]))
				return (base + i) << (8 * level);
	}
	/* Only beyond the top level's turn: look again there. */
	return ((w->now_ms >> 32) + 1) << 32;
}

/*
 * After a long sleep: on to the tick before the next slot that holds anything, or before the end. No
 * slot in between is cascaded, because all of them are empty.
 */
static void skip_empty(struct mt_wheel *w, uint64_t end_ms)
{
	uint64_t next;

	if (end_ms - w->now_ms < SKIP_MIN_MS)
		return;
	next = MT_MIN(next_tick(w), end_ms);
	if (next > w->now_ms + 1)
		w->now_ms = next - 1;
}

uint32_t mt_wheel_run(struct mt_wheel *w, uint64_t now, uint32_t budget,
	void (*fire)(void *arg, struct mt_timer *t), void *arg)
{
	uint64_t now_ms = now / MT_MSEC;
	uint32_t fired = run_slot(w, now, budget, fire, arg);

	while (w->now_ms < now_ms && fired < budget) {
		if (w->armed == 0) {
			w->now_ms = now_ms;
			break;
		}
		skip_empty(w, now_ms);
		advance_tick(w);
		fired += run_slot(w, now, budget - fired, fire, arg);
	}
	return fired;
}

uint64_t mt_wheel_next(const struct mt_wheel *w)
{
	return w->armed ? next_tick(w) * MT_MSEC : MT_NEVER;
}
