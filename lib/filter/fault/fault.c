/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fault filter. It selects requests by the exchange's random number, hashed so that the
 * selection is independent of the choice by route weights, which uses the same number. If too many
 * messages are delayed already (mt_filter_delay()), requests continue at once and are counted.
 */
#include "../mt_filter_priv.h"

#include "mt_balance.h"
#include "mt_filter_fault.h"

#include <stdio.h>
#include <string.h>

#define ABORT_SEED 0x66617561u
#define DELAY_SEED 0x66617564u

static bool hits(uint64_t rnd, uint64_t seed, uint32_t ppm)
{
	return ppm &&
	       mt_balance_random(mt_balance_hash(&rnd, sizeof(rnd), seed), MT_FAULT_ALL) < ppm;
}

/* ---- the filter ------------------------------------------------------------------------------ */

static enum mt_filter_verdict on_request(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	const struct mt_fault_conf *c = f->conf;

	if (hits(v->rnd, ABORT_SEED, c->abort_ppm)) {
		mt_count(ctx->fw->counters, MT_FILTER_fault_aborted);
		ctx->reply = MT_REPLY_OVERLOAD;
		ctx->ending = MT_ENDING_fault;
		ctx->reply_text = "fault injected by the operator";
		return MT_FILTER_REPLY;
	}
	if (!hits(v->rnd, DELAY_SEED, c->delay_ppm))
		return MT_FILTER_NEXT;
	if (!mt_filter_delay(ctx, c->delay_ms * MT_MSEC)) {
		mt_count(ctx->fw->counters, MT_FILTER_fault_full);
		return MT_FILTER_NEXT;
	}
	mt_count(ctx->fw->counters, MT_FILTER_fault_delayed);
	return MT_FILTER_SUSPEND;
}

static void explain(const struct mt_filter_inst *f, struct mt_view *v, uint64_t now,
	struct mt_filter_told *told)
{
	const struct mt_fault_conf *c = f->conf;

	if (c->abort_ppm == MT_FAULT_ALL) {
		told->verdict = MT_FILTER_REPLY;
		told->reply = MT_REPLY_OVERLOAD;
	} else if (c->delay_ppm == MT_FAULT_ALL) {
		told->verdict = MT_FILTER_SUSPEND;
	}
	snprintf(told->words, sizeof(told->words),
		"set at run time: %g %% are answered by an error, %g %% of the others wait %u ms",
		c->abort_ppm / 10000.0, c->delay_ppm / 10000.0, c->delay_ms);
}

void *mt_fault_compile(const struct mt_fault_conf *c)
{
	struct mt_fault_conf *copy = malloc(sizeof(*copy));

	if (copy)
		*copy = *c;
	return copy;
}

const struct mt_filter mt_filter_fault = {
	.name = "fault",
	.on_request = on_request,
	.explain = explain,
	.free_conf = free,
};
