/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_port_boot.h"

#include <net/if.h>
#include <rte_ring.h>

/*
 * Size of the ring on which packets of workers without a transmit queue wait for one that has it.
 */
#define MT_PORT_FORWARD_RING 1024
/*
 * Packets taken from that ring per loop iteration at most, so that they do not starve the owner's.
 */
#define MT_PORT_FORWARD_BURST 64

/* The bring-up state of an ethdev port; its mt_port is the first member. */
struct mt_ethdev {
	struct mt_port port;
	struct mt_profile profile;
	struct rte_device *device;
	char interface[IFNAMSIZ]; /* name of the kernel's interface; "": none */
	int ifindex;		  /* of `interface`; 0: none */
	char socket[108];	  /* file of the socket that the port makes; "": none */
	char awaited[108];	  /* file of the socket that the driver connects to; "": none */
	/* listening socket that claims `interface` for this process; 0: none */
	int claim;
	uint16_t rx_desc, tx_desc;
	uint16_t room; /* data room that received frames need */
	uint64_t rx_offloads, tx_offloads;
	uint16_t mtu; /* MTU of the start; port.mtu is at most this */
	bool started;
	bool polling; /* ctl: w, workers: r; false while a port is restarted */
	uint64_t next_restart;
	struct {
		uint64_t missed, no_buffer; /* by the driver, at the last query */
		uint64_t next;		    /* time of the next query; 0: there was none */
	} lost;
	int rx_fds[MT_WORKERS_MAX]; /* descriptors of the driver's; see wakeup.c */
	struct mt_pools *pools[MT_WORKERS_MAX];
	/* [transmit queue] from the workers that have none; NULL if every worker has one */
	struct rte_ring *forward[MT_WORKERS_MAX];
};

static inline struct mt_ethdev *mt_ethdev(struct mt_port *p)
{
	return mt_container_of(p, struct mt_ethdev, port);
}

extern const struct mt_port_ops mt_ethdev_ops;

static inline uint64_t mt_port_bytes(struct rte_mbuf *const *pkts, uint16_t n)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < n; i++)
		sum += pkts[i]->pkt_len;
	return sum;
}

/* ---- yaml.c ------------------------------------------------------------------------------- */

/*
 * Reads `file` and calls pair() for each scalar, with a path like "device-args.framesz". Stops when
 * pair() returns non-zero.
 */
struct mt_yaml_pair {
	const char *path;
	const char *value;
	uint32_t line;
	bool in_list; /* one of several values of `path` */
};
int mt_yaml_pairs(const char *file, int (*pair)(void *arg, const struct mt_yaml_pair *p), void *arg,
	struct mt_err *e);

/* ---- unix_diag.c -------------------------------------------------------------------------- */

struct mt_listener {
	uint32_t inode;
	uid_t uid; /* of the process that made it */
};

/*
 * Finds the listening abstract socket of this network namespace with the name, which begins with a
 * NUL byte. Returns 1, 0 (there is none), or -errno: the kernel has no such table, or no owners in
 * it.
 */
int mt_listener_find(const char *name, size_t len, struct mt_listener *out);

/* ---- arguments.c -------------------------------------------------------------------------- */

/* Value of `key` in "driver,key=value,..."; false if it is missing or longer than `room`. */
bool mt_devargs_value(const char *device, const char *key, char *value, size_t room);
/* The driver of a device string: "net_tap" of "net_tap0,iface=x"; "" for a PCI address. */
void mt_devargs_driver(const char *device, char *driver, size_t room);
/* True if the profile lists this driver of DPDK. */
bool mt_profile_drives(const struct mt_profile *p, const char *driver);
/* Writes `device` and those arguments of the profile that the device string does not set. */
int mt_devargs_make(const char *device, const struct mt_profile *p, uint16_t workers, uint16_t mtu,
	char *out, size_t room, struct mt_err *e);
/* Frame size of af_packet's ring for an MTU, a power of two. */
uint32_t mt_devargs_frame(uint16_t mtu, uint16_t overhead);

#define L2_MAX 18u /* Ethernet header and one VLAN tag */

/* The data room (headroom included) of an mbuf for `len` bytes. */
static inline uint32_t mt_port_room_of(uint32_t len)
{
	return MT_MAX(RTE_ALIGN_CEIL(len + RTE_PKTMBUF_HEADROOM, 64u), (uint32_t)MT_BUF_DATA_ROOM);
}

/* ---- memory.c ----------------------------------------------------------------------------- */

/* Free memory in hugepages, in MB. `sys` is "/sys" except in tests. */
uint32_t mt_hugepages_free(const char *sys);
/*
 * Returns 0, or -ENOMEM with the remedy when the bound is less than `mb`. The EAL maps anonymous
 * memory and the pools touch all of it, so too large a request would not fail: the kernel's OOM
 * killer would end the process.
 */
int mt_memory_fits(uint32_t mb, const struct mt_memory_bound *b, struct mt_err *e);
/*
 * Decides whether to use hugepages. Returns 1 or 0 with `words` for the log, or -ENOMEM with the
 * remedy.
 */
int mt_hugepages_choose(enum mt_eal_pages wanted, uint32_t mb, uint32_t free_mb, char *words,
	size_t room, struct mt_err *e);

/* ---- cgroup.c ----------------------------------------------------------------------------- */

/*
 * Lowers the bound to that of the tightest of the process's cgroups, if that is lower. `left`:
 * without what the cgroup uses already.
 */
void mt_cgroup_memory(const char *proc, const char *sys, bool left, struct mt_memory_bound *b);

/* ---- rtnl.c ------------------------------------------------------------------------------- */

/* Name of the other end of a veth pair if it is in this namespace; otherwise "". */
void mt_kernel_peer(const char *iface, char peer[IFNAMSIZ]);

/* ---- wakeup.c ----------------------------------------------------------------------------- */

/* Numbers of this process's open descriptors; used to find those that a driver opens later. */
struct mt_fds {
	uint32_t n;
	int fd[1024];
};
void mt_fds_note(struct mt_fds *f);
/*
 * MT_WAKEUP_SOCKET, after the probe: takes the packet sockets that were opened since `before`, one
 * per queue in order.
 */
void mt_wakeup_sockets(struct mt_ethdev *d, const struct mt_fds *before);
/*
 * After the start: reads MT_WAKEUP_INTERRUPT's descriptors, and sets d->port.rx_fds if each queue
 * has one.
 */
void mt_wakeup_open(struct mt_ethdev *d);

/* ---- lost.c ------------------------------------------------------------------------------- */

/* Counts what the device dropped since the last call, at most once a second. Control thread. */
void mt_port_count_lost(struct mt_ethdev *d, uint64_t now);

/* ---- fixup.c ------------------------------------------------------------------------------ */

/* True if the packet must be changed before this port can send it. */
static inline bool mt_port_unfit(const struct mt_port *p, const struct rte_mbuf *m)
{
	return m->pkt_len < p->caps.tx_min_len || (m->nb_segs > 1 && !p->caps.tx_chains) ||
	       m->pkt_len > p->caps.max_frame;
}

/* Pads the packet, or copies it into one mbuf. NULL if it had to be dropped (counted, freed). */
struct rte_mbuf *mt_port_fit(
	struct mt_port *p, struct mt_pools *pools, uint64_t *counters, struct rte_mbuf *m);

/* ---- eal.c, device.c, queues.c ------------------------------------------------------------ */

/*
 * Last error message of a driver since the last call, for error lines, otherwise of the EAL; "" if
 * there was none.
 */
const char *mt_eal_complaint(void);
int mt_ethdev_sheet(struct mt_ethdev *d, uint16_t workers, struct mt_err *e);
/*
 * Name of the kernel interface in the device string; "" if the device needs none. -EINVAL: the
 * device needs one and names none, or the configuration has kernel addresses or routes for a device
 * without a kernel side.
 */
int mt_interface_name(const struct mt_port_conf *c, const struct mt_profile *p,
	char iface[IFNAMSIZ], struct mt_err *e);
int mt_interface_check(const struct mt_port_conf *c, struct mt_ethdev *d, struct mt_err *e);
/*
 * True if an existing interface is up and has carrier, or if the port uses no existing interface.
 */
bool mt_interface_runs(const struct mt_ethdev *d);
/*
 * The MTU for the port: that of the existing interface, but at most that of the start and at least
 * the least that a Node can specify. Without an existing interface that of the start.
 */
uint16_t mt_interface_mtu(const struct mt_ethdev *d);
/* True if the interface that was opened was removed, even if its name is used again. */
bool mt_interface_is_gone(const struct mt_ethdev *d);
/*
 * Accepts and closes the connections of processes that have checked if this one owns the interface.
 * The queue would otherwise fill up, and then a further process finds no owner and starts.
 */
void mt_interface_answer(const struct mt_ethdev *d);
int mt_interface_setup(const struct mt_port_conf *c, struct mt_ethdev *d, struct mt_err *e);
/*
 * The reason why a TAP of this name cannot be made: -EPERM or -EBUSY with the remedy. 0: none is
 * known.
 */
int mt_interface_tap_fault(const struct mt_ethdev *d, struct mt_err *e);
/*
 * Checks the socket of a memif, vhost-user or virtio-user port: 0, or -errno with the remedy.
 * Removes a socket on which no process listens. Accepts other devices.
 */
int mt_socket_check(const struct mt_port_conf *c, struct mt_err *e);
/* The part of mt_socket_check() that needs no access to the machine. */
int mt_socket_path_check(const struct mt_port_conf *c, struct mt_err *e);
/* Writes the file of the socket that the port makes; "": none. */
void mt_socket_made(const struct mt_port_conf *c, char *path, size_t size);
/* Writes the file of the socket that the driver connects to, and tries again; "": none. */
void mt_socket_awaited(const struct mt_port_conf *c, char *path, size_t size);
/* The reason why the driver cannot connect to that socket. */
enum mt_port_wait mt_socket_wait(const char *path);

/*
 * run_dir.c: the EAL's directory, before and after rte_eal_init(). The first returns 0, or -errno
 * if it would be in a directory of another user. `path`: the one that the EAL uses; NULL: it has
 * not started. The last one removes it at exit if no other process uses it.
 */
int mt_run_dir_hold(const char *prefix, struct mt_err *e);
void mt_run_dir_let(const char *path);
void mt_run_dir_remove(void);
/* Makes a directory if there is none. True if only this user may write there. */
bool mt_run_dir_is_ours(const char *path);
