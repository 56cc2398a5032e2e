/* SPDX-License-Identifier: Apache-2.0 */
/* What opens a listener beside a service address: gateways, patches, port names. */
#include "conf_test.h"
#include "conf_texts.h"

#include <stdio.h>

static void gateway(void)
{
	struct built b = build_text(NULL,
		SERVICE_A RULE_A ISTIO("Gateway",
			"gw") "  servers:\n"
			      "  - port: {number: 8088, name: tcp-metaprotocol-dubbo}\n"
			      "  - port: {number: 8089, name: tcp-x}\n"
			      "  - port: {number: 8090, name: tcp-y}\n"
			      "    bind: 203.0.113.1\n" ROUTER(
				      "mr") "  hosts: [a.x]\n"
					    "  gateways: [default/gw]\n"
					    "  routes: [{route: [{destination: {host: "
					    "a.x, subset: v1}}]}]\n" ISTIO("VirtualService",
						    "vs") "  hosts: [\"*\"]\n"
							  "  gateways: [gw]\n"
							  "  tcp: [{route: [{destination: {host: "
							  "a.x, port: {number: "
							  "20880}}}]}]\n");
	const struct mt_listener *l;

	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	l = listener(b.s, "203.0.113.9", 8088);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_STRING_EQUAL(l->protos->codec->name, "dubbo");
	CU_ASSERT_STRING_EQUAL(
		b.s->clusters[mt_route_at(l->protos->services[0]->routes, 0)->dests[0].cluster]
			.name,
		"outbound|20880|v1|a.x");
	l = listener(b.s, "203.0.113.9", 8089);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_STRING_EQUAL(
		b.s->clusters[l->protos->services[0]->tcp_cluster].name, "outbound|20880||a.x");
	CU_ASSERT_PTR_NULL(listener(b.s, "203.0.113.9", 8090));
	CU_ASSERT_PTR_NOT_NULL(listener(b.s, "203.0.113.1", 8090));
	unbuild(&b);
}

static void envoy_patch(void)
{
	struct built b = build_text(NULL,
		ISTIO("ServiceEntry",
			"a") "  hosts: [a.x]\n"
			     "  addresses: [192.0.2.1]\n"
			     "  ports: [{number: 20880, name: tcp}]\n"
			     "  endpoints: [{address: 198.51.100.1}]\n" ISTIO("EnvoyFilter",
				     "ef") "  configPatches:\n"
					   "  - applyTo: NETWORK_FILTER\n"
					   "    match: {listener: {name: 192.0.2.1_20880}}\n"
					   "    patch:\n"
					   "      operation: REPLACE\n"
					   "      value:\n"
					   "        typed_config:\n"
					   "          \"@type\": type.googleapis.com/"
					   "aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy\n"
					   "          codec: {name: "
					   "aeraki.meta_protocol.codec.dubbo}\n"
					   "          idle_timeout: 90s\n"
					   "          route_config: {routes: [{name: r, route: "
					   "{cluster: "
					   "outbound|20880||A.x}}]}\n"
					   "          meta_protocol_filters:\n"
					   "          - name: "
					   "aeraki.meta_protocol.filters.local_ratelimit\n"
					   "            config: {token_bucket: {max_tokens: 5, "
					   "fill_interval: 1s}}\n");
	const struct mt_listener *l;

	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	l = listener(b.s, "192.0.2.1", 20880);
	CU_ASSERT_STRING_EQUAL(l->protos->codec->name, "dubbo");
	CU_ASSERT_EQUAL(l->chains->idle_s, 90);
	CU_ASSERT_STRING_EQUAL(mt_route_at(l->protos->services[0]->routes, 0)->name, "r");
	CU_ASSERT_EQUAL(l->protos->services[0]->n_filter_insts, 1);
	unbuild(&b);
}

struct port_case {
	const char *name, *protocol;
	const char *codec; /* NULL: not served */
};

static const struct port_case port_names[] = {
	{"tcp", NULL, "tcp"},
	{"tcp-redis", "TCP", "tcp"},
	{"tcp-dubbo", NULL, "dubbo"},
	{"tcp-x-dubbo", NULL, "tcp"},
	{"thrift", NULL, "thrift"},
	{"dubbo-20880", "TCP", "dubbo"},
	{"rpc", "DUBBO", "dubbo"},
	{"dubbos", "TCP", "tcp"},
	{"tcp-metaprotocol-dubbo", NULL, "dubbo"},
	{"TCP-METAPROTOCOL-DUBBO", NULL, "dubbo"},
	{"tcp-metaprotocol-thrift-anything", NULL, "thrift"},
	{"redis", "TCP", "tcp"},
	{"http", "HTTP", "tcp"},
	{"udp-dns", NULL, NULL},
	{"dns", "UDP", NULL},
};

static void port_naming(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(port_names); i++) {
		const struct port_case *p = &port_names[i];
		char text[512];
		struct built b;

		snprintf(text, sizeof(text),
			ISTIO("ServiceEntry",
				"b") "  hosts: [b]\n"
				     "  addresses: [192.0.2.1]\n"
				     "  ports: [{number: 1, name: %s, protocol: %s}]\n"
				     "  endpoints: [{address: 198.51.100.1}]\n",
			p->name, p->protocol ? p->protocol : "~");
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(b.s->n_listeners, p->codec ? 1 : 0);
		if (p->codec)
			CU_ASSERT_STRING_EQUAL(b.s->listeners[0].protos->codec->name, p->codec);
		unbuild(&b);
	}
}

#define RPC(name, annotations, protocol)                                                           \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: " name ", annotations: {" annotations "}}\nspec:\n"                      \
	"  hosts: [" name ".x]\n"                                                                  \
	"  addresses: [192.0.2.1]\n"                                                               \
	"  ports: [{number: 9090, name: tcp-metaprotocol-" protocol "}]\n"                         \
	"  endpoints: [{address: 198.51.100.1}]\n"

/* Plain calls of Thrift cannot be told apart, so a second service at an address costs them. */
static void unnamed_calls(void)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{RPC("a", "", "thrift") RPC("b", "", "thrift"),
			"192.0.2.1:9090 is in use by a.x at t:8: calls without a service name get"},
		{RPC("a", "", "thrift") RPC("b", "interface: B", "thrift"),
			"192.0.2.1:9090 is in use by a.x at t:8: calls without a service name get"},
		{RPC("a", "interface: A", "thrift") RPC("b", "service: B", "thrift"), NULL},
		{RPC("a", "", "dubbo") RPC("b", "", "dubbo"), NULL},
		{RPC("a", "", "thrift"), NULL},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(b.s->n_listeners, 1);
		if (rows[i].words)
			CU_ASSERT(has_diag(&b, MT_DIAG_WARNING, 17, rows[i].words));
		CU_ASSERT(has_diag(&b, MT_DIAG_WARNING, 17, "without a service name") ==
			  (rows[i].words != NULL));
		CU_ASSERT_FALSE(has_diag(&b, MT_DIAG_WARNING, 8, "without a service name"));
		unbuild(&b);
	}
}

/* The warning is of the object that came last, not of the one that looks older. */
static void unnamed_calls_later(void)
{
	struct mt_conf *conf = new_conf();
	struct built now = build_text(conf, RPC("b", "", "thrift")), b;
	struct mt_err e;

	CU_ASSERT_PTR_NOT_NULL_FATAL(now.s);
	CU_ASSERT_EQUAL(mt_conf_publish(conf, now.s, 1, NULL, &e), 0);
	mt_diags_fini(&now.diags);
	mt_model_free(now.m);
	b = build_text(conf, RPC("a", "", "thrift") RPC("b", "", "thrift"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT(has_diag(&b, MT_DIAG_WARNING, 8, "is in use by b.x at t:17"));
	CU_ASSERT_FALSE(has_diag(&b, MT_DIAG_WARNING, 17, "without a service name"));
	unbuild(&b);
}

const struct mt_test listeners_tests[] = {
	{"gateway", gateway},
	{"envoy_patch", envoy_patch},
	{"port_naming", port_naming},
	{"calls without a service name", unnamed_calls},
	{"the later of services with such calls", unnamed_calls_later},
	{0},
};
