/* SPDX-License-Identifier: Apache-2.0 */
/* Settles most connections at the end of a loop iteration; settle.c handles the other cases. */
#pragma once

#include "mt_tcp_priv.h"

/*
 * c->s.charged: with MT_TCP_HAS_ACCOUNT the index of the connection's account. Otherwise the
 * truesize that the ledger's sums include for it: 14 bits for received bytes, and above them 14
 * bits for bytes to send.
 */
#define MT_TCP_HAS_ACCOUNT 0x80000000u
#define MT_TCP_ADDED_BITS  14
#define MT_TCP_ADDED_MASK  ((1u << MT_TCP_ADDED_BITS) - 1)
_Static_assert(MT_LEDGER_SMALL == 1u << MT_TCP_ADDED_BITS, "what needs no account fits in");

/*
 * True if the queues hold so little that no account is needed; what the user keeps is not counted.
 */
static inline bool mt_tcp_is_little(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	return ((c->s.rx.truesize | c->tx.truesize) < MT_LEDGER_SMALL) & !c->ooo &
	       !(c->s.squeezed | t->ledger.pressed);
}

/*
 * Updates the sums of a connection without an account; rx and tx are less than MT_LEDGER_SMALL
 * each.
 */
static inline void mt_tcp_add(struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t rx, uint32_t tx)
{
	uint32_t was = c->s.charged, now = rx | tx << MT_TCP_ADDED_BITS;

	/* Usually received bytes were consumed within the loop iteration. */
	if (mt_unlikely((was ^ now) & MT_TCP_ADDED_MASK))
		mt_ledger_add(&t->ledger, c->s.rx_class, (int32_t)(rx - (was & MT_TCP_ADDED_MASK)));
	if ((was ^ now) >> MT_TCP_ADDED_BITS)
		mt_ledger_add(
			&t->ledger, c->s.tx_class, (int32_t)(tx - (was >> MT_TCP_ADDED_BITS)));
	c->s.charged = now;
}

/*
 * Includes what the user keeps; uses an account if the connection needs one, and frees an account
 * that is no longer needed.
 */
void mt_tcp_settle_kept(struct mt_tcp *t, struct mt_tcp_conn *c);

/* Charges what the connection holds now. Once per loop iteration for each marked connection. */
static inline void mt_tcp_settle(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (mt_likely(
		    mt_tcp_is_little(t, c) && !(c->s.keeps | (c->s.charged & MT_TCP_HAS_ACCOUNT))))
		mt_tcp_add(t, c, c->s.rx.truesize, c->tx.truesize);
	else
		mt_tcp_settle_kept(t, c);
}
