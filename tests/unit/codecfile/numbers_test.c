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

/* ---- other forms ------------------------------------------------------------------------------ */

/* A message has its bytes after its length, in which `n` is a number. */
#define FORM(places)                                                                               \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: forms}\nspec:\n  calls: "        \
	"serial\n"                                                                                 \
	"  places:\n    total: {at: 0, size: 1}\n" places "  frame: {length: total, max: 255}\n"   \
	"  messages: [{is: request, from: client}, {is: reply, from: server}]\n"                   \
	"  metadata: {n: n}\n"
#define IN(holds, find, type)                                                                      \
	FORM("    body: {at: 1, to: 0, holds: " holds "}\n    n: {in: body, find: " find           \
	     ", type: " type "}\n")
#define DIGITS	    FORM("    n: {at: 1, size: 3, type: decimal}\n")
#define COUNT	    FORM("    n: {at: 1, count: 1, type: number}\n")
#define LEB	    FORM("    n: {at: 1, type: varint}\n")
#define JSON	    IN("json", "n", "number")
#define WORDS	    IN("words", "2", "decimal")
#define HEADS	    IN("headers", "n", "decimal")
#define LINES	    IN("{lines: {between: \"=\", end: \"\\n\"}}", "n", "decimal")
#define PAIRS	    IN("{pairs: {length: 1}}", "n", "number")
#define TLV	    IN("{tlv: {tag: 1, length: 1}}", "2", "number")
#define CHARS	    IN("hessian", "1", "decimal")
#define BYTES(text) text, sizeof(text) - 1

static const struct form {
	const char *doc, *bytes;
	uint32_t n;
	const char *value; /* "-": it is not there; NULL: a mistake of a client */
} forms[] = {
	{JSON, BYTES("{\"n\":7}"), "7"},
	{JSON, BYTES("{\"n\":-0}"), "0"},
	{JSON, BYTES("{\"n\":null}"), "-"},
	{JSON, BYTES("{\"m\":7}"), "-"},
	{JSON, BYTES("{\"n\":7.0}"), NULL},
	{JSON, BYTES("{\"n\":7e0}"), NULL},
	{JSON, BYTES("{\"n\":70e-1}"), NULL},
	{JSON, BYTES("{\"n\":\"7\"}"), NULL},
	{JSON, BYTES("{\"n\":\"\"}"), NULL},
	{JSON, BYTES("{\"n\":true}"), NULL},
	{JSON, BYTES("{\"n\":[7]}"), NULL},
	{JSON, BYTES("{\"n\":{\"n\":7}}"), NULL},
	{JSON, BYTES("{\"n\":18446744073709551623}"), NULL},
	{WORDS, BYTES("x 007"), "7"},
	{WORDS, BYTES("x"), "-"},
	{WORDS, BYTES("x +7"), NULL},
	{HEADS, BYTES("n: 7\r\n"), "7"},
	{HEADS, BYTES("n: +7\r\n"), NULL},
	{HEADS, BYTES("n:\r\n"), NULL},
	{HEADS, BYTES("n: 000000000000000000007\r\n"), NULL},
	{LINES, BYTES("n=7\n"), "7"},
	{LINES, BYTES("n= 7\n"), NULL},
	{LINES, BYTES("n=0x7\n"), NULL},
	{PAIRS, BYTES("\1n\2\0\7"), "7"},
	{PAIRS, BYTES("\1n\0"), NULL},
	{TLV, BYTES("\2\1\7"), "7"},
	{TLV, BYTES("\2\x9\0\0\0\0\0\0\0\0\7"), NULL},
	{CHARS, BYTES("\0017"), "7"},
	{CHARS, BYTES("\2+7"), NULL},
	{CHARS, BYTES("\x97"), NULL},
	{DIGITS, BYTES("007"), "7"},
	{DIGITS, BYTES("+07"), NULL},
	{DIGITS, BYTES("7"), "-"},
	{COUNT, BYTES("\2\0\7"), "7"},
	{COUNT, BYTES("\x9\0\0\0\0\0\0\0\0\7"), NULL},
	{LEB, BYTES("\x87\0"), "7"},
	{LEB, BYTES(""), "-"},
	{LEB, BYTES("\x87"), NULL},
	{LEB, BYTES("\x87\x80\x80\x80\x80\x80\x80\x80\x80\x80\0"), NULL},
};

static void form(const struct form *f, const struct mt_codec_table *t)
{
	for (uint32_t piece = 0; piece < 4; piece++) {
		uint8_t bytes[64] = {(uint8_t)(1 + f->n)};
		struct mt_chain c = {0};
		struct mt_msg msg;
		bool ok;

		memcpy(bytes + 1, f->bytes, f->n);
		env_append(&c, bytes, 1 + f->n, piece);
		ok = env_decode(&t->codec, MT_DIR_DOWN, &c, &msg) == MT_DECODE_DONE &&
		     (msg.refuse != 0) == !f->value;
		if (ok && f->value)
			ok = strcmp(env_meta(&t->codec, &msg, &c, "n"), f->value) == 0;
		CU_ASSERT(ok);
		if (!ok)
			fprintf(stderr, "row %u, in pieces of %u: refused %u, n is %s\n",
				(uint32_t)(f - forms), piece, msg.refuse,
				env_meta(&t->codec, &msg, &c, "n"));
		mt_chain_free(&c);
	}
}

/* Servers read numbers in forms that are none here, so that rules would not see them. */
static void other_forms(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(forms); i++) {
		const struct mt_codec_table *t;
		struct mt_region region;

		mt_region_init(&region, 0);
		t = file_compile(&region, forms[i].doc);
		if (t)
			form(&forms[i], t);
		mt_region_fini(&region);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

const struct mt_test number_tests[] = {{"pieces", pieces}, {"other forms", other_forms}, {0}};
