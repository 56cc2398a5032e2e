/* SPDX-License-Identifier: Apache-2.0 */
/* Calls between ledger.c (accounts) and ledger_holder.c (holders and their lists). */
#pragma once

#include "mt_ledger.h"

#include <errno.h>

/* The hot table's callback: of the holder with this index. */
uint32_t mt_holder_hash_of(void *ledger, uint32_t holder);

/* Gives the account a place within its holder, which is made if need be; it holds nothing there yet. */
void mt_place_new(struct mt_ledger *l, struct mt_account *a, const struct mt_account_owner *owner);

/* Whether its holder is of an address and no longer of a network, or the other way round. */
bool mt_place_outdated(const struct mt_ledger *l, const struct mt_account *a,
	const struct mt_account_owner *owner);
/* Takes the account out of its holder's sums. */
void mt_place_drop(struct mt_ledger *l, struct mt_account *a);

/* The account holds `now`; a place (and a holder) that holds nothing is gone afterwards. */
void mt_place_settle(struct mt_ledger *l, struct mt_account *a, const struct mt_sums *now);
