/* SPDX-License-Identifier: Apache-2.0 */
/* TLS that is passed through by the server name that it asks for: at gateways and at services' own addresses. */
#include "conf_test.h"
#include "conf_texts.h"

#include "mt_filter_keyed.h"

#include <stdio.h>

#define BYTES(name, host, addr)                                                                    \
	ISTIO("ServiceEntry", name)                                                                \
	"  hosts: [" host "]\n  addresses: [" addr "]\n  resolution: STATIC\n"                     \
	"  ports: [{number: 443, name: tls}]\n  endpoints: [{address: 198.51.100.9}]\n"
#define SERVICES BYTES("p", "p.x", "192.0.2.31") BYTES("q", "q.x", "192.0.2.32")
#define GATEWAY(tls)                                                                               \
	ISTIO("Gateway", "g")                                                                      \
	"  selector: {}\n  servers:\n  - port: {number: 8443, name: tls, protocol: TLS}\n"         \
	"    hosts: ['*.example', one.test]\n    tls: {mode: " tls "}\n"
#define ROUTES(name, hosts, gateways)                                                              \
	ISTIO("VirtualService", name) "  hosts: [" hosts "]\n" gateways "  tls:\n"
#define TO(match, host)                                                                            \
	"  - {match: [{" match "}], route: [{destination: {host: " host                            \
	", port: {number: 443}}}]}\n"

/* The cluster that a connection to the listener is passed on to; "": it is refused. */
static const char *of_name(
	const struct mt_snapshot *s, const struct mt_listener *l, const char *name)
{
	const struct mt_filter_chain_facts f = {.tls = name != NULL,
		.name = {(const uint8_t *)name, name ? (uint32_t)strlen(name) : 0}};
	const struct mt_filter_chain *c = l ? mt_filter_chain_choose(l, &f) : NULL;

	return c ? s->clusters[c->protos[0].services[0]->tcp_cluster].name : "";
}

#define LEADS(b, l, name, cluster) CU_ASSERT_STRING_EQUAL(of_name((b).s, l, name), cluster)
#define P			   "outbound|443||p.x"
#define Q			   "outbound|443||q.x"

static void at_a_gateway(void)
{
	struct built b = build_text(NULL,
		SERVICES GATEWAY("PASSTHROUGH") ROUTES("a", "'*'", "  gateways: [g]\n")
			TO("sniHosts: [A.example, '*.b.example', other.test]", "p.x")
				TO("sniHosts: ['*.example'], port: 8443, gateways: [g]", "q.x") TO(
					"sniHosts: [d.example], gateways: [other/g, mesh]", "p.x")
					TO("sniHosts: [one.test], port: 8444", "p.x"));
	const struct mt_listener *l;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	l = listener(b.s, "0.0.0.0", 8443);
	l = l ? l : listener(b.s, "::", 8443);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	LEADS(b, l, "a.example", P);
	LEADS(b, l, "c.b.example", P);
	LEADS(b, l, "c.example", Q);
	LEADS(b, l, "d.example", Q);
	/* Not of the server's hosts; for another port; not TLS. */
	LEADS(b, l, "other.test", "");
	LEADS(b, l, "one.test", "");
	LEADS(b, l, NULL, "");
	/* There is no Gateway other/g. */
	CU_ASSERT_EQUAL(b.diags.warnings, 1);
	unbuild(&b);
}

/* A gateway's wildcard, a VirtualService below it, and the hosts that both name, in either case. */
static void in_either_case(void)
{
	struct built b = build_text(NULL,
		BYTES("p", "P.X", "192.0.2.31") BYTES("q", "q.x", "192.0.2.32") ISTIO("Gateway",
			"g") "  selector: {}\n  servers:\n"
			     "  - {port: {number: 8443, name: tls, protocol: TLS}, hosts: "
			     "['*.Shop.Example', "
			     "'default/Other.Example'], tls: {mode: PASSTHROUGH}}\n"
			     "  - {port: {number: 9000, name: tcp}, hosts: "
			     "['*.Shop.Example']}\n" ROUTES("a", "one.shop.example",
				     "  gateways: [g]\n") TO("sniHosts: [one.shop.example]",
				     "p.X") ROUTES("b", "'*.SHOP.example', OTHER.example",
				     "  gateways: [g]\n")
				     TO("sniHosts: [TWO.shop.example, other.EXAMPLE]",
					     "Q.x") ROUTES("c", "One.shop.example",
					     "  gateways: [g]\n") "  - {match: [{sniHosts: "
								  "[x.shop.example]}], route: "
								  "[{destination: {host: q.X}}]}\n"
								  "  tcp: [{route: [{destination: "
								  "{host: Q.x}}]}]\n");
	const struct mt_listener *l;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	if (b.diags.warnings)
		show_diags(&b);
	CU_ASSERT_EQUAL(b.diags.warnings, 0);
	l = listener(b.s, "0.0.0.0", 8443);
	l = l ? l : listener(b.s, "::", 8443);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	LEADS(b, l, "one.shop.example", P);
	LEADS(b, l, "two.shop.example", Q);
	LEADS(b, l, "other.example", Q);
	LEADS(b, l, "x.shop.example", Q);
	l = listener(b.s, "0.0.0.0", 9000);
	l = l ? l : listener(b.s, "::", 9000);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	LEADS(b, l, NULL, Q);
	unbuild(&b);
}

/* Any name is one route's; one name the first one's. */
static void who_has_a_name(void)
{
	struct built b = build_text(NULL,
		SERVICES GATEWAY("PASSTHROUGH") ROUTES("a", "'*'", "  gateways: [g]\n")
			TO("sniHosts: [a.example]", "p.x") ROUTES("b", "'*'", "  gateways: [g]\n")
				TO("sniHosts: [a.example]", "q.x") TO("sniHosts: ['*']", "q.x"));
	const struct mt_listener *l;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	l = listener(b.s, "0.0.0.0", 8443);
	l = l ? l : listener(b.s, "::", 8443);
	LEADS(b, l, "a.example", P);
	LEADS(b, l, "z.test", Q);
	LEADS(b, l, NULL, "");
	CU_ASSERT_EQUAL(b.diags.warnings, 1);
	unbuild(&b);
}

/* NAMESPACE/HOST of a server: others' routes lead nothing there, neither by their hosts nor by their server names. */
static void of_whose_routes(void)
{
	static const char text[] = SERVICES ISTIO("Gateway",
		"g") "  selector: {}\n  servers:\n"
		     "  - port: {number: 8443, name: tls, protocol: TLS}\n    tls: {mode: "
		     "PASSTHROUGH}\n"
		     "    hosts: [prod/a.example, './b.example', '*/c.example']\n"
		     "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
		     "metadata: {name: a, namespace: prod}\nspec:\n  hosts: ['*.example']\n"
		     "  gateways: [default/g]\n  tls:\n" TO("sniHosts: [a.example]", "p.x") TO(
			     "sniHosts: [b.example]",
			     "p.x") "---\napiVersion: networking.istio.io/v1\nkind: "
				    "VirtualService\n"
				    "metadata: {name: b, namespace: evil}\nspec:\n"
				    "  hosts: [a.example, c.example]\n  gateways: [default/g]\n  "
				    "tls:\n" TO("sniHosts: [a.example, b.example, c.example]",
					    "q.x") "---\napiVersion: networking.istio.io/v1\nkind: "
						   "VirtualService\n"
						   "metadata: {name: c, namespace: evil}\nspec:\n"
						   "  hosts: [a.example]\n  gateways: "
						   "[default/g]\n  tls:\n" TO(
							   "sniHosts: ['*']", "q.x");
	struct built b = build_text(NULL, text);
	const struct mt_listener *l;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	l = listener(b.s, "0.0.0.0", 8443);
	l = l ? l : listener(b.s, "::", 8443);
	LEADS(b, l, "a.example", P);
	LEADS(b, l, "b.example", "");
	LEADS(b, l, "c.example", Q);
	LEADS(b, l, "z.example", "");
	unbuild(&b);
}

/* What is not exported to a gateway's namespace leads nothing there. */
static void for_clients_of_others(void)
{
#define PRIVATE(name, ns, more)                                                                    \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " name    \
	", namespace: " ns                                                                         \
	"}\nspec:\n  hosts: ['*']\n  exportTo: ['.']\n  gateways: [default/g]\n" more
	static const char text[] = SERVICES ISTIO("Gateway",
		"g") "  selector: {}\n  servers:\n"
		     "  - port: {number: 8443, name: tls, protocol: TLS}\n    tls: {mode: "
		     "PASSTHROUGH}\n"
		     "    hosts: ['*']\n  - {port: {number: 9000, name: tcp}, hosts: "
		     "['*']}\n" PRIVATE("a", "evil",
			     "  tls:\n" TO("sniHosts: [a.example]", "p.x")) PRIVATE("b", "evil",
			     "  tcp: [{route: [{destination: {host: p.x}}]}]\n")
			     PRIVATE("c", "default",
				     "  tcp: [{route: [{destination: {host: q.x}}]}]\n  tls:\n" TO(
					     "sniHosts: [a.example]", "q.x"));
	struct built b = build_text(NULL, text);
	static const uint16_t at[] = {8443, 9000};

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	for (size_t i = 0; i < MT_ARRAY_LEN(at); i++) {
		const struct mt_listener *l = listener(b.s, "0.0.0.0", at[i]);

		l = l ? l : listener(b.s, "::", at[i]);
		LEADS(b, l, i ? NULL : "a.example", Q);
	}
	CU_ASSERT_EQUAL(b.diags.inert, 2);
	unbuild(&b);
}

/* TLS that a server is to end is not served, and least of all in clear text. */
static void tls_is_not_ended(void)
{
	static const char *const modes[] = {
		GATEWAY("SIMPLE"), GATEWAY("MUTUAL"), GATEWAY("ISTIO_MUTUAL")};

	for (size_t i = 0; i < MT_ARRAY_LEN(modes); i++) {
		char text[4096];
		struct built b;

		snprintf(text, sizeof(text), "%s%s%s", SERVICES, modes[i],
			ROUTES("a", "'*'", "  gateways: [g]\n") TO("sniHosts: ['*']",
				"p.x") "  tcp: [{route: [{destination: {host: p.x}}]}]\n");
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_PTR_NULL(listener(b.s, "0.0.0.0", 8443));
		CU_ASSERT_PTR_NULL(listener(b.s, "::", 8443));
		CU_ASSERT_EQUAL(mt_diags_strict(&b.diags), 1);
		CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 30, "TLS cannot be ended") ||
			       has_diag(&b, MT_DIAG_ABSENT, 30, "TLS cannot be ended"));
		unbuild(&b);
	}
}

/* Of clients of its address, what asks for the name; what is left goes where the address leads. */
static void at_a_service(void)
{
	struct built b = build_text(NULL,
		SERVICES ROUTES("a", "p.x", "") TO("sniHosts: [q.example]", "q.x")
			TO("sniHosts: [r.example], gateways: [g]", "q.x")
				TO("sniHosts: [s.example], sourceNamespace: other", "q.x"));
	const struct mt_listener *l;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	l = listener(b.s, "192.0.2.31", 443);
	LEADS(b, l, "q.example", Q);
	LEADS(b, l, "r.example", P);
	LEADS(b, l, "s.example", P);
	LEADS(b, l, NULL, P);
	CU_ASSERT_EQUAL(b.diags.inert, 0);
	l = listener(b.s, "192.0.2.32", 443);
	LEADS(b, l, "q.example", Q);
	unbuild(&b);
}

/* Server names are of TLS, and TLS is known by nothing else. */
static void names_of_tls_only(void)
{
	struct built b = build_text(NULL,
		SERVICES ROUTES("a", "p.x", "") "  - {route: [{destination: {host: q.x}}]}\n");

	CU_ASSERT_PTR_NULL(b.s);
	unbuild(&b);
	b = build_text(NULL,
		SERVICES ISTIO("VirtualService", "v") "  hosts: [p.x]\n  tcp:\n"
						      "  - {match: [{sniHosts: [a]}], route: "
						      "[{destination: {host: q.x}}]}\n");
	CU_ASSERT_PTR_NULL(b.s);
	unbuild(&b);
}

#define MESHED(name, ns, more)                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name      \
	", namespace: " ns "}\nspec:\n  hosts: [" name ".x]\n  resolution: STATIC\n"               \
	"  location: MESH_INTERNAL\n  ports: [{number: 443, name: tls}, {number: 80, name: http}]" \
	"\n" more "  endpoints: [{address: 198.51.100.1, serviceAccount: s, labels: {v: a}}, "     \
	"{address: 198.51.100.2}]\n"
#define EAST_WEST(hosts)                                                                           \
	ISTIO("Gateway", "g")                                                                      \
	"  selector: {}\n  servers:\n  - port: {number: 15443, name: tls, protocol: TLS}\n"        \
	"    hosts: [" hosts "]\n    tls: {mode: AUTO_PASSTHROUGH}\n"
#define SUBSETS                                                                                    \
	ISTIO("DestinationRule", "r")                                                              \
	"  host: P.x\n  subsets: [{name: a, labels: {v: a}}, {name: none, labels: {v: b}}]\n"

/* The cluster that a client of the mesh is passed on to; others offer what other TLS has. */
static const char *passed(const struct built *b, const char *name, bool of_mesh)
{
	const struct mt_listener *l = listener(b->s, "::", 15443);
	const struct mt_filter_chain_facts f = {.tls = true,
		.name = {(const uint8_t *)name, (uint32_t)strlen(name)},
		.alpn = {(const uint8_t *)(of_mesh ? "\2h2\5istio" : "\2h2"), of_mesh ? 9 : 3}};
	const struct mt_filter_chain *c = l ? mt_filter_chain_choose(l, &f) : NULL;

	return c ? b->s->clusters[c->protos[0].services[0]->tcp_cluster].name : "";
}

/* Services that have a proxy of their own somewhere, by port and subset; only those, and only for the mesh's clients. */
static void to_services_by_name(void)
{
	struct built b = build_text(NULL,
		EAST_WEST("'*'") MESHED("P", "default", "") MESHED("q", "shop", "  exportTo: [.]\n")
			BYTES("bare", "bare.x", "192.0.2.41") SUBSETS);
	static const struct {
		const char *name, *to;
	} rows[] = {{"outbound_.443_._.p.x", "outbound_.443_._.p.x"},
		{"outbound_.80_._.p.x", "outbound_.80_._.p.x"},
		{"outbound_.443_.a_.p.x", "outbound_.443_.a_.p.x"},
		{"outbound_.443_.none_.p.x", ""}, {"outbound_.443_.other_.p.x", ""},
		{"outbound_.81_._.p.x", ""}, {"outbound_.0443_._.p.x", ""},
		{"outbound_.443_._.q.x", ""}, {"outbound_.443_._.bare.x", ""},
		{"outbound|443||p.x", ""}, {"p.x", ""}, {"", ""}};

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		CU_ASSERT_STRING_EQUAL(passed(&b, rows[i].name, true), rows[i].to);
		CU_ASSERT_STRING_EQUAL(passed(&b, rows[i].name, false), "");
	}
	/* To nobody but who ends it, and as it comes. */
	for (uint32_t i = 0; i < b.s->n_clusters; i++) {
		const struct mt_cluster *c = &b.s->clusters[i];

		if (strncmp(c->name, "outbound_", 9) != 0)
			continue;
		CU_ASSERT_EQUAL(c->n_eps, 1);
		CU_ASSERT_PTR_NULL(c->tls);
		CU_ASSERT_FALSE(c->eps[0].tls);
		CU_ASSERT_TRUE(c->eps[0].meshed);
	}
	unbuild(&b);
}

/* Whose `hosts` are of a namespace, or of other names. */
static void to_some_services(void)
{
	struct built b =
		build_text(NULL, EAST_WEST("shop/*, '*.test', P.x") MESHED("P", "default", "")
					 MESHED("q", "shop", "") MESHED("r", "default", ""));

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_STRING_EQUAL(passed(&b, "outbound_.443_._.p.x", true), "outbound_.443_._.p.x");
	CU_ASSERT_STRING_EQUAL(passed(&b, "outbound_.443_._.q.x", true), "outbound_.443_._.q.x");
	CU_ASSERT_STRING_EQUAL(passed(&b, "outbound_.443_._.r.x", true), "");
	unbuild(&b);
}

/* Nobody is there, or messages are to be read of what is not. */
static void to_no_service(void)
{
	struct built b = build_text(NULL, EAST_WEST("'*'") BYTES("bare", "bare.x", "192.0.2.41"));

	CU_ASSERT_PTR_NULL(listener(b.s, "::", 15443));
	CU_ASSERT(has_diag(&b, MT_DIAG_WARNING, 8, "there is no service that this port could"));
	unbuild(&b);
	b = build_text(NULL,
		ISTIO("Gateway", "g") "  selector: {}\n  servers:\n  - port: {number: 15443, name: "
				      "tcp-metaprotocol-dubbo, protocol: TLS}\n    hosts: ['*']\n"
				      "    tls: {mode: AUTO_PASSTHROUGH}\n" MESHED(
					      "p", "shop", ""));
	CU_ASSERT_PTR_NULL(listener(b.s, "::", 15443));
	CU_ASSERT(has_diag(&b, MT_DIAG_WARNING, 8, "forwards TLS without reading it"));
	unbuild(&b);
}

/* True if connections of the mesh that ask for the name are limited by a TrafficPolicy. */
static bool is_limited(const struct built *b, const char *addr, uint16_t port, const char *name)
{
	const struct mt_listener *l = b->s ? listener(b->s, addr, port) : NULL;
	const struct mt_filter_chain_facts f = {.tls = true,
		.name = {(const uint8_t *)name, (uint32_t)strlen(name)},
		.alpn = {(const uint8_t *)"\2h2\5istio", 9}};
	const struct mt_filter_chain *c = l ? mt_filter_chain_choose(l, &f) : NULL;
	const struct mt_service *s = c ? c->protos[0].services[0] : NULL;

	CU_ASSERT_PTR_NOT_NULL(s);
	return s && s->n_filter_insts == 1 && s->filter_insts[0].type == &mt_filter_keyed_ratelimit;
}

/* The policy of a Gateway, or of the service whose address it is, limits what goes by its server name. */
static void clients_of_names(void)
{
#define LIMIT(kind, name)                                                                          \
	"---\napiVersion: meltemi.io/v1\nkind: TrafficPolicy\nmetadata: {name: " name              \
	"}\nspec: {targetRefs: [{group: networking.istio.io, kind: " kind ", name: " name          \
	"}], rateLimit: {local: {rules: [{limit: {requests: 1, unit: Day}}]}}}\n"
	static const struct {
		const char *text, *limit, *addr;
		uint16_t port;
		const char *name;
	} rows[] = {{SERVICES GATEWAY("PASSTHROUGH") ROUTES("a", "'*'", "  gateways: [g]\n")
				    TO("sniHosts: [a.example]", "p.x"),
			    LIMIT("Gateway", "g"), "::", 8443, "a.example"},
		{SERVICES ROUTES("a", "p.x", "") TO("sniHosts: [q.example]", "q.x"),
			LIMIT("ServiceEntry", "p"), "192.0.2.31", 443, "q.example"},
		{EAST_WEST("'*'") MESHED("P", "default", ""), LIMIT("Gateway", "g"), "::", 15443,
			"outbound_.443_._.p.x"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		for (int limited = 0; limited < 2; limited++) {
			char text[4096];
			struct built b;

			snprintf(text, sizeof(text), "%s%s", rows[i].text,
				limited ? rows[i].limit : "");
			b = build_text(NULL, text);
			CU_ASSERT_EQUAL(
				is_limited(&b, rows[i].addr, rows[i].port, rows[i].name), limited);
			unbuild(&b);
		}
}

const struct mt_test tls_names_tests[] = {
	{"to services by name", to_services_by_name},
	{"to some services", to_some_services},
	{"to no service", to_no_service},

	{"at_a_gateway", at_a_gateway},
	{"in_either_case", in_either_case},
	{"who_has_a_name", who_has_a_name},
	{"for_clients_of_others", for_clients_of_others},
	{"of_whose_routes", of_whose_routes},
	{"tls_is_not_ended", tls_is_not_ended},
	{"at_a_service", at_a_service},
	{"names_of_tls_only", names_of_tls_only},
	{"clients_of_names", clients_of_names},
	{0},
};
