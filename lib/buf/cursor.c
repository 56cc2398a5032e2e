/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_buf.h"

#include <string.h>

#include <rte_byteorder.h>

void mt_cursor_init(struct mt_cursor *cur, const struct mt_chain *c, uint32_t pos)
{
	cur->chain = c;
	cur->pos = pos;
	cur->end = UINT32_MAX;
	mt_cursor_resync(cur);
}

void mt_cursor_resync(struct mt_cursor *cur)
{
	struct rte_mbuf *m = cur->chain->head;
	uint32_t off = cur->pos;

	while (m && off >= mt_link(m)->len && mt_link(m)->next) {
		off -= mt_link(m)->len;
		m = mt_link(m)->next;
	}
	cur->seg = m;
	cur->seg_off = off;
	cur->epoch = cur->chain->epoch;
}

/* Moves to a readable byte, or to the chain's end. */
static void settle(struct mt_cursor *cur)
{
	if (mt_unlikely(cur->epoch != cur->chain->epoch || !cur->seg))
		mt_cursor_resync(cur);
	while (cur->seg && cur->seg_off >= mt_link(cur->seg)->len && mt_link(cur->seg)->next) {
		cur->seg_off -= mt_link(cur->seg)->len;
		cur->seg = mt_link(cur->seg)->next;
	}
}

static void copy_out(const struct mt_cursor *cur, uint8_t *to, uint32_t n)
{
	const struct rte_mbuf *m = cur->seg;
	uint32_t in = cur->seg_off;

	for (; n > 0; m = mt_link(m)->next, in = 0) {
		uint32_t part = MT_MIN(mt_link(m)->len - in, n);

		memcpy(to, mt_link_data(m) + in, part);
		to += part;
		n -= part;
	}
}

const uint8_t *mt_cursor_peek(struct mt_cursor *cur, uint32_t n, void *scratch)
{
	if (mt_cursor_left(cur) < n || n == 0)
		return NULL;
	settle(cur);
	if (mt_likely(mt_link(cur->seg)->len - cur->seg_off >= n))
		return mt_link_data(cur->seg) + cur->seg_off;
	copy_out(cur, scratch, n);
	return scratch;
}

uint32_t mt_cursor_run(struct mt_cursor *cur, const uint8_t **p)
{
	uint32_t left = mt_cursor_left(cur);

	if (left == 0)
		return 0;
	settle(cur);
	*p = mt_link_data(cur->seg) + cur->seg_off;
	return MT_MIN(left, mt_link(cur->seg)->len - cur->seg_off);
}

uint32_t mt_cursor_skip(struct mt_cursor *cur, uint32_t n)
{
	uint32_t left = mt_cursor_left(cur);

	n = MT_MIN(n, left);
	if (n == 0)
		return 0;
	settle(cur);
	cur->pos += n;
	cur->seg_off += n;
	return n;
}

bool mt_cursor_next(struct mt_cursor *cur, uint8_t *v)
{
	const uint8_t *p = mt_cursor_peek(cur, 1, NULL);

	if (!p)
		return false;
	*v = *p;
	mt_cursor_skip(cur, 1);
	return true;
}

bool mt_cursor_be16(struct mt_cursor *cur, uint16_t *v)
{
	uint8_t tmp[2];
	const uint8_t *p = mt_cursor_peek(cur, sizeof(tmp), tmp);

	if (!p)
		return false;
	memcpy(v, p, sizeof(*v));
	*v = rte_be_to_cpu_16(*v);
	mt_cursor_skip(cur, sizeof(*v));
	return true;
}

bool mt_cursor_be32(struct mt_cursor *cur, uint32_t *v)
{
	uint8_t tmp[4];
	const uint8_t *p = mt_cursor_peek(cur, sizeof(tmp), tmp);

	if (!p)
		return false;
	memcpy(v, p, sizeof(*v));
	*v = rte_be_to_cpu_32(*v);
	mt_cursor_skip(cur, sizeof(*v));
	return true;
}

bool mt_cursor_be64(struct mt_cursor *cur, uint64_t *v)
{
	uint8_t tmp[8];
	const uint8_t *p = mt_cursor_peek(cur, sizeof(tmp), tmp);

	if (!p)
		return false;
	memcpy(v, p, sizeof(*v));
	*v = rte_be_to_cpu_64(*v);
	mt_cursor_skip(cur, sizeof(*v));
	return true;
}
