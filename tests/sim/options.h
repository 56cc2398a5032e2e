/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "sim.h"

#define SIM_MAX_JOBS 256

/* -1: run; else the exit code (help, lists, mistakes). */
bool sim_scenario_exists(const char *name);
int sim_options_parse(int argc, char **argv, struct sim_options *o);
