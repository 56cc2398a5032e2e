/* SPDX-License-Identifier: Apache-2.0 */
#include "thrift.h"

#include "mt_mutant.h"

enum step {
	STEP_START,  /* detects the transport; its length */
	STEP_HEADER, /* THeader's fixed part, and the start of its block */
	STEP_INFOS,  /* the rest of the block */
	STEP_BEGIN,  /* the message's head, up to its sequence id */
	STEP_RESULT, /* replies: the first field shows the result */
	STEP_REST,
};

/* d->conn[0]: the transport, once it is known. */

/* Detects the protocol by a message's first two bytes. false: none. */
static bool protocol_of(const uint8_t *p, enum thrift_protocol *proto)
{
	if (p[0] == 0x80 && p[1] == 0x01)
		*proto = THRIFT_STRICT;
	else if (p[0] == 0x82 && (p[1] & 0x1f) == 1)
		*proto = THRIFT_COMPACT;
	else if (p[0] == 0)
		*proto = THRIFT_OLD;
	else
		return false;
	return true;
}

/*
 * Detects the transport by a connection's first 6 bytes (2 are enough for unframed strict and
 * compact). After what looks like a length, a frame continues with THeader's magic or a message's
 * head, and an old-style unframed message with its name.
 */
static enum thrift_transport transport_of(const uint8_t *p, uint32_t max)
{
	enum thrift_protocol proto;
	uint32_t len = mt_get_be32(p);

	if (len == 0 || len > max - 4)
		return 0;
	if (p[4] == 0x0f && p[5] == 0xff)
		return THRIFT_HEADER;
	if (protocol_of(p + 4, &proto))
		return THRIFT_FRAMED;
	if (len <= THRIFT_MAX_NAME && p[4] > 0x20 && p[4] < 0x7f)
		return THRIFT_UNFRAMED;
	return 0;
}

static bool unframed_head(const uint8_t *p)
{
	enum thrift_protocol proto;

	return protocol_of(p, &proto) && proto != THRIFT_OLD;
}

/* Returns MORE, or BAD if the frame has ended before its content. */
static enum mt_decode starved(struct mt_decoder *d, const struct mt_msg *msg)
{
	if (msg->len && mt_decoder_arrived(d) >= msg->len)
		return mt_decode_bad(d, "thrift: the message runs past its frame");
	return MT_DECODE_MORE;
}

static enum mt_decode detect(struct mt_decoder *d)
{
	uint8_t tmp[6];
	const uint8_t *p = mt_cursor_peek(&d->cur, 2, tmp);

	if (!p)
		return MT_DECODE_MORE;
	if (unframed_head(p)) {
		d->conn[0] = THRIFT_UNFRAMED;
		return MT_DECODE_DONE;
	}
	p = mt_cursor_peek(&d->cur, 6, tmp);
	if (!p)
		return MT_DECODE_MORE;
	d->conn[0] = transport_of(p, d->max_message);
	if (d->conn[0] == 0)
		return mt_decode_bad(d, "thrift: no transport begins like this");
	return MT_DECODE_DONE;
}

static enum mt_decode start(struct mt_decoder *d, struct mt_msg *msg)
{
	enum mt_decode rc;
	uint32_t len;

	*msg = (struct mt_msg){0};
	if (d->conn[0] == 0 && (rc = detect(d)) != MT_DECODE_DONE)
		return rc;
	msg->variant = THRIFT_VARIANT(d->conn[0], 0);
	d->step = d->conn[0] == THRIFT_HEADER ? STEP_HEADER : STEP_BEGIN;
	if (d->conn[0] == THRIFT_UNFRAMED) {
		/* An unframed message has the same limit; thrift_walk_run() checks it. */
		if (mt_cursor_left(&d->cur) == 0) {
			d->step = STEP_START;
			return MT_DECODE_MORE;
		}
		return MT_DECODE_DONE;
	}
	if (!mt_cursor_be32(&d->cur, &len)) {
		d->step = STEP_START;
		return MT_DECODE_MORE;
	}
	if (len == 0)
		return mt_decode_bad(d, "thrift: empty frame");
	if (len > d->max_message - 4)
		return mt_decode_too_long(d, "thrift: message longer than the limit");
	msg->len = 4 + len;
	d->cur.end = msg->len - d->taken;
	return MT_DECODE_DONE;
}

/* State of reading a THeader block; in mt_decoder.state. */
struct block {
	uint32_t end;	  /* of the block, in the message */
	uint32_t skip;	  /* bytes to skip before the next varint */
	uint64_t strings; /* keys and values left in the infos */
	enum { NEXT_KIND, NEXT_COUNT, NEXT_STRING } next;
	bool compact, transforms;
};

/* Reads a varint of the block, which has `left` bytes left. 0: incomplete; -1: malformed. */
static int block_varint(struct mt_decoder *d, uint32_t left, uint32_t *v)
{
	uint32_t most = MT_MIN(left, (uint32_t)THRIFT_VARINT32);
	uint32_t n = MT_MIN(mt_cursor_left(&d->cur), most);
	uint8_t tmp[THRIFT_VARINT32];
	const uint8_t *p = n ? mt_cursor_peek(&d->cur, n, tmp) : NULL;
	int used = p ? thrift_varint(p, n, v) : 0;

	if (used > 0)
		mt_cursor_skip(&d->cur, (uint32_t)used);
	return used == 0 && n == most ? -1 : used;
}

/*
 * Processes the next varint of the infos, after which the block has `left` bytes. Returns how many
 * bytes to skip. Ends the infos at a kind that thrift_index() does not read either.
 */
static uint32_t take_info(struct block *b, struct mt_msg *msg, uint32_t v, uint32_t left)
{
	switch (b->next) {
	case NEXT_KIND:
		/*
		 * The server keeps these for its connection, on which calls of other clients
		 * follow.
		 */
		if (v == THRIFT_INFO_PERSISTENT)
			msg->refuse = 1 + MT_REPLY_UNSUPPORTED;
		b->next = NEXT_COUNT;
		return v == THRIFT_INFO_KEY_VALUE ? 0 : left;
	case NEXT_COUNT:
		b->strings = 2ull * v;
		b->next = v ? NEXT_STRING : NEXT_KIND;
		return 0;
	default:
		if (--b->strings == 0)
			b->next = NEXT_KIND;
		return MT_MIN(v, left);
	}
}

static enum mt_decode pass_block(struct mt_decoder *d, struct mt_msg *msg, struct block *b)
{
	uint32_t left, v;
	int rc;

	while ((left = b->end - mt_decoder_pos(d)) > 0) {
		if (b->skip) {
			b->skip -= mt_cursor_skip(&d->cur, b->skip);
			if (b->skip)
				return starved(d, msg);
			continue;
		}
		if (mt_unlikely(d->steps == 0))
			return MT_DECODE_MORE;
		d->steps--;
		rc = block_varint(d, left, &v);
		if (rc == 0)
			return starved(d, msg);
		b->skip = rc < 0 ? left : take_info(b, msg, v, left - (uint32_t)rc);
	}
	return MT_DECODE_DONE;
}

static enum mt_decode header(struct mt_decoder *d, struct mt_msg *msg)
{
	struct block *b = (struct block *)d->state;
	uint8_t tmp[THEADER_FIXED - 4];
	struct thrift_header h;
	const uint8_t *p;
	uint32_t len;

	_Static_assert(sizeof(*b) <= MT_DECODER_STATE, "decoder state");
	p = mt_cursor_peek(&d->cur, sizeof(tmp), tmp);
	if (!p)
		return starved(d, msg);
	if (p[0] != 0x0f || p[1] != 0xff)
		return mt_decode_bad(d, "thrift: a frame without THeader's magic");
	msg->aux32 = mt_get_be32(p + THEADER_SEQID - 4);
	len = ((uint32_t)p[THEADER_WORDS - 4] << 8 | p[THEADER_WORDS - 3]) * 4;
	if (len > THRIFT_MAX_HEADER)
		return mt_decode_bad(d, "thrift: THeader block longer than the limit");
	if (mt_cursor_left(&d->cur) < sizeof(tmp) + MT_MIN(len, 2u * THRIFT_VARINT32))
		return starved(d, msg);
	if (thrift_header_read(d->cur.chain, d->cur.pos + sizeof(tmp), len, &h))
		return mt_decode_bad(d, "thrift: THeader block malformed");
	msg->field[THRIFT_F_HEADER].off = THEADER_FIXED;
	msg->field[THRIFT_F_HEADER].len = len;
	msg->field[THRIFT_F_INFO].off = h.info_off;
	msg->field[THRIFT_F_INFO].len = THEADER_FIXED + len - h.info_off;
	*b = (struct block){.end = THEADER_FIXED + len,
		.compact = h.protocol == 2,
		.transforms = h.transforms > 0};
	if (b->transforms || d->dir == MT_DIR_UP)
		b->skip = b->end - mt_decoder_pos(d);
	else
		mt_cursor_skip(&d->cur, h.info_off - mt_decoder_pos(d));
	d->step = STEP_INFOS;
	return MT_DECODE_DONE;
}

static enum mt_decode infos(struct mt_decoder *d, struct mt_msg *msg)
{
	struct block *b = (struct block *)d->state;
	enum mt_decode rc = pass_block(d, msg, b);

	if (rc != MT_DECODE_DONE)
		return rc;
	d->step = STEP_BEGIN;
	if (msg->len == b->end) {
		/*
		 * There is no message in it: the C++ library flushes like this when a connection is
		 * closed.
		 */
		msg->kind = MT_MSG_EVENT;
		msg->lead_len = msg->len;
		msg->can_reply = true;
		msg->refuse = 0;
		d->step = STEP_REST;
		return MT_DECODE_DONE;
	}
	if (!b->transforms)
		return MT_DECODE_DONE;
	/* The message is compressed or signed: only its frame and the outer id can be read. */
	msg->kind = d->dir == MT_DIR_DOWN ? MT_MSG_REQUEST : MT_MSG_REPLY;
	msg->id = msg->aux32;
	msg->variant = THRIFT_VARIANT(THRIFT_HEADER, b->compact ? THRIFT_COMPACT : 0);
	msg->lead_len = mt_decoder_pos(d);
	msg->can_reply = true;
	if (d->dir == MT_DIR_UP)
		return mt_decode_bad(d, "thrift: a reply with THeader transforms");
	msg->refuse = 1 + MT_REPLY_UNSUPPORTED;
	d->step = STEP_REST;
	return MT_DECODE_DONE;
}

/* Reads the start of an old or strict message: the name's position and length, and the id. */
static enum mt_decode begin_binary(
	struct mt_decoder *d, struct mt_msg *msg, bool strict, uint8_t *type)
{
	uint32_t at = strict ? 8 : 4, tail = strict ? 4 : 5, len;
	uint8_t tmp[8];
	const uint8_t *p = mt_cursor_peek(&d->cur, at, tmp);

	if (!p)
		return starved(d, msg);
	if (strict)
		*type = p[3];
	len = mt_get_be32(p + at - 4);
	if (len > THRIFT_MAX_NAME)
		return mt_decode_bad(d, "thrift: method name longer than the limit");
	if (mt_cursor_left(&d->cur) < at + len + tail)
		return starved(d, msg);
	mt_cursor_skip(&d->cur, at);
	msg->field[THRIFT_F_NAME].off = mt_decoder_pos(d);
	msg->field[THRIFT_F_NAME].len = len;
	mt_cursor_skip(&d->cur, len);
	if (!strict)
		mt_cursor_u8(&d->cur, type);
	msg->field[THRIFT_F_SEQID].off = mt_decoder_pos(d);
	msg->field[THRIFT_F_SEQID].len = 4;
	mt_cursor_be32(&d->cur, &len);
	msg->id = len;
	return MT_DECODE_DONE;
}

static enum mt_decode begin_compact(struct mt_decoder *d, struct mt_msg *msg, uint8_t *type)
{
	uint8_t tmp[2 + 2 * THRIFT_VARINT32];
	uint32_t n = MT_MIN(mt_cursor_left(&d->cur), (uint32_t)sizeof(tmp)), seqid, len, at;
	const uint8_t *p = mt_cursor_peek(&d->cur, n, tmp);
	int a, b;

	if (!p || n < 2)
		return starved(d, msg);
	*type = p[1] >> 5;
	a = thrift_varint(p + 2, n - 2, &seqid);
	b = a > 0 ? thrift_varint(p + 2 + a, n - 2 - (uint32_t)a, &len) : a;
	if (a < 0 || b < 0)
		return mt_decode_bad(d, "thrift: varint too long");
	if (b == 0)
		return starved(d, msg);
	if (len > THRIFT_MAX_NAME)
		return mt_decode_bad(d, "thrift: method name longer than the limit");
	at = 2 + (uint32_t)(a + b);
	if (mt_cursor_left(&d->cur) < at + len)
		return starved(d, msg);
	msg->field[THRIFT_F_SEQID].off = mt_decoder_pos(d) + 2;
	msg->field[THRIFT_F_SEQID].len = (uint32_t)a;
	mt_cursor_skip(&d->cur, at);
	msg->field[THRIFT_F_NAME].off = mt_decoder_pos(d);
	msg->field[THRIFT_F_NAME].len = len;
	mt_cursor_skip(&d->cur, len);
	msg->id = seqid;
	return MT_DECODE_DONE;
}

/* TMultiplexedProtocol: service:method, split at the first colon. */
static void split_name(struct mt_decoder *d, struct mt_msg *msg)
{
	uint32_t off = msg->field[THRIFT_F_NAME].off, len = msg->field[THRIFT_F_NAME].len, n;
	const uint8_t *p, *colon;
	struct mt_cursor cur;

	msg->field[THRIFT_F_METHOD] = msg->field[THRIFT_F_NAME];
	mt_cursor_init(&cur, d->cur.chain, off - d->taken);
	cur.end = off - d->taken + len;
	while ((n = mt_cursor_run(&cur, &p)) > 0) {
		colon = memchr(p, ':', n);
		if (colon) {
			uint32_t at = cur.pos + d->taken + (uint32_t)(colon - p);

			msg->field[THRIFT_F_SERVICE].off = off;
			msg->field[THRIFT_F_SERVICE].len = at - off;
			msg->field[THRIFT_F_METHOD].off = at + 1;
			msg->field[THRIFT_F_METHOD].len = off + len - at - 1;
			return;
		}
		mt_cursor_skip(&cur, n);
	}
}

/*
 * Refuses the call with which a Finagle client starts TTwitter (ThriftTracing.CanTraceMethodName in
 * finagle-thrift). A server that accepts it puts a header before each later reply on its
 * connection, which has calls of other clients, too. After an exception the client speaks plain
 * Thrift.
 */
static void refuse_upgrade(const struct mt_decoder *d, struct mt_msg *msg)
{
	static const char probe[] = "__can__finagle__trace__v3__";
	const uint32_t len = sizeof(probe) - 1;
	uint8_t name[sizeof(probe)];

	if (mt_likely(msg->field[THRIFT_F_METHOD].len != len))
		return;
	mt_chain_read(d->cur.chain, msg->field[THRIFT_F_METHOD].off - d->taken, name, len);
	if (memcmp(name, probe, len) == 0)
		msg->refuse = 1 + MT_REPLY_NO_UPGRADE;
}

static enum mt_decode set_kind(struct mt_decoder *d, struct mt_msg *msg, uint8_t type)
{
	/* By the type alone; the caller decides whether this side may send it. */
	switch (type) {
	case THRIFT_CALL:
		msg->kind = MT_MSG_REQUEST;
		break;
	case THRIFT_ONEWAY:
		msg->kind = MT_MSG_ONEWAY;
		break;
	case THRIFT_REPLY:
		msg->kind = MT_MSG_REPLY;
		break;
	case THRIFT_EXCEPTION:
		msg->kind = MT_MSG_REPLY;
		msg->status = MT_STATUS_SERVER_ERROR;
		break;
	default:
		return mt_decode_bad(d, "thrift: unknown message type");
	}
	return MT_DECODE_DONE;
}

static enum mt_decode begin(struct mt_decoder *d, struct mt_msg *msg)
{
	enum thrift_protocol proto;
	enum mt_decode rc;
	uint8_t tmp[2], type = 0;
	const uint8_t *p = mt_cursor_peek(&d->cur, 2, tmp);

	if (!p)
		return starved(d, msg);
	if (!protocol_of(p, &proto))
		return mt_decode_bad(d, "thrift: no message begins like this");
	rc = proto == THRIFT_COMPACT ? begin_compact(d, msg, &type)
				     : begin_binary(d, msg, proto == THRIFT_STRICT, &type);
	if (rc != MT_DECODE_DONE)
		return rc;
	msg->variant = THRIFT_VARIANT(THRIFT_TRANSPORT(msg->variant), proto);
	msg->lane_class = msg->variant;
	msg->lead_len = mt_decoder_pos(d);
	rc = set_kind(d, msg, type);
	if (rc != MT_DECODE_DONE)
		return rc;
	msg->can_reply = true;
	if (d->dir == MT_DIR_DOWN) {
		split_name(d, msg);
		refuse_upgrade(d, msg);
	}
	if (THRIFT_TRANSPORT(msg->variant) == THRIFT_UNFRAMED)
		thrift_walk_init((struct thrift_walk *)d->state, proto == THRIFT_COMPACT);
	d->step = type == THRIFT_REPLY ? STEP_RESULT : STEP_REST;
	return MT_DECODE_DONE;
}

/*
 * Reads the start of the result struct: field 0 is success, another field a declared exception, no
 * field a void success.
 */
static enum mt_decode result(struct mt_decoder *d, struct mt_msg *msg)
{
	bool compact = THRIFT_PROTOCOL(msg->variant) == THRIFT_COMPACT;
	uint32_t n = MT_MIN(mt_cursor_left(&d->cur), 3u), need;
	uint8_t tmp[3];
	const uint8_t *p = mt_cursor_peek(&d->cur, n, tmp);
	bool other;

	if (!p)
		return starved(d, msg);
	need = p[0] == 0 ? 1 : !compact ? 3 : p[0] >> 4 ? 1 : 2;
	if (n < need)
		return starved(d, msg);
	if (p[0] == 0)
		other = false;
	else if (compact)
		other = p[0] >> 4 || p[1];
	else
		other = p[1] || p[2];
	if (other)
		msg->status = MT_STATUS_APP_ERROR;
	d->step = STEP_REST;
	return MT_DECODE_DONE;
}

static enum mt_decode rest(struct mt_decoder *d, struct mt_msg *msg)
{
	enum mt_decode rc;

	if (msg->len)
		return mt_decoder_arrived(d) >= msg->len ? MT_DECODE_DONE : MT_DECODE_MORE;
	rc = thrift_walk_run((struct thrift_walk *)d->state, d);
	if (rc == MT_DECODE_DONE)
		msg->len = mt_decoder_pos(d) - mt_mutant(MT_MUTANT_thrift_end_one_off);
	return rc;
}

enum mt_decode thrift_decode(const struct mt_codec *self, struct mt_decoder *d, struct mt_msg *msg)
{
	/* Each step returns DONE when it is passed. */
	static enum mt_decode (*const steps[])(struct mt_decoder *, struct mt_msg *) = {
		[STEP_START] = start,
		[STEP_HEADER] = header,
		[STEP_INFOS] = infos,
		[STEP_BEGIN] = begin,
		[STEP_RESULT] = result,
	};
	bool leading = d->step < STEP_REST;
	enum mt_decode rc;

	_Static_assert(sizeof(struct thrift_walk) <= MT_DECODER_STATE, "decoder state");
	while (d->step < STEP_REST) {
		rc = steps[d->step](d, msg);
		if (rc != MT_DECODE_DONE)
			return rc;
	}
	rc = rest(d, msg);
	return rc == MT_DECODE_MORE && leading ? MT_DECODE_LEADING : rc;
}
