/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The external authorization service of policy scenarios: the simulator is the thread of lib/extauthz. It denies every
 * call of route "b"; of the others it allows most, some of them with a change. One answer in six comes after the call's
 * timeout, or, if the provider fails open, not at all.
 */
#pragma once

#include "sim.h"

#include "mt_extauthz_priv.h"

struct mesh;

struct asked {
	struct sim *sim;
	struct mesh *mesh;
	struct mt_extauthz x;
	struct mt_extauthz_provider *provider;
	struct mt_extauthz_lane *lane[SIM_MAX_WORKERS];
	uint64_t late; /* ns: a late answer takes so long */
	uint32_t n_asked, n_allowed, n_expired;
};

/* For the workers of `m`, before they are made. */
struct asked *asked_new(struct sim *s, struct mesh *m, uint64_t late, bool fail_open);
/* When they are gone. */
void asked_free(struct asked *a);
/* Takes what the worker has asked in its turn. */
void asked_turn(struct asked *a, uint32_t worker);
