/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "mt_log.h"
#include "mt_quoted.h"
#include "suites.h"

static const struct {
	const char *text, *want;
} rows[] = {
	{"", ""},
	{"plain text", "plain text"},
	{"a\nb\tc", "a\\nb\\tc"},
	{"\x1b[2J\x7f", "\\x1b[2J\\x7f"},
	{"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
	{"\xe2\x82\xac \xf0\x9f\x99\x82", "\xe2\x82\xac \xf0\x9f\x99\x82"},
	/* CSI (U+009B) as UTF-8 and bare, also behind another byte that is no UTF-8 */
	{"\xc2\x9b", "\\xc2\\x9b"},
	{"\x9b", "\\x9b"},
	{"\xff\x9b", "\\xff\\x9b"},
	/* characters cut short */
	{"\xe2\x82", "\\xe2\\x82"},
	{"\xf0\x9f\x99!", "\\xf0\\x9f\\x99!"},
	/* longer than needed, half of a pair, beyond the last character: no UTF-8 either (RFC 3629 section 3) */
	{"\xe0\x9f\xbf", "\\xe0\\x9f\\xbf"},
	{"\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf"},
	{"\xed\xa0\x80", "\\xed\\xa0\\x80"},
	{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
	{"\xed\x9f\xbf\xf4\x8f\xbf\xbf", "\xed\x9f\xbf\xf4\x8f\xbf\xbf"},
};

static void what_terminals_obey(void)
{
	char out[64];

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		CU_ASSERT_EQUAL(mt_escape(out, sizeof(out), rows[i].text), strlen(rows[i].want));
		CU_ASSERT_STRING_EQUAL(out, rows[i].want);
	}
}

static void what_fits(void)
{
	char out[6];

	CU_ASSERT_EQUAL(mt_escape(out, sizeof(out), "ab\x1b!"), 2);
	CU_ASSERT_STRING_EQUAL(out, "ab");
	CU_ASSERT_EQUAL(mt_escape(out, sizeof(out), "abc\xe2\x82\xac"), 3);
	CU_ASSERT_STRING_EQUAL(out, "abc");
}

static const struct {
	const char *text, *want;
} quoted_rows[] = {
	{"", "\"\""},
	{"plain text: #", "\"plain text: #\""},
	{"a\"b\\c", "\"a\\\"b\\\\c\""},
	{"a\nb\r\x1b\x7f", "\"a\\x0ab\\x0d\\x1b\\x7f\""},
	/* U+0085, U+2028 and U+2029 end a line of YAML. */
	{"a\xc2\x85"
	 "b\xe2\x80\xa8"
	 "c\xe2\x80\xa9",
		"\"a\\u0085b\\u2028c\\u2029\""},
	{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x99\x82",
		"\"gr\\u00fc\\u00df \\u20ac \\U0001f642\""},
	/* Bytes that are not UTF-8, and characters that are cut short. */
	{"\xff\x80 \xc1", "\"\\xff\\x80 \\xc1\""},
	{"\xe2\x82", "\"\\xe2\\x82\""},
	{"\xf0\x9f\x99!", "\"\\xf0\\x9f\\x99!\""},
};

static void ascii_alone(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(quoted_rows); i++) {
		char *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		CU_ASSERT_PTR_NOT_NULL_FATAL(f);
		mt_put_quoted(f, quoted_rows[i].text);
		fclose(f);
		CU_ASSERT_STRING_EQUAL(text, quoted_rows[i].want);
		free(text);
	}
}

const struct mt_test escape_tests[] = {{"what terminals obey", what_terminals_obey},
	{"what fits", what_fits}, {"ascii_alone", ascii_alone}, {0}};
