/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes sequence ids: in place in the binary protocols, as a varint of another width in compact.
 * THeader has a second id.
 */
#include "thrift.h"

#include "mt_mutant.h"

#include <errno.h>

void thrift_save(const struct mt_codec *self, const struct mt_msg *msg, const struct mt_chain *c,
	struct mt_seed *seed)
{
	uint32_t len = MT_MIN(msg->field[THRIFT_F_NAME].len, (uint32_t)sizeof(seed->bytes));

	seed->id = msg->id;
	seed->aux = msg->aux32;
	seed->variant = msg->variant;
	seed->len = (uint8_t)len;
	if (len)
		mt_chain_read(c, msg->field[THRIFT_F_NAME].off, seed->bytes, len);
}

static int put_binary(
	struct mt_msg *msg, struct mt_chain *c, uint32_t id, uint32_t outer, struct mt_pools *p)
{
	uint32_t at = msg->field[THRIFT_F_SEQID].off;
	bool theader = THRIFT_TRANSPORT(msg->variant) == THRIFT_HEADER;
	uint8_t be[4], *q;

	if (at + 4 <= MT_CHAIN_PREFIX_MAX) {
		q = mt_chain_own_prefix(c, at + 4, p);
		if (mt_unlikely(!q))
			return -ENOMEM;
		mt_put_be32(q + at, id);
		if (theader)
			mt_put_be32(q + THEADER_SEQID, outer);
		return 0;
	}
	if (mt_codec_own(c, at, 4, p) || (theader && mt_codec_own(c, THEADER_SEQID, 4, p)))
		return -ENOMEM;
	mt_put_be32(be, id);
	MT_ASSERT(mt_chain_patch(c, at, be, 4, p) == 0);
	if (theader) {
		mt_put_be32(be, outer);
		MT_ASSERT(mt_chain_patch(c, THEADER_SEQID, be, 4, p) == 0);
	}
	return 0;
}

/* Adjusts the offsets after the id to its new width. */
static void shift(struct mt_msg *msg, uint32_t width)
{
	uint32_t at = msg->field[THRIFT_F_SEQID].off;
	uint32_t delta = width - msg->field[THRIFT_F_SEQID].len; /* modulo 2^32 */

	for (int i = 0; i < MT_MSG_FIELDS; i++)
		if (msg->field[i].off > at)
			msg->field[i].off += delta;
	msg->field[THRIFT_F_SEQID].len = width;
	msg->lead_len += delta;
	if (msg->len)
		msg->len += delta;
}

/* Writes the frame's length and THeader's id before the message. Call after shift(). */
static void front(const struct mt_msg *msg, uint8_t *p, uint32_t outer)
{
	if (THRIFT_TRANSPORT(msg->variant) == THRIFT_UNFRAMED)
		return;
	if (!mt_mutant(MT_MUTANT_compact_length_stale))
		mt_put_be32(p, msg->len - 4);
	if (THRIFT_TRANSPORT(msg->variant) == THRIFT_HEADER)
		mt_put_be32(p + THEADER_SEQID, outer);
}

/* For a prefix longer than lib/buf resizes: THeader blocks of more than 100 bytes. */
static int put_long(struct mt_msg *msg, struct mt_chain *c, const uint8_t *var, uint32_t width,
	uint32_t outer, struct mt_pools *p)
{
	uint32_t at = msg->field[THRIFT_F_SEQID].off, len = msg->field[THRIFT_F_SEQID].len;
	struct mt_chain head = {0};
	uint8_t fixed[THEADER_FIXED];
	struct mt_cursor cur;

	mt_cursor_init(&cur, c, 0);
	if (mt_codec_copy(&cur, at, &head, p) || mt_chain_write(&head, p, var, width)) {
		mt_chain_free(&head);
		return -ENOMEM;
	}
	shift(msg, width);
	mt_chain_read(&head, 0, fixed, sizeof(fixed));
	front(msg, fixed, outer);
	/* The mbufs are new and writable, so this cannot fail. */
	MT_ASSERT(mt_chain_patch(&head, 0, fixed, sizeof(fixed), p) == 0);
	mt_codec_put_head(c, at + len, &head);
	return 0;
}

static int put_compact(
	struct mt_msg *msg, struct mt_chain *c, uint32_t id, uint32_t outer, struct mt_pools *p)
{
	uint32_t at = msg->field[THRIFT_F_SEQID].off, len = msg->field[THRIFT_F_SEQID].len;
	uint8_t tmp[MT_CHAIN_PREFIX_MAX], var[THRIFT_VARINT32];
	uint32_t width = thrift_put_varint(var, id);
	uint8_t *q;

	if (at + MT_MAX(len, width) > sizeof(tmp))
		return put_long(msg, c, var, width, outer, p);
	mt_chain_read(c, 0, tmp, at);
	q = mt_chain_resize_prefix(c, at + len, at + width, p);
	if (!q)
		return -ENOMEM;
	shift(msg, width);
	memcpy(tmp + at, var, width);
	front(msg, tmp, outer);
	memcpy(q, tmp, at + width);
	return 0;
}

/* Variants whose messages have one id of four bytes, as bits. */
#define VARIANT_BIT(transport, protocol) (1ull << THRIFT_VARIANT(transport, protocol))
#define PLAIN                                                                                      \
	(VARIANT_BIT(THRIFT_FRAMED, THRIFT_STRICT) | VARIANT_BIT(THRIFT_FRAMED, THRIFT_OLD) |      \
		VARIANT_BIT(THRIFT_UNFRAMED, THRIFT_STRICT) |                                      \
		VARIANT_BIT(THRIFT_UNFRAMED, THRIFT_OLD))

/* Overwrites such an id in the first buffer, where it usually lies. False: call put() instead. */
static mt_inline bool overwrite(struct mt_msg *msg, struct mt_chain *c, uint32_t id)
{
	struct mt_link *l = mt_link(c->head);
	uint32_t end = msg->field[THRIFT_F_SEQID].off + 4;

	if (mt_unlikely(!(PLAIN >> msg->variant & 1) || end > l->len || !mt_buf_writable(c->head)))
		return false;
	mt_put_be32(mt_link_data(c->head) + end - 4, id);
	mt_link_touch(l, l->off + end);
	msg->id = id;
	return true;
}

static mt_noinline int put(
	struct mt_msg *msg, struct mt_chain *c, uint32_t id, uint32_t outer, struct mt_pools *p)
{
	int rc;

	/* A message with transforms has no readable id. */
	if (msg->field[THRIFT_F_SEQID].len == 0)
		return 0;
	rc = THRIFT_PROTOCOL(msg->variant) == THRIFT_COMPACT ? put_compact(msg, c, id, outer, p)
							     : put_binary(msg, c, id, outer, p);
	if (rc)
		return rc;
	msg->id = id;
	if (THRIFT_TRANSPORT(msg->variant) == THRIFT_HEADER)
		msg->aux32 = outer;
	return 0;
}

int thrift_set_id(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c, uint64_t id,
	struct mt_pools *p)
{
	if (mt_likely(overwrite(msg, c, (uint32_t)id)))
		return 0;
	return put(msg, c, (uint32_t)id, (uint32_t)id, p);
}

int thrift_restore_id(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	const struct mt_seed *seed, struct mt_pools *p)
{
	if (mt_mutant(MT_MUTANT_thrift_seqid_not_restored))
		return 0;
	if (mt_likely(overwrite(msg, c, (uint32_t)seed->id)))
		return 0;
	if (mt_mutant(MT_MUTANT_theader_id_not_restored))
		return put(msg, c, (uint32_t)seed->id, msg->aux32, p);
	return put(msg, c, (uint32_t)seed->id, seed->aux, p);
}
