/* SPDX-License-Identifier: Apache-2.0 */
/* Both formats are lower-case hexadecimal numbers of fixed lengths, separated by dashes. */
#include "mt_span.h"

#include <string.h>

/* W3C: version-trace-span-flags with 2, 32, 16 and 2 digits */
#define W3C_TRACE 3
#define W3C_SPAN  36
#define W3C_FLAGS 53
#define W3C_LEN	  55

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes `n` bytes from 2 n digits; false: not hexadecimal. */
static bool bytes_of(const uint8_t *p, uint32_t n, uint8_t *to)
{
	for (uint32_t i = 0; i < n; i++) {
		int high = digit(p[2 * i]), low = digit(p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		to[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static bool is_zero(const uint8_t *p, uint32_t n)
{
	uint8_t any = 0;

	for (uint32_t i = 0; i < n; i++)
		any |= p[i];
	return any == 0;
}

static bool read_trace(const uint8_t *p, uint32_t len, struct mt_span *s)
{
	s->len = (uint8_t)len;
	return bytes_of(p, len, s->trace) && !is_zero(s->trace, len);
}

static bool read_id(const uint8_t *p, struct mt_span *s)
{
	s->has_id = true;
	return bytes_of(p, MT_SPAN_ID, s->id) && !is_zero(s->id, MT_SPAN_ID);
}

bool mt_span_w3c(struct mt_span *s, struct mt_slice v)
{
	struct mt_span got = {0};
	uint8_t version, flags;

	if (v.len < W3C_LEN || v.p[W3C_TRACE - 1] != '-' || v.p[W3C_SPAN - 1] != '-' ||
		v.p[W3C_FLAGS - 1] != '-')
		return false;
	if (!bytes_of(v.p, 1, &version) || !bytes_of(v.p + W3C_FLAGS, 1, &flags) || version == 0xff)
		return false;
	/* Later versions may have more fields after another dash. */
	if (v.len > W3C_LEN && (version == 0 || v.p[W3C_LEN] != '-'))
		return false;
	if (!read_trace(v.p + W3C_TRACE, MT_TRACE_ID, &got) || !read_id(v.p + W3C_SPAN, &got))
		return false;
	got.unsampled = !(flags & 1);
	*s = got;
	return true;
}

bool mt_span_b3_ids(struct mt_span *s, struct mt_slice trace, struct mt_slice id)
{
	struct mt_span got = {0};

	if (trace.len != 2 * MT_TRACE_ID && trace.len != MT_TRACE_ID)
		return false;
	if (!read_trace(trace.p, trace.len / 2, &got))
		return false;
	if (id.p && (id.len != 2 * MT_SPAN_ID || !read_id(id.p, &got)))
		return false;
	*s = got;
	return true;
}

bool mt_span_b3_unsampled(struct mt_slice v)
{
	return (v.len == 1 && v.p[0] == '0') || (v.len == 5 && memcmp(v.p, "false", 5) == 0);
}

/* {TraceId}-{SpanId}[-{SamplingState}[-{ParentSpanId}]] */
bool mt_span_b3(struct mt_span *s, struct mt_slice v)
{
	const uint8_t *dash = memchr(v.p, '-', v.len);
	struct mt_slice trace = {v.p, 0}, id;
	uint32_t end;

	if (!dash)
		return false;
	trace.len = (uint32_t)(dash - v.p);
	end = trace.len + 1 + 2 * MT_SPAN_ID;
	if (v.len < end || (v.len > end && (v.p[end] != '-' || v.len == end + 1)))
		return false;
	id = (struct mt_slice){dash + 1, 2 * MT_SPAN_ID};
	if (!mt_span_b3_ids(s, trace, id))
		return false;
	s->unsampled =
		v.len > end && v.p[end + 1] == '0' && (v.len == end + 2 || v.p[end + 2] == '-');
	return true;
}

const char *const mt_span_keys[MT_SPAN_KEYS] = {
	[MT_SPAN_TRACEPARENT] = "traceparent",
	[MT_SPAN_B3] = "b3",
	[MT_SPAN_B3_TRACE] = "x-b3-traceid",
	[MT_SPAN_B3_SPAN] = "x-b3-spanid",
	[MT_SPAN_B3_SAMPLED] = "x-b3-sampled",
};

bool mt_span_find(struct mt_span *s, const struct mt_slice values[MT_SPAN_KEYS])
{
	const struct mt_slice *sampled = &values[MT_SPAN_B3_SAMPLED];

	if (values[MT_SPAN_TRACEPARENT].p && mt_span_w3c(s, values[MT_SPAN_TRACEPARENT]))
		return true;
	if (values[MT_SPAN_B3].p && mt_span_b3(s, values[MT_SPAN_B3]))
		return true;
	if (!values[MT_SPAN_B3_TRACE].p ||
		!mt_span_b3_ids(s, values[MT_SPAN_B3_TRACE], values[MT_SPAN_B3_SPAN]))
		return false;
	s->unsampled = sampled->p && mt_span_b3_unsampled(*sampled);
	return true;
}

char *mt_span_hex(const uint8_t *bytes, uint32_t n, char *buf)
{
	static const char digits[] = "0123456789abcdef";

	for (uint32_t i = 0; i < n; i++) {
		buf[2 * i] = digits[bytes[i] >> 4];
		buf[2 * i + 1] = digits[bytes[i] & 15];
	}
	buf[2 * n] = '\0';
	return buf;
}
