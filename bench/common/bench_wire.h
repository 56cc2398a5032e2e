/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link inside one process between a port of Meltemi's, with one queue per worker, and one host
 * for each queue: rings of mbuf pointers, or pairs of memif devices. Over rings the port is one
 * with RSS: frames to it carry the hash that a device would compute, and the receiver gets the
 * sender's own mbufs.
 */
#pragma once

#include "mt_port_boot.h"
#include "mt_steer.h"

enum bench_link { BENCH_RING, BENCH_MEMIF, BENCH_LINKS };
extern const char *const bench_link_names[BENCH_LINKS + 1]; /* ends with NULL */

struct bench_wire {
	struct mt_port *meltemi;
	struct mt_port *peers[MT_WORKERS_MAX];
};

struct bench_wire_conf {
	const char *name;
	enum bench_link link;
	uint16_t index; /* index of Meltemi's port */
	uint16_t queues, mtu;
	const struct mt_steer *steer; /* computes that hash; only with several queues */
};

/* Returns 0 or -errno. Boot only, like all functions except the ports' bursts. */
int bench_wire_open(struct bench_wire *w, const struct bench_wire_conf *c, struct mt_err *e);
/* Data room that mbufs of such links must have. */
uint16_t bench_wire_room(uint16_t mtu);
/* memif: sets the mbuf pools for received packets, one per queue. Rings need no start. */
int bench_wire_start(struct bench_wire *w, struct mt_pools *const *meltemi,
	struct mt_pools *const *peers, struct mt_err *err);
bool bench_wire_up(struct bench_wire *w, uint64_t now);
void bench_wire_close(struct bench_wire *w);
/* Total cycles spent in the bursts of one queue of Meltemi's end. */
uint64_t bench_wire_io_cycles(const struct bench_wire *w, uint16_t queue);
/* The same for the host at that queue. */
uint64_t bench_wire_peer_cycles(const struct bench_wire *w, uint16_t queue);
