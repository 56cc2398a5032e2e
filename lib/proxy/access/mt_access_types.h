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

#define MT_VERDICT_WAIT	   1024 /* maximum of waiting calls; a quarter for each client bucket */
#define MT_VERDICT_CLIENTS 64	/* equals MT_FAIR_BUCKETS */

/* Calls of a worker that wait for a verdict. */
struct mt_verdicts {
	uint32_t n;	/* calls that wait */
	uint64_t bytes; /* truesize of their requests */
	uint16_t by_client[MT_VERDICT_CLIENTS];
	/* Waiting calls that were loaded (image.c), and have to request their verdicts again. */
	struct mt_list moved;
};

/* ---- ext_authz.c ---- */

/* Queries of a worker, by slot. */
struct mt_ext_authz_calls {
	struct mt_extauthz_lane *lane; /* NULL: calls that need a query get a local reply */
	struct mt_list by_slot
		[MT_EXTAUTHZ_SLOTS]; /* call that waits for the slot's answer; empty: it has left */
	/* Client bucket of the slot's query; MT_VERDICT_CLIENTS: no query of this worker. */
	uint8_t client[MT_EXTAUTHZ_SLOTS];
	uint8_t by_client
		[MT_VERDICT_CLIENTS]; /* queries under way, even those whose calls have left */
};
