/* SPDX-License-Identifier: Apache-2.0 */
#include "limit.h"

#include "mt_mutant.h"

#include <stdio.h>

#define NO_CONDITION UINT32_MAX

/*
 * Exactly one bucket decides: a condition that matches does not use the service's bucket. *cond:
 * its index, or NO_CONDITION. NULL: nothing limits this message.
 */
static inline struct mt_bucket *bucket_of(
	const struct mt_limit *l, struct mt_view *v, uint32_t *cond)
{
	uint32_t i;

	*cond = NO_CONDITION;
	if (!l->conds || !mt_route_lookup(l->conds, v, &i))
		return l->own;
	*cond = i;
	return l->buckets[i];
}

static bool reports(const struct mt_bucket *b)
{
	return __atomic_load_n(&b->report_only, __ATOMIC_RELAXED);
}

/* Counts a request that would be refused, and lets it pass: the bucket only reports. */
static mt_noinline enum mt_filter_verdict report(struct mt_bucket *b, struct mt_filter_ctx *ctx)
{
	/* Count in the bucket where the refusal was counted: its successor if it has moved. */
	while (__atomic_load_n(&b->word, __ATOMIC_SEQ_CST) == MT_BUCKET_MOVED)
		b = b->next;
	mt_count(&b->shares[ctx->fw->worker].reported, 0);
	mt_count(ctx->fw->counters, MT_FILTER_would_be_limited);
	return MT_FILTER_NEXT;
}

static enum mt_filter_verdict refuse(struct mt_filter_ctx *ctx)
{
	mt_count(ctx->fw->counters, MT_FILTER_rate_limited);
	ctx->reply = MT_REPLY_OVER_LIMIT;
	ctx->reply_text = "over limit";
	return MT_FILTER_REPLY;
}

/* `b` NULL: nothing limits it. */
static inline enum mt_filter_verdict take(struct mt_bucket *b, struct mt_filter_ctx *ctx)
{
	if (!b || mt_bucket_take(b, ctx->fw, ctx->now))
		return MT_FILTER_NEXT;
	if (reports(b))
		return report(b, ctx);
	return refuse(ctx);
}

/* True if no bucket of the limit may refuse anything: all only report. */
static bool all_report(const struct mt_limit *l)
{
	if (l->own && !reports(l->own))
		return false;
	for (uint32_t i = 0; i < l->n; i++)
		if (!reports(l->buckets[i]))
			return false;
	return true;
}

/*
 * Conditions compare metadata, which a byte stream does not show. Where there are any, its bucket is
 * not known, and a token of the wrong one would let it get past its own. So the stream is refused,
 * unless none of the buckets may refuse; it takes no token then and counts in none of them.
 */
static enum mt_filter_verdict on_stream(const struct mt_filter_inst *f, struct mt_filter_ctx *ctx)
{
	const struct mt_limit *l = f->conf;

	if (!l->conds)
		return take(l->own, ctx);
	if (!all_report(l))
		return refuse(ctx);
	mt_count(ctx->fw->counters, MT_FILTER_would_be_limited);
	return MT_FILTER_NEXT;
}

static enum mt_filter_verdict on_request(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	const struct mt_limit *l = f->conf;
	uint32_t cond;
	struct mt_bucket *b = bucket_of(l, v, &cond);

	if (mt_mutant(MT_MUTANT_condition_charges_both) && l->own && b != l->own)
		mt_bucket_take(l->own, ctx->fw, ctx->now);
	return take(b, ctx);
}

/*
 * Reports whether the bucket has tokens now, including those claimed by workers, because either can
 * admit the request.
 */
static void explain(const struct mt_filter_inst *f, struct mt_view *v, uint64_t now,
	struct mt_filter_told *told)
{
	const struct mt_limit *l = f->conf;
	struct mt_limit_info info;
	uint32_t cond;
	struct mt_bucket *b = bucket_of(l, v, &cond);

	if (!b) {
		snprintf(told->words, sizeof(told->words),
			"no condition matches and the service has no bucket: not limited");
		return;
	}
	mt_limit_describe(b, now, &info);
	if (cond != NO_CONDITION)
		told->line = l->lines[cond];
	if (info.tokens + info.claimed == 0 && !info.report_only) {
		told->verdict = MT_FILTER_REPLY;
		told->reply = MT_REPLY_OVER_LIMIT;
	}
	snprintf(told->words, sizeof(told->words),
		"charges the bucket \"%s\" of %s: %u of %u tokens are there, %u come every %llu "
		"ms%s",
		info.match, info.service, info.tokens + info.claimed, info.numbers.max_tokens,
		info.numbers.tokens_per_fill, (unsigned long long)(info.numbers.fill_ns / MT_MSEC),
		info.report_only ? "; it only reports" : "");
}

const struct mt_filter mt_filter_local_ratelimit = {
	.name = "local_ratelimit",
	.aeraki_name = "aeraki.meta_protocol.filters.local_ratelimit",
	.on_request = on_request,
	.on_stream = on_stream,
	.explain = explain,
	.free_conf = mt_limit_free,
};
