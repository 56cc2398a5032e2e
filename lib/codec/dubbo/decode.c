/* SPDX-License-Identifier: Apache-2.0 */
#include "dubbo.h"

#include "mt_mutant.h"

enum step { STEP_HEADER, STEP_STRINGS, STEP_BODY, STEP_REST };

struct state {
	struct hs_str str;
	uint8_t n_strings; /* how many of the five are passed */
};
_Static_assert(sizeof(struct state) <= MT_DECODER_STATE, "decoder state");

static enum mt_msg_kind kind_of(uint8_t flags)
{
	/* [request, event, two-way] */
	static const uint8_t kinds[8] = {
		MT_MSG_REPLY,
		MT_MSG_REPLY,
		MT_MSG_HEARTBEAT_REPLY,
		MT_MSG_HEARTBEAT_REPLY,
		MT_MSG_ONEWAY,
		MT_MSG_REQUEST,
		MT_MSG_EVENT,
		MT_MSG_HEARTBEAT,
	};

	return kinds[(flags & DUBBO_REQUEST ? 4 : 0) | (flags & DUBBO_EVENT ? 2 : 0) |
		     (flags & DUBBO_TWO_WAY ? 1 : 0)];
}

static bool readable(const struct mt_msg *msg)
{
	return msg->variant == DUBBO_SER_HESSIAN;
}

static bool complete(const struct mt_decoder *d, const struct mt_msg *msg)
{
	return mt_decoder_arrived(d) >= msg->len;
}

/* Returns MORE, or BAD if the frame has ended before its content. */
static enum mt_decode starved(struct mt_decoder *d, const struct mt_msg *msg)
{
	if (complete(d, msg))
		return mt_decode_bad(d, "dubbo: a body value runs past its frame");
	return MT_DECODE_MORE;
}

/* Reads the 16 bytes at h. Any result but DONE: no message starts with them. */
static inline enum mt_decode read_header(struct mt_decoder *d, struct mt_msg *msg, const uint8_t *h)
{
	uint32_t body;

	if (h[0] != DUBBO_MAGIC_0 || h[1] != DUBBO_MAGIC_1)
		return mt_decode_bad(d, "dubbo: the magic is not dabb");
	msg->kind = kind_of(h[2]);
	msg->variant = h[2] & DUBBO_SER_MASK;
	msg->id = mt_get_be64(h + 4);
	msg->can_reply = true;
	body = mt_get_be32(h + 12);
	if (msg->kind == MT_MSG_REPLY && h[3] != DUBBO_STATUS_OK)
		msg->status = MT_STATUS_SERVER_ERROR;
	if (msg->variant == 0)
		return mt_decode_bad(d, "dubbo: serialization 0");
	if (body > d->max_message - DUBBO_HEADER)
		return mt_decode_too_long(d, "dubbo: message longer than the limit");
	msg->len = DUBBO_HEADER + body;
	if (mt_mutant(MT_MUTANT_dubbo_end_one_off) && body > 200)
		msg->len++;
	msg->lead_len = DUBBO_HEADER;
	return MT_DECODE_DONE;
}

static enum mt_decode header(struct mt_decoder *d, struct mt_msg *msg)
{
	uint8_t tmp[DUBBO_HEADER];
	const uint8_t *h;
	enum mt_decode rc;

	*msg = (struct mt_msg){0};
	h = mt_cursor_peek(&d->cur, DUBBO_HEADER, tmp);
	if (!h) {
		h = mt_cursor_peek(&d->cur, 2, tmp);
		if (h && (h[0] != DUBBO_MAGIC_0 || h[1] != DUBBO_MAGIC_1))
			return mt_decode_bad(d, "dubbo: the magic is not dabb");
		return MT_DECODE_MORE;
	}
	rc = read_header(d, msg, h);
	if (rc != MT_DECODE_DONE)
		return rc;
	mt_cursor_skip(&d->cur, DUBBO_HEADER);
	d->cur.end = msg->len - d->taken;
	d->step = STEP_BODY;
	if (readable(msg) && (msg->kind == MT_MSG_REQUEST || msg->kind == MT_MSG_ONEWAY))
		d->step = STEP_STRINGS;
	return MT_DECODE_DONE;
}

static void string_done(struct state *s, struct mt_msg *msg, uint32_t end)
{
	uint32_t len = s->str.bytes;

	if (s->str.null || s->str.chunked)
		msg->field[s->n_strings].len = DUBBO_NO_TEXT;
	else
		msg->field[s->n_strings].len = len;
	msg->field[s->n_strings].off = end - len;
	s->n_strings++;
	s->str = (struct hs_str){0};
}

/* Passes the strings in p[0..n) that are short ASCII, without the scanner. Returns their length. */
static inline uint32_t quick_strings(
	struct state *s, struct mt_msg *msg, const uint8_t *p, uint32_t n, uint32_t at)
{
	uint32_t ascii = hs_ascii_run(p, MT_MIN(n, (uint32_t)DUBBO_ASCII_MAX)), used = 0, len;
	struct mt_slice text;

	msg->aux32 = at + ascii;
	while (s->n_strings < DUBBO_N_STRINGS) {
		len = hs_tiny_str(p, used, ascii, &text);
		if (mt_unlikely(!len))
			len = hs_short_str_in(
				p + used, n - used, ascii - MT_MIN(used, ascii), &text);
		if (!len)
			break;
		used += len;
		msg->field[s->n_strings].len = text.len;
		msg->field[s->n_strings++].off = at + used - text.len;
	}
	return used;
}

/* No real names are so long. The message ends where its header says, and gets a local reply. */
static enum mt_decode too_large(struct mt_decoder *d, struct mt_msg *msg)
{
	msg->refuse = 1 + MT_REPLY_TOO_LARGE;
	msg->flags |= DUBBO_MAP_NONE;
	msg->lead_len = mt_decoder_pos(d);
	d->step = STEP_REST;
	return MT_DECODE_DONE;
}

/* Reads the five strings at a request's start. */
static enum mt_decode strings(struct mt_decoder *d, struct mt_msg *msg)
{
	struct state *s = (struct state *)d->state;
	const uint8_t *p;
	uint32_t n;

	while ((n = mt_cursor_run(&d->cur, &p)) > 0) {
		uint32_t at = mt_decoder_pos(d), used = 0;

		if (mt_unlikely(at >= DUBBO_LEAD_MAX))
			return too_large(d, msg);
		n = MT_MIN(n, DUBBO_LEAD_MAX - at);
		if (mt_likely(at == DUBBO_HEADER))
			used = quick_strings(s, msg, p, n, at);
		while (used < n && s->n_strings < DUBBO_N_STRINGS) {
			used += hs_str_feed(&s->str, p + used, n - used);
			d->steps -= MT_MIN(d->steps, s->str.slow);
			s->str.slow = 0;
			if (s->str.phase == HS_BAD)
				return mt_decode_bad(d, "dubbo: a request string is malformed");
			if (s->str.phase == HS_DONE)
				string_done(s, msg, at + used);
		}
		mt_cursor_skip(&d->cur, used);
		if (s->n_strings == DUBBO_N_STRINGS) {
			msg->lead_len = msg->field[DUBBO_F_ARGS].off = mt_decoder_pos(d);
			d->step = STEP_REST;
			return MT_DECODE_DONE;
		}
	}
	return starved(d, msg);
}

/* The first byte of a hessian2 reply body shows whether it is an exception. */
static void reply_type(struct mt_msg *msg, uint8_t type)
{
	if (type == DUBBO_RSP_EXCEPTION || type == DUBBO_RSP_EXCEPTION + DUBBO_RSP_ATT)
		msg->status = MT_STATUS_APP_ERROR;
	msg->lead_len = DUBBO_HEADER + 1;
	msg->field[DUBBO_F_ARGS].off = DUBBO_HEADER + 1;
	msg->aux = type;
}

/*
 * A provider's event is a string of one letter. It is in the provider's default serialization, not
 * in that of the requests. Each row is the start of such a string.
 */
#define EVENT_MAX 6
static const struct {
	uint8_t serialization, n, head[EVENT_MAX - 1];
} one_letter[] = {
	{DUBBO_SER_HESSIAN, 1, {1}},		      /* 2.7 */
	{DUBBO_SER_FASTJSON2, 5, {0, 0, 0, 2, 0x4a}}, /* 3.2: a length, then JSONB */
};

static enum mt_msg_event event_of(uint8_t serialization, const uint8_t *body, uint32_t len)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(one_letter); i++) {
		uint32_t n = one_letter[i].n;

		if (one_letter[i].serialization != serialization || len != n + 1 ||
			memcmp(body, one_letter[i].head, n) != 0)
			continue;
		return body[n] == 'R'	? MT_EVENT_DRAIN
		       : body[n] == 'W' ? MT_EVENT_RESUME
					: MT_EVENT_NONE;
	}
	return MT_EVENT_NONE;
}

static enum mt_decode event_body(struct mt_decoder *d, struct mt_msg *msg)
{
	uint32_t len = msg->len - DUBBO_HEADER;
	uint8_t tmp[EVENT_MAX];
	const uint8_t *p;

	if (len == 0 || len > EVENT_MAX)
		return MT_DECODE_DONE;
	p = mt_cursor_peek(&d->cur, len, tmp);
	if (!p) {
		d->step = STEP_BODY;
		return MT_DECODE_MORE;
	}
	msg->event = event_of(msg->variant, p, len);
	return MT_DECODE_DONE;
}

static enum mt_decode body(struct mt_decoder *d, struct mt_msg *msg)
{
	uint8_t tmp[1];
	const uint8_t *p;

	d->step = STEP_REST;
	if (msg->kind == MT_MSG_EVENT || msg->kind == MT_MSG_HEARTBEAT)
		return event_body(d, msg);
	if (!readable(msg) || msg->len == DUBBO_HEADER)
		return MT_DECODE_DONE;
	if (msg->kind == MT_MSG_REPLY && msg->status == MT_STATUS_OK) {
		p = mt_cursor_peek(&d->cur, 1, tmp);
		if (!p) {
			d->step = STEP_BODY;
			return MT_DECODE_MORE;
		}
		reply_type(msg, *p);
	}
	return MT_DECODE_DONE;
}

/*
 * For the usual message, which lies in one piece: a call with short strings, or its reply. Nothing
 * has to be kept between calls, so neither the cursor nor the step moves. false: use the steps,
 * which set again everything that has changed.
 */
static bool at_once(struct mt_decoder *d, struct mt_msg *msg)
{
	const struct rte_mbuf *m = d->cur.chain->head;
	struct state s = {.n_strings = 0};
	const uint8_t *h;

	if (!m || mt_link(m)->len < DUBBO_HEADER)
		return false;
	h = mt_link_data(m);
	*msg = (struct mt_msg){0};
	if ((h[2] & DUBBO_SER_MASK) != DUBBO_SER_HESSIAN ||
		read_header(d, msg, h) != MT_DECODE_DONE || mt_link(m)->len < msg->len)
		return false;
	if (msg->kind == MT_MSG_REPLY) {
		if (msg->status == MT_STATUS_OK && msg->len > DUBBO_HEADER)
			reply_type(msg, h[DUBBO_HEADER]);
		return true;
	}
	if (msg->kind != MT_MSG_REQUEST && msg->kind != MT_MSG_ONEWAY)
		return false;
	msg->lead_len = DUBBO_HEADER + quick_strings(&s, msg, h + DUBBO_HEADER,
					       msg->len - DUBBO_HEADER, DUBBO_HEADER);
	msg->field[DUBBO_F_ARGS].off = msg->lead_len;
	return s.n_strings == DUBBO_N_STRINGS;
}

enum mt_decode dubbo_decode(const struct mt_codec *self, struct mt_decoder *d, struct mt_msg *msg)
{
	/* Each step returns DONE when it is passed. */
	static enum mt_decode (*const steps[])(struct mt_decoder *, struct mt_msg *) = {
		[STEP_HEADER] = header,
		[STEP_STRINGS] = strings,
		[STEP_BODY] = body,
	};
	bool leading = d->step < STEP_REST;

	if (mt_likely(d->step == STEP_HEADER) && mt_likely(at_once(d, msg)))
		return MT_DECODE_DONE;
	while (d->step < STEP_REST) {
		enum mt_decode rc = steps[d->step](d, msg);

		if (rc != MT_DECODE_DONE)
			return rc;
	}
	if (complete(d, msg))
		return MT_DECODE_DONE;
	return leading ? MT_DECODE_LEADING : MT_DECODE_MORE;
}
