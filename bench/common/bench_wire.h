/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link of one process between a port of Meltemi's, with one queue a worker, and one host for each queue:
 * rings of mbuf pointers, or pairs of memif devices. Over rings the port is one with RSS: frames to it bear
 * the hash that a device would compute, and the receiver gets the sender's own mbufs.
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
	uint16_t index; /* of Meltemi's port among its ports */
	uint16_t queues, mtu;
	const struct mt_steer *steer; /* whose hash is borne; only with several queues */
};

/* 0 or -errno. Boot only, like all but the ports' bursts. */
int bench_wire_open(struct bench_wire *w, const struct bench_wire_conf *c, struct mt_err *e);
/* The data room that mbufs of such links must have. */
uint16_t bench_wire_room(uint16_t mtu);
/* memif: mbufs for what is received, [queue] each. Rings need no start. */
int bench_wire_start(struct bench_wire *w, struct mt_pools *const *meltemi,
	struct mt_pools *const *peers, struct mt_err *err);
bool bench_wire_up(struct bench_wire *w, uint64_t now);
void bench_wire_close(struct bench_wire *w);
/* Spent in the bursts of one queue of Meltemi's end, ever. */
uint64_t bench_wire_io_cycles(const struct bench_wire *w, uint16_t queue);
/* The same of the host behind it. */
uint64_t bench_wire_peer_cycles(const struct bench_wire *w, uint16_t queue);
