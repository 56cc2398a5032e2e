/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes with a retry policy: servers reset connections whose calls they have read, keep silent, or
 * all fail at once, while configurations come and workers move. A server sees a call at most as
 * often as the policy allows, and a one-way call once. A cluster's retries stay within its budget
 * at each moment, and of units and counts nothing is left. retries_waits: requests are large;
 * clients are held back while too many bytes of their calls wait, and no call is refused for want
 * of memory. retries_mixed: any of these troubles, with opaque TCP beside.
 */
#include "scenario.h"
#include "toy.h"
#include "world.h"

#include "mt_proxy_types.h"
#include "mt_worker.h"

#define CLIENTS	 3
#define CALLS	 200
#define WINDOW	 32
#define TIMEOUT	 5000 /* ms */
#define ATTEMPTS 3
#define LOOK	 MT_MSEC
#define SOFT	 65536 /* retries_waits: bytes of a client's calls that wait */
#define LARGE	 30000 /* bytes of a request of retries_waits, at most; retained in buffers */
#define WIDE	 8192  /* bytes, from which on a request takes a wide connection */
#define STREAMS	 4     /* opaque ones of retries_mixed, in a listener and a cluster of their own */

/* Classes of error replies. */
#define REJECTED                                                                                   \
	(MT_RETRY_SERVER_ERROR | MT_RETRY_OVERLOAD | MT_RETRY_UNAVAILABLE | MT_RETRY_DEADLINE)

enum trouble { RESETS, SILENT, STORM, WAITS, MIXED };

const char *const sim_retry_names[SIM_RETRY_N] = {
	[SIM_RETRY_RESET] = "after_a_reset",
	[SIM_RETRY_LATE] = "after_a_time_out",
	[SIM_RETRY_UNREACHED] = "without_endpoint",
	[SIM_RETRY_SHARED] = "shared",
	[SIM_RETRY_WIDE] = "wide",
	[SIM_RETRY_SERIAL] = "serial",
	[SIM_RETRY_MOVED] = "transplanted",
	[SIM_RETRY_OVER_BUDGET] = "over_budget",
	[SIM_RETRY_HELD_BACK] = "held_back",
};

static void mix(struct world *w, struct rpc_client *c)
{
	struct mt_rand *r = &w->sim->plan;

	c->calls = (uint32_t)sim_between(r, 20, CALLS);
	c->window = (uint32_t)sim_between(r, 1, WINDOW);
	c->mix.reset = sim_one_in(r, 2) ? 50000 : 0;
	c->mix.silence = sim_one_in(r, 2) ? 20000 : 0;
	c->mix.error = sim_one_in(r, 3) ? 50000 : 0;
	c->mix.big = sim_one_in(r, 2) ? 50000 : 0;
	c->mix.big_max = 2 * LARGE;
	c->mix.delay_max = sim_between(r, 1, 100) * MT_MSEC;
}

/*
 * One-way calls that look like others: of clients that give each call an id of its own. A codec
 * without names of methods states that there are none.
 */
static bool has_notes(const struct world *w, enum trouble t)
{
	return (t == RESETS || t == SILENT || t == MIXED) && w->sim->seed % 2 && !w->rpc.one_id &&
	       w->rpc.protocol.codec->method_key.name;
}

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
			.delay_max = t == STORM || t == WAITS ? 200 * MT_MSEC : 20 * MT_MSEC};
		c->notes = p->serial && has_notes(w, t);
		c->mix.reset = t == RESETS ? 100000 : 0;
		c->mix.silence = t == SILENT ? 30000 : 0;
		if (t == WAITS)
			c->mix.req_max = LARGE;
		if (t == MIXED)
			mix(w, c);
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

/* A call waits for its next attempt: after what, and in which pool. */
static void note(struct world *w, const struct mt_exchange_side *side)
{
	uint64_t *n = w->sim->st.retries;
	uint32_t len = side->n_bytes ? side->n_bytes : side->retained.len;

	n[side->what == MT_REPLY_TIMEOUT	   ? SIM_RETRY_LATE
		: side->what == MT_REPLY_CONN_LOST ? SIM_RETRY_RESET
						   : SIM_RETRY_UNREACHED]++;
	n[w->rpc.protocol.serial ? SIM_RETRY_SERIAL
		: len > WIDE	 ? SIM_RETRY_WIDE
				 : SIM_RETRY_SHARED]++;
}

static void note_all(struct world *w)
{
	const struct mt_exchange *ex;

	for (uint32_t i = 0; i < w->mesh.workers; i++) {
		struct mt_proxy *p = mt_worker_proxy(w->mesh.w[i]);
		uint32_t at = 0;

		while ((ex = mt_slab_next(&p->exchanges, &at)))
			if (ex->state == MT_EX_BACKOFF)
				note(w, &p->sides[ex->self.idx]);
	}
}

/*
 * The limit, and the message with which it is exceeded. In back-off may be more: all calls that are
 * out when their server fails.
 */
static void check_waiting(struct world *w)
{
	const struct mt_down *d;

	for (uint32_t i = 0; i < w->mesh.workers; i++) {
		struct mt_proxy *p = mt_worker_proxy(w->mesh.w[i]);
		uint32_t at = 0;

		while ((d = mt_slab_next(&p->downs, &at)))
			if (d->pending > p->conf.waiting_soft + 2 * LARGE)
				sim_fail(w->sim, "%u bytes of a client wait", d->pending);
	}
}

static void look(struct sim *s, void *arg, uint64_t unused)
{
	struct world *w = arg;

	(void)unused;
	note_all(w);
	if (w->proxy.waiting_soft)
		check_waiting(w);
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

/* An endpoint does not exist, so connections to it are refused: one of three, or that of route "b". */
static void add_nobody(struct world *w)
{
	struct config_cluster *c = &w->config.cluster[0];

	if (sim_one_in(&w->sim->plan, 2)) {
		w->config.cluster[1].ep[0].port = SERVER_PORT + 2;
		return;
	}
	c->ep[c->n_eps] = c->ep[0];
	c->ep[c->n_eps++].port = SERVER_PORT + 2;
}

/* A listener of byte streams, to the same hosts. */
static void add_stream_listener(struct world *w)
{
	struct config *c = &w->config;
	uint32_t i = c->n_clusters++;

	c->cluster[i] = c->cluster[0];
	for (uint32_t e = 0; e < c->cluster[i].n_eps; e++)
		c->cluster[i].ep[e].port = SERVER_PORT + 1;
	c->listener[c->n_listeners++] = (struct config_listener){.port = WORLD_PORT + 1,
		.codec = &sim_opaque_codec,
		.cluster = i,
		.cluster_b = i,
		.timeout_ms = 120000};
}

static bool has_budget(struct world *w, enum trouble t)
{
	return t == STORM || (t == MIXED && sim_one_in(&w->sim->plan, 2));
}

static void configure(struct world *w, enum trouble t)
{
	struct mt_rand *r = &w->sim->plan;
	struct config_listener *l = &w->config.listener[0];
	struct mt_retry_budget budget = {.bound = MT_RETRY_UNBOUNDED};
	bool bounded;

	l->timeout_ms = TIMEOUT;
	l->retry = (struct mt_retry){.on = MT_RETRY_UNSENT | MT_RETRY_UNREAD | MT_RETRY_LOST |
					   (t == MIXED && w->sim->seed % 2 == 0 ? REJECTED : 0),
		.attempts = ATTEMPTS,
		.try_ms = t == SILENT || (t == MIXED && sim_one_in(r, 2)) ? 300 : 0,
		.base_ms = 25,
		.max_ms = 250};
	bounded = has_budget(w, t);
	if (bounded && sim_one_in(r, 2))
		budget = (struct mt_retry_budget){
			.bound = MT_RETRY_BOUND_SHARE, .share = 1000, .n = 1};
	else if (bounded)
		budget = (struct mt_retry_budget){
			.bound = MT_RETRY_BOUND_NUMBER, .n = (uint32_t)sim_between(r, 1, 4)};
	for (uint32_t i = 0; i < w->config.n_clusters; i++)
		w->config.cluster[i].retry_budget = budget;
	w->rpc.executions = 1 + ATTEMPTS;
	w->rpc.may_native =
		1u << MT_REPLY_CONN_LOST | 1u << MT_REPLY_TIMEOUT | 1u << MT_REPLY_NO_ENDPOINT;
	if (t != WAITS)
		w->rpc.may_native |= 1u << MT_REPLY_OVERLOAD;
	if (t == WAITS)
		w->proxy.waiting_soft = SOFT;
	if (t == MIXED)
		add_stream_listener(w);
	if (t == MIXED && sim_one_in(r, 2))
		add_nobody(w);
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

/* One server may be tried again because the other one could not be reached. */
static void judge_hosts(struct world *w)
{
	const struct rpc_set *rpc = &w->rpc;

	sim_trace(w->sim, "retries: %llu of %llu second attempts on the host of the first",
		(unsigned long long)rpc->second_same, (unsigned long long)rpc->second);
	if (rpc->second >= 20 && rpc->second_same * 5 > rpc->second)
		sim_fail(w->sim, "%llu of %llu second attempts went to the host of the first",
			(unsigned long long)rpc->second_same, (unsigned long long)rpc->second);
}

static void judge(struct world *w, enum trouble t)
{
	uint64_t retries = mesh_counter(&w->mesh, MT_PROXY_retry_by_policy);
	uint64_t refused = mesh_counter(&w->mesh, MT_PROXY_retry_over_budget);

	sim_trace(w->sim, "retries: %llu, and %llu refused", (unsigned long long)retries,
		(unsigned long long)refused);
	w->sim->st.retries[SIM_RETRY_OVER_BUDGET] += refused;
	w->sim->st.retries[SIM_RETRY_HELD_BACK] += mesh_counter(&w->mesh, MT_PROXY_paused_waiting);
	/* Behind a call that may be one-way, no call on its connection has another attempt. */
	if (!retries && t != MIXED && !w->rpc.client[0].notes)
		sim_fail(w->sim, "harness: no retry");
	if (t == WAITS && !mesh_counter(&w->mesh, MT_PROXY_paused_waiting))
		sim_fail(w->sim, "harness: no client was held back");
	if (t == STORM && !refused)
		sim_fail(w->sim, "harness: no retry was refused");
	if (w->config.cluster[0].retry_budget.bound == MT_RETRY_UNBOUNDED && refused)
		sim_fail(w->sim, "%llu retries were refused without a budget",
			(unsigned long long)refused);
	if (t == RESETS)
		judge_hosts(w);
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

/* After world_go(). */
static void start_streams(struct world *w)
{
	struct mt_rand *r = &w->sim->plan;

	w->streams.n = STREAMS;
	w->streams.by_proxy = true;
	for (uint32_t i = 0; i < STREAMS; i++) {
		struct stream_plan *p = &w->streams.plan[i];

		stream_plan_draw(p, r, 30000, true);
		p->host = world_client(w, i);
		p->server = world_server(w, i);
		p->to = w->mesh.host.addr4;
		p->port = WORLD_PORT + 1;
		p->start = w->sim->now + sim_between(r, 0, 300 * MT_MSEC);
	}
	for (uint32_t i = 0; i < WORLD_SERVERS; i++)
		stream_listen(&w->streams, world_server(w, i), SERVER_PORT + 1);
	stream_start(&w->streams);
}

static void end_streams(struct world *w)
{
	sim_run(w->sim, w->sim->now + 900 * MT_SEC, stream_done, &w->streams);
	stream_check(&w->streams);
}

static void run(struct sim *s, enum trouble t)
{
	struct world *w;

	world_peers();
	w = world_new_rpc(s, 0, WANT_ANY);
	configure(w, t);
	world_go(w);
	if (t == MIXED)
		world_brisk(w);
	else
		world_even(w);
	w->mesh.reload = reload;
	w->mesh.reload_arg = w;
	w->mesh.reload_every = 20 + sim_below(&s->plan, 200);
	add_clients(w, t);
	world_servers(w);
	if (t == STORM || t == WAITS || (t == MIXED && sim_one_in(&s->plan, 2)))
		sim_at(s, s->now + 100 * MT_MSEC, fail_all, w, 8);
	sim_at(s, s->now + LOOK, look, w, 0);
	if (t == MIXED)
		start_streams(w);
	world_run_calls(w);
	if (t == MIXED)
		end_streams(w);
	sim_run(s, s->now + 2 * TIMEOUT * MT_MSEC, nothing_left, w);
	if (!s->failed)
		judge(w, t);
	world_end(w);
}

#define RETRIES(id, trouble, least, say)                                                           \
	static void run_##id(struct sim *s)                                                        \
	{                                                                                          \
		run(s, trouble);                                                                   \
	}                                                                                          \
	const struct sim_scenario scenario_retries_##id = {                                        \
		.name = "retries_" #id,                                                            \
		.words = say,                                                                      \
		.weight = 0,                                                                       \
		.run = run_##id,                                                                   \
		.min_exchanges = least,                                                            \
		.min_connections = CLIENTS,                                                        \
	}

RETRIES(resets, RESETS, CLIENTS *CALLS / 2,
	"servers reset connections whose calls they have read; a policy retries");
RETRIES(silent, SILENT, CLIENTS *CALLS / 2,
	"servers do not answer some calls; the time of an attempt passes");
RETRIES(storm, STORM, CLIENTS *CALLS / 6,
	"all servers fail at once, again and again; a budget limits retries");
RETRIES(waits, WAITS, CLIENTS *CALLS / 2,
	"all servers fail at once, and large requests that wait hold their clients back");
RETRIES(mixed, MIXED, CLIENTS * 5, "retries for any reason, with opaque TCP beside");
