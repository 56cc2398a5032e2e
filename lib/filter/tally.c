/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_filter_tally.h"

#include "mt_secret_hash.h"

#include <string.h>

#define N_CHAINS 4096u

struct mt_tally_registry {
	uint16_t workers;
	struct mt_tally *first;
	struct mt_tally *chains[N_CHAINS];
};

struct mt_tally_registry *mt_tally_registry_new(uint16_t workers)
{
	struct mt_tally_registry *r = calloc(1, sizeof(*r));

	if (r)
		r->workers = workers;
	return r;
}

static void destroy(struct mt_tally *t)
{
	free(t->service);
	free(t->rule);
	free(t);
}

void mt_tally_registry_free(struct mt_tally_registry *r)
{
	struct mt_tally *next;

	for (struct mt_tally *t = r ? r->first : NULL; t; t = next) {
		next = t->next;
		destroy(t);
	}
	free(r);
}

/* Authors choose the words, so the hash has a key: no document can fill one chain. */
static struct mt_tally **chain_of(
	struct mt_tally_registry *r, const char *service, const char *rule)
{
	uint64_t h = mt_secret_hash_text(service, 1);

	return &r->chains[mt_secret_hash_text(rule, h) % N_CHAINS];
}

static struct mt_tally *create(struct mt_tally_registry *r, const char *service, const char *rule)
{
	size_t size = sizeof(struct mt_tally) + r->workers * sizeof(struct mt_tally_share);
	struct mt_tally *t = aligned_alloc(MT_CACHE_LINE, size);

	if (!t)
		return NULL;
	memset(t, 0, size);
	t->service = strdup(service);
	t->rule = strdup(rule);
	if (!t->service || !t->rule) {
		destroy(t);
		return NULL;
	}
	t->registry = r;
	t->workers = r->workers;
	t->next = r->first;
	if (t->next)
		t->next->prev = t;
	r->first = t;
	return t;
}

struct mt_tally *mt_tally_hold(struct mt_tally_registry *r, const char *service, const char *rule)
{
	struct mt_tally **chain = chain_of(r, service, rule), *t = *chain;

	while (t && (strcmp(t->service, service) != 0 || strcmp(t->rule, rule) != 0))
		t = t->chain;
	if (!t) {
		t = create(r, service, rule);
		if (!t)
			return NULL;
		t->chain = *chain;
		*chain = t;
	}
	t->refs++;
	return t;
}

void mt_tally_drop(struct mt_tally *t)
{
	struct mt_tally **p;

	if (!t || --t->refs > 0)
		return;
	p = chain_of(t->registry, t->service, t->rule);
	while (*p != t)
		p = &(*p)->chain;
	*p = t->chain;
	if (t->prev)
		t->prev->next = t->next;
	else
		t->registry->first = t->next;
	if (t->next)
		t->next->prev = t->prev;
	destroy(t);
}

const struct mt_tally *mt_tally_next(const struct mt_tally_registry *r, const struct mt_tally *t)
{
	return t ? t->next : r->first;
}

uint64_t mt_tally_sum(const struct mt_tally *t)
{
	uint64_t sum = 0;

	for (uint16_t w = 0; w < t->workers; w++)
		sum += mt_count_read(&t->shares[w].refused);
	return sum;
}
