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
	mt_expr_set_str(&v, MT_EXPR_tls, "1.3");
	mt_expr_set_str(&v, MT_EXPR_encrypted, "yes");
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
	{"route=- route=\"\"", MT_TRI_YES, MT_TRI_YES},
	{"route!=- or route~a or route<z", MT_TRI_NO, MT_TRI_NO},
	{"method=-", MT_TRI_NO, MT_TRI_NO},
	{"method~YHEL not method~help", MT_TRI_YES, MT_TRI_YES},
	{"method>say method<sayI method>=sayHello", MT_TRI_YES, MT_TRI_YES},
	/* Names may be shortened while unique: `s` is not. */
	{"meth=sayHello serv=*Demo*", MT_TRI_YES, MT_TRI_YES},
	{"route!=any", MT_TRI_YES, MT_TRI_YES},
	/* By whether there is TLS, and by its version. */
	{"tls=yes tls=1.3 tls~3 tls>=1.3", MT_TRI_YES, MT_TRI_YES},
	{"tls=no or tls=1.2 or tls=- or tls~2 or tls!=yes or tls!=1.3", MT_TRI_NO, MT_TRI_NO},
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
	{"bytes>=70k bytes<=70000 bytes<69Ki", MT_TRI_MAYBE, MT_TRI_YES},
	{"bytes>68.3Ki bytes!=70000.1", MT_TRI_MAYBE, MT_TRI_YES},
	{"took=0.005s", MT_TRI_MAYBE, MT_TRI_YES},
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
	{"metod=x", {"`metod` is not a field here; did you mean `method`?", ".KEY"}},
	{"s=x", {"`s` is not a field here; fields are: src", ""}},
	{"meta0=x", {"`meta0` is not a field", ".KEY"}},
	{"len>3", {"`len` is not a field here", "method"}},
	{"method", {"`method` needs an operator", "method=…"}},
	{"method==x", {"`==` is not an operator: `=`", "quotes"}},
	{"method=", {"`method` needs a value", "\"\""}},
	{"took~5", {"`took` compares by = != < <= > and >= only", ""}},
	{"src~10", {"`src` compares by = and !=", ""}},
	{"took>-", {"`-` is not a time", ""}},
	{"src<10.0.0.0/8", {"`src` compares by = and !=", ""}},
	{"src=ten", {"`ten` is neither an address", "10.0.0.0/8"}},
	{"src=10.0.0.0/33", {"`10.0.0.0/33` is neither an address", ""}},
	{"took>5", {"`5` is not a time", "20ms"}},
	{"took>99999999999s", {"is not a time", ""}},
	{"took>fast", {"`fast` is not a time", ""}},
	{"method=x and", {"a condition is missing at the end", ""}},
	{". = x", {"`.` needs a key", ".user"}},
	{".a=1 .b=1 .c=1 .d=1 .a=2 .e=1", {"more than 4 keys", "metadata"}},
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
	CU_ASSERT_PTR_NOT_NULL(strstr(none.text, "`.user` is not a field here; fields are: src"));
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

/* ---- names of other things ----------------------------------------------------------------- */

static const struct {
	const char *name;
	enum mt_expr_type type;
	struct mt_value value;
} cols[] = {
	{"n", MT_EXPR_NUMBER, {MT_VALUE_INT, {.n = -3}}},
	{"load", MT_EXPR_NUMBER, {MT_VALUE_NUMBER, {.real = 1.0 / 3}}},
	{"ready", MT_EXPR_BOOL, {MT_VALUE_BOOL, {.yes = true}}},
	{"note", MT_EXPR_ANY, {.type = MT_VALUE_ABSENT}},
	{"size", MT_EXPR_NUMBER, {.type = MT_VALUE_ABSENT}},
	{"late", MT_EXPR_NUMBER, {.type = MT_VALUE_UNKNOWN}},
	{"bad", MT_EXPR_TEXT, {.type = MT_VALUE_ERROR}},
	{"odd", MT_EXPR_TEXT, {MT_VALUE_INT, {.n = 7}}}, /* not what the parser was told */
};

static struct mt_value value_of(void *arg, uint32_t id)
{
	return cols[id - MT_EXPR_N_FIELDS].value;
}

static int parse_columns(struct mt_expr *x, const char *text, struct mt_err *e)
{
	struct mt_expr_names names = {.n = 0};

	for (size_t i = 0; i < MT_ARRAY_LEN(cols); i++)
		mt_expr_names_add(&names, cols[i].name, cols[i].type);
	return mt_expr_parse(x, text, &names, e);
}

/* Each type with each operator; what is absent, unknown or an error; and which operand decides. */
static void types(void)
{
	static const struct {
		const char *text;
		enum mt_value_type type;
		bool yes;
	} t[] = {
		{"n=-3 n<0 n>=-3 n!=3 n>-1k", MT_VALUE_BOOL, true},
		{"n<-3", MT_VALUE_BOOL, false},
		{"n=-", MT_VALUE_BOOL, false},
		{"n!=-", MT_VALUE_BOOL, true},
		/* As tables show it, and as JSON has it. */
		{"load=0.33 load=0.333333333333333 load!=0.34 load>0.33 load<1", MT_VALUE_BOOL,
			true},
		{"load!=0.33", MT_VALUE_BOOL, false},
		{"load=3.4e-1", MT_VALUE_BOOL, false},
		{"ready=yes ready=true ready!=no", MT_VALUE_BOOL, true},
		{"ready=false", MT_VALUE_BOOL, false},
		{"note=- note=\"\" note!=x size=- size!=5", MT_VALUE_BOOL, true},
		{"note=x or note=* or note<x or note~x or size=0 or size<5 or size!=-",
			MT_VALUE_BOOL, false},
		{"not size<5", MT_VALUE_BOOL, true},
		{"late=1", MT_VALUE_UNKNOWN, false},
		{"not late=1", MT_VALUE_UNKNOWN, false},
		{"late=1 n=-3", MT_VALUE_UNKNOWN, false},
		{"late=1 n=3", MT_VALUE_BOOL, false},
		{"bad=x", MT_VALUE_ERROR, false},
		{"not bad=x", MT_VALUE_ERROR, false},
		{"bad=x n=3", MT_VALUE_BOOL, false},
		{"n=3 bad=x", MT_VALUE_BOOL, false},
		{"bad=x or n=-3", MT_VALUE_BOOL, true},
		{"n=-3 bad=x", MT_VALUE_ERROR, false},
		{"bad=x or n=3", MT_VALUE_ERROR, false},
		{"bad=x late=1", MT_VALUE_UNKNOWN, false},
		{"late=1 or bad=x", MT_VALUE_UNKNOWN, false},
		{"odd=7", MT_VALUE_ERROR, false},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_err e = {""};
		struct mt_value got;
		struct mt_expr x;

		CU_ASSERT_EQUAL(parse_columns(&x, t[i].text, &e), 0);
		CU_ASSERT_STRING_EQUAL(e.text, "");
		got = mt_expr_run(&x, value_of, NULL);
		if (got.type != t[i].type || (got.type == MT_VALUE_BOOL && got.yes != t[i].yes))
			printf("\n  `%s`: type %d, %d\n", t[i].text, got.type, got.yes);
		CU_ASSERT_EQUAL(got.type, t[i].type);
		CU_ASSERT(got.type != MT_VALUE_BOOL || got.yes == t[i].yes);
		CU_ASSERT(mt_expr_uses(&x) == 0 && mt_expr_uses_others(&x));
	}
}

static void wrong_types(void)
{
	static const struct {
		const char *text, *want;
	} t[] = {
		{"n=many", "n: `many` is not a number; 1500, 64k, 2Mi"},
		{"n=0x10", "`0x10` is not a number"},
		{"n=nan", "`nan` is not a number"},
		{"n=1e400", "`1e400` is not a number"},
		{"n=99999999999999999999", "is not a number"},
		{"n=9000000000000000000k", "is not a number"},
		{"n=5ms", "`5ms` is not a number"},
		{"ready=maybe", "ready: `maybe` is not yes or no"},
		{"ready<yes", "`ready` compares by = and != only"},
		{"n~3", "`n` compares by"},
		{"raedy=yes",
			"`raedy` is not a field here; did you mean `ready`? fields are: n, load,"},
		{"src=10.0.0.1", "`src` is not a field here; fields are: n, load, ready, note"},
		{".user=x", "`.user` is not a field here"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_err e = {""};
		struct mt_expr x;

		CU_ASSERT_NOT_EQUAL(parse_columns(&x, t[i].text, &e), 0);
		if (!strstr(e.text, t[i].want))
			printf("\n  `%s`: %s\n", t[i].text, e.text);
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, t[i].want));
	}
}

/* A list that does not fit ends in an ellipsis; nothing is written behind the text. */
static void many_names(void)
{
	static char names_of[MT_EXPR_NAMES + 1][16];
	struct mt_expr_names names = {.n = 0};
	struct mt_err e = {""};

	for (int i = 0; i <= MT_EXPR_NAMES; i++) {
		snprintf(names_of[i], sizeof(names_of[i]), "column_%d", i);
		mt_expr_names_add(&names, names_of[i], MT_EXPR_TEXT);
		mt_expr_names_add(&names, names_of[0], MT_EXPR_TEXT);
	}
	CU_ASSERT_EQUAL(names.n, MT_EXPR_NAMES);
	CU_ASSERT_EQUAL(names.of[MT_EXPR_NAMES - 1].id, MT_EXPR_N_FIELDS + MT_EXPR_NAMES - 1);
	CU_ASSERT_PTR_NULL(mt_expr_name_find(&names, "column", 6, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "column_0, column_1,"));
	CU_ASSERT_STRING_EQUAL(e.text + strlen(e.text) - strlen(", …"), ", …");
	CU_ASSERT_PTR_EQUAL(mt_expr_name_find(&names, "column_7", 8, &e), &names.of[7]);
}

const struct mt_test expr_tests[] = {{"what holds, and when it is known", good_ones},
	{"what is refused, and why", bad_ones}, {"long values", long_values},
	{"what is asked for", what_is_asked_for}, {"types, absent and errors", types},
	{"wrong types and names", wrong_types}, {"many names", many_names}, {0}};
