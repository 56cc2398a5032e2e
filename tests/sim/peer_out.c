/* SPDX-License-Identifier: Apache-2.0 */
/* What the peer sends: segments, ACKs, probes, retransmissions, and some mischief. */
#include "peer.h"

#include <string.h>

static void mischief(struct peer_conn *c)
{
	sim_count_fault(c->peer->sim, SIM_F_PEER_MISCHIEF);
}

/* The window to offer. The right edge never moves left, unless this peer takes windows back. */
uint32_t peer_window(struct peer_conn *c)
{
	const struct peer_conduct *d = &c->peer->conduct;
	struct sim *s = c->peer->sim;
	uint32_t used = c->rx_len, wnd = d->rcvbuf > used ? d->rcvbuf - used : 0, edge;

	if (c->state == PEER_ESTABLISHED && s->now >= c->zero_until &&
		sim_chance(&s->host_rand, d->zero_wnd)) {
		c->zero_until = s->now + sim_between(&s->host_rand, MT_MSEC, 900 * MT_MSEC);
		peer_arm(c, PEER_T_DELACK, c->zero_until);
		mischief(c);
	}
	if (s->now < c->zero_until)
		wnd = 0;
	edge = c->rcv + wnd;
	if (seq_lt(edge, c->adv)) {
		if (!sim_chance(&s->host_rand, d->shrink)) {
			wnd = c->adv - c->rcv;
		} else {
			c->shrunk = true;
			mischief(c);
		}
	}
	if (wnd > c->adv - c->rcv && sim_chance(&s->host_rand, d->silly)) {
		mischief(c);
		return MT_MIN(wnd, c->adv - c->rcv + 1 + sim_below(&s->host_rand, 300));
	}
	/* Silly window avoidance, RFC 9293 §3.8.6.2.2: not a few bytes more. */
	if (c->rcv + wnd - c->adv < MT_MIN(d->rcvbuf / 2, (uint32_t)d->mss) &&
		seq_le(c->adv, c->rcv + wnd))
		wnd = c->adv - c->rcv;
	return wnd;
}

static void replay_later(struct sim *s, void *arg, uint64_t slot)
{
	struct peer *p = arg;
	struct sim_frame *f = p->replays[slot];

	p->replays[slot] = NULL;
	if (!f)
		return;
	if (p->dead) {
		sim_frame_free(f);
		return;
	}
	sim_count_fault(s, SIM_F_PEER_MISCHIEF);
	sim_net_send(&p->nic, f);
}

void peer_maybe_replay(struct peer *p, const struct sim_frame *f)
{
	struct mt_rand *r = &p->sim->host_rand;
	uint32_t slot;

	if (!sim_chance(r, p->conduct.replay))
		return;
	slot = sim_below(r, PEER_REPLAYS);
	if (p->replays[slot])
		return;
	p->replays[slot] = sim_frame_copy(f);
	p->replays[slot]->old = true;
	sim_at(p->sim, p->sim->now + sim_between(r, MT_MSEC, 2 * MT_SEC), replay_later, p, slot);
}

void peer_send_seg(
	struct peer_conn *c, uint32_t seq, uint8_t flags, const uint8_t *data, uint32_t n)
{
	struct peer *p = c->peer;
	struct sim_frame *f = sim_frame_new();
	uint8_t *t = peer_l4(f, &c->raddr);
	bool syn = flags & SIM_SYN;
	uint32_t wnd = 0, opt;

	sim_put16(t, c->lport);
	sim_put16(t + 2, c->rport);
	sim_put32(t + 4, seq);
	sim_put32(t + 8, flags & SIM_ACK ? c->rcv : 0);
	flags |= peer_ecn_flags(c, seq, flags, n);
	opt = peer_opts_write(c, t + 20, syn);
	t[12] = (uint8_t)((20 + opt) << 2);
	t[13] = flags;
	if (flags & SIM_ACK) {
		wnd = peer_window(c);
		c->last_ack_sent = c->rcv;
		c->unacked_segs = 0;
		if (!(c->state == PEER_ESTABLISHED && p->sim->now < c->zero_until))
			c->due[PEER_T_DELACK] = MT_NEVER;
	} else {
		wnd = p->conduct.rcvbuf;
	}
	if (syn) {
		wnd = MT_MIN(wnd, 65535u);
		c->adv = c->rcv + (flags & SIM_ACK ? wnd : 0);
	} else {
		wnd = MT_MIN(wnd >> c->rcv_shift, 65535u);
		if (seq_lt(c->adv, c->rcv + (wnd << c->rcv_shift)))
			c->adv = c->rcv + (wnd << c->rcv_shift);
	}
	sim_put16(t + 14, (uint16_t)wnd);
	sim_put16(t + 18, 0);
	if (n)
		memcpy(t + 20 + opt, data, n);
	peer_send_ip(p, f, &c->laddr, &c->raddr, (uint16_t)(20 + opt + n));
}

/* RFC 9293 §3.5.2: the reset for a segment that belongs to no connection. */
void peer_send_rst(struct peer *p, const struct sim_pkt *k)
{
	struct sim_frame *f;
	uint32_t len = k->payload_len + !!(k->flags & SIM_SYN) + !!(k->flags & SIM_FIN);
	uint8_t *t;

	if (k->flags & SIM_RST)
		return;
	f = sim_frame_new();
	t = peer_l4(f, &k->src);
	memset(t, 0, 20);
	sim_put16(t, k->dport);
	sim_put16(t + 2, k->sport);
	t[12] = 5 << 4;
	if (k->flags & SIM_ACK) {
		sim_put32(t + 4, k->ack);
		t[13] = SIM_RST;
	} else {
		sim_put32(t + 8, k->seq + len);
		t[13] = SIM_RST | SIM_ACK;
	}
	peer_send_ip(p, f, &k->dst, &k->src, 20);
}

/* Beside a real ACK, by chance: one that acknowledges nonsense, a blind reset, a blind SYN. */
static void nonsense(struct peer_conn *c)
{
	const struct peer_conduct *d = &c->peer->conduct;
	struct mt_rand *r = &c->peer->sim->host_rand;
	uint32_t rcv = c->rcv, adv = c->adv;

	if (c->state != PEER_ESTABLISHED)
		return;
	if (sim_chance(r, d->bad_ack)) {
		mischief(c);
		/* Acknowledges what was never sent. */
		c->rcv += 0x10000000;
		peer_send_seg(c, c->nxt, SIM_ACK, NULL, 0);
		c->rcv = rcv;
		c->adv = adv;
	}
	if (sim_chance(r, d->stray)) {
		static const uint8_t kinds[] = {SIM_RST, SIM_SYN, SIM_ACK, SIM_FIN | SIM_ACK};

		uint8_t flags = kinds[sim_below(r, 4)];

		mischief(c);
		if (flags == SIM_SYN) {
			c->stray_syn = true;
			c->stray_iss = c->nxt + 0x20000000;
		}
		peer_send_seg(c, c->nxt + 0x20000000, flags, NULL, 0);
		c->adv = adv;
	}
}

void peer_ack(struct peer_conn *c)
{
	peer_lie_before_ack(c);
	/* Not nxt, which a time-out takes back: the other side would see an old segment. */
	peer_send_seg(c, c->max, SIM_ACK, NULL, 0);
	peer_lie_after_ack(c);
	nonsense(c);
}

static uint32_t chunk(struct peer_conn *c, uint32_t n)
{
	uint32_t opts = c->ts_on ? 12 : 0, mss = c->snd_mss - opts;

	if (c->peer->conduct.odd_options)
		mss -= 4;
	if (c->sack_on && c->ooo)
		mss -= 28;
	n = MT_MIN(n, mss);
	if (n > 1 && sim_chance(&c->peer->sim->host_rand, c->peer->conduct.tiny)) {
		mischief(c);
		return 1;
	}
	if (n > 1 && c->peer->conduct.uneven)
		return 1 + sim_below(&c->peer->sim->host_rand, n);
	return n;
}

static bool may_send(const struct peer_conn *c)
{
	return c->state == PEER_ESTABLISHED || c->state == PEER_CLOSE_WAIT ||
	       c->state == PEER_FIN_WAIT_1 || c->state == PEER_CLOSING || c->state == PEER_LAST_ACK;
}

static void start_timing(struct peer_conn *c, uint32_t end)
{
	if (!c->timing && c->nxt == c->max) {
		c->timing = true;
		c->timed_seq = end;
		c->timed_at = c->peer->sim->now;
	}
}

static void moved(struct peer_conn *c, uint32_t nxt)
{
	c->nxt = nxt;
	if (seq_lt(c->max, nxt))
		c->max = nxt;
	if (c->due[PEER_T_RTO] == MT_NEVER)
		peer_arm(c, PEER_T_RTO, c->peer->sim->now + c->rto);
}

static void fin_out(struct peer_conn *c)
{
	if (!c->fin_sent) {
		c->fin_sent = true;
		if (c->state == PEER_ESTABLISHED)
			c->state = PEER_FIN_WAIT_1;
		else if (c->state == PEER_CLOSE_WAIT)
			c->state = PEER_LAST_ACK;
	}
	peer_send_seg(c, c->nxt, SIM_FIN | SIM_ACK, NULL, 0);
	moved(c, c->nxt + 1);
}

void peer_output(struct peer_conn *c)
{
	while (may_send(c)) {
		uint32_t flight = c->nxt - c->una, wnd = MT_MIN(c->wnd, c->cwnd), n;
		uint32_t left = c->tx_len > flight ? c->tx_len - flight : 0;

		if (left && sim_chance(&c->peer->sim->host_rand, c->peer->conduct.overrun)) {
			mischief(c);
			wnd += 20000;
		}

		if (!left && c->fin_wanted && flight == c->tx_len) {
			fin_out(c);
			return;
		}
		n = MT_MIN(left, wnd > flight ? wnd - flight : 0);
		if (!n) {
			/* A closed window is probed by the retransmission timer. */
			if (left && c->due[PEER_T_RTO] == MT_NEVER)
				peer_arm(c, PEER_T_RTO, c->peer->sim->now + c->rto);
			return;
		}
		n = chunk(c, n);
		start_timing(c, c->nxt + n);
		peer_send_seg(c, c->nxt, SIM_ACK | (n == left ? SIM_PSH : 0), c->tx + flight, n);
		moved(c, c->nxt + n);
	}
}

static void probe(struct peer_conn *c)
{
	/* One byte beyond the window (RFC 9293 §3.8.6.1). */
	peer_send_seg(c, c->nxt, SIM_ACK, c->tx + (c->nxt - c->una), 1);
	moved(c, c->nxt + 1);
}

static void syn_again(struct peer_conn *c)
{
	uint8_t flags = c->state == PEER_SYN_SENT ? SIM_SYN : SIM_SYN | SIM_ACK;

	peer_send_seg(c, c->iss, flags, NULL, 0);
}

#define RETRIES_MAX 14

void peer_rto(struct peer_conn *c)
{
	struct sim *s = c->peer->sim;

	if (++c->retries > RETRIES_MAX) {
		peer_conn_end(c, SIM_END_FAILED);
		return;
	}
	c->rto = MT_MIN(c->rto * 2, 8 * MT_SEC);
	c->timing = false;
	peer_arm(c, PEER_T_RTO, s->now + c->rto);
	if (c->state == PEER_SYN_SENT || c->state == PEER_SYN_RCVD) {
		syn_again(c);
		return;
	}
	c->ssthresh = MT_MAX((c->max - c->una) / 2, 2 * c->snd_mss);
	c->cwnd = c->snd_mss;
	c->nxt = c->una; /* go back */
	if (c->wnd == 0 && c->tx_len)
		probe(c);
	else
		peer_output(c);
}
