/* SPDX-License-Identifier: Apache-2.0 */
/* override_apply.c: what an operator has overridden, in what is compiled and published. */
#pragma once

#include "mt_overrides.h"

#include <stdbool.h>
#include <stdint.h>

struct mt_build;
struct mt_conf;
struct mt_filter_inst;
struct mt_listener;
struct mt_meta;
struct mt_service;
struct mt_snapshot;

/* Room for one more filter of a service, not yet counted; NULL: no memory. */
struct mt_filter_inst *mt_b_filter(struct mt_build *b, struct mt_service *s);
/* The fault of a service, if there is one, before its other filters. 0 or -ENOMEM. */
int mt_b_fault(struct mt_build *b, struct mt_service *s, uint64_t *hash);
/* All filters of the service are known. 0, -ENOMEM or -EINVAL with its errors. */
int mt_b_chain(struct mt_build *b, const struct mt_meta *meta, struct mt_service *s);
/* True if a share, by its subset or its whole name, names that cluster. */
bool mt_conf_share_names(const char *share, const char *cluster);
/* Weight that the override gives the cluster, found by subset or whole name; 0 if it has none. */
uint32_t mt_conf_share_of(const struct mt_override *o, const char *cluster);
/* The weight of a destination of this route, by cluster or by subset. */
uint32_t mt_b_overridden_share(
	const struct mt_build *b, const struct mt_override *o, uint32_t cluster, uint32_t weight);
/* True if all services of the listener are drained, or are `service`. */
bool mt_conf_listener_has_only(
	const struct mt_overrides *s, const struct mt_listener *l, const char *service);
/* Marks the listeners that an operator drains, directly or by all of their services. */
void mt_b_drained_listeners(struct mt_build *b);
/* Endpoints are drained, and those of before are not any more. */
void mt_conf_apply_drains(struct mt_conf *c, struct mt_snapshot *s);
/* mt_snapshot.log_skips of a sample (percent * 100). */
static inline uint64_t mt_conf_log_skips(uint32_t sample)
{
	return ((uint64_t)(MT_LOG_SAMPLE_ALL - sample) << 32) / MT_LOG_SAMPLE_ALL;
}
