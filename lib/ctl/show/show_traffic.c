/* SPDX-License-Identifier: Apache-2.0 */
/* Traffic: services, routes, clusters, limits. */
#include "mt_ctl_priv.h"

#include <stdio.h>
#include <string.h>

static void set_str(json_t *o, const char *name, const char *value)
{
	json_object_set_new(o, name, mt_json_text(value ? value : ""));
}

static void set_int(json_t *o, const char *name, uint64_t value)
{
	json_object_set_new(o, name, json_integer((json_int_t)value));
}

static void set_origin(json_t *o, const char *file, uint32_t line)
{
	char text[512];

	/* Only files have lines. */
	snprintf(text, sizeof(text), line ? "%s:%u" : "%s", file ? file : "", line);
	set_str(o, "origin", file ? text : "");
}

/* ---- services ------------------------------------------------------------------------------- */

static void set_latency(json_t *row, const uint64_t *counts, uint32_t n, uint32_t bits)
{
	static const struct {
		const char *name;
		double share;
	} all[] = {{"p50_us", 0.5}, {"p90_us", 0.9}, {"p99_us", 0.99}, {"p999_us", 0.999}};

	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		set_int(row, all[i].name, mt_hist_at(counts, n, bits, all[i].share));
}

static void set_service_stats(json_t *row, const struct mt_service_stats *st)
{
	uint64_t answered = st->ok + st->app_error + st->proto_error;

	set_int(row, "requests", st->requests);
	set_int(row, "ok", st->ok);
	set_int(row, "app_errors", st->app_error);
	set_int(row, "protocol_errors", st->proto_error);
	set_int(row, "local_replies", mt_service_local_replies(st));
	set_int(row, "limited", st->limited);
	set_int(row, "timeouts", st->timeouts);
	set_int(row, "client_closed", st->client_left);
	set_int(row, "reset", st->cut_off);
	set_int(row, "oneway", st->oneway);
	set_int(row, "bytes_in", st->bytes_in);
	set_int(row, "bytes_out", st->bytes_out);
	set_int(row, "mean_us", answered ? st->latency_sum_us / answered : 0);
}

json_t *mt_row_service(struct mt_ctl *c, json_t *list, const struct mt_filter_chain_proto *p,
	const struct mt_service *s)
{
	const struct mt_listener *l = p->chain->listener;
	char where[MT_ADDR_STRLEN];
	struct mt_service_stats st;
	struct mt_service_hist h;
	json_t *row = json_object();

	json_array_append_new(list, row);
	set_str(row, "service", s->name);
	set_str(row, "listener", mt_addr_port_str(&l->addr, l->port, where));
	set_str(row, "protocol", p->codec->name);
	set_int(row, "routes", s->routes ? mt_route_count(s->routes) : 0);
	if (mt_ctl_service_stats(c, s->index, s->id, &st))
		set_service_stats(row, &st);
	if (mt_ctl_service_hist(c, s->index, s->id, &h))
		set_latency(row, h.latency, MT_LATENCY_BUCKETS, MT_LATENCY_BITS);
	/* null if no worker has seen the service yet. */
	mt_render_absent(row, "requests ok app_errors protocol_errors local_replies limited "
			      "timeouts client_closed reset oneway bytes_in bytes_out "
			      "mean_us p50_us p90_us p99_us p999_us");
	set_origin(row, s->file, s->line);
	return row;
}

struct service_rows {
	struct mt_ctl *c;
	json_t *list;
};

static void add_service(
	void *arg, const struct mt_filter_chain_proto *p, const struct mt_service *s)
{
	struct service_rows *rows = arg;

	mt_row_service(rows->c, rows->list, p, s);
}

json_t *mt_show_services(struct mt_ctl *c, const struct mt_request *r)
{
	struct service_rows rows = {c, json_array()};

	mt_ctl_each_service(mt_ctl_snapshot(c), add_service, &rows);
	return json_pack("{s:o}", "services", rows.list);
}

/* ---- routes --------------------------------------------------------------------------------- */

static void add_dests(const struct mt_snapshot *snap, const struct mt_route_dest *d, uint32_t n,
	uint32_t total, struct mt_text_buf *out)
{
	for (uint32_t i = 0; i < n; i++) {
		const char *name = d[i].cluster < snap->n_clusters
					   ? snap->clusters[d[i].cluster].name
					   : "no such cluster";

		mt_text_add(out, "%s%s", i ? ", " : "", name);
		if (n > 1)
			mt_text_add(out, " %u/%u", d[i].weight, total);
	}
}

static void add_mirrors(
	const struct mt_snapshot *snap, const struct mt_route_action *a, struct mt_text_buf *out)
{
	for (uint32_t i = 0; i < a->n_mirrors; i++)
		mt_text_add(out, "%s%g %% copied to %s", i ? ", " : "; ",
			a->mirrors[i].ppm / 10000.0, snap->clusters[a->mirrors[i].cluster].name);
}

/* Hits of a route; for an opaque TCP service its connections. */
static uint64_t hits_of(
	const struct mt_ctl *c, const struct mt_service *s, const struct mt_route_action *a)
{
	struct mt_service_stats st;
	uint64_t sum = 0;

	if (!s->routes)
		return mt_ctl_service_stats(c, s->index, s->id, &st) ? st.requests : 0;
	for (uint16_t w = 0; w < c->env.n_workers; w++)
		sum += mt_proxy_route_hits(mt_worker_proxy(c->env.workers[w]), a->index);
	return sum;
}

static void add_route(const struct mt_ctl *c, json_t *list, const struct mt_snapshot *snap,
	const struct mt_service *s, const struct mt_route_action *a, uint32_t place)
{
	struct mt_text_buf dests = {0};
	json_t *row = json_object();

	json_array_append_new(list, row);
	add_dests(snap, a->dests, a->n_dests, a->total_weight, &dests);
	add_mirrors(snap, a, &dests);
	set_str(row, "service", s->name);
	set_int(row, "place", place);
	set_str(row, "route", a->name);
	set_str(row, "match", a->match);
	set_int(row, "hits", hits_of(c, s, a));
	set_str(row, "destinations", dests.p);
	set_int(row, "timeout_ms", a->timeout_ms);
	set_int(row, "mutations", a->n_req_mut + a->n_rsp_mut);
	set_origin(row, a->file, a->line);
	mt_text_fini(&dests);
}

/* An opaque TCP service has no routes; its row shows the clusters of its connections. */
static void add_tcp(const struct mt_ctl *c, json_t *list, const struct mt_snapshot *snap,
	const struct mt_service *s)
{
	const struct mt_route_dest one = {s->tcp_cluster, 1};
	struct mt_route_action a = {.name = "tcp",
		.match = "*",
		.dests = (struct mt_route_dest *)&one,
		.n_dests = 1,
		.file = s->file,
		.line = s->line};

	if (s->n_tcp_dests) {
		a.dests = s->tcp_dests;
		a.n_dests = s->n_tcp_dests;
		a.total_weight = s->tcp_total_weight;
	}
	add_route(c, list, snap, s, &a, 0);
}

uint32_t mt_rows_routes(struct mt_ctl *c, json_t *list, const struct mt_service *s, uint32_t max)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(c);
	uint32_t n = s->routes ? mt_route_count(s->routes) : 0;

	for (uint32_t k = 0; k < n && k < max; k++)
		add_route(c, list, snap, s, mt_route_at(s->routes, k), k);
	if (!s->routes)
		add_tcp(c, list, snap, s);
	return n - MT_MIN(n, max);
}

json_t *mt_show_routes(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(c);
	json_t *list = json_array();

	for (uint32_t i = 0; snap && i < snap->n_services; i++)
		mt_rows_routes(c, list, snap->services[i], UINT32_MAX);
	return json_pack("{s:o}", "routes", list);
}

/* ---- clusters ------------------------------------------------------------------------------- */

static const char *health(const struct mt_ep_state *e, const struct mt_ctl_waiting *n, uint64_t now,
	char *buf, size_t size)
{
	uint64_t until = __atomic_load_n(&e->ejected_until, __ATOMIC_RELAXED);

	if (__atomic_load_n(&e->draining, __ATOMIC_RELAXED))
		return "draining";
	if (mt_ep_is_leaving(e, now))
		return "leaving";
	if (!mt_ep_ejected(e, now)) {
		if (!mt_ctl_hangs(n))
			return "ok";
		snprintf(buf, size, "silent for %llu s",
			(unsigned long long)(MT_MAX(n->silent, n->streams_silent) / MT_SEC));
		return buf;
	}
	if (now >= until)
		return "ejected, health check";
	snprintf(buf, size, "ejected for %llu s", (until - now + MT_SEC - 1) / MT_SEC);
	return buf;
}

/* A cluster without endpoints (`ep` NULL) has a row too, because operators look for it. */
json_t *mt_row_endpoint(
	struct mt_ctl *c, json_t *list, const struct mt_cluster *cl, const struct mt_endpoint *ep)
{
	static const char of_endpoint[] =
		"weight health requests failures connections connections_opened outstanding "
		"waiting "
		"oldest_call_ms p50_us p90_us p99_us p999_us ejections zone";
	json_t *row = json_object();
	struct mt_ctl_waiting waiting;
	struct mt_ep_stats st;
	uint64_t latency[MT_EP_LATENCY_BUCKETS];
	char words[48], name[MT_ADDR_STRLEN] = "none";

	json_array_append_new(list, row);
	set_str(row, "cluster", cl->name);
	set_str(row, "balancer", mt_lb_str(cl->lb));
	if (ep)
		mt_endpoint_name(ep, name);
	else if (cl->demand)
		snprintf(name, sizeof(name), "on demand");
	else if (cl->n_out)
		snprintf(name, sizeof(name), "none (%u are out)", cl->n_out);
	set_str(row, "endpoint", name);
	if (!ep) {
		mt_render_absent(row, of_endpoint);
		return row;
	}
	set_int(row, "weight", ep->weight);
	waiting = mt_ctl_ep_waiting(c, ep->state->index, ep->state->id);
	set_str(row, "health", health(ep->state, &waiting, c->now, words, sizeof(words)));
	if (mt_ctl_ep_stats(c, ep->state->index, ep->state->id, &st)) {
		set_int(row, "requests", st.requests);
		set_int(row, "failures", st.failures);
		set_int(row, "connections", st.conns_active);
		set_int(row, "connections_opened", st.conns_opened);
		set_int(row, "outstanding", st.outstanding);
	}
	mt_render_absent(row, "requests failures connections connections_opened outstanding");
	set_int(row, "waiting", waiting.calls + waiting.streams);
	set_int(row, "oldest_call_ms", mt_ctl_oldest(&waiting) / MT_MSEC);
	mt_ctl_ep_latency(c, ep->state, latency);
	set_latency(row, latency, MT_EP_LATENCY_BUCKETS, MT_EP_LATENCY_BITS);
	set_int(row, "ejections", __atomic_load_n(&ep->state->ejected_total, __ATOMIC_RELAXED));
	set_str(row, "zone", mt_endpoint_zone(cl, ep));
	return row;
}

json_t *mt_show_clusters(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(c);
	json_t *list = json_array();

	for (uint32_t i = 0; snap && i < snap->n_clusters; i++) {
		const struct mt_cluster *cl = &snap->clusters[i];

		for (uint32_t k = 0; k < cl->n_eps; k++)
			mt_row_endpoint(c, list, cl, &cl->eps[k]);
		if (cl->n_eps == 0)
			mt_row_endpoint(c, list, cl, NULL);
	}
	return json_pack("{s:o}", "clusters", list);
}

/* ---- limits --------------------------------------------------------------------------------- */

json_t *mt_show_limits(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_limit_registry *reg = c->env.conf ? mt_conf_limits(c->env.conf) : NULL;
	struct mt_limit_info info;
	json_t *list = json_array();
	uint32_t idx = 0;

	while (reg && mt_limit_next(reg, &idx, c->now, &info)) {
		json_t *row = json_object();

		json_array_append_new(list, row);
		set_str(row, "service", info.service);
		set_str(row, "match", info.match);
		set_int(row, "tokens", info.tokens);
		set_int(row, "claimed", info.claimed);
		set_int(row, "max", info.numbers.max_tokens);
		set_int(row, "per_fill", info.numbers.tokens_per_fill);
		set_int(row, "fill_ms", info.numbers.fill_ns / MT_MSEC);
		set_int(row, "admitted", info.admitted);
		set_int(row, "refused", info.refused);
		set_int(row, "would_refuse", info.would_refuse);
		set_str(row, "mode", info.report_only ? "report only" : "enforced");
		set_str(row, "numbers", info.turned ? "turned" : "configured");
	}
	return json_pack("{s:o}", "limits", list);
}
