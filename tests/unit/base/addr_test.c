/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include "mt_addr.h"

static void test_texts(void)
{
	static const char *const good[] = {
		"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "2001:db8::1", "fe80::1:2"};
	static const char *const bad[] = {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ",
		"2001:db8", ":::", "host", "1.2.3.4/8"};
	char buf[MT_ADDR_STRLEN];
	struct mt_addr a;

	for (size_t i = 0; i < MT_ARRAY_LEN(good); i++) {
		CU_ASSERT_EQUAL(mt_addr_parse(good[i], &a), 0);
		CU_ASSERT_STRING_EQUAL(mt_addr_str(&a, buf), good[i]);
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++)
		CU_ASSERT_NOT_EQUAL(mt_addr_parse(bad[i], &a), 0);
	CU_ASSERT_EQUAL(mt_addr_parse("192.0.2.1", &a), 0);
	CU_ASSERT_STRING_EQUAL(mt_addr_port_str(&a, 80, buf), "192.0.2.1:80");
	CU_ASSERT_EQUAL(mt_addr_parse("2001:db8::1", &a), 0);
	CU_ASSERT_STRING_EQUAL(mt_addr_port_str(&a, 80, buf), "[2001:db8::1]:80");
}

static void test_prefixes(void)
{
	static const struct {
		const char *prefix, *addr;
		bool in;
	} rows[] = {
		{"10.0.0.0/8", "10.255.0.1", true},
		{"10.0.0.0/8", "11.0.0.1", false},
		{"192.0.2.128/25", "192.0.2.129", true},
		{"192.0.2.128/25", "192.0.2.127", false},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"0.0.0.0/0", "8.8.8.8", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "2001:db8::1", true},
		{"::/0", "8.8.8.8", false},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
	};
	static const char *const bad[] = {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1",
		"10.0.0.0/8x", "/8", "10.0.0/8"};
	struct mt_addr net, a;
	uint8_t bits;

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		CU_ASSERT_EQUAL(mt_prefix_parse(rows[i].prefix, &net, &bits), 0);
		CU_ASSERT_EQUAL(mt_addr_parse(rows[i].addr, &a), 0);
		CU_ASSERT_EQUAL(mt_prefix_contains(&net, bits, &a), rows[i].in);
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++)
		CU_ASSERT_NOT_EQUAL(mt_prefix_parse(bad[i], &net, &bits), 0);
}

static bool is_link_local(const char *text)
{
	struct mt_addr a;

	return mt_addr_parse(text, &a) == 0 && mt_addr_is_link_local(&a);
}

static void test_link_local(void)
{
	CU_ASSERT(is_link_local("fe80::"));
	CU_ASSERT(is_link_local("febf:ffff::1"));
	CU_ASSERT(!is_link_local("fe7f::1"));
	CU_ASSERT(!is_link_local("fec0::1"));
	CU_ASSERT(!is_link_local("ff80::1"));
	CU_ASSERT(!is_link_local("169.254.0.1"));
}

const struct mt_test addr_tests[] = {
	{"texts", test_texts},
	{"prefixes", test_prefixes},
	{"link-local", test_link_local},
	{0},
};
