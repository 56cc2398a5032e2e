/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the WorkloadEntries that are virtual machines of this node, and refuses some of them. A
 * refused guest gets no port; its WorkloadEntry remains an endpoint of services.
 *
 * A guest has the annotations of mt_model_guest.h. Two guests cannot have one address, Ethernet
 * address or socket: the one with the better standing keeps it, of equal ones the first in the
 * caller's order, and the other is refused. A refused guest claims nothing, so that a mistake in
 * one document does not stop another's guest.
 */
#pragma once

#include "mt_model.h"
#include "mt_model_guest.h"

#define MT_GUESTS_MAX	       512u
#define MT_GUESTS_OF_NAMESPACE 128u /* from here on, none of a limited source is added */
#define MT_GUESTS_DIRECTORY    "/run/meltemi-guests" /* of hypervisors' sockets */
#define MT_GUEST_ADDRESSES_MAX 8u		     /* of one guest */
#define MT_GUEST_SOCKET_BYTES  107u /* of a path; struct sockaddr_un has no room for more */

struct mt_guest_rules {
	const char *node;		     /* name of this Node */
	const struct mt_node_guests *guests; /* its networks and Ethernet address */
	const char *directory;		     /* the only one for sockets; NULL: any */
	/*
	 * Returns the standing of an entry that claims this text (mt_guest_claim()); lower is
	 * better. NULL: all are equal.
	 */
	unsigned int (*standing)(void *arg, const struct mt_workload_entry *e, const char *claim);
	/* True for an entry of a source that is limited to namespaces. NULL: there is none. */
	bool (*is_limited)(void *arg, const struct mt_workload_entry *e);
	void *arg;
};

struct mt_guest_of {
	const struct mt_workload_entry *entry;
	/* Why it is refused: message, remedy, field and line. NULL: it is not. */
	const char *refused, *remedy, *path;
	uint32_t line;
	bool lost; /* refused, because another guest has what it claims */
	/* Valid if it is not refused. */
	const char *socket;
	uint8_t mac[6];
	struct mt_addr *addresses; /* spec.address first */
	uint32_t n_addresses;
	struct mt_guest_limits limits; /* its own, otherwise those of the Node */
};

struct mt_guests_found {
	struct mt_guest_of *v; /* in the order of `entries` */
	uint32_t n, n_refused;
};

/*
 * Finds the guests of this node among `entries`, which are in order of age, the oldest first.
 * Results are in `r` and refer to the entries. Returns 0 or -ENOMEM.
 */
int mt_guests_find(struct mt_region *r, const struct mt_guest_rules *rules,
	const struct mt_workload_entry *const *entries, uint32_t n, struct mt_guests_found *out);

/* Of texts like "socket /run/a" and "address 10.9.0.11": what only one guest may have. */
#define MT_GUEST_CLAIM_MAX (MT_GUEST_SOCKET_BYTES + 16)
/* Writes the i-th claim of a guest that is not refused. False: it has no more. */
bool mt_guest_claim(const struct mt_guest_of *g, uint32_t i, char text[MT_GUEST_CLAIM_MAX]);
