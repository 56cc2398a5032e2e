/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DPDK side of meltemi-blast: memory, and for each thread a port with buffers of its own. A port is a
 * device, or one end of a ring in this process whose other end is the server's.
 */
#pragma once

#include "bench_wire.h"
#include "mt_log.h"

#define BLAST_LINKS   16
#define BLAST_SOURCES 256

/* What the command line says of it. */
struct blast_link_conf {
	const char *devices[BLAST_LINKS], *addresses[BLAST_LINKS], *gateways[BLAST_LINKS];
	uint32_t n_devices, n_addresses, n_gateways;
	const char *profile; /* NULL: by driver */
	bool ring;	     /* instead of devices: `n_devices` rings */
	const char *far;     /* ring: address of the server's end */
};

struct blast_port {
	struct mt_port *port;
	struct mt_pools pools;
	bool ring;
	const char *address, *gateway; /* "10.1.0.2/24"; gateway NULL: only its own network */
	const struct mt_addr *sources; /* more addresses */
	uint32_t n_sources, max_conns;
	struct bench_wire wire; /* ring: the near end owns it */
};

/* What all of them have. `connections` is how many one of them is to hold. */
struct blast_ports {
	uint32_t n;
	struct blast_port near[BLAST_LINKS], far[BLAST_LINKS]; /* far: rings only */
};

/* Starts the EAL: once per process. 0 or -errno with the reason in `e`; what was made ends with the process. */
int blast_link_open(struct blast_ports *p, const struct blast_link_conf *c, uint32_t connections,
	const struct mt_addr *sources, uint32_t n_sources, struct mt_err *e);
/* A link that is made by two (memif) is waited for. 0 or -ENOLINK. */
int blast_link_await(struct blast_ports *p, struct mt_err *e);
/* After everything that uses it. */
void blast_link_close(struct blast_ports *p);
/* Looks after the device; now and then, by the thread that uses the port. */
void blast_port_watch(struct blast_port *p, uint64_t now);

/* A thread that uses a port: mempool caches belong to lcores, so it becomes one, on any core. 0 or -errno. */
int blast_link_attach(void);
void blast_link_detach(void);
