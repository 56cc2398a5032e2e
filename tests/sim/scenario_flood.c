/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flood of SYNs from addresses that nobody has, and a pool that runs empty for a while: the calls of others go on, and go
 * on as before when it is over.
 */
#include "link.h"
#include "pool_sim.h"
#include "scenario.h"
#include "world.h"

#include <string.h>

static void add_clients(struct world *w, uint32_t n, uint32_t calls, uint64_t pace, uint64_t apart)
{
	w->rpc.n_clients = n;
	for (uint32_t i = 0; i < n; i++)
		w->rpc.client[i] = (struct rpc_client){
			.set = &w->rpc,
			.dialect = w->rpc.protocol.dialects,
			.no = i,
			.host = world_client(w, i),
			.to = w->mesh.host.addr4,
			.port = WORLD_PORT,
			.calls = calls,
			.window = 8,
			.pace = pace,
			.start = w->sim->now + i * apart,
			.mix = {.req_max = 200, .rep_max = 300},
		};
}

/* ---- SYNs ---- */

#define SYNS	 30000
#define SYN_PACE (50 * MT_USEC)
#define COOKIES	 (SYNS / 2) /* the node remembers far fewer handshakes */

static uint64_t tcp_counted(const struct world *w, enum mt_tcp_outcome o)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < w->mesh.workers; i++)
		n += mt_tcp_counters(mt_worker_tcp(w->mesh.w[i]))[o];
	return n;
}

/* From the node's own network, where no host is asked for: of 64 addresses that nobody has. */
static struct sim_frame *syn(struct world *w, struct mt_tuple *t)
{
	static const uint8_t eth[14] = {2, 0, 0, 0, 0, 10, 2, 9, 9, 9, 9, 9, 8, 0};
	struct sim_frame *f = sim_frame_new();
	uint8_t *b = f->data, *ip = b + 14, *tcp = ip + 20;
	struct sim_pkt p;

	t->local = t->remote = w->mesh.host.addr4;
	t->remote.b[15] = (uint8_t)(128 + sim_below(&w->sim->net_rand, 64));
	t->lport = WORLD_PORT;
	t->rport = (uint16_t)(1024 + sim_below(&w->sim->net_rand, 60000));
	memset(b, 0, 58);
	memcpy(b, eth, sizeof(eth));
	ip[0] = 0x45;
	ip[3] = 44;
	ip[8] = 64;
	ip[9] = 6;
	memcpy(ip + 12, t->remote.b + 12, 4);
	memcpy(ip + 16, t->local.b + 12, 4);
	sim_put16(tcp, t->rport);
	sim_put16(tcp + 2, t->lport);
	sim_put32(tcp + 4, (uint32_t)mt_rand_u64(&w->sim->net_rand));
	tcp[12] = 6 << 4;
	tcp[13] = SIM_SYN;
	sim_put16(tcp + 14, 65535);
	memcpy(tcp + 20, (const uint8_t[]){2, 4, 5, 0xb4}, 4);
	f->len = 58;
	if (sim_parse(b, f->len, &p))
		sim_fix_cksums(&p);
	return f;
}

static void flood(struct sim *s, void *arg, uint64_t left)
{
	struct world *w = arg;
	struct mt_tuple t;
	struct sim_frame *f = syn(w, &t);

	sim_port_inject(&w->mesh.port, &t, f);
	if (left > 1)
		sim_at(s, s->now + SYN_PACE, flood, w, left - 1);
	else if (tcp_counted(w, MT_TCP_cookies_sent) < COOKIES)
		sim_fail(s, "harness: no flood: %llu cookies",
			(unsigned long long)tcp_counted(w, MT_TCP_cookies_sent));
	else if (tcp_counted(w, MT_TCP_cookies_good) == 0)
		sim_fail(s, "nobody got in by a cookie");
}

static void run_syn_flood(struct sim *s)
{
	struct world *w = world_new_rpc(s, 0, WANT_ANY);

	world_go(w);
	for (uint32_t i = 0; i < w->net.n; i++)
		w->net.nics[i]->wire = (struct sim_wire){.delay = 50 * MT_USEC};
	/* One after the other, so that most of them come in the middle of the flood. */
	add_clients(w, 6, 60, 20 * MT_MSEC, 200 * MT_MSEC);
	world_servers(w);
	for (uint32_t i = 0; i < w->rpc.n_servers; i++)
		w->rpc.server[i].heartbeats = 0;
	sim_at(s, s->now + 100 * MT_MSEC, flood, w, SYNS);
	world_calls(w);
}

/* ---- an empty pool ---- */

#define SQUEEZE_AT  (1 * MT_SEC)
#define SQUEEZE_FOR (500 * MT_MSEC)
#define RECOVERED   (1 * MT_SEC) /* after the end of it */

struct squeezed {
	struct world *w;
	uint64_t well_at; /* calls from here on are answered as ever */
	uint32_t well;
};

static void relieve(struct sim *s, void *arg, uint64_t n)
{
	struct world *w = arg;

	for (uint32_t i = 0; i < w->mesh.workers; i++)
		sim_pools_relieve(w->mesh.pools[i]);
}

static void squeeze(struct sim *s, void *arg, uint64_t leave)
{
	struct world *w = arg;

	for (uint32_t i = 0; i < w->mesh.workers; i++)
		sim_pools_squeeze(w->mesh.pools[i], (uint32_t)leave);
	sim_at(s, s->now + SQUEEZE_FOR, relieve, w, 0);
}

static void ended(
	void *arg, const struct rpc_client *from, const struct rpc_call *call, enum rpc_end how)
{
	struct squeezed *q = arg;

	if (call->at < q->well_at)
		return;
	q->well += how == RPC_OK;
	if (how == RPC_NATIVE)
		sim_fail(q->w->sim, "a call is refused %llu ms after the pool was full again",
			(unsigned long long)((call->at - q->well_at + RECOVERED) / MT_MSEC));
}

static void run_pool_empty(struct sim *s)
{
	struct world *w = world_new_rpc(s, 0, WANT_ANY);
	struct squeezed q = {.w = w};

	w->rpc.may_native = (1u << MT_REPLY_N) - 1;
	w->rpc.answered = ended;
	w->rpc.answered_arg = &q;
	world_go(w);
	for (uint32_t i = 0; i < w->net.n; i++)
		w->net.nics[i]->wire = (struct sim_wire){.delay = 50 * MT_USEC};
	w->mesh.port.hold = MT_MIN(w->mesh.port.hold, 16u);
	add_clients(w, 4, 500, 10 * MT_MSEC, 0);
	for (uint32_t i = 0; i < w->rpc.n_clients; i++)
		w->rpc.client[i].may_lose = true;
	world_servers(w);
	for (uint32_t i = 0; i < w->rpc.n_servers; i++)
		w->rpc.server[i].heartbeats = 0;
	q.well_at = s->now + SQUEEZE_AT + SQUEEZE_FOR + RECOVERED;
	sim_at(s, s->now + SQUEEZE_AT, squeeze, w, sim_below(&s->plan, 3));
	world_calls(w);
	/* That somebody wanted a buffer while there was none is a floor over all seeds (report.c), not of each. */
	if (!s->failed && q.well < 400)
		sim_fail(s, "%u calls were answered after the pool was full again", q.well);
}

const struct sim_scenario scenario_syn_flood = {
	.name = "syn_flood",
	.words = "SYNs from addresses that nobody has, beside calls",
	.weight = 1,
	.run = run_syn_flood,
	.min_exchanges = 300,
	.min_connections = 6,
};

const struct sim_scenario scenario_pool_empty = {
	.name = "pool_empty",
	.words = "no buffers for half a second",
	.weight = 1,
	.run = run_pool_empty,
	.min_exchanges = 1000,
	.min_connections = 4,
};
