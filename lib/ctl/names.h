/* SPDX-License-Identifier: Apache-2.0 */
/* Completion: what may follow the words of a line, and the names of objects that exist now. */
#pragma once

#include "mt_ctl_priv.h"

#define MT_OFFERS_MAX 200

/* Words that start with `part`, each once, at most MT_OFFERS_MAX. */
struct mt_offers {
	const char *part;
	json_t *words; /* word -> description */
	bool more;     /* there were more than MT_OFFERS_MAX */
};

/* Offers a word if it starts with the part. */
void mt_offer(struct mt_offers *o, const char *word, const char *help);

/* Offers all live names of a kind. `c` NULL: only names that need no running node. */
void mt_offer_names(struct mt_ctl *c, enum mt_names kind, struct mt_offers *o);

/*
 * complete_expr.c: offers what may follow in an expression that may use these fields (MT_EXPR_BIT).
 */
void mt_offer_expression(struct mt_ctl *c, uint64_t fields, struct mt_offers *o);
/* Offers the values that a field may have, after the first `before` bytes of the part. */
void mt_offer_values(struct mt_ctl *c, enum mt_expr_field field, uint64_t fields, size_t before,
	struct mt_offers *o);
/* Offers ".KEY=" for metadata keys that the protocols define. */
void mt_offer_keys(const struct mt_ctl *c, struct mt_offers *o);

/*
 * Like mt_expr_compile(), but also rejects values that a field with fixed values can never have,
 * and lists its values. Otherwise `status=overlimit` would silently match nothing.
 */
int mt_ctl_expr(struct mt_expr *x, const char *text, uint64_t fields, struct mt_err *e);
/* The same with these names, among which are `fields`. */
int mt_ctl_expr_of(struct mt_expr *x, const char *text, const struct mt_expr_names *names,
	uint64_t fields, struct mt_err *e);
/*
 * Adds `note` to the answer if the expression names something that does not exist now, or a service
 * without calls, to explain why no results come.
 */
void mt_ctl_expr_note(struct mt_ctl *c, const struct mt_expr *x, uint64_t fields, json_t *answer);

/* `complete WORD... PART*` */
mt_run_fn mt_run_complete;
