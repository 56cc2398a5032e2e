/* SPDX-License-Identifier: Apache-2.0 */
/*
 * View of an answer: words that every `show` accepts after its own, and filters after a bar. The
 * commands themselves do not handle them.
 *
 *  show connections where retransmits>0 sort bytes_out limit 20 wide | grep 10.0.0.7
 */
#pragma once

#include "mt_ctl_priv.h"

#define MT_VIEW_MAX	8
#define MT_VIEW_SHOWN	20
#define MT_VIEW_COLUMNS 10 /* of a table in text without `wide` */

struct mt_ctl_view {
	char where[MT_CTL_LINE + 1]; /* an expression; "": every row */
	const char *grep[MT_VIEW_MAX];
	/* A field, or "-field" for the reverse order; NULL: original order. */
	const char *sort;
	uint32_t n_grep, limit; /* limit UINT32_MAX: all rows */
	bool count, wide;	/* wide: text has all columns */
	/* Names in the expression and in `sort`; text shows their columns, too. */
	char shown[MT_VIEW_SHOWN][32];
	uint32_t n_shown;
};

/* True for the words that start a part of a view of rows: where, sort, limit, wide. */
bool mt_view_is_word(const char *word);

/*
 * Cuts the words of the view off the end of the request: r->n shrinks, and r->json may be set.
 * The view's strings point into the words of the request, which this modifies. 0, or -EINVAL with
 * the reason in e.
 */
int mt_view_cut(struct mt_ctl_view *v, struct mt_request *r, bool table, struct mt_err *e);

/*
 * Reduces `answer` to what the view selects. 0, or -EINVAL (unknown field, or wrong type of value)
 * or -ENOMEM with the reason in e.
 */
int mt_view_apply(struct mt_ctl_view *v, json_t **answer, struct mt_err *e);

/*
 * Removes columns of each table that has more than MT_VIEW_COLUMNS, except `columns` (names with
 * spaces between) and those that the view names. For text only.
 */
void mt_view_narrow(const struct mt_ctl_view *v, const char *columns, json_t *answer);

/* Makes text show the column of this name, or all names of an expression. */
void mt_view_show(struct mt_ctl_view *v, const char *name);
void mt_view_show_expr(
	struct mt_ctl_view *v, const struct mt_expr *x, const struct mt_expr_names *names);

/* Lists the columns of all tables in an answer. The strings belong to the first row of each. */
void mt_view_fields(const json_t *answer, struct mt_expr_names *names);

/* Adds the columns of a table with their types. The strings belong to its first row. */
void mt_view_names(struct mt_expr_names *names, const json_t *rows);

/* A row as the source of an expression's values. */
struct mt_view_row {
	const struct mt_expr_names *names;
	const json_t *row;
	char text[MT_CELL];
};

/* An mt_expr_get: the value of a column that `names` got by mt_expr_names_add(). */
struct mt_value mt_view_value(void *view_row, uint32_t id);
