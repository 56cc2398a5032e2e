/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/tls as a layer of lib/stream: one worker's TLS streams over the streams of another transport.
 * Its own transport opens them as a client. A struct mt_tls_door makes accepted streams TLS
 * streams, as a server. Handshakes run elsewhere (struct mt_tls_hands; the lane of mt_tls_pool.h
 * implements it), records here (mt_tls_record.h). No system call, no lock, no handshake code of the
 * library.
 *
 * Users get events only from events of the lower stream: never inside an operation, nor while
 * results of handshakes are processed.
 */
#pragma once

#include "mt_outcome.h"
#include "mt_tls_record.h"
#include "mt_slab.h"
#include "mt_stream.h"
#include "mt_tls_pool.h"
#include "mt_wheel.h"

/*
 * Time limits of a client, ms: from the start of its stream to the end of the handshake; for the
 * handshake alone.
 */
#define MT_TLS_HELLO_MS 10000
#define MT_TLS_SHAKE_MS 5000
/* Least time that a handshake has left after its worker did not run: mt_tls_layer_resumed(). */
#define MT_TLS_RESUME_MS 2000
/* At most 1/MT_TLS_COMING of all streams belong to clients that are not accepted yet. */
#define MT_TLS_COMING 4
/*
 * Shares by the hash of the client's address (IPv6: /64). While MT_TLS_SHARE_FROM client handshakes
 * or more are in progress, a share may have at most MT_TLS_SHARE of them, so that clients that
 * start a handshake and send nothing more do not keep others out.
 */
#define MT_TLS_SHARES	  256
#define MT_TLS_SHARE_FROM (MT_TLS_SLOTS / 4)
#define MT_TLS_SHARE	  (MT_TLS_SLOTS / 16)

/*
 * ---- handshake provider ------------------------------------------------------------------------
 */

/* Operations as in mt_tls_pool.h, which documents them. Results go to mt_tls_layer_event(). */
struct mt_tls_hands {
	int (*accept)(void *arg, struct mt_tls_context *c, const struct mt_hello *h,
		struct mt_ref owner, struct mt_ref *out);
	int (*connect)(void *arg, struct mt_tls_context *c, const char *sni, struct mt_ref owner,
		struct mt_ref *out);
	void (*more)(void *arg, struct mt_ref handshake, const struct mt_chain *c);
	void (*cancel)(void *arg, struct mt_ref handshake);
};

/* `arg` is the worker's struct mt_tls_lane. */
extern const struct mt_tls_hands mt_tls_lane_hands;

/*
 * ---- per-worker state --------------------------------------------------------------------------
 */

enum mt_tls_outcome {
#define MT_OUTCOME(n, s, w) MT_TLS_N_##n,
#include "tls_outcomes.def"
#undef MT_OUTCOME
	MT_TLS_N_COUNTS
};

extern const struct mt_outcome_set mt_tls_outcomes;
/* Names of the counters mt_tls_layer.failed, from the second on: the first is for no failure. */
extern const struct mt_outcome_set mt_tls_failed_outcomes;

struct mt_tls_layer_conf {
	struct mt_pools *pools;
	struct mt_aead *aead;
	struct mt_transport *lower;
	const struct mt_tls_hands *hands;
	void *hands_arg;
	uint32_t streams; /* maximum */
	uint32_t mss;	  /* of the lower streams; sets the size of the first records */
	uint8_t secret[16];
};

struct mt_tls_layer {
	/*
	 * Opens TLS streams where struct mt_stream_to has a context, other streams directly in
	 * `lower`. Data sent by TLS can be taken back until it is acknowledged
	 * (mt_stream_reclaim()). A record sealed in place can be taken back until a part of it is
	 * acknowledged or our key changes.
	 */
	struct mt_transport transport; /* first */
	struct mt_transport *lower;
	struct mt_tls_records records;
	struct mt_slab streams, keyed, peers;
	const struct mt_tls_hands *hands;
	void *hands_arg;
	struct mt_wheel wheel;
	uint64_t now;	      /* of this loop iteration */
	uint64_t grace_until; /* no handshake times out before; see mt_tls_layer_resumed() */
	uint32_t mss;
	struct mt_stream_ops ops;
	uint32_t *peer_heads; /* hash table of peers: index + 1 */
	uint8_t secret[16];
	uint8_t *hello;	    /* MT_HELLO_MAX bytes: scratch for the hello being parsed */
	uint32_t coming;    /* client streams that are not accepted yet */
	uint32_t n_shaking; /* their handshakes in progress */
	uint16_t shaking[MT_TLS_SHARES];
	struct tls_conn
		*ahead; /* stream whose event comes next, to be prefetched; NULL: none, or freed */
	uint64_t full_at; /* the loop iteration in which a handshake found no room */
	uint64_t counts[MT_TLS_N_COUNTS];
	uint64_t failed[MT_TLS_REASONS]; /* handshakes, by reason */
};

/* Boot only. Returns 0 or -ENOMEM. */
int mt_tls_layer_init(struct mt_tls_layer *l, const struct mt_tls_layer_conf *conf, uint64_t now);
/* Call when no stream is left. When a worker is torn down, frees its streams without events. */
void mt_tls_layer_fini(struct mt_tls_layer *l);

/*
 * Call at the start of a worker's loop iteration: sets the time and runs due timers.
 * mt_tls_layer_next() returns the time of the next timer.
 */
void mt_tls_layer_turn(struct mt_tls_layer *l, uint64_t now);
static inline uint64_t mt_tls_layer_next(struct mt_tls_layer *l)
{
	return mt_wheel_next(&l->wheel);
}

/*
 * The worker did not run for a while and continues at `now`. Bytes from peers and results of
 * handshake threads that came meanwhile are still unread, so no handshake times out in the next
 * MT_TLS_RESUME_MS, at most three times in a row. Call it in the worker's thread, before
 * mt_tls_layer_turn().
 */
void mt_tls_layer_resumed(struct mt_tls_layer *l, uint64_t now);

/*
 * An mt_tls_event_fn: processes a handshake's event. Call it outside of all operations and events.
 */
void mt_tls_layer_event(void *layer, const struct mt_tls_event *e);

/* ---- servers --------------------------------------------------------------------------------- */

/*
 * Makes TLS streams of accepted streams. Must exist as long as a stream that came through it is not
 * accepted as a TLS stream.
 */
struct mt_tls_door {
	struct mt_tls_layer *layer;
	const struct mt_listen_ops *listen; /* receives the TLS streams */
	void *arg;
	/*
	 * Selects the context for a hello. NULL: there is none, and the client gets an alert.
	 * Called once for each hello, or more often while it waits for room. *tag is the caller's:
	 * mt_tls_stream_tag().
	 */
	struct mt_tls_context *(*context)(void *arg, const struct mt_stream *lower, int listener,
		const struct mt_hello_says *says, uint64_t *tag);
};

/* For a transport's listener whose streams are all TLS; `arg` is the door. */
extern const struct mt_listen_ops mt_tls_door_ops;

/*
 * Makes an accepted stream the lower stream of a new TLS stream. Nothing may have been taken from
 * it yet. The layer is its user from then on, and calls listen->accept() when the handshake is
 * done. Allowed inside events of that stream. Returns false, with nothing changed, if there is no
 * memory or too many clients are not accepted yet.
 */
bool mt_tls_door_take(struct mt_tls_door *d, struct mt_stream *lower, int listener);

/* ---- a TLS stream ---------------------------------------------------------------------------- */

/* How a stream failed, by handshake or alert. Valid inside closed(). */
struct mt_tls_why {
	enum mt_tls_reason reason; /* of the handshake */
	uint8_t alert;
	bool alert_sent; /* sent by us; else received, if there is one */
};

bool mt_tls_stream_is(const struct mt_tls_layer *l, const struct mt_stream *s);
/* The TLS stream above a stream of the transport; NULL: the layer does not use it. */
const struct mt_stream *mt_tls_stream_above(
	const struct mt_tls_layer *l, const struct mt_stream *lower);
/*
 * The peer, from the time the stream is connected until closed() returned. NULL if it is not a TLS
 * stream or has no peer yet.
 */
const struct mt_tls_peer *mt_tls_stream_peer(
	const struct mt_tls_layer *l, const struct mt_stream *s);
/*
 * mt_tls_context_id() of the context that made the stream. The tag is the one that a server's door
 * set with it.
 */
uint64_t mt_tls_stream_context_id(const struct mt_stream *s);
uint64_t mt_tls_stream_tag(const struct mt_stream *s);
/* 0x0303 or 0x0304; 0: not connected. The cipher is an enum mt_tls_cipher. */
uint16_t mt_tls_stream_version(const struct mt_stream *s);
uint8_t mt_tls_stream_cipher(const struct mt_stream *s);
/* "AES-128-GCM" */
const char *mt_tls_cipher_str(enum mt_tls_cipher c);
struct mt_tls_why mt_tls_stream_why(const struct mt_stream *s);
/*
 * True if its TLS 1.2 key has reached its usage limit and cannot be changed: send no new requests.
 */
bool mt_tls_stream_worn(const struct mt_stream *s);
/* TLS 1.3: changes our key and requests the peer to change its own. */
void mt_tls_stream_update(struct mt_stream *s);
