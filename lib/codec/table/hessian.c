/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A string of Hessian 2. Its length counts UTF-16 code units, so the string is read to find its
 * end. Only strings of one chunk are texts here: longer ones have no use as metadata. A null has no
 * text, but the value after it can be found.
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
static enum table_rc start(struct table_run *r, uint32_t off, uint32_t end, uint32_t *next)
{
	struct table_state *s = r->s;
	uint32_t n, used, units;
	const uint8_t *p;
	uint8_t tmp[3];

	*next = off;
	if (off >= end)
		return TABLE_ABSENT;
	if (!table_arrived(r, off + 1))
		return TABLE_WAIT;
	n = MT_MIN(MT_MIN(end, r->arrived) - off, 3u);
	p = table_bytes(r, off, n, tmp);
	*next = off + 1;
	if (p && *p == 'N')
		return TABLE_ABSENT;
	used = p ? tag_of(p, n, &units) : 0;
	if (used == 0)
		return TABLE_OTHER;
	if (used > end - off)
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

/* In `mode`, after the first byte of a character that has the range of one byte less. */
#define LEAST_3 0x80u
#define LEAST_4 0x40u
#define LEAST	(LEAST_3 | LEAST_4)

/* The first byte of a character, below 0xc2 none of several bytes: one would do. */
static bool first(struct table_state *s, uint8_t b)
{
	uint32_t is = 1;

	if (b < 0x80)
		s->mode = 0;
	else if (b >= 0xc2 && b < 0xe0)
		s->mode = 1;
	else if (b >= 0xe0 && b < 0xf0)
		s->mode = (uint8_t)(2 | (b == 0xe0 ? LEAST_3 : 0));
	else if (b >= 0xf0 && b < 0xf8 && s->mark >= 2)
		s->mode = (uint8_t)(3 | (b == 0xf0 ? LEAST_4 : 0)), is = 2;
	else
		return false;
	s->mark -= is;
	return true;
}

/* A further one. */
static bool further(struct table_state *s, uint8_t b)
{
	uint8_t least = s->mode & LEAST_3 ? 0xa0 : s->mode & LEAST_4 ? 0x90 : 0x80;

	s->mode = (uint8_t)((s->mode & ~LEAST) - 1);
	return b >= least && b <= 0xbf;
}

static enum table_rc units(struct table_state *s, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n && (s->mark > 0 || s->mode > 0); i++, s->pos++)
		if (!(s->mode > 0 ? further(s, p[i]) : first(s, p[i])))
			return TABLE_MALFORMED;
	return TABLE_GOT;
}

enum table_rc table_hessian(struct table_run *r, uint32_t off, uint32_t end, struct table_slot *at)
{
	struct table_state *s = r->s;
	enum table_rc rc = TABLE_GOT;
	const uint8_t *p;

	at->len = 0;
	if (!s->phase)
		rc = start(r, off, end, &at->off);
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
