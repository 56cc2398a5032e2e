/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints that two namespaces list, of which one has policies: calls by the other's name bypass these. */
#include "conf_test.h"

#include <stdio.h>

#define ENTRY(ns, location, address, port)                                                         \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: s" ns port ", namespace: " ns "}\n"                                      \
	"spec: {resolution: STATIC, location: " location ", hosts: [s" port "." ns "], "           \
	"addresses: [" address "], ports: [{number: " port ", name: tcp-metaprotocol-dubbo}], "    \
	"endpoints: [{address: 198.51.100.11}]}\n"
#define POLICY(ns, spec)                                                                           \
	"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"                       \
	"metadata: {name: p, namespace: " ns "}\nspec: " spec "\n"
#define SHOP  ENTRY("shop", "MESH_INTERNAL", "192.0.2.1", "80")
#define OTHER ENTRY("a", "MESH_INTERNAL", "192.0.2.2", "80")
/* A service of the other namespace at the endpoint, which a policy of that namespace closes. */
#define CLOSED                                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: a0, namespace: a}\n"                                                     \
	"spec: {resolution: STATIC, location: MESH_INTERNAL, hosts: [a0.a], "                      \
	"addresses: [192.0.2.3], ports: [{number: 80, name: tcp-metaprotocol-dubbo}], "            \
	"endpoints: [{address: 198.51.100.11, labels: {app: x}}]}\n"
#define CLOSES	POLICY("a", "{selector: {matchLabels: {app: x}}}")
#define DENIES	POLICY("shop", "{}")
#define ANYBODY "{rules: [{}]}"
#define BUYERS	"{rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/buyer]}}]}]}"

static const struct {
	const char *text;
	bool warns;
} rows[] = {
	{SHOP OTHER DENIES, true},
	{OTHER SHOP DENIES, true},
	{SHOP OTHER POLICY("shop", BUYERS), true},
	{SHOP OTHER POLICY("shop", BUYERS) POLICY("a", ANYBODY), true},
	{SHOP ENTRY("a", "MESH_EXTERNAL", "192.0.2.2", "80") DENIES, true},
	/* One that cannot be evaluated closes the service. */
	{SHOP OTHER POLICY("shop", "{action: CUSTOM, provider: {name: x}, rules: [{}]}"), true},
	/* Nobody may call the other service. */
	{SHOP OTHER DENIES POLICY("a", "{}"), false},
	/* A policy for both, of one namespace, of another port, and none. */
	{SHOP OTHER POLICY("istio-system", BUYERS), false},
	{SHOP ENTRY("shop", "MESH_INTERNAL", "192.0.2.2", "81") DENIES, false},
	{SHOP ENTRY("a", "MESH_INTERNAL", "192.0.2.2", "81") DENIES, false},
	{SHOP OTHER, false},
	/* Another object of the namespace, which is not open, hides none that is. */
	{CLOSED OTHER SHOP DENIES CLOSES, true},
	{CLOSED SHOP OTHER DENIES CLOSES, true},
	{CLOSED OTHER SHOP POLICY("shop", BUYERS) CLOSES, true},
	{SHOP CLOSED OTHER POLICY("shop", BUYERS) CLOSES, true},
};

static void warned(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);
		uint32_t n = 0;

		CU_ASSERT_PTR_NOT_NULL(b.s);
		for (uint32_t k = 0; k < b.diags.n; k++) {
			const struct mt_diag *d = &b.diags.items[k];

			if (d->severity != MT_DIAG_WARNING ||
				!strstr(d->message,
					"its endpoint 198.51.100.11:80 is also one of s80.shop in "
					"namespace shop"))
				continue;
			CU_ASSERT(strncmp(d->message,
					  "calls to s80.a bypass AuthorizationPolicy shop/p",
					  48) == 0);
			n++;
		}
		if (n != rows[i].warns) {
			fprintf(stderr, "row %zu:\n", i);
			show_diags(&b);
		}
		CU_ASSERT_EQUAL(n, rows[i].warns);
		unbuild(&b);
	}
}

/* ---- many sets of policies ------------------------------------------------------------------- */

/* An object of namespace a at the endpoint, and a policy that closes it alone. */
static size_t put_closed(char *to, size_t room, int i)
{
	return (size_t)snprintf(to, room,
		"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
		"metadata: {name: m%d, namespace: a}\nspec: {resolution: STATIC, "
		"location: MESH_INTERNAL, hosts: [m%d.a], addresses: [192.0.2.%d], "
		"ports: [{number: 80, name: tcp-metaprotocol-dubbo}], "
		"endpoints: [{address: 198.51.100.11, labels: {app: x%d}}]}\n"
		"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
		"metadata: {name: m%d, namespace: a}\n"
		"spec: {selector: {matchLabels: {app: x%d}}}\n",
		i, i, 10 + i, i, i, i);
}

/* How many objects are reported, of `n` with a set of policies each, between other objects. */
static uint32_t reported(int n, const char *before, const char *after)
{
	static char text[32768];
	size_t at = (size_t)snprintf(text, sizeof(text), "%s", before);
	struct built b;
	uint32_t found = 0;

	for (int i = 0; i < n; i++)
		at += put_closed(text + at, sizeof(text) - at, i);
	at += (size_t)snprintf(text + at, sizeof(text) - at, "%s", after);
	CU_ASSERT_FATAL(at < sizeof(text));
	b = build_text(NULL, text);
	CU_ASSERT_PTR_NOT_NULL(b.s);
	for (uint32_t k = 0; k < b.diags.n; k++)
		found += strstr(b.diags.items[k].message,
				 "more than 16 objects of its namespace") != NULL;
	unbuild(&b);
	return found;
}

/* Comparing all would take a time that grows with the product of two namespaces' sets. */
static void many_sets(void)
{
	CU_ASSERT_EQUAL(reported(16, SHOP DENIES, ""), 0);
	CU_ASSERT_EQUAL(reported(19, SHOP DENIES, ""), 3);
	CU_ASSERT_EQUAL(reported(19, "", SHOP DENIES), 3);
	/* Of one namespace alone. */
	CU_ASSERT_EQUAL(reported(19, "", ""), 0);
}

const struct mt_test policy_shared_tests[] = {
	{"an endpoint of two namespaces", warned}, {"many sets of policies", many_sets}, {0}};
