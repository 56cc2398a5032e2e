/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the ledger as a whole, for tests: compares lists and sums with a walk over all places. */
#include "mt_ledger.h"

/*
 * The first list has everything below its upper bound, the last one everything above its lower
 * bound.
 */
#define LEAST (2 * MT_LEDGER_FIRST)
#define MOST  ((uint64_t)MT_LEDGER_FIRST << (MT_LEDGER_LISTS - 1))

/* True if an element of this size may be in the highest list when the largest has that size. */
static bool is_largest(uint64_t size, uint64_t largest)
{
	return largest < LEAST || 2 * size > largest || size >= MOST;
}

static uint64_t largest_holder(const struct mt_ledger *l, int c)
{
	const struct mt_holder *h;
	uint64_t largest = 0;
	uint32_t i = 0;

	while ((h = mt_slab_next(&l->holders, &i)))
		largest = MT_MAX(largest, h->charged[c]);
	return largest;
}

/* The sum of a holder's accounts; *largest: the largest of them. */
static uint64_t of_holder(const struct mt_ledger *l, uint32_t holder, int c, uint64_t *largest)
{
	const struct mt_place *p;
	uint64_t all = 0;
	uint32_t i = 0;

	*largest = 0;
	while ((p = mt_slab_next(&l->places, &i))) {
		if (p->holder != holder)
			continue;
		all += p->counted.of[c];
		*largest = MT_MAX(*largest, p->counted.of[c]);
	}
	return all;
}

static const struct mt_place *place_of(const struct mt_ledger *l, uint32_t conn)
{
	const struct mt_account *a;
	const struct mt_place *p;
	uint32_t i = 0;

	while ((p = mt_slab_next(&l->places, &i))) {
		a = mt_slab_at(&l->accounts, p->account);
		if (a->conn == conn)
			return p;
	}
	return NULL;
}

static const char *class_wrong(const struct mt_ledger *l, int c)
{
	uint64_t most = largest_holder(l, c), largest;
	const struct mt_holder *h;
	const struct mt_place *p;
	uint32_t conn;

	if (!mt_ledger_victim(l, (enum mt_class)c, &conn))
		return most * l->classes[c].holders >= 2 * MT_MAX(l->classes[c].share, LEAST)
			       ? "who holds far more than an even part is no victim"
			       : NULL;
	p = place_of(l, conn);
	if (!p)
		return "the victim holds nothing";
	h = mt_slab_at(&l->holders, p->holder);
	if (of_holder(l, p->holder, c, &largest) != h->charged[c])
		return "a holder is not the sum of its accounts";
	if (!is_largest(h->charged[c], most))
		return "the victim's holder is not the largest";
	return is_largest(p->counted.of[c], largest) ? NULL
						     : "the victim is not its holder's largest";
}

const char *mt_ledger_wrong(const struct mt_ledger *l)
{
	const char *wrong = NULL;

	for (int c = 0; c < MT_N_CLASSES && !wrong; c++)
		wrong = class_wrong(l, c);
	return wrong;
}
