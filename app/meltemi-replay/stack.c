/* SPDX-License-Identifier: Apache-2.0 */
/* The real stack, between a port in memory and an application that follows the recording. */
#include "replay.h"

#include <errno.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_ip.h>

#define N_DATA	  16383
#define N_CTRL	  8191
#define TURNS_MAX 1000 /* at one instant; then the clock advances by 1 us */
#define BEGINNING (1000 * MT_SEC)
#define FNV_PRIME 0x100000001b3ull
#define FNV_BASIS 0xcbf29ce484222325ull

/* All recorded stations are reached through one router, whose ARP and ND replies are made here. */
#define ROUTER4 "169.254.0.1"
#define ROUTER6 "fe80::1"

static const uint8_t router_mac[6] = {2, 0x4d, 0x74, 0, 0, 2};

/* ---- the application ----------------------------------------------------------------------- */

static void on_connected(struct mt_stream *s)
{
}

static void on_readable(struct mt_stream *s)
{
	struct conn *c = s->user_ctx;

	c->bytes_in += s->rx.len;
	mt_stream_drop(s, s->rx.len);
}

static void on_eof(struct mt_stream *s)
{
	struct conn *c = s->user_ctx;

	/* If the recording has no SYN-ACK of the server, its side ends with the client's. */
	if (!c->syn_ack)
		mt_stream_shutdown(s);
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct conn *c = s->user_ctx;

	c->s = NULL;
	c->end = mt_close_reason_str(reason);
}

static const struct mt_stream_user sink = {.connected = on_connected,
	.readable = on_readable,
	.eof = on_eof,
	.writable = on_connected,
	.closed = on_closed};

static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	const struct stack *s = arg;

	return conns_is_local(s->conns, local) ? 0 : -1;
}

static bool on_accept(void *arg, struct mt_stream *stream, int listener)
{
	struct stack *s = arg;
	struct conn *c = conns_find(s->conns, mt_stream_ends(stream));

	if (!c)
		return false;
	stream->user = &sink;
	stream->user_ctx = c;
	stream->tx_high = 1u << 20;
	c->s = stream;
	c->accepted = true;
	c->end = NULL;
	return true;
}

void stack_serve(struct stack *s, struct conn *c, const struct frame *f)
{
	uint32_t off = f->seq - c->isn - 1, end = off + f->data_len;
	struct mt_chain bytes = {0};

	if (!c->s || !c->isn_known)
		return;
	if (f->flags & TCP_RST) {
		mt_stream_abort(c->s, MT_ABORT_CANCELLED);
		c->s = NULL;
		c->end = "reset here";
		return;
	}
	/* A retransmission adds nothing; a gap in the recording is filled with zeros. */
	if (f->data_len > 0 && (int32_t)(end - c->sent) > 0) {
		static const uint8_t zeros[4096];

		while ((int32_t)(off - c->sent) > 0) {
			uint32_t n = MT_MIN(off - c->sent, (uint32_t)sizeof(zeros));

			if (mt_chain_write(&bytes, &s->pools, zeros, n))
				break;
			c->sent += n;
		}
		if (off == c->sent || (int32_t)(off - c->sent) < 0) {
			uint32_t skip = c->sent - off, n = f->data_len - skip;

			if (!mt_chain_write(&bytes, &s->pools, f->b + f->data + skip, n))
				c->sent += n;
		}
		c->bytes_out += bytes.len;
		mt_stream_send(c->s, &bytes);
	}
	if (f->flags & TCP_FIN && !c->fin) {
		c->fin = true;
		mt_stream_shutdown(c->s);
	}
}

/* ---- the wire ------------------------------------------------------------------------------ */

static struct rte_mbuf *to_mbuf(struct stack *s, const uint8_t *b, uint32_t len)
{
	struct rte_mbuf *head = mt_buf_data(&s->pools), *last = head;

	for (uint32_t left = len; last; last = last->next) {
		uint16_t part = (uint16_t)MT_MIN(left, (uint32_t)rte_pktmbuf_tailroom(last));

		memcpy(rte_pktmbuf_mtod(last, void *), b, part);
		last->data_len = part;
		b += part;
		left -= part;
		if (left == 0) {
			head->pkt_len = len;
			return head;
		}
		last->next = mt_buf_data(&s->pools);
		head->nb_segs++;
	}
	head = head ? (mt_buf_free(head), NULL) : NULL;
	return head;
}

/* The router's reply to an ARP request or a neighbour solicitation. */
static uint32_t answer(const struct frame *q, uint8_t *a)
{
	static const uint8_t arp[8] = {0, 1, 8, 0, 6, 4, 0, 2};
	const uint8_t *p = q->b + 14;

	memcpy(a, q->b + 6, 6);
	memcpy(a + 6, router_mac, 6);
	memcpy(a + 12, q->b + 12, 2);
	if (q->b[12] == 8 && q->b[13] == 6 && q->len >= 42 && p[7] == 1 &&
		memcmp(p + 14, p + 24, 4)) {
		memcpy(a + 14, arp, 8);
		memcpy(a + 22, router_mac, 6);
		memcpy(a + 28, p + 24, 4);
		memcpy(a + 32, p + 8, 10);
		return 42;
	}
	if (q->ip && !q->is4 && q->len >= 78 && p[6] == 58 && p[40] == 135) {
		static const uint8_t head[8] = {0x60, 0, 0, 0, 0, 32, 58, 255};
		uint8_t pseudo[8] = {0, 0, 0, 32, 0, 0, 0, 58};
		uint32_t sum;
		uint16_t folded;

		memset(a + 14, 0, 72);
		memcpy(a + 14, head, 8);
		memcpy(a + 22, p + 48, 16);
		memcpy(a + 38, p + 8, 16);
		a[54] = 136;
		a[58] = 0x60;
		memcpy(a + 62, p + 48, 16);
		a[78] = 2;
		a[79] = 1;
		memcpy(a + 80, router_mac, 6);
		sum = (uint32_t)rte_raw_cksum(a + 22, 64) + rte_raw_cksum(pseudo, 8);
		sum = (sum & 0xffff) + (sum >> 16);
		folded = (uint16_t) ~((sum & 0xffff) + (sum >> 16));
		memcpy(a + 56, &folded, 2);
		return 86;
	}
	return 0;
}

static void trace(struct stack *s, const struct frame *f)
{
	uint64_t h = s->trace ^ (s->now - s->begin);

	for (uint32_t i = 0; i < f->len; i++)
		h = (h ^ f->b[i]) * FNV_PRIME;
	s->trace = h;
}

static void sent(struct stack *s, const struct frame *f)
{
	uint8_t reply[128];
	uint32_t len = answer(f, reply);
	struct conn *c;

	if (len > 0 && s->n_answers < MT_ARRAY_LEN(s->answers)) {
		struct rte_mbuf *m = to_mbuf(s, reply, len);

		if (m)
			s->answers[s->n_answers++] = m;
	}
	s->frames_out++;
	trace(s, f);
	if (f->tcp) {
		struct mt_tuple t = {f->src, f->dst, f->sport, f->dport, 0};

		c = conns_find(s->conns, &t);
		if (c) {
			c->segs_out++;
			mend_learn(c, f);
		}
	}
	if (s->watch)
		s->watch(s->watch_arg, f, s->now - s->begin, true);
}

static uint16_t port_rx(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return 0; /* frames are fed, not polled */
}

static uint16_t port_tx(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	static uint8_t bytes[65536];

	for (uint16_t i = 0; i < n; i++) {
		struct frame f = {.b = bytes, .len = MT_MIN(pkts[i]->pkt_len, sizeof(bytes))};
		const void *at = rte_pktmbuf_read(pkts[i], 0, f.len, bytes);

		if (at != bytes)
			memcpy(bytes, at, f.len);
		frame_parse(&f);
		sent(p->priv, &f);
		mt_buf_free(pkts[i]);
	}
	return n;
}

static const struct mt_port_ops port_ops = {port_rx, port_tx};

/* ---- loop iterations ----------------------------------------------------------------------- */

static void input(struct stack *s, struct rte_mbuf *m)
{
	struct rte_mbuf *tcp;

	if (mt_net_input(s->w, &s->port, &m, 1, &tcp))
		mt_tcp_input(s->tcp, &tcp, 1);
}

static void turn(struct stack *s, struct rte_mbuf *m)
{
	uint32_t n = s->n_answers;

	mt_net_begin(s->w, s->now);
	mt_tcp_begin(s->tcp, s->now);
	s->n_answers = 0;
	for (uint32_t i = 0; i < n; i++)
		input(s, s->answers[i]);
	if (m)
		input(s, m);
	mt_net_tick(s->w);
	mt_tcp_timers(s->tcp, 64);
	mt_tcp_deliver(s->tcp);
	mt_tcp_flush(s->tcp);
	mt_net_flush(s->w);
	if (s->turns++ % 64 == 0) {
		mt_pools_sample(&s->pools);
		mt_tcp_pressure(s->tcp, mt_pools_free_pct(&s->pools));
	}
}

static uint64_t next_of(const struct stack *s)
{
	if (s->n_answers)
		return s->now;
	return MT_MIN(mt_net_next(s->w), mt_tcp_next(s->tcp));
}

void stack_advance(struct stack *s, uint64_t ns)
{
	uint64_t to = s->begin + ns, next;
	uint32_t here = 0;

	while ((next = next_of(s)) <= to) {
		if (next > s->now) {
			s->now = next;
			here = 0;
		} else if (++here == TURNS_MAX) {
			if (s->now >= to)
				break;
			s->now = MT_MIN(s->now + MT_USEC, to);
			here = 0;
		}
		turn(s, NULL);
	}
	s->now = MT_MAX(s->now, to);
}

void stack_feed(struct stack *s, const struct frame *f)
{
	struct rte_mbuf *m = to_mbuf(s, f->b, f->len);

	if (s->watch)
		s->watch(s->watch_arg, f, s->now - s->begin, false);
	if (!m)
		return;
	s->frames_in++;
	turn(s, m);
}

/* ---- set-up -------------------------------------------------------------------------------- */

static const struct mt_addr *first_of(const struct conns *cs, bool is4)
{
	for (uint32_t i = 0; i < cs->n_locals; i++)
		if (mt_addr_is4(&cs->locals[i]) == is4)
			return &cs->locals[i];
	return NULL;
}

static int configure(struct stack *s, struct mt_err *e)
{
	const struct mt_addr *four = first_of(s->conns, true), *six = first_of(s->conns, false);
	struct mt_net_route_conf routes[2] = {0};
	struct mt_net_addr_conf addrs[2] = {0};
	uint32_t n = 0;
	struct mt_net_conf conf = {.addrs = addrs, .routes = routes};

	if (four) {
		addrs[n] = (struct mt_net_addr_conf){*four, 32, 0};
		routes[n].to = mt_addr4(0);
		mt_addr_parse(ROUTER4, &routes[n++].via);
	}
	if (six) {
		addrs[n] = (struct mt_net_addr_conf){*six, 128, 0};
		mt_addr_parse(ROUTER6, &routes[n++].via);
	}
	conf.n_addrs = conf.n_routes = n;
	if (mt_net_configure(s->net, &conf, NULL, e))
		return -EINVAL;
	if (mt_net_set_vips(s->net, s->conns->locals, s->conns->n_locals, NULL))
		return mt_err(e, -ENOMEM, "no memory for %u addresses", s->conns->n_locals);
	return 0;
}

static void on_neigh(void *arg, uint32_t neigh, bool ok)
{
	mt_tcp_neigh_event(((struct stack *)arg)->tcp, neigh, ok);
}

static void on_icmp(
	void *arg, const struct mt_tuple *t, uint32_t seq, enum mt_net_icmp kind, uint16_t mtu)
{
	mt_tcp_icmp_event(((struct stack *)arg)->tcp, t, seq, kind, mtu);
}

static int start_eal(struct mt_err *e)
{
	char *args[] = {"meltemi-replay", "--no-huge", "-m", "192", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=error", "-l", "0"};

	if (rte_eal_init((int)MT_ARRAY_LEN(args), args) < 0 || mt_buf_init())
		return mt_err(e, -EIO, "DPDK did not start");
	return 0;
}

int stack_open(struct stack *s, struct conns *conns, const struct mt_tcp_conf *tcp, uint64_t seed,
	struct mt_err *e)
{
	static const struct mt_listen_ops listen = {on_lookup, on_accept};
	static const struct mt_net_events events = {.neigh = on_neigh, .icmp = on_icmp};
	struct mt_port *ports[1] = {&s->port};
	struct mt_rand r;
	uint64_t secret[4]; /* not a random secret: the same seed makes the same sequence numbers */

	if (start_eal(e))
		return -EIO;
	mt_rand_seed(&r, seed);
	for (size_t i = 0; i < MT_ARRAY_LEN(secret); i++)
		secret[i] = mt_rand_u64(&r);
	s->conns = conns;
	s->now = BEGINNING;
	s->port = (struct mt_port){.ops = &port_ops,
		.name = "capture",
		.mtu = 1500,
		.n_rxq = 1,
		.n_txq = 1,
		.mac = {{2, 0x4d, 0x74, 0, 0, 1}},
		.caps = {.tx_chains = true},
		.link_up = true,
		.priv = s};
	if (mt_pools_init(&s->pools, "replay", N_DATA, N_CTRL, MT_BUF_DATA_ROOM, SOCKET_ID_ANY) ||
		mt_steer_init(&s->steer, 1, 64))
		return mt_err(e, -ENOMEM, "no memory for buffers");
	s->net = mt_net_create(ports, 1, 1, &s->steer);
	if (s->net)
		s->w = mt_netw_create(s->net, 0, &s->pools, &events, s, seed);
	if (!s->w)
		return mt_err(e, -ENOMEM, "no memory for the stack");
	if (configure(s, e))
		return -EINVAL;
	mt_net_begin(s->w, s->now);
	s->tcp = mt_tcp_create(tcp, 0, &s->steer, s->w, &s->pools, &listen, s,
		(const uint8_t *)secret, seed, s->now);
	if (!s->tcp)
		return mt_err(e, -ENOMEM, "no memory for %u connections", tcp->max_conns);
	/* The stack's own announcements end before the recording starts. */
	stack_advance(s, s->now + 3 * MT_SEC);
	s->begin = s->now;
	s->frames_out = 0;
	s->trace = FNV_BASIS;
	return 0;
}

uint32_t stack_close(struct stack *s)
{
	uint32_t lost;

	for (uint32_t i = 0; i < s->n_answers; i++)
		mt_buf_free(s->answers[i]);
	mt_tcp_destroy(s->tcp);
	mt_netw_destroy(s->w);
	mt_net_destroy(s->net);
	mt_steer_fini(&s->steer);
	mt_pools_sample(&s->pools);
	lost = s->pools.data_total - s->pools.data_free + s->pools.ctrl_total - s->pools.ctrl_free;
	mt_pools_fini(&s->pools);
	return lost;
}
