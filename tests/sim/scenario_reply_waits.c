/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter waits at replies, while servers reset connections, end them, are silent or answer
 * errors, clients leave, configurations come, workers move, and in some seeds little memory may
 * wait. Each call ends once, with its own reply or with an error of the node; servers see it as
 * often as the retry policy allows. What waits for a filter is charged to its client.
 */
#include "scenario.h"

#include "reviewer.h"
#include "world.h"

#include "mt_proxy_types.h"
#include "mt_worker.h"

#define CLIENTS	 3
#define CALLS	 200
#define WINDOW	 32
#define TIMEOUT	 3000 /* ms */
#define ATTEMPTS 2
#define SOFT	 65536 /* bytes of a client's calls that wait, in some seeds */

static void mix(struct world *w, struct rpc_client *c)
{
	struct mt_rand *r = &w->sim->plan;

	c->mix = (struct rpc_mix){.oneway = 50000,
		.req_max = 600,
		.rep_max = sim_one_in(r, 2) ? 300 : 20000,
		.delay_max = sim_between(r, 1, 50) * MT_MSEC};
	c->mix.reset = sim_one_in(r, 2) ? 50000 : 0;
	c->mix.fin = sim_one_in(r, 2) ? 50000 : 0;
	c->mix.silence = sim_one_in(r, 3) ? 10000 : 0;
	c->mix.error = sim_one_in(r, 2) ? 50000 : 0;
	c->mix.big = sim_one_in(r, 2) ? 30000 : 0;
	c->mix.big_max = 150000;
}

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
		c->window = (uint32_t)sim_between(r, 1, WINDOW);
		c->start = w->sim->now + sim_below(r, 20) * MT_MSEC;
		mix(w, c);
		/* The last one resets its connection now and then, or gives up. */
		c->may_lose = i == CLIENTS - 1;
		if (c->may_lose)
			c->leave_at = (uint32_t)sim_between(r, 500, 20000);
	}
}

/* The same once more. */
static void reload(void *arg)
{
	struct world *w = arg;

	if (w->mesh.store.n < CONFIG_SNAPSHOTS - 1 && w->mesh.store.alive < CONFIG_ALIVE_MAX)
		config_publish(&w->mesh.store, &w->config);
}

static void configure(struct world *w, const struct reviewer *r)
{
	struct config_listener *l = &w->config.listener[0];

	l->timeout_ms = TIMEOUT;
	l->filter = &r->inst;
	if (sim_one_in(&w->sim->plan, 2))
		l->retry =
			(struct mt_retry){.on = MT_RETRY_UNSENT | MT_RETRY_UNREAD | MT_RETRY_LOST,
				.attempts = ATTEMPTS,
				.try_ms = sim_one_in(&w->sim->plan, 2) ? 200 : 0,
				.base_ms = 25,
				.max_ms = 250};
	w->rpc.executions = l->retry.attempts ? 1 + ATTEMPTS : 0;
	if (sim_one_in(&w->sim->plan, 2))
		w->proxy.waiting_soft = SOFT;
	w->rpc.may_native = 1u << MT_REPLY_CONN_LOST | 1u << MT_REPLY_TIMEOUT |
			    1u << MT_REPLY_NO_ENDPOINT | 1u << MT_REPLY_DENIED |
			    1u << MT_REPLY_OVERLOAD;
}

static bool nothing_left(struct sim *s, void *arg)
{
	const struct world *w = arg;

	(void)s;
	for (uint32_t i = 0; i < w->mesh.workers; i++)
		if (mt_worker_proxy(w->mesh.w[i])->exchanges.in_use)
			return false;
	return true;
}

static bool all_decided(struct sim *s, void *arg)
{
	(void)s;
	return ((const struct reviewer *)arg)->open == 0;
}

static uint64_t filtered(const struct world *w, enum mt_filter_outcome o)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < w->mesh.workers; i++)
		n += mt_proxy_filter_counters(mt_worker_proxy(w->mesh.w[i]))[o];
	return n;
}

static void judge(struct world *w, const struct reviewer *r)
{
	uint64_t waits = filtered(w, MT_FILTER_reply_waits);

	sim_trace(w->sim, "reviews: %llu passed, %llu delayed, %llu asked, %llu denied, %llu late",
		(unsigned long long)r->passed, (unsigned long long)r->delayed,
		(unsigned long long)r->asked, (unsigned long long)r->denied,
		(unsigned long long)filtered(w, MT_FILTER_waits_late));
	if (!nothing_left(w->sim, w))
		sim_fail(w->sim, "calls are left");
	if (r->began != r->ended)
		sim_fail(w->sim, "a filter saw %llu calls begin, and %llu end",
			(unsigned long long)r->began, (unsigned long long)r->ended);
	if (waits < (uint64_t)CALLS / 4)
		sim_fail(w->sim, "harness: %llu replies waited", (unsigned long long)waits);
	if (w->rpc.native[MT_REPLY_DENIED] > r->denied)
		sim_fail(w->sim, "%u calls were denied, and the filter denied %llu",
			w->rpc.native[MT_REPLY_DENIED], (unsigned long long)r->denied);
}

static void run(struct sim *s)
{
	struct reviewer *r;
	struct world *w;

	world_peers();
	w = world_new_rpc(s, 2, WANT_ANY);
	r = reviewer_new(s, &w->mesh);
	configure(w, r);
	/* After losses on end TCP waits for longer than the 10 s that a slow reader has. */
	if (w->severity)
		w->proxy.slow_ms = 60000;
	world_go(w);
	world_brisk(w);
	w->mesh.reload = reload;
	w->mesh.reload_arg = w;
	w->mesh.reload_every = 20 + sim_below(&s->plan, 200);
	add_clients(w);
	world_servers(w);
	world_run_calls(w);
	sim_run(s, s->now + 2 * TIMEOUT * MT_MSEC, nothing_left, w);
	sim_run(s, s->now + MT_SEC, all_decided, r);
	if (!s->failed)
		judge(w, r);
	world_end(w);
	reviewer_free(r);
}

const struct sim_scenario scenario_reply_waits = {
	.name = "reply_waits",
	.words =
		"a filter waits at replies: connections end, clients leave, workers move meanwhile",
	.weight = 0,
	.run = run,
	.min_exchanges = CALLS / 2,
	.min_connections = CLIENTS,
};
