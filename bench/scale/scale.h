/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many connections: one core runs a stub client, Meltemi and a stub server in turn, joined by rings of
 * buffers, in virtual time. Real handshakes on both sides, bytes through each connection, then: what do
 * idle ones hold, what does a turn cost beside them, what does an exchange cost on any one of them. What
 * the stub hosts hold and cost is in no figure.
 */
#pragma once

#include "../path/path.h"

#define SCALE_STEPS_MAX 8
#define SCALE_ADDRS	64 /* addresses of clients' services, and of servers */

struct scale_options {
	struct bench_options o; /* codec and size; the rest is not used */
	uint32_t steps[SCALE_STEPS_MAX], n_steps;
	uint32_t samples, exchanges, outstanding;
	uint32_t churn;	     /* connections opened, used and closed at each step */
	uint32_t idle_hours; /* virtual */
	uint32_t max_bytes;  /* a pair may hold; 0: no matter */
};

/* options.c */
int scale_options_parse(int argc, char **argv, struct scale_options *o);

/* config.c: documents with SCALE_ADDRS addresses on either side. */
struct mt_snapshot *scale_config(const struct bench_options *o, struct mt_conf *conf, uint64_t now);
void scale_vip(uint32_t i, struct mt_addr *vip);

/* host.c: a stub host; the client's connections are named by their order, from 0. */
struct scale_host;
struct scale_host_conf {
	const struct bench_options *o;
	bool server;
	uint32_t max_conns;
	struct mt_port *port;
	const struct mt_steer *steer;
	struct mt_pools *pools;
	uint64_t now;
};
struct scale_host *scale_host_create(const struct scale_host_conf *c);
void scale_host_destroy(struct scale_host *h);
void scale_host_turn(struct scale_host *h, uint64_t now);
/* Opens a connection; `once`: it asks once, and closes when it was answered. */
bool scale_host_open(struct scale_host *h, const struct mt_addr *vip, bool once);
/* Sends a request on connection i, unless it waits for a reply. */
bool scale_host_ask(struct scale_host *h, uint32_t i);
struct scale_host_counts {
	uint32_t connected, open;
	uint64_t replies, errors;
};
void scale_host_counts(const struct scale_host *h, struct scale_host_counts *c);
struct mt_tcp *scale_host_tcp(struct scale_host *h);
/* Bytes of memory that its connections have touched. */
uint64_t scale_host_memory(const struct scale_host *h);

/* memory.c */
struct scale_memory {
	uint64_t counted;  /* objects in use, their generations, buckets of the table */
	uint64_t resident; /* of the same, as the kernel says: whole pages */
	uint64_t process;  /* resident memory of all of the process */
};
void scale_memory_read(struct scale_memory *m, struct mt_tcp *tcp, struct mt_proxy *proxy);
uint64_t scale_slab_bytes(const struct mt_slab *s);
uint64_t scale_table_bytes(const struct mt_table *t);
/* One line per kind of object. */
void scale_memory_tell(struct mt_tcp *tcp, struct mt_proxy *proxy, uint32_t conns);

/* lookup.c: cycles of one lookup among the stack's connections in random order. */
struct scale_lookup {
	double staged, single;
};
void scale_lookup_measure(struct mt_tcp *t, uint32_t conns, struct scale_lookup *l);
