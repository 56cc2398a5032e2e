/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled form: postfix code over a stack. `&&`, `||` and `?:` jump forward only, so each
 * instruction runs at most once. A list's elements are in cells of the frame; the compiler assigns
 * their numbers.
 */
#pragma once

#include "mt_cel.h"

struct mt_re2;

enum mt_cel_op {
	MT_CEL_OP_CONST,    /* arg: constant */
	MT_CEL_OP_ATTR,	    /* arg: attribute */
	MT_CEL_OP_HAS_ATTR, /* arg: attribute */
	MT_CEL_OP_KEY,	    /* arg: constant */
	MT_CEL_OP_HAS_KEY,  /* arg: constant */
	MT_CEL_OP_INDEX,
	MT_CEL_OP_IN,
	MT_CEL_OP_EQ,
	MT_CEL_OP_NE,
	MT_CEL_OP_LT,
	MT_CEL_OP_LE,
	MT_CEL_OP_GT,
	MT_CEL_OP_GE,
	MT_CEL_OP_ADD,
	MT_CEL_OP_SUB,
	MT_CEL_OP_MUL,
	MT_CEL_OP_DIV,
	MT_CEL_OP_MOD,
	MT_CEL_OP_NEG,
	MT_CEL_OP_NOT,
	MT_CEL_OP_AND_JUMP, /* arg: target if the top is false, which stays */
	MT_CEL_OP_AND,
	MT_CEL_OP_OR_JUMP, /* arg: target if the top is true, which stays */
	MT_CEL_OP_OR,
	MT_CEL_OP_IF,	/* arg: the other branch; before it is a JUMP to the end */
	MT_CEL_OP_JUMP, /* arg: target */
	MT_CEL_OP_CELL, /* arg: cell that takes the top */
	MT_CEL_OP_LIST, /* arg: first cell; n: elements */
			/* Functions: n: arguments; MATCHES has the number of the regex in arg. */
#define MT_CEL_FUNCTION(name, word, is_member, is_global, most) MT_CEL_OP_##name,
#include "functions.def"
#undef MT_CEL_FUNCTION
	MT_CEL_OPS
};

struct mt_cel_code {
	uint8_t op;
	uint16_t column;
	uint16_t n;
	uint16_t arg;
};

struct mt_cel {
	const struct mt_cel_attribute *attributes;
	uint8_t result;
	uint16_t n_code, n_consts, n_cells, n_matches, n_texts;
	struct mt_cel_code code[MT_CEL_CODE];
	struct mt_cel_value consts[MT_CEL_CONSTS];
	struct mt_re2 *matches[MT_CEL_MATCHES];
	uint8_t texts[MT_CEL_TEXT]; /* bytes of constants, without quotes and escapes */
};

/* ---- types ---------------------------------------------------------------------------------- */

/* A static type. LIST: `depth` lists in each other, of values of type `of`. MAP: of `of`. */
struct mt_cel_static {
	uint8_t base, of, depth;
};

#define MT_CEL_IS(t) ((struct mt_cel_static){.base = MT_CEL_##t})

/* True if values of the two types may be compared. */
bool mt_cel_agree(struct mt_cel_static a, struct mt_cel_static b);
/* Type of the elements of a list or the values of a map; DYN if it is neither. */
struct mt_cel_static mt_cel_element(struct mt_cel_static t);
/* The type of lists of this. */
struct mt_cel_static mt_cel_list_of(struct mt_cel_static t);
/* The type that both are; *ok: there is one. */
struct mt_cel_static mt_cel_join(struct mt_cel_static a, struct mt_cel_static b, bool *ok);
/* The result of an operator or function (enum mt_cel_op) for n types; false: it takes others. */
bool mt_cel_resolve(
	uint8_t op, const struct mt_cel_static *args, uint32_t n, struct mt_cel_static *result);

/* ---- evaluation ----------------------------------------------------------------------------- */

struct mt_cel_value mt_cel_error(const char *why);
#define MT_CEL_NO_OVERLOAD "no such overload"
#define MT_CEL_NO_KEY	   "no such key"
#define MT_CEL_RANGE	   "out of range"

/* Charges work; false: the evaluation has none left. */
static inline bool mt_cel_work(struct mt_cel_frame *f, uint64_t n)
{
	if (n > f->work)
		return false;
	f->work -= (uint32_t)n;
	return true;
}
#define MT_CEL_TOO_MUCH "the evaluation reads more than 65536 bytes"

/* Takes n bytes of scratch; NULL: there are fewer. */
uint8_t *mt_cel_scratch(struct mt_cel_frame *f, uint64_t n);

struct mt_cel_value mt_cel_equal(
	struct mt_cel_frame *f, const struct mt_cel_value *a, const struct mt_cel_value *b);
struct mt_cel_value mt_cel_order(struct mt_cel_frame *f, uint8_t op, const struct mt_cel_value *a,
	const struct mt_cel_value *b);
struct mt_cel_value mt_cel_in(
	struct mt_cel_frame *f, const struct mt_cel_value *a, const struct mt_cel_value *b);
struct mt_cel_value mt_cel_index(
	struct mt_cel_frame *f, const struct mt_cel_value *a, const struct mt_cel_value *b);
struct mt_cel_value mt_cel_arith(struct mt_cel_frame *f, uint8_t op, const struct mt_cel_value *a,
	const struct mt_cel_value *b);
struct mt_cel_value mt_cel_negate(const struct mt_cel_value *a);
struct mt_cel_value mt_cel_concat(
	struct mt_cel_frame *f, const struct mt_cel_value *a, const struct mt_cel_value *b);
struct mt_cel_value mt_cel_text_call(struct mt_cel_frame *f, uint8_t op,
	const struct mt_cel_value *a, const struct mt_cel_value *b);
struct mt_cel_value mt_cel_convert(
	struct mt_cel_frame *f, uint8_t op, const struct mt_cel_value *a);
/* zone: NULL: UTC. */
struct mt_cel_value mt_cel_get_time(
	uint8_t op, const struct mt_cel_value *a, const struct mt_cel_value *zone);

/* ---- times ---------------------------------------------------------------------------------- */

#define MT_CEL_NS ((int64_t)MT_SEC) /* of a second, signed */

#define MT_CEL_FIRST_SECOND INT64_C(-62135596800) /* of year 1 */
#define MT_CEL_LAST_SECOND  INT64_C(253402300799) /* of year 9999 */

struct mt_cel_civil {
	int64_t year;
	int32_t month, day; /* from 1 on */
	int32_t hour, minute, second, weekday, yearday;
};

struct mt_cel_civil mt_cel_civil_of(int64_t seconds);
int64_t mt_cel_days_of(int64_t year, int32_t month, int32_t day);
/* A time with its range checked. */
struct mt_cel_value mt_cel_timestamp(int64_t seconds, int64_t ns);
struct mt_cel_value mt_cel_parse_time(struct mt_slice s);
struct mt_cel_value mt_cel_parse_duration(struct mt_slice s);
struct mt_cel_value mt_cel_time_text(struct mt_cel_frame *f, const struct mt_cel_value *t);

/* ---- numbers as texts ------------------------------------------------------------------------ */

#define MT_CEL_NUMBER 400 /* bytes of a number's text, at most */

/* Writes the shortest text that reads as the same number. `fixed`: without an exponent. */
uint32_t mt_cel_double_text(char *to, double real, bool fixed);
bool mt_cel_parse_int(struct mt_slice s, int64_t *n);
bool mt_cel_parse_uint(struct mt_slice s, uint64_t *n);
bool mt_cel_parse_double(struct mt_slice s, double *real);

/* ---- UTF-8 ---------------------------------------------------------------------------------- */

/* Characters; a byte that is not part of one counts as one. */
int64_t mt_cel_chars(struct mt_slice s);
/* Writes a character (up to U+10FFFF); returns its bytes. */
uint32_t mt_cel_put_char(uint8_t *to, uint32_t c);

/* ---- regexes -------------------------------------------------------------------------------- */

/* Compiles a regex that may match anywhere in a text; NULL with the reason in e. */
struct mt_re2 *mt_cel_match_new(struct mt_slice pattern, struct mt_err *e);
