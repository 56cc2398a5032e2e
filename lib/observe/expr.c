/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluates expressions over typed values, some of them still unknown. */
#include "mt_expr.h"

#include <math.h>

/* Numbers with a fraction are equal if they agree in the two decimals that tables show. */
#define HALF_SHOWN 0.005

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

static bool contains(struct mt_slice s, const char *part, uint32_t n)
{
	for (uint32_t i = 0; n <= s.len && i <= s.len - n; i++) {
		uint32_t k = 0;

		while (k < n && lower(s.p[i + k]) == lower((uint8_t)part[k]))
			k++;
		if (k == n)
			return true;
	}
	return false;
}

static int order_of_texts(struct mt_slice s, const char *text, uint32_t n)
{
	int c = memcmp(s.p, text, MT_MIN(s.len, n));

	return c ? c : (s.len > n) - (s.len < n);
}

/* Result of an operator, by the order of value and constant. */
static struct mt_value by_order(uint8_t cmp, int order)
{
	static const struct {
		bool less, same, more;
	} rows[] = {[MT_EXPR_EQ] = {false, true, false},
		[MT_EXPR_NE] = {true, false, true},
		[MT_EXPR_LT] = {true, false, false},
		[MT_EXPR_LE] = {true, true, false},
		[MT_EXPR_GT] = {false, false, true},
		[MT_EXPR_GE] = {false, true, true}};

	return mt_value_bool(order < 0 ? rows[cmp].less : order ? rows[cmp].more : rows[cmp].same);
}

static struct mt_value by_text(
	const struct mt_expr *x, const struct mt_expr_term *t, struct mt_slice s)
{
	const char *text = x->texts + t->text;

	switch (t->cmp) {
	case MT_EXPR_EQ:
		return mt_value_bool(matches(text, t->len, s));
	case MT_EXPR_NE:
		return mt_value_bool(!matches(text, t->len, s));
	case MT_EXPR_HAS:
		return mt_value_bool(contains(s, text, t->len));
	default:
		return by_order(t->cmp, order_of_texts(s, text, t->len));
	}
}

static struct mt_value by_number(const struct mt_expr_term *t, const struct mt_value *v)
{
	double a = v->type == MT_VALUE_INT ? (double)v->n : v->real;
	double b = t->type == MT_VALUE_INT ? (double)t->number : t->real;

	if (v->type == MT_VALUE_INT && t->type == MT_VALUE_INT)
		return by_order(t->cmp, (v->n > t->number) - (v->n < t->number));
	if (t->cmp == MT_EXPR_EQ || t->cmp == MT_EXPR_NE)
		return mt_value_bool((fabs(a - b) <= HALF_SHOWN) == (t->cmp == MT_EXPR_EQ));
	return by_order(t->cmp, (a > b) - (a < b));
}

/* `-` and "" equal an absent value; every other operator but != is false. */
static struct mt_value by_absence(const struct mt_expr *x, const struct mt_expr_term *t)
{
	bool eq = t->type == MT_VALUE_ABSENT ||
		  (t->type == MT_VALUE_TEXT &&
			  (t->len == 0 || (t->len == 1 && x->texts[t->text] == '-')));

	return mt_value_bool(t->cmp == MT_EXPR_NE ? !eq : eq && t->cmp == MT_EXPR_EQ);
}

static bool is_number(uint8_t type)
{
	return type == MT_VALUE_INT || type == MT_VALUE_NUMBER;
}

static struct mt_value term(
	const struct mt_expr *x, const struct mt_expr_term *t, const struct mt_value *v)
{
	bool ne = t->cmp == MT_EXPR_NE;

	if (v->type == MT_VALUE_UNKNOWN || v->type == MT_VALUE_ERROR)
		return *v;
	if (v->type == MT_VALUE_ABSENT)
		return by_absence(x, t);
	if (t->type == MT_VALUE_ABSENT)
		return mt_value_bool(ne);
	if (is_number(v->type) && is_number(t->type))
		return by_number(t, v);
	if (v->type != t->type)
		return (struct mt_value){.type = MT_VALUE_ERROR};
	if (v->type == MT_VALUE_TEXT)
		return by_text(x, t, v->text);
	if (v->type == MT_VALUE_BOOL)
		return mt_value_bool((v->yes == t->yes) != ne);
	return mt_value_bool(mt_prefix_contains(&t->addr, t->prefix, &v->addr) != ne);
}

/*
 * The operand that decides: `and` is false if one is, `or` true if one is. Otherwise an unknown
 * operand may still decide, and an error remains.
 */
static struct mt_value joined(struct mt_value a, struct mt_value b, bool decides)
{
	if (a.type == MT_VALUE_BOOL && a.yes == decides)
		return a;
	if (b.type == MT_VALUE_BOOL)
		return b.yes == decides ? b : a;
	return a.type == MT_VALUE_UNKNOWN || a.type == MT_VALUE_ERROR
		       ? (b.type == MT_VALUE_UNKNOWN ? b : a)
		       : b;
}

struct mt_value mt_expr_run(const struct mt_expr *x, mt_expr_get get, void *arg)
{
	struct mt_value stack[MT_EXPR_TERMS];
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->n_ops; i++) {
		uint8_t op = x->ops[i];

		if (op < MT_EXPR_TERMS) {
			struct mt_value v = get(arg, x->terms[op].field);

			stack[n++] = term(x, &x->terms[op], &v);
			continue;
		}
		if (op == MT_EXPR_OP_NOT) {
			if (stack[n - 1].type == MT_VALUE_BOOL)
				stack[n - 1].yes = !stack[n - 1].yes;
			continue;
		}
		n--;
		stack[n - 1] = joined(stack[n - 1], stack[n], op == MT_EXPR_OP_OR);
	}
	return n ? stack[0] : mt_value_bool(true);
}

struct mt_value mt_expr_field_value(void *arg, uint32_t id)
{
	const struct mt_expr_values *v = arg;

	if (id >= MT_EXPR_N_FIELDS || !(v->known >> id & 1))
		return (struct mt_value){.type = MT_VALUE_UNKNOWN};
	switch (mt_expr_fields[id].type) {
	case MT_EXPR_ADDR:
		return (struct mt_value){MT_VALUE_ADDR, {.addr = v->v[id].addr}};
	case MT_EXPR_TEXT:
		if (!v->v[id].text.p)
			return (struct mt_value){.type = MT_VALUE_ABSENT};
		return (struct mt_value){MT_VALUE_TEXT, {.text = v->v[id].text}};
	default:
		return (struct mt_value){MT_VALUE_INT, {.n = (int64_t)v->v[id].number}};
	}
}

enum mt_tri mt_expr_eval(const struct mt_expr *x, const struct mt_expr_values *v)
{
	struct mt_value r = mt_expr_run(x, mt_expr_field_value, (void *)v);

	if (r.type == MT_VALUE_UNKNOWN)
		return MT_TRI_MAYBE;
	return r.type == MT_VALUE_BOOL && r.yes ? MT_TRI_YES : MT_TRI_NO;
}

uint64_t mt_expr_uses(const struct mt_expr *x)
{
	uint64_t bits = 0;

	for (uint32_t i = 0; i < x->n_terms; i++)
		if (x->terms[i].field < MT_EXPR_N_FIELDS)
			bits |= 1ull << x->terms[i].field;
	return bits;
}

bool mt_expr_uses_others(const struct mt_expr *x)
{
	for (uint32_t i = 0; i < x->n_terms; i++)
		if (x->terms[i].field >= MT_EXPR_N_FIELDS)
			return true;
	return false;
}
