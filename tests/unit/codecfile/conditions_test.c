/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conditions: each message is taken if its condition holds, and otherwise refused, whatever its
 * buffers; of several rules the first that holds decides.
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

/* ---- several rules --------------------------------------------------------------------------- */

/* Rules with conditions on the same places, which are behind a counted part or in a container. */
#define RULES(calls, ids)                                                                          \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: rules}\nspec:\n"                 \
	"  calls: " calls "\n  places:\n    total: {at: 0, size: 2}\n    head: {at: 2, size: 4}\n" \
	"    name: {at: 6, count: 1}\n    kind: {after: name, size: 1}\n"                          \
	"    body: {after: kind, to: 0, holds: json}\n    user: {in: body, find: user}\n"          \
	"    called: {in: body, find: user.name}\n"                                                \
	"    number: {in: body, find: id, type: number}\n"                                         \
	"  frame: {length: total, max: 1000}\n  messages:\n"                                       \
	"  - {is: oneway, from: client, when: {kind: 1, name: a}}\n"                               \
	"  - {is: oneway, from: client, refuse: denied, when: {kind: 1, called: ann}}\n"           \
	"  - {is: request, from: client, refuse: denied, when: {kind: {min: 1, max: 2}, user: "    \
	"{present: true}}}\n"                                                                      \
	"  - {is: request, from: client, refuse: over_limit, when: {kind: {not: 1}, user: "        \
	"{present: true}}}\n"                                                                      \
	"  - {is: request, from: client, when: {kind: [1, 4], user: {present: false}}}\n"          \
	"  - {is: reply, from: server}\n" ids

static const char *const dialects[] = {RULES("serial", ""), RULES("multiplexed", "  id: head\n"),
	RULES("multiplexed", "  id: number\n"),
	/* Rules and checks share places, too. */
	RULES("multiplexed", "  id: number\n  check: {kind: {max: 4}, user: {not: joe}}\n")};

struct ruled {
	const char *name;
	uint8_t kind;
	const char *body;
	enum mt_msg_kind is;
	uint32_t refuse; /* 1 + the reason */
};

#define ANN	"{\"id\":7,\"user\":{\"name\":\"ann\"}}"
#define BOB	"{\"user\":{\"x\":1,\"name\":\"bob\"},\"id\":7}"
#define NO_USER "{\"id\":7,\"x\":{\"user\":1}}"

static const struct ruled ruled[] = {
	{"a", 1, ANN, MT_MSG_ONEWAY, 0},
	{"a", 1, NO_USER, MT_MSG_ONEWAY, 0},
	{"b", 1, ANN, MT_MSG_ONEWAY, 1 + MT_REPLY_DENIED},
	{"", 1, ANN, MT_MSG_ONEWAY, 1 + MT_REPLY_DENIED},
	{"a", 2, ANN, MT_MSG_REQUEST, 1 + MT_REPLY_DENIED},
	{"b", 1, BOB, MT_MSG_REQUEST, 1 + MT_REPLY_DENIED},
	{"b", 2, BOB, MT_MSG_REQUEST, 1 + MT_REPLY_DENIED},
	{"a", 3, ANN, MT_MSG_REQUEST, 1 + MT_REPLY_OVER_LIMIT},
	{"a long name", 4, BOB, MT_MSG_REQUEST, 1 + MT_REPLY_OVER_LIMIT},
	{"b", 1, NO_USER, MT_MSG_REQUEST, 0},
	{"a", 4, NO_USER, MT_MSG_REQUEST, 0},
};

static uint32_t make_ruled(const struct ruled *row, uint8_t *to)
{
	uint32_t name = (uint32_t)strlen(row->name), body = (uint32_t)strlen(row->body);
	uint32_t n = 8 + name + body;

	memcpy(to, (uint8_t[]){0, (uint8_t)n, 0, 0, 0, 7, (uint8_t)name}, 7);
	memcpy(to + 7, row->name, name);
	to[7 + name] = row->kind;
	memcpy(to + 8 + name, row->body, body);
	return n;
}

static bool is_ruled(
	const struct mt_codec *codec, const struct ruled *row, const struct mt_chain *c)
{
	struct mt_msg msg;

	return env_decode(codec, MT_DIR_DOWN, c, &msg) == MT_DECODE_DONE && msg.kind == row->is &&
	       msg.refuse == row->refuse;
}

/* Also with another id, and with its own again. */
static void by_rule(const struct mt_codec *codec, const struct ruled *row, uint32_t piece)
{
	uint8_t bytes[128];
	uint32_t n = make_ruled(row, bytes);
	struct mt_seed seed = {0};
	struct mt_chain c = {0};
	struct mt_msg msg;
	bool right;

	env_append(&c, bytes, n, piece);
	right = is_ruled(codec, row, &c);
	if (codec->id_max && !row->refuse) {
		env_decode(codec, MT_DIR_DOWN, &c, &msg);
		right &= msg.id == 7;
		codec->correlate.save(codec, &msg, &c, &seed);
		right &= mt_codec_set_id(codec, &msg, &c, codec->id_max, &env_pools) == 0;
		right &= is_ruled(codec, row, &c) && msg.id == codec->id_max;
		right &= mt_codec_restore_id(codec, &msg, &c, &seed, &env_pools) == 0;
		right &= env_equal(&c, bytes, n);
	}
	CU_ASSERT(right);
	if (!right)
		fprintf(stderr, "name %s, kind %u, %s, in pieces of %u\n", row->name, row->kind,
			row->body, piece);
	mt_chain_free(&c);
}

static void rules(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(dialects); i++) {
		const struct mt_codec *codec;
		struct mt_region region;

		mt_region_init(&region, 0);
		codec = &file_compile(&region, dialects[i])->codec;
		for (size_t k = 0; k < MT_ARRAY_LEN(ruled); k++)
			for (uint32_t piece = 0; piece < 4; piece++)
				by_rule(codec, &ruled[k], piece);
		mt_region_fini(&region);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* ---- metadata of one kind of calls ----------------------------------------------------------- */

#define KINDS(more)                                                                                \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: kinds}\nspec:\n"                 \
	"  calls: multiplexed\n  executes: named\n  places:\n    total: {at: 0, size: 2}\n"        \
	"    kind: {at: 2, size: 1}\n    user: {at: 3, size: 1}\n    id: {at: 4, size: 4}\n"       \
	"    labels: {at: 8, to: 0, holds: {pairs: {length: 1}}}\n"                                \
	"  frame: {length: total, max: 1000}\n  messages:\n"                                       \
	"  - {is: request, from: client, when: {kind: 1}}\n"                                       \
	"  - {is: oneway, from: client, when: {kind: 2}}\n"                                        \
	"  - {is: reply, from: server}\n  id: id\n" more

/* Clients choose the kind, so what only other calls have is unreadable in a call, and not absent. */
static void kinds_of_calls(void)
{
	static const struct {
		const char *doc, *key;
		bool request, oneway;
	} callers[] = {
		{KINDS("  metadata: {user: {place: user, for: request}}\n"), "user", false, true},
		{KINDS("  metadata: {user: {place: user, for: oneway}}\n"), "USER", true, false},
		{KINDS("  metadata: {user: {place: user, for: request}}\n"), "colour", false,
			false},
		{KINDS("  metadata: {user: user}\n"), "user", false, false},
		{KINDS("  metadata: {user: {place: user, for: reply}}\n"), "user", false, false},
		{KINDS("  search: {in: labels, for: request}\n"), "any", false, true},
		{KINDS("  search: {in: labels, for: [request, oneway]}\n"), "any", false, false},
		{KINDS("  metadata: {user: {place: user, for: request}}\n  search: labels\n"),
			"user", false, false},
		{KINDS("  metadata: {user: user}\n  search: {in: labels, for: request}\n"), "user",
			false, false},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(callers); i++) {
		const enum mt_msg_kind kinds[] = {MT_MSG_REQUEST, MT_MSG_ONEWAY};
		const struct mt_codec *codec;
		struct mt_region region;
		struct mt_key key;

		mt_region_init(&region, 0);
		codec = &file_compile(&region, callers[i].doc)->codec;
		key = mt_key_make_icase(codec, callers[i].key);
		for (size_t k = 0; k < 2; k++) {
			const struct mt_msg msg = {.kind = kinds[k]};
			bool lacks =
				codec->metadata.lacks && codec->metadata.lacks(codec, &msg, &key);

			CU_ASSERT_EQUAL(lacks, k ? callers[i].oneway : callers[i].request);
		}
		mt_region_fini(&region);
	}
}

const struct mt_test condition_tests[] = {{"numbers", numbers}, {"rules", rules},
	{"metadata of one kind of calls", kinds_of_calls}, {0}};
