/* SPDX-License-Identifier: Apache-2.0 */
#include "limit.h"

#include "mt_mutant.h"

static enum mt_filter_verdict on_request(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	const struct mt_limit *l = f->conf;
	/* One bucket decides, never two: a condition that matches leaves the service's bucket alone. */
	struct mt_bucket *b = l->own;
	uint32_t i;

	if (l->conds && mt_route_lookup(l->conds, v, &i))
		b = l->buckets[i];
	if (mt_mutant(MT_MUTANT_condition_charges_both) && l->own && b != l->own)
		mt_bucket_take(l->own, ctx->fw, ctx->now);
	if (!b || mt_bucket_take(b, ctx->fw, ctx->now))
		return MT_FILTER_NEXT;
	mt_count(ctx->fw->counters, MT_FILTER_rate_limited);
	ctx->reply = MT_REPLY_OVER_LIMIT;
	ctx->reply_text = "over limit";
	return MT_FILTER_REPLY;
}

const struct mt_filter mt_filter_local_ratelimit = {
	.name = "local_ratelimit",
	.aeraki_name = "aeraki.meta_protocol.filters.local_ratelimit",
	.on_request = on_request,
	.free_conf = mt_limit_free,
};
