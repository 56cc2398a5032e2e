/* SPDX-License-Identifier: Apache-2.0 */
/* What the peer receives: bytes in order and out of it, the FIN, and when it says so. */
#include "peer.h"

#include <string.h>

static void log_bytes(struct peer_conn *c, const uint8_t *p, uint32_t n)
{
	if (!n)
		return;
	if (c->log_len + n > c->log_cap) {
		c->log_cap = 2 * (c->log_len + n);
		c->log = realloc(c->log, c->log_cap);
		MT_ASSERT(c->log);
	}
	memcpy(c->log + c->log_len, p, n);
	c->log_len += n;
}

/* In-order bytes; those that do not fit the buffer are left to be sent again. */
static uint32_t take_bytes(struct peer_conn *c, const uint8_t *p, uint32_t n)
{
	n = MT_MIN(n, c->rx_cap - c->rx_len);
	memcpy(c->rx + c->rx_len, p, n);
	c->rx_len += n;
	c->rcv += n;
	log_bytes(c, p, n);
	return n;
}

static void fin_received(struct peer_conn *c)
{
	c->fin_rcvd = true;
	c->rcv++;
	if (c->state == PEER_ESTABLISHED)
		c->state = PEER_CLOSE_WAIT;
	else if (c->state == PEER_FIN_WAIT_1)
		c->state = PEER_CLOSING;
	else if (c->state == PEER_FIN_WAIT_2) {
		c->state = PEER_TIME_WAIT;
		peer_arm(c, PEER_T_TW, c->peer->sim->now + 2 * MT_SEC);
	}
}

static void ooo_drain(struct peer_conn *c)
{
	while (c->ooo && seq_le(c->ooo->seq, c->rcv) && !c->fin_rcvd) {
		struct peer_ooo *q = c->ooo;
		uint32_t skip = c->rcv - q->seq;

		if (skip < q->len && take_bytes(c, q->data + skip, q->len - skip) < q->len - skip)
			return;
		if (q->fin && c->rcv == q->seq + q->len)
			fin_received(c);
		c->ooo = q->next;
		c->ooo_bytes -= q->len;
		free(q);
	}
}

static void ooo_add(struct peer_conn *c, const struct sim_pkt *k)
{
	struct peer_ooo **at = &c->ooo, *q;

	if (!c->peer->conduct.keep_ooo || c->ooo_bytes > c->peer->conduct.rcvbuf)
		return;
	while (*at && seq_lt((*at)->seq, k->seq))
		at = &(*at)->next;
	if (*at && (*at)->seq == k->seq && (*at)->len >= k->payload_len)
		return;
	q = malloc(sizeof(*q) + k->payload_len);
	MT_ASSERT(q);
	q->seq = k->seq;
	q->len = k->payload_len;
	q->fin = k->flags & SIM_FIN;
	memcpy(q->data, k->payload, q->len);
	c->ooo_bytes += q->len;
	q->next = *at;
	*at = q;
}

static void ack_later(struct peer_conn *c)
{
	const struct peer_conduct *d = &c->peer->conduct;

	if (!d->delack || ++c->unacked_segs >= d->ack_every || c->ooo)
		peer_ack(c);
	else if (c->due[PEER_T_DELACK] == MT_NEVER)
		peer_arm(c, PEER_T_DELACK, c->peer->sim->now + d->delack);
}

void peer_data_in(struct peer_conn *c, const struct sim_pkt *k)
{
	bool fin = k->flags & SIM_FIN;
	uint32_t skip = c->rcv - k->seq;

	if (!k->payload_len && !fin)
		return;
	if (c->fin_rcvd) {
		peer_ack(c);
		return;
	}
	if (seq_lt(c->rcv, k->seq)) {
		ooo_add(c, k);
		peer_ack(c);
		return;
	}
	if (skip > k->payload_len || (skip == k->payload_len && !fin)) {
		peer_ack(c); /* all of it is old */
		return;
	}
	if (take_bytes(c, k->payload + skip, k->payload_len - skip) == k->payload_len - skip && fin)
		fin_received(c);
	ooo_drain(c);
	if (c->fin_rcvd)
		peer_ack(c);
	else
		ack_later(c);
}
