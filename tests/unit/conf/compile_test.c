/* SPDX-License-Identifier: Apache-2.0 */
#include "conf_test.h"
#include "conf_texts.h"

#include <stdio.h>

static void clusters_and_subsets(void)
{
	struct built b = build_text(NULL, SERVICE_A RULE_A);
	const struct mt_cluster *c;

	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.s->n_clusters, 3);
	c = cluster(b.s, "outbound|20880||a.x");
	CU_ASSERT_EQUAL_FATAL(c->n_eps, 2);
	CU_ASSERT_STRING_EQUAL(endpoint(c, 0), "198.51.100.1:20880");
	CU_ASSERT_STRING_EQUAL(endpoint(c, 1), "198.51.100.2:30880");
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
	CU_ASSERT_STRING_EQUAL(l->protos->codec->name, "dubbo");
	CU_ASSERT_PTR_NULL(l->protos->service_key.name);
	CU_ASSERT_EQUAL(l->chains->idle_s, 3600);
	CU_ASSERT_EQUAL(mt_route_count(l->protos->services[0]->routes), 1);
	a = mt_route_at(l->protos->services[0]->routes, 0);
	CU_ASSERT_STRING_EQUAL(a->name, "default");
	CU_ASSERT_STRING_EQUAL(b.s->clusters[a->dests[0].cluster].name, "outbound|20880||a.x");
	CU_ASSERT_TRUE(l->protos->services[0]->early_ok);
	CU_ASSERT_FALSE(l->protos->services[0]->searches);
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
	CU_ASSERT_TRUE(s->searches);
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
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_SHADOWED, LAST_OF_A + 6, "MetaRouter"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, LAST_OF_A + 14,
		"the routes and timeouts of VirtualService default/vs are not in force for a.x"));
	s = service(b.s, "a.x");
	CU_ASSERT_EQUAL_FATAL(mt_route_count(s->routes), 1);
	a = mt_route_at(s->routes, 0);
	CU_ASSERT_STRING_EQUAL(a->name, "mr");
	CU_ASSERT_EQUAL(a->n_rsp_mut, 1);
	CU_ASSERT_EQUAL_FATAL(s->n_filter_insts, 1);
	CU_ASSERT_STRING_EQUAL(s->filter_insts[0].type->name, "local_ratelimit");
	CU_ASSERT_TRUE(s->early_ok);
	CU_ASSERT_FALSE(s->searches);
	unbuild(&b);
}

#define BYTES                                                                                      \
	ISTIO("ServiceEntry", "a")                                                                 \
	"  hosts: [a.x]\n  ports: [{number: 1, name: tcp-x}]\n"                                    \
	"  endpoints: [{address: 198.51.100.1}]\n" ISTIO("VirtualService", "v") "  hosts: [a.x]\n"
#define LIMIT                                                                                      \
	ROUTER("m")                                                                                \
	"  hosts: [a.x]\n  localRateLimit: {tokenBucket: {maxTokens: 1, fillInterval: 1s}}\n"

#define SPLIT                                                                                      \
	"  http: [{name: split, timeout: 2s, route: [{destination: {host: a.x, subset: v1}, "      \
	"weight: 90}, {destination: {host: a.x}, weight: 10}]}]\n"

/* A MetaRouter without routes adds its limits to the VirtualService's routes. */
static void beside_a_limit(void)
{
	static const char *const more[] = {"", "  tcp: [{route: [{destination: {host: a.x}}]}]\n"};
	const struct mt_route_action *a;
	struct built b;

	for (size_t i = 0; i < MT_ARRAY_LEN(more); i++) {
		char text[4096];

		snprintf(text, sizeof(text), "%s%s%s",
			SERVICE_A RULE_A ISTIO("VirtualService", "v") "  hosts: [a.x]\n" SPLIT,
			more[i], LIMIT);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(b.diags.warnings + b.diags.shadowed, 0);
		a = mt_route_at(service(b.s, "a.x")->routes, 0);
		CU_ASSERT_STRING_EQUAL(a->name, "split");
		CU_ASSERT_EQUAL(a->n_dests, 2);
		CU_ASSERT_EQUAL(a->timeout_ms, 2000);
		CU_ASSERT_EQUAL(service(b.s, "a.x")->n_filter_insts, 1);
		unbuild(&b);
	}
	b = build_text(NULL, SERVICE_A RULE_A LIMIT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_STRING_EQUAL(mt_route_at(service(b.s, "a.x")->routes, 0)->name, "default");
	CU_ASSERT_EQUAL(service(b.s, "a.x")->n_filter_insts, 1);
	unbuild(&b);
	b = build_text(NULL, BYTES "  tcp: [{route: [{destination: {host: a.x}, weight: 1}, "
				   "{destination: {host: gone.x}, weight: 3}]}]\n" LIMIT);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_FALSE(has_diag(&b, MT_DIAG_SHADOWED, 14, "MetaRouter"));
	CU_ASSERT_EQUAL(service(b.s, "a.x")->n_tcp_dests, 2);
	CU_ASSERT_EQUAL(service(b.s, "a.x")->tcp_total_weight, 4);
	unbuild(&b);
}

/* Routes of a MetaRouter replace those for messages also where the VirtualService has others. */
static void replaces_a_part(void)
{
	struct built b = build_text(NULL,
		SERVICE_A RULE_A ISTIO("VirtualService",
			"v") "  hosts: [a.x]\n" SPLIT
			     "  tcp: [{route: [{destination: {host: a.x}}]}]\n" ROUTER(
				     "m") "  hosts: [a.x]\n  routes:\n  - name: r\n"
					  "    timeout: 300ms\n"
					  "    route: [{destination: {host: a.x}}]\n");
	const struct mt_route_action *a;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, LAST_OF_A + 15,
		"the routes and timeouts of VirtualService default/v are not in force for a.x"));
	a = mt_route_at(service(b.s, "a.x")->routes, 0);
	CU_ASSERT_STRING_EQUAL(a->name, "r");
	CU_ASSERT_EQUAL(a->timeout_ms, 300);
	unbuild(&b);
}

/* Routes for messages on a port of bytes do nothing, and that is told. */
static void unused_routes(void)
{
	struct built b =
		build_text(NULL, BYTES "  http: [{route: [{destination: {host: a.x}}]}]\n" LIMIT);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_UNUSED, 10, "none of its lists is for a port of a.x"));
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 21, "no port of a.x carries messages"));
	unbuild(&b);
	b = build_text(NULL, BYTES "  http: [{route: [{destination: {host: a.x}}]}]\n");
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.diags.warnings, 0);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_UNUSED, 10, "none of its lists is for a port of a.x"));
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
	CU_ASSERT_EQUAL_FATAL(l->protos->n_services, 2);
	CU_ASSERT_STRING_EQUAL(l->protos->service_key.name, "interface");
	CU_ASSERT_STRING_EQUAL(l->protos->services[0]->key, "a.x");
	CU_ASSERT_STRING_EQUAL(l->protos->services[1]->key, "org.b");
	CU_ASSERT_NOT_EQUAL(l->protos->services[0]->index, l->protos->services[1]->index);
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
	CU_ASSERT_STRING_EQUAL(endpoint(c, 0), "198.51.100.1:7");
	CU_ASSERT_EQUAL(c->eps[0].weight, 3);
	CU_ASSERT_STRING_EQUAL(mt_endpoint_zone(c, &c->eps[0]), "z1");
	s = service(b.s, "a.x");
	CU_ASSERT_PTR_NULL(s->routes);
	CU_ASSERT_STRING_EQUAL(b.s->clusters[s->tcp_cluster].name, "outbound|1||a.x");
	/* No address was written: the first of 240.240/16. */
	CU_ASSERT_PTR_NOT_NULL(listener(b.s, "240.240.0.1", 1));
	CU_ASSERT_TRUE(listener(b.s, "240.240.0.1", 1)->protos->codec->opaque);
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

static bool is_rule(const struct mt_outlier_rule *a, const struct mt_outlier_rule *b)
{
	return a->failures == b->failures && a->base_ms == b->base_ms && a->max_ms == b->max_ms &&
	       a->errors == b->errors && a->most == b->most;
}

/* What a rule says of failures, what a subset takes over, and what is not said. */
static void outliers(void)
{
	static const struct {
		const char *policy, *own;
		struct mt_outlier_rule top, subset;
	} t[] = {
		{"{}", "{}", {0}, {0}},
		{"{outlierDetection: {}}", "{}", {5, 30000, 300000, 5, 0},
			{5, 30000, 300000, 5, 0}},
		{"{outlierDetection: {consecutive5xxErrors: 3, baseEjectionTime: 2s}}",
			"{outlierDetection: {consecutive5xxErrors: 0}}", {3, 2000, 300000, 3, 0},
			{0}},
		{"{outlierDetection: {consecutive5xxErrors: 7, consecutiveGatewayErrors: 2}}",
			"{outlierDetection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 4, "
			"consecutiveLocalOriginFailures: 3, baseEjectionTime: 600s}}",
			{2, 30000, 300000, 7, 0}, {3, 600000, 600000, 0, 0}},
		{"{outlierDetection: {maxEjectionPercent: 50}}",
			"{outlierDetection: {maxEjectionPercent: 100}}", {5, 30000, 300000, 5, 50},
			{5, 30000, 300000, 5, 0}},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		char text[2048];
		struct built b;

		snprintf(text, sizeof(text),
			SERVICE_A ISTIO(
				"DestinationRule", "a") "  host: a.x\n"
							"  trafficPolicy: %s\n"
							"  subsets:\n"
							"  - {name: v1, labels: {version: v1}, "
							"trafficPolicy: %s}\n",
			t[i].policy, t[i].own);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_TRUE(is_rule(&cluster(b.s, "outbound|20880||a.x")->outlier, &t[i].top));
		CU_ASSERT_TRUE(
			is_rule(&cluster(b.s, "outbound|20880|v1|a.x")->outlier, &t[i].subset));
		unbuild(&b);
	}
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
	/* A subset does not take over a hash of metadata. */
	{"{loadBalancer: {consistentHash: {httpHeaderName: User}}}", "{}", MT_LB_MAGLEV,
		MT_LB_RANDOM, MT_LB_HASH_KEY},
	{"{loadBalancer: {consistentHash: {useSourceIp: true}}}", "{}", MT_LB_MAGLEV, MT_LB_MAGLEV,
		MT_LB_HASH_SOURCE},
	{"{loadBalancer: {consistentHash: {useSourceIp: true}}}",
		"{loadBalancer: {consistentHash: {httpHeaderName: User, maglev: {tableSize: 7}}}}",
		MT_LB_MAGLEV, MT_LB_MAGLEV, MT_LB_HASH_SOURCE},
	{"{loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {}}}}",
		"{loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 70}}}",
		MT_LB_RING_HASH, MT_LB_RING_HASH, MT_LB_HASH_SOURCE},
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
		if (own->lb == MT_LB_MAGLEV && own->hash_by == MT_LB_HASH_KEY) {
			CU_ASSERT_EQUAL(own->n_hash_keys, 1);
			CU_ASSERT_STRING_EQUAL(own->hash_keys[0].name, "User");
			CU_ASSERT(own->maglev.size > 0);
		}
		unbuild(&b);
	}
}

#define TABLES_ENTRY(name, address, endpoints)                                                     \
	ISTIO("ServiceEntry", name)                                                                \
	"  hosts: [" name ".x]\n  addresses: [" address "]\n  resolution: STATIC\n"                \
	"  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"                                  \
	"  endpoints: [" endpoints "]\n" ISTIO("DestinationRule",                                  \
		name) "  host: " name ".x\n"                                                       \
		      "  trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}%s}\n"

/*
 * Clusters with the same endpoints share a Maglev table, whatever the order of documents, and a new
 * version of a cluster has the table of the version before.
 */
static void maglev_tables(void)
{
	static const char text[] = TABLES_ENTRY("a", "192.0.2.1",
		"{address: 198.51.100.1}, {address: 198.51.100.9, weight: 2}, "
		"{address: 198.51.100.2}") TABLES_ENTRY("b", "192.0.2.2",
		"{address: 198.51.100.2}, {address: 198.51.100.1}, "
		"{address: 198.51.100.9, weight: 2}");
	static const char *const more[] = {"", ", connectionPool: {tcp: {connectTimeout: 250ms}}"};
	struct mt_conf *c = new_conf();
	const uint16_t *slots = NULL;

	for (size_t i = 0; i < MT_ARRAY_LEN(more); i++) {
		const struct mt_cluster *a, *b;
		char documents[4096];
		struct built built;
		struct mt_err e;

		snprintf(documents, sizeof(documents), text, more[i], more[i]);
		built = build_text(c, documents);
		CU_ASSERT_PTR_NOT_NULL_FATAL(built.s);
		a = cluster(built.s, "outbound|80||a.x");
		b = cluster(built.s, "outbound|80||b.x");
		CU_ASSERT_EQUAL_FATAL(a->n_eps, 3);
		CU_ASSERT_STRING_EQUAL(endpoint(a, 2), "198.51.100.9:80");
		CU_ASSERT_STRING_EQUAL(endpoint(b, 2), "198.51.100.9:80");
		CU_ASSERT_PTR_NOT_NULL(a->maglev.slots);
		CU_ASSERT_PTR_EQUAL(a->maglev.slots, b->maglev.slots);
		CU_ASSERT(!slots || slots == a->maglev.slots);
		CU_ASSERT_EQUAL(a->connect_ms, i ? 250 : 0);
		slots = a->maglev.slots;
		CU_ASSERT_EQUAL(mt_conf_publish(c, built.s, NOW, NULL, &e), 0);
		mt_model_free(built.m);
		mt_diags_fini(&built.diags);
	}
	CU_ASSERT_EQUAL(mt_maglev_usage().tables, 1);
	mt_conf_destroy(c);
	CU_ASSERT_EQUAL(mt_maglev_usage().tables, 0);
}

/* As small as it may be it still has the points of all instances: the written size, or that of the field. */
static void ring_sizes(void)
{
	static const struct {
		const char *policy;
		uint32_t least, most;
	} t[] = {
		{"ringHash: {}", 1024, 1100},
		{"ringHash: {minimumRingSize: 0}", 1024, 1100},
		{"ringHash: {minimumRingSize: 70}", 70, 100},
		{"minimumRingSize: 70", 70, 100},
		{"minimumRingSize: 70, ringHash: {minimumRingSize: 4096}", 4096, 4200},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		char text[2048];
		struct built b;
		uint32_t n;

		snprintf(text, sizeof(text),
			SERVICE_A ISTIO("DestinationRule", "a") "  host: a.x\n"
								"  trafficPolicy: {loadBalancer: "
								"{consistentHash: {useSourceIp: "
								"true, %s}}}\n",
			t[i].policy);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		n = cluster(b.s, "outbound|20880||a.x")->ring.n;
		CU_ASSERT(n >= t[i].least && n <= t[i].most);
		if (n < t[i].least || n > t[i].most)
			printf("\n%s: %u points\n", t[i].policy, n);
		CU_ASSERT_EQUAL(b.diags.n, 0);
		unbuild(&b);
	}
}

static void pool_limits(void)
{
	struct built b = build_text(NULL,
		SERVICE_A ISTIO("DestinationRule", "a") "  host: a.x\n"
							"  trafficPolicy: {connectionPool: {tcp: "
							"{maxConnections: 9, connectTimeout: "
							"250ms}, http: {http2MaxRequests: 7, "
							"http1MaxPendingRequests: 5, maxRetries: "
							"4}}}\n");
	const struct mt_cluster *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	c = cluster(b.s, "outbound|20880||a.x");
	CU_ASSERT_EQUAL(c->max_connections, 9);
	CU_ASSERT_EQUAL(c->connect_ms, 250);
	CU_ASSERT_EQUAL(c->max_outstanding, 7);
	CU_ASSERT_EQUAL(c->max_pending, 5);
	CU_ASSERT_EQUAL(c->retry_budget.bound, MT_RETRY_BOUND_NUMBER);
	CU_ASSERT_EQUAL(c->retry_budget.n, 4);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->budget);
	CU_ASSERT_EQUAL(c->budget->index, c->index);
	unbuild(&b);
}

/* A budget precedes maxRetries; it has Envoy's defaults. Only then calls are counted. */
static void retry_budgets(void)
{
	static const struct {
		const char *policy;
		enum mt_retry_bound bound;
		uint32_t n, share;
	} rows[] = {
		{"outlierDetection: {}", MT_RETRY_UNBOUNDED, 0, 0},
		{"connectionPool: {http: {maxRetries: 0}}", MT_RETRY_BOUND_NUMBER, 0, 0},
		{"connectionPool: {http: {maxRetries: 7}}, retryBudget: {}", MT_RETRY_BOUND_SHARE,
			3, 2000},
		{"retryBudget: {percent: 0.5, minRetryConcurrency: 0}", MT_RETRY_BOUND_SHARE, 0,
			50},
	};
	char text[2048];

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct mt_cluster *c;
		struct built b;

		snprintf(text, sizeof(text),
			SERVICE_A ISTIO(
				"DestinationRule", "a") "  host: a.x\n  trafficPolicy: {%s}\n",
			rows[i].policy);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(b.diags.n, 0);
		c = cluster(b.s, "outbound|20880||a.x");
		CU_ASSERT_EQUAL(c->retry_budget.bound, rows[i].bound);
		CU_ASSERT_EQUAL(c->retry_budget.n, rows[i].n);
		CU_ASSERT_EQUAL(c->retry_budget.share, rows[i].share);
		CU_ASSERT_EQUAL(c->budget != NULL, rows[i].bound != MT_RETRY_UNBOUNDED);
		CU_ASSERT_EQUAL(
			c->budget && c->budget->calls, rows[i].bound == MT_RETRY_BOUND_SHARE);
		unbuild(&b);
	}
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
	CU_ASSERT_STRING_EQUAL(listener(b.s, "192.0.2.1", 1)->protos->codec->name, "thrift");
	CU_ASSERT_EQUAL(
		listener(b.s, "192.0.2.1", 1)->protos->codec_opts, MT_CODEC_OPT_MULTIPLEXING);
	CU_ASSERT_TRUE(cluster(b.s, "outbound|1||a.x")->multiplexing);
	unbuild(&b);
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
	{"beside_a_limit", beside_a_limit},
	{"replaces_a_part", replaces_a_part},
	{"shared_port", shared_port},
	{"workload_entries", workload_entries},
	{"tcp_weights", tcp_weights},
	{"balancers", balancers},
	{"outlier detection of a rule and its subsets", outliers},
	{"ring_sizes", ring_sizes},
	{"maglev_tables", maglev_tables},
	{"pool_limits", pool_limits},
	{"retry_budgets", retry_budgets},
	{"multiplexing", multiplexing},
	{"large", large},
	{0},
};
