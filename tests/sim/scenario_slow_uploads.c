/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients write long requests slowly, at more than message_rate, beside others that write a byte
 * now and then or stop inside a request. The first ones are served however long that takes, and
 * evict nobody, because they hold less than their share. The others are reset when their time is
 * over, and counted. Short calls of a third kind go on as ever. On the wire, or in TLS records.
 */
#include "scenario.h"
#include "world.h"

#define UPLOADERS 12
#define UPLOADS	  2
#define LORISES	  40 /* a byte now and then */
#define STOPPERS  40 /* a part, and then silence */
#define CALLERS	  3
#define CALLS	  800
#define PACE	  (100 * MT_MSEC)
#define SOON	  (50 * MT_MSEC)
#define PIECE	  350 /* bytes of an upload, each half a second */
#define EVERY	  (500 * MT_MSEC)
#define SIZE	  30000 /* of an upload and of what the others begin: 43 s */
#define PART	  2000
#define BUFFERS	  4000		/* to be shared out */
#define MESSAGE	  (10 * MT_SEC) /* message_ms by default */
#define RATE	  500		/* message_rate by default */
/* A layer's record of a byte each is not late; connecting and a timer's granularity. */
#define SLACK (2 * MT_SEC)

enum kind { UPLOADER, LORIS, STOPPER, CALLER, KINDS };

static const uint32_t numbers[KINDS] = {UPLOADERS, LORISES, STOPPERS, CALLERS};

struct uploads {
	struct world *w;
	uint32_t ok[KINDS], cut_off;
};

static enum kind kind_of(uint32_t no)
{
	uint32_t k = 0;

	while (no >= numbers[k])
		no -= numbers[k++];
	return (enum kind)k;
}

static void answered(
	void *arg, const struct rpc_client *c, const struct rpc_call *call, enum rpc_end how)
{
	struct uploads *q = arg;
	enum kind k = kind_of(c->no);

	(void)call;
	if (k == LORIS || k == STOPPER)
		sim_fail(q->w->sim, "a request that was never written is answered");
	else if (how != RPC_OK)
		sim_fail(q->w->sim, "client %u is refused", c->no);
	q->ok[k]++;
}

static const struct rpc_step uploads[] = {
	{.calls = UPLOADS, .req = SIZE, .rep = 100}, {.calls = UINT32_MAX}};
static const struct rpc_step begun[] = {
	{.calls = 1, .req = SIZE, .rep = 100}, {.calls = UINT32_MAX}};

static void draw(struct rpc_client *c, enum kind k)
{
	switch (k) {
	case UPLOADER:
		c->calls = UPLOADS;
		c->script = uploads;
		c->write_chunk = PIECE;
		c->write_pace = EVERY;
		break;
	case LORIS:
	case STOPPER:
		c->calls = 1;
		c->script = begun;
		c->write_chunk = k == LORIS ? 1 : PART;
		c->write_pace = k == LORIS ? 2 * MT_SEC : 1000 * MT_SEC;
		c->may_lose = true;
		break;
	default:
		c->calls = CALLS;
		c->pace = PACE;
		c->mix = (struct rpc_mix){.req_max = 500, .rep_max = 2000};
		c->patience = SOON;
	}
}

static void add_clients(struct world *w)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < KINDS; k++)
		for (uint32_t i = 0; i < numbers[k]; i++, n++) {
			w->rpc.client[n] = (struct rpc_client){
				.set = &w->rpc,
				.dialect = w->rpc.protocol.dialects,
				.no = n,
				.host = world_client(w, k == CALLER),
				.to = w->mesh.host.addr4,
				.port = WORLD_PORT,
				.start = w->sim->now + sim_between(&w->sim->plan, 0, MT_SEC),
				.window = 1,
			};
			draw(&w->rpc.client[n], (enum kind)k);
		}
	w->rpc.n_clients = n;
}

/* No client that stopped, or goes on too slowly, is here any more. */
static void all_cut_off(struct sim *s, void *arg, uint64_t unused)
{
	const struct uploads *q = arg;
	uint64_t stalled = mesh_counter(&q->w->mesh, MT_PROXY_message_stalled);

	(void)unused;
	if (stalled != LORISES + STOPPERS)
		sim_fail(s, "%llu of %u slow requests were cut off in time",
			(unsigned long long)stalled, LORISES + STOPPERS);
}

/* None is cut off before its time. */
static void none_cut_off(struct sim *s, void *arg, uint64_t unused)
{
	const struct uploads *q = arg;

	(void)unused;
	if (mesh_counter(&q->w->mesh, MT_PROXY_message_stalled))
		sim_fail(s, "a slow request was cut off before its time");
}

static void judge(const struct uploads *q)
{
	struct world *w = q->w;
	uint64_t stalled = mesh_counter(&w->mesh, MT_PROXY_message_stalled);

	if (q->ok[UPLOADER] != UPLOADERS * UPLOADS)
		sim_fail(w->sim, "%u of %u slow uploads are answered", q->ok[UPLOADER],
			UPLOADERS * UPLOADS);
	if (q->ok[CALLER] != CALLERS * CALLS)
		sim_fail(w->sim, "%u of %u calls are answered", q->ok[CALLER], CALLERS * CALLS);
	if (stalled != LORISES + STOPPERS)
		sim_fail(w->sim, "%llu connections are counted as stalled",
			(unsigned long long)stalled);
	if (mesh_tcp_counter(&w->mesh, MT_TCP_evicted))
		sim_fail(w->sim, "somebody had to give way");
}

static void run(struct sim *s)
{
	struct uploads q = {0};
	struct world *w;
	bool tls = s->seed % 3 == 0;

	world_peers();
	if (tls)
		world_layer((struct world_layer){LAYER_TLS, true, false});
	q.w = w = world_new_rpc(s, 0, WANT_ANY);
	rpc_room_for(&w->rpc, UPLOADERS + LORISES + STOPPERS + CALLERS, WORLD_SERVERS);
	w->large_pools = true;
	w->proxy.message_ms = w->proxy.bulk_idle_ms = 0;
	w->config.listener[0].cluster_b = 0;
	w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	w->rpc.answered = answered;
	w->rpc.answered_arg = &q;
	world_go(w);
	world_even(w);
	world_servers(w);
	mesh_share_out(&w->mesh, 0, BUFFERS);
	add_clients(w);
	sim_at(s, s->now + MESSAGE, none_cut_off, &q, 0);
	sim_at(s, s->now + MT_SEC + MESSAGE + PART * MT_SEC / RATE + SLACK, all_cut_off, &q, 0);
	world_run_calls(w);
	if (!s->failed)
		judge(&q);
	world_end(w);
}

const struct sim_scenario scenario_slow_uploads = {
	.name = "slow_uploads",
	.words = "clients that write slowly are served, beside some that stop inside a request",
	.weight = 0,
	.run = run,
	.min_exchanges = UPLOADERS * UPLOADS + CALLERS * CALLS,
	.min_connections = UPLOADERS + LORISES + STOPPERS + CALLERS,
};
