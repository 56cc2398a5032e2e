/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers that close connections which were idle for 1 to 10 s, under calls that come about as long after the last ones, so
 * that they cross the FINs; and servers whose programs restart. What no server's machine has acknowledged is sent again: of such calls
 * none fails. What lies in a machine's queue when its program closes the connection is lost, and nobody can know from outside: it is
 * counted, and rare. No call runs twice, and nine in ten of them find a connection that is open. One in ten is one-way: of them
 * each comes to a server, too.
 */
#include "scenario.h"
#include "world.h"

#define CALLS	      10000
#define AT_ONCE	      4
#define BURST	      150 /* calls, then a rest */
#define ONE_WAY_PPM   100000
#define PACE	      MT_MSEC
#define EXECUTES      (2 * MT_MSEC) /* at most; a restart may find a call that has begun */
#define RESTART_EVERY 100	    /* calls, while others are under way */
#define UNREAD_PPM    1000	    /* of the calls: acknowledged, and not read */
#define FRESH_PCT     10	    /* of the calls: connections that were opened */
#define LOOKS	      100000	    /* ns: as late a server looks at most */

struct idle {
	struct world *w;
	bool restarts;
	uint64_t limit[WORLD_SERVERS];
	uint32_t ok, executed, unread; /* executed, unread: of those that failed */
	uint32_t oneway;
};

/* One of them. */
static void restart(struct sim *s, void *arg, uint64_t n)
{
	struct idle *q = arg;
	uint32_t which = sim_below(&s->host_rand, WORLD_SERVERS);

	sim_trace(s, "server %u restarts", which);
	rpc_server_restart(&q->w->rpc.server[which]);
}

static void answered(
	void *arg, const struct rpc_client *c, const struct rpc_call *call, enum rpc_end how)
{
	struct idle *q = arg;
	struct sim *s = q->w->sim;

	if (how == RPC_OK) {
		if (++q->ok % RESTART_EVERY == 0 && q->restarts)
			sim_at(s, s->now + sim_below(&s->host_rand, 10000) * MT_USEC, restart, q,
				0);
	} else if (c->seen[call->no]) {
		q->executed++;
	} else if (c->came[call->no]) {
		q->unread++;
	} else {
		sim_fail(s, "call %u failed, and never came to a server", call->no);
	}
}

/* Nobody is told what became of them. */
static void judge_oneway(struct idle *q)
{
	const struct rpc_client *c = &q->w->rpc.client[0];
	struct sim *s = q->w->sim;
	uint32_t unread = 0;

	for (uint32_t i = 0; i < CALLS; i++) {
		if (c->ended_how[i] != 1 + RPC_ONEWAY)
			continue;
		if (!c->seen[i] && !c->came[i])
			sim_fail(s, "one-way call %u never came to a server", i);
		q->oneway += c->seen[i];
		unread += !c->seen[i];
	}
	if ((uint64_t)q->oneway * 1000000 < (uint64_t)CALLS * ONE_WAY_PPM / 2)
		sim_fail(s, "harness: %u one-way calls", q->oneway);
	q->unread += unread;
}

static void judge(struct idle *q)
{
	struct sim *s = q->w->sim;
	uint64_t repeated = mesh_counter(&q->w->mesh, MT_PROXY_exchange_transparent_retry);
	uint32_t opened = 0;

	for (uint32_t i = 0; i < WORLD_SERVERS; i++)
		opened += q->w->rpc.server[i].n_conns;
	judge_oneway(q);
	sim_trace(s,
		"idle: %u of %u answered, %u one-way, on %u connections, %llu sent again, %u lost "
		"unread, %u executed and not answered",
		q->ok, CALLS, q->oneway, opened, (unsigned long long)repeated, q->unread,
		q->executed);
	if (q->ok + q->oneway + q->unread + q->executed != CALLS)
		sim_fail(s, "%u of %u calls have ended",
			q->ok + q->oneway + q->unread + q->executed, CALLS);
	if ((uint64_t)opened * 100 > (uint64_t)CALLS * FRESH_PCT)
		sim_fail(s, "%u connections for %u calls", opened, CALLS);
	if ((uint64_t)q->unread * 1000000 > (uint64_t)CALLS * UNREAD_PPM)
		sim_fail(s, "%u calls were acknowledged and not read", q->unread);
	if (q->executed && !q->restarts)
		sim_fail(s, "%u calls were executed and not answered", q->executed);
	if (q->restarts && repeated < CALLS / RESTART_EVERY / 20)
		sim_fail(s, "harness: %llu calls crossed the ends of connections",
			(unsigned long long)repeated);
	if (!q->restarts && opened < 2 * WORLD_SERVERS)
		sim_fail(s, "harness: no connection was closed");
}

static void add_client(struct idle *q, uint64_t wire)
{
	struct world *w = q->w;

	w->rpc.n_clients = 1;
	w->rpc.client[0] = (struct rpc_client){
		.set = &w->rpc,
		.dialect = w->rpc.protocol.dialects,
		.host = world_client(w, 0),
		.to = w->mesh.host.addr4,
		.port = WORLD_PORT,
		.start = w->sim->now,
		.calls = CALLS,
		.window = AT_ONCE,
		.pace = PACE,
		.rest_every = BURST,
		.rests = q->limit,
		.n_rests = WORLD_SERVERS,
		.rest_slack = wire,
		.mix = {.oneway = ONE_WAY_PPM,
			.req_max = 200,
			.rep_max = 200,
			.delay_max = q->restarts ? EXECUTES : 0},
	};
}

static void run(struct sim *s, enum protocol_want want, bool restarts)
{
	uint64_t wire = sim_between(&s->plan, 200, 10000) * MT_USEC;
	struct idle q = {.restarts = restarts};
	struct world *w;

	s->workers = 1;
	world_peers();
	q.w = w = world_new_rpc(s, 0, want);
	w->proxy.up_idle_s = 60;
	w->rpc.may_native = 1u << MT_REPLY_CONN_LOST;
	w->rpc.native_max = CALLS;
	w->rpc.answered = answered;
	w->rpc.answered_arg = &q;
	world_go(w);
	world_brisk(w);
	for (uint32_t i = 0; i < w->net.n; i++)
		w->net.nics[i]->wire = (struct sim_wire){.delay = wire / 2, .jitter = wire / 20};
	for (uint32_t i = 0; i < WORLD_SERVERS; i++)
		w->h[WORLD_CLIENTS + i].peer.conduct.closes = true;
	world_servers(w);
	for (uint32_t i = 0; i < WORLD_SERVERS; i++) {
		struct rpc_server *v = &w->rpc.server[i];

		q.limit[i] = sim_between(&s->plan, 1000, 10000) * MT_MSEC;
		v->idle_ns = q.limit[i];
		v->look_ns = sim_between(&s->plan, 0, LOOKS);
		v->heartbeats = 0;
	}
	add_client(&q, wire);
	world_run_calls(w);
	if (!s->failed)
		judge(&q);
	world_end(w);
}

#define IDLE(id, want, restarts, say)                                                              \
	static void run_##id(struct sim *s)                                                        \
	{                                                                                          \
		run(s, want, restarts);                                                            \
	}                                                                                          \
	const struct sim_scenario scenario_##id = {                                                \
		.name = #id,                                                                       \
		.words = say,                                                                      \
		.weight = 0,                                                                       \
		.run = run_##id,                                                                   \
		.min_exchanges = CALLS - CALLS / 100,                                              \
		.min_connections = 4,                                                              \
		.most_events = 5000000,                                                            \
	}

IDLE(idle_dubbo, WANT_DUBBO, false, "calls that cross the ends of idle connections, Dubbo");
IDLE(idle_thrift, WANT_THRIFT, false, "the same, Thrift");
IDLE(restart_dubbo, WANT_DUBBO, true, "the same with servers that restart, Dubbo");
IDLE(restart_thrift, WANT_THRIFT, true, "the same with servers that restart, Thrift");
