/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run: a model of a control plane, and against it the real source (lib/xds), compiler and publisher
 * (lib/conf), as the daemon puts them together; on virtual time, over a socket.
 */
#pragma once

#include "plane.h"

#include "mt_conf.h"
#include "mt_fds.h"
#include "mt_resolve.h"
#include "mt_xds.h"

/* What of each resource is in force: serials; 0: nothing. */
struct in_force {
	uint32_t serial[PLANE_TYPES][PLANE_NAMES];
};

struct world {
	struct plane plane;
	char dir[48]; /* the state directory */
	bool delta;
	struct mt_fds fds;
	struct mt_resolver *names;
	struct mt_rand rng; /* of the world's events; the client has its own */
	struct mt_rand client_rng;
	struct mt_xds *x;
	struct mt_conf *conf;
	uint64_t now;
	struct in_force force;
	uint64_t force_said[PLANE_TYPES][PLANE_NAMES]; /* its place among all that was said, then */
	uint64_t news;				       /* plane.news then */
	uint32_t eps[PLANE_NAMES]; /* endpoints of each cluster in the last snapshot */
	uint32_t publishes, restarts;
	char wrong[320]; /* the first thing that is not as it should be; "" */
};

/* `name` is the state directory's, in memory. */
void world_init(struct world *w, uint64_t seed, bool delta);
void world_fini(struct world *w);
/* The source begins, or another life of it does. */
void world_start(struct world *w);
void world_stop(struct world *w);
/* Time passes in steps of so much. */
void world_pass(struct world *w, uint64_t ns, uint64_t step);
void world_wrong(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* check.c: whether a snapshot may follow the one before it; and, when all is quiet, what has to be in force. */
struct in_force force_of(struct world *w, const struct mt_model *m);
void check_publish(struct world *w, const struct mt_snapshot *s, const struct in_force *to);
void check_end(struct world *w);

/* random.c */
void random_run(struct world *w, uint32_t rounds);

/* scenarios.c: "" or what was wrong. */
struct scenario {
	const char *name;
	void (*run)(struct world *w);
	const char *words;
};
extern const struct scenario scenarios[];
