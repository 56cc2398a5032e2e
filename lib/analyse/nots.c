/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds callers that rules do not consider: those without a token, and all except those that a DENY
 * names.
 */
#include "mt_analyse_priv.h"

#include <string.h>

/* ---- what a rule says of tokens -------------------------------------------------------------- */

/* True if a `not` matches any text, so that only calls without a value match. */
static bool is_presence(const struct mt_authz_cond *c)
{
	for (uint32_t i = 0; i < c->n_nots; i++)
		if (c->nots[i].match == MT_AUTHZ_PRESENT || c->nots[i].match == MT_AUTHZ_NONEMPTY)
			return true;
	return false;
}

/*
 * What a rule requires of tokens: `wanted`: a value; `left_out`: not a value; `absent`: no value at
 * all.
 */
struct token_words {
	bool wanted, left_out, absent;
};

static void look_for_token(const struct mt_authz_conds *l, struct token_words *w)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct mt_authz_cond *c = &l->v[i];

		if (!mt_an_is_token(c))
			continue;
		w->wanted |= c->n_values > 0;
		w->absent |= is_presence(c);
		w->left_out |= c->n_nots && !c->n_values && !is_presence(c);
	}
}

static struct token_words token_words_of(const struct mt_authz_rule *r)
{
	struct token_words w = {0};

	look_for_token(&r->when, &w);
	for (uint32_t i = 0; i < r->n_from; i++)
		look_for_token(&r->from[i], &w);
	return w;
}

bool mt_an_needs_token(const struct mt_authz_rule *r)
{
	struct token_words w = {0};

	look_for_token(&r->when, &w);
	if (w.wanted)
		return true;
	for (uint32_t i = 0; i < r->n_from; i++) {
		struct token_words from = {0};

		look_for_token(&r->from[i], &from);
		if (!from.wanted)
			return false;
	}
	return r->n_from > 0;
}

bool mt_an_wants_token(const struct mt_authz_rule *r)
{
	return token_words_of(r).wanted;
}

/* True if a DENY is for calls without a token. Then the author has considered such calls. */
static bool denies_tokenless(const struct mt_authz *l)
{
	for (uint32_t i = 0; i < l->n_deny; i++)
		for (uint32_t k = 0; k < l->deny[i]->n_rules; k++)
			if (token_words_of(&l->deny[i]->rules[k]).absent)
				return true;
	return false;
}

/*
 * True if a rule of ALLOW requires a token and each of the others requires an identity. Then the
 * author has considered which callers need no token.
 */
static bool allows_tokens(const struct mt_authz *l)
{
	bool any = false;

	for (uint32_t i = 0; i < l->n_allow; i++)
		for (uint32_t k = 0; k < l->allow[i]->n_rules; k++) {
			bool token = token_words_of(&l->allow[i]->rules[k]).wanted;

			if (!token && !mt_an_wants_name(&l->allow[i]->rules[k]))
				return false;
			any |= token;
		}
	return any;
}

bool mt_an_is_evaded(const struct mt_list_words *l, const struct mt_authz_rule *r, bool allow)
{
	struct token_words w = token_words_of(r);

	if (w.absent || l->denies_tokenless)
		return false;
	return allow ? w.left_out && !w.wanted : w.wanted && !l->allows_tokens;
}

/* ---- DENY for all except named callers ------------------------------------------------------- */

static bool leaves_out(const struct mt_authz_conds *l, bool *any)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct mt_authz_cond *c = &l->v[i];

		if (c->n_values ||
			!(mt_an_is_name(c) || mt_an_is_token(c) || c->field == MT_AUTHZ_PEER))
			return false;
		*any |= c->n_nots > 0;
	}
	return true;
}

/* True for a rule of DENY on all calls of all callers except those that it names. */
static bool is_for_others(const struct mt_authz_rule *r)
{
	bool any = false;

	if (r->n_to || !leaves_out(&r->when, &any))
		return false;
	for (uint32_t i = 0; i < r->n_from; i++)
		if (leaves_out(&r->from[i], &any) && any)
			return true;
	return !r->n_from && any;
}

static bool bounds_callers(const struct mt_authz *l)
{
	for (uint32_t i = 0; i < l->n_deny; i++)
		for (uint32_t k = 0; k < l->deny[i]->n_rules; k++)
			if (l->deny[i]->action == MT_AUTHZ_DENY && l->deny[i]->serial &&
				strstr(l->deny[i]->by, "AuthorizationPolicy ") &&
				is_for_others(&l->deny[i]->rules[k]))
				return true;
	return false;
}

struct mt_list_words mt_an_list_words(const struct mt_authz *l)
{
	return (struct mt_list_words){denies_tokenless(l), allows_tokens(l), bounds_callers(l)};
}
