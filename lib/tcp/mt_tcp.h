/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/tcp: a complete TCP endpoint (RFC 9293 and the RFCs that RFC 7414 lists). `struct mt_tcp` is
 * one worker's stack: connection table, half-open and TIME-WAIT records, timers. It reads no clock
 * and does no I/O: segments and `now` come in, segments go to lib/net. Called by lib/worker (input,
 * timers, flush), and by users of streams through mt_stream.h only.
 */
#pragma once

#include "mt_net.h"
#include "mt_outcome.h"
#include "mt_rand.h"
#include "mt_slab.h"
#include "mt_stream.h"
#include "mt_wheel.h"

enum mt_tcp_outcome {
#define MT_OUTCOME(n, s, w) MT_TCP_##n,
#include "tcp_outcomes.def"
#undef MT_OUTCOME
	MT_TCP_N_OUTCOMES
};

extern const struct mt_outcome_set mt_tcp_outcomes;

struct mt_tcp; /* mt_tcp_priv.h */
struct mt_trace;
struct mt_table;
struct mt_tcp_conn; /* mt_tcp_conn_priv.h; its first member is a struct mt_stream */

/* Explicit congestion notification (RFC 3168). */
enum mt_tcp_ecn {
	MT_TCP_ECN_ACCEPT, /* when the peer requests it */
	MT_TCP_ECN_OFF,
	MT_TCP_ECN_ASK, /* also request it in the SYNs of connections that this node opens */
};

#define MT_TCP_KEEPALIVE_OFF UINT32_MAX

/* Tunables; 0 in a field means the default in parentheses. */
struct mt_tcp_conf {
	uint32_t max_conns;	   /* connection objects (default 65,536) */
	uint32_t max_half_open;	   /* above this, SYN cookies (4,096) */
	uint32_t max_time_wait;	   /* (16,384) */
	uint32_t time_wait_ms;	   /* (60,000) */
	uint32_t rx_window_init;   /* bytes (65,536) */
	uint32_t rx_window_max;	   /* (1,048,576) */
	uint32_t tx_high;	   /* truesize that a connection may queue (1,048,576) */
	uint32_t connect_ms;	   /* (1,000), for streams opened with timeout 0 */
	uint32_t keepalive_idle_s; /* (7,200), at most 20 days; MT_TCP_KEEPALIVE_OFF: none */
	/*
	 * (15) The same for a peer that has sent its FIN while this side is still open, if that is
	 * less. A client that has gone looks like one that only ended its requests, until its
	 * kernel, which keeps a closed socket for a minute, answers with a RST. Calls of many
	 * servers take longer, so an early probe pays off; a probe costs nothing.
	 */
	uint32_t half_closed_s;
	uint32_t delack_ms;  /* (40) */
	uint32_t min_rto_ms; /* (200) */
	/* consecutive retransmissions without an answer (9), at most 30 */
	uint32_t retries_max;
	uint16_t mss4, mss6;	   /* advertised (MTU - 60, - 80; at least those of MTU 1500) */
	uint16_t port_lo, port_hi; /* source ports (20,000-60,999) */
	uint32_t resets_per_s;	   /* RSTs per second for segments without a connection (1,000) */
	uint8_t ecn;		   /* enum mt_tcp_ecn */
	bool cc_newreno;	   /* NewReno in place of CUBIC */
	bool cookies_always;	   /* for tests */
	bool slow_path_only;	   /* for tests: the fast path may change only the speed */
};

/*
 * Creates one worker's stack. `secret` (32 bytes, from mt_rand_secret(), shared by workers) keys
 * initial sequence numbers (RFC 6528) and cookies. NULL: no memory. Boot only.
 */
struct mt_tcp *mt_tcp_create(const struct mt_tcp_conf *conf, uint16_t worker,
	const struct mt_steer *steer, struct mt_netw *net, struct mt_pools *pools,
	const struct mt_listen_ops *listen, void *listen_arg, const uint8_t secret[32],
	uint64_t seed, uint64_t now);
/*
 * Chains shorter than this are appended to bytes that are still queued; 0: none are. Call it on the
 * stack's own thread; the default is 384.
 */
void mt_tcp_set_coalesce(struct mt_tcp *t, uint16_t bytes);
uint16_t mt_tcp_coalesce(const struct mt_tcp *t);
/* Frees everything without notifying peers. */
void mt_tcp_destroy(struct mt_tcp *t);

/*
 * Saves or loads the stack as an image (mt_image.h): connections and everything kept for others.
 * Call it between two loop iterations; saving changes nothing. Load into a new stack; if im->error
 * is set, that stack must be destroyed. Call mt_tcp_image_parts() before mt_tcp_image(), for saving
 * and for loading.
 */
struct mt_image;
void mt_tcp_image_parts(struct mt_tcp *t, struct mt_image *im);
void mt_tcp_image(struct mt_tcp *t, struct mt_image *im);

/* ---- one loop iteration, in this order ---- */

/* Sets `now` until the next call. */
void mt_tcp_begin(struct mt_tcp *t, uint64_t now);
/*
 * Processes segments from mt_net_input() whose owner is this worker. Segments without a known owner
 * come here too; those that match no connection get a RST.
 */
void mt_tcp_input(struct mt_tcp *t, struct rte_mbuf **pkts, uint16_t n);
/* Runs due timers, at most `budget`. Returns how many fired. */
uint32_t mt_tcp_timers(struct mt_tcp *t, uint32_t budget);
/* Delivers merged events (readable, eof, writable, closed) to users. */
void mt_tcp_deliver(struct mt_tcp *t);
/*
 * Sends what is due: data of connections touched in this loop iteration, then ACKs that were not
 * piggy-backed.
 */
void mt_tcp_flush(struct mt_tcp *t);
/* The next moment at which a timer is due (MT_NEVER: none). */
uint64_t mt_tcp_next(struct mt_tcp *t);

/* ---- other calls ---- */

/* Transport for opening streams; lives as long as the stack. */
struct mt_transport *mt_tcp_transport(struct mt_tcp *t);

/*
 * For an immediate stop: resets connections from *idx (at first 0) on, until `budget` peers have
 * been sent a RST. Their users get no event and must not touch their streams again. The RSTs leave
 * with the next flush. Returns the number of RSTs; fewer than `budget` means that all connections
 * are done.
 */
uint32_t mt_tcp_reset_all(struct mt_tcp *t, uint32_t *idx, uint32_t budget);

/* Records segments in `trace` from now on; NULL: stop. Call it between loop iterations. */
void mt_tcp_set_trace(struct mt_tcp *t, struct mt_trace *trace);

/*
 * Drops SYNs without an answer from now on, for a process that is about to end: a client repeats
 * its SYN, and so connects to the next process in place of a failure.
 */
void mt_tcp_ignore_syns(struct mt_tcp *t);
/* True if a connection that its user has detached still has bytes to deliver. */
bool mt_tcp_owes(const struct mt_tcp *t);
/*
 * True if mt_tcp_reset_all() would reset a detached connection that accepts no more data: the
 * client has not closed yet, so its application may not have read the last replies.
 */
bool mt_tcp_lingers(const struct mt_tcp *t);

/* Handlers for mt_net_events. */
void mt_tcp_neigh_event(struct mt_tcp *t, uint32_t neigh, bool ok);
void mt_tcp_icmp_event(struct mt_tcp *t, const struct mt_tuple *tuple, uint32_t seq,
	enum mt_net_icmp kind, uint16_t mtu);

/*
 * Sets the memory marks of design §4 from the percentage of free data mbufs. The worker calls it
 * once per loop iteration.
 */
void mt_tcp_pressure(struct mt_tcp *t, uint32_t free_pct);

uint64_t *mt_tcp_counters(struct mt_tcp *t);

/* One row of `show connections`; a plain copy. */
struct mt_tcp_info {
	uint32_t index, born_ms; /* together unique among the connections of a worker */
	/* valid on the worker's thread, in the same loop iteration only */
	const struct mt_stream *stream;
	struct mt_tuple tuple;
	char state[16];
	bool accepted;
	uint32_t snd_cwnd, snd_wnd, rcv_wnd, srtt_us, rto_ms, retransmits;
	uint32_t ssthresh; /* UINT32_MAX: no loss yet */
	uint32_t rttvar_us, min_rtt_us, mss;
	uint32_t unacked, lost; /* bytes in flight; of those, bytes considered lost */
	uint32_t timeouts;	/* consecutive, without progress */
	uint32_t zero_windows;	/* times the peer's window was zero while bytes waited */
	uint32_t rx_bytes, tx_bytes, ooo_bytes;
	uint64_t bytes_in, bytes_out, age_ns;
};

/* Iterates connections: *idx starts at 0; false at the end. Worker's thread only. */
bool mt_tcp_info_next(struct mt_tcp *t, uint32_t *idx, struct mt_tcp_info *info);
/*
 * Ledger of the worker's buffers by holder; settled at the end of each flush. Worker's thread only.
 */
struct mt_ledger *mt_tcp_ledger(struct mt_tcp *t);
/*
 * For tests, between loop iterations: checks that each connection is charged what it holds, and
 * each class the sum. NULL: correct; otherwise a description of the error, in static memory.
 */
const char *mt_tcp_ledger_wrong(struct mt_tcp *t);
/*
 * For tests, between loop iterations: bytes of truesize that all connections hold, including what
 * is not settled yet.
 */
uint64_t mt_tcp_held(struct mt_tcp *t);
/*
 * Evicts from each class whose share is used up, until the class is below its share. Calls
 * mt_stream_user.evict for the largest connections of the largest holders, at most `budget` times
 * in all. If holders are not known yet, it looks for them first. Call it once per loop iteration,
 * between mt_tcp_deliver() and the flush. Returns the number of evictions requested.
 */
uint32_t mt_tcp_evict(struct mt_tcp *t, uint32_t budget);
/* For `show memory`: fills in pointers to the slabs, at most `max`; returns how many. */
uint32_t mt_tcp_slabs(const struct mt_tcp *t, const struct mt_slab **slabs, uint32_t max);
/* Bytes of memory of an idle connection, including its entries in tables. */
uint32_t mt_tcp_conn_bytes(void);
/* The hot table, for its statistics. */
const struct mt_table *mt_tcp_table(const struct mt_tcp *t);
/* Numbers of live connections, half-open records and TIME-WAIT records. */
void mt_tcp_counts(
	const struct mt_tcp *t, uint32_t *conns, uint32_t *half_open, uint32_t *time_wait);
