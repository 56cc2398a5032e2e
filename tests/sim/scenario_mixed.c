/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any exchange at all: messages of 20 bytes to 2 MB both ways, up to 300 calls outstanding, one-way calls between them,
 * clients and servers that pause, read slowly, answer out of order or leave. Each call of a client that stays is answered,
 * once and rightly, ten seconds after nothing but the proxy can be what it waits for.
 */
#include "scenario.h"
#include "world.h"

#define PATIENCE   (10 * MT_SEC)
#define MUCH	   (4u << 20) /* bytes each way, of all clients together */
#define SLOWEST_BY (3 * MT_SEC)
#define RECORDS	   16 /* a read of a layer's stream brings a record only: that many times less */
#define BIGGEST	   17 /* binary magnitudes above 16 bytes: 2 MB */
#define AT_ONCE	   (2u << 20) /* what a client that always reads may get, in payload */

/* The largest messages that the codec takes. */
static uint32_t biggest(const struct world *w)
{
	uint32_t n = BIGGEST;

	while (32u << (n - 1) >= w->config.listener[0].codec->max_message)
		n--;
	return n;
}

static void draw_client(struct world *w, struct rpc_client *c)
{
	struct mt_rand *r = &w->sim->plan;
	bool serial = w->rpc.protocol.serial;

	c->calls = 4 + sim_below(r, serial ? 60 : 300);
	c->window = 1 + sim_below(r, sim_one_in(r, 2) ? 8 : c->calls);
	c->mix = (struct rpc_mix){
		.spread = sim_one_in(r, 4) ? biggest(w) : 4 + sim_below(r, biggest(w) - 4),
		.oneway = sim_one_in(r, 3) ? 100000 : 0,
		.error = sim_one_in(r, 3) ? 50000 : 0,
		.heartbeat = sim_one_in(r, 3) ? 50000 : 0,
		.delay_max = sim_between(r, 0, 20) * MT_MSEC,
		.slow_b = sim_one_in(r, 3) ? sim_between(r, 10, serial ? 200 : 900) * MT_MSEC : 0,
	};
	c->req_left = MUCH / w->rpc.n_clients;
	c->rep_left = MT_MIN(MUCH / w->rpc.n_clients, AT_ONCE);
	c->write_chunk = sim_one_in(r, 4) ? (uint32_t)sim_between(r, 100, 2000) : 16384;
	c->half_close = sim_one_in(r, 4) && (c->no > 0 || !rpc_fin_closes(&w->rpc));
	c->pace = sim_one_in(r, 3) ? sim_between(r, 1, 10) * MT_MSEC : 0;
}

/* Whether it does not read, or neither reads nor writes, for a while; or reads little by little; or leaves. */
static void draw_habit(struct world *w, struct rpc_client *c, bool all_read)
{
	struct mt_rand *r = &w->sim->plan;
	uint32_t which = sim_below(r, 6);

	if (which == 0) {
		c->leave_at = (uint32_t)sim_between(r, 1, 100000);
		c->closes = sim_one_in(r, 2);
		c->patience = 0;
	}
	if (all_read)
		return;
	if (which == 1 || which == 2) {
		c->pause_from = c->start + sim_between(r, 0, 500) * MT_MSEC;
		c->pause_to = c->pause_from + sim_between(r, 100, 15000) * MT_MSEC;
		c->mute = sim_one_in(r, 2);
	} else if (which == 3) {
		c->read_max = c->rep_left / 400 + 100;
		c->read_pace = SLOWEST_BY / 400 / (w->layer.down ? RECORDS : 1);
	}
}

static void draw_server(struct world *w, struct rpc_server *v)
{
	struct mt_rand *r = &w->sim->plan;
	uint64_t now = w->sim->now;

	v->write_max = 16384;
	switch (sim_below(r, 6)) {
	case 0:
		v->read_max = MUCH / 400;
		v->read_pace = SLOWEST_BY / 400 / (w->layer.up ? RECORDS : 1);
		break;
	case 1:
		v->write_max = MUCH / 400;
		v->write_pace = SLOWEST_BY / 400;
		break;
	case 2:
		v->pause_from = now + sim_between(r, 0, 500) * MT_MSEC;
		v->pause_to = v->pause_from + sim_between(r, 100, 8000) * MT_MSEC;
		w->rpc.ready_at = MT_MAX(w->rpc.ready_at, v->pause_to);
		break;
	default:
		break;
	}
}

static void configure(struct world *w)
{
	struct mt_rand *r = &w->sim->plan;

	/* All that is asked for at once may wait; who pauses is no slow reader yet. */
	w->proxy.pending_max = 4096;
	w->proxy.slow_ms = 60000;
	w->proxy.serial_lanes = 16;
	w->large_pools = true;
	if (sim_one_in(r, 2)) {
		w->config.listener[0].cluster_b = 0;
		w->rpc.route_to[0] = w->rpc.route_to[1] = 0;
	}
}

static void add_clients(struct world *w, bool all_read)
{
	struct sim *s = w->sim;
	const struct protocol *p = &w->rpc.protocol;

	w->rpc.n_clients = 1 + sim_below(&s->plan, 6);
	for (uint32_t i = 0; i < w->rpc.n_clients; i++) {
		struct rpc_client *c = &w->rpc.client[i];

		*c = (struct rpc_client){
			.set = &w->rpc,
			.dialect = &p->dialects[sim_below(&s->plan, p->n_dialects)],
			.no = i,
			.host = world_client(w, i),
			.to = sim_one_in(&s->plan, 3) ? w->mesh.host.addr6 : w->mesh.host.addr4,
			.port = (uint16_t)(WORLD_PORT + sim_below(&s->plan, w->config.n_listeners)),
			.start = s->now + sim_between(&s->plan, 0, 200 * MT_MSEC),
			.patience = PATIENCE,
		};
		draw_client(w, c);
		draw_habit(w, c, all_read);
		if (i == 0) { /* one at least stays */
			c->leave_at = 0;
			c->patience = PATIENCE;
		}
	}
}

static void run_mixed(struct sim *s)
{
	struct world *w = world_new_rpc(s, 0, WANT_ANY);
	bool all_read = sim_one_in(&s->plan, 3); /* all the time */

	configure(w);
	world_go_varied(w);
	world_brisk(w);
	world_servers(w);
	add_clients(w, all_read);
	for (uint32_t i = 0; i < w->rpc.n_servers; i++)
		draw_server(w, &w->rpc.server[i]);
	world_calls(w);
}

const struct sim_scenario scenario_proxy_mixed = {
	.name = "proxy_mixed",
	.words = "messages of any size, clients and servers of any habit",
	.weight = 2,
	.run = run_mixed,
	.min_calls = 4,
	.min_exchanges = 2,
	.min_connections = 2,
};
