/* SPDX-License-Identifier: Apache-2.0 */
#include "packets.h"

#include <rte_mbuf.h>
#include <string.h>

#define PORT	    4000 /* the peer's */
#define IRS	    7000000u
#define BYTES_OF_MS 128	 /* so that input is not dear because time passes in it */
#define MS_MAX	    2000 /* turns of a pause */
#define US	    "192.0.2.1"
#define PEER	    "192.0.2.9"
#define US_6	    "2001:db8::1"
#define TURN	    (2 * MT_USEC)
#define PEER_6	    "2001:db8::9"
#define SETTLED	    64 /* turns in which all that is queued has left */

/* ---- the application ---- */

static void none(struct mt_stream *s)
{
}

static void take(struct mt_stream *s)
{
	const struct packets *w = s->user_ctx;

	if (w->reads)
		mt_stream_drop(s, s->rx.len);
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct packets *w = s->user_ctx;

	if (w->s == s)
		w->s = NULL;
}

static const struct mt_stream_user user = {
	.connected = none,
	.readable = take,
	.eof = none,
	.writable = none,
	.closed = on_closed,
};

static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	return lport == 80 ? 0 : -1;
}

static bool on_accept(void *arg, struct mt_stream *s, int listener)
{
	struct packets *w = arg;

	s->user = &user;
	s->user_ctx = w;
	if (!w->s)
		w->s = s;
	return true;
}

static const struct mt_listen_ops listen_ops = {on_lookup, on_accept};

struct mt_tcp_conn *packets_conn(struct packets *w)
{
	return w->s ? mt_tcp_conn_of(w->s) : NULL;
}

void packets_write(struct packets *w, uint32_t buffers, uint32_t piece)
{
	struct mt_chain c = {0};

	if (!w->s)
		return;
	for (uint32_t i = 0; i < buffers; i++) {
		struct rte_mbuf *m = mt_buf_data(&w->f.pools);

		MT_ASSERT(m);
		memset((uint8_t *)m->buf_addr + m->data_off, 'x', piece);
		mt_chain_append(&c, m, m->data_off, piece);
	}
	w->buffers += buffers;
	w->bytes += (uint64_t)buffers * MT_MAX(piece, 64u);
	mt_stream_send(w->s, &c);
}

void packets_read(struct packets *w, bool on)
{
	w->reads = on;
	if (on && w->s)
		mt_stream_drop(w->s, w->s->rx.len);
}

/* ---- turns ---- */

static void on_neigh(void *arg, uint32_t neigh, bool ok)
{
	struct packets *w = arg;

	mt_tcp_neigh_event(w->tcp, neigh, ok);
}

static void on_icmp(
	void *arg, const struct mt_tuple *t, uint32_t seq, enum mt_net_icmp kind, uint16_t mtu)
{
	struct packets *w = arg;

	mt_tcp_icmp_event(w->tcp, t, seq, kind, mtu);
}

static const struct mt_net_events events = {.neigh = on_neigh, .icmp = on_icmp};

static void turn(struct packets *w)
{
	struct mt_netw *net = w->f.w[0];
	uint16_t n;

	mt_net_begin(net, w->f.now);
	mt_tcp_begin(w->tcp, w->f.now);
	n = mt_net_input(net, &w->f.port[0].p, w->rx, w->n, w->rx);
	mt_tcp_input(w->tcp, w->rx, n);
	w->n = 0;
	mt_net_tick(net);
	mt_tcp_timers(w->tcp, UINT32_MAX);
	mt_tcp_deliver(w->tcp);
	mt_tcp_flush(w->tcp);
	mt_net_flush(net);
	mt_tcp_pressure(w->tcp, 100);
}

/* Time pays, too. */
static void advance(struct packets *w, uint64_t ns)
{
	w->f.now += ns;
	w->bytes += ns * BYTES_OF_MS / MT_MSEC;
	w->ahead -= (int64_t)(ns * STEPS_MS / MT_MSEC);
}

void packets_turn(struct packets *w)
{
	uint64_t before = steps_taken, took;

	advance(w, TURN);
	turn(w);
	fx_clear(&w->f);
	took = steps_taken - before;
	if (!w->counting)
		return;
	w->steps += took;
	w->ahead += (int64_t)took;
	w->ahead = MT_MAX(w->ahead, 0);
	steps_hold(&w->worst, "ahead", (uint64_t)w->ahead,
		STEPS_AHEAD + (uint64_t)w->buffers * STEPS_BUFFER);
}

void packets_pass(struct packets *w, uint32_t ms)
{
	uint64_t end = w->f.now + ms * MT_MSEC;

	for (uint32_t i = 0; i < MS_MAX && w->f.now < end; i++) {
		uint64_t next = MT_MIN(mt_tcp_next(w->tcp), mt_net_next(w->f.w[0]));
		uint64_t at = MT_MIN(end, MT_MAX(next, w->f.now + MT_MSEC));

		advance(w, at - w->f.now);
		packets_turn(w);
	}
}

/* ---- packets ---- */

static void queue(struct packets *w, const struct fx_pkt *p)
{
	struct rte_mbuf *m = mt_buf_data(&w->f.pools);

	MT_ASSERT(m);
	memcpy(rte_pktmbuf_append(m, p->len), p->b, p->len);
	w->rx[w->n++] = m;
	w->bytes += p->len;
	w->ahead -= (int64_t)(STEPS_PACKET + STEPS_PACKET_BYTE * (uint32_t)p->len);
	if (w->n >= w->burst)
		packets_turn(w);
}

static void put32(uint8_t *at, uint32_t v)
{
	mt_put_be32(at, v);
}

void packets_send(struct packets *w, const struct packets_conf *conf, const struct packets_seg *s)
{
	uint8_t tcp[2048] = {0};
	struct fx_pkt p = {0};
	uint32_t head = 20u + s->n_opts;

	mt_put_be16(tcp, s->port);
	mt_put_be16(tcp + 2, 80);
	put32(tcp + 4, s->seq);
	put32(tcp + 8, s->ack);
	tcp[12] = (uint8_t)(head / 4 << 4);
	tcp[13] = s->flags;
	mt_put_be16(tcp + 14, s->wnd);
	memcpy(tcp + 20, s->opts, s->n_opts);
	fx_ip(&p, conf->v6 ? PEER_6 : PEER, conf->v6 ? US_6 : US, 6, tcp, (uint16_t)(head + s->len),
		16);
	queue(w, &p);
}

void packets_raw(struct packets *w, const uint8_t *bytes, uint16_t len)
{
	struct fx_pkt p = {.len = len};

	memcpy(p.b, bytes, len);
	fx_resum(&p, 14);
	queue(w, &p);
}

/* ---- life ---- */

static uint8_t put_syn_opts(const struct packets_conf *conf, uint8_t *o)
{
	uint8_t *p = o;

	put32(p, 0x02040000u | 1460);
	p += 4;
	if (conf->sack) {
		put32(p, 0x01010402);
		p += 4;
	}
	if (conf->wscale) {
		put32(p, 0x01030308);
		p += 4;
	}
	if (conf->ts) {
		put32(p, 0x0101080a);
		put32(p + 4, 1);
		p += 12;
	}
	return (uint8_t)(p - o);
}

/* The peer's SYN, and its ACK of ours, whose number the record has. */
static void handshake(struct packets *w, const struct packets_conf *conf)
{
	struct packets_seg s = {.port = PORT, .wnd = 65535, .flags = MT_TCP_SYN, .seq = IRS};
	const struct mt_tcp_half *h;
	struct mt_tuple tuple;
	uint32_t i = 0;

	s.n_opts = put_syn_opts(conf, s.opts);
	packets_send(w, conf, &s);
	h = mt_slab_next(&w->tcp->halves, &i);
	MT_ASSERT(h);
	tuple = mt_tcp_tuple_of(&h->key);
	s.flags = MT_TCP_ACK;
	s.seq++;
	s.ack = h->iss + 1;
	s.n_opts = 0;
	if (conf->ts) {
		s.n_opts = 12;
		put32(s.opts, 0x0101080a);
		put32(s.opts + 4, 2);
		put32(s.opts + 8, mt_tcp_ts_now(w->tcp, mt_tcp_ts_offset(w->tcp, &tuple)));
	}
	packets_send(w, conf, &s);
	MT_ASSERT(w->s && packets_conn(w)->state == MT_TCP_ESTABLISHED);
}

/* All that is queued is on its way, as after a long time in which the peer acknowledged everything. */
static void fill(struct packets *w, const struct packets_conf *conf)
{
	struct mt_tcp_conn *c = packets_conn(w);

	c->cc.cwnd = c->cc.ssthresh = 1u << 26;
	packets_write(w, conf->queued, conf->piece);
	for (int i = 0; i < SETTLED && c->snd_nxt != mt_tcp_data_end(c); i++)
		packets_pass(w, 1);
	MT_ASSERT(c->snd_nxt == mt_tcp_data_end(c) || !conf->wscale);
}

void packets_up(struct packets *w, struct mt_pools *pools, const struct packets_conf *conf)
{
	static const uint8_t secret[32] = "a secret that everybody knows...";
	static const struct mt_tcp_conf tcp_conf = {
		.max_conns = 16, .max_half_open = 8, .max_time_wait = 16};
	struct fx_pkt hello = {0};

	w->f.pools = *pools;
	fx_open_node(&w->f, 1);
	memset((char *)w + sizeof(w->f), 0, sizeof(*w) - sizeof(w->f));
	w->tcp = mt_tcp_create(&tcp_conf, 0, &w->f.steer, w->f.w[0], &w->f.pools, &listen_ops, w,
		secret, 1, w->f.now);
	MT_ASSERT(w->tcp);
	mt_netw_set_events(w->f.w[0], &events, w);
	w->burst = 1;
	if (conf->v6)
		fx_nd(&hello, 135, PEER_6, US_6, US_6, 0, 1, fx_peer_mac);
	else
		fx_arp(&hello, 1, fx_peer_mac, PEER, US, fx_our_mac[0]);
	queue(w, &hello);
	handshake(w, conf);
	fill(w, conf);
	w->ahead = 0;
	w->bytes = 0;
	w->counting = true;
}

void packets_down(struct packets *w)
{
	packets_turn(w);
	mt_tcp_destroy(w->tcp);
	MT_ASSERT(fx_close_node(&w->f));
}
