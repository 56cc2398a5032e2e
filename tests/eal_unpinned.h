/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rte_eal_init() for test programs. It pins the calling thread to the CPU of its lcore, which is CPU 0 for all of them; here the
 * thread gets its own CPUs back, so that programs that run side by side share the cores.
 */
#pragma once

#include <sched.h>
#include <stdbool.h>

#include <rte_eal.h>

static inline int eal_init_unpinned(int argc, char **argv)
{
	cpu_set_t own;
	bool known = sched_getaffinity(0, sizeof(own), &own) == 0;
	int rc = rte_eal_init(argc, argv);

	if (rc >= 0 && known)
		(void)sched_setaffinity(0, sizeof(own), &own);
	return rc;
}
