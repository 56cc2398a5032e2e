/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a table in progress: ops with labels, places, texts. */
#include "file.h"

void cf_error(struct cf_build *b, const char *path, uint32_t line, const char *remedy,
	const char *fmt, ...)
{
	const struct mt_meta about = {
		.origin = {b->c->file, line}, .serial = b->c->serial, .ns = b->c->ns};
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	mt_diag_object(b->c->diags, MT_DIAG_ERROR, &about, line, path, remedy, "%s", text);
}

bool cf_failed(const struct cf_build *b)
{
	return b->c->diags->errors != b->errors || b->region->failed;
}

void cf_full(struct cf_build *b, uint32_t line, const char *what, uint32_t most)
{
	if (!b->full)
		cf_error(b, "spec", line, "describe less, or fewer variants",
			"more %s than %u, which a codec may have", what, most);
	b->full = true;
}

uint32_t cf_label(struct cf_build *b)
{
	if (b->n_labels == CF_LABELS) {
		cf_full(b, b->spec->origin.line, "conditions", CF_LABELS);
		return 0;
	}
	b->label[b->n_labels] = 0;
	return b->n_labels++;
}

void cf_here(struct cf_build *b, uint32_t label)
{
	b->label[label] = b->n_ops;
}

/* One more item of an array, or NULL. */
#define PUSH(b, items, most, what)                                                                 \
	((b)->n_##items >= (most) ? (cf_full(b, (b)->spec->origin.line, what, most), NULL)         \
				  : mt_region_push((b)->region, (void **)&(b)->items,              \
					    &(b)->n_##items, sizeof(*(b)->items)))

void cf_op(struct cf_build *b, struct mt_ct_op op)
{
	struct mt_ct_op *to = PUSH(b, ops, MT_CT_OPS, "steps");

	if (to)
		*to = op;
}

void cf_jump(struct cf_build *b, struct mt_ct_op op, uint32_t label)
{
	op.to = (uint16_t)label;
	cf_op(b, op);
}

void cf_patch(struct cf_build *b)
{
	for (uint32_t i = 0; i < b->n_ops; i++)
		if (b->ops[i].code <= MT_CT_TEST_THERE)
			b->ops[i].to = (uint16_t)b->label[b->ops[i].to];
}

uint16_t cf_add_place(struct cf_build *b, struct mt_ct_place p)
{
	struct mt_ct_place *to;

	for (uint32_t i = 0; i < b->n_places; i++)
		if (memcmp(&b->places[i], &p, sizeof(p)) == 0)
			return (uint16_t)i;
	to = PUSH(b, places, MT_CT_PLACES - 1, "places");
	if (!to)
		return 0;
	*to = p;
	return (uint16_t)(b->n_places - 1);
}

uint32_t cf_text(struct cf_build *b, const char *text, size_t len)
{
	char *found = len && b->n_text ? memmem(b->text, b->n_text, text, len) : NULL;

	if (found || len == 0)
		return found ? (uint32_t)(found - b->text) : 0;
	if (len > MT_CT_TEXT - b->n_text) {
		cf_full(b, b->spec->origin.line, "bytes of text", MT_CT_TEXT);
		return 0;
	}
	if (!b->text)
		b->text = mt_region_alloc(b->region, MT_CT_TEXT);
	if (!b->text)
		return 0;
	memcpy(b->text + b->n_text, text, len);
	b->n_text += (uint32_t)len;
	/* It may begin with the end of what was there: equal texts have one offset, the first. */
	found = memmem(b->text, b->n_text, text, len);
	return (uint32_t)(found - b->text);
}
