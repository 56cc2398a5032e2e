/* SPDX-License-Identifier: Apache-2.0 */
/* demand.c: requests of on-demand clusters, and waits for them. Included by mt_pool_priv.h. */
#pragma once

#include "mt_proxy_base.h"

void mt_on_demand_init(struct mt_proxy *p);
/* Requests a mirror's cluster, unless it is known to be absent. No call waits for the answer. */
void mt_on_demand_request(struct mt_proxy *p, const struct mt_cluster *c);
/* Returns why the cluster is known to be absent; NULL: it may be requested. */
const char *mt_demand_absent(struct mt_proxy *p, const struct mt_cluster *c);
/*
 * True if a call or stream may wait for the cluster. `first`: it has not waited yet. Requests the
 * cluster if no other call or stream waits for it, or if the cluster was not requested under this
 * snapshot. Waiting calls and streams call this function again at each new snapshot, so a request
 * that was lost is repeated once.
 */
bool mt_demand_may_wait(struct mt_proxy *p, const struct mt_cluster *c, bool first);
/* Adds a call or a stream to the end of its list. */
void mt_demand_add(struct mt_on_demand_list *l, struct mt_list *node);
/*
 * Lets a stream wait for its on-demand cluster, and returns MT_ENDING_ok. MT_ENDING_no_cluster: the
 * cluster is known to be absent; MT_ENDING_overload: too many calls and streams wait.
 */
enum mt_ending mt_on_demand_stream(struct mt_proxy *p, struct mt_pair *pr, struct mt_connecting *j);
/* The stream waits no longer; does nothing if it did not wait. */
void mt_on_demand_stream_left(struct mt_proxy *p, struct mt_connecting *j);
