/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions in CEL, the Common Expression Language, over attributes of the caller:
 *
 *	response.code >= 500 && !request.path.startsWith("/health")
 *
 * The control thread compiles an expression for a table of attributes; any thread evaluates it.
 * Evaluation neither allocates nor locks, unless mt_cel_uses_matches(): RE2 does both. Each
 * instruction runs at most once, because CEL without its macros has no loops; work within one
 * instruction is limited by MT_CEL_WORK. docs/internals/cel.md has what is left out of CEL.
 */
#pragma once

#include "mt_log.h"

#define MT_CEL_TEXT    4096  /* bytes of an expression */
#define MT_CEL_DEPTH   32    /* levels of parentheses, calls, lists, `?:`, `!` and `-` */
#define MT_CEL_CODE    1024  /* instructions */
#define MT_CEL_CONSTS  256   /* constants */
#define MT_CEL_MATCHES 8     /* calls of matches() */
#define MT_CEL_STACK   64    /* values that wait for an operator */
#define MT_CEL_CELLS   256   /* elements of lists */
#define MT_CEL_SCRATCH 4096  /* bytes of texts that an evaluation makes */
#define MT_CEL_WORK    65536 /* bytes and elements that one evaluation reads */

enum mt_cel_type {
	MT_CEL_NULL,
	MT_CEL_BOOL,
	MT_CEL_INT,
	MT_CEL_UINT,
	MT_CEL_DOUBLE,
	MT_CEL_STRING,
	MT_CEL_BYTES,
	MT_CEL_TIMESTAMP,
	MT_CEL_DURATION,
	MT_CEL_LIST,
	MT_CEL_MAP,    /* of texts to values; only attributes are maps */
	MT_CEL_DYN,    /* in types: known at evaluation only */
	MT_CEL_ERROR,  /* in values */
	MT_CEL_ABSENT, /* from an attribute's function: there is no value */
};

struct mt_cel_value;

/* Finds a map's value, which may be a map; false: the key is absent. */
typedef bool (*mt_cel_find)(const void *map, struct mt_slice key, struct mt_cel_value *value);

/* A view: texts, elements and maps stay their owner's. */
struct mt_cel_value {
	uint8_t type;	 /* enum mt_cel_type, except DYN */
	uint16_t column; /* ERROR: where in the expression */
	uint32_t ns;	 /* TIMESTAMP: of its second */
	union {
		bool yes;
		int64_t n; /* INT; TIMESTAMP: s since 1970, in years 1 to 9999; DURATION: ns */
		uint64_t u;
		double real;
		struct mt_slice text; /* STRING, BYTES */
		struct {
			const struct mt_cel_value *of;
			uint32_t n;
		} list;
		struct {
			mt_cel_find find;
			const void *of;
		} map;
		const char *why; /* ERROR: a constant text */
	};
};

/* An attribute, as `request.path`. No name may be another one's start up to a dot. */
struct mt_cel_attribute {
	const char *name;
	enum mt_cel_type type;
	enum mt_cel_type of; /* LIST, MAP: type of their values; DYN: various */
	/* The value, of `type` unless that is DYN, or ABSENT. Any thread that evaluates. */
	struct mt_cel_value (*get)(void *arg);
};

struct mt_cel_attributes {
	const struct mt_cel_attribute *of;
	uint32_t n;
};

/* A compiled expression. Constant, so that several threads may evaluate it. */
struct mt_cel;

/*
 * Compiles an expression. The attributes must outlive it. Control thread only. NULL with the
 * column, what was found and the remedy in e.
 */
struct mt_cel *mt_cel_new(
	const char *text, size_t len, const struct mt_cel_attributes *attributes, struct mt_err *e);
void mt_cel_free(struct mt_cel *cel);

/* Type of the result; DYN: known at evaluation only. */
enum mt_cel_type mt_cel_result(const struct mt_cel *cel);
/* True if evaluation uses RE2, which locks and allocates. */
bool mt_cel_uses_matches(const struct mt_cel *cel);
/*
 * True if an instruction may take long: matches(), or string(), which tries up to 17 lengths for a
 * double.
 */
bool mt_cel_is_slow(const struct mt_cel *cel);
/* True if the expression reads attribute i of the table. */
bool mt_cel_uses(const struct mt_cel *cel, uint32_t i);
/*
 * The i-th use of attribute `attribute`, a map: the name that is read from it. False: there are
 * fewer uses.
 */
struct mt_cel_name {
	struct mt_slice name; /* p NULL: it is known at evaluation only */
	uint16_t column;      /* of the attribute */
};
bool mt_cel_name(const struct mt_cel *cel, uint32_t attribute, uint32_t i, struct mt_cel_name *to);
/* Number of instructions: no evaluation takes more steps. */
uint32_t mt_cel_steps(const struct mt_cel *cel);

/* Memory of one evaluation at a time; needs no initialization. */
struct mt_cel_frame {
	struct mt_cel_value stack[MT_CEL_STACK];
	struct mt_cel_value cells[MT_CEL_CELLS];
	uint8_t scratch[MT_CEL_SCRATCH];
	uint32_t n_cells, n_scratch;
	uint32_t work;	/* left */
	uint32_t steps; /* taken */
};

/*
 * Evaluates an expression; `arg` is for the attributes' functions. The result's views are valid
 * until the frame's next use, and as long as the attributes' values are. Errors are values of type
 * ERROR, which `&&`, `||` and `?:` may leave unused.
 */
struct mt_cel_value mt_cel_run(const struct mt_cel *cel, struct mt_cel_frame *frame, void *arg);

/* True if the expression evaluates to true. An error is false. */
bool mt_cel_is_true(const struct mt_cel *cel, struct mt_cel_frame *frame, void *arg);

/* "int", "string", ... */
const char *mt_cel_type_str(enum mt_cel_type type);

static inline struct mt_cel_value mt_cel_bool(bool yes)
{
	return (struct mt_cel_value){.type = MT_CEL_BOOL, .yes = yes};
}

static inline struct mt_cel_value mt_cel_int(int64_t n)
{
	return (struct mt_cel_value){.type = MT_CEL_INT, .n = n};
}

static inline struct mt_cel_value mt_cel_text(struct mt_slice text)
{
	return (struct mt_cel_value){.type = MT_CEL_STRING, .text = text};
}
