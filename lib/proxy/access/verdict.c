/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for a verdict: their token's (tokens.c), or that of somebody who is asked (ext_authz.c). */
#include "mt_proxy_priv.h"

_Static_assert(MT_VERDICT_CLIENTS == MT_FAIR_BUCKETS, "they are counted by mt_fair_bucket()");

/* Times that a call may wait: other rules in front of another endpoint, or changed ones, each take one. */
#define WAITS 4

static bool is_full(const struct mt_proxy *p, const struct mt_exchange *ex, uint32_t client)
{
	const struct mt_verdicts *k = &p->verdicts;

	return k->n >= MT_VERDICT_WAIT || k->bytes + ex->req.truesize > p->conf.pending_bytes ||
	       k->by_client[client] >= MT_VERDICT_WAIT / 4;
}

/* In front of an endpoint; at a gate the filter chain keeps the changes. */
static bool suspend(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (mt_overlay_keep(p, ex))
		return false;
	if (ex->changes_kept)
		mt_exchange_changed(ex);
	ex->state = MT_EX_SUSPENDED;
	mt_compact_waiting(p, &ex->req);
	mt_exchange_waits(p, ex);
	return true;
}

bool mt_verdict_wait(struct mt_proxy *p, struct mt_exchange *ex, bool at_gate)
{
	struct mt_exchange_side *side = mt_exchange_side(p, ex);
	struct mt_verdicts *k = &p->verdicts;
	uint8_t client = mt_fair_bucket(p, &p->view.peer);

	side->verdict_waits = ex->waited_verdict ? (uint8_t)(side->verdict_waits + 1) : 0;
	if (side->verdict_waits == WAITS || is_full(p, ex, client) || (!at_gate && !suspend(p, ex)))
		return false;
	ex->awaits_verdict = ex->waited_verdict = true;
	side->verdict_client = client;
	side->verdict_at_gate = at_gate;
	side->verdict_bytes = ex->req.truesize;
	k->n++;
	k->bytes += side->verdict_bytes;
	k->by_client[client]++;
	return true;
}

void mt_verdict_left(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_exchange_side *side = mt_exchange_side(p, ex);

	ex->awaits_verdict = false;
	p->verdicts.n--;
	p->verdicts.bytes -= side->verdict_bytes;
	p->verdicts.by_client[side->verdict_client]--;
}

const char *mt_verdict_expired(struct mt_proxy *p, const struct mt_exchange *ex)
{
	if (!ex->awaits_verdict)
		return "a filter did not answer in time";
	if (mt_exchange_side(p, ex)->asks) {
		mt_count(p->counters, MT_PROXY_extauthz_late);
		return "the authorization decision did not arrive in time";
	}
	mt_count(p->counters, MT_PROXY_token_late);
	return "its token was not verified in time";
}

bool mt_verdict_in_front(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	return ex->awaits_verdict && !mt_exchange_side(p, ex)->verdict_at_gate;
}

/* false: it is answered. */
static bool renew(struct mt_proxy *p, struct mt_exchange *ex, bool at_gate)
{
	if (at_gate)
		return mt_exchange_renew_at_gate(p, ex);
	mt_exchange_renew(p, ex);
	return true;
}

void mt_verdict_go_on(struct mt_proxy *p, struct mt_exchange *ex)
{
	bool at_gate = mt_exchange_side(p, ex)->verdict_at_gate;

	mt_list_del(&ex->queue_node);
	mt_verdict_left(p, ex);
	/* What has come into force while it waited holds for it. */
	if (ex->snap != p->snap && !renew(p, ex, at_gate))
		return;
	ex->state = MT_EX_ROUTING;
	if (at_gate)
		mt_exchange_filters_again(p, ex);
	else
		mt_dispatch_verified(p, ex);
}
