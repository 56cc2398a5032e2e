/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports of guests that come and go, by DPDK's vhost library. Each connects to the socket of one
 * hypervisor, and copies frames from and to the guest's memory. The guests of a Node's own ports
 * use DPDK's ethdev driver, which permits 32 devices.
 *
 * Only the library reads guest memory, and it copies, so a guest cannot change a frame after a
 * check. Threads:
 * - The control thread opens, watches and closes ports. mt_vhost_watch() connects those that have
 *   no connection.
 * - The library's event thread handles the messages of all hypervisors (vhost_messages.c). It holds
 *   the locks of the guest's queues while it does, and a worker that sends would wait for one. A
 *   flag keeps workers away during that time. A worker still waits if it looks at the flag just
 *   before the message begins, or just after it ends.
 * - Workers receive and send. They report quiescence in `qsbr`; when a guest's driver stops, the
 *   event thread waits for all of them before the library unmaps memory.
 *
 * A guest can harm only its own port, and a hypervisor too, with the exceptions below:
 * - If it truncates the guest's memory, workers read zeros, and the port is down until
 *   mt_vhost_watch() connects it again.
 * - Its connection ends if a message is incomplete, or is of a kind for which no feature was
 *   offered, or if it sends too many. The same applies to queues that were not offered or are set
 *   up in a wrong order, and to memory that is not of tmpfs or hugetlbfs (vhost_refuse.c).
 *
 * A hypervisor, but no guest, can still do this:
 * - A worker notifies it by an eventfd, and waits if the hypervisor fills the eventfd and lets it
 *   block again afterwards.
 * - Each of its messages can delay those of other hypervisors by some milliseconds.
 *
 * Guests get several queues and the log of written pages (live migration). Checksum and
 * segmentation offloads, packed rings and post-copy are off.
 */
#pragma once

#include "mt_port.h"

struct rte_rcu_qsbr;

#define MT_VHOST_MAX	   512u /* ports */
#define MT_VHOST_PAIRS_MAX 8u
#define MT_VHOST_PATH_MAX  108u
#define MT_VHOST_RING	   1024u /* descriptors of a queue, at most; QEMU permits no more */

/* Limits of each connection, per second. */
#define MT_VHOST_REMAPS	  10u /* tables of memory and logs of written pages */
#define MT_VHOST_MESSAGES 4096u

struct mt_vhost_conf {
	const char *name;
	const char *socket;
	uint16_t number; /* of the guest */
	uint16_t pairs;	 /* of queues: 1 to MT_VHOST_PAIRS_MAX */
	uint16_t mtu;
	uint16_t n_workers;
	struct rte_ether_addr mac;     /* of Meltemi on this link */
	struct mt_pools *const *pools; /* [n_workers] */
	struct rte_rcu_qsbr *qsbr;     /* of the workers; NULL: none runs */
};

/* Numbers since the port was opened. */
struct mt_vhost_counts {
	uint32_t ups, downs; /* times that the guest's driver started and stopped */
	uint32_t truncated;  /* pages of the guest's memory that were missing */
	/* Connections that ended because of ... */
	uint32_t remaps;   /* MT_VHOST_REMAPS */
	uint32_t memory;   /* memory that cannot be mapped, or is of another file system */
	uint32_t queues;   /* a queue that was not offered, or is set up in a wrong order */
	uint32_t messages; /* a message of another kind, or MT_VHOST_MESSAGES */
};

/*
 * Makes the port, and connects if the hypervisor is there. Returns 0 or a negative errno; *err has
 * the reason. Control thread.
 */
int mt_vhost_open(const struct mt_vhost_conf *conf, struct mt_port **out, struct mt_err *err);
/* Sets link_up, and connects if there is no connection. Once a second. Control thread. */
void mt_vhost_watch(struct mt_port *p);
/* Ends the connection. No worker may use the port any more. Control thread; NULL is allowed. */
void mt_vhost_close(struct mt_port *p);

/* True if frames can be moved. Any thread. */
bool mt_vhost_is_up(const struct mt_port *p);
/* The pairs of queues that the guest's driver uses; 0: it does not run. Any thread. */
uint16_t mt_vhost_active(const struct mt_port *p);
void mt_vhost_counts(const struct mt_port *p, struct mt_vhost_counts *out);

/* The worker that receives from a pair of queues of a guest. */
static inline uint16_t mt_vhost_owner(uint16_t number, uint16_t pair, uint16_t workers)
{
	return (uint16_t)((number + pair) % workers);
}

/*
 * The first pair that mt_vhost_owner() gives to a worker. A worker sends by this pair, or by the
 * first one if the guest uses less.
 */
static inline uint16_t mt_vhost_pair(uint16_t number, uint16_t worker, uint16_t workers)
{
	return (uint16_t)((worker + workers - number % workers) % workers);
}
