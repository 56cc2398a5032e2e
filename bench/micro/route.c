/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cost of a route lookup with 1, 100 and 10,000 routes on one listener; each route matches an
 * interface and a method exactly. The messages' metadata costs nothing here, so that only the
 * lookup is measured. Cycles are those of the time stamp counter, the minimum of 20 rounds over all
 * methods. To count instructions:
 *
 * 	valgrind --tool=callgrind --toggle-collect='lookups*' bench_route [ROUTES]
 */
#include "mt_rand.h"
#include "mt_route.h"

#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>

#define LOOKUPS 1000
#define ROUNDS	20

static const char *const keys[] = {"interface", "method", NULL};
static struct mt_slice current[2];

static bool metadata(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, const struct mt_key *key, struct mt_slice *value,
	uint8_t *scratch)
{
	if (key->id < 0)
		return false;
	*value = current[key->id];
	return true;
}

static const struct mt_codec codec = {.name = "bench", .keys = keys, .metadata.leading = metadata};
static char names[10000][24];
static struct mt_view view = {.codec = &codec};

static struct mt_route_table *build(uint32_t n)
{
	struct mt_route_builder *b = mt_route_builder_new(&codec);
	struct mt_route_dest dest = {0, 1};
	struct mt_route_action a = {.name = "r", .dests = &dest, .n_dests = 1};
	char err[128];

	for (uint32_t i = 0; i < n; i++) {
		struct mt_matcher_def d[] = {
			{.key = "interface", .op = MT_MATCH_EXACT, .value = "org.Demo"},
			{.key = "method", .op = MT_MATCH_EXACT, .value = names[i]}};

		snprintf(names[i], sizeof(names[i]), "method-%u", i);
		MT_ASSERT(mt_route_builder_add(b, d, 2, &a, err, sizeof(err)) == 0);
	}
	return mt_route_builder_done(b);
}

/* LOOKUPS messages with methods in random order, the same order in every round. */
__attribute__((noinline)) static uint64_t lookups(struct mt_route_table *t, const uint32_t *order)
{
	uint64_t found = 0;
	uint32_t idx;

	for (uint32_t i = 0; i < LOOKUPS; i++) {
		current[1].p = (const uint8_t *)names[order[i]];
		current[1].len = (uint32_t)strlen(names[order[i]]);
		found += mt_route_lookup(t, &view, &idx) != NULL && idx == order[i];
	}
	return found;
}

static uint64_t measure(uint32_t n)
{
	struct mt_route_table *t = build(n);
	static uint32_t order[LOOKUPS];
	uint64_t best = UINT64_MAX;
	struct mt_rand r;

	mt_rand_seed(&r, n);
	for (uint32_t i = 0; i < LOOKUPS; i++)
		order[i] = mt_rand_below(&r, n);
	for (int k = 0; k < ROUNDS; k++) {
		uint64_t start = rte_rdtsc_precise();

		MT_ASSERT(lookups(t, order) == LOOKUPS);
		best = MT_MIN(best, rte_rdtsc_precise() - start);
	}
	mt_route_table_free(t);
	return best / LOOKUPS;
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[] = {1, 100, 10000};
	uint32_t only = argc > 1 ? (uint32_t)atoi(argv[1]) : 0;
	const char *sep = "";

	current[0] = (struct mt_slice){(const uint8_t *)"org.Demo", 8};
	printf("{\"bench\": \"route\", \"cycles_per_lookup\": {");
	for (size_t i = 0; i < MT_ARRAY_LEN(sizes); i++) {
		if (only && only != sizes[i])
			continue;
		printf("%s\"%u\": %llu", sep, sizes[i], (unsigned long long)measure(sizes[i]));
		sep = ", ";
	}
	printf("}}\n");
	return 0;
}
