/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offloads of a kernel interface, as far as they can be seen from here. A veth peer that leaves
 * checksums and segmentation to "the hardware" hands over packets that are not fit for a wire; its
 * settings are only visible when it is in the same namespace.
 */
#include "mt_port_priv.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define STATS_MAX 128

static int call(int fd, const char *iface, void *request)
{
	struct ifreq r = {.ifr_data = request};

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", iface);
	return ioctl(fd, SIOCETHTOOL, &r) == 0 ? 0 : -errno;
}

static bool flag(int fd, const char *iface, uint32_t cmd, uint32_t mask)
{
	struct ethtool_value v = {.cmd = cmd};

	return call(fd, iface, &v) == 0 && (v.data & mask);
}

/* The index of a veth's other end is one of its statistics, "peer_ifindex". */
static void find_peer(int fd, const char *iface, char *peer)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_gstrings *names;
	struct ethtool_stats *values;
	uint32_t n;

	if (call(fd, iface, &info) || strcmp(info.driver, "veth") != 0)
		return;
	n = MT_MIN(info.n_stats, STATS_MAX);
	names = calloc(1, sizeof(*names) + (size_t)info.n_stats * ETH_GSTRING_LEN);
	values = calloc(1, sizeof(*values) + (size_t)info.n_stats * sizeof(uint64_t));
	if (names && values) {
		*names = (struct ethtool_gstrings){
			.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_STATS, .len = info.n_stats};
		*values = (struct ethtool_stats){.cmd = ETHTOOL_GSTATS, .n_stats = info.n_stats};
		if (call(fd, iface, names) || call(fd, iface, values))
			n = 0;
		for (uint32_t i = 0; i < n; i++)
			if (strncmp((char *)names->data + (size_t)i * ETH_GSTRING_LEN,
				    "peer_ifindex", ETH_GSTRING_LEN) == 0)
				if (!if_indextoname((unsigned int)values->data[i], peer))
					peer[0] = '\0';
	}
	free(names);
	free(values);
}

/* An index of another namespace may name an innocent interface of this one: it must point back. */
static bool points_back(int fd, const char *peer, const char *iface)
{
	char back[IFNAMSIZ] = "";

	find_peer(fd, peer, back);
	return strcmp(back, iface) == 0;
}

int mt_kernel_offloads(const char *iface, struct mt_kernel_offloads *o)
{
	struct ethtool_drvinfo info = {.cmd = ETHTOOL_GDRVINFO};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	memset(o, 0, sizeof(*o));
	if (fd < 0)
		return -errno;
	rc = call(fd, iface, &info);
	if (rc) {
		close(fd);
		return rc;
	}
	o->veth = strcmp(info.driver, "veth") == 0;
	if (o->veth)
		find_peer(fd, iface, o->peer);
	if (o->peer[0] && !points_back(fd, o->peer, iface))
		o->peer[0] = '\0';
	if (o->peer[0]) {
		o->peer_tx_cksum = flag(fd, o->peer, ETHTOOL_GTXCSUM, 1);
		o->peer_tso =
			flag(fd, o->peer, ETHTOOL_GTSO, 1) || flag(fd, o->peer, ETHTOOL_GGSO, 1);
	}
	o->gro = flag(fd, iface, ETHTOOL_GGRO, 1);
	o->lro = flag(fd, iface, ETHTOOL_GFLAGS, ETH_FLAG_LRO);
	close(fd);
	return 0;
}
