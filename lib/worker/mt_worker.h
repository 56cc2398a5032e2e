/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/worker: the poll loop. A worker is one lcore with its part of every room: lib/net, lib/tcp and
 * lib/proxy, the queues that it polls, its pools. Workers share nothing; what belongs to another one
 * is handed over by bounded rings. The control thread creates workers at boot, publishes snapshots
 * that they adopt, and talks to them through a mailbox. The simulator turns the same workers by hand.
 */
#pragma once

#include "mt_hist.h"
#include "mt_dns_guard.h"
#include "mt_dns_lane.h"
#include "mt_proxy.h"
#include "mt_tcp.h"

struct rte_rcu_qsbr;

enum mt_worker_outcome {
#define MT_OUTCOME(n, s, w) MT_WORKER_##n,
#include "worker_outcomes.def"
#undef MT_OUTCOME
	MT_WORKER_N_OUTCOMES
};

extern const struct mt_outcome_set mt_worker_outcomes;

/* ---- the clock ---------------------------------------------------------------------------- */

/*
 * One for the process, so that all workers and the control thread agree on `now`: CLOCK_MONOTONIC,
 * carried on by the time stamp counter where that runs evenly.
 */
struct mt_clock {
	uint64_t base_tsc, base_ns;
	uint64_t ns_per_tick; /* 32.32 fixed point; 0: ask the kernel each time */
	int64_t wall_offset;  /* ctl: w, workers: r; wall = now + wall_offset */
};

/* After rte_eal_init(). */
void mt_clock_init(struct mt_clock *c);
uint64_t mt_clock_now(const struct mt_clock *c);
uint64_t mt_clock_wall(const struct mt_clock *c, uint64_t now);
/* Takes the wall clock over again (it may be set while we run); control thread, now and then. */
void mt_clock_sync(struct mt_clock *c);

/* ---- a worker ----------------------------------------------------------------------------- */

/* The parts of a turn, in their order; cycles are counted for each. */
enum mt_worker_stage {
	MT_STAGE_RECEIVE, /* rx bursts through lib/net, own segments through lib/tcp */
	MT_STAGE_HANDED,  /* what other workers handed over */
	MT_STAGE_EVENTS,  /* neighbours, due TCP timers, events to lib/proxy, exchange timers */
	MT_STAGE_SEND,	  /* segments that are due, transmit bursts */
	MT_STAGE_HOUSE,	  /* memory marks, commands of the control thread */
	MT_N_STAGES
};

extern const char *const mt_worker_stage_names[MT_N_STAGES];

enum mt_worker_idle {
	MT_WORKER_POLL,	    /* never sleeps: for cores that are given to Meltemi */
	MT_WORKER_ADAPTIVE, /* spins for 100 us behind the last packet, then sleeps in short steps */
};

/* What of a running worker can be turned. */
struct mt_worker_knobs {
	enum mt_worker_idle idle;
	uint16_t burst;	   /* packets taken from a queue at once; 1 to MT_WORKER_BURST_MAX */
	uint16_t coalesce; /* bytes: shorter chains join others that wait (lib/tcp); 0: none do */
	uint32_t
		sampling_ms; /* at most one call in that time becomes an exemplar (lib/proxy); 0: none does */
};

#define MT_WORKER_BURST_MAX 32

struct mt_worker;
struct mt_trace;

struct mt_token_lane;

struct mt_worker_conf {
	uint16_t index, workers;
	struct mt_port *const *ports;
	uint16_t n_ports;
	struct mt_steer *steer; /* of `workers` workers, also with one: source ports come from it */
	struct mt_net *net;
	struct mt_pools *pools; /* this worker's */
	const struct mt_tcp_conf *tcp;
	const struct mt_proxy_conf *proxy;
	const uint8_t *secret; /* 32 bytes, the same for all workers */
	uint64_t seed;
	uint64_t now;
	enum mt_worker_idle idle;
	/* DNS for clients on the ports; lane NULL: none. */
	struct {
		struct mt_dns_lane *lane;    /* to who asks other servers */
		const struct mt_addr *addrs; /* where clients ask, at port 53 */
		uint32_t n_addrs;
		bool recursion;			  /* there are other servers */
		const struct mt_dns_allow *allow; /* who is answered; NULL: everybody */
	} names;
	/* TLS: handshakes, and how many streams at once; NULL: neither clients nor servers are spoken with by TLS. */
	struct {
		struct mt_tls_lane *lane;
		struct mt_aead *aead; /* this worker's */
		uint32_t streams;
	} tls;
	/* Written to (eventfd) when there are questions for the control thread; 0: it looks by itself. */
	struct mt_extauthz_lane *asks; /* what asks external authorization services; NULL: nobody */
	struct mt_token_lane *tokens;  /* what verifies them; NULL: all are denied */
	int wake_fd;
	/* Where the control thread publishes; the worker adopts what it finds there. */
	struct mt_snapshot *const *current;
	/* For mt_worker_run() only; NULL in the simulator. */
	struct rte_rcu_qsbr *qsbr;
	const struct mt_clock *clock;
};

/* Everything that `conf` points to outlives the worker. NULL: no memory. Boot only. */
struct mt_worker *mt_worker_create(const struct mt_worker_conf *conf);
/* Control thread, when conf.wake_fd was written to, and before it takes the worker's questions: the next ones ring again. */
void mt_worker_heard(struct mt_worker *w);
/* Connections are dropped without a word to peers. NULL is allowed. */
void mt_worker_destroy(struct mt_worker *w);

/*
 * One turn: everything that is there at `now` is worked off, in bursts. Reads no clock (but cycles for
 * the statistics, if there is a clock in `conf`). Returns how much was done; 0: nothing.
 */
uint32_t mt_worker_turn(struct mt_worker *w, uint64_t now, uint64_t wall);

/* The next moment at which a turn without packets would do something; MT_NEVER: none. */
uint64_t mt_worker_next(struct mt_worker *w);

/*
 * Before the lcore is launched, by who launches it: from here on calls wait for the worker's loop, which
 * may not have begun yet. Without a launch (it failed): mt_worker_not_launched().
 */
void mt_worker_launching(struct mt_worker *w);
void mt_worker_not_launched(struct mt_worker *w);
/* Turns until mt_worker_stop(); the lcore's main function (arg is the struct mt_worker). */
int mt_worker_run(void *arg);
/* Any thread. */
void mt_worker_stop(struct mt_worker *w);

/*
 * The last thing before mt_worker_stop(): the worker resets all of its connections, both sides, some
 * each turn, and does nothing else any more but answer strays by a RST. Any thread.
 */
void mt_worker_reset_all(struct mt_worker *w);
/* Whether all RSTs were handed to the ports, or the worker does not run. */
bool mt_worker_all_reset(const struct mt_worker *w);

/* On the worker itself, by mt_worker_call(). */
void mt_worker_turn_knobs(struct mt_worker *w, const struct mt_worker_knobs *k);
/* As they are; any thread, of a worker that nobody turns at that moment. */
struct mt_worker_knobs mt_worker_knobs(const struct mt_worker *w);

/* ---- from the control thread -------------------------------------------------------------- */

/* Executed by the worker at the foot of a turn. It must be short: packets wait. */
typedef void (*mt_worker_command)(struct mt_worker *w, void *arg);

/* false: the mailbox (16 entries) is full. `arg` must stay until the command has run. */
bool mt_worker_post(struct mt_worker *w, mt_worker_command run, void *arg);
/*
 * Posts and waits until it has run. -ETIMEDOUT: the worker does not turn (the command may still run
 * later, so `arg` must not be freed then). 0 in place when the worker is not launched or has ended.
 */
int mt_worker_call(struct mt_worker *w, mt_worker_command run, void *arg, uint32_t timeout_ms);
/* Returns when the worker has passed a turn that began after this call, or does not run. */
void mt_worker_quiesce(struct mt_worker *w);

/*
 * What passes from now on is traced there, in all rooms of the worker; NULL: no more. On the worker: by a
 * command.
 */
void mt_worker_set_trace(struct mt_worker *w, struct mt_trace *t);

/* Of wake-ups, by mt_hist.h: within 6 %, below 1 s. */
#define MT_WAKE_BITS	3
#define MT_WAKE_BUCKETS MT_HIST_BUCKETS(MT_WAKE_BITS, 30)

/* Written by the worker, read by anyone with mt_count_read(). */
struct mt_worker_stats {
	uint64_t counters[MT_WORKER_N_OUTCOMES];
	/* Of turns that found something to do, by stage and in all; the others only looked. */
	uint64_t cycles[MT_N_STAGES], work_cycles;
	uint64_t idle_ns, run_ns; /* asleep; since mt_worker_run() began */
	/*
	 * ns from the moment that was to end a sleep to the first look for packets behind it. Of sleeps that time ended: when a
	 * packet came that ended one, nobody tells; the kernel wakes the worker on the same way.
	 */
	uint64_t wake[MT_WAKE_BUCKETS];
};

const struct mt_worker_stats *mt_worker_stats(const struct mt_worker *w);
/* MT_DNS_N_OUTCOMES, of names that were asked for on this worker's ports. */
const uint64_t *mt_worker_names_counters(const struct mt_worker *w);
uint16_t mt_worker_index(const struct mt_worker *w);
struct mt_tcp *mt_worker_tcp(struct mt_worker *w);
struct mt_netw *mt_worker_net(struct mt_worker *w);
struct mt_proxy *mt_worker_proxy(struct mt_worker *w);
/* NULL: it speaks no TLS. */
struct mt_tls_layer *mt_worker_tls(struct mt_worker *w);
struct mt_pools *mt_worker_pools(struct mt_worker *w);
