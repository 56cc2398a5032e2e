/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Half or all of the calls are copied to a mirror, which answers, is not there, answers nothing, reads nothing or resets its
 * connections; configurations come meanwhile. Each call is answered in time by its own server all the same, a mirror sees no copy
 * twice and none that differs from the call, and of the copies nothing is left.
 */
#include "scenario.h"
#include "world.h"

#include "mt_worker.h"

#define CLIENTS 3
#define CALLS	200
#define WINDOW	32
#define MIRROR	(WORLD_SERVERS - 1)
#define TIMEOUT 3000 /* ms */
#define PATIENCE                                                                                   \
	(500 * MT_MSEC) /* a call is answered so long after its server and its client allow it */
#define FOR_EVER (10000 * MT_SEC) /* longer than any seed */

enum conduct { ANSWERS, DEAD, SILENT, DEAF, RESETS };

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
		c->window = WINDOW;
		c->min_answered = CALLS;
		c->patience = PATIENCE;
		c->start = w->sim->now + sim_below(r, 20) * MT_MSEC;
		c->mix =
			(struct rpc_mix){.req_max = 200, .rep_max = 300, .delay_max = 20 * MT_MSEC};
		/* Some that have a connection apart, and answers that are passed on in parts. */
		if (sim_one_in(r, 2)) {
			c->mix.big = 50000;
			c->mix.big_max = 100000;
		}
	}
}

static void be(struct world *w, enum conduct how)
{
	struct rpc_server *m = &w->rpc.server[MIRROR];

	m->mirror = true;
	m->heartbeats = 0;
	m->silent = how == SILENT;
	if (how == DEAD)
		w->rpc.n_servers = MIRROR;
	if (how == DEAF)
		m->pause_to = w->sim->now + FOR_EVER;
	if (how == RESETS)
		m->die_at = (uint32_t)sim_between(&w->sim->plan, 1, 2000);
}

/* The same once more. */
static void reload(void *arg)
{
	struct world *w = arg;

	if (w->mesh.store.n < CONFIG_SNAPSHOTS - 1 && w->mesh.store.alive < CONFIG_ALIVE_MAX)
		config_publish(&w->mesh.store, &w->config);
}

static bool no_copies(struct sim *s, void *arg)
{
	const struct world *w = arg;

	for (uint32_t i = 0; i < w->mesh.workers; i++)
		if (mt_proxy_copies(mt_worker_proxy(w->mesh.w[i])))
			return false;
	return true;
}

static void judge(struct world *w, enum conduct how)
{
	uint64_t made = mesh_counter(&w->mesh, MT_PROXY_mirror_started);
	uint64_t answered = mesh_counter(&w->mesh, MT_PROXY_mirror_answered);
	/* Found to be so, as no answer came. */
	uint64_t oneway = mesh_counter(&w->mesh, MT_PROXY_mirror_oneway);
	uint64_t failed = mesh_counter(&w->mesh, MT_PROXY_mirror_failed);

	sim_trace(w->sim, "mirror: %llu copies, %llu answered, %llu failed, %llu not made",
		(unsigned long long)made, (unsigned long long)answered, (unsigned long long)failed,
		(unsigned long long)mesh_counter(&w->mesh, MT_PROXY_mirror_full));
	if (!no_copies(w->sim, w))
		sim_fail(w->sim, "copies are under way long after their time");
	if (made == 0 && how != DEAD)
		sim_fail(w->sim, "harness: no copy was made");
	if (made != answered + oneway + failed)
		sim_fail(w->sim, "%llu copies, %llu answered, %llu failed",
			(unsigned long long)made, (unsigned long long)answered,
			(unsigned long long)failed);
	if ((how == DEAD || how == SILENT || how == DEAF) && answered)
		sim_fail(w->sim, "%llu copies were answered by nobody",
			(unsigned long long)answered);
	if (how == ANSWERS && (failed || !answered))
		sim_fail(w->sim, "%llu copies failed", (unsigned long long)failed);
}

static void run(struct sim *s, enum conduct how)
{
	struct world *w;
	struct config_listener *l;

	world_peers();
	w = world_new_rpc(s, 0, WANT_ANY);
	l = &w->config.listener[0];
	l->cluster_b = 0;
	l->mirror = 1;
	l->mirror_ppm = sim_one_in(&s->plan, 2) ? 1000000 : 500000;
	l->timeout_ms = TIMEOUT;
	/* Nobody but the mirror sees the copies, and the mirror sees nothing else. */
	w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	w->proxy.wide_from = 8192;
	world_go(w);
	world_even(w);
	w->mesh.reload = reload;
	w->mesh.reload_arg = w;
	w->mesh.reload_every = 20 + sim_below(&s->plan, 200);
	add_clients(w);
	world_servers(w);
	be(w, how);
	world_run_calls(w);
	sim_run(s, s->now + 2 * TIMEOUT * MT_MSEC, no_copies, w);
	if (!s->failed)
		judge(w, how);
	world_end(w);
}

#define MIRRORED(id, how, say)                                                                     \
	static void run_##id(struct sim *s)                                                        \
	{                                                                                          \
		run(s, how);                                                                       \
	}                                                                                          \
	const struct sim_scenario scenario_mirror_##id = {                                         \
		.name = "mirror_" #id,                                                             \
		.words = say,                                                                      \
		.weight = 0,                                                                       \
		.run = run_##id,                                                                   \
		.min_exchanges = CLIENTS * CALLS,                                                  \
		.min_connections = CLIENTS,                                                        \
	}

MIRRORED(answers, ANSWERS, "calls are copied to a mirror");
MIRRORED(dead, DEAD, "the mirror is not there");
MIRRORED(silent, SILENT, "the mirror answers nothing");
MIRRORED(deaf, DEAF, "the mirror reads nothing");
MIRRORED(resets, RESETS, "the mirror resets its connections");
