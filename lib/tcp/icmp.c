/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reaction to ICMP and neighbour events (RFC 9293 §3.9.2.2, RFC 5461, RFC 5927, RFC 1191, RFC
 * 8201). ICMP comes from unauthenticated senders, so it may end a connection only in answer to its
 * SYN.
 */
#include "mt_mutant.h"
#include "mt_tcp_priv.h"

/* RFC 5927 §4: the message must be about outstanding data. */
static bool outstanding(const struct mt_tcp_conn *c, uint32_t seq)
{
	return (mt_seq_leq(c->snd_una, seq) && mt_seq_lt(seq, c->snd_nxt)) ||
	       mt_mutant(MT_BREAK_icmp_believed);
}

/*
 * Segments that were too long are split again and resent at once; that is not congestion (RFC 1191
 * §6.5).
 */
static void path_mtu(struct mt_tcp *t, struct mt_tcp_conn *c, uint16_t mtu)
{
	struct mt_tcp_loss *l;

	if (mtu >= c->dst.mtu || c->state < MT_TCP_ESTABLISHED) {
		mt_tcp_note(t, MT_TCP_icmp_ignored);
		return;
	}
	mt_net_pmtu_learn(t->net, &c->tuple.remote, mtu);
	mt_net_route_stream(t->net, &c->tuple, &c->dst);
	mt_tcp_wait_rerouted(t, c);
	mt_tcp_note(t, MT_TCP_path_mtu_lowered);
	if (mt_mutant(MT_BREAK_pmtu_not_resent))
		return;
	l = mt_tcp_loss_get(t, c);
	if (c->mode == MT_TCP_OPEN)
		c->mode = MT_TCP_RECOVERY;
	c->recover = c->snd_nxt;
	mt_tcp_lose(t, c, l, MT_TCP_LOSE_ALL);
	l->owed = true;
	mt_tcp_mark(t, c);
}

static uint32_t headers(const struct mt_tcp_conn *c)
{
	return mt_addr_is4(&c->tuple.remote) ? 40 : 60;
}

/*
 * RFC 4821 §7.7, RFC 2923 §2.1: a path may drop long segments without ICMP. Only this connection
 * tries shorter ones, until one is acknowledged.
 */
void mt_tcp_black_hole(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l)
{
	/* packet sizes, by consecutive timeouts */
	static const uint16_t tries[] = {[3] = 1280, [5] = 576};
	uint32_t mtu = c->retries < MT_ARRAY_LEN(tries) ? tries[c->retries] : 0, mss;

	if (mtu == 0 || (mtu < 1280 && !mt_addr_is4(&c->tuple.remote)))
		return;
	mss = mtu - headers(c);
	if (c->state < MT_TCP_ESTABLISHED || mt_tcp_mss(c, 0) <= mss || c->tx.len <= mss)
		return;
	if (l->hole_mss == 0)
		l->hole_mss = c->mss_peer;
	c->mss_peer = (uint16_t)mss;
	mt_tcp_note(t, MT_TCP_black_holes);
}

void mt_tcp_black_hole_over(
	struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l, bool real)
{
	uint32_t mtu = c->mss_peer + headers(c);

	c->mss_peer = l->hole_mss;
	l->hole_mss = 0;
	if (!real)
		return;
	mt_net_pmtu_learn(t->net, &c->tuple.remote, (uint16_t)mtu);
	mt_net_route_stream(t->net, &c->tuple, &c->dst);
	mt_tcp_wait_rerouted(t, c);
	mt_tcp_note(t, MT_TCP_path_mtu_lowered);
}

void mt_tcp_icmp_event(struct mt_tcp *t, const struct mt_tuple *tuple, uint32_t seq,
	enum mt_net_icmp kind, uint16_t mtu)
{
	struct mt_tcp_conn *c = mt_tcp_find_conn(t, tuple);

	if (c)
		mt_tcp_cell(c->state, MT_TCP_CELL_SOFT + (uint32_t)kind);
	if (!c || !outstanding(c, seq)) {
		mt_tcp_note(t, MT_TCP_icmp_ignored);
		return;
	}
	if (kind == MT_NET_ICMP_TOO_BIG) {
		path_mtu(t, c, mtu);
		return;
	}
	/*
	 * RFC 5461 §4: soft errors never end a connection; hard ones only before it is established.
	 */
	if (kind == MT_NET_ICMP_HARD &&
		(c->state == MT_TCP_SYN_SENT || mt_mutant(MT_BREAK_icmp_hard_ends))) {
		mt_tcp_note(t, MT_TCP_icmp_unreachable);
		mt_tcp_conn_fail(t, c, MT_CLOSE_UNREACHABLE);
		return;
	}
	mt_tcp_note(t, MT_TCP_icmp_ignored);
}

/* A connection that waited for the neighbour continues, or tries again by its timer, or fails. */
static void unpark(struct mt_tcp *t, struct mt_tcp_conn *c, bool ok)
{
	if (ok)
		mt_tcp_mark(t, c);
	else
		mt_tcp_unreachable(t, c);
}

void mt_tcp_neigh_event(struct mt_tcp *t, uint32_t neigh, bool ok)
{
	const uint16_t queue = mt_tcp_wait_of_neigh(neigh);
	uint32_t n = t->wait[queue].n;

	while (n-- > 0) {
		struct mt_tcp_conn *c = mt_tcp_wait_pop(t, queue);

		if (c->dst.neigh == neigh)
			unpark(t, c, ok);
		else
			mt_tcp_wait_push(t, c, queue);
	}
}
