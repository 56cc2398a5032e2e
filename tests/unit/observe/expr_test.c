/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_expr.h"

#include <string.h>

#include "suites.h"

#define ALL (~0ull)

/* An exchange of 10.1.2.3 that was answered, and the same before its reply. */
static struct mt_expr_values values(bool answered)
{
	struct mt_expr_values v = {0};
	struct mt_addr a;

	CU_ASSERT_EQUAL(mt_addr_parse("10.1.2.3", &a), 0);
	mt_expr_set_addr(&v, MT_EXPR_src, &a);
	CU_ASSERT_EQUAL(mt_addr_parse("2001:db8::1", &a), 0);
	mt_expr_set_addr(&v, MT_EXPR_dst, &a);
	mt_expr_set_number(&v, MT_EXPR_sport, 40000);
	mt_expr_set_str(&v, MT_EXPR_service, "org.example.DemoService");
	mt_expr_set_str(&v, MT_EXPR_method, "sayHello");
	mt_expr_set_str(&v, MT_EXPR_route, NULL);
	/* The first key that an expression names is there, the second is not. */
	mt_expr_set_str(&v, MT_EXPR_meta0, "Jason");
	mt_expr_set_str(&v, MT_EXPR_meta1, NULL);
	if (!answered)
		return v;
	mt_expr_set_str(&v, MT_EXPR_status, "ok");
	mt_expr_set_number(&v, MT_EXPR_took, 5 * MT_MSEC);
	mt_expr_set_number(&v, MT_EXPR_bytes, 70000);
	return v;
}

static const struct {
	const char *text;
	enum mt_tri before, after;
} good[] = {
	{"", MT_TRI_YES, MT_TRI_YES},
	{"  ", MT_TRI_YES, MT_TRI_YES},
	{"method=sayHello", MT_TRI_YES, MT_TRI_YES},
	{"METHOD = SAYHELLO", MT_TRI_YES, MT_TRI_YES},
	{"method=\"sayHello\"", MT_TRI_YES, MT_TRI_YES},
	{"method=say", MT_TRI_NO, MT_TRI_NO},
	{"method=say*", MT_TRI_YES, MT_TRI_YES},
	{"service=*.demo*", MT_TRI_YES, MT_TRI_YES},
	{"service=*e*e*e*x", MT_TRI_NO, MT_TRI_NO},
	{"service=*", MT_TRI_YES, MT_TRI_YES},
	{"method=\"\"", MT_TRI_NO, MT_TRI_NO},
	/* A route is known not to be there. */
	{"route=*", MT_TRI_NO, MT_TRI_NO},
	{"route!=any", MT_TRI_YES, MT_TRI_YES},
	{".user=Jason", MT_TRI_YES, MT_TRI_YES},
	{".user=jas* .user!=Mary", MT_TRI_YES, MT_TRI_YES},
	{".user=Jason .x-zone=a", MT_TRI_NO, MT_TRI_NO},
	{".user=Jason .x-zone!=a .user=J*", MT_TRI_YES, MT_TRI_YES},
	{".src=10.0.0.0/8", MT_TRI_NO, MT_TRI_NO},
	{"src=10.0.0.0/8", MT_TRI_YES, MT_TRI_YES},
	{"src=10.1.2.4", MT_TRI_NO, MT_TRI_NO},
	{"src!=10.0.0.0/8", MT_TRI_NO, MT_TRI_NO},
	{"src=2001:db8::/32", MT_TRI_NO, MT_TRI_NO},
	{"dst=2001:db8::/32", MT_TRI_YES, MT_TRI_YES},
	{"host=10.1.2.3 host=2001:db8::1", MT_TRI_YES, MT_TRI_YES},
	{"host!=10.1.2.3", MT_TRI_NO, MT_TRI_NO},
	{"host!=192.0.2.1", MT_TRI_YES, MT_TRI_YES},
	{"sport>=40000 sport<40001", MT_TRI_YES, MT_TRI_YES},
	{"sport>40000", MT_TRI_NO, MT_TRI_NO},
	{"status!=ok", MT_TRI_MAYBE, MT_TRI_NO},
	{"not status!=ok", MT_TRI_MAYBE, MT_TRI_YES},
	{"method=other status=ok", MT_TRI_NO, MT_TRI_NO},
	{"method=sayHello or status!=ok", MT_TRI_YES, MT_TRI_YES},
	{"took>=5ms took<=5000us", MT_TRI_MAYBE, MT_TRI_YES},
	{"took>5ms", MT_TRI_MAYBE, MT_TRI_NO},
	{"bytes>64k bytes<1m", MT_TRI_MAYBE, MT_TRI_YES},
	/* and binds more than or */
	{"method=x and method=y or method=sayHello", MT_TRI_YES, MT_TRI_YES},
	{"method=sayHello or method=x and method=y", MT_TRI_YES, MT_TRI_YES},
	{"(method=sayHello or method=x) and method=y", MT_TRI_NO, MT_TRI_NO},
	{"not (method=x or method=y) src=10.0.0.0/8", MT_TRI_YES, MT_TRI_YES},
	{"not not method=sayHello", MT_TRI_YES, MT_TRI_YES},
	{"method=sayHello(src=10.0.0.0/8)", MT_TRI_YES, MT_TRI_YES},
};

static void good_ones(void)
{
	struct mt_expr_values before = values(false), after = values(true);

	for (size_t i = 0; i < MT_ARRAY_LEN(good); i++) {
		struct mt_err e = {""};
		struct mt_expr x;

		CU_ASSERT_EQUAL(mt_expr_compile(&x, good[i].text, ALL, &e), 0);
		CU_ASSERT_STRING_EQUAL(e.text, "");
		if (mt_expr_eval(&x, &before) != good[i].before ||
			mt_expr_eval(&x, &after) != good[i].after)
			printf("\n  `%s`: not as the table says\n", good[i].text);
		CU_ASSERT_EQUAL(mt_expr_eval(&x, &before), good[i].before);
		CU_ASSERT_EQUAL(mt_expr_eval(&x, &after), good[i].after);
	}
}

/* What is refused names the word, and what would be allowed. */
static const struct {
	const char *text, *words[2];
} bad[] = {
	{"sayHello", {"`sayHello` is not a field", "src, service, method"}},
	{"metod=x", {"`metod` is not a field", ".KEY"}},
	{"meta0=x", {"`meta0` is not a field", ".KEY"}},
	{"len>3", {"`len` cannot be used here", "method"}},
	{"method", {"`method` needs an operator", "method=…"}},
	{"method==x", {"`==` is not an operator: `=`", "quotes"}},
	{"method=", {"`method` needs a value", "\"\""}},
	{"method>x", {"`method` compares by = and !=", ""}},
	{"src<10.0.0.0/8", {"`src` compares by = and !=", ""}},
	{"src=ten", {"`ten` is neither an address", "10.0.0.0/8"}},
	{"src=10.0.0.0/33", {"`10.0.0.0/33` is neither an address", ""}},
	{"took>5", {"`5` is not a time", "20ms"}},
	{"took>99999999999s", {"is not a time", ""}},
	{"took>fast", {"`fast` is not a time", ""}},
	{"method=x and", {"a condition is missing at the end", ""}},
	{". = x", {"`.` needs a key", ".user"}},
	{".a=1 .b=1 .c=1 .d=1 .a=2 .e=1", {"more than 4 keys", "metadata"}},
	{".user<x", {"`.user` compares by = and !=", ""}},
	{".user", {"`.user` needs an operator", ".user="}},
	{"or method=x", {"`or` is not a field", ""}},
	{"not", {"a condition is missing at the end", ""}},
	{"not ", {"a condition is missing", ""}},
	{"()", {"a condition is missing before `)`", ""}},
	{"(method=x", {"parenthesis is not closed", ""}},
	{"method=x)", {"`)` closes nothing", ""}},
	{"method=\"x", {"quote", "not closed"}},
	{"=x", {"`` is not a field", "method"}},
	{"((((((((((((((((((method=x))))))))))))))))))", {"nested deeper than 16", ""}},
	{"method=a method=a method=a method=a method=a method=a method=a method=a method=a "
	 "method=a "
	 "method=a method=a method=a method=a method=a method=a method=a",
		{"more than 16 conditions", ""}},
};

static void bad_ones(void)
{
	const uint64_t allowed = MT_EXPR_BIT(src) | MT_EXPR_BIT(service) | MT_EXPR_BIT(method) |
				 MT_EXPR_BIT(took) | MT_EXPR_BIT(meta0);
	struct mt_err none = {""};
	struct mt_expr y;

	CU_ASSERT_NOT_EQUAL(
		mt_expr_compile(&y, ".user=x", allowed & ~MT_EXPR_BIT(meta0), &none), 0);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(none.text, "`.user`: metadata cannot be used here; fields are: src"));
	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		struct mt_err e = {""};
		struct mt_expr x;

		CU_ASSERT_NOT_EQUAL(mt_expr_compile(&x, bad[i].text, allowed, &e), 0);
		if (!strstr(e.text, bad[i].words[0]) || !strstr(e.text, bad[i].words[1]))
			printf("\n  `%s`: %s\n", bad[i].text, e.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, bad[i].words[0]));
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, bad[i].words[1]));
	}
}

static void long_values(void)
{
	char text[MT_EXPR_TEXTS + 32] = "method=";
	struct mt_err e = {""};
	struct mt_expr x;

	memset(text + 7, 'x', MT_EXPR_TEXTS);
	CU_ASSERT_EQUAL(mt_expr_compile(&x, text, ALL, &e), 0);
	text[7 + MT_EXPR_TEXTS] = 'x';
	CU_ASSERT_NOT_EQUAL(mt_expr_compile(&x, text, ALL, &e), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "longer than 512 bytes"));
}

static void what_is_asked_for(void)
{
	struct mt_err e;
	struct mt_expr x;

	CU_ASSERT_EQUAL(mt_expr_compile(&x, "src=10.0.0.1 or not status=ok", ALL, &e), 0);
	CU_ASSERT_EQUAL(mt_expr_uses(&x), MT_EXPR_BIT(src) | MT_EXPR_BIT(status));
}

const struct mt_test expr_tests[] = {{"what holds, and when it is known", good_ones},
	{"what is refused, and why", bad_ones}, {"long values", long_values},
	{"what is asked for", what_is_asked_for}, {0}};
