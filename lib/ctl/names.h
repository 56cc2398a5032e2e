/* SPDX-License-Identifier: Apache-2.0 */
/* Completion: what may follow the words of a line, and the names of things that are there now. */
#pragma once

#include "mt_ctl_priv.h"

#define MT_OFFERS_MAX 200

/* Words that begin with a part, each once, no more than a screen or two. */
struct mt_offers {
	const char *part;
	json_t *words; /* word -> what it is */
	bool more;     /* there were more than MT_OFFERS_MAX */
};

/* One word, if it begins with the part. */
void mt_offer(struct mt_offers *o, const char *word, const char *help);

/* All live names of a kind. */
void mt_offer_names(struct mt_ctl *c, enum mt_names kind, struct mt_offers *o);

/* complete_expr.c: what an expression may go on with that has these fields (MT_EXPR_BIT). */
void mt_offer_expression(struct mt_ctl *c, uint64_t fields, struct mt_offers *o);
/* Values that a field may have, behind the first `before` bytes of the part. */
void mt_offer_values(struct mt_ctl *c, enum mt_expr_field field, uint64_t fields, size_t before,
	struct mt_offers *o);
/* ".KEY=" of metadata that protocols are known for. */
void mt_offer_keys(struct mt_offers *o);

/*
 * mt_expr_compile(), which also refuses values that a field of few can never have, with those that it has: `status=overlimit` would hold for
 * nothing, and nobody would know why.
 */
int mt_ctl_expr(struct mt_expr *x, const char *text, uint64_t fields, struct mt_err *e);
/* `note` in the answer: of a name that nothing has now, or of a service without calls, since nothing would come and nobody know why. */
void mt_ctl_expr_note(struct mt_ctl *c, const struct mt_expr *x, uint64_t fields, json_t *answer);

/* `complete WORD... PART*` */
json_t *mt_run_complete(struct mt_ctl *c, const struct mt_request *r);
