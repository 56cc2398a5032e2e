/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_tls_layer.h"

#define TLS_RETRY_NS   (5 * MT_MSEC)
#define TLS_NOTES      12
#define TLS_PEER_HEADS 1024

/* One or more sealed records: their position in the TLS stream and in the lower stream. */
struct tls_note {
	uint64_t upper;	      /* end of their text */
	uint64_t first, last; /* [first, last) in the lower stream */
};

/*
 * Maps positions of the TLS stream to the lower stream, for what is not acknowledged. Exact while
 * few records are in flight. With more, neighbours after the first share a note, and each function
 * below chooses the safe side.
 */
struct tls_notes {
	uint64_t floor; /* acknowledged up to here: the start of the first note's text */
	uint32_t n;
	uint32_t many; /* bit mask of notes with more than one record */
	struct tls_note at[TLS_NOTES];
};

void tls_notes_add(struct tls_notes *w, struct tls_note note);
/* Removes the records before `acked` in the lower stream, which are acknowledged. */
void tls_notes_acked(struct tls_notes *w, uint64_t acked);
/*
 * Position of the TLS stream when the lower one is complete up to `pos`. A partial record does not
 * count.
 */
uint64_t tls_notes_whole(const struct tls_notes *w, uint64_t pos);
/*
 * As tls_notes_whole(), for bytes that the peer may have read: of records that share a note, all
 * count when one may be complete.
 */
uint64_t tls_notes_read(const struct tls_notes *w, uint64_t pos);
/* As tls_notes_whole(), but a partial record counts as all of it. */
uint64_t tls_notes_begun(const struct tls_notes *w, uint64_t pos);

enum tls_state {
	TLS_CONNECTING, /* the lower stream connects */
	TLS_HELLO,	/* the client's hello is incomplete */
	TLS_WANTS,	/* no room for its handshake yet */
	TLS_SHAKING,
	TLS_FAILED, /* the user does not know it yet */
	TLS_DONE,   /* the user does not know it yet */
	TLS_OPEN,
};

/* State of a stream from the end of its handshake on. */
struct tls_keyed {
	struct mt_tls_record r; /* first */
	/* One cache line: what is used while one record is in flight. */
	uint64_t
		seq; /* number of the first note's record, if its text is nowhere else (plain_at) */
	struct tls_notes notes;
};
_Static_assert(offsetof(struct tls_keyed, seq) % MT_CACHE_LINE == 0 &&
		       offsetof(struct tls_keyed, notes.at[1]) - offsetof(struct tls_keyed, seq) <=
			       MT_CACHE_LINE,
	"prefetched by tls_look_ahead()");

/* A peer, shared by all streams that have the same. */
struct tls_peer {
	struct mt_tls_peer is;
	uint64_t hash;
	uint32_t refs, next; /* index + 1 */
};

/*
 * A TLS stream. Each direction has one queue. Received bytes stay in the lower stream until the
 * user has room for a record. Sent bytes are sealed at once and stay in the lower stream, too.
 */
struct tls_conn {
	struct mt_stream s; /* first */
	/* What records need, in the cache lines after `s`. */
	struct mt_stream *lower;
	struct mt_tls_layer *layer;
	struct tls_keyed *k;
	uint8_t state;	 /* enum tls_state */
	uint8_t records; /* records added to rx since the user last had room */
	bool opened : 1, waits : 1;
	bool coming : 1;     /* counted in mt_tls_layer.coming */
	bool shares : 1;     /* counted in mt_tls_layer.shaking */
	bool known : 1;	     /* the user has opened or accepted it */
	bool heard : 1;	     /* the peer has sent a record, so it accepts our identity */
	bool refused : 1;    /* an alert came instead */
	bool alert_sent : 1; /* `alert` is ours */
	bool ask_due : 1;    /* mt_tls_stream_update() is outstanding */
	bool gone_quiet : 1; /* the peer's FIN came in the handshake */
	bool retry : 1;	     /* retry_at has passed */
	bool gathers : 1;    /* sent bytes wait for the end of this loop iteration's events */
	bool broken : 1;     /* nothing can be sealed any more */
	uint8_t graces : 2;  /* times that a pause of the worker moved its deadline */
	bool closed_in : 1, close_sent : 1, detached : 1, pumping : 1, full : 1;
	/*
	 * Text from plain_at to `accepted`: what is not sealed, and, if the user may take it back,
	 * what is not acknowledged. A record sealed in place is not in it: then plain_at is the end
	 * of that record, and the first note is for it.
	 */
	struct mt_chain plain;
	uint64_t plain_at, sealed, accepted; /* positions in the TLS stream */
	uint64_t given;			     /* position in the lower stream */
	/* the last loop iteration that sealed bytes of the user */
	uint64_t sealed_in;
	uint64_t deadline; /* MT_NEVER: none, as for all open streams */
	/* What records do not need. */
	uint64_t retry_at;  /* MT_NEVER: none */
	uint64_t told;	    /* position acknowledged, as reported to the user */
	uint64_t own_until; /* end of its own records in the lower stream */
	union {
		struct mt_tls_context *context; /* referenced while `waits` */
		struct mt_tls_door *door;	/* until it is accepted */
	};
	uint64_t context_id, tag;
	struct mt_timer timer;
	union {
		struct mt_hello hello; /* until the handshake starts */
		struct mt_ref handshake;
	};
	uint32_t own_bytes; /* bytes of own records that may be unacknowledged */
	uint32_t peer;	    /* index + 1; 0: none */
	int listener;
	uint8_t reason, alert,
		close; /* enum mt_tls_reason, the handshake's alert, enum mt_close_reason */
	uint8_t share; /* index in mt_tls_layer.shaking */
};

#define TLS_LINES(n) (((n) + MT_CACHE_LINE - 1) / MT_CACHE_LINE * MT_CACHE_LINE)
#define TLS_CONN_HOT offsetof(struct tls_conn, retry_at)
_Static_assert(TLS_CONN_HOT <= 3 * MT_CACHE_LINE, "what records want, prefetched");
/* Includes their generations in the slabs. */
_Static_assert(TLS_LINES(sizeof(struct tls_conn)) + TLS_LINES(sizeof(struct tls_keyed)) + 8 <= 1024,
	"an idle connection's");
_Static_assert(sizeof(struct tls_conn) <= 512, "half a hello's");

static inline struct tls_conn *tls_conn_of(const struct mt_stream *s)
{
	return (struct tls_conn *)(uintptr_t)s;
}

/* The TLS stream above a lower stream. */
static inline struct tls_conn *tls_above(const struct mt_stream *lower)
{
	struct mt_tls_layer *l = lower->user_ctx;

	return mt_slab_at(&l->streams, lower->owner_idx);
}

/* ---- layer.c ---- */
/* User of a stream that is detached or not accepted yet. */
extern const struct mt_stream_user tls_nobody;
/*
 * Users of a lower stream. The second is for a TLS stream whose user has a holder() of its own,
 * which is charged.
 */
extern const struct mt_stream_user tls_lower_user, tls_lower_user_of_held;
struct tls_conn *tls_conn_new(struct mt_tls_layer *l);
void tls_conn_free(struct tls_conn *c);
/* Prefetches what the next stream's event needs besides its object, which was prefetched before. */
void tls_look_ahead(struct mt_tls_layer *l);
/* Attaches the lower stream. */
void tls_take_lower(struct tls_conn *c, struct mt_stream *lower);
/* Sets the timer to the nearer of `deadline` and `retry_at`. */
void tls_arm(struct tls_conn *c);
/* Sets a retry for cases in which no other event will come. */
void tls_put_off(struct tls_conn *c);
/*
 * Ends the lower stream. Sends `alert` unless it is -1 or user bytes are unacknowledged; then it
 * resets. The lower stream is gone on return.
 */
void tls_end_lower(struct tls_conn *c, int alert, enum mt_abort_reason why);
/*
 * Ends a stream for a reason of the layer. Calls closed() first, while positions are still
 * available.
 */
void tls_fail(struct tls_conn *c, int alert, enum mt_abort_reason why, enum mt_close_reason reason);

/* ---- layer_hands.c, of struct mt_tls_layer.transport ---- */
struct mt_stream *tls_open(
	struct mt_transport *t, const struct mt_stream_to *to, enum mt_close_reason *why);

/* ---- layer_ops.c ---- */
void tls_ops_init(struct mt_stream_ops *ops);
/* Ends a detached stream when all that is outstanding was given to the lower stream. */
void tls_maybe_leave(struct tls_conn *c);

/* ---- layer_hands.c ---- */
/* Starts the handshake of a stream that we open, or retries later. */
void tls_connect(struct tls_conn *c);
/* Continues a stream whose handshake is not done. The stream may be gone on return. */
void tls_shake(struct tls_conn *c);
/* Releases everything that belongs to the handshake. */
void tls_hands_off(struct tls_conn *c);

/* ---- layer_peer.c ---- */
bool tls_peer_set(struct tls_conn *c, const struct mt_tls_peer *p);
void tls_peer_drop(struct tls_conn *c);

/* ---- layer_rx.c ---- */
/*
 * True if rx has at most what the user keeps for a longer message, so that one more record may be
 * opened.
 */
bool tls_has_room(struct tls_conn *c);
/* Checks the deadline and continues. The stream may be gone on return. */
void tls_pump(struct tls_conn *c);
/* Opens records of an open stream. The stream may be gone on return. */
void tls_receive(struct tls_conn *c);
/*
 * For a lower stream that is closed: opens the records for which the user had no room. Only for
 * opaque TCP, which delivers all that was acknowledged; other users cannot use it. Raises no event.
 */
void tls_receive_rest(struct tls_conn *c);

/* ---- layer_tx.c ---- */
/* Sends what is due: the layer's own records, then the user's bytes, then the close. */
void tls_flush(struct tls_conn *c);
/* True if something is due or waits for memory. Open streams only. */
static inline bool tls_owes(const struct tls_conn *c)
{
	return c->sealed != c->accepted || c->ask_due || c->s.tx_shut ||
	       (mt_tls_record_due(&c->k->r) & ~MT_TLS_RECORD_DUE_DRAIN);
}
/*
 * Seals a chain in place as one record and gives it to the lower stream. -EAGAIN: not possible, and
 * nothing has changed.
 */
int tls_send_alone(struct tls_conn *c, struct mt_chain *out);
/* Removes the notes of acknowledged records. Called only where the result is needed. */
static inline void tls_look_acked(struct tls_conn *c)
{
	if (c->k->notes.n)
		tls_notes_acked(&c->k->notes, mt_stream_positions(c->lower).acked);
}
/* Gives bytes to the lower stream. */
void tls_give(struct tls_conn *c, struct mt_chain *out);
/* Frees plain text that is not needed any more. */
void tls_drop_plain(struct tls_conn *c);
/* Copies changed settings: the user's to the lower stream, the transport's to this one. */
void tls_agree(struct tls_conn *c);
/* Copies the fields that must be equal in both streams. */
static inline void tls_follow(struct tls_conn *c)
{
	static const struct mt_stream shared = {.yields = true,
		.squeezed = true,
		.rx_class = UINT8_MAX,
		.tx_class = UINT8_MAX,
		.silent = UINT8_MAX};
	struct mt_stream *s = &c->s, *lower = c->lower;

	/* tx_high changes while the stream is throttled. */
	if (mt_unlikely(((s->settings ^ lower->settings) & shared.settings) || s->squeezed))
		tls_agree(c);
	s->tx_queued = lower->tx_queued + c->plain.truesize;
}
/* As tls_follow(), and has the ledger charge what this stream keeps. */
static inline void tls_sync(struct tls_conn *c)
{
	tls_follow(c);
	/* The lower stream is charged for what this one keeps, until this one keeps nothing. */
	if (c->s.rx.truesize | c->plain.truesize || c->s.keeps)
		mt_stream_touch(c->lower);
	else
		mt_stream_keeps_none(c->lower);
}
/* Ends an event: as tls_flush(), but cheaper if nothing is to be sent. */
static inline void tls_settle(struct tls_conn *c)
{
	if (mt_unlikely(c->gathers || tls_owes(c)))
		tls_flush(c);
	else
		tls_sync(c);
}
/* Bytes of a record besides its text, at most. */
#define TLS_RECORD_MORE 29
