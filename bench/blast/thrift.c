/* SPDX-License-Identifier: Apache-2.0 */
/* Framed Thrift, strict binary and compact: METHOD(1: string), with the result in field 0. */
#include "message.h"

#include <string.h>

#define TYPE_CALL  1
#define TYPE_REPLY 2
#define METHOD_MAX 256

/* A bounded reader; once set, `bad` stays set. */
struct reader {
	const uint8_t *p, *end;
	bool bad;
};

static const uint8_t *bytes(struct reader *r, uint64_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || n > (uint64_t)(r->end - r->p)) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

static uint32_t u32(struct reader *r)
{
	const uint8_t *p = bytes(r, 4);

	return p ? blast_be32(p) : 0;
}

static uint8_t u8(struct reader *r)
{
	const uint8_t *p = bytes(r, 1);

	return p ? *p : 0;
}

static uint32_t varint(struct reader *r)
{
	uint32_t v = 0;
	uint8_t b = 0x80;

	for (int shift = 0; b & 0x80; shift += 7) {
		if (shift > 28) {
			r->bad = true;
			return 0;
		}
		b = u8(r);
		v |= (uint32_t)(b & 0x7f) << shift;
	}
	return v;
}

static void payload(struct reader *r, uint32_t len, struct blast_frame *f)
{
	const uint8_t *p = bytes(r, len);

	f->parts[0] = (struct mt_slice){p, p ? len : 0};
	f->n_parts = 1;
	f->size = len;
}

static enum blast_take frame(const uint8_t *p, uint32_t len, struct blast_frame *f)
{
	f->kind = BLAST_CALL;
	f->len = f->size = f->n_parts = 0;
	if (len < 4)
		return BLAST_MORE;
	f->len = blast_be32(p);
	if (f->len > BLAST_FRAME_MAX)
		return BLAST_MALFORMED;
	f->len += 4;
	return len < f->len ? BLAST_MORE : BLAST_TAKEN;
}

/* ---- binary ---------------------------------------------------------------------------------- */

static void binary_make(
	struct blast_message *m, const struct blast_names *n, bool request, uint32_t size)
{
	uint32_t name = (uint32_t)strlen(n->method);

	blast_put_be32(m, 0);
	blast_put_be32(m, 0x80010000u | (request ? TYPE_CALL : TYPE_REPLY));
	blast_put_be32(m, name);
	blast_put(m, n->method, name);
	m->id_at = m->len;
	blast_put_be32(m, 0);
	blast_put(m, request ? "\x0b\x00\x01" : "\x0b\x00\x00", 3);
	blast_put_be32(m, size);
	blast_put_payload(m, 0, size);
	blast_put(m, "", 1);
	blast_set_be32(m, 0, m->len - 4);
}

static void binary_set_id(uint8_t *at, uint64_t id)
{
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(id >> (24 - 8 * i));
}

static enum blast_take binary_take(
	const uint8_t *p, uint32_t len, bool request, struct blast_frame *f)
{
	enum blast_take rc = frame(p, len, f);
	struct reader r;
	uint32_t version, name;
	const uint8_t *field;

	if (rc != BLAST_TAKEN)
		return rc;
	r = (struct reader){p + 4, p + f->len, false};
	version = u32(&r);
	name = u32(&r);
	bytes(&r, name);
	f->id = u32(&r);
	if (r.bad || version >> 16 != 0x8001 || name > METHOD_MAX)
		return BLAST_MALFORMED;
	field = bytes(&r, 3);
	/* An exception message, or a result that is not field 0: the call failed. */
	if (!request && ((version & 0xff) != TYPE_REPLY || (field && (field[1] | field[2])))) {
		f->kind = BLAST_ERROR;
		return BLAST_TAKEN;
	}
	if (!field || field[0] != 0x0b)
		return BLAST_MALFORMED;
	payload(&r, u32(&r), f);
	return r.bad ? BLAST_MALFORMED : BLAST_TAKEN;
}

/* ---- compact --------------------------------------------------------------------------------- */

static void put_varint(struct blast_message *m, uint32_t v)
{
	for (; v > 0x7f; v >>= 7)
		blast_put(m, (uint8_t[]){(uint8_t)(v | 0x80)}, 1);
	blast_put(m, (uint8_t[]){(uint8_t)v}, 1);
}

static void compact_make(
	struct blast_message *m, const struct blast_names *n, bool request, uint32_t size)
{
	uint32_t name = (uint32_t)strlen(n->method);

	blast_put_be32(m, 0);
	blast_put(m, (uint8_t[]){0x82, (uint8_t)((request ? TYPE_CALL : TYPE_REPLY) << 5 | 1)}, 2);
	m->id_at = m->len;
	put_varint(m, BLAST_ID_MIN);
	put_varint(m, name);
	blast_put(m, n->method, name);
	/* Field 1 is encoded as a delta; field 0 cannot be, so its id follows. */
	blast_put(m, request ? "\x18" : "\x08\x00", request ? 1 : 2);
	put_varint(m, size);
	blast_put_payload(m, 0, size);
	blast_put(m, "", 1);
	blast_set_be32(m, 0, m->len - 4);
}

static void compact_set_id(uint8_t *at, uint64_t id)
{
	for (int i = 0; i < 4; i++, id >>= 7)
		at[i] = (uint8_t)(i < 3 ? (id & 0x7f) | 0x80 : id & 0x7f);
}

static enum blast_take compact_take(
	const uint8_t *p, uint32_t len, bool request, struct blast_frame *f)
{
	enum blast_take rc = frame(p, len, f);
	struct reader r;
	uint32_t version, name;
	uint8_t field, id;

	if (rc != BLAST_TAKEN)
		return rc;
	r = (struct reader){p + 4, p + f->len, false};
	version = (uint32_t)u8(&r) << 8;
	version |= u8(&r);
	f->id = varint(&r);
	name = varint(&r);
	bytes(&r, name);
	if (r.bad || (version & 0xff1f) != 0x8201 || name > METHOD_MAX)
		return BLAST_MALFORMED;
	field = u8(&r);
	id = field >> 4 ? field >> 4 : u8(&r);
	if (!request && ((version >> 5 & 7) != TYPE_REPLY || id)) {
		f->kind = BLAST_ERROR;
		return BLAST_TAKEN;
	}
	if ((field & 15) != 8)
		return BLAST_MALFORMED;
	payload(&r, varint(&r), f);
	return r.bad ? BLAST_MALFORMED : BLAST_TAKEN;
}

const struct blast_proto blast_thrift = {
	.name = "thrift",
	.words = "Thrift, framed, strict binary: METHOD(1: string)",
	.make = binary_make,
	.set_id = binary_set_id,
	.id_len = 4,
	.take = binary_take,
};

const struct blast_proto blast_thrift_compact = {
	.name = "thrift-compact",
	.words = "Thrift, framed, compact: METHOD(1: string)",
	.make = compact_make,
	.set_id = compact_set_id,
	.id_len = 4,
	.take = compact_take,
};
