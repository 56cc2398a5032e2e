/* SPDX-License-Identifier: Apache-2.0 */
/* Origins of exchanges (origin.c, docs/internals/proxy.md#origins). Included by mt_call_types.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Where an exchange comes from. */
enum mt_call_origin {
	MT_CALL_OF_CLIENT,
	MT_CALL_OF_MIRROR, /* a copy of a client's call (mirror.c); its reply is dropped */
	MT_CALL_ORIGINS
};

/*
 * Rules for the exchanges of an origin. Filters and the counters of services and routes need no
 * rule, because a copy has no service and no route.
 */
struct mt_call_rules {
	/*
	 * Counters of the exchange's end (enum mt_proxy_outcome): it was answered by a server; it
	 * was one-way by the type of its message; its method was learned to be one-way (oneway.c).
	 */
	uint16_t answered, oneway, oneway_learnt;
	bool recorded;	   /* in records, traces and `show exchanges` (record.c) */
	bool sent_again;   /* to another endpoint, or because it was not read (retry.c) */
	bool acknowledged; /* a one-way call lives until it is acknowledged (unacked.c) */
};

extern const struct mt_call_rules mt_call_rules[MT_CALL_ORIGINS];
