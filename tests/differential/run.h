/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences that run together, what came of them, and lib/tcp with one of its rules broken. */
#pragma once

#include "diff.h"

/* ---- batch.c: one batch at a time ---- */
extern struct df_seq df_seqs[DF_AT_ONCE];
extern struct df_trace df_kernels[DF_AT_ONCE];
extern struct df_result df_results[DF_AT_ONCE];

/* Makes the sequences from seed `first` on, up to `last`; how many. */
uint32_t df_batch(uint64_t first, uint64_t last);
/* Runs them on the kernel; which: only those (NULL: the first n). Ends the program if that fails. */
void df_batch_kernel(uint32_t n, const uint32_t *which);
/* Runs them on lib/tcp and compares; how many are unexplained. */
uint32_t df_batch_compare(uint32_t n);
/*
 * A machine that stood still for a moment makes the kernel's timers speak: what is unexplained runs once
 * more; how many then were not.
 */
uint32_t df_batch_repeat(uint32_t n);
/* Both traces of a sequence, by runs of its own; shrink: without the steps that do not matter. */
void df_show_one(struct df_seq *q, bool shrink);

/* ---- broken.c ---- */
/* Whether all names are rules that can be broken; says on stderr which is not. */
bool df_breaks_known(const char *names);
/* Breaks them one by one: the exit status, success if each was noticed. */
int df_breaks_run(char *names, uint64_t first, uint64_t last);
