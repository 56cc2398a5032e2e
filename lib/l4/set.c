/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a compiled set. */
#include "mt_l4_priv.h"

#include <string.h>

const struct mt_l4_row *mt_l4_row(
	const struct mt_l4_set *s, const struct mt_addr *a, uint16_t port, uint8_t proto)
{
	for (uint32_t i = mt_addr_port_hash(a, port, proto) & s->mask; s->slots[i];
		i = (i + 1) & s->mask) {
		const struct mt_l4_row *r = &s->rows[s->slots[i] - 1];

		if (r->port == port && r->proto == proto && mt_addr_eq(&r->addr, a))
			return r;
	}
	return NULL;
}

uint32_t mt_l4_addr_bits(const struct mt_l4_set *s, const struct mt_addr *a)
{
	uint32_t lo = 0, hi = s->n_addrs;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int cmp = memcmp(a, &s->addrs[mid].addr, sizeof(*a));

		if (cmp == 0)
			return s->addrs[mid].bits;
		if (cmp < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return 0;
}

const struct mt_l4_service *mt_l4_service(const struct mt_l4_set *s, uint32_t id)
{
	uint32_t lo = 0, hi = s->n_services;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (s->services[mid].id == id)
			return &s->services[mid];
		if (id < s->services[mid].id)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

uint32_t l4_slot_of_rest(const struct mt_l4_group *g, uint64_t hash, uint64_t now)
{
	uint32_t e = L4_NONE;

	if (g->before_at && now < g->before_until)
		e = g->before_at[mt_maglev_at(&g->before, hash % g->before.size)];
	return e != L4_NONE ? e : l4_slot(g, hash);
}

/* Slots and endpoints that are read for another choice at most. */
#define NEXT_SLOTS   128
#define NEXT_MEMBERS 128

static bool may_replace(const struct mt_l4_group *g, uint32_t e, uint32_t first)
{
	return g->endpoints[e].part == g->endpoints[first].part &&
	       !l4_is_unhealthy(&g->endpoints[e]);
}

/*
 * A healthy member of the part of `first`, from one that differs by slot on; of many members, which
 * are too many to read, some that are spread over all. `first` if none is healthy.
 */
static uint32_t other_member(const struct mt_l4_group *g, uint32_t at, uint32_t first)
{
	const struct mt_l4_part *p = &g->parts[g->endpoints[first].part];
	uint32_t n = MT_MIN(p->n, NEXT_MEMBERS);
	/* Places in the list of the part, in units of 2^-32. */
	uint64_t end = (uint64_t)p->n << 32, step = end / n, place = (uint64_t)(at % p->n) << 32;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t e = g->members[p->first + (uint32_t)(place >> 32)];

		if (!l4_is_unhealthy(&g->endpoints[e]))
			return e;
		place += step;
		place = place < end ? place : place - end;
	}
	return first;
}

/*
 * The endpoint of the next slot with a healthy one of the same part. A part of a small weight may
 * have no slot near, so its members follow.
 */
static mt_noinline uint32_t choose_other(const struct mt_l4_group *g, uint32_t at)
{
	uint32_t first = mt_maglev_at(&g->table, at), slot = at;

	for (uint32_t i = 0; i < NEXT_SLOTS; i++) {
		uint32_t e;

		slot = slot + 1 == g->table.size ? 0 : slot + 1;
		e = mt_maglev_at(&g->table, slot);
		if (may_replace(g, e, first))
			return e;
	}
	return other_member(g, at, first);
}

uint32_t mt_l4_choose(const struct mt_l4_group *g, uint64_t hash)
{
	uint32_t at = (uint32_t)(hash % g->table.size), e = mt_maglev_at(&g->table, at);

	return mt_likely(!l4_is_unhealthy(&g->endpoints[e])) ? e : choose_other(g, at);
}

/* True if address `a` is before `b`, as memcmp() orders them; forged packets pay for it. */
static inline bool is_before(const struct mt_addr *a, const struct mt_addr *b)
{
	uint64_t x = rte_be_to_cpu_64(a->q[0]), y = rte_be_to_cpu_64(b->q[0]);

	return x != y ? x < y : rte_be_to_cpu_64(a->q[1]) < rte_be_to_cpu_64(b->q[1]);
}

/* The same as range_at(), for an IPv4 address in host byte order: it decides about most floods. */
static uint32_t range_at4(const struct l4_ranges *l, uint32_t a)
{
	uint32_t lo = 0, hi = l->n4;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (rte_be_to_cpu_32(mt_addr_v4(&l->v[mid].hi)) < a)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < l->n4 && rte_be_to_cpu_32(mt_addr_v4(&l->v[lo].lo)) <= a ? lo : L4_NONE;
}

/* Place of the range that has the address, or L4_NONE. */
static uint32_t range_at(const struct l4_ranges *l, const struct mt_addr *a)
{
	uint32_t lo = l->n4, hi = l->n;

	if (mt_likely(mt_addr_is4(a)))
		return range_at4(l, rte_be_to_cpu_32(mt_addr_v4(a)));
	/* `lo` becomes the first range that ends at the address or after it. */
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (is_before(&l->v[mid].hi, a))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < l->n && !is_before(a, &l->v[lo].lo) ? lo : L4_NONE;
}

bool l4_sources_find(const struct mt_l4_sources *s, const struct mt_addr *client, uint32_t *rule)
{
	uint32_t at = range_at(&s->deny, client);

	if (at != L4_NONE) {
		*rule = s->deny.rules[at];
		return false;
	}
	*rule = 0;
	if (s->allow.n == 0)
		return true;
	at = range_at(&s->allow, client);
	*rule = at == L4_NONE ? 0 : s->allow.rules[at];
	return at != L4_NONE;
}
