/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ten thousand clients, half of them at either address, wait for one server that works on one call at a time. Where so many may wait each is
 * answered, and none waits much longer than it takes to answer all; by the documented limits those that find no room are refused at once, by
 * the protocol's own error, and most of what the server can do is done. Also with three workers behind a port that gives them all to the first.
 */
#include "scenario.h"
#include "world.h"

#include "mt_worker.h"

#define CLIENTS	  10000
#define FEWER	  3000 /* of three workers */
#define CALLS	  2
#define SERVICE	  MT_MSEC
#define ARRIVE	  (2 * MT_SEC)	 /* all of them within that */
#define REFUSED	  (20 * MT_MSEC) /* at the latest */
#define SLOWER	  10		 /* percent more than it takes to answer all, at most */
#define KEEPS_UP  90		 /* percent of what the server can do */
#define LEAST_PCT 10		 /* of the calls that each worker answers */

struct crowd {
	struct world *w;
	uint32_t clients, ok, refused;
	uint64_t longest, longest_no, first, last;
};

static void answered(
	void *arg, const struct rpc_client *c, const struct rpc_call *call, enum rpc_end how)
{
	struct crowd *q = arg;
	uint64_t now = c->set->sim->now, took = now - call->at;

	if (how != RPC_OK) {
		q->refused++;
		q->longest_no = MT_MAX(q->longest_no, took);
		return;
	}
	q->ok++;
	q->longest = MT_MAX(q->longest, took);
	q->first = q->first ? q->first : now;
	q->last = now;
}

static void add(struct crowd *q, uint32_t no)
{
	struct world *w = q->w;

	w->rpc.client[no] = (struct rpc_client){
		.set = &w->rpc,
		.dialect = w->rpc.protocol.dialects,
		.no = no,
		.host = world_client(w, no),
		.to = w->mesh.host.addr4,
		.port = WORLD_PORT,
		.start = w->sim->now + ARRIVE * no / q->clients,
		.calls = CALLS,
		.window = 1,
		.mix = {.req_max = 200, .rep_max = 200},
	};
}

static void configure(struct crowd *q, bool all_wait)
{
	struct world *w = q->w;

	w->huge_pools = w->sim->workers == 1;
	w->large_pools = true;
	w->tcp.max_conns = 2 * CLIENTS;
	w->tcp.max_half_open = CLIENTS;
	w->tcp.max_time_wait = 2 * CLIENTS;
	w->proxy.max_down = w->proxy.max_exchanges = 2 * CLIENTS;
	w->proxy.ring_slots = 1024;
	w->proxy.max_up = 1024;
	if (all_wait) {
		w->proxy.pending_max = 2 * CLIENTS;
		w->proxy.pending_bytes = 64u << 20;
	} else {
		w->rpc.may_native = 1u << MT_REPLY_OVERLOAD;
	}
	w->config.listener[0].cluster_b = 0;
	w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	w->config.cluster[0].n_eps = 1;
	w->rpc.answered = answered;
	w->rpc.answered_arg = q;
}

static void check_accounts(struct world *w)
{
	for (uint32_t i = 0; i < w->mesh.workers; i++) {
		const struct mt_ledger *l = mt_tcp_ledger(mt_worker_tcp(w->mesh.w[i]));

		for (int c = 0; c < MT_N_CLASSES; c++) {
			struct mt_ledger_numbers n = mt_ledger_read(l, (enum mt_class)c);

			if (n.evicted || n.peak > n.share)
				sim_fail(w->sim, "worker %u, %s: %llu bytes of %llu, %llu gave way",
					i, mt_class_name((enum mt_class)c),
					(unsigned long long)n.peak, (unsigned long long)n.share,
					(unsigned long long)n.evicted);
		}
	}
}

/* Only the first worker receives, and each has clients of its own. */
static void check_handed_over(struct crowd *q)
{
	struct mesh *m = &q->w->mesh;

	for (uint32_t i = 0; i < m->workers; i++) {
		const uint64_t *n = mt_worker_stats(m->w[i])->counters;
		uint64_t calls =
			mt_proxy_counters(mt_worker_proxy(m->w[i]))[MT_PROXY_exchange_answered];

		sim_trace(m->sim, "crowd: worker %u: %llu calls, %llu packets taken over", i,
			(unsigned long long)calls, (unsigned long long)n[MT_WORKER_taken_over]);
		if (calls * 100 < (uint64_t)q->ok * LEAST_PCT)
			sim_fail(m->sim, "worker %u answers %llu of %u calls", i,
				(unsigned long long)calls, q->ok);
		if ((n[MT_WORKER_taken_over] > 0) != (i > 0) ||
			(n[MT_WORKER_handed_over] > 0) != (i == 0))
			sim_fail(m->sim, "harness: worker %u received by itself", i);
	}
}

static void judge(struct crowd *q, bool all_wait)
{
	struct sim *s = q->w->sim;
	uint64_t all = (uint64_t)q->clients * SERVICE;
	uint64_t most = all * (100 + SLOWER) / 100;

	sim_trace(s,
		"crowd: %u answered in %llu ms, the longest wait %llu ms; %u refused, the longest "
		"wait %llu us",
		q->ok, (unsigned long long)((q->last - q->first) / MT_MSEC),
		(unsigned long long)(q->longest / MT_MSEC), q->refused,
		(unsigned long long)(q->longest_no / MT_USEC));
	if (q->ok + q->refused != q->clients * CALLS || (all_wait && q->refused))
		sim_fail(s, "%u of %u calls are answered, %u refused", q->ok, q->clients * CALLS,
			q->refused);
	if (q->longest > most)
		sim_fail(
			s, "a call waited for %llu ms", (unsigned long long)(q->longest / MT_MSEC));
	if (!all_wait && !q->refused)
		sim_fail(s, "harness: nobody was refused");
	if (q->longest_no > REFUSED)
		sim_fail(s, "a call was refused after %llu ms",
			(unsigned long long)(q->longest_no / MT_MSEC));
	if (q->ok * SERVICE * 100 < (q->last - q->first) * KEEPS_UP)
		sim_fail(s, "the server answered %u calls in %llu ms", q->ok,
			(unsigned long long)((q->last - q->first) / MT_MSEC));
	check_accounts(q->w);
	if (s->workers > 1)
		check_handed_over(q);
}

static void run(struct sim *s, enum protocol_want want, uint32_t workers, bool all_wait)
{
	struct crowd q = {.clients = workers > 1 ? FEWER : CLIENTS};
	struct world *w;

	s->workers = workers;
	world_peers();
	q.w = w = world_new_rpc(s, 0, want);
	rpc_room_for(&w->rpc, q.clients, WORLD_SERVERS);
	configure(&q, all_wait);
	world_go(w);
	world_even(w);
	world_servers(w);
	for (uint32_t i = 0; i < WORLD_SERVERS; i++) {
		w->rpc.server[i].heartbeats = 0;
		w->rpc.server[i].service = SERVICE;
	}
	if (workers > 1) {
		w->mesh.port.spread = SIM_SPREAD_ONE;
		w->mesh.port.port.caps.rss = false;
	}
	for (uint32_t i = 0; i < workers; i++)
		mesh_share_out(&w->mesh, i, w->huge_pools ? SIM_POOL_HUGE : SIM_POOL_LARGE);
	w->mesh.look_every = 1024;
	w->rpc.n_clients = q.clients;
	for (uint32_t i = 0; i < q.clients; i++)
		add(&q, i);
	world_run_calls(w);
	if (!s->failed)
		judge(&q, all_wait);
	world_end(w);
}

static void run_waits(struct sim *s)
{
	run(s, WANT_ANY, 1, true);
}

/* Where replies go in order refusals would wait for those before them: of calls that share connections. */
static void run_limits(struct sim *s)
{
	run(s, WANT_DUBBO, 1, false);
}

static void run_no_rss(struct sim *s)
{
	run(s, WANT_ANY, 3, true);
}

#define SLOW_SERVER(id, fn, say)                                                                   \
	const struct sim_scenario scenario_##id = {                                                \
		.name = #id,                                                                       \
		.words = say,                                                                      \
		.weight = 0,                                                                       \
		.run = fn,                                                                         \
		.min_exchanges = 2000,                                                             \
		.min_connections = FEWER,                                                          \
		.most_events = 20000000,                                                           \
	}

SLOW_SERVER(slow_server, run_waits, "ten thousand clients that wait for one slow server");
SLOW_SERVER(slow_server_limits, run_limits, "the same, and a thousand may wait");
SLOW_SERVER(slow_server_no_rss, run_no_rss,
	"three thousand on three workers, behind a port that does not spread them");
