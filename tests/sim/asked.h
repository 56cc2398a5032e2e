/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The external authorization service of policy scenarios: the simulator is the thread of
 * lib/extauthz. Unless it adds metadata to all calls, it denies every call of route "b" and some
 * others, and allows the rest, some with a change. One answer in six comes late, or never, if the
 * provider fails open.
 */
#pragma once

#include "sim.h"

#include "mt_extauthz_priv.h"

struct mesh;

/* A key that no client sends, and its value. */
#define ASKED_ADDS "asked"

struct asked {
	struct sim *sim;
	struct mesh *mesh;
	struct mt_extauthz x;
	struct mt_extauthz_provider *provider;
	struct mt_extauthz_lane *lane[SIM_MAX_WORKERS];
	uint64_t late; /* ns: a late answer takes so long */
	bool adds;     /* allows all calls, and adds ASKED_ADDS to their metadata */
	uint32_t n_asked, n_allowed, n_expired;
};

/* For the workers of `m`, before they are made. */
struct asked *asked_new(struct sim *s, struct mesh *m, uint64_t late, bool fail_open);
/* When they are gone. */
void asked_free(struct asked *a);
/* Takes what the worker has asked in its turn. */
void asked_turn(struct asked *a, uint32_t worker);
