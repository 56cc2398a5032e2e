/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each call waits at its endpoint's policy until an external authorization service has answered. Those of route "b" wait with
 * a change of their metadata, and are denied, time out or lose their client: none of them reaches a server, also in every
 * second seed, where the provider fails open and the call's own timeout ends first. Those of route "a" reach one as their
 * client wrote them, whoever's call had their place before.
 */
#include "scenario.h"

#include "asked.h"
#include "world.h"

#define CLIENTS	 4
#define CALLS	 300
#define TIMEOUT	 500 /* ms */
#define LATE	 (700 * MT_MSEC)
#define NO_GROUP (1u << 31)

static void add_clients(struct world *w)
{
	struct mt_rand *r = &w->sim->plan;
	const struct protocol *p = &w->rpc.protocol;

	w->rpc.n_clients = CLIENTS;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct rpc_client *c = &w->rpc.client[i];

		c->set = &w->rpc;
		c->dialect = p->dialects;
		c->no = i;
		c->host = world_client(w, i);
		c->to = w->mesh.host.addr4;
		c->port = WORLD_PORT;
		c->calls = CALLS;
		c->window = 1 + sim_below(r, 40);
		c->start = w->sim->now + sim_below(r, 20) * MT_MSEC;
		c->mix = (struct rpc_mix){
			.req_max = 200, .rep_max = 300, .oneway = 50000, .delay_max = 2 * MT_MSEC};
		/* Every second one resets its connection now and then. */
		c->may_lose = i % 2;
		if (c->may_lose)
			c->leave_at = (uint32_t)sim_between(r, 500, 5000);
		else
			c->min_answered = CALLS / 8;
	}
}

/* The same once more. */
static void reload(void *arg)
{
	struct world *w = arg;

	if (w->mesh.store.n < CONFIG_SNAPSHOTS - 1 && w->mesh.store.alive < CONFIG_ALIVE_MAX)
		config_publish(&w->mesh.store, &w->config);
}

static void run(struct sim *s)
{
	struct config_listener *l;
	struct asked *a;
	struct world *w;

	w = world_new_rpc(s, 0, WANT_DUBBO);
	a = w->mesh.asked = asked_new(s, &w->mesh, LATE, sim_one_in(&s->plan, 2));
	l = &w->config.listener[0];
	l->early_ok = false;
	l->timeout_ms = TIMEOUT;
	l->changes = true;
	for (uint32_t i = 0; i < w->config.n_clusters; i++)
		w->config.cluster[i].asks = a->provider;
	w->rpc.route_to[1] = NO_GROUP;
	w->rpc.may_native =
		1u << MT_REPLY_DENIED | 1u << MT_REPLY_TIMEOUT | 1u << MT_REPLY_OVERLOAD;
	world_go(w);
	world_even(w);
	/* Questions are their worker's: an image of it has no calls that wait for an answer. */
	w->mesh.transplants = false;
	w->mesh.reload = reload;
	w->mesh.reload_arg = w;
	w->mesh.reload_every = 20 + sim_below(&s->plan, 500);
	add_clients(w);
	world_servers(w);
	world_run_calls(w);
	sim_trace(s, "%u questions, %u calls allowed, %u expired", a->n_asked, a->n_allowed,
		a->n_expired);
	if (a->provider->fail_open && !a->n_expired && !s->failed)
		sim_fail(s, "no call's timeout ended before the provider's");
	world_end(w);
	asked_free(a);
}

const struct sim_scenario scenario_proxy_asked = {
	.name = "proxy_asked",
	.words = "calls wait at their endpoint's policy with changes, and leave, time out or are "
		 "denied",
	.weight = 0,
	.run = run,
	.min_calls = CLIENTS * CALLS,
	.min_exchanges = CALLS / 4,
	.min_connections = CLIENTS,
};
