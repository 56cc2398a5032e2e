/* SPDX-License-Identifier: Apache-2.0 */
/* One seed: from nothing to its verdict. */
#include "cells.h"
#include "link.h"
#include "pool_sim.h"
#include "refs.h"
#include "scenario.h"

#include <inttypes.h>
#include <string.h>

const struct sim_scenario *const sim_scenarios[] = {
	&scenario_tcp_bulk,
	&scenario_tcp_close,
	&scenario_tcp_memory,
	&scenario_tcp_wild,
	&scenario_tcp_death,
	&scenario_tcp_reboot,
	&scenario_tcp_blind,
	&scenario_tcp_liar,
	&scenario_tcp_path,
	&scenario_tcp_mix,
	&scenario_tcp_opaque_proxy,
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
	&scenario_memory_pressure,
	&scenario_proxy_mixed,
	&scenario_proxy_replies,
	&scenario_proxy_asked,
	&scenario_proxy_global_limit,
	&scenario_proxy_beats,
	&scenario_wind_up,
	&scenario_reply_read_late,
	&scenario_reply_many_late,
	&scenario_reply_behind_slow,
	&scenario_reply_behind_notes,
	&scenario_reply_behind_long,
	&scenario_reply_ids_beside_slow,
	&scenario_reply_beside_deaf,
	&scenario_layered_calls,
	&scenario_layered_others,
	&scenario_layered_streams,
	&scenario_mux_calls,
	&scenario_mux_others,
	&scenario_mux_streams,
	&scenario_mux_hostile,
	&scenario_tls_calls,
	&scenario_tls_others,
	&scenario_tls_streams,
	&scenario_proxy_limit,
	&scenario_proxy_limit_in_step,
	&scenario_flash_crowd,
	&scenario_syn_flood,
	&scenario_pool_empty,
	&scenario_victim_pipeliner,
	&scenario_victim_deaf,
	&scenario_victim_dribbler,
	&scenario_victim_big_caller,
	&scenario_victim_beater,
	&scenario_victim_attacher,
	&scenario_victim_reader,
	&scenario_victim_medium,
	&scenario_released_drain,
	&scenario_released_listener,
	&scenario_released_clients,
	&scenario_released_server,
	&scenario_released_timeout,
	&scenario_released_evicted,
	&scenario_mirror_answers,
	&scenario_mirror_dead,
	&scenario_mirror_silent,
	&scenario_mirror_deaf,
	&scenario_mirror_resets,
	&scenario_retries_resets,
	&scenario_retries_silent,
	&scenario_retries_storm,
	&scenario_retries_waits,
	&scenario_retries_mixed,
	&scenario_retries_asked,
	&scenario_reply_waits,
	&scenario_stopped_replies,
	&scenario_stopped_whole_replies,
	&scenario_proxy_client_close,
	&scenario_given_up,
	&scenario_newcomers,
	&scenario_slow_uploads,
	&scenario_node_limits,
	&scenario_node_limits_pending,
	&scenario_slow_server,
	&scenario_slow_server_limits,
	&scenario_slow_server_no_rss,
	&scenario_idle_dubbo,
	&scenario_idle_thrift,
	&scenario_restart_dubbo,
	&scenario_restart_thrift,
	&scenario_peer_self,
	&scenario_goodput_loss,
	&scenario_goodput_reorder,
	&scenario_goodput_near,
	&scenario_goodput_late,
	&scenario_goodput_clean,
	&scenario_goodput_bursts,
	&scenario_goodput_ecn,
	NULL,
};

static const struct sim_scenario *by_name(const char *name)
{
	for (uint32_t i = 0; sim_scenarios[i]; i++)
		if (strcmp(sim_scenarios[i]->name, name) == 0)
			return sim_scenarios[i];
	return NULL;
}

/* The seed's scenario, by weight. */
static const struct sim_scenario *draw_scenario(uint64_t seed)
{
	uint32_t total = 0, x, i;
	struct mt_rand r;

	for (i = 0; sim_scenarios[i]; i++)
		total += sim_scenarios[i]->weight;
	mt_rand_seed(&r, seed * 7919);
	x = sim_below(&r, total);
	for (i = 0; x >= sim_scenarios[i]->weight; i++)
		x -= sim_scenarios[i]->weight;
	return sim_scenarios[i];
}

static void reset(struct sim *s, const struct sim_options *opt, uint64_t seed)
{
	struct sim_event *heap = s->heap;
	uint32_t cap = s->cap_events;

	memset(s, 0, sizeof(*s));
	s->heap = heap;
	s->cap_events = cap;
	s->opt = opt;
	s->seed = seed;
	sim_isn_near = 0;
	mt_rand_seed(&s->plan, seed);
	mt_rand_seed(&s->net_rand, seed ^ 0x6e657477ull);
	mt_rand_seed(&s->host_rand, seed ^ 0x686f7374ull);
	s->start = s->now = sim_between(&s->plan, MT_SEC, 1000000 * MT_SEC);
	s->workers = sim_one_in(&s->plan, 2) ? 1 : 3;
	if (opt->workers)
		s->workers = opt->workers;
	s->scenario = opt->scenario ? by_name(opt->scenario) : draw_scenario(seed);
}

static uint64_t faults_total(const struct sim *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < SIM_F_N; i++)
		n += s->st.faults[i];
	return n;
}

/* A seed that did next to nothing proves nothing. */
static void check_work(struct sim *s)
{
	const struct sim_scenario *c = s->scenario;

	if (s->st.calls < c->min_calls || s->st.exchanges < c->min_exchanges ||
		s->st.bytes < c->min_bytes || s->st.connections < c->min_connections)
		sim_fail(s,
			"too little work: %" PRIu64 " calls, %" PRIu64 " of them answered, %" PRIu64
			" bytes, %" PRIu64 " connections",
			s->st.calls, s->st.exchanges, s->st.bytes, s->st.connections);
	if (c->must_hurt && !faults_total(s))
		sim_fail(s, "no fault fired");
	if (sim_frames_live())
		sim_fail(s, "harness: %u frames left", sim_frames_live());
}

void sim_seed_run(struct sim *s, const struct sim_options *opt, uint64_t seed)
{
	reset(s, opt, seed);
	sim_refs_begin();
	sim_trace(
		s, "seed %" PRIu64 " scenario %s workers %u", seed, s->scenario->name, s->workers);
	s->scenario->run(s);
	if (!s->failed)
		check_work(s);
	if (s->failed)
		sim_pools_reset();
	s->st.virtual_ns = s->now - s->start;
}
