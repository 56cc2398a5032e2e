/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "mt_log.h"
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

const struct mt_test escape_tests[] = {
	{"what terminals obey", what_terminals_obey}, {"what fits", what_fits}, {0}};
