/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node drains, or a listener leaves, under calls that go on. Clients whose protocol has a word for it send no more when they are told: none of their calls
 * is lost. Others send on until the FIN: of their calls none is lost that the node has acknowledged, or that a server has seen.
 */
#include "scenario.h"
#include "world.h"

#define CLIENTS 4
#define CALLS	1500

static void happens(struct sim *s, void *arg, uint64_t n)
{
	struct world *w = arg;

	(void)n;
	sim_trace(s, "winds up");
	mesh_drain(&w->mesh);
}

static void add_clients(struct world *w, bool heeds)
{
	struct sim *s = w->sim;

	w->rpc.n_clients = CLIENTS;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct rpc_client *c = &w->rpc.client[i];

		c->set = &w->rpc;
		c->dialect =
			&w->rpc.protocol.dialects[sim_below(&s->plan, w->rpc.protocol.n_dialects)];
		c->no = i;
		c->host = world_client(w, i);
		c->to = w->mesh.host.addr4;
		c->port = WORLD_PORT;
		c->calls = CALLS;
		c->window = (uint32_t)sim_between(&s->plan, 1, 16);
		c->pace = sim_between(&s->plan, 1, 30) * MT_MSEC;
		c->start = s->now + sim_between(&s->plan, 0, 20 * MT_MSEC);
		c->mix = (struct rpc_mix){.req_max = 200,
			.rep_max = 300,
			.delay_max = sim_between(&s->plan, 1, 40) * MT_MSEC,
			.big = sim_one_in(&s->plan, 3) ? 5000 : 0,
			.big_max = 60000};
		c->may_lose_unread = !heeds || !c->dialect->drains;
	}
}

static void run(struct sim *s)
{
	struct world *w = world_new_rpc(s, 0, WANT_ANY);

	w->must_count = MT_PROXY_exchange_answered;
	world_go(w);
	world_brisk(w);
	add_clients(w, true);
	world_servers(w);
	sim_at(s, s->now + sim_between(&s->plan, 100, 2000) * MT_MSEC, happens, w, 0);
	world_calls(w);
}

const struct sim_scenario scenario_wind_up = {
	.name = "wind_up",
	.words = "a drain under calls that go on",
	.weight = 2,
	.run = run,
	.min_calls = 20,
	.min_exchanges = 20,
	.min_connections = 4,
};
