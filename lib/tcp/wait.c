/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues of connections that wait to send: for a port whose transmit queue is full, or for a
 * neighbour. A port's queue is served round robin from its head, a quantum of 16 KiB each, headers
 * included (DRR: Shreedhar and Varghese 1995). A quantum is what a connection may send in one
 * round, whether it was in the queue or was marked meanwhile by an ACK or its user. A long segment
 * may overdraw it; the excess is charged later. A connection that the port stops, not the quantum,
 * continues at the head.
 *
 * So a connection that sends little (ACKs, a short request) passes ten thousand waiting ones, and
 * ACK-clocked bulk traffic starves no connection. Flush serves the queue after the connections
 * marked in the iteration, while the port has capacity, so these and the capacity bound the work of
 * an iteration, however many connections wait. Other ports are not delayed. While no connection
 * waits for a port, this costs one test per flush.
 */
#include "mt_tcp_priv.h"

#define QUANTUM 16384 /* bytes, headers included: about eleven full segments */

static uint32_t name_of(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	return mt_slab_idx(&t->conns, c) + 1;
}

static struct mt_tcp_conn *named(const struct mt_tcp *t, uint32_t name)
{
	return mt_slab_at(&t->conns, name - 1);
}

static void link_between(struct mt_tcp *t, struct mt_tcp_wait *q, struct mt_tcp_conn *c,
	uint32_t prev, uint32_t next)
{
	uint32_t name = name_of(t, c);

	c->fl_prev = prev;
	c->fl_next = next;
	*(prev ? &named(t, prev)->fl_next : &q->head) = name;
	*(next ? &named(t, next)->fl_prev : &q->tail) = name;
	q->n++;
	c->flags |= MT_CF_ON_FLUSH | MT_CF_WAITS;
}

void mt_tcp_wait_push(struct mt_tcp *t, struct mt_tcp_conn *c, uint16_t what)
{
	struct mt_tcp_wait *q = &t->wait[what];

	if (q->n == 0 && what < MT_TCP_WAIT_NEIGH) {
		q->round++; /* no connection has sent in this round yet */
		q->left = 0;
		t->waiting |= 1u << what;
	}
	c->wait_for = (uint8_t)what;
	link_between(t, q, c, q->tail, 0);
}

void mt_tcp_wait_again(struct mt_tcp *t, struct mt_tcp_conn *c, uint16_t port)
{
	struct mt_tcp_wait *q = &t->wait[port];

	c->wait_for = (uint8_t)port;
	link_between(t, q, c, 0, q->head);
	q->left++;
	t->waiting |= 1u << port;
}

void mt_tcp_wait_leave(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	struct mt_tcp_wait *q = &t->wait[c->wait_for];

	*(c->fl_prev ? &named(t, c->fl_prev)->fl_next : &q->head) = c->fl_next;
	*(c->fl_next ? &named(t, c->fl_next)->fl_prev : &q->tail) = c->fl_prev;
	c->flags &= ~(MT_CF_ON_FLUSH | MT_CF_WAITS);
	q->n--;
	if (q->n == 0 && c->wait_for < MT_TCP_WAIT_NEIGH)
		t->waiting &= ~(1u << c->wait_for);
}

void mt_tcp_wait_rerouted(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (!(c->flags & MT_CF_WAITS) || c->wait_for < MT_TCP_WAIT_NEIGH)
		return;
	mt_tcp_wait_leave(t, c);
	mt_tcp_mark(t, c);
}

struct mt_tcp_conn *mt_tcp_wait_pop(struct mt_tcp *t, uint16_t what)
{
	struct mt_tcp_conn *c = named(t, t->wait[what].head);

	mt_tcp_wait_leave(t, c);
	return c;
}

/*
 * A segment may have exceeded the remaining credit: the excess is deducted from the next quantum.
 */
static void new_credit(struct mt_tcp_conn *c, uint8_t round)
{
	c->wait_round = round;
	c->credit = (int16_t)(MT_MIN(c->credit, 0) + QUANTUM);
}

struct mt_tcp_conn *mt_tcp_wait_turn(struct mt_tcp *t, uint16_t port)
{
	struct mt_tcp_conn *c = mt_tcp_wait_pop(t, port);
	struct mt_tcp_wait *q = &t->wait[port];

	if (q->left == 0) {
		q->round++;
		q->left = q->n + 1;
	}
	/* connections may have left the queue without being served */
	q->left = MT_MIN(q->left - 1, q->n);
	if (c->wait_round != q->round || c->credit <= 0)
		new_credit(c, q->round);
	return c;
}

bool mt_tcp_wait_credit(const struct mt_tcp *t, struct mt_tcp_conn *c, int32_t *bytes)
{
	const struct mt_tcp_wait *q = &t->wait[c->dst.port];

	if (q->n == 0)
		return false;
	if (c->wait_round != q->round)
		new_credit(c, q->round);
	*bytes = c->credit;
	return true;
}

void mt_tcp_wait_spent(struct mt_tcp_conn *c, int32_t left)
{
	c->credit = (int16_t)MT_MAX(left, INT16_MIN);
}
