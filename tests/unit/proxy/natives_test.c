/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local replies of each codec for each reason: every byte that the client gets, the counters, and
 * the record of the call. The expected bytes are written here, without the codecs.
 */
#include "scene.h"

#include "mt_proxy_priv.h"

#include <stdio.h>

/* Refusals get the mark by themselves. */
#define MARK "meltemi: "
#define WHY  MARK "not now" /* 16 bytes */

struct bytes {
	const char *b;
	uint32_t n;
};

#define BYTES(text)                                                                                \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

/*
 * How a reason is written: as a status byte of Dubbo, as a type of Thrift's TApplicationException;
 * its name elsewhere.
 */
static const struct {
	const char *name;
	uint8_t dubbo, thrift;
} reasons[MT_REPLY_N] = {
	[MT_REPLY_NO_ROUTE] = {"no_route", 60, 1},
	[MT_REPLY_NO_CLUSTER] = {"no_cluster", 60, 1},
	[MT_REPLY_NO_ENDPOINT] = {"no_endpoint", 80, 6},
	[MT_REPLY_OVER_LIMIT] = {"over_limit", 100, 6},
	[MT_REPLY_OVERLOAD] = {"overload", 100, 6},
	[MT_REPLY_TIMEOUT] = {"timeout", 31, 6},
	[MT_REPLY_CONN_LOST] = {"conn_lost", 35, 6},
	[MT_REPLY_BAD_REQUEST] = {"bad_request", 40, 7},
	[MT_REPLY_BAD_REPLY] = {"bad_reply", 50, 6},
	[MT_REPLY_UNSUPPORTED] = {"unsupported", 80, 8},
	[MT_REPLY_DENIED] = {"denied", 70, 6},
	[MT_REPLY_TOO_LARGE] = {"too_large", 40, 6},
	[MT_REPLY_NO_UPGRADE] = {"no_upgrade", 80, 1},
};

enum written { BY_DUBBO, BY_THRIFT, BY_THRIFT_COMPACT, BY_NONE };

/* A call, and the reply before and after the byte that depends on the reason. */
static const struct {
	const char *name, *codec;
	enum written by;
	struct bytes call, head, tail;
} dialects[] = {
	{"Dubbo", "dubbo", BY_DUBBO,
		BYTES("\xda\xbb\xc2\0\x11\x22\x33\x44\x55\x66\x77\x88\0\0\0\x15\5"
		      "2.0.2\3a.B\5"
		      "0.0.0\1m\0HZ"),
		BYTES("\xda\xbb\2"), BYTES("\x11\x22\x33\x44\x55\x66\x77\x88\0\0\0\x11\x10" WHY)},
	{"Thrift, framed, strict", "thrift", BY_THRIFT,
		BYTES("\0\0\0\xe\x80\1\0\1\0\0\0\1m\1\2\3\4\0"),
		BYTES("\0\0\0\x2c\x80\1\0\3\0\0\0\1m\1\2\3\4\xb\0\1\0\0\0\x10" WHY "\x8\0\2\0\0\0"),
		BYTES("\0")},
	{"Thrift, unframed, strict", "thrift", BY_THRIFT, BYTES("\x80\1\0\1\0\0\0\1m\1\2\3\4\0"),
		BYTES("\x80\1\0\3\0\0\0\1m\1\2\3\4\xb\0\1\0\0\0\x10" WHY "\x8\0\2\0\0\0"),
		BYTES("\0")},
	{"Thrift, unframed, old", "thrift", BY_THRIFT, BYTES("\0\0\0\1m\1\1\2\3\4\0"),
		BYTES("\0\0\0\1m\3\1\2\3\4\xb\0\1\0\0\0\x10" WHY "\x8\0\2\0\0\0"), BYTES("\0")},
	/* The id is 300: two bytes of a varint. */
	{"Thrift, framed, compact", "thrift", BY_THRIFT_COMPACT,
		BYTES("\0\0\0\7\x82\x21\xac\2\1m\0"),
		BYTES("\0\0\0\x1b\x82\x61\xac\2\1m\x18\x10" WHY "\x15"), BYTES("\0")},
	{"Thrift, THeader, strict", "thrift", BY_THRIFT,
		BYTES("\0\0\0\x1c\xf\xff\0\0\0\0\0\5\0\1\0\0\0\0\x80\1\0\1\0\0\0\1m\0\0\0\5\0"),
		BYTES("\0\0\0\x3a\xf\xff\0\0\0\0\0\5\0\1\0\0\0\0\x80\1\0\3\0\0\0\1m\0\0\0\5\xb\0\1"
		      "\0\0\0\x10" WHY "\x8\0\2\0\0\0"),
		BYTES("\0")},
	{"Thrift, THeader, compact", "thrift", BY_THRIFT_COMPACT,
		BYTES("\0\0\0\x15\xf\xff\0\0\0\0\1\x2c\0\1\2\0\0\0\x82\x21\xac\2\1m\0"),
		BYTES("\0\0\0\x29\xf\xff\0\0\0\0\1\x2c\0\1\2\0\0\0\x82\x61\xac\2\1m\x18\x10" WHY
		      "\x15"),
		BYTES("\0")},
	/* One code for all reasons, and no text. */
	{"awesomeRPC 0", "awesomeRPC", BY_NONE, BYTES("\0\1\2\3\4\0\0\0\xd\0\x2a\0\0"),
		BYTES("\0\1\2\3\4\0\0\0\xd\0\x2a\0\1"), BYTES("")},
	{"awesomeRPC 2", "awesomeRPC", BY_NONE, BYTES("\2\1\2\3\4\0\0\0\xf\0\x2a\0\0\0\0"),
		BYTES("\2\1\2\3\4\0\0\0\xd\0\x2a\0\1"), BYTES("")},
};

static uint32_t expected(uint32_t dialect, enum mt_local_reply why, uint8_t *to)
{
	const struct bytes *head = &dialects[dialect].head, *tail = &dialects[dialect].tail;
	uint32_t n = head->n;

	memcpy(to, head->b, n);
	if (dialects[dialect].by == BY_DUBBO)
		to[n++] = reasons[why].dubbo;
	else if (dialects[dialect].by != BY_NONE) /* compact: zigzag */
		to[n++] = (uint8_t)(reasons[why].thrift
				    << (dialects[dialect].by == BY_THRIFT_COMPACT));
	memcpy(to + n, tail->b, tail->n);
	return n + tail->n;
}

/* The call's service is counted for one more of these, and nobody else is. */
static uint64_t counted(enum mt_local_reply why)
{
	const struct mt_service_stats *st = mt_proxy_service_stats(lab.p, 0);
	uint64_t local = st->local[mt_ending_of_reply(why)], all = 0;

	for (int i = 0; i < MT_REPLY_N; i++)
		all += scene_counted(MT_PROXY_reply_no_route + (uint32_t)i);
	CU_ASSERT_EQUAL(mt_service_local_replies(st), all);
	CU_ASSERT_EQUAL(local, scene_counted(MT_PROXY_reply_no_route + why));
	return local << 32 | all;
}

static void is_recorded(const char *state)
{
	static struct mt_record calls[2 * MT_SLOW_CALLS];
	uint32_t n = mt_slow_read(mt_proxy_slow(lab.p), calls, MT_ARRAY_LEN(calls));

	CU_ASSERT_EQUAL_FATAL(n, 1);
	CU_ASSERT_STRING_EQUAL(calls[0].state, state);
	CU_ASSERT_EQUAL(calls[0].tries, 0);
	CU_ASSERT_FALSE(calls[0].answered);
	CU_ASSERT_STRING_EQUAL(calls[0].service, "toys");
}

static struct mt_exchange *the_exchange(void)
{
	uint32_t i = 0;

	return mt_slab_next(&lab.p->exchanges, &i);
}

static struct fake_conn *start(const char *codec)
{
	scene_start(1);
	config_speak(lab.snap, 0, mt_codec_find(codec), 0);
	scene_patient();
	return lab_client(CONFIG_SAFE);
}

static bool is_refusal(enum mt_local_reply why)
{
	return why == MT_REPLY_DENIED || why == MT_REPLY_OVER_LIMIT || why == MT_REPLY_OVERLOAD;
}

static void one(uint32_t dialect, enum mt_local_reply why)
{
	struct fake_conn *c = start(dialects[dialect].codec);
	uint8_t want[256], got[256];
	uint32_t n = expected(dialect, why, want), sent;
	struct mt_exchange *ex;

	lab_feed(c, dialects[dialect].call.b, dialects[dialect].call.n);
	ex = the_exchange();
	CU_ASSERT_PTR_NOT_NULL_FATAL(ex);
	lab_advance(MT_MSEC);
	mt_reply_local(lab.p, ex, why, is_refusal(why) ? WHY + strlen(MARK) : WHY);
	lab_advance(MT_MSEC);
	sent = lab_take(c, got, sizeof(got));
	CU_ASSERT_EQUAL(sent, n);
	CU_ASSERT_EQUAL(memcmp(got, want, n), 0);
	if (sent != n || memcmp(got, want, n) != 0)
		fprintf(stderr, "%s: %s\n", dialects[dialect].name, reasons[why].name);
	CU_ASSERT_EQUAL(counted(why), UINT64_C(1) << 32 | 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), 0);
	is_recorded(reasons[why].name);
	lab_close(c, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	scene_stop();
}

static void test_two_way(void)
{
	for (uint32_t d = 0; d < MT_ARRAY_LEN(dialects); d++)
		for (int why = 0; why < MT_REPLY_N; why++)
			one(d, (enum mt_local_reply)why);
}

/* No client waits for it: it is counted and recorded, and no byte is sent. */
static void test_one_way(void)
{
	static const char dubbo[] = "\xda\xbb\x82\0\x11\x22\x33\x44\x55\x66\x77\x88\0\0\0\x15\5"
				    "2.0.2\3a.B\5"
				    "0.0.0\1m\0HZ";
	static const char thrift[] = "\0\0\0\xe\x80\1\0\4\0\0\0\1m\1\2\3\4\0";

	for (int why = 0; why < 2 * MT_REPLY_N; why++) {
		struct fake_conn *c = start(why % 2 ? "dubbo" : "thrift");
		enum mt_ending ending;

		lab_feed(c, why % 2 ? dubbo : thrift,
			why % 2 ? sizeof(dubbo) - 1 : sizeof(thrift) - 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(the_exchange());
		lab_advance(MT_MSEC);
		mt_reply_local(lab.p, the_exchange(), (enum mt_local_reply)(why / 2), WHY);
		lab_advance(MT_MSEC);
		CU_ASSERT_EQUAL(c->sent.len, 0);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway_lost), 1);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_no_route + (uint32_t)why / 2), 0);
		ending = mt_ending_of_reply((enum mt_local_reply)(why / 2));
		CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, 0)->local[ending], 1);
		is_recorded(reasons[why / 2].name);
		lab_close(c, MT_CLOSE_RESET);
		lab_advance(20 * MT_SEC);
		scene_stop();
	}
}

const struct mt_test natives_tests[] = {{"each reason in each dialect", test_two_way},
	{"each reason of one-way calls", test_one_way}, {0}};
