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
 * Rules for the exchanges of an origin. Counters of services and routes, and filters, need no rule:
 * a copy has no service and no route.
 */
struct mt_call_rules {
	/*
	 * Counters of its end (enum mt_proxy_outcome): answered by a server; one-way by its message;
	 * learned to be one-way (oneway.c).
	 */
	uint16_t answered, oneway, oneway_learnt;
	bool recorded;	   /* in records, traces and `show exchanges` (record.c) */
	bool sent_again;   /* to another endpoint, or because it was not read (retry.c) */
	bool acknowledged; /* as a one-way call it lives until it is acknowledged (unacked.c) */
};

extern const struct mt_call_rules mt_call_rules[MT_CALL_ORIGINS];
