/* SPDX-License-Identifier: Apache-2.0 */
/* Reads, decides and writes the context of a traced call. */
#include "mt_tracing.h"

#include <string.h>

#define BIT(key) (1u << (key))
#define PARTS                                                                                      \
	(BIT(MT_SPAN_B3_TRACE) | BIT(MT_SPAN_B3_SPAN) | BIT(MT_SPAN_B3_SAMPLED) |                  \
		BIT(MT_SPAN_B3_FLAGS))

uint64_t mt_tracing_threshold(double percent)
{
	if (!(percent > 0))
		return 0;
	return percent >= 100 ? MT_TRACING_ALWAYS
			      : (uint64_t)(percent / 100 * (double)MT_TRACING_ALWAYS + 0.5);
}

void mt_tracing_new_id(struct mt_rand *rand, uint8_t id[MT_SPAN_ID])
{
	uint64_t n = mt_rand_u64(rand);

	_Static_assert(sizeof(n) == MT_SPAN_ID, "one random number for an id");
	n += n == 0;
	memcpy(id, &n, sizeof(n));
}

/* ---- the decision --------------------------------------------------------------------------- */

/* The formats of the rule and those that the request has. */
static uint8_t formats(const struct mt_tracing_rule *rule, uint32_t seen)
{
	uint32_t write = rule->write;

	if (!write)
		return 0;
	if (seen & BIT(MT_SPAN_TRACEPARENT))
		write |= MT_TRACING_W3C;
	if (seen & BIT(MT_SPAN_B3))
		write |= MT_TRACING_B3;
	if (seen & PARTS)
		write |= MT_TRACING_B3_PARTS;
	return (uint8_t)write;
}

enum mt_tracing_decision mt_tracing_start(const struct mt_tracing_rule *rule,
	const struct mt_span_values *v, struct mt_rand *rand, struct mt_tracing_context *c)
{
	*c = (struct mt_tracing_context){
		.trace_len = rule->trace_len, .write = formats(rule, v->seen)};
	mt_tracing_new_id(rand, c->trace);
	if (c->trace_len > MT_SPAN_ID)
		mt_tracing_new_id(rand, c->trace + MT_SPAN_ID);
	mt_tracing_new_id(rand, c->span);
	return MT_TRACING_DRAWN;
}

static enum mt_tracing_decision join(const struct mt_tracing_rule *rule,
	const struct mt_span_values *v, const struct mt_span *s, struct mt_rand *rand,
	struct mt_tracing_context *c)
{
	*c = (struct mt_tracing_context){
		.trace_len = s->len, .has_parent = true, .write = formats(rule, v->seen)};
	memcpy(c->trace, s->trace, s->len);
	memcpy(c->parent, s->id, MT_SPAN_ID);
	mt_tracing_new_id(rand, c->span);
	return MT_TRACING_JOINED;
}

enum mt_tracing_decision mt_tracing_read(const struct mt_tracing_rule *rule,
	const struct mt_span_values *v, struct mt_rand *rand, struct mt_tracing_context *c)
{
	enum mt_tracing_decision decision;
	bool found, wanted;
	struct mt_span s;

	found = mt_span_find(&s, v);
	if (s.sampling == MT_SPAN_UNSAMPLED)
		return MT_TRACING_UNSAMPLED;
	/* A trace without a span cannot be joined: the context counts as absent. */
	if (found && !s.has_id) {
		found = false;
		s.sampling = MT_SPAN_UNDECIDED;
	}
	wanted = s.sampling != MT_SPAN_UNDECIDED || mt_tracing_draws(rule, rand);
	if (!wanted)
		return MT_TRACING_NOT_DRAWN;
	decision = found ? join(rule, v, &s, rand, c) : mt_tracing_start(rule, v, rand, c);
	c->is_debug = s.sampling == MT_SPAN_DEBUG;
	return decision;
}

/* ---- writing -------------------------------------------------------------------------------- */

static char *put_hex(char *to, const uint8_t *bytes, uint32_t n)
{
	return mt_span_hex(bytes, n, to) + 2u * n;
}

static void add(
	struct mt_tracing_text *t, uint32_t *n, const char *name, const char *value, size_t len)
{
	t->keys[*n].name = name;
	t->keys[(*n)++].value = (struct mt_slice){(const uint8_t *)value, (uint32_t)len};
}

/* 00-TRACE-SPAN-01; a short trace id is the low half of a long one. */
static uint32_t write_w3c(
	const struct mt_tracing_context *c, const uint8_t *span, struct mt_tracing_text *t)
{
	uint32_t missing = 2u * (MT_TRACE_ID - c->trace_len);
	char *to = mempcpy(t->w3c, "00-", 3);

	memset(to, '0', missing);
	to = put_hex(to + missing, c->trace, c->trace_len);
	*to++ = '-';
	to = put_hex(to, span, MT_SPAN_ID);
	to = mempcpy(to, "-01", 3);
	return (uint32_t)(to - t->w3c);
}

/* TRACE-SPAN-STATE[-PARENT] */
static uint32_t write_b3(const struct mt_tracing_context *c, const uint8_t *span,
	const uint8_t *parent, struct mt_tracing_text *t)
{
	char *to = put_hex(t->b3, c->trace, c->trace_len);

	*to++ = '-';
	to = put_hex(to, span, MT_SPAN_ID);
	*to++ = '-';
	*to++ = c->is_debug ? 'd' : '1';
	if (parent) {
		*to++ = '-';
		to = put_hex(to, parent, MT_SPAN_ID);
	}
	return (uint32_t)(to - t->b3);
}

/* The parts of `b3` are values of their own. */
static void add_parts(const struct mt_tracing_context *c, const uint8_t *parent,
	struct mt_tracing_text *t, uint32_t *n)
{
	uint32_t digits = 2u * c->trace_len, span = digits + 1, state = span + 2 * MT_SPAN_ID + 1;

	add(t, n, "X-B3-TraceId", t->b3, digits);
	add(t, n, "X-B3-SpanId", t->b3 + span, 2 * MT_SPAN_ID);
	if (parent)
		add(t, n, "X-B3-ParentSpanId", t->b3 + state + 2, 2 * MT_SPAN_ID);
	/* Debug implies sampled, and B3 sends one of them. */
	add(t, n, c->is_debug ? "X-B3-Flags" : "X-B3-Sampled", "1", 1);
}

uint32_t mt_tracing_write(const struct mt_tracing_context *c, const uint8_t attempt[MT_SPAN_ID],
	struct mt_tracing_text *t)
{
	const uint8_t *span = attempt ? attempt : c->span;
	const uint8_t *parent = attempt ? c->span : c->has_parent ? c->parent : NULL;
	uint32_t n = 0, len;

	if (c->write & MT_TRACING_W3C)
		add(t, &n, "traceparent", t->w3c, write_w3c(c, span, t));
	if (!(c->write & (MT_TRACING_B3 | MT_TRACING_B3_PARTS)))
		return n;
	len = write_b3(c, span, parent, t);
	if (c->write & MT_TRACING_B3)
		add(t, &n, "b3", t->b3, len);
	if (c->write & MT_TRACING_B3_PARTS)
		add_parts(c, parent, t, &n);
	return n;
}
