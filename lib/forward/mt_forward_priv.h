/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/forward: the table of routes. */
#pragma once

#include "mt_forward_routes.h"

#include <rte_byteorder.h>
/* One of its inline functions, which is not used here, has an array of variable length. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wvla"
#include <rte_lpm.h>
#pragma GCC diagnostic pop
#include <rte_lpm6.h>

#define FWD_NONE UINT32_MAX

/* The next hops of one route: [first, first + n) of the table's list. */
struct fwd_set {
	uint32_t first, n;
};

struct fwd_hop {
	struct mt_fwd_hop hop;
	uint64_t seed; /* its part of the hash */
};

struct mt_fwd_table {
	struct rte_lpm *lpm4;	     /* NULL: no route of the family but the default route */
	struct rte_lpm6 *lpm6;	     /* the same */
	uint32_t default4, default6; /* index in `sets`; FWD_NONE: none */
	struct fwd_set *sets;
	struct fwd_hop *hops;
	uint32_t n_sets, n_hops;
	struct mt_fwd_info info;
};

/* Splitmix64's finalizer, a bijection: each input bit changes half of the output bits. */
static inline uint64_t fwd_mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}
