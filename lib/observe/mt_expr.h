/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions of the shell, over the values of a packet, a connection, a call or a row of a table:
 *
 *	service=*.Demo method=sayHello (src=10.0.0.0/8 or src=192.0.2.1) status!=ok not took<5ms
 *
 * `.KEY=value` tests metadata of the message. Adjacent conditions must all match; `and` may be
 * written between them. `not` binds tighter than `and`, and `and` tighter than `or`.
 *
 * Parsing (expr_parse.c) needs the names with their types (struct mt_expr_names). It rejects
 * unknown names and constants of the wrong type. Evaluation (expr.c) gets values by a callback. The
 * control thread compiles and workers evaluate: a compiled expression is plain data of fixed size.
 * A condition on an unknown value is unknown, so that one expression decides early if it can and
 * late if it must.
 */
#pragma once

#include "mt_addr.h"
#include "mt_log.h"
#include "mt_value.h"

enum mt_expr_field {
#define MT_EXPR_FIELD(n, t, w) MT_EXPR_##n,
#include "expr_fields.def"
#undef MT_EXPR_FIELD
	MT_EXPR_N_FIELDS
};

enum mt_expr_type {
	MT_EXPR_ADDR,
	MT_EXPR_NUMBER,
	MT_EXPR_TEXT,
	MT_EXPR_TIME, /* INT in ns; constants need a unit */
	MT_EXPR_BOOL,
	MT_EXPR_ANY, /* always absent, so that every constant is accepted */
};

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

/* EQ and NE of texts ignore case, and `*` in the constant stands for any bytes. */
enum mt_expr_cmp {
	MT_EXPR_EQ,
	MT_EXPR_NE,
	MT_EXPR_HAS, /* `~`: the text contains the constant, ignoring case */
	MT_EXPR_LT,
	MT_EXPR_LE,
	MT_EXPR_GT,
	MT_EXPR_GE
};

/* A condition: name, operator, constant. */
struct mt_expr_term {
	uint8_t field; /* id of the name */
	uint8_t cmp;
	uint8_t type;	    /* of the constant: enum mt_value_type; ABSENT: `-` */
	uint8_t prefix;	    /* ADDR */
	uint16_t text, len; /* TEXT: in mt_expr.texts */
	union {
		int64_t number; /* INT */
		double real;	/* NUMBER */
		bool yes;	/* BOOL */
	};
	struct mt_addr addr;
};

/* Postfix operators; values below MT_EXPR_TERMS are conditions. */
enum { MT_EXPR_OP_NOT = MT_EXPR_TERMS, MT_EXPR_OP_AND, MT_EXPR_OP_OR };

/* Has no pointers, so it may be copied. All zero: matches everything. */
struct mt_expr {
	uint8_t n_terms, n_ops, n_keys;
	uint16_t n_texts;
	uint16_t keys[MT_EXPR_KEYS]; /* offsets of `.KEY` in `texts`, NUL-terminated */
	uint8_t ops[MT_EXPR_OPS];
	struct mt_expr_term terms[MT_EXPR_TERMS];
	char texts[MT_EXPR_TEXTS];
};

/* ---- names --------------------------------------------------------------------------------- */

#define MT_EXPR_NAMES 128

/* A name that an expression may use. */
struct mt_expr_name {
	const char *name;
	enum mt_expr_type type;
	uint8_t id; /* fields of calls: enum mt_expr_field; others: from MT_EXPR_N_FIELDS on */
	/* A second id: `name=X` and `name~X` are true if either is. The same as `id`: none. */
	uint8_t also;
};

struct mt_expr_names {
	struct mt_expr_name of[MT_EXPR_NAMES];
	uint32_t n;
	bool keys; /* `.KEY` is allowed */
};

/* Makes a list of the fields of calls, connections and packets in `allowed` (MT_EXPR_BIT). */
void mt_expr_names_of_fields(struct mt_expr_names *names, uint64_t allowed);

/*
 * Adds a name unless the list has it or is full; the string stays the caller's. Its id is
 * MT_EXPR_N_FIELDS plus the number of names before it.
 */
void mt_expr_names_add(struct mt_expr_names *names, const char *name, enum mt_expr_type type);

/*
 * Finds a name, which may be shortened while unique. NULL: there is none; e has the word, the
 * nearest name and all of them.
 */
const struct mt_expr_name *mt_expr_name_find(
	const struct mt_expr_names *names, const char *word, size_t len, struct mt_err *e);

/*
 * Edit distance of two words: insertions, deletions, replacements, and transpositions of adjacent
 * characters. UINT32_MAX: a word is too long to be compared.
 */
uint32_t mt_word_distance(const char *a, size_t n, const char *b, size_t m);

/* ---- expressions --------------------------------------------------------------------------- */

/*
 * Parses an expression. Empty text matches everything. 0, or -EINVAL with the wrong word and what
 * is allowed there in e.
 */
int mt_expr_parse(
	struct mt_expr *x, const char *text, const struct mt_expr_names *names, struct mt_err *e);

/* Like mt_expr_parse(), with the fields in `allowed` (MT_EXPR_BIT; meta0: metadata keys). */
int mt_expr_compile(struct mt_expr *x, const char *text, uint64_t allowed, struct mt_err *e);

/* Metadata key i that the expression uses, i < x->n_keys; its value is field meta0 + i. */
static inline const char *mt_expr_key(const struct mt_expr *x, uint32_t i)
{
	return x->texts + x->keys[i] + 1;
}

/* The fields that the expression uses (MT_EXPR_BIT), without other names. */
uint64_t mt_expr_uses(const struct mt_expr *x);

/* True if the expression uses a name that is not a field. */
bool mt_expr_uses_others(const struct mt_expr *x);

/* Returns the value of a name; its text must stay valid until the next call. */
typedef struct mt_value (*mt_expr_get)(void *arg, uint32_t id);

/*
 * Evaluates an expression. Returns a BOOL; UNKNOWN, while values are unknown that decide; or ERROR
 * if a value that decides is an error or has not the type of its constant. Any thread; bounded by
 * the expression's size and the texts' lengths.
 */
struct mt_value mt_expr_run(const struct mt_expr *x, mt_expr_get get, void *arg);

/*
 * Known values. Only fields whose bit is set are read. A text with p NULL is known to be absent:
 * it equals `-` and "" only.
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

/* The value of a field of `arg`, a struct mt_expr_values; UNKNOWN for other names. */
struct mt_value mt_expr_field_value(void *arg, uint32_t id);

enum mt_tri { MT_TRI_NO, MT_TRI_MAYBE, MT_TRI_YES };

/* mt_expr_run() over the known values of fields; an error is MT_TRI_NO. */
enum mt_tri mt_expr_eval(const struct mt_expr *x, const struct mt_expr_values *v);
