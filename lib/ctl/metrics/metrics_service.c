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

/* ---- collectors ----------------------------------------------------------------------------- */

static uint32_t collect(const struct mt_ctl_family *x, enum mt_series_kind kind,
	struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_series *s;

	while ((s = mt_scrape_series(x->c, kind, pos)) != NULL) {
		mt_sample_made(out, f, s->made, "", s->values[x->offset / sizeof(uint64_t)]);
		pos++;
		if (mt_sink_full(out))
			return pos;
	}
	return 0;
}

static uint32_t collect_service(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	return collect(arg, MT_SERIES_SERVICE, out, f, pos);
}

static uint32_t collect_endpoint(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	return collect(arg, MT_SERIES_ENDPOINT, out, f, pos);
}

/* A member in nanoseconds, as seconds. */
static uint32_t collect_age(void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl_family *x = arg;
	const struct mt_series *s = mt_scrape_series(x->c, MT_SERIES_ENDPOINT, pos);

	for (; s && !mt_sink_full(out); s = mt_scrape_series(x->c, MT_SERIES_ENDPOINT, ++pos)) {
		const struct mt_label l[] = {{"cluster", s->label[0]}, {"endpoint", s->label[1]}};

		mt_sample(out, f, l, 2, (double)s->values[x->offset / sizeof(uint64_t)] / 1e9);
	}
	return s ? pos : 0;
}

/* Endpoints without series of their own have no common value. */
static uint32_t collect_up(void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl_family *x = arg;
	const struct mt_series *s = mt_scrape_series(x->c, MT_SERIES_ENDPOINT, pos);

	for (; s && !mt_sink_full(out); s = mt_scrape_series(x->c, MT_SERIES_ENDPOINT, ++pos)) {
		const struct mt_endpoint_values *v = (const struct mt_endpoint_values *)s->values;

		if (strcmp(s->label[0], MT_SERIES_OTHER) != 0)
			mt_sample_made(out, f, s->made, "", v->up);
	}
	return s ? pos : 0;
}

static uint32_t collect_route(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	return collect(arg, MT_SERIES_ROUTE, out, f, pos);
}

static uint32_t collect_local(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl_family *x = arg;
	const struct mt_series *s = mt_scrape_series(x->c, MT_SERIES_SERVICE, pos);

	for (; s && !mt_sink_full(out); s = mt_scrape_series(x->c, MT_SERIES_SERVICE, ++pos)) {
		const struct mt_service_values *v = (const struct mt_service_values *)s->values;

		mt_sample_made(out, f, s->made, "", mt_service_local_replies(&v->stats));
	}
	return s ? pos : 0;
}

static uint32_t collect_duration(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl_family *x = arg;
	const struct mt_series *s = mt_scrape_series(x->c, MT_SERIES_SERVICE, pos);
	uint64_t us[MT_LATENCY_BOUNDS_MAX];
	double bounds[MT_LATENCY_BOUNDS_MAX];
	struct mt_example examples[MT_LATENCY_BOUNDS_MAX + 1];
	uint32_t n = mt_latency_bounds(us);

	for (uint32_t i = 0; i < n; i++)
		bounds[i] = (double)us[i] / 1e6;
	for (; s && !mt_sink_full(out); s = mt_scrape_series(x->c, MT_SERIES_SERVICE, ++pos)) {
		const struct mt_service_values *v = (const struct mt_service_values *)s->values;

		if (!s->opaque && v->stats.requests)
			mt_sample_histogram(out, f, s->made, bounds, v->latency, n,
				(double)v->stats.latency_sum_us / 1e6,
				mt_examples_of(s, us, n, 1, examples));
	}
	return s ? pos : 0;
}

static uint32_t collect_folded(
	void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	static const char *const words[MT_SERIES_KINDS] = {"service", "endpoint", "route"};
	const struct mt_ctl_family *x = arg;

	for (int k = 0; k < MT_SERIES_KINDS; k++) {
		const struct mt_label l = {"kind", words[k]};

		mt_sample(out, f, &l, 1, mt_scrape_folded(x->c, (enum mt_series_kind)k));
	}
	return 0;
}

#define SVC(m) offsetof(struct mt_service_values, stats.m)
#define EP(m)  offsetof(struct mt_endpoint_values, m)

const struct mt_family_row mt_families_service[] = {
	{{"meltemi_service_requests_total", MT_COUNTER, "requests", "service",
		 "requests decoded; for opaque TCP: connections", collect_service, NULL},
		SVC(requests)},
	{{"meltemi_service_ok_total", MT_COUNTER, "replies", "service",
		 "replies that report no failure", collect_service, NULL},
		SVC(ok)},
	{{"meltemi_service_app_errors_total", MT_COUNTER, "replies", "service",
		 "replies in which the service reports an exception of its own", collect_service,
		 NULL},
		SVC(app_error)},
	{{"meltemi_service_protocol_errors_total", MT_COUNTER, "replies", "service",
		 "replies in which the server's framework failed the call", collect_service, NULL},
		SVC(proto_error)},
	{{"meltemi_service_local_replies_total", MT_COUNTER, "replies", "service",
		 "requests that Meltemi answered in place of a server or, one-way, dropped",
		 collect_local, NULL},
		0},
	{{"meltemi_service_timeouts_total", MT_COUNTER, "requests", "service",
		 "requests without a reply in time", collect_service, NULL},
		SVC(timeouts)},
	{{"meltemi_service_limited_total", MT_COUNTER, "requests", "service",
		 "requests over a rate limit", collect_service, NULL},
		SVC(limited)},
	{{"meltemi_service_client_closed_total", MT_COUNTER, "requests", "service",
		 "requests with a client that closed its connection before the reply, for example "
		 "after its own timeout",
		 collect_service, NULL},
		SVC(client_left)},
	{{"meltemi_service_reset_total", MT_COUNTER, "requests", "service",
		 "requests with a client connection that Meltemi reset before the reply",
		 collect_service, NULL},
		SVC(cut_off)},
	{{"meltemi_service_oneway_total", MT_COUNTER, "requests", "service",
		 "one-way requests sent to a server", collect_service, NULL},
		SVC(oneway)},
	{{"meltemi_service_request_bytes_total", MT_COUNTER, "bytes", "service",
		 "bytes of requests", collect_service, NULL},
		SVC(bytes_in)},
	{{"meltemi_service_reply_bytes_total", MT_COUNTER, "bytes", "service", "bytes of replies",
		 collect_service, NULL},
		SVC(bytes_out)},
	{{"meltemi_service_duration_seconds", MT_HISTOGRAM, "seconds", "service",
		 "time from a request's last byte to its reply", collect_duration, NULL},
		0},
	{{"meltemi_endpoint_requests_total", MT_COUNTER, "requests", "cluster, endpoint",
		 "requests sent to an endpoint", collect_endpoint, NULL},
		EP(requests)},
	{{"meltemi_endpoint_failures_total", MT_COUNTER, "failures", "cluster, endpoint",
		 "connect failures, resets, lost connections and time-outs of an endpoint",
		 collect_endpoint, NULL},
		EP(failures)},
	{{"meltemi_endpoint_connections_opened_total", MT_COUNTER, "connections",
		 "cluster, endpoint", "connections opened to an endpoint", collect_endpoint, NULL},
		EP(conns_opened)},
	{{"meltemi_endpoint_connections", MT_GAUGE, "connections", "cluster, endpoint",
		 "connections to an endpoint now", collect_endpoint, NULL},
		EP(conns_active)},
	{{"meltemi_endpoint_outstanding", MT_GAUGE, "requests", "cluster, endpoint",
		 "requests that wait for a reply of an endpoint", collect_endpoint, NULL},
		EP(outstanding)},
	{{"meltemi_endpoint_oldest_call_seconds", MT_GAUGE, "seconds", "cluster, endpoint",
		 "age of the oldest call that was sent to an endpoint and waits for its reply; for "
		 "opaque TCP: time in which a server that usually answers has sent nothing, though "
		 "it got bytes; 0: nothing waits",
		 collect_age, NULL},
		EP(oldest_call)},
	{{"meltemi_endpoint_up", MT_GAUGE, "boolean", "cluster, endpoint",
		 "1: the endpoint takes traffic; 0: it is ejected and has not answered since, or "
		 "it drains; endpoints without series of their own have no value",
		 collect_up, NULL},
		0},
	{{"meltemi_route_requests_total", MT_COUNTER, "requests", "service, route, match",
		 "requests that a route was chosen for", collect_route, NULL},
		0},
	{{"meltemi_series_folded", MT_GAUGE, "series", "kind",
		 "services, endpoints and routes without series of their own, summed up as `other`",
		 collect_folded, NULL},
		0},
	{{0}, 0},
};
