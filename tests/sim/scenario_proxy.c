/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges through the proxy: one scenario for each way in which they can go wrong. */
#include "scenario.h"
#include "world.h"

#include <string.h>

/* Tries to publish, one behind the other, that may find too many old snapshots in use. */
#define BLOCKED_MAX 20

#define ALL_NATIVE ((1u << MT_REPLY_N) - 1)

static void add_clients(struct world *w, uint32_t n, uint32_t calls, uint32_t window)
{
	struct sim *s = w->sim;
	const struct protocol *p = &w->rpc.protocol;
	uint32_t first = sim_below(&s->plan, p->n_dialects);
	bool mixed = sim_one_in(&s->plan, 3);

	w->rpc.n_clients = n;
	for (uint32_t i = 0; i < n; i++) {
		struct rpc_client *c = &w->rpc.client[i];

		c->set = &w->rpc;
		c->dialect = &p->dialects[mixed ? sim_below(&s->plan, p->n_dialects) : first];
		c->no = i;
		c->host = world_client(w, i);
		c->to = sim_one_in(&s->plan, 3) ? w->mesh.host.addr6 : w->mesh.host.addr4;
		c->port = (uint16_t)(WORLD_PORT + sim_below(&s->plan, w->config.n_listeners));
		c->calls = calls;
		c->window = window;
		c->start = s->now + sim_between(&s->plan, 0, 20 * MT_MSEC);
		c->mix = (struct rpc_mix){.req_max = 200, .rep_max = 300, .delay_max = 3 * MT_MSEC};
		if (sim_one_in(&s->plan, 4))
			c->write_chunk = (uint32_t)sim_between(&s->plan, 1, 40);
		c->mix.oneway = sim_one_in(&s->plan, 3) ? 50000 : 0;
		c->mix.error = sim_one_in(&s->plan, 3) ? 50000 : 0;
		c->mix.heartbeat = sim_one_in(&s->plan, 3) ? 50000 : 0;
	}
}

/* Longer than the time-out; without one so long that the proxy asks whether the server lives. */
static uint64_t late_by(struct world *w, bool timeout)
{
	if (timeout)
		return 2500 * MT_MSEC;
	return sim_between(&w->sim->plan, 62, 110) * MT_SEC;
}

static void run_ids(struct sim *s)
{
	struct world *w = world_new_rpc(s, 2, WANT_SAFE);
	bool late = !sim_one_in(&s->plan, 3);

	if (sim_one_in(&s->plan, 3))
		world_few_ids(w);
	w->config.listener[0].timeout_ms = late ? 2000 : 120000;
	/* The time-out that a call carries, and what the proxy grants on top of it. */
	if (late && w->rpc.protocol.dialects->timeouts && sim_one_in(&s->plan, 2)) {
		w->config.listener[0].timeout_ms = 0;
		w->rpc.timeout_ms = 1900;
	}
	/* Where there is a time-out a call that cannot be answered in time is refused. */
	w->rpc.may_native = late ? 1u << MT_REPLY_TIMEOUT | 1u << MT_REPLY_OVERLOAD : 0;
	world_go_varied(w);
	if (late)
		world_late(w);
	add_clients(w, 3, 150, 64);
	world_servers(w);
	for (uint32_t i = 0; i < w->rpc.n_servers; i++)
		w->rpc.server[i].stray = 20000;
	for (uint32_t i = 0; i < w->rpc.n_clients; i++) {
		struct rpc_mix *m = &w->rpc.client[i].mix;

		m->delay_max = sim_between(&s->plan, 1, 200) * MT_MSEC;
		m->late = 10000;
		m->late_ns = late_by(w, late);
		m->silence = late && sim_one_in(&s->plan, 2) ? 5000 : 0;
	}
	world_calls(w);
}

/* Servers that leave most calls unanswered: a connection that was asked too much in vain is given up. */
static void run_silent(struct sim *s)
{
	struct world *w;

	s->workers = 1;
	w = world_new_rpc(s, 0, WANT_SAFE);
	w->proxy.ring_slots = 1024;
	w->config.listener[0].timeout_ms = 300;
	w->config.listener[0].cluster_b = 0;
	w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	w->config.cluster[0].n_eps = 1;
	w->rpc.may_native =
		1u << MT_REPLY_TIMEOUT | 1u << MT_REPLY_CONN_LOST | 1u << MT_REPLY_OVERLOAD;
	w->must_count = MT_PROXY_up_tombstones;
	world_go(w);
	world_brisk(w);
	add_clients(w, 3, 300, 300);
	world_servers(w);
	for (uint32_t i = 0; i < w->rpc.n_clients; i++) {
		w->rpc.client[i].mix.silence = 800000;
		w->rpc.client[i].mix.oneway = w->rpc.client[i].mix.heartbeat = 0;
		w->rpc.client[i].dialect = w->rpc.client[0].dialect; /* which share a connection */
		w->rpc.client[i].write_chunk = 0;
	}
	world_calls(w);
}

/* Ids come round while late replies to old ones are still on their way. */
static void run_id_wrap(struct sim *s)
{
	struct world *w;

	s->workers = 1; /* every call on one connection */
	w = world_new_rpc(s, 0, WANT_SAFE);
	world_few_ids(w);
	w->proxy.ring_slots = 4096;
	w->proxy.down_outstanding = 4096;
	w->config.listener[0].timeout_ms = 10;
	w->config.listener[0].cluster_b = 0;
	w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	w->config.cluster[0].n_eps = 1;
	w->rpc.may_native = 1u << MT_REPLY_TIMEOUT;
	w->rpc.native_max =
		5400; /* of 6,000: peers' windows and delayed ACKs may take longer than that */
	world_go(w);
	for (uint32_t i = 0; i < w->net.n; i++)
		w->net.nics[i]->wire.delay = w->net.nics[i]->wire.jitter = 5 * MT_USEC;
	add_clients(w, 4, 1500, 60);
	world_servers(w);
	for (uint32_t i = 0; i < w->rpc.n_clients; i++) {
		struct rpc_client *c = &w->rpc.client[i];

		c->write_chunk = 0;
		c->mix = (struct rpc_mix){
			.delay_max = MT_MSEC, .late = 10000, .late_ns = 60 * MT_SEC};
	}
	world_calls(w);
}

/*
 * Servers that answer twice, answer one-way calls, send no ids, or use ids that no call had, which
 * costs the call that is out.
 */
static void odd_replies(struct world *w)
{
	uint32_t how = sim_below(&w->sim->plan, 4);

	for (uint32_t i = 0; i < w->rpc.n_servers; i++) {
		w->rpc.server[i].again = how == 1 ? 100000 : 0;
		w->rpc.server[i].again_oneway = w->rpc.protocol.keeps_ids;
		w->rpc.server[i].again_ns = 5 * MT_MSEC;
		w->rpc.server[i].no_ids = how == 2 && !w->rpc.protocol.keeps_ids;
		w->rpc.server[i].stray = how == 3 ? 20000 : 0;
	}
	if (how == 3)
		w->rpc.may_native |= 1u << MT_REPLY_BAD_REPLY;
}

static void run_serial(struct sim *s)
{
	bool late = sim_one_in(&s->plan, 3);
	struct world *w = world_new_rpc(s, 2, WANT_SERIAL);

	if (late)
		w->config.listener[0].timeout_ms = 2000;
	w->rpc.may_native = late ? 1u << MT_REPLY_TIMEOUT : 0;
	world_go_varied(w);
	if (late)
		world_late(w);
	add_clients(w, 2, 60, 16);
	world_servers(w);
	for (uint32_t i = 0; i < w->rpc.n_clients; i++) {
		w->rpc.client[i].mix.delay_max = sim_between(&s->plan, 1, 40) * MT_MSEC;
		w->rpc.client[i].mix.late = late ? 20000 : 0;
		w->rpc.client[i].mix.late_ns = 3 * MT_SEC;
		w->rpc.client[i].half_close = sim_one_in(&s->plan, 2);
	}
	odd_replies(w);
	world_calls(w);
}

static void run_slow(struct sim *s)
{
	struct world *w = world_new_rpc(s, 1, WANT_SAFE);

	w->proxy.reply_soft = 32768;
	w->proxy.slow_ms = 3000;
	world_go_varied(w);
	add_clients(w, 3, 60, 32);
	world_servers(w);
	w->rpc.client[0].mix.rep_max = 4000;
	w->rpc.client[0].may_lose = true;
	/* The others must not notice: what they have out fits the limit, in segments of any length. */
	for (uint32_t i = 1; i < w->rpc.n_clients; i++) {
		w->rpc.client[i].mix.rep_max = 1000;
		w->rpc.client[i].window = 8;
	}
	if (sim_one_in(&s->plan, 2)) {
		w->rpc.client[0].read_stop = sim_between(&s->plan, 1, 20) * MT_SEC;
	} else {
		w->rpc.client[0].read_max = 500;
		w->rpc.client[0].read_pace = sim_between(&s->plan, 1, 40) * MT_MSEC;
	}
	world_calls(w);
}

static void run_upstream_death(struct sim *s)
{
	struct world *w = world_new_rpc(s, 1, WANT_ANY);

	w->rpc.may_native = 1u << MT_REPLY_CONN_LOST | 1u << MT_REPLY_NO_ENDPOINT;
	if (w->severity) /* the reset may be lost */
		w->rpc.may_native |= 1u << MT_REPLY_TIMEOUT;
	world_go_varied(w);
	w->rpc.sticky[0] = w->rpc.sticky[1] = false;
	add_clients(w, 2, 60, 16);
	world_servers(w);
	for (uint32_t i = 0; i < w->rpc.n_servers; i++) {
		w->rpc.server[i].die_at = (uint32_t)sim_between(&s->plan, 1, 900);
		w->rpc.server[i].die_fin = sim_one_in(&s->plan, 2);
	}
	for (uint32_t i = 0; i < w->rpc.n_clients; i++) {
		w->rpc.client[i].mix.reset = 10000;
		w->rpc.client[i].mix.fin = 10000;
		w->rpc.client[i].mix.drain = 10000;
	}
	world_calls(w);
}

static void run_client_leave(struct sim *s)
{
	struct world *w = world_new_rpc(s, 1, WANT_ANY);

	world_go_varied(w);
	add_clients(w, 3, 80, 16);
	world_servers(w);
	for (uint32_t i = 1; i < w->rpc.n_clients; i++) {
		w->rpc.client[i].leave_at = (uint32_t)sim_between(&s->plan, 1, 900);
		w->rpc.client[i].closes = sim_one_in(&s->plan, 2);
	}
	world_calls(w);
}

/*
 * Clients that close by FIN while calls wait, for servers that leave some unanswered for ever. Their
 * calls end long before the time-out, and nobody notices who stays.
 */
static void run_client_close(struct sim *s)
{
	struct world *w = world_new_rpc(s, 0, sim_one_in(&s->plan, 2) ? WANT_THRIFT : WANT_DUBBO);

	w->proxy.message_ms = 3000;
	w->config.listener[0].cluster_b = 0;
	w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	world_go(w);
	world_brisk(w);
	add_clients(w, 4, 60, 8);
	world_servers(w);
	for (uint32_t i = 1; i < w->rpc.n_clients; i++) {
		struct rpc_client *c = &w->rpc.client[i];

		c->closes = true;
		c->gone_at = c->start + sim_between(&s->plan, 50, 1000) * MT_MSEC;
		c->mix.silence = 50000;
		c->mix.oneway = 100000;
		c->notes = w->rpc.protocol.serial && sim_one_in(&s->plan, 2);
	}
	world_run_calls(w);
	/* Several serial calls of a client stay for message_ms. */
	sim_run(s, s->now + 15 * MT_SEC, NULL, NULL);
	if (!s->failed && mesh_exchanges(&w->mesh))
		sim_fail(s, "%u calls of clients that closed still wait", mesh_exchanges(&w->mesh));
	if (!s->failed && mesh_counter(&w->mesh, MT_PROXY_exchange_client_closed) == 0)
		sim_fail(s, "no call ended with its client");
	world_end(w);
}

/* lib/conf publishes nothing while too many are in use; that may not last. */
static bool too_many_alive(struct world *w)
{
	if (w->mesh.store.alive < CONFIG_ALIVE_MAX) {
		w->reloads_blocked = 0;
		return false;
	}
	if (mesh_stands_still(&w->mesh))
		return true;
	if (++w->reloads_blocked == BLOCKED_MAX)
		sim_fail(w->sim, "%u old snapshots stay in use", w->mesh.store.alive - 1);
	return true;
}

/* The endpoints of cluster 0 turn round, sometimes one is missing. */
static void reload(void *arg)
{
	struct world *w = arg;
	struct config_cluster *c = &w->config.cluster[0];

	if (w->mesh.store.n >= CONFIG_SNAPSHOTS - 1)
		return;
	if (too_many_alive(w))
		return;
	w->reloads++;
	c->n_eps = 1 + w->reloads % 2;
	for (uint32_t i = 0; i < c->n_eps; i++)
		c->ep[i].addr = world_server(w, w->reloads / 2 + i)->addr4;
	for (uint32_t i = 0; i < c->n_eps; i++)
		c->ep[i].port = SERVER_PORT;
	config_publish(&w->mesh.store, &w->config);
}

static void run_reload(struct sim *s)
{
	struct world *w = world_new_rpc(s, 1, WANT_ANY);

	w->rpc.route_to[0] = 0; /* endpoints change their cluster */
	world_go_varied(w);
	w->rpc.sticky[0] = w->rpc.sticky[1] = false;
	w->mesh.reload = reload;
	w->mesh.reload_arg = w;
	w->mesh.reload_every = 1 + sim_below(&s->plan, 20);
	add_clients(w, 2, 80, 16);
	world_servers(w);
	world_calls(w);
}

static void run_overload(struct sim *s)
{
	struct world *w = world_new_rpc(s, 1, WANT_ANY);

	if (sim_one_in(&s->plan, 2))
		w->proxy.max_exchanges = 32;
	if (sim_one_in(&s->plan, 2))
		w->proxy.pending_max = 4;
	if (sim_one_in(&s->plan, 3))
		w->proxy.max_up = 2;
	w->rpc.may_native = ALL_NATIVE;
	w->rpc.starved = true;
	w->latecomer = true;
	world_go(w);
	w->mesh.port.hold = MT_MIN(w->mesh.port.hold, 16u);
	for (uint32_t i = 0; i < w->mesh.workers; i++)
		sim_pools_starve(w->mesh.pools[i], sim_below(&s->plan, 3000),
			sim_below(&s->plan, 60),
			sim_one_in(&s->plan, 2) ? (uint32_t)sim_between(&s->plan,
							  SIM_POOL_DATA - 540, SIM_POOL_DATA - 160)
						: 0);
	add_clients(w, 3, 60, 32);
	world_servers(w);
	for (uint32_t i = 0; i < w->rpc.n_clients; i++) {
		w->rpc.client[i].mix.delay_max = 100 * MT_MSEC;
		w->rpc.client[i].may_lose = true;
		/* Where nearly all are refused at once they would have asked all before the first server answers. */
		if (w->proxy.max_up == 2)
			w->rpc.client[i].pace = 10 * MT_MSEC;
	}
	world_calls(w);
}

static void run_lanes(struct sim *s)
{
	struct world *w = world_new_rpc(s, 1, WANT_ANY);

	if (sim_one_in(&s->plan, 2))
		w->proxy.shared_max = 8192;
	/* Replies wait for their turn and for a client that begins to read late: who reads gets them all. */
	if (sim_one_in(&s->plan, 2))
		w->proxy.reply_soft = 32768;
	world_go_varied(w);
	add_clients(w, 3, 30, 8);
	world_servers(w);
	if (sim_one_in(&s->plan, 2))
		w->rpc.client[0].read_stop = sim_between(&s->plan, 1, 2000) * MT_MSEC;
	for (uint32_t i = 0; i < w->rpc.n_clients; i++) {
		struct rpc_client *c = &w->rpc.client[i];

		c->mix.big = 80000;
		c->mix.big_max = w->proxy.shared_max ? 30000 : 120000;
		c->mix.delay_max = sim_between(&s->plan, 1, 600) * MT_MSEC;
		c->write_chunk = 0;
	}
	world_calls(w);
}

#define PROXY_SCENARIO(id, say, share, fn) PROXY_SCENARIO_OF(id, say, share, fn, 20)
#define PROXY_SCENARIO_OF(id, say, share, fn, least)                                               \
	const struct sim_scenario scenario_##id = {                                                \
		.name = #id,                                                                       \
		.words = say,                                                                      \
		.weight = share,                                                                   \
		.run = fn,                                                                         \
		.min_calls = 20,                                                                   \
		.min_exchanges = least,                                                            \
		.min_connections = 4,                                                              \
	}

PROXY_SCENARIO(proxy_ids, "clients with equal ids on shared connections, late replies", 6, run_ids);
PROXY_SCENARIO(proxy_silent, "servers that leave most calls unanswered", 1, run_silent);
PROXY_SCENARIO(proxy_id_wrap, "ids come round while old calls are unanswered", 1, run_id_wrap);
PROXY_SCENARIO(
	proxy_serial, "one call at a time upstream; replies in order downstream", 3, run_serial);
PROXY_SCENARIO(proxy_slow_reader, "a client that reads slowly or not at all", 2, run_slow);
/* Where the first bytes of each connection are its last ones, nothing is answered. */
PROXY_SCENARIO_OF(
	proxy_upstream_death, "servers that end connections at any byte", 3, run_upstream_death, 0);
PROXY_SCENARIO(proxy_client_leave, "clients that leave at any byte", 3, run_client_leave);
PROXY_SCENARIO(proxy_client_close, "clients that close while servers leave calls unanswered", 0,
	run_client_close);
PROXY_SCENARIO(proxy_reload, "a new snapshot at every n-th turn", 3, run_reload);
PROXY_SCENARIO_OF(proxy_overload, "pools run empty, tables are full", 2, run_overload, 5);
PROXY_SCENARIO(proxy_lanes, "large messages beside small ones", 2, run_lanes);
