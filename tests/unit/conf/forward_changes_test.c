/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of forwarded ports, what is published then, and numbers of ports. */
#include "conf_test.h"

#include "forward_text.h"
#include "mt_l4.h"

#include <rte_rcu_qsbr.h>

static void change(struct mt_conf *c, const char *text, const char *expect)
{
	struct built b = build_text(c, text);
	struct mt_conf_change changes;
	struct mt_err err;
	char words[256];

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, &changes, &err), 0);
	CU_ASSERT_STRING_EQUAL(mt_conf_change_str(&changes, words, sizeof(words)), expect);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
}

/* A change of a forwarded port changes nothing else, and a change of others leaves its set. */
static void only_what_changed(void)
{
	struct mt_conf *c = new_conf();
	const struct mt_l4_set *set;
	uint32_t id;

	change(c, FORWARDED, "1 cluster added, 2 endpoints added, 2 forwarded ports added");
	set = mt_conf_current(c)->l4;
	id = set->services[0].id;
	change(c, FORWARDED, "no change");
	CU_ASSERT_PTR_EQUAL(mt_conf_current(c)->l4, set);
	change(c, FORWARDED OTHER_PORT,
		"1 listener added, 1 service added, 1 cluster added, 1 endpoint added");
	CU_ASSERT_PTR_EQUAL(mt_conf_current(c)->l4, set);
	change(c, NODE("nat: {}") META("meltemi.io/forwarding: nat-full") MAPPED(DNS) OTHER_PORT,
		"2 forwarded ports changed");
	CU_ASSERT_STRING_EQUAL(mt_conf_items(c)->v[0].kind, "forwarded port");
	CU_ASSERT_STRING_EQUAL(mt_conf_items(c)->v[0].fields, "mode: nat to nat-full");
	CU_ASSERT_PTR_NOT_EQUAL(mt_conf_current(c)->l4, set);
	CU_ASSERT_EQUAL(mt_conf_current(c)->l4->services[0].id, id);
	change(c,
		NODE("nat: {}") META("meltemi.io/forwarding: nat-full") MAPPED(DNS)
			OTHER_PORT DENY(TO("methods: [m]")),
		"1 cluster changed, 2 endpoints removed, 2 forwarded ports changed");
	change(c, OTHER_PORT, "1 cluster removed, 2 forwarded ports removed");
	CU_ASSERT_PTR_NULL(mt_conf_current(c)->l4);
	mt_conf_destroy(c);
}

#define LISTS(lists) NODE("forwarding: [{host: a.x, port: 53, " lists "}]") META(NAT) SPEC(DNS)

/* Networks of clients keep the numbers of their counters while they are in their list. */
static void rules_keep_numbers(void)
{
	struct mt_conf *c = new_conf();
	const struct mt_l4_set *set;
	uint32_t allow, deny;

	change(c, LISTS("allow: [10.0.0.0/8], deny: [10.1.0.0/16, 10.2.0.0/16]"),
		"1 cluster added, 2 endpoints added, 2 forwarded ports added");
	set = mt_conf_current(c)->l4;
	CU_ASSERT_EQUAL_FATAL(set->n_rules, 3);
	allow = set->rules[0].network.rule;
	deny = set->rules[2].network.rule;
	CU_ASSERT(!set->rules[0].deny && set->rules[1].deny && set->rules[2].deny);
	CU_ASSERT(allow && set->rules[1].network.rule && deny);
	CU_ASSERT(allow != deny && deny != set->rules[1].network.rule);
	change(c, LISTS("allow: [10.0.0.0/8], deny: [10.2.0.0/16, 10.0.0.0/8, 10.2.0.0/16]"),
		"no change");
	set = mt_conf_current(c)->l4;
	CU_ASSERT_EQUAL_FATAL(set->n_rules, 3);
	CU_ASSERT_EQUAL(set->rules[0].network.rule, allow);
	CU_ASSERT_EQUAL(set->rules[1].network.rule, deny);
	CU_ASSERT(set->rules[2].network.rule != allow && set->rules[2].network.rule != deny);
	CU_ASSERT_NOT_EQUAL(set->rules[2].owner, set->rules[0].owner);
	mt_conf_destroy(c);
}

/* A mode that replaces nat-full of TCP keeps its replies, unless something listens there. */
static void nat_full_before(void)
{
	struct mt_conf *c = new_conf();

	change(c, NODE("nat: {}") META("meltemi.io/forwarding: nat-full") SPEC(TCP),
		"1 cluster added, 2 endpoints added, 2 forwarded ports added");
	CU_ASSERT_TRUE(mt_conf_current(c)->l4->nat_tcp);
	change(c, NODE("nat: {}") META(NAT) SPEC(TCP), "2 forwarded ports changed");
	CU_ASSERT_TRUE(mt_conf_current(c)->l4->nat_tcp);
	change(c, NODE("nat: {}") META(NAT) SPEC(TCP) AT_NODE("50000"),
		"1 listener added, 1 service added, 1 cluster added, 1 endpoint added");
	CU_ASSERT_FALSE(mt_conf_current(c)->l4->nat_tcp);
	mt_conf_destroy(c);
}

/* An endpoint that checks ejected stays so with another interval, and is back without checks. */
static void no_longer_checked(void)
{
	struct mt_conf *c = new_conf();
	struct mt_ep_state *e;
	const struct mt_l4_set *set;
	uint32_t moved = 0;

	change(c, CHECK("tcp"), "1 cluster added, 2 endpoints added, 2 forwarded ports added");
	set = mt_conf_current(c)->l4;
	e = set->checks[0].health.state;
	mt_ep_unhealthy(e, 1);
	for (uint64_t h = 0; h < 1000; h++)
		moved += set->rows[0].group &&
			 set->rows[0].group->endpoints[mt_l4_choose(set->rows[0].group, h)]
					 .unhealthy == &e->back;
	CU_ASSERT_EQUAL(moved, 0);
	change(c, CHECK("tcp, interval=4s"), "no change");
	CU_ASSERT_PTR_NOT_EQUAL(mt_conf_current(c)->l4, set);
	CU_ASSERT_TRUE(mt_ep_ejected(e, UINT64_MAX));
	change(c, CHECK("none"), "no change");
	CU_ASSERT_EQUAL(mt_conf_current(c)->l4->n_checks, 0);
	CU_ASSERT_FALSE(mt_ep_ejected(e, UINT64_MAX));
	mt_conf_destroy(c);
}

/* A worker that still has the old set ejects an endpoint that the new one does not check. */
static void ejected_by_an_old_check(void)
{
	size_t size = rte_rcu_qsbr_get_memsize(1);
	struct rte_rcu_qsbr *rcu = aligned_alloc(64, (size + 63) & ~(size_t)63);
	struct mt_conf_options o = {.workers = 1, .rcu = rcu};
	struct mt_conf *c;
	struct mt_ep_state *e;
	struct mt_err err;

	CU_ASSERT_EQUAL_FATAL(rte_rcu_qsbr_init(rcu, 1), 0);
	CU_ASSERT_EQUAL(rte_rcu_qsbr_thread_register(rcu, 0), 0);
	rte_rcu_qsbr_thread_online(rcu, 0);
	c = mt_conf_create(&o, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	change(c, CHECK("tcp"), "1 cluster added, 2 endpoints added, 2 forwarded ports added");
	e = mt_conf_current(c)->l4->checks[0].health.state;
	change(c, CHECK("none"), "no change");
	mt_ep_unhealthy(e, 1);
	mt_conf_reap(c, NOW);
	CU_ASSERT_TRUE(mt_ep_ejected(e, UINT64_MAX));
	rte_rcu_qsbr_quiescent(rcu, 0);
	mt_conf_reap(c, NOW);
	CU_ASSERT_FALSE(mt_ep_ejected(e, UINT64_MAX));
	mt_conf_destroy(c);
	free(rcu);
}

#define TWO_PORTS(a, b) META(NAT) SPEC("{number: 53, " a "}, {number: 53, " b "}")

/* One number of TCP and of UDP: the names, or the protocols, of the ports decide. */
static void one_number(void)
{
	static const char *const good[] = {TWO_PORTS("name: udp-dns", "name: tcp-dns"),
		TWO_PORTS("name: tcp-dns", "name: udp-dns"),
		TWO_PORTS("name: udp-dns", "name: tcp-dns, protocol: TCP"),
		TWO_PORTS("name: dns, protocol: UDP", "name: dns-tcp"),
		TWO_PORTS("name: udp-dns, protocol: UDP", "name: tcp-dns, protocol: TCP")};
	static const char *const bad[] = {TWO_PORTS("name: udp-dns", "name: udp"),
		TWO_PORTS("name: udp-dns", "name: dns, protocol: UDP"),
		TWO_PORTS("name: tcp-dns", "name: dns")};

	for (size_t i = 0; i < MT_ARRAY_LEN(good); i++) {
		struct built b = build_text(NULL, good[i]);

		if (!b.s)
			show_diags(&b);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(b.s->n_forwards, 4);
		unbuild(&b);
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		struct built b = build_text(NULL, bad[i]);

		CU_ASSERT(has_diag(&b, MT_DIAG_ERROR, 10, "spec.ports[1].number: already on line"));
		unbuild(&b);
	}
}

const struct mt_test forward_change_tests[] = {
	{"forwarding_ejected_by_an_old_check", ejected_by_an_old_check},
	{"forwarding_no_longer_checked", no_longer_checked},
	{"forwarding_nat_full_before", nat_full_before},
	{"forwarding_only_what_changed", only_what_changed},
	{"forward_changes_rules", rules_keep_numbers},
	{"forwarding_one_number", one_number},
	{0},
};
