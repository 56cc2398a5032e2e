/* SPDX-License-Identifier: Apache-2.0 */
/* The table's making: names that DNS has not, sharing, size. */
#include "mt_dns_priv.h"
#include "mt_secret_hash.h"
#include "wire.h"

#include <stdio.h>

static void test_names(void)
{
	static const struct {
		const char *host;
		int rc;
	} cases[] = {
		{"a", 0},
		{"a.b.", 0},
		{"*.b", 0},
		{"a_b.c", 0},
		{"", -22},
		{".", -22},
		{"*.", -22},
		{"a..b", -22},
		{".a", -22},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b", 0},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b", -22},
	};
	const struct mt_dns_rules rules = {.ttl = 1};
	struct mt_dns_builder *b = mt_dns_builder_new(&rules);
	struct mt_addr a = mt_addr4(1);

	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++)
		CU_ASSERT_EQUAL(mt_dns_builder_add(b, MT_DNS_OF_DOCUMENTS, cases[i].host, &a, 1),
			cases[i].rc);
	mt_dns_builder_free(b);
}

static void test_bad_rules(void)
{
	static const char *const bad[] = {"a..b"}, *const root[] = {"."};
	static const char *const many[MT_DNS_ZONES_MAX + 1] = {"a"};
	static const struct mt_dns_rules cases[] = {
		{.domain = "a..b"},
		{.domain = "."},
		{.domain = "cluster.local", .ns = "a.b"},
		{.zones = bad, .n_zones = 1},
		{.zones = root, .n_zones = 1},
		{.search = bad, .n_search = 1},
		{.zones = many, .n_zones = MT_DNS_ZONES_MAX + 1},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++)
		CU_ASSERT_PTR_NULL(mt_dns_builder_new(&cases[i]));
}

static struct mt_dns_table *two(
	const char *h1, const char *h2, uint32_t ttl, struct mt_dns_table *before)
{
	const struct mt_dns_rules rules = {.domain = "cluster.local", .ns = "x", .ttl = ttl};
	struct mt_dns_builder *b = mt_dns_builder_new(&rules);
	const char *const hosts[] = {h1, h2};

	for (int i = 0; i < 2; i++) {
		struct mt_addr a = mt_addr4((uint32_t)hosts[i][0] | 0x20);

		CU_ASSERT_EQUAL(mt_dns_builder_add(b, MT_DNS_OF_DOCUMENTS, hosts[i], &a, 1), 0);
	}
	return mt_dns_builder_finish(b, before);
}

/* A table that says the same is the same one; any difference makes another. */
static void test_shared(void)
{
	struct mt_dns_table *t = two("a.b", "c.d", 30, NULL), *other;

	CU_ASSERT_PTR_EQUAL(two("a.b", "c.d", 30, t), t);
	CU_ASSERT_PTR_EQUAL(two("c.d", "a.b", 30, t), t);
	CU_ASSERT_PTR_EQUAL(two("C.d", "a.B", 30, t), t);
	other = two("a.b", "c.e", 30, t);
	CU_ASSERT_PTR_NOT_EQUAL(other, t);
	mt_dns_table_put(other);
	other = two("a.b", "c.d", 31, t);
	CU_ASSERT_PTR_NOT_EQUAL(other, t);
	mt_dns_table_put(other);
	other = two("a.b", "*.d", 30, t);
	CU_ASSERT_PTR_NOT_EQUAL(other, t);
	mt_dns_table_put(other);
	for (int i = 0; i < 4; i++)
		mt_dns_table_put(t);
	mt_dns_table_put(NULL);
}

/* Authors choose hosts, so their digests have the process's secret key. */
static void test_secret(void)
{
	struct mt_dns_table *t[2];

	for (uint8_t i = 0; i < 2; i++) {
		mt_secret_hash_set_key((const uint8_t[16]){i});
		t[i] = two("a.b", "c.d", 30, NULL);
	}
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_NOT_EQUAL(t[0]->digest[i], t[1]->digest[i]);
		CU_ASSERT_NOT_EQUAL(t[0]->digest[i], 0);
	}
	mt_dns_table_put(t[0]);
	mt_dns_table_put(t[1]);
}

static void test_listing(void)
{
	struct mt_dns_table *t = wire_table();
	struct mt_dns_name_info info;
	uint32_t idx = 0, n = 0, wild = 0, addrs = 0, of_two = 0;

	while (mt_dns_table_next(t, &idx, &info)) {
		n++;
		wild += strncmp(info.host, "*.", 2) == 0;
		addrs += info.n_addrs;
		if (strcmp(info.host, "two.mesh.test") == 0)
			of_two += info.n_addrs;
	}
	CU_ASSERT_EQUAL(of_two, 2);
	CU_ASSERT_EQUAL(n, 11);
	CU_ASSERT_EQUAL(mt_dns_table_names(t), 11);
	CU_ASSERT_EQUAL(wild, 3);
	CU_ASSERT_EQUAL(addrs, 13);
	idx = 0;
	CU_ASSERT_FALSE(mt_dns_table_next(NULL, &idx, &info));
	mt_dns_table_put(t);
}

/* Short names that would be longer than names may be with the domain behind them: somebody else's (ASan looks on). */
static void test_long_domain(void)
{
	static const char l63[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk";
	const struct mt_dns_ask ask = {.datagram = true, .recursion = true};
	uint64_t counters[MT_DNS_N_OUTCOMES] = {0};
	char domain[256], name[256];
	struct mt_dns_rules rules = {.ttl = 30, .domain = domain, .ns = "n"};
	struct mt_dns_table *t;
	struct wire w;
	uint8_t out[512];
	uint32_t n;

	snprintf(domain, sizeof(domain), "%s.%s.%s", l63, l63, l63);
	t = mt_dns_builder_finish(mt_dns_builder_new(&rules), NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	for (int labels = 1; labels <= 3; labels++) {
		snprintf(name, sizeof(name), "%s%s%s%s%s", l63, labels > 1 ? "." : "",
			labels > 1 ? l63 : "", labels > 2 ? "." : "", labels > 2 ? l63 : "");
		wire_query(&w, &(struct wire_query){.name = name, .type = A, .flags = 0x0100});
		CU_ASSERT_EQUAL(mt_dns_respond(t, &ask, w.b, w.len, out, sizeof(out), &n, counters),
			MT_DNS_FORWARD);
	}
	mt_dns_table_put(t);
}

/* Each of 10,000 names leads to its own address, and to no other. */
static void test_many(void)
{
	const struct mt_dns_rules rules = {.ttl = 30};
	struct mt_dns_builder *b = mt_dns_builder_new(&rules);
	const struct mt_dns_ask ask = {.datagram = true};
	uint64_t counters[MT_DNS_N_OUTCOMES] = {0};
	struct mt_dns_table *t;
	char name[64];

	for (uint32_t i = 0; i < 10000; i++) {
		struct mt_addr a = mt_addr4(i);

		snprintf(name, sizeof(name), "svc-%u.ns-%u.test", i, i % 100);
		CU_ASSERT_EQUAL(mt_dns_builder_add(b, MT_DNS_OF_DOCUMENTS, name, &a, 1), 0);
	}
	t = mt_dns_builder_finish(b, NULL);
	CU_ASSERT_EQUAL(mt_dns_table_names(t), 10000);
	for (uint32_t i = 0; i < 10000; i++) {
		uint8_t out[MT_DNS_UDP_MAX];
		uint32_t n = 0, addr;
		struct wire w;

		snprintf(name, sizeof(name), "svc-%u.ns-%u.test", i, i % 100);
		wire_query(&w, &(struct wire_query){.name = name, .type = A});
		CU_ASSERT_EQUAL(mt_dns_respond(t, &ask, w.b, w.len, out, sizeof(out), &n, counters),
			MT_DNS_REPLY);
		CU_ASSERT_EQUAL(n, w.len + 16);
		memcpy(&addr, out + n - 4, 4);
		CU_ASSERT_EQUAL(addr, i);
	}
	mt_dns_table_put(t);
}

/* Names of which the low bits of a hash without a key are equal do not stand in one row. */
static void test_chosen_names(void)
{
	const struct mt_dns_rules rules = {.ttl = 30};
	struct mt_dns_builder *b = mt_dns_builder_new(&rules);
	uint32_t n = 0, row = 0, most = 0;
	struct mt_addr a = mt_addr4(1);
	struct mt_dns_table *t;

	for (uint32_t i = 0; n < 400; i++) {
		struct dns_name name;
		char text[16];
		uint64_t h;

		snprintf(text, sizeof(text), "x%u", i);
		CU_ASSERT_FATAL(dns_name_of(text, &name));
		h = mt_hash_bytes(name.b, name.len, 0);
		if ((h ^ h >> 32) & 1023)
			continue;
		CU_ASSERT_EQUAL(mt_dns_builder_add(b, MT_DNS_OF_DOCUMENTS, text, &a, 1), 0);
		n++;
	}
	t = mt_dns_builder_finish(b, NULL);
	CU_ASSERT_EQUAL(mt_dns_table_names(t), 400);
	CU_ASSERT_EQUAL(t->mask, 1023);
	for (uint32_t i = 0; i <= t->mask; i++) {
		row = t->slots[i] ? row + 1 : 0;
		most = MT_MAX(most, row);
	}
	CU_ASSERT(most < 100);
	mt_dns_table_put(t);
}

/*
 * Clients of each namespace query HOST.NAMESPACE.svc.DOMAIN. If hosts have owners, they get no host
 * of another name by it.
 */
static void check_namespaces(bool owned)
{
#define C "cluster.local"
	static const char *const search[] = {"default.svc." C, "svc." C, C};
	static const char *const hosts[] = {
		"db.corp", "db.corp.web", "*.w.web", "x.y.z.web", "one.web"};
	static const struct {
		const char *name, *alias, *unowned; /* NULL: it has no addresses */
	} t[] = {
		{"db.corp.default.svc." C, "db.corp", "db.corp"},
		{"db.corp.web.svc." C, NULL, "db.corp.web"},
		{"a.w.web.svc." C, NULL, "a.w.web"},
		{"a.b.w.web.svc." C, NULL, "a.b.w.web"},
		{"db.corp.svc.web.svc." C, NULL, NULL},
		/* All of them are found by another search domain. */
		{"db.corp." C, "db.corp", "db.corp"},
		{"db.corp.web." C, "db.corp.web", "db.corp.web"},
		{"db.corp.web.default.svc." C, "db.corp.web", "db.corp.web"},
		{"a.w.web." C, "a.w.web", "a.w.web"},
		/* HOST has no dot, as that of a service's own name. */
		{"db.corp.svc." C, "db.corp", "db.corp"},
		{"one.web.svc." C, "one.web", "one.web"},
	};
	const struct mt_dns_rules rules = {.domain = C,
		.ns = "default",
		.search = search,
		.n_search = 3,
		.owned = owned,
		.ttl = 1};
	struct mt_dns_builder *b = mt_dns_builder_new(&rules);
	struct mt_addr a = mt_addr4(1);
	struct mt_dns_table *table;
	struct dns_name n;

	for (size_t i = 0; i < MT_ARRAY_LEN(hosts); i++)
		CU_ASSERT_EQUAL(mt_dns_builder_add(b, MT_DNS_OF_DOCUMENTS, hosts[i], &a, 1), 0);
	table = mt_dns_builder_finish(b, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		const char *alias = owned ? t[i].alias : t[i].unowned;
		struct dns_found f;
		char text[256] = "";

		CU_ASSERT_FATAL(dns_name_of(t[i].name, &n));
		dns_table_lookup(table, &n, &f);
		if (f.kind == DNS_ALIAS)
			dns_name_text(f.target.b, text);
		CU_ASSERT_STRING_EQUAL(text, alias ? alias : "");
		CU_ASSERT_EQUAL(f.entry != NULL, alias != NULL);
	}
	/* No name exists because of them either. */
	CU_ASSERT_EQUAL(
		dns_name_of("y.z.web.svc." C, &n) && dns_table_has_below(table, &n), !owned);
	CU_ASSERT(dns_name_of("y.z.web." C, &n) && dns_table_has_below(table, &n));
	mt_dns_table_put(table);
}

static void test_namespaces(void)
{
	check_namespaces(true);
	check_namespaces(false);
}

const struct mt_test table_tests[] = {{"namespaces", test_namespaces},
	{"chosen_names", test_chosen_names}, {"names", test_names}, {"bad_rules", test_bad_rules},
	{"shared", test_shared}, {"secret", test_secret}, {"listing", test_listing},
	{"long_domain", test_long_domain}, {"many", test_many}, {0}};
