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

/* The call that came nearest to its bound, or went farthest beyond it. */
struct steps_worst {
	const char *what;
	uint64_t took, may;
};

static inline uint64_t steps_share(const struct steps_worst *w, uint32_t of)
{
	return w->may ? w->took * of / w->may : 0;
}

static inline void steps_hold(struct steps_worst *w, const char *what, uint64_t took, uint64_t may)
{
	if (!w->what || (double)took * (double)w->may > (double)w->took * (double)may)
		*w = (struct steps_worst){what, took, may};
}

/* What came of it. */
struct steps_seen {
	uint64_t steps;	   /* all that was taken */
	uint32_t messages; /* decoded */
	uint32_t too_large;
	struct steps_worst worst;
};

/*
 * Gives bytes to a codec as the proxy does: decodes, looks through what is long, asks for keys, changes
 * metadata. Each call is held to its bound.
 */
struct steps_seen steps_codec(const struct mt_codec *codec, const struct steps_how *how,
	const uint8_t *bytes, uint32_t n, struct mt_pools *p);
