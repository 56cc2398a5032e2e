/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes policies that apply to all calls, joins policies into sets in the order of evaluation, and
 * computes the bound of the work.
 */
#include "mt_authz_priv.h"

#include <stdlib.h>

/* ---- policies for all calls ------------------------------------------------------------------ */

/* Makes a policy with one rule that has no conditions. */
static struct mt_authz_policy *plain(
	struct mt_region *r, enum mt_authz_action action, const char *by)
{
	struct mt_authz_policy *p = mt_region_alloc(r, sizeof(*p));

	if (!p)
		return NULL;
	p->action = (uint8_t)action;
	p->by = mt_region_strdup(r, by);
	p->rules = mt_region_alloc(r, sizeof(*p->rules));
	p->n_rules = 1;
	return p->by && p->rules ? p : NULL;
}

struct mt_authz_policy *mt_authz_compile_closing(struct mt_region *r, const char *by)
{
	struct mt_authz_policy *p = plain(r, MT_AUTHZ_CLOSE, by);

	if (p)
		p->closes = p->closes_all = true;
	return p;
}

struct mt_authz_policy *mt_authz_compile_strict(struct mt_region *r, const char *by)
{
	struct mt_authz_policy *p = plain(r, MT_AUTHZ_DENY, by);
	struct mt_authz_cond *w =
		p ? mt_region_push(r, (void **)&p->rules->when.v, &p->rules->when.n, sizeof(*w))
		  : NULL;

	if (!w)
		return NULL;
	w->field = MT_AUTHZ_CLEAR;
	return p;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static bool asks_metadata(const struct mt_authz_rule *r)
{
	for (uint32_t i = 0; i < r->when.n; i++)
		if (r->when.v[i].field == MT_AUTHZ_METADATA)
			return true;
	return false;
}

static void find_readers(struct mt_authz *a, const struct mt_authz_policy *p)
{
	for (uint32_t i = 0; i < p->n_rules; i++) {
		const struct mt_authz_rule *r = &p->rules[i];

		a->searches |= r->by_interface || asks_metadata(r);
		a->reads |= r->by_method || a->searches;
	}
}

/*
 * Appends the policies of one action, except DENY and CLOSE without rules, which deny no call.
 * CLOSE comes before DENY, so that a call that matches both is reported as closed.
 */
static void put(const struct mt_authz_policy **to, uint32_t *n, struct mt_authz_policy *const *from,
	uint32_t n_from, uint8_t action)
{
	for (uint32_t i = 0; i < n_from; i++)
		if (from[i]->action == action && (from[i]->n_rules || action == MT_AUTHZ_ALLOW))
			to[(*n)++] = from[i];
}

struct mt_authz *mt_authz_set(struct mt_region *r, struct mt_authz_policy *const *policies,
	uint32_t n, const struct mt_authz *also)
{
	struct mt_authz *a = mt_region_alloc(r, sizeof(*a));
	const struct mt_authz_policy **all = mt_region_alloc(r, sizeof(*all) * MT_MAX(n, 1u));

	if (!a || !all)
		return NULL;
	a->deny = all;
	put(all, &a->n_deny, policies, n, MT_AUTHZ_CLOSE);
	put(all, &a->n_deny, policies, n, MT_AUTHZ_DENY);
	a->allow = all + a->n_deny;
	put(a->allow, &a->n_allow, policies, n, MT_AUTHZ_ALLOW);
	for (uint32_t i = 0; i < n; i++) {
		find_readers(a, policies[i]);
		/* A query to the provider contains all names and metadata. */
		a->reads |= policies[i]->asks != NULL;
		a->searches |= policies[i]->asks != NULL;
	}
	a->also = also;
	a->reads |= also && also->reads;
	a->searches |= also && also->searches;
	a->index = mt_authz_index_new(r, a);
	return r->failed ? NULL : a;
}

bool mt_authz_changes(const struct mt_authz *a)
{
	for (; a; a = a->also) {
		if (a->tokens)
			return true;
		for (uint32_t i = 0; i < a->n_deny; i++)
			if (a->deny[i]->asks)
				return true;
	}
	return false;
}

const struct mt_authz_policy *mt_authz_closes_all(const struct mt_authz *a)
{
	const struct mt_authz_policy *by = NULL;

	for (; a; a = a->also) {
		bool admits = a->n_allow == 0;

		for (uint32_t i = 0; i < a->n_deny; i++)
			if (a->deny[i]->closes_all && !a->deny[i]->asks)
				return a->deny[i];
		for (uint32_t i = 0; i < a->n_allow; i++) {
			admits |= a->allow[i]->admits;
			by = a->allow[i]->closes ? a->allow[i] : by;
		}
		if (!admits && by)
			return by;
		by = NULL;
	}
	return NULL;
}

/* True if a rule of the policy has no conditions. */
static bool lets_all(const struct mt_authz_policy *p)
{
	for (uint32_t i = 0; i < p->n_rules; i++)
		if (!p->rules[i].n_from && !p->rules[i].n_to && !p->rules[i].when.n)
			return true;
	return false;
}

bool mt_authz_is_idle(const struct mt_authz *a)
{
	bool all = a->n_allow == 0;

	if (a->tokens || (a->also && !mt_authz_is_idle(a->also)))
		return false;
	for (uint32_t i = 0; i < a->n_deny; i++)
		if (a->deny[i]->n_rules)
			return false;
	for (uint32_t i = 0; i < a->n_allow; i++)
		all |= lets_all(a->allow[i]);
	return all;
}

/*
 * Returns the steps for a list of conditions: each condition and each of its values counts, for
 * metadata and claims once per entry.
 */
static uint64_t work_of(const struct mt_authz_conds *l, uint32_t entries)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct mt_authz_cond *w = &l->v[i];
		/* Each value may be compared with two ports. */
		uint64_t once = 2ull + 2ull * w->n_values + w->n_nots;

		if (w->field == MT_AUTHZ_METADATA)
			once *= entries + 1ull;
		else if (w->field == MT_AUTHZ_CLAIM)
			once *= MT_CLAIMS_ENTRIES + 1ull;
		sum += once;
	}
	return sum;
}

static uint64_t work_of_rule(const struct mt_authz_rule *r, uint32_t entries)
{
	uint64_t sum = 1 + work_of(&r->when, entries);

	for (uint32_t i = 0; i < r->n_from; i++)
		sum += work_of(&r->from[i], entries);
	for (uint32_t i = 0; i < r->n_to; i++)
		sum += work_of(&r->to[i], entries) * MT_AUTHZ_INTERFACES * MT_AUTHZ_METHODS;
	return sum;
}

uint64_t mt_authz_work(const struct mt_authz *a, uint32_t entries)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < a->n_deny + a->n_allow; i++) {
		const struct mt_authz_policy *p =
			i < a->n_deny ? a->deny[i] : a->allow[i - a->n_deny];

		for (uint32_t k = 0; k < p->n_rules; k++)
			sum += work_of_rule(&p->rules[k], entries);
	}
	/*
	 * With an index, add the index's own work, and double the sum because the policy that
	 * denies is evaluated once more.
	 */
	if (a->index)
		sum = 2 * sum + mt_authz_narrow_work(a->index);
	return sum + (a->also ? mt_authz_work(a->also, entries) : 0);
}
