/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of the node on three workers, which may be replaced by copies at any time (transplant.c). Several hundred clients call a slow server
 * by a protocol with a connection for each outstanding call. After each reply the accounts of all workers together have no more connections
 * than the limit, except for the one that each worker may have in any case, and no more waiting calls than the limit and what workers make
 * room for. Each call is answered or refused by the protocol's own error, each worker serves some, and no unit is missing in the end.
 */
#include "scenario.h"
#include "world.h"

#include "mt_node_limits.h"
#include "mt_worker.h"

#define WORKERS	  3
#define CLIENTS	  300
#define CALLS	  4
#define SERVICE	  MT_MSEC
#define ARRIVE	  (100 * MT_MSEC) /* all clients, within that */
#define CONNS	  12
#define PENDING	  60
#define LEAST_PCT 10 /* of the calls that each worker answers */

struct crowd {
	struct world *w;
	uint32_t ok, refused, most_conns, most_pending;
};

static struct mt_units_own *units(struct world *w, uint32_t worker, enum mt_node_limit limit)
{
	uint32_t cluster = w->mesh.store.current->clusters[0].index;

	return mt_units_own(
		mt_units_of(w->mesh.proxy.node_limits, (uint16_t)worker, cluster, limit));
}

static uint32_t used(struct world *w, enum mt_node_limit limit)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < WORKERS; i++)
		n += units(w, i, limit)->used;
	return n;
}

static void answered(
	void *arg, const struct rpc_client *c, const struct rpc_call *call, enum rpc_end how)
{
	struct crowd *q = arg;
	uint32_t conns = used(q->w, MT_NODE_CONNS), pending = used(q->w, MT_NODE_PENDING);

	(void)call;
	q->ok += how == RPC_OK;
	q->refused += how != RPC_OK;
	q->most_conns = MT_MAX(q->most_conns, conns);
	q->most_pending = MT_MAX(q->most_pending, pending);
	if (conns > CONNS + WORKERS - 1)
		sim_fail(c->set->sim, "%u connections are counted", conns);
	if (pending >= 2 * PENDING)
		sim_fail(c->set->sim, "%u calls wait", pending);
}

static void configure(struct crowd *q, bool all_wait)
{
	struct world *w = q->w;

	w->large_pools = true;
	w->proxy.pending_max = 2 * CLIENTS;
	w->config.listener[0].cluster_b = 0;
	w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	w->config.cluster[0].n_eps = 1;
	w->config.cluster[0].max_connections = CONNS;
	if (!all_wait) {
		w->config.cluster[0].max_pending = PENDING;
		w->rpc.may_native = 1u << MT_REPLY_OVERLOAD;
	}
	w->rpc.answered = answered;
	w->rpc.answered_arg = q;
}

static void add(struct crowd *q, uint32_t no)
{
	struct world *w = q->w;

	w->rpc.client[no] = (struct rpc_client){
		.set = &w->rpc,
		.dialect = w->rpc.protocol.dialects,
		.no = no,
		.host = world_client(w, no),
		.to = w->mesh.host.addr4,
		.port = WORLD_PORT,
		.start = w->sim->now + ARRIVE * no / CLIENTS,
		.calls = CALLS,
		.window = 1,
		.mix = {.req_max = 200, .rep_max = 200},
	};
}

static void judge(struct crowd *q, bool all_wait)
{
	struct sim *s = q->w->sim;
	struct mesh *m = &q->w->mesh;

	sim_trace(s, "node limits: %u answered, %u refused; at most %u connections, %u waiting",
		q->ok, q->refused, q->most_conns, q->most_pending);
	if (q->ok + q->refused != CLIENTS * CALLS || (q->refused != 0) == all_wait)
		sim_fail(s, "%u of %u calls are answered, %u refused", q->ok, CLIENTS * CALLS,
			q->refused);
	if (q->most_conns < CONNS || (!all_wait && q->most_pending < PENDING))
		sim_fail(s, "harness: the limits are not reached");
	for (uint32_t i = 0; i < WORKERS; i++) {
		uint64_t n =
			mt_proxy_counters(mt_worker_proxy(m->w[i]))[MT_PROXY_exchange_answered];

		if (n * 100 < (uint64_t)q->ok * LEAST_PCT)
			sim_fail(s, "worker %u answers %llu of %u calls", i, (unsigned long long)n,
				q->ok);
	}
	if (used(q->w, MT_NODE_PENDING))
		sim_fail(s, "places of waiting calls are missing");
}

static void run(struct sim *s, bool all_wait)
{
	struct crowd q = {0};
	struct world *w;

	s->workers = WORKERS;
	world_peers();
	q.w = w = world_new_rpc(s, 0, WANT_THRIFT);
	rpc_room_for(&w->rpc, CLIENTS, WORLD_SERVERS);
	configure(&q, all_wait);
	world_go(w);
	world_even(w);
	world_servers(w);
	for (uint32_t i = 0; i < WORLD_SERVERS; i++) {
		w->rpc.server[i].heartbeats = 0;
		w->rpc.server[i].service = SERVICE;
	}
	for (uint32_t i = 0; i < WORKERS; i++)
		mesh_share_out(&w->mesh, i, SIM_POOL_LARGE);
	w->rpc.n_clients = CLIENTS;
	for (uint32_t i = 0; i < CLIENTS; i++)
		add(&q, i);
	world_run_calls(w);
	if (!s->failed)
		judge(&q, all_wait);
	world_end(w);
}

static void run_conns(struct sim *s)
{
	run(s, true);
}

static void run_pending(struct sim *s)
{
	run(s, false);
}

#define NODE_LIMITS(id, fn, say)                                                                   \
	const struct sim_scenario scenario_##id = {                                                \
		.name = #id,                                                                       \
		.words = say,                                                                      \
		.weight = 0,                                                                       \
		.run = fn,                                                                         \
		.min_exchanges = CLIENTS,                                                          \
		.min_connections = CLIENTS,                                                        \
	}

NODE_LIMITS(node_limits, run_conns, "a limit of connections for three workers");
NODE_LIMITS(node_limits_pending, run_pending, "the same, and a limit of waiting calls");
