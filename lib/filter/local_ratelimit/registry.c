/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All buckets by identity. Control thread only. A bucket goes from PENDING (compiled) to LIVE
 * (committed) to OLD (replaced by one with other numbers). Workers use only LIVE and OLD ones.
 */
#include "../mt_filter_priv.h"
#include "mt_filter_limit_watch.h"

#include "mt_filter_keyed.h"
#include "mt_secret_hash.h"

#include <string.h>
#include <strings.h>

#define N_CHAINS 32768u /* fits into the index of mt_limit_next() */
/* How long an unused bucket is kept, so that it can be found again. */
#define LINGER (10 * 60 * MT_SEC)

struct mt_limit_registry {
	uint16_t workers;
	uint64_t now;			   /* of the last compile, commit or mt_limit_now() */
	const struct mt_limit_rule *rules; /* overrides by the operator */
	uint32_t n_rules;
	struct mt_keyed *keyed; /* NULL: no limit by key was compiled yet */
	struct mt_bucket *chains[N_CHAINS];
};

struct mt_limit_registry *mt_limit_registry_new(uint16_t workers)
{
	struct mt_limit_registry *r = calloc(1, sizeof(*r));

	if (r)
		r->workers = workers;
	return r;
}

static void destroy(struct mt_bucket *b)
{
	free(b->service);
	free(b->match);
	free(b);
}

void mt_limit_registry_free(struct mt_limit_registry *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < N_CHAINS; i++) {
		while (r->chains[i]) {
			struct mt_bucket *next = r->chains[i]->chain;

			destroy(r->chains[i]);
			r->chains[i] = next;
		}
	}
	mt_keyed_free(r->keyed);
	free(r);
}

struct mt_keyed *mt_limit_keyed(struct mt_limit_registry *r, uint32_t keys)
{
	if (!r->keyed && keys)
		r->keyed = mt_keyed_new(keys, r->workers);
	return r->keyed;
}

void mt_limit_tick(struct mt_limit_registry *r, uint64_t now)
{
	if (r->keyed)
		mt_keyed_tick(r->keyed, now);
}

uint64_t mt_limit_time(const struct mt_limit_registry *r)
{
	return r->now;
}

/* Authors choose the words, so the hash has a key: no document can fill one chain. */
static struct mt_bucket **chain_of(
	struct mt_limit_registry *r, const char *service, const char *match, uint32_t ordinal)
{
	uint64_t h = mt_secret_hash_text(service, ordinal);

	return &r->chains[mt_secret_hash_text(match, h) % N_CHAINS];
}

static bool is(const struct mt_bucket *b, const char *service, const char *match, uint32_t ordinal)
{
	return b->ordinal == ordinal && strcmp(b->service, service) == 0 &&
	       strcmp(b->match, match) == 0;
}

static bool same_numbers(const struct mt_bucket_numbers *a, const struct mt_bucket_numbers *b)
{
	return a->max_tokens == b->max_tokens && a->tokens_per_fill == b->tokens_per_fill &&
	       a->fill_ns == b->fill_ns;
}

static struct mt_bucket *create(struct mt_limit_registry *r, const char *service, const char *match,
	uint32_t ordinal, const struct mt_bucket_numbers *numbers)
{
	/* The shares follow the bucket, each on its own cache line. */
	size_t size = sizeof(struct mt_bucket) + r->workers * sizeof(struct mt_bucket_share) +
		      MT_CACHE_LINE; /* mt_bucket_watch() */
	struct mt_bucket *b = aligned_alloc(MT_CACHE_LINE, size);

	if (!b)
		return NULL;
	memset(b, 0, size);
	b->service = strdup(service);
	b->match = strdup(match);
	if (!b->service || !b->match) {
		destroy(b);
		return NULL;
	}
	b->ordinal = ordinal;
	b->numbers = *numbers;
	b->origin = r->now;
	b->word = numbers->max_tokens;
	b->workers = r->workers;
	for (uint16_t i = 0; i < r->workers; i++) {
		b->shares[i].bucket = b;
		mt_list_init(&b->shares[i].node);
	}
	return b;
}

static void unlink_bucket(struct mt_limit_registry *r, struct mt_bucket *b)
{
	struct mt_bucket **p = chain_of(r, b->service, b->match, b->ordinal);

	while (*p != b)
		p = &(*p)->chain;
	*p = b->chain;
}

void mt_limit_bucket_put(struct mt_limit_registry *r, struct mt_bucket *b)
{
	MT_ASSERT(b->refs > 0);
	if (--b->refs > 0)
		return;
	b->retired_at = r->now;
	/* No worker has ever used it. */
	if (b->state == MT_BUCKET_PENDING) {
		unlink_bucket(r, b);
		destroy(b);
	}
}

/* Frees buckets unused for LINGER. Their claims were returned long before, within a millisecond. */
static void sweep(struct mt_limit_registry *r)
{
	for (uint32_t i = 0; i < N_CHAINS; i++) {
		struct mt_bucket **p = &r->chains[i];

		while (*p) {
			struct mt_bucket *b = *p;

			if (b->refs > 0 || r->now - b->retired_at < LINGER) {
				p = &b->chain;
				continue;
			}
			*p = b->chain;
			/*
			 * No worker uses it any more, so the reference to its successor is
			 * released.
			 */
			if (b->next)
				mt_limit_bucket_put(r, b->next);
			destroy(b);
		}
	}
}

/* ---- overrides by the operator --------------------------------------------------------------- */

void mt_limit_set_rules(struct mt_limit_registry *r, const struct mt_limit_rule *rules, uint32_t n)
{
	r->rules = rules;
	r->n_rules = n;
}

/* NULL: the bucket is as configured. */
static const struct mt_limit_override *override_of(
	const struct mt_limit_registry *r, const char *service, const char *match)
{
	for (uint32_t i = 0; i < r->n_rules; i++)
		if (strcasecmp(r->rules[i].service, service) == 0 &&
			strcmp(r->rules[i].match, match) == 0)
			return &r->rules[i].set;
	return NULL;
}

/* Applies an override; true if it changes the numbers. */
static bool turn(const struct mt_limit_override *o, struct mt_bucket_numbers *n)
{
	struct mt_bucket_numbers before = *n;

	if (!o)
		return false;
	n->max_tokens = o->max_tokens ? o->max_tokens : n->max_tokens;
	n->tokens_per_fill = o->tokens_per_fill ? o->tokens_per_fill : n->tokens_per_fill;
	n->fill_ns = o->fill_ns ? o->fill_ns : n->fill_ns;
	return !same_numbers(&before, n);
}

static void set_report_only(const struct mt_limit_registry *r, struct mt_bucket *b)
{
	const struct mt_limit_override *o = override_of(r, b->service, b->match);

	__atomic_store_n(&b->report_only, o && o->report_only, __ATOMIC_RELAXED);
}

/* ---- find or create -------------------------------------------------------------------------- */

struct mt_bucket *mt_limit_bucket_get(struct mt_limit_registry *r, const char *service,
	const char *match, uint32_t ordinal, const struct mt_bucket_numbers *numbers, uint64_t now)
{
	struct mt_bucket **chain = chain_of(r, service, match, ordinal), *b;
	struct mt_bucket_numbers effective = *numbers;
	bool turned = turn(override_of(r, service, match), &effective);

	r->now = MT_MAX(r->now, now);
	for (b = *chain; b; b = b->chain) {
		if (b->state != MT_BUCKET_OLD && is(b, service, match, ordinal) &&
			same_numbers(&b->numbers, &effective)) {
			b->refs++;
			b->turned = turned;
			return b;
		}
	}
	b = create(r, service, match, ordinal, &effective);
	if (!b)
		return NULL;
	b->refs = 1;
	b->turned = turned;
	b->chain = *chain;
	*chain = b;
	return b;
}

/*
 * Requests that passed in report-only mode are also counted as refused. Their number is read first,
 * so that it never exceeds that of refused ones.
 */
static void sum_counts(
	const struct mt_bucket *b, uint64_t *admitted, uint64_t *refused, uint64_t *reported)
{
	*admitted = b->base_admitted;
	*refused = b->base_refused;
	*reported = b->base_reported;
	for (uint16_t i = 0; i < b->workers; i++) {
		uint64_t n = __atomic_load_n(&b->shares[i].reported, __ATOMIC_ACQUIRE);

		*admitted += mt_count_read(&b->shares[i].admitted);
		*refused += mt_count_read(&b->shares[i].refused) - n;
		*reported += n;
	}
}

/* The live bucket of the same identity in this chain; NULL: there is none. */
static struct mt_bucket *live_twin(struct mt_bucket *chain, const struct mt_bucket *b)
{
	for (; chain; chain = chain->chain)
		if (chain->state == MT_BUCKET_LIVE && is(chain, b->service, b->match, b->ordinal))
			return chain;
	return NULL;
}

static void replace(struct mt_bucket *old, struct mt_bucket *b, uint64_t now)
{
	mt_bucket_move(old, b, now);
	/*
	 * Workers may go from the old bucket to the new one, which must therefore exist for longer.
	 */
	b->refs++;
	old->state = MT_BUCKET_OLD;
	sum_counts(old, &b->base_admitted, &b->base_refused, &b->base_reported);
	*mt_bucket_watch(b) = *mt_bucket_watch(old);
}

void mt_limit_commit(struct mt_limit_registry *r, uint64_t now)
{
	r->now = MT_MAX(r->now, now);
	for (uint32_t i = 0; i < N_CHAINS; i++) {
		for (struct mt_bucket *b = r->chains[i]; b; b = b->chain) {
			struct mt_bucket *old;

			if (b->state != MT_BUCKET_PENDING)
				continue;
			old = live_twin(r->chains[i], b);
			/*
			 * The fills of a new bucket begin when it is published, not when it is
			 * compiled.
			 */
			if (old)
				replace(old, b, now);
			else
				b->origin = now;
			b->state = MT_BUCKET_LIVE;
		}
		/* Also for old buckets, which workers may still use. */
		for (struct mt_bucket *b = r->chains[i]; b; b = b->chain)
			set_report_only(r, b);
	}
	sweep(r);
}

void mt_limit_now(struct mt_limit_registry *r, uint64_t now)
{
	r->now = MT_MAX(r->now, now);
}

void mt_limit_describe(const struct mt_bucket *b, uint64_t now, struct mt_limit_info *info)
{
	while (b->state == MT_BUCKET_OLD)
		b = b->next;
	*info = (struct mt_limit_info){.service = b->service,
		.match = b->match,
		.numbers = b->numbers,
		.tokens = mt_bucket_tokens(b, now)};
	for (uint16_t w = 0; w < b->workers; w++)
		info->claimed += __atomic_load_n(&b->shares[w].claimed, __ATOMIC_RELAXED);
	sum_counts(b, &info->admitted, &info->refused, &info->would_refuse);
	info->report_only = __atomic_load_n(&b->report_only, __ATOMIC_RELAXED);
	info->turned = b->turned;
}

bool mt_limit_next(
	const struct mt_limit_registry *r, uint32_t *idx, uint64_t now, struct mt_limit_info *info)
{
	/* *idx contains the chain, and the place among the buckets shown from it. */
	uint32_t chain = *idx >> 16, place = *idx & UINT16_MAX;

	for (; chain < N_CHAINS; chain++, place = 0) {
		uint32_t at = 0;

		for (const struct mt_bucket *b = r->chains[chain]; b; b = b->chain) {
			if (b->state != MT_BUCKET_LIVE || b->refs == 0 || at++ != place)
				continue;
			mt_limit_describe(b, now, info);
			/* The place after the last that fits is the first one of the next chain. */
			*idx = (chain << 16) + place + 1;
			return true;
		}
	}
	*idx = N_CHAINS << 16;
	return false;
}

/* ---- start and stop of refusing -------------------------------------------------------------- */

/* Compares with the last look. False: the bucket has neither started nor stopped to refuse. */
static bool look(
	struct mt_bucket_watch *w, uint64_t refused, uint64_t now, struct mt_limit_edge *edge)
{
	if (refused > w->seen) {
		bool starts = !w->on;

		if (starts) {
			w->from = w->seen;
			w->began = now;
		}
		w->on = true;
		w->seen = refused;
		w->last = now;
		*edge = (struct mt_limit_edge){.starts = true, .refused = refused - w->from};
		return starts;
	}
	w->seen = refused;
	if (!w->on || now - w->last < MT_LIMIT_QUIET)
		return false;
	w->on = false;
	*edge = (struct mt_limit_edge){.refused = refused - w->from, .lasted = w->last - w->began};
	return true;
}

uint32_t mt_limit_watch(struct mt_limit_registry *r, uint64_t now, mt_limit_edge_fn *fn, void *arg)
{
	struct mt_limit_info info;
	struct mt_limit_edge edge;
	uint32_t on = 0;

	for (uint32_t i = 0; i < N_CHAINS; i++) {
		for (struct mt_bucket *b = r->chains[i]; b; b = b->chain) {
			struct mt_bucket_watch *w = mt_bucket_watch(b);
			uint64_t admitted, refused, reported;

			if (b->state != MT_BUCKET_LIVE || b->refs == 0)
				continue;
			sum_counts(b, &admitted, &refused, &reported);
			/* A worker counts a refusal a moment before it counts that it let it pass. */
			if (__atomic_load_n(&b->report_only, __ATOMIC_RELAXED))
				refused = w->seen;
			if (look(w, refused, now, &edge)) {
				mt_limit_describe(b, now, &info);
				fn(arg, &info, &edge);
			}
			on += w->on;
		}
	}
	return on;
}
