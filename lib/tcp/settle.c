/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Charges the memory that connections hold to the ledger, at the end of a loop iteration that
 * touched them.
 */
#include "mt_tcp_settle_priv.h"

#include <stdio.h>

struct mt_ledger *mt_tcp_ledger(struct mt_tcp *t)
{
	return &t->ledger;
}

void mt_tcp_touch(struct mt_stream *s)
{
	mt_tcp_mark(mt_tcp_of(s), mt_tcp_conn_of(s));
}

static struct mt_account_owner owner_of(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	bool opened = c->flags & MT_CF_ACTIVE;
	struct mt_account_owner owner = {
		.conn = mt_slab_idx(&t->conns, c),
		.side = opened ? MT_SIDE_SERVER : MT_SIDE_CLIENT,
		.peer = c->tuple.remote,
	};

	if (c->s.user->holder) {
		owner.peer = c->s.user->holder(&c->s);
		owner.side = MT_SIDE_CLIENT;
	}
	return owner;
}

static struct mt_sums sums_of(const struct mt_tcp *t, struct mt_tcp_conn *c)
{
	const struct mt_tcp_ooo *o = mt_tcp_ooo(t, c);
	struct mt_sums now = {0};

	now.of[c->s.rx_class] = c->s.rx.truesize + (o ? o->truesize : 0);
	now.of[c->s.tx_class] += c->tx.truesize;
	if (c->s.keeps && c->s.user->holds)
		c->s.user->holds(&c->s, &now);
	return now;
}

/* What the sums include for a connection without an account. */
static struct mt_sums added(const struct mt_tcp_conn *c)
{
	struct mt_sums s = {0};

	s.of[c->s.rx_class] = c->s.charged & MT_TCP_ADDED_MASK;
	s.of[c->s.tx_class] += c->s.charged >> MT_TCP_ADDED_BITS;
	return s;
}

/*
 * A holder with too much of a class under pressure gets a lower tx_high, so that further bytes stay
 * in the window of their sender. A stream that waits for room has bytes in flight, so it becomes
 * writable when these are acknowledged.
 */
static void squeeze(struct mt_tcp *t, struct mt_stream *s, uint32_t account)
{
	uint32_t part;

	if (!s->yields)
		return;
	part = mt_ledger_part(&t->ledger, account, s->tx_class);
	if (part && !s->squeezed)
		mt_tcp_note(t, MT_TCP_tx_throttled);
	s->squeezed = part > 0;
	s->tx_high = MT_MIN(part ? part : UINT32_MAX, t->conf.tx_high);
}

void mt_tcp_class(struct mt_stream *s, enum mt_class rx, enum mt_class tx)
{
	struct mt_tcp *t = mt_tcp_of(s);
	struct mt_tcp_conn *c = mt_tcp_conn_of(s);
	uint32_t was = s->charged & MT_TCP_HAS_ACCOUNT ? 0 : s->charged;

	/* Charges of an account are settled by class. */
	mt_ledger_add(&t->ledger, s->rx_class, -(int32_t)(was & MT_TCP_ADDED_MASK));
	mt_ledger_add(&t->ledger, s->tx_class, -(int32_t)(was >> MT_TCP_ADDED_BITS));
	mt_ledger_add(&t->ledger, rx, (int32_t)(was & MT_TCP_ADDED_MASK));
	mt_ledger_add(&t->ledger, tx, (int32_t)(was >> MT_TCP_ADDED_BITS));
	s->rx_class = (uint8_t)rx;
	s->tx_class = (uint8_t)tx;
	mt_tcp_mark(t, c);
}

/* True if two numbers cover all that the connection holds: *rx and *tx, in their classes. */
static bool adds_up(const struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t *rx, uint32_t *tx)
{
	struct mt_sums now;
	uint32_t all = 0;

	*rx = c->s.rx.truesize;
	*tx = c->tx.truesize;
	if (!mt_tcp_is_little(t, c) || !c->s.keeps)
		return mt_tcp_is_little(t, c);
	now = sums_of(t, c);
	*rx = now.of[c->s.rx_class];
	*tx = c->s.tx_class == c->s.rx_class ? 0 : now.of[c->s.tx_class];
	for (int k = 0; k < MT_N_CLASSES; k++)
		all += now.of[k];
	return (*rx | *tx) < MT_LEDGER_SMALL && all == *rx + *tx;
}

static void settle_account(struct mt_tcp *t, struct mt_tcp_conn *c, bool little)
{
	uint32_t account =
		c->s.charged & MT_TCP_HAS_ACCOUNT ? (c->s.charged & ~MT_TCP_HAS_ACCOUNT) + 1 : 0;
	struct mt_sums before = {0}, now = {0};
	struct mt_account_owner owner = owner_of(t, c);

	if (!account)
		before = added(c);
	if (!little)
		now = sums_of(t, c);
	mt_ledger_settle(&t->ledger, &account, &before, &now, &owner, false);
	squeeze(t, &c->s, account);
	c->s.charged = account ? (account - 1) | MT_TCP_HAS_ACCOUNT : 0;
}

void mt_tcp_settle_kept(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	uint32_t rx, tx;
	bool little = adds_up(t, c, &rx, &tx);

	if (!little || c->s.charged & MT_TCP_HAS_ACCOUNT)
		settle_account(t, c, little);
	if (little)
		mt_tcp_add(t, c, rx, tx);
}

static struct mt_sums charged(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	if (c->s.charged & MT_TCP_HAS_ACCOUNT)
		return mt_ledger_sums(&t->ledger, (c->s.charged & ~MT_TCP_HAS_ACCOUNT) + 1);
	return added(c);
}

static const char *wrong(const struct mt_tcp_conn *c, enum mt_class k, uint32_t now, uint32_t was)
{
	static char text[128];

	snprintf(text, sizeof(text), "port %u, %s: %u bytes are charged, %u are held (flags %x)",
		c->tuple.rport, mt_class_name(k), was, now, c->flags);
	return text;
}

const char *mt_tcp_ledger_wrong(struct mt_tcp *t)
{
	uint64_t all[MT_N_CLASSES] = {0};
	struct mt_tcp_conn *c;
	uint32_t idx = 0;

	while ((c = mt_slab_next(&t->conns, &idx))) {
		struct mt_sums now = sums_of(t, c), was = charged(t, c);

		for (int k = 0; k < MT_N_CLASSES; k++) {
			/* The next flush settles marked connections. */
			if (now.of[k] != was.of[k] && !(c->flags & MT_CF_ON_FLUSH))
				return wrong(c, (enum mt_class)k, now.of[k], was.of[k]);
			all[k] += was.of[k];
		}
	}
	/* Part of the retained memory belongs to no connection. */
	all[MT_CLASS_RETAINED] =
		MT_MAX(all[MT_CLASS_RETAINED], t->ledger.classes[MT_CLASS_RETAINED].charged);
	for (int k = 0; k < MT_N_CLASSES; k++)
		if (all[k] != t->ledger.classes[k].charged)
			return "a class is not the sum of its accounts";
	return mt_ledger_wrong(&t->ledger);
}

uint64_t mt_tcp_held(struct mt_tcp *t)
{
	struct mt_tcp_conn *c;
	uint64_t all = 0;
	uint32_t idx = 0;

	while ((c = mt_slab_next(&t->conns, &idx))) {
		struct mt_sums now = sums_of(t, c);

		for (int k = 0; k < MT_N_CLASSES; k++)
			all += now.of[k];
	}
	return all;
}

/* ---- admission limit ----------------------------------------------------------------------- */

bool mt_tcp_crowded_out(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	return c->s.rx_class == MT_CLASS_RECEIVING && c->state == MT_TCP_ESTABLISHED &&
	       charged(t, c).of[MT_CLASS_RECEIVING] == 0;
}

bool mt_tcp_put_back(struct mt_stream *s)
{
	struct mt_tcp *t = mt_tcp_of(s);
	struct mt_tcp_conn *c = mt_tcp_conn_of(s);
	uint32_t n = s->rx.len;

	if (mt_likely(!t->ledger.crowded))
		return false;
	/*
	 * Bytes of an earlier loop iteration are charged, usually to this class. Acknowledged bytes
	 * stay whatever their class was.
	 */
	if (!mt_tcp_crowded_out(t, c) || mt_seq_lt(c->rcv_nxt - n, c->last_ack))
		return false;
	mt_tcp_note(t, MT_TCP_rx_admission_limited);
	mt_chain_free(&s->rx);
	s->rx_kept = 0;
	c->rcv_nxt -= n;
	c->bytes_in -= n;
	c->tune_bytes -= MT_MIN(n, c->tune_bytes);
	/* A D-SACK of these bytes would lie beyond the ACK, and report them as received. */
	c->flags &= ~MT_CF_DSACK;
	/*
	 * An ACK of the earlier bytes shows a peer that watches its path that this side is alive.
	 */
	c->flags |= MT_CF_ACK_NOW;
	return true;
}

/* ---- eviction ------------------------------------------------------------------------------- */

/*
 * Connections whose holders are searched per loop iteration, while a class is full and no victim is
 * known.
 */
#define FIND_PER_TURN 256

/* After a walk over all connections, all holders are known. */
static void find_holders(struct mt_tcp *t)
{
	for (uint32_t i = 0; i < FIND_PER_TURN; i++) {
		struct mt_tcp_conn *c = mt_slab_next(&t->conns, &t->find_idx);

		if (!c) {
			t->find_idx = 0;
			t->ledger.again = false;
			return;
		}
		/* its class is under pressure, so its account finds its holder */
		mt_tcp_settle(t, c);
	}
}

static void evict_one(struct mt_tcp *t, struct mt_tcp_conn *c, enum mt_class class)
{
	if (!c->s.user->evict)
		return;
	mt_tcp_note(t, MT_TCP_evicted);
	mt_count(&t->ledger.classes[class].evicted, 0);
	c->s.user->evict(&c->s, class);
	mt_tcp_settle(t, c);
}

/*
 * Returns the number of evictions requested. A victim that keeps what it holds gets no second
 * request in the same loop iteration.
 */
static uint32_t evict_class(struct mt_tcp *t, enum mt_class class, uint32_t budget)
{
	const struct mt_ledger_class *k = &t->ledger.classes[class];
	uint32_t n = 0, conn;

	while (n < budget && mt_ledger_full(&t->ledger, class)) {
		uint64_t before = k->charged;

		if (!mt_ledger_victim(&t->ledger, class, &conn)) {
			find_holders(t);
			return n;
		}
		n++;
		evict_one(t, mt_slab_at(&t->conns, conn), class);
		if (k->charged >= before)
			return n;
	}
	return n;
}

uint32_t mt_tcp_evict(struct mt_tcp *t, uint32_t budget)
{
	uint32_t n = 0;

	if (mt_likely(!t->ledger.pressed))
		return 0;
	/*
	 * A small connection may belong to a large holder: evict nothing before holders are known.
	 */
	if (mt_unlikely(t->ledger.again)) {
		find_holders(t);
		return 0;
	}
	mt_ledger_crowd(&t->ledger, t->now);
	/*
	 * Data that servers do not acknowledge is only throttled: after an eviction a new
	 * connection would hold as much.
	 */
	for (int c = 0; c < MT_N_CLASSES; c++)
		if (c != MT_CLASS_RESENDING)
			n += evict_class(t, (enum mt_class)c, budget - n);
	return n;
}
