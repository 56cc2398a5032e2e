/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group of nodes with the same configuration: flows stay with their endpoint while nodes leave
 * and return and endpoints change. Of flows that began before the changes, at least 99.5 % whose
 * endpoint lives must stay; a case of its own states what may move beyond that.
 */
#include "nodes.h"
#include "test_l4.h"

static struct nd n;

/*
 * A node leaves, and returns; the router moves three quarters of the flows to another node and
 * back. Of 1,000 flows, `least` to `most` lose their endpoint.
 */
static void leave_and_return(const char *what, uint32_t least, uint32_t most)
{
	uint32_t strays;

	n.up = ND_NODES - 1;
	(void)nd_strays(&n);
	n.up = ND_NODES;
	strays = nd_strays(&n);
	printf("%s, %s: %u of %u flows left their endpoint (%.2f %%)\n",
		n.mode == MT_L4_IPIP ? "tunnel-ipip" : "dsr", what, strays, n.flows,
		100.0 * strays / n.flows);
	CU_ASSERT(strays * 1000ull >= (uint64_t)n.flows * least);
	CU_ASSERT(strays * 1000ull <= (uint64_t)n.flows * most);
}

static void drain(void)
{
	nd_keep_before(&n);
	n.weights[0] = 0;
	nd_changed(&n);
}

static void add(void)
{
	nd_keep_before(&n);
	n.weights[10] = 1;
	nd_changed(&n);
}

static void die_at_one(void)
{
	n.unhealthy[0][3] = 1;
}

static void nothing(void)
{
}

/* Ten changes in 90 s: endpoints come, are drained, come back, get other weights, and go. */
static void change(uint32_t i)
{
	nd_keep_before(&n);
	switch (i % 5) {
	case 0:
		n.weights[10 + i / 5] = 1;
		break;
	case 1:
		n.weights[i] = 0;
		break;
	case 2:
		n.weights[i] = 3;
		break;
	case 3:
		n.weights[i - 2] = 1;
		break;
	default:
		n.weights[i == 9 ? 10 : 9] = ND_GONE;
	}
	nd_changed(&n);
}

static void ten_changes(void)
{
	for (uint32_t i = 0; i < 10; i++) {
		nd_pass(&n, 10 * MT_SEC);
		change(i);
	}
}

/* No endpoint that lives loses a flow, if the nodes meet the change within five minutes. */
static void stays(enum mt_l4_mode mode, uint32_t flows)
{
	static const struct {
		const char *what;
		void (*change)(void);
	} cases[] = {{"no change", nothing}, {"an endpoint is drained", drain},
		{"an endpoint is added", add}, {"an endpoint is dead at one node", die_at_one},
		{"ten changes of endpoints", ten_changes}};

	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		nd_open(&n, mode, flows, 10);
		nd_begin(&n, 0, flows);
		cases[i].change();
		leave_and_return(cases[i].what, 0, 0);
		CU_ASSERT(nd_close(&n));
	}
}

/*
 * A flow that began between the changes has the endpoint of a table that no node remembers. It
 * moves if that is another one than in the table before.
 */
static void begun_between(void)
{
	nd_open(&n, MT_L4_IPIP, 20000, 10);
	for (uint32_t i = 0; i < 10; i++) {
		nd_pass(&n, 10 * MT_SEC);
		change(i);
		nd_begin(&n, 2000 * i, 2000 * (i + 1));
	}
	leave_and_return("flows begun between ten changes", 120, 140);
	CU_ASSERT(nd_close(&n));
}

/*
 * New flows of an endpoint that is dead at one of four nodes only, so of a fortieth of the flows: the
 * others know nothing of it. Two thirds of these come to another node.
 */
static void begun_at_dead(void)
{
	nd_open(&n, MT_L4_IPIP, 20000, 10);
	die_at_one();
	nd_begin(&n, 0, 20000);
	leave_and_return("flows begun while an endpoint is dead at one node", 15, 19);
	CU_ASSERT(nd_close(&n));
}

/*
 * Five minutes after the change the table before is forgotten. One of eleven endpoints is new and
 * gets its share of the flows that come to another node; hardly any other flow moves.
 */
static void too_late(void)
{
	nd_open(&n, MT_L4_IPIP, 20000, 10);
	nd_begin(&n, 0, 20000);
	add();
	nd_pass(&n, 301 * MT_SEC);
	leave_and_return("an endpoint was added five minutes ago", 63, 73);
	CU_ASSERT(nd_close(&n));
}

static void stays_dsr(void)
{
	stays(MT_L4_DSR, 10000);
}

static void stays_ipip(void)
{
	stays(MT_L4_IPIP, 100000);
}

const struct mt_test node_tests[] = {{"stays_dsr", stays_dsr}, {"stays_ipip", stays_ipip},
	{"begun_between", begun_between}, {"begun_at_dead", begun_at_dead}, {"too_late", too_late},
	{0}};
