/* SPDX-License-Identifier: Apache-2.0 */
/* A device: its profile, its probe, and the capabilities that follow from both. */
#include "compat.h"
#include "mt_port_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_errno.h>

/* ---- capabilities ------------------------------------------------------------------------- */

/*
 * 1 or 0: whether to use an offload; an error if the profile requires it and the device lacks it.
 */
static int offload(const struct mt_ethdev *d, enum mt_port_switch want, uint64_t have,
	uint64_t needed, const char *what, struct mt_err *e)
{
	bool offered = (have & needed) == needed;

	if (want == MT_SWITCH_ON && !offered)
		return mt_err(e, -ENOTSUP,
			"port %s: the device does not offer %s, which profile %s switches on: set "
			"it "
			"to auto",
			d->port.name, what, d->profile.name);
	return want != MT_SWITCH_OFF && offered;
}

static int offloads(struct mt_ethdev *d, const struct rte_eth_dev_info *info, struct mt_err *e)
{
	const uint64_t rx_ck = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
	const uint64_t tx_ck = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
	struct mt_port_caps *c = &d->port.caps;
	const struct mt_profile *p = &d->profile;
	int rx, tx, vlan;

	rx = offload(d, p->rx_checksum, info->rx_offload_capa, rx_ck, "receive checksums", e);
	if (rx < 0)
		return rx;
	tx = offload(d, p->tx_checksum, info->tx_offload_capa, tx_ck, "transmit checksums", e);
	if (tx < 0)
		return tx;
	vlan = offload(d, p->vlan_strip, info->rx_offload_capa, RTE_ETH_RX_OFFLOAD_VLAN_STRIP,
		"VLAN stripping", e);
	if (vlan < 0)
		return vlan;
	c->rx_cksum = rx;
	c->tx_cksum_ip = c->tx_cksum_tcp = tx;
	c->rx_vlan_strip = vlan;
	c->tx_chains = p->tx_chains && (info->tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS);
	d->rx_offloads = (rx ? rx_ck : 0) | (vlan ? RTE_ETH_RX_OFFLOAD_VLAN_STRIP : 0);
	d->tx_offloads = (tx ? tx_ck : 0) | (c->tx_chains ? RTE_ETH_TX_OFFLOAD_MULTI_SEGS : 0);
	return 0;
}

/* Sets the longest frame, and the buffer size that it needs. */
static int framing(struct mt_ethdev *d, const char *devargs, struct mt_err *e)
{
	const struct mt_profile *p = &d->profile;
	uint32_t frame = d->port.mtu + L2_MAX, buffer = frame;
	char text[16];

	if (p->framing == MT_FRAMING_RING) {
		uint32_t ring = 2048;

		if (mt_devargs_value(devargs, "framesz", text, sizeof(text)))
			ring = (uint32_t)strtoul(text, NULL, 10);
		if (ring <= frame + p->framing_overhead || ring > 65535)
			return mt_err(e, -EINVAL,
				"port %s: framesz=%u cuts frames of MTU %u off: leave framesz and "
				"blocksz out of `device`, or set both to %u",
				d->port.name, ring, d->port.mtu,
				mt_devargs_frame(d->port.mtu, p->framing_overhead));
		frame = ring - p->framing_overhead;
		/* The driver requires an mbuf as large as the whole frame of its ring. */
		buffer = ring;
	} else if (p->framing == MT_FRAMING_BUFFER) {
		frame = MT_MAX(frame, MT_BUF_DATA_ROOM - RTE_PKTMBUF_HEADROOM);
	}
	d->port.caps.max_frame = (uint16_t)frame;
	d->room = (uint16_t)mt_port_room_of(buffer);
	return 0;
}

static void queues(struct mt_ethdev *d, const struct rte_eth_dev_info *info, uint16_t workers)
{
	const struct mt_profile *p = &d->profile;
	uint16_t most = p->queues == MT_QUEUES_SINGLE ? 1 : MT_MIN(workers, p->queues_max);

	d->port.n_rxq = MT_MAX(MT_MIN(most, info->max_rx_queues), 1);
	d->port.n_txq = MT_MAX(MT_MIN(most, info->max_tx_queues), 1);
	/*
	 * RSS counts only if the device accepts lib/steer's key and table; otherwise its spread is
	 * unknown.
	 */
	d->port.caps.rss = p->queues == MT_QUEUES_RSS && info->reta_size > 0 &&
			   info->reta_size <= RTE_ETH_RSS_RETA_SIZE_512 &&
			   (info->flow_type_rss_offloads & MT_RSS_TYPES);
}

static int make_sheet(struct mt_ethdev *d, const char *devargs, uint16_t workers, struct mt_err *e)
{
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(d->port.dpdk_id, &info);

	if (rc)
		return mt_err(e, rc, "port %s: the device does not describe itself (%s)",
			d->port.name, rte_strerror(-rc));
	if (info.max_mtu && d->port.mtu > info.max_mtu)
		return mt_err(e, -EINVAL,
			"port %s: MTU %u is more than the device's %u: set `mtu: %u`", d->port.name,
			d->port.mtu, info.max_mtu, info.max_mtu);
	rc = framing(d, devargs, e);
	if (rc == 0)
		rc = offloads(d, &info, e);
	if (rc)
		return rc;
	d->port.caps.rx_superframes = d->profile.rx_superframes;
	d->port.caps.tx_holds = d->profile.tx_holds;
	d->port.caps.rx_shared = d->profile.rx_shared;
	d->port.caps.tx_min_len = d->profile.tx_min_len;
	queues(d, &info, workers);
	return 0;
}

/* ---- probe -------------------------------------------------------------------------------- */

/* The remedy for a service without root that may lack a right. */
static const char *rights_hint(void)
{
	return geteuid() == 0 ? ""
			      : "; `meltemid --rights -c NODE` prints the rights that it needs";
}

static int probe(struct mt_ethdev *d, const char *devargs, struct mt_err *e)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	size_t len = strcspn(devargs, ",");
	bool pci = mt_port_is_pci(devargs);
	struct rte_eth_dev_info info;
	struct mt_fds before;
	int rc;

	if (len >= sizeof(name))
		return mt_err(e, -EINVAL, "port %s: device %s has too long a name", d->port.name,
			devargs);
	memcpy(name, devargs, len);
	name[len] = '\0';
	if (!pci && rte_eth_dev_get_port_by_name(name, &d->port.dpdk_id) == 0)
		return mt_err(e, -EEXIST,
			"port %s: device %s is taken by another port: give it another number",
			d->port.name, name);
	(void)mt_eal_complaint();
	mt_fds_note(&before);
	rc = rte_dev_probe(devargs);
	if (rc == 0)
		rc = rte_eth_dev_get_port_by_name(name, &d->port.dpdk_id);
	if (rc == 0)
		rc = rte_eth_dev_info_get(d->port.dpdk_id, &info);
	if (rc == 0) {
		d->device = info.device;
		if (d->profile.wakeup == MT_WAKEUP_SOCKET)
			mt_wakeup_sockets(d, &before);
		return 0;
	}
	if (pci)
		return mt_err(e, -ENODEV,
			"port %s: no usable device at %s: `meltemi nic` lists the cards, and "
			"`meltemi nic bind %s` gives one to DPDK%s",
			d->port.name, name, name, rights_hint());
	if (mt_interface_tap_fault(d, e))
		return -EIO;
	return mt_err(e, rc, "port %s: %s does not start: %s%s", d->port.name, devargs,
		mt_eal_complaint(), rights_hint());
}

/* ---- open --------------------------------------------------------------------------------- */

static int choose_mtu(const struct mt_port_conf *c, struct mt_ethdev *d, struct mt_err *e)
{
	const struct mt_profile *p = &d->profile;

	/* d->port.mtu holds the kernel interface's MTU if there is one. */
	if (c->mtu)
		d->port.mtu = c->mtu;
	else if (!d->port.mtu)
		d->port.mtu = p->mtu;
	d->mtu = d->port.mtu;
	if (d->port.mtu >= p->mtu_min && d->port.mtu <= p->mtu_max)
		return 0;
	if (d->interface[0] && !c->mtu)
		return mt_err(e, -EINVAL,
			"port %s: MTU %u of %s is not between %u and %u, which %s takes: `ip link "
			"set dev "
			"%s mtu %u`",
			d->port.name, d->port.mtu, d->interface, p->mtu_min, p->mtu_max, p->name,
			d->interface, p->mtu);
	return mt_err(e, -EINVAL, "port %s: mtu %u is not between %u and %u, which %s takes",
		d->port.name, d->port.mtu, p->mtu_min, p->mtu_max, p->name);
}

int mt_port_find_profile(
	const char *device, const char *profile, struct mt_profile *out, struct mt_err *e)
{
	char driver[64];

	mt_devargs_driver(device, driver, sizeof(driver));
	if (!driver[0] && !profile)
		return mt_err(e, -EINVAL,
			"device %s needs `profile:`, the profile of its family (mlx5, ice, i40e, "
			"ixgbe, ena, virtio, vmxnet3, gve)",
			device);
	return mt_profile_find(profile, driver, out, e);
}

static int open_device(
	const struct mt_port_conf *c, struct mt_ethdev *d, uint16_t workers, struct mt_err *e)
{
	char devargs[1024], role[16];
	int rc;

	rc = mt_port_find_profile(c->device, c->profile, &d->profile, e);
	/* Only a memif client must reconnect; a server waits for clients. */
	if (mt_devargs_value(c->device, "role", role, sizeof(role)) && !strcmp(role, "server"))
		d->profile.link_restart = false;
	if (rc == 0)
		rc = mt_interface_check(c, d, e);
	if (rc == 0)
		rc = mt_socket_check(c, e);
	if (rc == 0)
		rc = choose_mtu(c, d, e);
	if (rc == 0)
		rc = mt_devargs_make(
			c->device, &d->profile, workers, d->port.mtu, devargs, sizeof(devargs), e);
	if (rc == 0)
		rc = probe(d, devargs, e);
	if (rc == 0)
		rc = make_sheet(d, devargs, workers, e);
	if (rc == 0)
		rc = mt_interface_setup(c, d, e);
	if (rc)
		return rc;
	mt_socket_made(c, d->socket, sizeof(d->socket));
	mt_socket_awaited(c, d->awaited, sizeof(d->awaited));
	return 0;
}

int mt_port_open(const struct mt_port_conf *c, uint16_t index, uint16_t workers,
	struct mt_port **out, struct mt_err *e)
{
	struct mt_ethdev *d = aligned_alloc(MT_CACHE_LINE, RTE_ALIGN_CEIL(sizeof(*d), 64));
	size_t size = workers * sizeof(struct mt_port_worker);
	int rc;

	if (!d)
		return mt_err(e, -ENOMEM, "no memory");
	memset(d, 0, sizeof(*d));
	d->port.ops = &mt_ethdev_ops;
	d->port.index = index;
	d->port.dpdk_id = RTE_MAX_ETHPORTS;
	d->port.n_workers = workers;
	snprintf(d->port.name, sizeof(d->port.name), "%s", c->name);
	d->port.workers = aligned_alloc(MT_CACHE_LINE, size);
	if (!d->port.workers) {
		free(d);
		return mt_err(e, -ENOMEM, "no memory");
	}
	memset(d->port.workers, 0, size);
	rc = open_device(c, d, workers, e);
	if (rc) {
		mt_port_close(&d->port);
		return rc;
	}
	*out = &d->port;
	return 0;
}

void mt_port_close(struct mt_port *p)
{
	struct mt_ethdev *d;

	if (!p)
		return;
	d = mt_ethdev(p);
	if (p->dpdk_id != RTE_MAX_ETHPORTS && d->device) {
		mt_compat_close(p->dpdk_id);
		(void)rte_dev_remove(d->device);
	}
	if (d->claim > 0)
		close(d->claim);
	for (uint16_t q = 0; q < MT_WORKERS_MAX; q++)
		rte_ring_free(d->forward[q]);
	free(p->workers);
	free(d);
}

uint16_t mt_port_room(const struct mt_port *p)
{
	return mt_container_of(p, const struct mt_ethdev, port)->room;
}
