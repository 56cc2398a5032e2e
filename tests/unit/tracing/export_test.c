/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of entries at a collector: which ones it gets, and their fields. */
#include "mt_alog.h"
#include "mt_export.h"
#include "mt_tracing_export.h"
#include "mt_tracing_span.h"

#include "../grpc/grpc_server.h"
#include "otlp.pb-c.h"
#include "suites.h"

#include <poll.h>
#include <string.h>

#define KEY 77

static struct mt_export *x;
static struct mt_alog *l;
static struct server server;
static struct mt_grpc_target *target;

/* The last message of the collector. */
static Otlp__ExportTraceServiceRequest *request;
static uint32_t n_spans; /* in all messages */

static void on_message(struct server *s)
{
	CU_ASSERT_FATAL(s->have >= 5);
	if (request)
		otlp__export_trace_service_request__free_unpacked(request, NULL);
	request = otlp__export_trace_service_request__unpack(NULL, s->have - 5, s->body + 5);
	CU_ASSERT_PTR_NOT_NULL_FATAL(request);
	CU_ASSERT_EQUAL_FATAL(request->n_resource_spans, 1);
	CU_ASSERT_EQUAL_FATAL(request->resource_spans[0]->n_scope_spans, 1);
	n_spans += (uint32_t)request->resource_spans[0]->scope_spans[0]->n_spans;
	/* The answer is an empty message. */
	memset(s->body, 0, 5);
	s->have = 5;
}

static void set_up(void)
{
	struct mt_alog_collector c = {.service = MT_ALOG_SPANS,
		.name = "otel",
		.sender = {"node-1", "mesh"},
		.encoder = &mt_tracing_otlp,
		.longest = 256};
	const struct mt_alog_want w = {
		.document = "MeshConfig mesh: provider otel", .key = KEY, .collector = &c};
	char at[32];
	const char *const servers[] = {at};
	struct mt_err e = {""};

	server_start(&server, ECHO, NULL);
	server.on_end = on_message;
	n_spans = 0;
	snprintf(at, sizeof(at), "127.0.0.1:%u", server.port);
	c.target = target = mt_grpc_target_new(servers, 1, NULL);
	x = mt_export_new(&e);
	l = mt_alog_new(1, &e);
	CU_ASSERT_FATAL(target && x && l);
	mt_alog_use_export(l, x);
	CU_ASSERT_EQUAL_FATAL(mt_alog_set(l, &w, 1, &e), 0);
}

static void tear_down(void)
{
	mt_alog_stop(l, 100 * MT_MSEC);
	mt_alog_free(l);
	mt_export_free(x);
	mt_grpc_target_drop(target);
	server_stop(&server);
	if (request)
		otlp__export_trace_service_request__free_unpacked(request, NULL);
	request = NULL;
}

/* An entry of a call from 1 s to 3 s after 1970, with an attempt that begins after 2 s. */
static void add(uint8_t which, uint64_t key, enum mt_ending ending)
{
	static const struct mt_alog_scope none;
	struct mt_byte_ring *r = mt_alog_ring(l, 0);
	struct mt_alog_spans s = {
		.key = key, .attempt_at = 6 * MT_SEC, .trace_len = MT_TRACE_ID, .has_parent = true};
	uint32_t len = mt_alog_entry_size(3, 1, 0, 0);
	struct mt_alog_entry *e = mt_byte_ring_reserve(r, len + (which ? sizeof(s) : 0));

	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	memset(e, 0, sizeof(*e));
	e->scope = &none;
	e->wall = MT_SEC;
	e->started = 5 * MT_SEC;
	e->ended = 7 * MT_SEC;
	e->protocol = "dubbo";
	e->host = "a.test";
	e->cluster = "outbound|1||a.test";
	e->ending = (uint8_t)ending;
	e->bytes_in = 12;
	CU_ASSERT_EQUAL(mt_addr_parse("192.0.2.1", &e->client), 0);
	CU_ASSERT_EQUAL(mt_addr_parse("192.0.2.2", &e->endpoint), 0);
	e->client_port = 1000;
	e->endpoint_port = 20880;
	e->local_port = 1;
	e->interface_len = 3;
	e->method_len = 1;
	memcpy(e->texts, "a.Bm", 4);
	e->spans = which;
	memset(s.trace, 1, sizeof(s.trace));
	memset(s.parent, 2, sizeof(s.parent));
	memset(s.call, 3, sizeof(s.call));
	memset(s.attempt, 4, sizeof(s.attempt));
	if (which)
		memcpy((char *)e + len, &s, sizeof(s));
	mt_byte_ring_publish(r);
}

static struct mt_alog_output_stats counted(void)
{
	struct mt_alog_output_stats st;

	CU_ASSERT_TRUE_FATAL(mt_alog_output(l, 0, &st));
	return st;
}

static void wait_written(uint64_t n)
{
	for (int ms = 0; ms < 20000; ms++) {
		server_turn(&server);
		mt_alog_turn(l);
		if (counted().sink.written >= n)
			return;
		poll(NULL, 0, 1);
	}
	CU_FAIL_FATAL("not written within 20 s");
}

static const Otlp__Span *span(uint32_t i)
{
	const Otlp__ScopeSpans *s = request->resource_spans[0]->scope_spans[0];

	CU_ASSERT_FATAL(i < s->n_spans);
	return s->spans[i];
}

/* "key=value" of all, with blanks between them. */
static const char *tags(Otlp__KeyValue **list, size_t n)
{
	static char text[1024];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s=%s", i ? " " : "",
			list[i]->key, list[i]->value->string_value);
	return text;
}

static bool is_id(const ProtobufCBinaryData *is, size_t len, uint8_t byte)
{
	for (size_t i = 0; i < len && i < is->len; i++)
		if (is->data[i] != byte)
			return false;
	return is->len == len;
}

static void check_call(const Otlp__Span *s)
{
	CU_ASSERT_STRING_EQUAL(s->name, "a.B/m");
	CU_ASSERT_EQUAL(s->kind, MT_TRACING_SERVER);
	CU_ASSERT_TRUE(is_id(&s->trace_id, MT_TRACE_ID, 1));
	CU_ASSERT_TRUE(is_id(&s->parent_span_id, MT_SPAN_ID, 2));
	CU_ASSERT_TRUE(is_id(&s->span_id, MT_SPAN_ID, 3));
	CU_ASSERT_EQUAL(s->start_time_unix_nano, 1 * MT_SEC);
	CU_ASSERT_EQUAL(s->end_time_unix_nano, 3 * MT_SEC);
	CU_ASSERT_PTR_NULL(s->status);
	CU_ASSERT_EQUAL(s->flags, 0x301); /* the parent is remote */
	CU_ASSERT_STRING_EQUAL(tags(s->attributes, s->n_attributes),
		"rpc.system.name=dubbo rpc.method=a.B/m network.peer.address=192.0.2.1 "
		"network.peer.port=1000 server.address=a.test server.port=1 request_size=12 "
		"response_size=0 response_code=200");
}

static void check_attempt(const Otlp__Span *s)
{
	CU_ASSERT_STRING_EQUAL(s->name, "a.B/m");
	CU_ASSERT_EQUAL(s->kind, MT_TRACING_CLIENT);
	CU_ASSERT_TRUE(is_id(&s->trace_id, MT_TRACE_ID, 1));
	CU_ASSERT_TRUE(is_id(&s->parent_span_id, MT_SPAN_ID, 3));
	CU_ASSERT_TRUE(is_id(&s->span_id, MT_SPAN_ID, 4));
	CU_ASSERT_EQUAL(s->start_time_unix_nano, 2 * MT_SEC);
	CU_ASSERT_EQUAL(s->end_time_unix_nano, 3 * MT_SEC);
	CU_ASSERT_EQUAL(s->flags, 0x101);
	CU_ASSERT_STRING_EQUAL(tags(s->attributes, s->n_attributes),
		"rpc.system.name=dubbo rpc.method=a.B/m network.peer.address=192.0.2.2 "
		"network.peer.port=20880 server.address=a.test "
		"upstream_cluster=outbound|1||a.test response_code=200");
}

/* The spans of a call and of its attempt, and the resource. */
static void test_spans(void)
{
	const Otlp__ResourceSpans *all;

	set_up();
	add(MT_ALOG_SPAN_CALL | MT_ALOG_SPAN_ATTEMPT, KEY, MT_ENDING_ok);
	wait_written(2);
	check_call(span(0));
	check_attempt(span(1));
	all = request->resource_spans[0];
	CU_ASSERT_STRING_EQUAL(tags(all->resource->attributes, all->resource->n_attributes),
		"service.name=meltemi service.version=" MT_VERSION
		" service.instance.id=node-1 k8s.cluster.name=mesh");
	CU_ASSERT_STRING_EQUAL(all->scope_spans[0]->scope->name, "meltemi");
	tear_down();
}

/* Other entries, and spans of other outputs, are not sent, and do not count. */
static void test_others(void)
{
	set_up();
	add(0, 0, MT_ENDING_ok);
	add(MT_ALOG_SPAN_CALL, KEY + 1, MT_ENDING_ok);
	add(MT_ALOG_SPAN_ATTEMPT, KEY, MT_ENDING_connection_lost);
	add(MT_ALOG_SPAN_CALL, KEY, MT_ENDING_no_route);
	wait_written(2);
	CU_ASSERT_EQUAL(n_spans, 2);
	CU_ASSERT_EQUAL(counted().wanted, 2);
	tear_down();
}

/* A failed call: status, flags, and why. */
static void test_failed(void)
{
	const Otlp__Span *s;

	set_up();
	add(MT_ALOG_SPAN_CALL, KEY, MT_ENDING_connection_lost);
	wait_written(1);
	s = span(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->status);
	CU_ASSERT_EQUAL(s->status->code, 2);
	CU_ASSERT_STRING_EQUAL(s->status->message,
		"upstream_reset_before_response_started{connection_termination}");
	CU_ASSERT_PTR_NOT_NULL(strstr(tags(s->attributes, s->n_attributes),
		"response_code=503 response_flags=UC error.type=connection_lost"));
	tear_down();
}

const struct mt_test export_tests[] = {{"spans of entries", test_spans},
	{"entries without spans", test_others}, {"spans of failed calls", test_failed}, {0}};
