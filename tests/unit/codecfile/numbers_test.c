/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers of a message that lies in one buffer, or in buffers of any size: their metadata, and what
 * a local reply keeps of them.
 */
#include "codecfile_test.h"

static const char doc[] =
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: numbers}\nspec:\n"
	"  calls: multiplexed\n  places:\n"
	"    total: {at: 0, size: 1}\n    id: {at: 1, size: 4}\n    big: {at: 5, size: 2}\n"
	"    little: {at: 7, size: 2, order: little}\n"
	"    below: {at: 9, size: 2, signed: true}\n"
	"    part: {at: 11, size: 2, mask: 0x0ff0}\n    wide: {at: 13, size: 8}\n"
	"    late: {at: 21, size: 2, default: 7}\n    last: {at: -1, size: 1}\n"
	"  frame: {length: total, min: 19, max: 255}\n  messages:\n"
	"  - {is: request, from: client}\n  - {is: reply, from: server}\n  id: id\n"
	"  metadata: {big: big, little: little, below: below, part: part, wide: wide, late: late,"
	" last: last, named: {place: big, names: {258: login}}}\n"
	"  localReplies:\n    codes: {default: 1}\n    write: [{hex: \"13\"}, {value: id, size: 4},"
	" {place: big}, {place: little}, {place: below}, {place: wide}]\n"
	"  samples: {from: client, is: request, hex: \"17 00000005 0102 0102 fffe abcd "
	"8000000000000001 0009\"}\n";

static void check(const struct mt_codec_table *t, const uint8_t *p, uint32_t n, const char *late,
	const char *last)
{
	const char *want[][2] = {{"big", "258"}, {"little", "513"}, {"below", "-2"},
		{"part", "3008"}, {"wide", "9223372036854775809"}, {"late", late}, {"last", last},
		{"named", "login"}};

	for (uint32_t piece = 1; piece <= n; piece++) {
		struct mt_seed flat = {0}, seed = {0};
		struct mt_chain c = {0};
		struct mt_msg msg;

		env_append(&c, p, n, piece);
		CU_ASSERT_EQUAL(env_decode(&t->codec, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
		for (uint32_t i = 0; i < sizeof(want) / sizeof(*want); i++)
			CU_ASSERT_STRING_EQUAL(
				env_meta(&t->codec, &msg, &c, want[i][0]), want[i][1]);
		mt_codec_table_seed(t, &msg, p, &flat);
		t->codec.correlate.save(&t->codec, &msg, &c, &seed);
		CU_ASSERT(flat.aux != 0 && memcmp(&flat, &seed, sizeof(seed)) == 0);
		mt_chain_free(&c);
	}
}

static void pieces(void)
{
	uint8_t request[] = {23, 0, 0, 0, 5, 1, 2, 1, 2, 0xff, 0xfe, 0xab, 0xcd, 0x80, 0, 0, 0, 0,
		0, 0, 1, 0, 9};
	const struct mt_codec_table *t;
	struct mt_region region;

	mt_region_init(&region, 0);
	t = file_compile(&region, doc);
	check(t, request, sizeof(request), "9", "9");
	/* A place behind the end has its default. */
	request[0] = sizeof(request) - 2;
	check(t, request, sizeof(request) - 2, "7", "1");
	mt_region_fini(&region);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

const struct mt_test number_tests[] = {{"pieces", pieces}, {0}};
