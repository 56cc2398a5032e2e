/* SPDX-License-Identifier: Apache-2.0 */
/* Which values of a map attribute an expression reads: those with constant names. */
#include "mt_cel_priv.h"

/* True if a jump leads to the instruction, so that the one before it may not have run. */
static bool is_target(const struct mt_cel *cel, uint32_t at)
{
	for (uint32_t i = 0; i < at; i++) {
		const struct mt_cel_code *c = &cel->code[i];

		if ((c->op == MT_CEL_OP_AND_JUMP || c->op == MT_CEL_OP_OR_JUMP ||
			    c->op == MT_CEL_OP_IF || c->op == MT_CEL_OP_JUMP) &&
			c->arg == at)
			return true;
	}
	return false;
}

/* The constant text that an instruction leaves; p NULL: it leaves something else. */
static struct mt_slice text_of(const struct mt_cel *cel, const struct mt_cel_code *c)
{
	if (c->op != MT_CEL_OP_CONST || cel->consts[c->arg].type != MT_CEL_STRING)
		return (struct mt_slice){NULL, 0};
	return cel->consts[c->arg].text;
}

/* The name that is read from the map which the instruction at `at` leaves. */
static struct mt_slice name_at(const struct mt_cel *cel, uint32_t at)
{
	const struct mt_cel_code *c = &cel->code[at];
	uint32_t left = cel->n_code - at - 1u;

	if (left && (c[1].op == MT_CEL_OP_KEY || c[1].op == MT_CEL_OP_HAS_KEY))
		return cel->consts[c[1].arg].text;
	if (left > 1 && c[2].op == MT_CEL_OP_INDEX)
		return text_of(cel, c + 1);
	if (left && at && c[1].op == MT_CEL_OP_IN && !is_target(cel, at))
		return text_of(cel, c - 1);
	return (struct mt_slice){NULL, 0};
}

bool mt_cel_name(const struct mt_cel *cel, uint32_t attribute, uint32_t i, struct mt_cel_name *to)
{
	for (uint32_t at = 0; at < cel->n_code; at++) {
		if (cel->code[at].op != MT_CEL_OP_ATTR || cel->code[at].arg != attribute || i--)
			continue;
		to->name = name_at(cel, at);
		to->column = cel->code[at].column;
		return true;
	}
	return false;
}
