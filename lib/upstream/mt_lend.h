/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For whom connections are made that show the node's own identity (Node `spec.mesh.lend`): for prefixes of addresses, and for principals.
 * Whoever has shown the node's own principal is always among them. Part of a snapshot.
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
};

/* A caller at the address; `principal.p` NULL: he has shown none. */
bool mt_lend_is_for(const struct mt_lend *l, const struct mt_addr *peer, struct mt_slice principal);

struct mt_cluster;

/* How many of its endpoints nobody but the node itself reaches, as they want its identity and it is lent to nobody. */
uint32_t mt_cluster_need_lend(const struct mt_cluster *c);
