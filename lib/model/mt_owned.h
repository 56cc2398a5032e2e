/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and hosts that the Node gives to one source (spec.sources[].owns): only objects of this
 * source, and of sources without `namespaces`, may have them. The index knows no history, so that
 * neither the order of loads nor a restart changes an answer.
 *
 * - Networks of one family are compared; an IPv4-mapped IPv6 address is an IPv4 address.
 * - A host overlaps an owned one if it is the same, or if one of them is a wildcard and covers the
 *   other, as mt_host_covers() defines it. The short and the long names of a Kubernetes Service
 *   (mt_long_name()) are one host, so a wildcard covers a Service by each of its names, and two
 *   wildcards overlap if both cover one Service. No wildcard has short names itself:
 *   "*.dev.svc.cluster.local" does not cover "api.example.dev".
 * - Entries of two sources never overlap: the Node is refused, and an index has only the first of
 *   them.
 */
#pragma once

#include "mt_addr.h"
#include "mt_model_node.h"
#include "mt_region.h"

struct mt_owned;

/* An entry of spec.sources[source].owns.addresses or, with `host`, of its hosts. */
struct mt_owned_entry {
	uint32_t source, at;
	bool host;
	const struct mt_text *text;
};

/* In place of the index of a source: an object that no source of the Node has. */
#define MT_OWNED_NO_SOURCE UINT32_MAX

/* Called once for each entry that overlaps one of an earlier source. */
typedef void mt_owned_clash_fn(
	void *arg, const struct mt_owned_entry *e, const struct mt_owned_entry *earlier);

/*
 * Makes an index in `r`. `clash` (NULL: none) learns of entries of two sources that overlap. NULL:
 * the Node gives nothing to a source, or no memory (r->failed).
 */
struct mt_owned *mt_owned_new(
	struct mt_region *r, const struct mt_node *n, mt_owned_clash_fn *clash, void *arg);

/*
 * Returns an entry that a network (an address: with its whole length as prefix) or a host overlaps,
 * and that another source than `self` has; NULL: there is none, or `o` is NULL.
 */
const struct mt_owned_entry *mt_owned_address(
	const struct mt_owned *o, const struct mt_addr *net, uint8_t prefix, uint32_t self);
const struct mt_owned_entry *mt_owned_host(
	const struct mt_owned *o, const char *host, uint32_t self);
/*
 * The same for a host that the node answers DNS clients for, if it does. They query HOST.SEARCH for
 * HOST, with each of their search domains, and the node answers HOST.SEARCH with HOST. So the host
 * overlaps an owned one if one of the names that are queried for it is one that is queried for the
 * owned one. Search domains are those of the Node and the default ones, also with every namespace.
 * "*.NAMESPACE.svc.DOMAIN" overlaps all, but for a source that alone has the namespace. A whole
 * name that `self` owns overlaps no other one.
 */
const struct mt_owned_entry *mt_owned_name(
	const struct mt_owned *o, const char *host, uint32_t self);

/* True if some source owns the address. */
static inline bool mt_owned_is_address(const struct mt_owned *o, const struct mt_addr *a)
{
	return o && mt_owned_address(o, a, mt_addr_is4(a) ? 32 : 128, MT_OWNED_NO_SOURCE);
}

/* True if the address has bits that are set after the prefix. */
bool mt_owned_has_host_bits(const struct mt_addr *a, uint8_t prefix);
