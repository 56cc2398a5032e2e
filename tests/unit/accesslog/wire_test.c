/* SPDX-License-Identifier: Apache-2.0 */
/* Entries for collectors, decoded again. tests/interop/als reads them by the originals' messages. */
#include "mt_alog_wire.h"
#include "suites.h"

#include "accesslog.pb-c.h"
#include "otlp.pb-c.h"

static uint8_t bytes[MT_ALOG_WIRE];
static const struct mt_alog_sender sender = {"node-1", "mesh"};

static struct mt_slice slice(const char *text)
{
	return (struct mt_slice){(const uint8_t *)text, (uint32_t)strlen(text)};
}

/* ---- ALS ------------------------------------------------------------------------------------ */

/* The last message that was decoded. */
static ProtobufCMessage *decoded;

static void *decode(const ProtobufCMessageDescriptor *type, uint32_t len)
{
	decoded = protobuf_c_message_unpack(type, NULL, len, bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(decoded);
	return decoded;
}

static void drop(void)
{
	protobuf_c_message_free_unpacked(decoded, NULL);
	decoded = NULL;
}

static const Xds__HTTPAccessLogEntry *http_of(const struct mt_alog_record *r)
{
	const Xds__StreamAccessLogsMessage__HTTPAccessLogEntries *all =
		decode(&xds__stream_access_logs_message__httpaccess_log_entries__descriptor,
			mt_alog_als_entry(r, true, bytes));

	CU_ASSERT_EQUAL_FATAL(all->n_log_entry, 1);
	return all->log_entry[0];
}

static bool is_at(const Xds__Address *a, const char *host, uint32_t port)
{
	return a && strcmp(a->socket_address->address, host) == 0 &&
	       a->socket_address->port_value == port;
}

static const char *word(const Xds__AccessLogCommon *c, const char *key)
{
	const Xds__Metadata__FilterMetadataEntry *m = c->metadata->filter_metadata[0];

	CU_ASSERT_STRING_EQUAL(m->key, "meltemi");
	for (size_t i = 0; i < m->value->n_fields; i++)
		if (strcmp(m->value->fields[i]->key, key) == 0)
			return m->value->fields[i]->value->string_value;
	return "";
}

static void check_common(const Xds__AccessLogCommon *c)
{
	CU_ASSERT(is_at(c->downstream_remote_address, "192.0.2.2", 57632));
	CU_ASSERT_PTR_NULL(c->downstream_direct_remote_address);
	CU_ASSERT(is_at(c->downstream_local_address, "240.240.1.1", 20880));
	CU_ASSERT(is_at(c->upstream_remote_address, "198.51.100.12", 20880));
	CU_ASSERT(is_at(c->upstream_local_address, "198.51.100.1", 39221));
	CU_ASSERT_EQUAL(c->start_time->seconds, 1767323045);
	CU_ASSERT_EQUAL(c->start_time->nanos, 678000000);
	CU_ASSERT_EQUAL(c->time_to_last_upstream_tx_byte->nanos, 500000);
	CU_ASSERT_EQUAL(c->time_to_first_upstream_rx_byte->nanos, 4900000);
	CU_ASSERT_EQUAL(c->duration->nanos, 5100000);
	CU_ASSERT_STRING_EQUAL(c->upstream_cluster, "outbound|20880||org.example.demoservice");
	CU_ASSERT_STRING_EQUAL(c->route_name, "canary");
	CU_ASSERT_STRING_EQUAL(c->connection_termination_details, "");
	CU_ASSERT_PTR_NULL(c->response_flags);
	CU_ASSERT_EQUAL(c->access_log_type, 6);
	CU_ASSERT_STRING_EQUAL(word(c, "protocol"), "dubbo");
	CU_ASSERT_STRING_EQUAL(word(c, "service"), "org.example.DemoService");
	CU_ASSERT_STRING_EQUAL(word(c, "method"), "sayHello");
}

static void test_call(void)
{
	struct mt_alog_record r;
	const Xds__HTTPAccessLogEntry *e;

	record_of_call(&r);
	mt_alog_set_number(&r, MT_ALOG_ATTEMPTS, 2);
	e = http_of(&r);
	check_common(e->common_properties);
	CU_ASSERT_EQUAL(e->common_properties->upstream_request_attempt_count, 2);
	CU_ASSERT_STRING_EQUAL(e->request->authority, "org.example.demoservice");
	CU_ASSERT_STRING_EQUAL(e->request->path, "/org.example.DemoService/sayHello");
	CU_ASSERT_EQUAL(e->request->request_body_bytes, 241);
	CU_ASSERT_EQUAL(e->response->response_code->value, 200);
	CU_ASSERT_EQUAL(e->response->response_body_bytes, 120);
	CU_ASSERT_STRING_EQUAL(e->response->response_code_details, "via_upstream");
	drop();
}

/* Each flag of the table sets one field: the one whose number is its bit and one. */
static void test_flags(void)
{
	static const uint32_t bits[] = {
#define MT_RESPONSE_FLAG(name, words, bit) bit,
#include "response_flags.def"
#undef MT_RESPONSE_FLAG
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(bits); i++) {
		struct mt_alog_record r;
		const Xds__HTTPAccessLogEntry *e;
		uint8_t packed[16];
		size_t len, at = 0;
		uint32_t key = 0, shift = 0;

		record_of_call(&r);
		r.flags = 1u << bits[i];
		e = http_of(&r);
		CU_ASSERT_PTR_NOT_NULL_FATAL(e->common_properties->response_flags);
		len = xds__response_flags__pack(e->common_properties->response_flags, packed);
		do {
			key |= (packed[at] & 0x7fu) << shift;
			shift += 7;
		} while (packed[at++] & 0x80);
		CU_ASSERT_EQUAL(key >> 3, bits[i] + 1);
		CU_ASSERT_EQUAL(len, at + (bits[i] == 12 ? 3u : 1u));
		drop();
	}
}

static void test_stream(void)
{
	const Xds__StreamAccessLogsMessage__TCPAccessLogEntries *all;
	const Xds__TCPAccessLogEntry *e;
	struct mt_alog_record r;

	record_of_call(&r);
	r.type = MT_ALOG_TCP_END;
	r.ending = MT_ENDING_no_chain;
	all = decode(&xds__stream_access_logs_message__tcpaccess_log_entries__descriptor,
		mt_alog_als_entry(&r, false, bytes));
	e = all->log_entry[0];
	CU_ASSERT_EQUAL(e->connection_properties->received_bytes, 241);
	CU_ASSERT_EQUAL(e->connection_properties->sent_bytes, 120);
	CU_ASSERT_EQUAL(e->common_properties->access_log_type, 3);
	CU_ASSERT_STRING_EQUAL(
		e->common_properties->connection_termination_details, "filter_chain_not_found");
	CU_ASSERT(e->common_properties->response_flags->no_route_found);
	drop();
}

/* A record about which nothing is known, and one with the longest texts of bytes that are wrong. */
static void test_bounds(void)
{
	static char wrong[20000];
	struct mt_alog_record r;
	const Xds__HTTPAccessLogEntry *e;

	memset(&r, 0, sizeof(r));
	e = http_of(&r);
	CU_ASSERT_STRING_EQUAL(e->request->path, "");
	CU_ASSERT_PTR_NULL(e->common_properties->duration);
	drop();
	memset(wrong, 0xff, sizeof(wrong) - 1);
	record_of_call(&r);
	for (uint32_t i = 0; i < MT_ALOG_TEXTS; i++)
		mt_alog_set_text(&r, i, wrong);
	e = http_of(&r);
	CU_ASSERT_EQUAL(strlen(e->request->authority), MT_ALOG_WIRE_TEXT / 3 * 3);
	CU_ASSERT_EQUAL(memcmp(e->request->authority, "\xef\xbf\xbd\xef", 4), 0);
	drop();
}

static void test_texts(void)
{
	static const struct {
		const char *from;
		uint32_t len;
		const char *want;
	} t[] = {{"a\"\\\n\x7f", 5, "a\"\\\n\x7f"},
		{"a\0b", 3,
			"a\xef\xbf\xbd"
			"b"},
		{"\xc3\xa4\xc2\x85", 4, "\xc3\xa4\xc2\x85"},
		{"\xed\xa0\x80", 3, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"x\xe2\x82", 3, "x\xef\xbf\xbd\xef\xbf\xbd"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_alog_record r;
		const Xds__HTTPAccessLogEntry *e;

		record_of_call(&r);
		r.texts[MT_ALOG_ROUTE] = (struct mt_slice){(const uint8_t *)t[i].from, t[i].len};
		e = http_of(&r);
		CU_ASSERT_STRING_EQUAL(e->common_properties->route_name, t[i].want);
		drop();
	}
}

static void test_identifier(void)
{
	uint32_t len = mt_alog_als_identifier(&sender, "calls", bytes);
	Xds__StreamAccessLogsMessage *m = xds__stream_access_logs_message__unpack(NULL, len, bytes);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_STRING_EQUAL(m->identifier->log_name, "calls");
	CU_ASSERT_STRING_EQUAL(m->identifier->node->id, "node-1");
	CU_ASSERT_STRING_EQUAL(m->identifier->node->cluster, "mesh");
	CU_ASSERT_STRING_EQUAL(m->identifier->node->user_agent_name, "meltemi");
	xds__stream_access_logs_message__free_unpacked(m, NULL);
}

/* ---- OTLP ----------------------------------------------------------------------------------- */

static Otlp__ScopeLogs *logs_of(uint32_t len)
{
	Otlp__ScopeLogs *all = otlp__scope_logs__unpack(NULL, len, bytes);

	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	CU_ASSERT_EQUAL_FATAL(all->n_log_records, 1);
	return all;
}

static void test_otel(void)
{
	const struct mt_alog_label labels[] = {
		{slice("path"), slice("/a/b")}, {slice("code"), slice("200")}};
	struct mt_alog_record r;
	const Otlp__LogRecord *m;
	Otlp__ScopeLogs *all;

	record_of_call(&r);
	all = logs_of(mt_alog_otel_record(&r, r.wall + 7, slice("a line"), labels, 2, bytes));
	m = all->log_records[0];
	CU_ASSERT_EQUAL(m->time_unix_nano, r.wall);
	CU_ASSERT_EQUAL(m->observed_time_unix_nano, r.wall + 7);
	CU_ASSERT_STRING_EQUAL(m->body->string_value, "a line");
	CU_ASSERT_EQUAL_FATAL(m->n_attributes, 2);
	CU_ASSERT_STRING_EQUAL(m->attributes[0]->key, "path");
	CU_ASSERT_STRING_EQUAL(m->attributes[0]->value->string_value, "/a/b");
	CU_ASSERT_STRING_EQUAL(m->attributes[1]->key, "code");
	CU_ASSERT_EQUAL(m->dropped_attributes_count, 0);
	otlp__scope_logs__free_unpacked(all, NULL);
}

static void test_otel_bounds(void)
{
	static char large[8193];
	struct mt_alog_label labels[MT_ALOG_LABELS];
	struct mt_alog_record r;
	const Otlp__LogRecord *m;
	Otlp__ScopeLogs *all;

	memset(large, 0xff, sizeof(large) - 1);
	record_of_call(&r);
	for (uint32_t i = 0; i < MT_ALOG_LABELS; i++)
		labels[i] = (struct mt_alog_label){slice("key"), slice(large)};
	labels[MT_ALOG_LABELS - 1].value = slice("short");
	all = logs_of(mt_alog_otel_record(&r, r.wall, slice(large), labels, MT_ALOG_LABELS, bytes));
	m = all->log_records[0];
	CU_ASSERT_EQUAL(strlen(m->body->string_value), 3 * 8192);
	CU_ASSERT_EQUAL(m->n_attributes, 2);
	CU_ASSERT_EQUAL(m->dropped_attributes_count, MT_ALOG_LABELS - 2);
	CU_ASSERT_STRING_EQUAL(m->attributes[1]->value->string_value, "short");
	otlp__scope_logs__free_unpacked(all, NULL);
}

static void test_otel_resource(void)
{
	static const char *const want[] = {"log_name", "calls", "cluster_name", "mesh", "node_name",
		"node-1", "service.name", "meltemi"};
	uint32_t len = mt_alog_otel_resource(&sender, "calls", bytes);
	Otlp__ResourceLogs *m = otlp__resource_logs__unpack(NULL, len, bytes);

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_EQUAL_FATAL(m->resource->n_attributes, 4);
	for (size_t i = 0; i < 4; i++) {
		CU_ASSERT_STRING_EQUAL(m->resource->attributes[i]->key, want[2 * i]);
		CU_ASSERT_STRING_EQUAL(
			m->resource->attributes[i]->value->string_value, want[2 * i + 1]);
	}
	otlp__resource_logs__free_unpacked(m, NULL);
}

static void test_otel_answer(void)
{
	static const uint8_t some[] = {0x0a, 6, 0x08, 5, 0x12, 2, 'n', 'o'},
			     minus[] = {0x0a, 11, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
				     0xff, 0xff, 1},
			     bad[] = {0x0a, 0x7f};
	char words[64];
	uint64_t n;

	CU_ASSERT_EQUAL(mt_alog_otel_answer(NULL, 0, &n, words, sizeof(words)), 0);
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_EQUAL(mt_alog_otel_answer(some, sizeof(some), &n, words, sizeof(words)), 0);
	CU_ASSERT_EQUAL(n, 5);
	CU_ASSERT_STRING_EQUAL(words, "no");
	CU_ASSERT_EQUAL(mt_alog_otel_answer(minus, sizeof(minus), &n, words, sizeof(words)), 0);
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_EQUAL(mt_alog_otel_answer(bad, sizeof(bad), &n, words, sizeof(words)), -1);
}

const struct mt_test wire_tests[] = {{"call", test_call}, {"flags", test_flags},
	{"stream", test_stream}, {"bounds", test_bounds}, {"texts", test_texts},
	{"identifier", test_identifier}, {"otel", test_otel}, {"otel bounds", test_otel_bounds},
	{"otel resource", test_otel_resource}, {"otel answer", test_otel_answer}, {0}};
