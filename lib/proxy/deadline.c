/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exchange time-outs. All exchanges with the same time-out expire in the order in which they were
 * armed, so a FIFO for each distinct value needs no sorting. Values come from the configuration and
 * are few. If clients use many different values, further ones share the list of the next longer
 * value.
 */
#include "mt_mutant.h"
#include "mt_proxy_base.h"

void mt_deadlines_init(struct mt_deadlines *d)
{
	d->n = 0;
}

/*
 * Returns the list for *ms. If all lists are taken, returns the list with the shortest longer value
 * and sets *ms to that value.
 */
static struct mt_list *list_for(struct mt_deadlines *d, uint32_t *ms)
{
	uint32_t best = UINT32_MAX;

	for (uint32_t i = 0; i < d->n; i++) {
		if (d->lists[i].ms == *ms)
			return &d->lists[i].fifo;
		if (d->lists[i].ms > *ms &&
			(best == UINT32_MAX || d->lists[i].ms < d->lists[best].ms))
			best = i;
	}
	if (d->n < MT_DEADLINE_LISTS) {
		best = d->n++;
		d->lists[best].ms = *ms;
		mt_list_init(&d->lists[best].fifo);
		return &d->lists[best].fifo;
	}
	if (best == UINT32_MAX) {
		best = 0;
		for (uint32_t i = 1; i < d->n; i++)
			if (d->lists[i].ms > d->lists[best].ms)
				best = i;
		/* All lists are shorter: raise the longest; its entries stay in order. */
		d->lists[best].ms = *ms;
	}
	*ms = d->lists[best].ms;
	return &d->lists[best].fifo;
}

/* Removes one empty list, if there is one, so that rare values do not keep all lists. */
static void reuse_empty(struct mt_deadlines *d)
{
	for (uint32_t i = 0; i < d->n; i++) {
		uint32_t last = d->n - 1;

		if (!mt_list_empty(&d->lists[i].fifo))
			continue;
		if (i != last) {
			d->lists[i].ms = d->lists[last].ms;
			mt_list_init(&d->lists[i].fifo);
			if (!mt_list_empty(&d->lists[last].fifo)) {
				d->lists[i].fifo = d->lists[last].fifo;
				d->lists[i].fifo.next->prev = &d->lists[i].fifo;
				d->lists[i].fifo.prev->next = &d->lists[i].fifo;
			}
		}
		d->n--;
		return;
	}
}

uint32_t mt_deadline_round(struct mt_deadlines *d, uint32_t ms)
{
	uint32_t step;

	if (d->n < MT_DEADLINE_LISTS / 4 || ms < 4)
		return ms;
	reuse_empty(d);
	for (uint32_t i = 0; i < d->n; i++)
		if (d->lists[i].ms == ms)
			return ms;
	/* Keep the two leading bits: fewer than 40 different values up to 300,000 ms. */
	step = 1u << (30 - __builtin_clz(ms));
	return (ms + step - 1) & ~(step - 1);
}

void mt_deadline_arm(struct mt_deadlines *d, struct mt_deadline *e, uint64_t now, uint32_t ms)
{
	struct mt_list *fifo;

	if (mt_mutant(MT_MUTANT_no_deadline))
		return;
	mt_deadline_cancel(e);
	if (d->n == MT_DEADLINE_LISTS)
		reuse_empty(d);
	fifo = list_for(d, &ms);
	e->at = now + ms * MT_MSEC;
	mt_list_add_tail(fifo, &e->node);
}

void mt_deadline_cancel(struct mt_deadline *e)
{
	mt_list_del(&e->node);
}

struct mt_deadline *mt_deadlines_pop(struct mt_deadlines *d, uint64_t now)
{
	for (uint32_t i = 0; i < d->n; i++) {
		struct mt_list *n = mt_list_first(&d->lists[i].fifo);
		struct mt_deadline *e;

		if (!n)
			continue;
		e = mt_list_entry(n, struct mt_deadline, node);
		if (e->at > now)
			continue;
		mt_list_del(n);
		return e;
	}
	return NULL;
}

uint64_t mt_deadlines_next(const struct mt_deadlines *d)
{
	uint64_t next = MT_NEVER;

	for (uint32_t i = 0; i < d->n; i++) {
		const struct mt_list *head = &d->lists[i].fifo;

		if (!mt_list_empty(head)) {
			uint64_t at = mt_list_entry(head->next, struct mt_deadline, node)->at;

			next = MT_MIN(next, at);
		}
	}
	return next;
}
