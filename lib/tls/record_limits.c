/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits what a peer may do now and then but not all the time, because it costs us and gives the
 * user nothing.
 */
#include "record_priv.h"

#define EMPTIES_A_SECOND 1000
#define UPDATES_A_SECOND 32

static void look_at_clock(struct mt_tls_record *r, uint64_t now)
{
	uint32_t second = (uint32_t)(now / MT_SEC);

	if (second == r->second)
		return;
	r->second = second;
	r->empties = 0;
	r->updates = 0;
}

bool mt_tls_record_may_be_empty(struct mt_tls_records *w, struct mt_tls_record *r, uint64_t now)
{
	mt_count(w->counts, MT_TLS_RECORD_N_EMPTY);
	look_at_clock(r, now);
	return ++r->empties <= EMPTIES_A_SECOND;
}

bool mt_tls_record_may_update(struct mt_tls_record *r, uint64_t now)
{
	look_at_clock(r, now);
	return ++r->updates <= UPDATES_A_SECOND;
}
