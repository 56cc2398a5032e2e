/* SPDX-License-Identifier: Apache-2.0 */
/* Running the seeds: one after the other in this process, or shared among several. */
#pragma once

#include "report.h"

/* 0: all that was asked for was run (seeds may have failed); else the exit code. */
int sim_seeds_run(const struct sim_options *opt, struct sim_report *r);
/*
 * The scenarios and seeds of opt->cases; `s` is the caller's to use again. The same result; 2: the
 * file is wrong.
 */
int sim_cases_run(struct sim *s, const struct sim_options *opt, struct sim_report *r);
/* The same by opt->jobs processes. A progress line goes to stderr; a signal says where to go on. */
int sim_jobs_run(const struct sim_options *opt, struct sim_report *r);
