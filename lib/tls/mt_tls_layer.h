/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/tls as a layer of lib/stream: TLS streams over the streams of another transport, of one worker. As clients they are opened by its
 * own transport; a struct mt_tls_door makes them of streams that were accepted, as servers. Handshakes are done elsewhere (struct
 * mt_tls_hands; a lane of mt_tls_pool.h is one), records here (mt_tls_record.h). No system call, no lock, no call of the library.
 *
 * Users of both are told from events of the lower stream alone: never from inside a verb, nor while handshakes are taken.
 */
#pragma once

#include "mt_outcome.h"
#include "mt_tls_record.h"
#include "mt_slab.h"
#include "mt_stream.h"
#include "mt_tls_pool.h"
#include "mt_wheel.h"

/* The longest that a client may take for its hello and for what follows until its handshake is over; and for the latter alone. */
#define MT_TLS_HELLO_MS 10000
#define MT_TLS_SHAKE_MS 5000
/* Of all streams, those of clients that are not accepted yet: a part of so much. */
#define MT_TLS_COMING 4
/*
 * Clients' addresses (IPv6: /64) by hash: while so many handshakes of clients are under way, one of them has no more than so many, so
 * that who begins and says nothing more does not keep others out.
 */
#define MT_TLS_SHARES	  256
#define MT_TLS_SHARE_FROM (MT_TLS_SLOTS / 4)
#define MT_TLS_SHARE	  (MT_TLS_SLOTS / 16)

/* ---- who does handshakes ------------------------------------------------------------------------------ */

/* As those of mt_tls_pool.h, by which what they mean is said. What comes of them is told to mt_tls_layer_event(). */
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

/* ---- a worker's ---------------------------------------------------------------------------------------- */

enum mt_tls_outcome {
#define MT_OUTCOME(n, s, w) MT_TLS_N_##n,
#include "tls_outcomes.def"
#undef MT_OUTCOME
	MT_TLS_N_COUNTS
};

extern const struct mt_outcome_set mt_tls_outcomes;
/* Of struct mt_tls_layer.failed, from the second one on: the first is none. */
extern const struct mt_outcome_set mt_tls_failed_outcomes;

struct mt_tls_layer_conf {
	struct mt_pools *pools;
	struct mt_aead *aead;
	struct mt_transport *lower;
	const struct mt_tls_hands *hands;
	void *hands_arg;
	uint32_t streams; /* at most */
	uint32_t mss;	  /* of the lower streams, for the size of the first records */
	uint8_t secret[16];
};

struct mt_tls_layer {
	/*
	 * Opens streams by TLS where a context is said (struct mt_stream_to), others by `lower` as they are. What is sent by TLS can be
	 * taken back until it is acknowledged (mt_stream_reclaim()); of a record that was sealed in place until a part of it is, or our key changes.
	 */
	struct mt_transport transport; /* first */
	struct mt_transport *lower;
	struct mt_tls_records records;
	struct mt_slab streams, keyed, peers;
	const struct mt_tls_hands *hands;
	void *hands_arg;
	struct mt_wheel wheel;
	uint64_t now; /* of this turn */
	uint32_t mss;
	struct mt_stream_ops ops;
	uint32_t *peer_heads; /* of the table of peers, by hash: index + 1 */
	uint8_t secret[16];
	uint8_t *hello;	    /* MT_HELLO_MAX bytes: the one in hand */
	uint32_t coming;    /* streams of clients that are not accepted yet */
	uint32_t n_shaking; /* handshakes of theirs */
	uint16_t shaking[MT_TLS_SHARES];
	struct tls_conn
		*ahead; /* whose event comes next: asked for by and by; NULL: none, or it is gone */
	uint64_t full_at; /* the turn in which there was no room for a handshake */
	uint64_t counts[MT_TLS_N_COUNTS];
	uint64_t failed[MT_TLS_REASONS]; /* handshakes, by reason */
};

/* 0 or -ENOMEM. Boot. */
int mt_tls_layer_init(struct mt_tls_layer *l, const struct mt_tls_layer_conf *conf, uint64_t now);
/* No stream of it is left, but of a worker that is torn down: these are freed, and nobody is told. */
void mt_tls_layer_fini(struct mt_tls_layer *l);

/* The begin of a worker's turn: the time, and what is due. And when something is next. */
void mt_tls_layer_turn(struct mt_tls_layer *l, uint64_t now);
static inline uint64_t mt_tls_layer_next(struct mt_tls_layer *l)
{
	return mt_wheel_next(&l->wheel);
}

/* An mt_tls_event_fn: what came of a handshake. Outside of all verbs and events. */
void mt_tls_layer_event(void *layer, const struct mt_tls_event *e);

/* ---- servers ------------------------------------------------------------------------------------------- */

/* What becomes of streams that others open. It stays while there are streams that came through it and are not accepted. */
struct mt_tls_door {
	struct mt_tls_layer *layer;
	const struct mt_listen_ops *listen; /* who takes TLS streams */
	void *arg;
	/*
	 * The context for who says this; NULL: there is none, and the client is told. Once a hello, or more often when it has to wait. *tag
	 * is the caller's: mt_tls_stream_tag().
	 */
	struct mt_tls_context *(*context)(void *arg, const struct mt_stream *lower, int listener,
		const struct mt_hello_says *says, uint64_t *tag);
};

/* Of a transport's listener whose streams are all TLS; `arg` is the door. */
extern const struct mt_listen_ops mt_tls_door_ops;

/*
 * A stream that was accepted, also one from which nothing was taken yet, becomes a TLS stream's lower one: the layer is its user from
 * here on, and listen->accept() is called when the handshake is done. Also in events of that stream. false: no memory, nothing changed.
 */
bool mt_tls_door_take(struct mt_tls_door *d, struct mt_stream *lower, int listener);

/* ---- a TLS stream -------------------------------------------------------------------------------------- */

/* How it failed, inside closed(): by handshake or by an alert. */
struct mt_tls_why {
	enum mt_tls_reason reason; /* of the handshake */
	uint8_t alert;
	bool alert_sent; /* by us; else the peer's, if there is one */
};

bool mt_tls_stream_is(const struct mt_tls_layer *l, const struct mt_stream *s);
/* Who the other end is, once it is connected: until closed() returned. NULL: no TLS stream. */
const struct mt_tls_peer *mt_tls_stream_peer(
	const struct mt_tls_layer *l, const struct mt_stream *s);
/* mt_tls_context_id() of the context that it was made by; and of a server's, what its door said with that. */
uint64_t mt_tls_stream_context_id(const struct mt_stream *s);
uint64_t mt_tls_stream_tag(const struct mt_stream *s);
/* 0x0303, 0x0304; 0: not connected. And its cipher (enum mt_tls_cipher). */
uint16_t mt_tls_stream_version(const struct mt_stream *s);
uint8_t mt_tls_stream_cipher(const struct mt_stream *s);
struct mt_tls_why mt_tls_stream_why(const struct mt_stream *s);
/* Its key has done enough and cannot be changed (TLS 1.2): no new requests, please. */
bool mt_tls_stream_worn(const struct mt_stream *s);
/* TLS 1.3: our key is changed, and the peer is asked to change its own. */
void mt_tls_stream_update(struct mt_stream *s);
