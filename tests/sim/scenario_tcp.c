/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/tcp between applications: our stack on one side, on the other the independent peer (half of the
 * seeds) or our stack again. Streams run both ways over a bad network and bad ports.
 */
#include "app_stream.h"
#include "own.h"
#include "peer.h"
#include "scenario.h"

#include <string.h>

#define PORT 80

struct world {
	struct sim_net net;
	struct stream_set set;
	struct own node, other;
	struct peer peer;
	bool with_peer;
	struct sim_host *hosts[2];
};

/* What tells the scenarios apart. */
struct variant {
	uint32_t streams, max_len;
	uint32_t min_severity;
	bool aborts, wild, starve, death;
};

static bool quiet(struct sim *s, void *arg)
{
	struct world *w = arg;

	if (own_live(&w->node))
		return false;
	return w->with_peer ? peer_conns_live(&w->peer) == 0 : own_live(&w->other) == 0;
}

static void starve(struct sim *s, struct own *o)
{
	/* A device that holds more than there is would leave nothing for ever. */
	o->port.hold = MT_MIN(o->port.hold, 16u);
	for (uint32_t i = 0; i < o->workers; i++)
		sim_pools_starve(o->w[i].pools, sim_below(&s->plan, 2000),
			sim_one_in(&s->plan, 2) ? 1 : sim_below(&s->plan, 40),
			sim_one_in(&s->plan, 2) ? (uint32_t)sim_between(&s->plan,
							  SIM_POOL_DATA - 640, SIM_POOL_DATA - 160)
						: 0);
}

static void build_other(struct sim *s, struct world *w, uint32_t severity, const struct variant *v)
{
	struct mt_tcp_conf conf;

	w->with_peer = sim_one_in(&s->plan, 2) || v->death;
	if (w->with_peer) {
		peer_init(&w->peer, s, "peer", 11);
		peer_conduct_draw(&w->peer.conduct, &s->plan, severity);
		sim_wire_draw(s, &w->peer.nic.wire, severity);
		memcpy(w->peer.gw_mac, w->node.port.nic.mac, 6);
		w->peer.lenient = v->wild;
		w->hosts[1] = &w->peer.host;
		return;
	}
	own_conf_draw(&conf, &s->plan);
	own_init(&w->other, s, "othr", 12, sim_one_in(&s->plan, 2) ? 1 : 3, 4, &conf);
	sim_port_draw(&w->other.port, severity);
	sim_wire_draw(s, &w->other.port.nic.wire, severity);
	if (v->starve)
		starve(s, &w->other);
	w->hosts[1] = &w->other.host;
}

static void build(struct sim *s, struct world *w, const struct variant *v, uint32_t severity)
{
	struct mt_tcp_conf conf;

	s->net = &w->net;
	w->net.spare_arp = true;
	own_conf_draw(&conf, &s->plan);
	if (v->death)
		conf.keepalive_idle_s = 5;
	own_init(&w->node, s, "node", 10, s->workers, 0, &conf);
	sim_port_draw(&w->node.port, severity);
	sim_wire_draw(s, &w->node.port.nic.wire, severity);
	if (v->starve)
		starve(s, &w->node);
	w->hosts[0] = &w->node.host;
	build_other(s, w, severity, v);
	for (uint32_t i = 0; i < w->net.n && v->wild; i++) {
		w->net.nics[i]->wire.wild = true;
		w->net.nics[i]->wire.corrupt_fixed = 10000;
	}
}

static void plan(struct sim *s, struct world *w, const struct variant *v, uint32_t severity)
{
	w->set.sim = s;
	w->set.n = v->streams;
	w->set.calm = severity == 0;
	w->set.lies = v->wild;
	w->set.may_fail = v->starve;
	for (uint32_t i = 0; i < w->set.n; i++) {
		struct stream_plan *p = &w->set.plan[i];
		bool from_node = sim_one_in(&s->plan, 2);

		stream_plan_draw(p, &s->plan, v->max_len, v->aborts);
		p->host = w->hosts[!from_node];
		p->server = w->hosts[from_node];
		p->to = sim_one_in(&s->plan, 2) ? p->server->addr4 : p->server->addr6;
		p->port = PORT;
		p->start = s->now + sim_between(&s->plan, 0, 300 * MT_MSEC);
	}
	stream_listen(&w->set, w->hosts[0], PORT);
	stream_listen(&w->set, w->hosts[1], PORT);
}

static void die(struct sim *s, void *peer, uint64_t n)
{
	peer_kill(peer);
}

static void end(struct sim *s, struct world *w)
{
	sim_events_drop(s);
	own_fini(&w->node);
	if (w->with_peer)
		peer_fini(&w->peer);
	else
		own_fini(&w->other);
	own_check_pools(&w->node);
	if (!w->with_peer)
		own_check_pools(&w->other);
	free(w);
}

static void run(struct sim *s, const struct variant *v)
{
	struct world *w = calloc(1, sizeof(*w));
	uint32_t severity = MT_MAX(sim_below(&s->plan, 4), v->min_severity);

	MT_ASSERT(w);
	build(s, w, v, severity);
	plan(s, w, v, severity);
	stream_start(&w->set);
	if (v->death) {
		w->set.alive = w->hosts[0];
		sim_at(s, s->now + sim_between(&s->plan, 400, 2500) * MT_MSEC, die, &w->peer, 0);
	}
	sim_run(s, s->now + 1500 * MT_SEC, stream_done, &w->set);
	if (v->wild)
		stream_stop(&w->set);
	stream_check(&w->set);
	/* TIME-WAIT and what the last frames do. */
	sim_run(s, s->now + 600 * MT_SEC, quiet, w);
	sim_run(s, s->now + 10 * MT_SEC, NULL, NULL);
	end(s, w);
}

static void run_bulk(struct sim *s)
{
	run(s, &(struct variant){.streams = 6, .max_len = 60000});
}

static void run_close(struct sim *s)
{
	run(s, &(struct variant){.streams = 24, .max_len = 3000, .aborts = true});
}

static void run_memory(struct sim *s)
{
	run(s, &(struct variant){.streams = 12, .max_len = 20000, .starve = true});
}

static void run_wild(struct sim *s)
{
	run(s, &(struct variant){.streams = 8,
		       .max_len = 20000,
		       .aborts = true,
		       .wild = true,
		       .min_severity = 1});
}

static void run_death(struct sim *s)
{
	run(s, &(struct variant){.streams = 12, .max_len = 20000, .death = true});
}

const struct sim_scenario scenario_tcp_death = {
	.name = "tcp_death",
	.words = "the other host dies without a word: every stream must end",
	.weight = 1,
	.run = run_death,
};

const struct sim_scenario scenario_tcp_bulk = {
	.name = "tcp_bulk",
	.words = "streams both ways, every byte checked",
	.weight = 6,
	.run = run_bulk,
	.min_bytes = 20000,
	.min_connections = 4,
};

const struct sim_scenario scenario_tcp_close = {
	.name = "tcp_close",
	.words = "many short streams that end in every order, and by reset",
	.weight = 4,
	.run = run_close,
	.min_bytes = 5000,
	.min_connections = 4,
};

const struct sim_scenario scenario_tcp_memory = {
	.name = "tcp_memory",
	.words = "allocations fail, pools are small: refusals, never a leak or a stall",
	.weight = 2,
	.run = run_memory,
};

const struct sim_scenario scenario_tcp_wild = {
	.name = "tcp_wild",
	.words = "any byte may change with a right checksum: no crash, no leak, an end for all",
	.weight = 2,
	.run = run_wild,
	.min_connections = 4,
};
