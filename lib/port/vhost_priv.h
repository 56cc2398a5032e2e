/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_port_priv.h"
#include "mt_port_vhost.h"
#include "vhost_memory.h"

#include <stdatomic.h>

#include <rte_vhost.h>

/* A bit of features: the log of written pages, which <linux/virtio_net.h> does not name. */
#define MT_VHOST_F_LOG_ALL 26

/* Events of the current second. */
struct mt_vhost_window {
	uint64_t since; /* TSC */
	uint32_t n;
};

enum mt_vhost_queue {
	MT_VHOST_OFF,
	MT_VHOST_NEW, /* the guest still notifies of each packet */
	MT_VHOST_ON,
};

struct mt_vhost {
	struct mt_port port; /* first */
	bool used;	     /* under the lock of vhost.c */
	bool registered;     /* the library knows the socket */
	char path[MT_VHOST_PATH_MAX];
	uint16_t number, pairs;
	struct mt_pools *const *pools;
	struct rte_rcu_qsbr *qsbr;

	/* event thread: w, workers: r */
	_Atomic int vid;       /* of the connection, while the guest's driver runs; otherwise -1 */
	_Atomic bool busy;     /* a message is handled */
	_Atomic uint16_t live; /* pairs of queues that the driver has negotiated */
	_Atomic uint16_t active; /* the first of them, to which Meltemi sends */
	_Atomic uint8_t queues[2 * MT_VHOST_PAIRS_MAX]; /* enum mt_vhost_queue; workers: w */

	_Atomic bool broken; /* memory was missing; until the next connection */
	_Atomic bool connected;
	_Atomic bool starts; /* the control thread connects */

	/* event thread, and the control thread before the first message */
	bool wants_reply;
	uint32_t sized, addressed; /* a bit for each queue */
	struct mt_vhost_window remaps, messages;

	_Atomic uint32_t n_ups, n_downs, n_truncated;
	_Atomic uint32_t n_remaps, n_memory, n_queues, n_messages;
};

static inline struct mt_vhost *mt_vhost(const struct mt_port *p)
{
	return mt_container_of(p, struct mt_vhost, port);
}

/* ---- vhost.c ------------------------------------------------------------------------------ */

/* This thread connects a port. */
extern _Thread_local bool mt_vhost_starts;

/* The open port with this socket; NULL: none. */
struct mt_vhost *mt_vhost_find(const char *path);

/* ---- vhost_refuse.c ----------------------------------------------------------------------- */

struct mt_vhost_message;

/* Returns the counter of the reason to refuse a message; NULL: it is accepted. */
_Atomic uint32_t *mt_vhost_refusal(struct mt_vhost *v, int vid, const struct mt_vhost_message *m);
/* The index of the queue that a message is for; -1: it is not for a queue. */
int mt_vhost_queue_of(const struct mt_vhost_message *m);
void mt_vhost_close_descriptors(struct mt_vhost_message *m);
/*
 * Makes a descriptor of notifications non-blocking. False if it is not an eventfd: workers write to
 * it, and only an eventfd takes each write at once.
 */
bool mt_vhost_may_notify(int fd);
/* Counts an event. True if there were more than `most` in this second. */
bool mt_vhost_exceeds(struct mt_vhost_window *w, uint32_t most);

/* ---- vhost_messages.c --------------------------------------------------------------------- */

extern const struct rte_vhost_device_ops mt_vhost_device_ops;
