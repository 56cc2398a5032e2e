/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inline bench: one core runs a stub client, Meltemi and a stub server in turn, joined by rings
 * or memif, and reads the clock only around Meltemi's loop iterations. So a small machine can
 * measure one worker accurately: the cost of Meltemi's ports is included, that of the peers is not.
 */
#pragma once

#include "bench_node.h"

#include "bench_host.h"
#include "bench_stripped.h"
#include "bench_tls.h"

enum path_peer_kind { PATH_STACK, PATH_STRIPPED };
/* Sides with the mesh's mutual TLS: from clients, to servers. */
enum path_tls { PATH_CLEAR, PATH_TLS_DOWN, PATH_TLS_UP, PATH_TLS_BOTH };
/* Tracing: none, of no call, of every call. */
enum path_traced { PATH_UNTRACED, PATH_TRACED_NONE, PATH_TRACED_ALL };
/* Where a UDP port is forwarded at layer 4: nowhere, at another address, at that of the service. */
enum path_forwarding { PATH_TERMINATES, PATH_FORWARDS_ELSEWHERE, PATH_FORWARDS_HERE };
/*
 * Whether a scraper and `top` query the control thread meanwhile, and the table that `top` shows.
 */
enum path_watch_kind {
	PATH_UNWATCHED,
	PATH_WATCH_SERVICES,
	PATH_WATCH_CLUSTERS,
	PATH_WATCH_CONNECTIONS,
	PATH_WATCH_EXCHANGES,
};

struct path_options {
	enum bench_codec codec;
	const char *codec_file, *protocol; /* of the codec file; NULL: Meltemi's own codec */
	enum bench_link link;
	enum path_peer_kind peer;
	enum path_tls tls;
	enum path_forwarding forwarding;
	enum mt_tls_cipher cipher;
	enum mt_eal_pages pages;
	uint32_t size; /* bytes of the string in request and reply */
	uint32_t conns, outstanding, routes;
	uint16_t mtu;		     /* of both links */
	uint32_t samples, exchanges; /* number of samples, and exchanges in each */
	uint32_t workers;	     /* each with its own queue, client and server */
	bool threads;		     /* each worker and its peers on a core of their own */
	bool churn;		     /* a client connection carries one exchange */
	bool policies, multiplexing, json;
	bool log;      /* each call leaves an entry of the access log */
	bool names;    /* ... and its format names metadata: Istio's default one */
	bool log_full; /* ... which is lost, because nothing reads the full ring */
	bool keyed;    /* each client address has a limit of its own */
	enum path_traced traced;
	int retries; /* attempts that a VirtualService allows after the first; -1: there is none */
	enum path_watch_kind watch;
	uint32_t watch_every; /* exchanges between two rounds of queries */
	uint32_t turn_ns;     /* counted time of each loop iteration; 0: the real clock */
	uint32_t flows;	      /* of the forwarded port, for each worker; 0: it has no traffic */
};

#define PATH_VIP    "240.240.0.10"
#define PATH_OTHER  "240.240.0.11" /* of a forwarded port */
#define PATH_SERVER "10.2.0.2"
#define PATH_BEGIN  MT_SEC /* start of counted time */

/* options.c */
int path_options_parse(int argc, char **argv, struct path_options *o);
extern const char *const path_peer_names[], *const path_tls_names[];

/* config.c: writes the documents; `options` is a struct path_options. */
void path_documents(FILE *f, const void *options);

/* peer.c: a client or a server on one queue, of either kind. */
struct path_peer {
	const struct path_options *o;
	struct bench_host *host; /* or */
	struct bench_stripped *stripped;
	struct bench_message in, out; /* stripped: its two fixed messages */
	uint64_t cycles;	      /* of its loop iterations */
};
struct path_peer_conf {
	const struct path_options *o;
	bool server;
	struct mt_port *port;
	const struct mt_steer *steer; /* of this peer, with one worker */
	const struct mt_steer *node;  /* Meltemi's, and which of its workers serves this queue */
	uint16_t worker;
	struct mt_pools *pools;
	const struct bench_tls_end *tls; /* NULL: plaintext */
	uint64_t now;
};
void path_peer_open(struct path_peer *p, const struct path_peer_conf *c);
void path_peer_close(struct path_peer *p);
void path_peer_turn(struct path_peer *p, uint64_t now);
/* Client: opens connections to the VIP until there are `conns`, at most `max` per call. */
void path_peer_connect(struct path_peer *p, const struct mt_addr *vip, uint32_t max);
uint32_t path_peer_connected(const struct path_peer *p);
uint64_t path_peer_replies(const struct path_peer *p);
uint64_t path_peer_errors(const struct path_peer *p);
/* Stripped: total packets in and out. */
uint64_t path_peer_packets(const struct path_peer *p);
/* Prints its counters on standard error. */
void path_peer_tell(const struct path_peer *p);

/*
 * trap.c, for the program path_trapped: between path_trap(true) and path_trap(false) this thread
 * must not allocate or free memory, take a lock of the C library or make a system call; else the
 * program ends.
 */
void path_trap(bool on);

/* node.c: Meltemi with its workers, and for each of them the peers on its queues. */
struct path_lane {
	const struct path_options *o;
	const struct mt_clock *clock;
	struct mt_worker *worker;
	struct path_peer client, server;
	struct mt_pools pools[3]; /* Meltemi, client, server */
	int perf_fd;
	uint64_t turn_cycles, instructions, turns, idle_turns;
	uint64_t passed; /* counted time, ns */
	struct mt_rand rand;
	bool flooded;		  /* all flows are made, and have traffic */
	struct mt_byte_ring *log; /* for entries of the access log; NULL: none */
	uint64_t logged;	  /* entries that were read */
	uint32_t tries;
} mt_cache_aligned;

struct path_watch;

struct path_node {
	struct path_options o;
	struct mt_clock clock;
	struct bench_wire wire[2]; /* to the clients, to the servers */
	/* for Meltemi's workers; for end hosts, with one worker */
	struct mt_steer steer, peers_steer;
	struct mt_net *net;
	struct mt_conf *conf;
	struct mt_node_limits *node_limits;
	struct bench_tls tls; /* zero: no TLS */
	struct mt_addr vip;
	struct path_lane lanes[MT_WORKERS_MAX];
	struct path_watch *watch; /* NULL: no queries */
};
void path_node_up(struct path_node *b);
void path_node_down(struct path_node *b);
/* No progress: prints where it stopped, and ends the program. */
void path_die_stalled(struct path_lane *l, const char *what) __attribute__((noreturn));

/* log.c: the ring of a worker, whose entries are read and dropped between two loop iterations. */
struct mt_byte_ring *path_log_new(bool full);
void path_log_free(struct mt_byte_ring *r);
void path_log_turn(struct path_lane *l);

/* flows.c: makes some flows of the forwarded port; false: all are made. */
bool path_flows_next(struct path_lane *l);
/* Forwards a burst of random flows, between two loop iterations of the worker. */
void path_flows_turn(struct path_lane *l);

/*
 * watch.c: the control thread and its clients. Rounds run one after another; each is a scrape and
 * the queries of `top`.
 */
struct path_watch *path_watch_start(const struct path_node *b);
/* Call it when no round is outstanding. NULL is allowed. */
void path_watch_stop(struct path_watch *w);
/* Starts one more round. */
void path_watch_ask(struct path_watch *w);
/* True while the last round is not answered. */
bool path_watch_owed(const struct path_watch *w);
/* Number of answered rounds. */
uint32_t path_watch_rounds(const struct path_watch *w);
