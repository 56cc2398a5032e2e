/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two stacks in one process, joined by arrays of packets: bursts of segments, one per connection.
 */
#include "ops.h"

#include "mt_net_cksum.h"
#include "mt_tcp_priv.h"

#include <stdlib.h>
#include <string.h>

#define CONNS OPS_BURST
#define SIZE  100 /* bytes of each segment */

struct host {
	struct mt_port port; /* first: ops functions get this port */
	struct mt_net *net;
	struct mt_netw *netw;
	struct mt_tcp *tcp;
	struct rte_mbuf *out[256];
	uint32_t n_out, n_conns;
	struct mt_stream *conns[CONNS];
};

static struct host hosts[2];
static struct mt_steer steer;
static uint64_t now = MT_SEC;

static uint16_t take(struct mt_port *p, uint16_t q, struct rte_mbuf **m, uint16_t n)
{
	struct host *h = (struct host *)p;

	MT_ASSERT(h->n_out + n <= MT_ARRAY_LEN(h->out));
	memcpy(h->out + h->n_out, m, n * sizeof(m[0]));
	h->n_out += n;
	return n;
}

static uint16_t nothing(struct mt_port *p, uint16_t q, struct rte_mbuf **m, uint16_t n)
{
	return 0;
}

static const struct mt_port_ops port_ops = {nothing, take};

static void on_connected(struct mt_stream *s)
{
	struct host *h = s->user_ctx;

	h->conns[h->n_conns++] = s;
}

static void on_readable(struct mt_stream *s)
{
	mt_chain_free(&s->rx);
	mt_stream_consumed(s);
}

static void on_nothing(struct mt_stream *s)
{
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	abort();
}

static const struct mt_stream_user user = {
	.connected = on_connected,
	.readable = on_readable,
	.eof = on_nothing,
	.writable = on_nothing,
	.closed = on_closed,
};

static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	return 0;
}

static bool on_accept(void *arg, struct mt_stream *s, int listener)
{
	struct host *h = arg;

	s->user = &user;
	s->user_ctx = h;
	h->conns[h->n_conns++] = s;
	return true;
}

static void on_neigh(void *arg, uint32_t neigh, bool ok)
{
	mt_tcp_neigh_event(((struct host *)arg)->tcp, neigh, ok);
}

static void on_icmp(
	void *arg, const struct mt_tuple *t, uint32_t seq, enum mt_net_icmp kind, uint16_t mtu)
{
	abort();
}

static const struct mt_listen_ops listen_ops = {on_lookup, on_accept};
static const struct mt_net_events events = {.neigh = on_neigh, .icmp = on_icmp};

static void make_host(int i, struct mt_pools *p)
{
	static const uint8_t secret[32] = "bench: not a secret";
	static const struct mt_tcp_conf conf = {.max_conns = 1024};
	struct host *h = &hosts[i];
	struct mt_port *port = &h->port;
	struct mt_net_addr_conf addr = {.port = 0};
	struct mt_net_conf nc = {.addrs = &addr, .n_addrs = 1};
	struct mt_err e;

	h->port = (struct mt_port){.ops = &port_ops, .mtu = 1500, .n_rxq = 1, .n_txq = 1};
	h->port.mac.addr_bytes[0] = 2;
	h->port.mac.addr_bytes[5] = (uint8_t)(i + 1);
	h->port.caps.tx_chains = true;
	h->port.caps.max_frame = 1514;
	h->port.link_up = true;
	MT_ASSERT(
		mt_prefix_parse(i ? "10.0.0.2/24" : "10.0.0.1/24", &addr.addr, &addr.prefix) == 0);
	h->net = mt_net_create(&port, 1, 1, NULL);
	MT_ASSERT(h->net && mt_net_configure(h->net, &nc, NULL, &e) == 0);
	h->netw = mt_netw_create(h->net, 0, p, &events, h, 1 + (uint64_t)i);
	h->tcp = mt_tcp_create(
		&conf, 0, &steer, h->netw, p, &listen_ops, h, secret, 11 + (uint64_t)i, now);
	MT_ASSERT(h->netw && h->tcp);
}

/* Moves packets that the other host has sent to `pkts`; returns how many. */
static uint16_t arrived(struct host *from, struct rte_mbuf **pkts, uint16_t room)
{
	uint16_t n = (uint16_t)MT_MIN(from->n_out, (uint32_t)room);

	memcpy(pkts, from->out, n * sizeof(pkts[0]));
	from->n_out -= n;
	memmove(from->out, from->out + n, from->n_out * sizeof(from->out[0]));
	return n;
}

static OPS_MEASURED uint16_t op_net_input(struct host *h, struct rte_mbuf **pkts, uint16_t n)
{
	return mt_net_input(h->netw, &h->port, pkts, n, pkts);
}

static OPS_MEASURED void op_tcp_input(struct host *h, struct rte_mbuf **pkts, uint16_t n)
{
	mt_tcp_input(h->tcp, pkts, n);
}

/* Sends segments with a header each, through lib/net into the port's queue. */
static OPS_MEASURED void op_tcp_output(struct host *h)
{
	mt_tcp_flush(h->tcp);
}

static void begin(struct host *h)
{
	mt_net_begin(h->netw, now);
	mt_tcp_begin(h->tcp, now);
}

static void rest(struct host *h)
{
	mt_net_tick(h->netw);
	mt_tcp_timers(h->tcp, 1000);
	mt_tcp_deliver(h->tcp);
}

static void quiet_turn(struct host *h, struct host *from)
{
	struct rte_mbuf *pkts[64];
	uint16_t n;

	begin(h);
	while ((n = arrived(from, pkts, 64)) > 0) {
		n = mt_net_input(h->netw, &h->port, pkts, n, pkts);
		mt_tcp_input(h->tcp, pkts, n);
	}
	rest(h);
	mt_tcp_flush(h->tcp);
	mt_net_flush(h->netw);
}

static void connect_all(struct mt_pools *p)
{
	enum mt_close_reason why;
	struct mt_addr to;

	MT_ASSERT(mt_steer_init(&steer, 1, 64) == 0);
	make_host(0, p);
	make_host(1, p);
	/* Use the same implementation on every CPU. */
	net_sum_long = net_sum_portable;
	mt_addr_parse("10.0.0.2", &to);
	for (int i = 0; i < CONNS; i++)
		MT_ASSERT(mt_stream_open(mt_tcp_transport(hosts[0].tcp),
			&(struct mt_stream_to){.remote = &to,
				.port = 80,
				.connect_ms = 5000,
				.user = &user,
				.user_ctx = &hosts[0]},
			&why));
	for (int i = 0; i < 100; i++, now += MT_MSEC) {
		quiet_turn(&hosts[0], &hosts[1]);
		quiet_turn(&hosts[1], &hosts[0]);
	}
	MT_ASSERT(hosts[0].n_conns == CONNS && hosts[1].n_conns == CONNS);
}

static void say(struct host *h, struct mt_pools *p)
{
	static const uint8_t text[SIZE];

	for (int i = 0; i < CONNS; i++) {
		struct mt_chain c = {0};

		MT_ASSERT(mt_chain_write(&c, p, text, sizeof(text)) == 0);
		mt_stream_send(h->conns[i], &c);
	}
}

/*
 * A burst of requests in, a burst of answers out; the other side does the same, but is not
 * measured.
 */
static uint32_t ping_pong(struct mt_pools *p)
{
	struct rte_mbuf *pkts[CONNS];
	struct host *us = &hosts[1];

	connect_all(p);
	for (int i = 0; i < OPS_ROUNDS; i++, now += MT_MSEC) {
		uint16_t n;

		say(&hosts[0], p);
		quiet_turn(&hosts[0], us);
		begin(us);
		n = arrived(&hosts[0], pkts, CONNS);
		MT_ASSERT(n == CONNS && hosts[0].n_out == 0);
		n = op_net_input(us, pkts, n);
		MT_ASSERT(n == CONNS);
		op_tcp_input(us, pkts, n);
		rest(us);
		say(us, p);
		op_tcp_output(us);
		mt_net_flush(us->netw);
		MT_ASSERT(us->n_out == CONNS);
	}
	return OPS_ROUNDS * CONNS;
}

uint32_t ops_net_input(struct mt_pools *p)
{
	return ping_pong(p);
}

uint32_t ops_tcp_input(struct mt_pools *p)
{
	return ping_pong(p);
}

uint32_t ops_tcp_output(struct mt_pools *p)
{
	return ping_pong(p);
}

static OPS_MEASURED void op_lookup(struct mt_tcp *t, const struct mt_tuple *tuples, uint32_t n)
{
	uint32_t hash[CONNS];

	for (uint32_t i = 0; i < n; i++) {
		hash[i] = mt_tcp_hash(t, &tuples[i]);
		mt_table_prefetch(&t->table, hash[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		mt_tcp_prefetch(t, hash[i]);
	for (uint32_t i = 0; i < n; i++)
		MT_ASSERT(mt_tcp_find(t, &tuples[i], hash[i]) != MT_TABLE_NONE);
}

uint32_t ops_lookup(struct mt_pools *p)
{
	struct mt_tuple tuples[CONNS];

	connect_all(p);
	for (int i = 0; i < CONNS; i++)
		tuples[i] = ((struct mt_tcp_conn *)hosts[1].conns[i])->tuple;
	for (int i = 0; i < OPS_ROUNDS; i++)
		op_lookup(hosts[1].tcp, tuples, CONNS);
	return OPS_ROUNDS * CONNS;
}
