/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ejections and returns of endpoints. lib/upstream (outlier.c) counts failures and decides. This
 * file passes lib/upstream the results of connections (mt_ep_blame()) and error replies
 * (mt_ep_answered()); silence.c passes time-outs, calls that clients gave up, and unanswered
 * heartbeats. Each ejection and return is reported to the control thread through a ring. An event
 * that finds the ring full is dropped and counted.
 */
#include "endpoint/mt_endpoint_priv.h"
#include "mt_tls.h"

/* From the first failed health check to the next one. */
#define AGAIN (1 * MT_SEC)

static void report(struct mt_proxy *p, const struct mt_ep_where *at, struct mt_ep_event *e)
{
	struct mt_ep_events *a = &p->ep_events;

	if (a->head - __atomic_load_n(&a->tail, __ATOMIC_ACQUIRE) == MT_EP_EVENTS) {
		__atomic_store_n(&a->missed, a->missed + 1, __ATOMIC_RELAXED);
		return;
	}
	e->addr = at->addr;
	e->port = at->port;
	e->cluster = at->cluster;
	e->at = p->now;
	e->wall = p->wall;
	a->e[a->head % MT_EP_EVENTS] = *e;
	__atomic_store_n(&a->head, a->head + 1, __ATOMIC_RELEASE);
}

bool mt_proxy_ep_event(struct mt_proxy *p, struct mt_ep_event *e, uint64_t *missed)
{
	struct mt_ep_events *a = &p->ep_events;

	*missed = __atomic_load_n(&a->missed, __ATOMIC_RELAXED);
	if (__atomic_load_n(&a->head, __ATOMIC_ACQUIRE) == a->tail)
		return false;
	*e = a->e[a->tail % MT_EP_EVENTS];
	__atomic_store_n(&a->tail, a->tail + 1, __ATOMIC_RELEASE);
	return true;
}

void mt_ep_blame(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_outlier_rule *rule,
	const struct mt_ep_where *at, enum mt_close_reason reason, const char *handshake)
{
	/* A failed handshake with a caller's own identity does not count against the endpoint. */
	if (mt_close_is_ours(reason) || (at->of_caller && reason == MT_CLOSE_HANDSHAKE) ||
		!mt_ep_talks(ep, at->way))
		return;
	if (mt_ep_failed_by(ep, rule, p->now))
		mt_ejection_begin(
			p, ep, rule, at, handshake ? handshake : mt_close_reason_str(reason), NULL);
}

/*
 * Starts the health checks of an ejected endpoint; the first is due after the ejection time.
 * pool/health_check.c makes them when the timer fires.
 */
static void check_later(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_ep_where *at)
{
	struct mt_health_check *pr = mt_slab_alloc(&p->health_checks, NULL);

	if (!pr)
		return; /* the endpoint returns by a trial call */
	mt_timer_init(&pr->timer);
	pr->ep = ep;
	pr->ep_id = ep->id;
	pr->ep_index = ep->index;
	pr->at = *at;
	if (at->tls)
		mt_tls_context_hold(at->tls);
	pr->again = AGAIN;
	mt_ep_ask(ep);
	mt_wheel_arm(&p->wheel, &pr->timer, __atomic_load_n(&ep->ejected_until, __ATOMIC_RELAXED));
}

static void ejection(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_outlier_rule *rule,
	const struct mt_ep_where *at, struct mt_ep_event *e)
{
	mt_count(p->lb.counters, MT_UPSTREAM_ejected);
	e->what = MT_EP_EVENT_EJECTED;
	e->times = __atomic_load_n(&ep->ejections, __ATOMIC_RELAXED);
	e->failures = rule ? rule->failures : 0;
	e->errors = rule ? rule->errors : 0;
	e->until = __atomic_load_n(&ep->ejected_until, __ATOMIC_RELAXED);
	report(p, at, e);
	if (at->codec->write.heartbeat)
		check_later(p, ep, at);
}

void mt_ejection_begin(struct mt_proxy *p, struct mt_ep_state *ep,
	const struct mt_outlier_rule *rule, const struct mt_ep_where *at, const char *why,
	const char *by)
{
	ejection(p, ep, rule, at, &(struct mt_ep_event){.why = why, .rule = by});
}

void mt_ejection_begin_silent(struct mt_proxy *p, struct mt_ep_state *ep,
	const struct mt_outlier_rule *rule, const struct mt_ep_where *at, const char *why,
	const char *by)
{
	ejection(p, ep, rule, at, &(struct mt_ep_event){.why = why, .rule = by, .silent = true});
}

static void report_back(struct mt_proxy *p, const struct mt_ep_where *at)
{
	struct mt_ep_event e = {.what = MT_EP_EVENT_BACK, .until = p->now};

	mt_count(p->lb.counters, MT_UPSTREAM_returned);
	report(p, at, &e);
}

void mt_ep_is_back(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_ep_where *at)
{
	mt_ep_returned(ep, p->now);
	report_back(p, at);
}

void mt_ep_answered_trial(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_ep_where *at)
{
	if (mt_ep_trial_over(ep, p->now))
		report_back(p, at);
}

void mt_proxy_ep_checked(struct mt_proxy *p, const struct mt_ep_checked *c)
{
	const struct mt_ep_where at = {.addr = c->addr, .port = c->port, .cluster = c->cluster};
	struct mt_ep_event e = {.what = MT_EP_EVENT_EJECTED,
		.why = c->why,
		.checked = true,
		.failures = c->failures,
		.until = p->now};

	if (!c->why) {
		mt_ep_is_back(p, c->state, &at);
		return;
	}
	mt_ep_unhealthy(c->state, p->now);
	mt_count(p->lb.counters, MT_UPSTREAM_ejected);
	e.times = __atomic_load_n(&c->state->ejections, __ATOMIC_RELAXED);
	report(p, &at, &e);
}

bool mt_proxy_return(struct mt_proxy *p, struct mt_ep_state *ep, uint64_t ep_id, uint32_t cluster,
	const struct mt_addr *addr, uint16_t port)
{
	const struct mt_ep_where at = {.addr = *addr, .port = port, .cluster = cluster};

	if (__atomic_load_n(&ep->id, __ATOMIC_RELAXED) != ep_id || !mt_ep_is_out(ep))
		return false;
	mt_ep_is_back(p, ep, &at);
	return true;
}

void mt_ep_answered(struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_attempt *a,
	enum mt_msg_status status)
{
	const struct mt_outlier_rule *rule =
		ex->attempt.cluster ? &ex->attempt.cluster->outlier : NULL;
	const struct mt_lanes *ln = mt_slab_get(&p->lanes, a->lanes);
	struct mt_ep_state *ep = mt_attempt_ep(a);
	struct mt_ep_where at;

	if (!ep || !ln)
		return;
	at = mt_lanes_where(ln);
	if (mt_status_blames_server(status) && rule && rule->errors) {
		if (mt_ep_talks(ep, at.way) && mt_ep_erred_by(ep, rule, p->now))
			mt_ejection_begin(p, ep, rule, &at, "replies are errors", NULL);
		return;
	}
	/*
	 * A refusal by another Meltemi is neither a success nor a failure. But if it answers the
	 * trial call of an ejected endpoint, the endpoint returns.
	 */
	if (status == MT_STATUS_REFUSED && !(a->trial && mt_ep_on_trial(ep)))
		return;
	if (mt_ep_on_trial(ep))
		mt_ep_answered_trial(p, ep, &at);
	else
		mt_ep_succeeded(ep);
}

void mt_ep_said(struct mt_proxy *p, const struct mt_lanes *ln, bool leaves)
{
	struct mt_ep_where at = mt_lanes_where(ln);
	struct mt_ep_event e = {.what = leaves ? MT_EP_EVENT_LEAVING : MT_EP_EVENT_STAYS};
	bool was;

	/* The state may belong to another endpoint, long after this one left the configuration. */
	if (__atomic_load_n(&ln->state->id, __ATOMIC_RELAXED) != ln->ep_id)
		return;
	was = mt_ep_is_leaving(ln->state, p->now);
	e.until = p->now + (leaves ? MT_EP_LEAVING_MS * MT_MSEC : 0);
	if (leaves)
		mt_ep_leaving(ln->state, p->now);
	else
		mt_ep_stays(ln->state, p->now);
	/*
	 * A server announces its shutdown on each connection; only the first announcement is
	 * reported.
	 */
	if (was != leaves)
		report(p, &at, &e);
}
