/* SPDX-License-Identifier: Apache-2.0 */
/* Equality and order; numbers of different types compare by their mathematical values. */
#include "mt_cel_priv.h"

#include <math.h>
#include <string.h>

static bool is_number(const struct mt_cel_value *v)
{
	return v->type == MT_CEL_INT || v->type == MT_CEL_UINT || v->type == MT_CEL_DOUBLE;
}

#define UNORDERED 2

static int sign_of(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

static int int_uint(int64_t a, uint64_t b)
{
	return a < 0 || (uint64_t)a < b ? -1 : (uint64_t)a > b;
}

static int doubles(double a, double b)
{
	if (isnan(a) || isnan(b))
		return UNORDERED;
	return a < b ? -1 : a > b;
}

/* Compares as cel-go does: within the integers' range by converting the integer. */
static int int_double(int64_t a, double b)
{
	if (isnan(b))
		return UNORDERED;
	if (b < -0x1p63)
		return 1;
	return b > 0x1p63 ? -1 : doubles((double)a, b);
}

static int uint_double(uint64_t a, double b)
{
	if (isnan(b))
		return UNORDERED;
	if (b < 0)
		return 1;
	return b > 0x1p64 ? -1 : doubles((double)a, b);
}

static int reversed(int order)
{
	return order == UNORDERED ? UNORDERED : -order;
}

static int numbers(const struct mt_cel_value *a, const struct mt_cel_value *b)
{
	if (a->type == b->type) {
		if (a->type == MT_CEL_INT)
			return sign_of(a->n, b->n);
		if (a->type == MT_CEL_DOUBLE)
			return doubles(a->real, b->real);
		return a->u < b->u ? -1 : a->u > b->u;
	}
	if (a->type == MT_CEL_INT)
		return b->type == MT_CEL_UINT ? int_uint(a->n, b->u) : int_double(a->n, b->real);
	if (a->type == MT_CEL_UINT && b->type == MT_CEL_DOUBLE)
		return uint_double(a->u, b->real);
	return reversed(numbers(b, a));
}

static int texts(struct mt_slice a, struct mt_slice b)
{
	uint32_t n = MT_MIN(a.len, b.len);
	int order = n ? memcmp(a.p, b.p, n) : 0;

	return order ? (order < 0 ? -1 : 1) : sign_of(a.len, b.len);
}

static bool is_text(const struct mt_cel_value *v)
{
	return v->type == MT_CEL_STRING || v->type == MT_CEL_BYTES;
}

/* True if the values, which are not lists, are equal. */
static bool same(const struct mt_cel_value *a, const struct mt_cel_value *b)
{
	if (is_number(a) && is_number(b))
		return numbers(a, b) == 0;
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case MT_CEL_NULL:
		return true;
	case MT_CEL_BOOL:
		return a->yes == b->yes;
	case MT_CEL_TIMESTAMP:
		return a->n == b->n && a->ns == b->ns;
	case MT_CEL_DURATION:
		return a->n == b->n;
	case MT_CEL_STRING:
	case MT_CEL_BYTES:
		return a->text.len == b->text.len && texts(a->text, b->text) == 0;
	default:
		return a->type == MT_CEL_MAP && a->map.find == b->map.find &&
		       a->map.of == b->map.of;
	}
}

static bool pay(struct mt_cel_frame *f, const struct mt_cel_value *a, const struct mt_cel_value *b)
{
	return mt_cel_work(
		f, 1 + (is_text(a) && is_text(b) ? MT_MIN(a->text.len, b->text.len) : 0));
}

/* Lists are as deep as the expression, and attributes' lists have no lists of their own. */
static struct mt_cel_value equal_at(struct mt_cel_frame *f, const struct mt_cel_value *a,
	const struct mt_cel_value *b, uint32_t depth)
{
	struct mt_cel_value v = mt_cel_bool(true);

	if (!pay(f, a, b) || depth > MT_CEL_DEPTH)
		return mt_cel_error(MT_CEL_TOO_MUCH);
	if (a->type != MT_CEL_LIST || b->type != MT_CEL_LIST)
		return mt_cel_bool(same(a, b));
	if (a->list.n != b->list.n)
		return mt_cel_bool(false);
	for (uint32_t i = 0; i < a->list.n && v.type == MT_CEL_BOOL && v.yes; i++)
		v = equal_at(f, &a->list.of[i], &b->list.of[i], depth + 1);
	return v;
}

struct mt_cel_value mt_cel_equal(
	struct mt_cel_frame *f, const struct mt_cel_value *a, const struct mt_cel_value *b)
{
	return equal_at(f, a, b, 0);
}

static bool order_is(uint8_t op, int order)
{
	if (order == UNORDERED)
		return false;
	return op == MT_CEL_OP_LT   ? order < 0
	       : op == MT_CEL_OP_LE ? order <= 0
	       : op == MT_CEL_OP_GT ? order > 0
				    : order >= 0;
}

struct mt_cel_value mt_cel_order(struct mt_cel_frame *f, uint8_t op, const struct mt_cel_value *a,
	const struct mt_cel_value *b)
{
	int order;

	if (!pay(f, a, b))
		return mt_cel_error(MT_CEL_TOO_MUCH);
	if (is_number(a) && is_number(b)) {
		order = numbers(a, b);
		return mt_cel_bool(order_is(op, order));
	}
	if (a->type != b->type)
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	switch (a->type) {
	case MT_CEL_BOOL:
		order = (int)a->yes - (int)b->yes;
		break;
	case MT_CEL_STRING:
	case MT_CEL_BYTES:
		order = texts(a->text, b->text);
		break;
	case MT_CEL_TIMESTAMP:
		order = a->n == b->n ? sign_of(a->ns, b->ns) : sign_of(a->n, b->n);
		break;
	case MT_CEL_DURATION:
		order = sign_of(a->n, b->n);
		break;
	default:
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	}
	return mt_cel_bool(order_is(op, order));
}

struct mt_cel_value mt_cel_in(
	struct mt_cel_frame *f, const struct mt_cel_value *a, const struct mt_cel_value *b)
{
	struct mt_cel_value v = mt_cel_bool(false);

	if (b->type == MT_CEL_MAP) {
		if (a->type != MT_CEL_STRING)
			return v;
		return mt_cel_bool(b->map.find(b->map.of, a->text, &v) && v.type != MT_CEL_ABSENT);
	}
	if (b->type != MT_CEL_LIST)
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	for (uint32_t i = 0; i < b->list.n && v.type == MT_CEL_BOOL && !v.yes; i++)
		v = mt_cel_equal(f, a, &b->list.of[i]);
	return v;
}

/* The index of a list: an int, or another number without a fraction. -1: it is none. */
static int64_t index_of(const struct mt_cel_value *v)
{
	switch (v->type) {
	case MT_CEL_INT:
		return v->n < 0 ? -1 : v->n;
	case MT_CEL_UINT:
		return v->u > INT64_MAX ? -1 : (int64_t)v->u;
	case MT_CEL_DOUBLE:
		return v->real >= 0 && v->real < 0x1p62 && v->real == floor(v->real)
			       ? (int64_t)v->real
			       : -1;
	default:
		return -1;
	}
}

struct mt_cel_value mt_cel_index(
	struct mt_cel_frame *f, const struct mt_cel_value *a, const struct mt_cel_value *b)
{
	struct mt_cel_value v;
	int64_t i;

	(void)f;
	if (a->type == MT_CEL_MAP) {
		if (b->type != MT_CEL_STRING || !a->map.find(a->map.of, b->text, &v) ||
			v.type == MT_CEL_ABSENT)
			return mt_cel_error(MT_CEL_NO_KEY);
		return v;
	}
	i = index_of(b);
	if (a->type != MT_CEL_LIST)
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	return i >= 0 && i < a->list.n ? a->list.of[i] : mt_cel_error(MT_CEL_RANGE);
}
