/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Called by each basic block of the rooms that are built with -fsanitize-coverage=trace-pc. This file is
 * not, or it would call itself. The linker wraps the call, because a fuzzer's runtime has one of that name.
 */
#include "steps.h"

uint64_t steps_taken;

void __wrap___sanitizer_cov_trace_pc(void)
{
	steps_taken++;
}
