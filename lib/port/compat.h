/* SPDX-License-Identifier: Apache-2.0 */
/* All code that depends on the version of DPDK. 22.11 is the oldest supported. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_version.h>

#define MT_DPDK_AT_LEAST(y, m) (RTE_VERSION >= RTE_VERSION_NUM(y, m, 0, 0))

/*
 * How memory is kept private to the process. 22.11 rejects --in-memory together with --no-huge (its
 * legacy memory mode); there --no-shconf leaves no files and no lock. With hugepages the EAL also
 * waits for a lock on the mount point of hugetlbfs, although --in-memory uses no files there. Any
 * local user may hold that lock, so the EAL gets a directory that is not on hugetlbfs.
 */
#define MT_EAL_HUGE_ARGS    "--in-memory", "--huge-dir=/proc"
#define MT_EAL_NO_HUGE_ARGS "--no-huge", "--no-shconf", "--iova-mode=va"

/* RSS hash types to request; a device gets those that it supports. */
#define MT_RSS_UDP_TYPES (RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP)
#define MT_RSS_TYPES                                                                               \
	(RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_NONFRAG_IPV4_TCP |                      \
		RTE_ETH_RSS_NONFRAG_IPV6_TCP | MT_RSS_UDP_TYPES)

/* rte_eth_dev_close() returns an int since 20.11; -ENOTSUP is harmless and ignored. */
static inline void mt_compat_close(uint16_t id)
{
	(void)rte_eth_dev_stop(id);
	(void)rte_eth_dev_close(id);
}

/* Parent of the EAL's directory if neither the unit nor a session of the user provides one. */
#define MT_COMPAT_SHARED "/tmp"

static inline bool mt_compat_run_dir_is_shared(void)
{
	return !getenv("RUNTIME_DIRECTORY") && getuid() != 0 && !getenv("XDG_RUNTIME_DIR");
}

/*
 * Path of the directory that the EAL will use for a file prefix, which rte_eal_get_runtime_dir()
 * returns only after the start. Returns its length as snprintf() does.
 */
static inline int mt_compat_run_dir(char *out, size_t room, const char *prefix)
{
	const char *of_unit = getenv("RUNTIME_DIRECTORY"), *of_user = getenv("XDG_RUNTIME_DIR");

	if (!of_unit)
		of_unit = getuid() == 0 ? "/var/run" : of_user ? of_user : MT_COMPAT_SHARED;
	return snprintf(out, room, "%s/dpdk/%s", of_unit, prefix);
}

/* Makes the directory and its parent as the EAL does, which accepts existing ones. */
static inline void mt_compat_make_run_dir(char *path)
{
	char *slash = strrchr(path, '/');

	*slash = '\0';
	(void)mkdir(path, 0700);
	*slash = '/';
	(void)mkdir(path, 0700);
}

/*
 * Bytes from the start of a vhost-user message to the descriptors that came with it: the library's
 * struct vhu_msg_context, which has no public header although handlers of applications get it. The
 * number of descriptors follows them. 0: not known for this version, and descriptors of refused
 * messages stay open.
 */
#define MT_VHOST_FDS_AT (MT_DPDK_AT_LEAST(24, 3) ? 0u : 644u)
#define MT_VHOST_FDS	8u
