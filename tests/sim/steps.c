/* SPDX-License-Identifier: Apache-2.0 */
#include "steps.h"

uint64_t sim_steps;

/*
 * The compiler's; called at the begin of each basic block. A fuzzer's runtime has one of the name, too, which refuses to
 * be called: there the linker wraps the call.
 */
__attribute__((weak)) void __sanitizer_cov_trace_pc(void);
void __wrap___sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void)
{
	sim_steps++;
}

void __wrap___sanitizer_cov_trace_pc(void)
{
	sim_steps++;
}
