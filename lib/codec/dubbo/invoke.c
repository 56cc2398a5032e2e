/* SPDX-License-Identifier: Apache-2.0 */
/* Generic calls: the first argument of $invoke and $invokeAsync names the method to run. */
#include "dubbo.h"

/* Every request has attachments. */
bool dubbo_carries(const struct mt_codec *self, const struct mt_msg *msg)
{
	return msg->kind == MT_MSG_REQUEST || msg->kind == MT_MSG_ONEWAY;
}

static bool is_generic(const struct mt_msg *msg, const struct mt_chain *c, uint8_t *scratch)
{
	struct mt_slice m;

	if (msg->field[DUBBO_F_METHOD].len == DUBBO_NO_TEXT ||
		!mt_codec_slice(c, msg->field[DUBBO_F_METHOD].off, msg->field[DUBBO_F_METHOD].len,
			&m, scratch))
		return false;
	return mt_slice_eq_str(m, "$invoke") || mt_slice_eq_str(m, "$invokeAsync");
}

/* Bytes before the text of a one-chunk string, at most: the tag and a length. */
#define STRING_HEAD 3

/*
 * Position and length of the text of a one-chunk string at `off`. false: not such a string, not all
 * there, or longer than mt_codec_slice() copies, so that no more bytes need a look.
 */
static bool string_at(
	const struct mt_chain *c, uint32_t off, uint32_t end, uint32_t *at, uint32_t *len)
{
	struct hs_str s = {0};
	struct mt_cursor cur;
	const uint8_t *p;
	uint32_t run;

	mt_cursor_init(&cur, c, off);
	cur.end = MT_MIN(end, off + STRING_HEAD + MT_META_SCRATCH);
	while (s.phase != HS_DONE && s.phase != HS_BAD && (run = mt_cursor_run(&cur, &p)) > 0)
		mt_cursor_skip(&cur, hs_str_feed(&s, p, run));
	if (s.phase != HS_DONE || s.chunked || s.null)
		return false;
	*at = cur.pos - s.bytes;
	*len = s.bytes;
	return true;
}

/* As java.lang.String.trim(): removes characters up to U+0020 at both ends. */
static void trim(struct mt_slice *v)
{
	while (v->len && v->p[v->len - 1] <= ' ')
		v->len--;
	while (v->len && v->p[0] <= ' ') {
		v->p++;
		v->len--;
	}
}

int dubbo_inner_method(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_slice *value, uint8_t *scratch)
{
	uint32_t at, len;

	if (!is_generic(msg, c, scratch))
		return 0;
	if (msg->variant != DUBBO_SER_HESSIAN || msg->len == 0 || c->len < msg->len ||
		!string_at(c, msg->field[DUBBO_F_ARGS].off, msg->len, &at, &len) ||
		!mt_codec_slice(c, at, len, value, scratch))
		return -1;
	trim(value);
	return 1;
}
