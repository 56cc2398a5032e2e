/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets that look for input which costs much: what libFuzzer is told of a run is how many steps it took for
 * each byte, and how near the worst call came to its bound, so it keeps whatever took more than all before (as
 * PerfFuzz does). No call may be over its bound. The input's first byte says how it is divided.
 */
#pragma once

#include "../steps/steps.h"
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

/* A sixteenth of a step per byte each; and a 4,096th of its bound for the worst call. */
#define FUZZ_STEPS_BUCKETS 8192
#define FUZZ_STEPS_SHARES  4096

__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t
	fuzz_steps_buckets[FUZZ_STEPS_BUCKETS + FUZZ_STEPS_SHARES];

static inline void fuzz_steps_show(const char *kind, const char *what, uint64_t steps, uint64_t of,
	const uint8_t *data, size_t size)
{
	printf("%s %s %llu %llu ", kind, what, (unsigned long long)steps, (unsigned long long)of);
	for (size_t i = 0; i < size; i++)
		printf("%02x", data[i]);
	printf("\n");
	fflush(stdout);
}

/*
 * FUZZ_SHOW=1 with the replayer, for run.py: each input with a call nearer to its bound than those before, and each that took
 * more steps for its bytes.
 */
static inline void fuzz_steps_records(uint64_t steps, uint64_t bytes,
	const struct steps_worst *worst, const uint8_t *data, size_t size)
{
	static double nearest, dearest;
	double near = (double)worst->took / (double)worst->may;
	double dear = (double)steps / (double)(bytes + 64);

	if (near > nearest) {
		nearest = near;
		fuzz_steps_show("nearest", worst->what, worst->took, worst->may, data, size);
	}
	if (dear > dearest) {
		dearest = dear;
		fuzz_steps_show("dearest", "all", steps, bytes + 64, data, size);
	}
}

static inline void fuzz_steps_tell(uint64_t steps, uint64_t bytes, const struct steps_worst *worst,
	const uint8_t *data, size_t size)
{
	uint64_t at = steps * 16 / (bytes + 64), share = steps_share(worst, FUZZ_STEPS_SHARES);

	fuzz_steps_buckets[MT_MIN(at, (uint64_t)FUZZ_STEPS_BUCKETS - 1)] = 1;
	fuzz_steps_buckets[FUZZ_STEPS_BUCKETS + MT_MIN(share, (uint64_t)FUZZ_STEPS_SHARES - 1)] = 1;
	if (worst->what && getenv("FUZZ_SHOW"))
		fuzz_steps_records(steps, bytes, worst, data, size);
	if (worst->took > worst->may)
		fprintf(stderr, "%s: %llu steps, %llu allowed\n", worst->what,
			(unsigned long long)worst->took, (unsigned long long)worst->may);
	MT_ASSERT(worst->took <= worst->may);
}
