/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offloads of a kernel interface, as far as they are visible here, and the end of those that join
 * received segments. A veth peer that leaves
 * checksums and segmentation to "the hardware" delivers packets that are not valid on a wire. Its
 * settings are visible only in the same namespace.
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
		mt_kernel_peer(iface, o->peer);
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

static int clear(int fd, const char *iface, uint32_t get, uint32_t set, uint32_t mask)
{
	struct ethtool_value v = {.cmd = get};
	int rc = call(fd, iface, &v);

	if (rc || !(v.data & mask))
		return rc;
	v.cmd = set;
	v.data &= ~mask;
	return call(fd, iface, &v);
}

int mt_kernel_gro_off(const char *iface)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	rc = clear(fd, iface, ETHTOOL_GGRO, ETHTOOL_SGRO, 1);
	if (rc == 0)
		rc = clear(fd, iface, ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, ETH_FLAG_LRO);
	close(fd);
	return rc;
}
