/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many connections: one core runs a stub client, Meltemi and a stub server in turn, joined by rings
 * of buffers, in virtual time. There are real handshakes on both sides and data on each connection.
 * Then it measures the memory of idle connections, the cost of a loop iteration with them, and the
 * cost of an exchange on any one of them. Memory and cost of the end hosts are in no figure.
 */
#pragma once

#include "bench_node.h"

#include "bench_host.h"
#include "bench_tls.h"

#define SCALE_STEPS_MAX 8
#define SCALE_ADDRS	64	       /* addresses of clients' services, and of servers */
#define SCALE_STEP_NS	(20 * MT_USEC) /* virtual time of a loop iteration */
#define SCALE_TURNS_MAX 40000000ull    /* iterations of one phase; above this it hangs */

struct scale_options {
	enum bench_codec codec;
	uint32_t size;
	enum mt_eal_pages pages;
	uint32_t steps[SCALE_STEPS_MAX], n_steps;
	uint32_t samples, exchanges, outstanding;
	uint32_t churn;	     /* connections opened, used and closed at each step */
	uint32_t idle_hours; /* hours of virtual time */
	uint32_t max_bytes;  /* limit of bytes for a client and a server connection; 0: none */
	bool tls;	     /* for clients and towards servers */
};

/* options.c */
int scale_options_parse(int argc, char **argv, struct scale_options *o);

/*
 * config.c: writes documents with SCALE_ADDRS addresses on either side; `options` is a struct
 * scale_options.
 */
void scale_documents(FILE *f, const void *options);
void scale_vip(uint32_t i, struct mt_addr *vip);

/* memory.c */
struct scale_memory {
	uint64_t counted;  /* objects in use, their generations, buckets of the table */
	uint64_t resident; /* the same, as reported by the kernel: whole pages */
	uint64_t process;  /* resident memory of the whole process */
};
void scale_memory_read(struct scale_memory *m, struct mt_worker *w);
/* Bytes of memory that an end host's connections have touched. */
uint64_t scale_memory_host(const struct bench_host *h);
/* One line per kind of object. */
void scale_memory_tell(struct mt_worker *w, uint32_t conns);

/* lookup.c: cycles of one lookup among the stack's connections in random order. */
struct scale_lookup {
	double staged, single;
};
void scale_lookup_measure(struct mt_tcp *t, uint32_t conns, struct scale_lookup *l);

/* State of the measured setup. */
struct scale {
	struct scale_options o;
	struct mt_pools pools[3]; /* Meltemi, client, server */
	struct bench_wire wire[2];
	struct mt_steer steer;
	struct mt_net *net;
	struct mt_conf *conf;
	struct bench_tls tls; /* zero: plaintext */
	struct mt_worker *worker;
	struct bench_host *client, *server;
	struct mt_rand rand;
	struct scale_memory base;
	uint64_t base_hosts;
	uint64_t now; /* virtual time */
	uint64_t cycles, instructions, worst, turns, idle_work;
	int perf_fd;
};
extern struct scale scale;

/* node.c */
void scale_set_up(void);
void scale_tear_down(void);
/* Runs one loop iteration of all three; returns whether Meltemi had work. */
uint32_t scale_turn(uint64_t step);
uint32_t scale_meltemi_turn(void);
/* A function of its own: check.py counts its instructions. */
void idle_turn(uint64_t now);
void scale_reset_counts(void);
/* Resets the longest iteration, and ignores disturbances until now. */
void scale_forget_disturbances(void);
/*
 * Runs until delayed ACKs are sent, probes are answered and TIME-WAIT is over, up to a fixed time.
 */
void scale_settle(uint64_t ns);
struct bench_host_counts scale_client(void);
void scale_die_stalled(const char *what) __attribute__((noreturn));
void scale_open_one(enum bench_life life);
/* Opens connections until there are n. Each one is used: data has passed in both directions. */
void scale_open_up_to(uint32_t n);

/* Results of one step. */
struct scale_figures {
	double counted, resident, process;     /* bytes per client connection */
	double idle_cycles, idle_instructions; /* per iteration without work */
	/* per connection and hour; the longest iteration in that time */
	double keep_cycles, worst_us;
	double ns_min, ns_median, cycles_min, instructions_exchange, segments;
	double churn_ns, churn_cycles;
	struct scale_lookup lookup;
};

/* measure.c: opens and uses one client connection first, so that one-time allocations are done. */
void scale_measure_base(void);
void scale_measure(uint32_t n, struct scale_figures *f);
