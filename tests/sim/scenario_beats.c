/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers that read nothing for a while and send heartbeats all the time. The node leaves out the
 * answers that such a server does not read, so that it cannot take the buffers of a worker. When the
 * servers read again, answers come in order and all calls are answered.
 */
#include "scenario.h"
#include "waits.h"
#include "world.h"

#define CLIENTS	 3
#define CALLS	 400
#define PACE	 (10 * MT_MSEC)
#define RCVBUF	 8192u
#define TX_HIGH	 16384u
#define SLACK	 16384u /* calls that the connection was given before, and the last answer */
#define BEATS	 6000	/* on each connection: 100 KB of answers */
#define DEAF_AT	 (500 * MT_MSEC)
#define DEAF_FOR (1500 * MT_MSEC) /* less than after what the node gives up a silent server */
#define LOOK	 (5 * MT_MSEC)

struct beaten {
	struct world *w;
	uint64_t until;
	uint32_t most; /* that was queued on one connection */
};

static void look(struct sim *s, void *arg, uint64_t unused)
{
	struct beaten *q = arg;

	for (uint32_t i = 0; i < q->w->mesh.workers; i++) {
		uint32_t n = waits_most_queued(mt_worker_proxy(q->w->mesh.w[i]));

		q->most = MT_MAX(q->most, n);
	}
	if (q->most > TX_HIGH + SLACK)
		sim_fail(s, "%u bytes are queued for a server that reads nothing", q->most);
	else if (s->now < q->until)
		sim_at(s, s->now + LOOK, look, q, 0);
}

static void add_clients(struct world *w)
{
	w->rpc.n_clients = CLIENTS;
	for (uint32_t i = 0; i < CLIENTS; i++)
		w->rpc.client[i] = (struct rpc_client){
			.set = &w->rpc,
			.dialect = w->rpc.protocol.dialects,
			.no = i,
			.host = world_client(w, i),
			.to = w->mesh.host.addr4,
			.port = WORLD_PORT,
			.calls = CALLS,
			.window = 8,
			.pace = PACE,
			.start = w->sim->now,
			.mix = {.req_max = 200, .rep_max = 300},
		};
}

static void run_beats(struct sim *s)
{
	struct beaten q = {.until = s->now + DEAF_AT + DEAF_FOR + MT_SEC};
	struct world *w;

	s->workers = 1;
	world_peers();
	q.w = w = world_new_rpc(s, 0, WANT_DUBBO);
	w->tcp.tx_high = TX_HIGH;
	w->must_count = MT_PROXY_up_heartbeat_dropped;
	world_go(w);
	world_brisk(w);
	for (uint32_t i = 0; i < WORLD_HOSTS; i++)
		w->h[i].peer.conduct.rcvbuf = RCVBUF;
	add_clients(w);
	world_servers(w);
	for (uint32_t i = 0; i < w->rpc.n_servers; i++) {
		w->rpc.server[i].deaf_from = s->now + DEAF_AT;
		w->rpc.server[i].deaf_to = s->now + DEAF_AT + DEAF_FOR;
		w->rpc.server[i].flood = BEATS;
	}
	sim_at(s, s->now + LOOK, look, &q, 0);
	world_run_calls(w);
	if (!s->failed && q.most < TX_HIGH)
		sim_fail(s, "harness: no more than %u bytes were queued", q.most);
	world_end(w);
}

const struct sim_scenario scenario_proxy_beats = {
	.name = "proxy_beats",
	.words = "servers that send heartbeats and read nothing",
	.weight = 0,
	.run = run_beats,
	.min_exchanges = CLIENTS * CALLS,
	.min_connections = CLIENTS,
};
