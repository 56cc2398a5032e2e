/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trace of a message as its sender names it: W3C Trace Context
 * (https://www.w3.org/TR/trace-context/, section 3.2) and B3
 * (https://github.com/openzipkin/b3-propagation). Parsers of untrusted bytes. Not a trace of
 * mt_trace.h, which Meltemi records itself.
 */
#pragma once

#include "mt_base.h"

#define MT_TRACE_ID 16 /* bytes */
#define MT_SPAN_ID  8

/* The decision of the sender about recording the trace. */
enum mt_span_sampling {
	MT_SPAN_UNDECIDED, /* nothing; B3 leaves the decision to the receiver */
	MT_SPAN_SAMPLED,
	MT_SPAN_UNSAMPLED, /* not recorded, so the trace cannot be looked up */
	MT_SPAN_DEBUG,	   /* B3: recorded, also if the tracing system limits traces */
};

struct mt_span {
	uint8_t len; /* of `trace`: MT_TRACE_ID or 8; 0: unknown */
	bool has_id;
	uint8_t sampling;			    /* enum mt_span_sampling */
	uint8_t trace[MT_TRACE_ID], id[MT_SPAN_ID]; /* id: the sender's span */
};

/* Parses the value of "traceparent". False: malformed; *s is unchanged then. */
bool mt_span_w3c(struct mt_span *s, struct mt_slice value);
/*
 * Parses the value of "b3" in the same way. False also for a sampling state alone, which names no
 * trace.
 */
bool mt_span_b3(struct mt_span *s, struct mt_slice value);
/* Parses the value of "X-B3-TraceId", and of "X-B3-SpanId" if present (p NULL: absent). */
bool mt_span_b3_ids(struct mt_span *s, struct mt_slice trace, struct mt_slice id);

/* Metadata that names a trace. Keys are compared without case. */
enum mt_span_key {
	MT_SPAN_TRACEPARENT,
	MT_SPAN_B3,
	MT_SPAN_B3_TRACE,
	MT_SPAN_B3_SPAN,
	MT_SPAN_B3_SAMPLED,
	MT_SPAN_KEYS, /* those that logs read; the others contain only a decision */
	MT_SPAN_B3_FLAGS = MT_SPAN_KEYS,
	MT_SPAN_ALL_KEYS
};
extern const char *const mt_span_keys[MT_SPAN_ALL_KEYS];

/*
 * Values of a message's keys. Before the first value set `seen` and `twice` to 0. The values are
 * views.
 */
struct mt_span_values {
	uint8_t seen, twice; /* bits by enum mt_span_key: the message has it; more than once */
	struct mt_slice at[MT_SPAN_ALL_KEYS]; /* valid if seen */
};

static inline void mt_span_see(
	struct mt_span_values *v, enum mt_span_key key, struct mt_slice value)
{
	uint8_t bit = (uint8_t)(1u << key);

	v->twice |= v->seen & bit;
	v->seen |= bit;
	v->at[key] = value;
}

/*
 * Finds the trace that a message names. traceparent wins over b3, and b3 over X-B3-*. A context
 * that is malformed or has a key more than once counts as absent. False: there is none; *s is zero
 * then, except that `sampling` has a decision of B3 that names no trace.
 */
bool mt_span_find(struct mt_span *s, const struct mt_span_values *v);

/* Writes `n` bytes in hexadecimal; returns buf, which needs space for 2 n + 1 bytes. */
char *mt_span_hex(const uint8_t *bytes, uint32_t n, char *buf);
