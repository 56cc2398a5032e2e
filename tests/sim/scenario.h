/* SPDX-License-Identifier: Apache-2.0 */
/* What scenarios share. */
#pragma once

#include "sim.h"

extern const struct sim_scenario scenario_peer_self;
