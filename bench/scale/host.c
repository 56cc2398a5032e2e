/* SPDX-License-Identifier: Apache-2.0 */
/* A stub host: lib/net and lib/tcp with an application that asks, or answers. */
#include "scale.h"

#include "mt_table.h"

#include <stdio.h>

#define BURST 32

struct conn {
	struct mt_stream *s;
	struct mt_chain in;
	bool connected, waits, once;
};

struct scale_host {
	struct mt_slab conns;
	const struct bench_options *o;
	bool server;
	struct mt_port *port;
	struct mt_pools *pools;
	struct mt_net *net;
	struct mt_netw *netw;
	struct mt_tcp *tcp;
	struct bench_message message; /* what it sends */
	struct scale_host_counts n;
	uint64_t next_id;
};

static struct conn *conn_of(struct mt_stream *s)
{
	struct scale_host *h = s->user_ctx;

	return mt_slab_at(&h->conns, s->owner_idx);
}

static void send_message(struct scale_host *h, struct mt_stream *s, const uint8_t *id)
{
	struct mt_chain c = {0};

	bench_put_id(h->o, &h->message, id);
	if (mt_chain_write(&c, h->pools, h->message.bytes, h->message.len)) {
		h->n.errors++;
		return;
	}
	mt_stream_send(s, &c);
}

static void ask(struct scale_host *h, struct conn *c)
{
	uint64_t id = ++h->next_id;

	c->waits = true;
	send_message(h, c->s, (const uint8_t *)&id);
}

static void on_connected(struct mt_stream *s)
{
	struct scale_host *h = s->user_ctx;
	struct conn *c = conn_of(s);

	h->n.connected++;
	c->connected = true;
	if (c->once)
		ask(h, c);
}

static void answered(struct scale_host *h, struct conn *c, uint32_t len)
{
	h->n.replies++;
	h->n.errors += !c->waits;
	/* A native error is shorter or longer than the reply. */
	if (h->o->codec != BENCH_DUBBO)
		h->n.errors += len != h->message.len;
	c->waits = false;
	if (c->once)
		mt_stream_shutdown(c->s);
}

static void on_readable(struct mt_stream *s)
{
	struct scale_host *h = s->user_ctx;
	struct conn *c = conn_of(s);
	uint32_t len;

	mt_chain_concat(&c->in, &s->rx);
	mt_stream_consumed(s);
	while ((len = bench_frame_len(h->o, &c->in)) > 0) {
		uint8_t id[8];

		bench_get_id(h->o, &c->in, id);
		mt_chain_drop(&c->in, len);
		if (h->server)
			send_message(h, s, id);
		else
			answered(h, c, len);
	}
}

static void on_eof(struct mt_stream *s)
{
	if (!s->tx_shut)
		mt_stream_shutdown(s);
}

static void on_writable(struct mt_stream *s)
{
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct scale_host *h = s->user_ctx;
	struct conn *c = conn_of(s);

	h->n.open--;
	h->n.connected -= c->connected;
	h->n.errors += reason != MT_CLOSE_OK || c->waits;
	mt_chain_free(&c->in);
	mt_slab_free(&h->conns, c);
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
	return ((struct scale_host *)arg)->server ? 0 : -1;
}

static bool on_accept(void *arg, struct mt_stream *s, int listener)
{
	struct scale_host *h = arg;
	struct conn *c = mt_slab_alloc(&h->conns, NULL);

	if (!c)
		return false;
	h->n.open++;
	h->n.connected++;
	c->s = s;
	c->connected = true;
	s->user = &user;
	s->user_ctx = h;
	s->owner_idx = mt_slab_idx(&h->conns, c);
	return true;
}

static const struct mt_tcp_listen_ops listen_ops = {on_lookup, on_accept};

static void on_neigh(void *arg, uint32_t neigh, bool ok)
{
	mt_tcp_neigh_event(((struct scale_host *)arg)->tcp, neigh, ok);
}

static void on_icmp(
	void *arg, const struct mt_tuple *t, uint32_t seq, enum mt_net_icmp kind, uint16_t mtu)
{
	((struct scale_host *)arg)->n.errors++;
}

static const struct mt_net_events events = {on_neigh, on_icmp};

/* The client has one address and a route to the services; the server one for each endpoint. */
static void configure(struct scale_host *h)
{
	struct mt_net_addr_conf addrs[SCALE_ADDRS];
	struct mt_net_route_conf route = {.port = MT_NET_PORT_NONE};
	struct mt_net_conf conf = {.addrs = addrs, .n_addrs = h->server ? SCALE_ADDRS : 1};
	char text[MT_ADDR_STRLEN];
	struct mt_err e;

	for (uint32_t i = 0; i < conf.n_addrs; i++) {
		addrs[i] = (struct mt_net_addr_conf){.port = 0};
		snprintf(text, sizeof(text), "10.%u.0.%u/16", h->server ? 2 : 1, 2 + i);
		MT_ASSERT(mt_prefix_parse(text, &addrs[i].addr, &addrs[i].prefix) == 0);
	}
	if (!h->server) {
		MT_ASSERT(mt_prefix_parse("240.240.0.0/16", &route.to, &route.prefix) == 0);
		MT_ASSERT(mt_addr_parse("10.1.0.1", &route.via) == 0);
		conf.routes = &route;
		conf.n_routes = 1;
	}
	if (mt_net_configure(h->net, &conf, NULL, &e)) {
		fprintf(stderr, "scale: %s\n", e.text);
		exit(1);
	}
}

struct scale_host *scale_host_create(const struct scale_host_conf *c)
{
	static const uint8_t secret[32] = "bench: not a secret";
	const struct mt_tcp_conf tcp = {.max_conns = c->max_conns,
		.max_time_wait = 65536,
		.keepalive_idle_s = MT_TCP_KEEPALIVE_OFF};
	struct scale_host *h = calloc(1, sizeof(*h));

	MT_ASSERT(h);
	h->o = c->o;
	h->server = c->server;
	h->port = c->port;
	h->pools = c->pools;
	MT_ASSERT(mt_slab_init(&h->conns, "host", sizeof(struct conn), c->max_conns) == 0);
	h->net = mt_net_create(&h->port, 1, 1, NULL);
	MT_ASSERT(h->net);
	configure(h);
	h->netw = mt_netw_create(h->net, 0, h->pools, &events, h, 1 + c->server);
	MT_ASSERT(h->netw);
	h->tcp = mt_tcp_create(&tcp, 0, c->steer, h->netw, h->pools, &listen_ops, h, secret,
		11 + c->server, c->now);
	MT_ASSERT(h->tcp);
	if (c->server)
		bench_reply(c->o, &h->message);
	else
		bench_request(c->o, &h->message);
	return h;
}

void scale_host_destroy(struct scale_host *h)
{
	struct conn *c;

	for (uint32_t i = 0; (c = mt_slab_next(&h->conns, &i));)
		mt_chain_free(&c->in);
	mt_slab_fini(&h->conns);
	mt_tcp_destroy(h->tcp);
	mt_netw_destroy(h->netw);
	mt_net_destroy(h->net);
	free(h->message.bytes);
	free(h);
}

void scale_host_turn(struct scale_host *h, uint64_t now)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t n;

	mt_net_begin(h->netw, now);
	mt_tcp_begin(h->tcp, now);
	while ((n = h->port->ops->rx(h->port, 0, pkts, BURST)) > 0) {
		n = mt_net_input(h->netw, h->port, pkts, n, pkts);
		mt_tcp_input(h->tcp, pkts, n);
	}
	mt_net_tick(h->netw);
	mt_tcp_timers(h->tcp, 1000);
	mt_tcp_deliver(h->tcp);
	mt_tcp_flush(h->tcp);
	mt_net_flush(h->netw);
}

bool scale_host_open(struct scale_host *h, const struct mt_addr *vip, bool once)
{
	struct conn *c = mt_slab_alloc(&h->conns, NULL);
	enum mt_close_reason why;

	if (!c)
		return false;
	c->once = once;
	c->s = mt_tcp_open(
		h->tcp, vip, BENCH_PORT, NULL, 5000, &user, h, mt_slab_idx(&h->conns, c), &why);
	if (c->s) {
		h->n.open++;
		return true;
	}
	h->n.errors++;
	mt_slab_free(&h->conns, c);
	return false;
}

bool scale_host_ask(struct scale_host *h, uint32_t i)
{
	struct conn *c = mt_slab_at(&h->conns, i);

	if (c->waits || !c->connected || c->once)
		return false;
	ask(h, c);
	return true;
}

void scale_host_counts(const struct scale_host *h, struct scale_host_counts *c)
{
	*c = h->n;
}

struct mt_tcp *scale_host_tcp(struct scale_host *h)
{
	return h->tcp;
}

uint64_t scale_host_memory(const struct scale_host *h)
{
	const struct mt_slab *slabs[16];
	uint32_t n = mt_tcp_slabs(h->tcp, slabs, 16);
	uint64_t sum = scale_slab_bytes(&h->conns) + scale_table_bytes(mt_tcp_table(h->tcp));

	for (uint32_t i = 0; i < n; i++)
		sum += scale_slab_bytes(slabs[i]);
	return sum;
}
