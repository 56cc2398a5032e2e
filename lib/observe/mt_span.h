/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which trace a message belongs to, as its sender says: W3C Trace Context (https://www.w3.org/TR/trace-context/, section 3.2) and B3
 * (https://github.com/openzipkin/b3-propagation). Parsers of outside bytes. Not a trace of mt_trace.h, which is Meltemi's own.
 */
#pragma once

#include "mt_base.h"

#define MT_TRACE_ID 16 /* bytes */
#define MT_SPAN_ID  8

struct mt_span {
	uint8_t len; /* of trace: MT_TRACE_ID or 8; 0: none is known */
	bool has_id;
	uint8_t trace[MT_TRACE_ID], id[MT_SPAN_ID]; /* id: the sender's span */
};

/*
 * The value of "traceparent". false: malformed, or of a trace that is not recorded, which nobody could look up; *s is unchanged then.
 */
bool mt_span_w3c(struct mt_span *s, struct mt_slice value);
/* The value of "b3", in the same way. One that only says whether to record names no trace: false. */
bool mt_span_b3(struct mt_span *s, struct mt_slice value);
/* The value of "X-B3-TraceId", and of "X-B3-SpanId" if there is one (p NULL: none). */
bool mt_span_b3_ids(struct mt_span *s, struct mt_slice trace, struct mt_slice id);
/* The value of "X-B3-Sampled": whether it says that the trace is not recorded. */
bool mt_span_b3_unsampled(struct mt_slice value);

/* `n` bytes in hexadecimal; returns buf, which has room for 2 n + 1. */
char *mt_span_hex(const uint8_t *bytes, uint32_t n, char *buf);
