/* SPDX-License-Identifier: Apache-2.0 */
/* Which bytes are a character. */
#include "mt_log.h"
#include "mt_utf8.h"
#include "suites.h"

#include <string.h>

static const struct {
	const char *text;
	uint32_t len; /* of the first character */
	bool seen;    /* by people */
} rows[] = {
	{"", 0, false},
	{"a", 1, false},
	{"\x7f", 1, false},
	{"\x80", 0, false},
	{"\xc1\xbf", 0, false},
	{"\xc2\x80", 2, false},
	{"\xc2\x9f", 2, false},
	{"\xc2\xa0", 2, true},
	{"\xdf\xbf!", 2, true},
	{"\xe0\x9f\xbf", 0, false},
	{"\xe0\xa0\x80", 3, true},
	{"\xed\x9f\xbf", 3, true},
	{"\xed\xa0\x80", 0, false},
	{"\xe2\x82", 0, false},
	{"\xe2\x82!", 0, false},
	{"\xf0\x8f\xbf\xbf", 0, false},
	{"\xf0\x90\x80\x80", 4, true},
	{"\xf4\x8f\xbf\xbf", 4, true},
	{"\xf4\x90\x80\x80", 0, false},
	{"\xf5\x80\x80\x80", 0, false},
};

static void characters(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const char *t = rows[i].text;
		size_t n = strlen(t);

		CU_ASSERT_EQUAL(mt_utf8_char((const uint8_t *)t, n), rows[i].len);
		if (n)
			CU_ASSERT_EQUAL(mt_utf8_len(t, n), rows[i].seen ? rows[i].len : 0);
	}
}

static struct mt_slice slice(const char *text, uint32_t len)
{
	return (struct mt_slice){(const uint8_t *)text, len};
}

static void texts(void)
{
	CU_ASSERT(mt_is_utf8((struct mt_slice){NULL, 0}));
	CU_ASSERT(mt_is_utf8(slice("a\0b", 3)));
	CU_ASSERT(!mt_is_utf8(slice("a\xff", 2)));
	CU_ASSERT(mt_is_protobuf_text((struct mt_slice){NULL, 0}));
	CU_ASSERT(mt_is_protobuf_text(slice("a\xc2\x85\xe2\x82\xac", 6)));
	CU_ASSERT(!mt_is_protobuf_text(slice("a\0b", 3)));
	CU_ASSERT(!mt_is_protobuf_text(slice("\xe2\x82\xac", 2)));
}

const struct mt_test utf8_tests[] = {{"characters", characters}, {"texts", texts}, {0}};
