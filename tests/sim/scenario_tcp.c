/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/tcp between applications: our stack on one side, on the other the independent peer (half of the
 * seeds) or our stack again. Streams run both ways over a bad network and bad ports.
 */
#include "app_stream.h"
#include "attack.h"
#include "cells.h"
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
	struct attack attack;
	bool with_peer;
	struct sim_host *hosts[2];
};

/* What tells the scenarios apart. */
struct variant {
	uint32_t streams, max_len;
	uint32_t min_severity;
	bool aborts, wild, starve, death;
	bool reboot; /* the other host crashes, and is up again */
	bool blind;  /* somebody else shoots at the connections */
	bool liar;   /* the peer keeps no word */
	bool path;   /* what long packets may pass changes */
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

/* What an optimistic peer acknowledges must not get lost: nobody would send it again. */
static void lie(struct sim *s, struct world *w, const struct variant *v)
{
	struct sim_wire *to = &w->node.port.nic.wire;
	bool lossless = sim_one_in(&s->plan, 3) && !v->path;

	if (lossless)
		*to = (struct sim_wire){
			.delay = to->delay, .jitter = to->jitter, .reorder_by = to->reorder_by};
	peer_lies_draw(&w->peer.conduct, &s->plan, lossless);
}

static void build_other(struct sim *s, struct world *w, uint32_t severity, const struct variant *v)
{
	struct mt_tcp_conf conf;

	w->with_peer = sim_one_in(&s->plan, 2) || v->death || v->reboot || v->liar;
	if (w->with_peer) {
		peer_init(&w->peer, s, "peer", 11);
		peer_conduct_draw(&w->peer.conduct, &s->plan, severity);
		w->peer.conduct.deaf = true;
		sim_wire_draw(s, &w->peer.nic.wire, severity);
		if (v->liar)
			lie(s, w, v);
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
	if (v->path)
		sim_mtu_draw(s, &w->other.port.nic.wire);
	if (v->blind)
		w->attack.victim[w->attack.victims++] = &w->other;
	w->hosts[1] = &w->other.host;
}

static void build(struct sim *s, struct world *w, const struct variant *v, uint32_t severity)
{
	struct mt_tcp_conf conf;

	s->net = &w->net;
	w->net.spare_arp = true;
	own_conf_draw(&conf, &s->plan);
	if (v->death || v->reboot)
		conf.keepalive_idle_s = 5;
	if (sim_one_in(&s->plan, 3))
		sim_isn_near = sim_one_in(&s->plan, 2) ? 0x80000000u : UINT32_MAX;
	own_init(&w->node, s, "node", 10, s->workers, 0, &conf);
	sim_port_draw(&w->node.port, severity);
	sim_wire_draw(s, &w->node.port.nic.wire, severity);
	if (v->starve)
		starve(s, &w->node);
	if (v->path)
		sim_mtu_draw(s, &w->node.port.nic.wire);
	if (v->blind)
		w->attack.victim[w->attack.victims++] = &w->node;
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
		if (v->reboot && sim_one_in(&s->plan, 2))
			p->start = w->set.reborn + sim_between(&s->plan, 0, 5 * MT_SEC);
		if (v->liar && sim_one_in(&s->plan, 8)) { /* next to never reads */
			p->part[from_node].read_start = sim_between(&s->plan, 60, 400) * MT_SEC;
			p->part[!from_node].leaves = false; /* its patience would end first */
		}
	}
	stream_listen(&w->set, w->hosts[0], PORT);
	stream_listen(&w->set, w->hosts[1], PORT);
}

static void die(struct sim *s, void *peer, uint64_t up_again)
{
	if (up_again)
		peer_reboot(peer);
	else
		peer_kill(peer);
}

static void plan_death(struct sim *s, struct world *w, const struct variant *v)
{
	uint64_t at = s->now + sim_between(&s->plan, v->reboot ? 5 : 400, 2500) * MT_MSEC;

	w->set.alive = w->hosts[0];
	w->set.reborn = v->reboot ? at : MT_NEVER;
	sim_at(s, at, die, &w->peer, v->reboot);
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
	if (v->death || v->reboot)
		plan_death(s, w, v);
	plan(s, w, v, severity);
	stream_start(&w->set);
	if (v->blind)
		attack_start(&w->attack, s, &w->set);
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

static void run_reboot(struct sim *s)
{
	run(s, &(struct variant){.streams = 12, .max_len = 20000, .reboot = true});
}

static void run_blind(struct sim *s)
{
	run(s, &(struct variant){.streams = 8, .max_len = 30000, .blind = true});
}

static void run_liar(struct sim *s)
{
	run(s, &(struct variant){.streams = 6, .max_len = 20000, .liar = true});
}

static void run_path(struct sim *s)
{
	run(s, &(struct variant){.streams = 6, .max_len = 40000, .path = true});
}

/* Whatever comes together. */
static void run_mix(struct sim *s)
{
	struct mt_rand *r = &s->plan;
	struct variant v = {
		.streams = 4 + sim_below(r, 12),
		.max_len = sim_one_in(r, 2) ? 2000 : 30000,
		.aborts = sim_one_in(r, 2),
		.starve = sim_one_in(r, 4),
		.reboot = sim_one_in(r, 4),
		.blind = sim_one_in(r, 2),
		.liar = sim_one_in(r, 2),
		.path = sim_one_in(r, 2),
	};

	run(s, &v);
}

const struct sim_scenario scenario_tcp_mix = {
	.name = "tcp_mix",
	.words = "attackers, liars, narrow paths, reboots and little memory in any mixture",
	.weight = 4,
	.run = run_mix,
	.most_events = 3000000, /* a byte a segment, at worst */
};

const struct sim_scenario scenario_tcp_reboot = {
	.name = "tcp_reboot",
	.words = "the other host forgets its connections and uses the same ports again",
	.weight = 2,
	.run = run_reboot,
	.must_hurt = true,
};

const struct sim_scenario scenario_tcp_blind = {
	.name = "tcp_blind",
	.words = "an attacker off the path forges segments and ICMP errors: without effect",
	.weight = 3,
	.run = run_blind,
	.min_bytes = 20000,
	.min_connections = 4,
	.must_hurt = true,
};

const struct sim_scenario scenario_tcp_liar = {
	.name = "tcp_liar",
	.words =
		"a peer divides, guesses, reneges and lies in ACKs, ignores windows, does not read",
	.weight = 3,
	.run = run_liar,
	.min_bytes = 10000,
	.min_connections = 4,
};

const struct sim_scenario scenario_tcp_path = {
	.name = "tcp_path",
	.words = "the path becomes narrower than its ends, with a router's word or without",
	.weight = 2,
	.run = run_path,
	.min_bytes = 20000,
	.min_connections = 4,
};

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
