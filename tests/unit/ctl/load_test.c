/* SPDX-License-Identifier: Apache-2.0 */
#include "load_scene.h"

#include "mt_callers.h"
#include "mt_ctl_metrics_priv.h"
#include "mt_source.h"
#include "mt_strmap.h"

char *scraped(struct mt_ctl *c)
{
	struct mt_scrape *scrape = mt_scrape_new(c, MT_FORMAT_TEXT);
	struct mt_text_buf all = {0}, slice = {0};
	bool failed, more;

	CU_ASSERT_PTR_NOT_NULL_FATAL(scrape);
	do {
		more = mt_scrape_next(scrape, &(struct mt_sink){.text = &slice}, &failed);
		mt_text_bytes(&all, slice.p ? slice.p : "", slice.len);
		slice.len = 0;
	} while (more);
	mt_scrape_free(scrape);
	mt_text_fini(&slice);
	return all.p;
}

#define DROPPED "meltemi_packets_dropped_total{cause="

static void drops_of_forwarding(const char *out)
{
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out, DROPPED "\"overload\",reason=\"net_forward_full\"} 13\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out, DROPPED "\"overload\",reason=\"l4_fragment_ring_full\"} 15\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, DROPPED "\"overload\",reason=\"l4_table_full\"} 0\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, DROPPED "\"invalid\",reason=\"l4_header_bad\"} 17\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, DROPPED "\"unwanted\",reason=\"l4_too_big\"} 0\n"));
	/* Flows are not packets. */
	CU_ASSERT_PTR_NULL(strstr(out, "reason=\"l4_flows_evicted\""));
	CU_ASSERT_PTR_NULL(strstr(out, "reason=\"l4_policy_denied\""));
}

/* Drops have their cause and reason; what is not a dropped packet is not among them. */
static void drops(void)
{
	static uint64_t tcp[MT_TCP_N_OUTCOMES], net[MT_NET_N_OUTCOMES], port[MT_PORT_N_OUTCOMES],
		worker[MT_WORKER_N_OUTCOMES], proxy[MT_PROXY_N_OUTCOMES], l4[MT_L4_N_OUTCOMES];
	struct mt_ctl *c = test_ctl(NULL);
	char *out;

	tcp[MT_TCP_rx_no_memory] = 3;
	tcp[MT_TCP_paws] = 5;
	net[MT_NET_handoff_full] = 7;
	worker[MT_WORKER_handoff_full] = 9;
	port[MT_PORT_rx_missed] = 11;
	net[MT_NET_forward_full] = 13;
	l4[MT_L4_fragment_ring_full] = 15;
	l4[MT_L4_header_bad] = 17;
	l4[MT_L4_flows_evicted] = 19;
	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_port_outcomes, port), 0);
	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_net_outcomes, net), 0);
	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_tcp_outcomes, tcp), 0);
	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_worker_outcomes, worker), 0);
	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_proxy_outcomes, proxy), 0);
	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_l4_outcomes, l4), 0);
	out = scraped(c);
	drops_of_forwarding(out);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out, DROPPED "\"overload\",reason=\"tcp_rx_no_memory\"} 3\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, DROPPED "\"invalid\",reason=\"tcp_paws\"} 5\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out, DROPPED "\"overload\",reason=\"net_handoff_full\"} 7\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out, DROPPED "\"overload\",reason=\"worker_handoff_full\"} 9\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out, DROPPED "\"unwanted\",reason=\"net_multicast_ignored\"} 0\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, DROPPED "\"overload\",reason=\"port_rx_missed\"} 11\n"));
	/* Errors of a port that drop packets are among them, other errors are not. */
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out, DROPPED "\"overload\",reason=\"port_tx_no_memory\"} 0\n"));
	CU_ASSERT_PTR_NULL(strstr(out, "reason=\"port_tx_linearised\""));
	CU_ASSERT_PTR_NULL(strstr(out, "reason=\"port_rx_no_buffer\""));
	CU_ASSERT_PTR_NULL(strstr(out, "reason=\"tcp_segments_in\""));
	CU_ASSERT_PTR_NULL(strstr(out, "reason=\"worker_reset_at_stop\""));
	CU_ASSERT_PTR_NULL(strstr(out, "reason=\"proxy_malformed\""));
	free(out);
	mt_ctl_destroy(c);
}

void publish_text(struct mt_conf *conf, const char *text)
{
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;
	struct mt_snapshot *s;
	struct mt_err e;

	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t.yaml", text, strlen(text));
	s = mt_conf_compile(conf, m, &diags, MT_SEC);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(mt_conf_publish(conf, s, MT_SEC, NULL, &e), 0);
	mt_diags_fini(&diags);
	mt_model_free(m);
}

/* A configuration with that many endpoints of one service. */
static void publish(struct mt_conf *conf, uint32_t n)
{
	static char text[80000];
	int at;

	at = snprintf(text, sizeof(text),
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"
		"spec:\n  hosts: [a.x]\n  addresses: [240.240.1.1]\n  resolution: STATIC\n"
		"  ports: [{number: 80, name: tcp, protocol: TCP}]\n  endpoints:\n");
	for (uint32_t i = 0; i < n; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at,
			"  - {address: 198.51.%u.%u}\n", i / 250, 1 + i % 250);
	publish_text(conf, text);
}

/* Ages of endpoints without series of their own are not added up. */
static void ages_of_others(void)
{
	static const struct mt_ctl_waiting all = {
		.calls = 1, .oldest = 5 * MT_SEC, .silent = 4 * MT_SEC};
	struct mt_ctl_waiting n[MADE_UP];
	const struct mt_conf_options opts = {.workers = 1};
	struct mt_err e;
	struct mt_conf *conf = mt_conf_create(&opts, &e);
	struct mt_ctl *c;
	char *out;

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	publish(conf, MT_SERIES_ENDPOINTS + 3);
	for (uint32_t i = 0; i < MADE_UP; i++)
		n[i] = all;
	made_up_waiting = n;
	c = test_ctl(&(struct mt_ctl_env){.conf = conf});
	out = scraped(c);
#define OTHER "{cluster=\"other\",endpoint=\"other\"} "
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "meltemi_endpoint_oldest_call_seconds" OTHER "5\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "meltemi_endpoint_silent_seconds" OTHER "4\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "meltemi_series_folded{kind=\"endpoint\"} 3\n"));
	made_up_waiting = NULL;
	free(out);
	mt_ctl_destroy(c);
	mt_conf_destroy(conf);
}

/* ---- Istio's metrics of hosts without series of their own ----------------------------------- */

/* What each port has counted, in place of what workers report; NULL: that. */
const struct mt_service_stats *made_up_stats;

bool __real_mt_ctl_service_stats(
	const struct mt_ctl *c, uint32_t index, uint64_t id, struct mt_service_stats *sum);
bool __wrap_mt_ctl_service_stats(
	const struct mt_ctl *c, uint32_t index, uint64_t id, struct mt_service_stats *sum);
bool __wrap_mt_ctl_service_stats(
	const struct mt_ctl *c, uint32_t index, uint64_t id, struct mt_service_stats *sum)
{
	if (!made_up_stats)
		return __real_mt_ctl_service_stats(c, index, id, sum);
	*sum = *made_up_stats;
	return true;
}

/* Portions of two made-up workers; NULL: workers are real. */
#define WORKERS 2
static struct mt_portion *made_up_portions;
static uint32_t n_portions;

const struct mt_portion *__real_mt_ctl_portions(const struct mt_ctl *c, uint16_t worker);
const struct mt_portion *__wrap_mt_ctl_portions(const struct mt_ctl *c, uint16_t worker);
const struct mt_portion *__wrap_mt_ctl_portions(const struct mt_ctl *c, uint16_t worker)
{
	if (!made_up_portions)
		return __real_mt_ctl_portions(c, worker);
	return worker < WORKERS ? &made_up_portions[worker * (MT_PORTIONS + 1)] : NULL;
}

void begin_portions(void)
{
	made_up_portions = calloc(WORKERS * (MT_PORTIONS + 1), sizeof(*made_up_portions));
	CU_ASSERT_PTR_NOT_NULL_FATAL(made_up_portions);
	n_portions = 0;
}

void end_portions(void)
{
	free(made_up_portions);
	made_up_portions = NULL;
}

/* Readers search all places. */
struct mt_portion *portion_by(uint64_t caller, uint64_t service, uint64_t workload, uint64_t ok)
{
	struct mt_portion *p = &made_up_portions[n_portions++];

	p->key = mt_portion_key(service, workload, caller);
	p->service = service;
	p->workload = workload;
	p->caller = caller;
	p->stats.requests = p->stats.ok = ok;
	p->stats.bytes_out = 100 * ok;
	p->stats.latency_sum_us = 50 * ok;
	p->hist.latency[mt_hist_bucket(50, MT_LATENCY_BITS)] = ok;
	return p;
}

struct mt_portion *portion(uint64_t service, uint64_t workload, uint64_t ok)
{
	return portion_by(0, service, workload, ok);
}

/* A configuration with that many hosts, each with these ports. */
static void publish_hosts(struct mt_conf *conf, uint32_t n, const char *ports)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f,
			"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
			"metadata: {name: s%u}\nspec: {hosts: [s%u.x], addresses: "
			"[240.240.%u.%u], resolution: STATIC, ports: [%s], endpoints: "
			"[{address: 198.51.100.1}]}\n",
			i, i, 1 + i / 250, 1 + i % 250, ports);
	fclose(f);
	publish_text(conf, text);
	free(text);
}

long sum_of(const char *out, const char *family, const char *const *labels)
{
	size_t len = strlen(family);
	long sum = -1;

	for (const char *at = out; *at; at += strcspn(at, "\n") + 1) {
		char line[2048];
		bool all;

		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		all = strncmp(line, family, len) == 0 && line[len] == '{';
		for (uint32_t i = 0; labels[i]; i++)
			all = all && strstr(line, labels[i]);
		if (all)
			sum = (sum < 0 ? 0 : sum) + atol(strrchr(line, ' '));
	}
	return sum;
}

#define OF_OTHER(out, family) SUM(out, family, "destination_service=\"other\"")

/* Each service with messages has a portion with that many good replies. */
static void portions_of_all(const struct mt_conf *conf, uint64_t ok)
{
	const struct mt_snapshot *s = mt_conf_current(conf);

	begin_portions();
	for (uint32_t i = 0; i < s->n_services; i++)
		if (s->services[i]->routes)
			portion(s->services[i]->id, 0, ok);
}

/* Hosts without series of their own have the families of their ports, and no others. */
static void istio_of_others(void)
{
#define BYTES "{number: 80, name: tcp}"
#define CALLS "{number: 81, name: tcp-metaprotocol-dubbo}"
	static const struct {
		const char *ports;
		long connections, calls;
	} rows[] = {{BYTES, 3, -1}, {CALLS, -1, 6}, {BYTES ", " CALLS, 3, 6}};
	static const struct mt_service_stats each = {
		.requests = 2, .ok = 2, .opened = 1, .closed = 1};
	const struct mt_conf_options opts = {.workers = 1};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_err e;
		struct mt_conf *conf = mt_conf_create(&opts, &e);
		struct mt_ctl *c;
		char *out;

		CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
		publish_hosts(conf, MT_SERIES_SERVICES + 3, rows[i].ports);
		c = test_ctl(&(struct mt_ctl_env){.conf = conf});
		made_up_stats = &each;
		portions_of_all(conf, 2);
		out = scraped(c);
		made_up_stats = NULL;
		CU_ASSERT_EQUAL(
			OF_OTHER(out, "istio_tcp_connections_opened_total"), rows[i].connections);
		CU_ASSERT_EQUAL(OF_OTHER(out, "istio_requests_total"), rows[i].calls);
		CU_ASSERT_PTR_NOT_NULL(strstr(out, "meltemi_series_folded{kind=\"service\"} 3\n"));
		CU_ASSERT_PTR_NOT_NULL(strstr(
			out, rows[i].calls < 0 ? "meltemi_series_folded{kind=\"workload\"} 0\n"
					       : "meltemi_series_folded{kind=\"workload\"} 3\n"));
		end_portions();
		free(out);
		mt_ctl_destroy(c);
		mt_conf_destroy(conf);
	}
}

/* ---- Istio's metrics by workload ------------------------------------------------------------ */

static const char canary[] =
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec: "
	"{hosts: [a.x], addresses: [240.240.1.1], location: MESH_INTERNAL, resolution: STATIC, "
	"ports: [{number: 80, name: tcp-metaprotocol-dubbo}, {number: 81, name: "
	"tcp-metaprotocol-thrift}, {number: 82, name: tcp}], endpoints: [{address: 198.51.100.1, "
	"labels: {version: v1}}, {address: 198.51.100.2, labels: {version: v2}}]}\n";

#define CALLS_OF(version) "destination_version=\"" version "\"", "reporter=\"source\""

uint64_t service_of(const struct mt_conf *conf, const char *protocol)
{
	const struct mt_snapshot *s = mt_conf_current(conf);

	for (uint32_t i = 0; i < s->n_services; i++) {
		const struct mt_route_table *t = s->services[i]->routes;

		if (t && strcmp(mt_route_codec(t)->name, protocol) == 0)
			return s->services[i]->id;
	}
	CU_FAIL_FATAL("no such service");
	return 0;
}

bool each_sample_once(const char *out)
{
	const char *at = out;
	bool once = true;

	for (; *at; at += strcspn(at, "\n") + 1) {
		int len = (int)strcspn(at, "\n");
		char name[2048];

		if (*at == '#')
			continue;
		while (len > 0 && at[len - 1] != ' ')
			len--;
		snprintf(name, sizeof(name), "\n%.*s", len, at);
		once &= !strstr(at + 1, name);
	}
	return once;
}

/*
 * Calls have the labels of the workload where they ended, those of two ports together. Calls of a
 * service or workload that the configuration does not have are nobody's.
 */
static void istio_of_workloads(void)
{
	const struct mt_conf_options opts = {.workers = 1};
	struct mt_err e;
	struct mt_conf *conf = mt_conf_create(&opts, &e);
	const struct mt_workloads *w;
	uint64_t dubbo, thrift;
	struct mt_ctl *c;
	char *out;

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	publish_text(conf, canary);
	dubbo = service_of(conf, "dubbo");
	thrift = service_of(conf, "thrift");
	w = mt_conf_current(conf)->clusters[0].workloads;
	CU_ASSERT_FATAL(w && w->n == 3);
	begin_portions();
	portion(dubbo, w->ids[1], 3);
	portion(dubbo, w->ids[2], 5);
	portion(thrift, w->ids[2], 7);
	portion(dubbo, 0, 0)->stats.requests = 11;
	made_up_portions[n_portions - 1].stats.local[MT_ENDING_no_endpoint] = 11;
	portion(dubbo, w->ids[1] + 2, 13);
	portion(dubbo + thrift, w->ids[1], 17);
	made_up_portions[MT_PORTIONS].stats.requests = made_up_portions[MT_PORTIONS].stats.ok = 19;
	c = test_ctl(&(struct mt_ctl_env){.conf = conf});
	out = scraped(c);
	CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", CALLS_OF("v1")), 3);
	CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", CALLS_OF("v2")), 12);
	/* The host has several protocols, whichever of them the workload's calls had. */
	CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", "protocol=\"dubbo\""), -1);
	CU_ASSERT_EQUAL(
		SUM(out, "istio_requests_total", CALLS_OF("v1"), "protocol=\"unknown\""), 3);
	CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", CALLS_OF("unknown"),
				"response_flags=\"UH\"", "service=\"a.x\""),
		11);
	CU_ASSERT_EQUAL(OF_OTHER(out, "istio_requests_total"), 19);
	CU_ASSERT_EQUAL(SUM(out, "istio_request_duration_milliseconds_count", CALLS_OF("v2")), 12);
	CU_ASSERT_EQUAL(SUM(out, "istio_response_bytes_sum", CALLS_OF("v1")), 300);
	/* As both reporters. */
	CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", "service=\"a.x\""), 2 * (3 + 12 + 11));
	CU_ASSERT_TRUE(each_sample_once(out));
	free(out);
	end_portions();
	mt_ctl_destroy(c);
	mt_conf_destroy(conf);
}

/*
 * All calls of an inbound service are this node's. If its host has another port, they are in the
 * series of unknown workloads, and never in a second one of a workload.
 */
static void istio_of_inbound(void)
{
	const struct mt_conf_options opts = {.workers = 1};
	struct mt_err e;
	struct mt_conf *conf = mt_conf_create(&opts, &e);
	const struct mt_snapshot *s;
	const struct mt_workloads *w;
	struct mt_ctl *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	publish_text(conf, canary);
	s = mt_conf_current(conf);
	w = s->clusters[0].workloads;
	c = test_ctl(&(struct mt_ctl_env){.conf = conf});
	begin_portions();
	portion(service_of(conf, "thrift"), w->ids[1], 7);
	portion(service_of(conf, "dubbo"), w->ids[1], 3);
	portion(service_of(conf, "dubbo"), 0, 2);
	for (uint32_t inbound = 1; inbound <= 2; inbound++) {
		char *out;

		for (uint32_t i = 0; i < s->n_services; i++)
			s->services[i]->inbound =
				inbound == 2 || s->services[i]->id == service_of(conf, "thrift");
		out = scraped(c);
		CU_ASSERT_TRUE(each_sample_once(out));
		CU_ASSERT_EQUAL(
			SUM(out, "istio_requests_total", CALLS_OF("v1")), inbound == 1 ? 3 : -1);
		CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", CALLS_OF("unknown")),
			inbound == 1 ? 9 : -1);
		CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", "reporter=\"destination\""), 12);
		free(out);
	}
	end_portions();
	mt_ctl_destroy(c);
	mt_conf_destroy(conf);
}

uint64_t caller_at(const struct mt_conf *conf, const char *address)
{
	struct mt_addr a;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(address, &a), 0);
	return mt_caller_find(mt_conf_current(conf)->callers, mt_caller_address(&a)).id;
}

/*
 * Calls have the labels of the client's workload; those of others are this node's, or unknown at an
 * inbound port. Calls of a caller that the configuration does not have are nobody's.
 */
static void istio_of_callers(void)
{
	static const char client[] =
		"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: c, "
		"namespace: web}\nspec: {address: 192.0.2.7, labels: {version: v7}}\n";
	const struct mt_conf_options opts = {.workers = 1};
	struct mt_err e;
	struct mt_conf *conf = mt_conf_create(&opts, &e);
	const struct mt_snapshot *s;
	uint64_t by, dubbo, v1;
	char text[2048], *out;
	struct mt_ctl *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	snprintf(text, sizeof(text), "%s%s", canary, client);
	publish_text(conf, text);
	s = mt_conf_current(conf);
	v1 = s->clusters[0].workloads->ids[1];
	dubbo = service_of(conf, "dubbo");
	by = caller_at(conf, "192.0.2.7");
	CU_ASSERT_NOT_EQUAL(by, 0);
	c = test_ctl(&(struct mt_ctl_env){.conf = conf, .self = {.workload = "gate"}});
	begin_portions();
	portion_by(by, dubbo, v1, 3);
	portion_by(by, dubbo, 0, 4);
	portion_by(0, dubbo, v1, 5);
	portion_by(by + 2, dubbo, v1, 7);
	for (int inbound = 0; inbound < 2; inbound++) {
		for (uint32_t i = 0; i < s->n_services; i++)
			s->services[i]->inbound = inbound;
		out = scraped(c);
		CU_ASSERT_TRUE(each_sample_once(out));
		CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", "reporter=\"destination\"",
					"source_workload=\"c\"", "source_version=\"v7\""),
			3 + 4);
		CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", "reporter=\"destination\"",
					inbound ? "source_workload=\"unknown\""
						: "source_workload=\"gate\""),
			5);
		CU_ASSERT_EQUAL(
			SUM(out, "istio_requests_total", "reporter=\"destination\""), 3 + 4 + 5);
		CU_ASSERT_EQUAL(
			SUM(out, "istio_requests_total", CALLS_OF("v1"), "source_workload=\"c\""),
			inbound ? -1 : 3);
		free(out);
	}
	end_portions();
	mt_ctl_destroy(c);
	mt_conf_destroy(conf);
}

#define DESK                                                                                       \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: desk, "     \
	"namespace: web}\nspec: {hosts: [desk.x], location: MESH_INTERNAL, resolution: STATIC, "   \
	"ports: [{number: 80, name: tcp}], endpoints: [{address: 192.0.2.8, serviceAccount: x}, "  \
	"{address: 192.0.2.9, serviceAccount: y}]}\n"
#define NEARBY		 "reporter=\"destination\""
#define OF_ACCOUNT(name) "source_principal=\"spiffe://cluster.local/ns/web/sa/" name "\""
#define IN_CLEAR	 "connection_security_policy=\"none\""
#define MUTUAL		 "connection_security_policy=\"mutual_tls\""

/*
 * Calls with a certificate are apart from those of the same workload in clear text, in which
 * service accounts make no difference: no two series look the same.
 */
static void istio_of_certificates(void)
{
	static const char client[] =
		"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: c, "
		"namespace: web}\nspec: {address: 192.0.2.7, serviceAccount: c}\n" DESK;
	const struct mt_conf_options opts = {.workers = 1};
	struct mt_err e;
	struct mt_conf *conf = mt_conf_create(&opts, &e);
	const struct mt_snapshot *s;
	uint64_t by[3], dubbo, v1;
	char text[4096], *out;
	struct mt_ctl *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	snprintf(text, sizeof(text), "%s%s", canary, client);
	publish_text(conf, text);
	s = mt_conf_current(conf);
	v1 = s->clusters[0].workloads->ids[1];
	dubbo = service_of(conf, "dubbo");
	by[0] = caller_at(conf, "192.0.2.7");
	by[1] = caller_at(conf, "192.0.2.8");
	by[2] = caller_at(conf, "192.0.2.9");
	CU_ASSERT_NOT_EQUAL(by[1], by[2]);
	c = test_ctl(&(struct mt_ctl_env){.conf = conf, .self = {.workload = "gate"}});
	begin_portions();
	for (uint64_t i = 0; i < 3; i++) {
		portion_by(by[i], dubbo, v1, i + 1);
		portion_by(by[i] & ~(uint64_t)MT_CALLER_CLEAR, dubbo, v1, 10 * (i + 1));
	}
	portion_by(MT_CALLER_NOBODY, dubbo, v1, 100);
	portion_by(0, dubbo, v1, 200);
	for (int inbound = 0; inbound < 2; inbound++) {
		for (uint32_t i = 0; i < s->n_services; i++)
			s->services[i]->inbound = inbound;
		out = scraped(c);
		CU_ASSERT_TRUE(each_sample_once(out));
		CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", NEARBY), 366);
		CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", NEARBY, IN_CLEAR), 206);
		CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", NEARBY, IN_CLEAR, "\"desk\""), 5);
		CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", MUTUAL, OF_ACCOUNT("c")), 10);
		CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", MUTUAL, OF_ACCOUNT("x")), 20);
		CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", MUTUAL, OF_ACCOUNT("y")), 30);
		CU_ASSERT_EQUAL(
			SUM(out, "istio_requests_total", MUTUAL, "source_workload=\"unknown\""),
			100);
		free(out);
	}
	end_portions();
	mt_ctl_destroy(c);
	mt_conf_destroy(conf);
}

/* The Node says how many workloads have series of their own. */
static void istio_of_few(void)
{
	const struct mt_conf_options opts = {.workers = 1};
	struct mt_err e;
	struct mt_conf *conf = mt_conf_create(&opts, &e);
	const struct mt_workloads *w;
	struct mt_ctl *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	publish_text(conf, canary);
	w = mt_conf_current(conf)->clusters[0].workloads;
	begin_portions();
	portion(service_of(conf, "dubbo"), w->ids[1], 3);
	portion(service_of(conf, "dubbo"), w->ids[2], 5);
	portion(service_of(conf, "dubbo"), 0, 7);
	for (uint32_t n = 1; n <= 3; n++) {
		char *out, folded[64];

		c = test_ctl(&(struct mt_ctl_env){.conf = conf, .workload_series = n});
		out = scraped(c);
		snprintf(folded, sizeof(folded), "meltemi_series_folded{kind=\"workload\"} %u\n",
			3 - n);
		CU_ASSERT_PTR_NOT_NULL(strstr(out, folded));
		CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", "reporter=\"source\""), 15);
		CU_ASSERT_EQUAL(OF_OTHER(out, "istio_requests_total") > 0, n < 3);
		free(out);
		mt_ctl_destroy(c);
	}
	end_portions();
	mt_conf_destroy(conf);
}

/* More good replies of a portion. */
static void more(struct mt_portion *p, uint64_t ok)
{
	p->stats.requests += ok;
	p->stats.ok += ok;
	p->hist.latency[mt_hist_bucket(50, MT_LATENCY_BITS)] += ok;
}

/*
 * One of two workers loses the portion of a workload to another one, and has it again later. The
 * series of the workload keep their values meanwhile.
 */
static void istio_of_taken_over(void)
{
	static const struct {
		uint64_t first, second; /* replies of the workers' portions until this scrape */
		long want;
	} rounds[] = {{100, 50, 150}, {110, 50, 160}, {112, 0, 160}, {117, 0, 165}, {117, 3, 168}};
	const struct mt_conf_options opts = {.workers = 1};
	struct mt_err e;
	struct mt_conf *conf = mt_conf_create(&opts, &e);
	const struct mt_workloads *w;
	struct mt_portion *first, *second;
	struct mt_ctl *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	publish_text(conf, canary);
	w = mt_conf_current(conf)->clusters[0].workloads;
	begin_portions();
	first = portion(service_of(conf, "dubbo"), w->ids[1], 0);
	second = &made_up_portions[MT_PORTIONS + 1];
	c = test_ctl(&(struct mt_ctl_env){.conf = conf});
	for (size_t i = 0; i < MT_ARRAY_LEN(rounds); i++) {
		char *out;

		more(first, rounds[i].first - first->stats.requests);
		if (rounds[i].second < second->stats.requests)
			memset(second, 0, sizeof(*second));
		else if (!second->key)
			second->key = rounds[i].second ? first->key : 0;
		second->service = first->service;
		second->workload = first->workload;
		more(second, rounds[i].second - second->stats.requests);
		out = scraped(c);
		CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", CALLS_OF("v1")), rounds[i].want);
		CU_ASSERT_EQUAL(
			SUM(out, "istio_request_duration_milliseconds_count", CALLS_OF("v1")),
			rounds[i].want);
		free(out);
	}
	end_portions();
	mt_ctl_destroy(c);
	mt_conf_destroy(conf);
}

/* Values of labels may hold what ends a value, or a line. */
static void istio_of_hostile(void)
{
	static const char text[] =
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"
		"spec: {hosts: [a.x], addresses: [240.240.1.1], location: MESH_INTERNAL, "
		"resolution: STATIC, ports: [{number: 80, name: tcp-metaprotocol-dubbo}], "
		"endpoints: [{address: 198.51.100.1, labels: {version: \"a\\\"} 1\\n\\\\\"}}, "
		"{address: 198.51.100.2, labels: {version: \"a\\t\\e\"}}]}\n";
	const struct mt_conf_options opts = {.workers = 1};
	struct mt_err e;
	struct mt_conf *conf = mt_conf_create(&opts, &e);
	const struct mt_workloads *w;
	struct mt_ctl *c;
	char *out;

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	publish_text(conf, text);
	w = mt_conf_current(conf)->clusters[0].workloads;
	CU_ASSERT_FATAL(w && w->n == 3);
	begin_portions();
	portion(service_of(conf, "dubbo"), w->ids[1], 3);
	portion(service_of(conf, "dubbo"), w->ids[2], 5);
	c = test_ctl(&(struct mt_ctl_env){.conf = conf});
	out = scraped(c);
	CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", CALLS_OF("a\\\"} 1\\n\\\\")), 3);
	CU_ASSERT_EQUAL(SUM(out, "istio_requests_total", CALLS_OF("a\t\x1b")), 5);
	CU_ASSERT_TRUE(each_sample_once(out));
	free(out);
	end_portions();
	mt_ctl_destroy(c);
	mt_conf_destroy(conf);
}

#define REFUSED "meltemi_rate_limit_refused_total{service=\"a.x:80\",kind="

/* Refusals by rule, of buckets and of global limits. */
static void refusals(void)
{
	const struct mt_conf_options opts = {.workers = 1};
	struct mt_limit_def def = {
		.service = "a.x:80", .has_bucket = true, .numbers = {1, 1, MT_SEC}};
	struct mt_filter_worker fw;
	struct mt_filter_ctx ctx = {.now = MT_SEC, .fw = &fw};
	struct mt_filter_inst f = {.type = mt_filter_find("local_ratelimit")};
	struct mt_err e;
	struct mt_conf *conf = mt_conf_create(&opts, &e);
	struct mt_tally *t;
	struct mt_ctl *c;
	char err[128], *out;

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	publish(conf, 1);
	mt_filter_worker_init(&fw, 0);
	f.conf = mt_limit_compile(
		mt_conf_limits(conf), mt_codec_find("dubbo"), &def, MT_SEC, err, sizeof(err));
	t = mt_tally_hold(mt_conf_tallies(conf), "a.x:80", "shop: \"user\"");
	CU_ASSERT_FATAL(f.conf && t);
	mt_limit_commit(mt_conf_limits(conf), MT_SEC);
	for (int i = 0; i < 3; i++)
		(void)f.type->on_request(&f, NULL, &ctx);
	mt_tally_refused(t, 0);
	c = test_ctl(&(struct mt_ctl_env){.conf = conf});
	out = scraped(c);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, REFUSED "\"local\",rule=\"*\"} 2\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, REFUSED "\"global\",rule=\"shop: \\\"user\\\"\"} 1\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "meltemi_series_folded{kind=\"limit\"} 0\n"));
	free(out);
	mt_ctl_destroy(c);
	f.type->free_conf(f.conf);
	mt_tally_drop(t);
	mt_conf_destroy(conf);
}

/* Where a search in a table of 4,096 places begins. */
static uint32_t place_of(uint64_t hash)
{
	return (uint32_t)(hash ^ hash >> 32) & 4095;
}

/* Services whose names an author chose for a hash without a key do not share a place in the fold. */
static void chosen_names(void)
{
	uint32_t n_same = 0, tried = 0;
	char name[16];

	for (uint32_t n = 0; n < 64; n++) {
		do
			snprintf(name, sizeof(name), "s%u.x", tried++);
		while (place_of(mt_hash_bytes(name, strlen(name) + 1, 1)) != 7);
		n_same += place_of(mt_series_identity((const char *[MT_SERIES_LABELS]){name})) == 7;
	}
	CU_ASSERT(n_same < 8);
	/* Where one label ends makes a difference. */
	CU_ASSERT_NOT_EQUAL(mt_series_identity((const char *[MT_SERIES_LABELS]){"ab", "c"}),
		mt_series_identity((const char *[MT_SERIES_LABELS]){"a", "bc"}));
}

const struct mt_test load_tests[] = {
	{"drops", drops},
	{"ages of endpoints without series of their own", ages_of_others},
	{"Istio's metrics of hosts without series of their own", istio_of_others},
	{"Istio's metrics by workload", istio_of_workloads},
	{"Istio's metrics of an inbound port", istio_of_inbound},
	{"Istio's metrics by caller", istio_of_callers},
	{"Istio's metrics by certificate", istio_of_certificates},
	{"Istio's metrics of few workloads", istio_of_few},
	{"Istio's metrics of a portion that is taken over", istio_of_taken_over},
	{"Istio's metrics of hostile labels", istio_of_hostile},
	{"refusals by rule", refusals},
	{"names chosen for their hash", chosen_names},
	{0},
};
