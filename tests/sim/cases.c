/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs the scenarios and seeds that a file names, a line each: "scenario seed", and what follows is
 * not read.
 */
#include "jobs.h"

#include "options.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static bool run(struct sim *s, const struct sim_options *of_all, struct sim_report *r, char *name,
	uint64_t seed)
{
	struct sim_options opt = *of_all;

	opt.scenario = name;
	if (!sim_scenario_exists(name)) {
		fprintf(stderr, "sim: %s: there is no scenario %s\n", opt.cases, name);
		return false;
	}
	sim_seed_run(s, &opt, seed);
	sim_report_add(r, s);
	if (s->failed)
		sim_report_failure(s);
	return !s->failed || opt.keep_going;
}

int sim_cases_run(struct sim *s, const struct sim_options *opt, struct sim_report *r)
{
	FILE *f = fopen(opt->cases, "r");
	bool ok = f != NULL;
	char line[256], name[64];
	uint64_t seed;

	if (!f)
		fprintf(stderr, "sim: %s: %s\n", opt->cases, strerror(errno));
	while (ok && fgets(line, sizeof(line), f)) {
		if (line[0] == '#')
			continue;
		ok = sscanf(line, "%63s %" SCNu64, name, &seed) == 2;
		if (!ok)
			fprintf(stderr, "sim: %s: not a scenario and a seed: %s", opt->cases, line);
		else
			ok = run(s, opt, r, name, seed);
	}
	if (f)
		fclose(f);
	return ok || r->failed ? 0 : 2;
}
