/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For whom connections are made that show the node's own identity (Node `spec.mesh.lend`): for prefixes of addresses, and for principals.
 * Whoever has shown the node's own principal is always among them. Callers whose own identity the node holds (Node `spec.identities`)
 * have that one, and no other. Part of a snapshot.
 */
#pragma once

#include "mt_addr.h"
#include "mt_base.h"

struct mt_lend_prefix {
	struct mt_addr addr;
	uint8_t bits; /* of the written family */
};

struct mt_lend {
	const struct mt_lend_prefix *prefixes;
	uint32_t n_prefixes;
	const struct mt_slice
		*principals; /* "cluster.local/ns/a/sa/b"; a "*" at the end: what begins so */
	uint32_t n_principals;
	const struct mt_slice *held; /* callers' own, whole; mt_cluster.as has their contexts */
	uint32_t n_held;
	bool nobody; /* the node has none of its own */
};

/* A caller at the address; `principal.p` NULL: he has shown none. */
bool mt_lend_is_for(const struct mt_lend *l, const struct mt_addr *peer, struct mt_slice principal);

struct mt_cluster;

/*
 * By which identity the caller is connected to those endpoints of a cluster with `lend` that speak TLS: 0: the node's own, N: his own, which is
 * number N - 1 of those that are held; negative: by none. `gateway`: he came by one, whose clients have the node's.
 */
int mt_cluster_shows(const struct mt_cluster *c, const struct mt_addr *peer,
	struct mt_slice principal, bool gateway);

/* How many of its endpoints nobody but the node itself reaches, as they want its identity and it is lent to nobody. */
uint32_t mt_cluster_need_lend(const struct mt_cluster *c);
