/* SPDX-License-Identifier: Apache-2.0 */
/* Native errors: a TApplicationException in the request's own transport and protocol. */
#include "thrift.h"

#include "mt_mutant.h"

#include <errno.h>

#define TEXT_MAX 512

/* Types of TApplicationException; there is none for a timeout or an overload. */
static uint32_t exception_type(enum mt_local_reply what)
{
	switch (what) {
	case MT_REPLY_NO_ROUTE:
	case MT_REPLY_NO_CLUSTER:
	case MT_REPLY_NO_UPGRADE:
		return 1; /* unknown method */
	case MT_REPLY_BAD_REQUEST:
		return 7; /* protocol error */
	case MT_REPLY_UNSUPPORTED:
		return 8; /* invalid transform */
	default:
		return 6; /* internal error */
	}
}

struct out {
	uint8_t b[THEADER_FIXED + 4 + 64 + MT_SEED_SIZE + TEXT_MAX];
	uint32_t n;
};

static void u8(struct out *o, uint8_t v)
{
	o->b[o->n++] = v;
}

static void be32(struct out *o, uint32_t v)
{
	mt_put_be32(o->b + o->n, v);
	o->n += 4;
}

static void varint(struct out *o, uint32_t v)
{
	o->n += thrift_put_varint(o->b + o->n, v);
}

static void bytes(struct out *o, const void *p, uint32_t n)
{
	memcpy(o->b + o->n, p, n);
	o->n += n;
}

static void put_binary(
	struct out *o, const struct mt_seed *s, bool strict, uint32_t type, struct mt_slice text)
{
	if (strict)
		be32(o, 0x80010000u | THRIFT_EXCEPTION);
	be32(o, s->len);
	bytes(o, s->bytes, s->len);
	if (!strict)
		u8(o, THRIFT_EXCEPTION);
	be32(o, mt_mutant(MT_MUTANT_thrift_error_without_id) ? 0 : (uint32_t)s->id);
	bytes(o, "\x0b\x00\x01", 3); /* 1: string message */
	be32(o, text.len);
	bytes(o, text.p, text.len);
	bytes(o, "\x08\x00\x02", 3); /* 2: i32 type */
	be32(o, type);
	u8(o, 0);
}

static void put_compact(struct out *o, const struct mt_seed *s, uint32_t type, struct mt_slice text)
{
	u8(o, 0x82);
	u8(o, THRIFT_EXCEPTION << 5 | 1);
	varint(o, (uint32_t)s->id);
	varint(o, s->len);
	bytes(o, s->bytes, s->len);
	u8(o, 0x18); /* 1: binary message */
	varint(o, text.len);
	bytes(o, text.p, text.len);
	u8(o, 0x15);	      /* 2: i32 type */
	varint(o, type << 1); /* zigzag of a small positive number */
	u8(o, 0);
}

int thrift_reply(const struct mt_codec *self, const struct mt_seed *seed, enum mt_local_reply what,
	const char *text, struct mt_chain *out, struct mt_pools *p)
{
	enum thrift_transport transport = THRIFT_TRANSPORT(seed->variant);
	enum thrift_protocol proto = THRIFT_PROTOCOL(seed->variant);
	char said[TEXT_MAX];
	struct mt_slice all = {
		(uint8_t *)said, mt_codec_local_text(what, text, said, sizeof(said))};
	struct out o = {.n = 0};

	if (transport != THRIFT_UNFRAMED)
		be32(&o, 0);
	if (transport == THRIFT_HEADER) {
		be32(&o, 0x0fff0000);
		be32(&o, seed->aux);
		/* One word of header: protocol, no transforms, padding. */
		u8(&o, 0);
		u8(&o, 1);
		u8(&o, proto == THRIFT_COMPACT ? 2 : 0);
		bytes(&o, "\0\0\0", 3);
	}
	if (proto == THRIFT_COMPACT)
		put_compact(&o, seed, exception_type(what), all);
	else
		put_binary(&o, seed, proto == THRIFT_STRICT, exception_type(what), all);
	if (transport != THRIFT_UNFRAMED)
		mt_put_be32(o.b, o.n - 4);
	return mt_chain_write(out, p, o.b, o.n);
}
