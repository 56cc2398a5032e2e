/* SPDX-License-Identifier: Apache-2.0 */
/* The compiler: tokens, recursive descent, types and code in one pass. */
#pragma once

#include "mt_cel_priv.h"

#include <errno.h>

enum mt_cel_token_kind {
	MT_CEL_T_END,
	MT_CEL_T_NAME,
	MT_CEL_T_INT,
	MT_CEL_T_UINT,
	MT_CEL_T_DOUBLE,
	MT_CEL_T_TEXT, /* STRING or BYTES with quotes */
	MT_CEL_T_SIGN,
};

struct mt_cel_token {
	uint8_t kind;
	uint32_t at, len; /* in the expression */
};

struct mt_cel_parser {
	struct mt_cel *cel;
	const char *text;
	uint32_t len;
	const struct mt_cel_attributes *attributes;
	struct mt_err *e;
	struct mt_cel_token now, next;
	uint32_t depth, height;
	uint32_t argument; /* the first instruction of the last argument */
	/* The operand that was just parsed is `x.y`: its last instruction is ATTR or KEY. */
	bool is_select;
};

/* Writes an error with its column: "column 7: ...". -EINVAL. */
int mt_cel_fail(struct mt_cel_parser *p, uint32_t at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Moves to the next token. */
int mt_cel_advance(struct mt_cel_parser *p);
/* Reads the token at `at`. */
int mt_cel_lex(struct mt_cel_parser *p, uint32_t at, struct mt_cel_token *t);
bool mt_cel_is(const struct mt_cel_parser *p, const char *word);
/* Moves past a token if it is this. *rc: of mt_cel_advance(). */
bool mt_cel_take(struct mt_cel_parser *p, const char *word, int *rc);
/* Fails unless the token is this, and moves past it. */
int mt_cel_expect(struct mt_cel_parser *p, const char *word, const char *why);

/* The value of a literal; `minus`: it has a minus before it. Texts go to the expression's texts. */
int mt_cel_literal(struct mt_cel_parser *p, const struct mt_cel_token *t, bool minus,
	struct mt_cel_value *value);

int mt_cel_emit(struct mt_cel_parser *p, uint8_t op, uint32_t at, uint32_t n, uint32_t arg);
/* Emits a constant. */
int mt_cel_emit_const(struct mt_cel_parser *p, uint32_t at, const struct mt_cel_value *v);
int mt_cel_add_const(
	struct mt_cel_parser *p, uint32_t at, const struct mt_cel_value *v, uint32_t *i);
/* Sets the target of a jump to the next instruction. */
void mt_cel_land(struct mt_cel_parser *p, uint32_t jump);
/* Emits an operator after its operands, and finds its type; `result` is none of `args`. */
int mt_cel_apply(struct mt_cel_parser *p, uint8_t op, uint32_t at, const struct mt_cel_static *args,
	uint32_t n, struct mt_cel_static *result);
const char *mt_cel_op_str(uint8_t op);
/* Writes a type, as `list(int)`. */
const char *mt_cel_static_str(struct mt_cel_static t, char *to, size_t size);

/* Goes one level deeper, which the caller leaves by depth--. */
int mt_cel_enter(struct mt_cel_parser *p);
int mt_cel_expr(struct mt_cel_parser *p, struct mt_cel_static *t);
/* An operand with its selections, indexes and calls. */
int mt_cel_member(struct mt_cel_parser *p, struct mt_cel_static *t);
/* An attribute; the token is the first part of its name. */
int mt_cel_attribute(struct mt_cel_parser *p, struct mt_cel_static *t);
/* `.name` and `[...]` after a value. */
int mt_cel_select(struct mt_cel_parser *p, struct mt_cel_static *t);
/* f(...); the token is its name. */
int mt_cel_global_call(struct mt_cel_parser *p, struct mt_cel_static *t);
/* x.f(...), where x is on the stack. */
int mt_cel_member_call(struct mt_cel_parser *p, struct mt_cel_static *t);
int mt_cel_list(struct mt_cel_parser *p, struct mt_cel_static *t);
