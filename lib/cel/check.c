/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Static types. A value has type dyn if its type is known at evaluation only. Every operator takes
 * dyn; all other mismatches are errors of the expression.
 */
#include "mt_cel_parse.h"

#include <stdio.h>

/* For overloads.def: there is no second argument. */
#define MT_CEL_NONE MT_CEL_ABSENT

static const struct overload {
	uint8_t op, first, second, result;
} overloads[] = {
#define MT_CEL_OVERLOAD(op, first, second, result)                                                 \
	{MT_CEL_OP_##op, MT_CEL_##first, MT_CEL_##second, MT_CEL_##result},
#include "overloads.def"
#undef MT_CEL_OVERLOAD
};

const char *mt_cel_type_str(enum mt_cel_type type)
{
	static const char *const words[] = {"null", "bool", "int", "uint", "double", "string",
		"bytes", "timestamp", "duration", "list", "map", "dyn", "error", "nothing"};

	return words[type];
}

const char *mt_cel_static_str(struct mt_cel_static t, char *to, size_t size)
{
	if (t.base == MT_CEL_LIST)
		snprintf(to, size, t.depth > 1 ? "list(list(%s))" : "list(%s)",
			mt_cel_type_str(t.of));
	else if (t.base == MT_CEL_MAP)
		snprintf(to, size, "map(string, %s)", mt_cel_type_str(t.of));
	else
		snprintf(to, size, "%s", mt_cel_type_str(t.base));
	return to;
}

struct mt_cel_static mt_cel_element(struct mt_cel_static t)
{
	if (t.base == MT_CEL_LIST && t.depth > 1)
		return (struct mt_cel_static){MT_CEL_LIST, t.of, (uint8_t)(t.depth - 1)};
	/* Values that are maps have values of their own, of various types. */
	if (t.base == MT_CEL_LIST || t.base == MT_CEL_MAP)
		return (struct mt_cel_static){
			.base = t.of, .of = MT_CEL_DYN, .depth = t.of == MT_CEL_LIST};
	return MT_CEL_IS(DYN);
}

struct mt_cel_static mt_cel_list_of(struct mt_cel_static t)
{
	if (t.base == MT_CEL_LIST && t.depth < MT_CEL_DEPTH)
		return (struct mt_cel_static){MT_CEL_LIST, t.of, (uint8_t)(t.depth + 1)};
	if (t.base == MT_CEL_LIST)
		t.base = MT_CEL_DYN;
	return (struct mt_cel_static){MT_CEL_LIST, t.base, 1};
}

/* Null stands for a missing time, too. */
static bool is_nullable(struct mt_cel_static t)
{
	return t.base == MT_CEL_TIMESTAMP || t.base == MT_CEL_DURATION;
}

bool mt_cel_agree(struct mt_cel_static a, struct mt_cel_static b)
{
	while (a.base == MT_CEL_LIST && b.base == MT_CEL_LIST) {
		a = mt_cel_element(a);
		b = mt_cel_element(b);
	}
	if (a.base == MT_CEL_DYN || b.base == MT_CEL_DYN)
		return true;
	if (a.base == MT_CEL_NULL && b.base != MT_CEL_NULL)
		return is_nullable(b);
	if (b.base == MT_CEL_NULL && a.base != MT_CEL_NULL)
		return is_nullable(a);
	return a.base == b.base;
}

struct mt_cel_static mt_cel_join(struct mt_cel_static a, struct mt_cel_static b, bool *ok)
{
	*ok = mt_cel_agree(a, b);
	if (!*ok)
		return MT_CEL_IS(DYN);
	if (a.base == MT_CEL_DYN || b.base == MT_CEL_DYN)
		return MT_CEL_IS(DYN);
	if (a.base == MT_CEL_LIST && b.base == MT_CEL_LIST)
		return mt_cel_list_of(mt_cel_join(mt_cel_element(a), mt_cel_element(b), ok));
	if (a.base == MT_CEL_MAP && a.of != b.of)
		a.of = MT_CEL_DYN;
	return a.base == MT_CEL_NULL ? b : a;
}

static bool takes(uint8_t want, struct mt_cel_static t)
{
	return want == t.base || t.base == MT_CEL_DYN ||
	       (t.base == MT_CEL_NULL && (want == MT_CEL_TIMESTAMP || want == MT_CEL_DURATION));
}

/* Operators with types that depend on those of a list's elements. */
static bool of_lists(uint8_t op, const struct mt_cel_static *args, struct mt_cel_static *result)
{
	bool ok = false;

	switch (op) {
	case MT_CEL_OP_EQ:
	case MT_CEL_OP_NE:
		*result = MT_CEL_IS(BOOL);
		return args[0].base != MT_CEL_MAP && args[1].base != MT_CEL_MAP &&
		       mt_cel_agree(args[0], args[1]);
	case MT_CEL_OP_IN:
		*result = MT_CEL_IS(BOOL);
		if (args[1].base == MT_CEL_MAP)
			return takes(MT_CEL_STRING, args[0]);
		return takes(MT_CEL_LIST, args[1]) && args[0].base != MT_CEL_MAP &&
		       mt_cel_agree(args[0], mt_cel_element(args[1]));
	case MT_CEL_OP_INDEX:
		*result = mt_cel_element(args[0]);
		if (args[0].base == MT_CEL_MAP)
			return takes(MT_CEL_STRING, args[1]);
		return takes(MT_CEL_LIST, args[0]) &&
		       (args[0].base == MT_CEL_DYN || takes(MT_CEL_INT, args[1]));
	case MT_CEL_OP_ADD:
		if (args[0].base == MT_CEL_LIST && args[1].base == MT_CEL_LIST)
			*result = mt_cel_join(args[0], args[1], &ok);
		return ok;
	default:
		return false;
	}
}

bool mt_cel_resolve(
	uint8_t op, const struct mt_cel_static *args, uint32_t n, struct mt_cel_static *result)
{
	bool found = false;

	if (op == MT_CEL_OP_TO_DYN) {
		*result = MT_CEL_IS(DYN);
		return true;
	}
	if (n == 2 && of_lists(op, args, result))
		return true;
	for (size_t i = 0; i < MT_ARRAY_LEN(overloads); i++) {
		const struct overload *o = &overloads[i];

		if (o->op != op || (o->second != MT_CEL_NONE) != (n == 2) ||
			!takes(o->first, args[0]) || (n == 2 && !takes(o->second, args[1])))
			continue;
		if (!found)
			*result = (struct mt_cel_static){.base = o->result};
		else if (result->base != o->result)
			*result = MT_CEL_IS(DYN);
		found = true;
	}
	/* Lists may be added, too: of_lists() has refused two that do not agree. */
	if (op != MT_CEL_OP_ADD || (args[0].base != MT_CEL_DYN && args[1].base != MT_CEL_DYN) ||
		!takes(MT_CEL_LIST, args[0]) || !takes(MT_CEL_LIST, args[1]))
		return found;
	*result = MT_CEL_IS(DYN);
	return true;
}
