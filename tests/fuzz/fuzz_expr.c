/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions of traces and filters. The first byte chooses which fields are known; the rest is the expression and, as a
 * text, every value.
 */
#include "fuzz.h"

#include "mt_expr.h"

#include <string.h>

#define TEXT_MAX 1024

static void make_values(struct mt_expr_values *v, const uint8_t *p, size_t n, uint8_t known)
{
	memset(v, 0, sizeof(*v));
	for (uint32_t f = 0; f < MT_EXPR_N_FIELDS; f++) {
		if (!(known >> f % 8 & 1))
			continue;
		if (mt_expr_fields[f].type == MT_EXPR_TEXT)
			mt_expr_set_text(v, f, (struct mt_slice){n ? p : NULL, (uint32_t)n});
		else
			v->known |= 1ull << f;
	}
}

/* The value of a column by its id: each type, absent, unknown and an error. */
static struct mt_value column(void *arg, uint32_t id)
{
	const struct mt_slice *text = arg;

	switch ((id - MT_EXPR_N_FIELDS + text->len) % 7) {
	case 0:
		return (struct mt_value){MT_VALUE_TEXT, {.text = *text}};
	case 1:
		return (struct mt_value){MT_VALUE_INT, {.n = (int64_t)text->len}};
	case 2:
		return (struct mt_value){MT_VALUE_NUMBER, {.real = text->len / 3.0}};
	case 3:
		return mt_value_bool(text->len & 1);
	case 4:
		return (struct mt_value){.type = MT_VALUE_ABSENT};
	case 5:
		return (struct mt_value){.type = MT_VALUE_UNKNOWN};
	default:
		return (struct mt_value){.type = MT_VALUE_ERROR};
	}
}

/* Columns of a table, whose rows may have values of other types than the parser was told. */
static void check_columns(const char *text, size_t n)
{
	struct mt_slice value = {(const uint8_t *)text, (uint32_t)n};
	struct mt_expr_names names = {.n = 0};
	struct mt_err e = {""};
	struct mt_value got;
	struct mt_expr x;

	mt_expr_names_add(&names, "name", MT_EXPR_TEXT);
	mt_expr_names_add(&names, "count", MT_EXPR_NUMBER);
	mt_expr_names_add(&names, "counted", MT_EXPR_NUMBER);
	mt_expr_names_add(&names, "ready", MT_EXPR_BOOL);
	mt_expr_names_add(&names, "of", MT_EXPR_ANY);
	if (mt_expr_parse(&x, text, &names, &e) != 0) {
		MT_ASSERT(e.text[0]);
		return;
	}
	got = mt_expr_run(&x, column, &value);
	MT_ASSERT(got.type == MT_VALUE_BOOL || got.type == MT_VALUE_UNKNOWN ||
		  got.type == MT_VALUE_ERROR);
	MT_ASSERT(mt_expr_uses(&x) == 0 && mt_expr_uses_others(&x) == (x.n_terms > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mt_expr_values some, all;
	struct mt_expr x, again;
	char text[TEXT_MAX + 1];
	struct mt_err e = {""};
	enum mt_tri early;
	size_t n;

	if (size == 0)
		return 0;
	n = MT_MIN(size - 1, (size_t)TEXT_MAX);
	memcpy(text, data + 1, n);
	text[n] = '\0';
	n = strlen(text);
	check_columns(text, n);
	if (mt_expr_compile(&x, text, ~0ull, &e) != 0) {
		MT_ASSERT(e.text[0]);
		return 0;
	}
	MT_ASSERT(mt_expr_compile(&again, text, mt_expr_uses(&x) | MT_EXPR_BIT(host), &e) == 0);
	MT_ASSERT(memcmp(&x, &again, sizeof(x)) == 0);
	make_values(&some, data + 1, n, data[0]);
	make_values(&all, data + 1, n, 0xff);
	/* What is decided early is never decided otherwise, and all known is decided. */
	early = mt_expr_eval(&x, &some);
	MT_ASSERT(mt_expr_eval(&x, &all) != MT_TRI_MAYBE || mt_expr_uses(&x) == 0);
	MT_ASSERT(early == MT_TRI_MAYBE || early == mt_expr_eval(&x, &all));
	return 0;
}
