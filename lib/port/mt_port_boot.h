/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bring-up of lib/port: memory and EAL, devices, queues, and the required state of the kernel's
 * side of an interface. Control thread only; app/meltemid calls it in this order:
 *
 *     mt_eal_start, mt_port_open (each port), [pools of the workers are made],
 *     mt_port_start (each), ... mt_port_watch (each, now and then) ...,
 *     mt_port_close (each), mt_eal_stop
 *
 * Functions that can fail return 0 or -errno, with one line in `e` that names the problem, the
 * place and the command that fixes it. DPDK's messages go to the log at level debug, and the last
 * one is quoted if a start call fails.
 *
 * Memory: `auto` uses hugepages if enough are free (--in-memory: no files remain); otherwise it
 * runs without (--no-huge, IOVA as virtual addresses) and logs the command that reserves them.
 * Without hugepages a node is refused if it needs more memory than the machine has free
 * (MemAvailable), or than the tightest cgroup of the process has left (version 2, memory.max minus
 * memory.current, without reclaimable files): the pools touch all of it, and the kernel would kill
 * the process later.
 *
 * RSS: a device that hashes gets lib/steer's key and table, and they are read back (rss.c). The
 * daemon compares them with owner(). With fewer queues than workers a device cannot reach each
 * owner, so caps.rss is off and the distributor sorts packets.
 *
 * The kernel's side: with a raw socket (af_packet, af_xdp, pcap) the kernel also receives each
 * packet, and would reset each connection to an address that it owns. mt_kernel_address_free()
 * therefore refuses such addresses in the namespace; the daemon checks the Node's addresses at
 * start, and passes the list to the compiler at each load. mt_kernel_offloads() checks a veth's
 * peer in the same namespace; otherwise a log line describes the required setting. An interface
 * that is down is set up, and its GRO and LRO are switched off, so that it needs no other
 * preparation, also after a boot. Without CAP_NET_ADMIN an interface that is down is refused. A TAP
 * port's kernel side gets its addresses and routes by rtnetlink.
 *
 * Sleep (wakeup.c): `rx-wakeup` selects what ends the sleep of an idle worker: the ethdev's receive
 * interrupts, or for af_packet, which has none, the packet sockets that the process opens during
 * the probe, one per queue.
 *
 * Nodes with the same name on a machine share the EAL's directory below /var/run/dpdk, or
 * $RUNTIME_DIRECTORY/dpdk under the unit. A node that ends removes it if it is empty. A file there
 * while the EAL starts keeps it for a node that starts meanwhile; neither waits for the other. A
 * user other than root without the unit and without XDG_RUNTIME_DIR has /tmp/dpdk, or a directory
 * of the process if that is another user's.
 */
#pragma once

#include "mt_addr.h"
#include "mt_port_profile.h"

struct ifaddrs;

enum mt_eal_pages { MT_EAL_PAGES_AUTO, MT_EAL_PAGES_ON, MT_EAL_PAGES_OFF };

/* ---- EAL ---------------------------------------------------------------------------------- */

struct mt_eal_conf {
	const char *prefix; /* names this process's runtime directory; must be unique per process */
	enum mt_eal_pages hugepages;
	uint32_t mb; /* MB of memory for pools and rings */
	bool pci;    /* at least one port is a PCI device */
	uint16_t workers;
	const uint16_t *cores; /* [n_cores] of the workers; NULL: the last ones */
	uint16_t n_cores;
	bool debug; /* log the EAL's own messages, too */
};

struct mt_eal_info {
	bool hugepages;			/* the choice made for `auto` */
	char memory[192];		/* the same as text, one line for the log */
	uint16_t cores[MT_WORKERS_MAX]; /* core of worker i, which runs as lcore i + 1 */
};

/* Once per process. Worker i runs as lcore i + 1; lcore 0 is the control thread. */
int mt_eal_start(const struct mt_eal_conf *c, struct mt_eal_info *info, struct mt_err *e);
void mt_eal_stop(void);

/* How much memory the process may have, and what bounds it. */
struct mt_memory_bound {
	uint32_t mb;  /* UINT32_MAX: not known */
	bool cgroup;  /* a control group bounds it, not the machine */
	char of[160]; /* "this machine", or the cgroup's name */
};

/*
 * Memory outside of hugepages that can still be had without swapping, and without reaching the
 * limit of a cgroup (version 2). `proc` is "/proc" and `sys` "/sys" but in tests.
 */
void mt_memory_free(const char *proc, const char *sys, struct mt_memory_bound *b);
/* All memory that the process may use. `huge`: in hugepages, which no memory.max counts. */
void mt_memory_most(const char *proc, const char *sys, bool huge, struct mt_memory_bound *b);
/* All memory that the machine has in hugepages, free or not, in MB. */
uint32_t mt_hugepages_all(const char *sys);

/* ---- ports -------------------------------------------------------------------------------- */

/* One entry of `spec.ports`. */
struct mt_port_conf {
	const char *name;
	const char *device;  /* "net_af_packet0,iface=veth-p0", "0000:3b:00.0" */
	const char *profile; /* NULL: by driver */
	uint16_t mtu;	     /* 0: the profile's default */
	/*
	 * TAP only: addresses of the kernel's interface, and ranges that the kernel routes to it.
	 */
	const char *const *kernel_addresses;
	const char *const *kernel_routes;
	uint32_t n_kernel_addresses, n_kernel_routes;
};

/* lib/steer's key and table, for devices with RSS. */
struct mt_port_rss {
	const uint8_t *key;
	uint16_t key_len;
	const uint16_t *reta; /* hash % reta_len -> worker */
	uint16_t reta_len;
};

/*
 * Finds the profile, checks the kernel's side, probes the device and fills its capabilities. Makes
 * no queues yet; mt_port_room() returns the buffer size that they will need. Free the port with
 * mt_port_close().
 */
int mt_port_open(const struct mt_port_conf *c, uint16_t index, uint16_t workers,
	struct mt_port **out, struct mt_err *e);

/* Whether a device string is a PCI address. */
bool mt_port_is_pci(const char *device);
/*
 * True for devices that connect to the socket file of another process, also after the start: memif
 * clients, vhost-user with client=1.
 */
bool mt_port_connects(const char *device);
/* Finds the profile that mt_port_open() would use, without access to devices; for `--check`. */
int mt_port_find_profile(
	const char *device, const char *profile, struct mt_profile *out, struct mt_err *e);

/*
 * Finds what mt_port_open() would reject, and what would not work, as far as that does not depend
 * on the machine: the profile, whether it is for this driver, MTU, kernel side. Returns 0, or
 * -errno with the name of the Node's field in *field ("device", "profile", "mtu",
 * "kernelAddresses"). For `--check`.
 */
int mt_port_check(const struct mt_port_conf *c, const char **field, struct mt_err *e);

/* The data room (headroom included) that an mbuf of this port must have. */
uint16_t mt_port_room(const struct mt_port *p);
/* Upper limit of the mbufs in one worker's queues: receive rings and what transmit holds. */
uint32_t mt_port_mbufs(const struct mt_port *p);

/*
 * Makes queues (receive queue q takes mbufs from pools[q % workers]), sets RSS, and starts the
 * device.
 */
int mt_port_start(struct mt_port *p, struct mt_pools *const *pools, const struct mt_port_rss *rss,
	struct mt_err *e);

#define MT_PORT_RETA_MAX 512

/* RSS settings as the device reads them back. */
struct mt_port_rss_state {
	uint8_t key[64];
	uint16_t key_len;
	uint16_t reta[MT_PORT_RETA_MAX]; /* queue numbers */
	uint16_t reta_len;
};

/*
 * Call it after the start. Returns 0, -ENOTSUP (no RSS that could deliver to owners, or not
 * readable) or -errno.
 */
int mt_port_rss_read(const struct mt_port *p, struct mt_port_rss_state *s);

/*
 * Updates the link state. Updates the MTU if that of an existing interface has become lower than at
 * the start, or higher again; call mt_net_mtu_changed() then. A port that waits for its peer (a
 * memif client before its server) is restarted; only then is `quiesce` called, which must return
 * after every worker has passed a loop iteration. Returns true when link_up, gone or mtu changed.
 */
bool mt_port_watch(struct mt_port *p, uint64_t now, void (*quiesce)(void *arg), void *arg);

/* Workers must have stopped. NULL is allowed. */
void mt_port_close(struct mt_port *p);

const struct mt_profile *mt_port_profile(const struct mt_port *p);
/* The kernel's interface behind a port ("" when it has none). */
const char *mt_port_interface(const struct mt_port *p);

/* ---- the kernel's side -------------------------------------------------------------------- */

/*
 * Lists the addresses of the kernel's interfaces in this network namespace; free the list with
 * freeifaddrs(). Each call dumps two tables of the kernel, so call it once for many addresses.
 */
int mt_kernel_addresses(struct ifaddrs **list, struct mt_err *e);
/*
 * Rejects (-EADDRINUSE) an address that is in `list`, because the kernel would answer its packets
 * too and reset every connection. `what` names its user for the message ("port p0", "VIP of service
 * x"). `except` is an interface that may own it, or NULL.
 */
int mt_kernel_address_free(const struct ifaddrs *list, const struct mt_addr *a, const char *what,
	const char *except, struct mt_err *e);

/* Adds an address ("10.0.0.1/24") to an interface, or a route ("240.240.0.0/16") through it. */
int mt_kernel_add_address(const char *iface, const char *prefix, struct mt_err *e);
int mt_kernel_add_route(const char *iface, const char *prefix, struct mt_err *e);
int mt_kernel_link_up(const char *iface, struct mt_err *e);
/* Does nothing if the MTU is already set. */
int mt_kernel_set_mtu(const char *iface, uint16_t mtu, struct mt_err *e);

/* Offload settings that break reading from an interface with a raw socket. */
struct mt_kernel_offloads {
	bool veth;	    /* one end of a veth pair */
	char peer[32];	    /* the other end, when it is in this namespace; else "" */
	bool peer_tx_cksum; /* the peer does not fill in checksums (meaningful if peer[0]) */
	bool peer_tso;
	bool gro, lro; /* the interface itself merges segments into superframes */
};
int mt_kernel_offloads(const char *iface, struct mt_kernel_offloads *o);
/*
 * Keeps the kernel from joining received segments of the interface (GRO, LRO); needs CAP_NET_ADMIN.
 * Returns 0, also if it did not join any, or -errno.
 */
int mt_kernel_gro_off(const char *iface);
