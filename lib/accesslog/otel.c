/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log records of OTLP. Body and attributes are texts, as Envoy's logger writes them, and so are the
 * attributes of the resource.
 */
#include "mt_alog_wire_priv.h"

#include "mt_pb.h"
#include "otlp.pb-c.h"

#include <stdio.h>

#define RECORD	      0x12 /* field 2 */
#define RESOURCE      0x0a
#define ANSWER_MEMORY (64u << 10)
#define OVERHEAD      64 /* bytes of a text besides itself: tags, lengths */

/* Texts and messages together must fit into MT_ALOG_WIRE. */
#define TEXTS (MT_ALOG_WIRE - OVERHEAD * (MT_ALOG_LABELS + 2))

struct pair {
	Otlp__KeyValue kv;
	Otlp__AnyValue value;
};

static void set_any(Otlp__AnyValue *v, char *text)
{
	otlp__any_value__init(v);
	v->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	v->string_value = text;
}

static Otlp__KeyValue *set_pair(struct pair *p, char *key, char *value)
{
	set_any(&p->value, value);
	otlp__key_value__init(&p->kv);
	p->kv.key = key;
	p->kv.value = &p->value;
	return &p->kv;
}

uint32_t mt_alog_otel_record(const struct mt_alog_record *r, uint64_t now, struct mt_slice body,
	const struct mt_alog_label *attributes, uint32_t n, uint8_t to[MT_ALOG_WIRE])
{
	Otlp__LogRecord m = OTLP__LOG_RECORD__INIT;
	struct pair pairs[MT_ALOG_LABELS];
	Otlp__KeyValue *list[MT_ALOG_LABELS];
	Otlp__AnyValue of_body;
	char bytes[TEXTS];
	struct mt_pb_texts texts = {.p = bytes, .size = sizeof(bytes)};

	m.time_unix_nano = r->wall;
	m.observed_time_unix_nano = now;
	if (body.len) {
		set_any(&of_body, mt_pb_text(&texts, body, UINT32_MAX));
		m.body = &of_body;
	}
	m.attributes = list;
	for (uint32_t i = 0; i < n && i < MT_ALOG_LABELS; i++) {
		char *key;

		/* A replaced byte takes three. */
		if (3 * (attributes[i].key.len + attributes[i].value.len) + 2 >
			texts.size - texts.len) {
			m.dropped_attributes_count++;
			continue;
		}
		key = mt_pb_text(&texts, attributes[i].key, UINT32_MAX);
		list[m.n_attributes] = set_pair(&pairs[m.n_attributes], key,
			mt_pb_text(&texts, attributes[i].value, UINT32_MAX));
		m.n_attributes++;
	}
	return mt_pb_field(&m.base, RECORD, to, MT_ALOG_WIRE);
}

uint32_t mt_alog_otel_resource(
	const struct mt_alog_sender *s, const char *log_name, uint8_t to[MT_ALOG_WIRE_HEAD])
{
	static const char *const keys[] = {"log_name", "cluster_name", "node_name", "service.name"};
	const char *const values[] = {log_name, s->cluster, s->node, "meltemi"};
	struct pair pairs[MT_ARRAY_LEN(keys)];
	Otlp__KeyValue *list[MT_ARRAY_LEN(keys)];
	Otlp__Resource m = OTLP__RESOURCE__INIT;
	char bytes[4 * (MT_ALOG_WIRE_TEXT + 1)];
	struct mt_pb_texts texts = {.p = bytes, .size = sizeof(bytes)};

	m.attributes = list;
	for (size_t i = 0; i < MT_ARRAY_LEN(keys); i++) {
		if (!values[i][0])
			continue;
		list[m.n_attributes] = set_pair(&pairs[m.n_attributes], (char *)keys[i],
			mt_pb_text(&texts, mt_alog_slice(values[i]), MT_ALOG_WIRE_TEXT));
		m.n_attributes++;
	}
	return mt_pb_field(&m.base, RESOURCE, to, MT_ALOG_WIRE_HEAD);
}

int mt_alog_otel_answer(
	const uint8_t *data, size_t len, uint64_t *rejected, char *words, size_t words_size)
{
	Otlp__ExportLogsServiceResponse *answer;
	struct mt_pb_arena arena;
	const char *why;

	*rejected = 0;
	*words = '\0';
	mt_pb_arena_init(&arena, ANSWER_MEMORY);
	answer = mt_pb_unpack(
		&arena, &otlp__export_logs_service_response__descriptor, data, len, &why);
	if (answer && answer->partial_success) {
		const Otlp__ExportLogsPartialSuccess *p = answer->partial_success;

		*rejected = (uint64_t)MT_MAX(p->rejected_log_records, (int64_t)0);
		snprintf(words, words_size, "%s", p->error_message);
	}
	mt_pb_arena_fini(&arena);
	return answer ? 0 : -1;
}
