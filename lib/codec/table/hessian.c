/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A string of Hessian 2. Its length counts UTF-16 code units of 1 to 3 bytes each, so the string is
 * read to find its end. Only strings of one chunk are texts here: longer ones have no use as
 * metadata.
 */
#include "run.h"

/* Bytes of the tag and length; 0: not a string of one chunk. */
static uint32_t tag_of(const uint8_t *p, uint32_t n, uint32_t *units)
{
	if (p[0] < 0x20) {
		*units = p[0];
		return 1;
	}
	if (p[0] >= 0x30 && p[0] <= 0x33) {
		*units = n < 2 ? 0 : (p[0] & 3u) << 8 | p[1];
		return 2;
	}
	if (p[0] == 'S') {
		*units = n < 3 ? 0 : (uint32_t)p[1] << 8 | p[2];
		return 3;
	}
	return 0;
}

/* state.mark: units left; state.pos: the next byte; stack[0]: the first; mode: bytes of a unit. */
static enum table_rc start(struct table_run *r, uint32_t off, uint32_t end)
{
	struct table_state *s = r->s;
	uint32_t n, used, units;
	const uint8_t *p;
	uint8_t tmp[3];

	if (off >= end)
		return TABLE_MALFORMED;
	if (!table_arrived(r, off + 1))
		return TABLE_WAIT;
	n = MT_MIN(MT_MIN(end, r->arrived) - off, 3u);
	p = table_bytes(r, off, n, tmp);
	used = p ? tag_of(p, n, &units) : 0;
	if (used == 0 || used > end - off)
		return TABLE_MALFORMED;
	if (used > n) {
		table_arrived(r, off + used);
		return TABLE_WAIT;
	}
	s->phase = 1;
	s->mark = units;
	s->pos = s->stack[0] = off + used;
	s->mode = 0;
	return TABLE_GOT;
}

/* Bytes that follow the first of a unit; 4: malformed. */
static uint8_t follow(uint8_t b)
{
	if (b < 0x80)
		return 0;
	if (b >= 0xc0 && b < 0xe0)
		return 1;
	return b >= 0xe0 && b < 0xf0 ? 2 : 4;
}

static enum table_rc units(struct table_state *s, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n && (s->mark > 0 || s->mode > 0); i++, s->pos++) {
		if (s->mode > 0) {
			if (p[i] >> 6 != 2)
				return TABLE_MALFORMED;
			s->mode--;
			continue;
		}
		s->mode = follow(p[i]);
		if (s->mode > 2)
			return TABLE_MALFORMED;
		s->mark--;
	}
	return TABLE_GOT;
}

enum table_rc table_hessian(struct table_run *r, uint32_t off, uint32_t end, struct table_slot *at)
{
	struct table_state *s = r->s;
	enum table_rc rc = s->phase ? TABLE_GOT : start(r, off, end);
	const uint8_t *p;

	if (rc != TABLE_GOT)
		return rc;
	while (s->mark > 0 || s->mode > 0) {
		uint32_t before = s->pos, n = table_piece(r, s->pos, end, &p);

		if (n == 0 && s->pos >= end)
			return TABLE_MALFORMED;
		if (n == 0) {
			/* Not for all units that are left: the next byte may break the string. */
			table_arrived(r, s->pos + 1);
			return TABLE_WAIT;
		}
		if (units(s, p, n) != TABLE_GOT)
			return TABLE_MALFORMED;
		r->used += 4 * (s->pos - before) + 4;
	}
	*at = (struct table_slot){s->stack[0], s->pos - s->stack[0]};
	return TABLE_GOT;
}
