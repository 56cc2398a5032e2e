/* SPDX-License-Identifier: Apache-2.0 */
/* tcp_opaque_proxy: byte streams through the proxy; half-close and reset are passed on. */
#include "scenario.h"
#include "world.h"

/* A fifth of so many are for byte streams. */
#define BUFFERS 1400

void world_streams_by_proxy(struct world *w, uint32_t most, uint32_t buffers)
{
	struct stream_set *set = &w->streams;
	struct sim *s = w->sim;
	bool scarce;

	/* A stream whose server is not reached in time is reset, which is not what is tried here. */
	for (uint32_t i = 0; i < w->config.n_clusters; i++)
		w->config.cluster[i].connect_ms = 30000;
	world_go(w);
	/*
	 * Who has too much under way is read more slowly, and nobody is reset for it: where peers send slivers, each of which takes a
	 * buffer, there are more of those.
	 */
	buffers *= w->severity ? 2 : 1;
	scarce = sim_one_in(&s->plan, 2);
	for (uint32_t i = 0; scarce && i < w->mesh.workers; i++)
		mesh_share_out(&w->mesh, i, buffers);
	set->n = 10;
	set->by_proxy = true;
	for (uint32_t i = 0; i < set->n; i++) {
		struct stream_plan *p = &set->plan[i];

		stream_plan_draw(p, &s->plan, most, true);
		p->host = world_client(w, i);
		p->server = world_server(w, i);
		p->to = sim_one_in(&s->plan, 2) ? w->mesh.host.addr4 : w->mesh.host.addr6;
		p->port = WORLD_PORT;
		p->start = s->now + sim_between(&s->plan, 0, 300 * MT_MSEC);
	}
	/* What comes while a server is looked for cannot be passed on, however scarce buffers are. */
	if (!scarce && sim_one_in(&s->plan, 2))
		set->turns_away = (uint32_t)sim_between(&s->plan, 2, 5);
	for (uint32_t i = 0; i < WORLD_SERVERS; i++)
		stream_listen(set, world_server(w, i), SERVER_PORT);
	stream_start(set);
	sim_run(s, s->now + 900 * MT_SEC, stream_done, set);
	/* The node gives a server up of whom it hears nothing for so long. */
	set->may_fail = mesh_tcp_counter(&w->mesh, MT_TCP_path_silent) > 0;
	s->st.streams_again += mesh_counter(&w->mesh, MT_PROXY_opaque_transparent_retry);
	stream_check(set);
	world_end(w);
}

static void run(struct sim *s)
{
	world_streams_by_proxy(world_new(s, 3), 30000, BUFFERS);
}

const struct sim_scenario scenario_tcp_opaque_proxy = {
	.name = "tcp_opaque_proxy",
	.words = "byte streams through the proxy: half-close kept, reset passed on",
	.weight = 4,
	.run = run,
	.min_bytes = 5000,
	.min_connections = 8,
};
