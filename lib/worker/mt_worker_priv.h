/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_tls_layer.h"
#include "mt_trace.h"
#include "mt_worker.h"

#define MT_WORKER_BURST	     MT_WORKER_BURST_MAX
#define MT_WORKER_HANDED_MAX 128 /* packets taken from other workers in one iteration */
/* Connections evicted in one iteration, at most. */
#define MT_WORKER_EVICTED     16
#define MT_WORKER_HANDSHAKES  64  /* pieces taken from handshake threads in one iteration */
#define MT_WORKER_TIMERS      256 /* timers run in one iteration; the rest run in the next */
#define MT_WORKER_MARKS_EVERY 64  /* iterations between two checks of the pools */
/* No sleep and no iteration lasts so long: the thread was stopped, or had no CPU. */
#define MT_WORKER_PAUSE_NS (250 * MT_MSEC)
/* connections reset in one iteration; as many as a transmit ring takes */
#define MT_WORKER_RESETS 128
#define MT_MAILBOX	 16

struct mt_mail {
	mt_worker_command run;
	void *arg;
};

struct mt_guests_worker;

/* Packets on their way to one other worker. */
struct mt_handover {
	uint16_t n;
	struct rte_mbuf *pkts[MT_WORKER_BURST];
};

/* One queue of one port that this worker polls. */
struct mt_polled {
	struct mt_port *port;
	uint16_t queue;
};

struct mt_idle {
	enum mt_worker_idle profile;
	int epoll;	  /* watches all receive queues; -1: some have no descriptor */
	bool woken;	  /* a packet ended the last sleep and is not found yet */
	uint8_t alarms;	  /* how often in a row that happened without a packet found */
	uint64_t busy_at; /* the last iteration that did something */
	/* eventfd by which other threads end a sleep on `epoll`; -1: none yet */
	int wake;
	struct mt_filter_inbox *inbox; /* results of filters' threads; NULL: none */
	struct mt_tls_lane *lane;      /* results of handshake threads */
};

/* ---- names.c, names_tcp.c: DNS on the data path --------------------------------------------- */

#define MT_NAMES_CONNS	 128  /* maximum of clients over TCP */
#define MT_NAMES_CLIENTS 2048 /* token buckets of clients */

/* The client of a query. The control thread returns it with the answer. */
struct names_where {
	struct mt_addr client, local;
	struct mt_ref conn; /* for queries over TCP */
	uint16_t rport, port;
	struct rte_ether_addr peer;
	bool datagram;
};

struct names_conn {
	struct mt_stream *s;
	struct mt_list node; /* in conns_by_use: the longest silent first */
	uint64_t last;
	uint32_t waiting; /* queries at the control thread */
};

struct mt_names {
	struct mt_dns_lane *lane; /* NULL: DNS is not served */
	const struct mt_addr *addrs;
	uint32_t n_addrs;
	bool recursion;
	const struct mt_dns_allow *allow;
	struct mt_dns_rate *rate;
	uint64_t now;
	struct mt_rand rnd;
	uint64_t pass_last;
	uint32_t pass_tokens;
	/*
	 * Token bucket of each client, by the hash of its address (IPv6: of its /64) with a secret.
	 * Clients with the same hash share the tokens.
	 */
	struct names_bucket {
		uint64_t last;
		uint32_t tokens;
	} * clients; /* [MT_NAMES_CLIENTS] */
	uint64_t clients_seed;
	struct mt_slab conns;
	struct mt_list conns_by_use;
	uint64_t counters[MT_DNS_N_OUTCOMES];
};

/* ---- checks.c: connections that check endpoints of forwarded services ------------------------ */

struct mt_checks {
	struct worker_check {
		struct mt_stream *s; /* NULL: free */
		uint32_t index, token;
	} at[MT_L4_CHECKS_AT_ONCE];
	uint32_t next; /* where to look for a free one */
};

extern const struct mt_l4_check_ops mt_checks_ops; /* `arg` is the worker */

/* State of wake.c. */
struct mt_wake {
	int fd;	       /* 0: none */
	uint32_t put;  /* queries put when the worker last checked */
	uint32_t sent; /* the worker writes, the control thread reads */
};

struct mt_worker {
	uint16_t index, workers;
	uint16_t n_polled;
	uint16_t pop_next; /* the hand-off ring that comes first */
	uint16_t burst;	   /* packets taken from a queue at once */
	bool measure;
	bool spreads; /* polls queues that also have packets of other workers */
	struct mt_polled *polled;
	uint64_t now; /* of the current iteration */
	/* guests.c */
	const struct mt_worker_guests *guests; /* NULL: none */
	struct mt_guests_worker *guests_part;
	uint64_t advertise_at;
	uint16_t advertise_to;
	struct mt_steer *steer;
	struct mt_netw *net;
	struct mt_l4 *l4; /* NULL: nothing is forwarded */
	struct mt_tcp *tcp;
	struct mt_proxy *proxy;
	struct mt_tls_lane *tls_lane; /* NULL: no TLS */
	struct mt_tls_layer tls;
	struct mt_pools *pools;
	struct mt_trace *trace; /* NULL: no trace */
	struct mt_snapshot *const *current;
	struct mt_snapshot *snapshot;
	uint32_t to_marks;
	uint32_t free_pct; /* as last reported to tcp and proxy */
	struct mt_idle idle;
	struct rte_rcu_qsbr *qsbr;
	const struct mt_clock *clock;
	struct mt_worker_stats stats;
	struct mt_names names;
	struct mt_checks checks;
	struct mt_wake wake;
	struct mt_handover to[MT_WORKERS_MAX];

	/* Written by the control thread. */
	bool stop mt_cache_aligned; /* control thread writes, worker reads */
	bool reset_all;		    /* as `stop`; from then on mt_stop_turn() runs */
	/* the control thread sets it before the launch, the worker clears it at its end */
	bool running;
	uint32_t mail_tail;  /* control thread writes, worker reads */
	uint32_t wake_heard; /* as mail_tail; value of wake.sent */
	struct mt_mail mail[MT_MAILBOX];
	uint32_t mail_head mt_cache_aligned; /* worker writes, control thread reads */
	uint64_t turn;			     /* as mail_head; finished iterations */
	bool all_reset;			     /* as mail_head */
	uint32_t reset_idx;		     /* where mt_tcp_reset_all() continues */
};

/* stages.c: each returns how much it did. */
uint32_t mt_stage_receive(struct mt_worker *w);
uint32_t mt_stage_handed(struct mt_worker *w);
uint32_t mt_stage_events(struct mt_worker *w);
uint32_t mt_stage_send(struct mt_worker *w);
uint32_t mt_stage_house(struct mt_worker *w);
/* Passes a burst that was received by this port on. */
void mt_stage_input(struct mt_worker *w, struct mt_port *port, struct rte_mbuf **pkts, uint16_t n);

/* guests.c: receives from guests, if the worker has any. Returns the number of packets. */
uint32_t mt_guests_stage(struct mt_worker *w);

/*
 * handoff.c: moves the packets that this worker owns to the start of pkts, returns their number,
 * and hands the others over. `hashed`: the device claims to deliver to the owner.
 */
uint16_t mt_handoff_split(struct mt_worker *w, struct rte_mbuf **pkts, uint16_t n, bool hashed);

/* Sets the owner in the trace notes of these packets, before mt_handoff_split(). */
void mt_handoff_traced(struct mt_worker *w, struct rte_mbuf *const *pkts, uint16_t n, bool hashed);
static inline void mt_handoff_trace(
	struct mt_worker *w, struct rte_mbuf *const *pkts, uint16_t n, bool hashed)
{
	if (mt_traced(w->trace))
		mt_handoff_traced(w, pkts, n, hashed);
}

/* stop.c: the iteration of a worker after mt_worker_reset_all(). */
uint32_t mt_stop_turn(struct mt_worker *w, uint64_t now);

/* wake.c: call after each iteration. */
void mt_wake_turn(struct mt_worker *w);

/* names.c */
bool mt_names_init(struct mt_worker *w, const struct mt_worker_conf *c);
void mt_names_fini(struct mt_worker *w);
void mt_names_begin(struct mt_worker *w, uint64_t now);
/* Sends answers of other servers and closes idle clients. Returns how many. */
uint32_t mt_names_turn(struct mt_worker *w);
uint64_t mt_names_next(const struct mt_worker *w);
/* True if DNS is served at this address and port. */
bool mt_names_serves(const struct mt_names *n, const struct mt_addr *local, uint16_t port);

#define MT_NAMES_LATER	 (UINT32_MAX - 1)
#define MT_NAMES_SILENCE UINT32_MAX
/*
 * Returns the length of the answer in `out`, which has at least MT_DNS_UDP_MAX bytes, or one of the
 * values above.
 */
uint32_t mt_names_answer(struct mt_worker *w, const struct names_where *where, const uint8_t *msg,
	uint32_t len, uint8_t *out, uint32_t room);

/* names_tcp.c */
extern const struct mt_listen_ops
	mt_names_listen_ops; /* for DNS and lib/proxy; the `arg` of its functions is the worker */
void mt_names_conn_tell(
	struct mt_worker *w, const struct names_where *where, const uint8_t *msg, uint32_t len);
uint32_t mt_names_conn_expire(struct mt_worker *w);
uint64_t mt_names_conn_next(const struct mt_worker *w);

/* mailbox.c */
uint32_t mt_mailbox_run(struct mt_worker *w);

/* idle.c */
void mt_idle_init(struct mt_idle *i, enum mt_worker_idle profile, uint64_t now);
/*
 * Time to sleep after an iteration at `now` that found nothing, in ns, not past `next`; 0: go on.
 */
uint64_t mt_idle_step(const struct mt_idle *i, uint64_t now, uint64_t next);
/* Notes that an iteration at `now` did something. */
void mt_idle_busy(struct mt_idle *i, uint64_t now);
/* Sleeps for `ns`, or until a packet comes. */
void mt_idle_sleep(struct mt_idle *i, uint64_t ns);
/* Creates i->epoll if nothing needs polling. For mt_worker_run() only. */
void mt_idle_open(struct mt_worker *w);
void mt_idle_close(struct mt_idle *i);
/* Call when no other thread can end the worker's sleeps any more. */
void mt_idle_fini(struct mt_idle *i);
