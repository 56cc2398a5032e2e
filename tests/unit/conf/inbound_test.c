/* SPDX-License-Identifier: Apache-2.0 */
/* Limits that EnvoyFilters put into servers' own proxies: in front of which instances, and what their buckets are. */
#include "conf_test.h"
#include "conf_texts.h"

#include <stdio.h>

#include "mt_authz.h"

#define SERVERS(port)                                                                              \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, namespace: "  \
	"x}\nspec:\n  hosts: [a.test]\n  location: MESH_INTERNAL\n  resolution: STATIC\n"          \
	"  ports: [{number: 80, name: " port ", targetPort: 20880}]\n"                             \
	"  endpoints:\n  - {address: 198.51.100.1, labels: {app: a}}\n"                            \
	"  - {address: 198.51.100.2, labels: {app: a}}\n"                                          \
	"  - {address: 198.51.100.3, labels: {app: b}}\n"                                          \
	"  - {address: 198.51.100.4, labels: {app: a, security.istio.io/tlsMode: istio}}\n"        \
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"                         \
	"metadata: {name: clear, namespace: x}\n"                                                  \
	"spec: {host: a.test, trafficPolicy: {tls: {mode: DISABLE}}}\n"
#define MESSAGES SERVERS("tcp-metaprotocol-dubbo")
#define FILTER(ns, port, codec, limit)                                                             \
	"---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: f, "   \
	"namespace: " ns "}\nspec:\n  workloadSelector: {labels: {app: a}}\n  configPatches:\n"    \
	"  - applyTo: NETWORK_FILTER\n    match: {context: SIDECAR_INBOUND, listener: {name: "     \
	"virtualInbound, filterChain: {destinationPort: " port "}}}\n    patch: {operation: "      \
	"REPLACE, value: {name: m, typed_config: {'@type': type.googleapis.com/"                   \
	"aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy, applicationProtocol: " codec        \
	", metaProtocolFilters: [" limit "]}}}\n"
#define BUCKET "tokenBucket: {fillInterval: 60s, maxTokens: 7, tokensPerFill: 7}"
#define LIMIT  "{name: aeraki.meta_protocol.filters.local_ratelimit, config: {" BUCKET "}}"
#define OF_ONE_METHOD                                                                              \
	"{name: aeraki.meta_protocol.filters.local_ratelimit, config: {conditions: [{match: "      \
	"{metadata: [{name: method, exactMatch: m}]}, " BUCKET "}]}}"

static const struct {
	const char *text;
	bool limited, reads;
	enum mt_diag_severity severity; /* MT_DIAG_SEVERITIES: nothing is told */
	const char *words;
} rows[] = {
	{MESSAGES FILTER("x", "20880", "dubbo", LIMIT), true, false, MT_DIAG_SEVERITIES, NULL},
	{MESSAGES FILTER("x", "80", "dubbo", LIMIT), true, false, MT_DIAG_SEVERITIES, NULL},
	{MESSAGES FILTER("istio-system", "20880", "dubbo", LIMIT), true, false, MT_DIAG_SEVERITIES,
		NULL},
	{MESSAGES FILTER("x", "20880", "dubbo", OF_ONE_METHOD), true, true, MT_DIAG_SEVERITIES,
		NULL},
	{MESSAGES FILTER("y", "20880", "dubbo", LIMIT), false, false, MT_DIAG_SEVERITIES, NULL},
	{MESSAGES FILTER("x", "81", "dubbo", LIMIT), false, false, MT_DIAG_SEVERITIES, NULL},
	{MESSAGES FILTER("x", "20880", "dubbo", ""), false, false, MT_DIAG_SEVERITIES, NULL},
	{MESSAGES FILTER("x", "20880", "thrift", LIMIT), false, false, MT_DIAG_WARNING,
		"a.test is served as dubbo: nothing is limited there"},
	{SERVERS("tcp") FILTER("x", "20880", "dubbo", LIMIT), false, false, MT_DIAG_WARNING,
		"a.test is served as tcp: nothing is limited there"},
};

static bool says(const struct built *b, enum mt_diag_severity severity, const char *words)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->diags.n; i++)
		n += words && b->diags.items[i].severity == severity &&
		     strstr(b->diags.items[i].message, words) != NULL;
	return words ? n == 1 : b->diags.n == 0;
}

static void where_they_stand(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);
		const struct mt_cluster *c;

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		c = cluster(b.s, "outbound|80||a.test");
		CU_ASSERT_EQUAL_FATAL(c->n_eps, 4);
		CU_ASSERT_EQUAL(c->guards != NULL, rows[i].limited);
		CU_ASSERT_EQUAL(c->guards_read, rows[i].reads);
		for (uint32_t k = 0; k < c->n_eps; k++)
			CU_ASSERT_EQUAL(c->eps[k].guarded, rows[i].limited && k < 2);
		if (c->guards) {
			CU_ASSERT_PTR_NOT_NULL(c->guards[0]->limit);
			CU_ASSERT_PTR_NOT_EQUAL(c->guards[0]->limit, c->guards[1]->limit);
		}
		CU_ASSERT_TRUE(says(&b, rows[i].severity, rows[i].words));
		if (!says(&b, rows[i].severity, rows[i].words))
			show_diags(&b);
		unbuild(&b);
	}
}

/* What is refused was made already, and is given back. */
static void refused(void)
{
	struct built b = build_text(NULL,
		MESSAGES FILTER("x", "20880", "dubbo",
			LIMIT) "---\napiVersion: networking.istio.io/v1\nkind: "
			       "VirtualService\nmetadata: {name: v, "
			       "namespace: x}\nspec: {hosts: [a.test], dubbo: [{match: [{headers: "
			       "{k: {regex: "
			       "'('}}}], route: [{destination: {host: a.test}}]}]}\n");

	CU_ASSERT_PTR_NULL(b.s);
	unbuild(&b);
	b = build_text(NULL, MESSAGES FILTER("x", "20880", "none", LIMIT));
	CU_ASSERT_PTR_NULL(b.s);
	CU_ASSERT_TRUE(says(&b, MT_DIAG_ERROR, "unknown protocol \"none\""));
	unbuild(&b);
}

/* Many workloads of one address have one limit; a policy of any of them counts as well. */
static void of_one_address(void)
{
	static char text[8192];

	for (int denied = 0; denied < 2; denied++) {
		size_t len = (size_t)snprintf(text, sizeof(text), "%s",
			"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
			"metadata: {name: a, namespace: x}\nspec:\n  hosts: [a.test]\n"
			"  location: MESH_INTERNAL\n  resolution: STATIC\n"
			"  ports: [{number: 80, name: tcp-metaprotocol-dubbo, "
			"targetPort: 20880}]\n  endpoints:\n");
		const struct mt_authz *a;
		struct built b;

		for (int i = 0; i < 40; i++)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
				"  - {address: 198.51.100.1, labels: {app: %s}}\n",
				i == 20 ? "b" : "a");
		snprintf(text + len, sizeof(text) - len, "%s%s",
			FILTER("x", "20880", "dubbo", LIMIT),
			denied ? "---\napiVersion: security.istio.io/v1\n"
				 "kind: AuthorizationPolicy\nmetadata: {name: p, namespace: x}\n"
				 "spec: {selector: {matchLabels: {app: b}}, action: DENY, "
				 "rules: [{from: [{source: {ipBlocks: [10.0.0.1]}}]}]}\n"
			       : "");
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_FATAL(cluster(b.s, "outbound|80||a.test")->n_eps == 1);
		a = cluster(b.s, "outbound|80||a.test")->guards[0];
		CU_ASSERT_FATAL(a && a->limit);
		CU_ASSERT_EQUAL(a->also != NULL, denied);
		CU_ASSERT_TRUE(!denied || (a->also->n_deny == 1 && !a->also->also));
		unbuild(&b);
	}
}

const struct mt_test inbound_tests[] = {{"of_one_address", of_one_address},
	{"where_they_stand", where_they_stand}, {"refused", refused}, {0}};
