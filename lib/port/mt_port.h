/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/port: a port is one DPDK ethdev (or one of the simulator's) with its queues. This header has
 * what workers use: bursts, capabilities and counters. Bring-up is in mt_port_boot.h.
 *
 * Drivers differ in behaviour that they do not report. pmd-config/PROFILE.yaml records the known
 * behaviour of each, with reasons. Bring-up computes the effective capabilities, struct
 * mt_port_caps: what the profile states and the device reports. The layers above need not know
 * drivers:
 * - af_packet and pcap truncate frames longer than their buffers, and af_packet's fanout
 *   reassembles fragments and truncates them. rx_superframes: frames above the MTU are dropped and
 *   counted.
 * - af_xdp sends garbage for chains. tx_chains false: lib/buf makes no chains; an unexpected one is
 *   copied and counted as an error (tx_linearised).
 * - The ring driver delivers the sender's own mbuf. rx_shared; lib/buf never writes received mbufs
 *   with several owners.
 * - virtio_user, memif with zero-copy and af_xdp hold sent mbufs for long. tx_holds: included in
 *   pool sizes; a retransmission always gets a new header.
 * - A minimum frame length. tx_min_len: padded, in a copy if the mbuf has another owner.
 * - Fewer queues than workers. Workers without a transmit queue send through a ring to the worker
 *   that has it; worker 0 distributes received packets, and caps.rss is off.
 * - Jumbo frames need larger buffers. `framesz` and `blocksz` follow the MTU, mt_port_room()
 *   returns the data room for mbufs.
 * - A memif client never connects if started too early. link.restart: mt_port_watch() stops and
 *   starts the port until there is a link.
 *
 * Invariants:
 * - The control thread starts, watches and closes ports; workers call rx and tx. Only worker q mod
 *   W polls queue q. Only worker w uses transmit queue w.
 * - tx takes ownership of the first `ret` packets. Dropped packets count as accepted.
 * - While a port restarts, rx and tx return 0 (`polling`). The caller's quiesce() completes before
 *   the device is touched.
 * - Checksum offloads are used if both profile and device permit them; lib/net computes the rest.
 * - Calls that depend on DPDK's version are in compat.h.
 *
 * For a new device, copy the nearest profile, change `profile`, `drivers` and the differences, and
 * add the file to pmd-config/meson.build. Behaviour that no setting covers is a new field of struct
 * mt_port_caps, handled in burst.c or above.
 */
#pragma once

#include "mt_buf.h"
#include "mt_log.h"

#include <rte_ether.h>

#define MT_PORTS_MAX   16
#define MT_WORKERS_MAX 64

enum mt_port_outcome {
#define MT_OUTCOME(n, s, w) MT_PORT_##n,
#include "port_outcomes.def"
#undef MT_OUTCOME
	MT_PORT_N_OUTCOMES
};

extern const struct mt_outcome_set mt_port_outcomes;

/* Capabilities that the layers above may rely on, from the profile and the ethdev. */
struct mt_port_caps {
	bool tx_chains;	   /* multi-segment mbufs are sent correctly */
	bool tx_cksum_ip;  /* the device fills the IPv4 header checksum */
	bool tx_cksum_tcp; /* the device fills the TCP checksum (pseudo header prepared) */
	bool rx_cksum;	   /* RTE_MBUF_F_RX_*_CKSUM_GOOD/BAD can be trusted */
	/* the driver may truncate frames longer than the MTU: the port drops all of them */
	bool rx_superframes;
	bool rx_vlan_strip;
	bool tx_holds;	     /* sent mbufs may stay in use for long (virtio_user) */
	bool rx_shared;	     /* received mbufs may still be referenced by their sender (ring) */
	bool rss;	     /* the device spreads flows by RSS with a known key and RETA */
	bool rss_udp;	     /* it hashes ports of datagrams, too; only with `rss` */
	uint16_t tx_min_len; /* frames are padded to this (60 on real links, 0: never) */
	uint16_t max_frame;  /* longest frame that the device receives and sends whole */
};

struct mt_port;

/*
 * The two calls of the hot path; ethdev ports and simulated ports differ only here. For rx `queue`
 * is the device queue. For tx it is the worker's index, which the port maps to a device queue, or
 * to a ring to a worker that owns one. tx takes ownership of the first `ret` packets; the caller
 * keeps the rest.
 */
struct mt_port_ops {
	uint16_t (*rx)(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
	uint16_t (*tx)(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
};

/*
 * One worker's counters of one port; worker: w, ctl: r. Only the control thread writes rx_missed
 * and rx_no_buffer, in those of worker 0.
 */
struct mt_port_worker {
	uint64_t counters[MT_PORT_N_OUTCOMES];
} mt_cache_aligned;

/* The part of a port that was removed while it was open. Only a start opens another. */
enum mt_port_gone {
	MT_PORT_THERE,	   /* nothing */
	MT_PORT_NO_DEVICE, /* its card, or a kernel interface that has to exist */
	MT_PORT_NO_TAP,	   /* the kernel interface that the daemon makes */
	MT_PORT_NO_SOCKET, /* the socket that the daemon makes, and no peer is connected */
};

/*
 * Why a port that connects to the socket of another process, and tries again each second, has no
 * link.
 */
enum mt_port_wait {
	MT_PORT_WAITS_NOT,	 /* it has a link, or the reason is not known */
	MT_PORT_WAITS_DIRECTORY, /* the directory of the socket does not exist */
	MT_PORT_WAITS_SOCKET,	 /* the socket does not exist */
	MT_PORT_WAITS_FILE,	 /* the path is a file of another kind */
	MT_PORT_WAITS_RIGHT,	 /* the daemon's user may not connect to it */
	MT_PORT_WAITS_PEER,	 /* no process has it open, or its guest is not ready */
};

struct mt_port {
	const struct mt_port_ops *ops;
	char name[32];
	uint16_t index;	  /* in the node's table of ports */
	uint16_t dpdk_id; /* ethdev id */
	uint16_t mtu;	  /* ctl: w, workers: r; follows the kernel's interface (mt_port_watch()) */
	uint16_t n_rxq, n_txq;
	struct rte_ether_addr mac;
	struct mt_port_caps caps;
	bool link_up;		/* ctl: w, workers: r */
	enum mt_port_gone gone; /* ctl */
	enum mt_port_wait wait; /* ctl */
	/*
	 * [n_rxq] descriptors to sleep on, readable when packets wait; -1 or NULL: the driver has
	 * none
	 */
	const int *rx_fds;
	void *priv; /* state of the simulator, or bring-up state of the ethdev */
	/* [worker]; NULL for a port without counters (the simulator's) */
	struct mt_port_worker *workers;
	uint16_t n_workers;
};

/*
 * Receive queues are dealt to workers in turn: worker w polls queues w, w + W, ... With one receive
 * queue, worker 0 polls it alone and hands packets to their owners.
 */
static inline bool mt_port_polls(
	const struct mt_port *p, uint16_t worker, uint16_t workers, uint16_t queue)
{
	return queue < p->n_rxq && queue % workers == worker;
}

/* The removed part as a noun, "device", and the remedy. Static texts; `gone` is not THERE. */
const char *mt_port_gone_str(enum mt_port_gone gone);
const char *mt_port_gone_remedy(enum mt_port_gone gone);

#define MT_PORT_WAIT_LEN 160

/* Why the port has no link, written to `buf`, and the remedy; `wait` is not NOT. Control thread. */
const char *mt_port_wait_str(const struct mt_port *p, char buf[MT_PORT_WAIT_LEN]);
/* The same for a port that connects to this socket. */
const char *mt_socket_wait_str(
	enum mt_port_wait wait, const char *path, char buf[MT_PORT_WAIT_LEN]);
const char *mt_port_wait_remedy(enum mt_port_wait wait);

/* Sum of one counter over the port's workers; control thread. */
uint64_t mt_port_count(const struct mt_port *p, enum mt_port_outcome o);
