/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Link state by polling, because most drivers here report no link events. af_packet reports its
 * link as up whatever the state of the interface, so the kernel is queried, too.
 *
 * A memif client that started before its server never gets link. Such a port is stopped and started
 * again until its server is there; nothing is lost, because it was never connected. The first
 * restart waits a second: if a client disconnects during the handshake, DPDK 22.11's server closes
 * a socket that its interrupt thread still polls, which ends that process.
 */
#include "mt_port_priv.h"

#include <errno.h>
#include <unistd.h>

#include <rte_ethdev.h>

#define RESTART_EVERY (1 * MT_SEC)

static bool ask(struct mt_ethdev *d)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(d->port.dpdk_id, &link) == 0 &&
	       link.link_status == RTE_ETH_LINK_UP && mt_interface_runs(d);
}

static void restart(struct mt_ethdev *d, void (*quiesce)(void *arg), void *arg)
{
	__atomic_store_n(&d->polling, false, __ATOMIC_RELEASE);
	quiesce(arg);
	(void)rte_eth_dev_stop(d->port.dpdk_id);
	if (rte_eth_dev_start(d->port.dpdk_id) == 0)
		__atomic_store_n(&d->polling, true, __ATOMIC_RELEASE);
}

/* True once per interval; the first call starts the interval. */
static bool may_restart(struct mt_ethdev *d, uint64_t now)
{
	bool due = d->next_restart && now >= d->next_restart;

	if (due || !d->next_restart)
		d->next_restart = now + RESTART_EVERY;
	return due;
}

/*
 * A driver does not read from an interface that comes back. A connected peer needs the socket's
 * file no more, so only a port without link lacks it.
 */
static enum mt_port_gone gone_of(const struct mt_ethdev *d, bool is_up)
{
	if (d->ifindex && d->port.gone == MT_PORT_NO_DEVICE)
		return MT_PORT_NO_DEVICE;
	if (mt_interface_is_gone(d))
		return d->profile.makes_interface ? MT_PORT_NO_TAP : MT_PORT_NO_DEVICE;
	if (rte_eth_dev_is_removed(d->port.dpdk_id) == 1)
		return MT_PORT_NO_DEVICE;
	if (!is_up && d->socket[0] && access(d->socket, F_OK) != 0 && errno == ENOENT)
		return MT_PORT_NO_SOCKET;
	return MT_PORT_THERE;
}

const char *mt_port_gone_str(enum mt_port_gone gone)
{
	return gone == MT_PORT_NO_SOCKET ? "socket" : gone == MT_PORT_NO_TAP ? "TAP" : "device";
}

const char *mt_port_gone_remedy(enum mt_port_gone gone)
{
	return gone == MT_PORT_NO_DEVICE ? "bring it back, then run `systemctl restart meltemid`"
					 : "run `systemctl restart meltemid`, which makes it again";
}

/* Follows the MTU of an existing interface. Returns true if that of the port has changed. */
static bool watch_mtu(struct mt_ethdev *d)
{
	uint16_t mtu = mt_interface_mtu(d);

	if (mtu == d->port.mtu)
		return false;
	__atomic_store_n(&d->port.mtu, mtu, __ATOMIC_RELAXED);
	return true;
}

bool mt_port_watch(struct mt_port *p, uint64_t now, void (*quiesce)(void *arg), void *arg)
{
	struct mt_ethdev *d = mt_ethdev(p);
	enum mt_port_gone had = p->gone;
	enum mt_port_wait waited = p->wait;
	bool was = p->link_up, is;

	mt_interface_answer(d);
	if (!d->started)
		return false;
	is = ask(d);
	p->gone = gone_of(d, is);
	is = is && !p->gone;
	if (!is && quiesce && d->profile.link_restart && may_restart(d, now)) {
		restart(d, quiesce, arg);
		is = ask(d);
	}
	__atomic_store_n(&p->link_up, is, __ATOMIC_RELAXED);
	p->wait = !is && d->awaited[0] ? mt_socket_wait(d->awaited) : MT_PORT_WAITS_NOT;
	/* The registers of a card that was removed read as ones. */
	if (!p->gone)
		mt_port_count_lost(d, now);
	return (!p->gone && watch_mtu(d)) || is != was || p->gone != had || p->wait != waited;
}
