/* SPDX-License-Identifier: Apache-2.0 */
/* Calls between ledger.c (accounts) and ledger_holder.c (holders and their lists). */
#pragma once

#include "mt_ledger.h"

#include <errno.h>

/* Callback of the hash table: the hash of the holder with this index. */
uint32_t mt_holder_hash_of(void *ledger, uint32_t holder);

/*
 * Gives the account a place in its holder, which is created if necessary. It holds nothing there
 * yet.
 */
void mt_place_new(struct mt_ledger *l, struct mt_account *a, const struct mt_account_owner *owner);

/* True if its holder is an address although holders are networks now, or the reverse. */
bool mt_place_outdated(const struct mt_ledger *l, const struct mt_account *a,
	const struct mt_account_owner *owner);
/* Takes the account out of its holder's sums. */
void mt_place_drop(struct mt_ledger *l, struct mt_account *a);

/* Sets what the account holds to `now`. A place (and a holder) that holds nothing is freed. */
void mt_place_settle(struct mt_ledger *l, struct mt_account *a, const struct mt_sums *now);
