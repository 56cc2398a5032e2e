/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inline bench: one core runs a stub client, Meltemi and a stub server in turn, joined by rings or
 * memif, and reads the clock only around Meltemi's turns. So a small machine measures one worker
 * honestly: what the peers cost is not in the figure, what Meltemi's ports cost is.
 */
#pragma once

#include "mt_conf.h"
#include "mt_port_boot.h"
#include "mt_worker.h"

enum bench_codec { BENCH_THRIFT, BENCH_DUBBO, BENCH_TCP };
enum bench_link { BENCH_RING, BENCH_MEMIF };

struct bench_options {
	enum bench_codec codec;
	enum bench_link link;
	enum mt_eal_pages pages;
	uint32_t size; /* bytes of the string in request and reply */
	uint32_t conns, outstanding, routes, burst;
	uint16_t mtu;		     /* of both links */
	uint32_t samples, exchanges; /* how many samples, exchanges in each */
	uint32_t workers;	     /* each with its own queue, client and server */
	bool threads;		     /* each worker with its peers on a core of its own */
	bool churn;		     /* a client connection carries one exchange */
	bool policies, multiplexing, json;
};

/* options.c */
int bench_options_parse(int argc, char **argv, struct bench_options *o);

/* message.c: one request and one reply of the protocol; ids are patched in place. */
struct bench_message {
	uint8_t *bytes;
	uint32_t len;
};
void bench_request(const struct bench_options *o, struct bench_message *m);
void bench_reply(const struct bench_options *o, struct bench_message *m);
/* Length of the frame that begins with these bytes; 0: more are needed. */
uint32_t bench_frame_len(const struct bench_options *o, const struct mt_chain *c);
void bench_get_id(const struct bench_options *o, const struct mt_chain *c, uint8_t id[8]);
void bench_put_id(const struct bench_options *o, struct bench_message *m, const uint8_t id[8]);

/*
 * wire.c: a link between Meltemi's port, with one queue a worker, and one stub host for each queue. Over
 * rings the port is one with RSS: frames to it bear the hash that a device would compute.
 */
struct bench_wire {
	struct mt_port *meltemi;
	struct mt_port *peers[MT_WORKERS_MAX];
};
int bench_wire_open(struct bench_wire *w, const struct bench_options *o, const char *name,
	uint16_t index, const struct mt_steer *steer, struct mt_err *e);
/* The data room that mbufs of these links must have. */
uint16_t bench_wire_room(const struct bench_options *o);
int bench_wire_start(struct bench_wire *w, struct mt_pools *const *meltemi,
	struct mt_pools *const *peers, struct mt_err *err);
bool bench_wire_up(struct bench_wire *w, uint64_t now);
void bench_wire_close(struct bench_wire *w);
/* Spent in the bursts of one queue of Meltemi's end, ever. */
uint64_t bench_wire_io_cycles(const struct bench_wire *w, uint16_t queue);

/* peer.c: a stub host on lib/net and lib/tcp. */
struct bench_peer;
struct bench_peer_conf {
	const struct bench_options *o;
	const char *address, *gateway; /* gateway NULL: none */
	bool server;
	struct mt_port *port;
	const struct mt_steer *steer; /* its own, of one worker */
	/* Client: connections are opened so that this worker owns them. */
	const struct mt_steer *node;
	uint16_t worker;
	struct mt_pools *pools;
	uint64_t now;
};
struct bench_peer *bench_peer_create(const struct bench_peer_conf *c);
void bench_peer_destroy(struct bench_peer *p);
void bench_peer_turn(struct bench_peer *p, uint64_t now);
/* Client: opens connections to the VIP until there are `conns`, at most `max` of them. */
void bench_peer_open(struct bench_peer *p, const struct mt_addr *vip, uint16_t port, uint32_t max);
uint32_t bench_peer_connected(const struct bench_peer *p);
uint64_t bench_peer_replies(const struct bench_peer *p);
uint64_t bench_peer_errors(const struct bench_peer *p);

/* config.c: documents like an operator's, compiled by lib/conf. */
struct mt_snapshot *bench_config(const struct bench_options *o, struct mt_conf *conf, uint64_t now);
#define BENCH_VIP  "240.240.0.10"
#define BENCH_PORT 9090

/* node.c: Meltemi with its workers, and for each of them the peers on its queues. */
struct bench_lane {
	const struct bench_options *o;
	const struct mt_clock *clock;
	struct mt_worker *worker;
	struct bench_peer *client, *server;
	struct mt_pools pools[3]; /* Meltemi, client, server */
	int perf_fd;
	uint64_t turn_cycles, instructions, turns, idle_turns;
} mt_cache_aligned;

struct bench_node {
	struct bench_options o;
	struct mt_clock clock;
	struct bench_wire wire[2];	    /* to the clients, to the servers */
	struct mt_steer steer, peers_steer; /* of Meltemi's workers; of one, for stub hosts */
	struct mt_net *net;
	struct mt_conf *conf;
	struct mt_addr vip;
	struct bench_lane lanes[MT_WORKERS_MAX];
};
void bench_node_up(struct bench_node *b);
void bench_node_down(struct bench_node *b);
void bench_die(const char *what, const struct mt_err *e) __attribute__((noreturn));
/* Nothing moves: what this worker has counted says where it stopped. */
void bench_die_stalled(struct bench_lane *l, const char *what) __attribute__((noreturn));

/* counters.c: instructions retired by this thread in user space; -1: the kernel does not tell. */
int bench_instructions_open(void);
uint64_t bench_instructions_read(int fd);
/* Involuntary context switches and steal time since start: samples with any are rejected. */
uint64_t bench_disturbances(void);
