/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hundred clients, each from a network of its own, begin a request and stop: so many that an even part of what requests in the
 * middle may take is less than two buffers. Short calls of others go on as ever. Who begins a request that takes longer waits until
 * those that were first have had their time; nobody else is reset or refused, and then all calls are answered.
 */
#include "scenario.h"
#include "world.h"

#define CROWD	  200
#define BUFFERS	  400 /* to be shared out: a hundred for requests in the middle */
#define REQUEST	  4000
#define BEGIN	  1000 /* bytes of it that are written */
#define UPLOADERS 3    /* write theirs slowly */
#define CALLERS	  3    /* in one piece each */
#define OTHERS	  (UPLOADERS + CALLERS)
#define UPLOADS	  5
#define CALLS	  1000 /* until after the crowd */
#define PACE	  (40 * MT_MSEC)
#define SOON	  (50 * MT_MSEC)
#define STALLED	  (10 * MT_SEC) /* by default */
#define PATIENCE                                                                                   \
	(6 * STALLED) /* repeated ever more rarely, and half of the crowd may be first once more */
#define SLACK	20    /* percent of a share: what one turn may bring */
#define EVICTED (CROWD / 20) /* at most: what the turns that make it full bring too much */
#define TURNED	(CROWD / 2)  /* at least: begins that had to wait */

struct newcomers {
	struct world *w;
	uint32_t others_ok, refused;
};

static const struct rpc_step asks[] = {
	{.calls = 1, .req = REQUEST, .rep = 100}, {.calls = UINT32_MAX}};

static const struct rpc_step uploads[] = {
	{.calls = UPLOADS, .req = REQUEST, .rep = 100}, {.calls = UINT32_MAX}};

static void answered(
	void *arg, const struct rpc_client *c, const struct rpc_call *call, enum rpc_end how)
{
	struct newcomers *q = arg;

	if (c->no < CROWD && how == RPC_OK)
		sim_fail(q->w->sim, "a request that was never written is answered");
	if (c->no >= CROWD + UPLOADERS && how != RPC_OK)
		sim_fail(q->w->sim, "a short call is refused");
	q->others_ok += c->no >= CROWD && how == RPC_OK;
	/*
	 * It was the largest in the middle of a request, when others filled what there was; what it asked next, before it saw that the
	 * connection ends, is lost with it.
	 */
	q->refused += c->no >= CROWD && how == RPC_NATIVE;
}

static struct rpc_client *add(struct world *w, uint32_t host, uint32_t calls, uint64_t start)
{
	struct rpc_client *c = &w->rpc.client[w->rpc.n_clients];

	*c = (struct rpc_client){
		.set = &w->rpc,
		.dialect = w->rpc.protocol.dialects,
		.no = w->rpc.n_clients++,
		.host = world_client(w, host),
		.to = w->mesh.host.addr4,
		.port = WORLD_PORT,
		.start = w->sim->now + start,
		.calls = calls,
		.window = 1,
	};
	return c;
}

static void add_clients(struct world *w)
{
	for (uint32_t i = 0; i < CROWD; i++) {
		struct rpc_client *c = add(w, 0, 1, sim_between(&w->sim->plan, 0, 500) * MT_MSEC);

		c->script = asks;
		c->write_chunk = BEGIN;
		c->write_pace = 1000 * MT_SEC;
		c->may_lose = true;
	}
	for (uint32_t i = 0; i < UPLOADERS; i++) {
		struct rpc_client *c = add(w, 1, UPLOADS, MT_SEC + i * MT_SEC);

		c->script = uploads;
		c->write_chunk = BEGIN;
		c->write_pace = 5 * MT_MSEC;
		c->patience = PATIENCE;
		c->may_lose = true; /* who gives way is told, and then the connection ends */
	}
	for (uint32_t i = 0; i < CALLERS; i++) {
		struct rpc_client *c = add(w, 1, CALLS, i * MT_SEC);

		c->pace = PACE;
		c->mix = (struct rpc_mix){.req_max = 500, .rep_max = 2000};
		c->patience = SOON;
	}
}

static void judge(struct newcomers *q)
{
	struct world *w = q->w;
	const struct mt_ledger *l = mt_tcp_ledger(mt_worker_tcp(w->mesh.w[0]));
	struct mt_ledger_numbers n = mt_ledger_read(l, MT_CLASS_RECEIVING);
	uint64_t turned = mesh_tcp_counter(&w->mesh, MT_TCP_rx_admission_limited);
	uint64_t stalled = mesh_counter(&w->mesh, MT_PROXY_message_stalled);

	sim_trace(w->sim,
		"newcomers: %llu begins waited, %llu of the crowd timed out, %llu gave way; peak "
		"%llu of %llu",
		(unsigned long long)turned, (unsigned long long)stalled,
		(unsigned long long)n.evicted, (unsigned long long)n.peak,
		(unsigned long long)n.share);
	if (q->others_ok + 2 * q->refused < UPLOADERS * UPLOADS + CALLERS * CALLS)
		sim_fail(w->sim, "%u honest calls are answered", q->others_ok);
	if (turned < TURNED)
		sim_fail(w->sim, "%llu begins had to wait", (unsigned long long)turned);
	if (stalled + n.evicted != CROWD + q->refused || n.evicted > EVICTED)
		sim_fail(w->sim, "of the crowd %llu timed out and %llu gave way",
			(unsigned long long)stalled, (unsigned long long)n.evicted);
	if (n.peak > n.share / 100 * (100 + SLACK))
		sim_fail(w->sim, "%llu bytes of a share of %llu", (unsigned long long)n.peak,
			(unsigned long long)n.share);
	if (l->crowded)
		sim_fail(w->sim, "newcomers still have to wait");
}

static void run(struct sim *s)
{
	struct newcomers q = {0};
	struct world *w;

	s->workers = 1;
	world_peers();
	q.w = w = world_new_rpc(s, 0, WANT_ANY);
	rpc_room_for(&w->rpc, CROWD + OTHERS, WORLD_SERVERS);
	w->large_pools = true;
	w->h[0].peer.networks = CROWD;
	w->proxy.message_ms = w->proxy.bulk_idle_ms = 0;
	w->config.listener[0].cluster_b = 0;
	w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	w->rpc.may_native = 1u << MT_REPLY_OVERLOAD;
	w->rpc.answered = answered;
	w->rpc.answered_arg = &q;
	world_go(w);
	world_even(w);
	world_servers(w);
	mesh_share_out(&w->mesh, 0, BUFFERS);
	w->mesh.look_every = 4;
	add_clients(w);
	world_run_calls(w);
	if (!s->failed)
		judge(&q);
	world_end(w);
}

const struct sim_scenario scenario_newcomers = {
	.name = "newcomers",
	.words = "two hundred networks begin a request and stop, and others come",
	.weight = 0,
	.run = run,
	.min_exchanges = CALLERS * CALLS,
	.min_connections = CROWD,
};
