/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rate limit service: the simulator is the thread of lib/rls. It counts nothing: calls of route
 * "a" are always within their limit, and what becomes of route "b" is said in advance. Answers are
 * bytes, which lib/rls reads.
 */
#pragma once

#include "config.h"

#include "mt_callout_priv.h"

struct mesh;

/* What the service says about calls of route "b". */
enum limiter_b {
	LIMITER_OVER,  /* they are over the limit */
	LIMITER_FAILS, /* nothing in time, nonsense, or errors */
	LIMITER_MUTE,  /* nothing until the time is over, the service's or the call's own */
};

/* A call that waits, by its place in the slab. */
struct limiter_wait {
	struct mt_ref call;
	uint64_t since;
	uint32_t late; /* iterations that it has waited for too long */
};

struct limiter {
	struct sim *sim;
	struct mesh *mesh;
	struct mt_callout x;
	struct mt_callout_provider *provider;
	struct mt_callout_lane *lane[SIM_MAX_WORKERS];
	struct mt_filter_inst
		filter; /* for a listener of a single snapshot, which frees its conf */
	enum limiter_b b;
	uint64_t longest; /* ns that a call may wait */
	struct limiter_wait *wait[SIM_MAX_WORKERS];
	uint32_t n_asked, n_b, n_silent;
};

struct limiter_conf {
	enum limiter_b b;
	uint64_t timeout; /* ns: requestTimeout */
	uint64_t own;	  /* ns: that of calls, if it is shorter */
	bool fail_open;	  /* not denyOnFail */
	const struct config_listener *listener;
};

/* For the workers of `m`, before they are made. */
struct limiter *limiter_new(struct sim *s, struct mesh *m, const struct limiter_conf *c);
/* When they are gone. */
void limiter_free(struct limiter *l);
/* Takes what the worker has asked in its turn, and looks how long its calls wait. */
void limiter_turn(struct limiter *l, uint32_t worker);
