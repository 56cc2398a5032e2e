/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds an immutable table from routes in order. All slow work happens here, on the control
 * thread: copies, regexes, the choice of indexes. A builder that fails leaves nothing behind.
 */
#include "mt_route_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct mt_route_builder {
	struct mt_route_table *t;
	uint32_t cap;
};

struct mt_route_builder *mt_route_builder_new(const struct mt_codec *codec)
{
	struct mt_route_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->t = calloc(1, sizeof(*b->t));
	if (!b->t) {
		free(b);
		return NULL;
	}
	b->t->codec = codec;
	return b;
}

static int reserve(struct mt_route_builder *b)
{
	uint32_t cap = b->cap ? b->cap * 2 : 8;
	struct mt_route *p;

	if (b->t->n < b->cap)
		return 0;
	p = realloc(b->t->routes, sizeof(*p) * cap);
	if (!p)
		return -ENOMEM;
	b->t->routes = p;
	b->cap = cap;
	return 0;
}

/* `show routes` prints the conditions that were compiled, not the text of the document. */
static int copy_words(struct mt_arena *a, const struct mt_matcher_def *defs, uint32_t n,
	struct mt_route_action *action)
{
	char words[1024];
	bool ok = true;

	mt_matcher_str(defs, n, words, sizeof(words));
	action->match = mt_arena_str(a, words, &ok);
	return ok ? 0 : -ENOMEM;
}

int mt_route_builder_add(struct mt_route_builder *b, const struct mt_matcher_def *defs, uint32_t n,
	const struct mt_route_action *action, char *errbuf, size_t errlen)
{
	struct mt_route_table *t = b->t;
	struct mt_route *r;
	bool other;
	int rc;

	if (reserve(b) < 0) {
		snprintf(errbuf, errlen, "no memory");
		return -ENOMEM;
	}
	r = &t->routes[t->n];
	memset(r, 0, sizeof(*r));
	rc = mt_matcher_init(&r->match, &t->arena, t->codec, defs, n, errbuf, errlen);
	if (rc == 0) {
		rc = mt_action_copy(&t->arena, action, &r->action);
		if (rc == 0)
			rc = copy_words(&t->arena, defs, n, &r->action);
		if (rc < 0)
			snprintf(errbuf, errlen, "no memory");
	}
	/*
	 * The strings of the refused route stay in the arena unused; regexes are not in the arena.
	 */
	if (rc < 0) {
		mt_matcher_fini(&r->match);
		return rc;
	}
	/* All conditions, unless an index later tests one of them. */
	r->rest = r->match.conds;
	r->n_rest = r->match.n;
	t->keys |= mt_matcher_keys(&r->match, &other);
	t->other_keys = t->other_keys || other;
	t->n++;
	return 0;
}

/* Gives the first MT_ROUTE_CACHED_KEYS distinct keys of the table a slot in the lookup's cache. */
static void give_slots(struct mt_route_table *t)
{
	const struct mt_key *seen[MT_ROUTE_CACHED_KEYS];
	uint8_t n = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		for (uint32_t j = 0; j < t->routes[i].match.n; j++) {
			struct mt_cond *c = &t->routes[i].match.conds[j];
			uint8_t s = 0;

			while (s < n && strcasecmp(seen[s]->name, c->key.name) != 0)
				s++;
			if (s == n && n < MT_ROUTE_CACHED_KEYS)
				seen[n++] = &c->key;
			c->slot = s < n ? s : MT_ROUTE_NO_SLOT;
		}
	}
}

struct mt_route_table *mt_route_builder_done(struct mt_route_builder *b)
{
	struct mt_route_table *t = b->t;

	struct mt_route *trimmed = realloc(t->routes, sizeof(*trimmed) * MT_MAX(t->n, 1u));

	/* There may be ten thousand tables with one route each, so memory matters. */
	if (trimmed)
		t->routes = trimmed;
	free(b);
	/* Slots first, because the index is built by slot. */
	give_slots(t);
	if (mt_route_index_build(t) < 0) {
		mt_route_table_free(t);
		return NULL;
	}
	return t;
}

void mt_route_builder_free(struct mt_route_builder *b)
{
	if (!b)
		return;
	mt_route_table_free(b->t);
	free(b);
}

void mt_route_table_free(struct mt_route_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->n; i++)
		mt_matcher_fini(&t->routes[i].match);
	free(t->routes);
	mt_arena_free(&t->arena);
	free(t);
}

const struct mt_codec *mt_route_codec(const struct mt_route_table *t)
{
	return t->codec;
}

uint32_t mt_route_count(const struct mt_route_table *t)
{
	return t->n;
}

const struct mt_route_action *mt_route_at(const struct mt_route_table *t, uint32_t idx)
{
	return idx < t->n ? &t->routes[idx].action : NULL;
}

bool mt_route_leading_only(const struct mt_route_table *t)
{
	return !t->other_keys && (t->keys & ~t->codec->leading_keys) == 0;
}
