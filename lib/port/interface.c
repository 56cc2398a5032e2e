/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's side of a port: an interface that must exist, or one that the driver makes. */
#include "mt_port_priv.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int query(const char *iface, unsigned long what, struct ifreq *r)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -errno;
	memset(r, 0, sizeof(*r));
	snprintf(r->ifr_name, sizeof(r->ifr_name), "%s", iface);
	rc = ioctl(fd, what, r) == 0 ? 0 : -errno;
	close(fd);
	return rc;
}

int mt_kernel_set_mtu(const char *iface, uint16_t mtu, struct mt_err *e)
{
	struct ifreq r;
	int fd, rc = query(iface, SIOCGIFMTU, &r);

	if (rc || r.ifr_mtu == mtu)
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r.ifr_mtu = mtu;
	rc = fd >= 0 && ioctl(fd, SIOCSIFMTU, &r) == 0 ? 0 : -errno;
	if (fd >= 0)
		close(fd);
	if (rc)
		return mt_err(e, rc, "interface %s: MTU %u: %s (`ip link set dev %s mtu %u`)",
			iface, mtu, strerror(-rc), iface, mtu);
	return 0;
}

static bool may_open_raw_sockets(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno != EPERM && errno != EACCES;
	close(fd);
	return true;
}

/* Logs offload settings that the sender on the other side must change. */
static void advise(const char *port, const char *iface)
{
	struct mt_kernel_offloads o;

	if (mt_kernel_offloads(iface, &o))
		return;
	if (o.veth && o.peer[0] && (o.peer_tx_cksum || o.peer_tso))
		mt_log(MT_LOG_WARN, "port",
			"%s: %s, the peer of %s, sends unfinished checksums and superframes, which "
			"will be dropped: `ethtool -K %s tx off gso off tso off`",
			port, o.peer, iface, o.peer);
	else if (o.veth && !o.peer[0])
		mt_log(MT_LOG_INFO, "port",
			"%s: %s is a veth pair with a peer in another namespace, which must send "
			"finished packets: `ethtool -K PEER tx off gso off tso off`",
			port, iface);
	if (!o.veth && (o.gro || o.lro))
		mt_log(MT_LOG_WARN, "port",
			"%s: %s joins received segments to superframes, which will be dropped: "
			"`ethtool -K %s gro off lro off`",
			port, iface, iface);
}

/*
 * Finds the process that listens on the socket at `a`; false: none, or one of another unprivileged
 * user, which is ignored.
 */
static bool claimed_by(const struct sockaddr_un *a, socklen_t len, pid_t *pid)
{
	struct ucred who = {0};
	socklen_t size = sizeof(who);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool ok = fd >= 0 && connect(fd, (const struct sockaddr *)a, len) == 0 &&
		  getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0;

	if (fd >= 0)
		close(fd);
	*pid = who.pid;
	return ok && (who.uid == 0 || who.uid == geteuid());
}

/*
 * Two daemons on one interface would both answer every packet, and reset each other's connections.
 * An abstract socket is as exclusive as the interface: it belongs to the network namespace, and
 * disappears with the process, even after a crash. Two ports of one daemon may share an interface.
 */
static int claim(const struct mt_port_conf *c, struct mt_ethdev *d, struct mt_err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "meltemi/port/%s", d->interface);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	if (fd < 0)
		return mt_err(e, -errno, "port %s: socket: %s", c->name, strerror(errno));
	if (bind(fd, (const struct sockaddr *)&a, len) == 0 && listen(fd, 1) == 0) {
		d->claim = fd;
		return 0;
	}
	close(fd);
	if (!claimed_by(&a, len, &pid) || pid == getpid())
		return 0;
	return mt_err(e, -EBUSY,
		"port %s: another meltemid (pid %d) serves interface %s: stop it, or give this "
		"node another interface",
		c->name, (int)pid, d->interface);
}

bool mt_interface_runs(const struct mt_ethdev *d)
{
	struct ifreq r;

	if (!d->interface[0] || d->profile.makes_interface)
		return true;
	return query(d->interface, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_UP) &&
	       (r.ifr_flags & IFF_RUNNING);
}

/* Checks an interface that must exist, up, in this namespace. */
static int check_existing(const struct mt_port_conf *c, struct mt_ethdev *d, struct mt_err *e)
{
	struct ifreq r;

	if (query(d->interface, SIOCGIFFLAGS, &r))
		return mt_err(e, -ENODEV,
			"port %s: there is no interface %s in this network namespace: `ip link` "
			"shows "
			"those that are; `ip netns exec NS meltemid ...` runs in another",
			c->name, d->interface);
	if (!(r.ifr_flags & IFF_UP))
		return mt_err(e, -ENETDOWN,
			"port %s: interface %s is down: `ip link set dev %s up`", c->name,
			d->interface, d->interface);
	if (query(d->interface, SIOCGIFMTU, &r) == 0)
		d->port.mtu = (uint16_t)MT_MIN(r.ifr_mtu, UINT16_MAX);
	if (!may_open_raw_sockets())
		return mt_err(e, -EPERM,
			"port %s: not permitted to open raw sockets: run as root, or give the "
			"program "
			"CAP_NET_RAW and CAP_NET_ADMIN (`setcap cap_net_raw,cap_net_admin+ep "
			"meltemid`)",
			c->name);
	advise(c->name, d->interface);
	return claim(c, d, e);
}

/* Checks an interface that the driver makes: its name must be free, and /dev/net/tun is needed. */
static int check_made(const struct mt_port_conf *c, struct mt_ethdev *d, struct mt_err *e)
{
	char path[64 + IFNAMSIZ];
	struct ifreq r;

	snprintf(path, sizeof(path), "/sys/class/net/%s/tun_flags", d->interface);
	if (query(d->interface, SIOCGIFFLAGS, &r) == 0 && access(path, F_OK) != 0)
		return mt_err(e, -EEXIST,
			"port %s: the name %s belongs to an interface that is not a TAP: choose "
			"another iface=, or `ip link del dev %s`",
			c->name, d->interface, d->interface);
	if (access("/dev/net/tun", R_OK | W_OK) != 0)
		return mt_err(e, -errno,
			"port %s: /dev/net/tun cannot be opened (%s): run as root, or `modprobe "
			"tun`",
			c->name, strerror(errno));
	return 0;
}

int mt_interface_name(const struct mt_port_conf *c, const struct mt_profile *p,
	char iface[IFNAMSIZ], struct mt_err *e)
{
	bool named;

	iface[0] = '\0';
	if (!p->makes_interface && (c->n_kernel_addresses || c->n_kernel_routes))
		return mt_err(e, -EINVAL,
			"port %s: kernelAddresses and kernelRoutes are for ports with an interface "
			"that the driver makes (net_tap), profile %s has none",
			c->name, p->name);
	if (!p->makes_interface && p->interface == MT_SWITCH_OFF)
		return 0;
	named = mt_devargs_value(c->device, "iface", iface, IFNAMSIZ) && iface[0];
	if (!named && !p->makes_interface && p->interface == MT_SWITCH_AUTO)
		return 0;
	if (!named)
		return mt_err(e, -EINVAL,
			"port %s: device %s names no interface: write iface=NAME (15 letters at "
			"most) after the driver",
			c->name, c->device);
	return 0;
}

int mt_interface_check(const struct mt_port_conf *c, struct mt_ethdev *d, struct mt_err *e)
{
	int rc = mt_interface_name(c, &d->profile, d->interface, e);

	if (rc || !d->interface[0])
		return rc;
	return d->profile.makes_interface ? check_made(c, d, e) : check_existing(c, d, e);
}

int mt_interface_setup(const struct mt_port_conf *c, struct mt_ethdev *d, struct mt_err *e)
{
	int rc = 0;

	if (!d->profile.makes_interface)
		return 0;
	rc = mt_kernel_link_up(d->interface, e);
	for (uint32_t i = 0; rc == 0 && i < c->n_kernel_addresses; i++)
		rc = mt_kernel_add_address(d->interface, c->kernel_addresses[i], e);
	for (uint32_t i = 0; rc == 0 && i < c->n_kernel_routes; i++)
		rc = mt_kernel_add_route(d->interface, c->kernel_routes[i], e);
	return rc;
}
