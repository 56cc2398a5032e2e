/* SPDX-License-Identifier: Apache-2.0 */
/* The local rate limit, asked by clients on all workers, changed while they ask. */
#include "scenario.h"
#include "world.h"

#define CLIENTS 5

static void draw_numbers(struct mt_bucket_numbers *n, struct mt_rand *r)
{
	static const uint32_t max[] = {1, 2, 5, 20, 64, 120, 200, 400};

	n->max_tokens = max[sim_below(r, MT_ARRAY_LEN(max))];
	/* As in most configurations a fill fills the bucket; or it takes several. */
	n->tokens_per_fill = n->max_tokens;
	if (sim_one_in(r, 3))
		n->tokens_per_fill = 1 + sim_below(r, n->max_tokens);
	n->fill_ns = sim_between(r, 50, sim_one_in(r, 3) ? 400 : 90) * MT_MSEC;
}

static void draw_limit(struct world *w)
{
	struct limit_numbers *limit = w->config.listener[0].limit;
	uint32_t which = sim_below(&w->sim->plan, 4);

	for (uint32_t i = 0; i < LIMIT_BUCKETS; i++) {
		limit[i].on = which != i;
		draw_numbers(&limit[i].n, &w->sim->plan);
	}
}

/* Another number of one bucket, another pace, a condition that comes or goes; or nothing of the limit. */
static void reload(void *arg)
{
	struct world *w = arg;
	struct mt_rand *r = &w->sim->host_rand;
	struct limit_numbers *limit = w->config.listener[0].limit, *l;

	if (w->mesh.store.n >= CONFIG_SNAPSHOTS - 1)
		return;
	l = &limit[sim_below(r, LIMIT_BUCKETS)];
	switch (sim_below(r, 6)) {
	case 0:
		draw_numbers(&l->n, r);
		break;
	case 1:
		l->n.max_tokens = 1 + sim_below(r, 2 * l->n.max_tokens);
		break;
	case 2:
		limit[0].on = !limit[0].on || !limit[1].on;
		break;
	default:
		w->config.listener[0].timeout_ms++;
	}
	w->sim->st.limit_changes++;
	config_publish(&w->mesh.store, &w->config);
}

static void add_client(struct world *w, uint32_t i)
{
	struct rpc_client *c = &w->rpc.client[i];
	const struct protocol *p = &w->rpc.protocol;
	struct sim *s = w->sim;

	*c = (struct rpc_client){
		.set = &w->rpc,
		.dialect = &p->dialects[sim_below(&s->plan, p->n_dialects)],
		.no = i,
		.host = world_client(w, i),
		.to = w->mesh.host.addr4,
		.port = WORLD_PORT,
		.calls = 400,
		/* A connection for each call is more than the simulator's hosts have places for. */
		.window = 1 + sim_below(&s->plan, p->serial ? 16 : 60),
		.start = s->now + sim_between(&s->plan, 0, 20 * MT_MSEC),
		.mix = {.req_max = 60, .rep_max = 60, .delay_max = 300 * MT_USEC},
	};
	c->mix.oneway = sim_one_in(&s->plan, 4) ? 50000 : 0;
}

/* Bursts and single calls in turn: claims of a worker that falls silent are wanted by another one. */
static void add_clients(struct world *w)
{
	struct sim *s = w->sim;

	w->rpc.n_clients = CLIENTS;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct rpc_client *c = &w->rpc.client[i];

		add_client(w, i);
		c->rest_every = (uint32_t)sim_between(&s->plan, 1, 150);
		c->rest_ns = c->rest_every * sim_between(&s->plan, 20, 400) * MT_USEC;
		if (sim_one_in(&s->plan, 3))
			c->pace = sim_between(&s->plan, 20, 500) * MT_USEC;
	}
}

/*
 * Most clients are silent through every second interval, and then, about when it ends, ask for more than
 * the bucket holds; few calls between keep claims under way when it is filled.
 */
static void add_clients_in_step(struct world *w)
{
	const struct mt_bucket_numbers *n = &w->config.listener[0].limit[1].n;
	struct sim *s = w->sim;
	uint64_t origin = s->now, slack = sim_one_in(&s->plan, 2) ? MT_MSEC : 100 * MT_USEC;

	w->rpc.n_clients = CLIENTS;
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct rpc_client *c = &w->rpc.client[i];

		add_client(w, i);
		if (i < 2) {
			c->pace = sim_between(&s->plan, 50, 500) * MT_USEC;
			c->calls = 800;
			continue;
		}
		c->window = sim_one_in(&s->plan, 2) ? 60 : 120;
		c->rest_every = n->max_tokens / 2;
		c->beat_at = origin;
		c->beat_ns = 2 * n->fill_ns;
		c->beat_slack = slack;
		c->start = origin + c->beat_ns - sim_below(&s->plan, (uint32_t)slack);
	}
}

/* One bucket for all, so large that workers claim from it, full after each fill. */
static void limit_in_step(struct world *w)
{
	struct limit_numbers *limit = w->config.listener[0].limit;
	static const uint32_t max[] = {64, 120, 200};

	limit[1].on = true;
	limit[1].n.max_tokens = max[sim_below(&w->sim->plan, MT_ARRAY_LEN(max))];
	limit[1].n.tokens_per_fill = limit[1].n.max_tokens;
	limit[1].n.fill_ns = sim_between(&w->sim->plan, 50, 60) * MT_MSEC;
}

static struct world *limit_world(struct sim *s, enum protocol_want want)
{
	struct world *w = world_new_rpc(s, 1, want);

	w->rpc.may_native = 1u << MT_REPLY_OVER_LIMIT;
	w->rpc.steady = true;
	return w;
}

static void run(struct sim *s)
{
	struct world *w = limit_world(s, WANT_ANY);

	draw_limit(w);
	world_go(w);
	if (sim_one_in(&s->plan, 2)) {
		w->mesh.reload = reload;
		w->mesh.reload_arg = w;
		w->mesh.reload_every = (uint32_t)sim_between(&s->plan, 20, 400);
	}
	add_clients(w);
	world_servers(w);
	world_calls(w);
}

static void run_in_step(struct sim *s)
{
	struct world *w = limit_world(s, WANT_SAFE);

	limit_in_step(w);
	world_go(w);
	add_clients_in_step(w);
	world_servers(w);
	world_calls(w);
}

const struct sim_scenario scenario_proxy_limit = {
	.name = "proxy_limit",
	.words = "the local rate limit over all workers, through reloads",
	.weight = 2,
	.run = run,
	.min_calls = 1000,
	.min_exchanges = 1,
	.min_connections = CLIENTS,
};

const struct sim_scenario scenario_proxy_limit_in_step = {
	.name = "proxy_limit_in_step",
	.words = "a rate limit whose clients are silent, then all ask when it is filled",
	.weight = 4,
	.run = run_in_step,
	.min_calls = 1000,
	.min_exchanges = 1,
	.min_connections = CLIENTS,
};
