/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/worker: the poll loop. A worker is one lcore with its part of each library: lib/net, lib/tcp
 * and lib/proxy, the queues that it polls, its pools. Workers share nothing. The control thread
 * creates workers at boot, publishes snapshots that they adopt, and sends them commands through a
 * mailbox. The simulator runs the loop iterations of the same workers itself, in virtual time.
 *
 * An iteration (mt_worker_turn() in loop.c, stages.c) adopts the published snapshot if it changed,
 * then:
 * - receive: 32 packets of each polled queue to mt_net_input(), then by hash.rss to the owner: own
 *   packets to mt_tcp_input(), others to the hand-off ring; then the queues of virtual machines
 *   (mt_worker_guests.h), at most MT_GUESTS_TURN packets
 * - handed: packets that other workers handed over, at most 128
 * - events: neighbour timers, TCP timers (at most 256), mt_tcp_deliver(), exchange timers, answers
 *   of other DNS servers
 * - send: mt_tcp_flush(), then mt_net_flush() hands bursts to the ports
 * - house: every 64 iterations pool levels, if they changed; commands of the control thread
 *
 * Invariants:
 * - An iteration has no clock read, system call, lock or allocation. mt_worker_run() reads the
 *   clock once per iteration. Cycles per stage are read only if there is a clock, and count if the
 *   iteration found work.
 * - Queue q of a port belongs to worker q mod W. Worker 0 polls a port with one queue and
 *   distributes packets in software. It records the time of each iteration (mt_steer_looked()), so
 *   that other workers do not take its pauses for silent paths.
 * - Only the owner processes a packet. The hand-off ring is bounded: excess packets are dropped and
 *   counted (handoff_full), and TCP retransmits them.
 * - rte_rcu_qsbr quiescence is reported once per iteration, so data that an iteration used is free
 *   one iteration later. mt_worker_quiesce() waits for the same by iteration numbers.
 * - A command that is sent before the loop has started waits for it: mt_worker_launching() precedes
 *   the launch, so no command runs in the caller while a loop starts. After the loop's end commands
 *   run in the caller.
 * - mt_worker_reset_all() changes what an iteration does (stop.c): lib/proxy no longer runs, TCP
 *   resets 128 connections per iteration until none is left (reset_at_stop), and later packets get
 *   a RST with the correct number. So an immediate stop leaves no peer with a connection that no
 *   longer exists.
 *
 * Sleep of MT_WORKER_ADAPTIVE. On descriptors, if each queue of a single worker has one
 * (mt_port.rx_fds): until a packet, a notification of a filter's thread, a due timer, or 5 ms, the
 * longest wait of a command. After a wake-up without a packet the worker sleeps in steps of 10 us,
 * and from the fifth in a row in ordinary steps: the TAP driver polls only after its own signal,
 * and a queue that cannot be emptied must not make the worker spin. In steps otherwise: 50 us, and
 * 100 us after 2 ms without packets, less if a timer is due. The kernel's timer slack is 1 ns, so a
 * packet waits about 150 us at most on a machine with a free core. Several workers use steps,
 * because they exchange packets by rings, which have no descriptor. Cost by `tests/run --only
 * idle_worker_sleeps` on a busy 2-core virtual machine (sleeps a second, CPU of the whole idle
 * process in % of a core, median ping to a sleeping worker):
 *
 *     af_packet, steps        6,849   11.4   61 us
 *     af_packet, descriptors    198    0.4   53 us
 *     tap, steps              6,491   10.2  136 us
 *     tap, descriptors          197    0.4   92 us
 *
 * A new stage is a function in stages.c and a row in enum mt_worker_stage, stages[] and
 * mt_worker_stage_names.
 */
#pragma once

#include "mt_hist.h"
#include "mt_dns_guard.h"
#include "mt_dns_lane.h"
#include "mt_l4.h"
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
 * One clock for the process, so that all workers and the control thread agree on `now`:
 * CLOCK_MONOTONIC, extrapolated by the time stamp counter if that has a constant rate.
 */
struct mt_clock {
	uint64_t base_tsc, base_ns;
	uint64_t ns_per_tick; /* 32.32 fixed point; 0: read the kernel's clock each time */
	/* the control thread writes, workers read; wall = now + wall_offset */
	int64_t wall_offset;
};

/* Call after rte_eal_init(). */
void mt_clock_init(struct mt_clock *c);
uint64_t mt_clock_now(const struct mt_clock *c);
uint64_t mt_clock_wall(const struct mt_clock *c, uint64_t now);
/* Reads the wall clock again, because it may be set while we run. Control thread, now and then. */
void mt_clock_sync(struct mt_clock *c);

/* ---- a worker ----------------------------------------------------------------------------- */

/* The stages of a loop iteration, in order. Cycles are counted for each. */
enum mt_worker_stage {
	MT_STAGE_RECEIVE, /* rx bursts through lib/net, own segments through lib/tcp */
	MT_STAGE_HANDED,  /* packets that other workers handed over */
	MT_STAGE_EVENTS,  /* neighbours, due TCP timers, events to lib/proxy, exchange timers */
	MT_STAGE_SEND,	  /* segments that are due, transmit bursts */
	MT_STAGE_HOUSE,	  /* memory marks, commands of the control thread */
	MT_N_STAGES
};

extern const char *const mt_worker_stage_names[MT_N_STAGES];

enum mt_worker_idle {
	MT_WORKER_POLL,	    /* never sleeps: for cores that are dedicated to Meltemi */
	MT_WORKER_ADAPTIVE, /* spins for 100 us after the last packet, then sleeps in short steps */
};

/* Settings of a worker that may change while it runs. */
struct mt_worker_knobs {
	enum mt_worker_idle idle;
	uint16_t burst; /* packets taken from a queue at once; 1 to MT_WORKER_BURST_MAX */
	/* bytes: shorter chains are merged with others that wait (lib/tcp); 0: off */
	uint16_t coalesce;
	uint32_t
		sampling_ms; /* at most one call in so many ms becomes an exemplar; 0: turned off */
};

#define MT_WORKER_BURST_MAX 32

struct mt_worker;
struct mt_trace;

struct mt_token_lane;
struct mt_worker_guests;

struct mt_worker_conf {
	uint16_t index, workers;
	struct mt_port *const *ports;
	uint16_t n_ports;
	/* of `workers` workers, even if there is only one: selects source ports */
	struct mt_steer *steer;
	struct mt_net *net;
	const struct mt_worker_guests *guests; /* mt_worker_guests.h; NULL: none */
	struct mt_pools *pools;		       /* this worker's */
	const struct mt_tcp_conf *tcp;
	const struct mt_proxy_conf *proxy;
	const uint8_t *secret; /* 32 bytes, the same for all workers */
	uint64_t seed;
	uint64_t now;
	enum mt_worker_idle idle;
	/* DNS for clients on the ports; lane NULL: off. */
	struct {
		struct mt_dns_lane *lane;    /* to the thread that queries other servers */
		const struct mt_addr *addrs; /* where clients send queries, at port 53 */
		uint32_t n_addrs;
		bool recursion;			  /* there are other servers to query */
		const struct mt_dns_allow *allow; /* clients that get answers; NULL: all */
	} names;
	/*
	 * TLS: handshakes, and the maximum number of streams; lane NULL: no TLS with clients or
	 * servers.
	 */
	struct {
		struct mt_tls_lane *lane;
		struct mt_aead *aead; /* this worker's */
		uint32_t streams;
	} tls;
	uint32_t flows; /* connections that lib/l4 keeps at most; 0: nothing is forwarded */
	/* Shared by all workers; NULL: endpoints of forwarded services are not checked. */
	struct mt_l4_health *health;
	/* The same; NULL: forwarded services have no limits. */
	struct mt_l4_limiter *limiter;
	struct mt_extauthz_lane *asks;	/* queries external authorization services; NULL: none */
	struct mt_callout_lane *limits; /* queries rate limit services; NULL: none */
	struct mt_rls_grants *grants;	/* of all workers: what these services grant; NULL: none */
	struct mt_token_lane *tokens;	/* verifies tokens; NULL: all are denied */
	struct mt_byte_ring *log;	/* for entries of the access log; NULL: nothing is logged */
	/* Written to (eventfd) when there are requests for the control thread; 0: it polls. */
	int wake_fd;
	/* Where the control thread publishes snapshots; the worker adopts what it finds there. */
	struct mt_snapshot *const *current;
	/* For mt_worker_run() only; NULL in the simulator. */
	struct rte_rcu_qsbr *qsbr;
	const struct mt_clock *clock;
};

/*
 * Creates a worker. Everything that `conf` points to must outlive it. Returns NULL without memory.
 * Boot only.
 */
struct mt_worker *mt_worker_create(const struct mt_worker_conf *conf);
/*
 * Control thread: call when conf.wake_fd was written to, before taking the worker's requests. Later
 * requests write to wake_fd again.
 */
void mt_worker_heard(struct mt_worker *w);
/* Drops all connections without sending anything to peers. NULL is allowed. */
void mt_worker_destroy(struct mt_worker *w);

/*
 * Runs one loop iteration: processes everything that is there at `now`, in bursts. Reads no clock,
 * except cycles for the statistics if `conf` has a clock. Returns how much was done; 0: nothing.
 */
uint32_t mt_worker_turn(struct mt_worker *w, uint64_t now, uint64_t wall);

/* The next time at which an iteration without packets has something to do; MT_NEVER: none. */
uint64_t mt_worker_next(struct mt_worker *w);

/*
 * Call before the lcore is launched: from then on calls wait for the worker's loop, which may not
 * have started yet. If the launch fails, call mt_worker_not_launched().
 */
void mt_worker_launching(struct mt_worker *w);
void mt_worker_not_launched(struct mt_worker *w);
/*
 * Runs loop iterations until mt_worker_stop(). The lcore's main function (arg is the struct
 * mt_worker).
 */
int mt_worker_run(void *arg);
/* Any thread. */
void mt_worker_stop(struct mt_worker *w);

/*
 * Call last before mt_worker_stop(): the worker resets all of its connections, on both sides, some
 * in each iteration. It does nothing else then, except answer stray segments by a RST. Any thread.
 */
void mt_worker_reset_all(struct mt_worker *w);
/* True if all RSTs were handed to the ports, or the worker does not run. */
bool mt_worker_all_reset(const struct mt_worker *w);

/* Changes the settings. On the worker itself, by mt_worker_call(). */
void mt_worker_turn_knobs(struct mt_worker *w, const struct mt_worker_knobs *k);
/* The current settings. Any thread, while nothing changes them. */
struct mt_worker_knobs mt_worker_knobs(const struct mt_worker *w);

/* ---- from the control thread -------------------------------------------------------------- */

/* Runs on the worker at the end of a loop iteration. Must be short, because packets wait. */
typedef void (*mt_worker_command)(struct mt_worker *w, void *arg);

/*
 * Returns false if the mailbox (16 entries) is full. `arg` must stay valid until the command has
 * run.
 */
bool mt_worker_post(struct mt_worker *w, mt_worker_command run, void *arg);
/*
 * Posts a command and waits until it has run. Returns 0, -EAGAIN if the mailbox is full, or
 * -ETIMEDOUT if the worker does not iterate. After -ETIMEDOUT the command may still run later, so
 * `arg` must not be freed. Runs the command in place if the worker is not launched or has ended.
 */
int mt_worker_call(struct mt_worker *w, mt_worker_command run, void *arg, uint32_t timeout_ms);
/*
 * Returns when the worker has finished an iteration that started after this call, or does not run.
 */
void mt_worker_quiesce(struct mt_worker *w);

/* Sets the trace in all libraries of the worker; NULL: none. On the worker, by a command. */
void mt_worker_set_trace(struct mt_worker *w, struct mt_trace *t);

/* Histogram of wake-up latencies (mt_hist.h): accurate to 6 %, below 1 s. */
#define MT_WAKE_BITS	3
#define MT_WAKE_BUCKETS MT_HIST_BUCKETS(MT_WAKE_BITS, 30)

/* Written by the worker; any thread reads it with mt_count_read(). */
struct mt_worker_stats {
	uint64_t counters[MT_WORKER_N_OUTCOMES];
	/*
	 * Cycles of iterations that found something to do, by stage and in total. Idle iterations
	 * do not count.
	 */
	uint64_t cycles[MT_N_STAGES], work_cycles;
	uint64_t idle_ns, run_ns; /* asleep; since mt_worker_run() started */
	/*
	 * Latency of wake-ups, ns: from the time at which a sleep should end to the next poll for
	 * packets. Only of sleeps that ended by time, because the arrival of a packet that ends a
	 * sleep is not known. The kernel wakes the worker in the same way.
	 */
	uint64_t wake[MT_WAKE_BUCKETS];
};

const struct mt_worker_stats *mt_worker_stats(const struct mt_worker *w);
/* MT_DNS_N_OUTCOMES counters of DNS queries on this worker's ports. */
const uint64_t *mt_worker_names_counters(const struct mt_worker *w);
uint16_t mt_worker_index(const struct mt_worker *w);
struct mt_tcp *mt_worker_tcp(struct mt_worker *w);
struct mt_l4 *mt_worker_l4(struct mt_worker *w); /* NULL: nothing is forwarded */
struct mt_netw *mt_worker_net(struct mt_worker *w);
struct mt_proxy *mt_worker_proxy(struct mt_worker *w);
/* NULL: no TLS. */
struct mt_tls_layer *mt_worker_tls(struct mt_worker *w);
struct mt_pools *mt_worker_pools(struct mt_worker *w);
