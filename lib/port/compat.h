/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What depends on the version of DPDK, in one place. 22.11 is the oldest that is built with.
 */
#pragma once

#include <rte_ethdev.h>
#include <rte_version.h>

#define MT_DPDK_AT_LEAST(y, m) (RTE_VERSION >= RTE_VERSION_NUM(y, m, 0, 0))

/*
 * How pages are kept private. 22.11 refuses --in-memory together with --no-huge (its legacy memory
 * mode); --no-shconf then leaves no files, and no lock, behind.
 */
#define MT_EAL_HUGE_ARGS    "--in-memory"
#define MT_EAL_NO_HUGE_ARGS "--no-huge", "--no-shconf", "--iova-mode=va"

/* The hash types that a device is asked for; it is given those of them that it has. */
#define MT_RSS_TYPES                                                                               \
	(RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_NONFRAG_IPV4_TCP |                      \
		RTE_ETH_RSS_NONFRAG_IPV6_TCP)

/* rte_eth_dev_close() answers an int since 20.11, and -ENOTSUP is no news to anybody. */
static inline void mt_compat_close(uint16_t id)
{
	(void)rte_eth_dev_stop(id);
	(void)rte_eth_dev_close(id);
}
