/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions on numbers: each message is taken if its condition holds, and otherwise refused,
 * whatever its buffers.
 */
#include "codecfile_test.h"

#include <stdio.h>

#define BIG	"{at: 2, size: 1}"
#define SIGNED	"{at: 2, size: 1, signed: true}"
#define WIDE	"{at: 2, size: 8, signed: true}"
#define LITTLE	"{at: 2, size: 2, order: little, signed: true}"
#define DECIMAL "{at: 2, to: 0, type: decimal}"
#define ZIGZAG	"{at: 2, type: zigzag}"
#define VARINT	"{at: 2, type: varint, signed: true}"
#define EIGHT	"{at: 2, size: 8}"
#define BACK	"{at: 2, size: 8, order: little}"

/* Containers; element `b` of them must be there. */
#define HEADERS "{at: 2, to: 0, holds: headers}\n    b: {in: number, find: b}"
#define WORDS	"{at: 2, to: 0, holds: words}\n    b: {in: number, find: 2}"
#define HAS_B	"{present: true}, b: {present: true}"

static const struct {
	const char *place, *condition;
	bool holds;
	uint8_t n, bytes[24];
} rows[] = {
	{BIG, "{min: 1}", true, 1, {0xff}},
	{BIG, "{max: 5}", false, 1, {0xff}},
	{SIGNED, "{min: 1}", false, 1, {0xff}},
	{SIGNED, "{min: 1}", false, 1, {0x80}},
	{SIGNED, "{min: 1}", false, 1, {0}},
	{SIGNED, "{min: 1}", true, 1, {1}},
	{SIGNED, "{max: 5}", true, 1, {0xff}},
	{SIGNED, "{max: 5}", true, 1, {0x80}},
	{SIGNED, "{max: 5}", false, 1, {6}},
	{SIGNED, "{min: -4, max: 4}", true, 1, {0xfc}},
	{SIGNED, "{min: -4, max: 4}", true, 1, {4}},
	{SIGNED, "{min: -4, max: 4}", false, 1, {0xfb}},
	{SIGNED, "{min: -4, max: 4}", false, 1, {5}},
	{SIGNED, "-1", true, 1, {0xff}},
	{SIGNED, "{not: -1}", false, 1, {0xff}},
	{SIGNED, "{mask: 0xf0, min: 1}", true, 1, {0xf1}},
	{WIDE, "{min: 1}", false, 8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
	{WIDE, "{max: 0}", true, 8, {0x80}},
	{LITTLE, "{max: -2}", true, 2, {0xfe, 0xff}},
	{LITTLE, "{max: -2}", false, 2, {0xff, 0xff}},
	{EIGHT, "{min: 1}", true, 8, {0x80}},
	{EIGHT, "{max: 5}", false, 8, {0x80}},
	{EIGHT, "{min: 18446744073709551615}", true, 8,
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
	{BACK, "{min: 1}", true, 8, {[7] = 0x80}},
	{BACK, "{max: 5}", false, 8, {[7] = 0x80}},
	{BACK, "{mask: 0xff, max: 5}", true, 8, {5, [7] = 0x80}},
	{DECIMAL, "{min: 1}", false, 2, "-1"},
	{DECIMAL, "{max: 5}", true, 2, "-1"},
	{DECIMAL, "{min: 1}", true, 19, "9223372036854775807"},
	{DECIMAL, "{max: 0}", true, 20, "-9223372036854775808"},
	/* Not numbers of 64 bits with a sign. */
	{DECIMAL, "{max: 5}", false, 19, "9223372036854775808"},
	{DECIMAL, "-1", false, 20, "18446744073709551615"},
	{DECIMAL, "1", false, 20, "-9223372036854775809"},
	{ZIGZAG, "{min: 0}", false, 1, {1}},
	{ZIGZAG, "{max: 0}", true, 1, {1}},
	{VARINT, "{max: 0}", true, 10,
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
	{"{in: body, find: 1, type: number}", "{min: 1}", false, 2, {0x10, 0xff}},
	{"{in: body, find: 1, type: number}", "{max: 0}", true, 2, {0x10, 0xff}},
	{"{in: body, find: 1, type: number}", "{min: 1}", true, 2, {0x10, 0x7f}},
	/* The bytes of `total`. */
	{"{at: 2, to: 0}", "{same: total}", true, 2, {0, 4}},
	{"{at: 2, to: 0}", "{same: total}", false, 2, {1, 4}},
	{"{at: 2, to: 0}", "{same: total}", false, 1, {0}},
	{"{at: 2, to: 0}", "{same: total}", false, 0, {0}},
	{"{at: 2, to: 0}", "{same: number}", true, 0, {0}},
	{"{at: 2, count: 2}", "{same: total}", true, 4, {0, 2, 0, 6}},
	{"{at: 4, size: 1}", "{same: total}", true, 1, {0}},
	/* Lines of a client that servers may read as others. */
	{HEADERS, HAS_B, true, 10, "a:1\r\nb:2\r\n"},
	{HEADERS, HAS_B, true, 8, "a:1\nb:2\n"},
	{HEADERS, HAS_B, false, 9, "a:1\nb:2\r\n"},
	{HEADERS, HAS_B, false, 9, "a:1\r\nb:2\n"},
	{HEADERS, HAS_B, true, 12, "a:1\r\nb:2\r\n\r\n"},
	{HEADERS, HAS_B, false, 12, "b:2\r\n\r\na:1\r\n"},
	{HEADERS, HAS_B, true, 5, "b:2\n\n"},
	{HEADERS, HAS_B, false, 8, "b:2\n\na:1"},
	{HEADERS, HAS_B, false, 4, "\nb:2"},
	{HEADERS, HAS_B, false, 4, "b :2"},
	{HEADERS, HAS_B, false, 6, ":1\nb:2"},
	{HEADERS, HAS_B, false, 8, "a\v:1\nb:2"},
	{WORDS, HAS_B, true, 4, "a b\r"},
	{WORDS, HAS_B, false, 5, "a b\r\n"},
	{WORDS, HAS_B, false, 4, "a b\n"},
	{WORDS, HAS_B, false, 3, "a\rb"},
	{WORDS, HAS_B, false, 5, "a b\0c"},
};

/* In buffers of `piece` bytes. */
static bool is_refused_in(const struct mt_codec *codec, const uint8_t *p, uint32_t piece)
{
	struct mt_chain c = {0};
	struct mt_msg msg;

	env_append(&c, p, p[1], piece);
	CU_ASSERT_EQUAL(env_decode(codec, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
	mt_chain_free(&c);
	return msg.refuse != 0;
}

static bool is_right(uint32_t i)
{
	char doc[1024];
	uint8_t bytes[32] = {0, (uint8_t)(2 + rows[i].n)};
	const struct mt_codec_table *t;
	struct mt_region region;
	struct mt_msg msg;
	bool right;

	mt_region_init(&region, 0);
	snprintf(doc, sizeof(doc),
		"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: conditions}\nspec:\n"
		"  calls: serial\n  places:\n    total: {at: 0, size: 2}\n"
		"    body: {at: 2, to: 0, holds: jce}\n    number: %s\n"
		"  frame: {length: total, min: 2, max: 100}\n  messages:\n"
		"  - {is: request, from: client}\n  - {is: reply, from: server}\n"
		"  check: {number: %s}\n",
		rows[i].place, rows[i].condition);
	t = file_compile(&region, doc);
	memcpy(bytes + 2, rows[i].bytes, rows[i].n);
	CU_ASSERT_PTR_NULL(mt_codec_table_decode(t, MT_DIR_DOWN, bytes, bytes[1], &msg));
	right = !msg.refuse == rows[i].holds;
	for (uint32_t piece = 0; piece < 3; piece++)
		right &= is_refused_in(&t->codec, bytes, piece) != rows[i].holds;
	mt_region_fini(&region);
	return right;
}

static void numbers(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		bool right = is_right(i);

		CU_ASSERT(right);
		if (!right)
			fprintf(stderr, "%s %s, row %u\n", rows[i].place, rows[i].condition, i);
	}
}

const struct mt_test condition_tests[] = {{"numbers", numbers}, {0}};
