/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/tcp: one worker's stack and the calls between its files. Data flows
 *
 * 	in.c -> dispatch.c -> in_slow.c -> ack.c (sack.c, rtt.c, cc*) -> ooo.c -> close.c
 * 	out.c <- flush.c (wait.c) <- operations of mt_stream.h, timer.c
 *
 * No operation and no event handler sends: it marks the connection (mt_tcp_mark()) and flush sends.
 */
#pragma once

#include "mt_table.h"
#include "mt_tcp.h"
#include "mt_tcp_cell_priv.h"
#include "mt_tcp_conn_priv.h"

/*
 * Chains shorter than this are appended by copy to bytes that are still queued (design:
 * coalescing).
 */
#define MT_TCP_COALESCE_MAX 384

#define MT_TCP_HALF_LEVELS                                                                         \
	6 /* SYN-ACK sent again after 1, 2, 4, 8, 16 s; given up after 32 s more */

/* Contents of a table value: two bits of kind, thirty of slab index. */
enum mt_tcp_kind { MT_TCP_KIND_CONN, MT_TCP_KIND_HALF, MT_TCP_KIND_TW };

/* Singly linked through ev_next or fl_next; indices + 1. */
struct mt_tcp_queue {
	uint32_t head, tail, n;
};

/*
 * Wait queues of connections: one per port, by its number, and after these the ones for neighbours,
 * by the neighbour's index, so that an event does not visit all connections that wait.
 */
#define MT_TCP_WAIT_NEIGH  MT_PORTS_MAX
#define MT_TCP_WAIT_NEIGHS 128
#define MT_TCP_WAITS	   (MT_PORTS_MAX + MT_TCP_WAIT_NEIGHS)
_Static_assert(MT_TCP_WAITS <= UINT8_MAX, "mt_tcp_conn.wait_for");

static inline uint16_t mt_tcp_wait_of_neigh(uint32_t neigh)
{
	return (uint16_t)(MT_TCP_WAIT_NEIGH + neigh % MT_TCP_WAIT_NEIGHS);
}

/* Doubly linked through fl_next and fl_prev; indices + 1. */
struct mt_tcp_wait {
	uint32_t head, tail, n;
	uint32_t
		left; /* not yet served in this round; connections which came later join the next */
	uint8_t round;
};

struct mt_tcp {
	/* s->ops points here, so that the stack can be found from a stream */
	struct mt_stream_ops ops;
	struct mt_transport transport;
	struct mt_tcp_conf conf;
	const struct mt_cc_ops *cc;
	uint16_t worker;
	uint8_t rcv_scale; /* window scale to announce, for rx_window_max */
	uint8_t pressure;  /* 0-3: memory pressure, by the marks of free data mbufs */
	uint16_t coalesce; /* bytes, at first MT_TCP_COALESCE_MAX */
	const struct mt_steer *steer;
	struct mt_netw *net;
	struct mt_pools *pools;
	struct mt_trace *trace; /* NULL: nothing is traced */
	const struct mt_listen_ops *listen;
	void *listen_arg;
	uint8_t secret[32];
	uint64_t hash_key[2];
	struct mt_rand rand;
	uint64_t now;
	uint32_t now_ms, now_us; /* both wrap; now_us is never 0 */

	struct mt_table table; /* tuple -> kind and index */
	struct mt_slab conns, halves, tws, ooos, losses;
	struct mt_tcp_path *paths; /* path.c */
	struct mt_wheel wheel;
	struct mt_tcp_queue events; /* ev_next */
	struct mt_tcp_queue flush;  /* fl_next */
	uint32_t waiting;	    /* bit mask of the ports with a wait queue */
	struct mt_tcp_wait wait[MT_TCP_WAITS];
	uint32_t *dead; /* indices of connections to reap */
	uint32_t n_dead;

	struct mt_tcp_half_list {
		uint32_t head, tail; /* index + 1 */
	} half[MT_TCP_HALF_LEVELS];
	bool ignores_syns; /* mt_tcp_ignore_syns() */
	/* until then cookies are accepted, because some were sent; 0: none */
	uint64_t cookie_until;

	uint32_t *tw_due;  /* per TIME-WAIT record: when it ends, ms; 0: it was ended early */
	uint32_t *tw_ring; /* indices, in the order of their end */
	uint32_t tw_head, tw_n, tw_cap;
	uint32_t tw_live; /* records in the table */

	uint32_t rst_tokens; /* for RSTs that answer segments without a connection */
	uint32_t rst_ms;
	uint64_t rack_walked; /* buffers walked over for loss detection: the cost of ACKs */
	uint32_t sweep_idx;   /* position of mt_tcp_sweep(); UINT32_MAX: done */
	struct mt_ledger ledger;
	uint32_t find_idx; /* position of the search for holders */
	uint64_t counters[MT_TCP_N_OUTCOMES];
};

static inline void mt_tcp_note(struct mt_tcp *t, enum mt_tcp_outcome o)
{
	mt_count(t->counters, o);
}

static inline struct mt_tcp *mt_tcp_of(const struct mt_stream *s)
{
	return mt_container_of(s->ops, struct mt_tcp, ops);
}

static inline struct mt_tcp_conn *mt_tcp_conn_of(struct mt_stream *s)
{
	return mt_container_of(s, struct mt_tcp_conn, s);
}

static inline uint32_t mt_tcp_val(enum mt_tcp_kind kind, uint32_t idx)
{
	return (uint32_t)kind << 30 | idx;
}

static inline enum mt_tcp_kind mt_tcp_val_kind(uint32_t val)
{
	return (enum mt_tcp_kind)(val >> 30);
}

static inline uint32_t mt_tcp_val_idx(uint32_t val)
{
	return val & 0x3fffffff;
}

/* A deadline in ms from now that never fires early; never 0. */
static inline uint32_t mt_tcp_in(const struct mt_tcp *t, uint32_t ms)
{
	uint32_t at = t->now_ms + ms + 1;

	return at ? at : 1;
}

static inline bool mt_tcp_due(const struct mt_tcp *t, uint32_t at)
{
	return (int32_t)(t->now_ms - at) >= 0;
}

static inline uint32_t mt_tcp_ts_now(const struct mt_tcp *t, uint32_t ts_off)
{
	return t->now_ms + ts_off;
}

static inline struct mt_tcp_ooo *mt_tcp_ooo(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	return c->ooo ? mt_slab_at(&t->ooos, c->ooo - 1) : NULL;
}

static inline struct mt_tcp_loss *mt_tcp_loss(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	return c->loss ? mt_slab_at(&t->losses, c->loss - 1) : NULL;
}

/* ---- lookup.c: the hot table ---- */
bool mt_tcp_table_init(struct mt_tcp *t);
/* Value of a tuple in the table; MT_TABLE_NONE: not found. */
uint32_t mt_tcp_find(const struct mt_tcp *t, const struct mt_tuple *tuple, uint32_t hash);
/* Prefetches what the first entry under this hash will need, and returns that entry. */
uint32_t mt_tcp_prefetch(const struct mt_tcp *t, uint32_t hash);
/* One stage later: prefetches the connection's queues. */
void mt_tcp_prefetch_queue(const struct mt_tcp *t, uint32_t val);
static inline uint32_t mt_tcp_hash(const struct mt_tcp *t, const struct mt_tuple *tuple)
{
	return mt_tuple_hash(tuple, t->hash_key);
}
/* Connection of a tuple; NULL: none (or a record of another kind). */
struct mt_tcp_conn *mt_tcp_find_conn(struct mt_tcp *t, const struct mt_tuple *tuple);

/* ---- conn.c: life of a connection object, the lists ---- */
/* Allocates a connection that is not in the table; NULL: all are in use (counted). */
struct mt_tcp_conn *mt_tcp_conn_new(struct mt_tcp *t, const struct mt_tuple *tuple);
/* Puts the connection on the flush list. */
void mt_tcp_mark(struct mt_tcp *t, struct mt_tcp_conn *c);
void mt_tcp_event(struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t ev);
/*
 * Ends the protocol: removes the connection from the table and stops its timer. Queued data stays
 * until the connection is dead.
 */
void mt_tcp_conn_end(struct mt_tcp *t, struct mt_tcp_conn *c);
/* Ends the connection with an error: closed(reason) follows (nothing if detached). */
void mt_tcp_conn_fail(struct mt_tcp *t, struct mt_tcp_conn *c, enum mt_close_reason reason);
/* Frees queues; the object is reaped at the end of the flush. */
void mt_tcp_conn_dead(struct mt_tcp *t, struct mt_tcp_conn *c);
void mt_tcp_conn_reap(struct mt_tcp *t);
/* End of the last outstanding byte that was sent more than once; walks over outstanding data. */
uint32_t mt_tcp_resent_to(const struct mt_tcp *t, const struct mt_tcp_conn *c);
void mt_tcp_queue_push(struct mt_tcp *t, struct mt_tcp_queue *q, struct mt_tcp_conn *c);
struct mt_tcp_conn *mt_tcp_queue_pop(struct mt_tcp *t, struct mt_tcp_queue *q);
void mt_tcp_loss_free(struct mt_tcp *t, struct mt_tcp_conn *c);
extern const struct mt_stream_user mt_tcp_user_none;

/* settle.c, and mt_tcp_settle_priv.h */
/*
 * While admission is limited for incomplete messages (mt_ledger_crowd()): true if the connection
 * may not hold any, because it holds none yet.
 */
bool mt_tcp_crowded_out(const struct mt_tcp *t, const struct mt_tcp_conn *c);
bool mt_tcp_put_back(struct mt_stream *s);
void mt_tcp_touch(struct mt_stream *s);
void mt_tcp_again(struct mt_stream *s);
void mt_tcp_class(struct mt_stream *s, enum mt_class rx, enum mt_class tx);

/* ---- opts.c ---- */
/* Parses the TCP header at `skip` bytes into m; false: malformed (counted), m is not freed. */
bool mt_tcp_parse(struct mt_tcp *t, struct rte_mbuf *m, struct mt_tcp_seg *seg);
/* Option writers; return the new length of `opts` (a multiple of 4). */
uint32_t mt_tcp_opts_syn(uint8_t opts[MT_TCP_OPTS_MAX], uint8_t has, uint16_t mss, uint8_t wscale,
	uint32_t tsval, uint32_t tsecr);
uint32_t mt_tcp_opts_ts(uint8_t opts[MT_TCP_OPTS_MAX], uint32_t tsval, uint32_t tsecr);
uint32_t mt_tcp_opts_data(struct mt_tcp *t, struct mt_tcp_conn *c, uint8_t opts[MT_TCP_OPTS_MAX]);

/* ---- dispatch.c: legal segments by state ---- */
enum mt_tcp_action {
	MT_TCP_DO_DROP,	  /* never legal: dropped and counted */
	MT_TCP_DO_RESET,  /* answered with a RST (RFC 9293 §3.10.7.1) */
	MT_TCP_DO_LISTEN, /* a SYN for a listener */
	MT_TCP_DO_COOKIE, /* possibly the ACK of a SYN cookie */
	MT_TCP_DO_HALF,	  /* for a half-open record */
	MT_TCP_DO_SYN_SENT,
	MT_TCP_DO_ARRIVES, /* synchronized states (RFC 9293 §3.10.7.4) */
	MT_TCP_DO_TIME_WAIT,
	MT_TCP_N_ACTIONS
};
/* `flags`: FIN, SYN, RST, ACK as on the wire; others are ignored. */
enum mt_tcp_action mt_tcp_dispatch(enum mt_tcp_state state, uint8_t flags);

/* ---- in.c, in_slow.c ---- */
#define MT_TCP_BURST 32
/* Processes one segment by the table of legal actions. Takes or frees seg->m. */
void mt_tcp_segment(struct mt_tcp *t, struct mt_tcp_seg *seg);
void mt_tcp_arrives(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg);
/*
 * Appends in-sequence payload to rx, advances rcv_nxt and schedules the ACK. False: not accepted,
 * so it must not be acknowledged.
 */
bool mt_tcp_take(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg);
/* At most MT_TCP_BURST packets. */
void mt_tcp_burst(struct mt_tcp *t, struct rte_mbuf **pkts, uint16_t n);
/*
 * trace.c: the same one by one, so that the counters that change in between belong to one segment.
 */
void mt_tcp_trace_burst(struct mt_tcp *t, struct rte_mbuf **pkts, uint16_t n);
/* Appends the segment's payload to a chain; false: no memory, nothing appended. */
bool mt_tcp_payload(struct mt_tcp *t, struct mt_chain *to, struct mt_tcp_seg *seg);
void mt_tcp_drop(struct mt_tcp *t, struct mt_tcp_seg *seg, enum mt_tcp_outcome why);
/* Answers a segment that is not acceptable, throttled (RFC 5961 §7). */
void mt_tcp_challenge(struct mt_tcp *t, struct mt_tcp_conn *c, enum mt_tcp_outcome why);

/* Notes that [seq, seq + len) is a duplicate: the next ACK reports it (RFC 2883). */
void mt_tcp_dup_note(struct mt_tcp_conn *c, uint32_t seq, uint32_t len);

/* ---- window.c: the receive window ---- */
uint32_t mt_tcp_rcv_wnd(const struct mt_tcp_conn *c);
/*
 * Truesize that may wait for the user: twice the window, and twice what the user keeps of an
 * incomplete message.
 */
uint32_t mt_tcp_rx_limit(const struct mt_tcp_conn *c);
/*
 * Truesize that the receive queue may pin in small pieces. Beyond that it may pin at most twice its
 * bytes: small pieces are then copied together.
 */
static inline uint32_t mt_tcp_rx_slack(const struct mt_tcp_conn *c)
{
	return MT_MIN(16384u, c->rcv_budget / 2);
}
/* True if `len` more bytes in `truesize` would exceed that limit. */
static inline bool mt_tcp_rx_sparse(const struct mt_tcp_conn *c, uint32_t len, uint32_t truesize)
{
	return c->s.rx.truesize + truesize > mt_tcp_rx_slack(c) + 2 * (c->s.rx.len + len);
}
/*
 * True if the bytes that wait for the user pin as much as they should: small pieces are then copied
 * together.
 */
static inline bool mt_tcp_rx_much(const struct mt_tcp_conn *c)
{
	return c->s.rx.truesize > c->rcv_budget + 2 * c->s.rx_kept;
}
/*
 * Moves the advertised edge if the step is large enough; returns the (scaled) window for the
 * header.
 */
uint16_t mt_tcp_advertise(struct mt_tcp *t, struct mt_tcp_conn *c);
/* s->ops->consumed */
void mt_tcp_consumed(struct mt_stream *s);
void mt_tcp_tune(struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t bytes);
/* After memory pressure begins or ends: processes some connections per loop iteration. */
void mt_tcp_sweep(struct mt_tcp *t);

/* ---- ack.c ---- */
/* True if an acceptable segment has a valid ACK; false: it was answered and must be ignored. */
bool mt_tcp_ack_ok(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg);
/* Processes the ACK field of such a segment; it may end the connection. */
void mt_tcp_ack(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg);
/* Fast path of an ACK that moves snd_una in the simplest state (no loss, no FIN). */
void mt_tcp_ack_plain(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg);

/* Grows the congestion window after an ACK outside fast recovery that moved snd_una. */
void mt_tcp_cc_ack(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_ack_ctx *ctx);

/* ---- sack.c ---- */
struct mt_tcp_loss *mt_tcp_loss_get(struct mt_tcp *t, struct mt_tcp_conn *c);
/* Adds the segment's blocks to the scoreboard; returns the bytes newly SACKed. */
uint32_t mt_tcp_sack_in(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg);
/* True if the first block reports a duplicate (RFC 2883 §4), stored in *dup. */
bool mt_tcp_dsack_in(
	const struct mt_tcp_conn *c, const struct mt_tcp_seg *seg, struct mt_tcp_block *dup);
/* Drops what is below snd_una. */
void mt_tcp_sack_advance(struct mt_tcp_conn *c, struct mt_tcp_loss *l);
/* Number of bytes in [from, to) that are not SACKed. */
uint32_t mt_tcp_unsacked(const struct mt_tcp_loss *l, uint32_t from, uint32_t to);
/* RFC 6675 SetPipe(), with duplicate ACKs in place of SACKs where the peer has none. */
uint32_t mt_tcp_pipe(const struct mt_tcp *t, const struct mt_tcp_conn *c);

/* ---- rack.c: loss detection (RFC 8985 §6) ---- */
/*
 * Call it before `bytes` leave the queue: updates RACK from their buffers. Returns a round trip in
 * us, 0: no sample.
 */
uint32_t mt_tcp_rack_acked(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l,
	const struct mt_tcp_seg *seg, uint32_t bytes);
/*
 * Call it after the scoreboard changed: processes what was delivered, then calls
 * mt_tcp_rack_detect(). If more buffers were walked over than ACKs have earned credit for, the walk
 * is deferred by an eighth of a round trip, or some milliseconds. `news`: bytes that newly arrived.
 */
void mt_tcp_rack_sacked(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l,
	const struct mt_tcp_seg *seg, uint32_t news);
/* Marks what is lost by now, arms the timer for what may be lost soon, computes l->lost. */
void mt_tcp_rack_detect(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l);
void mt_tcp_rack_dsack(struct mt_tcp_conn *c, struct mt_tcp_loss *l);
enum mt_tcp_lose {
	/* after a timeout (§6.3): the first, and all sent longer than a round trip ago */
	MT_TCP_LOSE_OLD,
	MT_TCP_LOSE_ALL,
};
void mt_tcp_lose(
	struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l, enum mt_tcp_lose what);
/*
 * Marks one segment, the first. A peer without SACK reports it with each ACK, so nothing is walked
 * over.
 */
void mt_tcp_lose_first(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l);
/* Discards what the peer has SACKed, as it has reneged (RFC 2018 §8). */
void mt_tcp_sack_forget(struct mt_tcp_conn *c, struct mt_tcp_loss *l);
/* Clears all lost marks. */
void mt_tcp_unlose(struct mt_tcp_conn *c, struct mt_tcp_loss *l);
/*
 * Finds the next run [*seq, *seq + *len) to send again, looking at most one segment ahead; false:
 * none.
 */
bool mt_tcp_next_lost(const struct mt_tcp_conn *c, struct mt_tcp_loss *l, uint32_t mss,
	uint32_t *seq, uint32_t *len);
/* Notes that [seq, seq + len) was sent again. */
void mt_tcp_resent(
	struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l, uint32_t seq, uint32_t len);
/* Handles the reordering timer. */
void mt_tcp_rack_timeout(struct mt_tcp *t, struct mt_tcp_conn *c);

/* ---- recovery.c: reaction to loss (RFC 6937, 6582, 3522, 8985 §7) ---- */
/* Starts recovery after a loss was found. */
void mt_tcp_recovery_enter(struct mt_tcp *t, struct mt_tcp_conn *c);
/* Saves what a later mt_tcp_undo() restores; call it before the congestion response. */
void mt_tcp_undo_save(struct mt_tcp_conn *c, struct mt_tcp_loss *l);
/* Processes the findings of an ACK; `dup`: the duplicate that it reports, or NULL. */
void mt_tcp_recovery_ack(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg,
	struct mt_ack_ctx *ctx, const struct mt_tcp_block *dup);
/* Frees the loss record when nothing needs it. */
void mt_tcp_recovery_tidy(struct mt_tcp *t, struct mt_tcp_conn *c);
/*
 * Replaces the retransmission timeout by a probe timeout when more than a segment is in flight (RFC
 * 8985 §7.2).
 */
void mt_tcp_pto_start(struct mt_tcp *t, struct mt_tcp_conn *c);
void mt_tcp_pto_timeout(struct mt_tcp *t, struct mt_tcp_conn *c);

/* Restarts the retransmission timer: snd_una moved (RFC 6298 §5.2, §5.3), or new data was sent. */
static inline void mt_tcp_rto_start(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	c->at[MT_TCP_AT_RTO] = mt_tcp_in(t, c->rto_ms);
	if (mt_tcp_flight(c) > c->cc.mss)
		mt_tcp_pto_start(t, c);
}

/* ---- silence.c ---- */
/*
 * True if a path in doubt is probed with an octet of data. Not for a long segment: a delivered
 * octet would hide that the path drops long ones (RFC 4821).
 */
static inline bool mt_tcp_octet_goes(const struct mt_tcp_conn *c)
{
	return mt_tcp_flight(c) && c->tx.head && c->tx.len <= MT_TCP_MSS_DEFAULT4;
}

/*
 * Call it when data has been unanswered for `ms`: starts to watch the path, if the stream is
 * configured for it.
 */
void mt_tcp_doubt(struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t ms);
/* Sends the next probe of a path in doubt, or ends the connection. */
void mt_tcp_ask_path(struct mt_tcp *t, struct mt_tcp_conn *c);

/* ---- rtt.c ---- */
void mt_tcp_rtt_sample(struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t us);
/* Timeout without the doubling for each consecutive timeout. */
uint32_t mt_tcp_rto_base(const struct mt_tcp *t, const struct mt_tcp_conn *c);
/*
 * Time in us since the last buffer that lies within the first `bytes` of the queue was sent; 0:
 * none, or it was sent again.
 */
uint32_t mt_tcp_rtt_newest(const struct mt_tcp *t, const struct mt_tcp_conn *c, uint32_t bytes);
/* Resets the backoff. */
void mt_tcp_rto_reset(struct mt_tcp *t, struct mt_tcp_conn *c);
void mt_tcp_rto_backoff(struct mt_tcp_conn *c);

/* ---- path.c: measurements of earlier connections (RFC 9040) ---- */
/* Size of t->paths; all-zero memory is an empty table. */
size_t mt_tcp_paths_size(void);
/* Call it when the handshake is complete and cwnd and the first round-trip sample are set. */
void mt_tcp_path_recall(struct mt_tcp *t, struct mt_tcp_conn *c);
/* Call it when the connection ends, before its state changes. */
void mt_tcp_path_remember(struct mt_tcp *t, const struct mt_tcp_conn *c);

/* ---- flush.c ---- */
/*
 * No route, or the neighbour failed: a connecting connection fails, others try again by their
 * timer.
 */
void mt_tcp_unreachable(struct mt_tcp *t, struct mt_tcp_conn *c);

/* ---- wait.c: `what` is a port or mt_tcp_wait_of_neigh() ---- */
/* Appends the connection to the queue. */
void mt_tcp_wait_push(struct mt_tcp *t, struct mt_tcp_conn *c, uint16_t what);
/* Puts it back at the head: the port became full in the middle of its quantum. */
void mt_tcp_wait_again(struct mt_tcp *t, struct mt_tcp_conn *c, uint16_t port);
void mt_tcp_wait_leave(struct mt_tcp *t, struct mt_tcp_conn *c);
/* After c->dst has changed: the connection no longer waits for the neighbour of the old route. */
void mt_tcp_wait_rerouted(struct mt_tcp *t, struct mt_tcp_conn *c);
/* Removes the head; the queue must not be empty. */
struct mt_tcp_conn *mt_tcp_wait_pop(struct mt_tcp *t, uint16_t what);
/* The same for a port's queue; gives the connection its quantum. */
struct mt_tcp_conn *mt_tcp_wait_turn(struct mt_tcp *t, uint16_t port);
/*
 * Bytes that the connection may send while others wait for its port; false: none wait, so there is
 * no limit.
 */
bool mt_tcp_wait_credit(const struct mt_tcp *t, struct mt_tcp_conn *c, int32_t *bytes);
void mt_tcp_wait_spent(struct mt_tcp_conn *c, int32_t left);

/* ---- timer.c ---- */
/* Arms the node for the earliest of c->at[]. */
void mt_tcp_arm_anew(struct mt_tcp *t, struct mt_tcp_conn *c);
/* The node usually fires before every deadline: it then finds nothing to do and is armed again. */
static inline void mt_tcp_arm(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	bool first = mt_timer_armed(&c->timer);

	for (int i = 0; i < MT_TCP_N_DEADLINES; i++)
		first &= !c->at[i] || (int32_t)(c->at[i] - c->timer.due_ms) >= 0;
	if (mt_unlikely(!first))
		mt_tcp_arm_anew(t, c);
}
/* Restarts keep-alive when the peer was heard in a new state. */
void mt_tcp_keep_start(struct mt_tcp *t, struct mt_tcp_conn *c);

/* ---- out.c, reply.c ---- */
/*
 * Sends everything that this connection may send now. If the result is not MT_NET_SENT it must be
 * tried again.
 */
enum mt_net_result mt_tcp_output(struct mt_tcp *t, struct mt_tcp_conn *c);
/*
 * Frees the first n queued bytes, sets snd_una to `ack`, and keeps the position of snd_nxt valid.
 */
void mt_tcp_tx_acked(struct mt_tcp_conn *c, uint32_t n, uint32_t ack);
uint32_t mt_tcp_mss(const struct mt_tcp_conn *c, uint32_t opt_len);
/* s->ops->send */
void mt_tcp_send(struct mt_stream *s, struct mt_chain *chain);

/* A segment without payload and without a connection. */
struct mt_tcp_ctrl {
	const struct mt_tuple *tuple;
	struct mt_net_dst *dst; /* of a connection; NULL: mt_net_route_back() */
	const struct rte_mbuf
		*in; /* without dst: the segment answered; NULL: sent by a record's timer */
	uint32_t seq, ack;
	uint16_t wnd;
	uint8_t flags;
	uint32_t opt_len;
	const uint8_t *opts;
};
enum mt_net_result mt_tcp_send_ctrl(struct mt_tcp *t, const struct mt_tcp_ctrl *ctrl);
/* Answers a segment with a RST (RFC 9293 §3.10.7.1), within resets_per_s. */
void mt_tcp_reset_reply(struct mt_tcp *t, const struct mt_tcp_seg *seg);
/* Takes a token if the rate limit for answers to unknown peers allows one more; false if not. */
bool mt_tcp_may_reset(struct mt_tcp *t);
/* Writes a header in front of m's data. */
void mt_tcp_write_header(struct rte_mbuf *m, const struct mt_tcp_ctrl *ctrl);

/* ---- icmp.c ---- */
/* After one more timeout: tries shorter segments if they may help (RFC 4821 §7.7). */
void mt_tcp_black_hole(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l);
/*
 * With l->hole_mss, when something was acknowledged: ends the trial. `real`: the shorter segments
 * made the difference, so all connections learn the MTU.
 */
void mt_tcp_black_hole_over(
	struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_loss *l, bool real);

/* ---- ecn.c ---- */
/* True if this SYN requests ECN and the configuration allows it. */
bool mt_tcp_ecn_wanted(const struct mt_tcp *t, const struct mt_tcp_seg *syn);
/*
 * Returns the ECN flags for this side's SYN; mt_tcp_ecn_answered() processes the SYN-ACK's answer.
 */
uint8_t mt_tcp_ecn_ask(const struct mt_tcp *t, struct mt_tcp_conn *c);
void mt_tcp_ecn_answered(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg);
/* Processes an acceptable segment of a connection with ECN, before its ACK. */
void mt_tcp_ecn_in(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg);

/* ---- open.c, listen.c, syncookie.c ---- */
/* t->transport's */
struct mt_stream *mt_tcp_open(
	struct mt_transport *tr, const struct mt_stream_to *to, enum mt_close_reason *why);
uint32_t mt_tcp_isn(const struct mt_tcp *t, const struct mt_tuple *tuple);
uint32_t mt_tcp_ts_offset(const struct mt_tcp *t, const struct mt_tuple *tuple);
uint16_t mt_tcp_local_mss(const struct mt_tcp *t, const struct mt_tuple *tuple, uint16_t mtu);
/* Sets what both ends agreed on in their SYNs. */
void mt_tcp_agree(struct mt_tcp *t, struct mt_tcp_conn *c, uint8_t has, uint16_t mss,
	uint8_t wscale, uint32_t tsval);
/* For a connection in SYN-RECEIVED: true if the segment completes the handshake. */
bool mt_tcp_syn_acked(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg);
void mt_tcp_syn_sent(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg);
/* Sends the SYN, or the SYN-ACK of a simultaneous open. */
enum mt_net_result mt_tcp_send_syn(struct mt_tcp *t, struct mt_tcp_conn *c);
/* Completes the handshake: sets congestion window, keep-alive, receive window. */
void mt_tcp_established(struct mt_tcp *t, struct mt_tcp_conn *c);
/* Window in a SYN or SYN-ACK, which is never scaled (RFC 7323 §2.2). */
uint16_t mt_tcp_syn_window(const struct mt_tcp *t);
/*
 * Processes a SYN for a listener. `floor`: sequence numbers must start above it (RFC 6191); 0: no
 * limit.
 */
void mt_tcp_listen_syn(struct mt_tcp *t, const struct mt_tcp_seg *seg, uint32_t floor);
void mt_tcp_half_input(struct mt_tcp *t, struct mt_tcp_half *h, struct mt_tcp_seg *seg);
void mt_tcp_half_free(struct mt_tcp *t, struct mt_tcp_half *h);
void mt_tcp_half_timers(struct mt_tcp *t);
uint64_t mt_tcp_half_next(const struct mt_tcp *t);
/*
 * The handshake is complete: creates a connection in place of `h` (NULL: from a cookie), and
 * processes the segment's data.
 */
void mt_tcp_accepted(struct mt_tcp *t, struct mt_tcp_half *h, const struct mt_tcp_half *facts,
	struct mt_tcp_seg *seg);
/* Returns the sequence number that encodes `facts`; options are encoded in *tsval. */
uint32_t mt_tcp_cookie_make(struct mt_tcp *t, const struct mt_tcp_half *facts, uint32_t *tsval);
/* True if the segment acknowledges a valid cookie; fills `facts` then. */
bool mt_tcp_cookie_check(struct mt_tcp *t, const struct mt_tcp_seg *seg, struct mt_tcp_half *facts);
void mt_tcp_cookie_ack(struct mt_tcp *t, struct mt_tcp_seg *seg);

/* ---- ooo.c ---- */
void mt_tcp_ooo_insert(struct mt_tcp *t, struct mt_tcp_conn *c, struct mt_tcp_seg *seg);
/* Moves what became contiguous into rx. True if the peer's FIN is now in sequence. */
bool mt_tcp_ooo_drain(struct mt_tcp *t, struct mt_tcp_conn *c);
void mt_tcp_ooo_free(struct mt_tcp *t, struct mt_tcp_conn *c);
/* Writes the newest ranges for the SACK option; returns how many (<= max). */
uint32_t mt_tcp_ooo_blocks(const struct mt_tcp_ooo *o, struct mt_tcp_block *blocks, uint32_t max);

/* ---- info.c: s->ops ---- */
const struct mt_tuple *mt_tcp_ends(const struct mt_stream *s);
uint32_t mt_tcp_room(const struct mt_stream *s);
void mt_tcp_positions(const struct mt_stream *s, struct mt_stream_pos *pos);
void mt_tcp_end(const struct mt_stream *s, struct mt_stream_end *e);
int mt_tcp_reclaim(const struct mt_stream *s, uint64_t first, uint64_t last, struct mt_chain *to);

/* ---- close.c, timewait.c ---- */
void mt_tcp_fin_in(struct mt_tcp *t, struct mt_tcp_conn *c);
void mt_tcp_fin_acked(struct mt_tcp *t, struct mt_tcp_conn *c);
void mt_tcp_fin_sent(struct mt_tcp_conn *c);
/* The protocol ended in order: raises closed(OK) once rx is consumed. */
void mt_tcp_ended(struct mt_tcp *t, struct mt_tcp_conn *c);
void mt_tcp_shutdown(struct mt_stream *s);
void mt_tcp_abort(struct mt_stream *s, enum mt_abort_reason why);
void mt_tcp_detach(struct mt_stream *s);
void mt_tcp_refuse(struct mt_stream *s, uint32_t words);
/* True if the segment's payload is not accepted, because the user reads no more. */
bool mt_tcp_refuses(struct mt_tcp *t, struct mt_tcp_conn *c, const struct mt_tcp_seg *seg);
/* Replaces the connection in the table by a TIME-WAIT record. */
void mt_tcp_tw_enter(struct mt_tcp *t, struct mt_tcp_conn *c);
void mt_tcp_tw_input(struct mt_tcp *t, struct mt_tcp_tw *tw, struct mt_tcp_seg *seg);
void mt_tcp_tw_free(struct mt_tcp *t, struct mt_tcp_tw *tw);
bool mt_tcp_tw_reusable(const struct mt_tcp *t, const struct mt_tcp_tw *tw);
void mt_tcp_tw_timers(struct mt_tcp *t);
uint64_t mt_tcp_tw_next(const struct mt_tcp *t);

const char *mt_tcp_state_name(enum mt_tcp_state s);
