/* SPDX-License-Identifier: Apache-2.0 */
/*
 * awesomeRPC, a private protocol: the worked example of docs/protocols/writing-a-codec.md, which
 * explains every part of this file. Layout (big-endian), docs/protocols/awesomerpc.md:
 *
 * 	0 u8 version | 1 u32 pack_flow, the id | 5 u32 pack_len, header and body
 * 	9 u16 req_cmd | 11 u16 rsp_code | 13 body; in version 2 it starts with the
 * 	metadata: u16 length and that many bytes of key=value\n
 */
#include "mt_codec_priv.h"

#include <errno.h>
#include <stdio.h>

#define HEADER	    13
#define META_AT	    (HEADER + 2)
#define VERSION_MAX 2
#define MAX_MESSAGE (16u * 1024 * 1024)
#define RSP_ERROR   1 /* rsp_code of our own replies */

enum step { STEP_HEADER, STEP_META, STEP_REST };
enum field { F_META };

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static enum mt_sniff sniff(
	const struct mt_codec *self, const uint8_t *p, uint32_t n, uint32_t *need)
{
	if (n < HEADER) {
		*need = HEADER;
		return MT_SNIFF_MORE;
	}
	/*
	 * There is no magic: check for a known version, a possible length, and a request's empty
	 * result.
	 */
	return p[0] <= VERSION_MAX && mt_get_be32(p + 5) >= HEADER &&
			       mt_get_be32(p + 5) <= MAX_MESSAGE && be16(p + 11) == 0
		       ? MT_SNIFF_YES
		       : MT_SNIFF_NO;
}

static enum mt_decode header(struct mt_decoder *d, struct mt_msg *msg)
{
	uint8_t tmp[HEADER];
	const uint8_t *h = mt_cursor_peek(&d->cur, HEADER, tmp);

	*msg = (struct mt_msg){0};
	if (!h)
		return MT_DECODE_MORE;
	msg->kind = d->dir == MT_DIR_DOWN ? MT_MSG_REQUEST : MT_MSG_REPLY;
	msg->variant = h[0];
	msg->id = mt_get_be32(h + 1);
	msg->len = mt_get_be32(h + 5);
	msg->lead_len = HEADER;
	msg->aux = be16(h + 9);
	if (msg->kind == MT_MSG_REPLY && be16(h + 11) != 0)
		msg->status = MT_STATUS_APP_ERROR;
	if (msg->variant > VERSION_MAX)
		return mt_decode_bad(d, "awesomeRPC: unknown version");
	msg->can_reply = true;
	if (msg->len < HEADER)
		return mt_decode_bad(d, "awesomeRPC: pack_len below 13");
	if (msg->len > d->max_message)
		return mt_decode_too_long(d, "awesomeRPC: pack_len above the limit");
	mt_cursor_skip(&d->cur, HEADER);
	d->step = msg->variant == 2 && msg->len > HEADER ? STEP_META : STEP_REST;
	return MT_DECODE_DONE;
}

static enum mt_decode meta(struct mt_decoder *d, struct mt_msg *msg)
{
	uint8_t tmp[2];
	const uint8_t *p = mt_cursor_peek(&d->cur, 2, tmp);
	uint32_t len;

	if (msg->len < META_AT)
		return mt_decode_bad(d, "awesomeRPC: no room for the metadata's length");
	if (!p)
		return MT_DECODE_MORE;
	len = be16(p);
	if (len > msg->len - META_AT || len > MT_META_SCRATCH)
		return mt_decode_bad(d, "awesomeRPC: metadata longer than the message or 4096");
	if (mt_cursor_left(&d->cur) < 2 + len)
		return MT_DECODE_MORE;
	mt_cursor_skip(&d->cur, 2 + len);
	msg->field[F_META].off = META_AT;
	msg->field[F_META].len = len;
	msg->lead_len = META_AT + len;
	d->step = STEP_REST;
	return MT_DECODE_DONE;
}

static enum mt_decode decode(const struct mt_codec *self, struct mt_decoder *d, struct mt_msg *msg)
{
	bool leading = d->step < STEP_REST;
	enum mt_decode rc = MT_DECODE_DONE;

	if (d->step == STEP_HEADER)
		rc = header(d, msg);
	if (rc == MT_DECODE_DONE && d->step == STEP_META)
		rc = meta(d, msg);
	if (rc != MT_DECODE_DONE)
		return rc;
	if (mt_decoder_arrived(d) >= msg->len)
		return MT_DECODE_DONE;
	return leading ? MT_DECODE_LEADING : MT_DECODE_MORE;
}

/* Takes the next key=value off the text; false: the end. A line without '=' has an empty value. */
static bool next_line(struct mt_slice *text, struct mt_slice *key, struct mt_slice *value)
{
	const uint8_t *end, *eq;

	if (text->len == 0)
		return false;
	end = memchr(text->p, '\n', text->len);
	if (!end)
		end = text->p + text->len;
	eq = memchr(text->p, '=', (size_t)(end - text->p));
	if (!eq)
		eq = end;
	*key = (struct mt_slice){text->p, (uint32_t)(eq - text->p)};
	*value = (struct mt_slice){eq, 0};
	if (eq < end)
		*value = (struct mt_slice){eq + 1, (uint32_t)(end - eq - 1)};
	text->len -= MT_MIN(text->len, (uint32_t)(end - text->p) + 1);
	text->p = end + 1;
	return true;
}

static bool cmd(const struct mt_msg *msg, struct mt_slice *value, uint8_t *scratch)
{
	value->p = scratch;
	value->len = (uint32_t)snprintf((char *)scratch, 8, "%d", (int16_t)msg->aux);
	return true;
}

static bool metadata(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, const struct mt_key *key, struct mt_slice *value,
	uint8_t *scratch)
{
	return key->id == 0 && cmd(msg, value, scratch);
}

static void index_lines(const struct mt_codec *self, struct mt_msg *msg, const struct mt_chain *c,
	struct mt_metadata *m)
{
	struct mt_slice text = {NULL, msg->field[F_META].len}, k, v;
	struct mt_cursor cur;

	mt_cursor_init(&cur, c, msg->field[F_META].off);
	text.p = mt_meta_text(m, &cur, text.len);
	if (!text.p)
		return;
	while (next_line(&text, &k, &v)) {
		struct mt_meta_entry *e = mt_meta_add(m, k);

		if (!e)
			return;
		e->kind = MT_META_TEXT;
		e->value.text = v.p;
		e->value_len = v.len;
	}
	m->state = MT_META_READ;
}

static void save(const struct mt_codec *self, const struct mt_msg *msg, const struct mt_chain *c,
	struct mt_seed *seed)
{
	(void)c;
	seed->id = msg->id;
	seed->variant = msg->variant;
	seed->aux = msg->aux;
}

/* The request's header with the only error code; the format has no room for a text. */
static int reply(const struct mt_codec *self, const struct mt_seed *seed, enum mt_local_reply what,
	const char *text, struct mt_chain *out, struct mt_pools *p)
{
	uint8_t h[HEADER] = {seed->variant};

	(void)what;
	(void)text;
	mt_put_be32(h + 1, (uint32_t)seed->id);
	mt_put_be32(h + 5, HEADER);
	h[9] = (uint8_t)(seed->aux >> 8);
	h[10] = (uint8_t)seed->aux;
	h[12] = RSP_ERROR;
	return mt_chain_write(out, p, h, HEADER);
}

static const char *const keys[] = {"cmd", NULL};

const struct mt_codec mt_codec_awesomerpc = {
	.name = "awesomeRPC",
	.aeraki_name = "aeraki.meta_protocol.codec.awesomerpc",
	.version = 1,
	.correlation = MT_CORR_SAFE,
	.correlation_mux = MT_CORR_SAFE,
	.max_message = MAX_MESSAGE,
	.whole_close = true,
	.executes_whole = true,
	.id_min = 4096,
	.id_max = UINT32_MAX,
	.method_key = {.name = "cmd", .len = 3, .id = 0, .hash = MT_KEY_HASH("cmd")},
	.keys = keys,
	.leading_keys = 0x1,
	.frame.sniff = sniff,
	.frame.decode = decode,
	.metadata.leading = metadata,
	.metadata.index = index_lines,
	.correlate.id_at = 1,
	.correlate.id_width = 4,
	.correlate.save = save,
	.write.reply = reply,
};
