/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs to collectors: which records they get, what is counted, and that files do not wait. */
#include "mt_alog.h"
#include "mt_export.h"

#include "../grpc/grpc_server.h"
#include "accesslog.pb-c.h"
#include "otlp.pb-c.h"
#include "sinks.h"
#include "suites.h"

#include <poll.h>
#include <unistd.h>

static struct mt_export *x;
static struct mt_alog *l;
static struct server server;
static struct mt_grpc_target *target;

/* The last message of the collector. */
static uint8_t message[65536];
static size_t n_message;

static void on_message(struct server *s)
{
	n_message = s->have - 5;
	CU_ASSERT_FATAL(s->have >= 5 && n_message <= sizeof(message));
	memcpy(message, s->body + 5, n_message);
	/* The answer is an empty message. */
	memset(s->body, 0, 5);
	s->have = 5;
}

/* Sets the target of the collector. */
static void set_up(enum manner manner, struct mt_alog_collector *c)
{
	char at[32];
	const char *const servers[] = {at};
	struct mt_err e;

	server_start(&server, manner, NULL);
	server.on_end = on_message;
	n_message = 0;
	snprintf(at, sizeof(at), "127.0.0.1:%u", server.port);
	target = mt_grpc_target_new(servers, 1, NULL);
	x = mt_export_new(&e);
	l = mt_alog_new(1, &e);
	CU_ASSERT_FATAL(target && x && l);
	c->target = target;
	mt_alog_use_export(l, x);
}

static void tear_down(void)
{
	mt_alog_stop(l, 100 * MT_MSEC);
	mt_alog_free(l);
	mt_export_free(x);
	mt_grpc_target_drop(target);
	server_stop(&server);
}

static struct mt_alog_collector collector(enum mt_alog_service service, const char *labels)
{
	return (struct mt_alog_collector){.service = service,
		.name = "als",
		.log_name = "calls",
		.sender = {"node-1", "mesh"},
		.labels = labels};
}

static struct mt_alog_want wants(const struct mt_alog_collector *c, const char *format)
{
	return (struct mt_alog_want){.document = "MeshConfig mesh: provider als",
		.spec = {format, format ? strlen(format) : 0, MT_ALOG_TEXT, false},
		.general = true,
		.unserved = true,
		.collector = c};
}

static void set(const struct mt_alog_want *w, uint32_t n)
{
	struct mt_err e = {""};

	CU_ASSERT_EQUAL_FATAL(mt_alog_set(l, w, n, &e), 0);
}

/* Writes an entry of a call or of an opaque stream. */
static void add(enum mt_alog_type type, const char *method)
{
	struct mt_byte_ring *r = mt_alog_ring(l, 0);
	uint16_t n = (uint16_t)strlen(method);
	struct mt_alog_entry *e =
		mt_byte_ring_reserve(r, mt_alog_entry_size(MT_ALOG_NO_TEXT, n, 0, 0));

	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	memset(e, 0, sizeof(*e));
	e->type = (uint8_t)type;
	e->wall = MT_SEC;
	e->interface_len = MT_ALOG_NO_TEXT;
	e->method_len = n;
	memcpy(e->texts, method, n);
	mt_byte_ring_publish(r);
}

static struct mt_alog_output_stats counted(uint32_t i)
{
	struct mt_alog_output_stats st;

	CU_ASSERT_TRUE_FATAL(mt_alog_output(l, i, &st));
	return st;
}

/* Serves until output i has written so many records. */
static void wait_written(uint32_t i, uint64_t n)
{
	for (int ms = 0; ms < 20000; ms++) {
		server_turn(&server);
		mt_alog_turn(l);
		if (counted(i).sink.written >= n)
			return;
		poll(NULL, 0, 1);
	}
	CU_FAIL_FATAL("not written within 20 s");
}

/* Adds calls until output i has written one: mt-log takes a new list of outputs in its own time. */
static void add_until_written(uint32_t i)
{
	for (int ms = 0; ms < 20000; ms++) {
		if (ms % 50 == 0)
			add(MT_ALOG_DOWNSTREAM_END, "call");
		server_turn(&server);
		mt_alog_turn(l);
		if (counted(i).sink.written)
			return;
		poll(NULL, 0, 1);
	}
	CU_FAIL_FATAL("not written within 20 s");
}

static void check_als(enum mt_alog_service service, const char *want)
{
	struct mt_alog_collector c = collector(service, NULL);
	const struct mt_alog_want w = wants(&c, NULL);
	struct mt_alog_output_stats st;
	Xds__StreamAccessLogsMessage *m;
	const Xds__AccessLogCommon *common;

	set_up(ECHO, &c);
	set(&w, 1);
	add(MT_ALOG_DOWNSTREAM_END, "call");
	add(MT_ALOG_TCP_END, "stream");
	wait_written(0, 1);
	st = counted(0);
	CU_ASSERT_EQUAL(st.wanted, 1);
	CU_ASSERT_EQUAL(st.sink.state, MT_ALOG_STATE_ok);
	CU_ASSERT_STRING_EQUAL(st.path, "provider als");
	m = xds__stream_access_logs_message__unpack(NULL, n_message, message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_STRING_EQUAL(m->identifier->log_name, "calls");
	common = service == MT_ALOG_HTTP_ALS ? m->http_logs->log_entry[0]->common_properties
					     : m->tcp_logs->log_entry[0]->common_properties;
	CU_ASSERT_STRING_EQUAL(
		common->metadata->filter_metadata[0]->value->fields[0]->value->string_value, want);
	xds__stream_access_logs_message__free_unpacked(m, NULL);
	tear_down();
}

static void test_als(void)
{
	check_als(MT_ALOG_HTTP_ALS, "call");
	check_als(MT_ALOG_TCP_ALS, "stream");
}

static void test_otel(void)
{
	struct mt_alog_collector c = collector(MT_ALOG_OTEL,
		"{\"method\": \"%REQ(:METHOD)%\", \"n\": 7, \"type\": \"a %ACCESS_LOG_TYPE%\"}");
	const struct mt_alog_want w = wants(&c, "%PROTOCOL% %REQ(:METHOD)%");
	Otlp__ExportLogsServiceRequest *m;
	const Otlp__LogRecord *r;

	set_up(ECHO, &c);
	set(&w, 1);
	add(MT_ALOG_DOWNSTREAM_END, "call");
	wait_written(0, 1);
	m = otlp__export_logs_service_request__unpack(NULL, n_message, message);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	r = m->resource_logs[0]->scope_logs[0]->log_records[0];
	CU_ASSERT_STRING_EQUAL(r->body->string_value, "- call");
	CU_ASSERT_EQUAL_FATAL(r->n_attributes, 3);
	CU_ASSERT_STRING_EQUAL(r->attributes[0]->value->string_value, "call");
	CU_ASSERT_STRING_EQUAL(r->attributes[1]->key, "n");
	CU_ASSERT_STRING_EQUAL(r->attributes[1]->value->string_value, "7");
	CU_ASSERT_STRING_EQUAL(r->attributes[2]->value->string_value, "a DownstreamEnd");
	CU_ASSERT_STRING_EQUAL(m->resource_logs[0]->resource->attributes[0]->key, "log_name");
	otlp__export_logs_service_request__free_unpacked(m, NULL);
	tear_down();
}

/* A collector that hangs costs a file nothing. Lines that it has not taken are lost at the end. */
static void test_hangs(void)
{
	struct mt_alog_collector c = collector(MT_ALOG_HTTP_ALS, NULL);
	const struct mt_alog_want w[] = {
		wants(&c, NULL), {.document = "file",
					 .place = {(char *)(uintptr_t)sinks_directory(),
						 (char *)(uintptr_t) "net.log", 0},
					 .general = true,
					 .unserved = true}};
	struct mt_alog_total t;

	set_up(SILENT, &c);
	set(w, 2);
	for (uint64_t i = 1; i <= 100; i++) {
		add(MT_ALOG_DOWNSTREAM_END, "call");
		if (i % 10 == 0)
			wait_written(1, i);
	}
	CU_ASSERT_EQUAL(counted(0).sink.written, 0);
	CU_ASSERT_EQUAL(counted(0).wanted, 100);
	mt_alog_stop(l, 100 * MT_MSEC);
	CU_ASSERT_EQUAL(counted(0).sink.lost[MT_ALOG_STATE_stopped], 100);
	CU_ASSERT_TRUE_FATAL(mt_alog_total(l, 0, &t));
	CU_ASSERT_STRING_EQUAL(t.path, "provider als");
	CU_ASSERT_EQUAL(t.lost[MT_ALOG_STATE_stopped], 100);
	tear_down();
}

/* With another target the output stays, and what waits arrives there. */
static void test_moved(void)
{
	static const char *const nowhere[] = {"127.0.0.1:1"};
	struct mt_alog_collector c = collector(MT_ALOG_HTTP_ALS, NULL);
	const struct mt_alog_want w = wants(&c, NULL);
	uint64_t number;

	set_up(ECHO, &c);
	c.target = mt_grpc_target_new(nowhere, 1, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c.target);
	set(&w, 1);
	number = counted(0).number;
	add(MT_ALOG_DOWNSTREAM_END, "call");
	mt_grpc_target_drop(c.target);
	c.target = target;
	set(&w, 1);
	wait_written(0, 1);
	CU_ASSERT_EQUAL(counted(0).number, number);
	tear_down();
}

/* An output with the same settings stays; any other setting makes a new one. */
static void test_same(void)
{
	struct mt_alog_collector c = collector(MT_ALOG_OTEL, "{}");
	struct mt_alog_want w = wants(&c, "a");
	uint64_t number;

	set_up(ECHO, &c);
	set(&w, 1);
	number = counted(0).number;
	set(&w, 1);
	CU_ASSERT_EQUAL(counted(0).number, number);
	c.log_name = "others";
	set(&w, 1);
	CU_ASSERT_EQUAL(counted(0).number, ++number);
	c.labels = NULL;
	set(&w, 1);
	CU_ASSERT_EQUAL(counted(0).number, ++number);
	c.service = MT_ALOG_HTTP_ALS;
	set(&w, 1);
	CU_ASSERT_EQUAL(counted(0).number, ++number);
	w.spec.text = "b";
	set(&w, 1);
	CU_ASSERT_EQUAL(counted(0).number, ++number);
	add_until_written(0);
	tear_down();
}

static void test_refused(void)
{
	struct mt_alog_collector c = collector(MT_ALOG_OTEL, "{\"a\": \"%NONSENSE%\"}");
	struct mt_alog_want w = wants(&c, "a");
	struct mt_alog_output_stats st;
	struct mt_err e = {""};

	set_up(ECHO, &c);
	CU_ASSERT(mt_alog_set(l, &w, 1, &e) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "label a: "));
	c.labels = "[]";
	CU_ASSERT(mt_alog_set(l, &w, 1, &e) < 0);
	CU_ASSERT(!mt_alog_output(l, 0, &st));
	c.labels = NULL;
	mt_alog_use_export(l, NULL);
	CU_ASSERT(mt_alog_set(l, &w, 1, &e) < 0);
	tear_down();
}

const struct mt_test net_tests[] = {{"als", test_als}, {"otel output", test_otel},
	{"hangs", test_hangs}, {"moved", test_moved}, {"same collector", test_same},
	{"refused collector", test_refused}, {0}};
