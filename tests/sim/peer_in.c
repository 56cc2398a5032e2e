/* SPDX-License-Identifier: Apache-2.0 */
/* What the peer makes of a segment, in the order of RFC 9293 §3.10.7. */
#include "peer.h"

#include <string.h>

static void take_options(struct peer_conn *c, const struct peer_opts *o)
{
	const struct peer_conduct *d = &c->peer->conduct;

	c->snd_mss = MT_MIN(o->mss, 1460 - (mt_addr_is4(&c->raddr) ? 0 : 20));
	c->ts_on = d->timestamps && o->ts;
	c->ts_recent = o->tsval;
	c->sack_on = d->sack && o->sack_ok;
	c->ws_on = d->window_scale && o->shift >= 0;
	if (c->ws_on) {
		c->snd_shift = (uint8_t)o->shift;
		c->rcv_shift = d->shift;
	} else {
		c->snd_shift = c->rcv_shift = 0;
	}
	c->cwnd = 4 * c->snd_mss;
	c->ssthresh = 1u << 30;
}

static void established(struct peer_conn *c)
{
	c->state = PEER_ESTABLISHED;
	peer_arm(c, PEER_T_KEEP, c->peer->sim->now + PEER_KEEP_ALIVE);
	c->retries = 0;
	c->rto = MT_MAX(c->peer->conduct.rto_min, 300 * MT_MSEC);
	c->peer->sim->st.connections++;
	if (c->sock.app->connected)
		c->sock.app->connected(&c->sock);
}

/* RFC 6298, one segment timed at a time. */
static void measure(struct peer_conn *c)
{
	uint64_t r = c->peer->sim->now - c->timed_at;

	if (!c->srtt) {
		c->srtt = r;
		c->rttvar = r / 2;
	} else {
		c->rttvar = (3 * c->rttvar + (c->srtt > r ? c->srtt - r : r - c->srtt)) / 4;
		c->srtt = (7 * c->srtt + r) / 8;
	}
	c->rto = MT_MAX(c->srtt + 4 * c->rttvar, c->peer->conduct.rto_min);
	c->timing = false;
}

static void fin_acked(struct peer_conn *c)
{
	if (c->state == PEER_FIN_WAIT_1) {
		c->state = PEER_FIN_WAIT_2;
	} else if (c->state == PEER_CLOSING) {
		c->state = PEER_TIME_WAIT;
		peer_arm(c, PEER_T_TW, c->peer->sim->now + 2 * MT_SEC);
	} else if (c->state == PEER_LAST_ACK) {
		peer_conn_end(c, SIM_END_OK);
	}
}

static void new_ack(struct peer_conn *c, uint32_t ack)
{
	uint32_t n = ack - c->una, data = MT_MIN(n, c->tx_len);

	c->retries = 0;
	c->dup_acks = 0;
	if (c->timing && seq_le(c->timed_seq, ack))
		measure(c);
	else if (c->srtt) /* progress takes the backoff back */
		c->rto = MT_MAX(c->srtt + 4 * c->rttvar, c->peer->conduct.rto_min);
	memmove(c->tx, c->tx + data, c->tx_len - data);
	c->tx_len -= data;
	c->wnd -= MT_MIN(n, c->wnd); /* the edge stays, if the segment does not move it */
	c->una = ack;
	if (seq_lt(c->nxt, ack))
		c->nxt = ack;
	c->cwnd += c->cwnd < c->ssthresh ? MT_MIN(n, c->snd_mss)
					 : MT_MAX(1u, c->snd_mss * c->snd_mss / c->cwnd);
	c->cwnd = MT_MIN(c->cwnd, 1u << 20);
	c->due[PEER_T_RTO] = MT_NEVER;
	if (c->una != c->nxt || c->tx_len)
		peer_arm(c, PEER_T_RTO, c->peer->sim->now + c->rto);
	if (c->fin_sent && n > data)
		fin_acked(c);
	if (!c->dead && c->app_blocked && c->tx_len < 32768) {
		c->app_blocked = false;
		c->told_writable = true;
	}
}

static void window_update(struct peer_conn *c, const struct sim_pkt *k)
{
	uint32_t wnd = (uint32_t)k->wnd << c->snd_shift;

	if (seq_lt(c->wl1, k->seq) || (c->wl1 == k->seq && seq_le(c->wl2, k->ack))) {
		if (!c->wnd && wnd)
			c->nxt = c->una; /* the probe may have been refused */
		c->wnd = wnd;
		c->wl1 = k->seq;
		c->wl2 = k->ack;
	}
}

static void duplicate_ack(struct peer_conn *c, const struct sim_pkt *k)
{
	if (k->payload_len || c->una == c->max || (uint32_t)k->wnd << c->snd_shift != c->wnd ||
		++c->dup_acks != 3)
		return;
	c->ssthresh = MT_MAX((c->max - c->una) / 2, 2 * c->snd_mss);
	c->cwnd = c->ssthresh;
	c->timing = false;
	if (c->tx_len) {
		uint32_t n = MT_MIN(MT_MIN(c->tx_len, c->max - c->una), c->snd_mss - 60u);

		peer_send_seg(c, c->una, SIM_ACK, c->tx, n);
	}
}

/* False: the segment is done with. */
static bool ack_part(struct peer_conn *c, const struct sim_pkt *k)
{
	if (seq_lt(c->max, k->ack)) {
		peer_ack(c);
		return false;
	}
	if (seq_lt(c->una, k->ack))
		new_ack(c, k->ack);
	else if (c->una == k->ack)
		duplicate_ack(c, k);
	if (c->dead)
		return false;
	if (seq_le(c->una, k->ack))
		window_update(c, k);
	return true;
}

/* RFC 9293 §3.10.7.4, first step: does any of it lie in the window? */
static bool acceptable(const struct peer_conn *c, const struct sim_pkt *k)
{
	uint32_t len = k->payload_len + !!(k->flags & SIM_FIN) + !!(k->flags & SIM_SYN);
	uint32_t wnd = c->adv - c->rcv;

	if ((int32_t)wnd < 0)
		wnd = 0;
	if (!len)
		return wnd ? k->seq - c->rcv < wnd : k->seq == c->rcv;
	return (wnd && k->seq - c->rcv < wnd) || (wnd && k->seq + len - 1 - c->rcv < wnd) ||
	       k->seq == c->rcv;
}

static void tell(struct peer_conn *c)
{
	const struct sim_app *a = c->sock.app;

	if (!c->dead && c->rx_len && a->readable)
		a->readable(&c->sock);
	peer_tell_eof(c);
	if (!c->dead && c->told_writable) {
		c->told_writable = false;
		if (a->writable)
			a->writable(&c->sock);
	}
}

static void syn_sent(struct peer_conn *c, const struct sim_pkt *k, const struct peer_opts *o)
{
	bool ack_ok = (k->flags & SIM_ACK) && k->ack == c->iss + 1;

	if ((k->flags & SIM_ACK) && !ack_ok) {
		peer_send_rst(c->peer, k);
		return;
	}
	if (k->flags & SIM_RST) {
		if (ack_ok)
			peer_conn_end(c, SIM_END_FAILED);
		return;
	}
	if (!(k->flags & SIM_SYN))
		return;
	c->irs = k->seq;
	c->rcv = c->adv = k->seq + 1;
	take_options(c, o);
	if (ack_ok)
		peer_ecn_agree(c, k, true);
	if (!ack_ok) { /* both opened at once */
		c->state = PEER_SYN_RCVD;
		peer_send_seg(c, c->iss, SIM_SYN | SIM_ACK, NULL, 0);
		return;
	}
	c->una = c->nxt = c->max = k->ack;
	c->wnd = k->wnd;
	c->wl1 = k->seq;
	c->wl2 = k->ack;
	c->due[PEER_T_RTO] = MT_NEVER;
	established(c);
	if (c->dead)
		return;
	peer_ack(c);
	peer_output(c);
}

/* As if this host had opened too, before the other's SYN came (RFC 9293 figure 8). */
static void cross_open(struct peer_conn *c, const struct sim_pkt *k, const struct peer_opts *o)
{
	struct sim *s = c->peer->sim;

	sim_count_fault(s, SIM_F_PEER_MISCHIEF);
	c->state = PEER_SYN_SENT;
	peer_send_seg(c, c->iss, SIM_SYN, NULL, 0);
	peer_arm(c, PEER_T_RTO, s->now + c->rto);
	/* That state is soon over, unless the answers get lost for a while. */
	if (c->peer->conduct.deaf && sim_one_in(&s->host_rand, 2))
		c->deaf_until =
			s->now + (sim_one_in(&s->host_rand, 8)
						 ? 9 * MT_SEC
						 : sim_between(&s->host_rand, 1, 1500) * MT_MSEC);
	else
		syn_sent(c, k, o);
}

static void listen_syn(struct peer *p, const struct sim_pkt *k, const struct peer_opts *o)
{
	struct peer_conn *c;
	struct peer_listener *l = NULL;

	for (uint32_t i = 0; i < p->n_listen; i++)
		if (p->listen[i].port == k->dport)
			l = &p->listen[i];
	if (!l || (k->flags & (SIM_ACK | SIM_RST)) || !(k->flags & SIM_SYN)) {
		peer_send_rst(p, k);
		return;
	}
	c = peer_conn_new(p);
	c->laddr = k->dst;
	c->raddr = k->src;
	c->lport = k->dport;
	c->rport = k->sport;
	peer_conn_named(c);
	c->irs = k->seq;
	c->rcv = c->adv = k->seq + 1;
	c->una = c->iss;
	c->nxt = c->max = c->iss + 1;
	l->on_accept(l->ctx, &c->sock);
	if (sim_chance(&p->sim->host_rand, p->conduct.cross)) {
		cross_open(c, k, o);
		return;
	}
	take_options(c, o);
	peer_ecn_agree(c, k, false);
	c->state = PEER_SYN_RCVD;
	peer_send_seg(c, c->iss, SIM_SYN | SIM_ACK, NULL, 0);
	peer_arm(c, PEER_T_RTO, p->sim->now + c->rto);
}

/* True: the segment was a SYN or RST and is done with. */
static bool syn_or_rst(struct peer_conn *c, const struct sim_pkt *k)
{
	if (k->flags & SIM_RST) {
		if (k->seq == c->rcv)
			peer_conn_end(c, c->state == PEER_TIME_WAIT ? SIM_END_OK : SIM_END_RESET);
		else
			peer_ack(c); /* RFC 5961 §3.2 */
		return true;
	}
	if (k->flags & SIM_SYN) {
		if (c->state == PEER_SYN_RCVD && k->seq == c->irs)
			peer_send_seg(c, c->iss, SIM_SYN | SIM_ACK, NULL, 0);
		else
			peer_ack(c);
		return true;
	}
	return !(k->flags & SIM_ACK);
}

/* False: an old duplicate by its timestamp (RFC 7323 §5.3). */
static bool paws(struct peer_conn *c, const struct sim_pkt *k, const struct peer_opts *o)
{
	if (!c->ts_on || !o->ts || (k->flags & SIM_RST))
		return true;
	if (seq_lt(o->tsval, c->ts_recent)) {
		peer_ack(c);
		return false;
	}
	if (seq_le(k->seq, c->last_ack_sent))
		c->ts_recent = o->tsval;
	return true;
}

/* Two ends that are out of step would answer each other's empty segments for ever. */
static void ack_stranger(struct peer_conn *c, const struct sim_pkt *k)
{
	uint64_t now = c->peer->sim->now;

	if (!k->payload_len && !(k->flags & (SIM_SYN | SIM_FIN)) && now < c->stranger_at)
		return;
	c->stranger_at = now + 100 * MT_MSEC;
	peer_ack(c);
}

/* Both opened at once: the other's SYN is the one we have, what remains of its SYN-ACK is an ACK. */
static bool known_syn_ack(const struct peer_conn *c, const struct sim_pkt *k)
{
	return c->state == PEER_SYN_RCVD && (k->flags & SIM_SYN) && (k->flags & SIM_ACK) &&
	       k->seq == c->irs && k->ack == c->iss + 1;
}

static void synchronised(struct peer_conn *c, const struct sim_pkt *k, const struct peer_opts *o)
{
	struct sim_pkt ack;

	if (known_syn_ack(c, k)) {
		ack = *k;
		ack.flags &= (uint8_t)~SIM_SYN;
		ack.seq++;
		ack.wnd >>= c->snd_shift; /* RFC 7323 §2.2: not scaled beside SYN */
		k = &ack;
	}
	if (!paws(c, k, o))
		return;
	if (!acceptable(c, k)) {
		if (!(k->flags & SIM_RST) && !(c->state == PEER_SYN_RCVD && (k->flags & SIM_SYN)))
			ack_stranger(c, k);
		else if (k->flags & SIM_SYN)
			syn_or_rst(c, k);
		return;
	}
	if (syn_or_rst(c, k))
		return;
	if (c->state == PEER_SYN_RCVD) {
		if (k->ack != c->iss + 1 && (seq_le(k->ack, c->iss) || seq_lt(c->max, k->ack))) {
			peer_send_rst(c->peer, k);
			return;
		}
		c->una = c->iss + 1;
		c->nxt = c->max = c->una;
		c->wnd = (uint32_t)k->wnd << c->snd_shift;
		c->wl1 = k->seq;
		c->wl2 = k->ack;
		c->due[PEER_T_RTO] = MT_NEVER;
		established(c);
	}
	peer_ecn_in(c, k);
	if (c->dead || !ack_part(c, k))
		return;
	if (c->state == PEER_TIME_WAIT) {
		if (k->payload_len || (k->flags & SIM_FIN))
			peer_ack(c);
		return;
	}
	if (c->closed && k->payload_len && seq_lt(c->rcv, k->seq + k->payload_len)) {
		peer_send_rst(c->peer, k);
		peer_conn_end(c, SIM_END_RESET);
		return;
	}
	peer_data_in(c, k);
	tell(c);
	if (!c->dead)
		peer_output(c);
}

void peer_input(struct peer *p, struct sim_frame *f, struct sim_pkt *k)
{
	struct peer_conn *c = peer_find(p, k);
	struct peer_opts o;

	if (!peer_opts_parse(k->l4 + 20, k->hdr_len - 20u, &o)) {
		if (!f->hurt)
			sim_fail(p->sim, "%s: options that do not parse", p->host.name);
		return;
	}
	if (!c) {
		listen_syn(p, k, &o);
		return;
	}
	p->cells[c->state]++;
	if (p->sim->now < c->deaf_until)
		return;
	if (c->state == PEER_SYN_SENT) {
		syn_sent(c, k, &o);
		return;
	}
	if (!f->hurt && !f->old && c->state != PEER_SYN_RCVD && !(k->flags & (SIM_SYN | SIM_RST)))
		peer_referee(c, k, &o, f->serial);
	if (!p->sim->failed)
		synchronised(c, k, &o);
}
