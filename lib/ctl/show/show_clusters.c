/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters with the sums of their endpoints, and endpoints. */
#include "mt_ctl_events_priv.h"
#include "mt_ctl_waiting_priv.h"
#include "tune.h"

#include "mt_authz.h"

#include <stdio.h>
#include <string.h>

/* ---- endpoints ------------------------------------------------------------------------------ */

static uint64_t silence(const struct mt_ctl_waiting *n)
{
	return MT_MAX(n->silent, n->streams_silent);
}

static const char *health(const struct mt_ep_state *e, const struct mt_ctl_waiting *n, uint64_t now,
	char *buf, size_t size)
{
	uint64_t until = __atomic_load_n(&e->ejected_until, __ATOMIC_RELAXED);

	switch (__atomic_load_n(&e->draining, __ATOMIC_RELAXED)) {
	case MT_EP_DRAIN_OPERATOR:
		return "draining";
	case MT_EP_DRAIN_LABEL:
		return "draining by its label";
	case MT_EP_DRAIN_TERMINATING:
		return "draining, terminates";
	case MT_EP_DRAIN_NO_ROUTE:
		return "no route";
	}
	if (mt_ep_is_leaving(e, now))
		return "leaving";
	switch (mt_ctl_ejection(e, now)) {
	case MT_CTL_HEALTH_CHECK:
		return "ejected, health check";
	case MT_CTL_TRIAL:
		return "ejected, trial";
	case MT_CTL_EJECTED:
		snprintf(buf, size, "ejected for %llu s",
			(unsigned long long)((until - now + MT_SEC - 1) / MT_SEC));
		return buf;
	case MT_CTL_NOT_EJECTED:
		break;
	}
	if (!mt_ctl_hangs(n))
		return "ok";
	snprintf(buf, size, "silent for %llu s", (unsigned long long)(silence(n) / MT_SEC));
	return buf;
}

/* Sets the end of an ejection by the wall clock; null if the endpoint is not ejected. */
static void set_until(const struct mt_ctl *c, json_t *row, const struct mt_ep_state *e)
{
	uint64_t until = __atomic_load_n(&e->ejected_until, __ATOMIC_RELAXED);

	if (until > c->now && mt_ctl_ejection(e, c->now) == MT_CTL_EJECTED)
		mt_set_time(row, "ejected_until",
			(int64_t)((mt_ctl_wall(c) + until - c->now) / MT_MSEC));
	mt_render_absent(row, "ejected_until ejected_until_unix_ms");
}

json_t *mt_row_endpoint(
	struct mt_ctl *c, json_t *list, const struct mt_cluster *cl, const struct mt_endpoint *ep)
{
	static const char of_endpoint[] =
		"weight health requests failures connections connections_opened outstanding "
		"waiting oldest_call_ms silent_ms p50_us p90_us p99_us p999_us ejections "
		"ejected_until ejected_until_unix_ms zone";
	struct mt_ctl_waiting waiting;
	struct mt_ep_stats st;
	uint64_t latency[MT_EP_LATENCY_BUCKETS];
	char words[48], name[MT_ADDR_STRLEN] = "none";
	json_t *row;

	if (ep)
		mt_endpoint_name(ep, name);
	else if (cl->demand)
		snprintf(name, sizeof(name), "on demand");
	else if (cl->n_out)
		snprintf(name, sizeof(name), "none (%u are out)", cl->n_out);
	row = mt_json_add(list, MT_M("cluster", cl->name), MT_M("balancer", mt_lb_str(cl->lb)),
		MT_M("endpoint", name));
	if (!ep) {
		mt_render_absent(row, of_endpoint);
		return row;
	}
	waiting = mt_ctl_ep_waiting(c, cl->name, ep->state->index, ep->state->id);
	mt_json_set(row, MT_M("weight", ep->weight),
		MT_M("health", health(ep->state, &waiting, c->now, words, sizeof(words))));
	if (mt_ctl_ep_stats(c, ep->state->index, ep->state->id, &st))
		mt_json_set(row, MT_M("requests", st.requests), MT_M("failures", st.failures),
			MT_M("connections", st.conns_active),
			MT_M("connections_opened", st.conns_opened),
			MT_M("outstanding", st.outstanding));
	mt_render_absent(row, "requests failures connections connections_opened outstanding");
	mt_json_set(row, MT_M("waiting", waiting.calls + waiting.streams),
		MT_M("oldest_call_ms", mt_ctl_oldest(&waiting) / MT_MSEC),
		MT_M("silent_ms", silence(&waiting) / MT_MSEC));
	mt_ctl_ep_latency(c, ep->state, latency);
	mt_row_latency(row, latency, MT_EP_LATENCY_BUCKETS, MT_EP_LATENCY_BITS);
	mt_json_set(row,
		MT_M("ejections", __atomic_load_n(&ep->state->ejected_total, __ATOMIC_RELAXED)));
	set_until(c, row, ep->state);
	mt_json_set(row, MT_M("zone", mt_endpoint_zone(cl, ep)));
	return row;
}

json_t *mt_show_endpoints(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(c);
	json_t *list = json_array();

	for (uint32_t i = 0; snap && i < snap->n_clusters; i++)
		for (uint32_t k = 0; k < snap->clusters[i].n_eps; k++)
			mt_row_endpoint(c, list, &snap->clusters[i], &snap->clusters[i].eps[k]);
	return mt_json_object(MT_M("endpoints", list));
}

/* ---- clusters ------------------------------------------------------------------------------- */

/* Sums over the endpoints of a cluster; oldest: the largest value, ns. */
struct sums {
	uint32_t healthy;
	struct mt_ep_stats st;
	uint64_t waiting, oldest, ejections;
};

static void add_endpoint(const struct mt_ctl *c, const struct mt_cluster *cl,
	const struct mt_ep_state *e, struct sums *sum)
{
	struct mt_ctl_waiting waiting = mt_ctl_ep_waiting(c, cl->name, e->index, e->id);
	struct mt_ep_stats st;
	char words[48];

	sum->healthy += strcmp(health(e, &waiting, c->now, words, sizeof(words)), "ok") == 0;
	sum->waiting += waiting.calls + waiting.streams;
	sum->oldest = MT_MAX(sum->oldest, mt_ctl_oldest(&waiting));
	sum->ejections += __atomic_load_n(&e->ejected_total, __ATOMIC_RELAXED);
	if (!mt_ctl_ep_stats(c, e->index, e->id, &st))
		return;
	sum->st.requests += st.requests;
	sum->st.failures += st.failures;
	sum->st.conns_active += st.conns_active;
	sum->st.conns_opened += st.conns_opened;
	sum->st.outstanding += st.outstanding;
}

/* Writes the state of a cluster: "ok", or what keeps calls from some or all endpoints. */
static const char *state_of(
	const struct mt_cluster *cl, const struct sums *sum, char *buf, size_t size)
{
	if (cl->closed_by)
		snprintf(buf, size, "closed by %s", cl->closed_by->by);
	else if (cl->demand)
		return "on demand";
	else if (cl->n_eps == 0)
		return cl->n_out ? "all out of rotation" : "no endpoints";
	else if (sum->healthy == cl->n_eps)
		return "ok";
	else
		return sum->healthy ? "degraded" : "no healthy endpoint";
	return buf;
}

static void add_cluster(struct mt_ctl *c, json_t *list, const struct mt_cluster *cl)
{
	struct sums sum = {0};
	char words[256];

	for (uint32_t k = 0; k < cl->n_eps; k++)
		add_endpoint(c, cl, cl->eps[k].state, &sum);
	mt_json_add(list, MT_M("cluster", cl->name), MT_M("balancer", mt_lb_str(cl->lb)),
		MT_M("state", state_of(cl, &sum, words, sizeof(words))),
		MT_M("endpoints", cl->n_eps), MT_M("healthy", sum.healthy), MT_M("out", cl->n_out),
		MT_M("requests", sum.st.requests), MT_M("failures", sum.st.failures),
		MT_M("connections", sum.st.conns_active),
		MT_M("connections_opened", sum.st.conns_opened),
		MT_M("outstanding", sum.st.outstanding), MT_M("waiting", sum.waiting),
		MT_M("oldest_call_ms", sum.oldest / MT_MSEC), MT_M("ejections", sum.ejections),
		MT_M("source", cl->file ? cl->file : "documents"));
}

json_t *mt_show_clusters(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(c);
	json_t *list = json_array();

	for (uint32_t i = 0; snap && i < snap->n_clusters; i++)
		add_cluster(c, list, &snap->clusters[i]);
	return mt_json_object(MT_M("clusters", list));
}
