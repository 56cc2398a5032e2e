/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mempools of the simulator: first in, first out; freed memory is filled and looked at again, so that a
 * write after free, a second free and a leak all fail the seed; and allocation can be made to fail.
 */
#pragma once

#include "sim.h"

#include "mt_buf.h"

#define SIM_POOL_DATA 3072
#define SIM_POOL_CTRL 1536
/* Slots from here on, one for a worker of the node, are for worlds with much under way. */
#define SIM_SLOT_LARGE 20
#define SIM_POOL_LARGE 16384
/* And from here on for worlds with thousands of clients. */
#define SIM_SLOT_HUGE 24
#define SIM_POOL_HUGE 81920

/* Pools are made once and kept; slot names one (host, worker). */
struct mt_pools *sim_pools_get(struct sim *s, uint32_t slot);
/*
 * Allocations number [from, from + n) of this seed fail, for ten seconds at most. `take` mbufs are taken
 * out of the pool for the whole seed: a small pool.
 */
void sim_pools_starve(struct mt_pools *p, uint64_t from, uint64_t n, uint32_t take_data);
/* Takes all data mbufs out of the pool but `leave`, and gives them back. */
void sim_pools_squeeze(struct mt_pools *p, uint32_t leave);
void sim_pools_relieve(struct mt_pools *p);
/* References to data mbufs that are out of the pool, but for what starve and squeeze took. */
uint64_t sim_pools_refs(const struct mt_pools *p);
/* Gives back what starve took; fails the seed when the pool is not full again. */
void sim_pools_check(struct sim *s, struct mt_pools *p, const char *who);
/* After a failed seed: everything is made anew. */
void sim_pools_reset(void);
