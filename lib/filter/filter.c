/* SPDX-License-Identifier: Apache-2.0 */
/* The list of filter types, and the work that workers do between exchanges. */
#include "mt_filter_inbox.h"
#include "mt_filter_priv.h"

#include "mt_filter_fault.h"
#include "mt_filter_global.h"
#include "mt_filter_keyed.h"
#include "mt_mutant.h"

#include <string.h>
#include <strings.h>

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "filter_outcomes.def"
#undef MT_OUTCOME
};

const struct mt_outcome_set mt_filter_outcomes = {"filter", rows, MT_ARRAY_LEN(rows)};

/* A new filter needs a line here. */
const struct mt_filter *const mt_filter_types[] = {
	&mt_filter_local_ratelimit,
	&mt_filter_mutation,
	&mt_filter_fault,
	&mt_filter_global_ratelimit,
	&mt_filter_keyed_ratelimit,
	NULL,
};

const struct mt_filter *mt_filter_find(const char *name)
{
	for (const struct mt_filter *const *f = mt_filter_types; *f; f++)
		if (strcasecmp((*f)->name, name) == 0 ||
			((*f)->aeraki_name && strcmp((*f)->aeraki_name, name) == 0))
			return *f;
	return NULL;
}

struct mt_filter_ticket mt_filter_ticket_of(const struct mt_filter_ctx *ctx)
{
	const struct mt_filter_inbox *in = ctx->fw->inbox;
	uint32_t first = ctx->stream ? MT_FILTER_WAIT_OF_STREAM : 0;

	if (!ctx->stream && ctx->direction == MT_FILTER_OF_REPLY)
		first = MT_FILTER_WAIT_OF_REPLY;
	return (struct mt_filter_ticket){
		.inbox = in ? in->index : 0,
		.serial = in ? in->serial : 0,
		.exchange = ctx->exchange,
		.generation = ctx->generation,
		.wait = first + ctx->at,
	};
}

void mt_filter_worker_init(struct mt_filter_worker *fw, uint16_t worker)
{
	memset(fw, 0, sizeof(*fw));
	mt_list_init(&fw->claims);
	fw->worker = worker;
}

static struct mt_bucket_share *oldest_claim(const struct mt_filter_worker *fw)
{
	if (mt_list_empty(&fw->claims) || mt_mutant(MT_MUTANT_claim_never_returned))
		return NULL;
	return mt_list_entry(fw->claims.next, struct mt_bucket_share, node);
}

void mt_filter_tick(struct mt_filter_worker *fw, uint64_t now)
{
	struct mt_bucket_share *s;

	/* All claims last equally long, so the list is ordered by return_at. */
	while ((s = oldest_claim(fw)) != NULL && s->return_at <= now)
		mt_bucket_return(s, fw);
}

uint64_t mt_filter_next(const struct mt_filter_worker *fw)
{
	const struct mt_bucket_share *s = oldest_claim(fw);
	uint64_t claims = s ? s->return_at : MT_NEVER;

	return fw->n_waits ? MT_MIN(claims, fw->waits[0].at) : claims;
}

/* Ticks as if every claim were a millisecond old. */
void mt_filter_flush(struct mt_filter_worker *fw)
{
	mt_filter_tick(fw, MT_NEVER);
}
