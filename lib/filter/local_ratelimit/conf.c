/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles a configured limit to buckets and a table of conditions. Each condition is a route whose
 * place selects the bucket: the first match wins, and many conditions cost no more than one.
 */
#include "limit.h"

#include "mt_strmap.h"

#include <stdio.h>
#include <string.h>

static bool numbers_ok(
	const struct mt_bucket_numbers *n, const char *where, char *errbuf, size_t errlen)
{
	if (n->max_tokens == 0 || n->tokens_per_fill == 0) {
		snprintf(
			errbuf, errlen, "%s: maxTokens and tokensPerFill must be 1 or more", where);
		return false;
	}
	if (n->fill_ns < MT_BUCKET_FILL_MIN) {
		snprintf(errbuf, errlen, "%s: fillInterval must be 50ms or more", where);
		return false;
	}
	return true;
}

/* Checks everything before anything is allocated, so that an error has nothing to undo. */
static bool def_ok(const struct mt_limit_def *def, char *errbuf, size_t errlen)
{
	char where[64];

	if (!def->has_bucket && def->n_conds == 0) {
		snprintf(errbuf, errlen, "a local rate limit needs a tokenBucket or conditions");
		return false;
	}
	if (def->has_bucket && !numbers_ok(&def->numbers, "tokenBucket", errbuf, errlen))
		return false;
	for (uint32_t i = 0; i < def->n_conds; i++) {
		snprintf(where, sizeof(where), "conditions[%u].tokenBucket", i);
		if (!numbers_ok(&def->conds[i].numbers, where, errbuf, errlen))
			return false;
	}
	return true;
}

/* Conditions that are being compiled. */
struct conds {
	struct mt_route_builder *b;
	struct mt_strmap n; /* number of conditions by their words, which their buckets hold */
	uint64_t now;
};

static bool add_cond(struct mt_limit *l, struct conds *all, const struct mt_limit_def *def,
	uint32_t i, char *errbuf, size_t errlen)
{
	const struct mt_limit_cond_def *c = &def->conds[i];
	uintptr_t earlier;
	const struct mt_route_action none = {.name = ""};
	char words[1024];

	if (mt_route_builder_add(all->b, c->match, c->n_match, &none, errbuf, errlen) < 0)
		return false;
	mt_matcher_str(c->match, c->n_match, words, sizeof(words));
	earlier = (uintptr_t)mt_strmap_get(&all->n, words);
	/*
	 * A condition without a match is not the service's own bucket, although both have the words
	 * "*".
	 */
	l->buckets[i] = mt_limit_bucket_get(l->registry, def->service, words,
		(uint32_t)earlier + (c->n_match == 0), &c->numbers, all->now);
	if (!l->buckets[i] ||
		mt_strmap_put(&all->n, l->buckets[i]->match, (void *)(earlier + 1), NULL)) {
		snprintf(errbuf, errlen, "no memory");
		l->n += l->buckets[i] != NULL;
		return false;
	}
	l->lines[i] = c->line;
	/*
	 * Counted one at a time, so that mt_limit_free() releases only the buckets acquired so far.
	 */
	l->n++;
	return true;
}

static bool add_all(struct mt_limit *l, struct conds *all, const struct mt_limit_def *def,
	char *errbuf, size_t errlen)
{
	for (uint32_t i = 0; i < def->n_conds; i++)
		if (!add_cond(l, all, def, i, errbuf, errlen))
			return false;
	return true;
}

static bool add_conds(struct mt_limit *l, const struct mt_codec *codec,
	const struct mt_limit_def *def, uint64_t now, char *errbuf, size_t errlen)
{
	struct conds all = {.b = mt_route_builder_new(codec), .now = now};
	bool added;

	l->buckets = calloc(def->n_conds, sizeof(struct mt_bucket *));
	l->lines = calloc(def->n_conds, sizeof(*l->lines));
	if (!all.b || !l->buckets || !l->lines) {
		snprintf(errbuf, errlen, "no memory");
		mt_route_builder_free(all.b);
		return false;
	}
	added = add_all(l, &all, def, errbuf, errlen);
	mt_strmap_fini(&all.n);
	if (!added) {
		mt_route_builder_free(all.b);
		return false;
	}
	l->conds = mt_route_builder_done(all.b);
	if (!l->conds)
		snprintf(errbuf, errlen, "no memory");
	return l->conds != NULL;
}

void *mt_limit_compile(struct mt_limit_registry *r, const struct mt_codec *codec,
	const struct mt_limit_def *def, uint64_t now, char *errbuf, size_t errlen)
{
	struct mt_limit *l;

	if (!def_ok(def, errbuf, errlen))
		return NULL;
	l = calloc(1, sizeof(*l));
	if (!l) {
		snprintf(errbuf, errlen, "no memory");
		return NULL;
	}
	l->registry = r;
	if (def->n_conds && !add_conds(l, codec, def, now, errbuf, errlen)) {
		mt_limit_free(l);
		return NULL;
	}
	if (def->has_bucket) {
		l->own = mt_limit_bucket_get(
			r, def->service, def->label ? def->label : "*", 0, &def->numbers, now);
		if (!l->own) {
			snprintf(errbuf, errlen, "no memory");
			mt_limit_free(l);
			return NULL;
		}
	}
	return l;
}

void mt_limit_free(void *conf)
{
	struct mt_limit *l = conf;

	if (!l)
		return;
	for (uint32_t i = 0; i < l->n; i++)
		mt_limit_bucket_put(l->registry, l->buckets[i]);
	if (l->own)
		mt_limit_bucket_put(l->registry, l->own);
	mt_route_table_free(l->conds);
	free(l->buckets);
	free(l->lines);
	free(l);
}
