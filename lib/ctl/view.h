/* SPDX-License-Identifier: Apache-2.0 */
/*
 * View of an answer: words that every `show` accepts after its own, and filters after a bar. The
 * commands themselves do not handle them.
 *
 *  show connections where retransmits>0 sort bytes_out limit 20 | grep 10.0.0.7 | count
 */
#pragma once

#include "mt_ctl_priv.h"

#define MT_VIEW_MAX 8

struct mt_condition {
	const char *field, *value;
	enum mt_compare {
		MT_IS,
		MT_IS_NOT,
		MT_HOLDS,
		MT_LESS,
		MT_MORE,
		MT_AT_MOST,
		MT_AT_LEAST
	} op;
};

struct mt_ctl_view {
	struct mt_condition where[MT_VIEW_MAX];
	const char *grep[MT_VIEW_MAX];
	/* A field, or "-field" for the reverse order; NULL: original order. */
	const char *sort;
	uint32_t n_where, n_grep, limit; /* limit UINT32_MAX: all rows */
	bool count;
};

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
int mt_view_apply(const struct mt_ctl_view *v, json_t **answer, struct mt_err *e);

/*
 * Fields of the tables in an answer, in their order, at most max. The strings belong to the answer.
 * Returns their number.
 */
uint32_t mt_view_fields(const json_t *answer, const char **fields, uint32_t max);
