/* SPDX-License-Identifier: Apache-2.0 */
/* Code and constants of an expression that is compiled, with their limits. */
#include "mt_cel_parse.h"

#include <string.h>

/* Values that an instruction leaves on the stack, less those that it takes. */
static int32_t growth(uint8_t op, uint32_t n)
{
	switch (op) {
	case MT_CEL_OP_CONST:
	case MT_CEL_OP_ATTR:
	case MT_CEL_OP_HAS_ATTR:
	case MT_CEL_OP_LIST:
		return 1;
	case MT_CEL_OP_KEY:
	case MT_CEL_OP_HAS_KEY:
	case MT_CEL_OP_NEG:
	case MT_CEL_OP_NOT:
	case MT_CEL_OP_AND_JUMP:
	case MT_CEL_OP_OR_JUMP:
		return 0;
	case MT_CEL_OP_IF:
	case MT_CEL_OP_CELL:
	case MT_CEL_OP_JUMP: /* the other branch follows, and starts without this one's value */
		return -1;
	case MT_CEL_OP_MATCHES:
		return 0;
	default:
		return op >= MT_CEL_OP_SIZE ? 1 - (int32_t)n : -1;
	}
}

int mt_cel_emit(struct mt_cel_parser *p, uint8_t op, uint32_t at, uint32_t n, uint32_t arg)
{
	struct mt_cel *cel = p->cel;

	if (cel->n_code == MT_CEL_CODE)
		return mt_cel_fail(p, at, "the expression has more than %d operations; divide it",
			MT_CEL_CODE);
	p->height = (uint32_t)((int32_t)p->height + growth(op, n));
	if (p->height > MT_CEL_STACK)
		return mt_cel_fail(p, at,
			"more than %d values wait for an operator; use fewer parentheses",
			MT_CEL_STACK);
	cel->code[cel->n_code++] = (struct mt_cel_code){
		.op = op, .column = (uint16_t)(at + 1), .n = (uint16_t)n, .arg = (uint16_t)arg};
	return 0;
}

int mt_cel_add_const(
	struct mt_cel_parser *p, uint32_t at, const struct mt_cel_value *v, uint32_t *i)
{
	struct mt_cel *cel = p->cel;

	if (cel->n_consts == MT_CEL_CONSTS)
		return mt_cel_fail(
			p, at, "more than %d constants; divide the expression", MT_CEL_CONSTS);
	*i = cel->n_consts++;
	cel->consts[*i] = *v;
	return 0;
}

int mt_cel_emit_const(struct mt_cel_parser *p, uint32_t at, const struct mt_cel_value *v)
{
	uint32_t i = 0;
	int rc = mt_cel_add_const(p, at, v, &i);

	return rc ? rc : mt_cel_emit(p, MT_CEL_OP_CONST, at, 0, i);
}

void mt_cel_land(struct mt_cel_parser *p, uint32_t jump)
{
	p->cel->code[jump].arg = p->cel->n_code;
}

const char *mt_cel_op_str(uint8_t op)
{
	static const char *const words[MT_CEL_OPS] = {
		[MT_CEL_OP_INDEX] = "[]",
		[MT_CEL_OP_IN] = "in",
		[MT_CEL_OP_EQ] = "==",
		[MT_CEL_OP_NE] = "!=",
		[MT_CEL_OP_LT] = "<",
		[MT_CEL_OP_LE] = "<=",
		[MT_CEL_OP_GT] = ">",
		[MT_CEL_OP_GE] = ">=",
		[MT_CEL_OP_ADD] = "+",
		[MT_CEL_OP_SUB] = "-",
		[MT_CEL_OP_MUL] = "*",
		[MT_CEL_OP_DIV] = "/",
		[MT_CEL_OP_MOD] = "%",
		[MT_CEL_OP_NEG] = "-",
		[MT_CEL_OP_NOT] = "!",
		[MT_CEL_OP_AND] = "&&",
		[MT_CEL_OP_OR] = "||",
#define MT_CEL_FUNCTION(name, word, is_member, is_global, most) [MT_CEL_OP_##name] = word,
#include "functions.def"
#undef MT_CEL_FUNCTION
	};

	return words[op] ? words[op] : "?";
}

int mt_cel_apply(struct mt_cel_parser *p, uint8_t op, uint32_t at, const struct mt_cel_static *args,
	uint32_t n, struct mt_cel_static *result)
{
	char a[40], b[40];

	if (mt_cel_resolve(op, args, n, result))
		return mt_cel_emit(p, op, at, n, 0);
	if (n == 1)
		return mt_cel_fail(p, at,
			"`%s` does not take %s; convert it, or use another attribute",
			mt_cel_op_str(op), mt_cel_static_str(args[0], a, sizeof(a)));
	return mt_cel_fail(p, at,
		"`%s` does not take %s and %s; convert one, as in int(x) or string(x)",
		mt_cel_op_str(op), mt_cel_static_str(args[0], a, sizeof(a)),
		mt_cel_static_str(args[1], b, sizeof(b)));
}
