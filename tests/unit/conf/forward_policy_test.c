/* SPDX-License-Identifier: Apache-2.0 */
/* Policies of forwarded ports: which close them, which clients they let through, and TLS. */
#include "conf_test.h"

#include "forward_text.h"
#include "mt_authz.h"
#include "mt_l4.h"

#include <stdio.h>

static bool is_told(const struct built *b, enum mt_diag_severity severity, const char *words)
{
	for (uint32_t i = 0; i < b->diags.n; i++)
		if (b->diags.items[i].severity == severity &&
			strstr(b->diags.items[i].message, words))
			return true;
	return false;
}

static bool is_any_told(const struct built *b)
{
	for (uint32_t i = 0; i < b->diags.n; i++)
		if (b->diags.items[i].severity != MT_DIAG_NOTE)
			return true;
	return false;
}

#define QUIET MT_DIAG_SEVERITIES, ""

/* ---- policies ---------------------------------------------------------------------------------- */

#define RULE(spec)                                                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"                         \
	"metadata: {name: d, namespace: x}\nspec: {host: a.x, trafficPolicy: " spec "}\n"

/* The policies beside the service, and whether the port is closed; the clause that says why. */
static const struct {
	const char *policies;
	bool closed;
	enum mt_diag_severity severity; /* of the policy; MT_DIAG_SEVERITIES: it is in force */
	const char *words;
} closing[] = {
	{"", false, QUIET},
	{ALLOW(""), false, QUIET},
	{AP("{action: AUDIT, rules: [{" FROM("principals: ['*']") "}]}"), false, MT_DIAG_WARNING,
		"AUDIT"},
	/* Ports are known. */
	{DENY(TO("ports: ['5432']")), false, MT_DIAG_WARNING, "no selected endpoint has port 5432"},
	{DENY(TO("notPorts: ['53', '5353']")), false, QUIET},
	{DENY(TO("ports: ['53']")), true, QUIET},
	{ALLOW(TO("ports: ['53', '5353']")), false, QUIET},
	{ALLOW(TO("ports: ['5353']")), true, QUIET},
	{ALLOW("when: [{key: destination.port, values: ['53', '5353']}]"), false, QUIET},
	{DENY("when: [{key: destination.port, notValues: ['53', '5353']}]"), false, QUIET},
	{DENY(FROM("principals: ['*']") ", " TO("ports: ['9']")), false, MT_DIAG_WARNING,
		"no selected endpoint has port 9"},
	{AP("{}"), true, QUIET},
	/* Packets show addresses. */
	{DENY(FROM("ipBlocks: [10.0.0.0/8]")), false, QUIET},
	{ALLOW(FROM("notIpBlocks: [10.0.0.0/8]")), false, QUIET},
	{ALLOW(FROM("remoteIpBlocks: [10.0.0.0/8]")), false, QUIET},
	{ALLOW("when: [{key: source.ip, values: [10.0.0.0/8]}]"), false, QUIET},
	{ALLOW(FROM("ipBlocks: [10.0.0.0/8], principals: ['*']")), true, MT_DIAG_CLOSED,
		"names \"principals\""},
	{AP("{rules: [{" FROM("ipBlocks: [10.0.0.0/8]") "}, {}]}"), false, QUIET},
	/* What packets do not show. */
	{ALLOW(FROM("principals: ['*']")), true, MT_DIAG_CLOSED, "names \"principals\""},
	{DENY(FROM("notPrincipals: ['*']")), true, MT_DIAG_CLOSED, "names \"principals\""},
	{DENY(FROM("namespaces: [y]")), true, MT_DIAG_CLOSED, "names \"namespaces\""},
	{ALLOW(FROM("requestPrincipals: ['*']")), true, MT_DIAG_CLOSED,
		"names \"requestPrincipals\""},
	{ALLOW(FROM("serviceAccounts: [a]")), true, MT_DIAG_CLOSED, "names \"serviceAccounts\""},
	{ALLOW(FROM("trustDomains: [a]")), true, MT_DIAG_CLOSED, "names \"trustDomains\""},
	{DENY(TO("methods: [m]")), true, MT_DIAG_CLOSED, "names \"methods\""},
	{DENY(TO("paths: [/a/m]")), true, MT_DIAG_CLOSED, "names \"paths\""},
	{DENY(TO("hosts: [a]")), true, MT_DIAG_CLOSED, "names \"hosts\""},
	{DENY("when: [{key: connection.sni, values: [a]}]"), true, MT_DIAG_CLOSED,
		"names \"connection.sni\""},
	{AP("{rules: [{}, {" FROM("principals: ['*']") "}]}"), true, MT_DIAG_CLOSED,
		"names \"principals\""},
	{AP("{action: CUSTOM, provider: {name: ask}, rules: [{}]}"), true, MT_DIAG_CLOSED,
		"requires the decision of a provider"},
	{AP("{selector: {matchLabels: {app: b}}, action: DENY, rules: [{" FROM(
		 "principals: [a]") "}]}"),
		true, MT_DIAG_CLOSED, "names \"principals\""},
	{SECURITY("PeerAuthentication", "{mtls: {mode: STRICT}}"), true, MT_DIAG_CLOSED,
		"requires mTLS"},
	{SECURITY("PeerAuthentication", "{mtls: {mode: PERMISSIVE}}"), false, MT_DIAG_WARNING,
		"PERMISSIVE"},
	{SECURITY("PeerAuthentication",
		 "{selector: {matchLabels: {app: a}}, portLevelMtls: {'53': {mode: STRICT}}}"),
		true, MT_DIAG_CLOSED, "requires mTLS"},
	{SECURITY("RequestAuthentication", "{jwtRules: [{issuer: a}]}"), false, MT_DIAG_INERT,
		"can carry a token"},
};

static void closed_by_policies(void)
{
	static char text[4096];

	for (size_t i = 0; i < MT_ARRAY_LEN(closing); i++) {
		struct built b;
		bool told, closed;

		snprintf(text, sizeof(text), "%s%s", FORWARDED, closing[i].policies);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL_FATAL(b.s->n_forwards, 2);
		closed = b.s->clusters[b.s->forwards[0].cluster].closed_by != NULL;
		told = closing[i].severity == MT_DIAG_SEVERITIES
			       ? !is_any_told(&b)
			       : is_told(&b, closing[i].severity, closing[i].words);
		if (closed != closing[i].closed || !told) {
			printf("%s: closed %d\n", closing[i].policies, closed);
			show_diags(&b);
		}
		CU_ASSERT_EQUAL(closed, closing[i].closed);
		CU_ASSERT_EQUAL(b.s->l4->services[0].closed, closing[i].closed);
		CU_ASSERT_TRUE(told);
		CU_ASSERT_EQUAL(is_told(&b, MT_DIAG_WARNING, "forwarded port 53 is closed: "),
			closing[i].severity == MT_DIAG_CLOSED);
		unbuild(&b);
	}
}

/* Rules by address, and the clients of both endpoints that they let through. */
static const struct {
	const char *policies, *client;
	const char *let; /* for 198.51.100.1 and .2: + or -; "0": no list is made */
} by_address[] = {
	{"", "10.1.1.1", "0"},
	{AP("{rules: [{" FROM("ipBlocks: [10.0.0.0/8]") "}, {}]}"), "192.0.2.1", "0"},
	{DENY(FROM("ipBlocks: [10.0.0.0/8]")), "10.1.1.1", "--"},
	{DENY(FROM("ipBlocks: [10.0.0.0/8]")), "11.1.1.1", "++"},
	{DENY(FROM("ipBlocks: [10.0.0.0/8]")), "2001:db8::1", "++"},
	{DENY(FROM("ipBlocks: ['::/0']")), "10.1.1.1", "++"},
	{DENY(FROM("ipBlocks: ['::/0']")), "2001:db8::1", "--"},
	/* The last address of the network is also the last one of IPv4. */
	{ALLOW(FROM("ipBlocks: ['::/80']")), "10.1.1.1", "--"},
	{ALLOW(FROM("notIpBlocks: [10.0.0.0/8]")), "10.1.1.1", "--"},
	{ALLOW(FROM("notIpBlocks: [10.0.0.0/8]")), "2001:db8::1", "++"},
	{ALLOW(FROM("remoteIpBlocks: [10.0.0.0/8]")), "10.255.255.255", "++"},
	{ALLOW(FROM("remoteIpBlocks: [10.0.0.0/8]")), "11.0.0.0", "--"},
	{ALLOW("when: [{key: source.ip, values: [10.0.0.0/8], notValues: [10.1.1.1]}]"), "10.1.1.1",
		"--"},
	{ALLOW("when: [{key: source.ip, values: [10.0.0.0/8], notValues: [10.1.1.1]}]"), "10.1.1.2",
		"++"},
	{ALLOW(FROM("ipBlocks: [10.0.0.0/8]") ", " TO("ports: ['53', '5353']")), "10.1.1.1", "++"},
	{ALLOW(FROM("ipBlocks: [10.0.0.0/8]") ", when: [{key: destination.ip, values: "
					      "[198.51.100.2]}]"),
		"10.1.1.1", "-+"},
	{AP("{selector: {matchLabels: {app: b}}, action: DENY, rules: [{" FROM(
		 "ipBlocks: [10.0.0.0/8]") "}]}"),
		"10.1.1.1", "+-"},
	/* Two of one name: both decide. */
	{ALLOW(FROM("ipBlocks: [10.0.0.0/8]")) ALLOW(FROM("ipBlocks: [10.1.0.0/16]")), "10.2.1.1",
		"--"},
	{ALLOW(FROM("ipBlocks: [10.0.0.0/8]")) ALLOW(FROM("ipBlocks: [10.1.0.0/16]")), "10.1.1.1",
		"++"},
};

static void rules_by_address(void)
{
	static char text[4096];

	for (size_t i = 0; i < MT_ARRAY_LEN(by_address); i++) {
		struct mt_addr client;
		struct built b;
		char let[8] = "0";

		snprintf(text, sizeof(text), "%s%s", FORWARDED, by_address[i].policies);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		mt_addr_parse(by_address[i].client, &client);
		for (uint32_t k = 0; b.s->l4->services[0].n_clients && k < 2; k++) {
			const struct mt_l4_endpoint *e = &b.s->l4->services[0].v4->endpoints[k];

			let[k] = !e->clients || mt_ranges_have(e->clients, &client) ? '+' : '-';
			let[k + 1] = '\0';
		}
		if (strcmp(let, by_address[i].let) != 0)
			printf("%s from %s: %s\n", by_address[i].policies, by_address[i].client,
				let);
		CU_ASSERT_STRING_EQUAL(let, by_address[i].let);
		unbuild(&b);
	}
}

/* More addresses than a load has room for: the service is refused, not open. */
static void too_many_addresses(void)
{
	const uint32_t n = 270000;
	char *text = malloc(64 * (size_t)n);
	size_t len = (size_t)sprintf(text, "%s%s", FORWARDED,
		POLICY_HEAD "{action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.0/32");
	struct built b;

	for (uint32_t i = 1; i < n; i++)
		len += (size_t)sprintf(text + len, ", 10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
	sprintf(text + len, "]}}]}]}\n");
	b = build_text(NULL, text);
	CU_ASSERT_TRUE(!b.s || !b.s->l4);
	CU_ASSERT_TRUE(is_told(&b, MT_DIAG_ERROR, "there is no room for the addresses"));
	unbuild(&b);
	free(text);
}

/* Conditions times addresses would take gigabytes: the service is refused. */
static void too_many_conditions(void)
{
	const uint32_t n = 3000;
	char *text = malloc(8192 + 64 * (size_t)n);
	size_t len = (size_t)sprintf(text, "%s%s", FORWARDED, POLICY_HEAD "{rules: [{when: [");
	struct built b;

	for (uint32_t i = 0; i < n; i++)
		len += (size_t)sprintf(text + len, "{key: source.ip, notValues: [10.%u.%u.0/25]}, ",
			i >> 8, i & 255);
	sprintf(text + len, "]}]}\n");
	b = build_text(NULL, text);
	CU_ASSERT_TRUE(!b.s || !b.s->l4);
	CU_ASSERT_TRUE(is_told(&b, MT_DIAG_ERROR, "there is no room for the addresses"));
	unbuild(&b);
	free(text);
}

/* Another port of the same endpoints is judged by the policy as before. */
static void beside_a_terminated_port(void)
{
	struct built b = build_text(NULL, META(NAT) SPEC(DNS ", " RPC) DENY(TO("methods: [m]")));
	const struct mt_cluster *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	c = cluster(b.s, "outbound|20880||a.x");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_PTR_NULL(c->closed_by);
	CU_ASSERT_PTR_NOT_NULL(c->guards);
	c = cluster(b.s, "udp|53||a.x");
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->closed_by);
	CU_ASSERT_STRING_EQUAL(c->closed_by->by, "AuthorizationPolicy x/p");
	CU_ASSERT_EQUAL(c->n_eps, 0);
	unbuild(&b);
}

/* ---- TLS --------------------------------------------------------------------------------------- */

#define MESHED                                                                                     \
	META(NAT)                                                                                  \
	"  hosts: [a.x]\n  addresses: [192.0.2.1]\n  location: MESH_INTERNAL\n"                    \
	"  resolution: STATIC\n  ports: [" DNS "]\n  endpoints:\n"                                 \
	"  - {address: 198.51.100.1}\n"                                                            \
	"  - {address: 198.51.100.2, labels: {security.istio.io/tlsMode: istio}}\n"

static void endpoints_of_tls(void)
{
	static const struct {
		const char *text;
		uint32_t endpoints;
		const char *words; /* NULL: nothing is told */
	} rows[] = {
		{MESHED, 1, "1 of 2 endpoints get no packets: they expect TLS"},
		{MESHED RULE("{tls: {mode: DISABLE}}"), 2, NULL},
		{FORWARDED RULE("{tls: {mode: SIMPLE}}"), 0, "2 of 2 endpoints get no packets"},
		{FORWARDED RULE("{tls: {mode: SIMPLE}, portLevelSettings: [{port: {number: 53}, "
				"tls: {mode: DISABLE}}]}"),
			2, NULL},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(cluster(b.s, "udp|53||a.x")->n_eps, rows[i].endpoints);
		CU_ASSERT_EQUAL(
			is_told(&b, MT_DIAG_WARNING, "get no packets"), rows[i].words != NULL);
		CU_ASSERT_TRUE(!rows[i].words || is_told(&b, MT_DIAG_WARNING, rows[i].words));
		unbuild(&b);
	}
}

const struct mt_test forward_policy_tests[] = {
	{"forward_policy_closed_by_policies", closed_by_policies},
	{"forward_policy_rules_by_address", rules_by_address},
	{"forward_policy_too_many_addresses", too_many_addresses},
	{"forward_policy_too_many_conditions", too_many_conditions},
	{"forward_policy_beside_a_terminated_port", beside_a_terminated_port},
	{"forward_policy_endpoints_of_tls", endpoints_of_tls},
	{0},
};
