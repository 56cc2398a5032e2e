/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes with a retry policy: servers reset connections whose calls they have read, keep silent, or all fail at once, while configurations come and workers move. A server sees a call at most as often as the policy allows, and a
 * one-way call once. A cluster's retries stay within its budget at each moment, and of units and counts nothing is left.
 */
#include "scenario.h"
#include "world.h"

#include "mt_proxy_types.h"
#include "mt_worker.h"

#define CLIENTS	 3
#define CALLS	 200
#define WINDOW	 32
#define TIMEOUT	 5000 /* ms */
#define ATTEMPTS 3
#define LOOK	 MT_MSEC

enum trouble { RESETS, SILENT, STORM };

static void add_clients(struct world *w, enum trouble t)
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
		c->window = WINDOW;
		c->start = w->sim->now + sim_below(r, 20) * MT_MSEC;
		c->mix = (struct rpc_mix){.oneway = 50000,
			.req_max = 600,
			.rep_max = 300,
			.delay_max = t == STORM ? 200 * MT_MSEC : 20 * MT_MSEC};
		c->mix.reset = t == RESETS ? 100000 : 0;
		c->mix.silence = t == SILENT ? 30000 : 0;
	}
}

/* ---- what holds at each moment ---- */

/* What workers have of an account. */
static void count(const struct world *w, const struct mt_budget_account *a, uint32_t *units,
	uint32_t calls[SIM_MAX_WORKERS])
{
	*units = 0;
	for (uint32_t i = 0; i < w->mesh.workers; i++) {
		struct mt_proxy *p = mt_worker_proxy(w->mesh.w[i]);
		const struct mt_exchange *ex;
		uint32_t at = 0;

		calls[i] = 0;
		while ((ex = mt_slab_next(&p->exchanges, &at))) {
			*units += ex->budgeted && p->sides[ex->self.idx].budget == a;
			/* One that is sent and has no reply left its endpoint (unacked.c). */
			calls[i] += ex->attempt.state != MT_ATTEMPT_NONE &&
				    ex->attempt.state != MT_ATTEMPT_UNACKED &&
				    ex->attempt.counted == a;
		}
	}
}

static void check_budget(struct world *w, uint32_t cluster)
{
	const struct mt_retry_budget *b = &w->config.cluster[cluster].retry_budget;
	const struct mt_cluster *c = &w->mesh.store.current->clusters[cluster];
	uint32_t units, calls[SIM_MAX_WORKERS];

	if (b->bound == MT_RETRY_UNBOUNDED)
		return;
	count(w, c->budget, &units, calls);
	if (units != c->budget->used)
		sim_fail(w->sim, "%u retries are under way, and %u units are taken", units,
			c->budget->used);
	if (b->bound == MT_RETRY_BOUND_NUMBER && units > b->n)
		sim_fail(w->sim, "%u retries at once, where %u are allowed", units, b->n);
	for (uint32_t i = 0; i < w->mesh.workers && c->budget->calls; i++)
		if (c->budget->calls[i].n != calls[i])
			sim_fail(w->sim, "worker %u has %u calls and counts %u", i, calls[i],
				c->budget->calls[i].n);
}

static void look(struct sim *s, void *arg, uint64_t unused)
{
	struct world *w = arg;

	(void)unused;
	for (uint32_t i = 0; i < w->config.n_clusters; i++)
		check_budget(w, i);
	if (!rpc_done(s, &w->rpc))
		sim_at(s, s->now + LOOK, look, w, 0);
}

/* ---- trouble ---- */

/* All servers fail at once. */
static void fail_all(struct sim *s, void *arg, uint64_t times)
{
	struct world *w = arg;

	for (uint32_t i = 0; i < w->rpc.n_servers; i++)
		rpc_server_reset(&w->rpc.server[i]);
	if (times > 1 && !rpc_done(s, &w->rpc))
		sim_at(s, s->now + sim_between(&s->plan, 20, 200) * MT_MSEC, fail_all, w,
			times - 1);
}

/* The same once more. */
static void reload(void *arg)
{
	struct world *w = arg;

	if (w->mesh.store.n < CONFIG_SNAPSHOTS - 1 && w->mesh.store.alive < CONFIG_ALIVE_MAX)
		config_publish(&w->mesh.store, &w->config);
}

static void configure(struct world *w, enum trouble t)
{
	struct mt_rand *r = &w->sim->plan;
	struct config_listener *l = &w->config.listener[0];
	struct mt_retry_budget budget = {.bound = MT_RETRY_UNBOUNDED};

	l->timeout_ms = TIMEOUT;
	l->retry = (struct mt_retry){.on = MT_RETRY_UNSENT | MT_RETRY_UNREAD | MT_RETRY_LOST,
		.attempts = ATTEMPTS,
		.try_ms = t == SILENT ? 300 : 0,
		.base_ms = 25,
		.max_ms = 250};
	if (t == STORM && sim_one_in(r, 2))
		budget = (struct mt_retry_budget){
			.bound = MT_RETRY_BOUND_SHARE, .share = 1000, .n = 1};
	else if (t == STORM)
		budget = (struct mt_retry_budget){
			.bound = MT_RETRY_BOUND_NUMBER, .n = (uint32_t)sim_between(r, 1, 4)};
	for (uint32_t i = 0; i < w->config.n_clusters; i++)
		w->config.cluster[i].retry_budget = budget;
	w->rpc.executions = 1 + ATTEMPTS;
	w->rpc.may_native = 1u << MT_REPLY_CONN_LOST | 1u << MT_REPLY_TIMEOUT |
			    1u << MT_REPLY_NO_ENDPOINT | 1u << MT_REPLY_OVERLOAD;
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

static void judge(struct world *w, enum trouble t)
{
	uint64_t retries = mesh_counter(&w->mesh, MT_PROXY_retry_by_policy);
	uint64_t refused = mesh_counter(&w->mesh, MT_PROXY_retry_over_budget);

	sim_trace(w->sim, "retries: %llu, and %llu refused", (unsigned long long)retries,
		(unsigned long long)refused);
	if (!retries)
		sim_fail(w->sim, "harness: no retry");
	if (t == STORM && !refused)
		sim_fail(w->sim, "harness: no retry was refused");
	if (t != STORM && refused)
		sim_fail(w->sim, "%llu retries were refused without a budget",
			(unsigned long long)refused);
	if (!nothing_left(w->sim, w))
		sim_fail(w->sim, "calls are left");
	for (uint32_t i = 0; i < w->config.n_clusters; i++) {
		const struct mt_budget_account *a =
			mt_upstream_budget_at(w->mesh.store.registry, i);

		if (a && a->used)
			sim_fail(w->sim, "%u units of cluster %u are left", a->used, i);
		for (uint32_t k = 0; a && a->calls && k < w->mesh.workers; k++)
			if (a->calls[k].n)
				sim_fail(w->sim, "%u calls of cluster %u are left", a->calls[k].n,
					i);
	}
}

static void run(struct sim *s, enum trouble t)
{
	struct world *w;

	world_peers();
	w = world_new_rpc(s, 0, WANT_ANY);
	configure(w, t);
	world_go(w);
	world_even(w);
	w->mesh.reload = reload;
	w->mesh.reload_arg = w;
	w->mesh.reload_every = 20 + sim_below(&s->plan, 200);
	add_clients(w, t);
	world_servers(w);
	if (t == STORM)
		sim_at(s, s->now + 100 * MT_MSEC, fail_all, w, 8);
	sim_at(s, s->now + LOOK, look, w, 0);
	world_run_calls(w);
	sim_run(s, s->now + 2 * TIMEOUT * MT_MSEC, nothing_left, w);
	if (!s->failed)
		judge(w, t);
	world_end(w);
}

#define RETRIES(id, trouble, say)                                                                  \
	static void run_##id(struct sim *s)                                                        \
	{                                                                                          \
		run(s, trouble);                                                                   \
	}                                                                                          \
	const struct sim_scenario scenario_retries_##id = {                                        \
		.name = "retries_" #id,                                                            \
		.words = say,                                                                      \
		.weight = 0,                                                                       \
		.run = run_##id,                                                                   \
		.min_exchanges = (trouble) == STORM ? CLIENTS * CALLS / 6 : CLIENTS * CALLS / 2,   \
		.min_connections = CLIENTS,                                                        \
	}

RETRIES(resets, RESETS, "servers reset connections whose calls they have read; a policy retries");
RETRIES(silent, SILENT, "servers do not answer some calls; the time of an attempt passes");
RETRIES(storm, STORM, "all servers fail at once, again and again; a budget limits retries");
