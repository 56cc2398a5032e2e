/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spans of Zipkin v2 (https://zipkin.io/zipkin-api/): a JSON object each. Tags are the last field,
 * and take the space that is left.
 */
#include "mt_tracing_span.h"

#include "mt_alog_escape.h"
#include "mt_pb_text.h"

#include <string.h>

#define TAIL 2 /* of the object and its tags: "}}" */

/* The fields before the tags fit: an escaped byte takes six. */
_Static_assert(4 * 6 * MT_TRACING_TEXT + 1024 < MT_TRACING_SPAN, "fields have space");

static void put(struct mt_alog_out *o, const char *p, uint32_t n)
{
	if (n > o->end - o->len) {
		o->cut = true;
		return;
	}
	memcpy(o->p + o->len, p, n);
	o->len += n;
}

static void put_word(struct mt_alog_out *o, const char *word)
{
	put(o, word, (uint32_t)strlen(word));
}

static void put_number(struct mt_alog_out *o, const char *before, uint64_t n)
{
	char digits[20];

	put_word(o, before);
	put(o, digits, mt_alog_digits(digits, n));
}

static void put_id(struct mt_alog_out *o, const char *before, const uint8_t *id, uint32_t n)
{
	char hex[2 * MT_TRACE_ID + 1];

	put_word(o, before);
	put(o, mt_span_hex(id, n, hex), 2 * n);
	put_word(o, "\"");
}

/* A text in quotes. Returns 1 if it was shortened, otherwise 0. */
static uint32_t put_text(struct mt_alog_out *o, struct mt_slice s, uint32_t most)
{
	char bytes[MT_TRACING_VALUE + 1];
	struct mt_pb_texts texts = {.p = bytes, .size = sizeof(bytes)};
	const char *text = mt_pb_text(&texts, s, most);

	put_word(o, "\"");
	mt_alog_escape(o, (struct mt_slice){(const uint8_t *)text, (uint32_t)strlen(text)}, true);
	put_word(o, "\"");
	return texts.cut;
}

static uint32_t put_end(struct mt_alog_out *o, const char *before, const struct mt_tracing_end *e)
{
	const char *comma = before;
	char addr[MT_ADDR_STRLEN];
	uint32_t cut = 0;

	if (e->service.len) {
		put_word(o, comma);
		put_word(o, "\"serviceName\":");
		cut = put_text(o, e->service, MT_TRACING_TEXT);
		comma = ",";
	}
	if (!mt_addr_is_zero(&e->addr)) {
		put_word(o, comma);
		put_word(o, mt_addr_is4(&e->addr) ? "\"ipv4\":\"" : "\"ipv6\":\"");
		put_word(o, mt_addr_str(&e->addr, addr));
		put_word(o, "\"");
		comma = ",";
	}
	if (e->port) {
		put_word(o, comma);
		put_number(o, "\"port\":", e->port);
		comma = ",";
	}
	if (comma != before)
		put_word(o, "}");
	return cut;
}

/* Appends a tag, if it has space. */
static void put_tag(struct mt_alog_out *o, const char *before, struct mt_slice key,
	struct mt_slice value, uint32_t most, struct mt_tracing_limits *limits)
{
	uint32_t len = o->len, cut;

	put_word(o, before);
	cut = put_text(o, key, MT_TRACING_TEXT);
	put_word(o, ":");
	cut += put_text(o, value, most);
	if (o->cut) {
		o->len = len;
		o->cut = false;
		cut = 1;
	}
	limits->cut += cut;
}

static void put_tags(
	struct mt_alog_out *o, const struct mt_tracing_span *s, struct mt_tracing_limits *limits)
{
	const struct mt_slice error = {(const uint8_t *)"error", 5};
	const struct mt_slice yes = {(const uint8_t *)"true", 4};
	uint32_t begin = o->len, most = MT_MIN(limits->tag, (uint32_t)MT_TRACING_VALUE);

	if (s->failed)
		put_tag(o, "", error, s->message.len ? s->message : yes, MT_TRACING_TEXT, limits);
	for (uint32_t i = 0; i < MT_MIN(s->n_tags, (uint32_t)MT_TRACING_TAGS); i++)
		if (!s->failed || !mt_slice_eq_str(s->tags[i].key, "error"))
			put_tag(o, o->len > begin ? "," : "", s->tags[i].key, s->tags[i].value,
				most, limits);
	if (s->n_tags > MT_TRACING_TAGS)
		limits->cut += s->n_tags - MT_TRACING_TAGS;
}

uint32_t mt_tracing_zipkin_span(
	const struct mt_tracing_span *s, struct mt_tracing_limits *limits, char to[MT_TRACING_SPAN])
{
	struct mt_alog_out o = {.p = to, .end = MT_TRACING_SPAN - TAIL};
	uint64_t took = s->end > s->start ? (s->end - s->start) / MT_USEC : 0;

	put_id(&o, "{\"traceId\":\"", s->trace, s->trace_len);
	put_id(&o, ",\"id\":\"", s->id, MT_SPAN_ID);
	if (s->has_parent)
		put_id(&o, ",\"parentId\":\"", s->parent, MT_SPAN_ID);
	put_word(&o, ",\"kind\":");
	put_word(&o, s->kind == MT_TRACING_SERVER ? "\"SERVER\"" : "\"CLIENT\"");
	put_word(&o, ",\"name\":");
	limits->cut += put_text(&o, s->name, MT_TRACING_TEXT);
	/* Zipkin takes 0 as unknown. */
	put_number(&o, ",\"timestamp\":", MT_MAX(s->start / MT_USEC, 1ull));
	put_number(&o, ",\"duration\":", MT_MAX(took, 1ull));
	if (s->is_debug)
		put_word(&o, ",\"debug\":true");
	limits->cut += put_end(&o, ",\"localEndpoint\":{", &s->local);
	limits->cut += put_end(&o, ",\"remoteEndpoint\":{", &s->remote);
	put_word(&o, ",\"tags\":{");
	MT_ASSERT(!o.cut);
	put_tags(&o, s, limits);
	o.end += TAIL;
	put(&o, "}}", TAIL);
	return o.len;
}
