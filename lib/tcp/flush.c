/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a loop iteration: marked connections send, then those that wait for a port (wait.c). A
 * full port is not tried again and costs nothing more in this iteration, and does not delay
 * connections of other ports.
 */
#include "mt_tcp_settle_priv.h"

#define BUSY_MS	 1  /* retry for a full port, if no loop iteration comes sooner */
#define RETRY_MS 10 /* retry after the pool was empty */

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
 * Sends what a connection without protocol state still has to send: the RST of an abort, the ACK of
 * the last FIN. Neither waits for a full port: if it is lost, the peer sends again and is answered
 * then.
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

/* Queues a connection whose port or neighbour is not ready. `served`: it was the queue's head. */
static mt_noinline void wait(
	struct mt_tcp *t, struct mt_tcp_conn *c, enum mt_net_result why, bool served)
{
	if (why == MT_NET_NO_MEMORY) {
		c->at[MT_TCP_AT_ACK] = mt_tcp_in(t, RETRY_MS);
	} else if (why == MT_NET_WAIT) {
		mt_tcp_wait_push(t, c, mt_tcp_wait_of_neigh(c->dst.neigh));
		mt_tcp_note(t, MT_TCP_parked);
	} else {
		if (served && c->dst.port == c->wait_for && c->credit > 0)
			mt_tcp_wait_again(t, c, c->dst.port);
		else
			mt_tcp_wait_push(t, c, c->dst.port);
		mt_tcp_note(t, MT_TCP_tx_busy);
	}
}

static void flush_one(struct mt_tcp *t, struct mt_tcp_conn *c, bool served)
{
	enum mt_net_result rc;

	c->flags &= ~MT_CF_ON_FLUSH;
	if (c->state == MT_TCP_CLOSED) {
		last_words(t, c);
		return;
	}
	rc = output(t, c);
	if (mt_unlikely(rc == MT_NET_NO_ROUTE)) {
		mt_tcp_unreachable(t, c);
		return;
	}
	if (mt_unlikely(rc != MT_NET_SENT))
		wait(t, c, rc, served);
	mt_tcp_arm(t, c);
}

/*
 * Next waiting connection of one of `ports`; removes full ports and those without waiters from
 * `ports`.
 */
static mt_noinline struct mt_tcp_conn *next_waiting(struct mt_tcp *t, uint32_t *ports)
{
	for (*ports &= t->waiting; *ports; *ports &= *ports - 1) {
		uint16_t port = (uint16_t)__builtin_ctz(*ports);

		if (t->wait[port].n && mt_net_tx_room(t->net, port))
			return mt_tcp_wait_turn(t, port);
	}
	return NULL;
}

void mt_tcp_flush(struct mt_tcp *t)
{
	uint32_t ports = UINT32_MAX; /* ports that may still be served */
	struct mt_tcp_conn *c;
	bool served = false;

	for (;;) {
		c = mt_tcp_queue_pop(t, &t->flush);
		if (!c) {
			if (mt_likely(!t->waiting))
				break;
			served = true;
			c = next_waiting(t, &ports);
			if (!c)
				break;
		}
		flush_one(t, c, served);
		mt_tcp_settle(t, c);
	}
	mt_tcp_conn_reap(t);
}

uint64_t mt_tcp_next(struct mt_tcp *t)
{
	uint64_t next = mt_wheel_next(&t->wheel);

	if (t->events.n || t->flush.n || t->sweep_idx != UINT32_MAX)
		return t->now;
	if (t->waiting)
		next = MT_MIN(next, t->now + BUSY_MS * MT_MSEC);
	next = MT_MIN(next, mt_tcp_half_next(t));
	return MT_MIN(next, mt_tcp_tw_next(t));
}
