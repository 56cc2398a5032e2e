/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DPDK side of meltemi-blast: memory, and for each thread a port with its own buffers. A port
 * is a device, or one end of a ring in this process whose other end is the server's.
 */
#pragma once

#include "bench_wire.h"
#include "mt_log.h"

#define BLAST_LINKS   16
#define BLAST_SOURCES 256

/* Settings from the command line. */
struct blast_link_conf {
	const char *devices[BLAST_LINKS], *addresses[BLAST_LINKS], *gateways[BLAST_LINKS];
	uint32_t n_devices, n_addresses, n_gateways;
	const char *profile; /* NULL: by driver */
	bool ring;	     /* use `n_devices` rings instead of devices */
	const char *far;     /* ring: address of the server's end */
};

struct blast_port {
	struct mt_port *port;
	struct mt_pools pools;
	bool ring;
	const char *address, *gateway; /* "10.1.0.2/24"; gateway NULL: only the local network */
	const struct mt_addr *sources; /* more addresses */
	uint32_t n_sources, max_conns;
	struct bench_wire wire; /* ring: the near end owns it */
};

/* All ports. `connections` is the number that one port must support. */
struct blast_ports {
	uint32_t n;
	struct blast_port near[BLAST_LINKS], far[BLAST_LINKS]; /* far: rings only */
};

/*
 * Starts the EAL: once per process. Returns 0 or -errno with the reason in `e`; objects made before
 * a failure are freed when the process ends.
 */
int blast_link_open(struct blast_ports *p, const struct blast_link_conf *c, uint32_t connections,
	const struct mt_addr *sources, uint32_t n_sources, struct mt_err *e);
/* Waits for a link that needs both ends (memif). Returns 0 or -ENOLINK. */
int blast_link_await(struct blast_ports *p, struct mt_err *e);
/* Call it after all users are done. */
void blast_link_close(struct blast_ports *p);
/* Checks the device; called now and then by the thread that uses the port. */
void blast_port_watch(struct blast_port *p, uint64_t now);

/*
 * Registers the calling thread as an lcore, on any core, because mempool caches belong to lcores.
 * Returns 0 or -errno.
 */
int blast_link_attach(void);
void blast_link_detach(void);
