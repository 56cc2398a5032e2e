/* SPDX-License-Identifier: Apache-2.0 */
/* Thrift values of all types, to the depth that is allowed, and bytes that are no Thrift. */
#include "codec_test.h"

#include "../../../lib/codec/thrift/thrift.h"

#define OUT MT_DIR_UP
#define IN  MT_DIR_DOWN

/* Results and structs, from the byte behind the sequence id. */
static const struct {
	bool compact;
	uint8_t bytes[40];
	uint32_t n;
	enum mt_msg_status status;
} results[] = {
	{false, {0}, 1, MT_STATUS_OK},			    /* void */
	{false, {8, 0, 0, 0, 0, 0, 1, 0}, 8, MT_STATUS_OK}, /* i32 */
	{false, {12, 0, 1, 0, 0}, 5, MT_STATUS_APP_ERROR},  /* declared exception */
	{false,
		{2, 0, 0, 1, 3, 0, 2, 1, 4, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 4, 0, 0, 10, 0, 5,
			0, 0, 0, 0, 0, 0, 0, 0, 0},
		36, MT_STATUS_OK}, /* bool, byte, double, i16, i64 */
	{false, {15, 0, 0, 12, 0, 0, 0, 2, 0, 8, 0, 1, 0, 0, 0, 1, 0, 0}, 18,
		MT_STATUS_OK}, /* list of two structs */
	{false, {13, 0, 0, 11, 14, 0, 0, 0, 1, 0, 0, 0, 1, 'k', 3, 0, 0, 0, 2, 7, 7, 0}, 22,
		MT_STATUS_OK}, /* map of string to set of byte */
	{false, {13, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 10, MT_STATUS_OK}, /* empty map */
	{false, {15, 0, 0, 0, 0, 0, 0, 0, 0}, 9, MT_STATUS_OK},	    /* empty list of nothing */
	{true, {0}, 1, MT_STATUS_OK},
	{true, {5, 0, 2, 0}, 4, MT_STATUS_OK},		   /* i32, long form of field 0 */
	{true, {0x1c, 0, 0}, 3, MT_STATUS_APP_ERROR},	   /* field 1: a struct */
	{true, {1, 0, 0x12, 0x23, 9, 0}, 6, MT_STATUS_OK}, /* true, false, byte */
	{true, {9, 0, 0xf5, 16, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0x80, 1, 0}, 22,
		MT_STATUS_OK},				/* list of 16 i32 */
	{true, {9, 0, 0x21, 1, 2, 0}, 6, MT_STATUS_OK}, /* list of two booleans */
	{true, {11, 0, 2, 0x8c, 1, 'a', 0x15, 2, 0, 1, 'b', 0, 0}, 13,
		MT_STATUS_OK},					     /* map of string to struct */
	{true, {11, 0, 0, 0}, 4, MT_STATUS_OK},			     /* empty map */
	{true, {7, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0}, 11, MT_STATUS_OK}, /* double */
};

static const uint8_t strict_head[] = {0x80, 1, 0, 2, 0, 0, 0, 1, 'm', 0, 0, 0, 1};
static const uint8_t compact_head[] = {0x82, 0x41, 1, 1, 'm'};

static void unframed_result(uint32_t i)
{
	uint8_t p[64];
	uint32_t n = results[i].compact ? sizeof(compact_head) : sizeof(strict_head), left;

	memcpy(p, results[i].compact ? compact_head : strict_head, n);
	memcpy(p + n, results[i].bytes, results[i].n);
	n += results[i].n;
	for (uint32_t cut = 1; cut <= n; cut++) {
		struct mt_chain c = {0};
		struct mt_decoder d;
		struct mt_msg msg;
		enum mt_decode rc;

		env_append(&c, p, cut, 0);
		mt_decoder_init(&d, &mt_codec_thrift, OUT, 0, &c);
		rc = mt_decoder_run(&d, &msg);
		if (cut < n) {
			CU_ASSERT(rc == MT_DECODE_MORE || rc == MT_DECODE_LEADING);
			/* What follows is another message's. */
			env_append(&c, p + cut, n - cut, 0);
			env_append(&c, p, 2, 0);
			rc = mt_decoder_run(&d, &msg);
			if (rc == MT_DECODE_LEADING)
				rc = mt_decoder_run(&d, &msg);
		}
		left = cut < n ? 2 : 0;
		CU_ASSERT_EQUAL(rc, MT_DECODE_DONE);
		CU_ASSERT_EQUAL(msg.len + left, c.len);
		CU_ASSERT_EQUAL(msg.status, results[i].status);
		mt_chain_free(&c);
	}
}

static void framed_result(uint32_t i)
{
	uint8_t p[64];
	uint32_t n = results[i].compact ? sizeof(compact_head) : sizeof(strict_head);
	struct mt_chain c = {0};
	struct mt_msg msg;

	memcpy(p + 4, results[i].compact ? compact_head : strict_head, n);
	memcpy(p + 4 + n, results[i].bytes, results[i].n);
	n += results[i].n;
	mt_put_be32(p, n);
	env_append(&c, p, n + 4, 1);
	CU_ASSERT_EQUAL(env_decode(&mt_codec_thrift, OUT, &c, &msg), MT_DECODE_DONE);
	CU_ASSERT_EQUAL(msg.len, n + 4);
	CU_ASSERT_EQUAL(msg.status, results[i].status);
	mt_chain_free(&c);
}

static void all_results(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(results); i++) {
		unframed_result(i);
		framed_result(i);
	}
}

static const struct {
	const char *why;
	uint8_t bytes[48];
	uint32_t n;
} bad[] = {
	{"no transport", {'G', 'E', 'T', ' ', '/', ' '}, 6},
	{"no transport", {0, 0, 0, 0, 0x80, 1}, 6},
	{"no transport", {0, 0, 0, 9, 0xff, 0xff}, 6},
	{"runs past", {0, 0, 0, 2, 0x80, 1}, 6},
	{"runs past", {0, 0, 0, 8, 0x80, 1, 0, 1, 0, 0, 0, 9}, 12},
	{"runs past", {0, 0, 0, 4, 0x0f, 0xff, 0, 0}, 8},
	{"name longer", {0x80, 1, 0, 1, 0xff, 0xff, 0xff, 0xff}, 8},
	{"name longer", {0x82, 0x21, 0, 0xff, 0xff, 0xff, 0xff, 0x0f}, 8},
	{"varint too long", {0x82, 0x21, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 8},
	{"unknown message type", {0x80, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0}, 12},
	{"unknown field", {0x80, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1}, 15},
	{"longer than the limit", /* a string of 2 GiB */
		{0x80, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 11, 0, 1, 0x7f, 0xff, 0xff, 0xff}, 19},
	{"longer than the limit", /* a list of 2^31 bytes, then of 2^31 structs */
		{0x80, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 1, 3, 0x80, 0, 0, 0}, 20},
	{"longer than the limit",
		{0x80, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 1, 12, 0x80, 0, 0, 0}, 20},
	{"longer than the limit", /* a map of 2^31 */
		{0x80, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 13, 0, 1, 11, 12, 0x80, 0, 0, 0}, 21},
	{"unknown element", {0x80, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 1, 1, 0, 0, 0, 1}, 20},
	{"THeader block longer", {0, 0, 0, 99, 0x0f, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0}, 16},
	{"THeader block malformed",
		{0, 0, 0, 99, 0x0f, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0xff, 0xff, 0xff}, 18},
};

static void refuse_malformed(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		struct mt_chain c = {0};
		struct mt_decoder d;
		struct mt_msg msg;
		enum mt_decode rc;

		env_append(&c, bad[i].bytes, bad[i].n, 0);
		mt_decoder_init(&d, &mt_codec_thrift, IN, 0, &c);
		rc = mt_decoder_run(&d, &msg);
		CU_ASSERT_EQUAL(rc, MT_DECODE_BAD);
		CU_ASSERT_EQUAL(d.too_long, !strcmp(bad[i].why, "longer than the limit"));
		if (rc == MT_DECODE_BAD && !strstr(d.why, bad[i].why)) {
			CU_FAIL("reason");
			fprintf(stderr, "row %u: %s, not %s\n", i, d.why, bad[i].why);
		}
		mt_chain_free(&c);
	}
}

/* Structs in structs to the limit; lists of lists of wide counts to what the stack holds. */
static void depth(void)
{
	uint8_t p[512];

	for (uint32_t levels = 60; levels < 70; levels++) {
		struct mt_chain c = {0};
		struct mt_msg msg;
		uint32_t n = sizeof(strict_head);
		enum mt_decode rc;

		memcpy(p, strict_head, n);
		for (uint32_t i = 1; i < levels; i++, n += 3)
			memcpy(p + n, "\x0c\0\1", 3);
		memset(p + n, 0, levels);
		n += levels;
		env_append(&c, p, n, 0);
		rc = env_decode(&mt_codec_thrift, OUT, &c, &msg);
		CU_ASSERT_EQUAL(rc, levels <= THRIFT_DEPTH ? MT_DECODE_DONE : MT_DECODE_BAD);
		mt_chain_free(&c);
	}
	for (uint32_t levels = 1; levels < 40; levels++) {
		struct mt_chain c = {0};
		struct mt_msg msg;
		uint32_t n = sizeof(strict_head);
		enum mt_decode rc;

		memcpy(p, strict_head, n);
		memcpy(p + n, "\x0f\0\1", 3);
		n += 3;
		for (uint32_t i = 0; i < levels; i++, n += 5)
			memcpy(p + n, "\x0f\0\0\0\1", 5);
		memcpy(p + n, "\x03\0\0\0\0\0", 6);
		n += 6;
		env_append(&c, p, n, 0);
		rc = env_decode(&mt_codec_thrift, OUT, &c, &msg);
		CU_ASSERT_EQUAL(
			rc, 1 + 2 * levels <= THRIFT_STACK ? MT_DECODE_DONE : MT_DECODE_BAD);
		mt_chain_free(&c);
	}
}

const struct mt_test thrift_value_tests[] = {
	{"thrift_results", all_results},
	{"thrift_malformed", refuse_malformed},
	{"thrift_depth", depth},
	{0},
};
