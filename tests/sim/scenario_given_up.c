/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients with time-outs of their own, which close their connection and come again. One of two
 * servers without heartbeats hangs. Clients of one address never eject it, clients of two do, and
 * then most calls are answered. A server that only answers too late is not ejected.
 */
#include "scenario.h"
#include "world.h"

#define CLIENTS	    4
#define CALLS	    25
#define PATIENCE    (1100 * MT_MSEC)
#define LATE	    (PATIENCE + 100 * MT_MSEC)
#define HANGS_FOR   (40 * MT_SEC)
#define ADDRESS_ONE 0
#define ADDRESS_TWO 1
#define ANSWER_LATE 2

static uint64_t ejected(const struct world *w)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < w->mesh.workers; i++)
		n += mt_proxy_upstream_counters(mt_worker_proxy(w->mesh.w[i]))[MT_UPSTREAM_ejected];
	return n;
}

static void add_clients(struct world *w, uint32_t how)
{
	struct sim *s = w->sim;

	w->rpc.n_clients = CLIENTS;
	for (uint32_t i = 0; i < CLIENTS; i++)
		w->rpc.client[i] = (struct rpc_client){
			.set = &w->rpc,
			.dialect = w->rpc.protocol.dialects,
			.no = i,
			.host = world_client(w, how == ADDRESS_ONE ? 0 : i),
			.to = w->mesh.host.addr4,
			.port = WORLD_PORT,
			.start = s->now + sim_between(&s->plan, 0, 100 * MT_MSEC),
			.calls = CALLS,
			.window = 1,
			.mix = {.req_max = 200,
				.rep_max = 300,
				.late = how == ANSWER_LATE ? 500000 : 0,
				.late_ns = LATE},
			.closes = true,
			.gives_up = PATIENCE,
		};
}

static void judge(struct world *w, uint32_t how)
{
	uint64_t put = ejected(w), closed = mesh_counter(&w->mesh, MT_PROXY_exchange_client_closed);
	uint32_t ok = 0;

	for (uint32_t i = 0; i < CLIENTS; i++)
		ok += w->rpc.client[i].ends[RPC_OK];
	sim_trace(w->sim, "given up: %llu ejections, %llu calls given up, %u answered",
		(unsigned long long)put, (unsigned long long)closed, ok);
	if (closed < 5)
		sim_fail(w->sim, "harness: %llu calls were given up", (unsigned long long)closed);
	if (how != ADDRESS_TWO && put)
		sim_fail(w->sim, "a server was ejected by clients of %s",
			how == ADDRESS_ONE ? "one address" : "a slow server");
	if (how == ADDRESS_TWO && !put)
		sim_fail(w->sim, "a server that hangs was not ejected");
	if (how == ADDRESS_TWO && ok < CLIENTS * CALLS / 2)
		sim_fail(w->sim, "%u of %u calls were answered", ok, CLIENTS * CALLS);
}

static void run(struct sim *s)
{
	uint32_t how = (uint32_t)(s->seed % 3);
	struct world *w;

	world_peers();
	w = world_new_rpc(s, 0, WANT_THRIFT);
	w->config.listener[0].cluster_b = 0;
	w->config.cluster[0].lb = MT_LB_ROUND_ROBIN;
	w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	world_go(w);
	world_brisk(w);
	world_servers(w);
	if (how != ANSWER_LATE) {
		w->rpc.server[0].pause_from = s->now;
		w->rpc.server[0].pause_to = s->now + HANGS_FOR;
	}
	add_clients(w, how);
	world_run_calls(w);
	if (!s->failed)
		judge(w, how);
	world_end(w);
}

const struct sim_scenario scenario_given_up = {
	.name = "given_up",
	.words = "clients give up calls to a server that hangs",
	.weight = 0,
	.run = run,
	.min_calls = CLIENTS * CALLS,
	.min_exchanges = 10,
	.min_connections = 4,
};
