/* SPDX-License-Identifier: Apache-2.0 */
/* Calls, has() and lists. */
#include "mt_cel_parse.h"

#include <string.h>

static const struct function {
	uint8_t op;
	const char *word;
	bool is_member, is_global;
	uint8_t most;
} functions[] = {
#define MT_CEL_FUNCTION(name, word, is_member, is_global, most)                                    \
	{MT_CEL_OP_##name, word, is_member, is_global, most},
#include "functions.def"
#undef MT_CEL_FUNCTION
};

static int no_function(struct mt_cel_parser *p, const char *remedy)
{
	return mt_cel_fail(p, p->now.at, "%s `%.*s`; %s", "there is no function",
		(int)MT_MIN(p->now.len, 40u), p->text + p->now.at, remedy);
}

static int unknown_function(struct mt_cel_parser *p)
{
	static const char *const macros[] = {
		"all", "exists", "exists_one", "existsOne", "map", "filter"};

	for (size_t i = 0; i < MT_ARRAY_LEN(macros); i++)
		if (mt_cel_is(p, macros[i]))
			return mt_cel_fail(p, p->now.at,
				"the macro `%s` is not supported; use has(), `in` and matches()",
				macros[i]);
	return no_function(p,
		"functions are size, startsWith, endsWith, contains, matches, int, uint, double, "
		"string, bytes, bool, timestamp, duration, dyn, getFullYear and others of times");
}

static const struct function *find(const struct mt_cel_parser *p)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(functions); i++)
		if (mt_cel_is(p, functions[i].word))
			return &functions[i];
	return NULL;
}

static int wrong_count(struct mt_cel_parser *p, uint32_t at, const struct function *f)
{
	return mt_cel_fail(p, at, "`%s` takes %s", f->word,
		f->is_global && f->most == 1 ? "one value, as in size(x) or int(x)"
		: f->is_global		     ? "a text and a regex, as in x.matches(\"a.*\")"
		: f->op >= MT_CEL_OP_FULL_YEAR
			? "a time and possibly a zone, as in t.getHours(\"+01:00\")"
			: "two texts, as in x.contains(\"a\")");
}

/* Parses arguments up to `)`; the token is the name before `(`. */
static int arguments(
	struct mt_cel_parser *p, const struct function *f, struct mt_cel_static *args, uint32_t *n)
{
	uint32_t at = p->now.at, from = 0;
	int rc = mt_cel_advance(p);

	if (rc == 0)
		rc = mt_cel_advance(p);
	if (rc || mt_cel_take(p, ")", &rc))
		return rc;
	for (;;) {
		if (*n == f->most)
			return wrong_count(p, at, f);
		from = p->cel->n_code;
		rc = mt_cel_expr(p, &args[(*n)++]);
		if (rc || !mt_cel_take(p, ",", &rc))
			break;
		if (rc)
			break;
	}
	p->argument = from;
	return rc ? rc : mt_cel_expect(p, ")", "after the arguments");
}

/* The regex of matches() must be a constant, because it is compiled once. */
static int call_matches(struct mt_cel_parser *p, uint32_t at)
{
	struct mt_cel *cel = p->cel;
	struct mt_cel_code *last = &cel->code[cel->n_code - 1];
	struct mt_err e = {""};
	struct mt_re2 *re;

	if (p->argument + 1 != cel->n_code || last->op != MT_CEL_OP_CONST ||
		cel->consts[last->arg].type != MT_CEL_STRING)
		return mt_cel_fail(
			p, last->column - 1u, "the regex of matches() must be a text in quotes");
	if (cel->n_matches == MT_CEL_MATCHES)
		return mt_cel_fail(p, at, "more than %d calls of matches(); join regexes by |",
			MT_CEL_MATCHES);
	re = mt_cel_match_new(cel->consts[last->arg].text, &e);
	if (!re)
		return mt_cel_fail(p, last->column - 1u, "%s; the syntax is RE2's", e.text);
	cel->matches[cel->n_matches] = re;
	/* The constant is not evaluated: the call takes its place. */
	cel->n_code--;
	p->height--;
	return mt_cel_emit(p, MT_CEL_OP_MATCHES, at, 2, cel->n_matches++);
}

static int call(struct mt_cel_parser *p, uint32_t at, const struct function *f,
	const struct mt_cel_static *args, uint32_t n, struct mt_cel_static *t)
{
	uint16_t op = f->op;

	p->is_select = false;
	if (n == 0 || (f->most == 2 && n == 1 && op < MT_CEL_OP_FULL_YEAR))
		return wrong_count(p, at, f);
	if (op != MT_CEL_OP_MATCHES)
		return mt_cel_apply(p, f->op, at, args, n, t);
	if (!mt_cel_resolve(f->op, args, n, t))
		return mt_cel_apply(p, f->op, at, args, n, t); /* for its error */
	return call_matches(p, at);
}

/* has(x.y): turns the instruction that reads y into one that tests it. */
static int call_has(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	uint32_t at = p->now.at;
	struct mt_cel_code *last;
	int rc = mt_cel_enter(p);

	if (rc == 0)
		rc = mt_cel_advance(p);
	if (rc == 0)
		rc = mt_cel_advance(p);
	if (rc == 0)
		rc = mt_cel_member(p, t);
	if (rc)
		return rc;
	p->depth--;
	last = &p->cel->code[p->cel->n_code - 1];
	if (!p->is_select || !mt_cel_is(p, ")"))
		return mt_cel_fail(p, at,
			"has() takes a member, as in has(request.headers.host); "
			"for other keys write \"key\" in m");
	last->op = last->op == MT_CEL_OP_ATTR ? MT_CEL_OP_HAS_ATTR : MT_CEL_OP_HAS_KEY;
	*t = MT_CEL_IS(BOOL);
	p->is_select = false;
	return mt_cel_advance(p);
}

int mt_cel_global_call(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	struct mt_cel_static args[2];
	const struct function *f = find(p);
	uint32_t at = p->now.at, n = 0;
	int rc;

	if (mt_cel_is(p, "has"))
		return call_has(p, t);
	if (!f)
		return unknown_function(p);
	if (!f->is_global)
		return no_function(p, "write it after its value, as in x.startsWith(\"a\")");
	rc = arguments(p, f, args, &n);
	return rc ? rc : call(p, at, f, args, n, t);
}

int mt_cel_member_call(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	struct mt_cel_static args[2] = {*t};
	const struct function *f = find(p);
	uint32_t at = p->now.at, n = 1;
	int rc;

	if (!f)
		return unknown_function(p);
	if (!f->is_member)
		return no_function(p, "write it before its value, as in int(x)");
	rc = arguments(p, f, args, &n);
	return rc ? rc : call(p, at, f, args, n, t);
}

static int cell_for(struct mt_cel_parser *p, uint32_t at, uint32_t n, uint32_t *first)
{
	struct mt_cel *cel = p->cel;

	if (cel->n_cells + n > MT_CEL_CELLS)
		return mt_cel_fail(p, at,
			"the lists have more than %d elements; divide the expression",
			MT_CEL_CELLS);
	*first = cel->n_cells;
	cel->n_cells = (uint16_t)(cel->n_cells + n);
	return 0;
}

/* Number of elements up to the end of the list, so that they get cells one after another. */
static int count(struct mt_cel_parser *p, uint32_t *n)
{
	struct mt_cel_token t = p->next;
	uint32_t depth = 0;
	bool any = false;
	int rc = 0;

	for (*n = 0; rc == 0 && t.kind != MT_CEL_T_END; rc = mt_cel_lex(p, t.at + t.len, &t)) {
		char c = t.kind == MT_CEL_T_SIGN ? p->text[t.at] : '\0';

		if (c == ']' && depth == 0)
			break;
		depth += c == '[' || c == '(' || c == '{';
		depth -= (c == ']' || c == ')' || c == '}') && depth > 0;
		if (c == ',' && depth == 0) {
			any = false;
			continue;
		}
		*n += any ? 0 : 1;
		any = true;
	}
	return rc;
}

int mt_cel_list(struct mt_cel_parser *p, struct mt_cel_static *t)
{
	uint32_t at = p->now.at, first = 0, n = 0, i = 0;
	struct mt_cel_static of = MT_CEL_IS(DYN), one;
	bool ok;
	int rc = count(p, &n);

	if (rc == 0)
		rc = cell_for(p, at, n, &first);
	if (rc == 0)
		rc = mt_cel_advance(p);
	/* `[,]` is an empty list. */
	if (rc == 0 && n == 0)
		(void)mt_cel_take(p, ",", &rc);
	while (rc == 0 && !mt_cel_is(p, "]")) {
		if (i == n)
			return mt_cel_expect(p, "]", "after the elements");
		rc = mt_cel_expr(p, &one);
		if (rc == 0)
			rc = mt_cel_emit(p, MT_CEL_OP_CELL, at, 0, first + i);
		if (rc)
			return rc;
		of = i++ ? mt_cel_join(of, one, &ok) : one;
		if (!mt_cel_is(p, "]"))
			rc = mt_cel_expect(p, ",", "between elements, or `]` after them");
	}
	if (rc == 0)
		rc = mt_cel_emit(p, MT_CEL_OP_LIST, at, i, first);
	*t = mt_cel_list_of(of);
	p->is_select = false;
	return rc ? rc : mt_cel_expect(p, "]", "after the elements");
}
