/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_outcome.h"

/*
 * Instructions retired by this thread in user space. Returns a descriptor, or -1 if the kernel does
 * not support it.
 */
int bench_instructions_open(void);
uint64_t bench_instructions_read(int fd);
/* Involuntary context switches and steal time since start: samples with any are rejected. */
uint64_t bench_disturbances(void);
/* Prints one line on standard error for each outcome that was counted. */
void bench_tell(const struct mt_outcome_set *set, const uint64_t *counters);
