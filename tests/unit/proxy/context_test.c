/* SPDX-License-Identifier: Apache-2.0 */
/* Trace contexts: which calls get one, what each attempt is sent with, and that other calls stay as they are. */
#include "mirror_scene.h"
#include "moved.h"
#include "scene.h"
#include "traced.h"

#include "mt_proxy_priv.h"

#include <string.h>

#define UNSAMPLED "00-" TRACE "-" SENDER "-00"

struct pair {
	const char *name, *value;
};

static const struct mt_retry again = {
	.on = MT_RETRY_LOST, .attempts = 1, .base_ms = 10, .max_ms = 10};

static struct mt_route_action *route(uint32_t listener)
{
	return (struct mt_route_action *)mt_route_at(traced_service(listener)->routes, 0);
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

	CU_ASSERT_TRUE(lab_feed(traced_client, frame, make_call(frame, pairs, n)));
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

	traced_start(0, MT_TRACING_W3C | MT_TRACING_B3, true);
	if (!on)
		traced_service(DUBBO)->tracing = NULL;
	CU_ASSERT_TRUE(lab_feed(traced_client, frame, len));
	n = lab_take(scene_connected_server(0), out, 4096);
	memset(out + 4, 0, 8);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_unread), 0);
	traced_stop();
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
		traced_start(0, MT_TRACING_W3C, attempts);
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
		traced_stop();
	}
}

/* Names compare without case, and no other spelling is left, because servers may read that one. */
static void test_spellings(void)
{
	struct mt_span s;
	const char *b3;

	traced_start(0, MT_TRACING_W3C, false);
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
	traced_stop();
}

/* A context that is there twice is none: the call is drawn, and gets one. */
static void test_twice(void)
{
	struct mt_span s;

	traced_start(100, MT_TRACING_W3C, false);
	SEND({"traceparent", SAMPLED}, {"traceparent", UNSAMPLED});
	read_call(scene_connected_server(0));
	s = parent();
	CU_ASSERT_FALSE(is_trace(&s, TRACE));
	CU_ASSERT_EQUAL(got.n, 1);
	traced_stop();
}

static void test_drawn(void)
{
	struct mt_span first, next;
	struct fake_conn *s;

	traced_start(100, MT_TRACING_W3C, true);
	SEND({"path", "p"});
	s = read_call(scene_connected_server(0));
	first = parent();
	CU_ASSERT_EQUAL(got.n, 2);
	SEND({"path", "p"});
	read_call(lab_server(1) ? scene_connected_server(1) : s);
	next = parent();
	CU_ASSERT_FALSE(same(first.trace, next.trace, MT_TRACE_ID));
	traced_stop();
	/* Nothing is written if the configuration says so. */
	traced_start(100, 0, true);
	SEND({"path", "p"});
	read_call(scene_connected_server(0));
	CU_ASSERT_EQUAL(got.n, 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_trace_not_forwarded), 0);
	traced_stop();
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

	traced_start(0, MT_TRACING_W3C | MT_TRACING_B3, attempts);
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
	traced_stop();
}

static void test_siblings(void)
{
	for (uint32_t i = 0; i < 8; i++)
		check_siblings(i & 1, i & 2, i & 4);
}

/* ---- spans ---------------------------------------------------------------------------------- */

/* Calls of the scene have spans for an output. `lines`: and lines in the access log. */
static void start_sending(bool attempts, bool lines)
{
	traced_start(0, MT_TRACING_W3C, attempts);
	traced.key = 77;
	lab.snap->logged = lab.snap->log_general = lab.snap->log_unserved = lines;
}

static void reply_to(struct fake_conn *s)
{
	static const uint8_t reply[] = {
		0xda, 0xbb, 0x02, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x94};
	uint8_t frame[4096];

	look(s);
	lab_take(s, frame, sizeof(frame));
	memcpy(frame + 16, reply + 16, 1);
	frame[2] = reply[2];
	frame[3] = reply[3];
	memcpy(frame + 12, reply + 12, 4);
	CU_ASSERT_TRUE(lab_feed(s, frame, sizeof(reply)));
}

/* The next entry, with these spans; its trace is in *s. */
static const struct mt_alog_entry *entry_with(uint8_t which, struct mt_alog_spans *s)
{
	const struct mt_alog_entry *e = scene_logged();

	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL_FATAL(e->spans, which);
	mt_alog_entry_spans(e, s);
	CU_ASSERT_EQUAL(s->key, 77);
	CU_ASSERT_EQUAL(s->trace_len, MT_TRACE_ID);
	CU_ASSERT_TRUE(s->has_parent);
	return e;
}

/* The entry of a call has its spans: the ids that its server got. Without a log it has no line. */
static void check_sent(bool attempts, bool lines)
{
	static const struct mt_alog_tags tags;
	char buf[2 * MT_TRACE_ID + 1];
	const struct mt_alog_entry *e;
	struct mt_alog_spans s;
	struct mt_span sent;

	start_sending(attempts, lines);
	traced.tags = &tags;
	traced.istio = lines;
	SEND({"traceparent", SAMPLED}, {"path", "p"});
	reply_to(scene_connected_server(0));
	sent = parent();
	e = entry_with(attempts ? MT_ALOG_SPAN_CALL | MT_ALOG_SPAN_ATTEMPT : MT_ALOG_SPAN_CALL, &s);
	CU_ASSERT_STRING_EQUAL(mt_span_hex(s.trace, MT_TRACE_ID, buf), TRACE);
	CU_ASSERT_STRING_EQUAL(mt_span_hex(s.parent, MT_SPAN_ID, buf), SENDER);
	CU_ASSERT_TRUE(same(attempts ? s.attempt : s.call, sent.id, MT_SPAN_ID));
	CU_ASSERT_EQUAL(s.attempt_at > 0, attempts);
	CU_ASSERT_PTR_EQUAL(s.tags, &tags);
	CU_ASSERT_EQUAL(s.istio, lines);
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_ok);
	CU_ASSERT_STRING_EQUAL(scene_logged_method(e), "m");
	CU_ASSERT_EQUAL(e->scope && e->scope->n == 0, !lines);
	CU_ASSERT_PTR_NULL(scene_logged());
	traced_stop();
}

static void test_sent(void)
{
	for (uint32_t i = 0; i < 4; i++)
		check_sent(i & 1, i & 2);
}

/* The exemplar of a call has its own span, whether its client names a trace or none. */
static void check_exemplar(bool named)
{
	const struct mt_exemplars *x;
	struct mt_exemplar e = {0};
	struct mt_span sent;
	bool found = false;

	traced_start(100, MT_TRACING_W3C, false);
	mt_proxy_set_sampling(lab.p, MT_EXEMPLAR_MS);
	if (named)
		SEND({"traceparent", SAMPLED}, {"path", "p"});
	else
		SEND({"path", "p"});
	reply_to(scene_connected_server(0));
	sent = parent();
	x = mt_proxy_exemplars(lab.p, traced_service(DUBBO)->index);
	for (uint32_t i = 0; i < MT_EXEMPLARS && !found; i++)
		found = mt_exemplar_read(x, i, &e);
	CU_ASSERT_TRUE_FATAL(found);
	CU_ASSERT_EQUAL(e.span.len, MT_TRACE_ID);
	CU_ASSERT_TRUE(e.span.has_id);
	CU_ASSERT_TRUE(same(e.span.trace, sent.trace, MT_TRACE_ID));
	CU_ASSERT_TRUE(same(e.span.id, sent.id, MT_SPAN_ID));
	CU_ASSERT_EQUAL(is_trace(&e.span, TRACE), named);
	traced_stop();
}

static void test_exemplars(void)
{
	check_exemplar(false);
	check_exemplar(true);
}

/* Metadata that tags name is kept, although the call has no line. */
static void test_metadata(void)
{
	const struct mt_codec *dubbo;
	const struct mt_alog_entry *e;
	struct mt_alog_made made;
	struct mt_alog_record r;
	struct mt_alog_spans s;
	struct mt_key key;
	struct mt_log_keys keys;

	start_sending(true, false);
	dubbo = lab.snap->listeners[DUBBO].protos->codec;
	key = mt_key_make_icase(dubbo, "x-user");
	keys = (struct mt_log_keys){.codec = dubbo, .request = &key, .n_request = 1};
	lab.snap->log_keys = &keys;
	lab.snap->n_log_keys = 1;
	SEND({"traceparent", SAMPLED}, {"X-User", "alice"});
	reply_to(scene_connected_server(0));
	e = entry_with(MT_ALOG_SPAN_CALL | MT_ALOG_SPAN_ATTEMPT, &s);
	mt_alog_entry_view(e, &made, &r);
	CU_ASSERT_EQUAL_FATAL(r.n_named, 1);
	CU_ASSERT_TRUE(mt_slice_eq_str(r.named[0].name, "x-user"));
	CU_ASSERT_TRUE(mt_slice_eq_str(r.named[0].value.text, "alice"));
	lab.snap->log_keys = NULL;
	lab.snap->n_log_keys = 0;
	traced_stop();
}

/* A call that is not drawn for a line has its spans. */
static void test_sent_undrawn(void)
{
	const struct mt_alog_entry *e;
	struct mt_alog_spans s;

	start_sending(false, true);
	lab.snap->log_skips = 1ull << 32;
	SEND({"traceparent", SAMPLED}, {"path", "p"});
	reply_to(scene_connected_server(0));
	e = entry_with(MT_ALOG_SPAN_CALL, &s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e->scope);
	CU_ASSERT_EQUAL(e->scope->n, 0);
	CU_ASSERT_STRING_EQUAL(scene_logged_method(e), "m");
	CU_ASSERT_PTR_NULL(scene_logged());
	traced_stop();
}

/* Neither a call without spans nor one whose spans are not sent has any in its entry. */
static void test_not_sent(void)
{
	for (uint32_t i = 0; i < 3; i++) {
		const struct mt_alog_entry *e;

		start_sending(true, i < 2);
		if (i)
			traced.key = 0;
		if (i)
			SEND({"traceparent", SAMPLED});
		else
			SEND({"path", "p"});
		reply_to(scene_connected_server(0));
		e = scene_logged();
		CU_ASSERT_EQUAL_FATAL(e != NULL, i < 2);
		if (e)
			CU_ASSERT_EQUAL(e->spans, 0);
		scene_unlogged(i == 2);
		traced_stop();
	}
}

/* A failed attempt has an entry of its own, without a line; also in another process. */
static void check_failed(bool by_policy, bool moves)
{
	const struct mt_alog_entry *e;
	struct mt_alog_spans one, two;
	struct mt_span first, next;
	struct fake_conn *s;

	start_sending(true, true);
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
	if (moves) {
		moved_to_another(NULL);
		scene_log_of(lab.p);
	}
	lose(s, by_policy);
	e = entry_with(MT_ALOG_SPAN_ATTEMPT, &one);
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_connection_lost);
	CU_ASSERT_PTR_NOT_NULL_FATAL(e->scope);
	CU_ASSERT_EQUAL(e->scope->n, 0);
	CU_ASSERT_STRING_EQUAL(scene_logged_method(e), "m");
	CU_ASSERT_TRUE(same(one.attempt, first.id, MT_SPAN_ID));
	reply_to(scene_connected_server(0));
	next = parent();
	e = entry_with(MT_ALOG_SPAN_CALL | MT_ALOG_SPAN_ATTEMPT, &two);
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_ok);
	CU_ASSERT_TRUE(same(two.attempt, next.id, MT_SPAN_ID));
	CU_ASSERT_TRUE(same(one.call, two.call, MT_SPAN_ID));
	CU_ASSERT_TRUE(same(one.trace, two.trace, MT_TRACE_ID));
	CU_ASSERT(two.attempt_at >= one.attempt_at);
	CU_ASSERT_PTR_NULL(scene_logged());
	traced_stop();
}

static void test_failed(void)
{
	for (uint32_t i = 0; i < 4; i++)
		check_failed(i & 1, i & 2);
}

/* A call that no server gets has its own span only. */
static void test_refused(void)
{
	const struct mt_alog_entry *e;
	struct mt_alog_spans s;

	start_sending(true, false);
	lab.snap->clusters[0].n_eps = 0;
	SEND({"traceparent", SAMPLED});
	e = entry_with(MT_ALOG_SPAN_CALL, &s);
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_no_endpoint);
	lab.snap->clusters[0].n_eps = 2;
	traced_stop();
}

/* An image with an impossible context is refused. */
static void test_damaged(void)
{
	struct mt_exchange *ex;
	struct mt_image saved;
	struct mt_proxy *to;
	uint32_t i = 0;

	traced_start(100, MT_TRACING_W3C, true);
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
	traced_stop();
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

	traced_start(0, MT_TRACING_W3C | MT_TRACING_B3, true);
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
	traced_stop();
}

/* Without room for the context the route's changes, which the call requires, are made alone. */
static void test_no_room(void)
{
	static struct mt_mutation by_route[MT_VIEW_MUTATIONS];
	static char names[MT_VIEW_MUTATIONS][4];

	traced_start(0, MT_TRACING_W3C, true);
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
	traced_stop();
}

/* A copy has no span: it has the client's context. */
static void test_mirror(void)
{
	struct mt_span s;

	traced_start(0, MT_TRACING_W3C, true);
	mirror_in(lab.snap, DUBBO, 1000000);
	SEND({"traceparent", SAMPLED});
	read_call(mirror_connected(true, 0));
	CU_ASSERT_TRUE(has("traceparent", SAMPLED));
	read_call(mirror_connected(false, 0));
	s = parent();
	CU_ASSERT_FALSE(is_id(&s, SENDER));
	lab_close(mirror_server_of(true, 0), MT_CLOSE_RESET);
	mt_cluster_release(&lab.snap->clusters[1]);
	traced_stop();
}

const struct mt_test context_tests[] = {{"calls that are not traced", test_unchanged},
	{"joined traces", test_joined}, {"spellings of keys", test_spellings},
	{"contexts that are there twice", test_twice}, {"drawn calls", test_drawn},
	{"attempts are siblings", test_siblings}, {"spans of calls", test_sent},
	{"spans of calls without a line", test_sent_undrawn},
	{"metadata for tags of spans", test_metadata}, {"spans that are not sent", test_not_sent},
	{"spans of failed attempts", test_failed}, {"spans of refused calls", test_refused},
	{"a damaged image", test_damaged}, {"keys that a route sets", test_route_sets},
	{"no room for a context", test_no_room}, {"mirrored copies", test_mirror},
	{"exemplars of traced calls", test_exemplars}, {0}};
