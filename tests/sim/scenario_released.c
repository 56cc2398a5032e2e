/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thousand connections, or the calls of a thousand, end by one event. The worker's clock goes by the steps of its work: no turn
 * takes more than 2 ms, and but for adoption, drain and eviction 0.3 ms; each call is answered, or ended with a reason; nothing is left behind.
 */
#include "scenario.h"
#include "world.h"

#define MANY	  1000
#define ASK	  (2 * MT_SEC)	  /* after its first call a client asks again, */
#define AT	  (3 * MT_SEC)	  /* and then it happens */
#define ANSWER	  (4 * MT_SEC)	  /* of the second call */
#define TURN_MAX  (2 * MT_MSEC)	  /* at adoption, drain, eviction */
#define EVENT_MAX (300 * MT_USEC) /* else */
#define GONE	  (2 * MT_SEC)	  /* after it happened, of who has nothing to ask */
#define SMALL	  100
#define LONG	  20000
#define FEW	  2000 /* buffers */

#define END                                                                                        \
	{                                                                                          \
		.calls = UINT32_MAX                                                                \
	}

enum event { DRAIN, LISTENER, CLIENTS, SERVER, TIMEOUT, EVICTED };

struct released {
	struct world *w;
	enum event what;
	uint64_t before_ns; /* the longest turn until it happened */
	uint64_t first_native, last_native;
};

static void answered(
	void *arg, const struct rpc_client *c, const struct rpc_call *call, enum rpc_end how)
{
	struct released *r = arg;

	if (how != RPC_NATIVE)
		return;
	if (!r->first_native)
		r->first_native = c->set->sim->now;
	r->last_native = c->set->sim->now;
}

/* Asks once, then once more and waits for the answer when it happens. */
static const struct rpc_step asks[] = {{.calls = 1, .req = SMALL, .rep = SMALL, .after = ASK},
	{.calls = 1, .req = SMALL, .rep = SMALL, .delay = ANSWER}, END};
/* Has asked once, and is idle. */
static const struct rpc_step idles[] = {
	{.calls = 1, .req = SMALL, .rep = SMALL, .after = 1000 * MT_SEC}, {.calls = 1}, END};
/* Has asked for more than its host takes from the wire, and reads nothing. */
static const struct rpc_step is_deaf[] = {
	{.calls = 1, .req = SMALL, .rep = LONG, .after = 1000 * MT_SEC}, {.calls = 1}, END};

static void happens(struct sim *s, void *arg, uint64_t n)
{
	struct released *r = arg;
	struct world *w = r->w;

	r->before_ns = w->mesh.longest_ns;
	w->mesh.longest_ns = 0;
	switch (r->what) {
	case DRAIN:
		mesh_drain(&w->mesh);
		break;
	case LISTENER:
		w->config.listener[0].port += CONFIG_LISTENERS;
		config_publish(&w->mesh.store, &w->config);
		break;
	case SERVER:
		rpc_server_reset(&w->rpc.server[0]);
		break;
	case EVICTED:
		mesh_share_out(&w->mesh, 0, FEW);
		break;
	default:
		break; /* clients leave, calls expire by themselves */
	}
	mesh_kick(&w->mesh, s->now);
}

static void add(struct released *r, uint32_t no)
{
	bool asking = no % 2 || (r->what != DRAIN && r->what != LISTENER);
	struct world *w = r->w;
	struct rpc_client *c = &w->rpc.client[no];

	*c = (struct rpc_client){
		.set = &w->rpc,
		.dialect = w->rpc.protocol.dialects,
		.no = no,
		.host = world_client(w, no),
		.to = w->mesh.host.addr4,
		.port = WORLD_PORT,
		.start = w->sim->now,
		.script = asking ? asks : idles,
		.calls = 2,
		.window = 1,
	};
	if (!asking) {
		c->gone_at = c->start + AT + GONE;
		c->may_lose = true; /* what it asks when it comes again */
	}
	if (r->what == CLIENTS || r->what == EVICTED) {
		c->may_lose = true;
		c->gone_at = c->start + AT + (r->what == EVICTED ? GONE : 0);
	}
	if (r->what == EVICTED) {
		c->script = is_deaf;
		c->read_stop = 1000 * MT_SEC;
	}
}

static uint32_t ended(const struct world *w, enum rpc_end how)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < MANY; i++)
		n += w->rpc.client[i].ends[how];
	return n;
}

static void expect(struct sim *s, const char *what, uint64_t n, uint64_t least, uint64_t most)
{
	if (n < least || n > most)
		sim_fail(s, "%llu %s, %llu to %llu are right", (unsigned long long)n, what,
			(unsigned long long)least, (unsigned long long)most);
}

static void judge(struct released *r)
{
	static const uint32_t ok[] = {[DRAIN] = MANY + MANY / 2,
		[LISTENER] = MANY + MANY / 2,
		[CLIENTS] = MANY,
		[SERVER] = MANY,
		[TIMEOUT] = MANY,
		[EVICTED] = 0};
	struct world *w = r->w;
	struct sim *s = w->sim;
	const struct mt_ledger *l = mt_tcp_ledger(mt_worker_tcp(w->mesh.w[0]));

	sim_trace(s, "released: longest turn %llu us before, %llu us then; natives within %llu us",
		(unsigned long long)(r->before_ns / MT_USEC),
		(unsigned long long)(w->mesh.longest_ns / MT_USEC),
		(unsigned long long)((r->last_native - r->first_native) / MT_USEC));
	expect(s, "calls were answered", ended(w, RPC_OK), ok[r->what], ok[r->what]);
	if (r->what == SERVER || r->what == TIMEOUT)
		expect(s, "native errors", ended(w, RPC_NATIVE), MANY, MANY);
	if (r->what == SERVER) /* one reset, one turn */
		expect(s, "ns between native errors", r->last_native - r->first_native, 0,
			TURN_MAX);
	if (r->what == CLIENTS)
		expect(s, "calls were left by their clients", ended(w, RPC_LOST), MANY, MANY);
	if (r->what == EVICTED)
		expect(s, "clients gave way", mt_ledger_read(l, MT_CLASS_REPLYING).evicted,
			MANY / 2, 2 * MANY);
	expect(s, "ns took the longest turn before", r->before_ns, 1, EVENT_MAX);
	expect(s, "ns took the longest turn", w->mesh.longest_ns, 1,
		r->what == DRAIN || r->what == LISTENER || r->what == EVICTED ? TURN_MAX
									      : EVENT_MAX);
}

static void configure(struct world *w, enum event what)
{
	w->large_pools = true;
	w->tcp.max_conns = 2 * MANY;
	w->tcp.max_half_open = 2 * MANY;
	w->tcp.max_time_wait = 2 * MANY;
	w->proxy.max_down = 2 * MANY;
	w->proxy.ring_slots = 2048;
	w->proxy.drain_ms = 0;
	w->config.listener[0].cluster_b = 0;
	w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	w->config.cluster[0].n_eps = 1;
	w->rpc.native_max = MANY;
	if (what == SERVER)
		w->rpc.may_native = 1u << MT_REPLY_CONN_LOST;
	if (what == TIMEOUT) {
		w->rpc.may_native = 1u << MT_REPLY_TIMEOUT;
		w->config.listener[0].timeout_ms = (ANSWER - MT_SEC) / MT_MSEC;
	}
}

static void run_event(struct sim *s, enum event what)
{
	struct released r = {.what = what};
	struct world *w;

	s->workers = 1;
	world_peers();
	r.w = w = world_new_rpc(s, 0, WANT_SAFE);
	rpc_room_for(&w->rpc, MANY, WORLD_SERVERS);
	configure(w, what);
	w->rpc.answered = answered;
	w->rpc.answered_arg = &r;
	world_go(w);
	world_even(w);
	world_servers(w);
	for (uint32_t i = 0; i < WORLD_SERVERS; i++)
		w->rpc.server[i].heartbeats = 0;
	for (uint32_t i = 0; i < WORLD_CLIENTS && what == EVICTED; i++)
		w->h[i].peer.conduct.rcvbuf = 8192;
	w->mesh.look_every = 16;
	w->rpc.n_clients = MANY;
	for (uint32_t i = 0; i < MANY; i++)
		add(&r, i);
	sim_at(s, s->now + AT, happens, &r, 0);
	world_run_calls(w);
	/* The node may not have seen yet that its clients are over. */
	sim_run(s, s->now + MT_SEC, NULL, NULL);
	if (!s->failed)
		judge(&r);
	world_end(w);
}

#define RELEASED(id, kind, say)                                                                    \
	static void run_##id(struct sim *s)                                                        \
	{                                                                                          \
		run_event(s, kind);                                                                \
	}                                                                                          \
	const struct sim_scenario scenario_released_##id = {                                       \
		.name = "released_" #id,                                                           \
		.words = say,                                                                      \
		.weight = 0,                                                                       \
		.run = run_##id,                                                                   \
		.min_calls = MANY,                                                                 \
		.min_connections = MANY,                                                           \
	}

RELEASED(drain, DRAIN, "a thousand clients, half of them with a call, when the node drains");
RELEASED(listener, LISTENER, "the same when their listener goes");
RELEASED(clients, CLIENTS, "a thousand clients reset their connections in one moment");
RELEASED(server, SERVER, "a thousand calls on the connection of a server that resets it");
RELEASED(timeout, TIMEOUT, "a thousand calls expire in one moment");
RELEASED(evicted, EVICTED, "a thousand clients that read nothing, when memory becomes scarce");
