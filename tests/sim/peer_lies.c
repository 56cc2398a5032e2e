/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer that does not keep its word (Savage et al., "TCP congestion control with a misbehaving
 * receiver"; RFC 2018 §8): none of it may cost a byte, or have the other side break a rule of its own.
 */
#include "peer.h"

static bool now_and_then(struct peer_conn *c, uint32_t ppm)
{
	if (!sim_chance(&c->peer->sim->host_rand, ppm))
		return false;
	sim_count_fault(c->peer->sim, SIM_F_PEER_LIE);
	return true;
}

/* An ACK of another number than ours. */
static void ack_at(struct peer_conn *c, uint32_t ack)
{
	uint32_t rcv = c->rcv;

	c->rcv = ack;
	peer_send_seg(c, c->max, SIM_ACK, NULL, 0);
	c->rcv = rcv;
}

/* A few bytes at a time, so that each looks like one more ACK (RFC 5681 §3.1 counts bytes). */
static void divide(struct peer_conn *c)
{
	uint32_t from = c->last_ack_sent, n = c->rcv - from;

	if (n < 2 || n > 100000)
		return;
	for (uint32_t i = 1; i < 8; i++)
		ack_at(c, from + n * i / 8);
}

/* Up to three segments that are on their way, as far as the window that was offered goes. */
static void optimistic(struct peer_conn *c)
{
	uint32_t ahead = 1 + sim_below(&c->peer->sim->host_rand, 3 * c->peer->conduct.mss);
	uint32_t open = c->adv - c->rcv, last = c->last_ack_sent;

	if ((int32_t)open <= 0 || c->fin_rcvd)
		return;
	ack_at(c, c->rcv + MT_MIN(ahead, open));
	c->last_ack_sent = last;
}

void peer_lie_before_ack(struct peer_conn *c)
{
	const struct peer_conduct *d = &c->peer->conduct;

	if (c->state != PEER_ESTABLISHED)
		return;
	if (now_and_then(c, d->divide))
		divide(c);
	if (now_and_then(c, d->optimistic))
		optimistic(c);
	c->lying = true;
}

void peer_lie_after_ack(struct peer_conn *c)
{
	c->lying = false;
	if (!c->ooo || !now_and_then(c, c->peer->conduct.renege))
		return;
	while (c->ooo) {
		struct peer_ooo *q = c->ooo;

		c->ooo = q->next;
		c->ooo_bytes -= q->len;
		free(q);
	}
}

static uint32_t block(uint8_t *o, uint32_t n, uint32_t from, uint32_t to)
{
	o[n] = 5;
	o[n + 1] = 10;
	sim_put32(o + n + 2, from);
	sim_put32(o + n + 6, to);
	return n + 10;
}

/* In place of true blocks: there is not room for both. */
uint32_t peer_lie_sack(struct peer_conn *c, uint8_t *o, uint32_t n)
{
	const struct peer_conduct *d = &c->peer->conduct;
	struct mt_rand *r = &c->peer->sim->host_rand;
	uint32_t from;

	if (!c->lying || !c->sack_on || n > 28)
		return n;
	if (now_and_then(c, d->dsack_lie)) {
		from = c->rcv - 1 - sim_below(r, 4000);
		return block(o, n, from, from + 1 + sim_below(r, 1500));
	}
	if (!now_and_then(c, d->sack_lie))
		return n;
	switch (sim_below(r, 4)) {
	case 0: /* backwards, or empty */
		from = c->rcv + sim_below(r, 5000);
		return block(o, n, from, from - sim_below(r, 3000));
	case 1: /* far from anything */
		from = (uint32_t)mt_rand_u64(r);
		return block(o, n, from, from + 1000);
	default: /* what may well be on its way */
		from = c->rcv + 1 + sim_below(r, 10000);
		return block(o, n, from, from + 1 + sim_below(r, 6000));
	}
}

/* Each liar has a few habits. */
static uint32_t habit(struct mt_rand *r, uint32_t max)
{
	return sim_one_in(r, 3) ? 1 + sim_below(r, max) : 0;
}

void peer_lies_draw(struct peer_conduct *c, struct mt_rand *r, bool lossless)
{
	c->sack = !sim_one_in(r, 4);
	c->keep_ooo = !sim_one_in(r, 4);
	c->divide = habit(r, 1000000);
	c->optimistic = lossless ? habit(r, 500000) : 0;
	c->renege = habit(r, 500000);
	c->sack_lie = habit(r, 300000);
	c->dsack_lie = habit(r, 300000);
	c->overrun = habit(r, 300000);
	c->silly = habit(r, 500000);
	c->tiny = sim_one_in(r, 4) ? 1000000 : c->tiny;
	if (sim_one_in(r, 3)) { /* stretch ACKs */
		c->ack_every = 4 + sim_below(r, 28);
		c->delack = sim_between(r, 50, 500) * MT_MSEC;
	}
}
