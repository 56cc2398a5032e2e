/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic, which ends in errors instead of overflows. */
#include "mt_cel_priv.h"

static struct mt_cel_value range(void)
{
	return mt_cel_error(MT_CEL_RANGE);
}

static struct mt_cel_value of_int(uint8_t op, int64_t a, int64_t b)
{
	bool overflow = false;
	int64_t n = 0;

	switch (op) {
	case MT_CEL_OP_ADD:
		overflow = __builtin_add_overflow(a, b, &n);
		break;
	case MT_CEL_OP_SUB:
		overflow = __builtin_sub_overflow(a, b, &n);
		break;
	case MT_CEL_OP_MUL:
		overflow = __builtin_mul_overflow(a, b, &n);
		break;
	default:
		if (b == 0)
			return mt_cel_error("division by zero");
		overflow = a == INT64_MIN && b == -1;
		if (!overflow)
			n = op == MT_CEL_OP_DIV ? a / b : a % b;
	}
	return overflow ? range() : mt_cel_int(n);
}

static struct mt_cel_value of_uint(uint8_t op, uint64_t a, uint64_t b)
{
	struct mt_cel_value v = {.type = MT_CEL_UINT};
	bool overflow = false;

	switch (op) {
	case MT_CEL_OP_ADD:
		overflow = __builtin_add_overflow(a, b, &v.u);
		break;
	case MT_CEL_OP_SUB:
		overflow = __builtin_sub_overflow(a, b, &v.u);
		break;
	case MT_CEL_OP_MUL:
		overflow = __builtin_mul_overflow(a, b, &v.u);
		break;
	default:
		if (b == 0)
			return mt_cel_error("division by zero");
		v.u = op == MT_CEL_OP_DIV ? a / b : a % b;
	}
	return overflow ? range() : v;
}

/* Divides as IEEE 754 does: by zero to infinity or NaN. */
__attribute__((no_sanitize("float-divide-by-zero"))) static struct mt_cel_value of_double(
	uint8_t op, double a, double b)
{
	struct mt_cel_value v = {.type = MT_CEL_DOUBLE};

	switch (op) {
	case MT_CEL_OP_ADD:
		v.real = a + b;
		return v;
	case MT_CEL_OP_SUB:
		v.real = a - b;
		return v;
	case MT_CEL_OP_MUL:
		v.real = a * b;
		return v;
	case MT_CEL_OP_DIV:
		v.real = a / b;
		return v;
	default:
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	}
}

static struct mt_cel_value of_duration(uint8_t op, int64_t a, int64_t b)
{
	struct mt_cel_value v = of_int(op, a, b);

	if (v.type == MT_CEL_INT)
		v.type = MT_CEL_DURATION;
	return v;
}

/* A time plus or minus a duration. */
static struct mt_cel_value moved(const struct mt_cel_value *t, int64_t ns, bool minus)
{
	int64_t seconds = ns / MT_CEL_NS, rest = ns % MT_CEL_NS;

	return mt_cel_timestamp(
		t->n + (minus ? -seconds : seconds), (int64_t)t->ns + (minus ? -rest : rest));
}

static struct mt_cel_value between(const struct mt_cel_value *a, const struct mt_cel_value *b)
{
	int64_t ns;

	if (__builtin_mul_overflow(a->n - b->n, MT_CEL_NS, &ns) ||
		__builtin_add_overflow(ns, (int64_t)a->ns - (int64_t)b->ns, &ns))
		return range();
	return (struct mt_cel_value){.type = MT_CEL_DURATION, .n = ns};
}

static struct mt_cel_value of_times(
	uint8_t op, const struct mt_cel_value *a, const struct mt_cel_value *b)
{
	bool is_add = op == MT_CEL_OP_ADD, is_sub = op == MT_CEL_OP_SUB;

	if (!is_add && !is_sub)
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	if (a->type == MT_CEL_DURATION && b->type == MT_CEL_DURATION)
		return of_duration(op, a->n, b->n);
	if (a->type == MT_CEL_TIMESTAMP && b->type == MT_CEL_DURATION)
		return moved(a, b->n, is_sub);
	if (a->type == MT_CEL_DURATION && b->type == MT_CEL_TIMESTAMP && is_add)
		return moved(b, a->n, false);
	if (a->type == MT_CEL_TIMESTAMP && b->type == MT_CEL_TIMESTAMP && is_sub)
		return between(a, b);
	return mt_cel_error(MT_CEL_NO_OVERLOAD);
}

static bool is_time(const struct mt_cel_value *v)
{
	return v->type == MT_CEL_TIMESTAMP || v->type == MT_CEL_DURATION;
}

struct mt_cel_value mt_cel_arith(struct mt_cel_frame *f, uint8_t op, const struct mt_cel_value *a,
	const struct mt_cel_value *b)
{
	if (is_time(a) && is_time(b))
		return of_times(op, a, b);
	if (a->type != b->type)
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	switch (a->type) {
	case MT_CEL_INT:
		return of_int(op, a->n, b->n);
	case MT_CEL_UINT:
		return of_uint(op, a->u, b->u);
	case MT_CEL_DOUBLE:
		return of_double(op, a->real, b->real);
	default:
		return op == MT_CEL_OP_ADD ? mt_cel_concat(f, a, b)
					   : mt_cel_error(MT_CEL_NO_OVERLOAD);
	}
}

struct mt_cel_value mt_cel_negate(const struct mt_cel_value *a)
{
	if (a->type == MT_CEL_DOUBLE)
		return (struct mt_cel_value){.type = MT_CEL_DOUBLE, .real = -a->real};
	return a->type == MT_CEL_INT ? of_int(MT_CEL_OP_SUB, 0, a->n)
				     : mt_cel_error(MT_CEL_NO_OVERLOAD);
}
