/* SPDX-License-Identifier: Apache-2.0 */
/* Which policies guard which instance, and what becomes of each policy. */
#include "conf_test.h"
#include "conf_texts.h"

#include <stdio.h>

#include "mt_authz.h"
#include "mt_authorize.h"
#include "mt_jwks_store.h"

#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n---\n"
/* Instances: two bare ones, the second with the label; a meshed one; one with an account. Ports: messages, bytes. */
#define LOCATED(ns, location)                                                                      \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a" ns            \
	"}\nspec:\n"                                                                               \
	"  hosts: [a.test]\n" location "  resolution: STATIC\n"                                    \
	"  ports: [{number: 80, name: tcp-metaprotocol-dubbo, targetPort: 20880}, {number: 81, "   \
	"name: tcp}]\n"                                                                            \
	"  endpoints:\n  - {address: 198.51.100.1}\n"                                              \
	"  - {address: 198.51.100.2, labels: {app: a}}\n"                                          \
	"  - {address: 198.51.100.3, labels: {app: a, security.istio.io/tlsMode: istio}}\n"        \
	"  - {address: 198.51.100.4, labels: {app: a}, serviceAccount: s}\n"                       \
	"  - {address: 198.51.100.5, labels: {security.istio.io/tlsMode: disabled}, "              \
	"serviceAccount: s}\n"
#define SERVICE(ns, location) LOCATED(ns, "  location: " location "\n")
#define INSIDE		      SERVICE(", namespace: x", "MESH_INTERNAL")
#define OUTSIDE		      SERVICE(", namespace: x", "MESH_EXTERNAL")
/* Outside of the mesh, as the author has not written where it is. */
#define UNPLACED LOCATED(", namespace: x", "")
#define NAMED(location)                                                                            \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, namespace: "  \
	"x}\nspec:\n  hosts: [a.test]\n  location: " location "\n  resolution: DNS\n"              \
	"  ports: [{number: 80, name: tcp-metaprotocol-dubbo}, {number: 81, name: tcp}]\n"
/* Instances that have names, which nobody has looked up. */
#define UNRESOLVED                                                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: n, "        \
	"namespace: x}\nspec:\n  hosts: [n.test]\n  location: MESH_INTERNAL\n  resolution: DNS\n"  \
	"  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"                                  \
	"  endpoints: [{address: e.test, labels: {app: a}}]\n"
#define POLICY(kind, name, ns, spec)                                                               \
	"---\napiVersion: security.istio.io/v1\nkind: " kind "\nmetadata: {name: " name            \
	", namespace: " ns "}\nspec: " spec "\n"
#define AP(spec)    POLICY("AuthorizationPolicy", "p", "x", spec)
#define PEERS(spec) POLICY("PeerAuthentication", "p", "x", spec)
#define DUBBO(ns, spec)                                                                            \
	"---\napiVersion: dubbo.aeraki.io/v1alpha1\nkind: DubboAuthorizationPolicy\n"              \
	"metadata: {name: p, namespace: " ns "}\nspec: " spec "\n"
#define TOKENS(spec) POLICY("RequestAuthentication", "p", "x", spec)

/* An endpoint that is not visible here. */
#define HIDDEN                                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: h, "        \
	"namespace: x}\nspec:\n  hosts: [h.test]\n  exportTo: [other]\n  resolution: STATIC\n"     \
	"  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"                                  \
	"  endpoints: [{address: 198.51.100.9, labels: {app: hidden}}]\n"

/* Instances with proxies of their own are called in clear text where somebody says so. */
#define CLEAR                                                                                      \
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"                         \
	"metadata: {name: clear, namespace: istio-system}\n"                                       \
	"spec: {host: a.test, trafficPolicy: {tls: {mode: DISABLE}}}\n"

struct row {
	const char *text;
	/* By instance and port: what guards it ("D": denies, "C": closes, "A": allows), "-": nothing; "all closed". */
	const char *messages, *bytes;
	enum mt_diag_severity severity; /* MT_DIAG_SEVERITIES: nothing is told */
	const char *words;
};

#define NOTHING .severity = MT_DIAG_SEVERITIES

static const struct row rows[] = {
	{INSIDE AP("{}"), "A A - - A", "A A - - A", MT_DIAG_NOTE, "2 of 5 endpoints"},
	{INSIDE AP("{selector: {matchLabels: {app: a}}}"), "- A - - -", "- A - - -", MT_DIAG_NOTE,
		"2 of 3 endpoints"},
	{INSIDE AP("{selector: {matchLabels: {}}}"), "A A - - A", "A A - - A", MT_DIAG_NOTE, ""},
	{INSIDE AP("{selector: {matchLabels: {app: b}}}"), "- - - - -", "- - - - -", MT_DIAG_UNUSED,
		"no endpoint of its namespace has these labels"},
	/* Labels of what is not served count; another namespace's do not. */
	{INSIDE HIDDEN AP("{selector: {matchLabels: {app: hidden}}}"), "- - - - -", "- - - - -",
		MT_DIAG_INERT, "selects nothing"},
	{INSIDE POLICY(
		 "AuthorizationPolicy", "p", "elsewhere", "{selector: {matchLabels: {app: b}}}"),
		"- - - - -", "- - - - -", MT_DIAG_INERT, "selects nothing"},
	{INSIDE POLICY("AuthorizationPolicy", "p", "istio-system",
		 "{selector: {matchLabels: {istio: ingressgateway}}}"),
		"- - - - -", "- - - - -", MT_DIAG_INERT, "selects nothing"},
	{INSIDE POLICY(
		 "AuthorizationPolicy", "p", "istio-system", "{selector: {matchLabels: {ap: a}}}"),
		"- - - - -", "- - - - -", MT_DIAG_UNUSED, "no endpoint has these labels"},
	{INSIDE AP("{action: AUDIT, selector: {matchLabels: {app: b}}}"), "- - - - -", "- - - - -",
		MT_DIAG_INERT, "selects nothing"},
	{INSIDE AP("{selector: {matchLabels: {security.istio.io/tlsMode: istio}}}"), "- - - - -",
		"- - - - -", MT_DIAG_ELSEWHERE, "1 endpoints"},
	{INSIDE AP("{targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: a}]}"),
		"A A - - A", "A A - - A", MT_DIAG_NOTE, ""},
	{INSIDE AP("{targetRef: {group: networking.istio.io, kind: ServiceEntry, name: a}}"),
		"A A - - A", "A A - - A", MT_DIAG_NOTE, ""},
	{INSIDE AP("{targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: b}]}"),
		"- - - - -", "- - - - -", MT_DIAG_UNUSED, "is the one that it names"},
	{INSIDE POLICY("AuthorizationPolicy", "p", "istio-system",
		 "{targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: a}]}"),
		"- - - - -", "- - - - -", MT_DIAG_INERT, ""},
	{INSIDE AP("{targetRefs: [{group: '', kind: Service, name: a}]}"), "- - - - -", "- - - - -",
		MT_DIAG_UNUSED, "is the one that it names"},
	{INSIDE AP("{targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: b}]}"),
		"- - - - -", "- - - - -", MT_DIAG_INERT, ""},
	{OUTSIDE AP("{selector: {matchLabels: {app: a}}}"), "- - - - -", "- - - - -",
		MT_DIAG_UNUSED, "outside the mesh"},
	{OUTSIDE AP("{}"), "- - - - -", "- - - - -", MT_DIAG_INERT, "MESH_INTERNAL"},
	/* An author who has not written where endpoints are may believe that it is enforced. */
	{UNPLACED AP("{}"), "- - - - -", "- - - - -", MT_DIAG_UNUSED,
		"ServiceEntry x/a has no location"},
	{UNPLACED AP("{rules: [{from: [{source: {ipBlocks: [192.0.2.2/32]}}]}]}"), "- - - - -",
		"- - - - -", MT_DIAG_UNUSED, "write location: MESH_INTERNAL"},
	{UNPLACED AP("{action: DENY, rules: [{}]}"), "- - - - -", "- - - - -", MT_DIAG_UNUSED,
		"has no location"},
	{UNPLACED AP("{action: CUSTOM, rules: [{}]}"), "- - - - -", "- - - - -", MT_DIAG_UNUSED,
		"has no location"},
	{UNPLACED AP("{selector: {matchLabels: {app: a}}}"), "- - - - -", "- - - - -",
		MT_DIAG_UNUSED, "has no location"},
	{UNPLACED POLICY("AuthorizationPolicy", "p", "istio-system", "{}"), "- - - - -",
		"- - - - -", MT_DIAG_UNUSED, "has no location"},
	{UNPLACED AP("{targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: a}]}"),
		"A A A A A", "A A A A A", NOTHING},
	/* These restrict nobody, wherever the endpoints are. */
	{UNPLACED AP("{rules: [{}]}"), "- - - - -", "- - - - -", MT_DIAG_INERT, "outside the mesh"},
	{UNPLACED AP("{action: DENY}"), "- - - - -", "- - - - -", MT_DIAG_INERT,
		"outside the mesh"},
	{UNPLACED AP("{action: AUDIT, rules: [{}]}"), "- - - - -", "- - - - -", MT_DIAG_INERT,
		"outside the mesh"},
	{UNPLACED PEERS("{mtls: {mode: STRICT}}"), "- - - - -", "- - - - -", MT_DIAG_UNUSED,
		"has no location"},
	{UNPLACED PEERS("{mtls: {mode: PERMISSIVE}}"), "- - - - -", "- - - - -", MT_DIAG_INERT,
		"outside the mesh"},
	{UNPLACED DUBBO("x", "{}"), "- - - - -", "- - - - -", MT_DIAG_UNUSED, "has no location"},
	{UNPLACED TOKENS("{jwtRules: [{issuer: i}]}"), "- - - - -", "- - - - -", MT_DIAG_UNUSED,
		"has no location"},
	{UNPLACED TOKENS("{}"), "- - - - -", "- - - - -", MT_DIAG_INERT, "outside the mesh"},
	{OUTSIDE AP("{targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: a}]}"),
		"A A A A A", "A A A A A", NOTHING},
	{INSIDE POLICY("AuthorizationPolicy", "p", "y", "{}"), "- - - - -", "- - - - -",
		MT_DIAG_INERT, ""},
	{INSIDE POLICY("AuthorizationPolicy", "p", "istio-system", "{}"), "A A - - A", "A A - - A",
		MT_DIAG_NOTE, ""},
	{INSIDE AP("{rules: [{}]}"), "- - - - -", "- - - - -", MT_DIAG_NOTE, ""},
	{INSIDE AP("{action: AUDIT, rules: [{}]}"), "- - - - -", "- - - - -", MT_DIAG_WARNING,
		"AUDIT"},
	{INSIDE AP("{action: DENY, rules: [{to: [{operation: {ports: ['81']}}]}]}"), "- - - - -",
		"D D - - D", MT_DIAG_NOTE, ""},
	/* DENY means ports of services and endpoints, ALLOW only those of endpoints. */
	{INSIDE AP("{action: DENY, rules: [{to: [{operation: {ports: ['82']}}]}]}"), "- - - - -",
		"- - - - -", MT_DIAG_WARNING, "no selected endpoint has port 82"},
	{INSIDE AP("{action: DENY, rules: [{to: [{operation: {ports: ['80', '20880']}}]}]}"),
		"D D - - D", "- - - - -", MT_DIAG_NOTE, ""},
	{INSIDE AP("{action: ALLOW, rules: [{to: [{operation: {ports: ['80']}}]}]}"), "A A - - A",
		"A A - - A", MT_DIAG_WARNING, "no call is allowed by it"},
	{INSIDE AP("{action: DENY, rules: [{when: [{key: destination.port, values: ['82']}]}]}"),
		"- - - - -", "- - - - -", MT_DIAG_WARNING, "no selected endpoint has port 82"},
	{INSIDE AP("{action: DENY, rules: [{to: [{operation: {methods: [m]}}]}]}"), "D D - - D",
		"D D - - D", MT_DIAG_WARNING, "tcp has no \"methods\""},
	{INSIDE AP("{action: CUSTOM, rules: [{to: [{operation: {ports: ['81']}}]}]}"), "- - - - -",
		"C C - - C", MT_DIAG_CLOSED, "provider"},
	/* Certificates: workload, namespace, mesh. */
	{INSIDE PEERS("{mtls: {mode: STRICT}}"), "C C - - C", "C C - - C", MT_DIAG_CLOSED, ""},
	{INSIDE PEERS("{mtls: {mode: PERMISSIVE}}"), "- - - - -", "- - - - -", MT_DIAG_WARNING,
		"PERMISSIVE"},
	{INSIDE PEERS("{selector: {matchLabels: {app: a}}, mtls: {mode: DISABLE}, portLevelMtls: "
		      "{'20880': {mode: STRICT}}}"),
		"- C - - -", "- - - - -", MT_DIAG_CLOSED, ""},
	/* The port is the endpoint's. */
	{INSIDE PEERS("{selector: {matchLabels: {app: a}}, portLevelMtls: {'80': {mode: STRICT}}}"),
		"- - - - -", "- - - - -", MT_DIAG_WARNING, "no selected endpoint has port 80"},
	{INSIDE PEERS("{selector: {matchLabels: {app: a}}, portLevelMtls: {'9': {mode: STRICT}}}"),
		"- - - - -", "- - - - -", MT_DIAG_WARNING, "no selected endpoint has port 9"},
	{INSIDE PEERS("{mtls: {mode: DISABLE}}")
			POLICY("PeerAuthentication", "q", "istio-system", "{mtls: {mode: STRICT}}"),
		"- - - - -", "- - - - -", MT_DIAG_INERT, ""},
	{INSIDE PEERS("{mtls: {mode: UNSET}}")
			POLICY("PeerAuthentication", "q", "istio-system", "{mtls: {mode: STRICT}}"),
		"C C - - C", "C C - - C", MT_DIAG_CLOSED, ""},
	{INSIDE PEERS("{mtls: {mode: DISABLE}}")
			POLICY("PeerAuthentication", "q", "x", "{mtls: {mode: STRICT}}"),
		"- - - - -", "- - - - -", MT_DIAG_SHADOWED, "x/p is older"},
	{INSIDE POLICY("PeerAuthentication", "q", "istio-system",
		 "{selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}}"),
		"- - - - -", "- - - - -", MT_DIAG_UNUSED, "root namespace"},
	{OUTSIDE PEERS("{mtls: {mode: STRICT}}"), "- - - - -", "- - - - -", MT_DIAG_INERT,
		"MESH_INTERNAL"},
	/* Aeraki's are Dubbo's, and stand beside Istio's: a call has to pass both. */
	{INSIDE DUBBO("x", "{}"), "A A - - A", "- - - - -", MT_DIAG_NOTE, "2 of 5 endpoints"},
	{INSIDE DUBBO("x", "{action: DENY, rules: [{}]}"), "D D - - D", "- - - - -", MT_DIAG_NOTE,
		""},
	{INSIDE DUBBO("x", "{rules: [{to: [{operation: {interfaces: [a]}}]}]}") AP("{}"),
		"A+A A+A - - A+A", "A A - - A", MT_DIAG_NOTE, ""},
	{INSIDE DUBBO("istio-system", "{}"), "A A - - A", "- - - - -", MT_DIAG_NOTE, ""},
	{INSIDE DUBBO("y", "{}"), "- - - - -", "- - - - -", MT_DIAG_INERT, "selects nothing"},
	{OUTSIDE DUBBO("x", "{}"), "- - - - -", "- - - - -", MT_DIAG_INERT, "MESH_INTERNAL"},
	{INSIDE DUBBO("x", "{}") PEERS("{mtls: {mode: STRICT}}"), "C+A C+A - - C+A", "C C - - C",
		MT_DIAG_CLOSED, ""},
	/* Tokens. */
	{INSIDE TOKENS("{jwtRules: [{issuer: i}]}"), "T T - - T", "- - - - -", MT_DIAG_WARNING,
		"the location of the keys of i is"},
	{INSIDE TOKENS("{jwtRules: [{issuer: i, jwksUri: 'http://a/'}]}"), "T T - - T", "- - - - -",
		MT_DIAG_NOTE, "proxies of their own"},
	{INSIDE TOKENS("{jwtRules: [{issuer: i, jwksUri: 'http://a/'}]}") AP(
		 "{action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]}"),
		"TD TD - - TD", "D D - - D", MT_DIAG_WARNING, ""},
	{INSIDE TOKENS("{jwtRules: [{issuer: i, fromParams: [t]}]}"), "- - - - -", "- - - - -",
		MT_DIAG_UNUSED, "no call"},
	/* A service that is its own instance, by its name. */
	{NAMED("MESH_EXTERNAL") AP("{}"), "", "", MT_DIAG_INERT, "MESH_INTERNAL"},
	{NAMED("MESH_EXTERNAL") AP(
		 "{targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: a}], "
		 "action: CUSTOM, rules: [{}]}"),
		"", "", MT_DIAG_CLOSED, "provider"},
	{NAMED("MESH_INTERNAL") PEERS("{mtls: {mode: STRICT}}"), "", "", MT_DIAG_CLOSED, ""},
	{NAMED("MESH_INTERNAL") AP("{selector: {matchLabels: {app: a}}}"), "", "", MT_DIAG_INERT,
		"selects nothing"},
	/* It selects instances which are to be resolved, so no others that may be its own. */
	{SERVICE("", "MESH_INTERNAL") UNRESOLVED AP("{selector: {matchLabels: {app: a}}}"),
		"- - - - -", "- - - - -", MT_DIAG_SEVERITIES, ""},
	{SERVICE("", "MESH_INTERNAL") UNRESOLVED PEERS("{mtls: {mode: STRICT}}"), "- - - - -",
		"- - - - -", MT_DIAG_CLOSED, ""},
	/* A namespace that nobody has written. */
	{SERVICE("", "MESH_INTERNAL") AP("{}"), "C C - - C", "C C - - C", MT_DIAG_CLOSED,
		"sources[].namespace"},
	{SERVICE("", "MESH_INTERNAL") AP("{selector: {matchLabels: {app: a}}}"), "- C - - -",
		"- C - - -", MT_DIAG_CLOSED, ""},
	{SERVICE("", "MESH_INTERNAL") AP("{rules: [{}]}"), "- - - - -", "- - - - -", MT_DIAG_INERT,
		""},
	{SERVICE("", "MESH_INTERNAL") POLICY("AuthorizationPolicy", "p", "default", "{}"),
		"A A - - A", "A A - - A", MT_DIAG_NOTE, ""},
};

/* What guards each instance of the port's cluster, in words. */
static char *guards_of(const struct mt_snapshot *s, const char *name, char buf[64])
{
	const struct mt_cluster *c = cluster(s, name);
	char *to = buf;
	bool tokens = false;

	for (uint32_t i = 0; c && i < c->n_eps; i++) {
		const struct mt_authz *a = c->guards ? c->guards[i] : NULL;

		CU_ASSERT_EQUAL(c->eps[i].guarded, a != NULL);
		if (i)
			*to++ = ' ';
		if (!a)
			*to++ = '-';
		tokens |= a && a->tokens;
		if (a && a->tokens)
			*to++ = 'T';
		for (; a; a = a->also) {
			for (uint32_t k = 0; k < a->n_deny; k++)
				*to++ = a->deny[k]->action == MT_AUTHZ_CLOSE ? 'C' : 'D';
			for (uint32_t k = 0; k < a->n_allow; k++)
				*to++ = 'A';
			if (a->also)
				*to++ = '+';
		}
	}
	*to = '\0';
	CU_ASSERT_EQUAL(c && c->guards_change, tokens);
	return buf;
}

static bool is_told(struct built *b, const struct row *r)
{
	if (r->severity == MT_DIAG_SEVERITIES)
		return b->diags.n == 0;
	for (uint32_t i = 0; i < b->diags.n; i++) {
		char text[1024];

		mt_diag_format(&b->diags.items[i], text, sizeof(text));
		if (b->diags.items[i].severity == r->severity && strstr(text, r->words))
			return true;
	}
	return false;
}

static void what_guards_whom(void)
{
	static char text[8192];

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		char messages[64], bytes[64];
		struct built b;
		bool good;

		snprintf(text, sizeof(text), NODE "%s" CLEAR, r->text);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		guards_of(b.s, "outbound|80||a.test", messages);
		guards_of(b.s, "outbound|81||a.test", bytes);
		good = strcmp(messages, r->messages) == 0 && strcmp(bytes, r->bytes) == 0 &&
		       is_told(&b, r);
		CU_ASSERT_TRUE(good);
		if (!good) {
			fprintf(stderr, "row %zu: \"%s\", \"%s\"\n", i, messages, bytes);
			show_diags(&b);
		}
		unbuild(&b);
	}
}

/*
 * A node that is a gateway: its policies are asked where callers come in. What guards its port of messages and that of bytes,
 * in letters as above; "-": nothing, "/": the port is not opened.
 */
struct gate_row {
	const char *text, *messages, *bytes;
	enum mt_diag_severity severity; /* MT_DIAG_SEVERITIES: nothing is told of the policy */
};

#define AT(kind, ns, spec) POLICY(kind, "p", ns, spec)
#define GW		   "selector: {matchLabels: {istio: gw}}"

static const struct gate_row gate_rows[] = {
	{"", "-", "-", NOTHING},
	{AT("AuthorizationPolicy", "default", "{" GW "}"), "A", "A", NOTHING},
	{AT("AuthorizationPolicy", "default", "{}"), "A", "A", NOTHING},
	{AT("AuthorizationPolicy", "istio-system", "{}"), "A", "A", MT_DIAG_NOTE},
	{AT("AuthorizationPolicy", "istio-system", "{" GW ", action: DENY, rules: [{}]}"), "D", "D",
		NOTHING},
	{AT("AuthorizationPolicy", "istio-system", "{" GW ", action: CUSTOM, rules: [{}]}"), "/",
		"/", MT_DIAG_CLOSED},
	{AT("AuthorizationPolicy", "default",
		 "{" GW ", action: CUSTOM, rules: [{to: [{operation: {ports: ['8089']}}]}]}"),
		"-", "/", MT_DIAG_CLOSED},
	{AT("AuthorizationPolicy", "default",
		 "{" GW ", action: DENY, rules: [{to: [{operation: {ports: ['81']}}]}]}"),
		"-", "-", NOTHING},
	{AT("AuthorizationPolicy", "default",
		 "{" GW ", action: DENY, rules: [{to: [{operation: {methods: [m]}}]}]}"),
		"D", "D", MT_DIAG_WARNING},
	{AT("AuthorizationPolicy", "default",
		 "{" GW ", rules: [{to: [{operation: {methods: [m]}}]}]}"),
		"A", "A", MT_DIAG_WARNING},
	{AT("AuthorizationPolicy", "default",
		 "{targetRefs: [{group: networking.istio.io, kind: Gateway, name: g}]}"),
		"A", "A", NOTHING},
	{AT("AuthorizationPolicy", "default",
		 "{targetRefs: [{group: networking.istio.io, kind: Gateway, name: h}]}"),
		"-", "-", MT_DIAG_INERT},
	{AT("AuthorizationPolicy", "x",
		 "{targetRefs: [{group: networking.istio.io, kind: Gateway, name: g}]}"),
		"-", "-", MT_DIAG_INERT},
	{AT("AuthorizationPolicy", "default", "{" GW ", rules: [{}]}"), "-", "-", NOTHING},
	{AT("AuthorizationPolicy", "default", "{selector: {matchLabels: {istio: other}}}"), "-",
		"-", MT_DIAG_INERT},
	{AT("AuthorizationPolicy", "elsewhere", "{" GW "}"), "-", "-", MT_DIAG_INERT},
	{AT("AuthorizationPolicy", "default", "{" GW ", action: AUDIT, rules: [{}]}"), "-", "-",
		MT_DIAG_WARNING},
	{AT("PeerAuthentication", "default", "{" GW ", mtls: {mode: STRICT}}"), "-", "-",
		MT_DIAG_INERT},
	{AT("RequestAuthentication", "default", "{" GW ", jwtRules: [{issuer: i}]}"), "T", "-",
		MT_DIAG_WARNING},
	{AT("RequestAuthentication", "default", "{jwtRules: [{issuer: i}]}"), "T", "-",
		MT_DIAG_WARNING},
	{AT("RequestAuthentication", "default",
		 "{targetRefs: [{group: networking.istio.io, kind: Gateway, name: g}], jwtRules: "
		 "[{issuer: i, fromParams: [t]}]}"),
		"-", "-", MT_DIAG_INERT},
	{DUBBO("default", "{}"), "-", "-", MT_DIAG_INERT},
	{AT("AuthorizationPolicy", "default", "{}") POLICY(
		 "AuthorizationPolicy", "q", "default", "{" GW ", action: DENY, rules: [{}]}"),
		"DA", "DA", NOTHING},
};

static const struct mt_service *bound(const struct built *b, const char *name, uint16_t port)
{
	const struct mt_listener *l = listener(b->s, "203.0.113.9", port);

	return l && !l->closed_by ? service(b->s, name) : NULL;
}

static char *gate_of(const struct mt_service *s, char buf[16])
{
	const struct mt_authz *a = s && s->gate ? s->gate->rules : NULL;
	char *to = buf;

	if (!a)
		*to++ = s ? '-' : '/';
	if (a && a->tokens)
		*to++ = 'T';
	for (uint32_t k = 0; a && k < a->n_deny; k++)
		*to++ = a->deny[k]->action == MT_AUTHZ_CLOSE ? 'C' : 'D';
	for (uint32_t k = 0; a && k < a->n_allow; k++)
		*to++ = 'A';
	*to = '\0';
	return buf;
}

/* Nothing else is told of all this, but of instances with proxies of their own. */
static bool is_told_of(const struct built *b, enum mt_diag_severity severity)
{
	const struct mt_diag *first = NULL;
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->diags.n; i++) {
		if (strstr(b->diags.items[i].message, "a proxy of their own"))
			continue;
		first = first ? first : &b->diags.items[i];
		n++;
	}
	if (severity == MT_DIAG_SEVERITIES)
		return n == 0;
	return n == 1 && first->severity == severity;
}

#define GATE(text)                                                                                 \
	"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: "       \
	"default}\nspec:\n  selector: {istio: gw}\n  servers: [{port: {number: 8089, name: "       \
	"tcp-x}, hosts: ['*']}, {port: {number: 8090, name: tcp-metaprotocol-dubbo}, hosts: "      \
	"['*']}]\n---\n" text
#define VS(name, list, port)                                                                       \
	"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " name         \
	", namespace: default}\nspec: {hosts: [" name ".test], gateways: [default/g], " list       \
	": [{route: [{destination: {host: a.test, port: {number: " port "}}}]}]}\n"

static void at_gateways(void)
{
	static const char base[] =
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n, labels: {istio: gw}}\n"
		"spec:\n  ports: [{name: p0, device: net_null0, addresses: "
		"[192.0.2.1/24]}]\n---\n" INSIDE
		"---\n" GATE(VS("bytes", "tcp", "81")) "---\n" VS("calls", "dubbo", "80");
	static char text[8192];

	for (size_t i = 0; i < MT_ARRAY_LEN(gate_rows); i++) {
		const struct gate_row *r = &gate_rows[i];
		char messages[16], bytes[16];
		const struct mt_service *calls;
		struct built b;
		bool good;

		snprintf(text, sizeof(text), "%s%s", base, r->text);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		calls = bound(&b, "calls.test", 8090);
		gate_of(calls, messages);
		gate_of(bound(&b, "bytes.test", 8089), bytes);
		/* Calls meet it before any other filter. */
		good = strcmp(messages, r->messages) == 0 && strcmp(bytes, r->bytes) == 0 &&
		       is_told_of(&b, r->severity) &&
		       (!calls || (calls->filters != NULL) == (calls->gate != NULL));
		if (calls && calls->gate)
			good &= calls->filter_insts[0].type == &mt_gate_filter &&
				calls->early_ok == !calls->gate->rules->reads &&
				calls->searches >= calls->gate->rules->searches;
		CU_ASSERT_TRUE(good);
		if (!good) {
			fprintf(stderr, "gate row %zu: \"%s\", \"%s\"\n", i, messages, bytes);
			show_diags(&b);
		}
		unbuild(&b);
	}
}

/* Instances with the same policies are judged by one object; what reads a call has it whole. */
static void shared_and_whole(void)
{
	struct built b =
		build_text(NULL, NODE INSIDE AP("{rules: [{to: [{operation: {methods: [m]}}]}]}"));
	const struct mt_cluster *c = cluster(b.s, "outbound|80||a.test");

	CU_ASSERT_PTR_EQUAL(c->guards[0], c->guards[1]);
	CU_ASSERT_TRUE(c->guards_read);
	CU_ASSERT_FALSE(c->guards_search);
	CU_ASSERT_EQUAL(c->port, 80);
	CU_ASSERT_FALSE(service(b.s, "a.test")->early_ok);
	CU_ASSERT_FALSE(service(b.s, "a.test")->searches);
	unbuild(&b);
	b = build_text(NULL, NODE INSIDE AP("{rules: [{to: [{operation: {paths: [/a/m]}}]}]}"));
	CU_ASSERT_TRUE(service(b.s, "a.test")->searches);
	unbuild(&b);
	b = build_text(
		NULL, NODE INSIDE AP("{rules: [{from: [{source: {ipBlocks: [10.0.0.1]}}]}]}"));
	CU_ASSERT_TRUE(service(b.s, "a.test")->early_ok);
	unbuild(&b);
}

#define TWO_PORTS                                                                                  \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, namespace: "  \
	"x}\nspec:\n  hosts: [a.test]\n  location: MESH_INTERNAL\n  resolution: STATIC\n"          \
	"  ports: [{number: 80, name: tcp-metaprotocol-dubbo}, {number: 82, name: "                \
	"tcp-metaprotocol-dubbo-2}]\n  endpoints: [{address: 198.51.100.1}]\n"

/* A policy is compiled once for all ports of a protocol, unless it depends on ports. */
static void shared_by_ports(void)
{
	static const struct {
		const char *text;
		bool shared;
	} port_rows[] = {
		{NODE TWO_PORTS AP("{rules: [{to: [{operation: {methods: [m]}}]}]}"), true},
		{NODE TWO_PORTS AP("{action: DENY, rules: [{from: [{source: {ipBlocks: "
				   "[10.0.0.1]}}]}]}"),
			true},
		{NODE TWO_PORTS AP("{rules: [{when: [{key: source.ip, values: [10.0.0.1]}]}]}"),
			true},
		{NODE TWO_PORTS AP("{rules: [{to: [{operation: {ports: ['80']}}]}]}"), false},
		{NODE TWO_PORTS AP("{rules: [{to: [{operation: {notPorts: ['81']}}]}]}"), false},
		{NODE TWO_PORTS AP("{rules: [{when: [{key: destination.port, notValues: "
				   "['81']}]}]}"),
			false}};

	for (size_t i = 0; i < MT_ARRAY_LEN(port_rows); i++) {
		struct built b = build_text(NULL, port_rows[i].text);
		const struct mt_cluster *one, *other;

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		one = cluster(b.s, "outbound|80||a.test");
		other = cluster(b.s, "outbound|82||a.test");
		CU_ASSERT_FATAL(one->guards && other->guards);
		CU_ASSERT_EQUAL(one->guards[0] == other->guards[0], port_rows[i].shared);
		unbuild(&b);
	}
}

/* Two of one name are two opinions, and who calls has to pass both. */
static void twins(void)
{
	struct built b = build_text(NULL,
		NODE INSIDE AP("{rules: [{from: [{source: {ipBlocks: [10.0.0.1]}}]}]}")
			AP("{rules: [{from: [{source: {ipBlocks: [10.0.0.2]}}]}]}")
				POLICY("AuthorizationPolicy", "q", "x", "{}"));
	const struct mt_authz *a = cluster(b.s, "outbound|80||a.test")->guards[0];

	CU_ASSERT_EQUAL(a->n_allow, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a->also);
	CU_ASSERT_EQUAL(a->also->n_allow, 2);
	CU_ASSERT_PTR_NULL(a->also->also);
	CU_ASSERT_PTR_NOT_EQUAL(a->allow[0], a->also->allow[0]);
	CU_ASSERT_PTR_EQUAL(a->allow[1], a->also->allow[1]);
	unbuild(&b);
}

/* Two workloads at one address; `other`: the labels of the second. */
#define SHARED(other)                                                                              \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, namespace: "  \
	"x}\nspec:\n  hosts: [a.test]\n  location: MESH_INTERNAL\n  resolution: STATIC\n"          \
	"  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"                                  \
	"  endpoints:\n  - {address: 198.51.100.1, labels: {app: a}}\n"                            \
	"  - {address: 198.51.100.1, labels: {" other "}}\n"
#define SELECTS(name, app, action, from)                                                           \
	POLICY("AuthorizationPolicy", name, "x",                                                   \
		"{selector: {matchLabels: {app: " app "}}, action: " action                        \
		", rules: [{from: [{source: {ipBlocks: [" from "]}}]}]}")

/* Policies of each workload count, also of one that is not the first at its address. */
static void workloads_of_one_address(void)
{
	static const struct {
		const char *text;
		const char *allowed, *denied; /* callers */
	} texts[] = {
		{NODE SHARED("app: b") SELECTS("p", "a", "DENY", "10.0.0.1"), "10.0.0.2",
			"10.0.0.1"},
		{NODE SHARED("app: b") SELECTS("p", "b", "DENY", "10.0.0.1"), "10.0.0.2",
			"10.0.0.1"},
		{NODE SHARED("app: b") SELECTS("p", "b", "ALLOW", "10.0.0.1"), "10.0.0.1",
			"10.0.0.2"},
		{NODE SHARED("app: b") SELECTS("p", "a", "ALLOW", "10.0.0.0/24")
				SELECTS("q", "b", "ALLOW", "10.0.0.1, 10.0.1.1"),
			"10.0.0.1", "10.0.0.2"},
		{NODE SHARED("app: b") SELECTS("p", "a", "ALLOW", "10.0.0.0/24")
				SELECTS("q", "b", "ALLOW", "10.0.0.1, 10.0.1.1"),
			"10.0.0.1", "10.0.1.1"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct built b = build_text(NULL, texts[i].text);
		const struct mt_cluster *c = cluster(b.s, "outbound|80||a.test");
		const struct mt_authz_policy *by;
		struct mt_authz_call call = {.service_port = 80};

		CU_ASSERT_EQUAL_FATAL(c->n_eps, 1);
		CU_ASSERT_FATAL(c->guards && c->guards[0] && c->eps[0].guarded);
		mt_addr_parse(texts[i].allowed, &call.peer);
		CU_ASSERT_EQUAL(mt_authz_judge(c->guards[0], &call, &by), MT_AUTHZ_ALLOWED);
		mt_addr_parse(texts[i].denied, &call.peer);
		CU_ASSERT_EQUAL(mt_authz_judge(c->guards[0], &call, &by), MT_AUTHZ_DENIED);
		unbuild(&b);
	}
}

#define TOKENS_OF(name, app, issuer)                                                               \
	POLICY("RequestAuthentication", name, "x",                                                 \
		"{selector: {matchLabels: {app: " app "}}, jwtRules: [{issuer: " issuer            \
		", jwks: '{\"keys\":[]}'}]}")

/* Tokens of both are verified by the rules of one; two lists of rules cannot be joined. */
static void tokens_of_one_address(void)
{
	struct built b = build_text(NULL, NODE SHARED("app: b") TOKENS_OF("t", "b", "i")
						  SELECTS("p", "a", "DENY", "10.0.0.1"));
	const struct mt_cluster *c = cluster(b.s, "outbound|80||a.test");

	CU_ASSERT_FATAL(c->n_eps == 1 && c->guards && c->guards[0]);
	CU_ASSERT_PTR_NOT_NULL(c->guards[0]->tokens);
	CU_ASSERT_TRUE(c->guards[0]->reads);
	CU_ASSERT_PTR_NULL(mt_authz_closes_all(c->guards[0]));
	unbuild(&b);
	b = build_text(
		NULL, NODE SHARED("app: b") TOKENS_OF("t", "b", "i") TOKENS_OF("u", "a", "k"));
	c = cluster(b.s, "outbound|80||a.test");
	CU_ASSERT_FATAL(c->n_eps == 1 && c->guards && c->guards[0]);
	CU_ASSERT_PTR_NOT_NULL(mt_authz_closes_all(c->guards[0]));
	unbuild(&b);
}

/* A load that fails leaves no sources of keys behind, and takes none from the configuration in force. */
static void tokens_of_failed_loads(void)
{
	static const char fetched[] =
		NODE INSIDE TOKENS("{jwtRules: [{issuer: i, jwksUri: 'http://a.test/'}]}");
	static const char failing[] =
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
		"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24], exception: "
		"none}]\n---\n" INSIDE TOKENS(
			"{jwtRules: [{issuer: i, jwksUri: 'http://b.test/'}]}");
	struct mt_conf *conf = new_conf();
	struct built b = build_text(conf, fetched), bad = build_text(conf, failing);
	struct mt_jwks_status st;
	char name[64];

	CU_ASSERT_PTR_NOT_NULL(b.s);
	CU_ASSERT_PTR_NULL(bad.s);
	CU_ASSERT_TRUE(mt_jwks_store_status(mt_conf_jwks(conf), 0, &st, name, sizeof(name)));
	CU_ASSERT_STRING_EQUAL(st.name, "http://a.test/");
	CU_ASSERT_FALSE(mt_jwks_store_status(mt_conf_jwks(conf), 1, &st, name, sizeof(name)));
	mt_diags_fini(&bad.diags);
	mt_model_free(bad.m);
	unbuild(&b);
}

/* Everything that is selected is closed whatever is called: there is nobody to choose. */
static void closed_clusters(void)
{
	struct built b = build_text(NULL,
		NODE "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, "
		     "namespace: x}\nspec: {hosts: [a.test], location: MESH_INTERNAL, resolution: "
		     "STATIC, ports: [{number: 80, name: tcp}], endpoints: [{address: "
		     "198.51.100.1}]}\n" PEERS("{mtls: {mode: STRICT}}"));
	const struct mt_cluster *c = cluster(b.s, "outbound|80||a.test");

	CU_ASSERT_EQUAL(c->n_eps, 0);
	CU_ASSERT_STRING_EQUAL(c->closed_by->by, "PeerAuthentication x/p");
	unbuild(&b);
}

#define CUSTOM "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"

/* What each closes is counted apart, as far as there are places. */
static void places_of_who_closes(void)
{
	const uint32_t n = MT_AUTHZ_CLOSERS_MAX + 6;
	uint64_t taken[MT_AUTHZ_CLOSERS_MAX / 64] = {0};
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct built b;
	uint32_t without = 0;

	fputs(NODE INSIDE, f);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f,
			CUSTOM "metadata: {name: p%u, namespace: x}\nspec: {action: CUSTOM, "
			       "provider: {name: a}, rules: [{}]}\n",
			i);
	fclose(f);
	b = build_text(NULL, text);
	CU_ASSERT_EQUAL_FATAL(b.s->n_closers, n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = b.s->closers[i]->index;

		CU_ASSERT_FATAL(at < MT_AUTHZ_CLOSERS_MAX);
		CU_ASSERT_TRUE(!at || !(taken[at / 64] >> at % 64 & 1));
		taken[at / 64] |= 1ull << at % 64;
		without += at == 0;
	}
	CU_ASSERT_EQUAL(without, n - MT_AUTHZ_CLOSERS_MAX + 1);
	free(text);
	unbuild(&b);
}

#define MESHED                                                                                     \
	ISTIO("ServiceEntry", "m")                                                                 \
	"  hosts: [m.x]\n  location: MESH_INTERNAL\n  resolution: STATIC\n"                        \
	"  ports: [{number: 1, name: tcp}]\n"                                                      \
	"  endpoints: [{address: 198.51.100.1, serviceAccount: sa}, {address: 198.51.100.2}]\n"
#define MODE_OF(mode)                                                                              \
	"---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p}\n"   \
	"spec: {mtls: {mode: " mode "}}\n"

/* Instances with proxies of their own are told of, unless clear text is what somebody asks for. */
static void instances_that_expect_tls(void)
{
	static const struct {
		const char *more, *words;
	} asks[] = {
		{"", "1 of 2 endpoints have a proxy of their own and are not called: it "
		     "expects mTLS"},
		{MODE_OF("PERMISSIVE"), "1 of 2 endpoints"},
		{MODE_OF("STRICT"), "1 of 2 endpoints"},
		{MODE_OF("DISABLE"), NULL},
		{ISTIO("DestinationRule",
			 "d") "  host: m.x\n  trafficPolicy: {tls: {mode: DISABLE}}\n",
			NULL},
		{ISTIO("DestinationRule",
			 "d") "  host: m.x\n  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}\n",
			"are not called"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(asks); i++) {
		char text[2048];
		struct built b;

		snprintf(text, sizeof(text), "%s%s", MESHED, asks[i].more);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(has_diag(&b, MT_DIAG_WARNING, 2,
					asks[i].words ? asks[i].words : "a proxy of their own"),
			asks[i].words != NULL);
		unbuild(&b);
	}
}

/* Two of the five expect mTLS, which is not made: clear text instead would be worse than not to call them. */
static void meshed_instances(void)
{
	static const struct {
		const char *text;
		uint32_t n_eps;
	} cases[] = {
		{NODE INSIDE, 3},
		{NODE INSIDE CLEAR, 5},
		{NODE INSIDE PEERS("{mtls: {mode: DISABLE}}"), 5},
		{NODE INSIDE PEERS("{mtls: {mode: PERMISSIVE}}"), 3},
		{NODE INSIDE PEERS("{selector: {matchLabels: {app: a}}, mtls: {mode: PERMISSIVE}, "
				   "portLevelMtls: {'81': {mode: DISABLE}}}"),
			3},
		{NODE OUTSIDE, 5},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		struct built b = build_text(NULL, cases[i].text);
		bool told;

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		told = has_diag(&b, MT_DIAG_WARNING, 7, "are not called: it expects mTLS");
		CU_ASSERT_EQUAL(cluster(b.s, "outbound|80||a.test")->n_eps, cases[i].n_eps);
		CU_ASSERT_EQUAL(told, cases[i].n_eps == 3 && i != 4);
		unbuild(&b);
	}
}

const struct mt_test policies_tests[] = {
	{"meshed_instances", meshed_instances},
	{"instances_that_expect_tls", instances_that_expect_tls},
	{"what_guards_whom", what_guards_whom},
	{"shared_and_whole", shared_and_whole},
	{"shared_by_ports", shared_by_ports},
	{"twins", twins},
	{"workloads_of_one_address", workloads_of_one_address},
	{"tokens_of_one_address", tokens_of_one_address},
	{"tokens_of_failed_loads", tokens_of_failed_loads},
	{"at_gateways", at_gateways},
	{"closed_clusters", closed_clusters},
	{"places_of_who_closes", places_of_who_closes},
	{0},
};
