/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fills the table: in each round every backend gets turns in proportion to its weight relative to
 * the average (a fraction is carried over). At each turn it takes the next free slot of its own
 * permutation. So the work is O(slots) whatever the weights are.
 */
#include "mt_balance.h"

#include <errno.h>
#include <string.h>

#define SLOT_FREE      UINT32_MAX
#define SLOTS_EACH     100u
#define SLOTS_MIN      251u
#define STEP_FIRST     16u
#define STEP_FACTOR    4u
#define SEED_OFFSET    0u
#define SEED_SKIP      0x6d61676c65760001ull
#define TURN_ONE       (1ull << 32) /* one turn in 32.32 fixed point */
#define NAME_HASH_SEED 0x6d61676c65760002ull

struct backend {
	const char *name;
	uint64_t
		order; /* the place in a round, by name, so that the caller's order has no effect */
	uint64_t share;	     /* turns per round, 32.32 */
	uint64_t due;	     /* turns not taken yet, 32.32 */
	uint32_t idx;	     /* the caller's index */
	uint32_t next, skip; /* the permutation: next slot and its step */
};

static bool is_prime(uint32_t x)
{
	for (uint32_t d = 3; (uint64_t)d * d <= x; d += 2)
		if (x % d == 0)
			return false;
	return (x & 1) != 0;
}

/*
 * A key's slot is its hash modulo the size, so another table size moves nearly every key. Sizes
 * therefore grow in wide steps of n (16, 64, 256, ...), which one backend more or less rarely
 * crosses. A single backend takes every key, so its table may be small. The size depends only on n,
 * so several Meltemi nodes in front of the same endpoints agree.
 */
static uint32_t table_size(uint32_t n)
{
	uint32_t step = STEP_FIRST, m;

	while (step < n)
		step *= STEP_FACTOR;
	m = n == 1 ? SLOTS_MIN : (step * SLOTS_EACH) | 1;
	while (!is_prime(m))
		m += 2;
	return m;
}

static int by_order(const void *a, const void *b)
{
	const struct backend *x = a, *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return strcmp(x->name, y->name);
}

static uint64_t sum_weights(const uint32_t *weights, uint32_t n)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; weights && i < n; i++)
		sum += weights[i];
	return sum;
}

static void prepare(struct backend *b, uint32_t size, const char *name, uint32_t idx)
{
	size_t len = strlen(name);

	b->name = name;
	b->idx = idx;
	b->order = mt_balance_hash(name, len, NAME_HASH_SEED);
	b->next = (uint32_t)(mt_balance_hash(name, len, SEED_OFFSET) % size);
	b->skip = (uint32_t)(mt_balance_hash(name, len, SEED_SKIP) % (size - 1)) + 1;
	/*
	 * Almost one turn at the start, so that every backend with a weight gets one in the first
	 * round.
	 */
	b->due = TURN_ONE - 1;
}

static void take_slot(struct mt_maglev *m, struct backend *b)
{
	while (m->slots[b->next] != SLOT_FREE) {
		b->next += b->skip;
		if (b->next >= m->size)
			b->next -= m->size;
	}
	m->slots[b->next] = b->idx;
}

static void fill(struct mt_maglev *m, struct backend *b, uint32_t n)
{
	uint32_t left = m->size;

	memset(m->slots, 0xff, (size_t)m->size * sizeof(*m->slots));
	for (;;) {
		for (uint32_t i = 0; i < n; i++) {
			for (b[i].due += b[i].share; b[i].due >= TURN_ONE; b[i].due -= TURN_ONE) {
				take_slot(m, &b[i]);
				if (--left == 0)
					return;
			}
		}
	}
}

int mt_maglev_build(
	struct mt_maglev *m, const char *const *names, const uint32_t *weights, uint32_t n)
{
	uint64_t sum = sum_weights(weights, n);
	struct backend *b;

	MT_ASSERT(n > 0);
	memset(m, 0, sizeof(*m));
	if (n > MT_MAGLEV_MAX)
		return -E2BIG;
	b = calloc(n, sizeof(*b));
	m->size = table_size(n);
	m->slots = malloc((size_t)m->size * sizeof(*m->slots));
	if (!b || !m->slots) {
		free(b);
		mt_maglev_free(m);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		prepare(&b[i], m->size, names[i], i);
		b[i].share = TURN_ONE;
		if (sum)
			b[i].share = (uint64_t)((unsigned __int128)weights[i] * n * TURN_ONE / sum);
		if (sum && weights[i] == 0)
			b[i].due = 0;
	}
	qsort(b, n, sizeof(*b), by_order);
	fill(m, b, n);
	free(b);
	return 0;
}

void mt_maglev_free(struct mt_maglev *m)
{
	free(m->slots);
	memset(m, 0, sizeof(*m));
}
