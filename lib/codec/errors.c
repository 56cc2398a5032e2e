/* SPDX-License-Identifier: Apache-2.0 */
/* Classes of errors: by their number in the codec's table, and by the mark of refusals. */
#include "mt_codec_priv.h"

const char *mt_msg_status_name(enum mt_msg_status status)
{
	static const char *const names[MT_STATUS_N] = {
		[MT_STATUS_OK] = "ok",
		[MT_STATUS_APP_ERROR] = "application error",
		[MT_STATUS_SERVER_ERROR] = "server error",
		[MT_STATUS_OVERLOAD] = "overload",
		[MT_STATUS_UNAVAILABLE] = "unavailable",
		[MT_STATUS_DEADLINE] = "deadline",
		[MT_STATUS_CALLER_ERROR] = "caller's error",
		[MT_STATUS_REFUSED] = "refused",
	};

	return (unsigned int)status < MT_STATUS_N ? names[status] : "unknown";
}

static bool refuses(enum mt_local_reply what)
{
	return what == MT_REPLY_DENIED || what == MT_REPLY_OVER_LIMIT || what == MT_REPLY_OVERLOAD;
}

uint32_t mt_codec_local_text(enum mt_local_reply what, const char *text, char *to, uint32_t max)
{
	static const uint32_t mark = sizeof(MT_REFUSAL_MARK) - 1;
	uint32_t n = 0, len;

	if (refuses(what) && strncmp(text, MT_REFUSAL_MARK, mark) != 0) {
		memcpy(to, MT_REFUSAL_MARK, mark);
		n = mark;
	}
	len = (uint32_t)strnlen(text, max - n);
	memcpy(to + n, text, len);
	return n + len;
}

void mt_error_text(struct mt_error *e, const struct mt_chain *c, const struct mt_msg *msg,
	uint32_t off, uint32_t n)
{
	uint32_t end = MT_MIN(msg->len, c->len);

	if (off >= end)
		return;
	e->len = MT_MIN(MT_MIN(n, end - off), (uint32_t)sizeof(e->text));
	mt_chain_read(c, off, e->text, e->len);
}

static bool is_marked(const struct mt_error *e)
{
	static const uint32_t mark = sizeof(MT_REFUSAL_MARK) - 1;

	return e->len >= mark && memcmp(e->text, MT_REFUSAL_MARK, mark) == 0;
}

static bool applies(const struct mt_error_class *row, const struct mt_error *e)
{
	return row->number == e->number &&
	       (!row->contains ||
		       memmem(e->text, e->len, row->contains, strlen(row->contains)) != NULL);
}

enum mt_msg_status mt_codec_classify(
	const struct mt_codec *codec, const struct mt_msg *msg, const struct mt_chain *c)
{
	struct mt_error e = {.number = UINT32_MAX};

	if (msg->status != MT_STATUS_SERVER_ERROR || !codec->errors.read)
		return msg->status;
	codec->errors.read(codec, msg, c, &e);
	if (is_marked(&e))
		return MT_STATUS_REFUSED;
	if (e.number == UINT32_MAX)
		return MT_STATUS_SERVER_ERROR;
	for (uint32_t i = 0; i < codec->errors.n_classes; i++)
		if (applies(&codec->errors.classes[i], &e))
			return (enum mt_msg_status)codec->errors.classes[i].status;
	return (enum mt_msg_status)codec->errors.others;
}
