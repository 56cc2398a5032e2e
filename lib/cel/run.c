/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluates code. Jumps go forward only, so the loop ends after the last instruction. */
#include "mt_cel_priv.h"
#include "re2_shim.h"

struct mt_cel_value mt_cel_error(const char *why)
{
	return (struct mt_cel_value){.type = MT_CEL_ERROR, .why = why};
}

uint8_t *mt_cel_scratch(struct mt_cel_frame *f, uint64_t n)
{
	uint8_t *to = f->scratch + f->n_scratch;

	if (n > sizeof(f->scratch) - f->n_scratch)
		return NULL;
	f->n_scratch += (uint32_t)n;
	return to;
}

static struct mt_cel_value attribute(const struct mt_cel *cel, uint32_t i, void *arg, bool has)
{
	struct mt_cel_value v = cel->attributes[i].get(arg);

	if (has)
		return v.type == MT_CEL_ERROR ? v : mt_cel_bool(v.type != MT_CEL_ABSENT);
	return v.type == MT_CEL_ABSENT ? mt_cel_error("the attribute has no value") : v;
}

static struct mt_cel_value member(const struct mt_cel_value *v, struct mt_slice key, bool has)
{
	struct mt_cel_value found;
	bool there;

	if (v->type == MT_CEL_ERROR)
		return *v;
	/* As in cel-go, what is not a map has no members, but no member can be read from it. */
	if (v->type != MT_CEL_MAP)
		return has ? mt_cel_bool(false) : mt_cel_error(MT_CEL_NO_OVERLOAD);
	there = v->map.find(v->map.of, key, &found) && found.type != MT_CEL_ABSENT;
	if (has)
		return mt_cel_bool(there);
	return there ? found : mt_cel_error(MT_CEL_NO_KEY);
}

/* Both operands were evaluated: an error counts unless the other one decides. */
static struct mt_cel_value both(
	const struct mt_cel_value *a, const struct mt_cel_value *b, bool is_and)
{
	bool decides = !is_and;

	if (a->type == MT_CEL_BOOL && a->yes == decides)
		return *a;
	if (b->type == MT_CEL_BOOL && b->yes == decides)
		return *b;
	if (a->type == MT_CEL_BOOL && b->type == MT_CEL_BOOL)
		return *b;
	if (a->type == MT_CEL_ERROR)
		return *a;
	return b->type == MT_CEL_ERROR ? *b : mt_cel_error(MT_CEL_NO_OVERLOAD);
}

static struct mt_cel_value not_of(const struct mt_cel_value *v)
{
	return v->type == MT_CEL_BOOL ? mt_cel_bool(!v->yes) : mt_cel_error(MT_CEL_NO_OVERLOAD);
}

static struct mt_cel_value list_of(const struct mt_cel_frame *f, uint32_t first, uint32_t n)
{
	struct mt_cel_value v = {.type = MT_CEL_LIST, .list = {f->cells + first, n}};

	for (uint32_t i = 0; i < n; i++)
		if (f->cells[first + i].type == MT_CEL_ERROR)
			return f->cells[first + i];
	return v;
}

static struct mt_cel_value matches(
	struct mt_cel_frame *f, const struct mt_re2 *re, const struct mt_cel_value *v)
{
	if (v->type != MT_CEL_STRING)
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	if (!mt_cel_work(f, v->text.len))
		return mt_cel_error(MT_CEL_TOO_MUCH);
	return mt_cel_bool(mt_re2_full_match(re, (const char *)v->text.p, v->text.len));
}

/* Operators of two operands that are not errors. */
static struct mt_cel_value binary(struct mt_cel_frame *f, uint8_t op, const struct mt_cel_value *a,
	const struct mt_cel_value *b)
{
	struct mt_cel_value v;

	switch (op) {
	case MT_CEL_OP_INDEX:
		return mt_cel_index(f, a, b);
	case MT_CEL_OP_IN:
		return mt_cel_in(f, a, b);
	case MT_CEL_OP_EQ:
		return mt_cel_equal(f, a, b);
	case MT_CEL_OP_NE:
		v = mt_cel_equal(f, a, b);
		return v.type == MT_CEL_BOOL ? mt_cel_bool(!v.yes) : v;
	case MT_CEL_OP_LT:
	case MT_CEL_OP_LE:
	case MT_CEL_OP_GT:
	case MT_CEL_OP_GE:
		return mt_cel_order(f, op, a, b);
	case MT_CEL_OP_STARTS_WITH:
	case MT_CEL_OP_ENDS_WITH:
	case MT_CEL_OP_CONTAINS:
		return mt_cel_text_call(f, op, a, b);
	default:
		return op >= MT_CEL_OP_FULL_YEAR ? mt_cel_get_time(op, a, b)
						 : mt_cel_arith(f, op, a, b);
	}
}

/* Operators and functions of one operand, which is not an error. */
static struct mt_cel_value one(struct mt_cel_frame *f, uint8_t op, const struct mt_cel_value *v)
{
	switch (op) {
	case MT_CEL_OP_NOT:
		return not_of(v);
	case MT_CEL_OP_NEG:
		return mt_cel_negate(v);
	case MT_CEL_OP_SIZE:
		return mt_cel_text_call(f, op, v, NULL);
	case MT_CEL_OP_TO_DYN:
		return *v;
	default:
		return op >= MT_CEL_OP_FULL_YEAR ? mt_cel_get_time(op, v, NULL)
						 : mt_cel_convert(f, op, v);
	}
}

struct machine {
	const struct mt_cel *cel;
	struct mt_cel_frame *f;
	void *arg;
	struct mt_cel_value *top; /* the next free place of the stack */
};

/* Applies an operator to the values on the stack, unless one is an error. */
static void apply(struct machine *m, const struct mt_cel_code *c)
{
	bool is_one = c->op == MT_CEL_OP_NOT || c->op == MT_CEL_OP_NEG ||
		      (c->op >= MT_CEL_OP_SIZE && c->n == 1);
	struct mt_cel_value *a = m->top - (is_one ? 1 : 2), *b = m->top - 1;

	m->top = a + 1;
	if (a->type == MT_CEL_ERROR)
		return;
	if (is_one)
		*a = one(m->f, c->op, a);
	else
		*a = b->type == MT_CEL_ERROR ? *b : binary(m->f, c->op, a, b);
}

static void branch(struct machine *m, const struct mt_cel_code *c, uint32_t *next)
{
	struct mt_cel_value *v = --m->top;

	if (v->type == MT_CEL_BOOL) {
		if (!v->yes)
			*next = c->arg;
		return;
	}
	/* An error is the result. The jump before the other branch leads to the end. */
	if (v->type != MT_CEL_ERROR)
		*v = mt_cel_error(MT_CEL_NO_OVERLOAD);
	m->top++;
	*next = m->cel->code[c->arg - 1].arg;
}

static bool is_bool(const struct mt_cel_value *v, bool yes)
{
	return v->type == MT_CEL_BOOL && v->yes == yes;
}

/* Runs one instruction; *next: the one after it, which a jump changes. */
static void step(struct machine *m, const struct mt_cel_code *c, uint32_t *next)
{
	const struct mt_cel *cel = m->cel;
	struct mt_cel_value *last = m->top - 1; /* not read if the stack is empty */

	switch (c->op) {
	case MT_CEL_OP_CONST:
		*m->top++ = cel->consts[c->arg];
		return;
	case MT_CEL_OP_ATTR:
	case MT_CEL_OP_HAS_ATTR:
		*m->top++ = attribute(cel, c->arg, m->arg, c->op == MT_CEL_OP_HAS_ATTR);
		return;
	case MT_CEL_OP_KEY:
	case MT_CEL_OP_HAS_KEY:
		*last = member(last, cel->consts[c->arg].text, c->op == MT_CEL_OP_HAS_KEY);
		return;
	case MT_CEL_OP_AND_JUMP:
	case MT_CEL_OP_OR_JUMP:
		if (is_bool(last, c->op == MT_CEL_OP_OR_JUMP))
			*next = c->arg;
		return;
	case MT_CEL_OP_AND:
	case MT_CEL_OP_OR:
		last[-1] = both(last - 1, last, c->op == MT_CEL_OP_AND);
		m->top--;
		return;
	case MT_CEL_OP_IF:
		branch(m, c, next);
		return;
	case MT_CEL_OP_JUMP:
		*next = c->arg;
		return;
	case MT_CEL_OP_CELL:
		m->f->cells[c->arg] = *last;
		m->top--;
		return;
	case MT_CEL_OP_LIST:
		*m->top++ = list_of(m->f, c->arg, c->n);
		return;
	case MT_CEL_OP_MATCHES:
		if (last->type != MT_CEL_ERROR)
			*last = matches(m->f, cel->matches[c->arg], last);
		return;
	default:
		apply(m, c);
	}
}

struct mt_cel_value mt_cel_run(const struct mt_cel *cel, struct mt_cel_frame *frame, void *arg)
{
	struct machine m = {cel, frame, arg, frame->stack};

	frame->n_cells = cel->n_cells;
	frame->n_scratch = 0;
	frame->work = MT_CEL_WORK;
	frame->steps = 0;
	for (uint32_t at = 0, next; at < cel->n_code; at = next) {
		next = at + 1;
		step(&m, &cel->code[at], &next);
		frame->steps++;
		if (m.top > frame->stack && m.top[-1].type == MT_CEL_ERROR && !m.top[-1].column)
			m.top[-1].column = cel->code[at].column;
	}
	return frame->stack[0];
}

bool mt_cel_is_true(const struct mt_cel *cel, struct mt_cel_frame *frame, void *arg)
{
	struct mt_cel_value v = mt_cel_run(cel, frame, arg);

	return is_bool(&v, true);
}
