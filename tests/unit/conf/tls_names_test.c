/* SPDX-License-Identifier: Apache-2.0 */
/* TLS that is passed through by the server name that it asks for: at gateways and at services' own addresses. */
#include "conf_test.h"
#include "conf_texts.h"

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
	CU_ASSERT_EQUAL(b.diags.warnings, 0);
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
	static const char *const modes[] = {GATEWAY("SIMPLE"), GATEWAY("MUTUAL"),
		GATEWAY("ISTIO_MUTUAL"), GATEWAY("AUTO_PASSTHROUGH")};

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
		CU_ASSERT_EQUAL(b.diags.warnings, 1);
		CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 30, "TLS cannot be ended"));
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

const struct mt_test tls_names_tests[] = {
	{"at_a_gateway", at_a_gateway},
	{"who_has_a_name", who_has_a_name},
	{"for_clients_of_others", for_clients_of_others},
	{"of_whose_routes", of_whose_routes},
	{"tls_is_not_ended", tls_is_not_ended},
	{"at_a_service", at_a_service},
	{"names_of_tls_only", names_of_tls_only},
	{0},
};
