/* SPDX-License-Identifier: Apache-2.0 */
/* The header block of THeader: varints and length-prefixed strings, padded with zeros. */
#include "thrift.h"

#include "mt_varint.h"

int thrift_varint(const uint8_t *p, uint32_t n, uint32_t *v)
{
	uint32_t out = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (i == THRIFT_VARINT32 - 1 && p[i] > 0x0f)
			return -1;
		out |= (uint32_t)(p[i] & 0x7f) << (7 * i);
		if (p[i] < 0x80) {
			*v = out;
			return (int)i + 1;
		}
	}
	return n >= THRIFT_VARINT32 ? -1 : 0;
}

uint32_t thrift_put_varint(uint8_t *p, uint32_t v)
{
	return mt_varint_put(p, v);
}

bool thrift_read_varint(struct mt_cursor *cur, uint32_t *v)
{
	uint8_t tmp[THRIFT_VARINT32];
	uint32_t n = MT_MIN(mt_cursor_left(cur), (uint32_t)THRIFT_VARINT32);
	const uint8_t *p = mt_cursor_peek(cur, n, tmp);
	int used = p ? thrift_varint(p, n, v) : 0;

	if (used <= 0)
		return false;
	mt_cursor_skip(cur, (uint32_t)used);
	return true;
}

int thrift_header_read(
	const struct mt_chain *c, uint32_t off, uint32_t len, struct thrift_header *h)
{
	struct mt_cursor cur;

	mt_cursor_init(&cur, c, off);
	cur.end = off + len;
	if (!thrift_read_varint(&cur, &h->protocol) || !thrift_read_varint(&cur, &h->transforms))
		return -1;
	/* A message with transforms cannot be read, so their kinds do not matter. */
	h->info_off = h->transforms ? off + len : cur.pos;
	return 0;
}
