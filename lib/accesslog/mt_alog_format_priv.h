/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/accesslog: a compiled format is a list of pieces. format.c reads text and templates,
 * format_json.c JSON, arguments.c what stands in an operator's parentheses, when.c formats of
 * times; render.c writes lines, values.c finds values.
 */
#pragma once

#include "mt_alog_escape.h"
#include "mt_alog_format.h"
#include "mt_region.h"

#include <time.h>

#define MT_ALOG_PIECES 1024 /* of a format */
#define MT_ALOG_DEPTH  16   /* of a JSON format */

/* Kinds of values; operators.def. */
enum mt_alog_source {
	MT_ALOG_NOTHING,
	MT_ALOG_TIME,
	MT_ALOG_NAMED,
	MT_ALOG_TEXT_OF,
	MT_ALOG_NUMBER_OF,
	MT_ALOG_SPAN,
	MT_ALOG_ADDRESS, /* with port */
	MT_ALOG_HOST,
	MT_ALOG_PORT,
	MT_ALOG_CODE,
	MT_ALOG_DETAILS,
	MT_ALOG_TERMINATION,
	MT_ALOG_FLAGS,
	MT_ALOG_TYPE,
	MT_ALOG_CONSTANT,
	MT_ALOG_METHOD_OF, /* values of the request that have names of headers */
	MT_ALOG_PATH_OF,
	MT_ALOG_AUTHORITY_OF,
	MT_ALOG_SERVER_MS,
	MT_ALOG_KIND,	  /* call or oneway */
	MT_ALOG_FIRST_OF, /* the first of `choices` that has a value */
};

/* Index of TIME. */
#define MT_ALOG_TIME_LOCAL 1u
#define MT_ALOG_TIME_EMIT  2u

/* Index of SPAN. */
#define MT_ALOG_SPAN_OF(from, to) ((from) << 8 | (to))

enum mt_alog_arguments {
	MT_ALOG_NO_ARGUMENTS,
	MT_ALOG_ANY_ARGUMENTS, /* not read */
	MT_ALOG_FOR_TIME,
	MT_ALOG_FOR_NAMES,
	MT_ALOG_FOR_PATH,
	MT_ALOG_FOR_PEER,
	MT_ALOG_FOR_POINTS,
	MT_ALOG_FOR_MASK,
	MT_ALOG_FOR_HOSTNAME,
	MT_ALOG_FOR_ENVIRONMENT,
	MT_ALOG_FOR_CHOICES,
};

struct mt_alog_operator {
	const char *name;
	uint16_t source, index, arguments;
};

/* NULL: Envoy has no such operator. */
const struct mt_alog_operator *mt_alog_operator_find(const char *name, size_t len);

/* ---- times ---------------------------------------------------------------------------------- */

#define MT_ALOG_WHEN_TEXT 128 /* bytes of a format, and of a formatted part */
#define MT_ALOG_WHEN_MAX  512 /* bytes of a time */

/* A part of a time's format: strftime(), digits of a second, or seconds since 1970. */
struct mt_alog_when_part {
	const char *strftime; /* NULL: not this */
	uint8_t digits;	      /* 0: seconds since 1970 */
	uint8_t len;	      /* of the cached text */
	int64_t second;	      /* when it was made */
	char text[MT_ALOG_WHEN_TEXT];
};

struct mt_alog_when {
	bool local;
	uint32_t n;
	struct mt_alog_when_part part[];
};

/* NULL: no memory, or the format is bad, and *why is the reason. */
struct mt_alog_when *mt_alog_when_compile(
	struct mt_region *a, struct mt_slice format, bool local, const char **why);
/* Writes the time `wall` (ns since 1970). Returns the length. */
uint32_t mt_alog_when_write(struct mt_alog_when *w, uint64_t wall, char text[MT_ALOG_WHEN_MAX]);

/* ---- pieces --------------------------------------------------------------------------------- */

enum mt_alog_piece_kind {
	MT_ALOG_LITERAL,
	MT_ALOG_VALUE,
	MT_ALOG_FIRST, /* VALUE of source FIRST_OF */
	/* JSON without empty values: */
	MT_ALOG_OPEN,	/* "{" or "[" */
	MT_ALOG_MEMBER, /* the text is "key": or empty; the piece after it is the value's first */
	MT_ALOG_END_MEMBER,
	MT_ALOG_CLOSE,
};

/* Texts of pieces are followed by so many bytes that may be read. */
#define MT_ALOG_PADDING 16

enum mt_alog_form {
	MT_ALOG_AS_TEXT,
	MT_ALOG_AS_JSON,   /* with its type */
	MT_ALOG_AS_STRING, /* inside a JSON string */
};

struct mt_alog_piece {
	uint8_t kind, form, source;
	uint8_t mask; /* HOST: bits + 1 */
	uint16_t index;
	bool is_limited;
	uint32_t limit;		       /* bytes of the value, if is_limited */
	uint32_t rest;		       /* fewest bytes of the line after this piece */
	uint32_t unit;		       /* SPAN: ns */
	struct mt_slice before;	       /* VALUE: literal bytes before it */
	struct mt_slice text;	       /* LITERAL, MEMBER, OPEN, CLOSE, CONSTANT */
	struct mt_alog_key key, other; /* NAMED; other: if the first is not set */
	bool has_other;
	uint8_t other_source;
	const char *protocol;	       /* a value only for calls of it; NULL: for all */
	struct mt_alog_when *when;     /* TIME */
	struct mt_alog_piece *choices; /* FIRST_OF: sources with their arguments and limits */
	uint8_t n_choices;
};

struct mt_alog_format {
	struct mt_region region;
	bool omit_empty;
	struct mt_alog_piece *pieces;
	uint32_t n_pieces;
	const char **notes;
	uint32_t n_notes;
	struct mt_alog_key *keys;
	uint32_t n_keys;
};

/* ---- compile -------------------------------------------------------------------------------- */

struct mt_alog_maker {
	struct mt_alog_format *f;
	const char *text; /* of the format, for columns */
	size_t len;
	bool json;
	/* Literal bytes that are not a piece yet. */
	char *literal;
	size_t literal_len, literal_cap;
	struct mt_err *e;
};

/* A part of the format; at[i]: place of byte i in it; NULL: `start` + i. */
struct mt_alog_source_text {
	const char *p;
	size_t n, start;
	const uint32_t *at;
};

/* Fills the error with the column of a byte of the format. Returns false. */
bool mt_alog_fail(struct mt_alog_maker *m, size_t where, const char *fmt, ...) mt_printf(3, 4);
bool mt_alog_no_memory(struct mt_alog_maker *m);
/* Appends literal bytes. */
bool mt_alog_literal(struct mt_alog_maker *m, const char *p, size_t n);
/* Makes a piece of this kind, after the literal bytes; NULL: failed. */
struct mt_alog_piece *mt_alog_piece(struct mt_alog_maker *m, enum mt_alog_piece_kind kind);
/* Makes a piece of the literal bytes. */
bool mt_alog_flush(struct mt_alog_maker *m);
/* A copy with MT_ALOG_PADDING for a piece; NULL: no memory. */
char *mt_alog_copy(struct mt_alog_maker *m, const char *p, size_t n);
/* Compiles a text with operators. */
bool mt_alog_template(
	struct mt_alog_maker *m, const struct mt_alog_source_text *s, enum mt_alog_form form);
/* True if the text is one operator and nothing else. */
bool mt_alog_is_single(const struct mt_alog_source_text *s);
bool mt_alog_json(struct mt_alog_maker *m);

/* An operator in a format: %NAME(arguments):limit%. */
struct mt_alog_use {
	struct mt_slice name, arguments;
	bool has_arguments, has_limit;
	uint32_t limit;
	size_t where; /* place of the percent sign in the format */
};

/* Reads the arguments and fills the piece. */
bool mt_alog_arguments(struct mt_alog_maker *m, const struct mt_alog_operator *op,
	const struct mt_alog_use *use, struct mt_alog_piece *p);
/* Reads the argument of COALESCE. */
bool mt_alog_coalesce(
	struct mt_alog_maker *m, const struct mt_alog_use *use, struct mt_alog_piece *p);
bool mt_alog_add_note(struct mt_alog_maker *m, const struct mt_alog_use *use, const char *words);

/* ---- render --------------------------------------------------------------------------------- */

#define MT_ALOG_PARTS	4
#define MT_ALOG_SCRATCH 512

enum mt_alog_value_type { MT_ALOG_UNSET, MT_ALOG_IS_TEXT, MT_ALOG_IS_NUMBER, MT_ALOG_IS_BOOL };

/* The value of an operator; a text may have several parts. */
struct mt_alog_value {
	enum mt_alog_value_type type;
	bool plain; /* one part that needs no escapes */
	bool own;   /* ... and is in `scratch` */
	uint32_t n_parts;
	int64_t number;
	struct mt_slice parts[MT_ALOG_PARTS];
	char scratch[MT_ALOG_SCRATCH];
};

void mt_alog_value_of(const struct mt_alog_piece *p, const struct mt_alog_record *r, uint64_t now,
	struct mt_alog_value *v);
