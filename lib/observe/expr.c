/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluates expressions, in which values may still be unknown. */
#include "mt_expr.h"

const struct mt_expr_field_row mt_expr_fields[MT_EXPR_N_FIELDS] = {
#define MT_EXPR_FIELD(n, t, w) {#n, MT_EXPR_##t, w},
#include "expr_fields.def"
#undef MT_EXPR_FIELD
};

_Static_assert(MT_EXPR_N_FIELDS <= 64, "a bit for each field");

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

/*
 * Matches ignoring case; `*` stands for any bytes. Backtracks to the last star only, so that the
 * time is at most quadratic.
 */
static bool matches(const char *pat, uint32_t n, struct mt_slice s)
{
	uint32_t p = 0, i = 0, star = UINT32_MAX, from = 0;

	while (i < s.len) {
		if (p < n && pat[p] == '*') {
			star = p++;
			from = i;
		} else if (p < n && lower((uint8_t)pat[p]) == lower(s.p[i])) {
			p++;
			i++;
		} else if (star != UINT32_MAX) {
			p = star + 1;
			i = ++from;
		} else {
			return false;
		}
	}
	while (p < n && pat[p] == '*')
		p++;
	return p == n;
}

static bool compare(uint8_t cmp, uint64_t a, uint64_t b)
{
	switch ((enum mt_expr_cmp)cmp) {
	case MT_EXPR_EQ:
		return a == b;
	case MT_EXPR_NE:
		return a != b;
	case MT_EXPR_LT:
		return a < b;
	case MT_EXPR_LE:
		return a <= b;
	case MT_EXPR_GT:
		return a > b;
	case MT_EXPR_GE:
		return a >= b;
	}
	return false;
}

static bool holds(
	const struct mt_expr *x, const struct mt_expr_term *t, const union mt_expr_value *v)
{
	bool eq;

	switch (mt_expr_fields[t->field].type) {
	case MT_EXPR_ADDR:
		eq = mt_prefix_contains(&t->addr, t->prefix, &v->addr);
		break;
	case MT_EXPR_TEXT:
		eq = v->text.p && matches(x->texts + t->text, t->len, v->text);
		break;
	default:
		return compare(t->cmp, v->number, t->number);
	}
	return eq == (t->cmp == MT_EXPR_EQ);
}

static enum mt_tri term_of_field(const struct mt_expr *x, const struct mt_expr_term *t,
	const struct mt_expr_values *v, uint8_t field)
{
	if (!(v->known >> field & 1))
		return MT_TRI_MAYBE;
	return holds(x, t, &v->v[field]) ? MT_TRI_YES : MT_TRI_NO;
}

static enum mt_tri term(
	const struct mt_expr *x, const struct mt_expr_term *t, const struct mt_expr_values *v)
{
	enum mt_tri a, b;

	if (t->field != MT_EXPR_host)
		return term_of_field(x, t, v, t->field);
	a = term_of_field(x, t, v, MT_EXPR_src);
	b = term_of_field(x, t, v, MT_EXPR_dst);
	return t->cmp == MT_EXPR_EQ ? MT_MAX(a, b) : MT_MIN(a, b);
}

enum mt_tri mt_expr_eval(const struct mt_expr *x, const struct mt_expr_values *v)
{
	enum mt_tri stack[MT_EXPR_TERMS];
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->n_ops; i++) {
		uint8_t op = x->ops[i];

		if (op < MT_EXPR_TERMS) {
			stack[n++] = term(x, &x->terms[op], v);
			continue;
		}
		if (op == MT_EXPR_OP_NOT) {
			stack[n - 1] = MT_TRI_YES - stack[n - 1];
			continue;
		}
		n--;
		if (op == MT_EXPR_OP_AND)
			stack[n - 1] = MT_MIN(stack[n - 1], stack[n]);
		else
			stack[n - 1] = MT_MAX(stack[n - 1], stack[n]);
	}
	return n ? stack[0] : MT_TRI_YES;
}

uint64_t mt_expr_uses(const struct mt_expr *x)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < x->n_terms; i++)
		bits |= 1ull << x->terms[i].field;
	return bits;
}
