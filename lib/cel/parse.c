/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses by recursive descent, and emits code after its operands:
 *
 *    expr = or [ "?" or ":" expr ]      or = and { "||" and }      and = relation { "&&" relation }
 *    relation = sum { ("<" | "<=" | ">" | ">=" | "==" | "!=" | "in") sum }
 *    sum = product { ("+" | "-") product }      product = unary { ("*" | "/" | "%") unary }
 *    unary = { "!" } member | { "-" } member
 *    member = primary { "." name [ "(" args ")" ] | "[" expr "]" }
 *    primary = literal | attribute | name "(" args ")" | "(" expr ")" | list
 *    list = "[" [ expr { "," expr } [ "," ] ] "]"
 */
#include "mt_cel_parse.h"

#include <string.h>

int mt_cel_enter(struct mt_cel_parser *p)
{
	if (p->depth == MT_CEL_DEPTH)
		return mt_cel_fail(
			p, p->now.at, "nested deeper than %d; divide the expression", MT_CEL_DEPTH);
	p->depth++;
	return 0;
}

static int nothing_here(struct mt_cel_parser *p)
{
	if (p->now.kind == MT_CEL_T_END)
		return mt_cel_fail(p, p->now.at, "the expression ends where a value is missing");
	if (mt_cel_is(p, "{"))
		return mt_cel_fail(p, p->now.at,
			"maps and messages cannot be written here; compare their members");
	return mt_cel_fail(p, p->now.at, "found `%.*s` where a value is missing",
		(int)MT_MIN(p->now.len, 40u), p->text + p->now.at);
}

static int literal(struct mt_cel_parser *p, bool minus, uint32_t at, struct mt_cel_static *t)
{
	struct mt_cel_value v;
	int rc = mt_cel_literal(p, &p->now, minus, &v);

	if (rc == 0)
		rc = mt_cel_emit_const(p, at, &v);
	*t = (struct mt_cel_static){.base = v.type};
	return rc ? rc : mt_cel_advance(p);
}

static int named(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	static const char *const reserved[] = {"as", "break", "const", "continue", "else", "for",
		"function", "if", "import", "in", "let", "loop", "namespace", "package", "return",
		"var", "void", "while"};
	struct mt_cel_value v = {.type = MT_CEL_NULL};
	uint32_t at = p->now.at;
	int rc;

	if (p->next.kind == MT_CEL_T_SIGN && p->text[p->next.at] == '(')
		return mt_cel_global_call(p, t);
	if (mt_cel_is(p, "true") || mt_cel_is(p, "false"))
		v = mt_cel_bool(mt_cel_is(p, "true"));
	else if (!mt_cel_is(p, "null")) {
		for (size_t i = 0; i < MT_ARRAY_LEN(reserved); i++)
			if (mt_cel_is(p, reserved[i]))
				return mt_cel_fail(p, at, "`%s` is a reserved word; write a value",
					reserved[i]);
		return mt_cel_attribute(p, t);
	}
	*t = (struct mt_cel_static){.base = v.type};
	rc = mt_cel_emit_const(p, at, &v);
	return rc ? rc : mt_cel_advance(p);
}

static int primary(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	int rc = 0;

	switch (p->now.kind) {
	case MT_CEL_T_INT:
	case MT_CEL_T_UINT:
	case MT_CEL_T_DOUBLE:
	case MT_CEL_T_TEXT:
		return literal(p, false, p->now.at, t);
	case MT_CEL_T_NAME:
		return named(p, t);
	default:
		break;
	}
	if (mt_cel_is(p, "["))
		return mt_cel_list(p, t);
	if (!mt_cel_take(p, "(", &rc))
		return nothing_here(p);
	if (rc == 0)
		rc = mt_cel_expr(p, t);
	p->is_select = false;
	return rc ? rc : mt_cel_expect(p, ")", "after an expression in parentheses");
}

int mt_cel_member(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	int rc;

	p->is_select = false;
	rc = primary(p, t);
	while (rc == 0 && (mt_cel_is(p, ".") || mt_cel_is(p, "[")))
		rc = mt_cel_select(p, t);
	return rc;
}

/* `-` before a number is part of it, so that the smallest int can be written. */
static int minus_number(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	uint32_t at = p->now.at;
	int rc = mt_cel_advance(p);

	p->is_select = false;
	if (rc == 0)
		rc = literal(p, true, at, t);
	while (rc == 0 && (mt_cel_is(p, ".") || mt_cel_is(p, "[")))
		rc = mt_cel_select(p, t);
	return rc;
}

static int unary(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	bool is_not = mt_cel_is(p, "!"), again;
	struct mt_cel_static arg;
	uint32_t at = p->now.at;
	int rc = 0;

	if (!is_not && !mt_cel_is(p, "-"))
		return mt_cel_member(p, t);
	if (!is_not && (p->next.kind == MT_CEL_T_INT || p->next.kind == MT_CEL_T_DOUBLE))
		return minus_number(p, t);
	rc = mt_cel_enter(p);
	if (rc == 0)
		rc = mt_cel_advance(p);
	if (rc)
		return rc;
	again = mt_cel_is(p, is_not ? "!" : "-");
	rc = again ? unary(p, &arg) : mt_cel_member(p, &arg);
	p->depth--;
	return rc ? rc : mt_cel_apply(p, is_not ? MT_CEL_OP_NOT : MT_CEL_OP_NEG, at, &arg, 1, t);
}

/* ---- operators of two operands, loosest first ----------------------------------------------- */

struct binary {
	const char *word;
	uint8_t op;
};

static const struct binary relations[] = {{"<", MT_CEL_OP_LT}, {"<=", MT_CEL_OP_LE},
	{">", MT_CEL_OP_GT}, {">=", MT_CEL_OP_GE}, {"==", MT_CEL_OP_EQ}, {"!=", MT_CEL_OP_NE},
	{"in", MT_CEL_OP_IN}, {0}};
static const struct binary sums[] = {{"+", MT_CEL_OP_ADD}, {"-", MT_CEL_OP_SUB}, {0}};
static const struct binary products[] = {
	{"*", MT_CEL_OP_MUL}, {"/", MT_CEL_OP_DIV}, {"%", MT_CEL_OP_MOD}, {0}};

static const struct binary *const levels[] = {relations, sums, products};

static int binary(struct mt_cel_parser *p, uint32_t level, struct mt_cel_static *t)
{
	struct mt_cel_static args[2];
	int rc;

	if (level == MT_ARRAY_LEN(levels))
		return unary(p, t);
	rc = binary(p, level + 1, t);
	while (rc == 0) {
		const struct binary *b = levels[level];
		uint32_t at = p->now.at;

		while (b->word && !mt_cel_is(p, b->word))
			b++;
		if (!b->word)
			return 0;
		args[0] = *t;
		rc = mt_cel_advance(p);
		if (rc == 0)
			rc = binary(p, level + 1, &args[1]);
		if (rc == 0)
			rc = mt_cel_apply(p, b->op, at, args, 2, t);
	}
	return rc;
}

/* Operands of `&&` or `||`; the jump skips the next one if the result is known. */
static int logic(struct mt_cel_parser *p, bool is_and, struct mt_cel_static *t)
{
	struct mt_cel_static args[2];
	int rc = is_and ? binary(p, 0, t) : logic(p, true, t);

	while (rc == 0 && mt_cel_is(p, is_and ? "&&" : "||")) {
		uint32_t at = p->now.at, jump = p->cel->n_code;

		args[0] = *t;
		rc = mt_cel_emit(p, is_and ? MT_CEL_OP_AND_JUMP : MT_CEL_OP_OR_JUMP, at, 0, 0);
		if (rc == 0)
			rc = mt_cel_advance(p);
		if (rc == 0)
			rc = is_and ? binary(p, 0, &args[1]) : logic(p, true, &args[1]);
		if (rc == 0)
			rc = mt_cel_apply(p, is_and ? MT_CEL_OP_AND : MT_CEL_OP_OR, at, args, 2, t);
		if (rc == 0)
			mt_cel_land(p, jump);
	}
	return rc;
}

/* The branches of `?:`; its condition is on the stack. */
static int branches(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	uint32_t at = p->now.at, other = p->cel->n_code, end = 0;
	struct mt_cel_static a, b;
	char type[40], type_b[40];
	bool ok;
	int rc;

	if (t->base != MT_CEL_BOOL && t->base != MT_CEL_DYN)
		return mt_cel_fail(p, at, "the condition of `?` is %s; compare it, as in x != \"\"",
			mt_cel_static_str(*t, type, sizeof(type)));
	rc = mt_cel_emit(p, MT_CEL_OP_IF, at, 0, 0);
	if (rc == 0)
		rc = mt_cel_advance(p);
	if (rc == 0)
		rc = logic(p, false, &a);
	end = p->cel->n_code;
	if (rc == 0)
		rc = mt_cel_emit(p, MT_CEL_OP_JUMP, at, 0, 0);
	if (rc == 0) {
		mt_cel_land(p, other);
		rc = mt_cel_expect(p, ":", "after the first value of `?`");
	}
	if (rc == 0)
		rc = mt_cel_expr(p, &b);
	if (rc)
		return rc;
	mt_cel_land(p, end);
	*t = mt_cel_join(a, b, &ok);
	if (!ok)
		return mt_cel_fail(p, at,
			"the values of `?` are %s and %s; convert one, as in string(x)",
			mt_cel_static_str(a, type, sizeof(type)),
			mt_cel_static_str(b, type_b, sizeof(type_b)));
	return 0;
}

int mt_cel_expr(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	int rc = mt_cel_enter(p);

	if (rc == 0)
		rc = logic(p, false, t);
	if (rc == 0 && mt_cel_is(p, "?")) {
		rc = branches(p, t);
		p->is_select = false;
	}
	p->depth--;
	return rc;
}
