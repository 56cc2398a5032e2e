/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints that documents drain: they stay, with the reason, and get nothing new. */
#include "conf_test.h"

#include "mt_l4.h"
#include "mt_overrides.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define ENTRY(annotations, port, second)                                                           \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: a, namespace: x, annotations: {" annotations "}}\nspec:\n"               \
	"  hosts: [a.x]\n  addresses: [192.0.2.1]\n  location: MESH_INTERNAL\n"                    \
	"  resolution: STATIC\n  ports: [" port "]\n  endpoints:\n"                                \
	"  - {address: 198.51.100.1, labels: {app: a}}\n"                                          \
	"  - {address: 198.51.100.2, labels: {app: a" second "}}\n"
#define TCP	"{number: 80, name: tcp-a}"
#define UDP	"{number: 80, name: udp-a}"
#define NAT	"meltemi.io/forwarding: nat"
#define DRAINED ", meltemi.io/drain: 'true'"
#define CLUSTER "outbound|80||a.x"

static struct mt_conf *conf;

/* Publishes the documents, with overrides. */
static const struct mt_snapshot *publish(const char *text, const char *override)
{
	struct mt_overrides s = {0};
	struct mt_conf_change change;
	struct built b;
	struct mt_err e;

	if (override) {
		struct mt_override o;
		uint32_t id;

		CU_ASSERT_EQUAL_FATAL(mt_override_parse_line(&o, override, &e), 0);
		CU_ASSERT_EQUAL_FATAL(mt_overrides_set(&s, &o, &id), 0);
	}
	CU_ASSERT_EQUAL(mt_conf_set_overrides(conf, &s), 0);
	mt_overrides_fini(&s);
	b = build_text(conf, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(mt_conf_publish(conf, b.s, NOW, &change, &e), 0);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	return mt_conf_current(conf);
}

/* Why the second endpoint drains; the first one never does. */
static uint8_t second(const struct mt_snapshot *s)
{
	const struct mt_cluster *c = cluster(s, CLUSTER);

	CU_ASSERT_EQUAL_FATAL(c->n_eps, 2);
	CU_ASSERT_EQUAL(c->eps[0].state->draining, MT_EP_DRAIN_NONE);
	CU_ASSERT_STRING_EQUAL(endpoint(c, 1), "198.51.100.2:80");
	return c->eps[1].state->draining;
}

static void by_label(void)
{
	static const char drain[] = "drain 198.51.100.2:80";

	conf = new_conf();
	CU_ASSERT_EQUAL(second(publish(ENTRY("", TCP, ""), NULL)), MT_EP_DRAIN_NONE);
	CU_ASSERT_EQUAL(second(publish(ENTRY("", TCP, DRAINED), NULL)), MT_EP_DRAIN_LABEL);
	/* The operator's drain and its end leave that of the document. */
	CU_ASSERT_EQUAL(second(publish(ENTRY("", TCP, DRAINED), drain)), MT_EP_DRAIN_OPERATOR);
	CU_ASSERT_EQUAL(second(publish(ENTRY("", TCP, DRAINED), NULL)), MT_EP_DRAIN_LABEL);
	CU_ASSERT_EQUAL(second(publish(ENTRY("", TCP, ""), drain)), MT_EP_DRAIN_OPERATOR);
	CU_ASSERT_EQUAL(second(publish(ENTRY("", TCP, ""), NULL)), MT_EP_DRAIN_NONE);
	CU_ASSERT_EQUAL(second(publish(ENTRY("", TCP, ", meltemi.io/drain: 'false'"), NULL)),
		MT_EP_DRAIN_NONE);
	mt_conf_destroy(conf);
}

/* Flows by endpoint among 1,000, as the forwarded service chooses. */
static uint32_t chosen(const struct mt_snapshot *s)
{
	struct mt_addr vip, to;
	const struct mt_l4_row *r;
	uint32_t n = 0;

	CU_ASSERT_EQUAL(mt_addr_parse("192.0.2.1", &vip), 0);
	CU_ASSERT_EQUAL(mt_addr_parse("198.51.100.2", &to), 0);
	r = mt_l4_row(s->l4, &vip, 80, IPPROTO_UDP);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	/* All endpoints are there, because flows of those that drain go on. */
	CU_ASSERT_EQUAL(r->group->n_endpoints, 2);
	for (uint64_t i = 0; i < 1000; i++)
		n += mt_addr_eq(&r->group->endpoints[mt_l4_choose(r->group, i * 7919)].addr, &to);
	return n;
}

static void of_forwarded_ports(void)
{
	conf = new_conf();
	CU_ASSERT(chosen(publish(ENTRY(NAT, UDP, ""), NULL)) > 300);
	CU_ASSERT_EQUAL(chosen(publish(ENTRY(NAT, UDP, DRAINED), NULL)), 0);
	CU_ASSERT(chosen(publish(ENTRY(NAT, UDP, ""), NULL)) > 300);
	CU_ASSERT_EQUAL(chosen(publish(ENTRY(NAT, UDP, ""), "drain 198.51.100.2:80")), 0);
	CU_ASSERT(chosen(publish(ENTRY(NAT, UDP, ""), NULL)) > 300);
	mt_conf_destroy(conf);
}

/* ---- endpoints without a route ----------------------------------------------------------- */

#define NODE(addresses, routes)                                                                    \
	"---\napiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n  ports: "        \
	"[{name: p0, device: net_null0, addresses: [" addresses "]}]\n  routes: [" routes "]\n"
#define ONLY4 NODE("203.0.113.9/24", "{to: 0.0.0.0/0, via: 203.0.113.1}")
#define BOTH                                                                                       \
	NODE("203.0.113.9/24, 2001:db8:f::9/64",                                                   \
		"{to: 0.0.0.0/0, via: 203.0.113.1}, {to: '::/0', via: '2001:db8:f::1'}")
#define NEAR4 NODE("203.0.113.9/24", "{to: 198.51.100.0/24, via: 203.0.113.1}")
#define PAIR(annotations, port, first, second)                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: a, namespace: x, annotations: {" annotations "}}\nspec:\n"               \
	"  hosts: [a.x]\n  addresses: [192.0.2.1, '2001:db8::1']\n  location: MESH_INTERNAL\n"     \
	"  resolution: STATIC\n  ports: [" port "]\n  endpoints:\n"                                \
	"  - {address: '" first "'}\n  - {address: '" second "'}\n"
#define RULE(policy)                                                                               \
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"                         \
	"metadata: {name: a, namespace: x}\nspec: {host: a.x, trafficPolicy: {" policy "}}\n"
#define BY(lb) RULE("loadBalancer: {" lb "}")
#define FOUR   "198.51.100.7"
#define FAR4   "192.0.2.77"
#define SIX    "2001:db8::7"
#define MIXED  PAIR("", TCP, FOUR, SIX)

/* Picks of the cluster's endpoint i among 1,000. */
static uint32_t picks_of(const struct mt_cluster *c, int i)
{
	struct mt_lb_worker w = {0};
	uint32_t n = 0;

	for (uint64_t k = 0; k < 1000; k++)
		n += mt_cluster_pick(c, &w, NULL, k * 0x9e3779b97f4a7c15u, NOW, 0) == i;
	return n;
}

/* True if all calls go to endpoint `at`, and a call that has tried it finds no other. */
static bool takes_all(const struct mt_cluster *c, int at)
{
	struct mt_lb_worker w = {0};

	return picks_of(c, at) == 1000 && mt_cluster_pick(c, &w, NULL, 1, NOW, 1ull << at) == -1;
}

static void without_route(void)
{
	static const char *const mixed[] = {MIXED ONLY4, MIXED ONLY4 BY("simple: ROUND_ROBIN"),
		MIXED ONLY4 BY("simple: RANDOM"), MIXED ONLY4 BY("simple: LEAST_REQUEST"),
		MIXED ONLY4 BY("consistentHash: {useSourceIp: true, maglev: {tableSize: 251}}"),
		MIXED ONLY4 BY("consistentHash: {useSourceIp: true, ringHash: {}}"),
		MIXED ONLY4 BY("simple: ROUND_ROBIN, warmup: {duration: 60s}"),
		MIXED ONLY4 RULE("outlierDetection: {minHealthPercent: 90}"),
		PAIR("", TCP, FOUR, FAR4) NEAR4};

	for (size_t i = 0; i < MT_ARRAY_LEN(mixed); i++) {
		const struct mt_cluster *c;

		conf = new_conf();
		c = cluster(publish(mixed[i], NULL), CLUSTER);
		CU_ASSERT_EQUAL_FATAL(c->n_eps, 2);
		CU_ASSERT_EQUAL(c->eps[0].state->draining, MT_EP_DRAIN_NONE);
		CU_ASSERT_EQUAL(c->eps[1].state->draining, MT_EP_DRAIN_NO_ROUTE);
		CU_ASSERT(takes_all(c, 0));
		mt_conf_destroy(conf);
	}
}

/* The Node that the daemon started with decides, because ports and routes need a restart. */
static void route_comes(void)
{
	struct built started = build_text(NULL, ONLY4);
	const struct mt_cluster *c;

	conf = new_conf();
	c = cluster(publish(MIXED BOTH, NULL), CLUSTER);
	CU_ASSERT(picks_of(c, 1) > 300);
	c = cluster(publish(MIXED ONLY4, NULL), CLUSTER);
	CU_ASSERT(takes_all(c, 0));
	c = cluster(publish(MIXED BOTH, NULL), CLUSTER);
	CU_ASSERT(picks_of(c, 1) > 300);
	mt_conf_set_ports(conf, started.m->node);
	c = cluster(publish(MIXED BOTH, NULL), CLUSTER);
	CU_ASSERT(takes_all(c, 0));
	mt_conf_destroy(conf);
	unbuild(&started);
	/* Without a Node, as in tests of documents, each address is reached. */
	conf = new_conf();
	CU_ASSERT(picks_of(cluster(publish(MIXED, NULL), CLUSTER), 1) > 300);
	mt_conf_destroy(conf);
}

/* If no endpoint is reached, calls go to all of them, so that they end with the reason. */
static void none_with_route(void)
{
	const struct mt_cluster *c;

	conf = new_conf();
	c = cluster(publish(PAIR("", TCP, SIX, "2001:db8::8") ONLY4, NULL), CLUSTER);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(c->eps[i].state->draining, MT_EP_DRAIN_NO_ROUTE);
		CU_ASSERT(picks_of(c, i) > 0);
	}
	mt_conf_destroy(conf);
}

static uint32_t forwarded_to(const struct mt_snapshot *s, const char *at)
{
	struct mt_addr vip;
	const struct mt_l4_row *r;

	CU_ASSERT_EQUAL(mt_addr_parse(at, &vip), 0);
	r = mt_l4_row(s->l4, &vip, 80, IPPROTO_UDP);
	return r && r->group ? r->group->n_endpoints : 0;
}

/* A forwarded port has only the endpoints with a route, if there are any. */
static void forwarded_without_route(void)
{
	conf = new_conf();
	CU_ASSERT_EQUAL(
		forwarded_to(publish(PAIR(NAT, UDP, FOUR, FAR4) BOTH, NULL), "192.0.2.1"), 2);
	CU_ASSERT_EQUAL(
		forwarded_to(publish(PAIR(NAT, UDP, FOUR, FAR4) NEAR4, NULL), "192.0.2.1"), 1);
	CU_ASSERT_EQUAL(
		forwarded_to(publish(PAIR(NAT, UDP, FOUR, SIX) BOTH, NULL), "2001:db8::1"), 1);
	CU_ASSERT_EQUAL(
		forwarded_to(publish(PAIR(NAT, UDP, FOUR, SIX) ONLY4, NULL), "2001:db8::1"), 0);
	CU_ASSERT_EQUAL(
		forwarded_to(publish(PAIR(NAT, UDP, FAR4, "192.0.2.78") NEAR4, NULL), "192.0.2.1"),
		2);
	mt_conf_destroy(conf);
}

/* ---- WorkloadEntries ------------------------------------------------------------------ */

#define SELECTED                                                                                   \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: a, namespace: x}\nspec:\n  hosts: [a.x]\n  addresses: [192.0.2.1]\n"     \
	"  location: MESH_INTERNAL\n  resolution: STATIC\n  ports: [" TCP "]\n"                    \
	"  workloadSelector: {labels: {app: a}}\n"
#define WORKLOAD(n, meta, status)                                                                  \
	"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n"                           \
	"metadata: {name: w" #n ", namespace: x" meta "}\nspec:\n  address: 198.51.100." #n        \
	"\n  labels: {app: a}\n" status
#define CHECKED ", annotations: {proxy.istio.io/health-checks-enabled: '"
#define HEALTHY(how)                                                                               \
	"status: {conditions: [{type: Ready, status: 'False'}, {type: Healthy, status: '" how      \
	"'}]}\n"

/* Last bytes of the endpoints' addresses, with a "d" for one that drains. */
static void members(const struct built *b, char *buf, size_t size)
{
	const struct mt_cluster *c = cluster(b->s, CLUSTER);
	size_t n = 0;

	*buf = '\0';
	for (uint32_t i = 0; i < c->n_eps; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%u%s", i ? " " : "",
			c->eps[i].addr.b[15],
			c->eps[i].drain == MT_EP_DRAIN_TERMINATING ? "d" : "");
}

/* The condition Healthy counts with the annotation; a deleted entry drains. */
static void workload_entries(void)
{
	static const struct {
		const char *second, *want;
		bool told;
	} t[] = {
		{WORKLOAD(2, "", ""), "1 2", false},
		{WORKLOAD(2, CHECKED "true'}", HEALTHY("True")), "1 2", false},
		{WORKLOAD(2, CHECKED "true'}", HEALTHY("False")), "1", true},
		{WORKLOAD(2, CHECKED "1'}", HEALTHY("Unknown")), "1", true},
		/* Written by hand: no proxy reports. */
		{WORKLOAD(2, CHECKED "true'}", ""), "1 2", false},
		{WORKLOAD(2, CHECKED "true'}", "status: {conditions: []}\n"), "1 2", false},
		{WORKLOAD(2, CHECKED "false'}", HEALTHY("False")), "1 2", false},
		{WORKLOAD(2, "", HEALTHY("False")), "1 2", false},
		{WORKLOAD(2, ", deletionTimestamp: '2026-11-27T10:00:00Z'", ""), "1 2d", false},
		{WORKLOAD(2, ", deletionTimestamp: '2026-11-27T10:00:00Z'" CHECKED "true'}",
			 HEALTHY("False")),
			"1", true},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		char text[4096], got[64];
		bool told = false;
		struct built b;

		snprintf(text, sizeof(text), "%s%s%s", SELECTED, WORKLOAD(1, "", ""), t[i].second);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		members(&b, got, sizeof(got));
		CU_ASSERT_STRING_EQUAL(got, t[i].want);
		for (uint32_t k = 0; k < b.diags.n; k++)
			told |= strstr(b.diags.items[k].message, "it gets no new calls") != NULL;
		CU_ASSERT_EQUAL(told, t[i].told);
		CU_ASSERT_EQUAL(b.diags.warnings, 0);
		unbuild(&b);
	}
}

/* If no endpoint is healthy, none gets calls, and the service has a warning. */
static void all_unhealthy(void)
{
	struct built b = build_text(NULL, SELECTED WORKLOAD(1, CHECKED "true'}", HEALTHY("False"))
						  WORKLOAD(2, CHECKED "true'}", HEALTHY("False")));

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(cluster(b.s, CLUSTER)->n_eps, 0);
	CU_ASSERT(has_diag(&b, MT_DIAG_WARNING, 19,
		"status.conditions: no endpoint of a.x is healthy: every call fails"));
	unbuild(&b);
}

const struct mt_test drain_tests[] = {{"by_label", by_label},
	{"of_forwarded_ports", of_forwarded_ports}, {"workload_entries", workload_entries},
	{"all_unhealthy", all_unhealthy}, {"without_route", without_route},
	{"route_comes", route_comes}, {"none_with_route", none_with_route},
	{"forwarded_without_route", forwarded_without_route}, {0}};
