/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics of services, endpoints and routes. Families differ by the reported member, not by code.
 */
#include "mt_ctl_metrics_priv.h"

#include <string.h>

/* ---- latency -------------------------------------------------------------------------------- */

/*
 * Powers of two from 32 us to 34 s, with a further bound between them where most calls are. Each
 * bound is the end of a histogram bucket.
 */
uint32_t mt_latency_bounds(uint64_t bounds[MT_LATENCY_BOUNDS_MAX])
{
	uint32_t n = 0;

	for (uint32_t k = 5; k <= 25; k++) {
		bounds[n++] = 1ull << k;
		if (k >= 7 && k <= 20)
			bounds[n++] = 3ull << (k - 1);
	}
	return n;
}

void mt_fill_service_values(struct mt_service_values *v, const struct mt_service_hist *h)
{
	uint64_t bounds[MT_LATENCY_BOUNDS_MAX], before = 0;
	uint32_t n = mt_latency_bounds(bounds);

	for (uint32_t i = 0; i <= n; i++) {
		uint64_t below = i < n ? mt_hist_below(h->latency, MT_LATENCY_BUCKETS,
						 MT_LATENCY_BITS, bounds[i])
				       : mt_hist_count(h->latency, MT_LATENCY_BUCKETS);

		v->latency[i] += below - before;
		before = below;
	}
	for (uint32_t i = 0; i < MT_SIZE_BUCKETS; i++) {
		v->request[i] += h->request[i];
		v->reply[i] += h->reply[i];
	}
}

void mt_add_service_stats(struct mt_service_stats *to, const struct mt_service_stats *st)
{
	for (size_t i = 0; i < sizeof(*st) / sizeof(uint64_t); i++)
		((uint64_t *)to)[i] += ((const uint64_t *)st)[i];
}

/* ---- collectors ----------------------------------------------------------------------------- */

const struct mt_series *mt_collect_next(struct mt_collect *k, enum mt_series_kind kind)
{
	const struct mt_series *s = mt_scrape_series(k->c, kind, k->pos);

	k->more = s && mt_sink_full(k->out);
	k->pos += s && !k->more;
	return k->more ? NULL : s;
}

static void collect(struct mt_collect *k, enum mt_series_kind kind)
{
	for (const struct mt_series *s; (s = mt_collect_next(k, kind)) != NULL;)
		mt_emit_made(k, s->made, "", mt_collect_member(k, s->values));
}

static void collect_service(struct mt_collect *k)
{
	collect(k, MT_SERIES_SERVICE);
}

static void collect_endpoint(struct mt_collect *k)
{
	collect(k, MT_SERIES_ENDPOINT);
}

static void collect_route(struct mt_collect *k)
{
	collect(k, MT_SERIES_ROUTE);
}

static void collect_limit(struct mt_collect *k)
{
	collect(k, MT_SERIES_LIMIT);
}

/* A member in nanoseconds, as seconds. */
static void collect_age(struct mt_collect *k)
{
	for (const struct mt_series *s; (s = mt_collect_next(k, MT_SERIES_ENDPOINT)) != NULL;)
		mt_emit(k, (double)mt_collect_member(k, s->values) / 1e9, {"cluster", s->label[0]},
			{"endpoint", s->label[1]});
}

/* Endpoints without series of their own have no common value. */
static void collect_up(struct mt_collect *k)
{
	for (const struct mt_series *s; (s = mt_collect_next(k, MT_SERIES_ENDPOINT)) != NULL;)
		if (strcmp(s->label[0], MT_SERIES_OTHER) != 0)
			mt_emit_made(k, s->made, "", mt_collect_member(k, s->values));
}

static void collect_local(struct mt_collect *k)
{
	for (const struct mt_series *s; (s = mt_collect_next(k, MT_SERIES_SERVICE)) != NULL;)
		mt_emit_made(k, s->made, "", mt_service_local_replies(&mt_service_of(s)->stats));
}

void mt_emit_durations(
	struct mt_collect *k, const struct mt_series *s, const char *labels, double unit)
{
	const struct mt_service_values *v = mt_service_of(s);
	struct mt_example examples[MT_LATENCY_BOUNDS_MAX + 1];
	double bounds[MT_LATENCY_BOUNDS_MAX];
	uint64_t us[MT_LATENCY_BOUNDS_MAX];
	uint32_t n = mt_latency_bounds(us);

	for (uint32_t i = 0; i < n; i++)
		bounds[i] = (double)us[i] * unit / 1e6;
	mt_sample_histogram(k->out, k->f, labels, bounds, v->latency, n,
		(double)v->calls.latency_sum_us * unit / 1e6,
		mt_examples_of(s, us, n, unit, examples));
}

static void collect_duration(struct mt_collect *k)
{
	for (const struct mt_series *s; (s = mt_collect_next(k, MT_SERIES_SERVICE)) != NULL;)
		if (mt_service_of(s)->calls.requests)
			mt_emit_durations(k, s, s->made, 1);
}

static void collect_folded(struct mt_collect *k)
{
	static const char *const words[MT_SERIES_KINDS] = {
		"service", "endpoint", "route", "limit", "workload"};

	for (enum mt_series_kind kind = 0; kind < MT_SERIES_KINDS; kind++)
		mt_emit(k, mt_scrape_folded(k->c, kind), {"kind", words[kind]});
}

static void collect_callers(struct mt_collect *k)
{
	const struct mt_conf *conf = k->c->env.conf;

	mt_emit(k, conf ? mt_conf_callers_unplaced(conf) : 0);
}

#define SVC(m) offsetof(struct mt_service_values, stats.m)
#define EP(m)  offsetof(struct mt_endpoint_values, m)

const struct mt_family_row mt_families_service[] = {
	{"meltemi_service_requests_total", MT_COUNTER, "requests", "service",
		"requests decoded; for opaque TCP: connections", collect_service, SVC(requests)},
	{"meltemi_service_ok_total", MT_COUNTER, "replies", "service",
		"replies that report no failure", collect_service, SVC(ok)},
	{"meltemi_service_app_errors_total", MT_COUNTER, "replies", "service",
		"replies in which the service reports an exception of its own", collect_service,
		SVC(app_error)},
	{"meltemi_service_protocol_errors_total", MT_COUNTER, "replies", "service",
		"replies in which the server's framework failed the call", collect_service,
		SVC(proto_error)},
	{"meltemi_service_local_replies_total", MT_COUNTER, "replies", "service",
		"requests that Meltemi answered in place of a server or, one-way, dropped",
		collect_local, 0},
	{"meltemi_service_timeouts_total", MT_COUNTER, "requests", "service",
		"requests without a reply in time", collect_service, SVC(timeouts)},
	{"meltemi_service_limited_total", MT_COUNTER, "requests", "service",
		"requests over a rate limit: local, global, or of a TrafficPolicy", collect_service,
		SVC(limited)},
	{"meltemi_rate_limit_refused_total", MT_COUNTER, "requests", "service, kind, rule",
		"requests and opaque TCP connections that a rate limit refused, by rule; service: "
		"host and port, or `inbound` and an endpoint; kind `local`: the rule is the bucket "
		"as in `show limits`; kind `global`: the domain and the descriptor's key; rules of "
		"TrafficPolicies are in `show limits` alone",
		collect_limit, 0},
	{"meltemi_service_client_closed_total", MT_COUNTER, "requests", "service",
		"requests with a client that closed its connection before the reply, for example "
		"after its own timeout",
		collect_service, SVC(client_left)},
	{"meltemi_service_reset_total", MT_COUNTER, "requests", "service",
		"requests with a client connection that Meltemi reset before the reply",
		collect_service, SVC(cut_off)},
	{"meltemi_service_oneway_total", MT_COUNTER, "requests", "service",
		"one-way requests sent to a server", collect_service, SVC(oneway)},
	{"meltemi_service_request_bytes_total", MT_COUNTER, "bytes", "service", "bytes of requests",
		collect_service, SVC(bytes_in)},
	{"meltemi_service_reply_bytes_total", MT_COUNTER, "bytes", "service", "bytes of replies",
		collect_service, SVC(bytes_out)},
	{"meltemi_service_duration_seconds", MT_HISTOGRAM, "seconds", "service",
		"time from a request's last byte to its reply", collect_duration, 0},
	{"meltemi_endpoint_requests_total", MT_COUNTER, "requests", "cluster, endpoint",
		"requests sent to an endpoint", collect_endpoint, EP(requests)},
	{"meltemi_endpoint_failures_total", MT_COUNTER, "failures", "cluster, endpoint",
		"connect failures, resets, lost connections and time-outs of an endpoint",
		collect_endpoint, EP(failures)},
	{"meltemi_endpoint_connections_opened_total", MT_COUNTER, "connections",
		"cluster, endpoint", "connections opened to an endpoint", collect_endpoint,
		EP(conns_opened)},
	{"meltemi_endpoint_connections", MT_GAUGE, "connections", "cluster, endpoint",
		"connections to an endpoint now", collect_endpoint, EP(conns_active)},
	{"meltemi_endpoint_outstanding", MT_GAUGE, "requests", "cluster, endpoint",
		"requests that wait for a reply of an endpoint", collect_endpoint, EP(outstanding)},
	{"meltemi_endpoint_oldest_call_seconds", MT_GAUGE, "seconds", "cluster, endpoint",
		"age of the oldest call that was sent to an endpoint and waits for its reply; for "
		"opaque TCP: time in which a server that usually answers has sent nothing, though "
		"it got bytes; 0: nothing waits",
		collect_age, EP(oldest_call)},
	{"meltemi_endpoint_silent_seconds", MT_GAUGE, "seconds", "cluster, endpoint",
		"time for which an endpoint has sent nothing although it should have: calls have "
		"waited for 2 s and 4 times its p99, or for 10 s, but at least 4 times its "
		"median; connections of opaque TCP to a server that usually answers have waited "
		"for 2 s; or it was ejected because it did not answer. 0: none of this",
		collect_age, EP(silent)},
	{"meltemi_endpoint_up", MT_GAUGE, "boolean", "cluster, endpoint",
		"1: the endpoint takes traffic; 0: it is ejected and has not answered since, it "
		"drains, or no route leads to it; endpoints without series of their own have no "
		"value",
		collect_up, EP(up)},
	{"meltemi_route_requests_total", MT_COUNTER, "requests", "service, route, match",
		"requests that a route was chosen for", collect_route, 0},
	{"meltemi_series_folded", MT_GAUGE, "series", "kind",
		"services, endpoints, routes, rules of limits, and services' workloads without "
		"series of their own, summed up as `other`",
		collect_folded, 0},
	{"meltemi_callers_left_out", MT_GAUGE, "addresses", "",
		"addresses of workloads without room among 65,536; their clients have no known "
		"workload",
		collect_callers, 0},
	{0},
};
