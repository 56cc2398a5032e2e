/* SPDX-License-Identifier: Apache-2.0 */
/* Filters that nobody runs close where they stand in a mesh, and nowhere else. */
#include "objects_test.h"

#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n, labels: {istio: gw}}\nspec:\n" \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"
#define OF(name, ns, location, ports, endpoints)                                                   \
	ISTIO("ServiceEntry", name, ns)                                                            \
	"  hosts: [" name "." ns "]\n  location: " location                                        \
	"\n  resolution: STATIC\n  ports: [" ports "]\n  endpoints: [" endpoints "]\n---\n"
#define DUBBO "{number: 80, name: tcp-metaprotocol-dubbo, targetPort: 20880}"
#define META  "metadata: {name: p, namespace: "

/* Ports of HTTP and bytes of two bare instances and one with a proxy; Dubbo; bytes outside; Dubbo in another namespace. */
static const char services[] = OF("web", "x", "MESH_INTERNAL",
	"{number: 80, name: http, targetPort: 8080}, {number: 81, name: tcp}",
	"{address: 198.51.100.1, labels: {app: web, v: '1'}}, {address: 198.51.100.2, "
	"labels: {app: web}}, {address: 198.51.100.3, labels: {app: web, "
	"security.istio.io/tlsMode: istio}}") OF("rpc", "x", "MESH_INTERNAL", DUBBO,
	"{address: 198.51.100.5, labels: {app: rpc}}") OF("out", "x", "MESH_EXTERNAL",
	"{number: 80, name: tcp}", "{address: 203.0.113.5, labels: {app: out}}") OF("rpc", "y",
	"MESH_INTERNAL", DUBBO, "{address: 198.51.100.6, labels: {app: rpc}}") ISTIO("Gateway", "g",
	"x") "  selector: {istio: gw}\n  servers: [{port: {number: 8080, name: tcp-x}, hosts: "
	     "['*']}, "
	     "{port: {number: 8081, name: http}, hosts: [x/web.test]}]\n---\n" ISTIO(
		     "VirtualService", "v", "x") "  hosts: ['*']\n  gateways: [g]\n  tcp: [{route: "
						 "[{destination: {host: web.x, port: "
						 "{number: 81}}}]}]\n";

struct row {
	const char *text, *status, *closed;
	const char *touches; /* NULL: not asked for */
};

#define FILTER(ns, spec)                                                                           \
	"apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\n" META ns "}\nspec:\n" spec  \
	"\n"
#define LUA                                                                                        \
	"value: {name: envoy.filters.http.lua, typed_config: {'@type': "                           \
	"type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}}}"
#define RBAC                                                                                       \
	"value: {name: envoy.filters.network.rbac, typed_config: {'@type': "                       \
	"type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC}}}"
#define HTTP(match)                                                                                \
	"  configPatches: [{applyTo: HTTP_FILTER, match: " match ", patch: {operation: "           \
	"INSERT_BEFORE, " LUA "}]"
#define NETWORK(match)                                                                             \
	"  configPatches: [{applyTo: NETWORK_FILTER, match: " match ", patch: {operation: "        \
	"INSERT_FIRST, " RBAC "}]"
#define BEFORE(filter)                                                                             \
	"  configPatches: [{applyTo: NETWORK_FILTER, match: {context: SIDECAR_INBOUND, listener: " \
	"{filterChain: {filter: {name: " filter "}}}}, patch: {operation: INSERT_BEFORE, " RBAC    \
	"}]"
#define PLUGIN(ns, spec)                                                                           \
	"apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\n" META ns                     \
	"}\nspec: {url: 'oci://x/y:1'" spec "}\n"
#define INBOUND	 "context: SIDECAR_INBOUND"
#define OUTBOUND "context: SIDECAR_OUTBOUND"
#define GATEWAY	 "context: GATEWAY"
#define WEB	 "  workloadSelector: {labels: {app: web}}\n"
#define V1	 "  workloadSelector: {labels: {app: web, v: '1'}}\n"
#define RPC	 "  workloadSelector: {labels: {app: rpc}}\n"

/*
 * Closed: by instance web.x at port 80 and 81, rpc.x, out.x, rpc.y ("X": all of it); which of the gateway's ports, that lead to web.x at port 81,
 * are opened.
 */
static const struct row rows[] = {
	/* Contexts. */
	{FILTER("x", NETWORK("{" INBOUND "}")), "fail-closed", "CC- CC- X - - 8080 8081",
		"rpc.x,web.x"},
	{FILTER("x", NETWORK("{" OUTBOUND "}")), "fail-closed", "X X X X -", "out.x,rpc.x,web.x"},
	{FILTER("x", NETWORK("{" GATEWAY "}")), "fail-closed", "--- --- - - -", "*,web.test"},
	{FILTER("x", NETWORK("{context: ANY}")), "fail-closed", "X X X X -", NULL},
	{FILTER("x", NETWORK("{context: SIDE}")), "fail-closed", "X X X X -", NULL},
	{FILTER("x", NETWORK("{}")), "fail-closed", "X X X X -", NULL},
	{FILTER("istio-system", NETWORK("{" INBOUND "}")), "fail-closed", "CC- CC- X - X 8080 8081",
		"rpc.x,rpc.y,web.x"},
	{FILTER("istio-system", NETWORK("{" OUTBOUND "}")), "fail-closed", "X X X X X", NULL},
	{FILTER("istio-system", NETWORK("{" GATEWAY "}")), "fail-closed", "--- --- - - -", NULL},
	{FILTER("z", NETWORK("{}")), "no-effect", "--- --- - - - 8080 8081", ""},
	/* Who is selected. */
	{FILTER("x", V1 NETWORK("{" INBOUND "}")), "fail-closed", "C-- C-- - - - 8080 8081",
		"web.x"},
	{FILTER("x", V1 NETWORK("{}")), "fail-closed", "C-- C-- - - - 8080 8081", "web.x"},
	{FILTER("x", "  workloadSelector: {labels: {security.istio.io/tlsMode: istio}}\n" NETWORK(
			     "{}")),
		"elsewhere", "--- --- - - - 8080 8081", "web.x"},
	{FILTER("x", "  workloadSelector: {labels: {app: out}}\n" NETWORK("{}")), "no-effect",
		"--- --- - - - 8080 8081", ""},
	{FILTER("x", "  workloadSelector: {labels: {istio: gw}}\n" NETWORK("{}")), "fail-closed",
		"X X X X -", NULL},
	{FILTER("x", "  workloadSelector: {labels: {istio: gw}}\n" NETWORK("{" GATEWAY "}")),
		"fail-closed", "--- --- - - -", "*,web.test"},
	{FILTER("x", "  workloadSelector: {labels: {istio: other}}\n" NETWORK("{" GATEWAY "}")),
		"no-effect", "--- --- - - - 8080 8081", ""},
	{FILTER("y", NETWORK("{" GATEWAY "}")), "no-effect", "--- --- - - - 8080 8081", ""},
	{FILTER("x", "  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: "
		     "out}]\n" NETWORK("{}")),
		"fail-closed", "--- --- - X - 8080 8081", "out.x"},
	{FILTER("x",
		 "  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: out}, "
		 "{group: networking.istio.io, kind: ServiceEntry, name: rpc}]\n" NETWORK("{}")),
		"fail-closed", "--- --- X X - 8080 8081", "out.x,rpc.x"},
	{FILTER("y", "  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: "
		     "out}]\n" NETWORK("{}")),
		"no-effect", "--- --- - - - 8080 8081", ""},
	{FILTER("x", "  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: "
		     "rpc}]\n" HTTP("{}")),
		"no-effect", "--- --- - - - 8080 8081", ""},
	/* A class that no gateway here has; one that selects, too; one that nobody knows. */
	{FILTER("istio-system", "  targetRefs: [{group: gateway.networking.k8s.io, kind: "
				"GatewayClass, name: istio}]\n" NETWORK("{}")),
		"no-effect", "--- --- - - - 8080 8081", ""},
	{FILTER("x", RPC "  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: "
			 "rpc}]\n" NETWORK("{}")),
		"refused", "--- --- X - - 8080 8081", NULL},
	{FILTER("x", "  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: "
		     "out}]\n" NETWORK("{}")),
		"fail-closed", "X X X X -", NULL},
	{FILTER("x",
		 "  targetRefs: [{group: networking.istio.io, kind: Gateway, name: g}]\n" NETWORK(
			 "{}")),
		"fail-closed", "--- --- - - -", NULL},
	/* Ports: the service's, and the instance's. */
	{FILTER("x", NETWORK("{" INBOUND ", listener: {portNumber: 81}}")), "fail-closed",
		"--- CC- - - - 8080 8081", "web.x"},
	{FILTER("x", NETWORK("{" INBOUND ", listener: {portNumber: 8080}}")), "fail-closed",
		"CC- --- - - - 8080 8081", "web.x"},
	{FILTER("x", NETWORK("{" INBOUND ", listener: {name: virtualInbound, filterChain: "
			     "{destinationPort: 20880}}}")),
		"fail-closed", "--- --- X - - 8080 8081", "rpc.x"},
	{FILTER("x", NETWORK("{listener: {name: virtualInbound}}")), "fail-closed",
		"CC- CC- X - - 8080 8081", "rpc.x,web.x"},
	{FILTER("x", NETWORK("{" INBOUND ", listener: {portNumber: 15006}}")), "fail-closed",
		"CC- CC- X - - 8080 8081", NULL},
	{FILTER("x", NETWORK("{" INBOUND ", listener: {portNumber: 9}}")), "no-effect",
		"--- --- - - - 8080 8081", ""},
	{FILTER("x", NETWORK("{" OUTBOUND ", listener: {portNumber: 81}}")), "fail-closed",
		"--- X - - -", "web.x"},
	{FILTER("x", NETWORK("{" GATEWAY ", listener: {portNumber: 8081}}")), "fail-closed",
		"--- --- - - - 8080", "web.test"},
	{FILTER("x", NETWORK("{" GATEWAY ", listener: {portNumber: 8443}}")), "fail-closed",
		"--- --- - - -", "*,web.test"},
	/* Protocols: a filter of HTTP is in no chain of bytes and of Dubbo. */
	{FILTER("x", HTTP("{" INBOUND "}")), "fail-closed", "CC- --- - - - 8080 8081", "web.x"},
	{FILTER("x", HTTP("{" GATEWAY "}")), "fail-closed", "--- --- - - - 8080", "web.test"},
	{FILTER("x", RPC HTTP("{" INBOUND "}")), "no-effect", "--- --- - - - 8080 8081", ""},
	{FILTER("y", HTTP("{}")), "no-effect", "--- --- - - - 8080 8081", ""},
	{FILTER("x", BEFORE("envoy.filters.network.http_connection_manager")), "fail-closed",
		"CC- --- - - - 8080 8081", "web.x"},
	{FILTER("x", BEFORE("envoy.filters.network.tcp_proxy")), "fail-closed",
		"--- CC- X - - 8080 8081", "rpc.x,web.x"},
	{FILTER("x", BEFORE("any.other")), "fail-closed", "CC- CC- X - - 8080 8081", NULL},
	/* What protects nobody. */
	{FILTER("x", WEB "  configPatches: [{applyTo: NETWORK_FILTER, match: {" INBOUND "}, patch: "
			 "{operation: REMOVE, " RBAC "}]"),
		"in-force-with-notes", "--- --- - - - 8080 8081", "web.x"},
	{FILTER("x", RPC "  configPatches: [{applyTo: CLUSTER, match: {" INBOUND "}, patch: "
			 "{operation: MERGE, value: {connect_timeout: 1s}}}]"),
		"in-force-with-notes", "--- --- - - - 8080 8081", "rpc.x"},
	{FILTER("z", "  configPatches: [{applyTo: CLUSTER, match: {" INBOUND "}, patch: "
		     "{operation: MERGE, value: {connect_timeout: 1s}}}]"),
		"no-effect", "--- --- - - - 8080 8081", ""},
	/* What cannot be read narrows nothing. */
	{FILTER("x", "  configPatches: {a: 1}"), "refused", "X X X X -", NULL},
	{FILTER("x", "  workloadSelector: {labels: [app]}\n" NETWORK("{" INBOUND "}")), "refused",
		"X X X X -", NULL},
	{FILTER("x", NETWORK("{" INBOUND ", " GATEWAY "}")), "fail-closed", "X X X X -", NULL},
	{FILTER("x", NETWORK("{" INBOUND ", listener: {portNumber: 81}, listener: {}}")),
		"fail-closed", "CC- CC- X - - 8080 8081", "rpc.x,web.x"},
	{FILTER("x", V1 "  nonsense: 1\n" NETWORK("{" INBOUND "}")), "refused",
		"C-- C-- - - - 8080 8081", NULL},
	/* Plugins: of HTTP if they say nothing, at both ends. */
	{PLUGIN("x", ""), "fail-closed", "X --- - - - 8080", "web.test,web.x"},
	{PLUGIN("x", ", type: HTTP, match: [{mode: SERVER}]"), "fail-closed",
		"CC- --- - - - 8080 8081", "web.x"},
	{PLUGIN("x", ", type: NETWORK, match: [{mode: SERVER}]"), "fail-closed",
		"CC- CC- X - - 8080 8081", "rpc.x,web.x"},
	{PLUGIN("x", ", type: NETWORK, match: [{mode: CLIENT, ports: [{number: 81}]}]"),
		"fail-closed", "--- X - - -", "web.x"},
	{PLUGIN("x",
		 ", type: NETWORK, selector: {matchLabels: {v: '1'}}, match: [{ports: [{number: "
		 "81}]}, {ports: [{number: 8080}]}]"),
		"fail-closed", "C-- C-- - - - 8080 8081", "web.x"},
	{PLUGIN("x", ", selector: {matchLabels: {app: rpc}}"), "no-effect",
		"--- --- - - - 8080 8081", ""},
	{PLUGIN("x", ", type: NETWORK, selector: {matchLabels: {istio: gw}}, match: [{mode: "
		     "CLIENT, ports: "
		     "[{number: 8080}]}]"),
		"fail-closed", "--- --- - - - 8081", "*"},
	{PLUGIN("x", ", type: NETWORK, match: nonsense"), "fail-closed", "X X X X -", NULL},
	{PLUGIN("istio-system", ""), "fail-closed", "X --- - - - 8080", NULL},
	/* Ports of the gateway's Pods, by labels, a target, or as nobody else has them. */
	{PLUGIN("x", ", type: NETWORK, selector: {matchLabels: {istio: gw}}, match: [{mode: "
		     "CLIENT, ports: [{number: 15443}]}]"),
		"fail-closed", "--- --- - - -", "*,web.test"},
	{PLUGIN("x", ", type: NETWORK, targetRefs: [{group: gateway.networking.k8s.io, kind: "
		     "Gateway, name: g}], match: [{ports: [{number: 15443}]}]"),
		"fail-closed", "--- --- - - -", "*,web.test"},
	{PLUGIN("x", ", type: NETWORK, match: [{mode: CLIENT, ports: [{number: 15443}]}]"),
		"fail-closed", "--- --- - - -", "*,web.test"},
	/* Numbers that are written in another way. */
	{FILTER("x", NETWORK("{" INBOUND ", listener: {portNumber: 00121}}")), "fail-closed",
		"CC- CC- X - - 8080 8081", "rpc.x,web.x"},
	{FILTER("x", NETWORK("{" INBOUND ", listener: {portNumber: 81e1}}")), "fail-closed",
		"CC- CC- X - - 8080 8081", "rpc.x,web.x"},
};

static const struct mt_cluster *cluster_of(const struct scene *sc, const char *name)
{
	for (uint32_t i = 0; i < sc->s->n_clusters; i++)
		if (strcmp(sc->s->clusters[i].name, name) == 0)
			return &sc->s->clusters[i];
	return NULL;
}

static char *say_cluster(const struct mt_cluster *c, char *to)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	if (c->closed_by)
		*to++ = 'X';
	for (uint32_t i = 0; i < c->n_eps; i++)
		*to++ = c->guards && c->guards[i] ? 'C' : '-';
	*to++ = ' ';
	return to;
}

static void say_all(const struct scene *sc, char buf[64])
{
	static const char *const names[] = {"outbound|80||web.x", "outbound|81||web.x",
		"outbound|80||rpc.x", "outbound|80||out.x", "outbound|80||rpc.y"};
	char *to = buf;

	for (size_t i = 0; i < MT_ARRAY_LEN(names); i++)
		to = say_cluster(cluster_of(sc, names[i]), to);
	for (uint32_t i = 0; i < sc->s->n_listeners; i++)
		if (sc->s->listeners[i].port >= 8000 && !sc->s->listeners[i].closed_by)
			to += sprintf(to, "%u ", sc->s->listeners[i].port);
	to[-1] = '\0';
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void say_touches(const struct mt_object_row *row, char buf[128])
{
	char *to = buf;

	if (row->n_touches)
		qsort((void *)row->touches, row->n_touches, sizeof(*row->touches), by_text);
	*to = '\0';
	for (uint32_t i = 0; i < row->n_touches; i++)
		to += sprintf(to, "%s%s", i ? "," : "", row->touches[i]);
}

/* Instances with proxies of their own are called where somebody says that clear text is meant. */
#define CLEAR                                                                                      \
	"apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"                              \
	"metadata: {name: clear, namespace: istio-system}\n"                                       \
	"spec: {host: '*', trafficPolicy: {tls: {mode: DISABLE}}}\n"

static void where_filters_close(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		char closed[64], touches[128], text[8192];
		const struct mt_object_row *row;
		struct scene sc;
		bool good;

		scene_begin(&sc);
		scene_write(&sc, "0-node.yaml", NODE);
		snprintf(text, sizeof(text), "%s---\n" CLEAR "---\n%s", services, r->text);
		scene_write(&sc, "a.yaml", text);
		scene_load(&sc);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
		row = scene_row(
			&sc, strstr(r->text, "WasmPlugin") ? "WasmPlugin" : "EnvoyFilter", "p");
		CU_ASSERT_PTR_NOT_NULL_FATAL(row);
		say_all(&sc, closed);
		say_touches(row, touches);
		good = strcmp(closed, r->closed) == 0 &&
		       strcmp(mt_object_status_str(row->status), r->status) == 0 &&
		       (!r->touches || strcmp(touches, r->touches) == 0);
		CU_ASSERT_TRUE(good);
		if (!good)
			fprintf(stderr, "row %zu: %s \"%s\" %s\n%s\n", i,
				mt_object_status_str(row->status), closed, touches, r->text);
		scene_end(&sc);
	}
}

/* The namespace of a plugin's target is warned about; the target is that of the plugin's namespace. */
static void plugins_of_other_namespaces(void)
{
#define NAMED(ns)                                                                                  \
	PLUGIN("x", ", type: NETWORK, targetRefs: [{group: networking.istio.io, kind: "            \
		    "ServiceEntry, name: out, namespace: " ns "}]")
	static const char *const texts[] = {NAMED("x"), NAMED("y")};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		const struct mt_object_row *row;
		char closed[64], text[8192];
		struct scene sc;

		scene_begin(&sc);
		scene_write(&sc, "0-node.yaml", NODE);
		snprintf(text, sizeof(text), "%s---\n" CLEAR "---\n%s", services, texts[i]);
		scene_write(&sc, "a.yaml", text);
		scene_load(&sc);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
		say_all(&sc, closed);
		CU_ASSERT_STRING_EQUAL(closed, "--- --- - X - 8080 8081");
		row = scene_row(&sc, "WasmPlugin", "p");
		CU_ASSERT_PTR_NOT_NULL_FATAL(row);
		CU_ASSERT_EQUAL_FATAL(row->n_notes, i);
		if (i)
			CU_ASSERT_STRING_EQUAL(row->notes[0].field, "spec.targetRefs[0].namespace");
		scene_end(&sc);
	}
}

/* What a filter stands in front of in its clients' proxies is closed wherever routes lead. */
static void filters_of_clients_and_routes(void)
{
#define A(name, port)                                                                              \
	ISTIO("ServiceEntry", name, "x")                                                           \
	"  hosts: [" name                                                                          \
	".x]\n  addresses: [192.0.2.7]\n  location: MESH_INTERNAL\n  resolution: "                 \
	"STATIC\n  ports: [" port "]\n  endpoints: [{address: 198.51.100.1}]\n---\n"
	static const char text[] = A("a",
		"{number: 9090, name: tcp-metaprotocol-dubbo}, {number: 9443, name: tls}, "
		"{number: 9091, name: tcp-metaprotocol-dubbo-2}") OF("b", "y", "MESH_INTERNAL",
		DUBBO ", {number: 443, name: tls}",
		"{address: 198.51.100.2}") ISTIO("VirtualService", "a",
		"x") "  hosts: [a.x]\n  http: [{route: [{destination: {host: b.y, port: "
		     "{number: 80}}}]}]\n  tls: [{match: [{sniHosts: [n.example]}], route: "
		     "[{destination: {host: b.y, port: {number: 443}}}]}]\n---\n" FILTER("x",
			     "  configPatches:\n  - {applyTo: NETWORK_FILTER, match: {" OUTBOUND
			     ", listener: {portNumber: 9090}}, patch: {operation: "
			     "INSERT_FIRST, " RBAC
			     "}\n  - {applyTo: NETWORK_FILTER, match: {" OUTBOUND
			     ", listener: {portNumber: 9443}}, patch: {operation: "
			     "INSERT_FIRST, " RBAC "}");
	struct scene sc;
	char gates[256] = "";

	scene_begin(&sc);
	scene_write(&sc, "0-node.yaml", NODE);
	scene_write(&sc, "a.yaml", text);
	scene_load(&sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
	for (uint32_t i = 0; i < sc.s->n_listeners; i++) {
		const struct mt_listener *l = &sc.s->listeners[i];

		for (uint32_t k = 0; k < l->n_chains; k++) {
			const struct mt_service *s = l->chains[k].protos[0].services[0];

			snprintf(gates + strlen(gates), sizeof(gates) - strlen(gates), "%u %s %s\n",
				l->port, s->name, s->gate ? "gate" : "-");
			if (s->gate && s->routes)
				CU_ASSERT_EQUAL(s->n_filter_insts, 1);
		}
	}
	CU_ASSERT_STRING_EQUAL(gates, "9090 a.x gate\n9443 n.example gate\n9443 a.x gate\n"
				      "9091 a.x -\n80 b.y -\n443 b.y -\n");
	scene_end(&sc);
}

const struct mt_test filters_tests[] = {
	{"filters_of_clients_and_routes", filters_of_clients_and_routes},
	{"where_filters_close", where_filters_close},
	{"plugins_of_other_namespaces", plugins_of_other_namespaces},
	{0},
};
