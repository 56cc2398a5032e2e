/* SPDX-License-Identifier: Apache-2.0 */
/* Spans of OTLP. Values of attributes are texts, as Envoy's tracers write them. */
#include "mt_tracing_span.h"

#include "mt_pb_text.h"
#include "otlp.pb-c.h"

#include <string.h>

#define SPANS	 0x12 /* field 2 */
#define RESOURCE 0x0a
#define SCOPE	 0x0a
#define FAILED	 2

/* Flags of a span. */
#define SAMPLED	      0x1
#define REMOTE_KNOWN  0x100
#define PARENT_REMOTE 0x200

#define OF_TAG 40  /* bytes of a tag besides its texts: tags, lengths, NULs */
#define FIXED  256 /* bytes of a span besides texts and tags */
/* Texts and messages together fit. */
#define TEXTS	       (MT_TRACING_SPAN - FIXED - OF_TAG * MT_TRACING_TAGS)
#define RESOURCE_TEXTS (MT_TRACING_RESOURCE - 16 - OF_TAG * MT_TRACING_TAGS)

_Static_assert(TEXTS > MT_TRACING_STATE + 3 * MT_TRACING_TEXT, "a span has space for tags");

struct pair {
	Otlp__KeyValue kv;
	Otlp__AnyValue value;
};

struct pairs {
	struct pair at[MT_TRACING_TAGS];
	Otlp__KeyValue *list[MT_TRACING_TAGS];
	uint32_t n, left_out;
};

static void add_pair(struct pairs *to, char *key, char *value)
{
	struct pair *p = &to->at[to->n];

	otlp__any_value__init(&p->value);
	p->value.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	p->value.string_value = value;
	otlp__key_value__init(&p->kv);
	p->kv.key = key;
	p->kv.value = &p->value;
	to->list[to->n++] = &p->kv;
}

/* Bytes that a text needs, at most: a byte that is replaced takes three. */
static uint64_t most_of(struct mt_slice s, uint32_t most)
{
	return MT_MIN(3ull * s.len, (uint64_t)most) + 1;
}

static void add_tags(struct pairs *to, const struct mt_tracing_tag *tags, uint32_t n,
	struct mt_tracing_limits *limits, struct mt_pb_texts *texts)
{
	uint32_t most = MT_MIN(limits->tag, (uint32_t)MT_TRACING_VALUE);

	for (uint32_t i = 0; i < n; i++) {
		char *key;

		if (to->n == MT_TRACING_TAGS ||
			most_of(tags[i].key, MT_TRACING_TEXT) + most_of(tags[i].value, most) >
				texts->size - texts->len) {
			to->left_out++;
			continue;
		}
		key = mt_pb_text(texts, tags[i].key, MT_TRACING_TEXT);
		add_pair(to, key, mt_pb_text(texts, tags[i].value, most));
	}
	limits->cut += to->left_out;
}

/* True if a message may have it: printable ASCII of a length that all systems forward. */
static bool is_state(struct mt_slice s)
{
	for (uint32_t i = 0; i < MT_MIN(s.len, (uint32_t)MT_TRACING_STATE); i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return s.len <= MT_TRACING_STATE;
}

static uint32_t flags_of(const struct mt_tracing_span *s)
{
	return SAMPLED | REMOTE_KNOWN | (s->has_parent && s->is_parent_remote ? PARENT_REMOTE : 0);
}

uint32_t mt_tracing_otlp_span(const struct mt_tracing_span *s, struct mt_tracing_limits *limits,
	uint8_t to[MT_TRACING_SPAN])
{
	uint8_t trace[MT_TRACE_ID] = {0}, id[MT_SPAN_ID], parent[MT_SPAN_ID];
	Otlp__Status status = OTLP__STATUS__INIT;
	Otlp__Span m = OTLP__SPAN__INIT;
	struct pairs pairs;
	char bytes[TEXTS];
	struct mt_pb_texts texts = {.p = bytes, .size = sizeof(bytes)};

	/* A short id is the low half of a long one. */
	memcpy(trace + MT_TRACE_ID - s->trace_len, s->trace, s->trace_len);
	memcpy(id, s->id, sizeof(id));
	memcpy(parent, s->parent, sizeof(parent));
	m.trace_id = (ProtobufCBinaryData){sizeof(trace), trace};
	m.span_id = (ProtobufCBinaryData){sizeof(id), id};
	if (s->has_parent)
		m.parent_span_id = (ProtobufCBinaryData){sizeof(parent), parent};
	if (is_state(s->state))
		m.trace_state = mt_pb_text(&texts, s->state, MT_TRACING_STATE);
	else
		limits->cut++;
	m.name = mt_pb_text(&texts, s->name, MT_TRACING_TEXT);
	m.kind = (int32_t)s->kind;
	m.start_time_unix_nano = s->start;
	m.end_time_unix_nano = MT_MAX(s->start, s->end);
	m.flags = flags_of(s);
	if (s->failed) {
		status.code = FAILED;
		status.message = mt_pb_text(&texts, s->message, MT_TRACING_TEXT);
		m.status = &status;
	}
	pairs.n = pairs.left_out = 0;
	add_tags(&pairs, s->tags, s->n_tags, limits, &texts);
	m.attributes = pairs.list;
	m.n_attributes = pairs.n;
	m.dropped_attributes_count = pairs.left_out;
	limits->cut += texts.cut;
	return mt_pb_field(&m.base, SPANS, to, MT_TRACING_SPAN);
}

uint32_t mt_tracing_otlp_resource(const struct mt_tracing_tag *attributes, uint32_t n,
	struct mt_tracing_limits *limits, uint8_t to[MT_TRACING_RESOURCE])
{
	Otlp__Resource m = OTLP__RESOURCE__INIT;
	struct pairs pairs;
	char bytes[RESOURCE_TEXTS];
	struct mt_pb_texts texts = {.p = bytes, .size = sizeof(bytes)};

	pairs.n = pairs.left_out = 0;
	add_tags(&pairs, attributes, n, limits, &texts);
	m.attributes = pairs.list;
	m.n_attributes = pairs.n;
	limits->cut += texts.cut;
	return mt_pb_field(&m.base, RESOURCE, to, MT_TRACING_RESOURCE);
}

uint32_t mt_tracing_otlp_scope(
	const char *name, const char *version, uint8_t to[MT_TRACING_RESOURCE])
{
	Otlp__InstrumentationScope m = OTLP__INSTRUMENTATION_SCOPE__INIT;
	char bytes[2 * (MT_TRACING_TEXT + 1)];
	struct mt_pb_texts texts = {.p = bytes, .size = sizeof(bytes)};

	m.name = mt_pb_text(&texts,
		(struct mt_slice){(const uint8_t *)name, (uint32_t)strlen(name)}, MT_TRACING_TEXT);
	m.version = mt_pb_text(&texts,
		(struct mt_slice){(const uint8_t *)version, (uint32_t)strlen(version)},
		MT_TRACING_TEXT);
	return mt_pb_field(&m.base, SCOPE, to, MT_TRACING_RESOURCE);
}
