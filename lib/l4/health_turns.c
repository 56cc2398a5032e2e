/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which health checks may begin. A worker begins MT_L4_CHECKS_PER_S a second, and has
 * MT_L4_CHECKS_AT_ONCE connections. Without turns, a namespace with many endpoints, or with silent
 * ones that hold all places, would delay the checks of all others.
 *
 * Checks of one owner and kind are a queue. A check that is due and may not begin waits. The next
 * pass grants what may begin then to the queues with waiting checks, one each in rotation, until
 * nothing is left or none waits. The rest may begin at once, in any queue. So a check waits for as
 * many others as there are queues, not checks. A queue does not take the last quarter of the places
 * beyond a quarter of them (mt_share.h).
 *
 * In its queue, the pass starts with the first check that waited, so each has its turn.
 */
#include "mt_l4_priv.h"
#include "mt_share.h"

#define TOKENS_MAX (MT_L4_CHECKS_PER_S / 10) /* a tenth of a second's share may be saved */

static bool is_connection(uint16_t queue)
{
	return queue & 1;
}

/* Adds the tokens of the time since the last pass began, however long it took. */
static void fill(struct mt_l4 *l)
{
	struct l4_turns *t = &l->turns;
	uint64_t each = MT_SEC / MT_L4_CHECKS_PER_S;
	uint32_t fresh =
		(uint32_t)MT_MIN((l->now - t->filled) / each, (uint64_t)MT_L4_CHECKS_PER_S);

	t->filled = fresh >= TOKENS_MAX ? l->now : t->filled + fresh * each;
	t->tokens = MT_MIN(t->tokens + fresh, MT_MAX(TOKENS_MAX, fresh));
}

/* True if the queue may open one more connection; the last quarter is for queues with few. */
static bool has_place(const struct l4_turns *t, uint16_t queue)
{
	return !is_connection(queue) ||
	       mt_share_left(MT_L4_CHECKS_AT_ONCE, t->open, t->queues[queue].open) > 0;
}

static void count_open(struct l4_turns *t, uint16_t queue)
{
	t->queues[queue].open += is_connection(queue);
	t->open += is_connection(queue);
}

/* Lists the queues of the set with checks that wait, from the one after `last` on. */
static uint32_t list_waiting(struct mt_l4 *l, uint16_t waiting[MT_L4_CHECK_QUEUES])
{
	const struct mt_l4_set *set = l->set;
	uint32_t n = 0, first = 0;

	while (first < set->n_check_ranges && set->check_ranges[first].queue <= l->turns.last)
		first++;
	for (uint32_t i = 0; i < set->n_check_ranges; i++) {
		uint16_t q = set->check_ranges[(first + i) % set->n_check_ranges].queue;

		l->turns.queues[q].granted = 0;
		l->turns.open += l->turns.queues[q].open;
		if (l->turns.queues[q].waiting)
			waiting[n++] = q;
	}
	return n;
}

/*
 * Grants one check to each of n queues with checks that wait. Returns how many of them may get one
 * more, which come first in the list then. A queue without a place gets none in this pass, so each
 * queue is visited once more than it gets checks, at most.
 */
static uint32_t grant_each(struct l4_turns *t, uint16_t *waiting, uint32_t n)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < n && t->spare; i++) {
		uint16_t queue = waiting[i];
		struct l4_check_queue *q = &t->queues[queue];

		if (!has_place(t, queue))
			continue;
		q->granted++;
		t->spare--;
		count_open(t, queue);
		t->last = queue;
		if (q->granted < q->waiting)
			waiting[left++] = queue;
	}
	return left;
}

void l4_turns_begin(struct mt_l4 *l)
{
	uint16_t waiting[MT_L4_CHECK_QUEUES];
	struct l4_turns *t = &l->turns;
	uint32_t n;

	fill(l);
	t->spare = t->tokens;
	t->open = t->range = t->at = 0;
	t->passing = true;
	n = list_waiting(l, waiting);
	while (n && t->spare)
		n = grant_each(t, waiting, n);
}

static void begin_queue(struct l4_check_queue *q, uint32_t n)
{
	if (q->refused != L4_NONE)
		q->start = q->refused;
	if (q->start >= n)
		q->start = 0;
	q->refused = L4_NONE;
	q->waiting = q->seen = 0;
}

/* The place in the range of the check that was visited last. */
static uint32_t place_of(const struct mt_l4 *l)
{
	const struct mt_l4_check_range *r = &l->set->check_ranges[l->turns.range];

	return (l->turns.queues[r->queue].start + l->turns.at - 1) % r->n;
}

const struct mt_l4_check *l4_turns_next(struct mt_l4 *l)
{
	struct l4_turns *t = &l->turns;

	for (; t->range < l->set->n_check_ranges; t->range++, t->at = 0) {
		const struct mt_l4_check_range *r = &l->set->check_ranges[t->range];

		if (t->at == 0)
			begin_queue(&t->queues[r->queue], r->n);
		if (t->at++ < r->n)
			return &l->set->checks[r->first + place_of(l)];
		t->queues[r->queue].open = t->queues[r->queue].seen;
	}
	return NULL;
}

static void put_off(struct mt_l4 *l, struct l4_check_queue *q)
{
	l4_count(l, MT_L4_checks_delayed);
	q->waiting++;
	if (q->refused == L4_NONE)
		q->refused = place_of(l);
}

bool l4_turns_take(struct mt_l4 *l, const struct mt_l4_check *c)
{
	struct l4_turns *t = &l->turns;
	struct l4_check_queue *q = &t->queues[c->queue];

	if (q->granted) {
		q->granted--;
	} else if (t->spare && has_place(t, c->queue)) {
		t->spare--;
		count_open(t, c->queue);
	} else {
		put_off(l, q);
		return false;
	}
	t->tokens--;
	return true;
}

void l4_turns_return(struct mt_l4 *l, const struct mt_l4_check *c)
{
	l->turns.tokens++;
	put_off(l, &l->turns.queues[c->queue]);
}

void l4_turns_note(struct mt_l4 *l, const struct mt_l4_check *c)
{
	l->turns.queues[c->queue].seen++;
}
