/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include "codec_file.h"
#include "mutants.h"

#include "mt_slab_debug.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"usage: sim [--seeds A-B] [--jobs N|all] [--workers N] [--scenario NAME] [--mutant NAME]\n"
	"           [--list-mutants] [--list-scenarios] [--keep-going] [--verbose] [--json]\n"
	"           [--transplant] [--log] [--tracing] [--trace-hash] [--cases FILE] [--codec-file "
	"FILE]...\n"
	"\n"
	"Runs seeds A to B (default 1-2000) on the simulated network. The last line is JSON.\n"
	"--jobs shares the seeds among processes (all: one per CPU; 512 MB each). The sums are "
	"the\n"
	"same however many there are. A run that is interrupted says from which seed to go on.\n"
	"--transplant: workers of the node are saved and others go on from there, in each seed and "
	"not in every second one.\n"
	"--log: each call must leave an entry of the access log; nothing else changes.\n"
	"--tracing: services trace, and no call is drawn: no request changes.\n"
	"--trace-hash prints a line \"scenario seed hash\" for each seed "
	"(tests/sim/trace_hashes.py).\n"
	"--cases runs what such a file's lines name, with one process.\n"
	"--codec-file: a protocol by a codec file, in the place of all others whose calls share\n"
	"connections, or do not; twice for one of each.\n"
	"Exit: 0 all seeds passed and the floors hold, 1 a seed failed, 2 wrong arguments.\n";

enum {
	O_SEEDS,
	O_JOBS,
	O_WORKERS,
	O_SCENARIO,
	O_MUTANT,
	O_LM,
	O_LS,
	O_KEEP,
	O_VERBOSE,
	O_JSON,
	O_TRANSPLANT,
	O_LOG,
	O_TRACING,
	O_TRACE_HASH,
	O_CASES,
	O_CODEC_FILE,
	O_HELP
};

static const struct option longs[] = {
	{"seeds", required_argument, NULL, O_SEEDS},
	{"jobs", required_argument, NULL, O_JOBS},
	{"workers", required_argument, NULL, O_WORKERS},
	{"scenario", required_argument, NULL, O_SCENARIO},
	{"mutant", required_argument, NULL, O_MUTANT},
	{"list-mutants", no_argument, NULL, O_LM},
	{"list-scenarios", no_argument, NULL, O_LS},
	{"keep-going", no_argument, NULL, O_KEEP},
	{"verbose", no_argument, NULL, O_VERBOSE},
	{"json", no_argument, NULL, O_JSON},
	{"transplant", no_argument, NULL, O_TRANSPLANT},
	{"log", no_argument, NULL, O_LOG},
	{"tracing", no_argument, NULL, O_TRACING},
	{"trace-hash", no_argument, NULL, O_TRACE_HASH},
	{"cases", required_argument, NULL, O_CASES},
	{"codec-file", required_argument, NULL, O_CODEC_FILE},
	{"help", no_argument, NULL, O_HELP},
	{0},
};

static int wrong(const char *what)
{
	fprintf(stderr, "sim: %s\n%s", what, usage);
	return 2;
}

/* "7" or "1-2000". */
static bool parse_seeds(const char *text, struct sim_options *o)
{
	char *end;

	errno = 0;
	o->seed_from = o->seed_to = strtoull(text, &end, 10);
	if (end == text)
		return false;
	if (*end == '-')
		o->seed_to = strtoull(end + 1, &end, 10);
	return errno == 0 && *text != '-' && *end == 0 && o->seed_from <= o->seed_to &&
	       o->seed_to < UINT64_MAX;
}

static bool parse_number(const char *text, uint32_t max, uint32_t *to)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*to = (uint32_t)n;
	return *text >= '0' && *text <= '9' && *end == 0 && n >= 1 && n <= max;
}

static bool parse_jobs(const char *text, struct sim_options *o)
{
	if (strcmp(text, "all") != 0)
		return parse_number(text, SIM_MAX_JOBS, &o->jobs);
	o->jobs = (uint32_t)MT_MIN(MT_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1), SIM_MAX_JOBS);
	return true;
}

static int list_scenarios(void)
{
	for (uint32_t i = 0; sim_scenarios[i]; i++)
		printf("%-24s %s\n", sim_scenarios[i]->name, sim_scenarios[i]->words);
	return 0;
}

bool sim_scenario_exists(const char *name)
{
	for (uint32_t i = 0; sim_scenarios[i]; i++)
		if (strcmp(sim_scenarios[i]->name, name) == 0)
			return true;
	return false;
}

/* -1: go on; else the exit code. */
static int one(int c, struct sim_options *o)
{
	switch (c) {
	case O_SEEDS:
		return parse_seeds(optarg, o) ? -1 : wrong("--seeds wants A or A-B");
	case O_JOBS:
		return parse_jobs(optarg, o) ? -1 : wrong("--jobs wants 1 to 256, or all");
	case O_WORKERS:
		return parse_number(optarg, SIM_MAX_WORKERS, &o->workers)
			       ? -1
			       : wrong("--workers wants 1 to 4");
	case O_SCENARIO:
		o->scenario = optarg;
		return sim_scenario_exists(optarg)
			       ? -1
			       : wrong("no such scenario; --list-scenarios names them");
	case O_MUTANT:
		o->mutant = optarg;
		return sim_mutant_select(optarg)
			       ? -1
			       : wrong("no such mutant; --list-mutants names them");
	case O_LM:
		sim_mutants_list();
		return 0;
	case O_LS:
		return list_scenarios();
	case O_KEEP:
		o->keep_going = true;
		return -1;
	case O_VERBOSE:
		o->verbose = true;
		return -1;
	case O_JSON:
		o->json = true;
		return -1;
	case O_TRANSPLANT:
		o->transplant = true;
		return -1;
	case O_LOG:
		o->log = true;
		return -1;
	case O_TRACING:
		o->tracing = true;
		return -1;
	case O_TRACE_HASH:
		o->trace_hash = true;
#ifdef MT_DEBUG_POOLS
		mt_slab_reuse_at_once = true; /* some timers are spread by an object's index */
#endif
		return -1;
	case O_CASES:
		o->cases = optarg;
		return -1;
	case O_CODEC_FILE:
		return sim_codec_file_read(optarg) ? -1
						   : wrong("--codec-file wants the codec file of a "
							   "protocol that is spoken here");
	case O_HELP:
		fputs(usage, stdout);
		return 0;
	default:
		return wrong("unknown argument");
	}
}

int sim_options_parse(int argc, char **argv, struct sim_options *o)
{
	int c, rc;

	*o = (struct sim_options){.seed_from = 1, .seed_to = 2000, .jobs = 1};
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		rc = one(c, o);
		if (rc >= 0)
			return rc;
	}
	return optind == argc ? -1 : wrong("unexpected argument");
}
