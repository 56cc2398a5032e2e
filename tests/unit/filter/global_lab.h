/* SPDX-License-Identifier: Apache-2.0 */
/* A worker with a global rate limit; the test is the thread that queries the service. */
#pragma once

#include "suites.h"

#include "global_ratelimit/global.h"
#include "mt_filter_global.h"
#include "mt_filter_inbox.h"
#include "mt_rls_client.h"

#define NOW (100 * MT_SEC)

struct global_lab {
	struct mt_filter_worker fw;
	struct mt_callout x;
	struct mt_callout_lane *lane;
	struct mt_callout_provider *provider;
	struct mt_rls_grants *grants;
	uint32_t lease;		    /* hits of its leases, for set_up() */
	struct mt_filter_inst inst; /* limits methods "say..." by the properties */
	struct mt_tally_registry *tallies;
	struct mt_view view; /* of the last call */
	/* How the last call was refused. */
	enum mt_ending refused_as;
	enum mt_local_reply reply;
};

extern struct global_lab lab;
extern const struct mt_global_property properties[2]; /* method and user */

void set_up(bool fail_open);
void tear_down(void);

/* An address of a client. */
struct mt_addr peer_of(uint32_t client);
/* A call with these metadata. */
enum mt_filter_verdict call_of(
	const struct mt_addr *peer, const char *text, uint32_t exchange, uint64_t now);
/* The same of one client; it may be refused with the error of a limit only. */
enum mt_filter_verdict call(const char *text, uint32_t exchange, uint64_t now);

/* The next query. */
struct mt_rls_slot *asked(void);
void answers(struct mt_rls_slot *s, const char *bytes, size_t len);
void fails(struct mt_rls_slot *s, enum mt_callout_failure why);

#define ANSWERS(s, bytes) answers(s, bytes, sizeof(bytes) - 1)
#define BOTH_OK		  "\x08\x01\x12\x02\x08\x01\x12\x02\x08\x01"
/* The second descriptor, for 3 s. */
#define USER_OVER "\x08\x02\x12\x02\x08\x01\x12\x06\x08\x02\x22\x02\x08\x03"

/* How a call continued, the last one of `n`. */
struct seen {
	uint32_t n, exchange;
	enum mt_filter_verdict verdict;
	enum mt_local_reply reply;
	enum mt_ending ending;
	char changes[64], reply_changes[64];
	uint32_t stop_at; /* the worker has no time for more of them */
};

/* For mt_global_take(). */
bool see(void *arg, const struct mt_filter_resume *r);
/* Takes all answers. */
struct seen resumed(uint64_t now);
/* Refusals by this rule. */
uint64_t counted(const char *rule);
