/* SPDX-License-Identifier: Apache-2.0 */
/* Segments that arrive, made of what the test says; and turns. */
#include "world_priv.h"

static struct rte_mbuf *burst[64];
static uint16_t n_burst;

void rx_nothing(void)
{
	n_burst = 0;
}

static uint32_t put_opts(uint8_t *o, const struct say *s)
{
	uint8_t *p = o;
	uint32_t n = 0;

	if (s->raw_opts) {
		memcpy(o, s->raw_opts, s->raw_len);
		return s->raw_len;
	}
	if (s->mss) {
		mt_put_be32(p, 0x02040000u | s->mss);
		p += 4;
	}
	if (s->sack_ok) {
		mt_put_be32(p, 0x01010402);
		p += 4;
	}
	if (s->wscale) {
		mt_put_be32(p, 0x01030300u | (s->wscale - 1u));
		p += 4;
	}
	if (s->tsval) {
		mt_put_be32(p, 0x0101080a);
		mt_put_be32(p + 4, s->tsval);
		mt_put_be32(p + 8, s->tsecr);
		p += 12;
	}
	while (n < 8 && s->sack[n + 1])
		n += 2;
	if (n) {
		mt_put_be32(p, 0x01010500u | (2 + 4 * n));
		p += 4;
		for (uint32_t i = 0; i < n; i++, p += 4)
			mt_put_be32(p, w.iss + s->sack[i]);
	}
	return (uint32_t)(p - o);
}

static void put_ip(uint8_t *ip)
{
	struct mt_addr us, peer;

	mt_addr_parse(w.ip6 ? "2001:db8::1" : "10.0.0.1", &us);
	mt_addr_parse(w.ip6 ? "2001:db8::2" : "10.0.0.2", &peer);
	memset(ip, 0, w.ip6 ? 40 : 20);
	ip[0] = w.ip6 ? 0x60 : 0x45;
	if (w.ip6) {
		memcpy(ip + 8, peer.b, 16);
		memcpy(ip + 24, us.b, 16);
	} else {
		memcpy(ip + 12, &peer.w[3], 4);
		memcpy(ip + 16, &us.w[3], 4);
	}
}

/* Bytes [0, n) of the payload behind the segment's first mbuf, over `segs` more mbufs. */
static void put_payload(struct rte_mbuf *m, const struct say *s)
{
	uint32_t segs = MT_MAX(s->segs, 1), each = s->len / segs + 1, done = 0;
	struct rte_mbuf *last = m;

	while (done < s->len) {
		uint32_t n = MT_MIN(each, s->len - done);
		uint8_t *p;

		if (done > 0) {
			last->next = mt_buf_data(&w.pools);
			last = last->next;
			m->nb_segs++;
		}
		p = rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len);
		for (uint32_t i = 0; i < n; i++)
			p[i] = pattern(s->seq - 1 + done + i);
		last->data_len += (uint16_t)n;
		m->pkt_len += n;
		done += n;
	}
}

void rx_later(struct say s)
{
	struct rte_mbuf *m = mt_buf_data(&w.pools);
	uint32_t head = HEAD(w.ip6), opt_len;
	uint8_t *h;

	if (!m)
		abort();
	h = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(head + 20));
	put_ip(h + 14);
	if (s.ce)
		h[15] |= w.ip6 ? 0x30 : 0x03;
	h += head;
	opt_len = put_opts(h + 20, &s);
	rte_pktmbuf_append(m, (uint16_t)opt_len);
	mt_put_be16(h, w.rport);
	mt_put_be16(h + 2, w.lport);
	mt_put_be32(h + 4, w.irs + s.seq);
	mt_put_be32(h + 8, s.flags & A ? w.iss + s.ack : 0);
	h[12] = (uint8_t)((20 + opt_len) / 4 << 4);
	h[13] = s.flags;
	mt_put_be16(h + 14, (uint16_t)(s.shut ? 0 : s.wnd ? s.wnd : 65535));
	mt_put_be32(h + 16, 0);
	m->port = w.in_port;
	m->l2_len = 14;
	m->l3_len = w.ip6 ? 40 : 20;
	m->l4_len = 20 + opt_len;
	put_payload(m, &s);
	if (s.shared) {
		rte_pktmbuf_refcnt_update(m, 1); /* of each of its mbufs */
		memset(w.held_head[w.n_held], 0, 20);
		w.held[w.n_held++] = m;
	}
	burst[n_burst++] = m;
}

void turn(void)
{
	mt_tcp_begin(w.t, w.now);
	mt_tcp_input(w.t, burst, n_burst);
	n_burst = 0;
	mt_tcp_timers(w.t, UINT32_MAX);
	mt_tcp_deliver(w.t);
	mt_tcp_flush(w.t);
	CU_ASSERT_PTR_NULL(mt_tcp_ledger_wrong(w.t));
}

void rx_say(struct say s)
{
	rx_later(s);
	turn();
}

void later(uint64_t ms)
{
	w.now += ms * MT_MSEC;
	turn();
}

void pass(uint64_t ms)
{
	uint64_t end = w.now + ms * MT_MSEC;

	while (w.now < end) {
		uint64_t next = mt_tcp_next(w.t);

		w.now = MT_MIN(end, MT_MAX(next, w.now + MT_MSEC));
		turn();
	}
}
