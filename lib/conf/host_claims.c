/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides which namespace has a host that objects of several namespaces have. These decide, in
 * order: the rank (mt_b_host_rank()), the object that has the host in the configuration in force,
 * or its namespace, a version that was applied before, the namespace in the host's name, a source
 * without `namespaces`, export to all namespaces, a creationTimestamp, the first place in
 * spec.hosts, the age.
 *
 * An object without its first host is not in use, and claims no further ones. So the hosts are
 * decided three times: by first hosts only; with further hosts of the objects that have their first
 * one; with those that have it in spite of further hosts of others. Each time costs a step for each
 * host of each object, and only if several namespaces have one.
 */
#include "mt_conf_holders_priv.h"

#include "mt_meant.h"
#include "mt_secret_hash.h"

#include <string.h>

#define TIMES 3

/* A host that several namespaces have. */
struct claimed {
	const struct mt_service_entry *best[TIMES];
	unsigned int order[TIMES]; /* of the best one */
};

struct claiming {
	struct mt_build *b;
	const struct mt_host_claimant *v;
	uint32_t n;
	struct mt_idmap *names;	 /* struct claimed */
	struct mt_idmap leaders; /* object that a namespace's host is of, by leader_id() */
};

bool mt_b_is_host_name(const char *name)
{
	/* "*.example.com": all hosts below it, by one address. */
	return mt_is_host(name + (strncmp(name, "*.", 2) == 0 ? 2 : 0));
}

static bool same_namespace(const struct mt_service_entry *a, const struct mt_service_entry *b)
{
	return strcmp(a->meta.ns, b->meta.ns) == 0;
}

static void put(struct mt_build *b, struct mt_idmap *m, uint64_t id, const void *value)
{
	if (mt_idmap_put(m, id, (void *)value))
		b->tmp.failed = true;
}

/* ---- which hosts several namespaces have ----------------------------------------------------- */

static void add_claimed(struct claiming *x, uint64_t id)
{
	struct claimed *c =
		mt_idmap_get(x->names, id) ? NULL : mt_region_alloc(&x->b->tmp, sizeof(*c));

	if (!c)
		return;
	*c = (struct claimed){0};
	put(x->b, x->names, id, c);
}

static void find_claimed(struct claiming *x)
{
	struct mt_idmap first = {0};

	if (mt_idmap_reserve(&first, x->n))
		x->b->tmp.failed = true;
	for (uint32_t i = 0; i < x->n; i++)
		for (uint32_t k = 0; x->v[i].visible && k < x->v[i].se->n_hosts; k++) {
			uint64_t id = mt_place_of_host(x->v[i].se->hosts[k].s);
			const struct mt_service_entry *other = mt_idmap_get(&first, id);

			if (!other)
				put(x->b, &first, id, x->v[i].se);
			else if (!same_namespace(other, x->v[i].se))
				add_claimed(x, id);
		}
	mt_idmap_fini(&first);
}

/* ---- which objects have hosts within their namespaces ---------------------------------------- */

static uint64_t leader_id(const struct mt_service_entry *se, uint32_t i)
{
	uint64_t id = mt_secret_hash_text(se->meta.ns, mt_place_of_host(se->hosts[i].s));

	return id ? id : 1;
}

/* The endpoints of an object join those of the leader of its first host; its names do not count. */
static bool is_leader(const struct claiming *x, const struct mt_service_entry *se, uint32_t i)
{
	return mt_idmap_get(&x->leaders, leader_id(se, i)) == se;
}

static void find_leaders(struct claiming *x)
{
	for (uint32_t i = 0; i < x->n; i++) {
		const struct mt_service_entry *se = x->v[i].se;

		if (!x->v[i].visible || mt_idmap_get(&x->leaders, leader_id(se, 0)))
			continue;
		for (uint32_t k = 0; k < se->n_hosts; k++)
			if (!mt_idmap_get(&x->leaders, leader_id(se, k)))
				put(x->b, &x->leaders, leader_id(se, k), se);
	}
}

/* ---- claims ---------------------------------------------------------------------------------- */

/* The bits of an order, the last one decides first. */
#define FURTHER	    1u /* not the first of spec.hosts */
#define UNDATED	    2u
#define HIDDEN	    4u /* not exported to all namespaces */
#define LIMITED	    8u
#define OTHERS_NAME 16u /* the host's name does not have the object's namespace */
#define CLAIM_SHIFT 3	/* of mt_b_claim() without the parts above */
#define RANK_SHIFT  16

/* Of two objects the one with the lower number has the host. */
static unsigned int order_of(struct mt_build *b, const struct mt_service_entry *se, uint32_t i)
{
	unsigned int claim = mt_b_claim(b, mt_place_of_host(se->hosts[i].s), &se->meta);
	unsigned int of_source = MT_STANDING_LIMITED | MT_STANDING_UNDATED;
	const char *domain = mt_model_domain(b->model);

	return mt_b_host_rank(b, se) << RANK_SHIFT | (claim & ~of_source) << CLAIM_SHIFT |
	       (mt_host_is_of(se->hosts[i].s, se->meta.ns, domain) ? 0 : OTHERS_NAME) |
	       (claim & MT_STANDING_LIMITED ? LIMITED : 0) |
	       (mt_b_is_exported_to(b, se, "*") ? 0 : HIDDEN) |
	       (claim & MT_STANDING_UNDATED ? UNDATED : 0) | (i ? FURTHER : 0);
}

static const struct claimed *claimed_of(
	const struct mt_idmap *names, const struct mt_service_entry *se, uint32_t i)
{
	return mt_idmap_get(names, mt_place_of_host(se->hosts[i].s));
}

/* True if the object had its first host at all times before this one. */
static bool has_first(const struct claiming *x, const struct mt_service_entry *se, int time)
{
	const struct claimed *c = claimed_of(x->names, se, 0);

	for (int t = 0; c && t < time; t++)
		if (!c->best[t] || !same_namespace(c->best[t], se))
			return false;
	return true;
}

static void compare(struct claiming *x, const struct mt_service_entry *se, uint32_t i, int time)
{
	struct claimed *c = (struct claimed *)claimed_of(x->names, se, i);
	unsigned int order;

	if (!c || !mt_b_is_host_name(se->hosts[i].s))
		return;
	if (i && (!time || !is_leader(x, se, 0) || !is_leader(x, se, i) || !has_first(x, se, time)))
		return;
	order = order_of(x->b, se, i);
	if (c->best[time] && c->order[time] <= order)
		return;
	c->best[time] = se;
	c->order[time] = order;
}

void mt_b_host_claims(struct mt_build *b, const struct mt_host_claimant *v, uint32_t n,
	struct mt_host_claims *claims)
{
	struct claiming x = {.b = b, .v = v, .n = n, .names = &claims->names};

	find_claimed(&x);
	if (!claims->names.n)
		return;
	find_leaders(&x);
	for (int time = 0; time < TIMES; time++)
		for (uint32_t i = 0; i < n; i++)
			for (uint32_t k = 0; v[i].visible && k < v[i].se->n_hosts; k++)
				compare(&x, v[i].se, k, time);
	mt_idmap_fini(&x.leaders);
}

const struct mt_service_entry *mt_b_host_winner(
	const struct mt_host_claims *claims, const char *host)
{
	const struct claimed *c =
		claims->names.n ? mt_idmap_get(&claims->names, mt_place_of_host(host)) : NULL;

	return c ? c->best[TIMES - 1] : NULL;
}

const char *mt_b_host_reason(struct mt_build *b, const struct mt_host_claims *claims,
	const struct mt_service_entry *has, const struct mt_service_entry *loser, uint32_t i)
{
	const struct claimed *c = claims->names.n ? claimed_of(&claims->names, loser, i) : NULL;
	uint64_t place = mt_place_of_host(loser->hosts[i].s);
	unsigned int other, better, worse;

	if (!c || !c->best[TIMES - 1])
		return "";
	other = c->order[TIMES - 1] ^ order_of(b, loser, i);
	if (other >> RANK_SHIFT)
		return "";
	/* The parts of the order that no claim has. */
	if (other >= OTHERS_NAME && other < 2 * OTHERS_NAME)
		return ", of the namespace in the name";
	if (other >= HIDDEN && other < LIMITED)
		return ", which is exported to all namespaces";
	if (other < UNDATED)
		return "";
	/* Its namespace may have the host by another object. */
	better = mt_b_claim(b, place, &has->meta);
	worse = mt_b_claim(b, place, &loser->meta);
	return better < worse ? mt_claim_reason(better, worse) : "";
}
