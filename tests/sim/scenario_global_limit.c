/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that wait for a rate limit service. Those of route "a" are within their limit, and are
 * answered by a server whatever becomes of the others. Those of route "b", by seed:
 * - are over their limit: none reaches a server;
 * - get no answer, a wrong one or an error, and the limit denies on failure: none reaches a server;
 * - the same, and it does not: all of them are answered by a server;
 * - get no answer in their own time, which is shorter than the service's: all of them time out,
 *   whatever the limit says about failures.
 * No call waits for longer than the service may take, or than its own time, and an iteration.
 */
#include "scenario.h"

#include "limiter.h"
#include "world.h"

#define CLIENTS	 4
#define CALLS	 300
#define WINDOW	 8 /* at most: all together leave enough slots for queries */
#define NO_GROUP (1u << 31)

enum kind { OVER, CLOSED, OPEN, EXPIRES, KINDS };

static const struct {
	enum limiter_b b;
	uint64_t timeout; /* ms */
	uint32_t own;	  /* ms */
	uint32_t native;  /* of calls of route "b" */
} kinds[KINDS] = {
	[OVER] = {LIMITER_OVER, 100, 5000, 1u << MT_REPLY_OVER_LIMIT},
	[CLOSED] = {LIMITER_FAILS, 100, 5000, 1u << MT_REPLY_OVER_LIMIT},
	[OPEN] = {LIMITER_FAILS, 100, 5000, 0},
	[EXPIRES] = {LIMITER_MUTE, 1000, 300, 1u << MT_REPLY_TIMEOUT},
};

static void add_clients(struct world *w)
{
	struct mt_rand *r = &w->sim->plan;
	const struct protocol *p = &w->rpc.protocol;

	w->rpc.n_clients = CLIENTS;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct rpc_client *c = &w->rpc.client[i];

		c->set = &w->rpc;
		c->dialect = &p->dialects[sim_below(r, p->n_dialects)];
		c->no = i;
		c->host = world_client(w, i);
		c->to = w->mesh.host.addr4;
		c->port = WORLD_PORT;
		c->calls = CALLS;
		c->window = 1 + sim_below(r, WINDOW);
		c->start = w->sim->now + sim_below(r, 20) * MT_MSEC;
		c->mix = (struct rpc_mix){
			.req_max = 200, .rep_max = 300, .oneway = 50000, .delay_max = 2 * MT_MSEC};
		c->min_answered = CALLS / 4;
	}
}

/* Errors are for the other route. */
static void answered(
	void *arg, const struct rpc_client *c, const struct rpc_call *call, enum rpc_end how)
{
	const struct world *w = arg;

	if (how == RPC_NATIVE && call->route == 'a')
		sim_fail(w->sim, "client %u: call %u is within its limit, and gets an error", c->no,
			call->no);
	if (how != RPC_NATIVE && call->route == 'b' && w->rpc.may_native && call->kind == WIRE_CALL)
		sim_fail(w->sim, "client %u: call %u passes the limit", c->no, call->no);
}

static void configure(struct world *w, enum kind kind)
{
	struct config_listener *l = &w->config.listener[0];
	const struct limiter_conf conf = {.b = kinds[kind].b,
		.timeout = kinds[kind].timeout * MT_MSEC,
		.own = kinds[kind].own * MT_MSEC,
		.fail_open = kind == OPEN || (kind == EXPIRES && sim_one_in(&w->sim->plan, 2)),
		.listener = l};

	l->early_ok = false;
	l->timeout_ms = kinds[kind].own;
	w->mesh.limiter = limiter_new(w->sim, &w->mesh, &conf);
	l->filter = &w->mesh.limiter->filter;
	w->rpc.may_native = kinds[kind].native;
	w->rpc.native_max = CLIENTS * CALLS;
	if (kind != OPEN)
		w->rpc.route_to[1] = NO_GROUP;
	w->rpc.answered = answered;
	w->rpc.answered_arg = w;
}

static void run(struct sim *s)
{
	enum kind kind = (enum kind)(s->seed % KINDS);
	struct world *w;
	struct limiter *l;

	world_peers();
	w = world_new_rpc(s, 0, WANT_SAFE);
	configure(w, kind);
	l = w->mesh.limiter;
	world_go(w);
	/* The queries of a worker that has moved keep their slots: unit/proxy tests that. */
	w->mesh.transplants = false;
	world_even(w);
	add_clients(w);
	world_servers(w);
	world_run_calls(w);
	sim_trace(s, "%u questions, %u of route b, %u in vain", l->n_asked, l->n_b, l->n_silent);
	if (!s->failed && (!l->n_b || (kind != OVER && !l->n_silent)))
		sim_fail(s, "harness: no call had to wait");
	world_end(w);
	limiter_free(l);
}

const struct sim_scenario scenario_proxy_global_limit = {
	.name = "proxy_global_limit",
	.words = "calls wait for a rate limit service that is silent, late or wrong",
	.weight = 0,
	.run = run,
	.min_calls = CLIENTS * CALLS,
	.min_exchanges = CLIENTS * CALLS / 4,
	.min_connections = CLIENTS,
};
