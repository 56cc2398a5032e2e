/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work without a clock: the compiler counts each basic block of the rooms under test that is executed. The same seed takes the same
 * steps in the same build.
 */
#pragma once

#include <stdint.h>

uint64_t sim_steps(void);

/*
 * What a thousand steps take: an exchange of Dubbo, 20 B, is some 3,300 steps in a debug build and 0.6 us without LTO on the machine
 * of docs/performance.md, "How to measure".
 */
#define SIM_NS_OF_1000_STEPS 200u
