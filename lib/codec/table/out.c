/* SPDX-License-Identifier: Apache-2.0 */
/* Elements of containers, written one part after the other. */
#include "write.h"

#include "mt_varint.h"

void write_put(struct write_out *o, const void *p, uint32_t n)
{
	o->full |= n > o->most - o->n;
	if (o->full)
		return;
	memcpy(o->to + o->n, p, n);
	o->n += n;
}

void write_put_byte(struct write_out *o, uint8_t b)
{
	write_put(o, &b, 1);
}

void write_put_varint(struct write_out *o, uint64_t v)
{
	uint8_t tmp[MT_VARINT_MOST];

	write_put(o, tmp, mt_varint_put(tmp, v));
}

void write_put_binary(struct write_out *o, uint64_t v, uint32_t width, bool little)
{
	o->full |= width < 8 && v >> 8 * width != 0;
	for (uint32_t i = 0; i < width; i++)
		write_put_byte(o, (uint8_t)(v >> 8 * (little ? i : width - 1 - i)));
}

void write_put_counted(struct write_out *o, const struct mt_ct_walk *w, const void *p, uint32_t n)
{
	write_put_binary(o, n, w->value_width, w->flags & MT_CT_WALK_LITTLE);
	write_put(o, p, n);
}
