/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's side of a port: an interface that must exist, or one that the driver makes. */
#include "mt_port_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

/* Opens a socket of the family that the driver uses, as a service manager may permit one only. */
static bool may_open_raw_sockets(const char *device)
{
	int family = strncmp(device, "net_af_xdp", 10) == 0 ? AF_XDP : AF_PACKET;
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return errno != EPERM && errno != EACCES;
	close(fd);
	return true;
}

/* Ends the joining of received segments, or logs the command if that is not permitted. */
static void split_segments(const char *port, const char *iface)
{
	if (mt_kernel_gro_off(iface) == 0)
		mt_log(MT_LOG_INFO, "port", "%s: gro and lro of interface %s are switched off",
			port, iface);
	else
		mt_log(MT_LOG_WARN, "port",
			"%s: %s joins received segments to superframes, which will be dropped: "
			"`ethtool -K %s gro off lro off`",
			port, iface, iface);
}

/* Changes offload settings of the interface, and logs those that its peer must change. */
static void set_offloads(const char *port, const char *iface)
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
		split_segments(port, iface);
}

static int set_up(const char *port, const char *iface, struct mt_err *e)
{
	struct mt_err ignored;

	if (mt_kernel_link_up(iface, &ignored))
		return mt_err(e, -ENETDOWN,
			"port %s: interface %s is down: `ip link set dev %s up`", port, iface,
			iface);
	mt_log(MT_LOG_INFO, "port", "%s: interface %s was down and is set up", port, iface);
	return 0;
}

/* Processes that may check an interface between two calls of mt_interface_answer(). */
#define CHECKS_MAX 16

void mt_interface_answer(const struct mt_ethdev *d)
{
	for (int i = 0, fd; d->claim > 0 && i <= CHECKS_MAX; i++) {
		fd = accept4(d->claim, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			return;
		close(fd);
	}
}

/*
 * The process that listens on the socket at `a`, and its user. pid 0: unknown, because its queue
 * is full.
 */
static struct ucred peer_of(const struct sockaddr_un *a, socklen_t len)
{
	struct ucred who = {0};
	socklen_t size = sizeof(who);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)a, len) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
		who = (struct ucred){0};
	if (fd >= 0)
		close(fd);
	return who;
}

/* True for another user without privileges. A socket of such a user claims nothing. */
static bool is_other_user(uid_t uid)
{
	return uid != 0 && uid != geteuid();
}

/* True if this process has the socket. */
static bool is_own(const struct mt_listener *l)
{
	struct stat st;

	for (int fd = 0, n = getdtablesize(); fd < n; fd++)
		if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == l->inode)
			return true;
	return false;
}

static int busy(
	const struct mt_port_conf *c, const struct mt_ethdev *d, pid_t pid, struct mt_err *e)
{
	if (pid)
		return mt_err(e, -EBUSY,
			"port %s: another meltemid (pid %d) serves interface %s: stop it, or give "
			"this node another interface",
			c->name, (int)pid, d->interface);
	return mt_err(e, -EBUSY,
		"port %s: another meltemid serves interface %s (`ss -xlp | grep "
		"meltemi/port/%s` shows it): stop it, or give this node another interface",
		c->name, d->interface, d->interface);
}

/*
 * Two daemons on one interface would both answer every packet, and reset each other's connections.
 * An abstract socket is as exclusive as the interface: it belongs to the network namespace, and
 * disappears with the process, even after a crash. Two ports of one daemon may share an interface.
 * The socket of another unprivileged user is ignored. The kernel's table has its owner, because
 * that user could keep the queue of a daemon's socket full, so that no process can connect. Without
 * the table the peer's credentials have it, unless the queue is full.
 */
static int claim(const struct mt_port_conf *c, struct mt_ethdev *d, struct mt_err *e)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int n = snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "meltemi/port/%s", d->interface);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct mt_listener l;
	struct ucred peer;
	int rc;

	if (fd < 0)
		return mt_err(e, -errno, "port %s: socket: %s", c->name, strerror(errno));
	if (bind(fd, (const struct sockaddr *)&a, len) == 0 && listen(fd, CHECKS_MAX) == 0) {
		d->claim = fd;
		return 0;
	}
	close(fd);
	rc = mt_listener_find(a.sun_path, (size_t)n + 1, &l);
	if (rc == 0 || (rc == 1 && is_other_user(l.uid)))
		return 0;
	peer = peer_of(&a, len);
	if (peer.pid == getpid() || (!peer.pid && rc == 1 && is_own(&l)) ||
		(peer.pid && is_other_user(peer.uid)))
		return 0;
	return busy(c, d, peer.pid, e);
}

bool mt_interface_runs(const struct mt_ethdev *d)
{
	struct ifreq r;

	if (!d->interface[0] || d->profile.makes_interface)
		return true;
	return query(d->interface, SIOCGIFFLAGS, &r) == 0 && (r.ifr_flags & IFF_UP) &&
	       (r.ifr_flags & IFF_RUNNING);
}

#define MTU_MIN 576 /* spec.ports[].mtu */

uint16_t mt_interface_mtu(const struct mt_ethdev *d)
{
	struct ifreq r;
	int mtu;

	if (!d->interface[0] || d->profile.makes_interface || query(d->interface, SIOCGIFMTU, &r))
		return d->mtu;
	mtu = MT_MIN(MT_MAX(r.ifr_mtu, MTU_MIN), (int)d->mtu);
	return (uint16_t)mtu;
}

/*
 * True if the kernel has taken a packet socket from its interface, which is for good: it was
 * deleted or moved to another namespace, also if it is back.
 */
static bool is_unbound(int fd)
{
	struct sockaddr_ll a = {0};
	socklen_t len = sizeof(a);

	return fd > 0 && getsockname(fd, (struct sockaddr *)&a, &len) == 0 &&
	       a.sll_family == AF_PACKET && a.sll_ifindex == -1;
}

bool mt_interface_is_gone(const struct mt_ethdev *d)
{
	char name[IF_NAMESIZE];
	struct ifreq r;

	/* A TAP works by another name, too. */
	if (d->ifindex && d->profile.makes_interface)
		return !if_indextoname((unsigned int)d->ifindex, name) && errno == ENXIO;
	if (d->ifindex && is_unbound(d->rx_fds[0]))
		return true;
	return d->ifindex &&
	       (query(d->interface, SIOCGIFINDEX, &r) == -ENODEV || r.ifr_ifindex != d->ifindex);
}

/*
 * Takes an interface that must exist in this namespace: claims it, sets it up and ends the joining
 * of received segments.
 */
static int take_existing(const struct mt_port_conf *c, struct mt_ethdev *d, struct mt_err *e)
{
	struct ifreq r, now;
	int rc;

	if (query(d->interface, SIOCGIFFLAGS, &r))
		return mt_err(e, -ENODEV,
			"port %s: there is no interface %s in this network namespace: `ip link` "
			"shows "
			"those that are; `ip netns exec NS meltemid ...` runs in another",
			c->name, d->interface);
	if (query(d->interface, SIOCGIFMTU, &now) == 0)
		d->port.mtu = (uint16_t)MT_MIN(now.ifr_mtu, UINT16_MAX);
	if (!may_open_raw_sockets(c->device))
		return mt_err(e, -EPERM,
			"port %s: not permitted to open raw sockets: run as root, or with the "
			"rights that `meltemid --rights -c NODE` prints (`--unit`: as a drop-in of "
			"the service)",
			c->name);
	if (query(d->interface, SIOCGIFINDEX, &now) == 0)
		d->ifindex = now.ifr_ifindex;
	rc = claim(c, d, e);
	if (rc == 0 && !(r.ifr_flags & IFF_UP))
		rc = set_up(c->name, d->interface, e);
	if (rc == 0)
		set_offloads(c->name, d->interface);
	return rc;
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
			"port %s: /dev/net/tun cannot be opened (%s): `modprobe tun`, run as root, "
			"or with the rights that `meltemid --rights -c NODE` prints",
			c->name, strerror(errno));
	/* Another process could add queues of its own to the TAP, and get a part of the packets. */
	return claim(c, d, e);
}

int mt_interface_tap_fault(const struct mt_ethdev *d, struct mt_err *e)
{
	struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE};
	int fd = d->profile.makes_interface ? open("/dev/net/tun", O_RDWR | O_CLOEXEC) : -1, rc;

	if (fd < 0)
		return 0;
	memcpy(r.ifr_name, d->interface, sizeof(r.ifr_name));
	rc = ioctl(fd, TUNSETIFF, &r) == 0 ? 0 : -errno;
	close(fd);
	if (rc == -EPERM)
		return mt_err(e, rc,
			"port %s: not permitted to make interface %s (CAP_NET_ADMIN): run as root, "
			"or with the rights that `meltemid --rights -c NODE` prints",
			d->port.name, d->interface);
	if (rc == -EBUSY || rc == -EINVAL)
		return mt_err(e, -EBUSY,
			"port %s: TAP %s belongs to another program: choose another iface=, or end "
			"that program and run `ip link del dev %s`",
			d->port.name, d->interface, d->interface);
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
	return d->profile.makes_interface ? check_made(c, d, e) : take_existing(c, d, e);
}

int mt_interface_setup(const struct mt_port_conf *c, struct mt_ethdev *d, struct mt_err *e)
{
	struct ifreq r;
	int rc = 0;

	if (!d->profile.makes_interface)
		return 0;
	if (query(d->interface, SIOCGIFINDEX, &r) == 0)
		d->ifindex = r.ifr_ifindex;
	rc = mt_kernel_link_up(d->interface, e);
	for (uint32_t i = 0; rc == 0 && i < c->n_kernel_addresses; i++)
		rc = mt_kernel_add_address(d->interface, c->kernel_addresses[i], e);
	for (uint32_t i = 0; rc == 0 && i < c->n_kernel_routes; i++)
		rc = mt_kernel_add_route(d->interface, c->kernel_routes[i], e);
	return rc;
}
