/* SPDX-License-Identifier: Apache-2.0 */
/* A compiled expression's start and end. */
#include "mt_cel_parse.h"
#include "mt_utf8.h"
#include "re2_shim.h"

#include <stdlib.h>

static int compile(struct mt_cel_parser *p)
{
	struct mt_cel_static t = MT_CEL_IS(DYN);
	int rc;

	if (p->len > MT_CEL_TEXT)
		return mt_cel_fail(p, MT_CEL_TEXT,
			"the expression is longer than %d bytes; divide it", MT_CEL_TEXT);
	if (!mt_is_utf8((struct mt_slice){(const uint8_t *)p->text, p->len}))
		return mt_cel_fail(p, 0, "the expression is not UTF-8; write \\x escapes");
	rc = mt_cel_lex(p, 0, &p->now);
	if (rc == 0)
		rc = mt_cel_lex(p, p->now.at + p->now.len, &p->next);
	if (rc == 0 && p->now.kind == MT_CEL_T_END)
		return mt_cel_fail(p, 0, "the expression is empty; write true for everything");
	if (rc == 0)
		rc = mt_cel_expr(p, &t);
	if (rc == 0 && p->now.kind != MT_CEL_T_END)
		return mt_cel_fail(p, p->now.at,
			"found `%.*s` after the expression; write an operator before it",
			(int)MT_MIN(p->now.len, 40u), p->text + p->now.at);
	p->cel->result = t.base;
	return rc;
}

struct mt_cel *mt_cel_new(
	const char *text, size_t len, const struct mt_cel_attributes *attributes, struct mt_err *e)
{
	struct mt_cel_parser p = {.text = text,
		.len = (uint32_t)MT_MIN(len, MT_CEL_TEXT + 1),
		.attributes = attributes,
		.e = e};

	p.cel = calloc(1, sizeof(*p.cel));
	if (!p.cel) {
		mt_err(e, -ENOMEM, "no memory for an expression");
		return NULL;
	}
	p.cel->attributes = attributes->of;
	if (compile(&p) < 0) {
		mt_cel_free(p.cel);
		return NULL;
	}
	return p.cel;
}

void mt_cel_free(struct mt_cel *cel)
{
	if (!cel)
		return;
	for (uint32_t i = 0; i < cel->n_matches; i++)
		mt_re2_free(cel->matches[i]);
	free(cel);
}

enum mt_cel_type mt_cel_result(const struct mt_cel *cel)
{
	return cel->result;
}

bool mt_cel_uses_matches(const struct mt_cel *cel)
{
	return cel->n_matches > 0;
}

bool mt_cel_is_slow(const struct mt_cel *cel)
{
	for (uint32_t i = 0; i < cel->n_code; i++)
		if (cel->code[i].op == MT_CEL_OP_TO_STRING)
			return true;
	return mt_cel_uses_matches(cel);
}

bool mt_cel_uses(const struct mt_cel *cel, uint32_t i)
{
	for (uint32_t k = 0; k < cel->n_code; k++)
		if ((cel->code[k].op == MT_CEL_OP_ATTR || cel->code[k].op == MT_CEL_OP_HAS_ATTR) &&
			cel->code[k].arg == i)
			return true;
	return false;
}

uint32_t mt_cel_steps(const struct mt_cel *cel)
{
	return cel->n_code;
}
