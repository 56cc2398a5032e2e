/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proxy's streams are a layer's, on one side of it or on both (layer_records.h), and all that holds without one holds with it. The
 * layer updates its keys whenever it likes, while its user is idle or has its queue full.
 */
#include "scenario.h"
#include "world.h"

#define PATIENCE (10 * MT_SEC)
/* A fifth of so many are for byte streams: each may have a record under way and one that is read, both ways. */
#define BUFFERS 4000

static struct world_layer draw_sides(struct sim *s, enum layer_kind kind)
{
	uint32_t which = 1 + sim_below(&s->plan, 3);

	return (struct world_layer){kind, which & 1, which & 2};
}

static void draw_client(struct world *w, struct rpc_client *c)
{
	struct mt_rand *r = &w->sim->plan;

	c->calls = 20 + sim_below(r, 100);
	c->window = 1 + sim_below(r, 32);
	c->mix = (struct rpc_mix){
		.spread = 4 + sim_below(r, 10),
		.oneway = sim_one_in(r, 3) ? 50000 : 0,
		.error = sim_one_in(r, 3) ? 50000 : 0,
		.heartbeat = sim_one_in(r, 3) ? 50000 : 0,
		.delay_max = sim_between(r, 0, 20) * MT_MSEC,
	};
	c->req_left = c->rep_left = 300000;
	c->pace = sim_one_in(r, 2) ? sim_between(r, 1, 20) * MT_MSEC : 0;
	c->half_close = sim_one_in(r, 4) && (c->no > 0 || !rpc_fin_closes(&w->rpc));
	if (sim_one_in(r, 4))
		c->write_chunk = (uint32_t)sim_between(r, 20, 2000);
	if (sim_one_in(r, 4)) {
		c->pause_from = c->start + sim_between(r, 0, 300) * MT_MSEC;
		c->pause_to = c->pause_from + sim_between(r, 100, 5000) * MT_MSEC;
	}
	if (c->no > 0 && sim_one_in(r, 6)) {
		c->leave_at = (uint32_t)sim_between(r, 1, 30000);
		c->patience = 0;
	}
}

static void add_clients(struct world *w)
{
	struct sim *s = w->sim;
	const struct protocol *p = &w->rpc.protocol;

	w->rpc.n_clients = 1 + sim_below(&s->plan, 4);
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
			.patience = w->severity ? 0 : PATIENCE,
		};
		draw_client(w, c);
	}
}

/* Servers that end connections behind an answer: what crosses that is sent again, out of the plain text that was kept. */
static void end_connections(struct world *w)
{
	w->rpc.may_native = 1u << MT_REPLY_CONN_LOST | 1u << MT_REPLY_NO_ENDPOINT;
	if (w->severity)
		w->rpc.may_native |= 1u << MT_REPLY_TIMEOUT;
	w->rpc.sticky[0] = w->rpc.sticky[1] = false;
	for (uint32_t i = 0; i < w->rpc.n_clients; i++) {
		w->rpc.client[i].mix.fin = 30000;
		w->rpc.client[i].mix.drain = 10000;
		w->rpc.client[i].patience = 0;
	}
}

static void calls_over(struct sim *s, enum layer_kind kind)
{
	struct world *w;

	world_layer(draw_sides(s, kind));
	w = world_new_rpc(s, 2, WANT_ANY);
	w->proxy.pending_max = 4096;
	w->proxy.slow_ms = 60000;
	w->large_pools = true;
	world_go_varied(w);
	if (!w->severity)
		world_brisk(w);
	world_servers(w);
	add_clients(w);
	if (sim_one_in(&s->plan, 2))
		end_connections(w);
	world_calls(w);
}

/* What else there is of calls through the proxy. */
static const struct sim_scenario *const others[] = {
	&scenario_proxy_ids,
	&scenario_proxy_id_wrap,
	&scenario_proxy_silent,
	&scenario_proxy_serial,
	&scenario_proxy_slow_reader,
	&scenario_proxy_upstream_death,
	&scenario_proxy_client_leave,
	&scenario_proxy_reload,
	&scenario_proxy_overload,
	&scenario_proxy_lanes,
	&scenario_proxy_mixed,
	&scenario_reply_read_late,
	&scenario_reply_many_late,
	&scenario_reply_behind_slow,
	&scenario_reply_behind_notes,
	&scenario_reply_behind_long,
	&scenario_reply_ids_beside_slow,
	&scenario_reply_beside_deaf,
};

static void others_over(struct sim *s, enum layer_kind kind)
{
	const struct sim_scenario *o = others[sim_below(&s->plan, MT_ARRAY_LEN(others))];

	world_layer(draw_sides(s, kind));
	sim_trace(s, "as in %s", o->name);
	o->run(s);
}

static void streams_over(struct sim *s, enum layer_kind kind)
{
	world_layer(draw_sides(s, kind));
	world_streams_by_proxy(world_new(s, 3), 60000, BUFFERS);
}

#define LAYERED(what, id, kind)                                                                    \
	static void run_##id##_##what(struct sim *s)                                               \
	{                                                                                          \
		what##_over(s, kind);                                                              \
	}

LAYERED(calls, layered, LAYER_RECORDS)
LAYERED(others, layered, LAYER_RECORDS)
LAYERED(streams, layered, LAYER_RECORDS)
LAYERED(calls, mux, LAYER_MUX)
LAYERED(others, mux, LAYER_MUX)
LAYERED(streams, mux, LAYER_MUX)
LAYERED(calls, tls, LAYER_TLS)
LAYERED(others, tls, LAYER_TLS)
LAYERED(streams, tls, LAYER_TLS)

const struct sim_scenario scenario_layered_calls = {
	.name = "layered_calls",
	.words = "calls in records of a layer, whose keys change, on either side of the proxy or "
		 "both",
	.weight = 2,
	.run = run_layered_calls,
	.min_calls = 10,
	.min_exchanges = 2,
	.min_connections = 2,
};

const struct sim_scenario scenario_layered_streams = {
	.name = "layered_streams",
	.words = "byte streams in records of a layer: half-close kept, reset passed on",
	.weight = 2,
	.run = run_layered_streams,
	.min_bytes = 5000,
	.min_connections = 8,
};

const struct sim_scenario scenario_layered_others = {
	.name = "layered_others",
	.words = "other scenarios of calls, in records of a layer",
	.weight = 4,
	.run = run_layered_others,
	.min_calls = 4,
	.min_connections = 2,
};

const struct sim_scenario scenario_mux_calls = {
	.name = "mux_calls",
	.words = "calls in records of a layer, whose keys change, on either side of the proxy or "
		 "both",
	.weight = 2,
	.run = run_mux_calls,
	.min_calls = 10,
	.min_exchanges = 2,
	.min_connections = 2,
};

const struct sim_scenario scenario_mux_streams = {
	.name = "mux_streams",
	.words = "byte streams that share a connection: half-close kept, a reset is of one alone",
	.weight = 2,
	.run = run_mux_streams,
	.min_bytes = 5000,
	.min_connections = 8,
};

const struct sim_scenario scenario_mux_others = {
	.name = "mux_others",
	.words = "other scenarios of calls, on streams that share a connection",
	.weight = 4,
	.run = run_mux_others,
	.min_calls = 4,
	.min_connections = 2,
};

const struct sim_scenario scenario_tls_calls = {
	.name = "tls_calls",
	.words = "calls in TLS, whose keys change, on either side of the proxy or "
		 "both",
	.weight = 2,
	.run = run_tls_calls,
	.min_calls = 10,
	.min_exchanges = 2,
	.min_connections = 2,
};

const struct sim_scenario scenario_tls_streams = {
	.name = "tls_streams",
	.words = "byte streams in TLS: half-close kept, reset passed on",
	.weight = 2,
	.run = run_tls_streams,
	.min_bytes = 5000,
	.min_connections = 8,
};

const struct sim_scenario scenario_tls_others = {
	.name = "tls_others",
	.words = "other scenarios of calls, in TLS",
	.weight = 4,
	.run = run_tls_others,
	.min_calls = 4,
	.min_connections = 2,
};
