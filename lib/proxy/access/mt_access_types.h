/* SPDX-License-Identifier: Apache-2.0 */
/* Types of access/: what a worker keeps of calls that wait for a verdict. */
#pragma once

#include "mt_extauthz.h"
#include "mt_authorize.h"
#include "mt_list.h"
#include "mt_tokens.h"

#include <stdint.h>

/* ---- authorize.c ---- */

/* Per worker: the view's changes before the policies of an endpoint added theirs. */
struct mt_layer {
	uint32_t n;
	struct mt_mutation change[MT_VIEW_MUTATIONS];
};

/* ---- verdict.c ---- */

#define MT_VERDICT_WAIT	   1024 /* calls that may wait; a quarter of them per client address */
#define MT_VERDICT_CLIENTS 64	/* as MT_FAIR_BUCKETS */

/* Calls of a worker that wait for a verdict. */
struct mt_verdicts {
	uint32_t n;	/* calls that wait */
	uint64_t bytes; /* truesize of those */
	uint16_t by_client[MT_VERDICT_CLIENTS];
	struct mt_list moved; /* those that waited in another worker (image.c): to query again */
};

/* ---- ext_authz.c ---- */

/* Queries of a worker, by slot. */
struct mt_ext_authz_calls {
	struct mt_extauthz_lane *lane; /* NULL: no service can be queried: deny all calls */
	struct mt_list by_slot
		[MT_EXTAUTHZ_SLOTS]; /* the call that waits for its answer; empty: it has left */
	/* Client bucket of that call; MT_VERDICT_CLIENTS: this worker has not queried. */
	uint8_t client[MT_EXTAUTHZ_SLOTS];
	uint8_t by_client
		[MT_VERDICT_CLIENTS]; /* queries under way, also those of calls that have left */
};
