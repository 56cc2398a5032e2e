/* SPDX-License-Identifier: Apache-2.0 */
#include "limit_oracle.h"

#include <string.h>

/* Workers give claims back a millisecond after they made them, in the first turn after that. */
#define CLAIM_KEEP (MT_MSEC + 100 * MT_USEC)

struct witness {
	struct limit_oracle *o;
	struct mt_filter_inst real;
	int of_a, of_rest;
	struct mt_key key;
};

/* The most that a worker holds beside the token that it spends. */
static uint32_t claim_max(const struct limit_oracle *o, const struct limit_bucket *b)
{
	uint32_t n = MT_MIN(32u, b->n.max_tokens / (8 * o->workers));

	return n ? n - 1 : 0;
}

/* Tokens that workers but `self` may hold at t. */
static uint32_t claimable(
	const struct limit_oracle *o, const struct limit_bucket *b, uint32_t self, uint64_t t)
{
	uint32_t n = 0;

	/* What was claimed of a bucket that has changed since is no worker's to spend, its own either, until it is given back. */
	if (t <= b->changed + CLAIM_KEEP)
		n += o->workers * b->claim_before;
	for (uint32_t w = 0; w < o->workers; w++)
		if (w != self && b->asked[w] && t <= b->asked[w] + CLAIM_KEEP)
			n += claim_max(o, b);
	return n;
}

static uint32_t refill(const struct limit_bucket *b, uint32_t tokens, uint64_t fills)
{
	return (uint32_t)MT_MIN(tokens + fills * b->n.tokens_per_fill, (uint64_t)b->n.max_tokens);
}

static void fill(struct limit_oracle *o, struct limit_bucket *b, uint64_t now)
{
	uint64_t epoch = (now - b->origin) / b->n.fill_ns, fills = epoch - b->epoch;
	uint32_t lost;

	if (!fills)
		return;
	lost = claimable(o, b, UINT32_MAX, b->origin + (b->epoch + 1) * b->n.fill_ns);
	b->most = refill(b, b->most, fills);
	b->least = refill(b, b->least - MT_MIN(b->least, lost), fills);
	b->epoch = epoch;
}

static void start(struct limit_bucket *b, const struct mt_bucket_numbers *n, uint64_t now)
{
	b->live = true;
	b->n = *n;
	b->origin = now;
	b->epoch = 0;
	b->most = b->least = n->max_tokens;
}

/* Numbers that changed: min(tokens, new max); another pace counts from now on. */
static void change(struct limit_oracle *o, struct limit_bucket *b,
	const struct mt_bucket_numbers *n, uint64_t now)
{
	fill(o, b, now);
	if (n->fill_ns != b->n.fill_ns) {
		b->origin = now;
		b->epoch = 0;
	}
	b->changed = now;
	b->claim_before = claim_max(o, b);
	b->n = *n;
	b->most = MT_MIN(b->most, n->max_tokens);
	b->least = MT_MIN(b->least, n->max_tokens);
}

void limit_oracle_set(struct limit_oracle *o, const struct limit_numbers n[LIMIT_BUCKETS])
{
	for (uint32_t i = 0; i < LIMIT_BUCKETS; i++) {
		struct limit_bucket *b = &o->bucket[i];

		if (!n[i].on)
			continue;
		if (!b->live)
			start(b, &n[i].n, o->sim->now);
		else if (memcmp(&b->n, &n[i].n, sizeof(b->n)) != 0)
			change(o, b, &n[i].n, o->sim->now);
	}
}

static void admitted(struct limit_oracle *o, struct limit_bucket *b, uint32_t worker, uint64_t now)
{
	if (!b->most)
		sim_fail(o->sim, "limit: bucket %u admits more than its %u tokens",
			(uint32_t)(b - o->bucket), b->n.max_tokens);
	b->most -= b->most > 0;
	b->least -= b->least > 0;
	b->asked[worker] = now;
	b->admitted++;
	o->sim->st.limit_admitted++;
}

static void refused(struct limit_oracle *o, struct limit_bucket *b, uint32_t worker, uint64_t now)
{
	if (b->least > claimable(o, b, worker, now))
		sim_fail(o->sim, "limit: bucket %u refuses while %u of %u tokens are left",
			(uint32_t)(b - o->bucket), b->least, b->n.max_tokens);
	b->refused++;
	o->sim->st.limit_refused++;
}

static enum mt_filter_verdict on_request(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	struct witness *w = f->conf;
	enum mt_filter_verdict verdict = w->real.type->on_request(&w->real, v, ctx);
	struct mt_slice route;
	struct limit_bucket *b;
	int i = w->of_rest;

	if (mt_view_get(v, &w->key, &route) && route.len == 1 && route.p[0] == 'a')
		i = w->of_a;
	if (i < 0) {
		if (verdict != MT_FILTER_NEXT)
			sim_fail(w->o->sim, "limit: a call is refused that no bucket is for");
		return verdict;
	}
	b = &w->o->bucket[i];
	fill(w->o, b, ctx->now);
	sim_trace(w->o->sim, "limit: worker %u bucket %d %s, %u to %u left", ctx->worker, i,
		verdict == MT_FILTER_NEXT ? "admits" : "refuses", b->least, b->most);
	if (verdict == MT_FILTER_NEXT)
		admitted(w->o, b, ctx->worker, ctx->now);
	else
		refused(w->o, b, ctx->worker, ctx->now);
	return verdict;
}

static void free_conf(void *conf)
{
	struct witness *w = conf;

	w->real.type->free_conf(w->real.conf);
	free(w);
}

const struct mt_filter limit_witness = {
	.name = "limit_witness",
	.on_request = on_request,
	.free_conf = free_conf,
};

void *limit_witness_new(struct limit_oracle *o, struct mt_filter_inst real, int of_a, int of_rest,
	struct mt_key key)
{
	struct witness *w = malloc(sizeof(*w));

	MT_ASSERT(w);
	*w = (struct witness){o, real, of_a, of_rest, key};
	return w;
}

void limit_oracle_check(struct limit_oracle *o, const struct mt_limit_registry *r)
{
	struct mt_limit_info info;
	uint32_t idx = 0;

	while (mt_limit_next(r, &idx, o->sim->now, &info)) {
		const struct limit_bucket *b = &o->bucket[strcmp(info.match, "*") == 0];

		if (info.claimed)
			sim_fail(o->sim, "limit: %u tokens of \"%s\" are still claimed",
				info.claimed, info.match);
		if (info.admitted != b->admitted || info.refused != b->refused)
			sim_fail(o->sim, "limit: \"%s\" counts %llu admitted, %llu refused",
				info.match, (unsigned long long)info.admitted,
				(unsigned long long)info.refused);
	}
}
