/* SPDX-License-Identifier: Apache-2.0 */
#include "steps.h"

uint64_t sim_steps;

/* The compiler's; called at the begin of each basic block. */
void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void)
{
	sim_steps++;
}
