/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_tls_layer.h"
#include "mt_trace.h"
#include "mt_worker.h"

#define MT_WORKER_BURST	     MT_WORKER_BURST_MAX
#define MT_WORKER_HANDED_MAX 128 /* packets taken from other workers in one turn */
/* Connections that give way in a turn, at most. */
#define MT_WORKER_EVICTED     16
#define MT_WORKER_HANDSHAKES  64  /* pieces taken from handshake threads in one turn */
#define MT_WORKER_TIMERS      256 /* timers fired in one turn; the rest in the next */
#define MT_WORKER_MARKS_EVERY 64  /* turns between two looks at the pools */
#define MT_WORKER_RESETS      128 /* connections reset in one turn; what a transmit ring takes */
#define MT_MAILBOX	      16

struct mt_mail {
	mt_worker_command run;
	void *arg;
};

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
	int epoll;	  /* of all receive queues; -1: some cannot be slept on */
	bool woken;	  /* the last sleep ended by a packet that is still to be found */
	uint8_t alarms;	  /* how often that happened in a row, and none was found */
	uint64_t busy_at; /* the last turn that did something */
	/* Other threads end a sleep on `epoll` by it; -1: there was none yet. */
	int wake;
	struct mt_filter_inbox *inbox; /* what they have put there; NULL: nobody does */
	struct mt_tls_lane *lane;      /* the same, of handshakes */
};

/* ---- names.c, names_tcp.c: DNS on the data path --------------------------------------------- */

#define MT_NAMES_CONNS	 128  /* clients over TCP */
#define MT_NAMES_CLIENTS 2048 /* buckets of clients */

/* Who asked; what the control thread hands back with the answer. */
struct names_where {
	struct mt_addr client, local;
	struct mt_ref conn; /* over TCP */
	uint16_t rport, port;
	struct rte_ether_addr peer;
	bool datagram;
};

struct names_conn {
	struct mt_stream *s;
	struct mt_list node; /* of conns_by_use: the most silent first */
	uint64_t last;
	uint32_t waiting; /* questions with the control thread */
};

struct mt_names {
	struct mt_dns_lane *lane; /* NULL: names are not served */
	const struct mt_addr *addrs;
	uint32_t n_addrs;
	bool recursion;
	const struct mt_dns_allow *allow;
	struct mt_dns_rate *rate;
	uint64_t now;
	struct mt_rand rnd;
	uint64_t pass_last;
	uint32_t pass_tokens;
	/* The same for each client, by hash of its address (IPv6: of its /64) with a secret: who shares a bucket shares its tokens. */
	struct names_bucket {
		uint64_t last;
		uint32_t tokens;
	} * clients; /* [MT_NAMES_CLIENTS] */
	uint64_t clients_seed;
	struct mt_slab conns;
	struct mt_list conns_by_use;
	uint64_t counters[MT_DNS_N_OUTCOMES];
};

/* wake.c */
struct mt_wake {
	int fd;	       /* 0: none */
	uint32_t put;  /* questions that were put when it was looked at */
	uint32_t sent; /* worker: w, ctl: r */
};

struct mt_worker {
	uint16_t index, workers;
	uint16_t n_polled;
	uint16_t pop_next; /* whose hand-off ring comes first */
	uint16_t burst;	   /* packets taken from a queue at once */
	bool measure;
	bool spreads; /* polls queues that hold packets of other workers as well */
	struct mt_polled *polled;
	struct mt_steer *steer;
	struct mt_netw *net;
	struct mt_tcp *tcp;
	struct mt_proxy *proxy;
	struct mt_tls_lane *tls_lane; /* NULL: there is no TLS */
	struct mt_tls_layer tls;
	struct mt_pools *pools;
	struct mt_trace *trace; /* NULL: nothing is traced */
	struct mt_snapshot *const *current;
	struct mt_snapshot *snapshot;
	uint32_t to_marks;
	uint32_t free_pct; /* as last told to tcp and proxy */
	struct mt_idle idle;
	struct rte_rcu_qsbr *qsbr;
	const struct mt_clock *clock;
	struct mt_worker_stats stats;
	struct mt_names names;
	struct mt_wake wake;
	struct mt_handover to[MT_WORKERS_MAX];

	/* what the control thread writes */
	bool stop mt_cache_aligned; /* ctl: w, worker: r */
	bool reset_all;		    /* ctl: w, worker: r; from now on mt_stop_turn() */
	bool running;		    /* ctl: w true before the launch, worker: w false at its end */
	uint32_t mail_tail;	    /* ctl: w, worker: r */
	uint32_t wake_heard;	    /* ctl: w, worker: r; of wake.sent */
	struct mt_mail mail[MT_MAILBOX];
	uint32_t mail_head mt_cache_aligned; /* worker: w, ctl: r */
	uint64_t turn;			     /* worker: w, ctl: r; finished turns */
	bool all_reset;			     /* worker: w, ctl: r */
	uint32_t reset_idx;		     /* where mt_tcp_reset_all() goes on */
};

/* stages.c: each returns how much it did */
uint32_t mt_stage_receive(struct mt_worker *w);
uint32_t mt_stage_handed(struct mt_worker *w);
uint32_t mt_stage_events(struct mt_worker *w);
uint32_t mt_stage_send(struct mt_worker *w);
uint32_t mt_stage_house(struct mt_worker *w);

/*
 * handoff.c: keeps the packets that this worker owns (returns how many, at the head of pkts) and hands
 * the others over. `hashed`: the device claims to deliver to the owner.
 */
uint16_t mt_handoff_split(struct mt_worker *w, struct rte_mbuf **pkts, uint16_t n, bool hashed);

/* Tells the notes of these packets who will own them, before mt_handoff_split(). */
void mt_handoff_traced(struct mt_worker *w, struct rte_mbuf *const *pkts, uint16_t n, bool hashed);
static inline void mt_handoff_trace(
	struct mt_worker *w, struct rte_mbuf *const *pkts, uint16_t n, bool hashed)
{
	if (mt_traced(w->trace))
		mt_handoff_traced(w, pkts, n, hashed);
}

/* stop.c: the turn of a worker that was told mt_worker_reset_all() */
uint32_t mt_stop_turn(struct mt_worker *w, uint64_t now);

/* wake.c: behind each turn. */
void mt_wake_turn(struct mt_worker *w);

/* names.c */
bool mt_names_init(struct mt_worker *w, const struct mt_worker_conf *c);
void mt_names_fini(struct mt_worker *w);
void mt_names_begin(struct mt_worker *w, uint64_t now);
/* Answers of other servers, and clients that are silent; how many. */
uint32_t mt_names_turn(struct mt_worker *w);
uint64_t mt_names_next(const struct mt_worker *w);
/* Whether names are asked for there. */
bool mt_names_serves(const struct mt_names *n, const struct mt_addr *local, uint16_t port);

#define MT_NAMES_LATER	 (UINT32_MAX - 1)
#define MT_NAMES_SILENCE UINT32_MAX
/* The length of the answer in `out`, which has MT_DNS_UDP_MAX bytes at least, or one of these. */
uint32_t mt_names_answer(struct mt_worker *w, const struct names_where *where, const uint8_t *msg,
	uint32_t len, uint8_t *out, uint32_t room);

/* names_tcp.c */
extern const struct mt_listen_ops
	mt_names_listen_ops; /* of names and of lib/proxy; arg: the worker */
void mt_names_conn_tell(
	struct mt_worker *w, const struct names_where *where, const uint8_t *msg, uint32_t len);
uint32_t mt_names_conn_expire(struct mt_worker *w);
uint64_t mt_names_conn_next(const struct mt_worker *w);

/* mailbox.c */
uint32_t mt_mailbox_run(struct mt_worker *w);

/* idle.c */
void mt_idle_init(struct mt_idle *i, enum mt_worker_idle profile, uint64_t now);
/* How long to sleep after a turn at `now` that found nothing, in ns, not past `next`; 0: go on. */
uint64_t mt_idle_step(const struct mt_idle *i, uint64_t now, uint64_t next);
/* A turn at `now` did something. */
void mt_idle_busy(struct mt_idle *i, uint64_t now);
/* Sleeps for so long, or until a packet comes. */
void mt_idle_sleep(struct mt_idle *i, uint64_t ns);
/* Makes i->epoll if there is nothing that has to be looked for; mt_worker_run() only. */
void mt_idle_open(struct mt_worker *w);
void mt_idle_close(struct mt_idle *i);
/* When no other thread can end its sleeps any more. */
void mt_idle_fini(struct mt_idle *i);
