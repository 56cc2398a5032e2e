/* SPDX-License-Identifier: Apache-2.0 */
/* Trace contexts: which calls get one, what each attempt is sent with, and that other calls stay as they are. */
#include "mirror_scene.h"
#include "moved.h"
#include "scene.h"
#include "vectors.h"

#include "mt_proxy_priv.h"

#include <string.h>

#define SAFE  0 /* listeners' indexes */
#define DUBBO 4

#define TRACE	  "0af7651916cd43dd8448eb211c80319c"
#define SENDER	  "b7ad6b7169203331"
#define SAMPLED	  "00-" TRACE "-" SENDER "-01"
#define UNSAMPLED "00-" TRACE "-" SENDER "-00"

struct pair {
	const char *name, *value;
};

static struct mt_call_tracing tracing;
static struct fake_conn *client;
static const struct mt_retry again = {
	.on = MT_RETRY_LOST, .attempts = 1, .base_ms = 10, .max_ms = 10};

static struct mt_service *service(uint32_t listener)
{
	return lab.snap->listeners[listener].protos->services[0];
}

static struct mt_route_action *route(uint32_t listener)
{
	return (struct mt_route_action *)mt_route_at(service(listener)->routes, 0);
}

static void trace_calls(uint32_t listener)
{
	mt_call_tracing_keys(&tracing, lab.snap->listeners[listener].protos->codec);
	service(listener)->tracing = &tracing;
}

/* A scene in which calls are drawn with this share, and get these formats. */
static void start(double percent, uint8_t write, bool attempts)
{
	scene_start(2);
	scene_patient();
	memset(&toy_noted, 0, sizeof(toy_noted));
	mt_proxy_set_sampling(lab.p, 0); /* exemplars read metadata, too */
	tracing = (struct mt_call_tracing){.attempts = attempts,
		.rule = {.threshold = mt_tracing_threshold(percent),
			.write = write,
			.trace_len = MT_TRACE_ID}};
	trace_calls(DUBBO);
	client = lab_client(CONFIG_DUBBO);
}

static void stop(void)
{
	if (client->live)
		lab_close(client, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	scene_stop();
}

/* ---- Dubbo ---------------------------------------------------------------------------------- */

static uint32_t put_text(uint8_t *to, const char *text)
{
	uint32_t len = (uint32_t)strlen(text);

	to[0] = (uint8_t)(0x30 + (len >> 8));
	to[1] = (uint8_t)len;
	memcpy(to + 2, text, len);
	return len + 2;
}

static uint32_t make_call(uint8_t *frame, const struct pair *pairs, uint32_t n)
{
	static const char head[] = "\xda\xbb\xc2\0\0\0\0\0\0\0\0\7\0\0\0\0\5"
				   "2.0.2\3a.B\5"
				   "0.0.0\1m"; /* and no types of arguments */
	uint32_t len = sizeof(head);

	memcpy(frame, head, sizeof(head));
	frame[len++] = 'H';
	for (uint32_t i = 0; i < n; i++) {
		len += put_text(frame + len, pairs[i].name);
		len += put_text(frame + len, pairs[i].value);
	}
	frame[len++] = 'Z';
	frame[14] = (uint8_t)((len - 16) >> 8);
	frame[15] = (uint8_t)(len - 16);
	return len;
}

static void send_call(const struct pair *pairs, uint32_t n)
{
	uint8_t frame[4096];

	CU_ASSERT_TRUE(lab_feed(client, frame, make_call(frame, pairs, n)));
}

#define SEND(...)                                                                                  \
	send_call((const struct pair[]){__VA_ARGS__},                                              \
		sizeof((const struct pair[]){__VA_ARGS__}) / sizeof(struct pair))

static struct {
	uint32_t n;
	char name[40][32], value[40][128];
} got;

static void keep_text(char *to, size_t size, struct mt_slice from)
{
	CU_ASSERT_FATAL(from.len < size);
	memcpy(to, from.p, from.len);
	to[from.len] = '\0';
}

/* Reads the attachments of the call that was sent to the server, which has not acknowledged it. */
static void look(struct fake_conn *s)
{
	static struct mt_metadata meta;
	const struct mt_codec *codec = mt_codec_find("dubbo");
	uint8_t scratch[MT_META_SCRATCH];
	struct mt_chain c = {0};
	struct mt_decoder d;
	struct mt_msg msg;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL_FATAL(mt_chain_copy(&s->sent, 0, s->sent.len, &c, &lab.pools), 0);
	mt_decoder_init(&d, codec, MT_DIR_DOWN, 0, &c);
	CU_ASSERT_EQUAL_FATAL(mt_decoder_run(&d, &msg), MT_DECODE_DONE);
	CU_ASSERT_EQUAL(msg.len, c.len);
	mt_meta_clear(&meta);
	mt_meta_read(&meta, codec, &msg, &c);
	CU_ASSERT_EQUAL_FATAL(meta.state, MT_META_READ);
	CU_ASSERT_FATAL(meta.n <= MT_ARRAY_LEN(got.name));
	got.n = meta.n;
	for (uint32_t i = 0; i < meta.n; i++) {
		const struct mt_meta_entry *e = &meta.entry[i];
		struct mt_slice value;

		CU_ASSERT_TRUE_FATAL(mt_meta_value(&meta, i, &value, scratch));
		keep_text(got.name[i], sizeof(got.name[i]), (struct mt_slice){e->key, e->key_len});
		keep_text(got.value[i], sizeof(got.value[i]), value);
	}
	mt_chain_free(&c);
}

/* The server reads the call. */
static struct fake_conn *read_call(struct fake_conn *s)
{
	uint8_t frame[4096];

	look(s);
	lab_take(s, frame, sizeof(frame));
	return s;
}

/* The value of the only attachment of this name, in any spelling; NULL: there is none. */
static const char *value_of(const char *name)
{
	const char *value = NULL;

	for (uint32_t i = 0; i < got.n; i++) {
		if (strcasecmp(got.name[i], name) != 0)
			continue;
		CU_ASSERT_PTR_NULL(value);
		value = got.value[i];
	}
	return value;
}

static bool has(const char *name, const char *value)
{
	const char *is = value_of(name);

	return is && strcmp(is, value) == 0;
}

/* The call's traceparent; it is sampled. */
static struct mt_span parent(void)
{
	const char *value = value_of("traceparent");
	struct mt_span s = {0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(value);
	CU_ASSERT_TRUE(mt_span_w3c(
		&s, (struct mt_slice){(const uint8_t *)value, (uint32_t)strlen(value)}));
	CU_ASSERT_EQUAL(s.sampling, MT_SPAN_SAMPLED);
	return s;
}

static bool is_trace(const struct mt_span *s, const char *digits)
{
	char buf[2 * MT_TRACE_ID + 1];

	return strcmp(mt_span_hex(s->trace, MT_TRACE_ID, buf), digits) == 0;
}

static bool is_id(const struct mt_span *s, const char *digits)
{
	char buf[2 * MT_SPAN_ID + 1];

	return strcmp(mt_span_hex(s->id, MT_SPAN_ID, buf), digits) == 0;
}

static bool same(const uint8_t *a, const uint8_t *b, uint32_t n)
{
	return memcmp(a, b, n) == 0;
}

/* ---- calls without spans -------------------------------------------------------------------- */

/* Bytes of the request at its server, without the id. */
static uint32_t bytes_of(const uint8_t *frame, uint32_t len, bool on, uint8_t out[4096])
{
	uint32_t n;

	start(0, MT_TRACING_W3C | MT_TRACING_B3, true);
	if (!on)
		service(DUBBO)->tracing = NULL;
	CU_ASSERT_TRUE(lab_feed(client, frame, len));
	n = lab_take(scene_connected_server(0), out, 4096);
	memset(out + 4, 0, 8);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_unread), 0);
	stop();
	return n;
}

/* Calls whose sender has decided against a trace, and calls that are not drawn, pass as they are. */
static void test_unchanged(void)
{
	static const struct pair calls[][3] = {
		{{"path", "a.B"}, {"traceparent", UNSAMPLED}, {"tracestate", "a=1"}},
		{{"path", "a.B"}, {"b3", "0"}, {"user", "anna"}},
		{{"b3", TRACE "-" SENDER "-0"}, {"X-B3-Sampled", "0"}, {"user", "anna"}},
		{{"X-B3-TraceId", TRACE}, {"X-B3-SpanId", SENDER}, {"X-B3-Sampled", "0"}},
		/* drawn: without a context, with one that has no decision, malformed, twice */
		{{"path", "a.B"}, {"tracestate", "a=1"}, {"sw8", "1-x"}},
		{{"x-b3-traceid", TRACE}, {"x-b3-spanid", SENDER}, {"user", "anna"}},
		{{"traceparent", "00-" TRACE}, {"user", "anna"}, {"b3", ""}},
		{{"traceparent", SAMPLED}, {"user", "anna"}, {"Traceparent", SAMPLED}},
	};
	uint8_t frame[4096], off[4096], on[4096];

	for (size_t i = 0; i < MT_ARRAY_LEN(calls); i++) {
		uint32_t len = make_call(frame, calls[i], 3), n = bytes_of(frame, len, false, off);

		CU_ASSERT_EQUAL(n, len);
		CU_ASSERT_EQUAL(bytes_of(frame, len, true, on), n);
		CU_ASSERT_TRUE(same(on, off, n));
	}
}

/* ---- calls with spans ----------------------------------------------------------------------- */

/* A sampled call goes on in its trace. Keys of other systems stay. */
static void test_joined(void)
{
	struct mt_span s;

	for (uint32_t attempts = 0; attempts < 2; attempts++) {
		start(0, MT_TRACING_W3C, attempts);
		SEND({"traceparent", SAMPLED}, {"tracestate", "a=1"}, {"sw8", "1-x"},
			{"path", "p"});
		read_call(scene_connected_server(0));
		s = parent();
		CU_ASSERT_TRUE(is_trace(&s, TRACE));
		CU_ASSERT_FALSE(is_id(&s, SENDER));
		CU_ASSERT_TRUE(has("tracestate", "a=1"));
		CU_ASSERT_TRUE(has("sw8", "1-x"));
		CU_ASSERT_TRUE(has("path", "p"));
		CU_ASSERT_EQUAL(got.n, 4);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_not_forwarded), 0);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mutation_failed), 0);
		stop();
	}
}

/* Names compare without case, and no other spelling is left, because servers may read that one. */
static void test_spellings(void)
{
	struct mt_span s;
	const char *b3;

	start(0, MT_TRACING_W3C, false);
	SEND({"TraceParent", SAMPLED}, {"B3", "0"}, {"x-b3-TRACEID", TRACE},
		{"X-B3-spanid", SENDER});
	read_call(scene_connected_server(0));
	s = parent();
	CU_ASSERT_TRUE(is_trace(&s, TRACE));
	b3 = value_of("b3");
	CU_ASSERT_PTR_NOT_NULL_FATAL(b3);
	CU_ASSERT_NSTRING_EQUAL(b3, TRACE "-", 33);
	CU_ASSERT_NSTRING_EQUAL(b3 + 33, value_of("X-B3-SpanId"), 16);
	CU_ASSERT_STRING_EQUAL(b3 + 49, "-1-" SENDER);
	CU_ASSERT_TRUE(has("X-B3-TraceId", TRACE));
	CU_ASSERT_TRUE(has("X-B3-ParentSpanId", SENDER));
	CU_ASSERT_TRUE(has("X-B3-Sampled", "1"));
	CU_ASSERT_EQUAL(got.n, 6);
	stop();
}

/* A context that is there twice is none: the call is drawn, and gets one. */
static void test_twice(void)
{
	struct mt_span s;

	start(100, MT_TRACING_W3C, false);
	SEND({"traceparent", SAMPLED}, {"traceparent", UNSAMPLED});
	read_call(scene_connected_server(0));
	s = parent();
	CU_ASSERT_FALSE(is_trace(&s, TRACE));
	CU_ASSERT_EQUAL(got.n, 1);
	stop();
}

static void test_drawn(void)
{
	struct mt_span first, next;
	struct fake_conn *s;

	start(100, MT_TRACING_W3C, true);
	SEND({"path", "p"});
	s = read_call(scene_connected_server(0));
	first = parent();
	CU_ASSERT_EQUAL(got.n, 2);
	SEND({"path", "p"});
	read_call(lab_server(1) ? scene_connected_server(1) : s);
	next = parent();
	CU_ASSERT_FALSE(same(first.trace, next.trace, MT_TRACE_ID));
	stop();
	/* Nothing is written if the configuration says so. */
	start(100, 0, true);
	SEND({"path", "p"});
	read_call(scene_connected_server(0));
	CU_ASSERT_EQUAL(got.n, 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_not_forwarded), 0);
	stop();
}

/* ---- attempts ------------------------------------------------------------------------------- */

/* The call is sent again: it was not read, or its policy has another attempt. */
static void lose(struct fake_conn *s, bool by_policy)
{
	if (!by_policy) {
		s->end.reset_ack = true;
		s->end.reset_acked = s->end.pos.acked;
	}
	lab_close(s, MT_CLOSE_RESET);
	if (by_policy)
		lab_advance(11 * MT_MSEC);
}

/* Attempts have the same trace and parent, and a span each; or they share the span of the call. */
static void check_siblings(bool by_policy, bool attempts, bool moves)
{
	struct mt_span first, next;
	char b3[128];
	struct fake_conn *s;

	start(0, MT_TRACING_W3C | MT_TRACING_B3, attempts);
	if (by_policy) {
		route(DUBBO)->retry = &again;
		route(DUBBO)->retries = true;
	}
	SEND({"traceparent", SAMPLED}, {"path", "p"});
	s = scene_connected_server(0);
	if (by_policy)
		read_call(s);
	else
		look(s);
	first = parent();
	snprintf(b3, sizeof(b3), "%s", value_of("b3"));
	if (moves)
		moved_to_another(NULL);
	lose(s, by_policy);
	read_call(scene_connected_server(0));
	next = parent();
	CU_ASSERT_TRUE(is_trace(&next, TRACE));
	CU_ASSERT_FALSE(is_id(&next, SENDER));
	CU_ASSERT_EQUAL(got.n, 3);
	CU_ASSERT_EQUAL(!same(first.id, next.id, MT_SPAN_ID), attempts);
	/* TRACE-SPAN-1-PARENT */
	CU_ASSERT_EQUAL(strlen(b3), 68);
	CU_ASSERT_STRING_EQUAL(value_of("b3") + 52, b3 + 52);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_not_forwarded), 0);
	stop();
}

static void test_siblings(void)
{
	for (uint32_t i = 0; i < 8; i++)
		check_siblings(i & 1, i & 2, i & 4);
}

/* An image with an impossible context is refused. */
static void test_damaged(void)
{
	struct mt_exchange *ex;
	struct mt_image saved;
	struct mt_proxy *to;
	uint32_t i = 0;

	start(100, MT_TRACING_W3C, true);
	SEND({"path", "p"});
	read_call(scene_connected_server(0));
	ex = mt_slab_next(&lab.p->exchanges, &i);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ex);
	CU_ASSERT_EQUAL(ex->traced, MT_CALL_TRACED_ATTEMPTS);
	mt_exchange_side(lab.p, ex)->context.trace_len = 200;
	saved = moved_save();
	to = moved_create(NULL);
	CU_ASSERT_EQUAL(moved_load(to, &saved), -EINVAL);
	mt_proxy_destroy(to);
	mt_image_free(&saved);
	stop();
}

/* ---- other changes -------------------------------------------------------------------------- */

/* A route sets the same keys: the trace's context is the one that is sent, once. */
static void test_route_sets(void)
{
	static struct mt_mutation by_route[] = {
		{.key = "Traceparent", .key_len = 11, .value = "x", .value_len = 1},
		{.key = "b3", .key_len = 2, .value = "0", .value_len = 1},
		{.key = "user", .key_len = 4, .value = "anna", .value_len = 4}};
	struct mt_span s;

	start(0, MT_TRACING_W3C | MT_TRACING_B3, true);
	route(DUBBO)->req_mut = by_route;
	route(DUBBO)->n_req_mut = MT_ARRAY_LEN(by_route);
	SEND({"traceparent", SAMPLED}, {"path", "p"});
	read_call(scene_connected_server(0));
	s = parent();
	CU_ASSERT_TRUE(is_trace(&s, TRACE));
	CU_ASSERT_EQUAL(strlen(value_of("b3")), 68);
	CU_ASSERT_TRUE(has("user", "anna"));
	CU_ASSERT_EQUAL(got.n, 4);
	route(DUBBO)->n_req_mut = 0;
	stop();
}

/* Without room for the context the route's changes, which the call requires, are made alone. */
static void test_no_room(void)
{
	static struct mt_mutation by_route[MT_VIEW_MUTATIONS];
	static char names[MT_VIEW_MUTATIONS][4];

	start(0, MT_TRACING_W3C, true);
	for (uint32_t i = 0; i < MT_VIEW_MUTATIONS; i++) {
		snprintf(names[i], sizeof(names[i]), "r%02u", i);
		by_route[i] = (struct mt_mutation){
			.key = names[i], .key_len = 3, .value = "v", .value_len = 1};
	}
	route(DUBBO)->req_mut = by_route;
	route(DUBBO)->n_req_mut = MT_VIEW_MUTATIONS;
	SEND({"traceparent", SAMPLED});
	read_call(scene_connected_server(0));
	CU_ASSERT_TRUE(has("traceparent", SAMPLED));
	CU_ASSERT_EQUAL(got.n, MT_VIEW_MUTATIONS + 1);
	CU_ASSERT_TRUE(has("r31", "v"));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_not_forwarded), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mutation_failed), 0);
	route(DUBBO)->n_req_mut = 0;
	stop();
}

/* A copy has no span: it has the client's context. */
static void test_mirror(void)
{
	struct mt_span s;

	start(0, MT_TRACING_W3C, true);
	mirror_in(lab.snap, DUBBO, 1000000);
	SEND({"traceparent", SAMPLED});
	read_call(mirror_connected(true, 0));
	CU_ASSERT_TRUE(has("traceparent", SAMPLED));
	read_call(mirror_connected(false, 0));
	s = parent();
	CU_ASSERT_FALSE(is_id(&s, SENDER));
	lab_close(mirror_server_of(true, 0), MT_CLOSE_RESET);
	mt_cluster_release(&lab.snap->clusters[1]);
	stop();
}

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

	start(percent, MT_TRACING_W3C, true);
	lab_close(client, MT_CLOSE_RESET);
	config_speak(lab.snap, DUBBO, spoken, 0);
	trace_calls(DUBBO);
	if (!on)
		service(DUBBO)->tracing = NULL;
	client = lab_client(CONFIG_DUBBO);
	lab_feed(client, call->b, call->n);
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
	stop();
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
	CU_ASSERT_TRUE(same(is.b, off.b, off.n));
	is = sent_for(call, 100, true, &refused);
	if (refused) {
		CU_ASSERT_EQUAL(refused, 1);
		CU_ASSERT_EQUAL(is.n, off.n);
		CU_ASSERT_TRUE(same(is.b, off.b, off.n));
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
	start(100, MT_TRACING_W3C, true);
	lab_close(client, MT_CLOSE_RESET);
	config_speak(lab.snap, SAFE, codec, 0);
	trace_calls(SAFE);
	client = lab_client(CONFIG_SAFE);
}

/* Of a request that is forwarded while it arrives, or has too many metadata. */
static void test_unread(void)
{
	static uint8_t call[200000];

	start_toy(&toy_codec);
	toy_make(call, 'Q', 7, "abcd", sizeof(call));
	CU_ASSERT_TRUE(lab_feed(client, call, 70000));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_request_early), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_unread), 1);
	stop();
	start_toy(&toy_codec);
	toy_make(call, 'Q', 7, "huge", 64);
	CU_ASSERT_TRUE(lab_feed(client, call, 64));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_unread), 1);
	CU_ASSERT_STRING_EQUAL(scene_next_sent(scene_connected_server(0)).method, "huge");
	CU_ASSERT_EQUAL(toy_noted.encoded, 0);
	stop();
}

/* A protocol whose metadata cannot be changed has spans, but forwards nothing. */
static void test_unchangeable(void)
{
	struct mt_codec codec = toy_codec;
	uint32_t i = 0;

	codec.rewrite.mutate = NULL;
	start_toy(&codec);
	scene_send_request(client, 'Q', 7, 64);
	CU_ASSERT_STRING_EQUAL(scene_next_sent(scene_connected_server(0)).method, "call");
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_not_forwarded), 1);
	CU_ASSERT_EQUAL(((struct mt_exchange *)mt_slab_next(&lab.p->exchanges, &i))->traced,
		MT_CALL_TRACED_ATTEMPTS);
	stop();
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
	tracing.rule.threshold = 0;
	scene_send_request(client, 'Q', 7, 64);
	scene_next_sent(scene_connected_server(0));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_not_forwarded), 1);
	ex = mt_slab_next(&lab.p->exchanges, &i);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ex);
	CU_ASSERT_EQUAL(ex->traced, MT_CALL_TRACED_ATTEMPTS);
	CU_ASSERT_TRUE(mt_exchange_side(lab.p, ex)->context.has_parent);
	CU_ASSERT_EQUAL(toy_noted.encoded, 0);
	stop();
}

/* The steps of reading metadata are charged to the connection. */
static void test_charged(void)
{
	start_toy(&toy_codec);
	toy_noted.has_fixed = true;
	tracing.rule.threshold = 0;
	scene_send_request(client, 'Q', 7, 64);
	CU_ASSERT_EQUAL(toy_noted.indexed, 1);
	CU_ASSERT_EQUAL(lab.p->view.meta.took, 0);
	memset(&toy_noted, 0, sizeof(toy_noted));
	stop();
}

const struct mt_test context_tests[] = {{"calls that are not traced", test_unchanged},
	{"joined traces", test_joined}, {"spellings of keys", test_spellings},
	{"contexts that are there twice", test_twice}, {"drawn calls", test_drawn},
	{"attempts are siblings", test_siblings}, {"a damaged image", test_damaged},
	{"keys that a route sets", test_route_sets}, {"no room for a context", test_no_room},
	{"mirrored copies", test_mirror}, {"all protocols", test_protocols},
	{"metadata that cannot be read", test_unread},
	{"metadata that cannot be changed", test_unchangeable},
	{"a context at a place", test_place}, {"steps", test_charged}, {0}};
