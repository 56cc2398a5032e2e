/* SPDX-License-Identifier: Apache-2.0 */
#include "match_wire.h"

#include <string.h>

#define THRIFT(say, t, e)                                                                          \
	{.name = say, .codec = "thrift", .serial = true, .transport = t, .encoding = e},           \
	{                                                                                          \
		.name = say " shared", .codec = "thrift", .opts = MT_CODEC_OPT_MULTIPLEXING,       \
		.transport = t, .encoding = e                                                      \
	}

const struct wire wires[] = {
	THRIFT("framed strict", WIRE_FRAMED, WIRE_STRICT),
	THRIFT("framed old", WIRE_FRAMED, WIRE_OLD),
	THRIFT("framed compact", WIRE_FRAMED, WIRE_COMPACT),
	THRIFT("unframed strict", WIRE_UNFRAMED, WIRE_STRICT),
	THRIFT("unframed old", WIRE_UNFRAMED, WIRE_OLD),
	THRIFT("unframed compact", WIRE_UNFRAMED, WIRE_COMPACT),
	THRIFT("THeader strict", WIRE_THEADER, WIRE_STRICT),
	THRIFT("THeader compact", WIRE_THEADER, WIRE_COMPACT),
	{.name = "dubbo", .codec = "dubbo", .no_method = true},
	{.name = "awesomeRPC", .codec = "awesomerpc", .no_oneway = true, .no_method = true},
};
const uint32_t n_wires = MT_ARRAY_LEN(wires);

enum { CALL = 1, REPLY = 2, ONEWAY = 4 };

struct out {
	uint8_t *p;
	uint32_t n;
};

static void put(struct out *o, const void *bytes, uint32_t n)
{
	memcpy(o->p + o->n, bytes, n);
	o->n += n;
}

static void put8(struct out *o, uint32_t v)
{
	o->p[o->n++] = (uint8_t)v;
}

static void put16(struct out *o, uint32_t v)
{
	put8(o, v >> 8);
	put8(o, v);
}

static void put32(struct out *o, uint32_t v)
{
	put16(o, v >> 16);
	put16(o, v);
}

static void put64(struct out *o, uint64_t v)
{
	put32(o, (uint32_t)(v >> 32));
	put32(o, (uint32_t)v);
}

static void put_varint(struct out *o, uint32_t v)
{
	for (; v > 127; v >>= 7)
		put8(o, v | 128);
	put8(o, v);
}

/* ---- Thrift ---- */

static void thrift_string(struct out *o, const struct wire *w, const char *s)
{
	if (w->encoding == WIRE_COMPACT)
		put_varint(o, (uint32_t)strlen(s));
	else
		put32(o, (uint32_t)strlen(s));
	put(o, s, (uint32_t)strlen(s));
}

static void thrift_begin(
	struct out *o, const struct wire *w, uint32_t type, uint32_t id, const char *method)
{
	switch (w->encoding) {
	case WIRE_COMPACT:
		put8(o, 0x82);
		put8(o, type << 5 | 1);
		put_varint(o, id);
		thrift_string(o, w, method);
		return;
	case WIRE_STRICT:
		put32(o, 0x80010000 | type);
		thrift_string(o, w, method);
		break;
	case WIRE_OLD:
		thrift_string(o, w, method);
		put8(o, type);
		break;
	}
	put32(o, id);
}

/* One field, a string; 0 in results, 1 in arguments. */
static void thrift_body(struct out *o, const struct wire *w, uint32_t field, const char *text)
{
	if (w->encoding == WIRE_COMPACT && field == 1) {
		put8(o, 0x18);
	} else {
		put8(o, w->encoding == WIRE_COMPACT ? 8 : 11);
		if (w->encoding == WIRE_COMPACT)
			put8(o, 0);
		else
			put16(o, field);
	}
	thrift_string(o, w, text);
	put8(o, 0);
}

static uint32_t thrift(const struct wire *w, uint8_t *p, uint32_t type, struct wire_ids ids,
	const char *method, const char *text)
{
	struct out o = {.p = p}, frame = {.p = p};

	if (w->transport != WIRE_UNFRAMED)
		put32(&o, 0);
	if (w->transport == WIRE_THEADER) {
		put32(&o, 0x0fff0000);
		put32(&o, ids.outer);
		put16(&o, 1);
		put32(&o, w->encoding == WIRE_COMPACT ? 0x02000000 : 0);
	}
	thrift_begin(&o, w, type, (uint32_t)ids.id, method);
	thrift_body(&o, w, type != REPLY, text);
	if (w->transport != WIRE_UNFRAMED)
		put32(&frame, o.n - 4);
	return o.n;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t thrift_id(const struct wire *w, const uint8_t *p)
{
	uint32_t id = 0, shift = 0;

	p += w->transport == WIRE_FRAMED ? 4 : w->transport == WIRE_THEADER ? 18 : 0;
	if (w->encoding == WIRE_STRICT)
		return be32(p + 8 + be32(p + 4));
	if (w->encoding == WIRE_OLD)
		return be32(p + 5 + be32(p));
	for (p += 2;; shift += 7) {
		id |= (uint32_t)(*p & 127) << shift;
		if (*p++ < 128)
			return id;
	}
}

/* ---- Dubbo, with hessian2 ---- */

#define CHUNK 0x8000u

static void hessian(struct out *o, const char *s)
{
	uint32_t n = (uint32_t)strlen(s);

	for (; n > CHUNK; n -= CHUNK, s += CHUNK) {
		put8(o, 'R');
		put16(o, CHUNK);
		put(o, s, CHUNK);
	}
	if (n > 31) {
		put8(o, 'S');
		put16(o, n);
	} else {
		put8(o, n);
	}
	put(o, s, n);
}

static uint32_t dubbo(uint8_t *p, uint32_t flags, uint64_t id, const char *method, const char *text)
{
	struct out o = {.p = p}, len = {.p = p + 12};

	put16(&o, 0xdabb);
	put8(&o, flags);
	put8(&o, method ? 0 : 20);
	put64(&o, id);
	put32(&o, 0);
	if (method) {
		hessian(&o, "2.0.2");
		hessian(&o, "demo.Echo");
		hessian(&o, "0.0.0");
		hessian(&o, method);
		hessian(&o, "Ljava/lang/String;");
	} else {
		put8(&o, 0x91);
	}
	hessian(&o, text);
	if (method)
		put(&o, "HZ", 2);
	put32(&len, o.n - 16);
	return o.n;
}

/* ---- awesomeRPC ---- */

static uint32_t awesome(uint8_t *p, uint32_t id, const char *text)
{
	struct out o = {.p = p};

	put8(&o, 1);
	put32(&o, id);
	put32(&o, 13 + (uint32_t)strlen(text));
	put16(&o, 1);
	put16(&o, 0);
	put(&o, text, (uint32_t)strlen(text));
	return o.n;
}

uint32_t wire_call(const struct wire *w, uint8_t *p, bool oneway, struct wire_ids ids,
	const char *method, const char *text)
{
	if (w->codec[0] == 't')
		return thrift(w, p, oneway ? ONEWAY : CALL, ids, method, text);
	if (w->codec[0] == 'd')
		return dubbo(p, oneway ? 0x82 : 0xc2, ids.id, method, text);
	return awesome(p, (uint32_t)ids.id, text);
}

uint32_t wire_reply(
	const struct wire *w, uint8_t *p, struct wire_ids ids, const char *method, const char *text)
{
	if (w->codec[0] == 't')
		return thrift(w, p, REPLY, ids, method, text);
	if (w->codec[0] == 'd')
		return dubbo(p, 0x02, ids.id, NULL, text);
	return awesome(p, (uint32_t)ids.id, text);
}

uint64_t wire_id(const struct wire *w, const uint8_t *p)
{
	if (w->codec[0] == 't')
		return thrift_id(w, p);
	if (w->codec[0] == 'd')
		return (uint64_t)be32(p + 4) << 32 | be32(p + 8);
	return be32(p + 1);
}
