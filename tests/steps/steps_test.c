/* SPDX-License-Identifier: Apache-2.0 */
/* Input that is meant to cost much: no call takes more than its bound. */
#include "../unit/codec/codec_test.h"
#include "steps.h"

#include <stdio.h>

#define ROOM (2200000u)

static uint8_t bytes[ROOM];

static const struct steps_how ways[] = {
	{0, 2048, UINT32_MAX},
	{0, 300, 300},
	{0, 300, 3000},
};

static struct steps_seen run_way(
	const struct mt_codec *codec, const struct steps_how *how, uint32_t n, const char *name)
{
	struct steps_seen s = steps_codec(codec, how, bytes, n, &env_pools);

	if (s.worst.took > s.worst.may) {
		fprintf(stderr, "%s, mbufs of %u: %s took %llu steps, not %llu at most\n", name,
			how->piece, s.worst.what, (unsigned long long)s.worst.took,
			(unsigned long long)s.worst.may);
		CU_FAIL("a call took more than its bound");
	}
	return s;
}

/* In whole buffers and small ones; what fits the pool in buffers of a byte, too. */
static struct steps_seen hold(const struct mt_codec *codec, uint32_t n, const char *name)
{
	static const struct steps_how bytewise[] = {{0, 1, 1}, {0, 1, UINT32_MAX}};
	struct steps_seen s = {0};
	uint32_t in_use = env_in_use();

	for (uint32_t i = 0; i < MT_ARRAY_LEN(ways); i++)
		s = run_way(codec, &ways[i], n, name);
	for (uint32_t i = 0; n <= 8000 && i < MT_ARRAY_LEN(bytewise); i++)
		s = run_way(codec, &bytewise[i], n, name);
	CU_ASSERT_EQUAL(env_in_use(), in_use);
	return s;
}

/* ---- Dubbo -------------------------------------------------------------------------------- */

/* A call with the parameter types `types`; what follows is appended. */
static uint32_t call(const char *types, uint32_t n_types)
{
	static const char head[] = "\xda\xbb\xc2\0\0\0\0\0\0\0\0\1\0\0\0\0"
				   "\0\1i\0\1m";
	uint32_t at = sizeof(head) - 1;

	memcpy(bytes, head, at);
	bytes[at++] = 'S';
	bytes[at++] = (uint8_t)(n_types >> 8);
	bytes[at++] = (uint8_t)n_types;
	memcpy(bytes + at, types, n_types);
	return at + n_types;
}

static uint32_t many(uint32_t at, const char *what, uint32_t len, uint32_t times)
{
	for (uint32_t i = 0; i < times && at + len < ROOM - 64; i++, at += len)
		memcpy(bytes + at, what, len);
	return at;
}

#define MANY(at, what, times) many(at, what, sizeof(what) - 1, times)

static uint32_t finish(uint32_t at, const char *tail)
{
	at = many(at, tail, (uint32_t)strlen(tail), 1);
	mt_put_be32(bytes + 12, at - 16);
	return at;
}

#define END "H\4user\5jasonZ"

static void attachments(void)
{
	uint32_t at = call("", 0), n;
	struct steps_seen s;

	bytes[at++] = 'H';
	for (uint32_t i = 0; i < 60000; i++) {
		bytes[at++] = 7;
		at += (uint32_t)snprintf((char *)bytes + at, 8, "k%06u", i);
		bytes[at++] = 24;
		memset(bytes + at, 'v', 24);
		at += 24;
	}
	n = finish(at, "Z");
	s = hold(&mt_codec_dubbo, n, "60,000 attachments");
	CU_ASSERT_EQUAL(s.messages, 1);
	CU_ASSERT_EQUAL(s.too_large, 1);
}

/* As many as are read, of which all look like the key that is asked for. */
static void colliding(void)
{
	uint32_t at = call("", 0);

	bytes[at++] = 'H';
	for (uint32_t i = 0; i < 128; i++) {
		at = MANY(at,
			"\x30\xc8"
			"a",
			1);
		memset(bytes + at, 'a', 199);
		at = MANY(at + 199, "\1v", 1);
	}
	CU_ASSERT_EQUAL(hold(&mt_codec_dubbo, finish(at, "Z"), "colliding keys").messages, 1);
}

static const struct {
	const char *name;
	const char *unit; /* of one argument, a list of these */
	uint32_t len;
} values[] = {
	{"nulls", "N", 1},
	{"empty texts", "\0", 1},
	{"numbers of three bytes", "\xd4\1\2", 3},
	{"longs", "L\0\0\0\0\0\0\0\1", 9},
	{"references", "Q\x90", 2},
	{"texts of two-byte letters",
		"\x1f\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
		"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3"
		"\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
		"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3"
		"\xa4\xc3\xa4",
		63},
	{"chunks of a letter", "R\0\1aR\0\1aR\0\1aS\0\1a", 16},
	{"empty chunks", "R\0\0R\0\0R\0\0S\0\0", 12},
	{"binary of a byte", "A\0\1xB\0\1x", 8},
	{"empty binary", "A\0\0A\0\0\x20", 7},
	{"lists in lists", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyN", 31},
	{"empty lists", "x", 1},
	{"empty maps", "HZ", 2},
	{"maps", "H\x90NZ", 4},
	{"lists with a type", "\x72\x90\x90\x91", 4},
	{"typed lists", "V\1t\x90", 4},
	{"objects without fields", "\x60", 1},
	{"objects with a field", "a\x61N", 3},
};

static void arguments(void)
{
	static const uint32_t sizes[] = {6000, 60000, 2000000};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(values); i++) {
		for (uint32_t k = 0; k < MT_ARRAY_LEN(sizes); k++) {
			uint32_t at = call("Lx;", 3), n;

			at = MANY(at,
				"C\1o\x90"
				"C\1p\x91\1fW",
				1);
			at = many(at, values[i].unit, values[i].len, sizes[k] / values[i].len);
			n = finish(at, "Z" END);
			CU_ASSERT_EQUAL(hold(&mt_codec_dubbo, n, values[i].name).messages, 1);
		}
	}
}

static void many_parameters(void)
{
	static char types[32000];
	uint32_t at;

	memset(types, 'I', sizeof(types));
	at = call(types, sizeof(types));
	hold(&mt_codec_dubbo, finish(MANY(at, "\x90", sizeof(types)), END), "many parameters");
	for (uint32_t i = 0; i + 1 < sizeof(types); i += 2)
		memcpy(types + i, "L;", 2);
	at = call(types, sizeof(types));
	hold(&mt_codec_dubbo, finish(MANY(at, "\x90", sizeof(types) / 2), END), "many classes");
	memset(types, '[', sizeof(types));
	hold(&mt_codec_dubbo, finish(call(types, sizeof(types)), END), "many dimensions");
}

static void class_definitions(void)
{
	uint32_t at = call("Lx;", 3);

	for (uint32_t i = 0; i < 256; i++)
		at = MANY(MANY(at, "C\1c\xc9\0", 1), "\1f", 256);
	hold(&mt_codec_dubbo, finish(MANY(at, "N", 1), END), "class definitions");
	at = MANY(call("Lx;", 3), "C\1c\xd4\xff\xff", 1);
	hold(&mt_codec_dubbo, finish(MANY(at, "\0", 65535), "N" END), "a class of many fields");
}

static void long_strings(void)
{
	static char types[30000];
	uint32_t at;

	for (uint32_t i = 0; i + 3 < sizeof(types); i += 4)
		memcpy(types + i, "R\0\1\0", 4);
	at = call("", 0) - 3;
	memcpy(bytes + at, types, sizeof(types));
	hold(&mt_codec_dubbo, finish(at + sizeof(types), "S\0\0" END), "chunks in front");
}

/* A generic call, whose method is a long text of letters that are read byte by byte. */
static void long_inner_method(void)
{
	static const char head[] = "\xda\xbb\xc2\0\0\0\0\0\0\0\0\1\0\0\0\0"
				   "\0\1i\0\7$invoke\22Ljava/lang/String;S\xff\xff";
	uint32_t at = MANY(MANY(0, head, 1), "\xe2\x82\xac", 65535);

	CU_ASSERT_EQUAL(hold(&mt_codec_dubbo, finish(at, END), "a long inner method").messages, 1);
}

static void replies(void)
{
	static const char head[] = "\xda\xbb\2\x14\0\0\0\0\0\0\0\1\0\0\0\0\x94";
	struct steps_how up = {MT_DIR_UP, 300, 300};
	uint32_t at = MANY(0, head, 1), n = finish(MANY(MANY(at, "W", 1), "N", 1000000), "Z" END);

	CU_ASSERT_EQUAL(run_way(&mt_codec_dubbo, &up, n, "a long reply").messages, 1);
}

/* ---- Thrift ------------------------------------------------------------------------------- */

static const struct {
	const char *name, *head, *unit, *tail;
	uint32_t head_len, len, tail_len;
} thrift[] = {
#define UNFRAMED(name, head, unit, tail)                                                           \
	{                                                                                          \
		name, head, unit, tail, sizeof(head) - 1, sizeof(unit) - 1, sizeof(tail) - 1       \
	}
	UNFRAMED("fields without bytes", "\x82\x21\1\1m", "\x11", "\0"),
	UNFRAMED("fields of the long form", "\x82\x21\1\1m", "\1\x81\0", "\0"),
	UNFRAMED("fields of a byte", "\x80\1\0\1\0\0\0\1m\0\0\0\1", "\3\0\1x", "\0"),
	UNFRAMED("empty structs", "\x82\x21\1\1m\x19\xfc\x80\x89\x7a", "\0", ""),
	UNFRAMED("empty texts", "\x82\x21\1\1m\x19\xf8\x80\x89\x7a", "\0", ""),
	UNFRAMED("varints", "\x82\x21\1\1m\x19\xf6\x80\x89\x7a", "\x80\0", ""),
	UNFRAMED("empty lists", "\x82\x21\1\1m\x19\xf9\x80\x89\x7a", "\3", ""),
	UNFRAMED("empty maps", "\x82\x21\1\1m\x19\xfb\x80\x89\x7a", "\0", ""),
	UNFRAMED("maps", "\x82\x21\1\1m\x19\xfb\x80\x89\x7a", "\1\x33xy", ""),
	UNFRAMED("lists in lists", "\x82\x21\1\1m\x19\xf9\x80\x89\x7a",
		"\x19\x19\x19\x19\x19\x19\x19\x19\x03", ""),
};

static void unframed(void)
{
	static const uint32_t sizes[] = {6000, 2000000};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(thrift); i++) {
		for (uint32_t k = 0; k < MT_ARRAY_LEN(sizes); k++) {
			uint32_t at = many(0, thrift[i].head, thrift[i].head_len, 1);

			at = many(at, thrift[i].unit, thrift[i].len, sizes[k] / thrift[i].len);
			at = many(at, thrift[i].tail, thrift[i].tail_len, 1);
			hold(&mt_codec_thrift, at, thrift[i].name);
		}
	}
}

static uint32_t theader(const char *block, uint32_t block_len, const char *unit, uint32_t len)
{
	static const char head[] = "\0\0\0\0\x0f\xff\0\0\0\0\0\1\x3f\xff";
	uint32_t at = MANY(0, head, 1), end = 14 + 0x3fff * 4;

	at = many(at, block, block_len, 1);
	at = many(at, unit, len, (end - at) / len);
	memset(bytes + at, 0, end - at);
	at = MANY(end, "\x80\1\0\1\0\0\0\1m\0\0\0\1\0", 1);
	mt_put_be32(bytes, at - 4);
	return at;
}

static void headers(void)
{
	struct steps_seen s;

	s = hold(&mt_codec_thrift, theader("\0\0\1\xff\xff\3", 6, "\1k\1v", 4), "infos");
	CU_ASSERT_EQUAL(s.too_large, 1);
	s = hold(&mt_codec_thrift, theader("\0\0", 2, "\1\1\1k\1v", 6), "blocks of one info");
	CU_ASSERT_EQUAL(s.too_large, 1);
	hold(&mt_codec_thrift, theader("\0\0", 2, "\1\0", 2), "empty blocks");
	hold(&mt_codec_thrift, theader("\0\xff\xff\3", 4, "\1", 1), "transforms");
}

/* ---- awesomeRPC --------------------------------------------------------------------------- */

static uint32_t lines(uint32_t at, const char *unit, uint32_t len)
{
	static const char head[] = "\2\0\0\0\1\0\0\0\0\0\1\0\0\x10\0";
	uint32_t end = at + 15 + 4096;

	at = MANY(at, head, 1);
	mt_put_be32(bytes + at - 10, end - at + 15);
	at = many(at, unit, len, (end - at) / len);
	memset(bytes + at, 'x', end - at);
	return end;
}

static void awesome(void)
{
	hold(&mt_codec_awesomerpc, lines(0, "\n", 1), "empty lines");
	hold(&mt_codec_awesomerpc, lines(0, "k=v\n", 4), "lines");
	hold(&mt_codec_awesomerpc, lines(0, "x", 1), "one line");
	hold(&mt_codec_awesomerpc, lines(lines(0, "\n", 1), "=", 1), "two messages");
}

static const struct mt_test codec_steps[] = {
	{"dubbo_attachments", attachments},
	{"dubbo_colliding", colliding},
	{"dubbo_arguments", arguments},
	{"dubbo_parameters", many_parameters},
	{"dubbo_classes", class_definitions},
	{"dubbo_strings", long_strings},
	{"dubbo_inner_method", long_inner_method},
	{"dubbo_replies", replies},
	{"thrift_unframed", unframed},
	{"thrift_headers", headers},
	{"awesomerpc", awesome},
	{0},
};

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"codec", codec_steps}, {0}};
	int rc;

	if (env_init())
		return EXIT_FAILURE;
	rc = mt_test_main(suites, argc, argv);
	mt_pools_fini(&env_pools);
	return rc;
}
