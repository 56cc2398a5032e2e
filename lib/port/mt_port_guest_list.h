/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guests that the control thread has attached (mt_port_guests.h), kept equal to a list that
 * changes while workers run. Each guest has the lowest free number, and keeps it and its port as
 * long as its name and socket stay. If a port cannot be opened, the next second tries again, and
 * the other guests are attached. Control thread.
 */
#pragma once

#include "mt_port_guests.h"

struct mt_guest_list;

struct mt_guest_list_conf {
	struct mt_guests *guests;
	uint16_t pairs; /* of queues that are offered to each guest */
	uint16_t mtu;
	uint16_t n_workers;
	struct rte_ether_addr mac;     /* of Meltemi towards guests */
	struct mt_pools *const *pools; /* [n_workers] */
	struct rte_rcu_qsbr *qsbr;     /* of the workers; NULL: none runs */
};

/* A guest that the node should have. */
struct mt_guest_wanted {
	const char *name;   /* unique in the list */
	const char *socket; /* unique in the list */
};

struct mt_guest_attached {
	const char *name, *socket;
	uint16_t number;
	/* With link_up, and `wait` if it is not; NULL: it could not be opened, because of `why`. */
	const struct mt_port *port;
	const char *why;
};

/* Everything that `conf` points to must outlive the list. NULL: no memory. */
struct mt_guest_list *mt_guest_list_create(const struct mt_guest_list_conf *conf);
/* Detaches all guests. NULL is allowed. */
void mt_guest_list_destroy(struct mt_guest_list *l);

/*
 * Detaches the guests that are not in the list any more, or have another socket, then attaches
 * those that are new. Waits once until no worker uses a port that goes. Returns 0; -ENOSPC if there
 * are more than MT_VHOST_MAX guests, or -ENOMEM: some new ones are not attached.
 */
int mt_guest_list_follow(struct mt_guest_list *l, const struct mt_guest_wanted *v, uint32_t n);
/*
 * Connects guests that have no connection, and opens ports that could not be opened. Once a second.
 */
void mt_guest_list_watch(struct mt_guest_list *l);
/*
 * Iterates the attached guests in the order of their numbers; *at starts at 0. False at the end.
 * Texts are valid until the next call of another function.
 */
bool mt_guest_list_next(const struct mt_guest_list *l, uint32_t *at, struct mt_guest_attached *out);
