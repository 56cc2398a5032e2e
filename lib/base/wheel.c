/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_wheel.h"

#include <string.h>

/*
 * Fewer ticks than this are processed one by one, because a search for the next full slot costs
 * more.
 */
#define SKIP_MIN_MS 16
/* Ticks are ordered by their lower halves. */
#define HORIZON_MS 0x7fffffffull

/* Rounds up: a timer never fires early. */
static uint64_t tick_of(uint64_t ns)
{
	return ns / MT_MSEC + (ns % MT_MSEC != 0);
}

void mt_wheel_init(struct mt_wheel *w, uint64_t now)
{
	w->now_ms = now / MT_MSEC;
	w->armed = 0;
	w->unsettled = false;
	memset(w->full, 0, sizeof(w->full));
	for (int l = 0; l < MT_WHEEL_LEVELS; l++) {
		mt_list_init(&w->falling[l]);
		for (int s = 0; s < MT_WHEEL_SLOTS; s++)
			mt_list_init(&w->slots[l][s]);
	}
}

/* The whole of a tick from its lower half. */
static uint64_t widen(const struct mt_wheel *w, uint32_t ms)
{
	return w->now_ms + (uint64_t)(int64_t)(int32_t)(ms - (uint32_t)w->now_ms);
}

/* The level of a tick as seen from now_ms: that of the highest byte in which they differ. */
static int level_for(const struct mt_wheel *w, uint64_t tick)
{
	uint64_t diff = tick ^ w->now_ms;
	int level = 0;

	while (level < MT_WHEEL_LEVELS - 1 && diff >> (8 * (level + 1)))
		level++;
	return level;
}

/* Puts the timer into the slot for its due time, but not before `least`. */
static void place(struct mt_wheel *w, struct mt_timer *t, uint64_t least)
{
	uint64_t tick = MT_MAX(widen(w, t->due_ms), least);
	int level = level_for(w, tick);
	uint32_t slot = (tick >> (8 * level)) % MT_WHEEL_SLOTS;

	t->slot_ms = (uint32_t)tick;
	mt_list_add_tail(&w->slots[level][slot], &t->node);
	w->full[level][slot / 64] |= 1ull << (slot % 64);
}

void mt_wheel_loaded(struct mt_wheel *w)
{
	memset(w->full, 0, sizeof(w->full));
	for (int l = 0; l < MT_WHEEL_LEVELS; l++)
		for (uint32_t s = 0; s < MT_WHEEL_SLOTS; s++)
			if (!mt_list_empty(&w->slots[l][s]))
				w->full[l][s / 64] |= 1ull << (s % 64);
}

void mt_wheel_cancel(struct mt_wheel *w, struct mt_timer *t)
{
	if (!mt_timer_armed(t))
		return;
	mt_list_del(&t->node);
	w->armed--;
}

void mt_wheel_arm(struct mt_wheel *w, struct mt_timer *t, uint64_t deadline)
{
	uint64_t tick;

	if (deadline == MT_NEVER) {
		mt_wheel_cancel(w, t);
		return;
	}
	tick = MT_MIN(MT_MAX(tick_of(deadline), w->now_ms), w->now_ms + HORIZON_MS);
	t->due_ms = (uint32_t)tick;
	if (mt_timer_armed(t)) {
		if (tick >= widen(w, t->slot_ms))
			return; /* lazily: expiry will move it */
		mt_list_del(&t->node);
		w->armed--;
	}
	place(w, t, w->now_ms + 1);
	w->armed++;
}

/*
 * Moves the slot of `level` that starts at now_ms to the list to be distributed, after what is
 * still there.
 */
static void cascade(struct mt_wheel *w, int level)
{
	struct mt_list *slot = &w->slots[level][(w->now_ms >> (8 * level)) % MT_WHEEL_SLOTS];

	if (mt_list_empty(slot))
		return;
	mt_list_splice_tail(&w->falling[level], slot);
	w->unsettled = true;
}

/* Distributes at most *budget timers, nearer ones first. */
static mt_noinline void settle(struct mt_wheel *w, uint32_t *budget)
{
	for (int level = 1; level < MT_WHEEL_LEVELS; level++) {
		struct mt_list *n;

		while ((n = mt_list_first(&w->falling[level]))) {
			if (*budget == 0)
				return;
			(*budget)--;
			__builtin_prefetch(n->next->next, 1);
			mt_list_del(n);
			place(w, mt_list_entry(n, struct mt_timer, node), w->now_ms);
		}
	}
	w->unsettled = false;
}

static void advance_tick(struct mt_wheel *w)
{
	w->now_ms++;
	for (int level = 1; level < MT_WHEEL_LEVELS; level++) {
		if (w->now_ms & ((1ull << (8 * level)) - 1))
			return;
		cascade(w, level);
	}
}

/* Checks the timers of the current tick, at most *budget of them. Returns how many fired. */
static uint32_t run_slot(struct mt_wheel *w, uint32_t *budget,
	void (*fire)(void *arg, struct mt_timer *t), void *arg)
{
	struct mt_list *slot = &w->slots[0][w->now_ms % MT_WHEEL_SLOTS];
	uint32_t fired = 0;
	struct mt_list *n;

	while (*budget > 0 && (n = mt_list_first(slot))) {
		struct mt_timer *t = mt_list_entry(n, struct mt_timer, node);

		(*budget)--;
		mt_list_del(n);
		if (widen(w, t->due_ms) > w->now_ms) {
			place(w, t, w->now_ms + 1);
			continue;
		}
		w->armed--;
		fired++;
		fire(arg, t);
	}
	return fired;
}

/*
 * The first slot of a level, from `from` on, that has timers; MT_WHEEL_SLOTS: none. Clears the bits
 * of empty slots.
 */
static uint32_t full_slot(struct mt_wheel *w, int level, uint32_t from)
{
	for (uint32_t i = from / 64; i < MT_WHEEL_WORDS; i++) {
		uint64_t *word = &w->full[level][i];
		uint64_t looked_at = i == from / 64 ? ~0ull << (from % 64) : ~0ull;

		for (uint64_t bits; (bits = *word & looked_at); *word &= ~(bits & -bits)) {
			uint32_t slot = i * 64 + (uint32_t)__builtin_ctzll(bits);

			if (!mt_list_empty(&w->slots[level][slot]))
				return slot;
		}
	}
	return MT_WHEEL_SLOTS;
}

/* The first tick at or after now_ms with timers in its slot. At least one timer must be armed. */
static uint64_t next_tick(struct mt_wheel *w)
{
	if (!mt_list_empty(&w->slots[0][w->now_ms % MT_WHEEL_SLOTS]))
		return w->now_ms;
	for (int level = 0; level < MT_WHEEL_LEVELS; level++) {
		uint64_t base = w->now_ms >> (8 * level);
		/*
		 * A slot has only ticks of this round of its level, so no slot before `base`
		 * counts.
		 */
		uint32_t slot = full_slot(w, level, base % MT_WHEEL_SLOTS + 1);

		if (slot < MT_WHEEL_SLOTS)
			return (base - base % MT_WHEEL_SLOTS + slot) << (8 * level);
	}
	/* There are timers only beyond the top level's round: check again there. */
	return ((w->now_ms >> 32) + 1) << 32;
}

/*
 * After a long sleep: moves to the tick before the next slot with timers, or before the end. No
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
	uint32_t deal = budget, fired;

	if (mt_unlikely(w->unsettled))
		settle(w, &deal);
	fired = run_slot(w, &budget, fire, arg);
	/* Time advances while timers are distributed, so that only these timers can be late. */
	while (w->now_ms < now_ms && budget > 0) {
		if (w->armed == 0) {
			w->now_ms = now_ms;
			break;
		}
		skip_empty(w, now_ms);
		advance_tick(w);
		if (mt_unlikely(w->unsettled))
			settle(w, &deal);
		fired += run_slot(w, &budget, fire, arg);
	}
	return fired;
}

uint64_t mt_wheel_next(struct mt_wheel *w)
{
	if (w->armed == 0)
		return MT_NEVER;
	return (w->unsettled ? w->now_ms : next_tick(w)) * MT_MSEC;
}
