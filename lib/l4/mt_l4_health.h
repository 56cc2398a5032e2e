/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health of endpoints. One worker checks an endpoint at its interval: number `index % workers`.
 * The result is one byte, which all workers read when they choose an endpoint for a new flow
 * (mt_l4_choose()). Flows stay with their endpoint, except for those which
 * it does not answer (leave.c). The table of the choice never changes with health, so an endpoint
 * that is healthy again gets its new flows back.
 *
 * A check is a TCP connection, which mt_l4_check_ops opens, or an ICMP echo request. Any worker may
 * receive the echo reply: it notes the sequence number in an array of its own, and the worker that
 * checks reads these arrays. SYNs of clients and their answers are noted there as well.
 *
 * Limits: a worker begins at most MT_L4_CHECKS_PER_S checks a second, and has MT_L4_CHECKS_AT_ONCE
 * connections at once. If more are due, owners (namespaces) take turns, so that intervals grow for
 * those with the most endpoints only (health_turns.c).
 */
#pragma once

#include "mt_l4_types.h"

#define MT_L4_CHECKS_PER_S   1000u
#define MT_L4_CHECKS_AT_ONCE 256u

struct mt_l4;
struct mt_net_echo;

/* Shared by all workers. */
struct mt_l4_health;

/* `secret` keys the contents of echo requests. NULL: no memory. Boot only. */
struct mt_l4_health *mt_l4_health_new(uint16_t workers, const uint8_t secret[16]);
/* When no worker uses it any more; NULL is allowed. */
void mt_l4_health_free(struct mt_l4_health *h);

/* Result of a connection that mt_l4_check_ops.connect() opened. */
enum mt_l4_verdict {
	MT_L4_PASSED = 1,
	MT_L4_FAILED,
	MT_L4_VOID, /* the node could not check: neither a success nor a failure */
};

struct mt_l4_check_ops {
	/*
	 * Opens a connection to the endpoint, and closes it when it is established. The result
	 * follows by mt_l4_checked() with this token, within `timeout_ms` and possibly before the
	 * return. False: MT_L4_CHECKS_AT_ONCE are open; the caller tries again.
	 */
	bool (*connect)(
		void *arg, const struct mt_l4_check *c, uint32_t token, uint32_t timeout_ms);
	/*
	 * The endpoint is unhealthy from now on, for the reason `why`, or healthy again (NULL). Sets
	 * c->health.unhealthy before it returns.
	 */
	void (*changed)(void *arg, const struct mt_l4_check *c, const char *why);
};

/*
 * Result of a check; `why` (static) for MT_L4_FAILED. Ignored if the check is not under way any
 * more. On the worker that began it.
 */
void mt_l4_checked(struct mt_l4 *l, uint32_t index, uint32_t token, enum mt_l4_verdict verdict,
	const char *why);
/* An ICMP echo reply has arrived. Any worker, on its own part. */
void mt_l4_echo(struct mt_l4 *l, const struct mt_net_echo *e);
