/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the WorkloadEntries that are virtual machines of this node, and refuses some of them. A
 * refused guest gets no port; its WorkloadEntry remains an endpoint of services. Nothing calls this
 * yet.
 *
 * A guest has the annotations of mt_model_guest.h. Two guests cannot have one address, Ethernet
 * address or socket: the first in the caller's order keeps it, and the other is refused. A refused
 * guest claims nothing, so that a mistake in one document does not stop another's guest.
 */
#pragma once

#include "mt_model.h"
#include "mt_model_guest.h"

#define MT_GUESTS_MAX	       256u
#define MT_GUEST_ADDRESSES_MAX 8u   /* of one guest */
#define MT_GUEST_SOCKET_BYTES  107u /* of a path; struct sockaddr_un has no room for more */

struct mt_guest_rules {
	const char *node;		     /* name of this Node */
	const struct mt_node_guests *guests; /* its networks and Ethernet address */
	const char *directory;		     /* the only one for sockets; NULL: any */
};

struct mt_guest_of {
	const struct mt_workload_entry *entry;
	/* Why it is refused: message, remedy, field and line. NULL: it is not. */
	const char *refused, *remedy, *path;
	uint32_t line;
	/* Valid if it is not refused. */
	const char *socket;
	uint8_t mac[6];
	struct mt_addr *addresses; /* spec.address first */
	uint32_t n_addresses;
	struct mt_guest_limits limits; /* its own, otherwise those of the Node */
};

struct mt_guests {
	struct mt_guest_of *v; /* in the order of `entries` */
	uint32_t n, n_refused;
};

/*
 * Finds the guests of this node among `entries`, which are in order of precedence: of two with one
 * claim the older first. Results are in `r` and refer to the entries. Returns 0 or -ENOMEM.
 */
int mt_guests_find(struct mt_region *r, const struct mt_guest_rules *rules,
	const struct mt_workload_entry *const *entries, uint32_t n, struct mt_guests *out);
