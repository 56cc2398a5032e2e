/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One flush of one connection, shared by out.c (decisions, new data, ACKs), resend.c
 * (retransmissions) and probe.c (probes).
 */
#pragma once

#include "mt_tcp_priv.h"

/* State that all segments of the flush share. */
struct mt_tcp_out {
	struct mt_tcp *t;
	struct mt_tcp_conn *c;
	enum mt_net_result result; /* not MT_NET_SENT: stop */
	bool paused;		   /* more may be sent, but not in one burst */
	bool chains_ok;
	bool limited; /* other connections wait for the port, too */
	uint16_t wnd;
	uint32_t room;	 /* packets that the port takes */
	int32_t quantum; /* bytes, headers included, that may be sent before the others' turn */
	/* for new data on a connection with ECN; 0 for all else (RFC 3168 §6.1.4, §6.1.5) */
	uint8_t tos;
	uint32_t mss, hdr_room;
	uint32_t opt_len;
	uint8_t opts[MT_TCP_OPTS_MAX];
};

/* A position in the send queue. */
struct mt_tcp_place {
	struct rte_mbuf *seg;
	uint32_t off; /* from buf_addr */
};

/* A position at the end of a buffer is moved to the start of the next one, if there is one. */
static inline void mt_tcp_place_normalize(struct mt_tcp_place *p)
{
	const struct mt_link *l = mt_link(p->seg);

	if (p->off == l->off + l->len && l->next) {
		p->seg = l->next;
		p->off = mt_link(p->seg)->off;
	}
}

static inline void mt_tcp_place_move(struct mt_tcp_place *p, uint32_t n)
{
	for (;;) {
		const struct mt_link *l = mt_link(p->seg);
		uint32_t here = l->off + l->len - p->off;

		if (n <= here) {
			p->off += n;
			return;
		}
		n -= here;
		p->seg = l->next;
		p->off = mt_link(p->seg)->off;
	}
}

/*
 * Bytes that one segment from `at` carries at most: it ends at a buffer's end that is near a full
 * segment.
 */
static inline uint32_t mt_tcp_cut(
	const struct mt_tcp_out *o, const struct mt_tcp_place *at, uint32_t len)
{
	const struct mt_link *l = mt_link(at->seg);
	uint32_t here = l->off + l->len - at->off;

	len = MT_MIN(len, o->mss);
	if (here < len && here >= o->mss - o->mss / 8)
		return here;
	return len;
}

static inline bool mt_tcp_may_send(const struct mt_tcp_conn *c)
{
	return c->state == MT_TCP_ESTABLISHED || c->state == MT_TCP_CLOSE_WAIT;
}

/* ---- out.c ---- */
/*
 * Sends [seq, seq + len) from `at` (NULL: no payload). A retransmission gets a new header by
 * itself: while the port still references the earlier packet the buffer is shared, and
 * mt_buf_segment() copies or clones it. False: nothing was sent, for the reason in o->result.
 */
bool mt_tcp_send_segment(struct mt_tcp_out *o, uint32_t seq, const struct mt_tcp_place *at,
	uint32_t len, uint8_t flags);
/*
 * Call it when something is outstanding: starts the retransmission timer, or the tail loss probe's.
 */
void mt_tcp_start_rto(struct mt_tcp_out *o);
/* Sends at most `len` bytes (> 0) of new data. */
void mt_tcp_send_one_new(struct mt_tcp_out *o, uint32_t len);

/* ---- resend.c ---- */
/* Sends lost data that was not sent again yet, as far as the congestion window allows. */
void mt_tcp_resend_lost(struct mt_tcp_out *o, struct mt_tcp_loss *l);
/* Sends at most one segment of a run; returns how much of the sequence was sent, 0 for nothing. */
uint32_t mt_tcp_resend_run(struct mt_tcp_out *o, struct mt_tcp_loss *l, uint32_t seq, uint32_t len);

/* ---- probe.c ---- */
/* TLP_send_probe(), RFC 8985 §7.3. */
void mt_tcp_tail_probe(struct mt_tcp_out *o, struct mt_tcp_loss *l);
/* Runs the persist timer while only the peer's window prevents sending (RFC 9293 §3.8.6.1). */
void mt_tcp_persist(struct mt_tcp_out *o);
/*
 * Sends a segment from before the window: the peer must answer with its ACK and window (RFC 9293
 * §3.8.4).
 */
void mt_tcp_send_probe(struct mt_tcp_out *o);
