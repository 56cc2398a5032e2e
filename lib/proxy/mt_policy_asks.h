/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that a policy of CUSTOM is about: an external authorization service (lib/extauthz) is asked whether each may pass, and the
 * call waits, as one whose token is verified.
 */
#pragma once

#include "mt_extauthz.h"
#include "mt_list.h"
#include "mt_verdict.h"

/* A worker's. */
struct mt_asks_of_policy {
	struct mt_extauthz_lane *lane; /* NULL: nobody can be asked, and all are denied */
	struct mt_list by_slot
		[MT_EXTAUTHZ_SLOTS]; /* the call that waits for its answer; empty: it has left */
	uint8_t client[MT_EXTAUTHZ_SLOTS]; /* whose call that was */
	uint8_t by_client
		[MT_VERDICT_CLIENTS]; /* questions under way, also those of calls that have left */
};
