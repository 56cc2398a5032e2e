/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small worlds in which a reply could be lost, or one client's or one method's slowness could become another's: each is the
 * least that is needed, in steps of a script, under any network that is not slow itself.
 */
#include "scenario.h"
#include "world.h"

#define END                                                                                        \
	{                                                                                          \
		.calls = UINT32_MAX                                                                \
	}
#define KB 1000u

static struct rpc_client *add(struct world *w, const struct rpc_step *script, uint32_t calls)
{
	struct rpc_client *c = &w->rpc.client[w->rpc.n_clients];

	*c = (struct rpc_client){
		.set = &w->rpc,
		.dialect = w->rpc.protocol.dialects,
		.no = w->rpc.n_clients++,
		.host = world_client(w, w->rpc.n_clients),
		.to = w->mesh.host.addr4,
		.port = WORLD_PORT,
		.start = w->sim->now,
		.script = script,
		.calls = calls,
		.window = MT_MIN(calls, (uint32_t)RPC_OUT),
		.write_chunk = 16384,
		.patience = 5 * MT_SEC,
	};
	return c;
}

/* One server for all, fast wires. */
static struct world *small_world(struct sim *s, enum protocol_want want)
{
	struct world *w = world_new_rpc(s, 0, want);

	w->large_pools = true;
	w->config.listener[0].cluster_b = 0;
	w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	w->config.cluster[0].n_eps = 1;
	w->proxy.slow_ms = 60000;
	return w;
}

static void start(struct world *w)
{
	world_go(w);
	world_brisk(w);
	world_servers(w);
	w->rpc.server[0].write_max = 16384;
}

/* A client that reads nothing for two seconds; long replies that came meanwhile, one of them late. */
static void run_read_late(struct sim *s)
{
	static const struct rpc_step steps[] = {
		{.calls = 2, .req = 66 * KB, .rep = 66 * KB, .delay = 600 * MT_MSEC},
		{.calls = 6, .req = 50 * KB, .rep = 50 * KB}, END};
	struct world *w = small_world(s, WANT_SAFE);
	struct rpc_client *c;

	start(w);
	c = add(w, steps, 8);
	c->pause_from = c->start;
	c->pause_to = c->start + 2 * MT_SEC;
	world_calls(w);
}

/* Many long replies, pipelined and read late. */
static void run_many_late(struct sim *s)
{
	static const struct rpc_step steps[] = {{.calls = 100, .req = 100, .rep = 65 * KB}, END};
	struct world *w = small_world(s, WANT_ANY);
	struct rpc_client *c;

	w->proxy.serial_lanes = 16;
	start(w);
	c = add(w, steps, 100);
	c->pause_from = c->start + sim_below(&s->plan, 10) * MT_MSEC;
	c->pause_to = c->start + 3 * MT_SEC;
	world_calls(w);
}

/* Where replies go in order: those behind a slow one become sendable all at once. */
static void run_behind_slow(struct sim *s)
{
	static const struct rpc_step steps[] = {
		{.calls = 1, .rep = 50 * KB, .delay = 800 * MT_MSEC}, {.calls = 15, .rep = 50 * KB},
		END};
	struct world *w = small_world(s, WANT_SERIAL);

	start(w);
	add(w, steps, 16);
	world_calls(w);
}

/* Every other call is one-way and looks like any; pipelined, one at a time, and by a client that comes and goes. */
static void run_notes(struct sim *s)
{
	static const struct rpc_step quick[] = {{.calls = 60, .req = 100, .rep = 200}, END};
	static const struct rpc_step slow[] = {
		{.calls = 20, .rep = 50, .delay = 30 * MT_MSEC}, {.calls = 21, .rep = 50}, END};
	struct world *w = small_world(s, WANT_THRIFT);

	/* Enough for all: with fewer a call that may be one-way can have the last one until its time-out. */
	w->proxy.serial_lanes = (uint32_t)sim_between(&s->plan, 8, 32);
	start(w);
	add(w, quick, 60)->window = 16;
	add(w, quick, 60)->window = 1;
	add(w, slow, 41)->window = 4;
	for (uint32_t i = 0; i < w->rpc.n_clients; i++)
		w->rpc.client[i].notes = true;
	world_calls(w);
}

/* A long reply that its server writes over two seconds; many others come meanwhile from another one. */
static void run_behind_long(struct sim *s)
{
	static const struct rpc_step steps[] = {{.calls = 1, .rep = 100 * KB},
		{.calls = 29, .rep = 50 * KB, .delay = 50 * MT_MSEC}, END};
	struct world *w = small_world(s, WANT_SAFE);

	/* Route "a", the first call's, to a server of its own, which is slow. */
	w->config.cluster[0].n_eps = 1;
	w->config.listener[0].cluster_b = 1;
	start(w);
	w->rpc.server[0].write_max = 2 * KB;
	w->rpc.server[0].write_pace = 1 * MT_MSEC;
	add(w, steps, 30);
	world_calls(w);
}

/* Calls that take 20 seconds do not hold up those that are quick, however many ids went by meanwhile. */
static void run_ids_beside_slow(struct sim *s)
{
	static const struct rpc_step slow[] = {
		{.calls = 66, .req = 20, .rep = 20, .delay = 20 * MT_SEC}, END};
	static const struct rpc_step quick[] = {
		{.calls = 1, .after = 300 * MT_MSEC}, {.calls = 1100, .req = 20, .rep = 20}, END};
	struct world *w;

	s->workers = 1;
	w = small_world(s, WANT_SAFE);
	w->proxy.ring_slots = 1024;
	start(w);
	add(w, slow, 66);
	add(w, quick, 1101)->window = 1;
	world_calls(w);
}

/* Forty calls with long replies of a client that reads nothing for 15 s, and another one's long calls. */
static void run_beside_deaf(struct sim *s)
{
	static const struct rpc_step deaf[] = {{.calls = 40, .req = 66 * KB, .rep = 90 * KB}, END};
	static const struct rpc_step other[] = {{.calls = 1, .after = 300 * MT_MSEC},
		{.calls = 20, .req = 70 * KB, .rep = 1 * KB}, END};
	struct world *w;
	struct rpc_client *c;

	s->workers = 1;
	w = small_world(s, WANT_SAFE);
	start(w);
	c = add(w, deaf, 40);
	c->pause_from = c->start;
	c->pause_to = c->start + 15 * MT_SEC;
	c = add(w, other, 21);
	c->window = 1;
	world_calls(w);
}

#define REPLY_SCENARIO(id, say, share, fn)                                                         \
	const struct sim_scenario scenario_##id = {                                                \
		.name = #id,                                                                       \
		.words = say,                                                                      \
		.weight = share,                                                                   \
		.run = fn,                                                                         \
		.min_exchanges = 8,                                                                \
		.min_connections = 2,                                                              \
	}

REPLY_SCENARIO(
	reply_read_late, "long replies to a client that reads two seconds later", 1, run_read_late);
REPLY_SCENARIO(reply_many_late, "a hundred long replies, read late", 1, run_many_late);
REPLY_SCENARIO(reply_behind_slow, "replies in order behind a slow one", 1, run_behind_slow);
REPLY_SCENARIO(
	reply_behind_notes, "replies behind one-way calls that look like others", 1, run_notes);
REPLY_SCENARIO(reply_behind_long, "replies beside one that is written slowly", 1, run_behind_long);
REPLY_SCENARIO(reply_ids_beside_slow, "quick calls on a connection with slow ones", 1,
	run_ids_beside_slow);
REPLY_SCENARIO(
	reply_beside_deaf, "long calls beside a client that reads nothing", 0, run_beside_deaf);
