/* SPDX-License-Identifier: Apache-2.0 */
/* The stack under test: made, turned, ended. */
#include "stack_priv.h"

#include "../eal_unpinned.h"
#include "../outcomes_seen.h"

#include "frame.h"

#include <stdlib.h>
#include <string.h>

#define TURNS_MAX 16 /* at one moment; more is a stack that never comes to rest */

struct mt_pools sc_pools;
static struct sc_stack stack;

static void free_pools(void)
{
	mt_pools_fini(&sc_pools);
}

void sc_stack_boot(void)
{
	static bool done;
	char *args[] = {"tcpscript", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry",
		"--log-level=error", "-l", "0", "--no-shconf"};

	if (done)
		return;
	done = true;
	if (eal_init_unpinned(MT_ARRAY_LEN(args), args) < 0 || mt_buf_init() ||
		mt_pools_init(&sc_pools, "script", 1023, 1023, MT_BUF_DATA_ROOM, SOCKET_ID_ANY))
		abort();
	atexit(free_pools);
}

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

static const struct mt_net_events net_events = {.neigh = on_neigh, .icmp = on_icmp};

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
	st->port.ops = &sc_port_ops;
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
	st->netw = mt_netw_create(st->net, 0, &sc_pools, &net_events, st, 7);
	st->tcp = mt_tcp_create(
		conf, 0, &st->steer, st->netw, &sc_pools, &sc_listen_ops, st, secret, 1, now);
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
	if (st->tcp) {
		outcomes_seen(&mt_tcp_outcomes, mt_tcp_counters(st->tcp));
		mt_tcp_destroy(st->tcp);
	}
	if (st->netw) {
		outcomes_seen(&mt_net_outcomes, mt_net_counters(st->netw));
		mt_netw_destroy(st->netw);
	}
	if (st->net)
		mt_net_destroy(st->net);
	mt_steer_fini(&st->steer);
	r->st = NULL;
	mt_pools_sample(&sc_pools);
	if (sc_pools.data_free != sc_pools.data_total || sc_pools.ctrl_free != sc_pools.ctrl_total)
		sc_fail(r, "the stack ended and %u data and %u control buffers did not come back",
			sc_pools.data_total - sc_pools.data_free,
			sc_pools.ctrl_total - sc_pools.ctrl_free);
}

/* ---- time ---- */

static void turn_once(struct sc_stack *st)
{
	struct rte_mbuf *pkts[32];
	uint16_t n;

	mt_net_begin(st->netw, st->now);
	mt_tcp_begin(st->tcp, st->now);
	while ((n = sc_port_ops.rx(&st->port, 0, pkts, MT_ARRAY_LEN(pkts)))) {
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

void sc_neighbour(struct sc_run *r, bool answers)
{
	r->st->deaf = !answers;
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
