/* SPDX-License-Identifier: Apache-2.0 */
/* Trace contexts in requests of all protocols, and in those that cannot be read or changed. */
#include "traced.h"
#include "vectors.h"

#include <string.h>

/* ---- all protocols -------------------------------------------------------------------------- */

static const struct mt_codec *spoken;
static uint32_t n_forwarded;

/* The request at its server, with the id 1. */
static struct bytes sent_for(const struct bytes *call, double percent, bool on, uint64_t *refused)
{
	struct bytes out = {0};
	struct mt_chain is = {0};
	struct mt_decoder d;
	struct mt_msg msg;
	struct fake_conn *s;

	traced_start(percent, MT_TRACING_W3C, true);
	lab_close(traced_client, MT_CLOSE_RESET);
	config_speak(lab.snap, DUBBO, spoken, 0);
	traced_listener(DUBBO);
	if (!on)
		traced_service(DUBBO)->tracing = NULL;
	traced_client = lab_client(CONFIG_DUBBO);
	lab_feed(traced_client, call->b, call->n);
	s = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	lab_connect(s);
	CU_ASSERT_EQUAL_FATAL(mt_chain_copy(&s->sent, 0, s->sent.len, &is, &lab.pools), 0);
	mt_decoder_init(&d, spoken, MT_DIR_DOWN, 0, &is);
	CU_ASSERT_EQUAL_FATAL(mt_decoder_run(&d, &msg), MT_DECODE_DONE);
	CU_ASSERT_EQUAL(msg.len, is.len);
	CU_ASSERT_EQUAL(mt_codec_set_id(spoken, &msg, &is, 1, &lab.pools), 0);
	CU_ASSERT_FATAL(is.len <= VECTORS_MOST);
	out.n = is.len;
	mt_chain_read(&is, 0, out.b, out.n);
	mt_chain_free(&is);
	*refused =
		scene_counted(MT_PROXY_trace_not_forwarded) + scene_counted(MT_PROXY_trace_unread);
	lab_take(s, scene_buf, SCENE_BUF); /* one-way calls live until they are acknowledged */
	traced_stop();
	return out;
}

/* One traceparent, which is valid. */
static void is_traced(const struct bytes *b)
{
	static struct mt_metadata meta;
	const struct mt_key key = mt_key_make_icase(spoken, "traceparent");
	uint8_t scratch[MT_META_SCRATCH];
	struct mt_chain c = {0};
	struct mt_slice value;
	struct mt_decoder d;
	struct mt_span s;
	struct mt_msg msg;
	uint32_t at;

	CU_ASSERT_EQUAL_FATAL(mt_chain_write(&c, &lab.pools, b->b, b->n), 0);
	mt_decoder_init(&d, spoken, MT_DIR_DOWN, 0, &c);
	CU_ASSERT_EQUAL_FATAL(mt_decoder_run(&d, &msg), MT_DECODE_DONE);
	mt_meta_clear(&meta);
	mt_meta_read(&meta, spoken, &msg, &c);
	CU_ASSERT_EQUAL_FATAL(meta.state, MT_META_READ);
	at = mt_meta_next(&meta, &key, 0);
	CU_ASSERT_FATAL(at != UINT32_MAX);
	CU_ASSERT_EQUAL(mt_meta_next(&meta, &key, at + 1), UINT32_MAX);
	CU_ASSERT_TRUE(mt_meta_value(&meta, at, &value, scratch));
	CU_ASSERT_TRUE(mt_span_w3c(&s, value));
	mt_chain_free(&c);
}

static void check_vector(const char *name, const struct bytes *call)
{
	uint64_t refused;
	struct bytes off = sent_for(call, 0, false, &refused),
		     is = sent_for(call, 0, true, &refused);

	(void)name;
	CU_ASSERT_EQUAL(is.n, off.n);
	CU_ASSERT_TRUE(memcmp(is.b, off.b, off.n) == 0);
	is = sent_for(call, 100, true, &refused);
	if (refused) {
		CU_ASSERT_EQUAL(refused, 1);
		CU_ASSERT_EQUAL(is.n, off.n);
		CU_ASSERT_TRUE(memcmp(is.b, off.b, off.n) == 0);
		return;
	}
	n_forwarded++;
	is_traced(&is);
}

/* Requests of the protocol are the same if they are not drawn. If drawn, they have a context, or it is counted. */
static void check_protocol(const char *folder, bool forwards)
{
	spoken = mt_codec_find(folder);
	n_forwarded = 0;
	vectors_each(folder, check_vector);
	CU_ASSERT_EQUAL(n_forwarded > 0, forwards);
}

static void test_protocols(void)
{
	check_protocol("dubbo", true);
	check_protocol("thrift", true);
	check_protocol("awesomerpc", false);
}

/* ---- what cannot be read or written --------------------------------------------------------- */

static void start_toy(const struct mt_codec *codec)
{
	traced_start(100, MT_TRACING_W3C, true);
	lab_close(traced_client, MT_CLOSE_RESET);
	config_speak(lab.snap, SAFE, codec, 0);
	traced_listener(SAFE);
	traced_client = lab_client(CONFIG_SAFE);
}

/* Of a request that is forwarded while it arrives, or has too many metadata. */
static void test_unread(void)
{
	static uint8_t call[200000];

	start_toy(&toy_codec);
	toy_make(call, 'Q', 7, "abcd", sizeof(call));
	CU_ASSERT_TRUE(lab_feed(traced_client, call, 70000));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_request_early), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_unread), 1);
	traced_stop();
	start_toy(&toy_codec);
	toy_make(call, 'Q', 7, "huge", 64);
	CU_ASSERT_TRUE(lab_feed(traced_client, call, 64));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_unread), 1);
	CU_ASSERT_STRING_EQUAL(scene_next_sent(scene_connected_server(0)).method, "huge");
	CU_ASSERT_EQUAL(toy_noted.encoded, 0);
	traced_stop();
}

/* A protocol whose metadata cannot be changed has spans, but forwards nothing. */
static void test_unchangeable(void)
{
	struct mt_codec codec = toy_codec;
	uint32_t i = 0;

	codec.rewrite.mutate = NULL;
	start_toy(&codec);
	scene_send_request(traced_client, 'Q', 7, 64);
	CU_ASSERT_STRING_EQUAL(scene_next_sent(scene_connected_server(0)).method, "call");
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_not_forwarded), 1);
	CU_ASSERT_EQUAL(((struct mt_exchange *)mt_slab_next(&lab.p->exchanges, &i))->traced,
		MT_CALL_TRACED_ATTEMPTS);
	traced_stop();
}

static bool at_a_place(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, const struct mt_key *key, struct mt_slice *value,
	uint8_t *scratch)
{
	(void)scratch;
	*value = (struct mt_slice){(const uint8_t *)SAMPLED, sizeof(SAMPLED) - 1};
	return key->id == 1;
}

/* A context at a place of its own is read, and cannot be replaced. */
static void test_place(void)
{
	static const char *const keys[] = {"method", "traceparent", NULL};
	struct mt_codec codec = toy_codec;
	struct mt_exchange *ex;
	uint32_t i = 0;

	codec.keys = keys;
	codec.metadata.leading = at_a_place;
	start_toy(&codec);
	traced.rule.threshold = 0;
	scene_send_request(traced_client, 'Q', 7, 64);
	scene_next_sent(scene_connected_server(0));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_not_forwarded), 1);
	ex = mt_slab_next(&lab.p->exchanges, &i);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ex);
	CU_ASSERT_EQUAL(ex->traced, MT_CALL_TRACED_ATTEMPTS);
	CU_ASSERT_TRUE(mt_exchange_side(lab.p, ex)->context.has_parent);
	CU_ASSERT_EQUAL(toy_noted.encoded, 0);
	traced_stop();
}

/* The steps of reading metadata are charged to the connection. */
static void test_charged(void)
{
	start_toy(&toy_codec);
	toy_noted.has_fixed = true;
	traced.rule.threshold = 0;
	scene_send_request(traced_client, 'Q', 7, 64);
	CU_ASSERT_EQUAL(toy_noted.indexed, 1);
	CU_ASSERT_EQUAL(lab.p->view.meta.took, 0);
	memset(&toy_noted, 0, sizeof(toy_noted));
	traced_stop();
}

const struct mt_test context_protocols_tests[] = {{"all protocols", test_protocols},
	{"metadata that cannot be read", test_unread},
	{"metadata that cannot be changed", test_unchangeable},
	{"a context at a place", test_place}, {"steps", test_charged}, {0}};
