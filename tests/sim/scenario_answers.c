/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers that answer one-way calls, twice, late, out of order, with ids that no call had, with id
 * 0, or in another method's name. Their clients number their calls alike, and come and go. Each
 * call must end with its own reply or a native error.
 */
#include "scenario.h"
#include "world.h"

#define CLIENTS 8
#define CALLS	125 /* of each */
#define TIMEOUT 300 /* ms */

static void add_clients(struct world *w)
{
	struct mt_rand *r = &w->sim->plan;
	const struct protocol *p = &w->rpc.protocol;
	const struct dialect *of_all = &p->dialects[sim_below(r, p->n_dialects)];
	bool mixed = sim_one_in(r, 3), leave = sim_one_in(r, 2), big = sim_one_in(r, 3);

	w->rpc.n_clients = CLIENTS;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct rpc_client *c = &w->rpc.client[i];

		c->set = &w->rpc;
		c->dialect = mixed ? &p->dialects[sim_below(r, p->n_dialects)] : of_all;
		c->no = i;
		c->host = world_client(w, i);
		c->to = w->mesh.host.addr4;
		c->port = WORLD_PORT;
		c->calls = CALLS;
		c->window = 1 + sim_below(r, 8);
		c->start = w->sim->now + sim_below(r, 20) * MT_MSEC;
		c->mix = (struct rpc_mix){.req_max = 200,
			.rep_max = 300,
			.oneway = 200000,
			.delay_max = sim_between(r, 1, 10) * MT_MSEC,
			.late = 10000,
			.late_ns = (TIMEOUT + 100) * MT_MSEC};
		/* Long calls have a connection alone, also where ids tell replies apart. */
		if (big) {
			c->mix.big = 100000;
			c->mix.big_max = 100000;
		}
		if (leave && i % 2)
			c->leave_at = (uint32_t)sim_between(r, 500, 5000);
	}
}

/*
 * Without ids a second answer cannot be distinguished from that to the next call of the same method. With
 * the ids of clients, who number their calls alike, it cannot be distinguished from that to another client.
 */
static void be_odd(struct rpc_server *v, struct mt_rand *r, const struct protocol *p)
{
	/* The simulator's own protocol has no methods. */
	bool named = p->dialects->index != DIALECT_TOY;

	v->no_ids = p->serial && sim_one_in(r, 2) && !p->keeps_ids;
	v->again = 200000;
	v->again_oneway = v->no_ids || p->keeps_ids;
	v->again_ns = sim_between(r, 1, 20) * MT_MSEC;
	v->stray = sim_one_in(r, 2) ? 20000 : 0;
	v->other_method = v->again_oneway && named && sim_one_in(r, 2) ? 20000 : 0;
}

static void run(struct sim *s)
{
	bool serial = sim_one_in(&s->plan, 2);
	struct world *w = world_new_rpc(s, 0, serial ? WANT_SERIAL : WANT_SAFE);

	w->large_pools = true;
	w->config.listener[0].timeout_ms = TIMEOUT;
	w->rpc.may_native = 1u << MT_REPLY_TIMEOUT | 1u << MT_REPLY_BAD_REPLY |
			    1u << MT_REPLY_CONN_LOST | 1u << MT_REPLY_OVERLOAD;
	w->proxy.serial_lanes = (uint32_t)sim_between(&s->plan, 1, 12);
	world_go(w);
	world_brisk(w);
	add_clients(w);
	world_servers(w);
	for (uint32_t i = 0; i < w->rpc.n_servers; i++)
		be_odd(&w->rpc.server[i], &s->plan, &w->rpc.protocol);
	world_calls(w);
}

const struct sim_scenario scenario_proxy_replies = {
	.name = "proxy_replies",
	.words = "servers that answer twice, one-way calls, late, by other ids, without ids or in "
		 "another method's name",
	.weight = 2,
	.run = run,
	.min_calls = CLIENTS * CALLS,
	.min_exchanges = CLIENTS * CALLS / 4,
	.min_connections = CLIENTS,
};
