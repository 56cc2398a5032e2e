/* SPDX-License-Identifier: Apache-2.0 */
/*
 * States of TCP flows, for right time-outs. Only segments that may change a state come here: those
 * with SYN, FIN or RST, and all while the flow is not established. lib/l4 knows no windows, so it
 * forwards each segment and leaves to the ends which of them they accept; a state only decides how
 * long the flow stays.
 *
 * - A flow is established, and may be kept, when its client has acknowledged the server's SYN-ACK.
 *   A client with a forged address does not know that number. A forged SYN before the SYN-ACK may
 *   hide the client's, so the answers to two are noted: to the first and the last without one.
 * - Both FINs acknowledged: the flow rests, 60 s if the server sent its FIN first, because the
 *   server is in TIME-WAIT then and would not accept the same ports, otherwise 2 s. A SYN of the
 *   client ends the rest if it has a newer sequence number (RFC 1122 §4.2.2.13) or a newer
 *   timestamp (RFC 6191). A flow that rests is not kept.
 * - A reset does not remove a flow at once: an attacker off the path may send it, and a host
 *   accepts it only with the sequence number that it expects next (RFC 5961 §3.2). The flow is not
 *   kept any more, but has the time-out of the state before, so that it stays until its place is
 *   needed. A reset with the number that its receiver expects, as far as lib/l4 knows it, shortens
 *   the time-out to 10 s: the answer to a SYN, and one right after the handshake or a FIN. The
 *   client knows the numbers as well, and may use the connection on. So the number after its SYN
 *   counts only before data. Nor does a reset count that may not reach the server (HOPS), or that
 *   the server would drop (is_whole()). Servers ignore others, too, for example with a wrong
 *   acknowledgement before the handshake is complete, so only a server's reset shows that it does
 *   not have the connection any more.
 *   A host that did not accept the reset goes on, or sends a challenge ACK, and so restores the
 *   state that the flow had. Segments from the sender of the reset do not, because they may be
 *   older than it. Until then a SYN is forwarded to the same server by the same ports, so that a
 *   forged reset and a forged SYN cost the connection nothing either.
 * - A FIN is taken back when its sender sends data beyond it, a client's also while the flow rests:
 *   one with an old number looks acknowledged, although the server did not take it. A FIN does not
 *   shorten the time-out before the other end has acknowledged its number: a host answers a forged
 *   one with another.
 * - A SYN on a flow that closes or rests changes nothing, because it may be forged. The server's
 *   SYN-ACK for it starts another handshake, because the server has lost the former connection.
 *   Otherwise the new one would end by the time-out of the former one.
 */
#include "mt_l4_priv.h"

#define SYN RTE_TCP_SYN_FLAG
#define ACK RTE_TCP_ACK_FLAG
#define FIN RTE_TCP_FIN_FLAG
#define RST RTE_TCP_RST_FLAG

/*
 * A handshake's acknowledgement may lag this much: data of a SYN, or what a server sends before the
 * client's first acknowledgement arrives.
 */
#define LAG 65535u

/*
 * Time after which a repeated SYN means that the server did not answer: hosts wait 1 s (RFC 6298),
 * and SYNs that come faster prove nothing.
 */
#define PATIENCE L4_TICKS(MT_SEC * 8 / 10)

/* More routers than between this node and any endpoint. */
#define HOPS 8

/* The fields of a segment that matter here. */
struct segment {
	const struct rte_mbuf *m;
	uint32_t seq, ack, end; /* `end`: after its data, SYN and FIN */
	uint32_t stamp;
	uint8_t flags;
	bool has_stamp;
	uint8_t from; /* 0: the client, 1: the server */
};

static inline bool is_after(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

static inline bool is_syn(const struct segment *s)
{
	return s->from == 0 && (s->flags & (SYN | ACK)) == SYN;
}

/* ---- reading ------------------------------------------------------------------------------- */

#define OPTION_END   0
#define OPTION_NOP   1
#define OPTION_STAMP 8

static void read_stamp(const uint8_t *o, uint32_t n, struct segment *s)
{
	uint32_t be;

	for (uint32_t i = 0; i < n && o[i] != OPTION_END;) {
		if (o[i] == OPTION_NOP) {
			i++;
			continue;
		}
		if (i + 1 >= n || o[i + 1] < 2 || o[i + 1] > n - i)
			return;
		if (o[i] == OPTION_STAMP && o[i + 1] == 10) {
			memcpy(&be, o + i + 2, sizeof(be));
			s->stamp = rte_be_to_cpu_32(be);
			s->has_stamp = true;
			return;
		}
		i += o[i + 1];
	}
}

/* The header is complete up to its options, and these are as long as the segment allows. */
static struct segment read_segment(const struct rte_mbuf *m, uint32_t idx)
{
	uint32_t off = (uint32_t)m->l2_len + m->l3_len;
	const struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(m, const void *, off);
	uint32_t hlen = (tcp->data_off >> 4) * 4u;
	struct segment s = {.m = m,
		.seq = rte_be_to_cpu_32(tcp->sent_seq),
		.ack = rte_be_to_cpu_32(tcp->recv_ack),
		.flags = tcp->tcp_flags,
		.from = idx & 1};

	s.end = s.seq + (m->pkt_len - off - hlen) + !!(s.flags & SYN) + !!(s.flags & FIN);
	if (mt_unlikely(l4_is_fragment(m))) {
		/* A byte or more follows. The end of a FIN comes with the last fragment. */
		s.flags &= (uint8_t)~FIN;
		s.end = is_syn(&s) ? s.seq + LAG : s.end + 1 - !!(tcp->tcp_flags & FIN);
	}
	/* Scattered options are left alone. */
	if (m->data_len >= off + hlen)
		read_stamp((const uint8_t *)(tcp + 1), hlen - (uint32_t)sizeof(*tcp), &s);
	return s;
}

/* True if the server answers the last SYN, or the first one that has no answer yet. */
static bool answers(const struct l4_tcp *t, const struct segment *s)
{
	return t->syn - s->ack <= LAG || (t->again && t->first == (uint16_t)s->ack);
}

static bool is_syn_ack(const struct l4_tcp *t, const struct segment *s)
{
	return s->from == 1 && (s->flags & (SYN | ACK)) == (SYN | ACK) && answers(t, s);
}

/*
 * True if a host would take the segment, which is not yet rewritten: its checksum is right, and it
 * is not a fragment, because the sender may never send the others.
 */
static bool is_whole(const struct rte_mbuf *m)
{
	const void *l3 = rte_pktmbuf_mtod_offset(m, const void *, m->l2_len);
	uint16_t off = (uint16_t)(m->l2_len + m->l3_len);

	if (l4_is_fragment(m))
		return false;
	return RTE_ETH_IS_IPV4_HDR(m->packet_type)
		       ? rte_ipv4_udptcp_cksum_mbuf_verify(m, l3, off) == 0
		       : rte_ipv6_udptcp_cksum_mbuf_verify(m, l3, off) == 0;
}

/* ---- changes ------------------------------------------------------------------------------- */

static void change(struct mt_l4 *l, uint32_t pair, const struct segment *s);

/*
 * True if the endpoint does not have the connection any more. It may ignore a client's reset, and
 * it receives data after a FIN until it has acknowledged the number of that.
 */
static bool is_over(const struct l4_tcp *t)
{
	return t->state == MT_L4_RESET ? t->over : t->fin[0] == L4_FIN_EXACT;
}

static void set_state(struct mt_l4 *l, uint32_t pair, enum mt_l4_state state)
{
	struct l4_entry *e = &l->entries[2 * pair];
	bool plain = state == MT_L4_ESTABLISHED;

	l->tcp[pair].state = (uint8_t)state;
	if (state < MT_L4_TIME_WAIT || is_over(&l->tcp[pair]))
		l4_connection_set(l, pair, state < MT_L4_TIME_WAIT);
	e[0].service = (e[0].service & ~L4_PLAIN) | (plain ? L4_PLAIN : 0);
	/* Replies of a flow that is not kept try to have it kept. */
	plain &= (e[1].service & L4_KEPT) != 0;
	e[1].service = (e[1].service & ~L4_PLAIN) | (plain ? L4_PLAIN : 0);
}

/* The handshake is complete, or an open connection goes on after a reset and a SYN. */
static void establish(struct mt_l4 *l, uint32_t pair)
{
	l->tcp[pair].open = true;
	if (!(l->entries[2 * pair + 1].service & L4_KEPT))
		(void)l4_keep(l, pair);
	set_state(l, pair, MT_L4_ESTABLISHED);
}

static void rest(struct mt_l4 *l, uint32_t pair)
{
	set_state(l, pair, MT_L4_TIME_WAIT);
	l->tcp[pair].open = false;
	l4_unkeep(l, pair);
}

/* True if the number after the client's SYN is the one that its server expects next. */
static bool is_next_after_syn(const struct mt_l4 *l, uint32_t pair)
{
	const struct l4_tcp *t = &l->tcp[pair];

	if (!t->open)
		return true;
	/* The last SYN of an open connection may be forged until the server answers it. */
	return !t->again && !t->early && l->entries[2 * pair].packets <= 2;
}

/* True for a reset with the number that its receiver expects, if that is known here. */
static bool is_exact(const struct mt_l4 *l, uint32_t pair, const struct segment *s)
{
	const struct l4_tcp *t = &l->tcp[pair];
	bool fin_counts = t->fin[s->from] == L4_FIN_EXACT;

	if (s->from == 0)
		return (s->seq == t->syn && is_next_after_syn(l, pair)) ||
		       (fin_counts && s->seq == t->end[0]);
	if (!t->open && t->before == MT_L4_SYN_SENT)
		return s->flags & ACK && answers(t, s);
	return (fin_counts || !t->fin[1]) && s->seq == t->end[1];
}

static void on_reset(struct mt_l4 *l, uint32_t pair, const struct segment *s)
{
	struct l4_tcp *t = &l->tcp[pair];
	bool exact;

	/* RFC 1337: a reset does not end TIME-WAIT. */
	if (t->state == MT_L4_TIME_WAIT)
		return;
	if (t->state != MT_L4_RESET) {
		t->before = t->state;
		t->reset_by = s->from;
		t->exact = t->over = false;
	}
	exact = is_exact(l, pair, s) && l4_hops_left(s->m) > HOPS && is_whole(s->m);
	t->exact |= exact;
	t->over |= exact && s->from == 1;
	set_state(l, pair, MT_L4_RESET);
	if (l->entries[2 * pair + 1].service & L4_KEPT)
		l4_unkeep(l, pair);
}

static void note_syn(struct l4_tcp *t, const struct segment *s)
{
	/* A server that does not take the data of a SYN acknowledges the SYN alone. */
	if (!t->again)
		t->first = (uint16_t)(s->seq + 1);
	t->syn = s->end;
	t->again = true;
}

static void after_reset(struct mt_l4 *l, uint32_t pair, const struct segment *s)
{
	struct l4_tcp *t = &l->tcp[pair];

	if (is_syn(s)) {
		note_syn(t, s);
		set_state(l, pair, MT_L4_SYN_SENT);
	} else if (s->from != t->reset_by) {
		set_state(l, pair, t->before);
		change(l, pair, s); /* the sender may send it only once */
	}
}

/* The server has accepted a connection; FINs of a former one do not count in it. */
static void note_syn_ack(struct l4_tcp *t, const struct segment *s)
{
	if (t->state != MT_L4_SYN_RECEIVED)
		t->end[0] = s->end;
	else if (t->end[1] != s->end)
		t->end[0] = t->end[1];
	t->end[1] = s->end;
	t->fin[0] = t->fin[1] = 0;
	if (t->syn - s->ack > LAG) {
		t->first = (uint16_t)t->syn;
		t->syn = s->ack;
	}
	/* The other SYN may have an answer, too. */
	t->again = t->first != (uint16_t)t->syn;
}

/* True if the flow was established before a reset and a SYN, and its ends accepted neither. */
static bool goes_on(const struct l4_tcp *t, const struct segment *s)
{
	return t->open && !(s->flags & SYN);
}

/*
 * A SYN or SYN-ACK after the handshake. A server that still has the connection answers a SYN by a
 * challenge ACK (RFC 5961 §4). An established flow stays so: its time-out is right for the new
 * connection, too.
 */
static void on_other_syn(struct mt_l4 *l, uint32_t pair, const struct segment *s)
{
	struct l4_tcp *t = &l->tcp[pair];

	if (is_syn(s)) {
		note_syn(t, s);
	} else if (t->again && is_syn_ack(t, s)) {
		note_syn_ack(t, s);
		if (t->state != MT_L4_ESTABLISHED)
			set_state(l, pair, MT_L4_SYN_RECEIVED);
	}
}

static void note_ack(uint8_t *fin, bool exact)
{
	*fin = exact ? L4_FIN_EXACT : MT_MAX(*fin, L4_FIN_ACKED);
}

/* In each state from the complete handshake to the rest. */
static void advance(struct mt_l4 *l, uint32_t pair, const struct segment *s)
{
	struct l4_tcp *t = &l->tcp[pair];
	uint8_t *own = &t->fin[s->from], *other = &t->fin[!s->from];

	if (s->flags & SYN) {
		on_other_syn(l, pair, s);
		return;
	}
	if (s->flags & FIN) {
		if (!*own && !*other)
			t->server_first = s->from;
		if (!*own || is_after(s->end, t->end[s->from])) {
			*own = L4_FIN_SENT;
			t->end[s->from] = s->end;
		}
	} else if (*own && is_after(s->end, t->end[s->from])) {
		*own = 0;
	}
	if (*other && s->flags & ACK && !is_after(t->end[!s->from], s->ack))
		note_ack(other, t->end[!s->from] == s->ack);
	if (*own >= L4_FIN_ACKED && *other >= L4_FIN_ACKED)
		rest(l, pair);
	else if (*own && *other)
		set_state(l, pair, MT_L4_CLOSING);
	else
		set_state(l, pair, *own || *other ? MT_L4_HALF_CLOSED : MT_L4_ESTABLISHED);
}

/* The client has closed nothing if it sends beyond its FIN. */
static void on_rest(struct mt_l4 *l, uint32_t pair, const struct segment *s)
{
	if (s->flags & SYN) {
		on_other_syn(l, pair, s);
	} else if (s->from == 0 && is_after(s->end, l->tcp[pair].end[0])) {
		l->tcp[pair].open = true;
		advance(l, pair, s);
	}
}

static void on_syn_sent(struct mt_l4 *l, uint32_t pair, const struct segment *s)
{
	struct l4_tcp *t = &l->tcp[pair];

	if (is_syn(s)) {
		note_syn(t, s);
		if (l->tick - l->entries[2 * pair].seen >= PATIENCE && is_whole(s->m)) {
			struct mt_addr client = l4_key_src(&l->entries[2 * pair].key);

			l4_note_unanswered(l, t->endpoint, &client);
		}
	} else if (is_syn_ack(t, s)) {
		note_syn_ack(t, s);
		set_state(l, pair, MT_L4_SYN_RECEIVED);
		l4_confirm(l, pair);
		l4_note_syn_ack(l, t->endpoint);
	} else if (goes_on(t, s)) {
		establish(l, pair);
		advance(l, pair, s);
	}
}

/* True for the client's acknowledgement of a SYN-ACK, which becomes the last one. */
static bool acknowledges(struct l4_tcp *t, const struct segment *s)
{
	if (s->from == 1 || !(s->flags & ACK))
		return false;
	if (s->ack - t->end[1] > LAG && s->ack - t->end[0] <= LAG) {
		t->end[1] = t->end[0];
		t->syn = s->seq;
	}
	return s->ack - t->end[1] <= LAG;
}

static void on_syn_received(struct mt_l4 *l, uint32_t pair, const struct segment *s)
{
	struct l4_tcp *t = &l->tcp[pair];

	if (s->flags & SYN) {
		if (is_syn(s))
			note_syn(t, s);
		else if (is_syn_ack(t, s))
			note_syn_ack(t, s);
		return;
	}
	if (!acknowledges(t, s) && !goes_on(t, s))
		return;
	t->again = false;
	t->early = s->from == 0 && s->end != s->seq;
	establish(l, pair);
	advance(l, pair, s);
}

static void change(struct mt_l4 *l, uint32_t pair, const struct segment *s)
{
	if (s->flags & RST) {
		on_reset(l, pair, s);
		return;
	}
	switch (l->tcp[pair].state) {
	case MT_L4_RESET:
		after_reset(l, pair, s);
		break;
	case MT_L4_SYN_SENT:
		on_syn_sent(l, pair, s);
		break;
	case MT_L4_SYN_RECEIVED:
		on_syn_received(l, pair, s);
		break;
	case MT_L4_TIME_WAIT:
		on_rest(l, pair, s);
		break;
	default:
		if (s->from == 1 && !(l->entries[2 * pair + 1].service & L4_KEPT))
			(void)l4_keep(l, pair);
		advance(l, pair, s);
	}
}

/* ---- for the other files --------------------------------------------------------------------- */

enum mt_l4_state l4_tcp_lasting(const struct l4_tcp *t)
{
	enum mt_l4_state s = (enum mt_l4_state)t->state;

	if (s == MT_L4_RESET && !t->exact)
		s = (enum mt_l4_state)t->before;
	/* A SYN after a reset, and FINs that are not acknowledged, may be forged as well. */
	if (s == MT_L4_SYN_SENT && t->open)
		return MT_L4_ESTABLISHED;
	if ((s == MT_L4_HALF_CLOSED || s == MT_L4_CLOSING) && t->fin[0] != L4_FIN_EXACT &&
		t->fin[1] != L4_FIN_EXACT)
		return MT_L4_ESTABLISHED;
	return s;
}

void l4_tcp_open(struct mt_l4 *l, uint32_t pair, const struct rte_mbuf *m, uint32_t endpoint)
{
	struct segment s = read_segment(m, 0);

	l->tcp[pair] = (struct l4_tcp){.state = MT_L4_SYN_SENT,
		.syn = s.end,
		.first = (uint16_t)(s.seq + 1),
		.stamp = s.stamp,
		.has_stamp = s.has_stamp,
		.endpoint = endpoint};
}

void l4_segment_rest(struct mt_l4 *l, uint32_t idx)
{
	struct l4_entry *e = &l->entries[idx];

	/* In a reply's entry, these are links while the flow is not kept. */
	if (idx & 1 && !(e->service & L4_KEPT)) {
		l->entries[idx ^ 1].seen = l->tick;
		return;
	}
	e->seen = l->tick;
	e->packets++;
}

void l4_segment_fin(struct mt_l4 *l, uint32_t idx, uint32_t end)
{
	const struct segment s = {.seq = end - 1, .end = end, .flags = FIN, .from = idx & 1};

	change(l, idx / 2, &s);
}

mt_noinline void l4_segment(struct mt_l4 *l, const struct rte_mbuf *m, uint32_t idx)
{
	struct segment s = read_segment(m, idx);
	uint32_t pair = idx / 2;

	change(l, pair, &s);
	if (s.from == 0 && s.has_stamp) {
		l->tcp[pair].stamp = s.stamp;
		l->tcp[pair].has_stamp = true;
	}
	l4_segment_rest(l, idx);
}

bool l4_reopens(struct mt_l4 *l, const struct rte_mbuf *m, uint32_t idx)
{
	const struct l4_tcp *t = &l->tcp[idx / 2];
	struct segment s;

	if (idx & 1)
		return false;
	if (l4_is_expired(l, idx / 2))
		return true;
	if (t->state != MT_L4_TIME_WAIT)
		return false;
	s = read_segment(m, idx);
	return is_after(s.seq, t->end[0]) ||
	       (s.has_stamp && t->has_stamp && is_after(s.stamp, t->stamp));
}
