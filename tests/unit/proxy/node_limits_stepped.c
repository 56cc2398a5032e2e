/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library's node_limits.c, in which a thread gives way to others at some of its accesses: those
 * between which another worker may do something are a few ns apart, and would hardly ever be
 * separated otherwise. Replaces the library's object in this program.
 */
#include "node_limits_stepped.h"

#include <sched.h>

__thread struct mt_rand *node_limits_steps;

static void step(void)
{
	if (node_limits_steps && mt_rand_below(node_limits_steps, 8) == 0)
		sched_yield();
}

#define __atomic_load_n(...)		 (step(), __atomic_load_n(__VA_ARGS__))
#define __atomic_fetch_add(...)		 (step(), __atomic_fetch_add(__VA_ARGS__))
#define __atomic_compare_exchange_n(...) (step(), __atomic_compare_exchange_n(__VA_ARGS__))

#include "../../../lib/proxy/node_limits.c"
