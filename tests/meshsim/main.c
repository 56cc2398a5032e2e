/* SPDX-License-Identifier: Apache-2.0 */
/*
 * meshsim [--seeds A-B] [--rounds N] [--scenario NAME] [--mutant NAME] [--log] [--list] [--list-mutants]
 * Runs all scenarios and the seeds; each odd one in the state of the world, each even one by delta. Exits 1 when anything was
 * wrong, and says how to see it again.
 */
#include "world.h"

#include "mt_log.h"
#include "mt_mutant.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum mt_mutant mt_mutant_on;

void mt_cell(uint32_t state, const char *name, uint8_t tcp_flags, bool payload)
{
}

static const struct {
	const char *name, *words;
	enum mt_mutant id;
} mutants[] = {
#define MT_XDS_MUTANT(n, w) {#n, w, MT_MUTANT_##n},
#include "mutants_xds.def"
#undef MT_XDS_MUTANT
};

struct options {
	uint64_t from, to;
	uint32_t rounds;
	const char *scenario, *mutant;
	bool log; /* what the client says */
};

struct sums {
	uint64_t runs, publishes, responses, acks, nacks, restarts, connects, virtual_s;
};

static void list_mutants(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(mutants); i++)
		printf("%-28s %s\n", mutants[i].name, mutants[i].words);
}

static bool select_mutant(const char *name)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(mutants); i++)
		if (strcmp(mutants[i].name, name) == 0) {
			mt_mutant_on = mutants[i].id;
			return true;
		}
	return false;
}

static void list(void)
{
	for (const struct scenario *s = scenarios; s->name; s++)
		printf("%-20s %s\n", s->name, s->words);
}

static int usage(void)
{
	fprintf(stderr, "meshsim [--seeds A-B] [--rounds N] [--scenario NAME] [--mutant NAME] "
			"[--log] [--list] [--list-mutants]\n");
	return 2;
}

static bool over(struct world *w, struct sums *sums, const char *what)
{
	sums->runs++;
	sums->publishes += w->publishes;
	sums->responses += w->plane.responses;
	sums->acks += w->plane.acks;
	sums->nacks += w->plane.nacks;
	sums->restarts += w->restarts;
	sums->connects += w->plane.wire.accepted;
	sums->virtual_s += (w->now - MT_SEC) / MT_SEC;
	if (w->wrong[0])
		printf("%s FAILED: %s\n", what, w->wrong);
	world_fini(w);
	return !w->wrong[0];
}

static uint32_t run_scenarios(const struct options *o, struct sums *sums)
{
	uint32_t failed = 0;

	for (const struct scenario *s = scenarios; s->name; s++)
		for (int delta = 0; delta < 2; delta++) {
			struct world w;

			if (o->mutant && failed)
				return failed;
			if (o->scenario && strcmp(o->scenario, s->name) != 0)
				continue;
			world_init(&w, 1, delta);
			w.plane.trace = o->log;
			s->run(&w);
			failed += !over(&w, sums, s->name);
		}
	return failed;
}

/*
 * Everything that a run took is given back: the heap does not grow from run to run. What the C library keeps for each
 * size of its own accord is bounded.
 */
#define HEAP_KEEPS (600u << 10)

static bool leaks(const struct options *o, uint64_t seed, size_t *before)
{
	size_t used = mallinfo2().uordblks;

	if (seed == o->from + 4)
		*before = used;
	if (seed < o->from + 4 || used <= *before + HEAP_KEEPS)
		return false;
	printf("FAILED: %zu bytes are in use after seed %lu, %zu after seed %lu\n", used,
		(unsigned long)seed, *before, (unsigned long)o->from + 4);
	return true;
}

static uint32_t run_seeds(const struct options *o, struct sums *sums)
{
	uint32_t failed = 0;
	size_t before = 0;

	for (uint64_t seed = o->from; seed <= o->to && !(o->mutant && failed); seed++) {
		/* Most of what goes wrong does so soon, some only late. */
		uint32_t rounds = o->rounds ? o->rounds : seed % 10 == 5 ? 300 : 60;
		struct world w;
		char what[96];

		snprintf(what, sizeof(what), "seed %lu (--seeds %lu-%lu --rounds %u)",
			(unsigned long)seed, (unsigned long)seed, (unsigned long)seed, rounds);
		world_init(&w, seed, seed % 2 == 0);
		w.plane.trace = o->log;
		random_run(&w, rounds);
		failed += !over(&w, sums, what);
		if (leaks(o, seed, &before))
			return failed + 1;
	}
	return failed;
}

static bool parse(struct options *o, int argc, char **argv)
{
	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (strcmp(argv[i], "--log") == 0) {
			o->log = true;
			i--;
			continue;
		}
		if (value && strcmp(argv[i], "--seeds") == 0) {
			if (sscanf(value, "%lu-%lu", &o->from, &o->to) != 2)
				return false;
		} else if (value && strcmp(argv[i], "--rounds") == 0) {
			o->rounds = (uint32_t)atoi(value);
		} else if (value && strcmp(argv[i], "--scenario") == 0) {
			o->scenario = value;
		} else if (value && strcmp(argv[i], "--mutant") == 0 && select_mutant(value)) {
			o->mutant = value;
		} else {
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct options o = {.from = 1, .to = 300};
	struct sums sums = {0};
	uint32_t failed = 0;

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		list();
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--list-mutants") == 0) {
		list_mutants();
		return 0;
	}
	if (!parse(&o, argc, argv))
		return usage();
	if (!o.log)
		mt_log_set_level(MT_LOG_ERROR);
	failed = run_scenarios(&o, &sums);
	if (!o.scenario && !(o.mutant && failed))
		failed += run_seeds(&o, &sums);
	printf("{\"runs\":%lu,\"failed\":%u,\"virtual_s\":%lu,\"snapshots\":%lu,\"responses\":%lu,"
	       "\"acks\":%lu,\"nacks\":%lu,\"connections\":%lu,\"restarts\":%lu}\n",
		sums.runs, failed, sums.virtual_s, sums.publishes, sums.responses, sums.acks,
		sums.nacks, sums.connects, sums.restarts);
	return failed != 0;
}
