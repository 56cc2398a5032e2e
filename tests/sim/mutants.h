/* SPDX-License-Identifier: Apache-2.0 */
/* Known bugs that are compiled into the simulator's build of the rooms, off until one is selected. */
#pragma once

#include "mt_base.h"

bool sim_mutant_select(const char *name);
void sim_mutants_list(void);
