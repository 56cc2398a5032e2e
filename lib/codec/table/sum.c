/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums of messages, as their bytes arrive. */
#include "run.h"

#define ADLER 65521u

/* state.mark: the register; state.pos: the next byte. */
static uint32_t crc(const struct mt_ct_sum *sum, uint32_t reg, const uint8_t *p, uint32_t n)
{
	if (sum->reflected) {
		for (uint32_t i = 0; i < n; i++)
			reg = reg >> 8 ^ sum->row[(reg ^ p[i]) & 0xff];
		return reg;
	}
	for (uint32_t i = 0; i < n; i++)
		reg = (sum->width > 8 ? reg << 8 : 0) ^
		      sum->row[(reg >> (sum->width - 8) ^ p[i]) & 0xff];
	return reg;
}

static uint32_t adler(uint32_t reg, const uint8_t *p, uint32_t n)
{
	uint32_t a = reg & 0xffff, b = reg >> 16;

	for (uint32_t i = 0; i < n; i++) {
		a = (a + p[i]) % ADLER;
		b = (b + a) % ADLER;
	}
	return b << 16 | a;
}

static uint32_t add(const struct mt_ct_sum *sum, uint32_t reg, const uint8_t *p, uint32_t n)
{
	switch ((enum mt_ct_algorithm)sum->algorithm) {
	case MT_CT_CRC:
		return crc(sum, reg, p, n);
	case MT_CT_ADLER32:
		return adler(reg, p, n);
	case MT_CT_BYTE_SUM:
		for (uint32_t i = 0; i < n; i++)
			reg += p[i];
		return reg;
	default:
		for (uint32_t i = 0; i < n; i++)
			reg ^= p[i];
		return reg;
	}
}

/* An end of the range; false: not in the message. */
static bool bound(const struct table_run *r, uint32_t base, int32_t at, uint32_t *pos)
{
	int64_t v = at + (base == MT_CT_END ? (int64_t)r->msg->len : 0);

	*pos = (uint32_t)v;
	return v >= 0 && v <= r->msg->len;
}

uint64_t table_sum_of(const struct table_run *r, const struct mt_ct_sum *sum)
{
	uint64_t mask = sum->width < 32 ? (1u << sum->width) - 1 : UINT32_MAX;

	return (r->s->mark ^ sum->final) & mask;
}

static enum table_rc compare(struct table_run *r, const struct mt_ct_sum *sum)
{
	uint64_t want;
	enum table_rc rc = table_number(r, &r->t->places[sum->place], &want);

	if (rc != TABLE_GOT)
		return rc;
	return table_sum_of(r, sum) == want ? TABLE_GOT : TABLE_MALFORMED;
}

enum table_rc table_sum(struct table_run *r, const struct mt_ct_sum *sum)
{
	struct table_state *s = r->s;
	uint32_t from, to;
	const uint8_t *p;

	if (!bound(r, sum->from_base, sum->from, &from) || !bound(r, sum->to_base, sum->to, &to) ||
		from > to)
		return TABLE_ABSENT;
	if (!s->phase) {
		s->phase = 1;
		s->pos = from;
		s->mark = sum->initial;
	}
	for (uint32_t n; (n = table_piece(r, s->pos, to, &p)) > 0;) {
		s->mark = add(sum, s->mark, p, n);
		s->pos += n;
		r->used += 2 * n + 4;
	}
	if (s->pos < to) {
		table_arrived(r, s->pos + 1);
		return TABLE_WAIT;
	}
	return compare(r, sum);
}
