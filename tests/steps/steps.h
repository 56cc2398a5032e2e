/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work is counted in steps: basic blocks that were entered, counted by the compiler, so that no loop is
 * left out. A step is 3 to 10 instructions. Each entry point may take a + b * bytes of them.
 */
#pragma once

#include "mt_view.h"

/* Since the start. */
extern uint64_t steps_taken;

void __wrap___sanitizer_cov_trace_pc(void);

/* What a call may take, and what each of the bytes that it is given may add. */
struct steps_bound {
	uint32_t a, b;
};

/* Of a codec. */
struct steps_bound steps_bound_of(const struct mt_codec *codec);

/* How bytes come: mbufs of `piece` bytes, a call for each `call` of them. */
struct steps_how {
	enum mt_dir dir;
	uint32_t piece, call;
};

/* What came of it. */
struct steps_seen {
	uint64_t steps;	   /* all that was taken */
	uint32_t messages; /* decoded */
	uint32_t too_large;
	uint64_t over;	  /* by how much the worst call was over its bound */
	const char *what; /* which call that was */
};

/*
 * Gives bytes to a codec as the proxy does: decodes, looks through what is long, asks for keys, changes
 * metadata. Each call is held to its bound.
 */
struct steps_seen steps_codec(const struct mt_codec *codec, const struct steps_how *how,
	const uint8_t *bytes, uint32_t n, struct mt_pools *p);
