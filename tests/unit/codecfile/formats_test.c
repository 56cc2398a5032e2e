/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers that some servers read in another way than Meltemi, or not at all: messages with them
 * are refused. Those of all servers are taken, with their value of `user`.
 */
#include "codecfile_test.h"

#include <stdio.h>

struct row {
	const char *bytes, *user; /* user: NULL if the message is refused */
	uint32_t n;
};
#define ROW(bytes, user)                                                                           \
	{                                                                                          \
		bytes, user, sizeof(bytes) - 1                                                     \
	}

static const struct row headers[] = {
	ROW("a: b\r\nuser: ann\r\n", "ann"),
	ROW("a: b\nUSER:ann\n", "ann"),
	ROW("a: b\r\nuser: ann", "ann"),
	/* The last line ends where the container does. */
	ROW("user: ann\r", "ann"),
	ROW("\r\nuser: ann\r\n", NULL),
	ROW("a: b\r\n\r\nuser: ann\r\n", NULL),
	ROW("a: b\r\nuser: ann\n", NULL),
	ROW("user : ann\r\n", NULL),
	ROW(": b\r\nuser: ann\r\n", NULL),
	ROW("\vuser: ann\r\n", NULL),
	ROW("user: ann\f\r\n", NULL),
	ROW("user: ann\r\n\r\n", "ann"),
	ROW("a: b\r\n user: ann\r\n", NULL),
	ROW("a: b\r\n\tuser: ann\r\n", NULL),
	ROW(" user: ann\r\n", NULL),
	ROW("user: ann\rx: y\r\n", NULL),
	ROW("user: ann\r\r\n", NULL),
	ROW("\ruser: ann\r\n", NULL),
	ROW("user\0: ann\r\n", NULL),
	ROW("user: ann\r\nx: \0\r\n", NULL),
};

/* More levels than are read, or as many. */
#define NEST_4(x)   x x x x
#define NEST_64(x)  NEST_4(NEST_4(NEST_4(x)))
#define NEST_160(x) NEST_64(x) NEST_64(x) NEST_4(NEST_4(x x))

static const struct row json[] = {
	ROW("", "-"),
	ROW(" {} \n", "-"),
	ROW("{\"user\":\"ann\"}", "ann"),
	ROW("{\"user\" : 5 }", "5"),
	ROW("{\"user\":null}", "-"),
	ROW("{\"user\":-0.5e+17,\"x\":[1,-2,0,10.25,1E5,{\"y\":[true,false,null]}]}", "-0.5e+17"),
	ROW("{\"x\":[{},[],\"\\u00Af\\n\\\\\\\"]\"],\"user\":\"ann\"}", "ann"),
	ROW("[1,{\"user\":\"ann\"}]", NULL),
	ROW("true", NULL),
	ROW(" \"user\" ", NULL),
	ROW("{\"user\":\"ann\",\"user\":null}", NULL),
	ROW("{\"user\":\"ann\",\"user\":\"ann\"}", NULL),
	ROW("{\"x\":{\"user\":1},\"user\":\"ann\",\"x\":{\"user\":1,\"user\":2}}", "ann"),
	ROW("{\"x\":" NEST_160("[") NEST_160("]") ",\"user\":\"ann\"}", "ann"),
	ROW("{\"x\":" NEST_160("[") "[]" NEST_160("]") ",\"user\":\"ann\"}", NULL),
	/* Lenient servers read other members. */
	ROW("{\"x\":['\"'],\"user\":\"ann\",\"y\":['\"']}", NULL),
	ROW("{\"x\":[/*\"*/1],\"user\":\"ann\",\"y\":[/*\"*/1]}", NULL),
	ROW("{\"x\":[#\"\n1],\"user\":\"ann\"}", NULL),
	ROW("{\"x\":[1]//\"\n,\"user\":\"ann\"}", NULL),
	ROW("/**/{\"user\":\"ann\"}", NULL),
	ROW("\xef\xbb\xbf{\"user\":\"ann\"}", NULL),
	ROW("{\"user\":'ann'}", NULL),
	ROW("{'user':\"ann\"}", NULL),
	ROW("{user:\"ann\"}", NULL),
	ROW("{\"user\":ann}", NULL),
	ROW("{\"x\":[ann],\"user\":\"ann\"}", NULL),
	ROW("{\"x\":\"\\u\"\",\"user\":\"ann\"}", NULL),
	ROW("{\"x\":\"\\'\",\"user\":\"ann\"}", NULL),
	ROW("{\"x\":[\"\\x\"],\"user\":\"ann\"}", NULL),
	ROW("{\"user\":\"ann\"}{\"user\":\"bob\"}", NULL),
	ROW("{\"user\":\"ann\"}\0", NULL),
	ROW("{\"user\":\"ann\",}", NULL),
	ROW("{,\"user\":\"ann\"}", NULL),
	ROW("{\"user\":\"a\nn\"}", NULL),
	ROW("{\"us\0r\":1,\"user\":\"ann\"}", NULL),
	ROW("{\"x\":[\"\t\"],\"user\":\"ann\"}", NULL),
	ROW("{\"x\":[\0],\"user\":\"ann\"}", NULL),
	ROW("{\"user\":\"ann\",\"x\":[}}]]}", NULL),
	ROW("{\"user\":\"ann\",\"x\":{]}", NULL),
	ROW("{\"user\":\"ann\",\"x\":truejunk}", NULL),
	ROW("{\"user\":\"ann\",\"x\":true junk}", NULL),
	ROW("{\"user\":\"ann\",\"x\":tru}", NULL),
	ROW("{\"user\":\"ann\",\"x\":[nul]}", NULL),
	ROW("{\"user\":01}", NULL),
	ROW("{\"user\":1.}", NULL),
	ROW("{\"user\":.5}", NULL),
	ROW("{\"user\":+5}", NULL),
	ROW("{\"user\":1e}", NULL),
	ROW("{\"user\":-}", NULL),
	ROW("{\"user\":0x10}", NULL),
	ROW("{\"user\":NaN}", NULL),
	ROW("tru", NULL),
	/* Readers in Go take these names for user. */
	ROW("{\"user\":\"ann\",\"USER\":\"bob\"}", NULL),
	ROW("{\"User\":\"ann\"}", NULL),
	ROW("{\"u\xc5\xbf"
	    "er\":\"ann\"}",
		NULL),
	ROW("{\"x\":{\"USER\":1},\"uSer "
	    "\":1,\"use\":1,\"usera\":1,\"\":1,\"u\xc5\":1,\"user\":\"ann\"}",
		"ann"),
	ROW("{\"user\":\"ann\"", NULL),
};

/* Of places for objects, and for members of them: user, user.name and user.name.last. */
static const struct row parts[] = {
	ROW("{\"user\":{}}", "{}"),
	ROW("{\"user\":{\"name\":\"ann\"}}", "{\"name\":\"ann\"}"),
	ROW("{\"x\":{\"user\":1},\"user\" : { \"name\" : {\"last\":\"x\"} , \"y\":[{}]} ,\"z\":1}",
		"{ \"name\" : {\"last\":\"x\"} , \"y\":[{}]}"),
	ROW("{\"user\":\"ann\"}", "ann"),
	ROW("{\"user\":[{\"name\":1}]}", "[{\"name\":1}]"),
	ROW("{\"user\":null}", "-"),
	ROW("{\"x\":{\"user\":{}}}", "-"),
	ROW("{\"user\":{\"name\":1},\"user\":5}", NULL),
	ROW("{\"user\":{\"name\":1}", NULL),
};

/* The message in buffers of `piece` bytes. */
static void one(const struct mt_codec *codec, const struct row *row, uint32_t piece)
{
	uint8_t head[2] = {(uint8_t)((row->n + 2) >> 8), (uint8_t)(row->n + 2)};
	struct mt_chain c = {0};
	struct mt_msg msg;
	const char *user;
	bool right;

	env_append(&c, head, 2, 0);
	env_append(&c, (const uint8_t *)row->bytes, row->n, piece);
	CU_ASSERT_EQUAL(env_decode(codec, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
	CU_ASSERT_EQUAL(msg.len, row->n + 2);
	user = msg.refuse ? NULL : env_meta(codec, &msg, &c, "user");
	right = user && row->user ? strcmp(user, row->user) == 0 : user == row->user;
	CU_ASSERT(right);
	if (!right)
		fprintf(stderr, "%s, in pieces of %u: %s\n", row->bytes, piece,
			user ? user : "refused");
	mt_chain_free(&c);
}

/* `places`: further ones, and what their metadata are called. */
static void all_with(const char *holds, const char *places, const char *metadata,
	const struct row *rows, size_t n)
{
	const struct mt_codec *codec;
	struct mt_region region;
	char doc[1024];

	snprintf(doc, sizeof(doc),
		"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: formats}\nspec:\n"
		"  calls: serial\n  places:\n    total: {at: 0, size: 2}\n"
		"    body: {at: 2, to: 0, holds: %s}\n    user: {in: body, find: user}\n%s"
		"  frame: {length: total, min: 2, max: 1000}\n  messages:\n"
		"  - {is: request, from: client}\n  - {is: reply, from: server}\n"
		"  metadata: {user: user%s}\n",
		holds, places, metadata);
	mt_region_init(&region, 0);
	codec = &file_compile(&region, doc)->codec;
	for (size_t i = 0; i < n; i++) {
		one(codec, &rows[i], 0);
		one(codec, &rows[i], 1);
		one(codec, &rows[i], 3);
	}
	mt_region_fini(&region);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

static void all(const char *holds, const struct row *rows, size_t n)
{
	all_with(holds, "", "", rows, n);
}

static void lines_of_headers(void)
{
	all("headers", headers, MT_ARRAY_LEN(headers));
}

static void objects(void)
{
	all("json", json, MT_ARRAY_LEN(json));
}

static void objects_and_members(void)
{
	all_with("json",
		"    name: {in: body, find: user.name}\n    last: {in: body, find: "
		"user.name.last}\n",
		", name: name, last: last", parts, MT_ARRAY_LEN(parts));
}

/* A name that begins with the end of the texts before it is one, wherever it is found first. */
static void names_in_texts(void)
{
	static const struct row rows[] = {
		ROW("{\"user\":\"ann\",\"cc\":{\"x\":1,\"y\":2}}", "ann")};

	all_with("json",
		"    c: {in: body, find: c}\n    x: {in: body, find: cc.x}\n"
		"    y: {in: body, find: cc.y}\n",
		", c: c}\n  check: {x: {present: true}, y: {present: true}", rows,
		MT_ARRAY_LEN(rows));
}

/* What the first n bytes of the message are, in calls of `call` bytes. */
static enum mt_decode first(
	const struct mt_codec *codec, const uint8_t *bytes, uint32_t n, uint32_t call)
{
	enum mt_decode rc = MT_DECODE_MORE;
	struct mt_chain c = {0};
	struct mt_decoder d;
	struct mt_msg msg;

	mt_decoder_init(&d, codec, MT_DIR_DOWN, 0, &c);
	for (uint32_t at = 0; at < n && rc == MT_DECODE_MORE; at += call) {
		env_append(&c, bytes + at, MT_MIN(call, n - at), 0);
		rc = mt_decoder_run(&d, &msg);
	}
	mt_chain_free(&c);
	return rc;
}

/* A string that its third byte breaks is not there, also while bytes of its length are missing. */
static void broken_string(void)
{
	static const uint8_t bytes[] = {0, 40, 31, 'a', 'b', 0xff};
	const struct mt_codec *codec;
	struct mt_region region;

	mt_region_init(&region, 0);
	codec = &file_compile(&region,
		"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: formats}\nspec:\n"
		"  calls: serial\n  places:\n    total: {at: 0, size: 2}\n"
		"    body: {at: 2, to: 0, holds: hessian}\n    user: {in: body, find: 1}\n"
		"  frame: {length: total, min: 2, max: 1000}\n  messages:\n"
		"  - {is: request, from: client, when: {user: {present: true}}}\n"
		"  - {is: reply, from: server}\n")
			 ->codec;
	for (uint32_t call = 1; call <= sizeof(bytes); call++) {
		CU_ASSERT_EQUAL(first(codec, bytes, sizeof(bytes) - 1, call), MT_DECODE_MORE);
		CU_ASSERT_EQUAL(first(codec, bytes, sizeof(bytes), call), MT_DECODE_BAD);
	}
	mt_region_fini(&region);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

const struct mt_test format_tests[] = {{"headers", lines_of_headers}, {"json", objects},
	{"objects and members", objects_and_members}, {"names in texts", names_in_texts},
	{"broken string", broken_string}, {0}};
