/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata: method and service from the name, the rest from THeader's info blocks. */
#include "thrift.h"

/* The method of a reply, whose name is read only on demand. Servers usually omit the service. */
static bool reply_method(const struct mt_msg *msg, const struct mt_chain *c, struct mt_slice *value,
	uint8_t *scratch)
{
	const uint8_t *colon;

	if (!mt_codec_slice(c, msg->field[THRIFT_F_NAME].off, msg->field[THRIFT_F_NAME].len, value,
		    scratch))
		return false;
	colon = memchr(value->p, ':', value->len);
	if (colon) {
		value->len -= (uint32_t)(colon + 1 - value->p);
		value->p = colon + 1;
	}
	return true;
}

bool thrift_metadata(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, const struct mt_key *key, struct mt_slice *value,
	uint8_t *scratch)
{
	uint32_t f = key->id == 0 ? THRIFT_F_METHOD : THRIFT_F_SERVICE;

	if (key->id == 0 && msg->kind == MT_MSG_REPLY)
		return reply_method(msg, c, value, scratch);
	return key->id >= 0 && msg->field[f].off &&
	       mt_codec_slice(c, msg->field[f].off, msg->field[f].len, value, scratch);
}

/* Reads a number of an info block, which takes a step. */
static bool number(struct mt_metadata *m, struct mt_cursor *cur, uint32_t *v)
{
	m->took++;
	return thrift_read_varint(cur, v);
}

/* Reads a string with its length before it, in one piece. */
static bool string(struct mt_metadata *m, struct mt_cursor *cur, struct mt_slice *text)
{
	if (!number(m, cur, &text->len) || text->len > mt_cursor_left(cur))
		return false;
	text->p = mt_meta_text(m, cur, text->len);
	mt_cursor_skip(cur, text->len);
	return text->p != NULL;
}

static bool pair(struct mt_metadata *m, struct mt_cursor *cur, uint8_t kind)
{
	uint32_t off = cur->pos;
	struct mt_slice key, value;
	struct mt_meta_entry *e;

	if (!string(m, cur, &key) || !string(m, cur, &value))
		return false;
	e = mt_meta_add(m, key);
	if (!e)
		return false;
	*e = (struct mt_meta_entry){
		.key = key.p,
		.key_len = (uint16_t)key.len,
		.value.text = value.p,
		.value_len = value.len,
		.kind = MT_META_TEXT,
		.group = kind,
		.off = off,
		.end = cur->pos,
	};
	return true;
}

/* false: malformed, or too large, which the state shows. */
static bool blocks(struct mt_metadata *m, struct mt_cursor *cur)
{
	uint32_t kind, n;

	while (mt_cursor_left(cur) > 0) {
		if (!number(m, cur, &kind))
			return false;
		/* A kind that is not known cannot be skipped. */
		if (kind == THRIFT_INFO_PADDING || kind >= THRIFT_INFO_KINDS)
			return kind == THRIFT_INFO_PADDING;
		if (!number(m, cur, &n))
			return false;
		while (n-- > 0)
			if (!pair(m, cur, (uint8_t)kind))
				return false;
	}
	return true;
}

bool thrift_carries(const struct mt_codec *self, const struct mt_msg *msg)
{
	return THRIFT_TRANSPORT(msg->variant) == THRIFT_HEADER &&
	       msg->field[THRIFT_F_INFO].off != 0;
}

void thrift_index(const struct mt_codec *self, struct mt_msg *msg, const struct mt_chain *c,
	struct mt_metadata *m)
{
	uint32_t off = msg->field[THRIFT_F_INFO].off, len = msg->field[THRIFT_F_INFO].len;
	struct mt_cursor cur;

	if (THRIFT_TRANSPORT(msg->variant) != THRIFT_HEADER || off == 0 || c->len < off + len)
		return;
	mt_cursor_init(&cur, c, off);
	m->took += MT_MIN(c->segs, off);
	cur.end = off + MT_MIN(len, (uint32_t)MT_META_BYTES);
	if (blocks(m, &cur) && cur.pos <= cur.end)
		m->state = MT_META_READ;
	if (len > MT_META_BYTES && mt_cursor_left(&cur) == 0)
		m->state = MT_META_TOO_LARGE;
}
