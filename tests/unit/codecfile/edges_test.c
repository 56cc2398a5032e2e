/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids in each container, and lengths whose own width changes: messages as bytes before and after,
 * and messages of each size around the boundaries of their lengths, which are read here by hand.
 */
#include "codecfile_test.h"

#include <errno.h>
#include <stdio.h>

#define SPEC(places, frame)                                                                        \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: edges}\nspec:\n"                 \
	"  calls: multiplexed\n  places:\n" places "  frame: " frame "\n  messages:\n"             \
	"  - {is: request, from: client}\n  - {is: reply, from: server}\n  id: id\n"

/* 1,073,741,823 + 1: the least id where ids have no constant size; five bytes, ten digits. */
#define ID     (1u << 30)
#define VARINT "\x80\x80\x80\x80\x04"

#define BYTES(text) text, sizeof(text) - 1

#define NESTED                                                                                     \
	SPEC("    total: {at: 0, size: 1}\n    body: {at: 1, to: 0, holds: jce}\n"                 \
	     "    list: {in: body, find: 1, type: bytes, holds: {tlv: {tag: 1, length: 1, pad: "   \
	     "4}}}\n"                                                                              \
	     "    pb: {in: list, find: 5, holds: protobuf}\n"                                      \
	     "    id: {in: pb, find: 1, type: number}\n",                                          \
		"{length: total, max: 255}")

static const struct edge {
	const char *name, *doc;
	const char *before;
	uint32_t n_before;
	const char *after; /* NULL: the id cannot be written, and nothing changes */
	uint32_t n_after;
	bool back; /* the client's id makes it as before */
} edges[] = {
	{"protobuf",
		SPEC("    head: {at: 0, count: 1, holds: protobuf}\n"
		     "    id: {in: head, find: 3, type: number, default: 0}\n",
			"{end: head, max: 300}"),
		BYTES("\x06\x18\x01\x0a\x02zz"), BYTES("\x0a\x18" VARINT "\x0a\x02zz"), true},
	{"protobuf, missing",
		SPEC("    head: {at: 0, count: 1, holds: protobuf}\n"
		     "    id: {in: head, find: 3, type: number, default: 0}\n",
			"{end: head, max: 300}"),
		BYTES("\x04\x0a\x02zz"), BYTES("\x0a\x0a\x02zz\x18" VARINT), false},
	{"protobuf, nested and missing",
		SPEC("    head: {at: 0, count: 1, holds: protobuf}\n"
		     "    id: {in: head, find: 2.1.3, type: number, default: 0}\n",
			"{end: head, max: 300}"),
		BYTES("\x00"), BYTES("\x0a\x12\x08\x0a\x06\x18" VARINT), false},
	{"protobuf, fixed32",
		SPEC("    head: {at: 0, count: 1, holds: protobuf}\n"
		     "    id: {in: head, find: 3, type: fixed, default: 0}\n",
			"{end: head, max: 300}"),
		BYTES("\x00"), BYTES("\x05\x1d\x00\x00\x00\x40"), false},
	{"jce, in the order of tags",
		SPEC("    body: {at: 1, to: 0, holds: jce}\n    total: {at: 0, size: 1}\n"
		     "    id: {in: body, find: 4, type: number, default: 0}\n",
			"{length: total, max: 255}"),
		BYTES("\x06\x10\x01\x56\x01z"), BYTES("\x0b\x10\x01\x42\x40\x00\x00\x00\x56\x01z"),
		false},
	{"jce, a tag above 14 in a struct",
		SPEC("    body: {at: 1, to: 0, holds: jce}\n    total: {at: 0, size: 1}\n"
		     "    id: {in: body, find: 0.16, type: number}\n",
			"{length: total, max: 255}"),
		BYTES("\x07\x0a\xf0\x10\x07\x0b\x1c"),
		BYTES("\x0a\x0a\xf2\x10\x40\x00\x00\x00\x0b\x1c"), true},
	{"tlv, wider",
		SPEC("    body: {at: 0, count: 1, holds: {tlv: {tag: 1, length: 1}}}\n"
		     "    id: {in: body, find: 7, type: number}\n",
			"{end: body, max: 255}"),
		BYTES("\x07\x07\x02\x00\x09\x01\x01x"),
		BYTES("\x09\x07\x04\x40\x00\x00\x00\x01\x01x"), false},
	{"tlv, aligned, with the length of the element",
		SPEC("    body: {at: 0, count: 1, holds: {tlv: {tag: 1, length: 1, counts: "
		     "element, pad: 4}}}\n"
		     "    id: {in: body, find: 7, type: number}\n",
			"{end: body, max: 255}"),
		BYTES("\x07\x07\x03\x09\x00\x01\x03x"),
		BYTES("\x0b\x07\x06\x40\x00\x00\x00\x00\x00\x01\x03x"), false},
	{"tlv, missing",
		SPEC("    body: {at: 0, count: 1, holds: {tlv: {tag: 1, length: 1, pad: 4}}}\n"
		     "    id: {in: body, find: 7, type: number, default: 0}\n",
			"{end: body, max: 255}"),
		BYTES("\x03\x01\x01x"), BYTES("\x0c\x01\x01x\x00\x07\x04\x40\x00\x00\x00\x00\x00"),
		false},
	{"pairs",
		SPEC("    map: {at: 0, count: 1, holds: {pairs: {length: 1}}}\n"
		     "    id: {in: map, find: id, type: decimal}\n",
			"{end: map, max: 255}"),
		BYTES("\x08\x02id\x01\x37\x01k\x00"),
		BYTES("\x11\x02id\x0a\x31\x30\x37\x33\x37\x34\x31\x38\x32\x34\x01k\x00"), true},
	{"pairs, missing",
		SPEC("    map: {at: 0, count: 1, holds: {pairs: {length: 1}}}\n"
		     "    id: {in: map, find: id, type: decimal, default: 0}\n",
			"{end: map, max: 255}"),
		BYTES("\x03\x01k\x00"),
		BYTES("\x11\x01k\x00\x02id\x0a\x31\x30\x37\x33\x37\x34\x31\x38\x32\x34"), false},
	{"lines, missing",
		SPEC("    map: {at: 0, count: 1, holds: {lines: {between: \"=\", end: \"\\n\"}}}\n"
		     "    id: {in: map, find: id, type: decimal, default: 0}\n",
			"{end: map, max: 255}"),
		BYTES("\x03k=v"), BYTES("\x11k=v\nid=1073741824"), false},
	{"headers, missing",
		SPEC("    head: {at: 0, until: \"\\r\\n\\r\\n\", holds: headers}\n"
		     "    id: {in: head, find: Id, type: decimal, default: 0}\n",
			"{end: head, max: 255}"),
		BYTES("GET /\r\nA: b\r\n\r\n"), BYTES("GET /\r\nA: b\r\nId: 1073741824\r\n\r\n"),
		false},
	{"json, missing",
		SPEC("    line: {at: 0, until: \"\\n\", holds: json}\n"
		     "    id: {in: line, find: id, type: number, default: 0}\n",
			"{end: line, max: 255}"),
		BYTES(" { \"a\":1}\n"), BYTES(" {\"id\":1073741824, \"a\":1}\n"), false},
	{"json, negative",
		SPEC("    line: {at: 0, until: \"\\n\", holds: json}\n"
		     "    id: {in: line, find: id, type: number}\n",
			"{end: line, max: 255}"),
		BYTES("{\"id\":-5,\"a\":1}\n"), BYTES("{\"id\":1073741824,\"a\":1}\n"), true},
	{"digits of constant size, negative",
		SPEC("    id: {at: 0, size: 11, type: decimal}\n", "{size: 12, max: 12}"),
		BYTES("-0000000005z"), BYTES("01073741824z"), true},
	{"json in pairs",
		SPEC("    map: {at: 0, count: 2, holds: {pairs: {length: 1}}}\n"
		     "    json: {in: map, find: j, holds: json}\n"
		     "    id: {in: json, find: a.id, type: number}\n",
			"{end: map, max: 255}"),
		BYTES("\x00\x11\x01j\x0e{\"a\":{\"id\":7}}"),
		BYTES("\x00\x1a\x01j\x17{\"a\":{\"id\":1073741824}}"), true},
	{"protobuf in tlv, aligned, in jce", NESTED,
		BYTES("\x0d\x1d\x00\x00\x08\x05\x02\x08\x07\x06\x02zz"),
		BYTES("\x11\x1d\x00\x00\x0c\x05\x06\x08" VARINT "\x06\x02zz"), true},
	{"protobuf in tlv, aligned, instead of what fills it up", NESTED,
		BYTES("\x11\x1d\x00\x00\x0c\x05\x04\x08\xac\x82\x02\x00\x00\x06\x02zz"),
		BYTES("\x11\x1d\x00\x00\x0c\x05\x06\x08" VARINT "\x06\x02zz"), true},
	{"a length in words of four bytes, by four",
		SPEC("    words: {at: 0, size: 1}\n    id: {at: 1, type: varint}\n",
			"{length: words, unit: 4, max: 255}"),
		BYTES("\x01\x07zz"), BYTES("\x02" VARINT "zz"), true},
	{"a length in words of four bytes, by three",
		SPEC("    words: {at: 0, size: 1}\n    id: {at: 1, type: varint}\n",
			"{length: words, unit: 4, max: 255}"),
		BYTES("\x01\x87\x01z"), NULL, 0, false},
	{"a part of constant size",
		SPEC("    all: {at: 0, size: 8, holds: protobuf}\n"
		     "    id: {in: all, find: 1, type: number}\n",
			"{size: 8, max: 8}"),
		BYTES("\x08\x07\x12\x04zzzz"), NULL, 0, false},
	{"a length with other bits",
		SPEC("    total: {at: 0, size: 2, mask: 0x0fff}\n    id: {at: 2, type: varint}\n",
			"{length: total, max: 4095}"),
		BYTES("\x70\x03\x07"), BYTES("\x70\x07" VARINT), true},
	{"little, signed",
		SPEC("    total: {at: 0, size: 2, order: little, signed: true}\n"
		     "    id: {at: 2, type: zigzag}\n",
			"{length: total, max: 4095}"),
		BYTES("\x03\x00\x07"), BYTES("\x07\x00\x80\x80\x80\x80\x08"), true},
	{"a decimal of constant size",
		SPEC("    total: {at: 0, size: 3, type: decimal}\n    id: {at: 3, type: varint}\n",
			"{length: total, max: 4095}"),
		BYTES("008\x07zzzz"), BYTES("012" VARINT "zzzz"), true},
	{"a repeated length",
		SPEC("    total: {at: 0, size: 1}\n    part: {at: 2, count: 1, holds: protobuf}\n"
		     "    id: {in: part, find: 1, type: number}\n",
			"{length: total, max: 255}"),
		BYTES("\x05\x00\x02\x08\x07"), BYTES("\x09\x00\x06\x08" VARINT), true},
};

static void fail(const struct edge *e, const char *what)
{
	CU_FAIL("an edge");
	fprintf(stderr, "%s: %s\n", e->name, what);
}

static void print(const struct mt_chain *c)
{
	uint8_t b[512];

	mt_chain_read(c, 0, b, c->len);
	for (uint32_t i = 0; i < c->len; i++)
		fprintf(stderr, "%02x ", b[i]);
	fputc('\n', stderr);
}

static void one_edge(const struct edge *e, uint32_t piece)
{
	const struct mt_codec *codec;
	struct mt_region region;
	struct mt_chain c = {0};
	struct mt_seed seed = {0};
	struct mt_msg msg;
	int rc;

	mt_region_init(&region, 0);
	codec = &file_compile(&region, e->doc)->codec;
	env_append(&c, (const uint8_t *)e->before, e->n_before, piece);
	if (env_decode(codec, MT_DIR_DOWN, &c, &msg) != MT_DECODE_DONE || msg.refuse)
		fail(e, "not decoded");
	codec->correlate.save(codec, &msg, &c, &seed);
	rc = mt_codec_set_id(codec, &msg, &c, ID, &env_pools);
	if (rc != (e->after ? 0 : -ENOTSUP))
		fail(e, strerror(-rc));
	if (!env_equal(&c, (const uint8_t *)(e->after ? e->after : e->before),
		    e->after ? e->n_after : e->n_before)) {
		fail(e, "other bytes");
		print(&c);
	}
	if (e->back && (mt_codec_restore_id(codec, &msg, &c, &seed, &env_pools) ||
			       !env_equal(&c, (const uint8_t *)e->before, e->n_before)))
		fail(e, "not as before");
	mt_chain_free(&c);
	mt_region_fini(&region);
}

static void containers(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(edges); i++) {
		one_edge(&edges[i], 0);
		one_edge(&edges[i], 1);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* ---- lengths that change their own width ------------------------------------------------------ */

struct bytes {
	uint8_t b[70000];
	uint32_t n;
};

static bool equal(const struct mt_chain *c, const struct bytes *m)
{
	static uint8_t b[sizeof(m->b)];

	if (c->len != m->n)
		return false;
	mt_chain_read(c, 0, b, m->n);
	return memcmp(b, m->b, m->n) == 0;
}

static void add_varint(struct bytes *m, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		m->b[m->n++] = (uint8_t)(v | 0x80);
	m->b[m->n++] = (uint8_t)v;
}

static void add_fill(struct bytes *m, uint32_t n)
{
	memset(m->b + m->n, 'z', n);
	m->n += n;
}

static uint32_t varint_size(uint64_t v)
{
	return v < 0x80 ? 1 : v < 0x4000 ? 2 : 3;
}

/* field 2 { field 1: `fill` bytes; field 3: id } */
static void nested(struct bytes *m, uint32_t fill, uint64_t id)
{
	struct bytes in = {.n = 0};

	add_varint(&in, 1 << 3 | 2);
	add_varint(&in, fill);
	add_fill(&in, fill);
	add_varint(&in, 3 << 3);
	add_varint(&in, id);
	m->n = 0;
	add_varint(m, 2 << 3 | 2);
	add_varint(m, in.n);
	memcpy(m->b + m->n, in.b, in.n);
	m->n += in.n;
}

/* A total that counts itself, as a varint, before such a message. */
static void with_total(struct bytes *m, uint32_t fill, uint64_t id)
{
	static struct bytes body;
	uint32_t total;

	nested(&body, fill, id);
	total = body.n + 1;
	total += varint_size(total) - 1;
	if (varint_size(total) != total - body.n)
		total++;
	m->n = 0;
	add_varint(m, total);
	memcpy(m->b + m->n, body.b, body.n);
	m->n += body.n;
}

/* The total as decimal digits, which it counts, then the id and `fill` bytes. */
static void with_digits(struct bytes *m, uint32_t fill, uint64_t id)
{
	char text[64];
	uint32_t rest = (uint32_t)snprintf(text, sizeof(text), " %llu ", (unsigned long long)id);
	uint32_t total = rest + fill + 1;

	for (uint32_t i = 0; i < 4; i++)
		total = rest + fill + 1 + (uint32_t)snprintf(NULL, 0, "%u", total);
	m->n = (uint32_t)sprintf((char *)m->b, "%u %llu ", total, (unsigned long long)id);
	add_fill(m, fill);
	m->b[m->n++] = '\n';
}

static void check_sizes(const char *doc, void (*make)(struct bytes *m, uint32_t fill, uint64_t id),
	uint32_t from, uint32_t to)
{
	static struct bytes before, after;
	const struct mt_codec *codec;
	struct mt_region region;

	mt_region_init(&region, 0);
	codec = &file_compile(&region, doc)->codec;
	for (uint32_t fill = from; fill < to; fill++) {
		struct mt_chain c = {0};
		struct mt_seed seed = {0};
		struct mt_msg msg;

		make(&before, fill, 5);
		make(&after, fill, ID);
		env_append(&c, before.b, before.n, fill % 3 ? 0 : 50);
		CU_ASSERT_EQUAL(env_decode(codec, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
		codec->correlate.save(codec, &msg, &c, &seed);
		CU_ASSERT_EQUAL(mt_codec_set_id(codec, &msg, &c, ID, &env_pools), 0);
		CU_ASSERT(equal(&c, &after));
		CU_ASSERT_EQUAL(mt_codec_restore_id(codec, &msg, &c, &seed, &env_pools), 0);
		CU_ASSERT(equal(&c, &before));
		mt_chain_free(&c);
	}
	mt_region_fini(&region);
}

static void boundaries(void)
{
	static const char varint[] =
		SPEC("    total: {at: 0, type: varint}\n"
		     "    head: {after: total, to: 0, holds: protobuf}\n"
		     "    id: {in: head, find: 2.3, type: number, default: 0}\n",
			"{length: total, max: 100000}");
	static const char digits[] =
		SPEC("    line: {at: 0, until: \"\\n\", max: 20000, holds: words}\n"
		     "    total: {in: line, find: 1, type: decimal}\n"
		     "    id: {in: line, find: 2, type: decimal}\n",
			"{length: total, max: 100000}");

	check_sizes(varint, with_total, 90, 140);
	check_sizes(varint, with_total, 16350, 16400);
	check_sizes(digits, with_digits, 0, 120);
	check_sizes(digits, with_digits, 960, 1010);
	check_sizes(digits, with_digits, 9960, 10010);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* A head of 65,535 bytes at most; the id needs four more than it has. */
static void too_long(void)
{
	static const char doc[] = SPEC("    size: {at: 0, size: 2}\n"
				       "    head: {at: 2, length: size, holds: protobuf}\n"
				       "    id: {in: head, find: 3, type: number}\n",
		"{length: size, add: 2, max: 100000}");
	static struct bytes m;
	const struct mt_codec *codec;
	struct mt_region region;

	mt_region_init(&region, 0);
	codec = &file_compile(&region, doc)->codec;
	for (uint32_t size = 65525; size <= 65535; size++) {
		struct mt_chain c = {0};
		struct mt_msg msg;
		int rc;

		m.b[0] = (uint8_t)(size >> 8);
		m.b[1] = (uint8_t)size;
		m.n = 2;
		add_varint(&m, 3 << 3);
		add_varint(&m, 5);
		add_varint(&m, 99 << 3 | 2);
		add_varint(&m, size - 7);
		add_fill(&m, size - 7);
		env_append(&c, m.b, m.n, 0);
		CU_ASSERT_EQUAL(m.n, size + 2);
		CU_ASSERT_EQUAL(env_decode(codec, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
		CU_ASSERT_EQUAL(msg.refuse, 0);
		rc = mt_codec_set_id(codec, &msg, &c, ID, &env_pools);
		CU_ASSERT_EQUAL(rc, size + 4 <= 65535 ? 0 : -ENOTSUP);
		if (rc)
			CU_ASSERT(equal(&c, &m) && msg.len == m.n && msg.id == 5);
		mt_chain_free(&c);
	}
	mt_region_fini(&region);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/*
 * Metadata that are longer than Meltemi reads: the message is refused, because policies would find
 * nothing there, also if only a part of the text is the value.
 */
static void long_metadata(void)
{
	static const char *const docs[] = {
		SPEC("    size: {at: 0, size: 2}\n    id: {at: 2, size: 4}\n"
		     "    name: {at: 6, length: size}\n",
			"{end: name, max: 100000}") "  metadata: {name: name}\n",
		SPEC("    size: {at: 0, size: 2}\n    id: {at: 2, size: 4}\n"
		     "    name: {at: 6, length: size}\n",
			"{end: name, max: 100000}") "  metadata: {name: {place: name, split: "
						    "\"?\"}}\n"};
	static struct bytes m;

	for (uint32_t i = 0; i < 2 * MT_ARRAY_LEN(docs); i++) {
		uint32_t size = MT_META_SCRATCH + i % 2;
		struct mt_chain c = {0};
		struct mt_region region;
		struct mt_msg msg;

		mt_region_init(&region, 0);
		m.n = 0;
		m.b[m.n++] = (uint8_t)(size >> 8);
		m.b[m.n++] = (uint8_t)size;
		memcpy(m.b + m.n, "\0\0\0\7", 4);
		m.n += 4;
		add_fill(&m, size);
		m.b[9] = '?';
		env_append(&c, m.b, m.n, 0);
		CU_ASSERT_EQUAL(env_decode(&file_compile(&region, docs[i / 2])->codec, MT_DIR_DOWN,
					&c, &msg),
			MT_DECODE_DONE);
		CU_ASSERT_EQUAL(msg.refuse, i % 2 ? 1 + MT_REPLY_TOO_LARGE : 0);
		mt_chain_free(&c);
		mt_region_fini(&region);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/*
 * Entries that end beyond 64 KiB: the message is forwarded, but policies and routes that search them
 * learn that they were not read.
 */
static void far_entries(void)
{
	static const char doc[] =
		SPEC("    size: {at: 0, size: 4}\n    id: {at: 4, size: 4}\n"
		     "    body: {at: 8, length: size}\n"
		     "    labels: {after: body, count: 2, holds: {pairs: {length: 2}}}\n",
			"{end: labels, max: 100000}") "  search: labels\n";
	static const uint8_t labels[] = "\0\13\0\4user\0\3ann";
	static struct bytes m;
	const struct mt_codec *codec;
	struct mt_region region;

	mt_region_init(&region, 0);
	codec = &file_compile(&region, doc)->codec;
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t size = MT_CT_LEAD - 8 - (sizeof(labels) - 1) + i;
		struct mt_metadata *meta = env_index();
		struct mt_chain c = {0};
		struct mt_msg msg;

		memcpy(m.b,
			(uint8_t[]){0, (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size,
				0, 0, 0, 7},
			8);
		m.n = 8;
		add_fill(&m, size);
		memcpy(m.b + m.n, labels, sizeof(labels) - 1);
		m.n += sizeof(labels) - 1;
		env_append(&c, m.b, m.n, 0);
		CU_ASSERT_EQUAL(env_decode(codec, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
		CU_ASSERT(msg.refuse == 0 && msg.id == 7 && msg.len == m.n);
		CU_ASSERT_STRING_EQUAL(env_meta(codec, &msg, &c, "user"), i ? "-" : "ann");
		mt_meta_read(meta, codec, &msg, &c);
		CU_ASSERT_EQUAL(meta->state, i ? MT_META_TOO_LARGE : MT_META_READ);
		mt_chain_free(&c);
	}
	mt_region_fini(&region);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* ---- bytes behind the end -------------------------------------------------------------------- */

#define TRAILER                                                                                    \
	SPEC("    total: {at: 0, size: 1}\n    id: {at: 1, size: 4}\n"                             \
	     "    name: {at: 5, count: 1}\n    flags: {after: name, size: 1}\n",                   \
		"{length: total, also: {when: {flags: {mask: 1, is: 1}}, add: 4}, max: 255}")
#define LAST                                                                                       \
	SPEC("    id: {at: 0, size: 4}\n    name: {at: 4, count: 1}\n"                             \
	     "    total: {after: name, size: 1}\n",                                                \
		"{length: total, max: 255}")
#define TEXT(is)                                                                                   \
	SPEC("    total: {at: 0, size: 1}\n    id: {at: 1, size: 4}\n"                             \
	     "    name: {at: 5, count: 1}\n",                                                      \
		"[{when: {name: " is "}, length: total, add: 2, max: 255}, {length: total, max: "  \
		"255}]")
#define NUMERAL                                                                                    \
	SPEC("    total: {at: 0, size: 1}\n    id: {at: 1, size: 4}\n"                             \
	     "    more: {at: 5, type: varint}\n",                                                  \
		"[{when: {more: {present: false}}, length: total, add: 1, max: 255}, {length: "    \
		"total, max: 255}]")
#define LINE                                                                                       \
	SPEC("    total: {at: 0, size: 1}\n    id: {at: 1, size: 4}\n"                             \
	     "    name: {at: 5, until: \"\\r\\n\"}\n",                                             \
		"[{when: {name: ab}, length: total, add: 2, max: 255}, {length: total, max: "      \
		"255}]")
#define FAR                                                                                        \
	SPEC("    id: {at: 0, size: 4}\n    far: {at: 12, size: 1}\n",                             \
		"[{when: {far: 5}, size: 16, max: 16}, {size: 8, max: 8}]")
/* What a variant before has read says nothing. */
#define VARIANTS                                                                                   \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: edges}\nspec:\n"                 \
	"  calls: multiplexed\n  variants:\n"                                                      \
	"  - places: {id: {at: 0, size: 4}, far: {at: 12, size: 1}}\n    match: {far: 5}\n"        \
	"    frame: {size: 16, max: 16}\n    messages: &messages\n"                                \
	"    - {is: request, from: client}\n    - {is: reply, from: server}\n    id: id\n"         \
	"  - places: {id: {at: 0, size: 4}}\n    frame: {size: 8, max: 8}\n"                       \
	"    messages: *messages\n    id: id\n"

#define ZEROS "\0\0\0\0\0\0\0\0"

static const struct behind {
	const char *doc, *bytes;
	uint32_t n, len; /* len 0: the connection ends */
} behinds[] = {
	{TRAILER, BYTES("\x08\0\0\0\7\2ab\x09\0\0\0\x08\2cd\0"), 0},
	{TRAILER, BYTES("\x08\0\0\0\7\2ab\x08\0\0\0\x08\2cd\0"), 0},
	{TRAILER, BYTES("\x09\0\0\0\7\2ab\0\x09\0\0\0\x08\2cd\0"), 9},
	{TRAILER, BYTES("\x09\0\0\0\7\2ab\1crc!\x09\0\0\0"), 13},
	{LAST, BYTES("\0\0\0\7\2ab\7\0\0\0\7"), 0},
	{LAST, BYTES("\0\0\0\7\2ab\x08\0\0\0\7"), 8},
	/* The text has these bytes, or would be longer than the message. */
	{TEXT("ab"), BYTES("\5\0\0\0\7\2ab\0\0\0\0"), 0},
	{TEXT("ab"), BYTES("\x08\0\0\0\7\2abcd\0\0"), 10},
	{TEXT("ab"), BYTES("\x08\0\0\0\7\2cdef\0\0"), 8},
	{TEXT("{not: ab}"),
		BYTES("\x08\0\0\0\7\x40"
		      "ab\0\0\0\0"),
		0},
	{TEXT("{present: true}"), BYTES("\x05\0\0\0\7\2ab\0\0\0\0"), 0},
	{NUMERAL, BYTES("\6\0\0\0\7\x81\1" ZEROS ZEROS), 0},
	{NUMERAL, BYTES("\6\0\0\0\7\1" ZEROS ZEROS), 6},
	{NUMERAL, BYTES("\6\0\0\0\7\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" ZEROS), 0},
	/* A delimiter, too. */
	{LINE,
		BYTES("\x06\0\0\0\7"
		      "ab\r\n\0"),
		0},
	{LINE,
		BYTES("\x07\0\0\0\7"
		      "ab\r\n\0"),
		9},
	{LINE,
		BYTES("\x08\0\0\0\7"
		      "cd\r\n\0"),
		0},
	{LINE,
		BYTES("\x09\0\0\0\7"
		      "cd\r\n\0"),
		9},
	{FAR, BYTES(ZEROS ZEROS), 0},
	{FAR, BYTES(ZEROS "\0\0\0\0\5\0\0\0"), 16},
	{VARIANTS, BYTES(ZEROS ZEROS), 8},
	{VARIANTS, BYTES(ZEROS "\0\0\0\0\5\0\0\0"), 16},
};

static void end_of(const struct behind *b)
{
	struct mt_region region;
	const struct mt_codec_table *t;

	mt_region_init(&region, 0);
	t = file_compile(&region, b->doc);
	for (uint32_t piece = 0; t && piece < 4; piece++) {
		struct mt_chain c = {0};
		struct mt_msg msg;
		enum mt_decode rc;
		bool ok;

		env_append(&c, (const uint8_t *)b->bytes, b->n, piece);
		rc = env_decode(&t->codec, MT_DIR_DOWN, &c, &msg);
		ok = b->len ? rc == MT_DECODE_DONE && msg.len == b->len : rc == MT_DECODE_BAD;
		CU_ASSERT(ok);
		if (!ok)
			fprintf(stderr, "row %u, in pieces of %u: %d, %u bytes\n",
				(uint32_t)(b - behinds), piece, rc, msg.len);
		mt_chain_free(&c);
	}
	mt_region_fini(&region);
}

/* The bytes of the next message do not decide where a message ends. */
static void bytes_behind(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(behinds); i++)
		end_of(&behinds[i]);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* ---- too long -------------------------------------------------------------------------------- */

#define LAST_PART                                                                                  \
	SPEC("    id: {at: 0, size: 4}\n    body: {at: 4, count: {size: 1, add: -3}}\n",           \
		"{end: body, max: 20}")

/* A part that ends a message may be too long, or have no length. */
static void last_parts(void)
{
	static const struct {
		uint8_t size;
		const char *why;
	} parts[] = {{5, NULL}, {19, "codec file: longer than the longest message"},
		{2, "codec file: the length is missing or not a number"}};
	const struct mt_codec_table *t;
	struct mt_region region;

	mt_region_init(&region, 0);
	t = file_compile(&region, LAST_PART);
	for (size_t i = 0; t && i < MT_ARRAY_LEN(parts); i++) {
		uint8_t bytes[] = {0, 0, 0, 7, parts[i].size, 'a', 'b'};
		struct mt_msg msg;
		const char *why = mt_codec_table_decode(t, MT_DIR_DOWN, bytes, sizeof(bytes), &msg);

		CU_ASSERT(!why == !parts[i].why && (!why || !strcmp(why, parts[i].why)));
	}
	mt_region_fini(&region);
}

const struct mt_test edge_tests[] = {{"containers", containers}, {"boundaries", boundaries},
	{"too long", too_long}, {"long metadata", long_metadata}, {"far entries", far_entries},
	{"bytes behind the end", bytes_behind}, {"last parts", last_parts}, {0}};
