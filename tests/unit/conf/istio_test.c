/* SPDX-License-Identifier: Apache-2.0 */
/* What Istio takes is taken: relative weights, addresses of a status, names and networks, selectors of others. */
#include "conf_test.h"
#include "conf_texts.h"

#include <string.h>

#define NODE(labels)                                                                               \
	"---\napiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n" labels "}\nspec:\n"       \
	"  ports: [{name: p0, device: net_null0, addresses: [203.0.113.1/24]}]\n"
#define TCP_B(more)                                                                                \
	ISTIO("ServiceEntry", "b")                                                                 \
	"  hosts: [b.x]\n  resolution: STATIC\n  ports: [{number: 1, name: tcp}]\n" more

/* 3 and 1 of 4; one that is not written has none. */
static void weights_are_relative(void)
{
	struct built b = build_text(NULL,
		SERVICE_A RULE_A ISTIO("VirtualService",
			"vs") "  hosts: [a.x]\n  http:\n  - route:\n"
			      "    - {destination: {host: a.x, subset: v1}, weight: 3}\n"
			      "    - {destination: {host: a.x, subset: v2}, weight: 1}\n"
			      "    - {destination: {host: a.x}}\n");
	const struct mt_route_action *a;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	a = mt_route_at(service(b.s, "a.x")->routes, 0);
	CU_ASSERT_EQUAL_FATAL(a->n_dests, 2);
	CU_ASSERT_EQUAL(a->dests[0].weight, 3);
	CU_ASSERT_EQUAL(a->dests[1].weight, 1);
	CU_ASSERT_EQUAL(a->total_weight, 4);
	CU_ASSERT_EQUAL(b.diags.warnings, 0);
	unbuild(&b);
}

/* An instance of weight 0 is one like others. */
static void no_weight_is_one(void)
{
	struct built b = build_text(
		NULL, TCP_B("  endpoints: [{address: 198.51.100.1, weight: 0}, {address: "
			    "198.51.100.2, weight: 7}]\n"));
	const struct mt_cluster *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	c = cluster(b.s, "outbound|1||b.x");
	CU_ASSERT_EQUAL_FATAL(c->n_eps, 2);
	CU_ASSERT_EQUAL(c->eps[0].weight, 1);
	CU_ASSERT_EQUAL(c->eps[1].weight, 7);
	unbuild(&b);
}

/* istiod's word stands where the document has none of its own; what it is not is left out. */
static void addresses_of_the_status(void)
{
	struct built b = build_text(NULL, TCP_B("status:\n  addresses: [{value: 240.240.7.7, host: "
						"b.x}, {value: nothing}, {}]\n  conditions: []\n"));

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_PTR_NOT_NULL(listener(b.s, "240.240.7.7", 1));
	CU_ASSERT_EQUAL(b.s->n_listeners, 1);
	unbuild(&b);
	b = build_text(NULL, TCP_B("  addresses: [192.0.2.9]\nstatus: {addresses: [{value: "
				   "240.240.7.7}]}\n"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_PTR_NULL(listener(b.s, "240.240.7.7", 1));
	CU_ASSERT_PTR_NOT_NULL(listener(b.s, "192.0.2.9", 1));
	unbuild(&b);
}

/* Instances by name and networks of addresses are told, and cost nobody the rest. */
static void names_and_networks(void)
{
	struct built b = build_text(
		NULL, TCP_B("  addresses: [10.0.0.0/8, 192.0.2.9]\n"
			    "  endpoints: [{address: db.example.com}, {address: 198.51.100.2}]\n"));

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(cluster(b.s, "outbound|1||b.x")->n_eps, 1);
	CU_ASSERT_EQUAL(b.s->n_listeners, 1);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 9, "\"10.0.0.0/8\" is not answered"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 10, "not used: \"db.example.com\""));
	unbuild(&b);
	/* A service of networks alone has an address that is given to it. */
	b = build_text(NULL, TCP_B("  addresses: [10.0.0.0/8]\n"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.s->n_listeners, 1);
	unbuild(&b);
}

#define GATEWAY                                                                                    \
	ISTIO("Gateway", "g")                                                                      \
	"  selector: {istio: in}\n  servers: [{port: {number: 9, name: tcp}}]\n"
#define BOUND(gateways)                                                                            \
	ISTIO("VirtualService", "vs")                                                              \
	"  hosts: [b.x]\n  gateways: " gateways "\n  tcp: [{route: [{destination: {host: "         \
	"b.x}}]}]\n"

#define ENDPOINT "  endpoints: [{address: 198.51.100.2}]\n"

/* A Gateway of other nodes opens no port here, and what is bound to it alone has no effect. */
static void gateways_of_others(void)
{
	static const struct {
		const char *text;
		bool open;
		uint32_t inert, warnings;
	} rows[] = {
		{NODE(", labels: {istio: in, app: x}") TCP_B(ENDPOINT) GATEWAY BOUND("[g]"), true,
			0, 0},
		{NODE(", labels: {istio: out}") TCP_B(ENDPOINT) GATEWAY BOUND("[g]"), false, 2, 0},
		{NODE("") TCP_B(ENDPOINT) GATEWAY BOUND("[g]"), false, 2, 0},
		{NODE("") TCP_B(ENDPOINT) GATEWAY BOUND("[g, mesh]"), false, 1, 0},
		{NODE("") TCP_B(ENDPOINT) BOUND("[none]"), false, 1, 0},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(b.s->n_listeners, rows[i].open ? 2 : 1);
		CU_ASSERT_EQUAL(b.diags.inert, rows[i].inert);
		CU_ASSERT_EQUAL(b.diags.warnings, rows[i].warnings);
		unbuild(&b);
	}
}

static bool tells(const struct built *b, const char *words)
{
	for (uint32_t i = 0; i < b->diags.n; i++) {
		char text[1024];

		mt_diag_format(&b->diags.items[i], text, sizeof(text));
		if (strstr(text, words))
			return true;
	}
	return false;
}

/* Of two VirtualServices with one gateway the first with a route from the port and a host of the server leads; the other is told. */
static void gateways_of_several(void)
{
	static const struct {
		const char *hosts, *first, *match;
		bool told;
		const char *leads;
	} rows[] = {
		{"['*']", "a.x", "", true, "outbound|1||b.x"},
		{"['*']", "a.x", "match: [{port: 9}], ", true, "outbound|1||b.x"},
		{"['*']", "a.x", "match: [{port: 8}], ", false, "outbound|1||c.x"},
		{"['*']", "a.x", "match: [{gateways: [mesh]}], ", false, "outbound|1||c.x"},
		{"['*.y']", "a.x", "", false, "outbound|1||c.x"},
		{"[elsewhere/*]", "a.y", "", false, NULL},
		{"[./a.y]", "a.y", "", false, "outbound|1||b.x"},
		{"['default/*.y']", "a.y", "", true, "outbound|1||b.x"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct mt_listener *l;
		struct built b;
		char text[4000];

		snprintf(text, sizeof(text),
			NODE(", labels: {istio: in}") TCP_B("") ISTIO("ServiceEntry",
				"c") "  hosts: [c.x]\n  resolution: STATIC\n  ports: [{number: "
				     "1, name: tcp}]\n" ISTIO("Gateway",
					     "g") "  selector: {istio: in}\n"
						  "  servers: [{port: {number: 9, name: "
						  "tcp}, hosts: %s}]\n" ISTIO("VirtualService",
							  "v1") "  hosts: [%s]\n  gateways: "
								"[g]\n  tcp: [{%sroute: "
								"[{destination: {host: "
								"b.x}}]}]\n" ISTIO("VirtualService",
									"v2") "  hosts: [b.y]\n  "
									      "gateways: [g]\n  "
									      "tcp: "
									      "[{route: "
									      "[{destination: "
									      "{host: c.x}}]}]\n",
			rows[i].hosts, rows[i].first, rows[i].match);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		l = listener(b.s, "::", 9);
		CU_ASSERT_EQUAL(l != NULL, rows[i].leads != NULL);
		if (l)
			CU_ASSERT_STRING_EQUAL(
				b.s->clusters[l->protos->services[0]->tcp_cluster].name,
				rows[i].leads);
		CU_ASSERT_EQUAL(tells(&b, "not used at port 9"), rows[i].told);
		unbuild(&b);
	}
}

/* A patch for workloads with other labels changes none of ours. */
static void patches_of_others(void)
{
	static const char patch[] =
		"  configPatches:\n  - applyTo: NETWORK_FILTER\n"
		"    match: {listener: {name: 192.0.2.9_1, filterChain: {filter: {name: "
		"envoy.filters.network.tcp_proxy}}}}\n"
		"    patch:\n      operation: REPLACE\n      value:\n"
		"        name: aeraki.meta_protocol_proxy\n"
		"        typed_config:\n"
		"          '@type': type.googleapis.com/udpa.type.v1.TypedStruct\n"
		"          type_url: "
		"type.googleapis.com/aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy\n"
		"          value: {applicationProtocol: dubbo, codec: {name: "
		"aeraki.meta_protocol.codec.dubbo}}\n";

	for (int mine = 0; mine <= 1; mine++) {
		struct built b;
		char text[2000];

		snprintf(text, sizeof(text),
			NODE(", labels: {app: x}") TCP_B("  addresses: [192.0.2.9]\n") ISTIO(
				"EnvoyFilter", "f") "  workloadSelector: {labels: {app: %s}}\n%s",
			mine ? "x" : "y", patch);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_STRING_EQUAL(
			b.s->listeners[0].protos->codec->name, mine ? "dubbo" : "tcp");
		CU_ASSERT_EQUAL(b.diags.inert, !mine);
		unbuild(&b);
	}
}

const struct mt_test istio_tests[] = {
	{"weights_are_relative", weights_are_relative},
	{"no_weight_is_one", no_weight_is_one},
	{"addresses_of_the_status", addresses_of_the_status},
	{"names_and_networks", names_and_networks},
	{"gateways_of_others", gateways_of_others},
	{"gateways_of_several", gateways_of_several},
	{"patches_of_others", patches_of_others},
	{0},
};
