/* SPDX-License-Identifier: Apache-2.0 */
/* The referee: rules that the other side must keep whatever the network does. */
#include "peer.h"

#include <string.h>

static void foul(struct peer_conn *c, const struct sim_pkt *k, const char *what)
{
	struct peer *p = c->peer;

	if (!p->lenient)
		sim_fail(p->sim,
			"%s: referee: %s (port %u>%u seq %u ack %u len %u flags %02x, rcv %u adv "
			"%u)",
			p->host.name, what, k->sport, k->dport, k->seq, k->ack, k->payload_len,
			k->flags, c->rcv, c->adv);
}

/* Bytes that were received before must come again as the same bytes. */
static void check_repeat(struct peer_conn *c, const struct sim_pkt *k)
{
	uint32_t base = c->irs + 1, off = k->seq - base, n;

	if (seq_lt(k->seq, base) || off >= c->log_len)
		return;
	n = MT_MIN((uint32_t)k->payload_len, c->log_len - off);
	if (memcmp(c->log + off, k->payload, n) != 0)
		foul(c, k, "a retransmission with other bytes");
}

/*
 * The right edge of the window never moves left (RFC 9293 §3.8.6), seen in the order of sending; with
 * window scaling it may by less than one unit.
 */
static void check_edge(struct peer_conn *c, const struct sim_pkt *k, uint64_t serial)
{
	uint32_t edge = k->ack + ((uint32_t)k->wnd << c->snd_shift);

	/* Behind our FIN nothing can come: the field means nothing. */
	if (serial < c->their_serial || !(k->flags & SIM_ACK) || (c->fin_sent && k->ack == c->max))
		return;
	if (c->their_serial && seq_lt(edge + (1u << c->snd_shift) - 1, c->their_edge))
		foul(c, k, "the window was taken back");
	if (!c->their_serial || seq_lt(c->their_edge, edge))
		c->their_edge = edge;
	c->their_serial = serial;
}

void peer_referee(
	struct peer_conn *c, const struct sim_pkt *k, const struct peer_opts *o, uint64_t serial)
{
	uint32_t opt = k->hdr_len - 20u;
	const char *bad;

	/* An old SYN may have made another connection of this name: its answers are not judged. */
	if (k->seq - c->irs > c->adv - c->irs + 65536)
		return;
	/* So may a SYN of our own mischief, once the other side has ended this one. */
	if (c->stray_syn && (k->flags & SIM_ACK) && k->ack == c->stray_iss + 1)
		return;
	/* Also one whose numbers are near, when this one is over: behind its FIN nothing of it comes. */
	if (c->state == PEER_TIME_WAIT && seq_lt(c->rcv, k->seq))
		return;
	if (k->payload_len + opt > c->peer->conduct.mss + 0u && k->payload_len > 1)
		foul(c, k, "a segment longer than the MSS");
	if (k->payload_len && !c->shrunk && seq_lt(c->adv + 1, k->seq + k->payload_len))
		foul(c, k, "data beyond the offered window");
	if ((k->flags & SIM_ACK) && seq_lt(c->max, k->ack))
		foul(c, k, "an ACK of what was never sent");
	if (c->ts_on && !o->ts && !(k->flags & SIM_RST))
		foul(c, k, "a segment without the agreed timestamp");
	if (k->payload_len && (k->flags & SIM_SYN))
		foul(c, k, "data beside SYN");
	check_repeat(c, k);
	check_edge(c, k, serial);
	bad = peer_ecn_foul(c, k, serial);
	if (bad)
		foul(c, k, bad);
}
