/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and hosts that the Node gives to one source (spec.sources[].owns): only objects of this
 * source, and of sources without `namespaces`, may have them. The index knows no history, so that
 * neither the order of loads nor a restart changes an answer.
 *
 * - Networks of one family are compared; an IPv4-mapped IPv6 address is an IPv4 address.
 * - A host touches a pattern if one of them covers the other (mt_host_covers()). The short and the
 *   long names of a Kubernetes Service (mt_long_name()) are one host, also with a star for NAME.
 * - Two sources never own the same: the Node is refused, and an index has only the first of them.
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

/* Instead of the index of a source: of none of the Node. */
#define MT_OWNED_NO_SOURCE UINT32_MAX

/* Called for an entry that touches another one, which a source before or after it has. */
typedef void mt_owned_clash_fn(
	void *arg, const struct mt_owned_entry *e, const struct mt_owned_entry *other);

/*
 * Makes an index in `r`. `clash` (NULL: none) learns of entries of two sources that touch each
 * other. NULL: the Node gives nothing to a source, or no memory (r->failed).
 */
struct mt_owned *mt_owned_new(
	struct mt_region *r, const struct mt_node *n, mt_owned_clash_fn *clash, void *arg);

/*
 * Returns an entry that a network (an address: with its whole length as prefix) or a host touches,
 * and that another source than `self` has; NULL: there is none, or `o` is NULL.
 */
const struct mt_owned_entry *mt_owned_address(
	const struct mt_owned *o, const struct mt_addr *net, uint8_t prefix, uint32_t self);
const struct mt_owned_entry *mt_owned_host(
	const struct mt_owned *o, const char *host, uint32_t self);

/* True if some source owns the address. */
static inline bool mt_owned_is_address(const struct mt_owned *o, const struct mt_addr *a)
{
	return o && mt_owned_address(o, a, mt_addr_is4(a) ? 32 : 128, MT_OWNED_NO_SOURCE);
}

/* True if the address has bits that are set after the prefix. */
bool mt_owned_has_host_bits(const struct mt_addr *a, uint8_t prefix);
