/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node with few buffers, and peers that want them: clients that ask for much and read nothing, uploads that come by the
 * spoonful, servers that never answer, connections that are reset. Whatever becomes of calls meanwhile is counted; nothing is
 * left behind, and when those peers have gone, calls are answered as ever.
 */
#include "scenario.h"
#include "world.h"

#define HONEST	   3
#define GREEDY	   5
#define GO_AT	   (6 * MT_SEC)
#define RECOVERED  (4 * MT_SEC) /* after that */
#define BUFFERS	   900
#define WELL_CALLS 20

struct pressed {
	struct world *w;
	uint64_t well_at;
	uint32_t well;
};

static void ended(
	void *arg, const struct rpc_client *c, const struct rpc_call *call, enum rpc_end how)
{
	struct pressed *q = arg;

	if (c->no >= HONEST || call->at < q->well_at)
		return;
	q->well += how == RPC_OK;
	if (how == RPC_NATIVE)
		sim_fail(q->w->sim, "a call is refused %llu ms after those that pressed have gone",
			(unsigned long long)((call->at - q->well_at + RECOVERED) / MT_MSEC));
}

static struct rpc_client *add(struct world *w, uint32_t calls, uint32_t window)
{
	struct rpc_client *c = &w->rpc.client[w->rpc.n_clients];

	*c = (struct rpc_client){
		.set = &w->rpc,
		.dialect = w->rpc.protocol.dialects,
		.no = w->rpc.n_clients++,
		.host = world_client(w, w->rpc.n_clients),
		.to = w->mesh.host.addr4,
		.port = WORLD_PORT,
		.start = w->sim->now + sim_between(&w->sim->plan, 0, 500) * MT_MSEC,
		.calls = calls,
		.window = window,
		.may_lose = true,
		.mix = {.req_max = 200, .rep_max = 300},
	};
	return c;
}

static void add_greedy(struct world *w)
{
	struct rpc_client *c = add(w, 2000, 40);

	c->gone_at = w->sim->now + GO_AT;
	switch (sim_below(&w->sim->plan, 4)) {
	case 0: /* deaf */
		c->mix.rep_max = 60000;
		c->read_stop = 1000 * MT_SEC;
		break;
	case 1: /* dribbles */
		c->mix.req_max = 60000;
		c->write_chunk = 1 + sim_below(&w->sim->plan, 400);
		c->write_pace = sim_between(&w->sim->plan, 1, 20) * MT_MSEC;
		break;
	case 2: /* asks servers that do not answer */
		c->mix.silence = 900000;
		c->mix.req_max = 4000;
		break;
	default: /* leaves and comes again */
		c->mix.rep_max = 8000;
		c->leave_at = (uint32_t)sim_between(&w->sim->plan, 1000, 20000);
		break;
	}
}

static void run_pressure(struct sim *s)
{
	struct world *w = world_new_rpc(s, 0, WANT_ANY);
	struct pressed q = {.w = w, .well_at = s->now + GO_AT + RECOVERED};

	w->rpc.may_native = (1u << MT_REPLY_N) - 1;
	w->rpc.starved = true;
	w->rpc.answered = ended;
	w->rpc.answered_arg = &q;
	w->config.listener[0].timeout_ms = 2000;
	w->proxy.message_ms = 3000;
	w->proxy.bulk_idle_ms = 3000;
	w->proxy.slow_ms = 3000;
	world_go_varied(w);
	w->rpc.sticky[0] = w->rpc.sticky[1] = false;
	world_brisk(w);
	for (uint32_t i = 0; i < w->mesh.workers; i++) {
		uint32_t left = (uint32_t)sim_between(&s->plan, BUFFERS / 2, BUFFERS);

		sim_pools_starve(w->mesh.pools[i], 0, 0, SIM_POOL_DATA - left);
		mesh_share_out(&w->mesh, i, left);
	}
	w->mesh.port.hold = MT_MIN(w->mesh.port.hold, 16u);
	for (uint32_t i = 0; i < HONEST; i++)
		add(w, 400, 4)->pace = 40 * MT_MSEC;
	for (uint32_t i = 0; i < GREEDY; i++)
		add_greedy(w);
	world_servers(w);
	world_calls(w);
	if (!s->failed && q.well < HONEST * WELL_CALLS)
		sim_fail(s, "%u calls were answered after those that pressed had gone", q.well);
}

const struct sim_scenario scenario_memory_pressure = {
	.name = "memory_pressure",
	.words = "few buffers, and peers that want them all",
	.weight = 2,
	.run = run_pressure,
	.min_calls = 600,
	.min_exchanges = 100,
	.min_connections = 4,
};
