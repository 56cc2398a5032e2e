/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <rte_eal.h>
#include <stdio.h>

struct world w;
bool slow_path_only;

static struct rte_mbuf *burst[64];
static uint16_t n_burst;
static struct rte_mbuf *taken[4096];
static uint32_t n_taken;

#define HEAD(ip6) (14u + ((ip6) ? 40u : 20u))

static uint8_t pattern(uint32_t pos)
{
	return (uint8_t)(pos * 7 + (pos >> 8) * 13 + 3);
}

static bool check(bool ok, const char *what, const char *file, int line)
{
	CU_assertImplementation(
		ok ? CU_TRUE : CU_FALSE, (unsigned int)line, what, file, "", CU_FALSE);
	return ok;
}

/* ---- lib/net's place ---- */

enum mt_net_result mt_net_route(struct mt_netw *n, const struct mt_addr *local,
	const struct mt_addr *remote, struct mt_net_dst *dst)
{
	dst->gen = 1;
	dst->neigh = 7;
	dst->mtu = w.mtu;
	dst->l2len = w.route == MT_NET_SENT ? 14 : 0;
	return w.route;
}

enum mt_net_result mt_net_route_back(struct mt_netw *n, const struct rte_mbuf *in,
	const struct mt_addr *remote, struct mt_net_dst *dst)
{
	enum mt_net_result rc = mt_net_route(n, NULL, remote, dst);

	if (rc != MT_NET_WAIT || !in)
		return rc;
	dst->l2len = 14;
	w.back++;
	return MT_NET_SENT;
}

bool mt_net_source_addr(
	const struct mt_netw *n, const struct mt_addr *remote, uint64_t rnd, struct mt_addr *local)
{
	mt_addr_parse(mt_addr_is4(remote) ? "10.0.0.1" : "2001:db8::1", local);
	return true;
}

const struct mt_port_caps *mt_net_caps(const struct mt_netw *n, const struct mt_net_dst *dst)
{
	return &w.caps;
}

void mt_net_pmtu_learn(struct mt_netw *n, const struct mt_addr *remote, uint16_t mtu)
{
	w.mtu = mtu;
}

static void capture_opts(struct sent *o, const uint8_t *p, uint32_t left)
{
	while (left > 0 && *p != MT_TCP_OPT_END) {
		if (*p == MT_TCP_OPT_NOP) {
			p++;
			left--;
			continue;
		}
		switch (p[0]) {
		case MT_TCP_OPT_MSS:
			o->mss = mt_get_be16(p + 2);
			break;
		case MT_TCP_OPT_WSCALE:
			o->wscale = p[2] + 1;
			break;
		case MT_TCP_OPT_SACK_OK:
			o->sack_ok = true;
			break;
		case MT_TCP_OPT_TS:
			o->has_ts = true;
			o->tsval = mt_get_be32(p + 2);
			o->tsecr = mt_get_be32(p + 6);
			break;
		case MT_TCP_OPT_SACK:
			o->n_sack = (p[1] - 2u) / 4;
			for (uint32_t i = 0; i < o->n_sack; i++)
				o->sack[i] = mt_get_be32(p + 2 + 4 * i) - w.irs;
			break;
		}
		left -= p[1];
		p += p[1];
	}
}

/* Payload bytes must be the pattern at their place: nothing overwrote or shifted them. */
static bool payload_right(const struct rte_mbuf *m, uint32_t hlen, uint32_t rel)
{
	uint8_t bytes[9000];
	const uint8_t *p;
	uint32_t len = m->pkt_len - hlen;

	p = rte_pktmbuf_read(m, hlen, len, bytes);
	for (uint32_t i = 0; i < len; i++)
		if (p[i] != pattern(rel - 1 + i))
			return false;
	return true;
}

enum mt_net_result mt_net_output_tcp(struct mt_netw *n, struct rte_mbuf *m,
	const struct mt_tuple *t, struct mt_net_dst *dst, uint8_t tos)
{
	const uint8_t *h = rte_pktmbuf_mtod(m, const uint8_t *);
	uint32_t hlen = (h[12] >> 4) * 4u;
	struct sent *o = &w.out[w.n_out % 512];

	if (dst->l2len == 0)
		mt_net_route(n, &t->local, &t->remote, dst);
	if (w.output != MT_NET_SENT || dst->l2len == 0)
		return w.output != MT_NET_SENT ? w.output : w.route;
	w.n_out++;
	memset(o, 0, sizeof(*o));
	o->flags = h[13];
	o->ect = tos == MT_IP_ECT;
	if (!w.iss_known && o->flags & S) {
		w.iss = mt_get_be32(h + 4);
		w.iss_known = true;
		w.lport = mt_get_be16(h);
	}
	o->seq = mt_get_be32(h + 4) - w.iss;
	o->ack = o->flags & A ? mt_get_be32(h + 8) - w.irs : 0;
	o->wnd = mt_get_be16(h + 14);
	o->len = m->pkt_len - hlen;
	capture_opts(o, h + 20, hlen - 20);
	o->pattern_ok = payload_right(m, hlen, o->seq);
	CU_ASSERT_EQUAL(m->l4_len, hlen);
	/* What a real port does to the headroom. */
	memset(rte_pktmbuf_prepend(m, (uint16_t)HEAD(w.ip6)), 0xee, HEAD(w.ip6));
	if (!w.hold) {
		mt_buf_free(m);
		return MT_NET_SENT;
	}
	memcpy(w.held_head[w.n_held], rte_pktmbuf_mtod_offset(m, uint8_t *, HEAD(w.ip6)), 20);
	w.held[w.n_held++] = m;
	return MT_NET_SENT;
}

/* ---- the user ---- */

static void log_event(const char *fmt, ...)
{
	size_t at = strlen(w.events);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(w.events + at, sizeof(w.events) - at, fmt, ap);
	va_end(ap);
}

static void on_connected(struct mt_stream *s)
{
	log_event("connected ");
}

void read_all(void)
{
	struct mt_chain *rx = &w.s->rx;
	uint8_t bytes[65536];

	while (rx->len > 0) {
		uint32_t n = MT_MIN(rx->len, (uint32_t)sizeof(bytes));

		mt_chain_read(rx, 0, bytes, n);
		for (uint32_t i = 0; i < n; i++)
			w.read_ok &= bytes[i] == pattern(w.read + i);
		w.read += n;
		mt_stream_drop(w.s, n);
	}
}

static void on_readable(struct mt_stream *s)
{
	log_event("readable:%u ", s->rx.len);
	if (!w.stop_reading)
		read_all();
}

static void on_eof(struct mt_stream *s)
{
	log_event("eof ");
}

static void on_writable(struct mt_stream *s)
{
	log_event("writable ");
}

static void on_acked(struct mt_stream *s, uint32_t bytes)
{
	log_event("acked:%u ", bytes);
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	log_event("closed:%s ", mt_close_reason_str(reason));
	if (w.s == s)
		w.s = NULL;
}

static const struct mt_stream_user user = {
	.connected = on_connected,
	.readable = on_readable,
	.eof = on_eof,
	.writable = on_writable,
	.acked = on_acked,
	.closed = on_closed,
};

static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	return w.listening && lport == 80 ? 3 : -1;
}

static bool on_accept(void *arg, struct mt_stream *s, int listener)
{
	CU_ASSERT_EQUAL(listener, 3);
	if (w.refuse)
		return false;
	log_event("accept ");
	s->user = &user;
	w.s = s;
	return true;
}

static const struct mt_tcp_listen_ops listen_ops = {on_lookup, on_accept};

/* ---- life ---- */

static struct mt_pools pools; /* one for all tests; each leaves it full */

static void init_eal(void)
{
	static bool done;
	char *args[] = {"unit_tcp", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
		"--log-level=error", "-l", "0", "--no-shconf"};

	if (done)
		return;
	done = true;
	if (rte_eal_init(MT_ARRAY_LEN(args), args) < 0 || mt_buf_init())
		abort();
	if (mt_pools_init(&pools, "unit", 1023, 1023, MT_BUF_DATA_ROOM, SOCKET_ID_ANY))
		abort();
}

static const uint8_t secret[32] = "a secret that everybody knows...";

void up(const struct mt_tcp_conf *conf)
{
	struct mt_tcp_conf c = conf ? *conf : (struct mt_tcp_conf){0};

	init_eal();
	memset(&w, 0, sizeof(w));
	w.now = 1000 * MT_SEC;
	w.mtu = 1500;
	w.lport = 80;
	w.rport = 4000;
	w.irs = 5000;
	w.listening = w.read_ok = true;
	w.caps.tx_chains = true;
	w.steer.workers = 1;
	n_burst = 0;
	w.pools = pools;
	if (!c.max_conns)
		c.max_conns = 64;
	c.slow_path_only = slow_path_only;
	w.t = mt_tcp_create(&c, 0, &w.steer, NULL, &w.pools, &listen_ops, NULL, secret, 1, w.now);
	if (!w.t)
		abort();
}

/* What a port holds may not be written by anybody. */
void release_held(void)
{
	while (w.n_held) {
		struct rte_mbuf *m = w.held[--w.n_held];
		const uint8_t *h = rte_pktmbuf_mtod_offset(m, uint8_t *, HEAD(w.ip6));

		if (w.held_head[w.n_held][12])
			CU_ASSERT_EQUAL(memcmp(h, w.held_head[w.n_held], 20), 0);
		mt_buf_free(m);
	}
}

static void give(void)
{
	while (n_taken)
		mt_buf_free(taken[--n_taken]);
}

void down(void)
{
	CU_ASSERT_TRUE(w.read_ok);
	release_held();
	give();
	mt_tcp_destroy(w.t);
	mt_pools_sample(&w.pools);
	CU_ASSERT_EQUAL(w.pools.data_free, w.pools.data_total);
	CU_ASSERT_EQUAL(w.pools.ctrl_free, w.pools.ctrl_total);
}

void take_pool(uint32_t leave)
{
	for (mt_pools_sample(&w.pools); w.pools.data_free > leave; mt_pools_sample(&w.pools))
		taken[n_taken++] = mt_buf_data(&w.pools);
}

void take_ctrl(uint32_t leave)
{
	for (mt_pools_sample(&w.pools); w.pools.ctrl_free > leave; mt_pools_sample(&w.pools))
		taken[n_taken++] = mt_buf_ctrl(&w.pools);
}

void give_pool(void)
{
	give();
}

/* ---- segments in ---- */

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

/* ---- segments out ---- */

static bool same_sack(const struct say *want, const struct sent *o)
{
	uint32_t n = 0;

	while (n < 8 && want->sack[n + 1])
		n += 2;
	return n == o->n_sack && !memcmp(want->sack, o->sack, 4 * n);
}

static bool matches(const struct say *s, const struct sent *o)
{
	return o->flags == s->flags && (s->seq == ANY || o->seq == s->seq) &&
	       (s->ack == ANY || o->ack == s->ack) && o->len == s->len &&
	       (!s->wnd || o->wnd == s->wnd) && (!s->shut || o->wnd == 0) &&
	       (!s->mss || o->mss == s->mss) && (!s->wscale || o->wscale == s->wscale) &&
	       (!s->tsecr || o->tsecr == s->tsecr) && (!s->sack_ok || o->sack_ok) &&
	       same_sack(s, o) && o->pattern_ok;
}

static void show(const struct sent *o)
{
	printf("  flags %02x seq %u ack %u wnd %u len %u mss %u ws %u ts %d:%u:%u sack %u:",
		o->flags, o->seq, o->ack, o->wnd, o->len, o->mss, o->wscale, o->has_ts, o->tsval,
		o->tsecr, o->n_sack);
	for (uint32_t i = 0; i < o->n_sack; i++)
		printf(" %u", o->sack[i]);
	printf("%s\n", o->pattern_ok ? "" : " WRONG PAYLOAD");
}

void tx_say(struct say s, const char *file, int line)
{
	if (!check(w.next_out < w.n_out, "a segment left", file, line))
		return;
	if (!check(matches(&s, &w.out[w.next_out % 512]), "the segment is as expected", file,
		    line)) {
		printf("%s:%d: expected flags %02x seq %u ack %u len %u, left:\n", file, line,
			s.flags, s.seq, s.ack, s.len);
		show(&w.out[w.next_out % 512]);
	}
	w.next_out++;
}

void none_at(const char *file, int line)
{
	if (!check(w.next_out == w.n_out, "nothing more left", file, line))
		for (uint32_t i = w.next_out; i < w.n_out; i++)
			show(&w.out[i % 512]);
	w.next_out = w.n_out;
}

void skip_all(void)
{
	/* What is not looked at bears the right bytes all the same; of a long burst the last are known. */
	for (; w.next_out < w.n_out; w.next_out++)
		CU_ASSERT_TRUE(w.n_out - w.next_out > 512 || w.out[w.next_out % 512].pattern_ok);
}

void events_at(const char *want, const char *file, int line)
{
	if (!check(!strcmp(w.events, want), "the user was told this", file, line))
		printf("%s:%d: expected events \"%s\", got \"%s\"\n", file, line, want, w.events);
	w.events[0] = 0;
}

/* ---- shorthand ---- */

void accepted_with(struct say syn)
{
	struct say ack = {.flags = A, .seq = 1, .ack = 1, .wnd = syn.wnd, .tsval = syn.tsval};

	syn.flags = S;
	rx_say(syn);
	if (syn.tsval) {
		ack.tsval++;
		ack.tsecr = w.out[(w.n_out - 1) % 512].tsval;
	}
	rx_say(ack);
	skip_all();
	w.events[0] = 0;
}

void accepted(void)
{
	accepted_with((struct say){.mss = 1460});
}

void opened(void)
{
	struct mt_addr peer;

	mt_addr_parse(w.ip6 ? "2001:db8::2" : "10.0.0.2", &peer);
	mt_tcp_begin(w.t, w.now);
	w.s = mt_tcp_open(w.t, &peer, w.rport, NULL, 0, &user, NULL, 9, &w.why);
	turn();
}

void send_written(uint32_t n, uint32_t piece)
{
	struct mt_chain c = {0};

	while (n > 0) {
		uint32_t part = MT_MIN(n, piece);
		struct rte_mbuf *m = mt_buf_data(&w.pools);
		uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);

		for (uint32_t i = 0; i < part; i++)
			p[i] = pattern(w.tx_seq + i);
		mt_chain_append(&c, m, m->data_off, part);
		w.tx_seq += part;
		n -= part;
	}
	mt_stream_send(w.s, &c);
}

void send_bytes(uint32_t n)
{
	send_written(n, 1440);
	turn();
}

uint64_t counter(enum mt_tcp_outcome o)
{
	return mt_count_read(&mt_tcp_counters(w.t)[o]);
}

struct mt_tcp_conn *conn(void)
{
	return mt_tcp_conn_of(w.s);
}
