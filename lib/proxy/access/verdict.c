/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that wait until their token is verified (tokens.c), or for an external decision
 * (ext_authz.c).
 */
#include "access/mt_access_priv.h"

_Static_assert(MT_VERDICT_CLIENTS == MT_FAIR_BUCKETS, "they are counted by mt_fair_bucket()");

/*
 * Maximum number of an attempt's waits; waits at a gateway count for the first attempt. Rules of
 * another endpoint, and changed rules, may need another wait.
 */
#define WAITS 4

const char mt_verdict_too_often[] = "it has waited for four verdicts and needs another one";

bool mt_verdict_may_wait(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	return !ex->waited_verdict || mt_exchange_side(p, ex)->verdict_waits < WAITS;
}

static bool is_full(const struct mt_proxy *p, const struct mt_exchange *ex, uint32_t client)
{
	const struct mt_verdicts *k = &p->verdicts;

	return k->n >= MT_VERDICT_WAIT || k->bytes + ex->req.truesize > p->conf.pending_bytes ||
	       k->by_client[client] >= MT_VERDICT_WAIT / 4;
}

/*
 * Suspends a call that waits at an endpoint: undoes the changes by the endpoint's policies, and
 * keeps the others. At a gateway's port the filter chain suspends the call. False: no memory.
 */
static bool suspend(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_authorize_undo(p);
	if (mt_overlay_keep_view(p, ex))
		return false;
	if (ex->changes_kept)
		mt_exchange_changed(ex);
	ex->step = MT_CALL_ENDPOINT;
	mt_exchange_becomes(ex, MT_EX_SUSPENDED);
	mt_compact_waiting(p, &ex->req);
	mt_exchange_waits(p, ex);
	return true;
}

bool mt_verdict_wait(struct mt_proxy *p, struct mt_exchange *ex, bool at_gate)
{
	struct mt_exchange_side *side = mt_exchange_side(p, ex);
	struct mt_verdicts *k = &p->verdicts;
	uint8_t client = mt_fair_bucket(p, &p->view.peer);

	side->verdict_waits = ex->waited_verdict ? (uint8_t)(side->verdict_waits + 1) : 1;
	if (is_full(p, ex, client) || (!at_gate && !suspend(p, ex)))
		return false;
	ex->awaits_verdict = ex->waited_verdict = ex->side = true;
	side->verdict_at = 0;
	side->verdict_client = client;
	side->verdict_at_gate = at_gate;
	side->verdict_bytes = ex->req.truesize;
	k->n++;
	k->bytes += side->verdict_bytes;
	k->by_client[client]++;
	return true;
}

void mt_verdict_init(struct mt_proxy *p)
{
	mt_list_init(&p->verdicts.moved);
}

void mt_verdict_moved(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_list_init(&ex->queue_node);
	mt_list_add_tail(&p->verdicts.moved, &ex->queue_node);
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
	if (!ex->awaits_verdict) {
		mt_count(p->filters.counters, MT_FILTER_waits_late);
		return "a filter did not answer in time";
	}
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

void mt_verdict_go_on(struct mt_proxy *p, struct mt_exchange *ex)
{
	bool at_gate = mt_exchange_side(p, ex)->verdict_at_gate;

	mt_list_del(&ex->queue_node);
	mt_verdict_left(p, ex);
	/* It was the wait's deadline. The run, or a filter that waits, arms the call's time-out. */
	mt_deadline_cancel(&ex->deadline);
	mt_access_user.decided(p, ex, at_gate);
}

uint32_t mt_verdict_turn(struct mt_proxy *p)
{
	struct mt_list *node;
	uint32_t n = 0;

	for (; (node = mt_list_first(&p->verdicts.moved)); n++) {
		struct mt_exchange *ex = mt_list_entry(node, struct mt_exchange, queue_node);

		/* The call waits for the same verdict again. */
		mt_exchange_side(p, ex)->verdict_waits--;
		mt_verdict_go_on(p, ex);
	}
	return n;
}
