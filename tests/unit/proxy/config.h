/* SPDX-License-Identifier: Apache-2.0 */
/* Small snapshots for the proxy's tests; each generation may be alive once at a time. */
#pragma once

#include "mt_snapshot.h"
#include "toy_codec.h"

#define CONFIG_EPS  4
#define CONFIG_GENS 24

#define CONFIG_SAFE   1000
#define CONFIG_OPAQUE 1001
#define CONFIG_SERIAL 1002
#define CONFIG_NAMED  1003
#define CONFIG_DUBBO  1004 /* the real codec */

extern const struct mt_codec toy_opaque_codec;

/* Of an endpoint that nobody calls. */
extern struct mt_ep_state config_unused;

/* Endpoints have two workloads in turn, which are others in each generation. */
uint64_t config_workload(int gen, uint32_t ep);
struct mt_snapshot *config_make(int gen, uint64_t version, uint32_t n_eps, bool with_serial);
/* Its cluster is only a name (and was made without endpoints); returns s. */
struct mt_snapshot *config_only_named(struct mt_snapshot *s, struct mt_demand *demand, uint32_t ms);
/*
 * The listener's service has two routes: for calls whose `key` is `value`, and for all others. The first, or the other one,
 * makes the change and has a destination, the other has none. Returns s.
 */
struct mt_snapshot *config_two_routes(struct mt_snapshot *s, uint32_t listener, const char *key,
	const char *value, struct mt_mutation change, bool first);
/* The listener, which has no client yet, speaks this protocol. */
void config_speak(
	struct mt_snapshot *s, uint32_t listener, const struct mt_codec *codec, uint8_t opts);
void config_reset_health(void);
uint32_t config_holds(int gen);
void config_free(int gen);
