/* SPDX-License-Identifier: Apache-2.0 */
/* The own stack's host: building, turning, ending. */
#include "own.h"
#include "../outcomes_seen.h"

#include "cells.h"
#include "mt_tcp_priv.h"
#include "refs.h"

#include <string.h>

#define BURST 32

static void on_neigh(void *arg, uint32_t neigh, bool ok)
{
	struct own_worker *w = arg;

	mt_tcp_neigh_event(w->tcp, neigh, ok);
}

static void on_icmp(
	void *arg, const struct mt_tuple *t, uint32_t seq, enum mt_net_icmp kind, uint16_t mtu)
{
	struct own_worker *w = arg;

	mt_tcp_icmp_event(w->tcp, t, seq, kind, mtu);
}

static const struct mt_net_events net_events = {.neigh = on_neigh, .icmp = on_icmp};

/* Packets that this worker owns stay; the others go to their owners. */
static uint16_t split(struct own_worker *w, struct rte_mbuf **pkts, uint16_t n)
{
	struct own *o = w->own;
	uint16_t own = 0;

	if (o->workers == 1)
		return n;
	for (uint16_t i = 0; i < n; i++) {
		uint16_t to = mt_steer_owner_of_hash(&o->steer, pkts[i]->hash.rss);

		if (to == w->index)
			pkts[own++] = pkts[i];
		else if (mt_steer_push(&o->steer, w->index, to, &pkts[i], 1) == 0)
			rte_pktmbuf_free(pkts[i]);
	}
	return own;
}

static uint32_t receive(struct own_worker *w)
{
	struct mt_port *p = &w->own->port.port;
	struct rte_mbuf *pkts[BURST];
	uint16_t n = p->ops->rx(p, w->index, pkts, BURST), tcp;

	if (!n)
		return 0;
	tcp = mt_net_input(w->net, p, pkts, n, pkts);
	tcp = split(w, pkts, tcp);
	if (tcp)
		mt_tcp_input(w->tcp, pkts, tcp);
	return n;
}

static uint32_t handed(struct own_worker *w)
{
	struct rte_mbuf *pkts[BURST];
	uint16_t n, tcp;

	if (w->own->workers == 1)
		return 0;
	n = mt_steer_pop(&w->own->steer, w->index, &w->pop_next, pkts, BURST);
	if (!n)
		return 0;
	tcp = mt_net_input_handed(w->net, pkts, n, pkts);
	if (tcp)
		mt_tcp_input(w->tcp, pkts, tcp);
	return n;
}

static uint32_t turn_one(struct sim *s, struct own_worker *w, uint64_t now)
{
	const char *wrong;
	uint32_t work;

	mt_net_begin(w->net, now);
	mt_tcp_begin(w->tcp, now);
	if (w->layer)
		w->layer->ops->turn(w->layer);
	work = receive(w);
	work += handed(w);
	mt_net_tick(w->net);
	work += mt_tcp_timers(w->tcp, 64);
	mt_tcp_deliver(w->tcp);
	mt_tcp_flush(w->tcp);
	mt_net_flush(w->net);
	mt_pools_sample(w->pools);
	mt_tcp_pressure(w->tcp, mt_pools_free_pct(w->pools));
	wrong = mt_tcp_ledger_wrong(w->tcp);
	if (wrong)
		sim_fail(s, "the ledger is not what connections hold: %s", wrong);
	layer_check(w->layer);
	return work;
}

static uint64_t next_of(const struct own *o)
{
	uint64_t next = MT_NEVER;

	for (uint32_t i = 0; i < o->workers; i++) {
		next = MT_MIN(next, mt_tcp_next(o->w[i].tcp));
		next = MT_MIN(next, mt_net_next(o->w[i].net));
		next = MT_MIN(next, layer_next(o->w[i].layer));
	}
	return next;
}

static void turn(struct sim *s, void *arg, uint64_t n)
{
	struct own *o = arg;
	uint32_t first = sim_below(&s->host_rand, o->workers), work = 0;
	uint64_t next;

	if (o->dead || o->turn_at > s->now)
		return;
	o->turn_at = MT_NEVER;
	s->st.turns++;
	for (uint32_t i = 0; i < o->workers && !s->failed; i++)
		work += turn_one(s, &o->w[(first + i) % o->workers], s->now);
	sim_refs_check(s);
	next = next_of(o);
	if (work || sim_port_rx_pending(&o->port))
		next = s->now;
	if (next != MT_NEVER)
		own_kick(o, MT_MAX(next, s->now + sim_between(&s->host_rand, 1, 8) * MT_USEC));
}

void own_kick(struct own *o, uint64_t at)
{
	if (at >= o->turn_at)
		return;
	o->turn_at = at;
	sim_at(o->sim, at, turn, o, 0);
}

static void rx_kick(void *arg)
{
	struct own *o = arg;

	own_kick(o, o->sim->now + sim_between(&o->sim->host_rand, 0, 4) * MT_USEC);
}

/* For the table of cells: which state a segment that will be dropped was for. */
static void bad_sum(void *arg, const struct sim_pkt *k)
{
	struct mt_tuple tuple = {
		.local = k->dst, .remote = k->src, .lport = k->dport, .rport = k->sport};
	struct own *o = arg;

	for (uint32_t i = 0; i < o->workers; i++) {
		struct mt_tcp *t = o->w[i].tcp;
		uint32_t val = mt_tcp_find(t, &tuple, mt_tcp_hash(t, &tuple)), idx;

		if (val == MT_TABLE_NONE)
			continue;
		idx = mt_tcp_val_idx(val);
		if (mt_tcp_val_kind(val) != MT_TCP_KIND_CONN)
			sim_cell(mt_tcp_val_kind(val) == MT_TCP_KIND_HALF ? MT_TCP_HALF_OPEN
									  : MT_TCP_TIME_WAIT,
				CELL_BAD_SUM);
		else
			sim_cell(((struct mt_tcp_conn *)mt_slab_at(&t->conns, idx))->state,
				CELL_BAD_SUM);
	}
}

static void configure(struct own *o)
{
	struct mt_net_addr_conf addrs[2] = {{o->host.addr4, 24, 0}, {o->host.addr6, 64, 0}};
	struct mt_net_conf conf = {.addrs = addrs, .n_addrs = 2};
	struct mt_err e = {{0}};

	if (mt_net_configure(o->net, &conf, NULL, &e) != 0)
		sim_fail(o->sim, "harness: net: %s", e.text);
}

static void make_worker(struct own *o, uint32_t i, uint32_t slot, const struct mt_tcp_conf *conf)
{
	static const uint8_t secret[32] = "the simulator keeps no secrets.";
	struct own_worker *w = &o->w[i];
	uint64_t seed = mt_rand_u64(&o->sim->host_rand);

	w->own = o;
	w->index = (uint16_t)i;
	w->pop_next = 0;
	w->layer = NULL;
	w->pools = sim_pools_get(o->sim, slot + i);
	o->port.pools[i] = w->pools;
	w->net = mt_netw_create(o->net, w->index, w->pools, &net_events, w, seed);
	w->tcp = mt_tcp_create(conf, w->index, &o->steer, w->net, w->pools, &own_listen_ops, w,
		secret, seed ^ 1, o->sim->now);
	if (!w->net || !w->tcp)
		sim_fail(o->sim, "harness: no memory for a worker");
	mt_net_begin(w->net, o->sim->now);
	mt_tcp_begin(w->tcp, o->sim->now);
	sim_refs_stack(w->pools, w->tcp, w->net, NULL);
}

void own_init(struct own *o, struct sim *s, const char *name, uint8_t number, uint32_t workers,
	uint32_t slot, const struct mt_tcp_conf *conf)
{
	struct mt_port *ports[1] = {&o->port.port};

	memset(&o->host, 0, sizeof(o->host));
	memset(o->socks, 0, sizeof(o->socks));
	o->sim = s;
	o->host.ops = &own_host_ops;
	o->host.sim = s;
	o->host.name = name;
	o->host.impl = o;
	o->workers = workers;
	o->turn_at = MT_NEVER;
	o->n_listen = 0;
	o->dead = o->raw = false;
	sim_host_addrs(number, &o->host.addr4, &o->host.addr6);
	if (mt_steer_init(&o->steer, (uint16_t)workers, 256) != 0)
		sim_fail(s, "harness: steer");
	sim_port_init(&o->port, s, name, number, workers, &o->steer);
	sim_refs_port(&o->port, &o->steer);
	o->port.kick = rx_kick;
	o->port.kick_arg = o;
	o->port.bad_sum = bad_sum;
	o->net = mt_net_create(ports, 1, (uint16_t)workers, &o->steer);
	configure(o);
	for (uint32_t i = 0; i < workers; i++)
		make_worker(o, i, slot, conf);
	own_kick(o, s->now);
}

void own_layer(struct own *o, enum layer_kind kind)
{
	for (uint32_t i = 0; i < o->workers; i++) {
		struct own_worker *w = &o->w[i];

		w->layer = layer_new(kind, o->sim, o->host.name, w->pools, w->tcp);
		layer_listen(w->layer, w->tcp);
	}
}

void own_conf_draw(struct mt_tcp_conf *c, struct mt_rand *r)
{
	*c = (struct mt_tcp_conf){
		.max_conns = 256,
		.max_half_open = sim_one_in(r, 4) ? 2 : 64,
		.max_time_wait = sim_one_in(r, 4) ? 4 : 256,
		.time_wait_ms = 2000,
		.rx_window_init = sim_one_in(r, 3) ? 8192 : 0,
		.rx_window_max = sim_one_in(r, 3) ? 32768 : 262144,
		.tx_high = sim_one_in(r, 3) ? 16384 : 131072,
		.connect_ms = 8000,
		.delack_ms = sim_one_in(r, 3) ? 5 : 0,
		.cc_newreno = sim_one_in(r, 2),
		.cookies_always = sim_one_in(r, 6),
		.slow_path_only = sim_one_in(r, 8),
		/* Resets get lost: what nobody else ends must end within the run. */
		.keepalive_idle_s = sim_one_in(r, 4) ? 1 + sim_below(r, 5) : 60,
		.ecn = (uint8_t)sim_below(r, 3),
	};
}

uint32_t own_live(const struct own *o)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < o->workers; i++) {
		uint32_t conns, half, tw;

		mt_tcp_counts(o->w[i].tcp, &conns, &half, &tw);
		sum += conns + half + tw;
	}
	return sum;
}

static void trace_connections(struct own *o, uint32_t worker)
{
	struct mt_tcp_info info;
	uint32_t idx = 0;

	while (mt_tcp_info_next(o->w[worker].tcp, &idx, &info))
		sim_trace(o->sim,
			"%s worker %u conn %u>%u %s rx %u tx %u ooo %u snd_wnd %u rcv_wnd %u "
			"retransmits %u",
			o->host.name, worker, info.tuple.lport, info.tuple.rport, info.state,
			info.rx_bytes, info.tx_bytes, info.ooo_bytes, info.snd_wnd, info.rcv_wnd,
			info.retransmits);
}

static void check_empty(struct own *o)
{
	for (uint32_t i = 0; i < o->workers; i++) {
		uint32_t conns, half, tw;

		mt_tcp_counts(o->w[i].tcp, &conns, &half, &tw);
		if (conns + half + tw) {
			trace_connections(o, i);
			sim_fail(o->sim,
				"%s worker %u: %u connections, %u half-open, %u TIME-WAIT left",
				o->host.name, i, conns, half, tw);
		} else if (mt_tcp_next(o->w[i].tcp) != MT_NEVER) {
			sim_fail(o->sim, "%s worker %u: a timer is left", o->host.name, i);
		} else {
			sim_refs_none(o->sim, o->w[i].tcp, o->host.name);
		}
	}
}

void own_fini(struct own *o)
{
	struct sim *s = o->sim;

	if (!s->failed)
		check_empty(o);
	for (uint32_t i = 0; i < o->workers; i++) {
		layer_end(o->w[i].layer);
		outcomes_seen(&mt_tcp_outcomes, mt_tcp_counters(o->w[i].tcp));
		outcomes_seen(&mt_net_outcomes, mt_net_counters(o->w[i].net));
		mt_tcp_destroy(o->w[i].tcp);
		mt_netw_destroy(o->w[i].net);
	}
	mt_net_destroy(o->net);
	sim_port_fini(&o->port);
	mt_steer_fini(&o->steer);
	for (uint32_t i = 0; i < OWN_SOCKS; i++)
		free(o->socks[i].left);
}

void own_check_pools(struct own *o)
{
	for (uint32_t i = 0; i < o->workers; i++)
		sim_pools_check(o->sim, o->w[i].pools, o->host.name);
}
