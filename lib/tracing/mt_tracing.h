/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace contexts of calls: which calls get spans, and the context that Meltemi forwards.
 * lib/observe/mt_span.h reads contexts.
 *
 * The decision of a call:
 * - A sampled context is joined, and forwarded with a span of Meltemi as the parent.
 * - An unsampled context passes unchanged.
 * - Without a context, and for one of B3 without a decision, the node draws by a random number. A
 *   call that is not drawn is forwarded as it is.
 *
 * Functions are for workers: they do not allocate, and write into memory of their caller. A call
 * without a context that is not drawn costs one random number and two comparisons.
 */
#pragma once

#include "mt_rand.h"
#include "mt_span.h"

/* Formats, as bits. */
#define MT_TRACING_W3C	    1u /* traceparent */
#define MT_TRACING_B3	    2u /* b3 */
#define MT_TRACING_B3_PARTS 4u /* X-B3-TraceId and its siblings */

#define MT_TRACING_ALWAYS (1ull << 32)

struct mt_tracing_rule {
	uint64_t threshold; /* a call is drawn if 32 random bits are below it */
	uint8_t write;	    /* formats that all traced requests get; 0: nothing is written */
	uint8_t trace_len;  /* bytes of new trace ids: MT_TRACE_ID, or 8 for B3 */
};

/* The threshold of a percentage; below 0 and NaN are 0, above 100 is 100. */
uint64_t mt_tracing_threshold(double percent);

enum mt_tracing_decision {
	MT_TRACING_NOT_DRAWN, /* no span; the request is forwarded as it is */
	MT_TRACING_UNSAMPLED, /* the same, because the sender decided so */
	MT_TRACING_JOINED,    /* spans in the trace of the sender */
	MT_TRACING_DRAWN,     /* spans in a new trace */
};

/* The context of a traced call. */
struct mt_tracing_context {
	uint8_t trace_len; /* MT_TRACE_ID or 8 */
	bool has_parent;
	bool is_debug; /* B3 */
	uint8_t write; /* formats that its request gets */
	uint8_t trace[MT_TRACE_ID];
	uint8_t parent[MT_SPAN_ID]; /* span of the sender, if has_parent */
	uint8_t span[MT_SPAN_ID];   /* Meltemi's SERVER span */
};

/* Makes an id that is not zero. For a span of each attempt. */
void mt_tracing_new_id(struct mt_rand *rand, uint8_t id[MT_SPAN_ID]);

/* Parts of mt_tracing_decide(). */
enum mt_tracing_decision mt_tracing_start(const struct mt_tracing_rule *rule,
	const struct mt_span_values *v, struct mt_rand *rand, struct mt_tracing_context *c);
enum mt_tracing_decision mt_tracing_read(const struct mt_tracing_rule *rule,
	const struct mt_span_values *v, struct mt_rand *rand, struct mt_tracing_context *c);

static inline bool mt_tracing_draws(const struct mt_tracing_rule *rule, struct mt_rand *rand)
{
	return mt_rand_u64(rand) >> 32 < rule->threshold;
}

/* Decides about a call by the values of its request. Sets *c if the call is joined or drawn. */
static mt_inline enum mt_tracing_decision mt_tracing_decide(const struct mt_tracing_rule *rule,
	const struct mt_span_values *v, struct mt_rand *rand, struct mt_tracing_context *c)
{
	if (mt_unlikely(v->seen))
		return mt_tracing_read(rule, v, rand, c);
	if (mt_likely(!mt_tracing_draws(rule, rand)))
		return MT_TRACING_NOT_DRAWN;
	return mt_tracing_start(rule, v, rand, c);
}

#define MT_TRACING_KEYS 6 /* most keys of a request */

/*
 * A context as metadata. The values point into `w3c` and `b3`, or are static. A copy of this struct
 * still points into the original.
 */
struct mt_tracing_text {
	struct {
		const char *name; /* capitalized as most senders do */
		struct mt_slice value;
	} keys[MT_TRACING_KEYS];
	char w3c[64], b3[80];
};

/*
 * Writes the context that a request is forwarded with. Its span is `attempt`, or the call's own if
 * that is NULL. Returns the number of keys: those of the rule's formats, and of each format that
 * the request has, so that no key names another parent. Each replaces all values that the request
 * has of this key, compared without case. Other keys (tracestate, baggage, X-B3-Flags) stay.
 */
uint32_t mt_tracing_write(const struct mt_tracing_context *c, const uint8_t attempt[MT_SPAN_ID],
	struct mt_tracing_text *t);
