/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* One seed over a lab that was started; `pools`: the data pool is emptied now and then. */
void random_run(uint64_t seed, uint32_t steps, bool pools);
/* Which of config.h's snapshots is the current one. */
int random_generation(void);
