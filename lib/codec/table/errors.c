/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classes of errors: the file's own, which decode() has found by its `status`. A file does not
 * specify where an error has its text, so the mark of a refusal may be anywhere at the beginning.
 */
#include "run.h"

static const struct mt_error_class classes[] = {
	{MT_CT_CLASS_SERVER, MT_STATUS_SERVER_ERROR, "server", NULL},
	{MT_CT_CLASS_OVERLOAD, MT_STATUS_OVERLOAD, "overload", NULL},
	{MT_CT_CLASS_UNAVAILABLE, MT_STATUS_UNAVAILABLE, "unavailable", NULL},
	{MT_CT_CLASS_DEADLINE, MT_STATUS_DEADLINE, "deadline", NULL},
	{MT_CT_CLASS_CALLER, MT_STATUS_CALLER_ERROR, "caller", NULL},
};

static void read_error(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_error *e)
{
	const char *mark;

	(void)self;
	e->number = msg->aux;
	mt_error_text(e, c, msg, 0, sizeof(e->text));
	mark = memmem(e->text, e->len, MT_REFUSAL_MARK, sizeof(MT_REFUSAL_MARK) - 1);
	if (!mark)
		return;
	e->len -= (uint32_t)(mark - e->text);
	memmove(e->text, mark, e->len);
}

void table_finish_errors(struct mt_codec_table *t)
{
	t->codec.errors = (struct mt_codec_errors){
		.classes = classes,
		.n_classes = MT_ARRAY_LEN(classes),
		.others = MT_STATUS_SERVER_ERROR,
		.read = read_error,
	};
}
