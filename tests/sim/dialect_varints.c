/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol of varints.yaml: a head of protobuf fields, whose id has the bytes that it needs, as have
 * the lengths in front of it. A CRC-32 ends some messages.
 */
#include "dialect.h"
#include "link.h"

#include <string.h>

#define MAGIC	    0xd5
#define CHECKED	    1	/* flag: a CRC-32 ends the message */
#define CHECKED_MAX 400 /* bytes of body */
#define LENGTHS	    2	/* where they stand */
#define NATIVE	    64	/* status of errors that the proxy makes: 64 + enum mt_local_reply */

enum { KIND = 1, ID, METHOD, STATUS, OTHER };

static const uint8_t kinds[] = {
	[WIRE_CALL] = 1,
	[WIRE_ONEWAY] = 2,
	[WIRE_REPLY] = 3,
	[WIRE_HEARTBEAT] = 4,
	[WIRE_HEARTBEAT_REPLY] = 5,
	[WIRE_DRAIN] = 6,
};

static uint32_t crc32_of(const uint8_t *p, uint32_t n)
{
	uint32_t crc = UINT32_MAX;

	for (; n; n--) {
		crc ^= *p++;
		for (uint32_t i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

/* ---- writing ---- */

struct part {
	uint8_t b[64];
	uint32_t n;
};

static void varint(struct part *p, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		p->b[p->n++] = (uint8_t)(v | 0x80);
	p->b[p->n++] = (uint8_t)v;
}

static void number(struct part *p, uint32_t field, uint64_t v)
{
	varint(p, field << 3);
	varint(p, v);
}

static void text(struct part *p, uint32_t field, const char *s, uint32_t n)
{
	varint(p, field << 3 | 2);
	varint(p, n);
	memcpy(p->b + p->n, s, n);
	p->n += n;
}

/*
 * The salt says where the id stands, and whether there is a field that nobody reads. A call leaves
 * out an id of 0 at the end; its reply has it, because the server got another id.
 */
static void head(struct part *p, const struct wire_msg *m, uint32_t salt)
{
	bool last = salt & 0x10;

	number(p, KIND, kinds[m->kind]);
	if (!last)
		number(p, ID, m->id);
	if (salt & 0x20)
		text(p, OTHER, "nobody reads", 12);
	if (m->kind == WIRE_CALL || m->kind == WIRE_ONEWAY)
		text(p, METHOD, &m->route, 1);
	if (m->status == WIRE_APP_ERROR)
		number(p, STATUS, 1);
	if (last && (m->id || m->kind == WIRE_REPLY))
		number(p, ID, m->id);
}

static void write(
	const struct dialect *d, struct rpc_bytes *out, const struct wire_msg *m, uint32_t salt)
{
	bool checked = salt & 0x40 && m->body_len <= CHECKED_MAX;
	struct part fields = {.n = 0}, size = {.n = 0}, rest = {.n = 0};
	uint32_t at = out->len - out->off, crc;

	head(&fields, m, salt);
	varint(&size, fields.n);
	varint(&rest, size.n + fields.n + m->body_len + (checked ? 4 : 0));
	rpc_put8(out, MAGIC);
	rpc_put8(out, checked ? CHECKED : 0);
	rpc_put(out, rest.b, rest.n);
	rpc_put(out, size.b, size.n);
	rpc_put(out, fields.b, fields.n);
	rpc_put(out, m->body, m->body_len);
	if (!checked)
		return;
	crc = crc32_of(out->b + out->off + at, out->len - out->off - at);
	rpc_put32(out, crc);
}

/* ---- reading ---- */

struct in {
	const uint8_t *p, *end;
	bool bad;
};

static uint64_t take(struct in *in)
{
	uint64_t v = 0;

	for (uint32_t shift = 0; in->p < in->end && shift < 64; shift += 7) {
		uint8_t b = *in->p++;

		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80)
			return v;
	}
	in->bad = true;
	return 0;
}

static uint32_t length(const struct dialect *d, const uint8_t *p, uint32_t n)
{
	struct in in = {.p = p + LENGTHS, .end = p + n};
	uint64_t rest;

	if (p[0] != MAGIC)
		return UINT32_MAX;
	if (n <= LENGTHS)
		return 0;
	rest = take(&in);
	if (in.bad)
		return n > LENGTHS + 5 ? UINT32_MAX : 0;
	return rest > 8u << 20 ? UINT32_MAX : (uint32_t)(in.p - p) + (uint32_t)rest;
}

static const char *read_text(struct in *in, uint64_t key, struct wire_msg *m)
{
	uint64_t n = take(in);

	if (in->bad || n > (uint64_t)(in->end - in->p))
		return "a text that is cut off";
	if (key == (METHOD << 3 | 2) && n == 1)
		m->route = (char)*in->p;
	in->p += n;
	return NULL;
}

static const char *read_field(struct in *in, struct wire_msg *m, uint64_t *kind, uint64_t *status)
{
	uint64_t key = take(in);

	switch (key) {
	case KIND << 3:
		*kind = take(in);
		break;
	case ID << 3:
		m->id = take(in);
		break;
	case STATUS << 3:
		*status = take(in);
		break;
	case METHOD << 3 | 2:
	case OTHER << 3 | 2:
		return read_text(in, key, m);
	default:
		return "an unknown field";
	}
	return in->bad ? "a field that is cut off" : NULL;
}

static const char *read_status(struct wire_msg *m, uint64_t status)
{
	m->status = status >= NATIVE ? WIRE_NATIVE : status ? WIRE_APP_ERROR : WIRE_OK;
	if (m->status != WIRE_NATIVE)
		return NULL;
	if (status >= NATIVE + MT_REPLY_N)
		return "an unknown status";
	m->native = 1u << (status - NATIVE);
	return m->body_len ? "a native error with a body" : NULL;
}

static const char *read_head(struct in *in, struct wire_msg *m)
{
	uint64_t kind = 0, status = 0;
	const char *bad = NULL;
	uint32_t i = 0;

	while (!bad && in->p < in->end)
		bad = read_field(in, m, &kind, &status);
	while (i < MT_ARRAY_LEN(kinds) && kinds[i] != kind)
		i++;
	if (bad || i == MT_ARRAY_LEN(kinds))
		return bad ? bad : "an unknown kind";
	m->kind = (enum wire_kind)i;
	return read_status(m, status);
}

static const char *read(const struct dialect *d, const uint8_t *p, uint32_t n,
	struct rpc_bytes *flat, struct wire_msg *m)
{
	bool checked = p[1] & CHECKED;
	struct in in = {.p = p + LENGTHS, .end = p + n}, fields;
	uint64_t size;

	(void)take(&in);
	size = take(&in);
	if (in.bad || size + (checked ? 4 : 0) > (uint64_t)(in.end - in.p))
		return "a head longer than its message";
	if (checked && sim_get32(p + n - 4) != crc32_of(p, n - 4))
		return "a wrong checksum";
	fields = (struct in){.p = in.p, .end = in.p + size};
	m->body = fields.end;
	m->body_len = (uint32_t)(in.end - fields.end) - (checked ? 4 : 0);
	return read_head(&fields, m);
}

const struct dialect dialect_varints = {
	.name = "varints",
	.index = DIALECT_VARINTS,
	.id_mask = UINT64_MAX,
	.oneway = true,
	.heartbeats = true,
	.drains = true,
	.half_close = true,
	.length = length,
	.read = read,
	.write = write,
};
