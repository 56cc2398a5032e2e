/* SPDX-License-Identifier: Apache-2.0 */
/* What the registry is told at start: every room's counters, and the families of numbers that are none. */
#include "mt_ctl_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const struct mt_outcome_set *const mt_ctl_sets[] = {&mt_port_outcomes, &mt_net_outcomes,
	&mt_tcp_outcomes, &mt_buf_outcomes, &mt_proxy_outcomes, &mt_upstream_outcomes,
	&mt_filter_outcomes, &mt_worker_outcomes, &mt_dns_outcomes};
const size_t mt_n_ctl_sets = MT_ARRAY_LEN(mt_ctl_sets);

/* ---- families ------------------------------------------------------------------------------- */

/* Families differ by the member they show, not by code. */
static uint64_t member(const void *stats, size_t offset)
{
	uint64_t v;

	memcpy(&v, (const char *)stats + offset, sizeof(v));
	return v;
}

/* Istio's labels, as far as a node without workload identities has them. */
static uint32_t istio_labels(const struct mt_service *s, struct mt_label *l)
{
	l[0] = (struct mt_label){"reporter", "source"};
	l[1] = (struct mt_label){"destination_service", s->name};
	l[2] = (struct mt_label){"destination_service_name", s->name};
	return 3;
}

/* ---- collectors ----------------------------------------------------------------------------- */

/* response_code 0: some server answered; 1: Meltemi did. */
static void collect_requests(void *arg, struct mt_text_buf *out, const struct mt_family *f)
{
	const struct mt_ctl_family *x = arg;
	struct mt_label l[4];

	for (uint32_t i = 0; i < x->c->n_series; i++) {
		const struct mt_service_stats *st = &x->c->series[i].stats;
		uint32_t n = istio_labels(x->c->series[i].service, l);

		l[n] = (struct mt_label){"response_code", "0"};
		mt_sample(out, f, l, n + 1, (double)(st->ok + st->app_error + st->proto_error));
		l[n].value = "1";
		mt_sample(out, f, l, n + 1, (double)mt_service_local_replies(st));
	}
}

/* Bounds of the exposition in microseconds, powers of two: 32 us to 34 s, where buckets of the histogram end. */
#define FIRST_BOUND 5
#define BOUNDS	    21

static void collect_duration(void *arg, struct mt_text_buf *out, const struct mt_family *f)
{
	const struct mt_ctl_family *x = arg;
	double bounds[BOUNDS];
	struct mt_label l[4];

	for (uint32_t k = 0; k < BOUNDS; k++)
		bounds[k] = (double)(1ull << (FIRST_BOUND + k)) / 1000.0;
	for (uint32_t i = 0; i < x->c->n_series; i++) {
		const struct mt_ctl_series *s = &x->c->series[i];
		uint64_t counts[BOUNDS + 1], before = 0;

		for (uint32_t k = 0; k <= BOUNDS; k++) {
			uint64_t all = k < BOUNDS
					       ? mt_hist_below(s->hist.latency, MT_LATENCY_BUCKETS,
							 MT_LATENCY_BITS, 1ull << (FIRST_BOUND + k))
					       : mt_hist_count(s->hist.latency, MT_LATENCY_BUCKETS);

			counts[k] = all - before;
			before = all;
		}
		mt_sample_histogram(out, f, l, istio_labels(s->service, l), bounds, counts, BOUNDS,
			(double)s->stats.latency_sum_us / 1000.0);
	}
}

static void collect_service(void *arg, struct mt_text_buf *out, const struct mt_family *f)
{
	const struct mt_ctl_family *x = arg;

	for (uint32_t i = 0; i < x->c->n_series; i++) {
		const struct mt_ctl_series *s = &x->c->series[i];
		struct mt_label l = {"service", s->service->name};

		mt_sample(out, f, &l, 1, (double)member(&s->stats, x->offset));
	}
}

static void collect_local_replies(void *arg, struct mt_text_buf *out, const struct mt_family *f)
{
	const struct mt_ctl_family *x = arg;

	for (uint32_t i = 0; i < x->c->n_series; i++) {
		const struct mt_ctl_series *s = &x->c->series[i];
		struct mt_label l = {"service", s->service->name};

		mt_sample(out, f, &l, 1, (double)mt_service_local_replies(&s->stats));
	}
}

static void collect_endpoint(void *arg, struct mt_text_buf *out, const struct mt_family *f)
{
	const struct mt_ctl_family *x = arg;
	struct mt_ep_stats st;

	for (uint32_t i = 0; i < x->c->n_ep_series; i++) {
		const struct mt_ctl_ep_series *s = &x->c->ep_series[i];
		char name[MT_ADDR_STRLEN];
		struct mt_label l[] = {{"cluster", s->cluster->name},
			{"endpoint", mt_endpoint_name(s->endpoint, name)}};

		if (mt_ctl_ep_stats(x->c, s->endpoint->state->index, &st))
			mt_sample(out, f, l, 2, (double)member(&st, x->offset));
	}
}

static void collect_connections(void *arg, struct mt_text_buf *out, const struct mt_family *f)
{
	const struct mt_ctl_family *x = arg;
	uint32_t n[3], sum[3] = {0};
	static const char *const kinds[] = {"established", "half_open", "time_wait"};

	for (uint16_t w = 0; w < x->c->env.n_workers; w++) {
		mt_tcp_counts(mt_worker_tcp(x->c->env.workers[w]), &n[0], &n[1], &n[2]);
		for (int k = 0; k < 3; k++)
			sum[k] += n[k];
	}
	for (int k = 0; k < 3; k++) {
		struct mt_label l = {"kind", kinds[k]};

		mt_sample(out, f, &l, 1, sum[k]);
	}
}

static void collect_buffers(void *arg, struct mt_text_buf *out, const struct mt_family *f)
{
	const struct mt_ctl_family *x = arg;
	char worker[8];

	for (uint16_t w = 0; w < x->c->env.n_workers; w++) {
		const struct mt_pools *p = mt_worker_pools(x->c->env.workers[w]);
		struct mt_label l[] = {{"pool", "data"}, {"worker", worker}};

		snprintf(worker, sizeof(worker), "%u", w);
		mt_sample(out, f, l, 2, rte_mempool_in_use_count(p->data));
		l[0].value = "control";
		mt_sample(out, f, l, 2, rte_mempool_in_use_count(p->ctrl));
	}
}

static void collect_links(void *arg, struct mt_text_buf *out, const struct mt_family *f)
{
	const struct mt_ctl_family *x = arg;

	for (uint16_t i = 0; i < x->c->env.n_ports; i++) {
		struct mt_label l = {"port", x->c->env.ports[i]->name};

		mt_sample(out, f, &l, 1, x->c->env.ports[i]->link_up);
	}
}

static void collect_configuration(void *arg, struct mt_text_buf *out, const struct mt_family *f)
{
	const struct mt_ctl_family *x = arg;
	const struct mt_snapshot *snap = mt_ctl_snapshot(x->c);

	mt_sample(out, f, NULL, 0, snap ? (double)snap->version : 0);
}

static void collect_uptime(void *arg, struct mt_text_buf *out, const struct mt_family *f)
{
	const struct mt_ctl_family *x = arg;

	mt_sample(out, f, NULL, 0, (double)((x->c->now - x->c->started) / MT_SEC));
}

#define SVC(m) offsetof(struct mt_service_stats, m)
#define EP(m)  offsetof(struct mt_ep_stats, m)
#define XDS(m) offsetof(struct mt_xds_type_info, m)

/* Families as they are declared; the copies of a ctl get their arg at start. */
static const struct {
	struct mt_family family;
	size_t offset;
} rows[] = {
	{{"istio_requests_total", MT_COUNTER,
		 "requests by service; response_code 0: a server answered, 1: Meltemi did",
		 collect_requests, NULL},
		0},
	{{"istio_request_duration_milliseconds", MT_HISTOGRAM,
		 "time from a request's last byte to its reply", collect_duration, NULL},
		0},
	{{"meltemi_service_requests_total", MT_COUNTER, "requests decoded, by service",
		 collect_service, NULL},
		SVC(requests)},
	{{"meltemi_service_app_errors_total", MT_COUNTER,
		 "replies in which the service reports an exception of its own", collect_service,
		 NULL},
		SVC(app_error)},
	{{"meltemi_service_protocol_errors_total", MT_COUNTER,
		 "replies in which the server's framework failed the call", collect_service, NULL},
		SVC(proto_error)},
	{{"meltemi_service_local_replies_total", MT_COUNTER,
		 "requests that Meltemi answered in place of a server", collect_local_replies,
		 NULL},
		0},
	{{"meltemi_service_timeouts_total", MT_COUNTER, "requests without a reply in time",
		 collect_service, NULL},
		SVC(timeouts)},
	{{"meltemi_service_limited_total", MT_COUNTER, "requests over a rate limit",
		 collect_service, NULL},
		SVC(limited)},
	{{"meltemi_service_request_bytes_total", MT_COUNTER, "bytes of requests", collect_service,
		 NULL},
		SVC(bytes_in)},
	{{"meltemi_service_reply_bytes_total", MT_COUNTER, "bytes of replies", collect_service,
		 NULL},
		SVC(bytes_out)},
	{{"meltemi_endpoint_requests_total", MT_COUNTER, "requests sent to an endpoint",
		 collect_endpoint, NULL},
		EP(requests)},
	{{"meltemi_endpoint_failures_total", MT_COUNTER,
		 "connect failures, resets and lost connections of an endpoint", collect_endpoint,
		 NULL},
		EP(failures)},
	{{"meltemi_endpoint_connections", MT_GAUGE, "connections to an endpoint now",
		 collect_endpoint, NULL},
		EP(conns_active)},
	{{"meltemi_endpoint_outstanding", MT_GAUGE, "requests that wait for a reply of an endpoint",
		 collect_endpoint, NULL},
		EP(outstanding)},
	{{"meltemi_connections", MT_GAUGE, "TCP connections now, by kind", collect_connections,
		 NULL},
		0},
	{{"meltemi_buffers_in_use", MT_GAUGE, "packet buffers in use, by pool", collect_buffers,
		 NULL},
		0},
	{{"meltemi_port_up", MT_GAUGE, "whether the link of a port is up", collect_links, NULL}, 0},
	{{"meltemi_configuration_version", MT_GAUGE,
		 "version of the configuration in use, one more with each change",
		 collect_configuration, NULL},
		0},
	{{"meltemi_xds_stream_up", MT_GAUGE, "whether a stream to a discovery server is open",
		 mt_collect_xds_streams, NULL},
		0},
	{{"meltemi_xds_resources", MT_GAUGE, "resources of discovery servers, by state",
		 mt_collect_xds_resources, NULL},
		0},
	{{"meltemi_xds_changes_total", MT_COUNTER,
		 "times that what is in force of a discovery server changed",
		 mt_collect_xds_changes, NULL},
		0},
	{{"meltemi_xds_on_demand_total", MT_COUNTER,
		 "what became of clusters that were asked for because a call led to them",
		 mt_collect_xds_demand, NULL},
		0},
	{{"meltemi_xds_responses_total", MT_COUNTER, "responses of discovery servers",
		 mt_collect_xds_types, NULL},
		XDS(responses)},
	{{"meltemi_xds_accepted_total", MT_COUNTER, "responses that were acknowledged",
		 mt_collect_xds_types, NULL},
		XDS(acks)},
	{{"meltemi_xds_refused_total", MT_COUNTER, "responses of which something was refused",
		 mt_collect_xds_types, NULL},
		XDS(nacks)},
	{{"meltemi_xds_received_bytes_total", MT_COUNTER, "bytes of responses",
		 mt_collect_xds_types, NULL},
		XDS(bytes)},
	{{"meltemi_uptime_seconds", MT_GAUGE, "seconds since start", collect_uptime, NULL}, 0},
};

static int add_families(struct mt_ctl *c)
{
	const uint32_t n = MT_ARRAY_LEN(rows);

	c->families = calloc(n, sizeof(*c->families));
	c->family_args = calloc(n, sizeof(*c->family_args));
	if (!c->families || !c->family_args)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		c->family_args[i] = (struct mt_ctl_family){c, rows[i].offset};
		c->families[i] = rows[i].family;
		c->families[i].arg = &c->family_args[i];
	}
	return mt_metrics_add_families(c->metrics, c->families, n);
}

/* ---- counters ------------------------------------------------------------------------------- */

static int add_worker(struct mt_metrics *m, struct mt_worker *w)
{
	const struct {
		const struct mt_outcome_set *set;
		const uint64_t *counters;
	} all[] = {
		{&mt_worker_outcomes, mt_worker_stats(w)->counters},
		{&mt_dns_outcomes, mt_worker_names_counters(w)},
		{&mt_net_outcomes, mt_net_counters(mt_worker_net(w))},
		{&mt_tcp_outcomes, mt_tcp_counters(mt_worker_tcp(w))},
		{&mt_proxy_outcomes, mt_proxy_counters(mt_worker_proxy(w))},
		{&mt_upstream_outcomes, mt_proxy_upstream_counters(mt_worker_proxy(w))},
		{&mt_filter_outcomes, mt_proxy_filter_counters(mt_worker_proxy(w))},
		{&mt_buf_outcomes, mt_worker_pools(w)->counters},
	};
	int rc = 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(all) && rc == 0; i++)
		rc = mt_metrics_add(m, all[i].set, all[i].counters);
	return rc;
}

int mt_ctl_metrics_init(struct mt_ctl *c)
{
	int rc = 0;

	c->metrics = mt_metrics_new();
	if (!c->metrics)
		return -ENOMEM;
	for (uint16_t i = 0; i < c->env.n_ports && rc == 0; i++) {
		const struct mt_port *p = c->env.ports[i];

		for (uint16_t w = 0; p->workers && w < p->n_workers && rc == 0; w++)
			rc = mt_metrics_add(c->metrics, &mt_port_outcomes, p->workers[w].counters);
	}
	for (uint16_t w = 0; w < c->env.n_workers && rc == 0; w++)
		rc = add_worker(c->metrics, c->env.workers[w]);
	if (rc == 0 && c->env.dns)
		rc = mt_metrics_add(
			c->metrics, &mt_dns_outcomes, mt_dns_server_counters(c->env.dns));
	return rc ? rc : add_families(c);
}

void mt_ctl_metrics_fini(struct mt_ctl *c)
{
	mt_metrics_free(c->metrics);
	free(c->families);
	free(c->family_args);
}
