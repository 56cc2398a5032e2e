/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets that look for input which costs much: what libFuzzer is told of a run is how many steps it took for
 * each byte, so it keeps whatever took more than all before (as PerfFuzz does). No call may be over its
 * bound. The input's first byte says how it is divided.
 */
#pragma once

#include "../steps/steps.h"
#include "fuzz.h"
#include "mt_codec_priv.h"

/* A sixteenth of a step per byte each. */
#define FUZZ_STEPS_BUCKETS 8192

__attribute__((section(
	"__libfuzzer_extra_counters"))) static uint8_t fuzz_steps_buckets[FUZZ_STEPS_BUCKETS];

static inline void fuzz_steps_tell(uint64_t steps, size_t bytes)
{
	uint64_t at = steps * 16 / (bytes + 64);

	fuzz_steps_buckets[MT_MIN(at, (uint64_t)FUZZ_STEPS_BUCKETS - 1)] = 1;
}

static inline int fuzz_steps_codec(const struct mt_codec *codec, const uint8_t *data, size_t size)
{
	static const struct steps_how ways[] = {{MT_DIR_DOWN, 2048, UINT32_MAX},
		{MT_DIR_DOWN, 300, 300}, {MT_DIR_DOWN, 7, 61}, {MT_DIR_DOWN, 1, UINT32_MAX},
		{MT_DIR_UP, 2048, UINT32_MAX}, {MT_DIR_UP, 300, 300}};
	struct steps_seen s;

	if (size < 2 || size > 16384)
		return 0;
	s = steps_codec(codec, &ways[data[0] % MT_ARRAY_LEN(ways)], data + 1, (uint32_t)size - 1,
		fuzz_pools());
	MT_ASSERT(s.over == 0);
	fuzz_steps_tell(s.steps, size);
	fuzz_check_pools();
	return 0;
}
