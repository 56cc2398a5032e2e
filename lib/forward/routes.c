/* SPDX-License-Identifier: Apache-2.0 */
/* The table of routes: checked, counted, built and replaced by the control thread. */
#include "mt_forward_priv.h"

#include <errno.h>
#include <stdio.h>

#include <rte_rcu_qsbr.h>

/* Bytes of the first level of rte_lpm and of rte_lpm6: 2^24 entries. */
#define FIRST_BYTES ((uint64_t)RTE_LPM_TBL24_NUM_ENTRIES * sizeof(struct rte_lpm_tbl_entry))
#define GROUP_BYTES (RTE_LPM_TBL8_GROUP_NUM_ENTRIES * sizeof(struct rte_lpm_tbl_entry))
#define FIRST_BITS  24 /* of an address, that select an entry of the first level */

/* A prefix with its host bits cleared; `bits` counts from the start of the 128-bit form. */
struct rule {
	struct mt_addr to;
	uint8_t bits;
	uint32_t set;
};

/* The rules of one family in the order of addresses, a prefix before those that it contains. */
struct family {
	struct rule *rules;
	uint32_t n;
	uint32_t groups; /* tables of 256 entries after the first level */
	uint8_t base;	 /* bits before the address in the 128-bit form */
};

static const char *const family_names[2] = {"IPv4", "IPv6"};

static uint8_t base_of(bool is4)
{
	return is4 ? 96 : 0;
}

/* ---- checks -------------------------------------------------------------------------------- */

static char *route_str(const struct mt_fwd_route *r, char buf[MT_ADDR_STRLEN + 8])
{
	char to[MT_ADDR_STRLEN];

	snprintf(buf, MT_ADDR_STRLEN + 8, "%s/%u", mt_addr_str(&r->to, to), r->prefix);
	return buf;
}

static bool same_hop(const struct mt_fwd_hop *a, const struct mt_fwd_hop *b)
{
	return mt_addr_eq(&a->via, &b->via) && a->port == b->port && a->tag == b->tag;
}

static int check_hop(const struct mt_fwd_route *r, uint32_t i, struct mt_err *e)
{
	const struct mt_fwd_hop *h = &r->hops[i];
	char to[MT_ADDR_STRLEN + 8], via[MT_ADDR_STRLEN];

	if (!mt_addr_is_zero(&h->via) && mt_addr_is4(&h->via) != mt_addr_is4(&r->to))
		return mt_err(e, -EINVAL, "route to %s: next hop %s is of the other family",
			route_str(r, to), mt_addr_str(&h->via, via));
	for (uint32_t k = 0; k < i; k++)
		if (same_hop(h, &r->hops[k]))
			return mt_err(e, -EINVAL, "route to %s: next hop %s is given twice",
				route_str(r, to), mt_addr_str(&h->via, via));
	return 0;
}

static int check_route(const struct mt_fwd_route *r, struct mt_err *e)
{
	char to[MT_ADDR_STRLEN + 8];
	int rc = 0;

	if (r->prefix > (mt_addr_is4(&r->to) ? 32 : 128))
		return mt_err(
			e, -EINVAL, "route to %s: the prefix length is too long", route_str(r, to));
	if (r->n_hops > MT_FWD_HOPS_MAX)
		return mt_err(e, -EINVAL, "route to %s: it has %u next hops, and %u are allowed",
			route_str(r, to), r->n_hops, MT_FWD_HOPS_MAX);
	for (uint32_t i = 0; !rc && i < r->n_hops; i++)
		rc = check_hop(r, i, e);
	return rc;
}

/* ---- rules --------------------------------------------------------------------------------- */

static void clear_host(struct mt_addr *a, uint8_t bits)
{
	for (uint32_t i = 0; i < sizeof(a->b); i++) {
		uint32_t keep = bits > i * 8 ? MT_MIN(bits - i * 8, 8u) : 0;

		a->b[i] &= (uint8_t)(0xff00 >> keep);
	}
}

/* In the end by the set, because the first one of equal prefixes counts. */
static int by_address(const void *x, const void *y)
{
	const struct rule *a = x, *b = y;
	int d = memcmp(&a->to, &b->to, sizeof(a->to));

	if (d == 0)
		d = a->bits - b->bits;
	return d ? d : (a->set > b->set) - (a->set < b->set);
}

static bool same_bits(const struct mt_addr *a, const struct mt_addr *b, uint32_t bits)
{
	return memcmp(a, b, bits / 8) == 0;
}

/*
 * Groups are exact: each 24 bits, 32 bits and so on of an address have one if a rule with these
 * bits is longer.
 */
static uint32_t count_groups(const struct family *f)
{
	uint32_t groups = 0;

	for (uint32_t at = f->base + FIRST_BITS; at < 128; at += 8) {
		const struct rule *last = NULL;

		for (uint32_t i = 0; i < f->n; i++) {
			const struct rule *r = &f->rules[i];

			if (r->bits <= at)
				continue;
			groups += !last || !same_bits(&last->to, &r->to, at);
			last = r;
		}
	}
	return groups;
}

/* Sorts the rules, drops repeated prefixes and takes out the default route, which is *def. */
static void arrange(struct family *f, uint32_t *def)
{
	uint32_t n = 0;

	if (f->n)
		qsort(f->rules, f->n, sizeof(*f->rules), by_address);
	*def = FWD_NONE;
	for (uint32_t i = 0; i < f->n; i++) {
		const struct rule *r = &f->rules[i];

		if (r->bits == f->base) {
			*def = MT_MIN(*def, r->set);
			continue;
		}
		if (n && f->rules[n - 1].bits == r->bits && mt_addr_eq(&f->rules[n - 1].to, &r->to))
			continue;
		f->rules[n++] = *r;
	}
	f->n = n;
	f->groups = count_groups(f);
}

static int collect(
	struct family *f, bool is4, const struct mt_fwd_route *routes, uint32_t n, struct mt_err *e)
{
	f->base = base_of(is4);
	f->rules = malloc((n + 1) * sizeof(*f->rules));
	if (!f->rules)
		return mt_err(e, -ENOMEM, "no memory for the routing table");
	for (uint32_t i = 0; i < n; i++) {
		struct rule r = {.to = routes[i].to, .set = i};

		if (mt_addr_is4(&r.to) != is4)
			continue;
		r.bits = (uint8_t)(f->base + routes[i].prefix);
		clear_host(&r.to, r.bits);
		f->rules[f->n++] = r;
	}
	return 0;
}

static int check_size(const struct family *f, bool is4, struct mt_err *e)
{
	if (f->n > MT_FWD_ROUTES_MAX)
		return mt_err(e, -ENOSPC, "there are %u routes of %s, and %u are allowed", f->n,
			family_names[!is4], MT_FWD_ROUTES_MAX);
	if (f->groups > MT_FWD_GROUPS_MAX)
		return mt_err(e, -ENOSPC,
			"the %u routes of %s need %u groups of 256 entries, and %u are allowed; "
			"use "
			"shorter prefixes, or addresses that are closer together",
			f->n, family_names[!is4], f->groups, MT_FWD_GROUPS_MAX);
	return 0;
}

/* ---- tables -------------------------------------------------------------------------------- */

static int no_room(const struct family *f, bool is4, struct mt_err *e)
{
	return mt_err(e, -ENOMEM, "no memory for the routing table of %s: it needs %u MB",
		family_names[!is4], (uint32_t)((FIRST_BYTES + f->groups * GROUP_BYTES) >> 20) + 1);
}

/* A rule that rte_lpm refuses although its size was counted: a fault of this file, or of memory. */
static int refused(const struct rule *r, int rc, struct mt_err *e)
{
	char to[MT_ADDR_STRLEN];

	return mt_err(e, rc, "route to %s: the routing table refuses it (%d)",
		mt_addr_str(&r->to, to), rc);
}

/* Names are unique in the process, because the old table exists until the new one is complete. */
static char *next_name(char name[RTE_LPM_NAMESIZE])
{
	static _Atomic uint32_t number;

	snprintf(name, RTE_LPM_NAMESIZE, "mt_fwd_%u", atomic_fetch_add(&number, 1));
	return name;
}

static int build4(struct mt_fwd_table *t, const struct family *f, int socket, struct mt_err *e)
{
	struct rte_lpm_config conf = {.max_rules = f->n, .number_tbl8s = MT_MAX(f->groups, 1u)};
	char name[RTE_LPM_NAMESIZE];
	int rc = 0;

	t->lpm4 = rte_lpm_create(next_name(name), socket, &conf);
	if (!t->lpm4)
		return no_room(f, true, e);
	for (uint32_t i = 0; !rc && i < f->n; i++) {
		const struct rule *r = &f->rules[i];

		rc = rte_lpm_add(t->lpm4, rte_be_to_cpu_32(mt_addr_v4(&r->to)),
			(uint8_t)(r->bits - f->base), r->set);
		if (rc)
			rc = refused(r, rc, e);
	}
	return rc;
}

static int build6(struct mt_fwd_table *t, const struct family *f, int socket, struct mt_err *e)
{
	struct rte_lpm6_config conf = {.max_rules = f->n, .number_tbl8s = MT_MAX(f->groups, 1u)};
	char name[RTE_LPM_NAMESIZE];
	int rc = 0;

	t->lpm6 = rte_lpm6_create(next_name(name), socket, &conf);
	if (!t->lpm6)
		return no_room(f, false, e);
	for (uint32_t i = 0; !rc && i < f->n; i++) {
		const struct rule *r = &f->rules[i];

		rc = rte_lpm6_add(t->lpm6, r->to.b, r->bits, r->set);
		if (rc)
			rc = refused(r, rc, e);
	}
	return rc;
}

static int build_family(struct mt_fwd_table *t, bool is4, const struct mt_fwd_route *routes,
	uint32_t n, int socket, struct mt_err *e)
{
	struct family f = {0};
	int rc = collect(&f, is4, routes, n, e);
	uint32_t *def = is4 ? &t->default4 : &t->default6;

	if (rc)
		return rc;
	arrange(&f, def);
	rc = check_size(&f, is4, e);
	if (!rc && f.n)
		rc = is4 ? build4(t, &f, socket, e) : build6(t, &f, socket, e);
	*(is4 ? &t->info.routes4 : &t->info.routes6) = f.n + (*def != FWD_NONE);
	*(is4 ? &t->info.groups4 : &t->info.groups6) = f.groups;
	if (f.n)
		t->info.bytes += FIRST_BYTES + f.groups * GROUP_BYTES;
	free(f.rules);
	return rc;
}

/* ---- next hops ----------------------------------------------------------------------------- */

static uint64_t seed_of(const struct mt_fwd_hop *h)
{
	uint64_t x = fwd_mix(h->via.q[0] + 0x9e3779b97f4a7c15ull);

	x = fwd_mix(x ^ h->via.q[1]);
	return fwd_mix(x ^ ((uint64_t)h->tag << 16 | h->port));
}

static int copy_hops(
	struct mt_fwd_table *t, const struct mt_fwd_route *routes, uint32_t n, struct mt_err *e)
{
	uint32_t all = 0;

	for (uint32_t i = 0; i < n; i++)
		all += routes[i].n_hops;
	t->sets = calloc(n + 1, sizeof(*t->sets));
	t->hops = calloc(all + 1, sizeof(*t->hops));
	if (!t->sets || !t->hops)
		return mt_err(e, -ENOMEM, "no memory for the routing table");
	for (uint32_t i = 0; i < n; i++) {
		t->sets[i] = (struct fwd_set){t->n_hops, routes[i].n_hops};
		for (uint32_t k = 0; k < routes[i].n_hops; k++) {
			const struct mt_fwd_hop *h = &routes[i].hops[k];

			t->hops[t->n_hops++] = (struct fwd_hop){*h, seed_of(h)};
		}
	}
	t->info.bytes = sizeof(*t) + n * sizeof(*t->sets) + all * sizeof(*t->hops);
	return 0;
}

int mt_fwd_table_new(const struct mt_fwd_route *routes, uint32_t n, int socket,
	struct mt_fwd_table **out, struct mt_err *e)
{
	struct mt_fwd_table *t;
	int rc = 0;

	/* Of both families, with repeated prefixes; bounds what is allocated. */
	if (n > 4 * MT_FWD_ROUTES_MAX)
		return mt_err(e, -ENOSPC, "there are %u routes, and %u are allowed", n,
			4 * MT_FWD_ROUTES_MAX);
	for (uint32_t i = 0; !rc && i < n; i++)
		rc = check_route(&routes[i], e);
	if (rc)
		return rc;
	t = calloc(1, sizeof(*t));
	if (!t)
		return mt_err(e, -ENOMEM, "no memory for the routing table");
	rc = copy_hops(t, routes, n, e);
	if (!rc)
		rc = build_family(t, true, routes, n, socket, e);
	if (!rc)
		rc = build_family(t, false, routes, n, socket, e);
	if (rc) {
		mt_fwd_table_free(t);
		return rc;
	}
	*out = t;
	return 0;
}

void mt_fwd_table_free(struct mt_fwd_table *t)
{
	if (!t)
		return;
	rte_lpm_free(t->lpm4);
	rte_lpm6_free(t->lpm6);
	free(t->sets);
	free(t->hops);
	free(t);
}

void mt_fwd_table_info(const struct mt_fwd_table *t, struct mt_fwd_info *out)
{
	*out = t->info;
}

struct mt_fwd_table *mt_fwd_swap(struct mt_fwd_slot *slot, struct mt_fwd_table *t)
{
	return atomic_exchange_explicit(&slot->table, t, memory_order_acq_rel);
}

int mt_fwd_set(struct mt_fwd_slot *slot, const struct mt_fwd_route *routes, uint32_t n, int socket,
	struct rte_rcu_qsbr *qsbr, struct mt_err *e)
{
	struct mt_fwd_table *t = NULL;
	int rc = mt_fwd_table_new(routes, n, socket, &t, e);

	if (rc)
		return rc;
	t = mt_fwd_swap(slot, t);
	if (t && qsbr)
		rte_rcu_qsbr_check(qsbr, rte_rcu_qsbr_start(qsbr), true);
	mt_fwd_table_free(t);
	return 0;
}
