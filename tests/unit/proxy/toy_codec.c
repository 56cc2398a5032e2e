/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_byteorder.h>

#define TOY_MAX (4u << 20)

void toy_make(uint8_t *buf, char kind, uint64_t id, const char *method, uint32_t len)
{
	uint32_t be_len = rte_cpu_to_be_32(len);
	uint64_t be_id = rte_cpu_to_be_64(id);

	memset(buf, (int)(id & 0xff), len);
	buf[0] = 'T';
	buf[1] = (uint8_t)kind;
	buf[2] = buf[3] = 0;
	memcpy(buf + 4, &be_len, 4);
	memcpy(buf + 8, &be_id, 8);
	memcpy(buf + 16, method, 4);
}

struct toy toy_parse(const uint8_t *buf, uint32_t size)
{
	struct toy t = {.kind = (char)buf[1], .status = buf[2]};
	uint32_t len;
	uint64_t id;

	memcpy(&len, buf + 4, 4);
	memcpy(&id, buf + 8, 8);
	memcpy(t.method, buf + 16, 4);
	t.len = rte_be_to_cpu_32(len);
	t.id = rte_be_to_cpu_64(id);
	t.first = t.len > TOY_HEADER && size > TOY_HEADER ? buf[TOY_HEADER] : 0;
	return t;
}

static enum mt_msg_kind kind_of(char k)
{
	switch (k) {
	case 'Q':
		return MT_MSG_REQUEST;
	case 'P':
		return MT_MSG_REPLY;
	case 'O':
		return MT_MSG_ONEWAY;
	case 'U':
		return MT_MSG_REQUEST;
	case 'H':
		return MT_MSG_HEARTBEAT;
	case 'h':
		return MT_MSG_HEARTBEAT_REPLY;
	default:
		return MT_MSG_EVENT;
	}
}

static enum mt_decode toy_header(struct mt_decoder *d, struct mt_msg *msg)
{
	uint8_t tmp[TOY_HEADER];
	const uint8_t *h = mt_cursor_peek(&d->cur, TOY_HEADER, tmp);
	struct toy t;

	if (!h)
		return MT_DECODE_MORE;
	t = toy_parse(h, TOY_HEADER);
	memset(msg, 0, sizeof(*msg));
	if (h[0] != 'T' || t.len < TOY_HEADER)
		return mt_decode_bad(d, "not a toy message");
	msg->kind = kind_of(t.kind);
	msg->refuse = t.kind == 'U' ? 1 + MT_REPLY_UNSUPPORTED : 0;
	msg->event = t.kind == 'D' ? MT_EVENT_DRAIN : MT_EVENT_NONE;
	msg->status = t.status ? MT_STATUS_SERVER_ERROR : MT_STATUS_OK;
	msg->id = t.id;
	msg->len = t.len;
	msg->lead_len = TOY_HEADER;
	msg->can_reply = true;
	if (t.len > d->max_message)
		return mt_decode_too_long(d, "too long");
	d->step = 1;
	return MT_DECODE_LEADING;
}

bool toy_tired;

static enum mt_decode toy_decode(
	const struct mt_codec *self, struct mt_decoder *d, struct mt_msg *msg)
{
	enum mt_decode r = MT_DECODE_MORE;

	if (toy_tired) {
		toy_tired = false;
		d->steps = 0;
		return MT_DECODE_MORE;
	}
	if (d->step == 0)
		r = toy_header(d, msg);
	if (r == MT_DECODE_BAD || d->step == 0)
		return r;
	return d->cur.chain->len + d->taken >= msg->len ? MT_DECODE_DONE : r;
}

static bool toy_metadata(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, const struct mt_key *key, struct mt_slice *value,
	uint8_t *scratch)
{
	bool deadline = key->len == 8 && memcmp(key->name, "deadline", 8) == 0;

	/* The method doubles as the caller's time-out when it is a number. */
	value->p = mt_chain_peek(c, 16, 4, scratch);
	value->len = 4;
	return value->p && (deadline || (key->len == 6 && memcmp(key->name, "method", 6) == 0));
}

struct toy_noted toy_noted;

static void toy_index(const struct mt_codec *self, struct mt_msg *msg, const struct mt_chain *c,
	struct mt_metadata *m)
{
	uint8_t method[4];

	toy_noted.indexed++;
	m->took += toy_noted.takes;
	if (toy_noted.has_fixed) {
		static const uint8_t fixed[] = "fixed";

		*mt_meta_add(m, (struct mt_slice){fixed, 5}) = (struct mt_meta_entry){.key = fixed,
			.key_len = 5,
			.kind = MT_META_TEXT,
			.value.text = fixed,
			.value_len = 5};
		m->state = MT_META_READ;
	}
	mt_chain_read(c, 16, method, 4);
	if (memcmp(method, "huge", 4) == 0)
		m->state = MT_META_TOO_LARGE;
}

static enum mt_scan_rc toy_seek(const struct mt_codec *self, struct mt_scan *s, struct mt_msg *msg,
	const struct mt_chain *c, uint32_t *steps)
{
	uint32_t *at = (uint32_t *)s->state, n;

	if (s->step == 0)
		*at = 0;
	s->step = 1;
	n = MT_MIN(MT_MIN(c->len, msg->len) - *at, *steps);
	*at += n;
	*steps -= n;
	toy_noted.most = MT_MAX(toy_noted.most, n);
	return *at == msg->len ? MT_SCAN_DONE : MT_SCAN_MORE;
}

/* NULL: it is removed. */
static bool put_method(struct mt_chain *c, const char *method, struct mt_pools *p)
{
	uint8_t *h = mt_chain_own_prefix(c, TOY_HEADER, p);

	if (h)
		memcpy(h + 16, method ? method : "----", 4);
	return h;
}

static int toy_mutate(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	struct mt_metadata *meta, const struct mt_mutation *m, uint32_t n, struct mt_pools *p)
{
	char *to = toy_noted.changes;

	for (uint32_t i = 0; i < n; i++)
		if (m[i].key_len == 5 && memcmp(m[i].key, "fixed", 5) == 0)
			return -ENOTSUP;
	for (uint32_t i = 0; i < n; i++)
		if (m[i].key_len == 6 && memcmp(m[i].key, "method", 6) == 0 &&
			!put_method(c, m[i].value, p))
			return -ENOMEM;
	toy_noted.encoded++;
	for (uint32_t i = 0; i < n; i++)
		to += snprintf(to, 64, "%.*s%s%.*s;", m[i].key_len, m[i].key, m[i].value ? "=" : "",
			m[i].value ? m[i].value_len : 0, m[i].value ? m[i].value : "");
	return 0;
}

static void toy_save(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_seed *seed)
{
	seed->id = msg->id;
}

static int toy_set_id(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	uint64_t id, struct mt_pools *p)
{
	uint64_t be = rte_cpu_to_be_64(id);
	uint8_t *h = mt_chain_own_prefix(c, TOY_HEADER, p);

	if (!h || toy_noted.no_id) {
		toy_noted.no_id -= toy_noted.no_id > 0;
		return -12;
	}
	toy_noted.stale += toy_parse(h, TOY_HEADER).id != msg->id;
	memcpy(h + 8, &be, 8);
	msg->id = id;
	return 0;
}

static int toy_restore_id(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	const struct mt_seed *seed, struct mt_pools *p)
{
	return toy_set_id(self, msg, c, seed->id, p);
}

static int toy_reply(const struct mt_codec *self, const struct mt_seed *seed,
	enum mt_local_reply what, const char *text, struct mt_chain *out, struct mt_pools *p)
{
	uint8_t m[TOY_HEADER + 1];

	toy_make(m, 'P', seed->id, "fail", sizeof(m));
	m[2] = 1;
	m[TOY_HEADER] = (uint8_t)what;
	return mt_chain_write(out, p, m, sizeof(m));
}

static int toy_heartbeat(
	const struct mt_codec *self, uint64_t id, struct mt_chain *out, struct mt_pools *p)
{
	uint8_t m[TOY_HEADER];

	toy_make(m, 'H', id, "beat", sizeof(m));
	return mt_chain_write(out, p, m, sizeof(m));
}

static int toy_heartbeat_reply(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_chain *out, struct mt_pools *p)
{
	uint8_t m[TOY_HEADER];

	toy_make(m, 'h', msg->id, "beat", sizeof(m));
	return mt_chain_write(out, p, m, sizeof(m));
}

static int toy_goaway(
	const struct mt_codec *self, uint64_t id, struct mt_chain *out, struct mt_pools *p)
{
	uint8_t m[TOY_HEADER];

	toy_make(m, 'D', id, "stop", sizeof(m));
	return mt_chain_write(out, p, m, sizeof(m));
}

/* The status is the number. */
static void toy_error(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_error *e)
{
	uint8_t h[3];

	mt_chain_read(c, 0, h, sizeof(h));
	e->number = h[2];
}

static const struct mt_error_class classes[] = {
	{TOY_OVERLOAD, MT_STATUS_OVERLOAD, "overload", NULL},
	{TOY_UNAVAILABLE, MT_STATUS_UNAVAILABLE, "unavailable", NULL},
	{TOY_DEADLINE, MT_STATUS_DEADLINE, "deadline", NULL},
	{TOY_CALLER, MT_STATUS_CALLER_ERROR, "caller", NULL},
	{TOY_REFUSED, MT_STATUS_REFUSED, "refused", NULL},
};

#define TOY_COMMON                                                                                 \
	.max_message = TOY_MAX, .id_min = 4096, .id_max = (1ull << 40) - 1,                        \
	.deadline_key = {.name = "deadline", .len = 8, .id = -1}, .frame.decode = toy_decode,      \
	.metadata.leading = toy_metadata, .metadata.index = toy_index, .metadata.seek = toy_seek,  \
	.rewrite.mutate = toy_mutate, .correlate.save = toy_save, .correlate.set_id = toy_set_id,  \
	.correlate.restore_id = toy_restore_id, .write.reply = toy_reply,                          \
	.errors.classes = classes, .errors.n_classes = MT_ARRAY_LEN(classes),                      \
	.errors.others = MT_STATUS_SERVER_ERROR, .errors.read = toy_error

const struct mt_codec toy_codec = {.name = "toy",
	.whole_close = true,
	.executes_whole = true,
	.correlation = MT_CORR_SAFE,
	.correlation_mux = MT_CORR_SAFE,
	.heartbeat_s = 30,
	.write.heartbeat = toy_heartbeat,
	.write.heartbeat_reply = toy_heartbeat_reply,
	.write.goaway = toy_goaway,
	TOY_COMMON};
const struct mt_codec toy_serial_codec = {.name = "toyserial",
	.correlation = MT_CORR_SERIAL,
	.correlation_mux = MT_CORR_SAFE,
	TOY_COMMON};
const struct mt_codec toy_named_codec = {.name = "toynamed",
	.correlation = MT_CORR_SERIAL,
	.correlation_mux = MT_CORR_SAFE,
	.method_key = {.name = "method", .len = 6, .id = 0},
	TOY_COMMON};
const struct mt_codec toy_opaque_codec = {
	.name = "tcp", .opaque = true, .correlation = MT_CORR_EXCLUSIVE};
