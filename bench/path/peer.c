/* SPDX-License-Identifier: Apache-2.0 */
/* Stub hosts: lib/net and lib/tcp with an application of a few lines. */
#include "path.h"

#include <stdio.h>
#include <string.h>

#define BURST 32

/* Frames may be longer than the receive window: bytes are taken at once and put together here. */
struct conn {
	struct mt_chain in;
	bool connected;
};

struct bench_peer {
	struct mt_slab conns;
	const struct bench_options *o;
	bool server;
	struct mt_port *port;
	struct mt_pools *pools;
	struct mt_net *net;
	struct mt_netw *netw;
	struct mt_tcp *tcp;
	struct bench_message message; /* what it sends */
	uint32_t chunk;		      /* a segment's worth, each in a buffer of its own */
	const struct mt_steer *node;
	uint16_t worker;
	uint32_t connected;
	uint64_t replies, errors, next_id;
};

static void send_message(struct bench_peer *p, struct mt_stream *s, const uint8_t *id)
{
	struct mt_chain c = {0};

	bench_put_id(p->o, &p->message, id);
	for (uint32_t off = 0; off < p->message.len; off += p->chunk) {
		struct mt_chain part = {0};

		if (mt_chain_write(&part, p->pools, p->message.bytes + off,
			    MT_MIN(p->chunk, p->message.len - off))) {
			mt_chain_free(&c);
			p->errors++;
			return;
		}
		mt_chain_concat(&c, &part);
	}
	mt_stream_send(s, &c);
}

static void send_request(struct bench_peer *p, struct mt_stream *s)
{
	uint64_t id = ++p->next_id;

	send_message(p, s, (const uint8_t *)&id);
}

static struct conn *conn_of(struct mt_stream *s)
{
	struct bench_peer *p = s->user_ctx;

	return mt_slab_at(&p->conns, s->owner_idx);
}

static void on_connected(struct mt_stream *s)
{
	struct bench_peer *p = s->user_ctx;

	p->connected++;
	conn_of(s)->connected = true;
	for (uint32_t i = 0; i < p->o->outstanding; i++)
		send_request(p, s);
}

/* Churn: its one exchange is over. */
static void close_conn(struct bench_peer *p, struct mt_stream *s)
{
	struct conn *c = conn_of(s);

	mt_chain_free(&c->in);
	mt_slab_free(&p->conns, c);
	p->connected--;
	mt_stream_detach(s);
}

static void on_readable(struct mt_stream *s)
{
	struct bench_peer *p = s->user_ctx;
	struct mt_chain *in = &conn_of(s)->in;
	uint32_t len;

	mt_chain_concat(in, &s->rx);
	mt_stream_consumed(s);
	while ((len = bench_frame_len(p->o, in)) > 0) {
		uint8_t id[8];

		bench_get_id(p->o, in, id);
		mt_chain_drop(in, len);
		if (p->server) {
			send_message(p, s, id);
			continue;
		}
		p->replies++;
		/* A native error is shorter or longer than the reply. */
		if (len != p->message.len && p->o->codec != BENCH_DUBBO)
			p->errors++;
		if (p->o->churn) {
			close_conn(p, s);
			return;
		}
		send_request(p, s);
	}
}

static void on_eof(struct mt_stream *s)
{
	mt_stream_shutdown(s);
}

static void on_writable(struct mt_stream *s)
{
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct bench_peer *p = s->user_ctx;
	struct conn *c = conn_of(s);
	bool was_connected = c->connected;

	mt_chain_free(&c->in);
	mt_slab_free(&p->conns, c);
	if (p->server || !was_connected)
		return; /* one that never came up is opened again */
	p->errors++;
	p->connected--;
}

static const struct mt_stream_user user = {
	.connected = on_connected,
	.readable = on_readable,
	.eof = on_eof,
	.writable = on_writable,
	.closed = on_closed,
};

static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	return ((struct bench_peer *)arg)->server ? 0 : -1;
}

static bool on_accept(void *arg, struct mt_stream *s, int listener)
{
	struct bench_peer *p = arg;
	struct conn *c = mt_slab_alloc(&p->conns, NULL);

	if (!c)
		return false;
	s->user = &user;
	s->user_ctx = p;
	s->owner_idx = mt_slab_idx(&p->conns, c);
	return true;
}

static const struct mt_tcp_listen_ops listen_ops = {on_lookup, on_accept};

static void on_neigh(void *arg, uint32_t neigh, bool ok)
{
	mt_tcp_neigh_event(((struct bench_peer *)arg)->tcp, neigh, ok);
}

static void on_icmp(
	void *arg, const struct mt_tuple *t, uint32_t seq, enum mt_net_icmp kind, uint16_t mtu)
{
	mt_tcp_icmp_event(((struct bench_peer *)arg)->tcp, t, seq, kind, mtu);
}

static const struct mt_net_events events = {on_neigh, on_icmp};

static void configure(struct bench_peer *p, const struct bench_peer_conf *c)
{
	struct mt_net_addr_conf addr = {.port = 0};
	struct mt_net_route_conf route = {.port = MT_NET_PORT_NONE};
	struct mt_net_conf conf = {.addrs = &addr, .n_addrs = 1};
	struct mt_err e;

	MT_ASSERT(mt_prefix_parse(c->address, &addr.addr, &addr.prefix) == 0);
	if (c->gateway) {
		MT_ASSERT(mt_prefix_parse("240.240.0.0/16", &route.to, &route.prefix) == 0);
		MT_ASSERT(mt_addr_parse(c->gateway, &route.via) == 0);
		conf.routes = &route;
		conf.n_routes = 1;
	}
	if (mt_net_configure(p->net, &conf, NULL, &e)) {
		fprintf(stderr, "path: %s\n", e.text);
		exit(1);
	}
}

struct bench_peer *bench_peer_create(const struct bench_peer_conf *c)
{
	static const uint8_t secret[32] = "bench: not a secret";
	/* Short, or churn would run out of ports: the bench's network holds nothing back. */
	const struct mt_tcp_conf tcp = {
		.max_conns = 65536, .tx_high = 8 << 20, .time_wait_ms = c->o->churn ? 5 : 0};
	struct bench_peer *p = calloc(1, sizeof(*p));

	MT_ASSERT(p);
	p->o = c->o;
	p->server = c->server;
	p->port = c->port;
	p->pools = c->pools;
	p->chunk = c->port->mtu - 60u - 12; /* headers, and timestamps as lib/tcp leaves room for */
	p->node = c->node;
	p->worker = c->worker;
	MT_ASSERT(mt_slab_init(&p->conns, "bench", sizeof(struct conn), 65536) == 0);
	p->net = mt_net_create(&p->port, 1, 1, NULL);
	MT_ASSERT(p->net);
	configure(p, c);
	p->netw = mt_netw_create(p->net, 0, p->pools, &events, p, 1 + c->server);
	MT_ASSERT(p->netw);
	p->tcp = mt_tcp_create(&tcp, 0, c->steer, p->netw, p->pools, &listen_ops, p, secret,
		11 + c->server, c->now);
	MT_ASSERT(p->tcp);
	if (c->server)
		bench_reply(c->o, &p->message);
	else
		bench_request(c->o, &p->message);
	return p;
}

void bench_peer_destroy(struct bench_peer *p)
{
	struct conn *c;

	if (!p)
		return;
	for (uint32_t i = 0; (c = mt_slab_next(&p->conns, &i));)
		mt_chain_free(&c->in);
	mt_slab_fini(&p->conns);
	mt_tcp_destroy(p->tcp);
	mt_netw_destroy(p->netw);
	mt_net_destroy(p->net);
	free(p->message.bytes);
	free(p);
}

void bench_peer_turn(struct bench_peer *p, uint64_t now)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t n;

	mt_net_begin(p->netw, now);
	mt_tcp_begin(p->tcp, now);
	while ((n = p->port->ops->rx(p->port, 0, pkts, BURST)) > 0) {
		n = mt_net_input(p->netw, p->port, pkts, n, pkts);
		mt_tcp_input(p->tcp, pkts, n);
	}
	mt_net_tick(p->netw);
	mt_tcp_timers(p->tcp, 1000);
	mt_tcp_deliver(p->tcp);
	mt_tcp_flush(p->tcp);
	mt_net_flush(p->netw);
}

/* Whether Meltemi's worker on our queue is the one that RSS would choose. */
static bool owned(const struct bench_peer *p, const struct mt_stream *s)
{
	const struct mt_tuple *t = mt_tcp_tuple(s);
	struct mt_tuple theirs = {
		.local = t->remote, .remote = t->local, .lport = t->rport, .rport = t->lport};

	return mt_steer_owner(p->node, &theirs) == p->worker;
}

/* Source ports are random: some tries find one that is right. Nothing is sent before the next flush. */
static bool open_one(struct bench_peer *p, const struct mt_addr *vip, uint16_t port)
{
	struct conn *c = mt_slab_alloc(&p->conns, NULL);
	enum mt_close_reason why;
	struct mt_stream *s;

	for (uint32_t i = 0; c && i < 16u * p->node->workers; i++) {
		s = mt_tcp_open(
			p->tcp, vip, port, NULL, 5000, &user, p, mt_slab_idx(&p->conns, c), &why);
		if (!s)
			break;
		if (owned(p, s))
			return true;
		mt_stream_abort(s);
	}
	if (c)
		mt_slab_free(&p->conns, c);
	return false;
}

void bench_peer_open(struct bench_peer *p, const struct mt_addr *vip, uint16_t port, uint32_t max)
{
	while (max-- > 0 && p->conns.in_use < p->o->conns && open_one(p, vip, port))
		;
}

uint32_t bench_peer_connected(const struct bench_peer *p)
{
	return p->connected;
}

uint64_t bench_peer_replies(const struct bench_peer *p)
{
	return p->replies;
}

uint64_t bench_peer_errors(const struct bench_peer *p)
{
	return p->errors;
}
