/* SPDX-License-Identifier: Apache-2.0 */
/* Varints of each length. */
#include "mt_varint.h"
#include "suites.h"

#include <string.h>

static const struct {
	uint64_t v;
	uint32_t len;
	const char *bytes;
} rows[] = {
	{0, 1, "\0"},
	{0x7f, 1, "\x7f"},
	{0x80, 2, "\x80\x01"},
	{300, 2, "\xac\x02"},
	{0x3fff, 2, "\xff\x7f"},
	{0x4000, 3, "\x80\x80\x01"},
	{UINT32_MAX, 5, "\xff\xff\xff\xff\x0f"},
	{UINT64_MAX, MT_VARINT_MOST, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
};

static void written(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		uint8_t to[MT_VARINT_MOST];

		CU_ASSERT_EQUAL(mt_varint_len(rows[i].v), rows[i].len);
		CU_ASSERT_EQUAL_FATAL(mt_varint_put(to, rows[i].v), rows[i].len);
		CU_ASSERT_EQUAL(memcmp(to, rows[i].bytes, rows[i].len), 0);
	}
}

const struct mt_test varint_tests[] = {{"written", written}, {0}};
