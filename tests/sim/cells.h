/* SPDX-License-Identifier: Apache-2.0 */
/* Which cells of the TCP's state x event table were visited, over all seeds of the run. */
#pragma once

#include "sim.h"

uint32_t sim_cells_visited(void);
void sim_cells_print(void);
/* An arriving segment in this state (0..15); event: a class of its flags. */
void sim_cell(uint32_t state, uint8_t tcp_flags, bool payload);
