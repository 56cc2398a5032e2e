/* SPDX-License-Identifier: Apache-2.0 */
/* A compiled global rate limit, and its state on a worker. */
#pragma once

#include "../mt_filter_priv.h"

#include "mt_filter_global.h"
#include "mt_rls_client.h"

struct mt_global_limit {
	struct mt_callout_provider *provider; /* reference; NULL: there is no service */
	bool fail_open;
	struct mt_matcher *match;
	char *words; /* of the match, for pictures of the configuration */
	char *domain;
	struct mt_tally *tally; /* of refusals without a descriptor; NULL: none is counted */
	uint32_t n;
	struct {
		char *property, *key;
		struct mt_key compiled; /* of `property` */
		struct mt_tally *tally;
	} of[MT_RLS_DESCRIPTORS];
};

/* The place of a call that waits, or that passed because it could not. */
struct mt_global_place {
	uint64_t owner;	  /* of the provider */
	uint32_t service; /* the provider's id; 0: no call waits */
	struct mt_addr client;
};

/* Worker: calls that wait, by the index of their slot. */
struct mt_global_worker {
	struct mt_callout_lane *lane;
	struct mt_global_place place[MT_CALLOUT_SLOTS];
	struct {
		struct mt_filter_ticket ticket;
		bool fails_open;
	} wait[MT_CALLOUT_SLOTS];
	/* Calls that passed, because there was no room for their queries, until their time is over. */
	struct {
		uint64_t until;
		struct mt_global_place place;
	} passed[MT_CALLOUT_SLOTS];
	/* Of the query that is made: descriptors and texts that they refer to. */
	struct mt_rls_descriptor descriptors[MT_RLS_DESCRIPTORS];
	char texts[MT_RLS_QUERY];
	uint8_t packed[MT_RLS_QUERY];
	struct mt_rls_over over;
};

void mt_global_free(void *conf);
