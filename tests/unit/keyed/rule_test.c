/* SPDX-License-Identifier: Apache-2.0 */
/* Rules: identity, numbers, addresses, end. */
#include "suites.h"

#include <errno.h>

#define LITTLE 64

static uint64_t addr_key(const struct mt_keyed_rule *r, const char *text)
{
	struct mt_addr a;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(text, &a), 0);
	return mt_keyed_hash_addr(r, &a);
}

static void test_addresses(void)
{
	struct mt_keyed *t = mt_keyed_new(LITTLE, 1);
	struct mt_keyed_rule *r = rule_of(t, 1, 1, MT_SEC), *nets;
	struct mt_keyed_def def = rule_def("nets", 1, 1, MT_SEC);

	def.prefix4 = 24;
	def.prefix6 = 48;
	nets = rule_for(t, &def, 0);
	CU_ASSERT_EQUAL(addr_key(r, "2001:db8::1"), addr_key(r, "2001:db8::ffff:ffff:ffff:ffff"));
	CU_ASSERT_NOT_EQUAL(addr_key(r, "2001:db8::1"), addr_key(r, "2001:db8:0:1::1"));
	CU_ASSERT_NOT_EQUAL(addr_key(r, "192.0.2.1"), addr_key(r, "192.0.2.2"));
	CU_ASSERT_EQUAL(addr_key(nets, "192.0.2.1"), addr_key(nets, "192.0.2.254"));
	CU_ASSERT_NOT_EQUAL(addr_key(nets, "192.0.2.1"), addr_key(nets, "192.0.3.1"));
	CU_ASSERT_EQUAL(addr_key(nets, "2001:db8:1:2::1"), addr_key(nets, "2001:db8:1:3::1"));
	CU_ASSERT_NOT_EQUAL(addr_key(nets, "2001:db8:1::1"), addr_key(nets, "2001:db8:2::1"));
	/* An IPv6 network with the bits of an IPv4 address. */
	CU_ASSERT_NOT_EQUAL(addr_key(r, "192.0.2.1"), addr_key(r, "c000:201::1"));
	CU_ASSERT_NOT_EQUAL(addr_key(r, "0.0.0.0"), addr_key(r, "::"));
	/* Rules have keys of their own. */
	CU_ASSERT_NOT_EQUAL(addr_key(r, "192.0.2.0"), addr_key(nets, "192.0.2.0"));
	CU_ASSERT_NOT_EQUAL(mt_keyed_hash_both(r, 1, 2), mt_keyed_hash_both(r, 2, 1));
	mt_keyed_free(t);
}

static void test_identity(void)
{
	struct mt_keyed *t = mt_keyed_new(LITTLE, 1);
	struct mt_keyed_def def = rule_def("a", 5, 5, MT_SEC), other = def;
	struct mt_keyed_rule *a = rule_for(t, &def, 0), *b;

	CU_ASSERT_EQUAL(takes(a, key(a, 1), 9, 0), 5);
	CU_ASSERT_PTR_EQUAL(rule_for(t, &def, 0), a);
	other.numbers.max_tokens = 6;
	b = rule_for(t, &other, 0);
	CU_ASSERT_PTR_NOT_EQUAL(b, a);
	CU_ASSERT_EQUAL(takes(b, key(b, 1), 9, 0), 6);
	other = def;
	other.name = "b";
	CU_ASSERT_PTR_NOT_EQUAL(rule_for(t, &other, 0), a);
	/* Without references it is still found for 10 minutes. */
	mt_keyed_rule_put(t, a, 0);
	mt_keyed_rule_put(t, a, 0);
	mt_keyed_tick(t, 599 * MT_SEC);
	CU_ASSERT_PTR_EQUAL(rule_for(t, &def, 599 * MT_SEC), a);
	mt_keyed_free(t);
}

static int get(struct mt_keyed *t, struct mt_keyed_numbers n)
{
	struct mt_keyed_def def = {.name = "x", .numbers = n};
	struct mt_keyed_rule *r;

	return mt_keyed_rule_get(t, &def, 0, &r);
}

static void test_numbers(void)
{
	struct mt_keyed *t = mt_keyed_new(LITTLE, 1);
	struct mt_keyed_numbers good = {80000000, 80000000, 3600 * MT_SEC};

	CU_ASSERT_EQUAL(get(t, (struct mt_keyed_numbers){0, 1, MT_SEC}), -EINVAL);
	CU_ASSERT_EQUAL(get(t, (struct mt_keyed_numbers){1, 0, MT_SEC}), -EINVAL);
	CU_ASSERT_EQUAL(get(t, (struct mt_keyed_numbers){1, 1, MT_KEYED_FILL_MIN - 1}), -EINVAL);
	CU_ASSERT_EQUAL(get(t, (struct mt_keyed_numbers){UINT32_MAX, 1, MT_SEC}), -EINVAL);
	CU_ASSERT_EQUAL(
		get(t, (struct mt_keyed_numbers){UINT32_MAX, UINT32_MAX, UINT64_MAX}), -EINVAL);
	CU_ASSERT_EQUAL(get(t, (struct mt_keyed_numbers){5000000, 5000000, MT_SEC}), -EINVAL);
	CU_ASSERT_EQUAL(get(t, (struct mt_keyed_numbers){4000000, 4000000, MT_SEC}), 0);
	CU_ASSERT_EQUAL(get(t, good), 0);
	CU_ASSERT_EQUAL(get(t, (struct mt_keyed_numbers){1, UINT32_MAX, UINT64_MAX}), 0);
	CU_ASSERT_PTR_NULL(mt_keyed_numbers_bad(&good));
	mt_keyed_free(t);
	CU_ASSERT_PTR_NULL(mt_keyed_new(LITTLE, 0));
	CU_ASSERT_PTR_NULL(mt_keyed_new(LITTLE, MT_KEYED_WORKERS + 1));
	t = mt_keyed_new(1, 1);
	CU_ASSERT_EQUAL(mt_keyed_places(t), 64);
	mt_keyed_free(t);
	t = mt_keyed_new(100000, 1);
	CU_ASSERT_EQUAL(mt_keyed_places(t), 131072);
	mt_keyed_free(t);
	mt_keyed_free(NULL);
}

static void test_too_many(void)
{
	struct mt_keyed *t = mt_keyed_new(LITTLE, 1);
	struct mt_keyed_rule *r;
	char name[16];

	for (uint32_t i = 0; i < MT_KEYED_RULES; i++) {
		struct mt_keyed_def def = rule_def(name, 5, 5, MT_SEC);

		snprintf(name, sizeof(name), "r%u", i);
		r = rule_for(t, &def, 0);
		CU_ASSERT_TRUE(mt_keyed_take(r, 0, key(r, i), 1, 0));
	}
	CU_ASSERT_EQUAL(get(t, (struct mt_keyed_numbers){1, 1, MT_SEC}), -ENOSPC);
	mt_keyed_free(t);
}

static void tick_for(struct mt_keyed *t, uint64_t *now, uint32_t seconds)
{
	for (uint32_t i = 0; i < seconds; i++) {
		*now += MT_SEC;
		mt_keyed_tick(t, *now);
	}
}

/* The number of a rule that has ended is used again, without buckets of the old rule. */
static void test_end(void)
{
	struct mt_keyed *t = mt_keyed_new(LITTLE, 1);
	struct mt_keyed_def def = rule_def("day", 5, 5, 86400 * MT_SEC),
			    next = rule_def("next", 7, 7, 86400 * MT_SEC);
	struct mt_keyed_rule *r = rule_for(t, &def, 0), *again;
	uint64_t now = 0, before = r->serial;

	CU_ASSERT_EQUAL(takes(r, key(r, 1), 9, now), 5);
	tick_for(t, &now, 16);
	CU_ASSERT_EQUAL(mt_keyed_used(t), 1);
	mt_keyed_rule_put(t, r, now);
	tick_for(t, &now, 590);
	CU_ASSERT_PTR_NOT_EQUAL(again = rule_for(t, &next, now), r);
	mt_keyed_rule_put(t, again, now);
	tick_for(t, &now, 60);
	CU_ASSERT_EQUAL(mt_keyed_used(t), 0);
	for (uint32_t i = 0; i < mt_keyed_places(t); i++)
		CU_ASSERT_EQUAL(t->words[i], 0);
	again = rule_for(t, &def, now);
	CU_ASSERT_PTR_EQUAL(again, r);
	CU_ASSERT_NOT_EQUAL(again->serial, before);
	CU_ASSERT_EQUAL(info_of(t, again).admitted, 0);
	CU_ASSERT_EQUAL(takes(again, key(again, 1), 9, now), 5);
	mt_keyed_free(t);
}

const struct mt_test rule_tests[] = {
	{"addresses and networks", test_addresses},
	{"identity", test_identity},
	{"numbers", test_numbers},
	{"as many as there may be", test_too_many},
	{"end of a rule", test_end},
	{0},
};
