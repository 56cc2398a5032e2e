/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints that documents drain: they stay, with the reason, and get nothing new. */
#include "conf_test.h"

#include "mt_l4.h"
#include "mt_overrides.h"

#include <netinet/in.h>
#include <stdio.h>

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

const struct mt_test drain_tests[] = {
	{"by_label", by_label}, {"of_forwarded_ports", of_forwarded_ports}, {0}};
