/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the counters of refused keys. Copies an entry, and leaves it out if its worker gives it to
 * other keys all the time. Control thread only.
 */
#include "mt_keyed_priv.h"

#include <stdio.h>
#include <string.h>

#define SHOWN	   (60 * MT_SEC)
#define COPIES	   8  /* attempts to copy an entry */
#define DIGEST_LEN 12 /* digits of a hidden key */

static bool copy(const struct mt_keyed_entry *e, struct mt_keyed_entry *to)
{
	for (uint32_t n = 0; n < COPIES; n++) {
		const uint64_t *from = (const uint64_t *)e;
		uint64_t *words = (uint64_t *)to;
		uint64_t seq = __atomic_load_n(&e->seq, __ATOMIC_ACQUIRE);

		for (uint32_t i = 0; i < sizeof(*e) / sizeof(*words); i++)
			words[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
		if (seq % 2 == 0 && mt_keyed_load(&e->seq) == seq)
			return to->count > 0;
	}
	return false;
}

static int by_key(const void *a, const void *b)
{
	const struct mt_keyed_entry *x = a, *y = b;

	if (x->serial != y->serial)
		return x->serial < y->serial ? -1 : 1;
	return x->hash == y->hash ? 0 : x->hash < y->hash ? -1 : 1;
}

static uint64_t at_least(const struct mt_keyed_entry *e)
{
	return e->count - MT_MIN(e->error, e->count);
}

static int by_count(const void *a, const void *b)
{
	const struct mt_keyed_entry *x = a, *y = b;

	if (at_least(x) != at_least(y))
		return at_least(x) > at_least(y) ? -1 : 1;
	return x->count == y->count ? by_key(a, b) : x->count > y->count ? -1 : 1;
}

/* Adds up the entries of several workers for one key. */
static uint32_t merge(struct mt_keyed_entry *e, uint32_t n)
{
	uint32_t to = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (to > 0 && by_key(&e[to - 1], &e[i]) == 0) {
			e[to - 1].count += e[i].count;
			e[to - 1].error += e[i].error;
			e[to - 1].last = MT_MAX(e[to - 1].last, e[i].last);
		} else {
			e[to++] = e[i];
		}
	}
	return to;
}

static const struct mt_keyed_rule *rule_of(const struct mt_keyed *t, uint64_t serial)
{
	for (uint32_t i = 1; i <= MT_KEYED_RULES && t->rules[i]; i++)
		if (t->rules[i]->serial == serial && t->rules[i]->refs > 0)
			return t->rules[i];
	return NULL;
}

static void show(
	const struct mt_keyed_rule *r, const struct mt_keyed_entry *e, struct mt_keyed_hot *hot)
{
	char digest[2 * sizeof(uint64_t) + 1];

	*hot = (struct mt_keyed_hot){.rule = r->def.name,
		.len = (uint32_t)e->len,
		.hidden = __atomic_load_n(&r->hidden, __ATOMIC_RELAXED),
		.refused = e->count,
		.error = MT_MIN(e->error, e->count),
		.last = e->last};
	memcpy(hot->name, e->name, sizeof(hot->name));
	if (!hot->hidden)
		return;
	/* Another hash than that of the table, which a reader could use to find keys that share. */
	snprintf(digest, sizeof(digest), "%016llx",
		(unsigned long long)mt_keyed_hash_both(r, e->hash, r->serial));
	memset(hot->name, 0, sizeof(hot->name));
	memcpy(hot->name, digest, DIGEST_LEN);
	hot->len = DIGEST_LEN;
}

uint32_t mt_keyed_hottest(
	const struct mt_keyed *t, uint64_t now, struct mt_keyed_hot *hot, uint32_t n)
{
	uint32_t each = MT_KEYED_SETS * MT_KEYED_WAYS, found = 0, shown = 0;
	struct mt_keyed_entry *all = calloc((size_t)each * t->workers, sizeof(*all));

	if (!all)
		return 0;
	for (uint32_t i = 0; i < each * t->workers; i++)
		found += copy(&t->tops[i / each].entries[i % each], &all[found]);
	qsort(all, found, sizeof(*all), by_key);
	found = merge(all, found);
	qsort(all, found, sizeof(*all), by_count);
	for (uint32_t i = 0; i < found && shown < n; i++) {
		const struct mt_keyed_rule *r = rule_of(t, all[i].serial);

		if (r && now < all[i].last + SHOWN)
			show(r, &all[i], &hot[shown++]);
	}
	free(all);
	return shown;
}
