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

struct mt_span {
	uint8_t len; /* of `trace`: MT_TRACE_ID or 8; 0: unknown */
	bool has_id;
	bool unsampled; /* the sender does not record it, so it cannot be looked up */
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
/* True if the value of "X-B3-Sampled" states that the trace is not sampled. */
bool mt_span_b3_unsampled(struct mt_slice value);

/* Metadata that names a trace. Keys are compared without case. */
enum mt_span_key {
	MT_SPAN_TRACEPARENT,
	MT_SPAN_B3,
	MT_SPAN_B3_TRACE,
	MT_SPAN_B3_SPAN,
	MT_SPAN_B3_SAMPLED,
	MT_SPAN_KEYS
};
extern const char *const mt_span_keys[MT_SPAN_KEYS];
/* The trace that the values of these keys name (p NULL: absent). False: none; *s is unchanged. */
bool mt_span_find(struct mt_span *s, const struct mt_slice values[MT_SPAN_KEYS]);

/* Writes `n` bytes in hexadecimal; returns buf, which needs space for 2 n + 1 bytes. */
char *mt_span_hex(const uint8_t *bytes, uint32_t n, char *buf);
