/* SPDX-License-Identifier: Apache-2.0 */
/* Services, slices and Pods as documents: what is served of them, and what becomes of each. */
#include "objects_test.h"

#include "mt_codec_registry.h"
#include "mt_peer.h"

#define META(name, more) "metadata: {name: " name ", namespace: x" more "}\n"
#define KUBE(name, spec)                                                                           \
	"---\napiVersion: v1\nkind: Service\n" META(name,                                          \
		"") "spec: {clusterIP: 10.96.0.1, "                                                \
		    "selector: {app: s}, ports: [{name: tcp-a, port: 80, targetPort: 8080}]" spec  \
		    "}\n"
#define SLICE(name, more, endpoints)                                                               \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n" META(name,                   \
		", labels: {kubernetes.io/service-name: s}" more) "addressType: IPv4\n"            \
								  "ports: [{name: tcp-a, port: "   \
								  "8080}, {name: other, port: "    \
								  "1}]\nendpoints:\n" endpoints
#define POD(name, ip, more)                                                                        \
	"---\napiVersion: v1\nkind: Pod\n" META(name,                                              \
		", labels: {app: s, version: " name                                                \
		"}") "spec: {serviceAccountName: sa, containers: [{name: c}]}\nstatus: "           \
		     "{podIP: " ip more "}\n"

static const struct mt_cluster *find(const struct scene *sc, const char *name)
{
	for (uint32_t i = 0; sc->s && i < sc->s->n_clusters; i++)
		if (strcmp(sc->s->clusters[i].name, name) == 0)
			return &sc->s->clusters[i];
	CU_FAIL_FATAL("no such cluster");
	return NULL;
}

static const char *first(const struct scene *sc, const char *name)
{
	static char text[MT_ADDR_STRLEN];
	const struct mt_cluster *c = find(sc, name);

	return c->n_eps ? mt_endpoint_name(&c->eps[0], text) : "";
}

static bool touches(const struct scene *sc, const char *kind, const char *name, const char *host)
{
	const struct mt_object_row *row = scene_row(sc, kind, name);

	return row && (*host ? row->n_touches == 1 && strcmp(row->touches[0], host) == 0
			     : row->n_touches == 0);
}

#define HOST "s.x.svc.cluster.local"

/* Ready endpoints by the ports' names, with the labels of their Pods; others are nobody's. */
static void a_service(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		KUBE("s", "") SLICE("s-1", "",
			"- {addresses: [10.0.0.1], targetRef: {kind: Pod, name: v1}}\n"
			"- {addresses: [10.0.0.2], conditions: {ready: false}}\n") SLICE("s-2", "",
			"- {addresses: [10.0.0.3]}\n") POD("v1", "10.0.0.1", "") POD("v2",
			"10.0.0.3", "") POD("v3", "10.0.0.4", "") "---\n" ISTIO("DestinationRule",
			"dr", "x") "  host: s\n  subsets: [{name: v2, labels: {version: "
				   "v2}}]\n");
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, HOST), 2);
	CU_ASSERT_STRING_EQUAL(first(&sc, "outbound|80||" HOST), "10.0.0.1:8080");
	CU_ASSERT_STRING_EQUAL(first(&sc, "outbound|80|v2|" HOST), "10.0.0.3:8080");
	CU_ASSERT_EQUAL(sc.s->n_listeners, 1);
	IS_STATUS(&sc, "Service", "s", "in-force");
	IS_STATUS(&sc, "EndpointSlice", "s-1", "in-force");
	IS_STATUS(&sc, "Pod", "v2", "in-force");
	IS_STATUS(&sc, "Pod", "v3", "no-effect");
	IS_STATUS(&sc, "DestinationRule", "dr", "in-force");
	CU_ASSERT(touches(&sc, "Service", "s", HOST));
	CU_ASSERT(touches(&sc, "EndpointSlice", "s-2", HOST));
	CU_ASSERT(touches(&sc, "Pod", "v1", HOST));
	CU_ASSERT(touches(&sc, "Pod", "v3", ""));
	CU_ASSERT(touches(&sc, "DestinationRule", "dr", HOST));
	/* What is not ready is used where the Service says so. */
	scene_write(&sc, "a.yaml",
		KUBE("s", ", publishNotReadyAddresses: true") SLICE(
			"s-1", "", "- {addresses: [10.0.0.2], conditions: {ready: false}}\n"));
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, HOST), 1);
	scene_end(&sc);
}

/*
 * Metrics name the Deployment, StatefulSet or DaemonSet of a Pod, by the Pod's labels. Endpoints of
 * slices without Pods have no workload.
 */
static void workloads(void)
{
#define MADE(pod, labels)                                                                          \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " pod                                    \
	", namespace: x, labels: {app: s" labels "}}\nstatus: {podIP: 10.0.0.1}\n"
	static const struct {
		const char *pod, *workload, *service;
	} rows[] = {
		{MADE("web-5d4f-abcde", ", pod-template-hash: 5d4f"), "web", "s"},
		{MADE("web-5d4f", ", pod-template-hash: 5d4f"), "web-5d4f", "s"},
		{MADE("db-0", ", controller-revision-hash: db-77"), "db", "s"},
		{MADE("plain-pod", ""), "plain-pod", "s"},
		{NULL, NULL, NULL},
	};
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", KUBE("s", "") SLICE("s-1", "", "- {addresses: [10.0.0.1]}\n"));
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct mt_peer *p;

		scene_write(&sc, "b.yaml", rows[i].pod);
		scene_load(&sc);
		p = find(&sc, "outbound|80||" HOST)->peer;
		CU_ASSERT_PTR_NOT_NULL_FATAL(p);
		CU_ASSERT_STRING_EQUAL(p->label[MT_PEER_NAMESPACE], "x");
		CU_ASSERT_EQUAL(p->label[MT_PEER_WORKLOAD] != NULL, rows[i].workload != NULL);
		CU_ASSERT_EQUAL(p->label[MT_PEER_SERVICE] != NULL, rows[i].service != NULL);
		if (!rows[i].workload || !p->label[MT_PEER_WORKLOAD] || !p->label[MT_PEER_SERVICE])
			continue;
		CU_ASSERT_STRING_EQUAL(p->label[MT_PEER_WORKLOAD], rows[i].workload);
		CU_ASSERT_STRING_EQUAL(p->label[MT_PEER_SERVICE], rows[i].service);
	}
	scene_end(&sc);
}

/* An endpoint that ends keeps what it has and gets nothing new; so does the Pod with the label. */
static void drains(void)
{
	static const char slices[] = SLICE("s-1", "",
		"- {addresses: [192.0.2.21]}\n"
		"- {addresses: [192.0.2.22], conditions: {ready: false, terminating: true}}\n"
		"- {addresses: [192.0.2.23], conditions: {ready: false, serving: false}}\n"
		"- {addresses: [192.0.2.25], conditions: {serving: false, terminating: true}}\n"
		"- {addresses: [192.0.2.24], targetRef: {kind: Pod, name: v1}}\n");
	static const char pod[] = "---\napiVersion: v1\nkind: Pod\n"
				  "metadata: {name: v1, namespace: x, labels: "
				  "{meltemi.io/drain: 'true'}}\n"
				  "status: {podIP: 192.0.2.24}\n";
	static const char all[] = KUBE("s", ", publishNotReadyAddresses: true");
	const struct mt_cluster *c;
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", KUBE("s", ""));
	scene_write(&sc, "b.yaml", slices);
	scene_write(&sc, "c.yaml", pod);
	scene_load(&sc);
	c = find(&sc, "outbound|80||" HOST);
	CU_ASSERT_EQUAL_FATAL(c->n_eps, 3);
	CU_ASSERT_EQUAL(c->eps[0].drain, MT_EP_DRAIN_NONE);
	CU_ASSERT_EQUAL(c->eps[1].drain, MT_EP_DRAIN_TERMINATING);
	CU_ASSERT_EQUAL(c->eps[2].drain, MT_EP_DRAIN_LABEL);
	/* A Service that wants those that are not ready uses them to their end. */
	scene_write(&sc, "a.yaml", all);
	scene_load(&sc);
	c = find(&sc, "outbound|80||" HOST);
	CU_ASSERT_EQUAL_FATAL(c->n_eps, 5);
	CU_ASSERT_EQUAL(c->eps[1].drain, MT_EP_DRAIN_NONE);
	scene_end(&sc);
}

/* A Pod that a ServiceEntry selects drains while it is being deleted, as its slices would. */
static void deleted_pods(void)
{
#define SELECTED_POD(name, meta, address)                                                          \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name ", namespace: x, labels: {app: "  \
	"a}" meta "}\nstatus: {podIP: " address ", phase: Running}\n"
	static const char entry[] =
		ISTIO("ServiceEntry", "a", "x") "  hosts: [a.x]\n  addresses: [192.0.2.9]\n"
						"  location: MESH_INTERNAL\n  resolution: "
						"STATIC\n  ports: [{number: 80, name: tcp-a}]\n"
						"  workloadSelector: {labels: {app: a}}\n";
	const struct mt_cluster *c;
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", entry);
	scene_write(&sc, "b.yaml",
		SELECTED_POD("p1", "", "192.0.2.21") SELECTED_POD(
			"p2", ", deletionTimestamp: '2026-11-27T10:00:00Z'", "192.0.2.22"));
	scene_load(&sc);
	c = find(&sc, "outbound|80||a.x");
	CU_ASSERT_EQUAL_FATAL(c->n_eps, 2);
	CU_ASSERT_EQUAL(c->eps[0].drain, MT_EP_DRAIN_NONE);
	CU_ASSERT_EQUAL(c->eps[1].drain, MT_EP_DRAIN_TERMINATING);
	scene_end(&sc);
}

/* Endpoints count where there is no slice, and stand back where there is one. */
static void endpoints(void)
{
	static const char whole[] = "---\napiVersion: v1\nkind: Endpoints\n" META("s",
		"") "subsets:\n"
		    "- {addresses: [{ip: 10.0.0.7}], notReadyAddresses: [{ip: 10.0.0.8}], ports: "
		    "[{name: tcp-a, port: 9}]}\n";
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml", KUBE("s", ""));
	scene_write(&sc, "b.yaml", whole);
	scene_load(&sc);
	CU_ASSERT_STRING_EQUAL(first(&sc, "outbound|80||" HOST), "10.0.0.7:9");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, HOST), 1);
	IS_STATUS(&sc, "Endpoints", "s", "in-force");
	scene_write(&sc, "c.yaml",
		SLICE("s-1", ", resourceVersion: \"7\"", "- {addresses: [10.0.0.1]}\n"));
	scene_load(&sc);
	CU_ASSERT_STRING_EQUAL(first(&sc, "outbound|80||" HOST), "10.0.0.1:8080");
	IS_STATUS(&sc, "Endpoints", "s", "shadowed");
	IS_STATUS(&sc, "EndpointSlice", "s-1", "in-force-with-notes");
	CU_ASSERT_EQUAL(scene_row(&sc, "EndpointSlice", "s-1")->n_notes, 2);
	scene_write(&sc, "a.yaml", NULL);
	scene_load(&sc);
	IS_STATUS(&sc, "EndpointSlice", "s-1", "no-effect");
	scene_end(&sc);
}

/* Slices without an endpoint that is ready are worth a warning; a Service without slices is not. */
static void nobody_is_ready(void)
{
	static const struct {
		const char *documents, *kind, *name; /* kind NULL: no warning */
	} t[] = {
		{KUBE("s", ""), NULL, NULL},
		{KUBE("s", "") SLICE("s-1", "", "- {addresses: [10.0.0.1]}\n"), NULL, NULL},
		{KUBE("s", "") SLICE(
			 "s-1", "", "- {addresses: [10.0.0.1], conditions: {ready: false}}\n"),
			"EndpointSlice", "s-1"},
		{KUBE("s", "") SLICE("s-1", "", "  []\n"), "EndpointSlice", "s-1"},
		{KUBE("s", "") SLICE("s-1", "", "  []\n")
				SLICE("s-2", "", "- {addresses: [10.0.0.1]}\n"),
			NULL, NULL},
		{KUBE("s", "") "---\napiVersion: v1\nkind: Endpoints\n" META("s", ""), "Endpoints",
			"s"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct scene sc;

		scene_begin(&sc);
		scene_write(&sc, "a.yaml", t[i].documents);
		scene_load(&sc);
		CU_ASSERT_EQUAL(sc.t->translated.warnings, t[i].kind ? 1 : 0);
		if (t[i].kind) {
			const struct mt_object_row *row = scene_row(&sc, t[i].kind, t[i].name);

			CU_ASSERT_FATAL(row && row->n_notes == 1);
			CU_ASSERT_PTR_NOT_NULL(strstr(row->notes[0].text,
				"no endpoint of x/s is ready: every call fails"));
		}
		scene_end(&sc);
	}
}

/* A slice says the zone, a Pod's label all of it, and it comes first. */
static void zones_of_endpoints(void)
{
	static const char labels[] = ", labels: {app: s, istio-locality: r.y}";
	const struct mt_cluster *c;
	struct scene sc;
	char text[2048];

	snprintf(text, sizeof(text),
		KUBE("s", "") SLICE("s-1", "",
			"- {addresses: [10.0.0.1], zone: z}\n- {addresses: [10.0.0.2], zone: z}\n"
			"- {addresses: [10.0.0.3]}\n") POD("v1", "10.0.0.1",
			"") "---\napiVersion: v1\nkind: Pod\nmetadata: {name: "
			    "v2, namespace: x%s}\nspec: {containers: [{name: "
			    "c}]}\nstatus: {podIP: 10.0.0.2}\n",
		labels);
	scene_begin(&sc);
	scene_write(&sc, "a.yaml", text);
	scene_load(&sc);
	c = find(&sc, "outbound|80||" HOST);
	CU_ASSERT_FATAL(c && c->n_eps == 3);
	CU_ASSERT_STRING_EQUAL(mt_endpoint_zone(c, &c->eps[0]), "z");
	CU_ASSERT_STRING_EQUAL(mt_endpoint_zone(c, &c->eps[1]), "y");
	CU_ASSERT_PTR_NULL(mt_endpoint_zone(c, &c->eps[2]));
	scene_end(&sc);
}

/* A Service selects WorkloadEntries, and a ServiceEntry Pods that run. */
static void selectors_reach_both(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		KUBE("s", "") "---\n" ISTIO("WorkloadEntry", "we",
			"x") "  address: 10.0.0.1\n  labels: {app: s}\n---\n" ISTIO("ServiceEntry",
			"se",
			"x") "  hosts: [se.x]\n  ports: [{number: 80, name: tcp}]\n  "
			     "resolution: STATIC\n  workloadSelector: {labels: {app: s}}\n" POD(
				     "v1", "10.0.0.2", "") POD("v2", "10.0.0.3",
				     ", phase: Succeeded") POD("v3", "10.0.0.4",
				     ", conditions: [{type: Ready, status: 'False'}]"));
	scene_load(&sc);
	CU_ASSERT_STRING_EQUAL(first(&sc, "outbound|80||" HOST), "10.0.0.1:8080");
	CU_ASSERT_EQUAL(scene_endpoints(&sc, HOST), 1);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, "se.x"), 2);
	CU_ASSERT(touches(&sc, "Pod", "v1", "se.x"));
	CU_ASSERT_EQUAL(scene_row(&sc, "WorkloadEntry", "we")->n_touches, 2);
	IS_STATUS(&sc, "Pod", "v2", "no-effect");
	scene_end(&sc);
}

/* A Service's host is its own, and a slice with an address that nobody can have costs itself. */
static void who_is_wrong(void)
{
	struct scene sc;

	scene_begin(&sc);
	scene_write(&sc, "a.yaml",
		KUBE("s", "") SLICE("s-1", "", "- {addresses: [10.0.0.1]}\n") SLICE(
			"s-2", "", "- {addresses: [192.0.2.1]}\n") "---\n" ISTIO("ServiceEntry",
			"copy", "y") "  hosts: [" HOST "]\n  ports: [{number: 1, name: "
				     "tcp}]\n  resolution: STATIC\n");
	scene_load(&sc);
	CU_ASSERT_EQUAL(scene_endpoints(&sc, HOST), 1);
	IS_STATUS(&sc, "Service", "s", "in-force-with-notes");
	IS_STATUS(&sc, "EndpointSlice", "s-1", "in-force");
	IS_STATUS(&sc, "EndpointSlice", "s-2", "refused");
	IS_STATUS(&sc, "ServiceEntry", "copy", "shadowed");
	scene_end(&sc);
}

/* NAME, NAME.NS and NAME.NS.svc, in the Node's own domain. */
static void short_names(void)
{
	static const char *const words[] = {"s", "s.x", "s.x.svc", "s.x.svc.lan"};
	struct scene sc;
	char text[400];

	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml",
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"
		"  dns: {domain: lan}\n");
	scene_write(&sc, "a.yaml", KUBE("s", ""));
	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++) {
		snprintf(text, sizeof(text),
			ISTIO("VirtualService", "vs", "x") "  hosts: [%s]\n  tcp: [{route: "
							   "[{destination: {host: %s}}]}]\n",
			words[i], words[i]);
		scene_write(&sc, "b.yaml", text);
		scene_load(&sc);
		IS_STATUS(&sc, "VirtualService", "vs", "in-force");
		CU_ASSERT(touches(&sc, "VirtualService", "vs", "s.x.svc.lan"));
	}
	scene_end(&sc);
}

/* appProtocol before the name; the transport is no protocol; a number of UDP beside one of TCP. */
static void ports(void)
{
	static const struct {
		const char *port, *codec; /* NULL: not served */
		uint32_t notes;
	} rows[] = {
		{"name: thrift-a", "thrift", 0},
		{"name: rpc, appProtocol: dubbo", "dubbo", 0},
		{"name: dubbo, appProtocol: tcp", "tcp", 0},
		{"name: a, appProtocol: kubernetes.io/h2c", "tcp", 1},
		{"name: http, appProtocol: https", "tcp", 0},
		{"name: a, appProtocol: acme.com/own", "tcp", 1},
		{"name: a", "tcp", 1},
		{"protocol: TCP", "tcp", 1},
		{"name: mysql", "tcp", 0},
		{"name: a, protocol: SCTP", NULL, 1},
		{"name: tcp-a, protocol: UDP", NULL, 1},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct scene sc;
		char text[400];

		scene_begin(&sc);
		snprintf(text, sizeof(text),
			"apiVersion: v1\nkind: Service\n" META(
				"s", "") "spec: {clusterIP: "
					 "10.96.0.1, ports: [{port: 80, %s}, {name: udp-x, port: "
					 "80, protocol: UDP}]}\n",
			rows[i].port);
		scene_write(&sc, "a.yaml", text);
		scene_load(&sc);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
		CU_ASSERT_EQUAL(sc.s->n_listeners, rows[i].codec ? 1 : 0);
		if (sc.s->n_listeners)
			CU_ASSERT_STRING_EQUAL(
				sc.s->listeners[0].protos->codec->name, rows[i].codec);
		/* That nothing of UDP is served is one more. */
		if (strstr(rows[i].port, "UDP") == NULL)
			CU_ASSERT_EQUAL(scene_row(&sc, "Service", "s")->n_notes, rows[i].notes + 1);
		scene_end(&sc);
	}
}

/* Of a Service's port, appProtocol alone names a codec of a file. */
static void codec_of_a_file(void)
{
	static const struct {
		const char *port;
		bool served;
	} rows[] = {
		{"name: p, appProtocol: acme", true},
		{"name: acme", false},
	};
	struct mt_codec acme = *mt_codec_find("thrift");
	const struct mt_codec *more[] = {&acme};

	acme.name = "acme";
	acme.aeraki_name = "aeraki.meta_protocol.codec.acme";
	acme.content = 100;
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_codec_registry *r = mt_codec_registry_new(more, 1);
		struct scene sc;
		char text[200];

		CU_ASSERT_PTR_NOT_NULL_FATAL(r);
		scene_begin(&sc);
		mt_conf_set_codecs(sc.conf, r);
		mt_codec_registry_drop(r);
		snprintf(text, sizeof(text),
			"apiVersion: v1\nkind: Service\n" META(
				"s", "") "spec: {clusterIP: 10.96.0.1, ports: [{port: 80, %s}]}\n",
			rows[i].port);
		scene_write(&sc, "a.yaml", text);
		scene_load(&sc);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
		CU_ASSERT_EQUAL_FATAL(sc.s->n_listeners, 1);
		CU_ASSERT_EQUAL(sc.s->listeners[0].protos->codec == &acme, rows[i].served);
		scene_end(&sc);
	}
}

const struct mt_test kubernetes_tests[] = {
	{"ports", ports},
	{"a codec of a file", codec_of_a_file},
	{"a_service", a_service},
	{"endpoints", endpoints},
	{"workloads", workloads},
	{"drains", drains},
	{"deleted_pods", deleted_pods},
	{"selectors_reach_both", selectors_reach_both},
	{"nobody_is_ready", nobody_is_ready},
	{"zones_of_endpoints", zones_of_endpoints},
	{"who_is_wrong", who_is_wrong},
	{"short_names", short_names},
	{0},
};
