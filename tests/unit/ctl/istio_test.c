/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of Istio's metrics: of the node, of a service's endpoints, by reporter. */
#include "suites.h"

#include "mt_ctl_metrics_priv.h"
#include "mt_source.h"

#include <string.h>

/* ---- services of documents ------------------------------------------------------------------- */

#define SERVICE(name, host, location, ip, endpoints)                                               \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name      \
	", namespace: shop}\nspec: {hosts: [" host "], addresses: [" ip "], location: " location   \
	", resolution: STATIC, ports: [{number: 80, name: tcp}, {number: 81, name: "               \
	"tcp-metaprotocol-dubbo}], endpoints: [" endpoints "]}\n"
#define BOTH                                                                                       \
	"{address: 192.0.2.1, labels: {app: a, version: v1}}, {address: 192.0.2.2, labels: {app: " \
	"a, version: v2}}"

#define ROUTES                                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: k, "      \
	"namespace: shop}\nspec: {hosts: [none.x], tcp: [{route: ["                                \
	"{destination: {host: bare.x, port: {number: 80}}, weight: 50}, "                          \
	"{destination: {host: k.other.svc.cluster.local, port: {number: 80}}, weight: 50}]}]}\n"

/* clang-format off */
static const char documents[] =
	SERVICE("bare", "bare.x", "MESH_INTERNAL", "240.240.1.1", BOTH)
	SERVICE("meshed", "meshed.x", "MESH_INTERNAL", "240.240.1.2",
		"{address: 192.0.2.3}, "
		"{address: 192.0.2.6, labels: {security.istio.io/tlsMode: istio}}")
	SERVICE("outside", "outside.x", "MESH_EXTERNAL", "240.240.1.3", "{address: 192.0.2.4}")
	SERVICE("none", "none.x", "MESH_INTERNAL", "240.240.1.4", "")
	SERVICE("k", "k.other.svc.cluster.local", "MESH_INTERNAL", "240.240.1.5",
		"{address: 192.0.2.5, labels: {service.istio.io/canonical-revision: r}}")
	ROUTES;
/* clang-format on */

static const struct mt_snapshot *publish(struct mt_conf *conf)
{
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;
	struct mt_snapshot *s;
	struct mt_err e;

	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t.yaml", documents, strlen(documents));
	s = mt_conf_compile(conf, m, &diags, MT_SEC);
	if (!s)
		mt_diags_print(&diags, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(mt_conf_publish(conf, s, MT_SEC, NULL, &e), 0);
	mt_diags_fini(&diags);
	mt_model_free(m);
	return s;
}

#define NODE(side)                                                                                 \
	side "_workload=\"gate\"," side "_workload_namespace=\"infra\"," side                      \
	     "_cluster=\"c1\"," side "_app=\"unknown\"," side "_version=\"unknown\"," side         \
	     "_canonical_service=\"gate\"," side "_canonical_revision=\"latest\""
#define NOBODY(side)                                                                               \
	side "_workload=\"unknown\"," side "_workload_namespace=\"unknown\"," side                 \
	     "_cluster=\"unknown\"," side "_app=\"unknown\"," side "_version=\"unknown\"," side    \
	     "_canonical_service=\"unknown\"," side "_canonical_revision=\"latest\""
#define TO(workload, namespace, app, version, service, revision)                                   \
	"destination_workload=\"" workload                                                         \
	"\",destination_workload_namespace=\"" namespace "\",destination_cluster=\"unknown\","     \
							 "destination_app=\"" app                  \
							 "\",destination_version=\"" version       \
							 "\",destination_canonical_service="       \
							 "\"" service "\",destination_canonical_"  \
							 "revision=\"" revision "\""
#define OF(host, name, namespace)                                                                  \
	"destination_service=\"" host "\",destination_service_name=\"" name                        \
	"\",destination_service_namespace=\"" namespace "\""

static const struct {
	const char *host;
	const char *to, *of;
	bool destination; /* also reported as destination */
} rows[] = {
	{"bare.x", TO("bare", "shop", "a", "unknown", "a", "unknown"),
		OF("bare.x", "bare.x", "shop"), true},
	{"meshed.x", TO("meshed", "shop", "unknown", "unknown", "meshed", "latest"),
		OF("meshed.x", "meshed.x", "shop"), false},
	{"outside.x", TO("outside", "shop", "unknown", "unknown", "outside", "latest"),
		OF("outside.x", "outside.x", "shop"), false},
	{"k.other.svc.cluster.local", TO("k", "shop", "unknown", "unknown", "k", "r"),
		OF("k.other.svc.cluster.local", "k", "other"), true},
};

static const struct mt_ctl_env env = {.node = "edge-1",
	.self = {.workload = "gate", .ns = "infra", .cluster = "c1", .canonical_service = "gate"}};

/* `want` is followed by the protocol. */
static bool is_of(struct mt_ctl *c, const char *host, const struct mt_istio_service *s,
	enum mt_istio_reporter r, bool opaque, const char *want, const char *protocol)
{
	struct mt_text_buf out = {0};
	char whole[4096];
	bool same;

	snprintf(whole, sizeof(whole), "%s,request_protocol=\"%s\"", want, protocol);
	want = whole;
	mt_istio_labels(c, host, s, opaque ? NULL : &s->peer, NULL, r, &out);
	same = strcmp(out.p, want) == 0;
	if (!same)
		printf("\n  %s\n  %s\n", out.p, want);
	mt_text_fini(&out);
	return same;
}

static bool is(struct mt_ctl *c, const char *host, const struct mt_istio_service *s,
	enum mt_istio_reporter r, const char *want)
{
	return is_of(c, host, s, r, true, want, "tcp") &&
	       is_of(c, host, s, r, false, want, s->protocol ? s->protocol : "unknown");
}

/* All ports of the host, as a scrape joins them. */
static struct mt_istio_service *joined(
	struct mt_region *r, const struct mt_snapshot *snap, const char *host)
{
	struct mt_istio_service *all = NULL;

	for (uint32_t i = 0; i < snap->n_services; i++) {
		struct mt_istio_service *one;

		if (strcmp(snap->services[i]->name, host) != 0)
			continue;
		one = mt_istio_service_of(r, snap, snap->services[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(one);
		if (all)
			mt_istio_service_join(all, one);
		else
			all = one;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	return all;
}

static void of_documents(void)
{
	const struct mt_conf_options opts = {.workers = 1};
	struct mt_err e;
	struct mt_conf *conf = mt_conf_create(&opts, &e);
	struct mt_ctl *c = test_ctl(&env);
	const struct mt_snapshot *snap;
	struct mt_istio_service *s;
	struct mt_region r;
	char want[2048];

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	snap = publish(conf);
	mt_region_init(&r, 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		s = joined(&r, snap, rows[i].host);
		snprintf(want, sizeof(want), "reporter=\"source\"," NODE("source") ",%s,%s",
			rows[i].to, rows[i].of);
		CU_ASSERT_TRUE(is(c, rows[i].host, s, MT_ISTIO_SOURCE, want));
		snprintf(want, sizeof(want), "reporter=\"destination\"," NODE("source") ",%s,%s",
			rows[i].to, rows[i].of);
		CU_ASSERT_TRUE(is(c, rows[i].host, s, MT_ISTIO_DESTINATION, want));
		CU_ASSERT_TRUE(mt_istio_reports(s, MT_ISTIO_SOURCE));
		CU_ASSERT_EQUAL(mt_istio_reports(s, MT_ISTIO_DESTINATION), rows[i].destination);
		CU_ASSERT_STRING_EQUAL(s->protocol, "dubbo");
	}
	mt_region_fini(&r);
	mt_ctl_destroy(c);
	mt_conf_destroy(conf);
}

/* A service whose calls go to endpoints of two others has what these share; its other port none. */
static void of_other_services(void)
{
	const struct mt_conf_options opts = {.workers = 1};
	struct mt_err e;
	struct mt_conf *conf = mt_conf_create(&opts, &e);
	struct mt_ctl *c = test_ctl(&env);
	const struct mt_snapshot *snap;
	struct mt_region r;

	CU_ASSERT_PTR_NOT_NULL_FATAL(conf);
	snap = publish(conf);
	mt_region_init(&r, 0);
	CU_ASSERT_TRUE(is(c, "none.x", joined(&r, snap, "none.x"), MT_ISTIO_SOURCE,
		"reporter=\"source\"," NODE("source") "," TO("unknown", "shop", "unknown",
			"unknown", "unknown", "unknown") "," OF("none.x", "none.x", "shop")));
	mt_region_fini(&r);
	mt_ctl_destroy(c);
	mt_conf_destroy(conf);
}

/* ---- other services -------------------------------------------------------------------------- */

/* Of an inbound listener the node is the destination. Hosts that only look like Kubernetes' stay. */
static void others(void)
{
	const struct mt_istio_service unknown = {.called = false};
	const struct mt_istio_service inbound = {
		.called = true, .inbound = true, .peer.label[MT_PEER_WORKLOAD] = "w"};
	/* Of a control plane that names no namespace of the service. */
	const struct mt_istio_service found = {.called = true,
		.peer.label = {[MT_PEER_WORKLOAD] = "w", [MT_PEER_NAMESPACE] = "shop"}};
	static const char *const hosts[] = {
		"a.x", "a.b.svc", "a.b.c.svc.x", ".svc.x", "a.svc.x", "other"};
	struct mt_ctl *c = test_ctl(&env);
	char want[2048];

	CU_ASSERT_TRUE(is(c, "other", &unknown, MT_ISTIO_SOURCE,
		"reporter=\"source\"," NODE("source") "," NOBODY("destination") "," OF(
			"other", "other", "unknown")));
	CU_ASSERT_TRUE(mt_istio_reports(&unknown, MT_ISTIO_SOURCE));
	CU_ASSERT_FALSE(mt_istio_reports(&unknown, MT_ISTIO_DESTINATION));
	CU_ASSERT_TRUE(is(c, "a.x", &inbound, MT_ISTIO_DESTINATION,
		"reporter=\"destination\"," NOBODY("source") "," NODE("destination") "," OF(
			"a.x", "a.x", "unknown")));
	CU_ASSERT_TRUE(is(c, "a.x", &found, MT_ISTIO_SOURCE,
		"reporter=\"source\"," NODE("source") "," TO("w", "shop", "unknown", "unknown",
			"unknown", "unknown") "," OF("a.x", "a.x", "shop")));
	CU_ASSERT_FALSE(mt_istio_reports(&inbound, MT_ISTIO_SOURCE));
	CU_ASSERT_TRUE(mt_istio_reports(&inbound, MT_ISTIO_DESTINATION));
	for (size_t i = 0; i < MT_ARRAY_LEN(hosts); i++) {
		snprintf(want, sizeof(want),
			"reporter=\"source\"," NODE("source") "," NOBODY("destination") "," OF(
				"%s", "%s", "unknown"),
			hosts[i], hosts[i]);
		CU_ASSERT_TRUE(is(c, hosts[i], &unknown, MT_ISTIO_SOURCE, want));
	}
	mt_ctl_destroy(c);
}

/* ---- callers ---------------------------------------------------------------------------------- */

#define BY                                                                                         \
	"source_workload=\"w\",source_workload_namespace=\"web\",source_cluster=\"unknown\","      \
	"source_app=\"unknown\",source_version=\"unknown\",source_canonical_service=\"unknown\","  \
	"source_canonical_revision=\"unknown\""

/* True if a service's calls by the caller have these labels first. */
static bool begins(struct mt_ctl *c, const struct mt_istio_service *s, const struct mt_peer *caller,
	enum mt_istio_reporter r, const char *want)
{
	struct mt_text_buf out = {0};
	bool same;

	mt_istio_labels(c, "a.x", s, &s->peer, caller, r, &out);
	same = strncmp(out.p, want, strlen(want)) == 0;
	if (!same)
		printf("\n  %s\n  %s\n", out.p, want);
	mt_text_fini(&out);
	return same;
}

/* A caller that is known is the source, whatever the node is. */
static void callers(void)
{
	const struct mt_istio_service called = {.called = true}, inbound = {.inbound = true};
	const struct mt_peer nobody = {.label = {NULL}},
			     by = {.label = {
					   [MT_PEER_WORKLOAD] = "w", [MT_PEER_NAMESPACE] = "web"}};
	struct mt_ctl *c = test_ctl(&env);

	CU_ASSERT_TRUE(begins(c, &called, &by, MT_ISTIO_SOURCE, "reporter=\"source\"," BY ","));
	CU_ASSERT_TRUE(
		begins(c, &called, &by, MT_ISTIO_DESTINATION, "reporter=\"destination\"," BY ","));
	CU_ASSERT_TRUE(begins(c, &inbound, &by, MT_ISTIO_DESTINATION,
		"reporter=\"destination\"," BY "," NODE("destination")));
	CU_ASSERT_TRUE(begins(
		c, &called, &nobody, MT_ISTIO_SOURCE, "reporter=\"source\"," NODE("source") ","));
	CU_ASSERT_TRUE(begins(c, &inbound, &nobody, MT_ISTIO_DESTINATION,
		"reporter=\"destination\"," NOBODY("source") ","));
	mt_ctl_destroy(c);
}

/* ---- metrics that are off -------------------------------------------------------------------- */

/* Bits are of families in the order of the exposition. */
static void families(void)
{
	static const char *const names[MT_ISTIO_METRICS] = {
		[MT_ISTIO_REQUESTS] = "istio_requests_total",
		[MT_ISTIO_DURATION] = "istio_request_duration_milliseconds",
		[MT_ISTIO_REQUEST_BYTES] = "istio_request_bytes",
		[MT_ISTIO_RESPONSE_BYTES] = "istio_response_bytes",
		[MT_ISTIO_TCP_RECEIVED] = "istio_tcp_received_bytes_total",
		[MT_ISTIO_TCP_SENT] = "istio_tcp_sent_bytes_total",
		[MT_ISTIO_TCP_OPENED] = "istio_tcp_connections_opened_total",
		[MT_ISTIO_TCP_CLOSED] = "istio_tcp_connections_closed_total",
	};

	for (uint32_t i = 0; i < MT_ISTIO_METRICS; i++)
		CU_ASSERT_STRING_EQUAL(mt_families_istio[i].name, names[i]);
}

/* A host on several ports has the metrics that are on for one of them. */
static void joined_ports(void)
{
	uint16_t sent = mt_istio_bit(MT_ISTIO_TCP_SENT, MT_ISTIO_SOURCE),
		 received = mt_istio_bit(MT_ISTIO_TCP_RECEIVED, MT_ISTIO_SOURCE);
	struct mt_istio_service a = {.off = sent | received}, b = {.off = sent};

	CU_ASSERT_NOT_EQUAL(sent, received);
	mt_istio_service_join(&a, &b);
	CU_ASSERT_EQUAL(a.off, sent);
}

/* Ports of opaque TCP do not count; of two protocols none is the host's. */
static void joined_protocols(void)
{
	struct mt_istio_service all = {0};

	mt_istio_service_join(&all, &(struct mt_istio_service){0});
	CU_ASSERT_PTR_NULL(all.protocol);
	for (int i = 0; i < 2; i++) {
		mt_istio_service_join(&all, &(struct mt_istio_service){.protocol = "dubbo"});
		mt_istio_service_join(&all, &(struct mt_istio_service){0});
		CU_ASSERT_STRING_EQUAL(all.protocol, "dubbo");
	}
	for (int i = 0; i < 2; i++) {
		mt_istio_service_join(&all, &(struct mt_istio_service){.protocol = "thrift"});
		CU_ASSERT_STRING_EQUAL(all.protocol, "unknown");
	}
}

const struct mt_test istio_tests[] = {{"services of documents", of_documents},
	{"destinations of other services", of_other_services},
	{"inbound services, and hosts", others}, {"callers", callers},
	{"families of metrics", families}, {"metrics of several ports", joined_ports},
	{"protocols of several ports", joined_protocols}, {0}};
