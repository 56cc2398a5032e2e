/* SPDX-License-Identifier: Apache-2.0 */
/* What scenarios share. */
#pragma once

#include "sim.h"

extern const struct sim_scenario scenario_peer_self;
extern const struct sim_scenario scenario_tcp_bulk, scenario_tcp_close, scenario_tcp_memory,
	scenario_tcp_wild, scenario_tcp_death;
