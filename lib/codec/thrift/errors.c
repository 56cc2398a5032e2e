/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classes of TApplicationException: a struct of 1: string message, 2: i32 type, in any order. Both
 * come at the message's end, so they are known of complete replies only.
 */
#include "thrift.h"

const struct mt_error_class thrift_classes[THRIFT_CLASSES] = {
	{0, MT_STATUS_SERVER_ERROR, "UNKNOWN", NULL},
	{1, MT_STATUS_CALLER_ERROR, "UNKNOWN_METHOD", NULL},
	{2, MT_STATUS_CALLER_ERROR, "INVALID_MESSAGE_TYPE", NULL},
	{3, MT_STATUS_CALLER_ERROR, "WRONG_METHOD_NAME", NULL},
	{4, MT_STATUS_SERVER_ERROR, "BAD_SEQUENCE_ID", NULL},
	{5, MT_STATUS_SERVER_ERROR, "MISSING_RESULT", NULL},
	{6, MT_STATUS_SERVER_ERROR, "INTERNAL_ERROR", NULL},
	{7, MT_STATUS_CALLER_ERROR, "PROTOCOL_ERROR", NULL},
	{8, MT_STATUS_CALLER_ERROR, "INVALID_TRANSFORM", NULL},
	{9, MT_STATUS_CALLER_ERROR, "INVALID_PROTOCOL", NULL},
	{10, MT_STATUS_CALLER_ERROR, "UNSUPPORTED_CLIENT_TYPE", NULL},
};

/* Fields that are read: each costs a search for its text in the chain. */
#define FIELDS_MAX 2

enum place { TEXT, NUMBER, END, UNKNOWN };

/* The head of a field, binary: u8 type, i16 id. */
static enum place binary_field(struct mt_cursor *cur)
{
	uint8_t type;
	uint16_t id;

	if (!mt_cursor_u8(cur, &type) || type == 0 || !mt_cursor_be16(cur, &id))
		return END;
	if (type == 11 && id == 1)
		return TEXT;
	return type == 8 && id == 2 ? NUMBER : UNKNOWN;
}

/* The head of a field, compact: its distance from the id before and its type in one byte. */
static enum place compact_field(struct mt_cursor *cur, uint8_t *id)
{
	uint8_t head;

	/* A distance of 0 stands before a longer id, which these fields do not need. */
	if (!mt_cursor_u8(cur, &head) || head >> 4 == 0)
		return END;
	*id = (uint8_t)(*id + (head >> 4));
	if ((head & 15) == 8 && *id == 1)
		return TEXT;
	return (head & 15) == 5 && *id == 2 ? NUMBER : UNKNOWN;
}

static bool read_length(struct mt_cursor *cur, bool compact, uint32_t *len)
{
	return compact ? thrift_read_varint(cur, len) : mt_cursor_be32(cur, len);
}

static bool read_text(struct mt_cursor *cur, bool compact, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_error *e)
{
	uint32_t len;

	if (!read_length(cur, compact, &len) || len > mt_cursor_left(cur))
		return false;
	mt_error_text(e, c, msg, cur->pos, len);
	return mt_cursor_skip(cur, len) == len;
}

static bool read_number(struct mt_cursor *cur, bool compact, struct mt_error *e)
{
	uint32_t v;

	if (!read_length(cur, compact, &v))
		return false;
	e->number = compact ? v >> 1 ^ -(v & 1) : v; /* zigzag */
	return true;
}

void thrift_read_error(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_error *e)
{
	bool compact = THRIFT_PROTOCOL(msg->variant) == THRIFT_COMPACT, more = true;
	struct mt_cursor cur;
	uint8_t id = 0;

	if (msg->len == 0 || c->len < msg->len)
		return;
	mt_cursor_init(&cur, c, msg->lead_len);
	cur.end = msg->len;
	for (uint32_t n = 0; n < FIELDS_MAX && more; n++) {
		switch (compact ? compact_field(&cur, &id) : binary_field(&cur)) {
		case TEXT:
			more = read_text(&cur, compact, msg, c, e);
			break;
		case NUMBER:
			more = read_number(&cur, compact, e);
			break;
		default:
			more = false;
		}
	}
}
