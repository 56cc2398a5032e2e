/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any contexts of a request, and the rule of its node. The reader finds in each format that is
 * written the same trace, the span, and the decision. Spans with any texts: collectors can read
 * them.
 */
#include "fuzz.h"

#include "mt_tracing_span.h"
#include "otlp.pb-c.h"

#include <jansson.h>
#include <string.h>

static const uint8_t attempt[MT_SPAN_ID] = {1, 2, 3, 4, 5, 6, 7, 8};

/* Each line is a key, by its first byte, with its value. */
static void read_values(struct mt_span_values *v, const uint8_t *data, size_t size)
{
	for (size_t at = 0; at < size;) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t len = end ? (size_t)(end - data) - at : size - at;

		mt_span_see(v, (enum mt_span_key)(data[at] % MT_SPAN_ALL_KEYS),
			(struct mt_slice){data + at + 1, len ? (uint32_t)len - 1 : 0});
		at += len + 1;
	}
}

static bool is_named(const char *name, enum mt_span_key key)
{
	return strcasecmp(name, mt_span_keys[key]) == 0;
}

/* A W3C trace has 16 bytes. */
static void check_same(const struct mt_span *s, const struct mt_tracing_context *c, bool sender)
{
	uint32_t missing = s->len - c->trace_len;

	MT_ASSERT(s->len >= c->trace_len && s->has_id);
	MT_ASSERT(memcmp(s->trace + missing, c->trace, c->trace_len) == 0);
	MT_ASSERT(memcmp(s->id, sender ? c->span : attempt, MT_SPAN_ID) == 0);
	MT_ASSERT(s->sampling == MT_SPAN_SAMPLED || (c->is_debug && s->sampling == MT_SPAN_DEBUG));
}

/* Reads what was written, first all of it, then each format. */
static void check_written(const struct mt_tracing_context *c, bool sender)
{
	static const uint8_t formats[] = {0x3f, 0x01, 0x02, 0x3c};
	struct mt_tracing_text t;
	uint32_t n = mt_tracing_write(c, sender ? NULL : attempt, &t);

	MT_ASSERT(n <= MT_TRACING_KEYS && (n > 0) == (c->write != 0));
	for (size_t f = 0; f < MT_ARRAY_LEN(formats); f++) {
		struct mt_span_values v = {.seen = 0};
		struct mt_span s;

		for (uint32_t i = 0; i < n; i++)
			for (uint32_t k = 0; k < MT_SPAN_ALL_KEYS; k++)
				if (formats[f] >> k & 1 &&
					is_named(t.keys[i].name, (enum mt_span_key)k))
					mt_span_see(&v, (enum mt_span_key)k, t.keys[i].value);
		MT_ASSERT(!v.twice);
		if (v.seen) {
			MT_ASSERT(mt_span_find(&s, &v));
			check_same(&s, c, sender);
		}
	}
}

/* ---- spans ---------------------------------------------------------------------------------- */

#define LINES (2 * MT_TRACING_TAGS + 10)

/* The lines of the input are the span's texts, one after another. */
static void make_span(struct mt_tracing_span *s, struct mt_tracing_tag *tags,
	const struct mt_tracing_context *c, const uint8_t *data, size_t size)
{
	struct mt_slice lines[LINES] = {{NULL, 0}};
	uint32_t n = 0;

	for (size_t at = 0; at < size && n < LINES; n++) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t len = end ? (size_t)(end - data) - at : size - at;

		lines[n] = (struct mt_slice){data + at, (uint32_t)len};
		at += len + 1;
	}
	*s = (struct mt_tracing_span){.kind = n & 1 ? MT_TRACING_SERVER : MT_TRACING_CLIENT,
		.trace_len = c->trace_len,
		.has_parent = c->has_parent,
		.is_parent_remote = n & 2,
		.is_debug = c->is_debug,
		.failed = n & 4,
		.start = size * MT_SEC,
		.end = n * MT_SEC,
		.name = lines[0],
		.state = lines[1],
		.message = lines[2],
		.local = {.service = lines[3], .addr = mt_addr4(n), .port = (uint16_t)n},
		.remote = {.service = lines[4], .addr = {.w = {n}}, .port = (uint16_t)size},
		.tags = tags};
	memcpy(s->trace, c->trace, sizeof(s->trace));
	memcpy(s->id, c->span, sizeof(s->id));
	memcpy(s->parent, c->parent, sizeof(s->parent));
	for (uint32_t i = 5; i + 1 < n; i += 2)
		tags[s->n_tags++] = (struct mt_tracing_tag){lines[i], lines[i + 1]};
}

static void check_text(const char *text, uint32_t most)
{
	json_t *j = json_string(text);

	/* jansson checks that it is UTF-8. */
	MT_ASSERT(j && strlen(text) <= most);
	json_decref(j);
}

static void check_otlp(const struct mt_tracing_span *s, uint32_t most)
{
	struct mt_tracing_limits limits = {.tag = most};
	uint8_t bytes[MT_TRACING_SPAN];
	uint32_t len = mt_tracing_otlp_span(s, &limits, bytes);
	Otlp__ScopeSpans *m;

	MT_ASSERT(len <= sizeof(bytes));
	m = otlp__scope_spans__unpack(NULL, len, bytes);
	MT_ASSERT(m && m->n_spans == 1);
	check_text(m->spans[0]->name, MT_TRACING_TEXT);
	check_text(m->spans[0]->trace_state, MT_TRACING_STATE);
	for (size_t i = 0; i < m->spans[0]->n_attributes; i++) {
		check_text(m->spans[0]->attributes[i]->key, MT_TRACING_TEXT);
		check_text(m->spans[0]->attributes[i]->value->string_value, most);
	}
	MT_ASSERT(m->spans[0]->n_attributes + m->spans[0]->dropped_attributes_count == s->n_tags);
	MT_ASSERT(limits.cut >= m->spans[0]->dropped_attributes_count);
	otlp__scope_spans__free_unpacked(m, NULL);
}

static void check_zipkin(const struct mt_tracing_span *s, uint32_t most)
{
	struct mt_tracing_limits limits = {.tag = most};
	char text[MT_TRACING_SPAN];
	uint32_t len = mt_tracing_zipkin_span(s, &limits, text);
	json_t *j;

	MT_ASSERT(len <= sizeof(text));
	j = json_loadb(text, len, 0, NULL);
	MT_ASSERT(j && json_is_object(json_object_get(j, "tags")));
	MT_ASSERT(json_string_length(json_object_get(j, "traceId")) == 2u * s->trace_len);
	json_decref(j);
}

static void check_span(
	const struct mt_tracing_context *c, uint8_t first, const uint8_t *data, size_t size)
{
	struct mt_tracing_tag tags[LINES];
	struct mt_tracing_span s;

	make_span(&s, tags, c, data, size);
	check_otlp(&s, first * 8u);
	check_zipkin(&s, first * 8u);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mt_tracing_rule rule = {.trace_len = MT_TRACE_ID};
	struct mt_span_values v = {.seen = 0};
	struct mt_tracing_context c;
	enum mt_tracing_decision decision;
	struct mt_rand rand;

	if (!size)
		return 0;
	rule.write = data[0] & 7;
	rule.threshold = data[0] & 8 ? MT_TRACING_ALWAYS : 0;
	if (data[0] & 16)
		rule.trace_len = MT_SPAN_ID;
	read_values(&v, data + 1, size - 1);
	mt_rand_seed(&rand, data[0]);
	decision = mt_tracing_decide(&rule, &v, &rand, &c);
	if (decision == MT_TRACING_NOT_DRAWN)
		MT_ASSERT(!rule.threshold);
	if (decision < MT_TRACING_JOINED)
		return 0;
	MT_ASSERT((c.write & rule.write) == rule.write &&
		  c.has_parent == (decision == MT_TRACING_JOINED));
	check_written(&c, true);
	check_written(&c, false);
	check_span(&c, data[0], data + 1, size - 1);
	return 0;
}
