/* SPDX-License-Identifier: Apache-2.0 */
/* Generic Dubbo calls: which method the server runs. */
#include "codec_test.h"

#include "dubbo/dubbo.h"

#include <string.h>

extern const struct mt_codec mt_codec_dubbo;

struct row {
	const char *method, *arg;
	uint32_t arg_len;
	int rc;
	const char *inner;
};

#define ARG(text) text, sizeof(text) - 1

static const struct row rows[] = {
	{"sayHello",
		ARG("\x03"
		    "abc"),
		0, NULL},
	{"$invoke",
		ARG("\x03"
		    "abc"),
		1, "abc"},
	{"$invokeAsync",
		ARG("\x03"
		    "abc"),
		1, "abc"},
	{"$invoke2",
		ARG("\x03"
		    "abc"),
		0, NULL},
	{"$echo",
		ARG("\x03"
		    "abc"),
		0, NULL},
	/* As java.lang.String.trim(). */
	{"$invoke",
		ARG("\x06"
		    " abc\t\n"),
		1, "abc"},
	{"$invoke",
		ARG("\x05"
		    "\1abc "),
		1, "abc"},
	{"$invoke",
		ARG("\x05"
		    "a b c"),
		1, "a b c"},
	{"$invoke",
		ARG("\x02"
		    "  "),
		1, ""},
	{"$invoke", ARG("\x00"), 1, ""},
	/* No space for Java: U+00A0 and U+3000. */
	{"$invoke",
		ARG("\x02"
		    "\xc2\xa0"
		    "a"),
		1,
		"\xc2\xa0"
		"a"},
	{"$invoke",
		ARG("\x02"
		    "a"
		    "\xe3\x80\x80"),
		1,
		"a"
		"\xe3\x80\x80"},
	/* Its longer forms. */
	{"$invoke",
		ARG("\x30\x03"
		    "abc"),
		1, "abc"},
	{"$invoke",
		ARG("S\0\x03"
		    "abc"),
		1, "abc"},
	/* What is in chunks, no string, or not there, may be anything for the server. */
	{"$invoke",
		ARG("R\0\x01"
		    "a"
		    "\x02"
		    "bc"),
		-1, NULL},
	{"$invoke", ARG("N"), -1, NULL},
	{"$invoke", ARG("\x91"), -1, NULL},
	{"$invoke", ARG("T"), -1, NULL},
	{"$invoke",
		ARG("H\x01"
		    "a"
		    "\x01"
		    "bZ"),
		-1, NULL},
};

static uint32_t message(uint8_t *p, const struct row *r)
{
	static const char head[] = "\xda\xbb\xc2\0\0\0\0\0\0\0\0\1\0\0\0\0\0\1i\0";
	static const char types[] = "\x03Lx;";
	static const char tail[] = "H\1k\1vZ";
	uint32_t at = sizeof(head) - 1, len = (uint32_t)strlen(r->method);

	memcpy(p, head, at);
	p[at++] = (uint8_t)len;
	memcpy(p + at, r->method, len);
	at += len;
	memcpy(p + at, types, sizeof(types) - 1);
	at += sizeof(types) - 1;
	memcpy(p + at, r->arg, r->arg_len);
	at += r->arg_len;
	memcpy(p + at, tail, sizeof(tail) - 1);
	at += sizeof(tail) - 1;
	mt_put_be32(p + 12, at - 16);
	return at;
}

static void inner_methods(void)
{
	static uint8_t scratch[MT_META_SCRATCH];

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows) * 4; i++) {
		const struct row *r = &rows[i / 4];
		struct mt_slice v = {NULL, 0};
		struct mt_chain c = {0};
		struct mt_msg msg;
		uint8_t p[256];
		int rc;

		env_append(&c, p, message(p, r), i % 4);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_dubbo, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
		rc = mt_codec_dubbo.metadata.inner_method(&mt_codec_dubbo, &msg, &c, &v, scratch);
		CU_ASSERT_EQUAL(rc, r->rc);
		if (rc != r->rc)
			fprintf(stderr, "row %u: %d\n", i / 4, rc);
		if (rc == 1 && r->inner) {
			CU_ASSERT_EQUAL(v.len, strlen(r->inner));
			CU_ASSERT_EQUAL(memcmp(v.p, r->inner, MT_MIN(v.len, strlen(r->inner))), 0);
		}
		mt_chain_free(&c);
	}
}

/* A method of MT_META_SCRATCH bytes is found; a longer one may be any for the server. */
static void long_methods(void)
{
	static uint8_t scratch[MT_META_SCRATCH], p[MT_META_SCRATCH + 256];
	static char arg[MT_META_SCRATCH + 8];

	for (uint32_t i = 0; i < 8; i++) {
		uint32_t len = MT_META_SCRATCH + i % 2;
		struct row r = {"$invoke", arg, 3 + len, i % 2 ? -1 : 1, NULL};
		struct mt_slice v = {NULL, 0};
		struct mt_chain c = {0};
		struct mt_msg msg;

		memset(arg, 'm', sizeof(arg));
		arg[0] = 'S';
		arg[1] = (char)(len >> 8);
		arg[2] = (char)len;
		env_append(&c, p, message(p, &r), i / 2 * 100);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_dubbo, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
		CU_ASSERT_EQUAL(mt_codec_dubbo.metadata.inner_method(
					&mt_codec_dubbo, &msg, &c, &v, scratch),
			r.rc);
		CU_ASSERT_EQUAL(v.len, i % 2 ? 0 : len);
		mt_chain_free(&c);
	}
}

/* Of a serialization that is not read nothing is known; neither where the arguments are still to come. */
static void not_readable(void)
{
	static uint8_t scratch[MT_META_SCRATCH];
	struct mt_slice v = {NULL, 0};
	struct mt_chain c = {0};
	struct mt_msg msg;
	uint8_t p[256];

	env_append(&c, p, message(p, &rows[1]), 0);
	CU_ASSERT_EQUAL(env_decode(&mt_codec_dubbo, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
	CU_ASSERT_TRUE(mt_codec_dubbo.metadata.carries(&mt_codec_dubbo, &msg));
	msg.variant = DUBBO_SER_FASTJSON2;
	CU_ASSERT_EQUAL(
		mt_codec_dubbo.metadata.inner_method(&mt_codec_dubbo, &msg, &c, &v, scratch), -1);
	msg.variant = DUBBO_SER_HESSIAN;
	msg.len++;
	CU_ASSERT_EQUAL(
		mt_codec_dubbo.metadata.inner_method(&mt_codec_dubbo, &msg, &c, &v, scratch), -1);
	mt_chain_free(&c);
}

const struct mt_test invoke_tests[] = {
	{"inner_methods", inner_methods},
	{"long_methods", long_methods},
	{"not_readable", not_readable},
	{0},
};
