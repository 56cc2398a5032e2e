/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints that are put aside, come back or leave: what is done about it is lib/upstream's, and that it happened is told to
 * the control thread by a ring, for who asks later why. A ring that nobody empties is left full, and what finds no place is counted.
 */
#include "mt_proxy_priv.h"

static void tell(struct mt_proxy *p, const struct mt_ep_where *at, struct mt_aside *e)
{
	struct mt_asides *a = &p->asides;

	if (a->head - __atomic_load_n(&a->tail, __ATOMIC_ACQUIRE) == MT_ASIDES) {
		__atomic_store_n(&a->missed, a->missed + 1, __ATOMIC_RELAXED);
		return;
	}
	e->addr = at->addr;
	e->port = at->port;
	e->cluster = at->cluster;
	e->at = p->now;
	e->wall = p->wall;
	a->e[a->head % MT_ASIDES] = *e;
	__atomic_store_n(&a->head, a->head + 1, __ATOMIC_RELEASE);
}

bool mt_proxy_aside(struct mt_proxy *p, struct mt_aside *e, uint64_t *missed)
{
	struct mt_asides *a = &p->asides;

	*missed = __atomic_load_n(&a->missed, __ATOMIC_RELAXED);
	if (__atomic_load_n(&a->head, __ATOMIC_ACQUIRE) == a->tail)
		return false;
	*e = a->e[a->tail % MT_ASIDES];
	__atomic_store_n(&a->tail, a->tail + 1, __ATOMIC_RELEASE);
	return true;
}

void mt_ep_blame(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_outlier_rule *rule,
	const struct mt_ep_where *at, enum mt_close_reason reason)
{
	/* That it does not take a caller for who he is says nothing of what it does for others. */
	if (mt_close_is_ours(reason) || (at->of_caller && reason == MT_CLOSE_HANDSHAKE) ||
		!mt_ep_talks(ep, at->way))
		return;
	if (mt_ep_failed_by(ep, rule, p->now))
		mt_ep_aside(p, ep, rule, at, mt_close_reason_str(reason), NULL);
}

void mt_ep_aside(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_outlier_rule *rule,
	const struct mt_ep_where *at, const char *why, const char *by)
{
	struct mt_aside e = {.what = MT_ASIDE_FAILED, .why = why, .rule = by};

	mt_count(p->lb.counters, MT_UPSTREAM_ejected);
	e.times = __atomic_load_n(&ep->ejections, __ATOMIC_RELAXED);
	e.failures = rule ? rule->failures : 0;
	e.errors = rule ? rule->errors : 0;
	e.until = __atomic_load_n(&ep->ejected_until, __ATOMIC_RELAXED);
	tell(p, at, &e);
	if (at->codec->write.heartbeat)
		mt_probe_begin(p, ep, at);
}

void mt_ep_is_back(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_ep_where *at)
{
	struct mt_aside e = {.what = MT_ASIDE_BACK, .until = p->now};

	mt_ep_returned(ep, p->now);
	mt_count(p->lb.counters, MT_UPSTREAM_returned);
	tell(p, at, &e);
}

void mt_ep_answered(struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_attempt *a,
	enum mt_msg_status status)
{
	const struct mt_outlier_rule *rule = ex->cluster ? &ex->cluster->outlier : NULL;
	const struct mt_lanes *ln = mt_slab_get(&p->lanes, a->lanes);
	struct mt_ep_state *ep = mt_attempt_ep(a);
	struct mt_ep_where at;

	if (!ep || !ln)
		return;
	at = mt_lanes_where(ln);
	if (status == MT_STATUS_PROTO_ERROR && rule && rule->errors) {
		if (mt_ep_talks(ep, at.way) && mt_ep_erred_by(ep, rule, p->now))
			mt_ep_aside(p, ep, rule, &at, "replies are errors", NULL);
		return;
	}
	if (a->trial)
		mt_ep_is_back(p, ep, &at);
	else
		mt_ep_succeeded(ep);
}

void mt_ep_said(struct mt_proxy *p, const struct mt_lanes *ln, bool leaves)
{
	struct mt_ep_where at = mt_lanes_where(ln);
	struct mt_aside e = {.what = leaves ? MT_ASIDE_LEAVING : MT_ASIDE_STAYS};
	bool was;

	/* Long after it left the configuration the endpoint's state may be another's. */
	if (__atomic_load_n(&ln->state->id, __ATOMIC_RELAXED) != ln->ep_id)
		return;
	was = mt_ep_is_leaving(ln->state, p->now);
	e.until = p->now + (leaves ? MT_EP_LEAVING_MS * MT_MSEC : 0);
	if (leaves)
		mt_ep_leaving(ln->state, p->now);
	else
		mt_ep_stays(ln->state, p->now);
	/* It says so on each of its connections. */
	if (was != leaves)
		tell(p, &at, &e);
}
