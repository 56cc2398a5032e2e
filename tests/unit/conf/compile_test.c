/* SPDX-License-Identifier: Apache-2.0 */
#include "conf_test.h"

#include <stdio.h>

#define ISTIO(kind, name)                                                                          \
	"---\napiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: " name          \
	"}\nspec:\n"
#define ROUTER(name)                                                                               \
	"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"                     \
	"metadata: {name: " name "}\nspec:\n"

/* Lines 1-14: a Dubbo service a.x with two labelled instances. */
#define SERVICE_A                                                                                  \
	ISTIO("ServiceEntry", "a")                                                                 \
	"  hosts: [a.x]\n"                                                                         \
	"  addresses: [192.0.2.1]\n"                                                               \
	"  resolution: STATIC\n"                                                                   \
	"  ports: [{number: 20880, name: tcp-metaprotocol-Dubbo}]\n"                               \
	"  endpoints:\n"                                                                           \
	"  - {address: 198.51.100.1, labels: {version: v1}}\n"                                     \
	"  - address: 198.51.100.2\n"                                                              \
	"    labels: {version: v2}\n"                                                              \
	"    ports: {tcp-metaprotocol-Dubbo: 30880}\n"
/* Lines 15-23. */
#define RULE_A                                                                                     \
	ISTIO("DestinationRule", "a")                                                              \
	"  host: a.x\n"                                                                            \
	"  subsets:\n"                                                                             \
	"  - {name: v1, labels: {version: v1}}\n"                                                  \
	"  - {name: v2, labels: {version: v2}}\n"
#define LAST_OF_A 23

static void clusters_and_subsets(void)
{
	struct built b = build_text(NULL, SERVICE_A RULE_A);
	const struct mt_cluster *c;

	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.s->n_clusters, 3);
	c = cluster(b.s, "outbound|20880||a.x");
	CU_ASSERT_EQUAL_FATAL(c->n_eps, 2);
	CU_ASSERT_STRING_EQUAL(c->eps[0].name, "198.51.100.1:20880");
	CU_ASSERT_STRING_EQUAL(c->eps[1].name, "198.51.100.2:30880");
	CU_ASSERT_EQUAL(c->lb, MT_LB_LEAST_REQUEST);
	c = cluster(b.s, "outbound|20880|v2|a.x");
	CU_ASSERT_EQUAL_FATAL(c->n_eps, 1);
	CU_ASSERT_EQUAL(c->eps[0].port, 30880);
	CU_ASSERT_PTR_NOT_NULL(c->eps[0].state);
	unbuild(&b);
}

static void default_route(void)
{
	struct built b = build_text(NULL, SERVICE_A);
	const struct mt_listener *l;
	const struct mt_route_action *a;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	l = listener(b.s, "192.0.2.1", 20880);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_PTR_NULL(listener(b.s, "192.0.2.1", 20881));
	CU_ASSERT_STRING_EQUAL(l->codec->name, "dubbo");
	CU_ASSERT_PTR_NULL(l->service_key.name);
	CU_ASSERT_EQUAL(l->idle_s, 3600);
	CU_ASSERT_EQUAL(mt_route_count(l->services[0]->routes), 1);
	a = mt_route_at(l->services[0]->routes, 0);
	CU_ASSERT_STRING_EQUAL(a->name, "default");
	CU_ASSERT_STRING_EQUAL(b.s->clusters[a->dests[0].cluster].name, "outbound|20880||a.x");
	CU_ASSERT_TRUE(l->services[0]->early_ok);
	unbuild(&b);
}

static const char routed[] = SERVICE_A RULE_A ISTIO(
	"VirtualService", "vs") "  hosts: [a.x]\n"
				"  http:\n"
				"  - route: [{destination: {host: a.x}}]\n"
				"  dubbo:\n"
				"  - name: canary\n"
				"    match:\n"
				"    - headers: {user: {exact: Jason}}\n"
				"    - {headers: {user: {prefix: J}}, port: 1}\n"
				"    - method: {regex: say.*}\n"
				"    route:\n"
				"    - destination: {host: a.x, subset: v1, weight: 20}\n"
				"    - destination: {host: a.x, subset: v2}\n"
				"      weight: 80\n"
				"    timeout: 3s\n"
				"    headers: {request: {set: {k: v}, remove: [r]}}\n"
				"  - name: rest\n"
				"    route: [{destination: {host: a.x}}]\n";

/* The list that is named after the protocol wins over http; each match is a route of its own. */
static void protocol_list(void)
{
	struct built b = build_text(NULL, routed);
	const struct mt_route_action *a;
	const struct mt_service *s;

	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	s = service(b.s, "a.x");
	CU_ASSERT_EQUAL_FATAL(mt_route_count(s->routes), 3);
	a = mt_route_at(s->routes, 1);
	CU_ASSERT_STRING_EQUAL(a->name, "canary");
	CU_ASSERT_EQUAL(a->timeout_ms, 3000);
	CU_ASSERT_EQUAL_FATAL(a->n_dests, 2);
	CU_ASSERT_EQUAL(a->dests[0].weight, 20);
	CU_ASSERT_EQUAL(a->dests[1].weight, 80);
	CU_ASSERT_EQUAL(a->total_weight, 100);
	CU_ASSERT_STRING_EQUAL(b.s->clusters[a->dests[1].cluster].name, "outbound|20880|v2|a.x");
	CU_ASSERT_EQUAL_FATAL(a->n_req_mut, 2);
	CU_ASSERT_STRING_EQUAL(a->req_mut[0].value, "v");
	CU_ASSERT_PTR_NULL(a->req_mut[1].value);
	CU_ASSERT_STRING_EQUAL(mt_route_at(s->routes, 2)->name, "rest");
	CU_ASSERT_FALSE(s->early_ok);
	unbuild(&b);
}

static void meta_router_wins(void)
{
	struct built b = build_text(NULL,
		SERVICE_A RULE_A ISTIO("VirtualService",
			"vs") "  hosts: [a.x]\n"
			      "  http: [{name: vs, route: [{destination: {host: a.x}}]}]\n" ROUTER(
				      "mr") "  hosts: [a.x]\n"
					    "  routes:\n"
					    "  - name: mr\n"
					    "    match: {attributes: {interface: {exact: i}, "
					    "method: {}}}\n"
					    "    route: [{destination: {host: a.x, subset: v1}}]\n"
					    "    responseMutation: [{key: a, value: b}]\n"
					    "  localRateLimit:\n"
					    "    tokenBucket: {maxTokens: 5, fillInterval: 60s}\n"
					    "    conditions:\n"
					    "    - match: {attributes: {method: {exact: m}}}\n"
					    "      tokenBucket: {maxTokens: 2, fillInterval: "
					    "10s}\n");
	const struct mt_route_action *a;
	const struct mt_service *s;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, LAST_OF_A + 6, "MetaRouter"));
	s = service(b.s, "a.x");
	CU_ASSERT_EQUAL_FATAL(mt_route_count(s->routes), 1);
	a = mt_route_at(s->routes, 0);
	CU_ASSERT_STRING_EQUAL(a->name, "mr");
	CU_ASSERT_EQUAL(a->n_rsp_mut, 1);
	CU_ASSERT_EQUAL_FATAL(s->n_filters, 1);
	CU_ASSERT_STRING_EQUAL(s->filters[0].type->name, "local_ratelimit");
	CU_ASSERT_TRUE(s->early_ok);
	unbuild(&b);
}

/* Routes for messages on a port of bytes do nothing, and that is told. */
static void unused_routes(void)
{
	struct built b = build_text(NULL,
		ISTIO("ServiceEntry",
			"a") "  hosts: [a.x]\n"
			     "  ports: [{number: 1, name: tcp-dubbo}]\n"
			     "  endpoints: [{address: 198.51.100.1}]\n" ISTIO("VirtualService",
				     "v") "  hosts: [a.x]\n"
					  "  http: [{route: [{destination: {host: "
					  "a.x}}]}]\n" ROUTER("m") "  hosts: [a.x]\n"
								   "  localRateLimit: "
								   "{tokenBucket: {maxTokens: 1, "
								   "fillInterval: 1s}}\n");

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.diags.warnings, 2);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 10, "none of its lists is for a port of a.x"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 21, "no port of a.x carries messages"));
	unbuild(&b);
}

/* Several Dubbo interfaces on one port; the annotation says the key where the host does not. */
static void shared_port(void)
{
	struct built b = build_text(NULL,
		SERVICE_A "---\n"
			  "apiVersion: networking.istio.io/v1\n"
			  "kind: ServiceEntry\n"
			  "metadata: {name: b, annotations: {interface: org.B}}\n"
			  "spec:\n"
			  "  hosts: [b.x]\n"
			  "  addresses: [192.0.2.1]\n"
			  "  ports: [{number: 20880, name: TCP-MetaProtocol-dubbo-b}]\n"
			  "  endpoints: [{address: 198.51.100.3}]\n");
	const struct mt_listener *l;

	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.s->n_listeners, 1);
	l = listener(b.s, "192.0.2.1", 20880);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_EQUAL_FATAL(l->n_services, 2);
	CU_ASSERT_STRING_EQUAL(l->service_key.name, "interface");
	CU_ASSERT_STRING_EQUAL(l->services[0]->key, "a.x");
	CU_ASSERT_STRING_EQUAL(l->services[1]->key, "org.b");
	CU_ASSERT_NOT_EQUAL(l->services[0]->index, l->services[1]->index);
	unbuild(&b);
}

static void workload_entries(void)
{
	struct built b = build_text(NULL,
		ISTIO("ServiceEntry",
			"a") "  hosts: [a.x]\n"
			     "  ports: [{number: 1, name: tcp-redis, targetPort: 7}]\n"
			     "  workloadSelector: {labels: {app: a, tier: t}}\n" ISTIO(
				     "WorkloadEntry",
				     "w1") "  address: 198.51.100.1\n"
					   "  labels: {app: a, tier: t}\n"
					   "  weight: 3\n"
					   "  locality: r1/z1/s1\n" ISTIO("WorkloadEntry",
						   "w2") "  address: 198.51.100.2\n"
							 "  labels: {app: a}\n"
							 "---\n"
							 "apiVersion: networking.istio.io/v1\n"
							 "kind: WorkloadEntry\n"
							 "metadata: {name: w3, namespace: other}\n"
							 "spec: {address: 198.51.100.3, labels: "
							 "{app: a, tier: t}}\n");
	const struct mt_cluster *c;
	const struct mt_service *s;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	c = cluster(b.s, "outbound|1||a.x");
	CU_ASSERT_EQUAL_FATAL(c->n_eps, 1);
	CU_ASSERT_STRING_EQUAL(c->eps[0].name, "198.51.100.1:7");
	CU_ASSERT_EQUAL(c->eps[0].weight, 3);
	CU_ASSERT_STRING_EQUAL(c->eps[0].zone, "z1");
	s = service(b.s, "a.x");
	CU_ASSERT_PTR_NULL(s->routes);
	CU_ASSERT_STRING_EQUAL(b.s->clusters[s->tcp_cluster].name, "outbound|1||a.x");
	/* No address was written: the first of 240.240/16. */
	CU_ASSERT_PTR_NOT_NULL(listener(b.s, "240.240.0.1", 1));
	CU_ASSERT_TRUE(listener(b.s, "240.240.0.1", 1)->codec->opaque);
	unbuild(&b);
}

static void tcp_weights(void)
{
	struct built b = build_text(NULL,
		ISTIO("ServiceEntry",
			"a") "  hosts: [a.x, alias.x]\n"
			     "  ports: [{number: 1, name: tcp}]\n"
			     "  endpoints: [{address: 198.51.100.1, labels: {v: b}}]\n" ISTIO(
				     "DestinationRule",
				     "a") "  host: alias.x\n"
					  "  subsets: [{name: b, labels: {v: b}}]\n" ISTIO(
						  "VirtualService",
						  "a") "  hosts: [a.x]\n"
						       "  tcp:\n"
						       "  - {match: [{port: 2}], route: "
						       "[{destination: {host: a.x}}]}\n"
						       "  - match: [{port: 1}]\n"
						       "    route:\n"
						       "    - {destination: {host: a.x}, weight: "
						       "60}\n"
						       "    - {destination: {host: alias.x, "
						       "subset: b}, weight: 40}\n");
	const struct mt_service *s;

	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	s = service(b.s, "a.x");
	CU_ASSERT_EQUAL_FATAL(s->n_tcp_dests, 2);
	CU_ASSERT_EQUAL(s->tcp_total_weight, 100);
	CU_ASSERT_STRING_EQUAL(b.s->clusters[s->tcp_dests[1].cluster].name, "outbound|1|b|a.x");
	unbuild(&b);
}

struct policy_case {
	const char *policy; /* trafficPolicy of the rule */
	const char *own;    /* of the subset */
	enum mt_lb top, subset;
	enum mt_lb_hash by;
};

static const struct policy_case policies[] = {
	{"{}", "{}", MT_LB_LEAST_REQUEST, MT_LB_LEAST_REQUEST, MT_LB_HASH_KEY},
	{"{loadBalancer: {simple: ROUND_ROBIN}}", "{}", MT_LB_ROUND_ROBIN, MT_LB_ROUND_ROBIN,
		MT_LB_HASH_KEY},
	{"{loadBalancer: {simple: RANDOM}}", "{loadBalancer: {simple: LEAST_CONN}}", MT_LB_RANDOM,
		MT_LB_LEAST_REQUEST, MT_LB_HASH_KEY},
	/* A subset does not take over consistentHash. */
	{"{loadBalancer: {consistentHash: {httpHeaderName: User}}}", "{}", MT_LB_MAGLEV,
		MT_LB_RANDOM, MT_LB_HASH_KEY},
	{"{loadBalancer: {consistentHash: {useSourceIp: true}}}",
		"{loadBalancer: {consistentHash: {httpHeaderName: User, maglev: {tableSize: 7}}}}",
		MT_LB_MAGLEV, MT_LB_MAGLEV, MT_LB_HASH_SOURCE},
	{"{loadBalancer: {consistentHash: {httpCookie: {name: c, ttl: 0s}}}}", "{}", MT_LB_RANDOM,
		MT_LB_RANDOM, MT_LB_HASH_KEY},
};

static void balancers(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(policies); i++) {
		const struct policy_case *p = &policies[i];
		const struct mt_cluster *top, *own;
		char text[2048];
		struct built b;

		snprintf(text, sizeof(text),
			SERVICE_A ISTIO(
				"DestinationRule", "a") "  host: a.x\n"
							"  trafficPolicy: %s\n"
							"  subsets:\n"
							"  - {name: v1, labels: {version: v1}, "
							"trafficPolicy: %s}\n",
			p->policy, p->own);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		top = cluster(b.s, "outbound|20880||a.x");
		own = cluster(b.s, "outbound|20880|v1|a.x");
		CU_ASSERT_EQUAL(top->lb, p->top);
		CU_ASSERT_EQUAL(own->lb, p->subset);
		CU_ASSERT_EQUAL(top->hash_by, p->by);
		if (own->lb == MT_LB_MAGLEV) {
			CU_ASSERT_EQUAL(own->n_hash_keys, 1);
			CU_ASSERT_STRING_EQUAL(own->hash_keys[0].name, "User");
			CU_ASSERT(own->maglev.size >= 251);
		}
		unbuild(&b);
	}
}

static void pool_limits(void)
{
	struct built b = build_text(NULL,
		SERVICE_A ISTIO("DestinationRule", "a") "  host: a.x\n"
							"  trafficPolicy: {connectionPool: {tcp: "
							"{maxConnections: 9, connectTimeout: "
							"250ms}, http: {http2MaxRequests: 7}}}\n");
	const struct mt_cluster *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	c = cluster(b.s, "outbound|20880||a.x");
	CU_ASSERT_EQUAL(c->max_connections, 9);
	CU_ASSERT_EQUAL(c->connect_ms, 250);
	CU_ASSERT_EQUAL(c->max_outstanding, 7);
	unbuild(&b);
}

static void multiplexing(void)
{
	struct built b = build_text(NULL,
		"apiVersion: metaprotocol.aeraki.io/v1alpha1\n"
		"kind: ApplicationProtocol\n"
		"metadata: {name: p}\n"
		"spec: {protocol: mine, codec: aeraki.meta_protocol.codec.thrift, multiplexing: "
		"yes}\n" ISTIO(
			"ServiceEntry", "a") "  hosts: [a.x]\n"
					     "  addresses: [192.0.2.1]\n"
					     "  ports: [{number: 1, name: tcp-metaprotocol-MINE}]\n"
					     "  endpoints: [{address: 198.51.100.1}]\n");

	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_STRING_EQUAL(listener(b.s, "192.0.2.1", 1)->codec->name, "thrift");
	CU_ASSERT_EQUAL(listener(b.s, "192.0.2.1", 1)->codec_opts, MT_CODEC_OPT_MULTIPLEXING);
	CU_ASSERT_TRUE(cluster(b.s, "outbound|1||a.x")->multiplexing);
	unbuild(&b);
}

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
	CU_ASSERT_STRING_EQUAL(l->codec->name, "dubbo");
	CU_ASSERT_STRING_EQUAL(
		b.s->clusters[mt_route_at(l->services[0]->routes, 0)->dests[0].cluster].name,
		"outbound|20880|v1|a.x");
	l = listener(b.s, "203.0.113.9", 8089);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_STRING_EQUAL(
		b.s->clusters[l->services[0]->tcp_cluster].name, "outbound|20880||a.x");
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
					   "outbound|20880||a.x}}]}\n"
					   "          meta_protocol_filters:\n"
					   "          - name: "
					   "aeraki.meta_protocol.filters.local_ratelimit\n"
					   "            config: {token_bucket: {max_tokens: 5, "
					   "fill_interval: 1s}}\n");
	const struct mt_listener *l;

	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	l = listener(b.s, "192.0.2.1", 20880);
	CU_ASSERT_STRING_EQUAL(l->codec->name, "dubbo");
	CU_ASSERT_EQUAL(l->idle_s, 90);
	CU_ASSERT_STRING_EQUAL(mt_route_at(l->services[0]->routes, 0)->name, "r");
	CU_ASSERT_EQUAL(l->services[0]->n_filters, 1);
	unbuild(&b);
}

struct refused {
	const char *text;
	uint32_t line;
	const char *words;
};

#define VS_HEAD ISTIO("VirtualService", "vs") "  hosts: [a.x]\n  http:\n"

static const struct refused refusals[] = {
	{SERVICE_A RULE_A VS_HEAD "  - route: [{destination: {host: a.x, subset: v9}}]\n",
		LAST_OF_A + 8,
		"spec.http[0].route[0].destination.subset: no subset \"v9\" of a.x (did you mean "
		"v1?)"},
	{SERVICE_A VS_HEAD "  - route: [{destination: {host: a.x, subset: v1}}]\n", 22,
		"(add a DestinationRule with this subset)"},
	{SERVICE_A VS_HEAD "  - route:\n    - destination:\n        host: b.x\n", 24,
		"spec.http[0].route[0].destination.host: no ServiceEntry has the host \"b.x\" (did "
		"you "
		"mean a.x?)"},
	{SERVICE_A VS_HEAD "  - route: [{destination: {host: a.x, port: {number: 1}}}]\n", 22,
		"spec.http[0].route[0].destination.port.number: a.x has no served port 1"},
	{SERVICE_A VS_HEAD "  - match: [{headers: {user: {regex: \"(\"}}}]\n"
			   "    route: [{destination: {host: a.x}}]\n",
		22, "spec.http[0].match[0].user.regex: bad regular expression: "},
	{SERVICE_A VS_HEAD
		"  - match: [{uri: {prefix: /}}]\n    route: [{destination: {host: a.x}}]\n",
		22, "spec.http[0].uri: cannot be applied to dubbo"},
	{SERVICE_A ISTIO(
		 "VirtualService", "vs") "  hosts: [z]\n"
					 "  http: [{route: [{destination: {host: a.x}}]}]\n",
		20, "spec.hosts[0]: no ServiceEntry has the host \"z\""},
	{SERVICE_A ISTIO("VirtualService", "vs") "  hosts: [a.x]\n  dubo:\n"
						 "  - route: [{destination: {host: a.x}}]\n",
		21, "spec.dubo: neither a field nor a protocol (did you mean dubbo?)"},
	{SERVICE_A ISTIO(
		 "VirtualService", "vs") "  hosts: [a.x]\n  gateways: [mesh, x/y]\n"
					 "  http: [{route: [{destination: {host: a.x}}]}]\n",
		21, "spec.gateways[1]: no Gateway \"x/y\""},
	{SERVICE_A SERVICE_A, 16, "metadata.name: ServiceEntry \"a\" is already at t:2"},
	{SERVICE_A ISTIO("ServiceEntry", "b") "  hosts: [A.x]\n  ports: [{number: 1, name: tcp}]\n",
		20, "spec.hosts[0]: \"A.x\" is already served by t:2"},
	{SERVICE_A ISTIO("ServiceEntry", "b") "  hosts: [b]\n  addresses: [192.0.2.1]\n"
					      "  resolution: STATIC\n"
					      "  ports: [{number: 20880, name: tcp}]\n",
		23,
		"spec.ports[0].number: 192.0.2.1:20880 is in use by a.x at t:9 with another "
		"protocol"},
	{SERVICE_A "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
		   "metadata: {name: b, annotations: {interface: a.x}}\nspec:\n"
		   "  hosts: [b]\n  addresses: [192.0.2.1]\n  resolution: STATIC\n"
		   "  ports: [{number: 20880, name: tcp-metaprotocol-dubbo}]\n",
		23, "for the same service key"},
	{ISTIO("ServiceEntry",
		 "b") "  hosts: [b]\n  ports: [{number: 1, name: tcp-metaprotocol-duboo}]\n"
		      "  resolution: STATIC\n",
		7, "spec.ports[0].name: unknown protocol \"duboo\" (did you mean dubbo?)"},
	{ISTIO("ServiceEntry", "b") "  hosts: [b]\n  ports: [{number: 1, name: tcp-metaprotocol}]\n"
				    "  resolution: STATIC\n",
		7, "spec.ports[0].name: \"tcp-metaprotocol\" names no protocol"},
	{ISTIO("ServiceEntry", "b") "  hosts: [b]\n  ports:\n  - {number: 1, name: tcp}\n"
				    "  - {number: 1, name: tcp-b}\n",
		9, "spec.ports[1].number: already on line 8"},
	{ISTIO("ServiceEntry", "b") "  hosts: [b]\n  ports: [{number: 1, name: tcp}]\n"
				    "  endpoints: [{address: db.example.com}]\n",
		8, "spec.endpoints[0].address: \"db.example.com\" is not an address"},
	{ISTIO("ServiceEntry", "b") "  hosts: [b]\n  addresses: [10.0.0.0/8]\n"
				    "  ports: [{number: 1, name: tcp}]\n"
				    "  resolution: STATIC\n",
		7, "spec.addresses[0]: \"10.0.0.0/8\": a range cannot be served"},
	{"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: ApplicationProtocol\n"
	 "metadata: {name: p}\nspec: {protocol: p, codec: aeraki.meta_protocol.codec.dubo}\n",
		4,
		"spec.codec: unknown codec \"aeraki.meta_protocol.codec.dubo\" (did you mean "
		"aeraki.meta_protocol.codec.dubbo?)"},
	{SERVICE_A RULE_A ISTIO("DestinationRule", "c") "  host: a.x\n", LAST_OF_A + 6,
		"spec.host: t:16 already has a DestinationRule for \"a.x\""},
	{SERVICE_A ISTIO("DestinationRule", "c") "  host: a.x\n"
						 "  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}\n",
		21,
		"spec.trafficPolicy.tls.mode: connections to instances cannot be encrypted yet"},
	{SERVICE_A ISTIO(
		 "DestinationRule", "c") "  host: a.x\n  subsets:\n  - {name: s}\n  - {name: s}\n",
		23, "spec.subsets[1].name: \"s\" is already on line 22"},
	{SERVICE_A ROUTER("mr") "  hosts: [q]\n", 20,
		"spec.hosts[0]: no ServiceEntry has the host"},
	{SERVICE_A ROUTER("m1") "  hosts: [a.x]\n" ROUTER("m2") "  hosts: [a.x]\n", 26,
		"spec.hosts[0]: t:16 already has a MetaRouter for \"a.x\""},
	{"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
	 "  ports: [{name: p0, device: d}]\n  routes: [{to: 0.0.0.0/0, port: p1}]\n",
		6, "spec.routes[0].port: no port \"p1\""},
};

static void refused(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(refusals); i++) {
		const struct refused *r = &refusals[i];
		struct built b = build_text(NULL, r->text);
		bool as_expected = has_diag(&b, MT_DIAG_ERROR, r->line, r->words);

		CU_ASSERT_PTR_NULL(b.s);
		CU_ASSERT_TRUE(as_expected);
		if (!as_expected) {
			fprintf(stderr, "row %zu wants line %u, %s:\n", i, r->line, r->words);
			show_diags(&b);
		}
		unbuild(&b);
	}
}

struct port_case {
	const char *name, *protocol;
	const char *codec; /* NULL: not served */
};

static const struct port_case port_names[] = {
	{"tcp", NULL, "tcp"},
	{"tcp-redis", "TCP", "tcp"},
	{"tcp-dubbo", NULL, "tcp"},
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
			CU_ASSERT_STRING_EQUAL(b.s->listeners[0].codec->name, p->codec);
		unbuild(&b);
	}
}

/* 10,000 routes and 10,000 instances: far from any quadratic step. The region's use is the measure. */
static void large(void)
{
	size_t size = 8 << 20, len = 0;
	char *text = malloc(size);
	struct built b;

	len += (size_t)snprintf(text + len, size - len, "%s",
		ISTIO("ServiceEntry", "a") "  hosts: [a.x]\n"
					   "  addresses: [192.0.2.1]\n"
					   "  ports: [{number: 1, name: tcp-metaprotocol-dubbo}]\n"
					   "  endpoints:\n");
	for (int i = 0; i < 10000; i++)
		len += (size_t)snprintf(text + len, size - len,
			"  - {address: 10.1.%d.%d, labels: {version: v%d}}\n", i / 250, i % 250 + 1,
			i % 2);
	len += (size_t)snprintf(text + len, size - len, "%s",
		ISTIO("DestinationRule",
			"a") "  host: a.x\n"
			     "  subsets: [{name: v1, labels: {version: v1}}]\n" ISTIO(
				     "VirtualService", "a") "  hosts: [a.x]\n"
							    "  http:\n");
	for (int i = 0; i < 10000; i++)
		len += (size_t)snprintf(text + len, size - len,
			"  - match: [{headers: {user: {exact: u%d}}}]\n"
			"    route: [{destination: {host: a.x, subset: v1}}]\n",
			i);
	CU_ASSERT(len < size);
	b = build_text(NULL, text);
	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(mt_route_count(b.s->services[0]->routes), 10000);
	CU_ASSERT_EQUAL(b.s->clusters[0].n_eps, 10000);
	CU_ASSERT_EQUAL(b.s->clusters[1].n_eps, 5000);
	unbuild(&b);
	free(text);
}

const struct mt_test compile_tests[] = {
	{"clusters_and_subsets", clusters_and_subsets},
	{"default_route", default_route},
	{"protocol_list", protocol_list},
	{"meta_router_wins", meta_router_wins},
	{"unused_routes", unused_routes},
	{"shared_port", shared_port},
	{"workload_entries", workload_entries},
	{"tcp_weights", tcp_weights},
	{"balancers", balancers},
	{"pool_limits", pool_limits},
	{"multiplexing", multiplexing},
	{"gateway", gateway},
	{"envoy_patch", envoy_patch},
	{"refused", refused},
	{"port_naming", port_naming},
	{"large", large},
	{0},
};
