/* SPDX-License-Identifier: Apache-2.0 */
/* The loop iteration of a stripped host, and the packets of an established connection. */
#include "stripped_priv.h"

#include "mt_net_cksum.h"

#include <errno.h>
#include <stdlib.h>

#define BURST 32

const struct mt_outcome_set bench_stripped_outcomes = {
	"stripped",
	(const struct mt_outcome[]){
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "stripped_outcomes.def"
#undef MT_OUTCOME
	},
	BENCH_STRIPPED_N_OUTCOMES,
};

/* ---- out ----------------------------------------------------------------------------------- */

/* Makes at least n buffers available (at most SPARE / 2). */
static mt_noinline bool refill(struct bench_stripped *p, uint32_t n)
{
	if (p->n_spare >= n)
		return true;
	if (rte_pktmbuf_alloc_bulk(p->pool, p->spare + p->n_spare, SPARE / 2))
		return false;
	p->n_spare += SPARE / 2;
	return true;
}

struct rte_mbuf *stripped_mbuf(struct bench_stripped *p)
{
	if (mt_unlikely(p->n_spare == 0 && !refill(p, 1)))
		return NULL;
	return p->spare[--p->n_spare];
}

void stripped_queue(struct bench_stripped *p, struct rte_mbuf *m)
{
	m->pkt_len = m->data_len;
	p->tx[p->n_tx++] = m;
}

/*
 * Writes all fields that differ from the template, and derives the checksums from the differences.
 */
static void head_write(const struct bench_stripped *p, const struct stripped_conn *c,
	struct rte_mbuf *m, uint32_t sum, uint8_t flags)
{
	uint8_t *d = rte_pktmbuf_mtod(m, uint8_t *);
	uint32_t to = (uint32_t)(c->key >> 32), seq = rte_cpu_to_be_32(c->snd_nxt);
	uint32_t ports = (uint32_t)c->key << 16 | (uint32_t)c->key >> 16;
	uint32_t ack = rte_cpu_to_be_32(c->rcv_nxt);
	uint16_t total = rte_cpu_to_be_16((uint16_t)(m->data_len - L2_LEN));
	uint16_t tcp = rte_cpu_to_be_16((uint16_t)(m->data_len - L2_LEN - 20));
	uint16_t word = rte_cpu_to_be_16(flags);

	memcpy(d, p->head, HEAD);
	store16(d + 16, total);
	store16(d + 24, (uint16_t)~net_sum_fold(p->ip_sum + total + to));
	store32(d + 30, to);
	store32(d + 34, ports);
	store32(d + 38, seq);
	store32(d + 42, ack);
	d[47] = flags;
	store32(d + 58, p->ts);
	store32(d + 62, c->ts_recent);
	store16(d + 50, (uint16_t)~net_sum_fold(p->tcp_sum + to + ports + seq + ack + p->ts +
						c->ts_recent + tcp + word + sum));
}

void stripped_close_segment(struct bench_stripped *p, struct stripped_conn *c, uint8_t flags)
{
	struct rte_mbuf *m = c->open;

	head_write(p, c, m, c->sum, flags | RTE_TCP_ACK_FLAG);
	c->snd_nxt += m->data_len - HEAD;
	c->open = NULL;
	if (p->c.hold && m->data_len > HEAD) {
		rte_mbuf_refcnt_set(m, 2);
		p->held[p->n_held++] = m;
	}
	stripped_queue(p, m);
}

void stripped_bare(struct bench_stripped *p, struct stripped_conn *c, uint8_t flags)
{
	struct rte_mbuf *m = stripped_mbuf(p);

	if (!m) {
		mt_count(p->counters, BENCH_STRIPPED_no_memory);
		return;
	}
	m->data_len = HEAD;
	head_write(p, c, m, 0, flags | RTE_TCP_ACK_FLAG);
	stripped_queue(p, m);
}

static bool open_segment(struct bench_stripped *p, struct stripped_conn *c)
{
	struct rte_mbuf *m = p->n_tx < TX_ROOM - SPARE ? stripped_mbuf(p) : NULL;

	if (mt_unlikely(!m))
		return false;
	m->data_len = HEAD;
	c->open = m;
	c->sum = 0;
	due(p, c, 0);
	return true;
}

/* Copies the variable bytes into a message and returns the message's sum. */
static inline uint32_t patch(const struct bench_stripped *p, uint8_t *at, const uint8_t *base,
	const struct bench_copy *k)
{
	uint64_t sum = p->out_sum;

	for (uint32_t n = p->c.exchange.n_copies; n > 0; n--, k++) {
		uint64_t s = 0;

		for (uint32_t i = 0; i < k->len; i += 4) {
			uint32_t w = load32(base + k->from + i);

			store32(at + k->to + i, w);
			s += w;
		}
		sum += k->to & 1 ? rte_bswap16((uint16_t)net_sum_fold(s)) : s;
	}
	return net_sum_fold(sum);
}

/* The next segment starts inside the message: sums its pieces. */
static mt_noinline bool append_cut(struct bench_stripped *p, struct stripped_conn *c,
	const uint8_t *base, const struct bench_copy *k)
{
	uint32_t left = p->c.exchange.out_len, at = 0, segments = left / p->mss + 2;

	/* Send all segments or none, as a partly sent message could not be withdrawn. */
	if (p->n_tx + segments > TX_ROOM - SPARE || !refill(p, segments))
		return false;
	memcpy(p->whole, p->out, left);
	patch(p, p->whole, base, k);
	mt_count(p->counters, BENCH_STRIPPED_split);
	while (left > 0) {
		uint32_t room, n, sum;

		if (!c->open)
			MT_ASSERT(open_segment(p, c));
		room = p->mss - (c->open->data_len - HEAD);
		n = MT_MIN(room, left);
		sum = net_sum(p->whole + at, n);
		c->sum += c->open->data_len & 1 ? rte_bswap16((uint16_t)sum) : sum;
		memcpy(rte_pktmbuf_mtod_offset(c->open, uint8_t *, c->open->data_len),
			p->whole + at, n);
		c->open->data_len += (uint16_t)n;
		at += n;
		left -= n;
		if (left)
			stripped_close_segment(p, c, 0);
	}
	return true;
}

/*
 * Copies in whole blocks if the buffer has room after the segment: faster than a copy of arbitrary
 * length.
 */
static inline void copy_message(const struct bench_stripped *p, uint8_t *at, uint32_t len)
{
	if (mt_unlikely(!p->blocks)) {
		memcpy(at, p->out, len);
		return;
	}
	for (uint32_t i = 0; i < len; i += BLOCK)
		memcpy(at + i, p->out + i, BLOCK);
}

/* Appends a message; false if the window or the segment has no room for it. */
static __rte_always_inline bool append(struct bench_stripped *p, struct stripped_conn *c,
	const uint8_t *base, const struct bench_copy *k)
{
	uint32_t len = p->c.exchange.out_len, used = c->open ? c->open->data_len - HEAD : 0, sum;
	struct rte_mbuf *m;
	uint8_t *at;

	if (mt_unlikely((int32_t)(c->snd_edge - c->snd_nxt - used - len) < 0))
		return false;
	if (mt_unlikely(used + len > p->mss))
		return append_cut(p, c, base, k);
	if (!c->open && mt_unlikely(!open_segment(p, c)))
		return false;
	m = c->open;
	at = rte_pktmbuf_mtod_offset(m, uint8_t *, m->data_len);
	copy_message(p, at, len);
	sum = patch(p, at, base, k);
	c->sum += m->data_len & 1 ? rte_bswap16((uint16_t)sum) : sum;
	m->data_len += (uint16_t)len;
	return true;
}

/* Converts the ranges: stored bytes are packed without gaps. */
static void packed(const struct bench_stripped *p, struct bench_copy k[2])
{
	uint16_t at = 0;

	for (uint32_t i = 0; i < p->c.exchange.n_copies; i++) {
		k[i] = p->c.exchange.copies[i];
		k[i].from = at;
		at += k[i].len;
	}
}

void stripped_drain(struct bench_stripped *p, struct stripped_conn *c)
{
	struct stripped_back *b = c->back;
	struct bench_copy k[2];

	packed(p, k);
	while (b->n > 0 && append(p, c, b->waits[b->head & (b->cap - 1)], k)) {
		b->head++;
		b->n--;
	}
}

static mt_noinline void wait_with(
	struct bench_stripped *p, struct stripped_conn *c, const uint8_t *msg)
{
	uint8_t item[32];
	uint32_t at = 0;

	for (uint32_t i = 0; i < p->c.exchange.n_copies; i++) {
		const struct bench_copy *k = &p->c.exchange.copies[i];

		memcpy(item + at, msg + k->from, k->len);
		at += k->len;
	}
	stripped_wait(p, c, item);
}

/* The id names the connection, so that replies to other connections are detected. */
void stripped_request(struct bench_stripped *p, struct stripped_conn *c)
{
	struct bench_copy k = p->c.exchange.copies[0];
	uint32_t id[8] = {(uint32_t)(c - p->conns) << 10 | (c->sent++ & 1023)};

	k.from = 0;
	c->waits++;
	if ((c->back && c->back->n) || !append(p, c, (const uint8_t *)id, &k))
		stripped_wait(p, c, (const uint8_t *)id);
}

/* ---- in ------------------------------------------------------------------------------------ */

static inline bool known(const struct bench_exchange *x, const uint8_t *msg)
{
	uint32_t diff = 0;

	for (uint32_t i = 0; i < x->same; i += 4)
		diff |= load32(msg + i) ^ load32(x->in + i);
	return diff == 0;
}

/* Processes a client's reply; false if the connection is gone. */
static inline bool replied(struct bench_stripped *p, struct stripped_conn *c, const uint8_t *msg)
{
	uint32_t id = load32(msg + p->c.exchange.copies[0].from);

	if (mt_unlikely(id >> 10 != (uint32_t)(c - p->conns)))
		mt_count(p->counters, BENCH_STRIPPED_wrong_id);
	if (mt_unlikely(c->waits == 0)) {
		mt_count(p->counters, BENCH_STRIPPED_not_known);
		stripped_reset(p, c);
		return false;
	}
	c->waits--;
	if (!p->c.once) {
		stripped_request(p, c);
	} else if (c->waits == 0) {
		c->state = CLOSING;
		p->connected--;
		due(p, c, DUE_FIN);
	}
	return true;
}

/* Processes a complete message. False: the connection is gone. */
static __rte_always_inline bool got(
	struct bench_stripped *p, struct stripped_conn *c, const uint8_t *msg)
{
	const struct bench_exchange *x = &p->c.exchange;

	if (mt_unlikely(!known(x, msg))) {
		mt_count(p->counters, BENCH_STRIPPED_not_known);
		stripped_reset(p, c);
		return false;
	}
	p->messages++;
	if (p->c.client)
		return replied(p, c, msg);
	if (mt_unlikely((c->back && c->back->n) || !append(p, c, msg, x->copies)))
		wait_with(p, c, msg);
	return true;
}

/* Adds to a message that spans segments; returns how many of the bytes belong to it. */
static mt_noinline uint32_t take_piece(
	struct bench_stripped *p, struct stripped_conn *c, const uint8_t *data, uint32_t len)
{
	uint8_t *part = stripped_part(p, c);
	uint32_t n = MT_MIN(p->c.exchange.in_len - c->have, len);

	memcpy(part + c->have, data, n);
	c->have += n;
	if (c->have == p->c.exchange.in_len) {
		c->have = 0;
		return got(p, c, part) ? n : len;
	}
	return n;
}

void stripped_take(
	struct bench_stripped *p, struct stripped_conn *c, const uint8_t *data, uint32_t len)
{
	uint32_t whole = p->c.exchange.in_len, n;

	if (mt_unlikely(c->have > 0)) {
		n = take_piece(p, c, data, len);
		data += n;
		len -= n;
	}
	for (; len >= whole; data += whole, len -= whole)
		if (!got(p, c, data))
			return;
	if (mt_unlikely(len > 0))
		take_piece(p, c, data, len);
}

/* False: not a TCP segment over IPv4 for this host, or its lengths are wrong. */
static inline bool parse(
	const struct bench_stripped *p, const uint8_t *d, uint32_t len, struct stripped_seg *s)
{
	uint32_t total;

	if (mt_unlikely(len < L2_LEN + 40 ||
			load16(d + 12) != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) || d[14] != 0x45 ||
			d[23] != IPPROTO_TCP || load32(d + 30) != p->ip))
		return false;
	total = rte_be_to_cpu_16(load16(d + 16));
	s->frame = d;
	s->tcp = d + L2_LEN + 20;
	s->head = (uint8_t)((s->tcp[12] >> 4) * 4);
	if (mt_unlikely(total + L2_LEN > len || s->head < 20 || total < 20u + s->head))
		return false;
	s->key = (uint64_t)load32(d + 26) << 32 | load32(s->tcp);
	s->seq = rte_be_to_cpu_32(load32(s->tcp + 4));
	s->ack = rte_be_to_cpu_32(load32(s->tcp + 8));
	s->flags = s->tcp[13];
	s->wnd = rte_be_to_cpu_16(load16(s->tcp + 14));
	s->len = total - 20 - s->head;
	s->data = s->tcp + s->head;
	return true;
}

static __rte_always_inline void input(struct bench_stripped *p, struct rte_mbuf *m)
{
	const uint8_t *d = rte_pktmbuf_mtod(m, const uint8_t *);
	struct stripped_conn *c;
	struct stripped_seg s;
	uint32_t edge;

	if (mt_unlikely(m->nb_segs > 1)) /* `flat` holds the longest packet */
		d = rte_pktmbuf_read(m, 0, MT_MIN(m->pkt_len, FLAT), p->flat);
	if (mt_unlikely(!parse(p, d, m->pkt_len, &s))) {
		stripped_other(p, d, m->pkt_len);
		return;
	}
	c = find(p, s.key);
	if (mt_unlikely(!c || c->state != UP || s.head != 32 ||
			(s.flags & ~RTE_TCP_PSH_FLAG) != RTE_TCP_ACK_FLAG)) {
		stripped_slow(p, c, &s);
		return;
	}
	edge = s.ack + (s.wnd << c->wscale);
	if ((int32_t)(edge - c->snd_edge) > 0)
		c->snd_edge = edge;
	if (mt_unlikely(c->back && c->back->n))
		due(p, c, 0);
	if (mt_unlikely(s.seq != c->rcv_nxt)) {
		stripped_unexpected(p, c, &s);
		return;
	}
	c->ts_recent = load32(s.tcp + 24);
	if (s.len == 0)
		return;
	c->rcv_nxt += s.len;
	due(p, c, DUE_ACK);
	stripped_take(p, c, s.data, s.len);
}

/* ---- the loop iteration -------------------------------------------------------------------- */

static void burst(struct bench_stripped *p, struct rte_mbuf **pkts, uint16_t n)
{
	for (uint16_t i = 0; i < n; i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkts[i], const void *));
	for (uint16_t i = 0; i < n; i++)
		input(p, pkts[i]);
	mt_count_n(p->counters, BENCH_STRIPPED_packets_in, n);
	rte_pktmbuf_free_bulk(pkts, n);
}

/*
 * Sends what is due at the end of the iteration: gathered answers, or an ACK for unanswered data.
 */
static void settle(struct bench_stripped *p, struct stripped_conn *c)
{
	uint8_t d = c->due;

	c->due = 0;
	if (mt_unlikely(c->back && c->back->n)) {
		stripped_drain(p, c);
		/* Buffers may be short, and no packet of the peer would trigger another attempt. */
		if (c->back->n)
			due(p, c, 0);
	}
	if (mt_unlikely(d & (DUE_SYN | DUE_FIN | DUE_FREE))) {
		c->due |= d & (uint8_t)~DUE_LISTED;
		stripped_due(p, c);
	} else if (c->open) {
		stripped_close_segment(p, c, RTE_TCP_PSH_FLAG);
	} else if (d & DUE_ACK) {
		stripped_bare(p, c, 0);
	}
}

static void settle_all(struct bench_stripped *p)
{
	uint32_t n = p->n_work, done = 0;

	while (done < n && p->n_tx < TX_ROOM - SPARE)
		settle(p, &p->conns[p->work[done++]]);
	p->n_work -= done;
	if (p->n_work)
		memmove(p->work, p->work + done, p->n_work * sizeof(p->work[0]));
}

static void send_all(struct bench_stripped *p)
{
	uint32_t at = 0;

	while (at < p->n_tx) {
		uint16_t want = (uint16_t)MT_MIN(p->n_tx - at, (uint32_t)BURST);
		uint16_t sent = p->port->ops->tx(p->port, 0, p->tx + at, want);

		at += sent;
		if (sent < want)
			break;
	}
	mt_count_n(p->counters, BENCH_STRIPPED_packets_out, at);
	p->n_tx -= at;
	if (p->n_tx)
		memmove(p->tx, p->tx + at, p->n_tx * sizeof(p->tx[0]));
}

/* A function of its own, so that a profiler can be limited to it. */
__attribute__((noinline, noclone)) bool bench_stripped_turn(struct bench_stripped *p, uint64_t now)
{
	struct rte_mbuf *pkts[BURST];
	bool some = false;
	uint16_t n;

	p->ts = rte_cpu_to_be_32((uint32_t)(now / MT_MSEC));
	rte_pktmbuf_free_bulk(p->held, p->n_held);
	p->n_held = 0;
	if (mt_unlikely(p->c.client && !p->gateway_known))
		stripped_ask_gateway(p, now);
	while (p->n_tx < TX_STOP && (n = p->port->ops->rx(p->port, 0, pkts, BURST)) > 0) {
		some = true;
		burst(p, pkts, n);
	}
	settle_all(p);
	send_all(p);
	return some;
}
