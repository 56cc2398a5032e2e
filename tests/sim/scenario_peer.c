/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer_self: the independent peer against itself. Before it may judge lib/tcp it must stand its own
 * tests: streams over a bad network, every byte checked, no foul by its own referee.
 */
#include "app_stream.h"
#include "peer.h"
#include "scenario.h"

#include <string.h>

#define HOSTS 2

struct world {
	struct sim_net net;
	struct peer peer[HOSTS];
	struct stream_set set;
};

static bool quiet(struct sim *s, void *arg)
{
	struct world *w = arg;

	return peer_conns_live(&w->peer[0]) + peer_conns_live(&w->peer[1]) == 0;
}

static void build(struct sim *s, struct world *w)
{
	uint32_t severity = sim_below(&s->plan, 4);

	s->net = &w->net;
	w->net.spare_arp = true;
	for (uint32_t i = 0; i < HOSTS; i++) {
		peer_init(&w->peer[i], s, i ? "srv" : "cli", (uint8_t)(10 + i));
		peer_conduct_draw(&w->peer[i].conduct, &s->plan, severity);
		sim_wire_draw(s, &w->peer[i].nic.wire, severity);
	}
	/* A vandal is no proof against the referee. */
	for (uint32_t i = 0; i < HOSTS; i++)
		w->peer[i].lenient = !peer_conduct_fair(&w->peer[!i].conduct);
	memcpy(w->peer[0].gw_mac, w->peer[1].nic.mac, 6);
	memcpy(w->peer[1].gw_mac, w->peer[0].nic.mac, 6);
	w->set.sim = s;
	w->set.n = 6;
	w->set.calm = severity == 0;
	for (uint32_t i = 0; i < w->set.n; i++) {
		struct stream_plan *p = &w->set.plan[i];

		stream_plan_draw(p, &s->plan, 40000, true);
		p->host = &w->peer[0].host;
		p->server = &w->peer[1].host;
		p->to = i % 2 ? w->peer[1].host.addr4 : w->peer[1].host.addr6;
		p->port = 80;
		p->start = s->now + sim_between(&s->plan, 0, 300 * MT_MSEC);
	}
	stream_listen(&w->set, &w->peer[1].host, 80);
}

static void run(struct sim *s)
{
	struct world *w = calloc(1, sizeof(*w));

	MT_ASSERT(w);
	build(s, w);
	stream_start(&w->set);
	sim_run(s, s->now + 300 * MT_SEC, stream_done, &w->set);
	stream_check(&w->set);
	sim_run(s, s->now + 200 * MT_SEC, quiet, w);
	sim_events_drop(s);
	for (uint32_t i = 0; i < HOSTS; i++)
		peer_fini(&w->peer[i]);
	free(w);
}

const struct sim_scenario scenario_peer_self = {
	.name = "peer_self",
	.words = "the independent peer against itself: is the referee sound?",
	.weight = 3,
	.run = run,
	.min_bytes = 5000,
	.min_connections = 4,
};
