/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums of messages, as their bytes arrive, and the differences that changed bytes make. */
#include "sum.h"

#include "run.h"

#define ADLER	  65521u
#define SUM_STEPS 4 /* of each piece of a message, in addition to its bytes */

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

uint32_t table_sum_add(const struct mt_ct_sum *sum, uint32_t reg, const uint8_t *p, uint32_t n)
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

/* ---- differences ----------------------------------------------------------------------------- */

static uint32_t mask_of(const struct mt_ct_sum *sum)
{
	return sum->width < 32 ? (1u << sum->width) - 1 : UINT32_MAX;
}

/* A remainder of the CRC's polynomial P, times x. */
static uint32_t times_x(const struct mt_ct_sum *sum, uint32_t v)
{
	if (sum->reflected)
		return v >> 1 ^ (v & 1 ? sum->row[128] : 0);
	return (v << 1 ^ (v >> (sum->width - 1) & 1 ? sum->row[1] : 0)) & mask_of(sum);
}

bool table_sum_is_crc(const struct mt_ct_sum *sum)
{
	if (sum->initial & ~mask_of(sum) || sum->row[0])
		return false;
	for (uint32_t i = 1; i < 256; i++) {
		uint32_t rest = i & (i - 1), bit = i ^ rest, v = sum->row[bit];

		if (v & ~mask_of(sum) || sum->row[i] != (rest ? sum->row[rest] ^ v : v))
			return false;
		if (!rest && i < 128 &&
			(sum->reflected ? v != times_x(sum, sum->row[2 * i])
					: sum->row[2 * i] != times_x(sum, v)))
			return false;
	}
	return true;
}

/* The product of two remainders, from the highest power of b to the lowest. */
static uint32_t product(const struct mt_ct_sum *sum, uint32_t a, uint32_t b)
{
	uint32_t v = 0;

	for (uint32_t i = 0; i < sum->width; i++) {
		uint32_t bit = sum->reflected ? i : sum->width - 1 - i;

		v = times_x(sum, v) ^ (b >> bit & 1 ? a : 0);
	}
	return v;
}

/* d * x^(8 * n): a zero byte multiplies the register by x^8. */
static uint32_t crc_shift(const struct mt_ct_sum *sum, uint32_t d, uint32_t n)
{
	uint32_t power = sum->reflected ? 1u << (sum->width - 1) : 1;

	for (uint32_t i = 0; i < 8; i++)
		power = times_x(sum, power);
	for (; n > 0 && d != 0; n >>= 1) {
		if (n & 1)
			d = product(sum, d, power);
		power = product(sum, power, power);
	}
	return d;
}

static uint32_t adler_add(uint32_t x, uint32_t y)
{
	return ((x >> 16) + (y >> 16)) % ADLER << 16 | ((x & 0xffff) + (y & 0xffff)) % ADLER;
}

static uint32_t adler_minus(uint32_t v)
{
	return (ADLER - (v >> 16) % ADLER) % ADLER << 16 | (ADLER - (v & 0xffff) % ADLER) % ADLER;
}

static uint32_t adler_shift(uint32_t d, uint32_t n)
{
	uint32_t a = d & 0xffff;

	return adler_add(d, (uint32_t)((uint64_t)a * n % ADLER) << 16);
}

uint32_t table_sum_differ(
	const struct mt_ct_sum *sum, uint32_t reg, uint32_t was, uint32_t now, uint32_t rest)
{
	switch ((enum mt_ct_algorithm)sum->algorithm) {
	case MT_CT_CRC:
		return reg ^ crc_shift(sum, (was ^ now) & mask_of(sum), rest);
	case MT_CT_ADLER32:
		return adler_add(reg, adler_shift(adler_add(now, adler_minus(was)), rest));
	case MT_CT_BYTE_SUM:
		return reg + now - was;
	default:
		return reg ^ was ^ now;
	}
}

bool table_sum_moves(const struct mt_ct_sum *sum)
{
	return sum->algorithm == MT_CT_CRC || sum->algorithm == MT_CT_ADLER32;
}

/* ---- the range ------------------------------------------------------------------------------- */

/* An end of the range; false: not in the message. */
static bool bound(uint32_t len, uint32_t base, int32_t at, uint32_t *pos)
{
	int64_t v = at + (base == MT_CT_END ? (int64_t)len : 0);

	*pos = (uint32_t)v;
	return v >= 0 && v <= len;
}

bool table_sum_range(const struct mt_ct_sum *sum, uint32_t len, uint32_t *from, uint32_t *to)
{
	return bound(len, sum->from_base, sum->from, from) &&
	       bound(len, sum->to_base, sum->to, to) && *from <= *to;
}

uint64_t table_sum_number(const struct mt_ct_sum *sum, uint32_t reg)
{
	return (reg ^ sum->final) & mask_of(sum);
}

/* ---- the op ---------------------------------------------------------------------------------- */

uint64_t table_sum_of(const struct table_run *r, const struct mt_ct_sum *sum)
{
	return table_sum_number(sum, r->s->mark);
}

static enum table_rc compare(struct table_run *r, const struct mt_ct_sum *sum)
{
	uint64_t want;
	enum table_rc rc = table_number(r, &r->t->places[sum->place], &want);

	if (rc != TABLE_GOT)
		return rc;
	return table_sum_of(r, sum) == want ? TABLE_GOT : TABLE_MALFORMED;
}

/* GOT: the message has the range and the number. */
static enum table_rc readable(struct table_run *r, const struct mt_ct_sum *sum, uint32_t to)
{
	uint64_t number;

	if (!table_arrived(r, to))
		return TABLE_WAIT;
	return table_number(r, &r->t->places[sum->place], &number);
}

/*
 * Bytes that this call may sum; at least one, so that each call goes on. Changes of the message do
 * not sum it again, as they repeat other steps: a byte is a step of the caller.
 */
static uint32_t portion(const struct table_run *r)
{
	uint64_t left = r->may - MT_MIN(r->may, r->used);

	return (uint32_t)MT_MAX(MT_MIN(left * table_times(&r->t->codec), UINT32_MAX), 1);
}

enum table_rc table_sum(struct table_run *r, const struct mt_ct_sum *sum)
{
	struct table_state *s = r->s;
	uint32_t from, to;
	const uint8_t *p;

	if (!table_sum_range(sum, r->msg->len, &from, &to))
		return TABLE_ABSENT;
	if (r->unsummed)
		return readable(r, sum, to);
	if (!s->phase) {
		s->phase = 1;
		s->pos = from;
		s->mark = sum->initial;
	}
	for (uint32_t n; (n = table_piece(r, s->pos, to, &p)) > 0;) {
		n = MT_MIN(n, portion(r));
		s->mark = table_sum_add(sum, s->mark, p, n);
		s->pos += n;
		r->used += (n + SUM_STEPS) / table_times(&r->t->codec) + 1;
		if (s->pos < to && r->used >= r->may)
			return TABLE_WAIT;
	}
	if (s->pos < to) {
		table_arrived(r, s->pos + 1);
		return TABLE_WAIT;
	}
	/* A range without bytes may lie after those that have arrived. */
	return table_arrived(r, to) ? compare(r, sum) : TABLE_WAIT;
}
