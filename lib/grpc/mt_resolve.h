/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Non-blocking resolver: c-ares, which reads the host's resolv.conf and hosts file. Addresses of
 * both families are looked up by a query of their own, so that a failure of one is known and costs
 * the other nothing. One thread uses a resolver and its lookups.
 */
#pragma once

#include "mt_addr.h"
#include "mt_fds.h"
#include "mt_log.h"
#include "mt_name_state.h"

struct mt_resolver;
struct mt_lookup;

#define MT_LOOKUP_ADDRS (2 * MT_NAME_FAMILY) /* most addresses of one name */

/* Valid until the callback returns. */
struct mt_lookup_result {
	/*
	 * Addresses of a family in the order of the answer; first the family that the host's kernel
	 * prefers (RFC 6724).
	 */
	const struct mt_addr *addrs;
	uint32_t n;
	uint32_t more;	 /* further addresses, beyond MT_NAME_FAMILY of a family */
	uint32_t ttl_s;	 /* the shortest TTL; 0: unknown */
	const char *why; /* if n is 0: the reason */
	/*
	 * Why the query for addresses of a family failed, by mt_addr_is4(): [0] IPv6, [1] IPv4.
	 * NULL: there was an answer, perhaps without addresses. A name that does not exist
	 * (NXDOMAIN) fails; for one family that is an answer if the other one is answered.
	 */
	const char *failed[2];
};

/* Creates a resolver. NULL with *e set if the library cannot be initialized. */
struct mt_resolver *mt_resolver_new(struct mt_fds *fds, struct mt_err *e);
/* Frees the resolver. Lookups in progress end without a call of `done`. */
void mt_resolver_free(struct mt_resolver *r);
/* Runs timeouts and reloads a changed resolv.conf. Call at least ten times a second. */
void mt_resolver_turn(struct mt_resolver *r);

/*
 * Looks up the IPv4 and IPv6 addresses of a name. Calls `done` exactly once, unless the lookup is
 * cancelled before. Returns NULL if `done` was called from within this function.
 */
struct mt_lookup *mt_lookup(struct mt_resolver *r, const char *name,
	void (*done)(void *arg, const struct mt_lookup_result *result), void *arg);
void mt_lookup_cancel(struct mt_lookup *l);
