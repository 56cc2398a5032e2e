/* SPDX-License-Identifier: Apache-2.0 */
/* What nearly every connection takes to be settled at the end of a turn; settle.c has the rest. */
#pragma once

#include "mt_tcp_priv.h"

/*
 * c->s.charged: with MT_TCP_HAS_ACCOUNT the index of the connection's account; else the truesize that the ledger's sums have of
 * it, 14 bits for what was received, above them as many for what is sent.
 */
#define MT_TCP_HAS_ACCOUNT 0x80000000u
#define MT_TCP_ADDED_BITS  14
#define MT_TCP_ADDED_MASK  ((1u << MT_TCP_ADDED_BITS) - 1)
_Static_assert(MT_LEDGER_SMALL == 1u << MT_TCP_ADDED_BITS, "what needs no account fits in");

/* So little that it needs no account, but for what its user keeps. */
static inline bool mt_tcp_is_little(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	return ((c->s.rx.truesize | c->tx.truesize) < MT_LEDGER_SMALL) & !c->ooo &
	       !(c->s.squeezed | t->ledger.pressed);
}

/* Less than MT_LEDGER_SMALL each, of a connection that has no account. */
static inline void mt_tcp_add(struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t rx, uint32_t tx)
{
	uint32_t was = c->s.charged, now = rx | tx << MT_TCP_ADDED_BITS;

	/* As a rule what was received has been taken within the turn. */
	if (mt_unlikely((was ^ now) & MT_TCP_ADDED_MASK))
		mt_ledger_add(&t->ledger, c->s.rx_class, (int32_t)(rx - (was & MT_TCP_ADDED_MASK)));
	if ((was ^ now) >> MT_TCP_ADDED_BITS)
		mt_ledger_add(
			&t->ledger, c->s.tx_class, (int32_t)(tx - (was >> MT_TCP_ADDED_BITS)));
	c->s.charged = now;
}

/* With what its user keeps; by an account, where it needs one. One that is not needed any more ends here. */
void mt_tcp_settle_kept(struct mt_tcp *t, struct mt_tcp_conn *c);

/* What the connection holds is charged as it is now. Once a turn for each that was marked. */
static inline void mt_tcp_settle(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (mt_likely(
		    mt_tcp_is_little(t, c) && !(c->s.keeps | (c->s.charged & MT_TCP_HAS_ACCOUNT))))
		mt_tcp_add(t, c, c->s.rx.truesize, c->tx.truesize);
	else
		mt_tcp_settle_kept(t, c);
}
