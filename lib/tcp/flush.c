/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a turn: who was marked sends, then those who wait for a port (wait.c). A port that is full is
 * not asked again, costs nothing more in this turn, and holds up nobody who sends by another one.
 */
#include "mt_tcp_priv.h"

#define BUSY_MS	 1  /* another try for a full port, if no turn comes sooner */
#define RETRY_MS 10 /* after the pool was empty */

void mt_tcp_unreachable(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (c->state == MT_TCP_SYN_SENT || c->state == MT_TCP_SYN_RCVD) {
		mt_tcp_note(t, MT_TCP_connect_unreachable);
		mt_tcp_conn_fail(t, c, MT_CLOSE_UNREACHABLE);
		return;
	}
	mt_tcp_note(t, MT_TCP_tx_no_route);
	if (!c->at[MT_TCP_AT_RTO])
		c->at[MT_TCP_AT_RTO] = mt_tcp_in(t, c->rto_ms);
	mt_tcp_arm(t, c);
}

/*
 * What a connection without protocol state still owes: the RST of an abort, the ACK of the last FIN. It does
 * not wait for a full port: without them the peer is answered when it asks again.
 */
static void last_words(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	uint8_t opts[MT_TCP_OPTS_MAX];
	struct mt_tcp_ctrl ctrl = {
		.tuple = &c->tuple,
		.dst = &c->dst,
		.seq = c->snd_nxt,
		.ack = c->rcv_nxt,
		.flags = MT_TCP_ACK,
		.opts = opts,
	};

	if (!(c->flags & (MT_CF_RST_DUE | MT_CF_ACK_NOW)))
		return;
	if (c->flags & MT_CF_RST_DUE) {
		ctrl.flags |= MT_TCP_RST;
		mt_tcp_note(t, MT_TCP_resets_out);
	} else {
		ctrl.wnd = mt_tcp_advertise(t, c);
	}
	if (c->flags & MT_CF_TS)
		ctrl.opt_len = mt_tcp_opts_ts(opts, mt_tcp_ts_now(t, c->ts_off), c->ts_recent);
	c->flags &= ~(MT_CF_RST_DUE | MT_CF_ACK_NOW);
	mt_tcp_send_ctrl(t, &ctrl);
}

static enum mt_net_result output(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (c->state == MT_TCP_SYN_SENT || c->state == MT_TCP_SYN_RCVD)
		return c->flags & (MT_CF_SYN_DUE | MT_CF_ACK_NOW) ? mt_tcp_send_syn(t, c)
								  : MT_NET_SENT;
	return mt_tcp_output(t, c);
}

/* `served`: the port that it waited for, and whose head it was; MT_TCP_WAIT_NONE: it was marked. */
static void flush_one(struct mt_tcp *t, struct mt_tcp_conn *c, uint16_t served)
{
	switch (output(t, c)) {
	case MT_NET_SENT:
		break;
	case MT_NET_WAIT:
		mt_tcp_wait_push(t, c, MT_TCP_WAIT_NEIGH);
		mt_tcp_note(t, MT_TCP_parked);
		break;
	case MT_NET_NO_ROUTE:
		mt_tcp_unreachable(t, c);
		return;
	case MT_NET_BUSY:
		if (c->dst.port == served && c->credit > 0)
			mt_tcp_wait_again(t, c, served);
		else
			mt_tcp_wait_push(t, c, c->dst.port);
		mt_tcp_note(t, MT_TCP_tx_busy);
		break;
	case MT_NET_NO_MEMORY:
		c->at[MT_TCP_AT_ACK] = mt_tcp_in(t, RETRY_MS);
		break;
	}
	mt_tcp_arm(t, c);
}

static void serve(struct mt_tcp *t, uint16_t port)
{
	while (t->wait[port].n && mt_net_tx_room(t->net, port)) {
		struct mt_tcp_conn *c = mt_tcp_wait_pop(t, port);

		mt_tcp_wait_turn(t, c, port);
		flush_one(t, c, port);
	}
}

void mt_tcp_flush(struct mt_tcp *t)
{
	struct mt_tcp_conn *c;

	while ((c = mt_tcp_queue_pop(t, &t->flush))) {
		c->flags &= ~MT_CF_ON_FLUSH;
		if (mt_unlikely(c->state == MT_TCP_CLOSED))
			last_words(t, c);
		else
			flush_one(t, c, MT_TCP_WAIT_NONE);
	}
	for (uint32_t ports = t->waiting; mt_unlikely(ports); ports &= ports - 1)
		serve(t, (uint16_t)__builtin_ctz(ports));
	mt_tcp_conn_reap(t);
}

uint64_t mt_tcp_next(const struct mt_tcp *t)
{
	uint64_t next = mt_wheel_next(&t->wheel);

	if (t->events.n || t->flush.n || t->sweep_idx != UINT32_MAX)
		return t->now;
	if (t->waiting)
		next = MT_MIN(next, t->now + BUSY_MS * MT_MSEC);
	next = MT_MIN(next, mt_tcp_half_next(t));
	return MT_MIN(next, mt_tcp_tw_next(t));
}
