/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Istio's metrics with labels that Telemetry's tagOverrides change. Service a has two workloads, b
 * one; both have ports of calls and of opaque TCP. Without a sidecar both reporters have them.
 */
#include "load_scene.h"

#include "mt_ctl_metrics_priv.h"
#include "mt_ending.h"

#include <string.h>

#define SERVICE(name, ip, endpoints)                                                               \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name      \
	", namespace: " name "}\nspec: {hosts: [" name ".x], addresses: [" ip                      \
	"], location: MESH_INTERNAL, "                                                             \
	"resolution: STATIC, ports: [{number: 80, name: tcp-metaprotocol-dubbo}, {number: 82, "    \
	"name: tcp}], endpoints: [" endpoints "]}\n"
#define ENDPOINT(address, version) "{address: " address ", labels: {version: " version "}}"
#define V1			   ENDPOINT("198.51.100.1", "v1")
#define V2			   ENDPOINT("198.51.100.2", "v2")
#define B			   SERVICE("b", "240.240.1.2", ENDPOINT("198.51.100.3", "v3"))
#define CLIENT                                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: c, "       \
	"namespace: web}\nspec: {address: 192.0.2.7, labels: {version: v7}}\n"
#define TELEMETRY(namespace, overrides)                                                            \
	"---\napiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: t, "            \
	"namespace: " namespace "}\nspec: {metrics: [{overrides: [" overrides "]}]}\n"
#define ALL(tags)	 TELEMETRY("istio-system", "{tagOverrides: {" tags "}}")
#define OF(match, tags)	 TELEMETRY("istio-system", "{match: {" match "}, tagOverrides: {" tags "}}")
#define REMOVE(name)	 name ": {operation: REMOVE}"
#define SET(name, value) name ": {value: \"" value "\"}"
#define VERSIONS	 REMOVE("destination_version") ", " REMOVE("destination_canonical_revision")

#define SOURCE	    "reporter=\"source\""
#define DESTINATION "reporter=\"destination\""
#define GOOD	    "response_code=\"0\""
#define TO_A	    "destination_service=\"a.x\""
#define TO_B	    "destination_service=\"b.x\""
#define TOTAL	    "istio_requests_total"
#define TIMES	    "istio_request_duration_milliseconds"

struct scene {
	struct mt_conf *conf;
	struct mt_ctl *c;
	char *out;
};

static uint64_t service_at(const struct scene *s, const char *host)
{
	const struct mt_snapshot *snap = mt_conf_current(s->conf);

	for (uint32_t i = 0; i < snap->n_services; i++)
		if (snap->services[i]->routes && strcmp(snap->services[i]->name, host) == 0)
			return snap->services[i]->id;
	CU_FAIL_FATAL("no such service");
	return 0;
}

static uint64_t workload(const struct scene *s, const char *version)
{
	const struct mt_snapshot *snap = mt_conf_current(s->conf);

	for (uint32_t i = 0; i < snap->n_clusters; i++) {
		const struct mt_workloads *w = snap->clusters[i].workloads;

		for (uint32_t k = 1; w && k < w->n; k++)
			if (w->peers[k].label[MT_PEER_VERSION] &&
				strcmp(w->peers[k].label[MT_PEER_VERSION], version) == 0)
				return w->ids[k];
	}
	CU_FAIL_FATAL("no such workload");
	return 0;
}

static void configure(struct scene *s, const char *endpoints, const char *more)
{
	char text[8192];

	snprintf(text, sizeof(text), SERVICE("a", "240.240.1.1", "%s") B CLIENT "%s", endpoints,
		more);
	publish_text(s->conf, text);
}

/* a: 3 good replies and 2 errors of v1, 5 good ones of v2, 11 calls without an endpoint. b: 7. */
static struct scene begin(const char *more)
{
	static const struct mt_ctl_env env = {.self = {.workload = "gate", .ns = "infra"}};
	const struct mt_conf_options opts = {.workers = 1};
	struct mt_err e;
	struct scene s = {.conf = mt_conf_create(&opts, &e)};
	static struct mt_ctl_env with;
	struct mt_portion *p;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s.conf);
	configure(&s, V1 ", " V2, more);
	begin_portions();
	p = portion(service_at(&s, "a.x"), workload(&s, "v1"), 3);
	p->stats.requests += 2;
	p->stats.app_error = 2;
	portion(service_at(&s, "a.x"), workload(&s, "v2"), 5);
	p = portion(service_at(&s, "a.x"), 0, 0);
	p->stats.requests = p->stats.local[MT_ENDING_no_endpoint] = 11;
	portion(service_at(&s, "b.x"), workload(&s, "v3"), 7);
	with = env;
	with.conf = s.conf;
	s.c = test_ctl(&with);
	return s;
}

static void scrape(struct scene *s)
{
	free(s->out);
	s->out = scraped(s->c);
	CU_ASSERT_TRUE(each_sample_once(s->out));
}

static void end(struct scene *s)
{
	free(s->out);
	end_portions();
	mt_ctl_destroy(s->c);
	mt_conf_destroy(s->conf);
}

/* The number of series of a family that have all these labels. */
static uint32_t count(const char *out, const char *family, const char *const *labels)
{
	size_t len = strlen(family);
	uint32_t n = 0;

	for (const char *at = out; *at; at += strcspn(at, "\n") + 1) {
		char line[2048];
		bool all;

		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		all = strncmp(line, family, len) == 0 && line[len] == '{';
		for (uint32_t i = 0; labels[i]; i++)
			all = all && strstr(line, labels[i]);
		n += all;
	}
	return n;
}

#define COUNT(out, family, ...) count(out, family, (const char *const[]){__VA_ARGS__, NULL})

/* Series that differ in removed labels alone are one, of each metric; others stay. */
static void removed(void)
{
	struct scene s = begin(OF("mode: CLIENT", VERSIONS));

	scrape(&s);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, TO_A, GOOD, "workload=\"a\""), 8);
	CU_ASSERT_EQUAL(COUNT(s.out, TOTAL, SOURCE, TO_A, GOOD, "workload=\"a\""), 1);
	CU_ASSERT_EQUAL(COUNT(s.out, TOTAL, SOURCE, "destination_version"), 0);
	CU_ASSERT_EQUAL(COUNT(s.out, TOTAL, SOURCE, "source_version"),
		COUNT(s.out, TOTAL, SOURCE, "source_workload=\"gate\""));
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, TO_A, "code=\"1\",response_flags=\"-\""), 2);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, TO_A, "response_flags=\"UH\""), 11);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, TO_A), 3 + 2 + 5 + 11);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, TO_B), 7);
	CU_ASSERT_EQUAL(SUM(s.out, TIMES "_count", SOURCE, TO_A, "workload=\"a\""), 8);
	CU_ASSERT_EQUAL(COUNT(s.out, TIMES "_count", SOURCE, TO_A, "workload=\"a\""), 1);
	CU_ASSERT_EQUAL(
		SUM(s.out, TIMES "_bucket", SOURCE, TO_A, "workload=\"a\"", "le=\"0.064\""), 8);
	CU_ASSERT_EQUAL(
		SUM(s.out, TIMES "_bucket", SOURCE, TO_A, "workload=\"a\"", "le=\"0.032\""), 0);
	CU_ASSERT_EQUAL(
		SUM(s.out, "istio_response_bytes_sum", SOURCE, TO_A, "workload=\"a\""), 800);
	/* The other reporter has all labels. */
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, DESTINATION, "destination_version=\"v1\"", GOOD), 3);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, DESTINATION, "destination_version=\"v2\"", GOOD), 5);
	CU_ASSERT_EQUAL(SUM(s.out, TIMES "_count", DESTINATION, "destination_version=\"v2\""), 5);
	CU_ASSERT_PTR_NOT_NULL(strstr(s.out, "# TYPE " TOTAL " counter\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(s.out, "# TYPE " TIMES " histogram\n"));
	end(&s);
}

/* Only the metric that is named. */
static void of_one_metric(void)
{
	struct scene s = begin(OF("metric: REQUEST_DURATION", VERSIONS));

	scrape(&s);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, "destination_version=\"v2\"", GOOD), 5);
	CU_ASSERT_EQUAL(COUNT(s.out, TIMES "_count", "destination_version"), 0);
	CU_ASSERT_EQUAL(SUM(s.out, TIMES "_count", DESTINATION, TO_A), 8);
	end(&s);
}

/* Values of labels that exist, of new ones, and of the workloads of a series. */
static void values(void)
{
	struct scene s = begin(ALL(SET("team", "'pay'") ", " SET("destination_version",
		"'of ' + filter_state.upstream_peer.version") ", " SET("area",
		"upstream_peer.version == 'v1' ? 1 : 2") ", " SET("big",
		"upstream_peer.version != 'v1'") ", " SET("from", "downstream_peer.namespace")));

	portion_by(caller_at(s.conf, "192.0.2.7"), service_at(&s, "a.x"), workload(&s, "v1"), 20);
	scrape(&s);
	CU_ASSERT_EQUAL(COUNT(s.out, TOTAL, TO_A), COUNT(s.out, TOTAL, TO_A, "team=\"pay\""));
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, "destination_version=\"of v2\""), 5);
	CU_ASSERT_EQUAL(
		SUM(s.out, TOTAL, SOURCE, TO_A, "area=\"2\",big=\"true\",from=\"infra\""), 5);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, "area=\"1\",big=\"false\",from=\"web\""), 20);
	CU_ASSERT_EQUAL(
		SUM(s.out, TOTAL, SOURCE, GOOD, "area=\"1\",big=\"false\",from=\"infra\""), 3);
	/* Without an endpoint no workload is known. */
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, "response_flags=\"UH\"", "area=\"unknown\"",
				"destination_version=\"unknown\"", "team=\"pay\""),
		11);
	CU_ASSERT_EQUAL(
		SUM(s.out, TIMES "_count", SOURCE, "destination_version=\"of v2\"", "team=\"pay\""),
		5);
	end(&s);
}

/* The labels of replies: removed, and with one value for all. */
static void responses(void)
{
	struct scene s = begin(ALL(REMOVE("response_code")));

	scrape(&s);
	CU_ASSERT_EQUAL(COUNT(s.out, TOTAL, "response_code"), 0);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, "version=\"v1\"", "response_flags=\"-\""), 5);
	CU_ASSERT_EQUAL(COUNT(s.out, TOTAL, SOURCE, "version=\"v1\""), 1);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, TO_A, "response_flags=\"UH\""), 11);
	end(&s);
	s = begin(ALL(SET("response_code", "'any'") ", " REMOVE("response_flags")));
	scrape(&s);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, "version=\"v1\"", "response_code=\"any\""), 5);
	CU_ASSERT_EQUAL(COUNT(s.out, TOTAL, "response_flags"), 0);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, TO_A), 3 + 2 + 5 + 11);
	/* A metric without a label gets it. */
	CU_ASSERT_EQUAL(
		SUM(s.out, TIMES "_count", SOURCE, "version=\"v1\"", "response_code=\"any\""), 3);
	end(&s);
}

/* Series of a service that changes nothing are merged with those that get its labels. */
static void of_another(void)
{
	struct scene s = begin(TELEMETRY("b",
		"{tagOverrides: {" SET("destination_workload", "'a'") ", " SET(
			"destination_workload_namespace", "'a'") ", " SET("destination_version",
			"'v1'") ", " SET("destination_canonical_service",
			"'a'") ", " SET("destination_canonical_revision",
			"'v1'") ", " SET("destination_service",
			"'a.x'") ", " SET("destination_service_name",
			"'a.x'") ", " SET("destination_service_namespace",
			"'a'") ", " SET("grpc_response_status", "''") "}}"));

	scrape(&s);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, "version=\"v1\"", GOOD), 3 + 7);
	CU_ASSERT_EQUAL(COUNT(s.out, TOTAL, SOURCE, "version=\"v1\"", GOOD), 1);
	CU_ASSERT_EQUAL(SUM(s.out, TIMES "_count", SOURCE, "version=\"v1\""), 3 + 7);
	CU_ASSERT_EQUAL(COUNT(s.out, TOTAL, TO_B), 0);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, "version=\"v2\"", GOOD), 5);
	end(&s);
}

/* Metrics that are off stay off, and other services have theirs. */
static void turned_off(void)
{
	struct scene s = begin(OF("metric: REQUEST_COUNT, mode: CLIENT",
		VERSIONS) "---\n"
			  "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: t, "
			  "namespace: a}\nspec: {metrics: [{overrides: [{match: {metric: "
			  "REQUEST_COUNT}, "
			  "disabled: true}]}]}\n");

	scrape(&s);
	CU_ASSERT_EQUAL(COUNT(s.out, TOTAL, TO_A), 0);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, TO_B), 7);
	CU_ASSERT_EQUAL(SUM(s.out, TIMES "_count", SOURCE, TO_A), 8);
	end(&s);
}

/* Opaque TCP: bytes and connections of two services. */
static void opaque(void)
{
	static const struct mt_service_stats each = {.requests = 4,
		.ok = 2,
		.opened = 3,
		.closed = 2,
		.bytes_in = 10,
		.bytes_out = 100,
		.local = {[MT_ENDING_no_endpoint] = 1}};
	struct scene s = begin(OF("mode: CLIENT",
		REMOVE("destination_workload") ", " REMOVE(
			"destination_workload_"
			"namespace") ", " REMOVE("destination_canonical_service") ", " REMOVE("dest"
											      "inat"
											      "ion_"
											      "serv"
											      "ice_"
											      "nam"
											      "e") ", " REMOVE("d"
													       "e"
													       "s"
													       "t"
													       "i"
													       "n"
													       "a"
													       "t"
													       "i"
													       "o"
													       "n"
													       "_"
													       "s"
													       "e"
													       "r"
													       "v"
													       "i"
													       "c"
													       "e"
													       "_"
													       "n"
													       "a"
													       "m"
													       "e"
													       "s"
													       "p"
													       "a"
													       "c"
													       "e") ", " VERSIONS ", " SET("destination_service",
			"'all'")));

	made_up_stats = &each;
	scrape(&s);
	made_up_stats = NULL;
#define ONE SOURCE, "destination_service=\"all\"", "request_protocol=\"tcp\""
	CU_ASSERT_EQUAL(SUM(s.out, "istio_tcp_received_bytes_total", ONE), 20);
	CU_ASSERT_EQUAL(COUNT(s.out, "istio_tcp_received_bytes_total", SOURCE), 1);
	CU_ASSERT_EQUAL(SUM(s.out, "istio_tcp_sent_bytes_total", ONE), 200);
	CU_ASSERT_EQUAL(SUM(s.out, "istio_tcp_connections_opened_total", ONE, "flags=\"-\""), 6);
	CU_ASSERT_EQUAL(SUM(s.out, "istio_tcp_connections_closed_total", ONE, "flags=\"-\""), 4);
	CU_ASSERT_EQUAL(SUM(s.out, "istio_tcp_connections_opened_total", ONE, "flags=\"UH\""), 2);
	CU_ASSERT_EQUAL(SUM(s.out, "istio_tcp_received_bytes_total", DESTINATION, TO_A), 10);
	end(&s);
}

/* A workload that goes takes nothing from a sum, and adds nothing when it returns. */
static void gone(void)
{
	static const char removing[] = ALL(VERSIONS);
	struct scene s = begin(removing);

	scrape(&s);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, TO_A, GOOD, "workload=\"a\""), 8);
	configure(&s, V1, removing);
	for (int i = 0; i < 40; i++)
		scrape(&s);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, TO_A, GOOD, "workload=\"a\""), 8);
	CU_ASSERT_EQUAL(SUM(s.out, TIMES "_count", SOURCE, TO_A, "workload=\"a\""), 8);
	CU_ASSERT_EQUAL(COUNT(s.out, TOTAL, SOURCE, TO_A, GOOD, "workload=\"a\""), 1);
	configure(&s, V1 ", " V2, removing);
	scrape(&s);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, TO_A, GOOD, "workload=\"a\""), 8);
	CU_ASSERT_EQUAL(SUM(s.out, TIMES "_count", SOURCE, TO_A, "workload=\"a\""), 8);
	/* Without the change each workload has its own calls again. */
	configure(&s, V1 ", " V2, "");
	scrape(&s);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, "version=\"v1\"", GOOD), 3);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, "version=\"v2\"", GOOD), 5);
	end(&s);
}

/* Values are escaped, and end after 256 bytes, before a character that has no room. */
static void hostile(void)
{
	struct scene s = begin(ALL(SET("quoted", "'\\\"} 1\\\\n\\\\\\\\'")));
	char text[2048], want[512];

	scrape(&s);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, GOOD, "v2\"", "quoted=\"\\\"} 1\\n\\\\\""), 5);
	end(&s);
	snprintf(text, sizeof(text),
		ALL("%s: {value: \"'%0255d\u00e4'\"}, %s: {value: \"'%0254d\u00e4'\"}"), "cut", 0,
		"whole", 0);
	s = begin(text);
	scrape(&s);
	snprintf(want, sizeof(want), "cut=\"%0255d\"", 0);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, GOOD, "v2\"", want), 5);
	snprintf(want, sizeof(want), "whole=\"%0254d\u00e4\"", 0);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE, GOOD, "v2\"", want), 5);
	end(&s);
}

/* Calls without series of their own keep their labels; a scrape has them once. */
static void others(void)
{
	struct scene s = begin(ALL(VERSIONS));
	struct mt_ctl_env few = {.conf = s.conf, .workload_series = 1};

	mt_ctl_destroy(s.c);
	s.c = test_ctl(&few);
	scrape(&s);
	CU_ASSERT_EQUAL(SUM(s.out, TOTAL, SOURCE), 3 + 2 + 5 + 11 + 7);
	CU_ASSERT_TRUE(SUM(s.out, TOTAL, "destination_service=\"other\"",
			       "destination_version=\"unknown\"") > 0);
	end(&s);
}

const struct mt_test istio_tags_tests[] = {{"labels that are removed", removed},
	{"labels of one metric", of_one_metric}, {"values of labels", values},
	{"labels of replies", responses}, {"labels of another service", of_another},
	{"labels of a metric that is off", turned_off}, {"labels of opaque TCP", opaque},
	{"sums of workloads that go", gone}, {"hostile labels", hostile},
	{"labels of the others", others}, {0}};
