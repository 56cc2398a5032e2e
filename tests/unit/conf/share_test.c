/* SPDX-License-Identifier: Apache-2.0 */
/* What two snapshots have in common is made once, and only while it would come out the same. */
#include "conf_test.h"
#include "mt_conf_hash_priv.h"
#include "mt_strmap.h"

#include <stdio.h>

#define SE(name, addr)                                                                             \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name      \
	"}\nspec:\n  hosts: [" name ".x]\n  addresses: [" addr "]\n  resolution: STATIC\n"         \
	"  ports: [{number: 1, name: tcp-metaprotocol-dubbo}]\n"
#define INSTANCES(a) "  endpoints: [{address: " a "}]\n"
#define VS(name, route)                                                                            \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " name    \
	"}\nspec:\n  hosts: [" name ".x]\n  dubbo:\n  - name: " route                              \
	"\n    match: [{headers: {method: {exact: m}}}]\n"                                         \
	"    route: [{destination: {host: " name ".x}}]\n"

/*
 * Names whose unkeyed hashes (mt_strhash()) are equal: of services in the first two hosts, of
 * clusters in the other two. Neither takes the other one's calls in a new snapshot.
 */
static void forged_names(void)
{
	struct built b = build_text(NULL,
		SE("kdmngbiilidhmdhi", "240.0.0.1") INSTANCES("198.51.100.1")
			SE("blfhojeickahiabf", "240.0.0.2") INSTANCES("198.51.100.2")
				SE("aiadjhbobblkcaip", "240.0.0.3") INSTANCES("198.51.100.3") SE(
					"plhnpnlnfbknniff", "240.0.0.4") INSTANCES("198.51.100.4"));

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(
		mt_strhash("kdmngbiilidhmdhi.x:1", 0), mt_strhash("blfhojeickahiabf.x:1", 0));
	CU_ASSERT_NOT_EQUAL(
		service(b.s, "kdmngbiilidhmdhi.x")->id, service(b.s, "blfhojeickahiabf.x")->id);
	CU_ASSERT_EQUAL(mt_strhash("outbound|1||aiadjhbobblkcaip.x", 0),
		mt_strhash("outbound|1||plhnpnlnfbknniff.x", 0));
	CU_ASSERT_NOT_EQUAL(cluster(b.s, "outbound|1||aiadjhbobblkcaip.x")->id,
		cluster(b.s, "outbound|1||plhnpnlnfbknniff.x")->id);
	unbuild(&b);
}

/* Hashes that decide what is unchanged have the process's secret key. */
static void secret_hashes(void)
{
	uint64_t number[2], text[2];

	for (uint8_t i = 0; i < 2; i++) {
		mt_secret_hash_set_key((const uint8_t[16]){i});
		number[i] = mt_hash_u64(1, 2);
		text[i] = mt_hash_text("a", 2);
	}
	CU_ASSERT_NOT_EQUAL(number[0], number[1]);
	CU_ASSERT_NOT_EQUAL(text[0], text[1]);
}

/* A file as the cache of lib/source keeps it. */
static struct mt_model *part(const char *text)
{
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;

	mt_diags_init(&diags);
	CU_ASSERT_EQUAL(mt_source_text(m, &diags, "t", text, strlen(text)), 0);
	CU_ASSERT_EQUAL(diags.n, 0);
	mt_diags_fini(&diags);
	return m;
}

/* Of the last one that was published. */
static uint32_t warnings;
/* Where the node is; NULL: in none. */
static const char *node_ns;

/* What names lead to: "one.x" to one address, "two.x" to two, "here.x" to a service of this node; nobody knows others. */
static void find_name(void *arg, const char *name, struct mt_name_state *out)
{
	static struct mt_addr v[2];

	(void)arg;
	*out = (struct mt_name_state){
		.addrs = v, .n = strcmp(name, "two.x") == 0 ? 2 : 1, .answered = true, .why = ""};
	mt_addr_parse(strcmp(name, "here.x") == 0 ? "192.0.2.1" : "198.51.100.7", &v[0]);
	mt_addr_parse("198.51.100.8", &v[1]);
	if (strcmp(name, "one.x") == 0 || strcmp(name, "two.x") == 0 || strcmp(name, "here.x") == 0)
		return;
	out->n = 0;
	out->why = "not found";
}

/* Publishes a configuration of these files; NULL: refused. */
static const struct mt_snapshot *publish(struct mt_conf *c, struct mt_model *const *parts, size_t n)
{
	struct mt_model *m = mt_model_new();
	struct mt_snapshot *s;
	struct mt_diags diags;
	struct mt_err err;

	mt_diags_init(&diags);
	m->names.find = find_name;
	for (size_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(mt_model_share(m, parts[i]), 0);
	m->mesh.ns = node_ns;
	s = mt_conf_compile(c, m, &diags, NOW);
	if (s)
		CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), 0);
	warnings = diags.warnings;
	mt_diags_fini(&diags);
	mt_model_free(m);
	return s;
}

#define PUBLISH(c, ...)                                                                            \
	publish(c, (struct mt_model *const[]){__VA_ARGS__},                                        \
		sizeof((struct mt_model *const[]){__VA_ARGS__}) / sizeof(struct mt_model *))

static const struct mt_route_table *routes(const struct mt_snapshot *s, const char *name)
{
	return service(s, name)->routes;
}

/* The first destination of its first route. */
static const char *leads_to(const struct mt_snapshot *s, const char *name)
{
	uint32_t at;

	if (!s)
		return "(refused)";
	at = mt_route_at(routes(s, name), 0)->dests[0].cluster;
	return at < s->n_clusters ? s->clusters[at].name : "(nowhere)";
}

static void unchanged_routes_are_shared(void)
{
	struct mt_conf *c = new_conf();
	struct mt_model *a = part(SE("a", "192.0.2.1") INSTANCES("192.0.2.11") VS("a", "r"));
	struct mt_model *b = part(SE("b", "192.0.2.2") INSTANCES("192.0.2.12") VS("b", "r"));
	struct mt_model *b2 = part(SE("b", "192.0.2.2") INSTANCES("192.0.2.13") VS("b", "new"));
	const struct mt_route_table *of_a, *of_b;
	const struct mt_snapshot *s = PUBLISH(c, a, b);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	of_a = routes(s, "a.x");
	of_b = routes(s, "b.x");
	s = PUBLISH(c, a, b2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_PTR_EQUAL(routes(s, "a.x"), of_a);
	CU_ASSERT_PTR_NOT_EQUAL(routes(s, "b.x"), of_b);
	CU_ASSERT_STRING_EQUAL(mt_route_at(routes(s, "b.x"), 0)->name, "new");
	CU_ASSERT_STRING_EQUAL(endpoint(cluster(s, "outbound|1||b.x"), 0), "192.0.2.13:1");
	/* The one that made the table goes, the table stays. */
	mt_conf_reap(c, NOW);
	CU_ASSERT_STRING_EQUAL(mt_route_at(routes(s, "a.x"), 0)->name, "r");
	mt_conf_destroy(c);
	mt_model_free(a);
	mt_model_free(b);
	mt_model_free(b2);
}

/* A service before it, in the order of the documents: clusters keep their places, and routes what they say. */
/* A route that is for clients of one namespace, by a node that moves between namespaces. */
static void clients_that_change(void)
{
	struct mt_conf *c = new_conf();
	struct mt_model *m = part(SE("a", "192.0.2.1") INSTANCES("192.0.2.11") SE("b", "192.0.2.2")
			INSTANCES("192.0.2.12") "---\napiVersion: networking.istio.io/v1\n"
						"kind: VirtualService\nmetadata: {name: v}\nspec:\n"
						"  hosts: [a.x]\n  dubbo:\n"
						"  - match: [{sourceNamespace: shop}]\n"
						"    route: [{destination: {host: b.x}}]\n"
						"  - route: [{destination: {host: a.x}}]\n");
	static const struct {
		const char *ns, *leads;
	} turns[] = {{"edge", "outbound|1||a.x"}, {"shop", "outbound|1||b.x"},
		{"shop", "outbound|1||b.x"}, {"edge", "outbound|1||a.x"},
		{NULL, "outbound|1||a.x"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(turns); i++) {
		node_ns = turns[i].ns;
		CU_ASSERT_STRING_EQUAL(leads_to(PUBLISH(c, m), "a.x"), turns[i].leads);
	}
	node_ns = NULL;
	mt_model_free(m);
	mt_conf_destroy(c);
}

static void services_that_come_and_go(void)
{
	struct mt_conf *c = new_conf();
	struct mt_model *a = part(SE("a", "192.0.2.1") INSTANCES("192.0.2.11") VS("a", "r"));
	struct mt_model *b = part(SE("b", "192.0.2.2") INSTANCES("192.0.2.12") VS("b", "r"));
	struct mt_model *d = part(SE("d", "192.0.2.3") INSTANCES("192.0.2.13") VS("d", "r"));
	const struct mt_route_table *of_b, *of_d;
	const struct mt_snapshot *s = PUBLISH(c, b, d);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	of_b = routes(s, "b.x");
	of_d = routes(s, "d.x");
	s = PUBLISH(c, a, b, d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(routes(s, "b.x") == of_b && routes(s, "d.x") == of_d);
	CU_ASSERT_STRING_EQUAL(leads_to(s, "a.x"), "outbound|1||a.x");
	CU_ASSERT_STRING_EQUAL(leads_to(s, "d.x"), "outbound|1||d.x");
	s = PUBLISH(c, a, b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_PTR_EQUAL(routes(s, "b.x"), of_b);
	CU_ASSERT_STRING_EQUAL(leads_to(s, "a.x"), "outbound|1||a.x");
	CU_ASSERT_STRING_EQUAL(leads_to(s, "b.x"), "outbound|1||b.x");
	mt_conf_destroy(c);
	mt_model_free(a);
	mt_model_free(b);
	mt_model_free(d);
}

/* A host's name that is another one's from now on: the route that was written goes there. */
static void names_that_lead_elsewhere(void)
{
	static const char alias[] =
		"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
		"metadata: {name: both}\nspec:\n  hosts: [c.x, b.x]\n"
		"  addresses: [192.0.2.3]\n  resolution: STATIC\n"
		"  ports: [{number: 1, name: tcp-metaprotocol-dubbo}]\n" INSTANCES("192.0.2.13");
	struct mt_conf *c = new_conf();
	struct mt_model *a = part(SE("a", "192.0.2.1") INSTANCES("192.0.2.11"));
	struct mt_model *b = part(SE("b", "192.0.2.2") INSTANCES("192.0.2.12"));
	struct mt_model *other = part(alias);
	struct mt_model *vs = part(
		"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: v}\n"
		"spec: {hosts: [a.x], dubbo: [{route: [{destination: {host: b.x}}]}]}\n");

	CU_ASSERT_STRING_EQUAL(leads_to(PUBLISH(c, a, vs, b), "a.x"), "outbound|1||b.x");
	CU_ASSERT_STRING_EQUAL(leads_to(PUBLISH(c, a, vs, other), "a.x"), "outbound|1||c.x");
	CU_ASSERT_STRING_EQUAL(leads_to(PUBLISH(c, a, vs), "a.x"), "(nowhere)");
	CU_ASSERT_STRING_EQUAL(leads_to(PUBLISH(c, a, vs, b), "a.x"), "outbound|1||b.x");
	mt_conf_destroy(c);
	mt_model_free(a);
	mt_model_free(b);
	mt_model_free(other);
	mt_model_free(vs);
}

/* Routes of before lead to the clusters that they named, wherever those are now. */
static void places_that_move(void)
{
	struct mt_conf *c = new_conf();
	struct mt_model *a = part(SE("a", "192.0.2.1") INSTANCES("192.0.2.11"));
	struct mt_model *b = part(SE("b", "192.0.2.2") INSTANCES("192.0.2.12") VS("b", "r"));
	const struct mt_route_action *action;
	const struct mt_snapshot *s = PUBLISH(c, b);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s = PUBLISH(c, a, b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	action = mt_route_at(routes(s, "b.x"), 0);
	CU_ASSERT_STRING_EQUAL(s->clusters[action->dests[0].cluster].name, "outbound|1||b.x");
	mt_conf_destroy(c);
	mt_model_free(a);
	mt_model_free(b);
}

static uint32_t first_of(const struct mt_snapshot *s)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return mt_route_at(routes(s, "a.x"), 1)->dests[0].cluster;
}

/* A document that was found good is looked at again when what it names has gone. */
static void names_that_go(void)
{
	struct mt_conf *c = new_conf();
	struct mt_model *a = part(SE("a", "192.0.2.1") INSTANCES("192.0.2.11"));
	struct mt_model *b = part(SE("b", "192.0.2.2") INSTANCES("192.0.2.12"));
	struct mt_model *vs = part(VS("a", "r") "  - route: [{destination: {host: b.x}}]\n");

	CU_ASSERT_PTR_NOT_NULL(PUBLISH(c, a, b, vs));
	CU_ASSERT_PTR_NOT_NULL(PUBLISH(c, a, b, vs));
	CU_ASSERT_EQUAL(warnings, 0);
	/* Each load tells of it, not only the first. */
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(first_of(PUBLISH(c, a, vs)), MT_ROUTE_NO_CLUSTER);
		CU_ASSERT_EQUAL(warnings, 1);
	}
	CU_ASSERT_NOT_EQUAL(first_of(PUBLISH(c, a, b, vs)), MT_ROUTE_NO_CLUSTER);
	mt_conf_destroy(c);
	mt_model_free(a);
	mt_model_free(b);
	mt_model_free(vs);
}

/* A codec that an ApplicationProtocol changes makes all of it anew. */
static void protocols_that_change(void)
{
	static const char mux[] =
		"apiVersion: metaprotocol.aeraki.io/v1alpha1\n"
		"kind: ApplicationProtocol\nmetadata: {name: dubbo}\n"
		"spec: {protocol: dubbo, codec: aeraki.meta_protocol.codec.thrift}\n";
	struct mt_conf *c = new_conf();
	struct mt_model *a = part(SE("a", "192.0.2.1") INSTANCES("192.0.2.11") VS("a", "r"));
	struct mt_model *p = part(mux);
	const struct mt_snapshot *s = PUBLISH(c, a);
	const struct mt_route_table *before;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	before = routes(s, "a.x");
	s = PUBLISH(c, a, p);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(listener(s, "192.0.2.1", 1)->protos->codec->name, "thrift");
	CU_ASSERT_PTR_NOT_EQUAL(routes(s, "a.x"), before);
	mt_conf_destroy(c);
	mt_model_free(a);
	mt_model_free(p);
}

/* Clusters that this build made, and took over from the one before. */
struct work {
	uint64_t made, shared;
};

static struct work work_since(const struct mt_conf *c, struct mt_conf_work *last)
{
	struct mt_conf_work now = mt_conf_work(c);
	struct work w = {now.clusters_made - last->clusters_made,
		now.clusters_shared - last->clusters_shared};

	*last = now;
	return w;
}

static void unchanged_clusters_are_shared(void)
{
	struct mt_conf *c = new_conf();
	struct mt_model *a = part(SE("a", "192.0.2.1") INSTANCES("192.0.2.11"));
	struct mt_model *b = part(SE("b", "192.0.2.2") INSTANCES("192.0.2.12"));
	struct mt_model *b2 = part(SE("b", "192.0.2.2") INSTANCES("192.0.2.13"));
	struct mt_conf_work last = {0};
	const struct mt_endpoint *of_a;
	const struct mt_snapshot *s = PUBLISH(c, a, b);
	struct work w = work_since(c, &last);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(w.made == 2 && w.shared == 0);
	of_a = cluster(s, "outbound|1||a.x")->eps;
	s = PUBLISH(c, a, b2);
	w = work_since(c, &last);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(w.made == 1 && w.shared == 1);
	CU_ASSERT_PTR_EQUAL(cluster(s, "outbound|1||a.x")->eps, of_a);
	CU_ASSERT_STRING_EQUAL(endpoint(cluster(s, "outbound|1||b.x"), 0), "192.0.2.13:1");
	/* The one that made it goes, the cluster stays. */
	mt_conf_reap(c, NOW);
	CU_ASSERT_STRING_EQUAL(endpoint(cluster(s, "outbound|1||a.x"), 0), "192.0.2.11:1");
	/* Elsewhere in the list it is the same one still. */
	s = PUBLISH(c, b2, a);
	w = work_since(c, &last);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT(w.made == 0 && w.shared == 2);
	mt_conf_destroy(c);
	mt_model_free(a);
	mt_model_free(b);
	mt_model_free(b2);
}

#define DR(policy)                                                                                 \
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n"    \
	"spec: {host: a.x, trafficPolicy: {" policy "}}\n"
#define ONE SE("a", "192.0.2.1") "  location: MESH_INTERNAL\n"
#define AT  INSTANCES("192.0.2.11")
/* The first is farther than the second from a node that is nowhere. */
#define TWO                                                                                        \
	"  endpoints: [{address: 192.0.2.11, locality: x}, {address: 192.0.2.12, locality: y}, "   \
	"{address: 192.0.2.13}]\n"

/* Each of them differs from the one before in one thing that a cluster says. */
static const char *const differ[] = {
	ONE AT,
	ONE "  endpoints: [{address: 192.0.2.11, weight: 2}]\n",
	ONE "  endpoints: [{address: 192.0.2.11, weight: 2, locality: r/z}]\n",
	ONE "  endpoints: [{address: 192.0.2.11, weight: 2, locality: r/y}]\n",
	ONE "  endpoints: [{address: 192.0.2.11}, {address: 192.0.2.12}]\n",
	ONE "  endpoints: [{address: 192.0.2.12}, {address: 192.0.2.11}]\n",
	ONE AT,
	ONE AT DR("loadBalancer: {simple: ROUND_ROBIN}"),
	ONE AT DR("loadBalancer: {simple: RANDOM}"),
	ONE AT DR("loadBalancer: {consistentHash: {useSourceIp: true}}"),
	ONE AT DR("loadBalancer: {consistentHash: {httpHeaderName: x}}"),
	ONE AT DR("loadBalancer: {consistentHash: {httpHeaderName: y}}"),
	ONE AT DR("connectionPool: {tcp: {connectTimeout: 1s}}"),
	ONE AT DR("connectionPool: {tcp: {connectTimeout: 2s}}"),
	ONE AT DR("connectionPool: {tcp: {maxConnections: 2}}"),
	ONE AT DR("connectionPool: {http: {http1MaxPendingRequests: 2}}"),
	ONE AT DR("outlierDetection: {consecutive5xxErrors: 7}"),
	ONE AT DR("outlierDetection: {consecutive5xxErrors: 8}"),
	ONE AT DR("outlierDetection: {consecutiveGatewayErrors: 9, consecutive5xxErrors: 8}"),
	ONE AT DR("outlierDetection: {consecutiveGatewayErrors: 9, baseEjectionTime: 9s}"),
	ONE AT DR("outlierDetection: {consecutiveGatewayErrors: 9, baseEjectionTime: 8s}"),
	ONE AT DR("loadBalancer: {consistentHash: {useSourceIp: true}}"),
	ONE AT DR("loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {}}}"),
	ONE AT DR("loadBalancer: {consistentHash: {useSourceIp: true, minimumRingSize: 99}}"),
	ONE TWO DR("outlierDetection: {consecutive5xxErrors: 0}, loadBalancer: "
		   "{localityLbSetting: {enabled: false}}"),
	ONE TWO DR("outlierDetection: {consecutive5xxErrors: 0}"),
	ONE TWO DR("outlierDetection: {consecutive5xxErrors: 0}, loadBalancer: "
		   "{localityLbSetting: {failover: [{from: r, to: s}]}}"),
	ONE AT DR("connectionPool: {http: {maxRetries: 4}}"),
	ONE AT DR("connectionPool: {http: {maxRetries: 5}}"),
	ONE AT DR("retryBudget: {}"),
	ONE AT DR("retryBudget: {percent: 21}"),
	ONE TWO DR("loadBalancer: {localityLbSetting: {distribute: [{from: '*', to: {x: 80, y: "
		   "20}}]}}"),
	ONE TWO DR("loadBalancer: {localityLbSetting: {distribute: [{from: '*', to: {x: 81, y: "
		   "19}}]}}"),
};

static bool alike(const struct mt_cluster *a, const struct mt_cluster *b)
{
	bool same = a->lb == b->lb && a->hash_by == b->hash_by &&
		    a->n_hash_keys == b->n_hash_keys && a->connect_ms == b->connect_ms &&
		    a->max_connections == b->max_connections && a->max_pending == b->max_pending &&
		    a->max_outstanding == b->max_outstanding && a->n_eps == b->n_eps &&
		    a->ring_min == b->ring_min && a->n_levels == b->n_levels &&
		    memcmp(&a->outlier, &b->outlier, sizeof(a->outlier)) == 0 &&
		    !a->budget == !b->budget && a->retry_budget.n == b->retry_budget.n &&
		    a->retry_budget.share == b->retry_budget.share;

	for (uint32_t i = 0; same && i < a->n_hash_keys; i++)
		same = strcmp(a->hash_keys[i].name, b->hash_keys[i].name) == 0;
	for (uint32_t i = 0; same && i < a->n_eps; i++) {
		const char *x = mt_endpoint_zone(a, &a->eps[i]),
			   *y = mt_endpoint_zone(b, &b->eps[i]);

		same = mt_addr_eq(&a->eps[i].addr, &b->eps[i].addr) &&
		       a->eps[i].weight == b->eps[i].weight &&
		       (x == y || (x && y && strcmp(x, y) == 0));
	}
	return same;
}

/* What a reload makes of a document is what a start makes of it. */
static void clusters_that_change(void)
{
	static const char name[] = "outbound|1||a.x";
	struct mt_conf *c = new_conf();
	struct mt_conf_work last = {0};

	for (size_t i = 0; i < MT_ARRAY_LEN(differ); i++) {
		struct mt_conf *fresh = new_conf();
		struct mt_model *m = part(differ[i]);
		const struct mt_snapshot *s = PUBLISH(c, m), *t = PUBLISH(fresh, m);
		struct work w = work_since(c, &last);

		CU_ASSERT_FATAL(s != NULL && t != NULL);
		CU_ASSERT(alike(cluster(s, name), cluster(t, name)));
		CU_ASSERT(w.made == 1 && w.shared == 0);
		if (w.made != 1)
			printf("\nnot made anew: %s\n", differ[i]);
		s = PUBLISH(c, m);
		w = work_since(c, &last);
		CU_ASSERT(s && w.made == 0 && w.shared == 1);
		mt_conf_destroy(fresh);
		mt_model_free(m);
	}
	mt_conf_destroy(c);
}

/* Policies are a build's own, and so are the clusters whose instances they guard. */
static void policies_that_come_and_go(void)
{
	static const char policy[] =
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\n"
		"spec: {action: DENY, rules: [{to: [{operation: {methods: [bad]}}]}]}\n";
	static const char all[] =
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: q}\n"
		"spec: {}\n";
	static const char name[] = "outbound|1||a.x";
	struct mt_conf *c = new_conf();
	struct mt_model *a = part(ONE AT), *p = part(policy), *q = part(all);
	const struct mt_cluster *cl = cluster(PUBLISH(c, a), name);

	CU_ASSERT(!cl->guards && !cl->closed_by && cl->n_eps == 1);
	for (int i = 0; i < 2; i++) {
		cl = cluster(PUBLISH(c, a, p), name);
		CU_ASSERT_FATAL(cl->guards != NULL);
		CU_ASSERT(cl->guards[0] && cl->eps[0].guarded && cl->guards_read);
		mt_conf_reap(c, NOW);
	}
	cl = cluster(PUBLISH(c, a), name);
	CU_ASSERT(!cl->guards && !cl->eps[0].guarded && !cl->guards_read);
	cl = cluster(PUBLISH(c, a, q), name);
	CU_ASSERT(cl->guards || cl->closed_by);
	cl = cluster(PUBLISH(c, a), name);
	CU_ASSERT(!cl->guards && !cl->closed_by && cl->n_eps == 1);
	mt_conf_destroy(c);
	mt_model_free(a);
	mt_model_free(p);
	mt_model_free(q);
}

#define NAMED(name, addr, how, more)                                                               \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name      \
	"}\nspec:\n  hosts: [" name ".x]\n  addresses: [" addr "]\n  location: MESH_INTERNAL\n"    \
	"  resolution: " how "\n  ports: [{number: 1, name: tcp-metaprotocol-dubbo}]\n" more

/* Instances by name are those that the name leads to, and policies guard each of them. */
static void names_of_instances(void)
{
	static const char policy[] =
		"apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\n"
		"spec: {selector: {matchLabels: {app: guarded}}, action: DENY, rules: [{to: "
		"[{operation: {methods: [bad]}}]}]}\n";
	struct mt_conf *c = new_conf();
	struct mt_model *m = part(NAMED("one", "192.0.2.1", "DNS", "") NAMED("many", "192.0.2.2",
		"DNS", "  endpoints: [{address: two.x, labels: {app: guarded}}]\n") NAMED("first",
		"192.0.2.3", "DNS_ROUND_ROBIN", "  endpoints: [{address: two.x}]\n")
			NAMED("loop", "192.0.2.4", "DNS", "  endpoints: [{address: here.x}]\n")
				NAMED("lost", "192.0.2.5", "DNS", ""));
	struct mt_model *p = part(policy);
	const struct mt_snapshot *s = PUBLISH(c, m, p);
	const struct mt_cluster *many;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(endpoint(cluster(s, "outbound|1||one.x"), 0), "198.51.100.7:1");
	CU_ASSERT_EQUAL(cluster(s, "outbound|1||first.x")->n_eps, 1);
	CU_ASSERT_EQUAL(cluster(s, "outbound|1||loop.x")->n_eps, 0);
	CU_ASSERT_EQUAL(cluster(s, "outbound|1||lost.x")->n_eps, 0);
	many = cluster(s, "outbound|1||many.x");
	CU_ASSERT_EQUAL_FATAL(many->n_eps, 2);
	CU_ASSERT(many->eps[0].guarded && many->eps[1].guarded);
	mt_conf_destroy(c);
	mt_model_free(m);
	mt_model_free(p);
}

const struct mt_test share_tests[] = {
	{"forged_names", forged_names},
	{"secret_hashes", secret_hashes},
	{"names_of_instances", names_of_instances},
	{"unchanged_clusters_are_shared", unchanged_clusters_are_shared},
	{"clusters_that_change", clusters_that_change},
	{"policies_that_come_and_go", policies_that_come_and_go},
	{"unchanged_routes_are_shared", unchanged_routes_are_shared},
	{"places_that_move", places_that_move},
	{"services_that_come_and_go", services_that_come_and_go},
	{"names_that_lead_elsewhere", names_that_lead_elsewhere},
	{"names_that_go", names_that_go},
	{"clients_that_change", clients_that_change},
	{"protocols_that_change", protocols_that_change},
	{0},
};
