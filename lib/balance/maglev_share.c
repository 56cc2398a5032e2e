/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps Maglev tables, each once for all users with the same names and weights in the same order:
 * other clusters, and the next version of a cluster that has the same endpoints. The last user
 * frees the table.
 */
#include "mt_balance_priv.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define SHARE_SEED 0x6d61676c65760005ull
#define BUCKETS	   1024u

static const struct {
	uint32_t backends; /* at most */
	uint32_t size;	   /* prime */
} sizes[] = {{MT_MAGLEV_USUAL, MT_MAGLEV_SIZE}, {80000, 1000003}, {MT_MAGLEV_MAX, 4194319}};

/* Input of a table. Equal ratios of weights are equal weights. */
struct key {
	uint64_t hash;
	uint32_t n;
	size_t len;	   /* of names */
	char *names;	   /* one after the other, each with its NUL */
	uint32_t *weights; /* without a common divisor */
};

struct mt_maglev_table {
	struct mt_maglev_table *next; /* in its bucket */
	struct key key;
	size_t bytes;
	uint32_t refs, size;
	uint32_t *wide; /* one of the two; the other is NULL */
	uint16_t *slots;
};

static struct mt_maglev_table *buckets[BUCKETS];
static struct mt_maglev_usage usage;

static uint32_t common_divisor(const uint32_t *weights, uint32_t n)
{
	uint32_t divisor = 0;

	for (uint32_t i = 0; weights && i < n && divisor != 1; i++) {
		uint32_t x = weights[i];

		while (x) {
			uint32_t rest = divisor % x;

			divisor = x;
			x = rest;
		}
	}
	return divisor;
}

static void free_key(struct key *k)
{
	free(k->names);
	free(k->weights);
}

static int make_key(struct key *k, const char *const *names, const uint32_t *weights, uint32_t n)
{
	uint32_t divisor = common_divisor(weights, n);
	char *at;

	*k = (struct key){.n = n};
	for (uint32_t i = 0; i < n; i++)
		k->len += strlen(names[i]) + 1;
	k->names = at = malloc(k->len);
	k->weights = malloc(n * sizeof(*k->weights));
	if (!k->names || !k->weights) {
		free_key(k);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		size_t len = strlen(names[i]) + 1;

		memcpy(at, names[i], len);
		at += len;
		/* No weights, or none above 0: all are equal. */
		k->weights[i] = divisor ? weights[i] / divisor : 1;
	}
	k->hash = mt_balance_hash(
		k->names, k->len, mt_balance_hash(k->weights, n * sizeof(*k->weights), SHARE_SEED));
	return 0;
}

static bool is_equal(const struct key *a, const struct key *b)
{
	return a->hash == b->hash && a->n == b->n && a->len == b->len &&
	       memcmp(a->names, b->names, a->len) == 0 &&
	       memcmp(a->weights, b->weights, a->n * sizeof(*a->weights)) == 0;
}

static struct mt_maglev_table *find(const struct key *k)
{
	struct mt_maglev_table *t = buckets[k->hash % BUCKETS];

	while (t && !is_equal(&t->key, k))
		t = t->next;
	return t;
}

static uint32_t size_for(uint32_t n)
{
	uint32_t i = 0;

	while (n > sizes[i].backends)
		i++;
	return sizes[i].size;
}

/* Halves the entries if they fit; they stay as they are if there is no memory for the copy. */
static void narrow(struct mt_maglev_table *t)
{
	if (t->key.n <= UINT16_MAX)
		t->slots = malloc(t->size * sizeof(*t->slots));
	if (!t->slots)
		return;
	for (uint32_t i = 0; i < t->size; i++)
		t->slots[i] = (uint16_t)t->wide[i];
	free(t->wide);
	t->wide = NULL;
}

static void free_table(struct mt_maglev_table *t)
{
	free_key(&t->key);
	free(t->wide);
	free(t->slots);
	free(t);
}

static size_t bytes_of(const struct mt_maglev_table *t)
{
	return sizeof(*t) + t->size * (t->wide ? sizeof(*t->wide) : sizeof(*t->slots)) +
	       t->key.len + t->key.n * sizeof(*t->key.weights);
}

/* A new table, which takes the key over; NULL: no memory. */
static struct mt_maglev_table *make(struct key *k, const char *const *names)
{
	struct mt_maglev_table *t = calloc(1, sizeof(*t)), **bucket = &buckets[k->hash % BUCKETS];

	if (!t) {
		free_key(k);
		return NULL;
	}
	t->key = *k;
	t->size = size_for(k->n);
	t->wide = malloc(t->size * sizeof(*t->wide));
	if (!t->wide || mt_maglev_fill(t->wide, t->size, names, k->weights, k->n)) {
		free_table(t);
		return NULL;
	}
	narrow(t);
	t->next = *bucket;
	*bucket = t;
	t->bytes = bytes_of(t);
	usage.tables++;
	usage.bytes += t->bytes;
	usage.built++;
	return t;
}

int mt_maglev_build(
	struct mt_maglev *m, const char *const *names, const uint32_t *weights, uint32_t n)
{
	static const uint16_t only[1];
	struct mt_maglev_table *t;
	struct key k;

	MT_ASSERT(n > 0);
	memset(m, 0, sizeof(*m));
	if (n > MT_MAGLEV_MAX)
		return -E2BIG;
	if (n == 1) {
		*m = (struct mt_maglev){.size = 1, .slots = only};
		return 0;
	}
	if (make_key(&k, names, weights, n))
		return -ENOMEM;
	t = find(&k);
	if (t)
		free_key(&k);
	else
		t = make(&k, names);
	if (!t)
		return -ENOMEM;
	t->refs++;
	usage.users++;
	*m = (struct mt_maglev){.size = t->size, .slots = t->slots, .wide = t->wide, .table = t};
	return 0;
}

void mt_maglev_free(struct mt_maglev *m)
{
	struct mt_maglev_table *t = m->table, **at;

	memset(m, 0, sizeof(*m));
	if (!t)
		return;
	usage.users--;
	if (--t->refs)
		return;
	for (at = &buckets[t->key.hash % BUCKETS]; *at != t;)
		at = &(*at)->next;
	*at = t->next;
	usage.tables--;
	usage.bytes -= t->bytes;
	free_table(t);
}

struct mt_maglev_usage mt_maglev_usage(void)
{
	return usage;
}
