/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collects where and how rules are used. Each list of policies that applies to an instance or a
 * gateway is checked once, and the results for a rule are summed over all lists that contain it, so
 * that a finding holds everywhere.
 */
#include "mt_analyse_priv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A list of policies, and where it applies. */
struct place {
	struct mt_analysis *a;
	const struct mt_authz *l;
	struct mt_list_words words;
	const char *host;		  /* host, or name of the gateway */
	bool certified;			  /* callers without a certificate are denied */
	const struct mt_audit_gate *gate; /* NULL: for an instance */
	bool disabled;			  /* only plaintext is accepted */
	bool tokens;			  /* tokens of some issuer are accepted */
	bool meshed; /* sidecars evaluate it, and may know more of a call than this node */
};

/* ---- lookup ---------------------------------------------------------------------------------- */

struct mt_policy_use *mt_an_policy_use_of(const struct mt_analysis *a, uint64_t serial)
{
	char key[32];

	snprintf(key, sizeof(key), "%" PRIu64, serial);
	return mt_strmap_get(&a->policies, key);
}

static struct mt_policy_use *policy_use(struct mt_analysis *a, uint64_t serial)
{
	struct mt_policy_use *u = mt_an_policy_use_of(a, serial);
	char *key = u ? NULL : mt_region_printf(&a->region, "%" PRIu64, serial);

	if (key) {
		u = mt_region_alloc(&a->region, sizeof(*u));
		if (u)
			(void)mt_strmap_put(&a->policies, key, u, NULL);
	}
	return u;
}

struct mt_rule_use *mt_an_use_of(struct mt_analysis *a, uint64_t serial, uint32_t line)
{
	char *key = mt_region_printf(&a->region, "%" PRIu64 " %u", serial, line);
	struct mt_rule_use *u = key ? mt_strmap_get(&a->uses, key) : NULL;

	if (u || !key)
		return u;
	u = mt_region_alloc(&a->region, sizeof(*u));
	if (!u)
		return NULL;
	*u = (struct mt_rule_use){.serial = serial, .line = line};
	(void)mt_strmap_put(&a->uses, key, u, NULL);
	return u;
}

/* ---- callers of a rule ----------------------------------------------------------------------- */

/* Finds a list's conditions on the caller: identity or token, excluded identities, address. */
static void look_at(const struct mt_authz_conds *l, bool *wanted, bool *left_out, bool *address)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct mt_authz_cond *c = &l->v[i];

		*wanted |= (mt_an_is_name(c) || mt_an_is_token(c)) && c->n_values;
		*left_out |= mt_an_is_name(c) && c->n_nots && !c->n_values;
		*address |= c->field == MT_AUTHZ_PEER && c->n_values;
	}
}

/* True if only callers with an identity or a token match the rule. */
bool mt_an_wants_name(const struct mt_authz_rule *r)
{
	bool when = false, ignored = false;

	look_at(&r->when, &when, &ignored, &ignored);
	if (when)
		return true;
	for (uint32_t i = 0; i < r->n_from; i++) {
		bool from = false;

		look_at(&r->from[i], &from, &ignored, &ignored);
		if (!from)
			return false;
	}
	return r->n_from > 0;
}

/* True if some part of the rule only excludes callers, by identity. */
static bool leaves_out_only(const struct mt_authz_rule *r)
{
	for (uint32_t i = 0; i < MT_MAX(r->n_from, 1u); i++) {
		bool wanted = false, left_out = false, address = false;

		look_at(&r->when, &wanted, &left_out, &address);
		if (r->n_from)
			look_at(&r->from[i], &wanted, &left_out, &address);
		if (left_out && !wanted && !address)
			return true;
	}
	return false;
}

bool mt_an_is_bounded(const struct mt_rule_use *u)
{
	return u && u->seen && u->bounded == u->seen;
}

/* True if a caller without an identity needs certain addresses to match the rule. */
static bool wants_address(const struct mt_authz_rule *r)
{
	bool when = false, ignored = false;

	look_at(&r->when, &ignored, &ignored, &when);
	for (uint32_t i = 0; !when && i < r->n_from; i++) {
		bool name = false, address = false;

		look_at(&r->from[i], &name, &ignored, &address);
		if (!name && !address)
			return false;
	}
	return when || r->n_from > 0;
}

bool mt_an_goes_by_address(const struct mt_authz *rules)
{
	bool any = false, all = true;

	for (; rules; rules = rules->also)
		for (uint32_t i = 0; i < rules->n_allow; i++)
			for (uint32_t k = 0; k < rules->allow[i]->n_rules; k++) {
				const struct mt_authz_rule *r = &rules->allow[i]->rules[k];

				all &= wants_address(r) || mt_an_wants_name(r);
				any |= wants_address(r) && !mt_an_wants_name(r);
			}
	return any && all;
}

static bool lets_nobodies(const struct mt_authz *l)
{
	for (uint32_t i = 0; i < l->n_allow; i++)
		for (uint32_t k = 0; k < l->allow[i]->n_rules; k++)
			if (!mt_an_wants_name(&l->allow[i]->rules[k]))
				return true;
	return l->n_allow == 0;
}

bool mt_an_asks_certificate(const struct mt_authz *rules)
{
	for (; rules; rules = rules->also)
		for (uint32_t i = 0; i < rules->n_deny; i++) {
			const struct mt_authz_policy *p = rules->deny[i];

			for (uint32_t k = 0; k < p->n_rules; k++)
				if (mt_an_rule_is_empty(&p->rules[k]) ||
					(p->rules[k].when.n == 1 && !p->rules[k].n_from &&
						!p->rules[k].n_to &&
						p->rules[k].when.v[0].field == MT_AUTHZ_CLEAR))
					return true;
		}
	return false;
}

/* ---- comparison with other rules ------------------------------------------------------------- */

/*
 * True if `other` matches all that `r` matches. Of two equal rules only the earlier one covers the
 * other.
 */
static bool covers(const struct mt_authz_rule *other, bool before, const struct mt_authz_rule *r)
{
	return mt_an_rule_within(r, other, false) &&
	       (before || !mt_an_rule_within(other, r, false));
}

/* Reserves the steps to compare two rules in both directions. */
static bool may_compare(
	struct mt_analysis *a, const struct mt_authz_rule *x, const struct mt_authz_rule *y)
{
	return mt_an_may(a, 2 * mt_an_cost_within(x, y));
}

/* True unless a field was left out of the policy that the sidecars which evaluate it may know. */
static bool is_whole(const struct place *at, const struct mt_authz_policy *p)
{
	return !at->meshed || !p->dropped;
}

static const struct mt_authz_policy *find_cover(const struct place *in,
	const struct mt_authz_policy *const *v, uint32_t n, uint32_t at, uint32_t rule,
	uint32_t *line)
{
	const struct mt_authz_rule *r = &v[at]->rules[rule];

	if (!is_whole(in, v[at]))
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; v[i]->action == v[at]->action && k < v[i]->n_rules; k++) {
			bool before = i < at || (i == at && k < rule);

			if (!may_compare(in->a, r, &v[i]->rules[k]))
				return NULL;
			if ((i == at && k == rule) || !is_whole(in, v[i]) ||
				!covers(&v[i]->rules[k], before, r))
				continue;
			*line = v[i]->rules[k].line;
			return v[i];
		}
	return NULL;
}

static const struct mt_authz_policy *find_denial(
	const struct place *at, const struct mt_authz_rule *r, uint32_t *line)
{
	const struct mt_authz *l = at->l;

	for (uint32_t i = 0; i < l->n_deny; i++)
		for (uint32_t k = 0; l->deny[i]->action == MT_AUTHZ_DENY && k < l->deny[i]->n_rules;
			k++)
			if (may_compare(at->a, r, &l->deny[i]->rules[k]) &&
				is_whole(at, l->deny[i]) &&
				mt_an_rule_within(r, &l->deny[i]->rules[k], true)) {
				*line = l->deny[i]->rules[k].line;
				return l->deny[i];
			}
	return NULL;
}

static void note_by(struct mt_rule_use *u, const struct mt_authz_policy *by, uint32_t line)
{
	if (!u->by) {
		u->by = by;
		u->by_line = line;
	}
	u->others |= u->by->serial != by->serial || u->by_line != line;
}

/*
 * True if callers at the gateway can present certificates. With passthrough, the server that
 * terminates TLS asks for them, and the gateway does not see them.
 */
static bool asks_certificate(const struct mt_audit_gate *g)
{
	const struct mt_gateway_tls *t = g->server->tls;

	return t && (t->mode.v == MT_GATEWAY_MUTUAL || t->mode.v == MT_GATEWAY_ISTIO_MUTUAL ||
			    t->mode.v == MT_GATEWAY_OPTIONAL_MUTUAL);
}

/*
 * Counts the rule's findings on callers. At a gateway, callers without a certificate may be
 * admitted on purpose.
 */
static void look_at_callers(
	const struct place *at, struct mt_rule_use *u, const struct mt_authz_rule *r, bool allow)
{
	if (allow && at->disabled && !at->a->vouched && mt_an_wants_name(r) && u->nameless++ == 0)
		u->nameless_host = at->host;
	if (at->gate && !at->a->vouched && !asks_certificate(at->gate) && mt_an_wants_name(r) &&
		u->unasked++ == 0)
		u->unasked_gate = at->gate;
	u->untokened += !at->meshed && !at->tokens && mt_an_needs_token(r);
	if (mt_an_is_evaded(&at->words, r, allow) && u->tokenless++ == 0)
		u->tokenless_host = at->host;
	if (at->certified || at->gate || !at->a->strangers)
		return;
	if (allow && leaves_out_only(r) && u->lone++ == 0)
		u->lone_host = at->host;
	if (!allow && mt_an_wants_name(r) && !mt_an_wants_token(r) && lets_nobodies(at->l) &&
		u->clear++ == 0)
		u->clear_host = at->host;
}

static void look_at_rule(const struct place *at, const struct mt_authz_policy *const *v, uint32_t n,
	uint32_t i, uint32_t k)
{
	const struct mt_authz_policy *p = v[i];
	struct mt_rule_use *u = mt_an_use_of(at->a, p->serial, p->rules[k].line);
	const struct mt_authz_policy *by;
	uint32_t line = 0;

	if (!u)
		return;
	u->seen++;
	if (mt_an_may(at->a, mt_an_cost_impossible(&p->rules[k])))
		u->impossible |= mt_an_rule_is_impossible(&p->rules[k]);
	u->open |= mt_an_rule_is_open(&p->rules[k]);
	u->bounded += at->words.bounds;
	by = p->action == MT_AUTHZ_ALLOW ? find_denial(at, &p->rules[k], &line) : NULL;
	u->denied += by != NULL;
	if (!by) {
		by = find_cover(at, v, n, i, k, &line);
		u->covered += by != NULL;
	}
	if (by)
		note_by(u, by, line);
	look_at_callers(at, u, &p->rules[k], p->action == MT_AUTHZ_ALLOW);
}

/* True if the policy has a selector or targets, and so is narrower than a namespace. */
static bool is_narrow(const struct mt_analysis *a, uint64_t serial)
{
	const struct mt_authorization_policy *p = mt_an_written(a, serial);

	return p && ((p->scope.selector && p->scope.selector->labels.n_kv) || p->scope.target ||
			    p->scope.n_targets);
}

/*
 * Counts the lists that contain the policy. If it is a narrow ALLOW without rules, also counts
 * those of the lists that contain an ALLOW with rules that is not narrow.
 */
static void look_beside(const struct place *at, const struct mt_authz_policy *p)
{
	struct mt_policy_use *u = policy_use(at->a, p->serial);

	if (!u)
		return;
	u->lists++;
	if (p->n_rules || !is_narrow(at->a, p->serial) ||
		!mt_an_may(at->a, (uint64_t)at->l->n_allow * MT_AN_WORD))
		return;
	for (uint32_t i = 0; i < at->l->n_allow; i++) {
		const struct mt_authz_policy *o = at->l->allow[i];

		if (o == p || !o->n_rules || is_narrow(at->a, o->serial))
			continue;
		u->beside++;
		u->by = o;
		return;
	}
}

static void look_at_list(const struct place *at)
{
	const struct mt_authz *l = at->l;

	for (uint32_t i = 0; i < l->n_deny; i++)
		for (uint32_t k = 0; l->deny[i]->action == MT_AUTHZ_DENY && k < l->deny[i]->n_rules;
			k++)
			if (l->deny[i]->serial)
				look_at_rule(at, l->deny, l->n_deny, i, k);
	for (uint32_t i = 0; i < l->n_allow; i++) {
		look_beside(at, l->allow[i]);
		for (uint32_t k = 0; k < l->allow[i]->n_rules; k++)
			look_at_rule(at, l->allow, l->n_allow, i, k);
	}
}

/* ---- all places ------------------------------------------------------------------------------ */

static void note_policies(struct mt_analysis *a, const struct mt_authz *l,
	const struct mt_audit_row *row, const struct mt_audit_gate *gate)
{
	const struct mt_codec *codec = row ? row->codec : gate->codec;

	for (uint32_t i = 0; i < l->n_deny + l->n_allow; i++) {
		const struct mt_authz_policy *p =
			i < l->n_deny ? l->deny[i] : l->allow[i - l->n_deny];
		struct mt_policy_use *u = p->serial ? policy_use(a, p->serial) : NULL;

		if (!u)
			continue;
		u->gates |= row == NULL;
		/* Sidecars decide themselves which fields their messages have. */
		if (row && row->class == MT_INSTANCE_MESHED) {
			u->unsure |= p->vanished || p->dropped;
			continue;
		}
		u->messages |= !codec->opaque;
		u->bytes |= codec->opaque;
		u->dubbo |= codec->dubbo_policies;
		u->kubernetes |= row && row->se->kubernetes;
		if (p->vanished)
			u->vanished = p->vanished;
		if (p->dropped)
			u->dropped = p->dropped;
		if (p->dropped && !codec->opaque)
			u->dropped_of_messages = p->dropped;
	}
}

static void look(struct mt_analysis *a, struct mt_strmap *seen, const struct mt_authz *rules,
	const struct mt_audit_row *row, const struct mt_audit_gate *gate)
{
	const char *host = row ? row->host : gate->gateway->meta.name;
	bool certified = mt_an_asks_certificate(rules), tokens = false;

	for (const struct mt_authz *l = rules; l; l = l->also)
		tokens |= l->tokens != NULL;
	for (const struct mt_authz *l = rules; l; l = l->also) {
		bool meshed = row && row->class == MT_INSTANCE_MESHED;
		bool disabled = row && row->mode == MT_MTLS_DISABLE;
		struct place at = {a, l, {0}, host, certified, gate, disabled, tokens, meshed};
		char *key = mt_region_printf(&a->region, "%p %d %d %d %d", (const void *)l, meshed,
			disabled, gate && asks_certificate(gate), tokens);

		note_policies(a, l, row, gate);
		if (!key || mt_strmap_get(seen, key))
			continue;
		(void)mt_strmap_put(seen, key, key, NULL);
		at.words = mt_an_list_words(l);
		look_at_list(&at);
	}
}

void mt_an_uses_gather(struct mt_analysis *a)
{
	const struct mt_audit *all = a->in->audit;
	struct mt_strmap seen = {0};

	for (uint32_t i = 0; i < all->n_rows; i++)
		if (all->rows[i].rules)
			look(a, &seen, all->rows[i].rules, &all->rows[i], NULL);
	for (uint32_t i = 0; i < all->n_gates; i++)
		if (all->gates[i].rules)
			look(a, &seen, all->gates[i].rules, NULL, &all->gates[i]);
	mt_strmap_fini(&seen);
}
