/* SPDX-License-Identifier: Apache-2.0 */
/* Functions and sums of texts, bytes and lists. */
#include "mt_cel_priv.h"

#include <string.h>

static struct mt_cel_value size(struct mt_cel_frame *f, const struct mt_cel_value *v)
{
	switch (v->type) {
	case MT_CEL_STRING:
		return mt_cel_work(f, v->text.len) ? mt_cel_int(mt_cel_chars(v->text))
						   : mt_cel_error(MT_CEL_TOO_MUCH);
	case MT_CEL_BYTES:
		return mt_cel_int(v->text.len);
	case MT_CEL_LIST:
		return mt_cel_int(v->list.n);
	default:
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	}
}

static bool is_at(struct mt_slice text, size_t at, struct mt_slice part)
{
	return part.len == 0 || memcmp(text.p + at, part.p, part.len) == 0;
}

struct mt_cel_value mt_cel_text_call(struct mt_cel_frame *f, uint8_t op,
	const struct mt_cel_value *a, const struct mt_cel_value *b)
{
	struct mt_slice text, part;

	if (op == MT_CEL_OP_SIZE)
		return size(f, a);
	if (a->type != MT_CEL_STRING || b->type != MT_CEL_STRING)
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	text = a->text;
	part = b->text;
	/* memmem() reads each byte a few times at most. */
	if (!mt_cel_work(f, (op == MT_CEL_OP_CONTAINS ? text.len : 0) + (uint64_t)part.len))
		return mt_cel_error(MT_CEL_TOO_MUCH);
	if (part.len > text.len)
		return mt_cel_bool(false);
	if (op == MT_CEL_OP_CONTAINS)
		return mt_cel_bool(part.len == 0 || memmem(text.p, text.len, part.p, part.len));
	return mt_cel_bool(is_at(text, op == MT_CEL_OP_ENDS_WITH ? text.len - part.len : 0, part));
}

static struct mt_cel_value join_lists(
	struct mt_cel_frame *f, const struct mt_cel_value *a, const struct mt_cel_value *b)
{
	uint64_t n = (uint64_t)a->list.n + b->list.n;
	struct mt_cel_value v = {.type = MT_CEL_LIST};

	if (n > MT_CEL_CELLS - f->n_cells)
		return mt_cel_error("the lists have more than 256 elements");
	v.list.of = f->cells + f->n_cells;
	v.list.n = (uint32_t)n;
	for (uint32_t i = 0; i < n; i++)
		f->cells[f->n_cells++] = i < a->list.n ? a->list.of[i] : b->list.of[i - a->list.n];
	return v;
}

struct mt_cel_value mt_cel_concat(
	struct mt_cel_frame *f, const struct mt_cel_value *a, const struct mt_cel_value *b)
{
	struct mt_cel_value v = *a;
	uint8_t *to;

	if (a->type == MT_CEL_LIST)
		return join_lists(f, a, b);
	if (a->type != MT_CEL_STRING && a->type != MT_CEL_BYTES)
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	to = mt_cel_scratch(f, (uint64_t)a->text.len + b->text.len);
	if (!to)
		return mt_cel_error("the texts are longer than 4096 bytes");
	if (a->text.len)
		memcpy(to, a->text.p, a->text.len);
	if (b->text.len)
		memcpy(to + a->text.len, b->text.p, b->text.len);
	v.text = (struct mt_slice){to, a->text.len + b->text.len};
	return v;
}
