/* SPDX-License-Identifier: Apache-2.0 */
/* The peer's explicit congestion notification (RFC 3168 §6.1), and the referee's part of it. */
#include "peer.h"

#define CE   3
#define ECT0 2

static uint8_t ecn_of(const struct sim_pkt *k)
{
	return k->family == 4 ? k->ip[1] & 3 : k->ip[1] >> 4 & 3;
}

/* ECE and CWR of a segment that is sent; says whether its packet may be marked. */
uint8_t peer_ecn_flags(struct peer_conn *c, uint32_t seq, uint8_t flags, uint32_t n)
{
	bool fresh = n && !seq_lt(seq, c->max);
	uint8_t more = 0;

	c->peer->tos = 0;
	if (flags & SIM_SYN) {
		if (!(flags & SIM_ACK))
			return c->peer->conduct.ecn && !c->retries ? SIM_ECE | SIM_CWR : 0;
		return c->ecn_on ? SIM_ECE : 0;
	}
	if (!c->ecn_on || flags & SIM_RST)
		return 0;
	if (c->ecn_echo)
		more |= SIM_ECE;
	if (fresh) {
		c->peer->tos = ECT0;
		more |= c->ecn_cwr ? SIM_CWR : 0;
		c->ecn_cwr = false;
	}
	return more;
}

void peer_ecn_agree(struct peer_conn *c, const struct sim_pkt *k, bool syn_ack)
{
	uint8_t both = k->flags & (SIM_ECE | SIM_CWR);

	c->ecn_on = c->peer->conduct.ecn && both == (syn_ack ? SIM_ECE : SIM_ECE | SIM_CWR);
	c->ecn_recover = c->iss;
	c->their_high = c->irs + 1;
}

void peer_ecn_in(struct peer_conn *c, const struct sim_pkt *k)
{
	if (!c->ecn_on)
		return;
	if (k->flags & SIM_CWR)
		c->ecn_echo = false;
	if (ecn_of(k) == CE && k->payload_len)
		c->ecn_echo = true;
	if (!(k->flags & SIM_ECE) || !(k->flags & SIM_ACK) || seq_le(k->ack, c->ecn_recover))
		return;
	c->ecn_recover = c->max;
	c->ecn_cwr = true;
	c->ssthresh = c->cwnd = MT_MAX(c->cwnd / 2, 2 * c->snd_mss);
}

const char *peer_ecn_foul(struct peer_conn *c, const struct sim_pkt *k, uint64_t serial)
{
	uint32_t end = k->seq + k->payload_len;
	uint8_t ecn = ecn_of(k);
	bool again = serial > c->their_high_serial && seq_le(end, c->their_high);

	if (seq_lt(c->their_high, end)) {
		c->their_high = end;
		c->their_high_serial = serial;
	}
	if (!c->ecn_on)
		return ecn ? "a packet that may be marked without agreement" : NULL;
	if (ecn && !k->payload_len)
		return "an ACK that may be marked";
	return ecn && again ? "a retransmission that may be marked" : NULL;
}
