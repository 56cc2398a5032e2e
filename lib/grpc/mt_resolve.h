/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Non-blocking resolver: c-ares, which reads the host's resolv.conf and hosts file. One thread
 * uses a resolver and its lookups.
 */
#pragma once

#include "mt_addr.h"
#include "mt_fds.h"
#include "mt_log.h"

struct mt_resolver;
struct mt_lookup;

#define MT_LOOKUP_ADDRS 32 /* maximum for one name */

struct mt_lookup_result {
	struct mt_addr addrs[MT_LOOKUP_ADDRS];
	uint32_t n;
	uint32_t ttl_s;	 /* the shortest TTL; 0: unknown */
	const char *why; /* if n is 0: the reason */
};

/*
 * Adds an address. If there are too many, the smallest addresses stay, because servers rotate their
 * answers and the result for a name must not change each time.
 */
void mt_lookup_add(struct mt_lookup_result *out, const struct mt_addr *a, uint32_t ttl_s);

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
