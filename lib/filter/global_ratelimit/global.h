/* SPDX-License-Identifier: Apache-2.0 */
/* A compiled global rate limit, and its state on a worker. */
#pragma once

#include "../mt_filter_priv.h"

#include "mt_filter_global.h"
#include "mt_rls_client.h"
#include "mt_rls_grants.h"

struct mt_global_limit_entry {
	enum mt_global_source source;
	char *key, *from;
	struct mt_key compiled;	  /* of `from`, or of the service for MT_GLOBAL_METHOD */
	struct mt_matcher *match; /* NULL: for each call */
	bool unless;
};

struct mt_global_limit_descriptor {
	struct mt_global_limit_entry *entry;
	uint32_t n;
	struct mt_tally *tally;
};

/* Some descriptors of a limit. */
struct mt_global_set {
	uint32_t first, n;
};

struct mt_global_limit {
	struct mt_callout_provider *provider; /* reference; NULL: there is no service */
	bool fail_open;
	bool of_streams; /* descriptors need no view */
	struct mt_matcher *match;
	char *words; /* of the match, for pictures of the configuration */
	char *domain;
	struct mt_tally *tally; /* of refusals without a descriptor; NULL: none is counted */
	struct mt_key method;
	struct mt_global_limit_descriptor *of;
	uint32_t n;
	/* Each has a set, by its place; NULL: all descriptors are for each call. */
	struct mt_route_table *routes;
	struct mt_global_set *sets;
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
	struct mt_rls_grants *grants; /* of all workers; NULL: none are kept */
	struct mt_global_place place[MT_CALLOUT_SLOTS];
	struct {
		struct mt_filter_ticket ticket;
		bool fails_open;
		struct mt_rls_asked asked;
		uint32_t number[MT_RLS_DESCRIPTORS]; /* as below */
	} wait[MT_CALLOUT_SLOTS];
	/* Calls that passed, because there was no room for their queries, until their time is over. */
	struct {
		uint64_t until;
		struct mt_global_place place;
	} passed[MT_CALLOUT_SLOTS];
	/* Of the query that is made: its client, descriptors and texts that they refer to. */
	const struct mt_addr *peer;
	struct mt_rls_descriptor descriptors[MT_RLS_DESCRIPTORS];
	uint32_t number[MT_RLS_DESCRIPTORS]; /* their places in the limit's `of` */
	uint32_t n;
	char texts[MT_RLS_QUERY];
	uint8_t packed[MT_RLS_QUERY];
	struct mt_rls_over over;
};

void mt_global_free(void *conf);
