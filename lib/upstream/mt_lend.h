/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which identity the node presents to endpoints on behalf of a caller. A caller whose own identity
 * the node holds (Node `spec.identities`) gets that one and no other. Callers in the address
 * prefixes or with the principals of Node `spec.mesh.nodeIdentityUse` get the node's own identity.
 * The node's own principal is always one of these. Part of a snapshot.
 */
#pragma once

#include "mt_addr.h"
#include "mt_base.h"

struct mt_lend_prefix {
	struct mt_addr addr;
	uint8_t bits; /* counted in the family as written */
};

struct mt_lend {
	const struct mt_lend_prefix *prefixes;
	uint32_t n_prefixes;
	const struct mt_slice
		*principals; /* "cluster.local/ns/a/sa/b"; a "*" at the end makes it a prefix */
	uint32_t n_principals;
	const struct mt_slice *held; /* callers' principals, whole; contexts: mt_cluster.as */
	uint32_t n_held;
	bool nobody; /* the node has no identity of its own */
};

/* True if a caller gets the node's identity. `principal.p` is NULL if the caller presented none. */
bool mt_lend_is_for(const struct mt_lend *l, const struct mt_addr *peer, struct mt_slice principal);

struct mt_cluster;

/*
 * Which identity the proxy presents for a caller to the TLS endpoints of a cluster with `lend`.
 * Returns 0 for the node's own, N for the caller's own (entry N - 1 of `held`), negative for none.
 * `gateway`: the caller is a client of a gateway, and those get the node's own identity.
 */
int mt_cluster_shows(const struct mt_cluster *c, const struct mt_addr *peer,
	struct mt_slice principal, bool gateway);

/*
 * Number of TLS endpoints that only the node itself can reach, because its identity is lent to no
 * other caller.
 */
uint32_t mt_cluster_need_lend(const struct mt_cluster *c);
