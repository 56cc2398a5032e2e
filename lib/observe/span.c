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
	got.sampling = flags & 1 ? MT_SPAN_SAMPLED : MT_SPAN_UNSAMPLED;
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

/* The sampling state of "b3". */
static bool read_state(uint8_t c, uint8_t *sampling)
{
	switch (c) {
	case '0':
		*sampling = MT_SPAN_UNSAMPLED;
		return true;
	case '1':
		*sampling = MT_SPAN_SAMPLED;
		return true;
	case 'd':
		*sampling = MT_SPAN_DEBUG;
		return true;
	default:
		return false;
	}
}

/* -{SamplingState}[-{ParentSpanId}] */
static bool read_rest(const uint8_t *p, uint32_t len, struct mt_span *s)
{
	uint8_t parent[MT_SPAN_ID];

	if (len < 2 || p[0] != '-' || !read_state(p[1], &s->sampling))
		return false;
	if (len == 2)
		return true;
	return len == 3 + 2 * MT_SPAN_ID && p[2] == '-' && bytes_of(p + 3, MT_SPAN_ID, parent) &&
	       !is_zero(parent, MT_SPAN_ID);
}

/* {TraceId}-{SpanId}[-{SamplingState}[-{ParentSpanId}]] */
bool mt_span_b3(struct mt_span *s, struct mt_slice v)
{
	const uint8_t *dash = v.len ? memchr(v.p, '-', v.len) : NULL;
	struct mt_slice trace = {v.p, 0}, id;
	struct mt_span got;
	uint32_t end;

	if (!dash)
		return false;
	trace.len = (uint32_t)(dash - v.p);
	end = trace.len + 1 + 2 * MT_SPAN_ID;
	if (v.len < end)
		return false;
	id = (struct mt_slice){dash + 1, 2 * MT_SPAN_ID};
	if (!mt_span_b3_ids(&got, trace, id))
		return false;
	if (v.len > end && !read_rest(v.p + end, v.len - end, &got))
		return false;
	*s = got;
	return true;
}

/* ---- several keys --------------------------------------------------------------------------- */

const char *const mt_span_keys[MT_SPAN_ALL_KEYS] = {
	[MT_SPAN_TRACEPARENT] = "traceparent",
	[MT_SPAN_B3] = "b3",
	[MT_SPAN_B3_TRACE] = "x-b3-traceid",
	[MT_SPAN_B3_SPAN] = "x-b3-spanid",
	[MT_SPAN_B3_SAMPLED] = "x-b3-sampled",
	[MT_SPAN_B3_FLAGS] = "x-b3-flags",
};

#define BIT(key) (1u << (key))
#define PARTS                                                                                      \
	(BIT(MT_SPAN_B3_TRACE) | BIT(MT_SPAN_B3_SPAN) | BIT(MT_SPAN_B3_SAMPLED) |                  \
		BIT(MT_SPAN_B3_FLAGS))

/* The value of a key that the message has once, otherwise {NULL, 0}. */
static struct mt_slice once(const struct mt_span_values *v, enum mt_span_key key)
{
	return v->seen & ~v->twice & BIT(key) ? v->at[key] : (struct mt_slice){NULL, 0};
}

/* The value of "X-B3-Sampled"; "true" and "false" are of older senders. */
static bool read_sampled(struct mt_slice v, uint8_t *sampling)
{
	if (v.len == 1 && v.p[0] != 'd')
		return read_state(v.p[0], sampling);
	*sampling = mt_slice_eq_str(v, "true") ? MT_SPAN_SAMPLED : MT_SPAN_UNSAMPLED;
	return *sampling == MT_SPAN_SAMPLED || mt_slice_eq_str(v, "false");
}

/* X-B3-TraceId and its siblings. */
static bool find_parts(struct mt_span *s, const struct mt_span_values *v)
{
	struct mt_slice flags = once(v, MT_SPAN_B3_FLAGS);
	uint8_t sampling = MT_SPAN_UNDECIDED;
	struct mt_span got = {0};

	if (v->twice & PARTS)
		return false;
	if (v->seen & BIT(MT_SPAN_B3_SAMPLED) &&
		!read_sampled(v->at[MT_SPAN_B3_SAMPLED], &sampling))
		return false;
	if (flags.len == 1 && flags.p[0] == '1')
		sampling = MT_SPAN_DEBUG;
	if (v->seen & (BIT(MT_SPAN_B3_TRACE) | BIT(MT_SPAN_B3_SPAN)) &&
		!mt_span_b3_ids(&got, once(v, MT_SPAN_B3_TRACE), once(v, MT_SPAN_B3_SPAN)))
		return false;
	got.sampling = sampling;
	*s = got;
	return s->len != 0;
}

bool mt_span_find(struct mt_span *s, const struct mt_span_values *v)
{
	struct mt_slice b3;

	*s = (struct mt_span){0};
	if (mt_span_w3c(s, once(v, MT_SPAN_TRACEPARENT)))
		return true;
	b3 = once(v, MT_SPAN_B3);
	if (mt_span_b3(s, b3))
		return true;
	if (b3.len == 1 && read_state(b3.p[0], &s->sampling))
		return false;
	return find_parts(s, v);
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
