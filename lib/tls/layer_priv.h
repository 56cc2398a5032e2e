/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_tls_layer.h"

#define TLS_RETRY_NS   (5 * MT_MSEC)
#define TLS_NOTES      12
#define TLS_PEER_HEADS 1024

/* One sealed record or more: where it ends in the TLS stream, and where it lies in the lower one. */
struct tls_note {
	uint64_t upper;	      /* its text's end */
	uint64_t first, last; /* [first, last) */
};

/*
 * What of the TLS stream lies where in the lower one, as far as it is not acknowledged. Exact for few records under way; neighbours
 * behind the first share a note when there are more, and who asks says which side is the safe one.
 */
struct tls_notes {
	uint64_t floor; /* what is acknowledged: where the first note's text begins */
	uint32_t n;
	uint32_t many; /* by bits: notes of more than one record */
	struct tls_note at[TLS_NOTES];
};

void tls_notes_add(struct tls_notes *w, struct tls_note note);
/* The lower stream's bytes before `acked` are acknowledged: forgets those records. */
void tls_notes_acked(struct tls_notes *w, uint64_t acked);
/* Where the TLS stream is when all of the lower one before `pos` is there: a part of a record is nothing. */
uint64_t tls_notes_whole(const struct tls_notes *w, uint64_t pos);
/* The same for who asks what was read: of records that share a note, all may have been. */
uint64_t tls_notes_read(const struct tls_notes *w, uint64_t pos);
/* A part of a record is all of it. */
uint64_t tls_notes_begun(const struct tls_notes *w, uint64_t pos);

enum tls_state {
	TLS_CONNECTING, /* the lower stream is */
	TLS_HELLO,	/* the client's is not whole yet */
	TLS_WANTS,	/* there was no room for its handshake */
	TLS_SHAKING,
	TLS_FAILED, /* the user is to be told, */
	TLS_DONE,   /* the same */
	TLS_OPEN,
};

/* What a stream has from the end of its handshake on. */
struct tls_keyed {
	struct mt_tls_record r; /* first */
	/* A line: what is noted while one record is under way. */
	uint64_t
		seq; /* of the first note's record, if its text is nowhere else (tls_conn.plain_at) */
	struct tls_notes notes;
};
_Static_assert(offsetof(struct tls_keyed, seq) % MT_CACHE_LINE == 0 &&
		       offsetof(struct tls_keyed, notes.at[1]) - offsetof(struct tls_keyed, seq) <=
			       MT_CACHE_LINE,
	"prefetched by tls_look_ahead()");

/* A peer that one stream has or many. */
struct tls_peer {
	struct mt_tls_peer is;
	uint64_t hash;
	uint32_t refs, next; /* index + 1 */
};

/*
 * A stream. One queue each way: what is received rests in the lower stream until the user has room for a record; what is sent is sealed
 * at once and rests there, too.
 */
struct tls_conn {
	struct mt_stream s; /* first */
	/* What records want, in the lines behind it. */
	struct mt_stream *lower;
	struct mt_tls_layer *layer;
	struct tls_keyed *k;
	uint8_t state;	 /* enum tls_state */
	uint8_t records; /* in rx, beyond what the user had when it had room */
	bool opened : 1, waits : 1;
	bool coming : 1;     /* counted in mt_tls_layer.coming, */
	bool shares : 1;     /* and in .shaking */
	bool known : 1;	     /* the user has been told of it, or has opened it */
	bool heard : 1;	     /* the peer has sent a record: it takes us for who we are */
	bool refused : 1;    /* an alert came instead */
	bool alert_sent : 1; /* `alert` is ours */
	bool ask_due : 1;    /* mt_tls_stream_update() */
	bool gone_quiet : 1; /* the peer's FIN, in the handshake */
	bool retry : 1;	     /* retry_at is over */
	bool gathers : 1;    /* what is sent waits for the end of this turn's events */
	bool broken : 1;     /* nothing can be sealed any more */
	bool closed_in : 1, close_sent : 1, detached : 1, pumping : 1, full : 1;
	/*
	 * Text from plain_at to `accepted`: what is not sealed, and of who may take it back also what is not acknowledged. A record that was sealed
	 * in place is not in it: plain_at is its end then, and the first note is its.
	 */
	struct mt_chain plain;
	uint64_t plain_at, sealed, accepted; /* positions of its own */
	uint64_t given;			     /* to the lower stream */
	uint64_t sealed_in;		     /* the last turn in which bytes of the user's were */
	uint64_t deadline;		     /* MT_NEVER: none, as of all that are open */
	/* And what they do not. */
	uint64_t retry_at;  /* MT_NEVER: none */
	uint64_t told;	    /* to the user as acknowledged */
	uint64_t own_until; /* where its own records end in the lower stream, */
	union {
		struct mt_tls_context *context; /* held while `waits` */
		struct mt_tls_door *door;	/* until it is accepted */
	};
	uint64_t context_id, tag;
	struct mt_timer timer;
	union {
		struct mt_hello hello; /* until the handshake begins */
		struct mt_ref handshake;
	};
	uint32_t own_bytes; /* and how many bytes of them may be unacknowledged */
	uint32_t peer;	    /* index + 1; 0: none */
	int listener;
	uint8_t reason, alert,
		close; /* enum mt_tls_reason, the alert of it, enum mt_close_reason */
	uint8_t share; /* place in mt_tls_layer.shaking */
};

#define TLS_LINES(n) (((n) + MT_CACHE_LINE - 1) / MT_CACHE_LINE * MT_CACHE_LINE)
#define TLS_CONN_HOT offsetof(struct tls_conn, retry_at)
_Static_assert(TLS_CONN_HOT <= 3 * MT_CACHE_LINE, "what records want, prefetched");
/* With their generations in the slabs. */
_Static_assert(TLS_LINES(sizeof(struct tls_conn)) + TLS_LINES(sizeof(struct tls_keyed)) + 8 <= 1024,
	"an idle connection's");
_Static_assert(sizeof(struct tls_conn) <= 512, "half a hello's");

static inline struct tls_conn *tls_conn_of(const struct mt_stream *s)
{
	return (struct tls_conn *)(uintptr_t)s;
}

/* Of a lower stream. */
static inline struct tls_conn *tls_above(const struct mt_stream *lower)
{
	struct mt_tls_layer *l = lower->user_ctx;

	return mt_slab_at(&l->streams, lower->owner_idx);
}

/* ---- layer.c ---- */
/* Of a stream that was let go, or is not accepted yet. */
extern const struct mt_stream_user tls_nobody;
/* Of a lower stream; and of one whose user has a holder of his own, who is charged. */
extern const struct mt_stream_user tls_lower_user, tls_lower_user_of_held;
struct tls_conn *tls_conn_new(struct mt_tls_layer *l);
void tls_conn_free(struct tls_conn *c);
/* What the next one's event will want beyond the object itself, which was asked for before. */
void tls_look_ahead(struct mt_tls_layer *l);
/* The lower stream is there. */
void tls_take_lower(struct tls_conn *c, struct mt_stream *lower);
/* The timer is set for the nearest of its times. */
void tls_arm(struct tls_conn *c);
/* Nothing else will call: again in a while. */
void tls_put_off(struct tls_conn *c);
/* An alert, where none of the user's bytes is queued before it and `alert` is none of -1; else a reset. The lower stream is gone. */
void tls_end_lower(struct tls_conn *c, int alert, enum mt_abort_reason why);
/* The end, by the layer itself. The user is told, while the stream can still say how far it came. */
void tls_fail(struct tls_conn *c, int alert, enum mt_abort_reason why, enum mt_close_reason reason);

/* ---- layer_hands.c, of struct mt_tls_layer.transport ---- */
struct mt_stream *tls_open(
	struct mt_transport *t, const struct mt_stream_to *to, enum mt_close_reason *why);

/* ---- layer_ops.c ---- */
void tls_ops_init(struct mt_stream_ops *ops);
/* Of a stream that was let go: it ends when all that it owes is given down. */
void tls_maybe_leave(struct tls_conn *c);

/* ---- layer_hands.c ---- */
/* A client's handshake begins, or later. */
void tls_connect(struct tls_conn *c);
/* Reads on, before records: false: the stream may be gone. */
void tls_shake(struct tls_conn *c);
/* It wants nothing of its handshake any more. */
void tls_hands_off(struct tls_conn *c);

/* ---- layer_peer.c ---- */
bool tls_peer_set(struct tls_conn *c, const struct mt_tls_peer *p);
void tls_peer_drop(struct tls_conn *c);

/* ---- layer_rx.c ---- */
/* At most one record is above what the user keeps for a longer message. */
bool tls_has_room(struct tls_conn *c);
/* Looks at the clock, and goes on with what there is. The stream may be gone on return. */
void tls_pump(struct tls_conn *c);
/* The same of one that is open. */
void tls_receive(struct tls_conn *c);
/*
 * The lower stream is closed: opens the records that the user had no room for. Only for byte
 * streams, which deliver what was acknowledged; other users have no use for it. Raises no event.
 */
void tls_receive_rest(struct tls_conn *c);

/* ---- layer_tx.c ---- */
/* Sends what is due: the layer's own records, then the user's bytes, then the close. */
void tls_flush(struct tls_conn *c);
/* Something is due, or waits for memory; of what is open. */
static inline bool tls_owes(const struct tls_conn *c)
{
	return c->sealed != c->accepted || c->ask_due || c->s.tx_shut ||
	       (mt_tls_record_due(&c->k->r) & ~MT_TLS_RECORD_DUE_DRAIN);
}
/* Gives a chain to the lower stream as one record, sealed where it is. -EAGAIN: it is not that simple, and nothing has happened. */
int tls_send_alone(struct tls_conn *c, struct mt_chain *out);
/* Forgets records that are acknowledged: it is done when somebody waits for that, or wants to know. */
static inline void tls_look_acked(struct tls_conn *c)
{
	if (c->k->notes.n)
		tls_notes_acked(&c->k->notes, mt_stream_positions(c->lower).acked);
}
/* Gives bytes to the lower stream. */
void tls_give(struct tls_conn *c, struct mt_chain *out);
/* Plain text that nobody will ask for any more. */
void tls_drop_plain(struct tls_conn *c);
/* What has changed of their settings: the user's wishes go down, the transport's come up. */
void tls_agree(struct tls_conn *c);
/* Copies what both streams must agree about. */
static inline void tls_follow(struct tls_conn *c)
{
	static const struct mt_stream shared = {.yields = true,
		.squeezed = true,
		.rx_class = UINT8_MAX,
		.tx_class = UINT8_MAX,
		.silent = UINT8_MAX};
	struct mt_stream *s = &c->s, *lower = c->lower;

	/* While it is squeezed its mark goes up and down. */
	if (mt_unlikely(((s->settings ^ lower->settings) & shared.settings) || s->squeezed))
		tls_agree(c);
	s->tx_queued = lower->tx_queued + c->plain.truesize;
}
/* The same, and has what the upper one holds charged. */
static inline void tls_sync(struct tls_conn *c)
{
	tls_follow(c);
	/* What it keeps itself is the lower one's to be charged, and not any more when that is gone. */
	if (c->s.rx.truesize | c->plain.truesize || c->s.keeps)
		mt_stream_touch(c->lower);
	else
		mt_stream_keeps_none(c->lower);
}
/* The end of an event, for who has sent nothing himself, mostly: what tls_flush() does, and less where nothing is to be sent. */
static inline void tls_settle(struct tls_conn *c)
{
	if (mt_unlikely(c->gathers || tls_owes(c)))
		tls_flush(c);
	else
		tls_sync(c);
}
/* Bytes of a record beside its text, at most. */
#define TLS_RECORD_MORE 29
