/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that wait for an external authorization decision.
 *
 * proxy_asked: each call waits at its endpoint's policy. Calls of route "b" wait with a change of
 * their metadata, and are denied, time out or lose their client: none of them reaches a server,
 * also in every second seed, where the provider fails open and the call's own time-out ends first.
 * Calls of route "a" reach a server as their client wrote them, whichever call used their exchange
 * before.
 *
 * retries_asked: servers reset connections whose calls they have read, and a retry policy sends the
 * calls again. The service adds metadata to calls of the first of two servers. Each server gets
 * what its own policy and the route add, and nothing else, wherever the call was tried before.
 */
#include "scenario.h"

#include "asked.h"
#include "world.h"

#define CLIENTS	 4
#define CALLS	 300
#define TIMEOUT	 500 /* ms */
#define LATE	 (700 * MT_MSEC)
#define NO_GROUP (1u << 31)
#define ATTEMPTS 3

/*
 * Transplants lower the least number of answers. After one, all waiting calls query again, while
 * the queries of the former worker keep their places until they are answered. Calls beyond get
 * overload errors.
 */
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
			c->min_answered = w->mesh.transplants ? 1 : CALLS / 8;
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
	w->mesh.reload = reload;
	w->mesh.reload_arg = w;
	w->mesh.reload_every = 20 + sim_below(&s->plan, 500);
	add_clients(w);
	world_servers(w);
	world_run_calls(w);
	sim_trace(s, "%u questions, %u calls allowed, %u expired", a->n_asked, a->n_allowed,
		a->n_expired);
	if (mt_extauthz_fails_open(a->provider) && !a->n_expired && !s->failed)
		sim_fail(s, "no call's timeout ended before the provider's");
	world_end(w);
	asked_free(a);
}

/* ---- retries --------------------------------------------------------------------------------- */

static void add_retrying_clients(struct world *w)
{
	add_clients(w);
	for (uint32_t i = 0; i < w->rpc.n_clients; i++) {
		struct rpc_client *c = &w->rpc.client[i];

		c->may_lose = false;
		c->leave_at = 0;
		c->min_answered = w->mesh.transplants ? 1 : CALLS / 4;
		c->mix = (struct rpc_mix){.req_max = 600,
			.rep_max = 300,
			.oneway = 50000,
			.reset = 50000,
			.delay_max = 20 * MT_MSEC};
	}
}

static void configure_retries(struct world *w, struct asked *a)
{
	struct config_listener *l = &w->config.listener[0];

	l->early_ok = false;
	l->timeout_ms = 5000;
	l->changes = w->rpc.changes = true;
	l->retry = (struct mt_retry){.on = MT_RETRY_UNSENT | MT_RETRY_UNREAD | MT_RETRY_LOST,
		.attempts = ATTEMPTS,
		.base_ms = 25,
		.max_ms = 250};
	for (uint32_t i = 0; i < w->config.n_clusters; i++) {
		w->config.cluster[i].asks = a->provider;
		w->config.cluster[i].asks_first = true;
	}
	w->rpc.executions = 1 + ATTEMPTS;
	/* Calls with metadata that are no text cannot be described to the service, and are denied. */
	w->rpc.may_native = 1u << MT_REPLY_CONN_LOST | 1u << MT_REPLY_TIMEOUT |
			    1u << MT_REPLY_NO_ENDPOINT | 1u << MT_REPLY_OVERLOAD |
			    1u << MT_REPLY_DENIED;
}

/* The policed servers are the first one of each cluster. */
static void police_servers(struct world *w)
{
	world_servers(w);
	w->rpc.server[0].policed = true;
	w->rpc.server[w->rpc.n_servers - 1].policed = true;
}

static void run_retries(struct sim *s)
{
	struct asked *a;
	struct world *w;

	world_peers();
	w = world_new_rpc(s, 0, WANT_DUBBO);
	a = w->mesh.asked = asked_new(s, &w->mesh, 30 * MT_MSEC, false);
	a->adds = true;
	configure_retries(w, a);
	world_go(w);
	world_even(w);
	w->mesh.reload = reload;
	w->mesh.reload_arg = w;
	w->mesh.reload_every = 20 + sim_below(&s->plan, 500);
	add_retrying_clients(w);
	police_servers(w);
	world_run_calls(w);
	sim_trace(s, "%u questions, %llu retries", a->n_asked,
		(unsigned long long)mesh_counter(&w->mesh, MT_PROXY_retry_by_policy));
	if (!s->failed && !mesh_counter(&w->mesh, MT_PROXY_retry_by_policy))
		sim_fail(s, "harness: no retry");
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
	.min_exchanges = CALLS / 8,
	.min_connections = CLIENTS,
};

const struct sim_scenario scenario_retries_asked = {
	.name = "retries_asked",
	.words = "calls are retried, and the policies of some endpoints change their metadata",
	.weight = 0,
	.run = run_retries,
	.min_calls = CLIENTS * CALLS,
	.min_exchanges = CLIENTS * CALLS / 4,
	.min_connections = CLIENTS,
};
