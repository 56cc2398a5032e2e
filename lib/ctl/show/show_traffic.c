/* SPDX-License-Identifier: Apache-2.0 */
/* Traffic: services, routes, limits. */
#include "mt_ctl_priv.h"

#include "mt_region.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- services ------------------------------------------------------------------------------- */

void mt_row_latency(json_t *row, const uint64_t *counts, uint32_t n, uint32_t bits)
{
	static const struct {
		const char *name;
		double share;
	} all[] = {{"p50_us", 0.5}, {"p90_us", 0.9}, {"p99_us", 0.99}, {"p999_us", 0.999}};

	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		mt_json_set(row, MT_M(all[i].name, mt_hist_at(counts, n, bits, all[i].share)));
}

static void set_service_stats(json_t *row, const struct mt_service_stats *st)
{
	uint64_t answered = st->ok + st->app_error + st->proto_error;

	mt_json_set(row, MT_M("requests", st->requests), MT_M("ok", st->ok),
		MT_M("app_errors", st->app_error), MT_M("protocol_errors", st->proto_error),
		MT_M("local_replies", mt_service_local_replies(st)), MT_M("limited", st->limited),
		MT_M("timeouts", st->timeouts), MT_M("client_closed", st->client_left),
		MT_M("reset", st->cut_off), MT_M("oneway", st->oneway),
		MT_M("bytes_in", st->bytes_in), MT_M("bytes_out", st->bytes_out),
		MT_M("mean_us", answered ? st->latency_sum_us / answered : 0));
}

json_t *mt_row_service(struct mt_ctl *c, json_t *list, const struct mt_filter_chain_proto *p,
	const struct mt_service *s)
{
	const struct mt_listener *l = p->chain->listener;
	char where[MT_ADDR_STRLEN];
	struct mt_service_stats st;
	struct mt_service_hist h;
	json_t *row = mt_json_add(list, MT_M("service", s->name),
		MT_M("listener", mt_addr_port_str(&l->addr, l->port, where)),
		MT_M("protocol", p->codec->name),
		MT_M("routes", s->routes ? mt_route_count(s->routes) : 0));

	if (mt_ctl_service_stats(c, s->index, s->id, &st))
		set_service_stats(row, &st);
	if (mt_ctl_service_hist(c, s->index, s->id, &h))
		mt_row_latency(row, h.latency, MT_LATENCY_BUCKETS, MT_LATENCY_BITS);
	/* null if no worker has seen the service yet. */
	mt_render_absent(row, "requests ok app_errors protocol_errors local_replies limited "
			      "timeouts client_closed reset oneway bytes_in bytes_out "
			      "mean_us p50_us p90_us p99_us p999_us");
	mt_json_set(row, MT_M("origin", mt_json_origin(s->file, s->line)));
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
	return mt_json_object(MT_M("services", rows.list));
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

	add_dests(snap, a->dests, a->n_dests, a->total_weight, &dests);
	add_mirrors(snap, a, &dests);
	mt_json_add(list, MT_M("service", s->name), MT_M("place", place), MT_M("route", a->name),
		MT_M("match", a->match), MT_M("hits", hits_of(c, s, a)),
		MT_M("destinations", dests.p), MT_M("timeout_ms", a->timeout_ms),
		MT_M("retries", a->retry ? a->retry->attempts : 0),
		MT_M("mutations", a->n_req_mut + a->n_rsp_mut),
		MT_M("origin", mt_json_origin(a->file, a->line)));
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
	return mt_json_object(MT_M("routes", list));
}

/* ---- limits --------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct mt_limit_info *x = a, *y = b;
	int order = strcmp(x->service, y->service);

	return order ? order : strcmp(x->match, y->match);
}

static void add_limit(json_t *list, const struct mt_limit_info *info)
{
	mt_json_add(list, MT_M("service", info->service), MT_M("match", info->match),
		MT_M("tokens", info->tokens), MT_M("claimed", info->claimed),
		MT_M("max", info->numbers.max_tokens),
		MT_M("per_fill", info->numbers.tokens_per_fill),
		MT_M("fill_ms", info->numbers.fill_ns / MT_MSEC), MT_M("admitted", info->admitted),
		MT_M("refused", info->refused), MT_M("would_refuse", info->would_refuse),
		MT_M("mode", info->report_only ? "report only" : "enforced"),
		MT_M("numbers", info->turned ? "turned" : "configured"));
}

/* In the order of names, because the registry has another order in each process. */
json_t *mt_show_limits(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_limit_registry *reg = c->env.conf ? mt_conf_limits(c->env.conf) : NULL;
	struct mt_limit_info *infos = NULL;
	struct mt_region region;
	json_t *list = json_array();
	uint32_t idx = 0, n = 0;

	mt_region_init(&region, 0);
	for (struct mt_limit_info info; reg && mt_limit_next(reg, &idx, c->now, &info);) {
		struct mt_limit_info *to =
			mt_region_push(&region, (void **)&infos, &n, sizeof(*infos));

		if (!to)
			break;
		*to = info;
	}
	if (n)
		qsort(infos, n, sizeof(*infos), by_name);
	for (uint32_t i = 0; i < n; i++)
		add_limit(list, &infos[i]);
	mt_region_fini(&region);
	return mt_json_object(MT_M("limits", list), MT_M("by_key", mt_rows_limits_by_key(c)));
}
