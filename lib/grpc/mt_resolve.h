/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to addresses without waiting: c-ares, which reads the machine's resolv.conf and hosts file. Control
 * thread only.
 */
#pragma once

#include "mt_addr.h"
#include "mt_fds.h"
#include "mt_log.h"

struct mt_resolver;
struct mt_lookup;

#define MT_LOOKUP_ADDRS 32 /* of one name */

struct mt_lookup_result {
	struct mt_addr addrs[MT_LOOKUP_ADDRS];
	uint32_t n;
	uint32_t ttl_s;	 /* the shortest of them; 0 when the answer says none */
	const char *why; /* with n == 0: why there is none */
};

/*
 * One more. Of too many the smallest stay, in whatever order they come: servers turn their answers around, and a name's addresses
 * must not be others each time.
 */
void mt_lookup_add(struct mt_lookup_result *out, const struct mt_addr *a, uint32_t ttl_s);

/* NULL with *e set when the library cannot start. */
struct mt_resolver *mt_resolver_new(struct mt_fds *fds, struct mt_err *e);
/* Lookups that are under way end without an answer. */
void mt_resolver_free(struct mt_resolver *r);
/* Time-outs, and a resolv.conf that has changed; call at least ten times a second. */
void mt_resolver_turn(struct mt_resolver *r);

/*
 * Asks for the IPv4 and IPv6 addresses of a name. `done` is called exactly once, unless the lookup is
 * cancelled before, and may be called from within this function (then NULL is returned).
 */
struct mt_lookup *mt_lookup(struct mt_resolver *r, const char *name,
	void (*done)(void *arg, const struct mt_lookup_result *result), void *arg);
void mt_lookup_cancel(struct mt_lookup *l);
