/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of entries at a collector: which ones it gets, and their fields. */
#include "mt_alog.h"
#include "mt_export.h"
#include "mt_tracing_export.h"
#include "mt_tracing_span.h"

#include "../export/http_server.h"
#include "../grpc/grpc_server.h"
#include "otlp.pb-c.h"
#include "suites.h"

#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define KEY 77

static struct mt_export *x;
static struct mt_alog *l;
static struct server server;
static struct web web;
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

static void set_output(const struct mt_alog_encoder *encoder, const struct mt_alog_http *http)
{
	const struct mt_alog_collector c = {.service = MT_ALOG_SPANS,
		.name = "otel",
		.target = target,
		.sender = {"node-1", "mesh"},
		.encoder = encoder,
		.http = http,
		.longest = 256,
		.istio = {"shop", "v2", "mesh", "x", NULL}};
	const struct mt_alog_want w = {
		.document = "MeshConfig mesh: provider otel", .key = KEY, .collector = &c};
	struct mt_err e = {""};

	CU_ASSERT_EQUAL_FATAL(mt_alog_set(l, &w, 1, &e), 0);
}

static void set_up_at(
	uint16_t port, const struct mt_alog_encoder *encoder, const struct mt_alog_http *http)
{
	char at[32];
	const char *const servers[] = {at};
	struct mt_err e = {""};

	snprintf(at, sizeof(at), "127.0.0.1:%u", port);
	target = mt_grpc_target_new(servers, 1, NULL);
	x = mt_export_new(&e);
	l = mt_alog_new(1, &e);
	CU_ASSERT_FATAL(target && x && l);
	mt_alog_use_export(l, x);
	set_output(encoder, http);
}

static void set_up(void)
{
	server_start(&server, ECHO, NULL);
	server.on_end = on_message;
	n_spans = 0;
	set_up_at(server.port, &mt_tracing_otlp, NULL);
}

static const struct mt_alog_http requests = {
	.authority = "c.test:1", .path = "/here", .lines = "x-a: b"};

static void set_up_http(const struct mt_alog_encoder *encoder, const char *answer)
{
	signal(SIGPIPE, SIG_IGN);
	web_start(&web);
	for (size_t i = 0; i < MT_ARRAY_LEN(web.answers); i++)
		web.answers[i] = answer;
	set_up_at(web.port, encoder, &requests);
}

static void free_all(void)
{
	mt_alog_stop(l, 100 * MT_MSEC);
	mt_alog_free(l);
	mt_export_free(x);
	mt_grpc_target_drop(target);
}

static void tear_down_http(void)
{
	free_all();
	web_stop(&web);
}

static void tear_down(void)
{
	free_all();
	server_stop(&server);
	if (request)
		otlp__export_trace_service_request__free_unpacked(request, NULL);
	request = NULL;
}

/* Metadata of the next entries, and tags of their spans. */
static uint8_t kept[MT_ALOG_KEPT];
static uint16_t kept_len;
static const struct mt_alog_tags *wanted_tags;
static bool wants_istio;

/* An entry of a call from 1 s to 3 s after 1970, with an attempt that begins after 2 s. */
static void add_method(uint8_t which, uint64_t key, enum mt_ending ending, const char *method)
{
	static const struct mt_alog_scope none;
	struct mt_byte_ring *r = mt_alog_ring(l, 0);
	struct mt_alog_spans s = {.key = key,
		.attempt_at = 6 * MT_SEC,
		.tags = wanted_tags,
		.istio = wants_istio,
		.trace_len = MT_TRACE_ID,
		.has_parent = true};
	uint32_t n = (uint32_t)strlen(method), len = mt_alog_entry_size(3, n, 0, kept_len);
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
	e->method_len = (uint16_t)n;
	memcpy(e->texts, "a.B", 3);
	memcpy(e->texts + 3, method, n);
	e->kept_len = kept_len;
	memcpy(e->texts + 3 + n, kept, kept_len);
	e->spans = which;
	memset(s.trace, 1, sizeof(s.trace));
	memset(s.parent, 2, sizeof(s.parent));
	memset(s.call, 3, sizeof(s.call));
	memset(s.attempt, 4, sizeof(s.attempt));
	if (which)
		memcpy((char *)e + len, &s, sizeof(s));
	mt_byte_ring_publish(r);
}

static void add(uint8_t which, uint64_t key, enum mt_ending ending)
{
	add_method(which, key, ending, "m");
}

static struct mt_alog_output_stats counted(void)
{
	struct mt_alog_output_stats st;

	CU_ASSERT_TRUE_FATAL(mt_alog_output(l, 0, &st));
	return st;
}

/* `http`: the collector of HTTP is served, otherwise that of gRPC. */
static void wait_written_at(bool http, uint64_t n)
{
	for (int ms = 0; ms < 20000; ms++) {
		if (http)
			web_turn(&web);
		else
			server_turn(&server);
		mt_alog_turn(l);
		if (counted().sink.written >= n)
			return;
		poll(NULL, 0, 1);
	}
	CU_FAIL_FATAL("not written within 20 s");
}

static void wait_written(uint64_t n)
{
	wait_written_at(false, n);
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
		"component=proxy rpc.system.name=dubbo rpc.method=a.B/m "
		"network.peer.address=192.0.2.1 network.peer.port=1000 peer.address=192.0.2.1 "
		"server.address=a.test server.port=1 request_size=12 "
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
		"component=proxy rpc.system.name=dubbo rpc.method=a.B/m "
		"network.peer.address=192.0.2.2 network.peer.port=20880 "
		"peer.address=192.0.2.2:20880 upstream_address=192.0.2.2:20880 "
		"server.address=a.test "
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

/* ---- tags of documents ---------------------------------------------------------------------- */

#define SLICE(s)                                                                                   \
	{                                                                                          \
		(const uint8_t *)(s), sizeof(s) - 1                                                \
	}

static void keep(enum mt_alog_from from, struct mt_slice name, struct mt_slice value)
{
	CU_ASSERT_TRUE_FATAL(mt_alog_keep(kept, &kept_len, from, name, value));
}

/* Entries have tags of all kinds, and metadata for some of them. */
static void set_tags(void)
{
	static const struct mt_alog_tags tags_of_documents = {.n = 7,
		.v = {{SLICE("team"), {NULL, 0}, SLICE("shop")},
			{SLICE("user"), SLICE("X-User"), SLICE("none")},
			{SLICE("other"), SLICE("x-other"), SLICE("none")},
			{SLICE("absent"), SLICE("x-other"), {NULL, 0}},
			{SLICE("blank"), SLICE("x-blank"), SLICE("none")},
			{SLICE("response_code"), {NULL, 0}, SLICE("mine")},
			{SLICE("node_id"), {NULL, 0}, SLICE("mine, too")}}};

	wanted_tags = &tags_of_documents;
	kept_len = 0;
	keep(MT_ALOG_RESPONSE, (struct mt_slice)SLICE("x-user"), (struct mt_slice)SLICE("reply"));
	keep(MT_ALOG_REQUEST, (struct mt_slice)SLICE("x-user"), (struct mt_slice)SLICE("alice"));
	keep(MT_ALOG_REQUEST, (struct mt_slice)SLICE("x-user"), (struct mt_slice)SLICE("bob"));
	keep(MT_ALOG_REQUEST, (struct mt_slice)SLICE("x-blank"), (struct mt_slice){NULL, 0});
}

static void clear_tags(void)
{
	wanted_tags = NULL;
	kept_len = 0;
}

/* Both spans have them, and one replaces Meltemi's own of its name. */
static void test_tags(void)
{
	set_tags();
	set_up();
	add(MT_ALOG_SPAN_CALL | MT_ALOG_SPAN_ATTEMPT, KEY, MT_ENDING_ok);
	wait_written(2);
	for (uint32_t i = 0; i < 2; i++)
		CU_ASSERT_PTR_NOT_NULL(strstr(tags(span(i)->attributes, span(i)->n_attributes),
			" response_code=mine team=shop user=alice other=none node_id=mine, too"));
	CU_ASSERT_PTR_NULL(strstr(tags(span(0)->attributes, span(0)->n_attributes), "absent"));
	CU_ASSERT_PTR_NULL(strstr(tags(span(0)->attributes, span(0)->n_attributes), "blank"));
	tear_down();
	clear_tags();
}

/* Istio's tags name the proxy; an unknown one is left out. */
static void test_istio_tags(void)
{
	wants_istio = true;
	set_up();
	add(MT_ALOG_SPAN_CALL | MT_ALOG_SPAN_ATTEMPT, KEY, MT_ENDING_ok);
	wait_written(2);
	for (uint32_t i = 0; i < 2; i++)
		CU_ASSERT_PTR_NOT_NULL(strstr(tags(span(i)->attributes, span(i)->n_attributes),
			" response_code=200 istio.canonical_service=shop "
			"istio.canonical_revision=v2 istio.mesh_id=mesh istio.namespace=x"));
	CU_ASSERT_PTR_NULL(strstr(tags(span(0)->attributes, span(0)->n_attributes), "cluster_id"));
	tear_down();
	wants_istio = false;
}

/* As many as there may be, with long values, leave a span that can be read. */
static void test_many_tags(void)
{
	static char names[MT_ALOG_TAGS][16], value[5000];
	struct mt_alog_tags *many = calloc(1, sizeof(*many) + MT_ALOG_TAGS * sizeof(many->v[0]));

	CU_ASSERT_PTR_NOT_NULL_FATAL(many);
	memset(value, 'v', sizeof(value));
	many->n = MT_ALOG_TAGS;
	for (uint32_t i = 0; i < MT_ALOG_TAGS; i++) {
		snprintf(names[i], sizeof(names[i]), "t%u", i);
		many->v[i] = (struct mt_alog_tag){
			.name = {(const uint8_t *)names[i], (uint32_t)strlen(names[i])},
			.value = {(const uint8_t *)value, sizeof(value)}};
	}
	wanted_tags = many;
	set_up();
	add(MT_ALOG_SPAN_CALL, KEY, MT_ENDING_connection_lost);
	wait_written(1);
	CU_ASSERT_EQUAL(span(0)->n_attributes, 13 + MT_ALOG_TAGS);
	CU_ASSERT_EQUAL(strlen(span(0)->attributes[20]->value->string_value), 256);
	tear_down();
	clear_tags();
	free(many);
}

/* ---- HTTP ----------------------------------------------------------------------------------- */

static bool has_line(const char *line)
{
	return strstr(web.head, line) != NULL;
}

/* A request of OTLP has the message of the call of gRPC. */
static void test_otlp_http(void)
{
	set_up_http(&mt_tracing_otlp, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	add(MT_ALOG_SPAN_CALL | MT_ALOG_SPAN_ATTEMPT, KEY, MT_ENDING_ok);
	wait_written_at(true, 2);
	CU_ASSERT_TRUE(has_line("POST /here HTTP/1.1\r\n"));
	CU_ASSERT_TRUE(has_line("\r\nHost: c.test:1\r\n"));
	CU_ASSERT_TRUE(has_line("\r\nContent-Type: application/x-protobuf\r\n"));
	CU_ASSERT_TRUE(has_line("\r\nx-a: b\r\n"));
	request = otlp__export_trace_service_request__unpack(
		NULL, web.body_len, (const uint8_t *)web.body);
	CU_ASSERT_PTR_NOT_NULL_FATAL(request);
	check_call(span(0));
	check_attempt(span(1));
	otlp__export_trace_service_request__free_unpacked(request, NULL);
	request = NULL;
	tear_down_http();
}

static json_t *read_list(size_t n)
{
	json_t *j = json_loadb(web.body, web.body_len, JSON_REJECT_DUPLICATES, NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	CU_ASSERT_EQUAL_FATAL(json_array_size(j), n);
	return j;
}

/* Compares an entry of the list, with its keys in order. */
static void check_zipkin(const json_t *list, size_t i, const char *want)
{
	char *text = json_dumps(json_array_get(list, i), JSON_COMPACT | JSON_SORT_KEYS);

	CU_ASSERT_STRING_EQUAL(text, want);
	if (text && strcmp(text, want) != 0)
		printf("%s\n", text);
	free(text);
}

/* A failed call and its attempt, as a list of Zipkin. */
static void test_zipkin(void)
{
	json_t *list;

	set_up_http(&mt_tracing_zipkin, WEB_ACCEPTED);
	add(MT_ALOG_SPAN_CALL | MT_ALOG_SPAN_ATTEMPT, KEY, MT_ENDING_connection_lost);
	wait_written_at(true, 2);
	CU_ASSERT_TRUE(has_line("\r\nContent-Type: application/json\r\n"));
	list = read_list(2);
	check_zipkin(list, 0,
		"{\"duration\":2000000,\"id\":\"0303030303030303\",\"kind\":\"SERVER\","
		"\"localEndpoint\":{\"serviceName\":\"meltemi\"},\"name\":\"a.B/m\","
		"\"parentId\":\"0202020202020202\",\"remoteEndpoint\":{\"ipv4\":\"192.0.2.1\","
		"\"port\":1000},\"tags\":{\"component\":\"proxy\",\"error\":"
		"\"upstream_reset_before_response_started{connection_termination}\","
		"\"error.type\":\"connection_lost\",\"network.peer.address\":\"192.0.2.1\","
		"\"network.peer.port\":\"1000\",\"node_id\":\"node-1\",\"peer.address\":\"192.0.2."
		"1\",\"request_size\":\"12\","
		"\"response_code\":\"503\",\"response_flags\":\"UC\",\"response_size\":\"0\","
		"\"rpc.method\":\"a.B/m\",\"rpc.system.name\":\"dubbo\","
		"\"server.address\":\"a.test\",\"server.port\":\"1\"},\"timestamp\":1000000,"
		"\"traceId\":\"01010101010101010101010101010101\"}");
	check_zipkin(list, 1,
		"{\"duration\":1000000,\"id\":\"0404040404040404\",\"kind\":\"CLIENT\","
		"\"localEndpoint\":{\"serviceName\":\"meltemi\"},\"name\":\"a.B/m\","
		"\"parentId\":\"0303030303030303\",\"remoteEndpoint\":{\"ipv4\":\"192.0.2.2\","
		"\"port\":20880,\"serviceName\":\"a.test\"},\"tags\":{\"component\":\"proxy\","
		"\"error\":"
		"\"upstream_reset_before_response_started{connection_termination}\","
		"\"error.type\":\"connection_lost\",\"network.peer.address\":\"192.0.2.2\","
		"\"network.peer.port\":\"20880\",\"node_id\":\"node-1\",\"peer.address\":\"192.0.2."
		"2:20880\",\"response_code\":\"503\","
		"\"response_flags\":\"UC\",\"rpc.method\":\"a.B/m\","
		"\"rpc.system.name\":\"dubbo\",\"server.address\":\"a.test\","
		"\"upstream_address\":\"192.0.2.2:20880\",\"upstream_cluster\":\"outbound|1||a."
		"test\"},\"timestamp\":2000000,"
		"\"traceId\":\"01010101010101010101010101010101\"}");
	json_decref(list);
	tear_down_http();
}

/* No key of the object is there twice. */
static void test_zipkin_tags(void)
{
	const json_t *of;
	json_t *list;

	set_tags();
	set_up_http(&mt_tracing_zipkin, WEB_ACCEPTED);
	add(MT_ALOG_SPAN_CALL | MT_ALOG_SPAN_ATTEMPT, KEY, MT_ENDING_ok);
	wait_written_at(true, 2);
	list = read_list(2);
	for (size_t i = 0; i < 2; i++) {
		of = json_object_get(json_array_get(list, i), "tags");
		CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(of, "team")), "shop");
		CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(of, "user")), "alice");
		CU_ASSERT_STRING_EQUAL(
			json_string_value(json_object_get(of, "node_id")), "mine, too");
	}
	json_decref(list);
	tear_down_http();
	clear_tags();
}

/* Methods that clients send with any bytes leave the list valid. */
static void test_zipkin_bytes(void)
{
	static const char *const methods[] = {
		"\"},{\"", "\\", "\x01\n\x7f", "\xff\xc3", "\xed\xa0\x80"};
	static const char *const names[] = {"a.B/\"},{\"", "a.B/\\", "a.B/\x01\n\x7f",
		"a.B/\xef\xbf\xbd\xef\xbf\xbd", "a.B/\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"};
	json_t *list;

	set_up_http(&mt_tracing_zipkin, WEB_ACCEPTED);
	for (size_t i = 0; i < MT_ARRAY_LEN(methods); i++)
		add_method(MT_ALOG_SPAN_CALL, KEY, MT_ENDING_ok, methods[i]);
	wait_written_at(true, MT_ARRAY_LEN(methods));
	list = read_list(MT_ARRAY_LEN(methods));
	for (size_t i = 0; i < MT_ARRAY_LEN(methods); i++)
		CU_ASSERT_STRING_EQUAL(
			json_string_value(json_object_get(json_array_get(list, i), "name")),
			names[i]);
	json_decref(list);
	tear_down_http();
}

/* The queue stays with the same settings of requests, and a change of each makes another one. */
static void test_same_requests(void)
{
	struct mt_alog_http http = requests;
	uint64_t number;

	set_up_http(&mt_tracing_zipkin, WEB_ACCEPTED);
	number = counted().number;
	set_output(&mt_tracing_zipkin, &http);
	CU_ASSERT_EQUAL(counted().number, number);
	http.authority = "d.test:1";
	set_output(&mt_tracing_zipkin, &http);
	CU_ASSERT_EQUAL(counted().number, ++number);
	http.path = "/there";
	set_output(&mt_tracing_zipkin, &http);
	CU_ASSERT_EQUAL(counted().number, ++number);
	http.lines = NULL;
	set_output(&mt_tracing_zipkin, &http);
	CU_ASSERT_EQUAL(counted().number, ++number);
	set_output(&mt_tracing_otlp, &http);
	CU_ASSERT_EQUAL(counted().number, ++number);
	set_output(&mt_tracing_otlp, NULL);
	CU_ASSERT_EQUAL(counted().number, ++number);
	tear_down_http();
}

const struct mt_test export_tests[] = {{"spans of entries", test_spans},
	{"entries without spans", test_others}, {"spans of failed calls", test_failed},
	{"tags of documents", test_tags}, {"tags of Istio", test_istio_tags},
	{"many tags of documents", test_many_tags},
	{"tags of documents at Zipkin", test_zipkin_tags}, {"OTLP by HTTP", test_otlp_http},
	{"spans at Zipkin", test_zipkin}, {"any method at Zipkin", test_zipkin_bytes},
	{"same requests", test_same_requests}, {0}};
