/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two hundred servers that begin a reply of 1 MB and stop, each anywhere in it. Calls of others go on being answered, no account
 * is far above its share, and the calls to those servers end in time: natively, or by a reset where a part was forwarded.
 */
#include "scenario.h"
#include "world.h"

#define STOPPING 200
#define GOOD	 STOPPING /* the server of the others */
#define OTHERS	 4
#define REPLY	 1000000u
#define STALLED	 (10 * MT_SEC) /* from the last byte, by default */
#define PATIENCE (STALLED + 3 * MT_SEC)
#define SOON	 (500 * MT_MSEC) /* the others' */
#define CALLS	 800
#define PACE	 (20 * MT_MSEC)
#define SLACK	 20 /* percent of a share: what one turn may bring */

struct stopped {
	struct world *w;
	uint32_t others_ok;
};

static const struct rpc_step asks[] = {
	{.calls = 1, .req = 100, .rep = REPLY}, {.calls = UINT32_MAX}};

static void answered(
	void *arg, const struct rpc_client *c, const struct rpc_call *call, enum rpc_end how)
{
	struct stopped *q = arg;

	if (c->no < STOPPING && how == RPC_OK)
		sim_fail(q->w->sim, "a reply that was never written has come");
	if (c->no >= STOPPING && how != RPC_OK)
		sim_fail(q->w->sim, "another client's call is refused");
	q->others_ok += c->no >= STOPPING;
}

static void add_server(struct world *w, uint32_t no)
{
	struct config_cluster *c = &w->config.cluster[no == GOOD];
	uint32_t host = no % WORLD_SERVERS;
	uint16_t port = (uint16_t)(SERVER_PORT + no / WORLD_SERVERS);

	w->rpc.server[no] = (struct rpc_server){
		.set = &w->rpc,
		.no = no,
		.group = no == GOOD,
		.host = world_server(w, host),
		.port = port,
		.serial = w->rpc.protocol.serial,
		.write_stop = no == GOOD ? 0 : (uint32_t)sim_between(&w->sim->plan, 100, REPLY - 1),
	};
	c->ep[c->n_eps].addr = world_server(w, host)->addr4;
	c->ep[c->n_eps++].port = port;
}

static void add_client(struct world *w, uint32_t no)
{
	bool other = no >= STOPPING;

	w->rpc.client[no] = (struct rpc_client){
		.set = &w->rpc,
		.dialect = w->rpc.protocol.dialects,
		.no = no,
		.host = world_client(w, no),
		.to = w->mesh.host.addr4,
		.port = (uint16_t)(WORLD_PORT + other),
		.start = w->sim->now + sim_between(&w->sim->plan, 0, MT_SEC),
		.calls = other ? CALLS : 1,
		.window = other ? 4 : 1,
		.pace = other ? PACE : 0,
		.script = other ? NULL : asks,
		.mix = {.req_max = 500, .rep_max = 2000},
		.may_lose = !other,
		.patience = other ? SOON : PATIENCE,
	};
}

/* Listener 0: of the servers that stop; listener 1: of the one that does not. */
static void configure(struct world *w, bool whole)
{
	struct config *c = &w->config;

	w->large_pools = true;
	w->proxy.message_ms = w->proxy.bulk_idle_ms = 0;
	w->rpc.may_native = (1u << MT_REPLY_N) - 1;
	c->listener[0].cluster_b = 0;
	c->listener[1] = c->listener[0];
	c->listener[0].whole_replies = whole;
	c->listener[1].port++;
	c->listener[1].cluster = c->listener[1].cluster_b = 1;
	c->n_listeners = 2;
	c->cluster[0].n_eps = c->cluster[1].n_eps = 0;
	c->cluster[0].lb = MT_LB_ROUND_ROBIN;
	w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	w->rpc.n_servers = STOPPING + 1;
	for (uint32_t i = 0; i <= GOOD; i++)
		add_server(w, i);
}

static void check_accounts(struct world *w)
{
	const struct mt_ledger *l = mt_tcp_ledger(mt_worker_tcp(w->mesh.w[0]));

	for (int c = 0; c < MT_N_CLASSES; c++) {
		struct mt_ledger_numbers n = mt_ledger_read(l, (enum mt_class)c);

		sim_trace(w->sim, "stopped: %s: peak %llu of %llu, %llu gave way",
			mt_class_name((enum mt_class)c), (unsigned long long)n.peak,
			(unsigned long long)n.share, (unsigned long long)n.evicted);
		if (n.peak > n.share / 100 * (100 + SLACK))
			sim_fail(w->sim, "%s: %llu bytes of a share of %llu",
				mt_class_name((enum mt_class)c), (unsigned long long)n.peak,
				(unsigned long long)n.share);
	}
}

static void judge(struct stopped *q)
{
	struct world *w = q->w;
	uint32_t native = 0, lost = 0, unasked = 0;

	for (uint32_t i = 0; i < STOPPING; i++) {
		native += w->rpc.client[i].ends[RPC_NATIVE];
		lost += w->rpc.client[i].ends[RPC_LOST];
		unasked += w->rpc.server[i].calls == 0;
	}
	sim_trace(w->sim, "stopped: %u native errors, %u resets, %u servers never asked", native,
		lost, unasked);
	if (native + lost != STOPPING || q->others_ok != OTHERS * CALLS)
		sim_fail(w->sim, "%u calls ended natively, %u by reset; %u of others answered",
			native, lost, q->others_ok);
	if (w->config.listener[0].whole_replies && lost)
		sim_fail(w->sim, "%u clients were reset that nothing was forwarded to", lost);
	if (unasked > STOPPING / 10)
		sim_fail(w->sim, "harness: %u servers were never asked", unasked);
	check_accounts(w);
}

static void run(struct sim *s, bool whole)
{
	struct stopped q = {0};
	struct world *w;

	s->workers = 1;
	world_peers();
	q.w = w = world_new_rpc(s, 0, WANT_ANY);
	rpc_room_for(&w->rpc, STOPPING + OTHERS, STOPPING + 1);
	configure(w, whole);
	w->rpc.answered = answered;
	w->rpc.answered_arg = &q;
	world_go(w);
	world_brisk(w);
	mesh_share_out(&w->mesh, 0, SIM_POOL_LARGE);
	w->mesh.look_every = 16;
	w->rpc.n_clients = STOPPING + OTHERS;
	for (uint32_t i = 0; i < w->rpc.n_clients; i++)
		add_client(w, i);
	world_run_calls(w);
	if (!s->failed)
		judge(&q);
	world_end(w);
}

static void run_replies(struct sim *s)
{
	run(s, false);
}

static void run_whole(struct sim *s)
{
	run(s, true);
}

#define STOPPED(id, fn, say)                                                                       \
	const struct sim_scenario scenario_stopped_##id = {                                        \
		.name = "stopped_" #id,                                                            \
		.words = say,                                                                      \
		.weight = 0,                                                                       \
		.run = fn,                                                                         \
		.min_exchanges = OTHERS * CALLS,                                                   \
		.min_connections = STOPPING,                                                       \
		.most_events = 2000000,                                                            \
	}

STOPPED(replies, run_replies, "two hundred servers that begin long replies and stop");
STOPPED(whole_replies, run_whole, "the same where no reply is forwarded in parts");
