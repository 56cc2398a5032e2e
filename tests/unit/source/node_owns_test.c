/* SPDX-License-Identifier: Apache-2.0 */
/* The Node's `sources[].owns`. */
#include "source_test.h"

#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: a}\nspec:\n"                      \
	"  ports: [{name: p, device: net_null0, addresses: [192.0.2.1/24]}]\n  sources:\n"
#define SHOP(owns) NODE "  - {directory: shop, namespaces: [shop], owns: " owns "}\n"
#define TWO(one, other)                                                                            \
	SHOP(one)                                                                                  \
	"  - {directory: a, namespaces: [a]}\n"                                                    \
	"  - {directory: b, owns: " other "}\n"

static void test_whole(void)
{
	struct loaded l = load_text(SHOP("{addresses: [192.0.2.2, '2001:db8::/64', "
					 "'::ffff:198.51.100.0/120'], hosts: [Pay.Example.COM., "
					 "'*.shop.example.com', pay.shop, _x.y]}"));
	const struct mt_node_owns *o = l.m->node ? l.m->node->sources[0].owns : NULL;

	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT_EQUAL(l.diags.errors, 0);
	CU_ASSERT_EQUAL_FATAL(o->n_addresses, 3);
	CU_ASSERT_EQUAL(o->addresses[0].prefix, 32);
	CU_ASSERT_EQUAL(o->addresses[1].prefix, 64);
	CU_ASSERT(o->addresses[2].prefix == 24 && mt_addr_is4(&o->addresses[2].addr));
	CU_ASSERT_EQUAL_FATAL(o->n_hosts, 4);
	CU_ASSERT_STRING_EQUAL(o->hosts[0].s, "pay.example.com");
	CU_ASSERT_STRING_EQUAL(o->hosts[1].s, "*.shop.example.com");
	unload(&l);
}

static void test_bad(void)
{
	static const struct {
		const char *text, *expect;
	} rows[] = {
		{SHOP("{}"), "7: error: spec.sources[0].owns: the source owns nothing"},
		{SHOP("~"), "7: error: spec.sources[0]: the source owns nothing"},
		{SHOP("[]"), "7: error: spec.sources[0].owns: must be a map"},
		{SHOP("{addresses: []}"), "7: error: spec.sources[0].owns.addresses: is an empty"},
		{SHOP("{hosts: []}"), "7: error: spec.sources[0].owns.hosts: is an empty"},
		{SHOP("{addresses: [192.0.2.2], hosts: ~}"),
			"7: error: spec.sources[0].owns.hosts: is an empty"},
		{SHOP("{address: [192.0.2.2], hosts: [x.y]}"),
			"7: error: spec.sources[0].owns.address: unknown"},
		{SHOP("{addresses: [192.0.2.2/33]}"),
			"7: error: spec.sources[0].owns.addresses[0]: \"192.0.2.2/33\" is not"},
		{SHOP("{addresses: [pay.shop]}"),
			"7: error: spec.sources[0].owns.addresses[0]: \"pay.shop\" is not"},
		{SHOP("{addresses: [192.0.2.2/24]}"),
			"7: error: spec.sources[0].owns.addresses[0]: 192.0.2.2/24 is an address "
			"in a network"},
		{SHOP("{hosts: ['*']}"), "7: error: spec.sources[0].owns.hosts[0]: \"*\" is not"},
		{SHOP("{hosts: [a.b, 'a.*.b']}"),
			"7: error: spec.sources[0].owns.hosts[1]: \"a.*.b\" is not"},
		{SHOP("{hosts: ['*a.b']}"), "7: error: spec.sources[0].owns.hosts[0]: \"*a.b\" is"},
		{SHOP("{hosts: [a..b]}"), "7: error: spec.sources[0].owns.hosts[0]: \"a..b\" is"},
		{SHOP("{hosts: [a.b, pay]}"),
			"7: error: spec.sources[0].owns.hosts[1]: \"pay\" has no dot"},
		{SHOP("{hosts: [pay.]}"), "7: error: spec.sources[0].owns.hosts[0]: \"pay\" has"},
		{SHOP("{hosts: [a/b]}"), "7: error: spec.sources[0].owns.hosts[0]: \"a/b\" is not"},
		{NODE "  - {xds: {servers: ['unix:/x'], nodeId: a}, owns: {hosts: [a.b]}}\n",
			"7: error: spec.sources[0]: owns is a directory's"},
		/* Nothing that has an error is compared. */
		{TWO("{hosts: ['*']}", "{hosts: [b.x]}"),
			"7: error: spec.sources[0].owns.hosts[0]: \"*\" is not"},
		{TWO("{addresses: [192.0.2.2/24]}", "{addresses: [192.0.2.2]}"),
			"7: error: spec.sources[0].owns.addresses[0]: 192.0.2.2/24 is an address "
			"in a network"},
		/* Two sources own the same; the message has both lines. */
		{TWO("{hosts: [a.x, b.x]}", "{hosts: [b.x]}"),
			"9: error: spec.sources[2].owns.hosts[0]: b.x overlaps b.x on line 7, "
			"which "
			"sources[0] owns"},
		{TWO("{hosts: ['*.x']}", "{hosts: [c.y, b.x]}"),
			"9: error: spec.sources[2].owns.hosts[1]: b.x overlaps *.x on line 7"},
		{TWO("{hosts: [b.x]}", "{hosts: ['*.x']}"),
			"9: error: spec.sources[2].owns.hosts[0]: *.x overlaps b.x on line 7"},
		{TWO("{hosts: ['*.a.x']}", "{hosts: ['*.x']}"),
			"9: error: spec.sources[2].owns.hosts[0]: *.x overlaps *.a.x on line 7"},
		{TWO("{hosts: [pay.shop]}", "{hosts: [pay.shop.svc.cluster.local]}"),
			"9: error: spec.sources[2].owns.hosts[0]: pay.shop.svc.cluster.local "
			"overlaps pay.shop on line 7"},
		{TWO("{hosts: [pay.shop.svc]}", "{hosts: [pay.shop]}"),
			"9: error: spec.sources[2].owns.hosts[0]: pay.shop overlaps pay.shop.svc "
			"on line 7"},
		{TWO("{hosts: ['*.shop']}", "{hosts: ['*.shop.svc.cluster.local']}"),
			"9: error: spec.sources[2].owns.hosts[0]: *.shop.svc.cluster.local "
			"overlaps *.shop on line 7"},
		{TWO("{addresses: [192.0.2.0/24]}", "{addresses: [198.51.100.1, 192.0.2.9]}"),
			"9: error: spec.sources[2].owns.addresses[1]: 192.0.2.9 overlaps "
			"192.0.2.0/24 on line 7, which sources[0] owns (give them to one source)"},
		{TWO("{addresses: [192.0.2.9]}", "{addresses: ['::ffff:192.0.2.0/120']}"),
			"9: error: spec.sources[2].owns.addresses[0]: ::ffff:192.0.2.0/120 "
			"overlaps 192.0.2.9 on line 7"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct loaded l = load_text(rows[i].text);

		CU_ASSERT_PTR_NULL(l.m->node);
		CU_ASSERT_EQUAL(l.diags.errors, 1);
		if (strncmp(first_diag(&l), rows[i].expect, strlen(rows[i].expect)) != 0)
			printf("\n  %s\n  %s", first_diag(&l), rows[i].expect);
		CU_ASSERT_EQUAL(strncmp(first_diag(&l), rows[i].expect, strlen(rows[i].expect)), 0);
		unload(&l);
	}
}

/* One source may own what contains something else that it owns; a source without `owns` owns nothing. */
static void test_good(void)
{
	static const char *const texts[] = {
		SHOP("{hosts: ['*.x', a.x, a.x, '*.b.x']}"),
		SHOP("{addresses: [192.0.2.0/24, 192.0.2.7, 192.0.2.7]}"),
		TWO("{hosts: [x.y]}", "{hosts: ['*.x.y']}"),
		TWO("{addresses: ['::/0']}", "{addresses: [0.0.0.0/0]}"),
		/* A wildcard has no short name. */
		TWO("{hosts: ['*.dev.svc.cluster.local']}", "{hosts: [api.example.dev]}"),
		NODE "  - {directory: a, owns: {hosts: [pay.shop]}}\n",
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct loaded l = load_text(texts[i]);

		CU_ASSERT_PTR_NOT_NULL(l.m->node);
		CU_ASSERT_EQUAL(l.diags.errors, 0);
		unload(&l);
	}
}

static void test_warnings(void)
{
	static const struct {
		const char *text, *expect;
	} rows[] = {
		{SHOP("{addresses: [240.240.0.0/16]}"), "none is left to be assigned"},
		{SHOP("{addresses: [192.0.2.1, 240.0.0.0/4]}"), "none is left to be assigned"},
		{SHOP("{addresses: [0.0.0.0/0]}"), "none is left to be assigned"},
		{SHOP("{addresses: [240.240.0.0/17, 240.240.128.0/18]}"), NULL},
		{SHOP("{addresses: ['::/0', 240.241.0.0/16]}"), NULL},
		{SHOP("{addresses: ['::/0', '2001:db8::/64']}"),
			"spec.sources[0].owns.addresses[0]: ::/0 has no IPv4 addresses"},
		{SHOP("{addresses: ['2001:db8::/64']}"), NULL},
		{SHOP("{hosts: [a.b]}") "  - {directory: a, namespaces: [a, shop]}\n",
			"8: warning: spec.sources[1].namespaces[1]: shop is also a namespace of "
			"sources[0], which has `owns`: authors of this source can add endpoints, "},
		{NODE "  - {directory: a, namespaces: [shop]}\n"
		      "  - {directory: b, namespaces: [b, shop], owns: {hosts: [a.b]}}\n",
			"7: warning: spec.sources[0].namespaces[0]: shop is also a namespace of "
			"sources[1]"},
		/* Once for each pair of owners. */
		{SHOP("{hosts: [a.b]}") "  - {directory: b, namespaces: [shop], owns: {hosts: "
					"[c.d]}}\n",
			"8: warning: spec.sources[1].namespaces[0]: "},
		{SHOP("{hosts: [a.b]}") "  - {directory: a, namespaces: [a]}\n  - {directory: b}\n",
			NULL},
		{NODE "  - {directory: a, namespaces: [a]}\n  - {directory: b, namespaces: [a]}\n",
			NULL},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct loaded l = load_text(rows[i].text);

		CU_ASSERT_EQUAL(l.diags.errors, 0);
		CU_ASSERT_EQUAL(l.diags.warnings, rows[i].expect != NULL);
		if (rows[i].expect)
			CU_ASSERT_PTR_NOT_NULL(strstr(first_diag(&l), rows[i].expect));
		unload(&l);
	}
}

const struct mt_test node_owns_tests[] = {
	{"whole", test_whole},
	{"bad", test_bad},
	{"good", test_good},
	{"warnings", test_warnings},
	{0},
};
