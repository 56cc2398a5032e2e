/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual machines that come and go while a worker runs (lib/worker/guests.c). In its receive
 * stage, the worker receives from the guests' queues that it owns. Each frame passes
 * mt_guest_check() first. ARP, neighbour discovery, DHCP, router solicitations and DHCPv6 are
 * answered at once, by lib/guest. All other frames go to lib/net, as received by the port of all
 * guests. Guests with IPv6 also get a router advertisement every MT_WORKER_ADVERTISE_NS.
 */
#pragma once

#include "mt_guest.h"
#include "mt_port_guest_hub.h"

/* Counters of each guest (mt_guest_hub_counters()). */
enum mt_worker_guest_count {
	/* The first MT_GUEST_VERDICTS ones are frames by their verdict; those that pass, too. */
	MT_WORKER_GUEST_ANSWERED = MT_GUEST_VERDICTS,
	MT_WORKER_GUEST_IGNORED,   /* messages for DHCP that get no reply */
	MT_WORKER_GUEST_NO_MEMORY, /* answers without a buffer */
	MT_WORKER_GUEST_LOST,	   /* answers that the guest's queue did not take */
	MT_WORKER_GUEST_COUNTS
};

struct mt_worker_guest_network {
	struct mt_addr gateway; /* Meltemi's address */
	uint8_t prefix;
};

#define MT_WORKER_GUEST_NETWORKS 16

struct mt_worker_guests {
	struct mt_guests *ports;
	struct mt_guest_hub *hub; /* its n_counters is MT_WORKER_GUEST_COUNTS */
	struct mt_worker_guest_network networks[MT_WORKER_GUEST_NETWORKS];
	uint32_t n_networks;
	/*
	 * The domain of services, "svc.cluster.local". A guest's own domain has its namespace before
	 * it. NULL: guests get none.
	 */
	const char *domain;
};

#define MT_WORKER_ADVERTISE_NS (200 * MT_SEC)
