/* SPDX-License-Identifier: Apache-2.0 */
/* What a run of many seeds adds up to, and the floors below which it proves too little. */
#pragma once

#include "cells.h"

#define REPORT_FAILED 64

struct sim_report {
	uint64_t seeds, failed;
	uint64_t failed_seed[REPORT_FAILED];
	struct sim_stats sum;
	uint64_t hash; /* the same in whatever order the seeds were run */
	struct sim_cells cells;
};

void sim_report_add(struct sim_report *r, const struct sim *s);
/* The seeds of another process. */
void sim_report_merge(struct sim_report *r, const struct sim_report *o);
/* A failing seed: why, how to run it again, the end of its trace. */
void sim_report_failure(const struct sim *s);
/* Tables for people, then the JSON line. False: a floor was not reached. */
bool sim_report_print(const struct sim_report *r, const struct sim_options *o);
