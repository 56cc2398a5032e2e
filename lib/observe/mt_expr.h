/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions over the known values of a packet, a connection or an exchange:
 *
 *	service=*.Demo method=sayHello (src=10.0.0.0/8 or src=192.0.2.1) status!=ok not took<5ms
 *
 * `.KEY=value` tests metadata of the message. Adjacent conditions must all match; `and` may be
 * written between them. `not` binds tighter than `and`, and `and` tighter than `or`.
 *
 * The control thread compiles and workers evaluate: a compiled expression is plain data of fixed
 * size. A condition on an unknown value results in "maybe", so that one expression decides early if
 * it can and late if it must.
 */
#pragma once

#include "mt_addr.h"
#include "mt_log.h"

enum mt_expr_field {
#define MT_EXPR_FIELD(n, t, w) MT_EXPR_##n,
#include "expr_fields.def"
#undef MT_EXPR_FIELD
	MT_EXPR_N_FIELDS
};

enum mt_expr_type { MT_EXPR_ADDR, MT_EXPR_NUMBER, MT_EXPR_TEXT, MT_EXPR_TIME };

struct mt_expr_field_row {
	const char *name;
	enum mt_expr_type type;
	const char *words;
};

extern const struct mt_expr_field_row mt_expr_fields[MT_EXPR_N_FIELDS];

#define MT_EXPR_BIT(field) (1ull << MT_EXPR_##field)

#define MT_EXPR_TERMS 16  /* conditions */
#define MT_EXPR_OPS   64  /* conditions, nots, ands, ors */
#define MT_EXPR_TEXTS 512 /* bytes of all values together */
#define MT_EXPR_KEYS  4	  /* different .KEYs: fields meta0 to meta3 */
#define MT_EXPR_DEPTH 16  /* levels of parentheses and nots */

enum mt_expr_cmp { MT_EXPR_EQ, MT_EXPR_NE, MT_EXPR_LT, MT_EXPR_LE, MT_EXPR_GT, MT_EXPR_GE };

struct mt_expr_term {
	uint8_t field, cmp;
	uint8_t prefix;	    /* ADDR */
	uint16_t text, len; /* TEXT: in mt_expr.texts; `*` stands for any bytes */
	uint64_t number;    /* NUMBER; TIME in ns */
	struct mt_addr addr;
};

/* Postfix operators; values below MT_EXPR_TERMS are conditions. */
enum { MT_EXPR_OP_NOT = MT_EXPR_TERMS, MT_EXPR_OP_AND, MT_EXPR_OP_OR };

/* Has no pointers, so it may be copied. All zero: matches everything. */
struct mt_expr {
	uint8_t n_terms, n_ops, n_keys;
	uint16_t n_texts;
	uint16_t keys[MT_EXPR_KEYS]; /* offsets in `texts`, NUL-terminated */
	uint8_t ops[MT_EXPR_OPS];
	struct mt_expr_term terms[MT_EXPR_TERMS];
	char texts[MT_EXPR_TEXTS];
};

/*
 * Compiles an expression. A field outside of `allowed` (MT_EXPR_BIT; meta0: metadata keys) is
 * rejected by name. Empty text matches everything. 0, or -EINVAL with the word and what is allowed
 * there in e.
 */
int mt_expr_compile(struct mt_expr *x, const char *text, uint64_t allowed, struct mt_err *e);

/* Metadata key i that the expression uses, i < x->n_keys; its value is field meta0 + i. */
static inline const char *mt_expr_key(const struct mt_expr *x, uint32_t i)
{
	return x->texts + x->keys[i];
}

/* The fields that the expression uses (MT_EXPR_BIT). */
uint64_t mt_expr_uses(const struct mt_expr *x);

/*
 * Known values. Only fields whose bit is set are read. A text with p NULL is known to be absent;
 * only != matches it.
 */
struct mt_expr_values {
	uint64_t known;
	union mt_expr_value {
		struct mt_slice text;
		uint64_t number;
		struct mt_addr addr;
	} v[MT_EXPR_N_FIELDS];
};

static inline void mt_expr_set_number(
	struct mt_expr_values *v, enum mt_expr_field field, uint64_t number)
{
	v->v[field].number = number;
	v->known |= 1ull << field;
}

static inline void mt_expr_set_addr(
	struct mt_expr_values *v, enum mt_expr_field field, const struct mt_addr *addr)
{
	v->v[field].addr = *addr;
	v->known |= 1ull << field;
}

/* The bytes stay the caller's and must live until the last evaluation. */
static inline void mt_expr_set_text(
	struct mt_expr_values *v, enum mt_expr_field field, struct mt_slice text)
{
	v->v[field].text = text;
	v->known |= 1ull << field;
}

static inline void mt_expr_set_str(
	struct mt_expr_values *v, enum mt_expr_field field, const char *text)
{
	mt_expr_set_text(v, field,
		(struct mt_slice){(const uint8_t *)text, text ? (uint32_t)strlen(text) : 0});
}

enum mt_tri { MT_TRI_NO, MT_TRI_MAYBE, MT_TRI_YES };

/* Any thread; bounded by the expression's size and the texts' lengths. */
enum mt_tri mt_expr_eval(const struct mt_expr *x, const struct mt_expr_values *v);
