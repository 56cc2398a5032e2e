/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter of the simulator that waits at replies. Some replies pass at once, some are delayed by
 * the worker, about others its thread decides, which is the simulator: it lets them pass, denies
 * them, or never answers. The worker may have moved meanwhile. Each exchange must have its end once,
 * and at most one reply.
 */
#pragma once

#include "mt_filter.h"
#include "sim.h"

struct mesh;

struct reviewer {
	struct sim *sim;
	struct mesh *mesh;
	struct mt_filter_inst inst;
	struct mt_rand rand;
	uint32_t open; /* questions that its thread will still answer */
	/* Exchanges; replies, by what the filter did; decisions that were sent, or whose worker is gone. */
	uint64_t began, ended;
	uint64_t passed, delayed, asked, forgotten;
	uint64_t allowed, denied, gone;
};

/* For the workers of `m`. */
struct reviewer *reviewer_new(struct sim *s, struct mesh *m);
/* When they are gone. */
void reviewer_free(struct reviewer *r);
