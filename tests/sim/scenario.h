/* SPDX-License-Identifier: Apache-2.0 */
/* What scenarios share. */
#pragma once

#include "sim.h"

extern const struct sim_scenario scenario_peer_self;
extern const struct sim_scenario scenario_tcp_bulk, scenario_tcp_close, scenario_tcp_memory,
	scenario_tcp_wild, scenario_tcp_death, scenario_tcp_reboot, scenario_tcp_blind,
	scenario_tcp_liar, scenario_tcp_path, scenario_tcp_mix, scenario_tcp_opaque_proxy;
extern const struct sim_scenario scenario_proxy_ids, scenario_proxy_id_wrap, scenario_proxy_silent,
	scenario_proxy_serial, scenario_proxy_slow_reader, scenario_proxy_upstream_death,
	scenario_proxy_client_leave, scenario_proxy_client_close, scenario_proxy_reload,
	scenario_proxy_overload, scenario_proxy_lanes, scenario_proxy_limit,
	scenario_proxy_limit_in_step, scenario_proxy_mixed, scenario_proxy_replies,
	scenario_proxy_asked, scenario_proxy_beats, scenario_proxy_global_limit, scenario_wind_up;
extern const struct sim_scenario scenario_reply_read_late, scenario_reply_many_late,
	scenario_reply_behind_slow, scenario_reply_behind_notes, scenario_reply_behind_long,
	scenario_reply_ids_beside_slow, scenario_reply_beside_deaf;
extern const struct sim_scenario scenario_victim_pipeliner, scenario_victim_deaf,
	scenario_victim_dribbler, scenario_victim_big_caller, scenario_victim_beater,
	scenario_victim_attacher, scenario_victim_reader, scenario_victim_medium;
extern const struct sim_scenario scenario_released_drain, scenario_released_listener,
	scenario_released_clients, scenario_released_server, scenario_released_timeout,
	scenario_released_evicted;
extern const struct sim_scenario scenario_mirror_answers, scenario_mirror_dead,
	scenario_mirror_silent, scenario_mirror_deaf, scenario_mirror_resets;
extern const struct sim_scenario scenario_retries_resets, scenario_retries_silent,
	scenario_retries_storm, scenario_retries_waits, scenario_retries_mixed,
	scenario_retries_asked;
extern const struct sim_scenario scenario_reply_waits;
extern const struct sim_scenario scenario_stopped_replies, scenario_stopped_whole_replies;
extern const struct sim_scenario scenario_given_up, scenario_newcomers, scenario_slow_uploads,
	scenario_slow_server, scenario_slow_server_limits, scenario_slow_server_no_rss,
	scenario_node_limits, scenario_node_limits_pending;
extern const struct sim_scenario scenario_idle_dubbo, scenario_idle_thrift, scenario_restart_dubbo,
	scenario_restart_thrift;
extern const struct sim_scenario scenario_memory_pressure, scenario_flash_crowd, scenario_syn_flood,
	scenario_pool_empty;
extern const struct sim_scenario scenario_layered_calls, scenario_layered_others,
	scenario_layered_streams, scenario_mux_calls, scenario_mux_others, scenario_mux_streams,
	scenario_tls_calls, scenario_tls_others, scenario_tls_streams, scenario_mux_hostile;
extern const struct sim_scenario scenario_goodput_loss, scenario_goodput_reorder,
	scenario_goodput_near, scenario_goodput_late, scenario_goodput_clean, scenario_goodput_ecn,
	scenario_goodput_bursts;
