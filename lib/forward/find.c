/* SPDX-License-Identifier: Apache-2.0 */
/* Lookup of workers: the longest prefix, and one of its next hops. */
#include "mt_forward_priv.h"

static uint32_t find_set(const struct mt_fwd_table *t, const struct mt_addr *to)
{
	uint32_t i;

	if (mt_addr_is4(to)) {
		if (t->lpm4 && rte_lpm_lookup(t->lpm4, rte_be_to_cpu_32(mt_addr_v4(to)), &i) == 0)
			return i;
		return t->default4;
	}
	if (t->lpm6 && rte_lpm6_lookup(t->lpm6, to->b, &i) == 0)
		return i;
	return t->default6;
}

/* Rendezvous hashing: each next hop has a score for the flow, and the highest one wins. */
static const struct mt_fwd_hop *choose(const struct fwd_hop *hops, uint32_t n, uint32_t flow)
{
	const struct fwd_hop *best = &hops[0];
	uint64_t most;

	if (n == 1)
		return &best->hop;
	most = fwd_mix(best->seed ^ flow);
	for (uint32_t i = 1; i < n; i++) {
		uint64_t score = fwd_mix(hops[i].seed ^ flow);

		if (score > most) {
			most = score;
			best = &hops[i];
		}
	}
	return &best->hop;
}

enum mt_fwd_found mt_fwd_find(const struct mt_fwd_table *t, const struct mt_addr *to, uint32_t flow,
	const struct mt_fwd_hop **hop)
{
	uint32_t i = t ? find_set(t, to) : FWD_NONE;
	const struct fwd_set *s;

	*hop = NULL;
	if (i == FWD_NONE)
		return MT_FWD_NO_ROUTE;
	s = &t->sets[i];
	if (s->n == 0)
		return MT_FWD_UNREACHABLE;
	*hop = choose(&t->hops[s->first], s->n, flow);
	return MT_FWD_HOP;
}
