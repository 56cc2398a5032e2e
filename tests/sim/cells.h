/* SPDX-License-Identifier: Apache-2.0 */
/* Which cells of the TCP's state x event table were visited, over all seeds of the run. */
#pragma once

#include "sim.h"

uint32_t sim_cells_visited(void);
void sim_cells_print(void);
