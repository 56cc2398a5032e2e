/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as bytes, in each form that a place has. */
#include "jce.h"
#include "write.h"

#include "mt_varint.h"

#include <stdio.h>

static uint64_t zigzag(uint64_t v)
{
	return v << 1 ^ (uint64_t)((int64_t)v >> 63);
}

static bool fits(const struct mt_ct_place *form, uint64_t v, uint32_t width)
{
	uint32_t unused = 64 - 8 * width;

	if (v & ~form->mask)
		return false;
	if (width >= 8)
		return true;
	if (form->flags & MT_CT_SIGNED)
		return (uint64_t)((int64_t)(v << unused) >> unused) == v;
	return v >> 8 * width == 0;
}

static uint32_t plain_width(const struct mt_ct_place *form, uint32_t old_len, uint64_t v, bool grow)
{
	uint32_t width = form->size ? form->size : old_len;

	if (width > 8)
		return 0;
	if (fits(form, v, width) && width > 0)
		return width;
	for (uint32_t w = 1; grow && !form->size && w <= 8; w *= 2)
		if (w > width && fits(form, v, w))
			return w;
	return 0;
}

static uint32_t jce_bytes(uint64_t v)
{
	int64_t s = (int64_t)v;

	if (s == 0)
		return 0;
	if (s == (int8_t)s)
		return 1;
	if (s == (int16_t)s)
		return 2;
	return s == (int32_t)s ? 4 : 8;
}

static uint32_t digits(uint64_t v)
{
	uint32_t n = 1;

	for (; v >= 10; v /= 10)
		n++;
	return n;
}

/* True for digits with a minus. */
static bool has_minus(const struct mt_ct_place *form, uint64_t v)
{
	return form->type == MT_CT_DECIMAL && form->flags & MT_CT_SIGNED && (int64_t)v < 0;
}

static uint32_t decimal_width(const struct mt_ct_place *form, uint64_t v)
{
	return has_minus(form, v) ? 1 + digits(-v) : digits(v);
}

static void put_decimal(const struct mt_ct_place *form, uint64_t v, uint8_t *to, uint32_t width)
{
	uint32_t minus = has_minus(form, v);

	v = minus ? -v : v;
	to[0] = '-';
	for (uint32_t i = width; i-- > minus; v /= 10)
		to[i] = (uint8_t)('0' + v % 10);
}

uint32_t write_number_width(
	const struct mt_ct_place *form, const uint8_t *old, uint32_t old_len, uint64_t v, bool grow)
{
	uint8_t tmp[10];
	uint32_t n;

	if (form->type == MT_CT_BIG || form->type == MT_CT_LITTLE)
		return plain_width(form, old_len, v, grow);
	if (v & ~form->mask)
		return 0;
	switch (form->type) {
	case MT_CT_DECIMAL:
		n = decimal_width(form, v);
		break;
	case MT_CT_VARINT:
		n = mt_varint_put(tmp, v);
		break;
	case MT_CT_ZIGZAG:
		n = mt_varint_put(tmp, zigzag(v));
		break;
	case MT_CT_JCE:
		n = table_jce_head(old, old_len) + jce_bytes(v);
		break;
	default:
		return 0;
	}
	if (!form->size)
		return n;
	return n <= form->size ? form->size : 0;
}

static void put_plain(const struct mt_ct_place *form, const uint8_t *old, uint32_t old_len,
	uint64_t v, uint8_t *to, uint32_t width)
{
	for (uint32_t i = 0; i < width; i++) {
		uint32_t shift = 8 * (form->type == MT_CT_LITTLE ? i : width - 1 - i);
		uint8_t mask = (uint8_t)(form->mask >> shift);
		uint8_t was = old_len == width ? old[i] : 0;

		to[i] = (uint8_t)((was & ~mask) | (uint8_t)(v >> shift));
	}
}

/* A varint with more bytes than it needs has zeros at its end. */
static void put_varint(uint64_t v, uint8_t *to, uint32_t width)
{
	uint32_t n = mt_varint_put(to, v);

	if (n >= width)
		return;
	to[n - 1] |= 0x80;
	for (; n + 1 < width; n++)
		to[n] = 0x80;
	to[n] = 0;
}

static void put_jce(const uint8_t *old, uint32_t old_len, uint64_t v, uint8_t *to, uint32_t width)
{
	static const uint8_t types[9] = {12, 0, 1, 0, 2, 0, 0, 0, 3};
	uint32_t head = table_jce_head(old, old_len), n = width - head;

	if (old_len >= head)
		memcpy(to, old, head);
	to[0] = (uint8_t)((to[0] & 0xf0) | types[n]);
	for (uint32_t i = 0; i < n; i++)
		to[head + i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

void write_number(const struct mt_ct_place *form, const uint8_t *old, uint32_t old_len, uint64_t v,
	uint8_t *to, uint32_t width)
{
	switch (form->type) {
	case MT_CT_DECIMAL:
		put_decimal(form, v, to, width);
		return;
	case MT_CT_VARINT:
		put_varint(v, to, width);
		return;
	case MT_CT_ZIGZAG:
		put_varint(zigzag(v), to, width);
		return;
	case MT_CT_JCE:
		put_jce(old, old_len, v, to, width);
		return;
	default:
		put_plain(form, old, old_len, v, to, width);
	}
}
