/* SPDX-License-Identifier: Apache-2.0 */
/* The lengths in front of the elements of a container that contain a part of it. */
#include "write.h"

static bool read_number(struct table_run *r, uint32_t off, uint32_t n, bool little, uint64_t *v)
{
	uint8_t tmp[8];
	const uint8_t *p;

	if ((uint64_t)off + n > r->arrived)
		return false;
	p = table_bytes(r, off, n, tmp);
	*v = p ? walk_number(p, n, little) : 0;
	return p != NULL;
}

static enum mt_ct_type order(const struct mt_ct_walk *w)
{
	return w->flags & MT_CT_WALK_LITTLE ? MT_CT_LITTLE : MT_CT_BIG;
}

static bool filled_up(const struct write_change *c, struct table_slot part)
{
	for (uint32_t i = 0; i < c->n_counts; i++)
		if (c->count[i].pad && c->count[i].part.off == part.off)
			return true;
	return false;
}

/*
 * The element's length, in front of its value `part`, and what fills up the element, so that later
 * elements stay aligned.
 */
static bool nest_tlv(struct write_change *c, struct table_run *r, const struct mt_ct_walk *w,
	struct table_slot in, struct table_slot part, uint32_t edit)
{
	uint32_t at = part.off - w->value_width, end = part.off + part.len, last = in.off + in.len;
	struct table_slot fill = {end, 0};
	struct write_count *n;
	uint64_t value;

	if (part.off < in.off + w->key_width + w->value_width ||
		!read_number(r, at, w->value_width, w->flags & MT_CT_WALK_LITTLE, &value))
		return false;
	n = write_count_add(
		c, order(w), (struct table_slot){at, w->value_width}, value, part, edit);
	if (!n || w->pad == 1)
		return n != NULL;
	fill.len = (uint32_t) - (int32_t)(end - in.off) & (w->pad - 1u);
	/* The last element may end without. */
	if (fill.len > last - end || filled_up(c, part))
		return true;
	n = write_count_add(c, MT_CT_BYTES, fill, 0, part, edit);
	if (!n)
		return false;
	n->pad = w->pad;
	n->start = in.off;
	return true;
}

/* The value's length is in front of it. */
static bool nest_pairs(struct write_change *c, struct table_run *r, const struct mt_ct_walk *w,
	struct table_slot in, struct table_slot part, uint32_t edit)
{
	uint32_t at = part.off - w->value_width;
	uint64_t value;

	if (part.off < in.off + 2u * w->value_width ||
		!read_number(r, at, w->value_width, w->flags & MT_CT_WALK_LITTLE, &value))
		return false;
	return write_count_add(
		c, order(w), (struct table_slot){at, w->value_width}, value, part, edit);
}

bool write_nest(struct write_change *c, const struct mt_ct_walk *w, struct table_slot in,
	struct table_slot part, uint32_t edit)
{
	struct table_state s = *c->r->s;
	struct table_run r = *c->r;

	r.s = &s;
	r.trace = NULL;
	switch ((enum mt_ct_format)w->format) {
	case MT_CT_PROTOBUF:
		return write_nest_protobuf(c, &r, in, part, edit);
	case MT_CT_JCE_STRUCT:
		return write_nest_jce(c, &r, in, part, edit);
	case MT_CT_TLV:
		return nest_tlv(c, &r, w, in, part, edit);
	case MT_CT_PAIRS:
		return nest_pairs(c, &r, w, in, part, edit);
	case MT_CT_LINES:
	case MT_CT_WORDS:
	case MT_CT_JSON:
		return true;
	default:
		return false;
	}
}
