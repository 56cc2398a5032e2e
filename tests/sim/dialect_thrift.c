/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thrift in its transports (framed, unframed, THeader) and encodings (strict binary, old binary, compact),
 * by hand from Apache Thrift's doc/specs (thrift-rpc.md, HeaderFormat.md). A call's body is the first
 * field of its arguments; behind it stand fields that nobody reads.
 */
#include "dialect.h"
#include "link.h"
#include "thrift_wire.h"

#include <string.h>

enum { FRAMED, UNFRAMED, HEADER };
enum { STRICT, OLD, COMPACT };
enum { CALL = 1, REPLY, EXCEPTION, ONEWAY };

#define VARIANT(transport, encoding) ((transport) << 4 | (encoding))
#define TRANSPORT(d)		     ((d)->variant >> 4)
#define ENCODING(d)		     ((d)->variant & 15)
#define HEADER_FIXED		     14 /* length, magic, flags, id, words */
#define DEPTH			     8
#define APP_TYPE		     5 /* "missing result": never the proxy's */

/* ---- writing ---- */

/* How the message itself begins. */
static void begin(struct tw_out *o, uint32_t encoding, uint8_t type, const char *name, uint32_t id)
{
	uint32_t len = (uint32_t)strlen(name);

	if (encoding == COMPACT) {
		rpc_put8(o->out, 0x82);
		rpc_put8(o->out, (uint8_t)(type << 5 | 1));
		tw_varint(o->out, id);
		tw_string(o, name, len);
		return;
	}
	if (encoding == STRICT)
		rpc_put32(o->out, 0x80010000u | type);
	tw_string(o, name, len);
	if (encoding == OLD)
		rpc_put8(o->out, type);
	rpc_put32(o->out, id);
}

static void put_varstring(struct rpc_bytes *out, const char *s)
{
	tw_varint(out, strlen(s));
	rpc_put(out, s, (uint32_t)strlen(s));
}

/* THeader's block: the encoding, no transforms, in calls some infos; padded to words of four bytes. */
static void header_block(
	struct rpc_bytes *out, const struct dialect *d, const struct wire_msg *m, uint32_t salt)
{
	uint32_t from = out->len - out->off, words;
	char route[2] = {m->route, 0};
	uint8_t *at;

	tw_varint(out, ENCODING(d) == COMPACT ? 2 : 0);
	tw_varint(out, 0);
	if (m->kind != WIRE_REPLY) {
		tw_varint(out, 1);
		tw_varint(out, 2);
		put_varstring(out, "user");
		put_varstring(out, salt & 4 ? "sim" : "nobody");
		put_varstring(out, "tag");
		put_varstring(out, route);
	}
	while ((out->len - out->off - from) % 4)
		rpc_put8(out, 0);
	words = (out->len - out->off - from) / 4;
	at = out->b + out->off + from - HEADER_FIXED;
	sim_put16(at + 4, 0x0fff);
	sim_put16(at + 6, 0);
	sim_put32(at + 8, (uint32_t)m->id);
	sim_put16(at + 12, (uint16_t)words);
}

static void write_struct(struct tw_out *o, const struct wire_msg *m, bool thrown)
{
	bool declared = m->status == WIRE_APP_ERROR && !thrown;
	int16_t last = 0, inner = 0;

	/* Calls and exceptions begin with field 1; results with 0, or with 1 for a declared exception. */
	if (m->kind != WIRE_REPLY || thrown) {
		tw_field(o, &last, 1, TW_STRING);
		tw_string(o, m->body, m->body_len);
	} else if (!declared) {
		tw_field(o, &last, 0, TW_STRING);
		tw_string(o, m->body, m->body_len);
	} else {
		tw_field(o, &last, 1, TW_STRUCT);
		tw_field(o, &inner, 1, TW_STRING);
		tw_string(o, m->body, m->body_len);
		tw_junk(o, &inner, 2);
		tw_stop(o);
	}
	if (thrown) {
		tw_field(o, &last, 2, TW_I32);
		tw_i32(o, APP_TYPE);
	} else if (m->kind != WIRE_REPLY) {
		tw_junk(o, &last, 3);
	}
	tw_stop(o);
}

static void write(
	const struct dialect *d, struct rpc_bytes *out, const struct wire_msg *m, uint32_t salt)
{
	bool thrown = m->status == WIRE_APP_ERROR && (salt & 1);
	bool call = m->kind == WIRE_CALL || m->kind == WIRE_ONEWAY;
	uint32_t at = out->len - out->off, transport = TRANSPORT(d);
	struct mt_rand rand;
	struct tw_out o = {.out = out, .rand = &rand, .compact = ENCODING(d) == COMPACT};
	/* Of a server with several services a call names the one it means, a reply does not. */
	char name[8] = "Sim:?";

	mt_rand_seed(&rand, salt);
	name[4] = m->route;
	if (transport == FRAMED)
		rpc_room(out, 4);
	if (transport == HEADER) {
		rpc_room(out, HEADER_FIXED);
		header_block(out, d, m, salt);
	}
	begin(&o, ENCODING(d),
		thrown			? EXCEPTION
		: m->kind == WIRE_REPLY ? REPLY
		: m->kind == WIRE_CALL	? CALL
					: ONEWAY,
		call && salt & 2 ? name : name + 4, (uint32_t)m->id);
	write_struct(&o, m, thrown);
	if (transport != UNFRAMED)
		sim_put32(out->b + out->off + at, out->len - out->off - at - 4);
}

/* ---- reading ---- */

struct begun {
	uint8_t type;
	uint32_t id, name_len;
	const uint8_t *name;
};

static void read_begin(struct tw_in *in, uint32_t encoding, struct begun *b)
{
	uint32_t word;

	if (encoding == COMPACT) {
		in->bad |= tw_take8(in) != 0x82 && !in->more;
		b->type = tw_take8(in);
		in->bad |= (b->type & 0x1f) != 1 && !in->more;
		b->type >>= 5;
		b->id = (uint32_t)tw_take_varint(in);
		b->name = tw_take_string(in, &b->name_len);
		return;
	}
	if (encoding == STRICT) {
		word = tw_take32(in);
		in->bad |= word >> 8 != 0x800100 && !in->more;
		b->type = (uint8_t)word;
	}
	b->name = tw_take_string(in, &b->name_len);
	if (encoding == OLD)
		b->type = tw_take8(in);
	b->id = tw_take32(in);
}

static uint32_t length(const struct dialect *d, const uint8_t *p, uint32_t n)
{
	struct tw_in in = {.p = p, .n = n, .compact = ENCODING(d) == COMPACT};
	struct begun b;

	if (TRANSPORT(d) != UNFRAMED) {
		if (n < 4)
			return 0;
		return sim_get32(p) - 1 < 8u << 20 ? 4 + sim_get32(p) : UINT32_MAX;
	}
	read_begin(&in, ENCODING(d), &b);
	if (!in.bad && !in.more)
		tw_skip_struct(&in, DEPTH);
	if (in.bad)
		return UINT32_MAX;
	return in.more ? 0 : in.at;
}

/* Where the message begins in its frame, and whether both ids agree. */
static const char *unwrap(const struct dialect *d, struct tw_in *in, uint32_t *outer)
{
	if (TRANSPORT(d) == FRAMED)
		in->at = 4;
	if (TRANSPORT(d) != HEADER)
		return NULL;
	if (in->n < HEADER_FIXED || sim_get16(in->p + 4) != 0x0fff)
		return "a frame without THeader";
	*outer = sim_get32(in->p + 8);
	in->at = HEADER_FIXED + 4u * sim_get16(in->p + 12);
	return in->at < in->n ? NULL : "a THeader longer than its frame";
}

/* What the proxy's TApplicationException may stand for, by its type. */
static uint32_t native_of(int32_t type)
{
	switch (type) {
	case 1:
		return 1u << MT_REPLY_NO_ROUTE | 1u << MT_REPLY_NO_CLUSTER;
	case 6:
		return 1u << MT_REPLY_NO_ENDPOINT | 1u << MT_REPLY_OVER_LIMIT |
		       1u << MT_REPLY_OVERLOAD | 1u << MT_REPLY_TIMEOUT | 1u << MT_REPLY_CONN_LOST |
		       1u << MT_REPLY_BAD_REPLY | 1u << MT_REPLY_DENIED;
	case 7:
		return 1u << MT_REPLY_BAD_REQUEST | 1u << MT_REPLY_TOO_LARGE;
	case 8:
		return 1u << MT_REPLY_UNSUPPORTED;
	default:
		return 0;
	}
}

/* { 1: string message, 2: i32 type } and nothing else. */
static const char *read_exception(struct tw_in *in, struct wire_msg *m)
{
	enum tw_type type;
	int16_t id = 0;
	bool valued;
	int32_t what;

	if (!tw_next_field(in, &id, &type, &valued) || id != 1 || type != TW_STRING)
		return "an exception without a message";
	m->body = tw_take_string(in, &m->body_len);
	if (!m->body || !tw_next_field(in, &id, &type, &valued) || id != 2 || type != TW_I32)
		return "an exception without a type";
	what = tw_take_i32(in);
	if (tw_take8(in) != 0 || in->more)
		return "an exception with more than message and type";
	m->status = what == APP_TYPE ? WIRE_APP_ERROR : WIRE_NATIVE;
	m->native = native_of(what);
	if (m->status == WIRE_NATIVE && (!m->native || !m->body_len))
		return "a native error without words, or of another type";
	return NULL;
}

/* The body: field 1 of a call, 0 of a result, or field 1 of the exception that is field 1. */
static const char *read_body(struct tw_in *in, struct wire_msg *m)
{
	enum tw_type type;
	int16_t id = 0;
	bool valued;

	if (!tw_next_field(in, &id, &type, &valued))
		return "a message without fields";
	if (m->kind == WIRE_REPLY && type == TW_STRUCT && id == 1) {
		m->status = WIRE_APP_ERROR;
		id = 0;
		if (!tw_next_field(in, &id, &type, &valued))
			return "an exception without fields";
	} else if (m->kind == WIRE_REPLY && id != 0) {
		return "a result that is none";
	}
	if (type != TW_STRING)
		return "a first field that is no string";
	m->body = tw_take_string(in, &m->body_len);
	return m->body ? NULL : "a string longer than its message";
}

static const char *read(const struct dialect *d, const uint8_t *p, uint32_t n,
	struct rpc_bytes *flat, struct wire_msg *m)
{
	struct tw_in in = {.p = p, .n = n, .compact = ENCODING(d) == COMPACT};
	struct begun b = {.name = NULL};
	uint32_t outer = 0;
	const char *bad = unwrap(d, &in, &outer);

	if (bad)
		return bad;
	read_begin(&in, ENCODING(d), &b);
	if (in.bad || in.more || !b.name_len)
		return "a message that begins like none";
	if (TRANSPORT(d) == HEADER && outer != b.id)
		return "a THeader whose id is not the message's";
	m->id = b.id;
	m->route = (char)b.name[b.name_len - 1];
	m->kind = b.type == CALL ? WIRE_CALL : b.type == ONEWAY ? WIRE_ONEWAY : WIRE_REPLY;
	if (b.type == EXCEPTION) {
		bad = read_exception(&in, m);
		return bad ? bad : in.at == n ? NULL : "bytes behind an exception";
	}
	return read_body(&in, m);
}

#define THRIFT(say, i, transport, encoding)                                                        \
	{                                                                                          \
		.name = say, .index = DIALECT_THRIFT + (i), .id_mask = UINT32_MAX, .oneway = true, \
		.variant = VARIANT(transport, encoding), .length = length, .read = read,           \
		.write = write                                                                     \
	}

/* dialect_thrift_of() counts on their places. */
const struct dialect dialect_thrift[DIALECT_THRIFT_N] = {
	THRIFT("thrift_framed_binary", 0, FRAMED, STRICT),
	THRIFT("thrift_framed_old", 1, FRAMED, OLD),
	THRIFT("thrift_framed_compact", 2, FRAMED, COMPACT),
	THRIFT("thrift_unframed_binary", 3, UNFRAMED, STRICT),
	THRIFT("thrift_unframed_old", 4, UNFRAMED, OLD),
	THRIFT("thrift_unframed_compact", 5, UNFRAMED, COMPACT),
	THRIFT("thrift_header_binary", 6, HEADER, STRICT),
	THRIFT("thrift_header_compact", 7, HEADER, COMPACT),
};

const struct dialect *dialect_thrift_of(const uint8_t *p, uint32_t n)
{
	if (n < HEADER_FIXED + 1)
		return NULL;
	if (p[0] == 0x80)
		return &dialect_thrift[3];
	if (p[0] == 0x82)
		return &dialect_thrift[5];
	if (p[4] == 0x0f && p[5] == 0xff)
		return &dialect_thrift[p[HEADER_FIXED] == 2 ? 7 : 6];
	if (p[4] == 0x80)
		return &dialect_thrift[0];
	if (p[4] == 0x82)
		return &dialect_thrift[2];
	return &dialect_thrift[p[4] ? 4 : 1];
}
