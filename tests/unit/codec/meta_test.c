/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata index: what is kept, what counts, what is too much, and a walk that goes on. */
#include "codec_test.h"

#include <stdio.h>

#include "../../../lib/codec/dubbo/dubbo.h"

#define BIG (2u << 20)

static uint8_t bytes[BIG];
static struct mt_view view;

/* A Dubbo call with one argument, `arg`, and a map that put_entry() and end_call() fill. */
static uint32_t begin_call(const char *arg, uint32_t n)
{
	static const char head[] = "\xda\xbb\xc2\0\0\0\0\0\0\0\0\1\0\0\0\0"
				   "\0\1i\0\1m\3Lx;";

	memcpy(bytes, head, sizeof(head) - 1);
	memcpy(bytes + sizeof(head) - 1, arg, n);
	bytes[sizeof(head) - 1 + n] = 'H';
	return (uint32_t)sizeof(head) + n;
}

static uint32_t put_text(uint32_t at, const char *text)
{
	uint32_t n = (uint32_t)strlen(text);

	bytes[at++] = (uint8_t)(0x30 | n >> 8);
	bytes[at++] = (uint8_t)n;
	memcpy(bytes + at, text, n);
	return at + n;
}

static uint32_t put_entry(uint32_t at, const char *key, const char *value)
{
	return put_text(put_text(at, key), value);
}

static uint32_t end_call(uint32_t at)
{
	bytes[at++] = 'Z';
	mt_put_be32(bytes + 12, at - DUBBO_HEADER);
	return at;
}

static enum mt_meta_state read_call(uint32_t n, uint32_t piece, struct mt_chain *c)
{
	static struct mt_msg msg;

	env_append(c, bytes, n, piece);
	CU_ASSERT_EQUAL(env_decode(&mt_codec_dubbo, MT_DIR_DOWN, c, &msg), MT_DECODE_DONE);
	mt_view_bind(&view, &mt_codec_dubbo, &msg, c);
	return mt_view_read(&view);
}

static bool has(const char *name, bool icase, const char *value)
{
	struct mt_key key = mt_key_make(&mt_codec_dubbo, name);
	struct mt_slice v;

	key.icase = icase;
	return mt_view_get(&view, &key, &v) && mt_slice_eq_str(v, value);
}

/* All of them are kept, in order; the last counts. */
static void duplicates(void)
{
	struct mt_key key = mt_key_make(&mt_codec_dubbo, "user");
	uint32_t at = begin_call("N", 1), n;

	at = put_entry(at, "user", "a");
	at = put_entry(at, "USER", "b");
	at = put_entry(at, "user", "c");
	n = end_call(put_entry(at, "uSeR", "d"));
	for (uint32_t piece = 0; piece < 60; piece++) {
		struct mt_chain c = {0};

		CU_ASSERT_EQUAL(read_call(n, piece, &c), MT_META_READ);
		CU_ASSERT_EQUAL(view.meta.n, 4);
		CU_ASSERT_EQUAL(view.meta.end, n);
		CU_ASSERT_EQUAL(mt_meta_next(&view.meta, &key, 0), 0);
		CU_ASSERT_EQUAL(mt_meta_next(&view.meta, &key, 1), 2);
		CU_ASSERT_EQUAL(mt_meta_next(&view.meta, &key, 3), UINT32_MAX);
		CU_ASSERT(has("user", false, "c"));
		CU_ASSERT(has("user", true, "d"));
		CU_ASSERT_FALSE(has("use", true, "d"));
		mt_chain_free(&c);
	}
}

static void first_counts(void)
{
	static struct mt_codec codec;
	uint32_t at = begin_call("N", 1), n;
	struct mt_chain c = {0};

	at = put_entry(at, "user", "a");
	n = end_call(put_entry(at, "user", "c"));
	CU_ASSERT_EQUAL(read_call(n, 0, &c), MT_META_READ);
	CU_ASSERT(has("user", false, "c"));
	codec = mt_codec_dubbo;
	codec.first_counts = true;
	view.codec = &codec;
	CU_ASSERT(has("user", false, "a"));
	mt_chain_free(&c);
}

/* 128 entries are read, 129 are too many; 32 KiB of them, and not more. */
static void limits(void)
{
	static char value[1024];
	uint32_t in_use = env_in_use();

	for (uint32_t piece = 0; piece < 800; piece += 300) {
		for (uint32_t extra = 0; extra < 2; extra++) {
			struct mt_chain c = {0};
			uint32_t at = begin_call("N", 1);

			for (uint32_t i = 0; i < MT_META_ENTRIES + extra; i++)
				at = put_entry(at, "k", i == MT_META_ENTRIES - 1 ? "last" : "v");
			CU_ASSERT_EQUAL(read_call(end_call(at), piece, &c),
				extra ? MT_META_TOO_LARGE : MT_META_READ);
			CU_ASSERT_EQUAL(has("k", false, "last"), !extra);
			mt_chain_free(&c);
		}
		for (uint32_t extra = 0; extra < 2; extra++) {
			struct mt_chain c = {0};
			uint32_t at = begin_call("N", 1), map = at - 1;

			memset(value, 'v', 1000);
			value[1000] = '\0';
			for (uint32_t i = 0; i < 32; i++)
				at = put_entry(at, "k", value);
			value[map + MT_META_BYTES + extra - at - 5] = '\0';
			at = put_entry(at, "k", value);
			CU_ASSERT_EQUAL(at - map, MT_META_BYTES + extra);
			CU_ASSERT_EQUAL(read_call(end_call(at), piece, &c),
				extra ? MT_META_TOO_LARGE : MT_META_READ);
			mt_chain_free(&c);
		}
	}
	CU_ASSERT_EQUAL(env_in_use(), in_use);
}

/* What is longer than MT_SCAN_AT_ONCE is looked through by who carries the walk on, byte by byte too. */
static void resumed(void)
{
	static char arg[100000];
	uint32_t n, at, calls = 0;
	struct mt_chain c = {0};
	struct mt_scan scan = {0};
	struct mt_decoder d;
	struct mt_msg msg;

	/* A list of many numbers and texts, of which each begins somewhere else in its buffer. */
	arg[0] = 'W';
	for (at = 1; at < sizeof(arg) - 300; at += 20)
		memcpy(arg + at, "\x91\xc8\x01\xd4\0\1\x5d\1Q\x90\x30\x08xxxxxxxx", 20);
	arg[at++] = 'Z';
	n = end_call(put_entry(begin_call(arg, at), "user", "jason"));
	CU_ASSERT_EQUAL(read_call(n, 300, &c), MT_META_ABSENT);
	CU_ASSERT_FALSE(has("user", false, "jason"));
	mt_chain_free(&c);

	mt_decoder_init(&d, &mt_codec_dubbo, MT_DIR_DOWN, 0, &c);
	for (at = 0; at < n; at += 7) {
		uint32_t steps = 5;

		env_append(&c, bytes + at, MT_MIN(7u, n - at), 4);
		if (mt_decoder_run(&d, &msg) != MT_DECODE_MORE || msg.lead_len > 16) {
			mt_codec_dubbo.metadata.seek(&mt_codec_dubbo, &scan, &msg, &c, &steps);
			calls++;
		}
		/* mbufs are replaced under it. */
		if (at % 7000 == 0)
			mt_chain_compact(&c, &env_pools);
	}
	for (enum mt_scan_rc rc = MT_SCAN_MORE; rc == MT_SCAN_MORE; calls++) {
		uint32_t steps = 100;

		rc = mt_codec_dubbo.metadata.seek(&mt_codec_dubbo, &scan, &msg, &c, &steps);
		CU_ASSERT_FATAL(calls < 100000);
	}
	mt_view_bind(&view, &mt_codec_dubbo, &msg, &c);
	view.meta.scan = scan;
	CU_ASSERT(has("user", false, "jason"));
	/* Once it is known where they are they can be read again without the walk. */
	mt_view_bind(&view, &mt_codec_dubbo, &msg, &c);
	CU_ASSERT(has("user", false, "jason"));
	mt_chain_free(&c);
}

static uint32_t put_raw(uint32_t at, const char *raw, uint32_t n)
{
	memcpy(bytes + at, raw, n);
	return at + n;
}

/*
 * An argument: a list of `first`, then `size` bytes (long strings: a multiple of 1,025) of values.
 * `small`: of one byte each, which takes many steps.
 */
static uint32_t long_arg(char *arg, const char *first, uint32_t n, uint32_t size, bool small)
{
	char *at = arg + 1 + n;

	arg[0] = 'W';
	memcpy(arg + 1, first, n);
	memset(at, small ? '\x91' : 'x', size);
	for (uint32_t i = 0; !small && i < size; i += 1025)
		memcpy(at + i, "\x33\xff", 2);
	at[size] = 'Z';
	return 1 + n + size + 1;
}

/* The first reading, by a scan that the owner of the message has finished. */
static enum mt_meta_state read_scanned(uint32_t n, struct mt_chain *c, struct mt_msg *msg)
{
	struct mt_scan scan = {0};
	enum mt_scan_rc rc = MT_SCAN_MORE;

	env_append(c, bytes, n, 300);
	CU_ASSERT_EQUAL(env_decode(&mt_codec_dubbo, MT_DIR_DOWN, c, msg), MT_DECODE_DONE);
	while (rc == MT_SCAN_MORE) {
		uint32_t steps = 1000;

		rc = mt_codec_dubbo.metadata.seek(&mt_codec_dubbo, &scan, msg, c, &steps);
	}
	mt_view_bind(&view, &mt_codec_dubbo, msg, c);
	view.meta.scan = scan;
	return mt_view_read(&view);
}

/* Reads the message as after a wait of its call. */
static enum mt_meta_state read_again(struct mt_chain *c, struct mt_msg *msg)
{
	mt_view_bind(&view, &mt_codec_dubbo, msg, c);
	return mt_view_read(&view);
}

#define CLASS_X	      "C\1X\x91\1f" /* of one field */
#define CLASS_Y	      "C\1Y\x90"    /* of no field */
#define RAW(at, text) put_raw(at, text, sizeof(text) - 1)

/*
 * Attachments that are objects are read again as the first time, although their classes are
 * defined in the arguments. If that is too much work, they cannot be read.
 */
static void again_classes(void)
{
	static const struct {
		uint32_t size;
		bool small;
		enum mt_meta_state state;
	} args[] = {
		{1025 * 4, false, MT_META_READ},
		{1025 * 40, false, MT_META_READ},
		{40000, true, MT_META_TOO_LARGE},
	};
	static char arg[100000];

	for (uint32_t i = 0; i < 2 * MT_ARRAY_LEN(args); i++) {
		uint32_t a = i / 2, n, in_use = env_in_use();
		struct mt_chain c = {0};
		struct mt_msg msg;

		n = long_arg(arg, CLASS_X "\x60N", sizeof(CLASS_X "\x60N") - 1, args[a].size,
			args[a].small);
		n = begin_call(arg, n);
		/* With the classes of the map alone `b` would be a key, and `user` its value. */
		if (i & 1)
			n = RAW(n, "\1a" CLASS_Y "\x60\1b\4user\4root\1e\x60\1g");
		else
			n = RAW(n, "\1a\x60\1b\4user\4root");
		n = end_call(n);
		CU_ASSERT_EQUAL(read_scanned(n, &c, &msg), MT_META_READ);
		CU_ASSERT_EQUAL(view.meta.n, i & 1 ? 3 : 2);
		CU_ASSERT(has("user", false, "root"));
		for (uint32_t times = 0; times < 2; times++) {
			CU_ASSERT_EQUAL(read_again(&c, &msg), args[a].state);
			CU_ASSERT_EQUAL(has("user", false, "root"), args[a].state == MT_META_READ);
			CU_ASSERT_FALSE(has("b", false, "user"));
		}
		mt_chain_free(&c);
		CU_ASSERT_EQUAL(env_in_use(), in_use);
	}
}

/* Attachments without objects are read again however long the arguments are, and so are objects
 * if the arguments define no class. */
static void again_served(void)
{
	static char arg[100000];

	for (uint32_t i = 0; i < 2; i++) {
		struct mt_chain c = {0};
		struct mt_msg msg;
		uint32_t n;

		n = long_arg(
			arg, CLASS_X "\x60N", i ? 0 : sizeof(CLASS_X "\x60N") - 1, 40000, true);
		n = begin_call(arg, n);
		n = i ? RAW(n, "\1a" CLASS_X "\x60\1b\4user\4root\1e\x60\1g")
		      : RAW(n, "\1aHZ\4user\4root\1n\x95");
		n = end_call(n);
		CU_ASSERT_EQUAL(read_scanned(n, &c, &msg), MT_META_READ);
		CU_ASSERT_EQUAL(view.meta.n, 3);
		CU_ASSERT_EQUAL(read_again(&c, &msg), MT_META_READ);
		CU_ASSERT_EQUAL(view.meta.n, 3);
		CU_ASSERT(has("user", false, "root"));
		mt_chain_free(&c);
	}
}

/* A message that a change makes longer than MT_SCAN_AT_ONCE is read as before. */
static void again_grown(void)
{
	static const struct mt_mutation mu = {"added", "a value that is long enough", 5, 27};
	static char arg[5000];
	struct mt_chain c = {0};
	struct mt_msg msg;
	uint32_t n;

	n = long_arg(arg, CLASS_X "\x60N", sizeof(CLASS_X "\x60N") - 1, 4020, true);
	n = end_call(RAW(begin_call(arg, n), "\1a\x60\1b\4user\4root"));
	CU_ASSERT_FATAL(n < MT_SCAN_AT_ONCE);
	CU_ASSERT_EQUAL(read_scanned(n, &c, &msg), MT_META_READ);
	CU_ASSERT_EQUAL(mt_codec_dubbo.rewrite.mutate(
				&mt_codec_dubbo, &msg, &c, &view.meta, &mu, 1, &env_pools),
		0);
	CU_ASSERT_FATAL(msg.len > MT_SCAN_AT_ONCE);
	CU_ASSERT_EQUAL(read_again(&c, &msg), MT_META_READ);
	CU_ASSERT(has("user", false, "root"));
	CU_ASSERT(has("added", false, mu.value));
	mt_chain_free(&c);
}

/*
 * A class definition before a text would go with an entry that a change removes, and later objects
 * would be of other classes. No encoder writes one there, so the attachments cannot be read.
 */
static void definition_of_text(void)
{
	static const struct {
		const char *map;
		uint32_t n;
		enum mt_meta_state state;
	} maps[] = {
#define MAP(text, state) {text, sizeof(text) - 1, state}
		MAP("\4user" CLASS_Y "\1z", MT_META_ABSENT),
		MAP(CLASS_Y "\4user\1z", MT_META_ABSENT),
		MAP("\4user" CLASS_Y "\x91", MT_META_ABSENT),
		MAP("\4user" CLASS_Y "N", MT_META_ABSENT),
		MAP("\4user" CLASS_Y "\x60", MT_META_READ),
		MAP("\4user" CLASS_X CLASS_Y "O\x91", MT_META_READ),
		MAP("\4userW" CLASS_Y "\x60Z\1a\x60", MT_META_READ),
#undef MAP
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(maps); i++) {
		uint32_t n = end_call(put_raw(begin_call("N", 1), maps[i].map, maps[i].n));

		for (uint32_t piece = 0; piece < 10; piece++) {
			struct mt_chain c = {0};

			CU_ASSERT_EQUAL(read_call(n, piece, &c), maps[i].state);
			mt_chain_free(&c);
		}
	}
}

/* Changes are seen by who asks, before the message has them. */
static void overlay(void)
{
	uint32_t n = end_call(put_entry(put_entry(begin_call("N", 1), "a", "1"), "b", "2"));
	struct mt_chain c = {0};

	CU_ASSERT_EQUAL(read_call(n, 0, &c), MT_META_READ);
	view.n_mutations = 3;
	view.mutations[0] = (struct mt_mutation){"a", NULL, 1, 0};
	view.mutations[1] = (struct mt_mutation){"n", "new", 1, 3};
	view.mutations[2] = (struct mt_mutation){"method", "other", 6, 5};
	CU_ASSERT_FALSE(has("a", false, "1"));
	CU_ASSERT(has("b", false, "2"));
	CU_ASSERT(has("N", true, "new"));
	CU_ASSERT_FALSE(has("N", false, "new"));
	/* An attachment of that name is not what the server calls. */
	CU_ASSERT(has("method", false, "m"));
	mt_chain_free(&c);
}

/* Strings in front beyond 32 KiB: answered natively, the next message is served. */
static void long_names(void)
{
	struct mt_chain c = {0}, one = {0};
	uint8_t next[VECTOR_MAX];
	uint32_t n = env_vector("dubbo/request-hello", next);
	struct mt_decoder d;
	struct mt_msg msg;

	end_call(begin_call("N", 1));
	memset(bytes + DUBBO_HEADER, 'x', 60000);
	for (uint32_t at = DUBBO_HEADER; at < 60000; at += 1003)
		memcpy(bytes + at, "R\3\xe8", 3);
	mt_put_be32(bytes + 12, 60000);
	for (uint32_t piece = 0; piece < 900; piece += 299) {
		env_append(&c, bytes, DUBBO_HEADER + 60000, piece);
		env_append(&c, next, n, piece);
		mt_decoder_init(&d, &mt_codec_dubbo, MT_DIR_DOWN, 0, &c);
		CU_ASSERT_EQUAL(mt_decoder_run(&d, &msg), MT_DECODE_DONE);
		CU_ASSERT_EQUAL(msg.refuse, 1 + MT_REPLY_TOO_LARGE);
		CU_ASSERT_EQUAL(msg.len, DUBBO_HEADER + 60000);
		CU_ASSERT_EQUAL(mt_chain_split(&c, msg.len, &one, &env_pools), 0);
		mt_chain_free(&one);
		mt_decoder_next(&d);
		CU_ASSERT_EQUAL(mt_decoder_run(&d, &msg), MT_DECODE_DONE);
		CU_ASSERT_EQUAL(msg.refuse, 0);
		mt_chain_free(&c);
	}
}

/* Infos of a THeader are bounded, too, and each takes a step for its lengths and its entry. */
static void thrift_infos(void)
{
	uint8_t p[8192], *at = p + 14;

	for (uint32_t infos = 127; infos < 131; infos++) {
		struct mt_chain c = {0};
		struct mt_msg msg;
		uint32_t words, took = view.meta.took;

		at = p + 14;
		*at++ = 0;
		*at++ = 0;
		*at++ = 1;
		*at++ = (uint8_t)(infos & 0x7f) | 0x80;
		*at++ = (uint8_t)(infos >> 7);
		for (uint32_t i = 0; i < infos; i++, at += 4)
			memcpy(at, "\1k\1v", 4);
		while ((at - p - 14) & 3)
			*at++ = 0;
		words = (uint32_t)(at - p - 14) / 4;
		memcpy(at, "\x80\1\0\1\0\0\0\1m\0\0\0\1\0", 14);
		at += 14;
		memcpy(p, "\0\0\0\0\x0f\xff\0\0\0\0\0\1", 12);
		mt_put_be32(p, (uint32_t)(at - p) - 4);
		p[12] = (uint8_t)(words >> 8);
		p[13] = (uint8_t)words;
		env_append(&c, p, (uint32_t)(at - p), 300);
		CU_ASSERT_EQUAL(
			env_decode(&mt_codec_thrift, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
		mt_view_bind(&view, &mt_codec_thrift, &msg, &c);
		CU_ASSERT_EQUAL(mt_view_read(&view),
			infos > MT_META_ENTRIES ? MT_META_TOO_LARGE : MT_META_READ);
		CU_ASSERT_EQUAL(view.meta.n, MT_MIN(infos, (uint32_t)MT_META_ENTRIES));
		CU_ASSERT(view.meta.took - took >= 3 * view.meta.n);
		mt_chain_free(&c);
	}
}

const struct mt_test meta_tests[] = {
	{"meta_duplicates", duplicates},
	{"meta_first_counts", first_counts},
	{"meta_limits", limits},
	{"meta_resumed", resumed},
	{"meta_again_classes", again_classes},
	{"meta_again_served", again_served},
	{"meta_again_grown", again_grown},
	{"meta_definition_of_text", definition_of_text},
	{"meta_overlay", overlay},
	{"meta_long_names", long_names},
	{"meta_thrift_infos", thrift_infos},
	{0},
};
