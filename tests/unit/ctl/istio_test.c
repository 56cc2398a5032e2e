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

#define SAFE(source, destination, policy)                                                          \
	"source_principal=\"" source "\",destination_principal=\"" destination                     \
	"\",connection_security_policy=\"" policy "\""
#define UNSEEN SAFE("unknown", "unknown", "unknown")
#define CALLS  ",grpc_response_status=\"\""

/* `want` is followed by the protocol, and what is known of a client about which nothing is. */
static bool is_of(struct mt_ctl *c, const char *host, const struct mt_istio_service *s,
	enum mt_istio_reporter r, bool opaque, const char *want, const char *protocol)
{
	struct mt_text_buf out = {0};
	char whole[4096];
	bool same;

	snprintf(whole, sizeof(whole), "%s,request_protocol=\"%s\"," UNSEEN "%s", want, protocol,
		opaque ? "" : CALLS);
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
static bool begins(struct mt_ctl *c, const struct mt_istio_service *s, const struct mt_peer *by,
	enum mt_istio_reporter r, const char *want)
{
	const struct mt_istio_caller caller = {.peer = *by};
	struct mt_text_buf out = {0};
	bool same;

	mt_istio_labels(c, "a.x", s, &s->peer, &caller, r, &out);
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

/* ---- cases of the tests of Istio's filter ------------------------------------------------------ */

#define SIDE(side, workload, namespace, cluster, app, version, service, revision)                  \
	side "_workload=\"" workload "\"," side                                                    \
	     "_workload_namespace=\"" namespace "\"," side "_cluster=\"" cluster "\"," side        \
						"_app=\"" app "\"," side "_version=\"" version     \
						"\"," side "_canonical_service=\"" service         \
						"\"," side "_canonical_revision=\"" revision "\""
#define PRODUCTS(side)                                                                             \
	SIDE(side, "productpage-v1", "default", "client-cluster", "productpage", "v1",             \
		"productpage-v1", "version-1")
#define RATINGS(side)                                                                              \
	SIDE(side, "ratings-v1", "default", "server-cluster", "ratings", "v1", "ratings",          \
		"version-1")
#define CLIENT "spiffe://cluster.local/ns/default/sa/client"
#define SERVER "spiffe://cluster.local/ns/default/sa/server"
#define HOST   "server.default.svc.cluster.local"
#define SERVED OF(HOST, "server", "default")
#define SPOKEN ",request_protocol=\"dubbo\","
#define OPAQUE ",request_protocol=\"tcp\","

/* clang-format off */
#define PEER(workload, namespace, cluster, app, version, service, revision)                        \
	{{workload, namespace, cluster, app, version, service, revision}}
static const struct mt_peer ratings = PEER("ratings-v1", "default", "server-cluster", "ratings",
		"v1", "ratings", "version-1"),
	ratings_of_eds = PEER("ratings-v1", "default", "server-cluster", NULL, NULL, "ratings",
		"version-1"),
	ratings_unlabelled = PEER("ratings-v1", "default", NULL, NULL, NULL, "ratings-v1", "latest"),
	nobody = {{NULL}};
static const struct mt_istio_caller products = {.peer = PEER("productpage-v1", "default",
		"client-cluster", "productpage", "v1", "productpage-v1", "version-1")},
	products_tls = {.peer = PEER("productpage-v1", "default", "client-cluster", "productpage",
		"v1", "productpage-v1", "version-1"), .principal = CLIENT, .tls = true},
	products_of_eds = {.peer = PEER("productpage-v1", "default", "client-cluster", NULL, NULL,
		"productpage-v1", "version-1")},
	in_namespace = {.peer = PEER(NULL, "default", NULL, NULL, NULL, NULL, NULL), .tls = true},
	stranger = {.tls = false}, stranger_tls = {.tls = true};
#define PRODUCTS_OF_EDS                                                                            \
	SIDE("source", "productpage-v1", "default", "client-cluster", "unknown", "unknown",        \
		"productpage-v1", "version-1")
#define RATINGS_OF_EDS                                                                             \
	SIDE("destination", "ratings-v1", "default", "server-cluster", "unknown", "unknown",       \
		"ratings", "version-1")

/*
 * Situations that the tests of istio/proxy have (testdata/metric), with all labels but those of the
 * response; calls are Dubbo's in place of HTTP's. Where Istio's filter writes something else, the
 * comment says what.
 */
enum node { AT_CLIENT, AT_SERVER };
static const struct {
	enum node node; /* whose labels this node has; a server's has inbound listeners */
	enum mt_istio_reporter r;
	const struct mt_peer *served; /* NULL: opaque TCP */
	const struct mt_istio_caller *caller;
	const char *host, *want;
} cases[] = {
	/* client_request_total: this node is the client's proxy */
	{AT_CLIENT, MT_ISTIO_SOURCE, &ratings, &stranger, HOST,
		PRODUCTS("source") "," RATINGS("destination") "," SERVED SPOKEN UNSEEN CALLS},
	/* client_request_total_endpoint_labels */
	{AT_CLIENT, MT_ISTIO_SOURCE, &ratings_of_eds, &stranger, HOST,
		PRODUCTS("source") "," RATINGS_OF_EDS "," SERVED SPOKEN UNSEEN CALLS},
	/* the same without labels of the Pod */
	{AT_CLIENT, MT_ISTIO_SOURCE, &ratings_unlabelled, &stranger, HOST,
		PRODUCTS("source") "," SIDE("destination", "ratings-v1", "default", "unknown",
			"unknown", "unknown", "ratings-v1", "latest") "," SERVED SPOKEN UNSEEN CALLS},
	/* no peer; Istio's namespace of the service is unknown */
	{AT_CLIENT, MT_ISTIO_SOURCE, &nobody, &stranger, HOST,
		PRODUCTS("source") "," NOBODY("destination") "," SERVED SPOKEN UNSEEN CALLS},
	/* host_header_fallback */
	{AT_CLIENT, MT_ISTIO_SOURCE, &ratings, &stranger, "127.0.0.1:80", PRODUCTS("source") ","
		RATINGS("destination") "," OF("127.0.0.1:80", "127.0.0.1:80", "default")
		SPOKEN UNSEEN CALLS},
	/* block_all, allow_any */
	{AT_CLIENT, MT_ISTIO_SOURCE, &nobody, &stranger, "BlackHoleCluster", PRODUCTS("source") ","
		NOBODY("destination") "," OF("BlackHoleCluster", "BlackHoleCluster", "default")
		SPOKEN UNSEEN CALLS},
	{AT_CLIENT, MT_ISTIO_SOURCE, &nobody, &stranger, "PassthroughCluster", PRODUCTS("source") ","
		NOBODY("destination") "," OF("PassthroughCluster", "PassthroughCluster", "default")
		SPOKEN UNSEEN CALLS},
	/* tcp_client_connection_open; with mutual TLS Istio has both principals */
	{AT_CLIENT, MT_ISTIO_SOURCE, NULL, NULL, HOST,
		PRODUCTS("source") "," RATINGS("destination") "," SERVED OPAQUE UNSEEN},
	/* The client has no proxy but this one: what its own one would say. */
	{AT_SERVER, MT_ISTIO_SOURCE, &ratings, &products, HOST,
		PRODUCTS("source") "," RATINGS("destination") "," SERVED SPOKEN UNSEEN CALLS},
	/* with TLS; Istio has the principal of the server, too */
	{AT_SERVER, MT_ISTIO_SOURCE, &ratings, &products_tls, HOST,
		PRODUCTS("source") "," RATINGS("destination") "," SERVED SPOKEN
		SAFE(CLIENT, "unknown", "unknown") CALLS},
	/* server_request_total */
	{AT_SERVER, MT_ISTIO_DESTINATION, &nobody, &products, HOST,
		PRODUCTS("source") "," RATINGS("destination") "," SERVED SPOKEN
		SAFE("unknown", "unknown", "none") CALLS},
	/* the same with mutual TLS */
	{AT_SERVER, MT_ISTIO_DESTINATION, &nobody, &products_tls, HOST,
		PRODUCTS("source") "," RATINGS("destination") "," SERVED SPOKEN
		SAFE(CLIENT, SERVER, "mutual_tls") CALLS},
	/* a peer of workload discovery */
	{AT_SERVER, MT_ISTIO_DESTINATION, &nobody, &products_of_eds, HOST,
		PRODUCTS_OF_EDS "," RATINGS("destination") "," SERVED SPOKEN
		SAFE("unknown", "unknown", "none") CALLS},
	/* without a peer */
	{AT_SERVER, MT_ISTIO_DESTINATION, &nobody, &stranger, HOST,
		NOBODY("source") "," RATINGS("destination") "," SERVED SPOKEN
		SAFE("unknown", "unknown", "none") CALLS},
	/* without a peer, with mutual TLS; Istio has the principal of the client */
	{AT_SERVER, MT_ISTIO_DESTINATION, &nobody, &stranger_tls, HOST,
		NOBODY("source") "," RATINGS("destination") "," SERVED SPOKEN
		SAFE("unknown", SERVER, "mutual_tls") CALLS},
	/* of which the certificate has the namespace; Istio has its principal, and revision latest */
	{AT_SERVER, MT_ISTIO_DESTINATION, &nobody, &in_namespace, HOST,
		SIDE("source", "unknown", "default", "unknown", "unknown", "unknown", "unknown",
			"unknown") "," RATINGS("destination") "," SERVED SPOKEN
		SAFE("unknown", SERVER, "mutual_tls") CALLS},
	/* tcp_server_connection_open_without_mx; Istio has principals and mutual_tls or none */
	{AT_SERVER, MT_ISTIO_DESTINATION, NULL, NULL, HOST,
		NOBODY("source") "," RATINGS("destination") "," SERVED OPAQUE UNSEEN},
	/* The server has no proxy but this one, which is the client's, too: the same with both. */
	{AT_CLIENT, MT_ISTIO_DESTINATION, &ratings, &products, HOST,
		PRODUCTS("source") "," RATINGS("destination") "," SERVED SPOKEN
		SAFE("unknown", "unknown", "none") CALLS},
	/* with TLS to this node; Istio's server would have its principal */
	{AT_CLIENT, MT_ISTIO_DESTINATION, &ratings, &products_tls, HOST,
		PRODUCTS("source") "," RATINGS("destination") "," SERVED SPOKEN
		SAFE(CLIENT, "unknown", "mutual_tls") CALLS},
	/* A client with a certificate of the mesh is not this node. */
	{AT_CLIENT, MT_ISTIO_DESTINATION, &ratings, &stranger_tls, HOST,
		NOBODY("source") "," RATINGS("destination") "," SERVED SPOKEN
		SAFE("unknown", "unknown", "mutual_tls") CALLS},
	/* all other series */
	{AT_CLIENT, MT_ISTIO_SOURCE, &nobody, NULL, "other", PRODUCTS("source") ","
		NOBODY("destination") "," OF("other", "other", "default") SPOKEN UNSEEN CALLS},
};

static const struct mt_ctl_env nodes[] = {
	[AT_CLIENT] = {.node = "edge-1", .self = {"productpage-v1", "default", "client-cluster", "productpage", "v1",
		"productpage-v1", "version-1"}},
	[AT_SERVER] = {.node = "edge-1", .self = {"ratings-v1", "default", "server-cluster", "ratings", "v1",
		"ratings", "version-1"}}};
/* clang-format on */

static void of_istio(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		enum mt_istio_reporter r = cases[i].r;
		const struct mt_istio_service s = {.peer = ratings,
			.ns = "default",
			.protocol = "dubbo",
			.called = true,
			.inbound = cases[i].node == AT_SERVER && r == MT_ISTIO_DESTINATION,
			.principal = SERVER};
		struct mt_ctl *c = test_ctl(&nodes[cases[i].node]);
		struct mt_text_buf out = {0};
		char want[2048];

		snprintf(want, sizeof(want), "reporter=\"%s\",%s",
			r == MT_ISTIO_SOURCE ? "source" : "destination", cases[i].want);
		mt_istio_labels(c, cases[i].host, &s, cases[i].served, cases[i].caller, r, &out);
		CU_ASSERT_STRING_EQUAL(out.p, want);
		if (strcmp(out.p, want) != 0)
			printf("\n  case %zu:\n  %s\n  %s\n", i, out.p, want);
		mt_text_fini(&out);
		mt_ctl_destroy(c);
	}
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
	{"cases of Istio's filter", of_istio}, {"families of metrics", families},
	{"metrics of several ports", joined_ports},
	{"protocols of several ports", joined_protocols}, {0}};
