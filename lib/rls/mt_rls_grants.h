/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hits that a rate limit service has granted in advance, so that calls pass without a query. One
 * table for all workers of a node, with two kinds of grants:
 *
 * - Quotas, which answers contain, for a descriptor or for a whole set of descriptors. A call takes
 *   one hit of each. It is over the limit if a quota is used up, until the quota ends; then it
 *   needs a query again. If only some descriptors of a call have quotas, it needs a query, too, and
 *   takes a hit of these quotas when the answer arrives. Quotas with the same id are one. A newer
 *   quota replaces an older one, but not if its query began before the older one arrived: answers
 *   to simultaneous queries can be the same grant.
 * - Leases, if the Node has them: a query counts several hits of a descriptor (hits_addend), and
 *   later calls take what the first has left over. A lease is made only if the service has answered
 *   before how many hits remain and when the window ends, and of no more hits than remained. It
 *   ends a second before the window, because services round the end to whole seconds. So limits by
 *   the second have none. At most one query of the node leases a descriptor at a time, and only
 *   after the last lease is used up; a lease of n hits wastes at most n - 1 of a window: those left
 *   over, or those of a query that is refused or lost. After such a query there is no other lease
 *   in the window. A query leases only if each of its descriptors has hits left, or is leased as
 *   well: otherwise the next calls would need queries nevertheless.
 *
 * A call passes without a query only if it gets a hit for each of its descriptors. Otherwise it
 * takes none, and its query counts one hit of each, or a lease.
 *
 * A descriptor is found by its key (mt_rls_keys). A key has its place in one set of the table.
 * Grants that have ended give way, and leases that are used up; if there are none, a new grant is
 * not kept, and its calls need queries. So calls with many descriptors, or a service that grants
 * quotas for a long time, can cost others their grants, but not their limits.
 *
 * Threads: workers, without locks. All of them write the entries, one cache line for each hit. An
 * entry's word has its count and its end; it changes by compare-and-swap, and the other members
 * only while the word is BUSY. An entry that gives way to another key gets another end than before.
 * So a worker that has read a word takes or returns no hit of another key, unless the entry has
 * changed its key twice meanwhile.
 */
#pragma once

#include "mt_rls.h"

struct mt_rls_grants;

enum mt_rls_grant {
	MT_RLS_ASK,	/* the call needs a query */
	MT_RLS_GRANTED, /* it passes */
	MT_RLS_USED_UP, /* it is over the limit */
};

/* A query: when it began, and hits of its descriptors. */
struct mt_rls_asked {
	uint64_t at;
	uint32_t hits[MT_RLS_DESCRIPTORS];
};

#define MT_RLS_LEASE_MAX 1000

/* `lease`: hits of a lease, at most MT_RLS_LEASE_MAX; less than 2: none. NULL: no memory. */
struct mt_rls_grants *mt_rls_grants_new(uint32_t lease);
/* Call after the workers have ended. NULL is allowed. */
void mt_rls_grants_free(struct mt_rls_grants *g);

/*
 * Decides a call without a query, if possible. USED_UP: *which is the index of the descriptor, or
 * keys->n for the whole set. `now`: a monotonic clock that all workers share, ns.
 */
enum mt_rls_grant mt_rls_grants_take(
	struct mt_rls_grants *g, const struct mt_rls_keys *keys, uint64_t now, uint32_t *which);
/*
 * Fills in a query that begins now. True: it leases hits, so it has to be encoded with these, and
 * then to be sent.
 */
bool mt_rls_grants_ask(struct mt_rls_grants *g, const struct mt_rls_keys *keys, uint64_t now,
	struct mt_rls_asked *asked);
/* Keeps what an answer to that query grants. Without an answer there is nothing to call. */
void mt_rls_grants_keep(struct mt_rls_grants *g, const struct mt_rls_keys *keys,
	const struct mt_rls_asked *asked, const struct mt_rls_answer *a, uint64_t now);
