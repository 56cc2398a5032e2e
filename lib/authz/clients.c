/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses from which a set of policies allows a connection, for packets that are forwarded
 * without being terminated. Conditions on the peer's address become sets of addresses, and the
 * others are evaluated for a call without identity, tokens and messages. "All of" is the
 * intersection, "one of" the union: both commute with the question that a rule answers, which is
 * "YES" for ALLOW and "not NO" for the others.
 */
#include "mt_authz_priv.h"

struct look {
	struct mt_region *r;
	struct mt_authz_call call;
	bool denies;
};

static struct mt_addr_ranges nets(struct look *l, const struct mt_authz_value *v, uint32_t n)
{
	struct mt_addr_ranges s = {NULL, 0};

	for (uint32_t i = 0; i < n; i++)
		mt_ranges_add(l->r, &s, &v[i].net, v[i].bits);
	mt_ranges_settle(&s);
	return s;
}

static struct mt_addr_ranges of_cond(struct look *l, const struct mt_authz_cond *w)
{
	struct mt_addr_ranges yes, nots;
	enum fits f;

	if (w->field != MT_AUTHZ_PEER) {
		f = mt_authz_cond_fits(&l->call, w, l->denies);
		if (l->denies ? f != NO : f == YES)
			return mt_ranges_all(l->r);
		return (struct mt_addr_ranges){NULL, 0};
	}
	yes = w->n_values ? nets(l, w->values, w->n_values) : mt_ranges_all(l->r);
	if (!w->n_nots)
		return yes;
	nots = nets(l, w->nots, w->n_nots);
	nots = mt_ranges_others(l->r, &nots);
	return mt_ranges_common(l->r, &yes, &nots);
}

static struct mt_addr_ranges of_all(struct look *l, const struct mt_authz_conds *conds)
{
	struct mt_addr_ranges s = mt_ranges_all(l->r);

	for (uint32_t i = 0; i < conds->n && !l->r->failed; i++) {
		const struct mt_addr_ranges one = of_cond(l, &conds->v[i]);

		s = mt_ranges_common(l->r, &s, &one);
	}
	return s;
}

static struct mt_addr_ranges of_one(struct look *l, const struct mt_authz_conds *list, uint32_t n)
{
	struct mt_addr_ranges s = {NULL, 0};

	if (!n)
		return mt_ranges_all(l->r);
	for (uint32_t i = 0; i < n; i++) {
		const struct mt_addr_ranges one = of_all(l, &list[i]);

		mt_ranges_append(l->r, &s, &one);
	}
	mt_ranges_settle(&s);
	return s;
}

static struct mt_addr_ranges of_rule(struct look *l, const struct mt_authz_rule *rule)
{
	struct mt_addr_ranges from = of_one(l, rule->from, rule->n_from);
	struct mt_addr_ranges to = of_one(l, rule->to, rule->n_to), when = of_all(l, &rule->when);

	from = mt_ranges_common(l->r, &from, &to);
	return mt_ranges_common(l->r, &from, &when);
}

/* Addresses from which some rule of the policies matches. */
static struct mt_addr_ranges of_policies(
	struct look *l, const struct mt_authz_policy *const *v, uint32_t n)
{
	struct mt_addr_ranges s = {NULL, 0};

	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < v[i]->n_rules; k++) {
			const struct mt_addr_ranges one = of_rule(l, &v[i]->rules[k]);

			mt_ranges_append(l->r, &s, &one);
		}
	mt_ranges_settle(&s);
	return s;
}

struct mt_addr_ranges mt_authz_clients(struct mt_region *r, const struct mt_authz *a,
	const struct mt_addr *server, const struct mt_authz_ports *at)
{
	struct look l = {.r = r,
		.call = {.server = *server,
			.server_port = at->server,
			.service_port = at->service,
			.reader = &mt_authz_of_bytes,
			.bytes = true}};
	struct mt_addr_ranges s = mt_ranges_all(r);

	for (; a; a = a->also) {
		struct mt_addr_ranges denied, allowed;

		l.denies = true;
		denied = of_policies(&l, a->deny, a->n_deny);
		denied = mt_ranges_others(r, &denied);
		s = mt_ranges_common(r, &s, &denied);
		l.denies = false;
		allowed = of_policies(&l, a->allow, a->n_allow);
		if (a->n_allow)
			s = mt_ranges_common(r, &s, &allowed);
	}
	return s;
}
