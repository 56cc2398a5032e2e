/* SPDX-License-Identifier: Apache-2.0 */
/* Functions for all folders of lib/proxy. */
#pragma once

#include "mt_proxy_trace.h"
#include "mt_proxy_types.h"
#include "mt_states.h"
#include "mt_stream_log.h"

#include <errno.h>

/* True if `obj` is an object of the slab, and so of its kind. */
static inline bool mt_lies_in(const struct mt_slab *s, const void *obj)
{
	return (size_t)((const uint8_t *)obj - s->base) < (size_t)s->size * s->cap;
}

/* ns: work that found no memory is tried again after this time. */
#define MT_RETRY_NS (10 * MT_MSEC)

/* How a step of a decode loop ended. */
enum mt_step {
	MT_STEP_ON,   /* the connection exists; the loop may continue */
	MT_STEP_STOP, /* no bytes are left, none can be processed now, or the connection is gone */
	MT_STEP_PART, /* rx starts with a message that is incomplete or not scanned yet */
};

/*
 * Classifies what a decode loop left in rx; `epoch` is that of rx before the loop. The start of an
 * incomplete message, up to `len` bytes, does not close the window, because its rest could not
 * arrive otherwise. Bytes that were not decoded close the window.
 */
static inline void mt_rx_settle(struct mt_stream *s, enum mt_step did, uint32_t epoch, uint32_t len)
{
	if (did == MT_STEP_PART)
		mt_stream_keep(s, MT_MIN(len, s->rx.len));
	else if (s->rx.epoch != epoch)
		mt_stream_consumed(s);
}

/* Bytes of the longest TLS record, which a layer delivers when it is complete. */
#define MT_LAYER_RECORD 16640u

/*
 * Returns when to give up the incomplete message that is kept in rx, ns: message_ms after its
 * start, and a second more for each message_rate bytes that have arrived; but message_ms after the
 * last byte at the latest. The bytes of an incomplete TLS record are not in rx yet, so the time of
 * a whole record is added to both. `started` and `last_rx` are ns.
 */
static inline uint64_t mt_message_due(
	const struct mt_proxy *p, const struct mt_stream *s, uint64_t started, uint64_t last_rx)
{
	uint64_t record = mt_unlikely(mt_stream_coming(s)) ? MT_LAYER_RECORD : 0;
	uint64_t by_rate = started + (s->rx.len + record) * MT_SEC / p->conf.message_rate;
	uint64_t silent = MT_MAX(started, last_rx) + record * MT_SEC / p->conf.message_rate;

	return MT_MIN(by_rate, silent) + p->conf.message_ms * MT_MSEC;
}

/*
 * A waiting request is copied into as few buffers as possible if its buffers occupy more than this
 * many times its bytes. A client may have sent it byte by byte, and many requests may wait.
 */
#define MT_COMPACT_RATIO 2

static inline void mt_compact_waiting(struct mt_proxy *p, struct mt_chain *c)
{
	if (mt_unlikely(c->segs > 1 && c->truesize / MT_COMPACT_RATIO > c->len))
		mt_chain_compact(c, p->pools);
}

/* Prefetches all cache lines of an object. */
static inline void mt_prefetch_object(const void *obj, size_t size)
{
	for (size_t at = 0; at < size; at += MT_CACHE_LINE)
		__builtin_prefetch((const char *)obj + at, 1);
}

/* ---- clients' connections ---- */

/* True if the number of client connections, to listeners of all kinds, has reached its limit. */
static inline bool mt_downs_full(const struct mt_proxy *p)
{
	return p->downs.in_use + p->pairs.in_use + p->selections.in_use +
		       (p->tls ? p->tls->coming : 0) >=
	       p->conf.max_down;
}
/* Counts and logs an accepted connection that is refused: no object is free. Returns false. */
static inline bool mt_down_no_room(struct mt_proxy *p, const struct mt_stream *s)
{
	mt_count(p->counters, MT_PROXY_down_full);
	mt_count(p->counters, MT_PROXY_down_closed);
	mt_stream_log_refused(p, s, p->now, MT_ENDING_overload);
	return false;
}
/*
 * Counts and logs a connection that is refused when its handshake is complete, because a drain has
 * begun since its SYN. Returns false.
 */
static inline bool mt_down_drained(struct mt_proxy *p, const struct mt_stream *s)
{
	mt_count(p->counters, MT_PROXY_down_draining);
	mt_stream_log_refused(p, s, p->now, MT_ENDING_drained);
	return false;
}
/* The address to which a client's connection is counted in limits by client (IPv6: its /64). */
static inline struct mt_addr mt_client_holder(const struct mt_stream *s)
{
	return mt_addr_client(&mt_stream_ends(s)->remote);
}

/* ---- from one object to another ---- */

/* The client connection of an exchange; NULL: it is gone, or the exchange is a mirrored copy. */
static inline struct mt_down *mt_exchange_down(
	const struct mt_proxy *p, const struct mt_exchange *ex)
{
	return mt_slab_get(&p->downs, ex->down);
}
/* The attempt that is under way; NULL: none. */
static inline struct mt_attempt *mt_exchange_attempt(const struct mt_exchange *ex)
{
	return ex->attempt.state ? (struct mt_attempt *)&ex->attempt : NULL;
}
static inline struct mt_exchange *mt_attempt_exchange(const struct mt_attempt *a)
{
	return mt_container_of(a, struct mt_exchange, attempt);
}
/* The attempt that a slot or connection names by the reference of its exchange; NULL: none. */
static inline struct mt_attempt *mt_attempt_of(const struct mt_proxy *p, struct mt_ref exchange)
{
	struct mt_exchange *ex = mt_slab_get(&p->exchanges, exchange);

	return ex ? mt_exchange_attempt(ex) : NULL;
}
/* The exchange that a slot or connection names; NULL: it is gone or has no attempt under way. */
static inline struct mt_exchange *mt_pool_exchange(const struct mt_proxy *p, struct mt_ref exchange)
{
	struct mt_exchange *ex = mt_slab_get(&p->exchanges, exchange);

	return ex && ex->attempt.state ? ex : NULL;
}
/* The connection on which the exchange's attempt is sent, or for which it waits; NULL: none. */
static inline struct mt_up *mt_exchange_up(struct mt_proxy *p, const struct mt_exchange *ex)
{
	const struct mt_attempt *a = mt_exchange_attempt(ex);

	return a ? mt_slab_get(&p->ups, a->up) : NULL;
}
static inline const struct mt_call_rules *mt_call_rules_of(const struct mt_exchange *ex)
{
	return &mt_call_rules[ex->origin];
}
static inline struct mt_exchange_side *mt_exchange_side(
	const struct mt_proxy *p, const struct mt_exchange *ex)
{
	return &p->sides[ex->self.idx];
}

/* True if calls and streams under this snapshot leave entries of the access log. */
static mt_inline bool mt_call_log_is_on(const struct mt_proxy *p, const struct mt_snapshot *snap)
{
	return mt_unlikely(snap->logged) && p->log.ring;
}
/* True if a call or stream that begins now is not drawn, and so leaves no line. */
static inline bool mt_log_skips(struct mt_proxy *p, const struct mt_snapshot *snap)
{
	return snap->log_skips && mt_rand_u64(&p->trace_rnd) >> 32 < snap->log_skips;
}
/* True if an output gets calls of the service (NULL: calls without one). */
static inline bool mt_call_log_has_reader(
	const struct mt_snapshot *snap, const struct mt_service *service)
{
	if (!service)
		return snap->log_unserved;
	return service->log_scope ? service->log_scope->n > 0 : snap->log_general;
}
/*
 * True if an output wants the entry; *v is what the entry has of the outputs' filters. Outputs are
 * those of the snapshot, which the entry keeps.
 */
static inline bool mt_log_wants(struct mt_proxy *p, const struct mt_snapshot *snap,
	const struct mt_alog_parts *parts, struct mt_alog_verdict *v)
{
	*v = (struct mt_alog_verdict){.by = NULL};
	return mt_likely(!snap->log_sieve) ||
	       mt_alog_sieve_takes(snap->log_sieve, p->log.trial, parts, v);
}
/* The note of a call with mt_exchange.note; NULL: it has none. */
static inline struct mt_call_note *mt_call_note_of(
	const struct mt_proxy *p, const struct mt_exchange *ex)
{
	return ex->note == MT_CALL_NO_NOTE ? NULL : mt_slab_at(&p->log.notes, ex->note - 1);
}
/* The block of a note's metadata values; note->kept_len bytes are used. */
static inline uint8_t *mt_call_kept_of(const struct mt_proxy *p, const struct mt_call_note *note)
{
	return p->log.kept + (size_t)mt_slab_idx(&p->log.notes, note) * MT_ALOG_KEPT;
}
/* True if outputs of the access log name metadata of replies, perhaps of the call's codec. */
static mt_inline bool mt_call_log_reads_reply(const struct mt_exchange *ex)
{
	return mt_unlikely(ex->note) && mt_unlikely(ex->snap->log_reads_replies);
}
/* Notes, for the access log, an attempt and the connection on which it is sent. */
static inline void mt_call_log_up(
	const struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_up *u)
{
	struct mt_call_note *n = mt_likely(!ex->note) ? NULL : mt_call_note_of(p, ex);

	if (mt_likely(!n))
		return;
	n->up_local = mt_stream_ends(u->s)->local;
	n->up_local_port = mt_stream_ends(u->s)->lport;
	n->attempts += n->attempts < UINT8_MAX;
}

/* trace.c; its other functions are in mt_proxy_trace.h */
/* The name of a status; a static string. */
const char *mt_exchange_status_name(enum mt_msg_status s);

/* ---- snapshot.c ---- */

/* Counts an object of the worker that starts to hold the snapshot, or that stops to hold it. */
void mt_snap_hold(struct mt_proxy *p, struct mt_snapshot *s);
void mt_snap_drop(struct mt_proxy *p, struct mt_snapshot *s);
/* Lets the object that holds *held hold `to` instead; `to` NULL: it holds none then. */
void mt_snap_switch(struct mt_proxy *p, struct mt_snapshot **held, struct mt_snapshot *to);
/*
 * The cost of a move to another snapshot, in objects (snapshot_move.c): this many entries of a
 * table, or filter chains that are compared with a connection, cost as much as one object.
 */
#define MT_MOVE_ENTRIES 16
#define MT_MOVE_CHAINS	4

/* ---- outcomes.c ---- */

/* The reason for mt_stream_abort() that corresponds to an outcome. */
enum mt_abort_reason mt_abort_of(enum mt_proxy_outcome why);

/* ---- timeout.c ---- */

/* The time-out of a call that has a route, ms from the call's start. */
uint32_t mt_call_timeout(struct mt_proxy *p, struct mt_exchange *ex);
/* True if the call's time-out has passed. */
bool mt_call_is_late(struct mt_proxy *p, struct mt_exchange *ex);
/*
 * Time that is left until the call's time-out, ms; at least 1. As long as the call has no route,
 * the time-out is that of the service, the caller or the node.
 */
uint32_t mt_call_left(struct mt_proxy *p, struct mt_exchange *ex);

/* ---- chain_opaque.c ---- */

/* The protocol that serves an opaque stream in the current snapshot; NULL: none. */
const struct mt_filter_chain_proto *mt_opaque_proto(struct mt_proxy *p, const struct mt_pair *pr);
static inline const struct mt_service *mt_opaque_service(const struct mt_filter_chain_proto *proto)
{
	return proto && proto->n_services ? proto->services[0] : NULL;
}
