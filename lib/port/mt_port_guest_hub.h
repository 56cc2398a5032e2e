/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub: one port of lib/net for all guests (mt_port_guests.h), because lib/net has large
 * queues for each port and worker. It has no receive queue. Workers pass the frames of guests to
 * lib/net as received by this port, after the checks of lib/guest.
 *
 * A frame to a guest finds it by its destination: a table has the Ethernet address and the
 * addresses of each guest. Of frames to groups, only ARP requests and neighbour solicitations
 * reach a guest, the one that has the address; others are dropped, because guests get no
 * announcements. A frame that its guest does not take is dropped as well, so that one guest's
 * full queue delays no frame of another.
 *
 * The control thread replaces the table as a whole while workers run. Before a number gets
 * another guest, the caller removes the guest that has it from the table, and waits.
 */
#pragma once

#include "mt_addr.h"
#include "mt_port_guests.h"

struct mt_guest_hub;

struct mt_guest_hub_conf {
	struct mt_guests *guests;
	uint16_t index; /* in the node's table of ports */
	uint16_t mtu;
	uint16_t n_workers;
	uint16_t n_counters;	   /* of each guest and worker (mt_guest_hub_counters()) */
	struct rte_ether_addr mac; /* of Meltemi towards guests */
};

/* A guest, as workers know it. */
struct mt_guest_station {
	const char *name;
	uint16_t number; /* below MT_VHOST_MAX */
	uint8_t mac[6];
	const struct mt_addr *addresses;
	uint32_t n_addresses;
};

/* Frames that workers dropped. */
struct mt_guest_hub_counts {
	uint64_t unknown; /* no guest has the destination */
	uint64_t refused; /* the guest's queue was full, or its driver did not run */
};

/* Everything that `conf` points to must outlive the hub. NULL: no memory. Boot only. */
struct mt_guest_hub *mt_guest_hub_create(const struct mt_guest_hub_conf *conf);
/* No worker runs any more. NULL is allowed. */
void mt_guest_hub_destroy(struct mt_guest_hub *h);
/* The port for lib/net, which has a link always. */
struct mt_port *mt_guest_hub_port(struct mt_guest_hub *h);

/*
 * Replaces the table by copies of these guests, and waits until no worker uses the one before.
 * `qsbr` NULL: no worker runs. Counters of a number with another guest begin at 0.
 * Returns 0 or -ENOMEM, when nothing has changed. Control thread.
 */
int mt_guest_hub_set(struct mt_guest_hub *h, const struct mt_guest_station *v, uint32_t n,
	struct rte_rcu_qsbr *qsbr);
/* The guest with a number, valid until the end of the turn; NULL: none. Workers. */
const struct mt_guest_station *mt_guest_hub_find(const struct mt_guest_hub *h, uint16_t number);
/* Counters of one guest that only this worker writes, n_counters of them. */
uint64_t *mt_guest_hub_counters(const struct mt_guest_hub *h, uint16_t worker, uint16_t number);
/* Sum of one of these counters over all workers. Any thread. */
uint64_t mt_guest_hub_count(const struct mt_guest_hub *h, uint16_t number, uint16_t counter);
/* Any thread. */
void mt_guest_hub_counts(const struct mt_guest_hub *h, struct mt_guest_hub_counts *out);
