/* SPDX-License-Identifier: Apache-2.0 */
/* The stack under test: made, turned, ended. */
#include "stack.h"

#include "frame.h"

#include <rte_eal.h>
#include <rte_mbuf.h>
#include <stdlib.h>
#include <string.h>

#define RX_QUEUE  512
#define TURNS_MAX 16 /* at one moment; more is a stack that never comes to rest */

struct sc_stack {
	struct mt_port port; /* first: the port's calls find the stack by it */
	struct sc_run *run;
	struct mt_steer steer;
	struct mt_net *net;
	struct mt_netw *netw;
	struct mt_tcp *tcp;
	uint64_t now, start;
	uint32_t free_pct;
	bool listening, refuse;
	uint8_t rx[RX_QUEUE][SC_FRAME_MAX];
	uint32_t rx_len[RX_QUEUE];
	uint32_t rx_head, rx_n;
};

static struct mt_pools pools; /* one for all runs; each leaves it full */
static struct sc_stack stack;

void sc_stack_boot(void)
{
	static bool done;
	char *args[] = {"tcpscript", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry",
		"--log-level=error", "-l", "0", "--no-shconf"};

	if (done)
		return;
	done = true;
	if (rte_eal_init(MT_ARRAY_LEN(args), args) < 0 || mt_buf_init() ||
		mt_pools_init(&pools, "script", 1023, 1023, MT_BUF_DATA_ROOM, SOCKET_ID_ANY))
		abort();
}

/* ---- the port ---- */

static bool payload_ok(struct sc_flow *f, const struct sc_seg *s, const uint8_t *payload)
{
	uint32_t pos = s->seq - f->iss - 1;

	for (uint32_t i = 0; i < s->len; i++)
		if (payload[i] != sc_pattern_ours(pos + i) || pos + i >= f->written)
			return false;
	return true;
}

static void sent(struct sc_stack *st, const uint8_t *f, uint32_t len)
{
	const uint8_t *payload;
	uint8_t answer[128];
	uint16_t lport;
	struct sc_flow *flow;
	const char *why;
	struct sc_seg s;
	uint32_t n;
	int rc = sc_frame_parse(f, len, &s, &lport, &payload, &why);

	if (rc < 0) {
		sc_fail(st->run, "a frame left that must not: %s", why);
		return;
	}
	if (rc == 0) {
		n = sc_frame_neighbour(f, len, answer);
		if (n)
			sc_queue_frame(st->run, answer, n);
		return;
	}
	s.at = st->now;
	flow = sc_flow(st->run, s.port);
	flow->lport = lport;
	if (s.flags & SC_SYN && !flow->iss_known) {
		flow->iss = s.seq;
		flow->iss_known = true;
	}
	s.payload_ok = payload_ok(flow, &s, payload);
	sc_log(st->run, &s);
}

static uint16_t port_tx(struct mt_port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct sc_stack *st = (struct sc_stack *)port;
	uint8_t flat[SC_FRAME_MAX];

	for (uint16_t i = 0; i < n; i++) {
		uint32_t len = pkts[i]->pkt_len;
		const void *p =
			len <= sizeof(flat) ? rte_pktmbuf_read(pkts[i], 0, len, flat) : NULL;

		if (!p)
			sc_fail(st->run, "a frame of %u bytes in broken buffers left", len);
		else if (len > port->caps.max_frame)
			sc_fail(st->run, "a frame of %u bytes left, the MTU is %u", len, port->mtu);
		else
			sent(st, p, len);
		rte_pktmbuf_free(pkts[i]);
	}
	return n;
}

static uint16_t port_rx(struct mt_port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct sc_stack *st = (struct sc_stack *)port;
	uint16_t got = 0;

	while (got < n && st->rx_n) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pools.data);
		uint32_t len = st->rx_len[st->rx_head];

		if (!m || len > rte_pktmbuf_tailroom(m)) {
			sc_fail(st->run, "no buffer for a frame of %u bytes", len);
			rte_pktmbuf_free(m);
		} else {
			memcpy(rte_pktmbuf_append(m, (uint16_t)len), st->rx[st->rx_head], len);
			pkts[got++] = m;
		}
		st->rx_head = (st->rx_head + 1) % RX_QUEUE;
		st->rx_n--;
	}
	return got;
}

void sc_queue_frame(struct sc_run *r, const uint8_t *f, uint32_t len)
{
	struct sc_stack *st = r->st;
	uint32_t at = (st->rx_head + st->rx_n) % RX_QUEUE;

	if (st->rx_n == RX_QUEUE) {
		sc_fail(r, "more than %u frames in one burst", RX_QUEUE);
		return;
	}
	memcpy(st->rx[at], f, len);
	st->rx_len[at] = len;
	st->rx_n++;
}

static const struct mt_port_ops port_ops = {.rx = port_rx, .tx = port_tx};

/* ---- events between the rooms ---- */

static void on_neigh(void *arg, uint32_t neigh, bool ok)
{
	struct sc_stack *st = arg;

	mt_tcp_neigh_event(st->tcp, neigh, ok);
}

static void on_icmp(
	void *arg, const struct mt_tuple *t, uint32_t seq, enum mt_net_icmp kind, uint16_t mtu)
{
	struct sc_stack *st = arg;

	mt_tcp_icmp_event(st->tcp, t, seq, kind, mtu);
}

static const struct mt_net_events net_events = {on_neigh, on_icmp};

/* ---- the application ---- */

static struct sc_flow *flow_of(struct mt_stream *s)
{
	struct sc_run *r = s->user_ctx;

	return sc_flow(r, mt_tcp_tuple(s)->rport);
}

static void take(struct sc_flow *f, struct mt_stream *s, uint32_t n)
{
	uint8_t bytes[2048];

	while (n > 0) {
		uint32_t part = MT_MIN(n, (uint32_t)sizeof(bytes));

		mt_chain_read(&s->rx, 0, bytes, part);
		for (uint32_t i = 0; i < part; i++)
			f->data_wrong |= bytes[i] != sc_pattern_theirs(f->read + i);
		f->read += part;
		n -= part;
		mt_stream_drop(s, part);
	}
}

static void on_connected(struct mt_stream *s)
{
	sc_event(s->user_ctx, SC_EV_CONNECTED, flow_of(s)->port, 0);
}

static void on_readable(struct mt_stream *s)
{
	struct sc_flow *f = flow_of(s);

	sc_event(s->user_ctx, SC_EV_READABLE, f->port, 0);
	if (f->reading)
		take(f, s, s->rx.len);
}

static void on_eof(struct mt_stream *s)
{
	sc_event(s->user_ctx, SC_EV_EOF, flow_of(s)->port, 0);
}

static void on_writable(struct mt_stream *s)
{
	sc_event(s->user_ctx, SC_EV_WRITABLE, flow_of(s)->port, 0);
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct sc_flow *f = flow_of(s);

	if (f->s == s)
		f->s = NULL;
	sc_event(s->user_ctx, SC_EV_CLOSED, f->port, reason);
}

static const struct mt_stream_user user = {
	on_connected, on_readable, on_eof, on_writable, NULL, on_closed};

static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	struct sc_stack *st = arg;

	return st->listening && lport == SC_LISTEN_PORT ? 0 : -1;
}

static bool on_accept(void *arg, struct mt_stream *s, int listener)
{
	struct sc_stack *st = arg;
	struct sc_flow *f;

	if (st->refuse)
		return false;
	s->user = &user;
	s->user_ctx = st->run;
	f = flow_of(s);
	f->s = s;
	sc_event(st->run, SC_EV_ACCEPT, f->port, 0);
	return true;
}

static const struct mt_tcp_listen_ops listen_ops = {on_lookup, on_accept};

bool sc_app_write(struct sc_run *r, struct sc_flow *f, uint32_t n)
{
	/* In buffers of a full segment: where a buffer nearly fills one, lib/tcp ends it there. */
	uint32_t each = MT_MIN(sc_flow_mss(r, f), 2000u);
	struct mt_chain c = {0};

	while (n > 0) {
		uint32_t part = MT_MIN(n, each);
		struct rte_mbuf *m = mt_buf_data(&pools);
		uint8_t *p;

		if (!m)
			return sc_fail(r, "no memory for what the application writes");
		p = rte_pktmbuf_mtod(m, uint8_t *);
		for (uint32_t i = 0; i < part; i++)
			p[i] = sc_pattern_ours(f->written + i);
		mt_chain_append(&c, m, m->data_off, part);
		f->written += part;
		n -= part;
	}
	mt_stream_send(f->s, &c);
	mt_stream_sendable(f->s); /* as applications do: asks, so that it is told */
	return true;
}

void sc_app_read(struct sc_run *r, struct sc_flow *f, uint32_t n)
{
	take(f, f->s, MT_MIN(n, f->s->rx.len));
}

struct mt_stream *sc_open(struct sc_run *r, struct sc_flow *f, uint32_t connect_ms)
{
	enum mt_close_reason why = MT_CLOSE_OK;
	struct mt_addr remote;

	mt_addr_parse(r->v.v6 ? "fd00::2" : "10.0.0.2", &remote);
	mt_net_begin(r->st->netw, r->st->now);
	mt_tcp_begin(r->st->tcp, r->st->now);
	f->s = mt_tcp_open(r->st->tcp, &remote, f->port, NULL, connect_ms, &user, r, 0, &why);
	if (!f->s)
		sc_event(r, SC_EV_CLOSED, f->port, why);
	else
		f->lport = mt_tcp_tuple(f->s)->lport;
	return f->s;
}

/* ---- life ---- */

static bool configure(struct sc_run *r)
{
	struct mt_net_addr_conf addrs[2] = {{.prefix = 24}, {.prefix = 64}};
	struct mt_net_conf conf = {.addrs = addrs, .n_addrs = 2};
	struct mt_err e = {{0}};

	mt_addr_parse("10.0.0.1", &addrs[0].addr);
	mt_addr_parse("fd00::1", &addrs[1].addr);
	if (mt_net_configure(r->st->net, &conf, NULL, &e))
		return sc_fail(r, "lib/net: %s", e.text);
	return true;
}

static void init_port(struct sc_stack *st, uint16_t mtu)
{
	st->port.ops = &port_ops;
	st->port.mtu = mtu;
	st->port.n_rxq = st->port.n_txq = 1;
	st->port.link_up = true;
	st->port.caps = (struct mt_port_caps){
		.tx_chains = true, .tx_min_len = 60, .max_frame = (uint16_t)(mtu + 14)};
	memcpy(st->port.mac.addr_bytes, sc_our_mac, 6);
	snprintf(st->port.name, sizeof(st->port.name), "script");
}

bool sc_stack_up(struct sc_run *r, const struct mt_tcp_conf *conf, uint16_t mtu, uint64_t now)
{
	static const uint8_t secret[32] = "a secret that everybody knows...";
	struct mt_port *ports[1] = {&stack.port};
	uint8_t hello[128];
	struct sc_stack *st = &stack;

	memset(st, 0, offsetof(struct sc_stack, rx));
	st->rx_head = st->rx_n = 0;
	st->run = r;
	r->st = st;
	st->now = st->start = now;
	st->free_pct = 100;
	init_port(st, mtu);
	if (mt_steer_init(&st->steer, 1, 64))
		return sc_fail(r, "no memory for the stack");
	st->net = mt_net_create(ports, 1, 1, &st->steer);
	if (!st->net || !configure(r))
		return sc_fail(r, "no memory for the stack");
	st->netw = mt_netw_create(st->net, 0, &pools, &net_events, st, 7);
	st->tcp = mt_tcp_create(
		conf, 0, &st->steer, st->netw, &pools, &listen_ops, st, secret, 1, now);
	if (!st->netw || !st->tcp)
		return sc_fail(r, "no memory for the stack");
	sc_queue_frame(r, hello, sc_frame_hello(hello, r->v.v6));
	sc_turn(r);
	return !r->failed;
}

void sc_stack_down(struct sc_run *r)
{
	struct sc_stack *st = r->st;

	if (!st)
		return;
	if (st->tcp)
		mt_tcp_destroy(st->tcp);
	if (st->netw)
		mt_netw_destroy(st->netw);
	if (st->net)
		mt_net_destroy(st->net);
	mt_steer_fini(&st->steer);
	r->st = NULL;
	mt_pools_sample(&pools);
	if (pools.data_free != pools.data_total || pools.ctrl_free != pools.ctrl_total)
		sc_fail(r, "the stack ended and %u data and %u control buffers did not come back",
			pools.data_total - pools.data_free, pools.ctrl_total - pools.ctrl_free);
}

/* ---- time ---- */

static void turn_once(struct sc_stack *st)
{
	struct rte_mbuf *pkts[32];
	uint16_t n;

	mt_net_begin(st->netw, st->now);
	mt_tcp_begin(st->tcp, st->now);
	while ((n = port_rx(&st->port, 0, pkts, MT_ARRAY_LEN(pkts)))) {
		n = mt_net_input(st->netw, &st->port, pkts, n, pkts);
		mt_tcp_input(st->tcp, pkts, n);
	}
	mt_net_tick(st->netw);
	mt_tcp_timers(st->tcp, UINT32_MAX);
	mt_tcp_deliver(st->tcp);
	mt_tcp_flush(st->tcp);
	mt_net_flush(st->netw);
	mt_tcp_pressure(st->tcp, st->free_pct);
}

static uint64_t next_of(const struct sc_stack *st)
{
	return MT_MIN(mt_tcp_next(st->tcp), mt_net_next(st->netw));
}

/* Turns until nothing is due at this moment. */
void sc_turn(struct sc_run *r)
{
	struct sc_stack *st = r->st;
	uint32_t n = 0;

	do {
		turn_once(st);
	} while (!r->failed && (st->rx_n || next_of(st) <= st->now) && ++n < TURNS_MAX);
}

void sc_pass(struct sc_run *r, uint64_t end, bool stop)
{
	struct sc_stack *st = r->st;

	while (st->now < end && !r->failed) {
		st->now = MT_MIN(end, MT_MAX(next_of(st), st->now + MT_MSEC));
		sc_turn(r);
		if (stop && r->n_seen < r->n_log)
			return;
	}
}

/* ---- looking ---- */

struct mt_tcp *sc_tcp(struct sc_run *r)
{
	return r->st->tcp;
}

uint64_t sc_now(const struct sc_run *r)
{
	return r->st->now;
}

uint64_t sc_elapsed(const struct sc_run *r)
{
	return r->st ? r->st->now - r->st->start : 0;
}

uint16_t sc_mtu(const struct sc_run *r)
{
	return r->st->port.mtu;
}

void sc_listening(struct sc_run *r, bool on, bool refuse)
{
	r->st->listening = on;
	r->st->refuse = refuse;
}

void sc_pressure(struct sc_run *r, uint32_t free_pct)
{
	r->st->free_pct = free_pct;
	sc_turn(r);
}

static uint64_t find_counter(
	const struct mt_outcome_set *set, const uint64_t *counters, const char *name)
{
	for (uint32_t i = 0; i < set->n; i++)
		if (sc_is(set->rows[i].name, name))
			return mt_count_read(&counters[i]);
	return UINT64_MAX;
}

uint64_t sc_counter(struct sc_run *r, const char *name)
{
	if (strncmp(name, "net.", 4) == 0)
		return find_counter(&mt_net_outcomes, mt_net_counters(r->st->netw), name + 4);
	return find_counter(&mt_tcp_outcomes, mt_tcp_counters(r->st->tcp), name);
}

bool sc_info(struct sc_run *r, const struct sc_flow *f, struct mt_tcp_info *info)
{
	uint32_t idx = 0;

	while (mt_tcp_info_next(r->st->tcp, &idx, info))
		if (info->tuple.rport == f->port && !sc_is(info->state, "closed"))
			return true;
	return false;
}

const char *sc_state(struct sc_run *r, const struct sc_flow *f)
{
	static struct mt_tcp_info info;
	uint32_t conns, half, tw;

	if (sc_info(r, f, &info))
		return info.state;
	mt_tcp_counts(r->st->tcp, &conns, &half, &tw);
	return tw ? "time-wait" : half ? "syn-received" : "closed";
}
