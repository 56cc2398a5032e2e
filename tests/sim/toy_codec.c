/* SPDX-License-Identifier: Apache-2.0 */
#include "toy.h"

#include "link.h"

#include <errno.h>
#include <string.h>

enum { STEP_HEAD, STEP_ROUTE, STEP_BODY };
enum { KEY_ROUTE };

struct state {
	uint32_t total;
	bool led;
};

static enum mt_sniff sniff(
	const struct mt_codec *self, const uint8_t *p, uint32_t n, uint32_t *need)
{
	*need = 2;
	if (n < 2)
		return MT_SNIFF_MORE;
	return p[0] == 'T' && p[1] == 'Y' ? MT_SNIFF_YES : MT_SNIFF_NO;
}

static enum mt_decode head(struct mt_decoder *d, struct mt_msg *msg)
{
	static const enum mt_msg_kind kinds[] = {
		[TOY_REQUEST] = MT_MSG_REQUEST,
		[TOY_REPLY] = MT_MSG_REPLY,
		[TOY_ONEWAY] = MT_MSG_ONEWAY,
		[TOY_HEARTBEAT] = MT_MSG_HEARTBEAT,
		[TOY_HEARTBEAT_REPLY] = MT_MSG_HEARTBEAT_REPLY,
		[TOY_DRAIN] = MT_MSG_EVENT,
	};
	struct state *st = (struct state *)d->state;
	uint8_t scratch[TOY_HEAD];
	const uint8_t *p = mt_cursor_peek(&d->cur, TOY_HEAD, scratch);
	uint32_t rest;

	if (!p)
		return MT_DECODE_MORE;
	memset(msg, 0, sizeof(*msg));
	rest = sim_get32(p + 12);
	if (p[0] != 'T' || p[1] != 'Y' || p[2] < TOY_REQUEST || p[2] > TOY_DRAIN)
		return mt_decode_bad(d, "not a toy message");
	if (rest < 1 || rest > d->max_message - TOY_HEAD)
		return mt_decode_bad(d, "length out of range");
	st->total = msg->len = TOY_HEAD + rest;
	msg->kind = kinds[p[2]];
	msg->event = p[2] == TOY_DRAIN ? MT_EVENT_DRAIN : MT_EVENT_NONE;
	msg->status = p[3] == 0		  ? MT_STATUS_OK
		      : p[3] < TOY_NATIVE ? MT_STATUS_APP_ERROR
					  : MT_STATUS_SERVER_ERROR;
	msg->id = (uint64_t)sim_get32(p + 4) << 32 | sim_get32(p + 8);
	msg->can_reply = true;
	mt_cursor_skip(&d->cur, TOY_HEAD);
	d->step = STEP_ROUTE;
	return MT_DECODE_DONE;
}

static enum mt_decode route(struct mt_decoder *d, struct mt_msg *msg)
{
	struct state *st = (struct state *)d->state;
	uint8_t scratch;
	const uint8_t *p = mt_cursor_peek(&d->cur, 1, &scratch);
	uint32_t len;

	if (!p)
		return MT_DECODE_MORE;
	len = *p;
	if (TOY_HEAD + 1 + len > st->total)
		return mt_decode_bad(d, "route longer than its message");
	if (mt_cursor_left(&d->cur) < 1 + len)
		return MT_DECODE_MORE;
	msg->field[KEY_ROUTE].off = TOY_HEAD + 1;
	msg->field[KEY_ROUTE].len = len;
	msg->lead_len = TOY_HEAD + 1 + len;
	mt_cursor_skip(&d->cur, 1 + len);
	d->step = STEP_BODY;
	return MT_DECODE_DONE;
}

static enum mt_decode body(struct mt_decoder *d, struct mt_msg *msg)
{
	struct state *st = (struct state *)d->state;
	uint32_t left = st->total - d->taken - d->cur.pos;

	left -= mt_cursor_skip(&d->cur, left);
	if (!left)
		return MT_DECODE_DONE;
	if (st->led)
		return MT_DECODE_MORE;
	st->led = true;
	return MT_DECODE_LEADING;
}

static enum mt_decode decode(const struct mt_codec *self, struct mt_decoder *d, struct mt_msg *msg)
{
	enum mt_decode rc = MT_DECODE_DONE;

	if (d->step == STEP_HEAD)
		rc = head(d, msg);
	if (rc == MT_DECODE_DONE && d->step == STEP_ROUTE)
		rc = route(d, msg);
	if (rc == MT_DECODE_DONE && d->step == STEP_BODY)
		rc = body(d, msg);
	return rc;
}

static bool metadata(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, const struct mt_key *key, struct mt_slice *value,
	uint8_t *scratch)
{
	if (key->id != KEY_ROUTE || !msg->field[KEY_ROUTE].len)
		return false;
	value->len = msg->field[KEY_ROUTE].len;
	value->p = mt_chain_peek(c, msg->field[KEY_ROUTE].off, value->len, scratch);
	return value->p != NULL;
}

static void save(const struct mt_codec *self, const struct mt_msg *msg, const struct mt_chain *c,
	struct mt_seed *seed)
{
	*seed = (struct mt_seed){.id = msg->id};
}

static int put_id(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c, uint64_t id,
	struct mt_pools *p)
{
	uint8_t *b = mt_chain_own_prefix(c, 12, p);

	if (!b)
		return -ENOMEM;
	sim_put32(b + 4, (uint32_t)(id >> 32));
	sim_put32(b + 8, (uint32_t)id);
	msg->id = id;
	return 0;
}

static int restore_id(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	const struct mt_seed *seed, struct mt_pools *p)
{
	return put_id(self, msg, c, seed->id, p);
}

static int small(
	struct mt_chain *out, struct mt_pools *p, uint8_t kind, uint8_t status, uint64_t id)
{
	uint8_t b[TOY_HEAD + 1] = {'T', 'Y', kind, status};

	sim_put32(b + 4, (uint32_t)(id >> 32));
	sim_put32(b + 8, (uint32_t)id);
	sim_put32(b + 12, 1);
	return mt_chain_write(out, p, b, sizeof(b));
}

static int reply(const struct mt_codec *self, const struct mt_seed *seed, enum mt_local_reply what,
	const char *text, struct mt_chain *out, struct mt_pools *p)
{
	return small(out, p, TOY_REPLY, (uint8_t)(TOY_NATIVE + what), seed->id);
}

static int heartbeat(
	const struct mt_codec *self, uint64_t id, struct mt_chain *out, struct mt_pools *p)
{
	return small(out, p, TOY_HEARTBEAT, 0, id);
}

static int heartbeat_reply(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_chain *out, struct mt_pools *p)
{
	return small(out, p, TOY_HEARTBEAT_REPLY, 0, msg->id);
}

static int goaway(
	const struct mt_codec *self, uint64_t id, struct mt_chain *out, struct mt_pools *p)
{
	return small(out, p, TOY_DRAIN, 0, id);
}

static const char *const keys[] = {"route", NULL};

#define TOY_COMMON                                                                                 \
	.max_message = 1u << 20, .heartbeat_s = 60, .keys = keys, .leading_keys = 1u << KEY_ROUTE, \
	.frame.sniff = sniff, .frame.decode = decode, .metadata.leading = metadata,                \
	.correlate.save = save, .correlate.set_id = put_id, .correlate.restore_id = restore_id,    \
	.write.reply = reply, .write.heartbeat = heartbeat,                                        \
	.write.heartbeat_reply = heartbeat_reply, .write.goaway = goaway

const struct mt_codec toy_safe = {
	.name = "toy",
	.correlation = MT_CORR_SAFE,
	.correlation_mux = MT_CORR_SAFE,
	.id_min = 0,
	.id_max = UINT32_MAX,
	TOY_COMMON,
};

const struct mt_codec toy_serial = {
	.name = "toy_serial",
	.correlation = MT_CORR_SERIAL,
	.correlation_mux = MT_CORR_SAFE,
	.id_min = 0,
	.id_max = UINT32_MAX,
	TOY_COMMON,
};

const struct mt_codec sim_opaque_codec = {
	.name = "tcp",
	.correlation = MT_CORR_EXCLUSIVE,
	.correlation_mux = MT_CORR_EXCLUSIVE,
	.server_speaks_first = true,
	.opaque = true,
};
