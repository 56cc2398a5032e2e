/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include "re2_shim.h"

#include <stdio.h>
#include <string.h>

static struct mt_view view;

#define EXACT	 .op = MT_MATCH_EXACT
#define PREFIX	 .op = MT_MATCH_PREFIX
#define SUFFIX	 .op = MT_MATCH_SUFFIX
#define CONTAINS .op = MT_MATCH_CONTAINS
#define REGEX	 .op = MT_MATCH_REGEX
#define PRESENT	 .op = MT_MATCH_PRESENT
#define RANGE	 .op = MT_MATCH_RANGE

/* One condition on key "k" against a message; value NULL: the key is not there. */
static void test_conditions(void)
{
	static const struct {
		struct mt_matcher_def def;
		const char *value;
		bool want;
	} t[] = {
		{{EXACT, .value = "abc"}, "abc", true},
		{{EXACT, .value = "abc"}, "abcd", false},
		{{EXACT, .value = "abc"}, "ab", false},
		{{EXACT, .value = "abc"}, "ABC", false},
		{{EXACT, .value = "aBc", .ignore_case = true}, "AbC", true},
		{{EXACT, .value = ""}, "", true},
		{{EXACT, .value = ""}, NULL, false},
		{{EXACT, .value = "", .missing_as_empty = true}, NULL, true},
		{{EXACT, .value = "abc", .invert = true}, "abc", false},
		{{EXACT, .value = "abc", .invert = true}, "x", true},
		{{EXACT, .value = "abc", .invert = true}, NULL, false},
		{{EXACT, .value = "abc", .invert = true, .missing_as_empty = true}, NULL, true},
		{{PREFIX, .value = "ab"}, "abc", true},
		{{PREFIX, .value = "ab"}, "ab", true},
		{{PREFIX, .value = "ab"}, "a", false},
		{{PREFIX, .value = "AB", .ignore_case = true}, "aBc", true},
		{{SUFFIX, .value = "bc"}, "abc", true},
		{{SUFFIX, .value = "bc"}, "c", false},
		{{SUFFIX, .value = "bc"}, "bcd", false},
		{{SUFFIX, .value = "bC", .ignore_case = true}, "aBc", true},
		{{CONTAINS, .value = "lo w"}, "hello world", true},
		{{CONTAINS, .value = "low"}, "hello world", false},
		{{CONTAINS, .value = "LO W", .ignore_case = true}, "hello world", true},
		{{CONTAINS, .value = "ld!", .ignore_case = true}, "hello world", false},
		{{CONTAINS, .value = ""}, "x", true},
		{{REGEX, .value = "v[0-9]+"}, "v12", true},
		{{REGEX, .value = "v[0-9]+"}, "xv12", false},
		{{REGEX, .value = "v[0-9]+"}, "v12x", false},
		{{REGEX, .value = "a|bc"}, "bc", true},
		{{REGEX, .value = "(?i)abc"}, "ABC", true},
		{{REGEX, .value = ".*"}, "", true},
		{{REGEX, .value = ".*"}, NULL, false},
		{{REGEX, .value = "plain"}, "plain", true},
		{{REGEX, .value = "plain"}, "plainer", false},
		{{REGEX, .value = "a.c", .invert = true}, "abc", false},
		{{REGEX, .value = "(a*)*b"}, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
		{{PRESENT}, "", true},
		{{PRESENT}, NULL, false},
		{{PRESENT, .invert = true}, "x", false},
		{{PRESENT, .invert = true}, NULL, true},
		{{PRESENT, .missing_as_empty = true}, NULL, true},
		{{RANGE, .lo = 1, .hi = 10}, "1", true},
		{{RANGE, .lo = 1, .hi = 10}, "9", true},
		{{RANGE, .lo = 1, .hi = 10}, "10", false},
		{{RANGE, .lo = 1, .hi = 10}, "0", false},
		{{RANGE, .lo = -10, .hi = 0}, "-10", true},
		{{RANGE, .lo = 0, .hi = 10}, "+5", true},
		{{RANGE, .lo = 0, .hi = 10}, "5x", false},
		{{RANGE, .lo = 0, .hi = 10}, " 5", true},
		{{RANGE, .lo = 0, .hi = 10}, "\t-5 \r\n", false},
		{{RANGE, .lo = -5, .hi = 10}, "\t-5 \r\n", true},
		{{RANGE, .lo = 0, .hi = 10}, "- 5", false},
		{{RANGE, .lo = 0, .hi = 10}, "  ", false},
		{{RANGE, .lo = 0, .hi = 10}, "", false},
		{{RANGE, .lo = 0, .hi = 10}, "-", false},
		{{RANGE, .lo = INT64_MIN, .hi = INT64_MAX}, "-9223372036854775808", true},
		{{RANGE, .lo = INT64_MIN, .hi = INT64_MAX}, "9223372036854775808", false},
		{{RANGE, .lo = 0, .hi = 10, .invert = true}, "50", true},
	};
	char err[128], text[256];

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_matcher_def def = t[i].def;
		struct mt_matcher *m;

		def.key = "k";
		m = mt_matcher_compile(&kv_codec, &def, 1, err, sizeof(err));
		CU_ASSERT_PTR_NOT_NULL_FATAL(m);
		snprintf(text, sizeof(text), t[i].value ? "k=%s\n" : "other=1\n", t[i].value);
		kv_view(&view, text);
		if (mt_matcher_test(m, &view) != t[i].want) {
			printf("\n  row %zu: %s\n", i, text);
			CU_FAIL("condition");
		}
		mt_matcher_free(m);
	}
}

/* No bytes in a value let a call evade an expression. */
static void test_bytes(void)
{
#define TEXT(s) s, sizeof(s) - 1
	static const struct {
		const char *regex, *text;
		size_t len;
		bool want;
	} t[] = {
		{"admin.*", TEXT("admin\xff"), true},
		{"admin.*", TEXT("admin\n"), true},
		{"admin.*", TEXT("admin\0"), true},
		{"admin.*", TEXT("admin\xffx\xfe"), true},
		{"(?-s)admin.*", TEXT("admin\n"), false},
		{".*admin",
			TEXT("\xc3\xa4\x80"
			     "admin"),
			true},
		{"admin", TEXT("admin\xff"), false},
		/* A character counts as one, and so does a byte that is not part of one. */
		{"a.c",
			TEXT("a\xc3\xa4"
			     "c"),
			true},
		{"a.c",
			TEXT("a\xc3"
			     "c"),
			true},
		{"a.c",
			TEXT("a\xc3\xc3"
			     "c"),
			false},
		{"a..c",
			TEXT("a\xc3\xc3"
			     "c"),
			true},
		/* Overlong, a surrogate, too large, cut short: bytes. */
		{"a..", TEXT("a\xc0\x80"), true},
		{"a...", TEXT("a\xed\xa0\x80"), true},
		{"a....", TEXT("a\xf4\x90\x80\x80"), true},
		{"a...", TEXT("a\xf0\x9f\x98"), true},
		{"a.", TEXT("a\xf0\x9f\x98\x80"), true},
		/* Classes by what they have, and by what they leave out. */
		{"[^/]+", TEXT("a\xff"), true},
		{"\\W", TEXT("\xff"), true},
		{"\\D", TEXT("\xff"), true},
		{"[a-z]+", TEXT("a\xff"), false},
		{"\\w+", TEXT("a\xff"), false},
		{"\\pL", TEXT("\xff"), false},
		{"\\pL", TEXT("\xc3\xa4"), true},
		{"[\xc3\xa4\xc3\xb6]dmin.*",
			TEXT("\xc3\xa4"
			     "dmin\xff"),
			true},
		{"(?i)\xc3\x84"
		 "dmin.*",
			TEXT("\xc3\xa4"
			     "DMIN\xff"),
			true},
	};
	char err[128];

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_re2 *re = mt_re2_new(t[i].regex, strlen(t[i].regex), err, sizeof(err));

		CU_ASSERT_PTR_NOT_NULL_FATAL(re);
		if (mt_re2_full_match(re, t[i].text, t[i].len) != t[i].want) {
			printf("\n  row %zu: %s\n", i, t[i].regex);
			CU_FAIL("regex");
		}
		mt_re2_free(re);
	}
}

/* The longest value that a call can have, without any UTF-8. */
static void test_longest_value(void)
{
	static char text[MT_RE2_VALUE + 1];
	struct mt_re2 *re = mt_re2_new("a.*", 3, NULL, 0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(re);
	memset(text, 0xff, sizeof(text));
	text[0] = 'a';
	CU_ASSERT_TRUE(mt_re2_full_match(re, text, MT_RE2_VALUE));
	CU_ASSERT_FALSE(mt_re2_full_match(re, text, MT_RE2_VALUE + 1));
	mt_re2_free(re);
}

static void test_lists(void)
{
	static const struct mt_matcher_def defs[] = {
		{.key = "Method", EXACT, .value = "get"},
		{.key = "USER", PREFIX, .value = "J"},
	};
	static const struct {
		const char *text;
		bool want;
	} t[] = {
		{"method=get\nuser=Jason\n", true},
		{"METHOD=get\nUser=Jane\n", true},
		{"method=get\nuser=Bob\n", false},
		{"method=get\n", false},
		{"", false},
	};
	char err[128], words[64];
	struct mt_matcher *m = mt_matcher_compile(&kv_codec, defs, 2, err, sizeof(err));
	bool other;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		kv_view(&view, t[i].text);
		CU_ASSERT_EQUAL(mt_matcher_test(m, &view), t[i].want);
	}
	CU_ASSERT_EQUAL(mt_matcher_keys(m, &other), 0x1);
	CU_ASSERT_TRUE(other);
	mt_matcher_free(m);

	m = mt_matcher_compile(&kv_codec, NULL, 0, err, sizeof(err));
	kv_view(&view, "");
	CU_ASSERT_TRUE(mt_matcher_test(m, &view));
	CU_ASSERT_EQUAL(mt_matcher_keys(m, &other), 0);
	CU_ASSERT_FALSE(other);
	mt_matcher_free(m);

	mt_matcher_str(defs, 2, words, sizeof(words));
	CU_ASSERT_STRING_EQUAL(words, "Method exact get, USER prefix J");
	CU_ASSERT_EQUAL(mt_matcher_str(defs, 2, words, 10), 31);
	CU_ASSERT_STRING_EQUAL(words, "Method ex");
	mt_matcher_str(defs, 0, words, sizeof(words));
	CU_ASSERT_STRING_EQUAL(words, "*");
}

static void test_bad(void)
{
	static const struct {
		struct mt_matcher_def def;
		const char *says;
	} t[] = {
		{{.key = "k", REGEX, .value = "a(b"}, "missing ): a(b"},
		{{.key = "k", REGEX, .value = "(?=x)"}, "bad regex"},
		{{.key = "k", REGEX, .value = "a{1000}{1000}"}, "bad regex"},
		{{.key = "", EXACT, .value = "x"}, "needs a key"},
		{{.key = NULL, EXACT, .value = "x"}, "needs a key"},
	};
	char err[256];

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_matcher_def defs[] = {{.key = "a", REGEX, .value = "x+"}, t[i].def};

		CU_ASSERT_PTR_NULL(mt_matcher_compile(&kv_codec, defs, 2, err, sizeof(err)));
		CU_ASSERT_PTR_NOT_NULL(strstr(err, t[i].says));
	}
}

const struct mt_test match_tests[] = {
	{"every condition", test_conditions},
	{"any bytes", test_bytes},
	{"the longest value", test_longest_value},
	{"lists, names without case, words", test_lists},
	{"what does not compile", test_bad},
	{0},
};
