/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"
#include "codec_file.h"
#include "entries.h"
#include "steps.h"
#include "toy.h"

#include <string.h>

#define FIRST_SLOT 4 /* of the hosts' pools; the node has the first */

static const char *const names[WORLD_HOSTS] = {"cl0", "cl1", "sv0", "sv1", "sv2"};

/*
 * An old duplicate of the segment with a SYN cookie makes the connection, and the calls in it, once
 * more when the first one is over. That is how cookies are; here every call must come once.
 */
static void no_cookies(struct mt_tcp_conf *c)
{
	c->cookies_always = false;
	c->max_half_open = 256;
}

static void host_init(struct world *w, uint32_t i)
{
	struct world_host *h = &w->h[i];
	struct sim *s = w->sim;
	struct mt_tcp_conf conf;
	uint8_t number = (uint8_t)(20 + i);
	bool layered;

	layered = i < WORLD_CLIENTS ? w->layer.down : w->layer.up;
	h->is_peer = !layered && (sim_one_in(&s->plan, 2) || w->peers);
	if (h->is_peer) {
		peer_init(&h->peer, s, names[i], number);
		peer_conduct_draw(&h->peer.conduct, &s->plan, w->severity);
		sim_wire_draw(s, &h->peer.nic.wire, w->severity);
		memcpy(h->peer.gw_mac, (uint8_t[]){2, 0, 0, 0, 0, 10}, 6);
		h->host = &h->peer.host;
		return;
	}
	own_conf_draw(&conf, &s->plan);
	no_cookies(&conf);
	own_init(&h->own, s, names[i], number, 1, FIRST_SLOT + i, &conf);
	if (layered)
		own_layer(&h->own, w->layer.kind);
	sim_port_draw(&h->own.port, w->severity);
	sim_wire_draw(s, &h->own.port.nic.wire, w->severity);
	h->host = &h->own.host;
}

/* Two clusters: "a" with every server, "b" with the last one. */
static void default_config(struct world *w)
{
	struct config *c = &w->config;
	bool v6 = sim_one_in(&w->sim->plan, 4);

	c->n_listeners = 1;
	c->listener[0] = (struct config_listener){
		.port = WORLD_PORT,
		.codec = &sim_opaque_codec,
		.cluster = 0,
		.cluster_b = 1,
		.timeout_ms = 120000,
		.chains = w->sim->seed % 4 == 1,
	};
	c->n_clusters = 2;
	c->cluster[0].lb = sim_below(&w->sim->plan, 3);
	c->cluster[0].connect_ms = c->cluster[1].connect_ms = 3000;
	for (uint32_t i = 0; i < WORLD_SERVERS; i++) {
		struct sim_host *h = world_server(w, i);
		struct config_cluster *cl = &c->cluster[i == WORLD_SERVERS - 1];

		cl->ep[cl->n_eps].addr = v6 ? h->addr6 : h->addr4;
		cl->ep[cl->n_eps++].port = SERVER_PORT;
	}
}

static struct world_layer next_layer;
static bool next_peers;

void world_layer(struct world_layer layer)
{
	next_layer = layer;
}

void world_peers(void)
{
	next_peers = true;
}

struct world *world_new(struct sim *s, uint32_t max_severity)
{
	struct world *w = calloc(1, sizeof(*w));

	MT_ASSERT(w);
	w->sim = s;
	w->layer = next_layer;
	next_layer = (struct world_layer){0};
	w->peers = next_peers;
	next_peers = false;
	w->severity = sim_below(&s->plan, max_severity + 1);
	s->net = &w->net;
	w->net.spare_arp = true;
	w->rpc.sim = w->streams.sim = s;
	rpc_room_for(&w->rpc, RPC_CLIENTS, RPC_SERVERS);
	w->rpc.replayed = mesh_cookie_replayed;
	w->rpc.replayed_arg = &w->mesh;
	for (uint32_t i = 0; i < WORLD_HOSTS; i++)
		host_init(w, i);
	own_conf_draw(&w->tcp, &s->plan);
	no_cookies(&w->tcp);
	w->tcp.max_conns = 512;
	w->proxy = (struct mt_proxy_conf){
		.max_down = 256,
		.max_exchanges = 4096,
		.max_up = 256,
		.ring_slots = sim_one_in(&s->plan, 2) ? 1024 : 2048,
		.up_idle_s = 5,
		.drain_ms = 3000,
		.half_closed_s = 300,
		/* A bad network may take long; what really stalls is found by the deadline of the seed. */
		.message_ms = 90000,
		.bulk_idle_ms = 90000,
	};
	default_config(w);
	return w;
}

/* Where clients' numbers begin: round corners of their width, or anywhere. */
static uint64_t first_id(struct mt_rand *r)
{
	static const uint64_t ids[] = {0, 1, 100, 16300, 2097100, 0x7fffffd0, 0xffffffd0};
	uint32_t i = sim_below(r, MT_ARRAY_LEN(ids) + 1);

	return i < MT_ARRAY_LEN(ids) ? ids[i] : mt_rand_u64(r);
}

struct world *world_new_rpc(struct sim *s, uint32_t max_severity, enum protocol_want want)
{
	struct world *w = world_new(s, max_severity);
	struct config_listener *l = &w->config.listener[0];
	struct protocol *p = &w->rpc.protocol;

	protocol_draw(p, &s->plan, want);
	l->codec = p->codec;
	l->opts = p->opts;
	l->route_key = p->route_key;
	l->early_ok = p->route_leads;
	w->rpc.first_id = first_id(&s->plan);
	w->rpc.one_id = p->ordered && sim_one_in(&s->plan, 4);
	/* Cluster 1 is the last server. */
	w->rpc.route_to[1] = 1u << (WORLD_SERVERS - 1);
	w->rpc.route_to[0] = w->rpc.route_to[1] - 1;
	return w;
}

void world_few_ids(struct world *w)
{
	struct config_listener *l = &w->config.listener[0];

	struct mt_codec *few = &w->few_ids.codec;

	/* A codec of a table finds it by its own address. */
	if (sim_codec_file(false))
		w->few_ids = *sim_codec_file(false);
	*few = *l->codec;
	few->id_min = 1u << 21;
	few->id_max = few->id_min + 4095;
	l->codec = few;
}

/* More services, each on a listener of its own, balanced in any way; workers that stand still. */
static void draw_variety(struct world *w)
{
	struct mt_rand *r = &w->sim->plan;
	struct config *c = &w->config;

	c->n_listeners = 1 + sim_below(r, CONFIG_LISTENERS);
	for (uint32_t i = 1; i < c->n_listeners; i++) {
		c->listener[i] = c->listener[0];
		c->listener[i].port = (uint16_t)(WORLD_PORT + i);
	}
	for (uint32_t i = 0; i < c->n_clusters; i++) {
		struct config_cluster *cl = &c->cluster[i];

		cl->lb = sim_below(r, MT_LB_RING_HASH + 1);
		cl->hash_key = sim_one_in(r, 2) ? c->listener[0].route_key : NULL;
		for (uint32_t e = 0; e < WORLD_SERVERS + 1; e++)
			cl->ep[e].weight = sim_one_in(r, 2) ? 1 + sim_below(r, 100) : 1;
		if (sim_one_in(r, 3))
			cl->outlier = (struct mt_outlier_rule){.failures = 1 + sim_below(r, 5),
				.base_ms = (uint32_t)sim_between(r, 100, 2000),
				.max_ms = 10000};
	}
}

/* Servers that are all there are told by the hash alone. */
static void expect_hash(struct world *w)
{
	const struct config_listener *l = &w->config.listener[0];

	for (uint32_t r = 0; r < 2; r++) {
		const struct config_cluster *c = &w->config.cluster[r ? l->cluster_b : l->cluster];

		w->rpc.sticky[r] = c->hash_key && !w->severity &&
				   (c->lb == MT_LB_MAGLEV || c->lb == MT_LB_RING_HASH);
	}
}

void world_late(struct world *w)
{
	const struct config_listener *l = &w->config.listener[0];

	for (uint32_t r = 0; r < 2; r++)
		if (w->config.cluster[r ? l->cluster_b : l->cluster].outlier.failures)
			w->rpc.sticky[r] = false;
}

void world_go_varied(struct world *w)
{
	bool stalls;

	draw_variety(w);
	expect_hash(w);
	stalls = sim_one_in(&w->sim->plan, 4);
	world_go(w);
	if (stalls)
		mesh_stalls(&w->mesh);
}

void world_go(struct world *w)
{
	uint32_t slot = w->huge_pools ? SIM_SLOT_HUGE : w->large_pools ? SIM_SLOT_LARGE : 0;

	w->config.tls_down = w->layer.kind == LAYER_TLS && w->layer.down;
	w->config.tls_up = w->layer.kind == LAYER_TLS && w->layer.up;
	mesh_init(&w->mesh, w->sim, 10, w->sim->workers, slot, &w->tcp, &w->proxy, &w->config);
	if (w->layer.kind)
		mesh_layer(&w->mesh, w->layer.kind, w->layer.down, w->layer.up);
	sim_port_draw(&w->mesh.port, w->severity);
	sim_wire_draw(w->sim, &w->mesh.port.nic.wire, w->severity);
}

void world_brisk(struct world *w)
{
	for (uint32_t i = 0; i < w->net.n; i++) {
		struct sim_wire *x = &w->net.nics[i]->wire;

		x->delay = MT_MIN(x->delay, 500 * MT_USEC);
		x->jitter = MT_MIN(x->jitter, x->delay / 2);
		x->reorder_by = 2 * x->delay + 300 * MT_USEC;
	}
	for (uint32_t i = 0; i < WORLD_HOSTS; i++) {
		struct peer_conduct *c = &w->h[i].peer.conduct;

		c->delack = MT_MIN(c->delack, 2 * MT_MSEC);
		c->rcvbuf = MT_MAX(c->rcvbuf, 8192u);
		c->mss = MT_MAX(c->mss, (uint16_t)1220); /* short ones take much memory */
	}
}

#define EVEN_WIRE (50 * MT_USEC)

void world_even(struct world *w)
{
	world_brisk(w);
	for (uint32_t i = 0; i < w->net.n; i++)
		w->net.nics[i]->wire = (struct sim_wire){.delay = EVEN_WIRE};
	w->mesh.port.hold = w->mesh.port.partial = w->mesh.port.segments = 0;
	w->mesh.ns_of_1000_steps = SIM_NS_OF_1000_STEPS;
}

void world_servers(struct world *w)
{
	uint32_t beats = sim_one_in(&w->sim->plan, 3) ? 30000 : 0;

	w->rpc.n_servers = WORLD_SERVERS;
	for (uint32_t i = 0; i < WORLD_SERVERS; i++)
		w->rpc.server[i] = (struct rpc_server){
			.set = &w->rpc,
			.no = i,
			.group = i,
			.host = world_server(w, i),
			.port = SERVER_PORT,
			.serial = w->rpc.protocol.serial,
			.heartbeats = beats,
		};
}

/*
 * By the network, by a server that resets inside a reply, or by a layer of which a link ends when it
 * finds no memory.
 */
static uint64_t cut_off(void *arg, bool by_server)
{
	const struct world *w = arg;

	if (!w->severity && !w->sim->st.faults[SIM_F_ALLOC_FAILED] && !by_server)
		return 0;
	return mesh_counter(&w->mesh, MT_PROXY_reply_truncated);
}

static uint64_t unanswered(void *arg)
{
	const struct world *w = arg;

	return mesh_counter(&w->mesh, MT_PROXY_up_heartbeat_dropped);
}

/*
 * A bad network may keep a connect from coming about in time, make servers look overloaded and cut off replies; but of most calls it
 * does not.
 */
static void allow_network(struct world *w)
{
	bool expected = w->rpc.may_native & ~(1u << MT_REPLY_TIMEOUT);
	uint32_t calls = 0;

	for (uint32_t i = 0; i < w->rpc.n_clients; i++)
		calls += w->rpc.client[i].calls;
	if (!expected && !w->rpc.native_max)
		w->rpc.native_max = calls * (1 + w->severity) / 5;
	if (w->severity)
		w->rpc.may_native |= 1u << MT_REPLY_NO_ENDPOINT | 1u << MT_REPLY_CONN_LOST |
				     1u << MT_REPLY_OVERLOAD;
	w->rpc.cut_off = cut_off;
	w->rpc.cut_off_arg = w;
	w->rpc.unanswered = unanswered;
	w->rpc.unanswered_arg = w;
}

#define CALLS_FOR  (1500 * MT_SEC)
#define LATE_BY	   (60 * MT_SEC)
#define LATE_CALLS 20
#define LATE_PACE  (2 * MT_SEC)

/*
 * A shortage of buffers may last for ten seconds (pool_sim.h), and then the node leaves servers alone for a while that it could not
 * connect to. All calls may end within that time, so somebody has to show that it ends.
 */
static void come_late(struct world *w)
{
	const struct rpc_client *first = &w->rpc.client[0];
	struct rpc_client *c = &w->rpc.client[w->rpc.n_clients];

	MT_ASSERT(w->rpc.n_clients < RPC_CLIENTS);
	*c = (struct rpc_client){
		.set = &w->rpc,
		.dialect = first->dialect,
		.no = w->rpc.n_clients++,
		.host = first->host,
		.to = first->to,
		.port = first->port,
		.start = w->sim->now + LATE_BY,
		.mix = first->mix,
		.calls = LATE_CALLS,
		.window = 1,
		.pace = LATE_PACE,
		.may_lose = first->may_lose,
	};
	rpc_client_start(c);
	sim_run(w->sim, w->sim->now + CALLS_FOR, rpc_done, &w->rpc);
}

void world_run_calls(struct world *w)
{
	struct sim *s = w->sim;

	allow_network(w);
	for (uint32_t i = 0; i < w->rpc.n_servers; i++)
		rpc_server_start(&w->rpc.server[i]);
	for (uint32_t i = 0; i < w->rpc.n_clients; i++)
		rpc_client_start(&w->rpc.client[i]);
	sim_run(s, s->now + CALLS_FOR, rpc_done, &w->rpc);
	if (w->latecomer && !s->failed && rpc_exchanges(&w->rpc) < s->scenario->min_exchanges)
		come_late(w);
	rpc_check(&w->rpc);
	if (!s->failed && w->must_count && mesh_counter(&w->mesh, w->must_count) == 0)
		sim_fail(s, "it never happened: %s", mt_proxy_outcomes.rows[w->must_count].words);
}

void world_calls(struct world *w)
{
	world_run_calls(w);
	world_end(w);
}

static bool quiet(struct sim *s, void *arg)
{
	struct world *w = arg;

	for (uint32_t i = 0; i < WORLD_HOSTS; i++)
		if (w->h[i].is_peer ? peer_conns_live(&w->h[i].peer) : own_live(&w->h[i].own))
			return false;
	return mesh_idle(&w->mesh);
}

void world_end(struct world *w)
{
	struct sim *s = w->sim;

	/* Clients are gone; upstream connections idle out or drain. */
	sim_run(s, s->now + 20 * MT_SEC, quiet, w);
	mesh_drain(&w->mesh);
	sim_run(s, s->now + 400 * MT_SEC, quiet, w);
	/* A reset that was lost leaves a server's connection alone; the node must have none by now. */
	if (!s->failed)
		rpc_stop(&w->rpc);
	sim_run(s, s->now + 10 * MT_SEC, NULL, NULL);
	sim_events_drop(s);
	entries_of_calls(&w->mesh, &w->rpc);
	mesh_fini(&w->mesh);
	for (uint32_t i = 0; i < WORLD_HOSTS; i++) {
		if (w->h[i].is_peer)
			peer_fini(&w->h[i].peer);
		else
			own_fini(&w->h[i].own);
	}
	mesh_check_pools(&w->mesh);
	for (uint32_t i = 0; i < WORLD_HOSTS; i++)
		if (!w->h[i].is_peer)
			own_check_pools(&w->h[i].own);
	rpc_free(&w->rpc);
	free(w);
}
