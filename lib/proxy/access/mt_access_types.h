/* SPDX-License-Identifier: Apache-2.0 */
/* Types of access/: what a worker keeps of calls that wait for a verdict. */
#pragma once

#include "mt_extauthz.h"
#include "mt_authorize.h"
#include "mt_list.h"
#include "mt_tokens.h"

#include <stdint.h>

/* ---- authorize.c ---- */

/* A worker's: the view's changes before the policies of an endpoint made theirs. */
struct mt_layer {
	uint32_t n;
	struct mt_mutation change[MT_VIEW_MUTATIONS];
};

/* ---- verdict.c ---- */

#define MT_VERDICT_WAIT	   1024 /* calls that may wait, of a client's address a quarter */
#define MT_VERDICT_CLIENTS 64	/* as MT_FAIR_BUCKETS */

/* A worker's. */
struct mt_verdicts {
	uint32_t n;	/* calls that wait */
	uint64_t bytes; /* truesize of those */
	uint16_t by_client[MT_VERDICT_CLIENTS];
};

/* ---- ext_authz.c ---- */

/* A worker's. */
struct mt_ext_authz_calls {
	struct mt_extauthz_lane *lane; /* NULL: nobody can be asked, and all are denied */
	struct mt_list by_slot
		[MT_EXTAUTHZ_SLOTS]; /* the call that waits for its answer; empty: it has left */
	uint8_t client[MT_EXTAUTHZ_SLOTS]; /* whose call that was */
	uint8_t by_client
		[MT_VERDICT_CLIENTS]; /* questions under way, also those of calls that have left */
};
