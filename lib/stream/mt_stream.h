/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/stream: the verbs that lib/tcp and layers above it share, so that nobody asks which it is. A
 * stream is the first member of a connection object; the layer below fills `rx` and calls the user's
 * events, the user takes bytes, sends chains and ends it. One worker owns a stream and everything
 * about it; events never arrive inside a verb, except that mt_stream_abort() reports nothing.
 *
 * Streams come from a transport (mt_stream_open(), struct mt_listen_ops). A layer is a transport over
 * another one: its stream is the user of a lower stream, answers some verbs by itself and passes others down
 * (where both ends are, for one). Positions are each layer's own.
 *
 * Life: (open or accept) -> connected -> readable/writable... -> eof -> closed. After `closed` returned
 * the stream is gone. `owner_idx` names the user's object in the user's own slab.
 */
#pragma once

#include "mt_addr.h"
#include "mt_buf.h"
#include "mt_ledger.h"

enum mt_close_reason {
	MT_CLOSE_OK,	  /* both directions ended in order */
	MT_CLOSE_RESET,	  /* the peer reset the connection */
	MT_CLOSE_REFUSED, /* connect answered by RST */
	MT_CLOSE_CONNECT_TIMEOUT,
	MT_CLOSE_TIMEOUT,     /* retransmissions or keep-alive gave up */
	MT_CLOSE_UNREACHABLE, /* neighbour or ICMP says so */
	MT_CLOSE_NO_SOURCE_PORT,
	MT_CLOSE_NO_MEMORY,
	MT_CLOSE_LOCAL,	    /* ended by our own side (drain, listener gone) */
	MT_CLOSE_HANDSHAKE, /* a layer's handshake has failed */
	MT_CLOSE_BUSY,	    /* our own side did not get to the handshake in time */
	MT_CLOSE_N_REASONS
};

/* True if the stream ended for a shortage or a decision of our own: it tells nothing about the peer. */
static inline bool mt_close_is_ours(enum mt_close_reason r)
{
	return r == MT_CLOSE_NO_SOURCE_PORT || r == MT_CLOSE_NO_MEMORY || r == MT_CLOSE_LOCAL ||
	       r == MT_CLOSE_BUSY;
}

/* Why a stream is aborted: counted, and told to a peer whose protocol has words for it. */
enum mt_abort_reason {
	MT_ABORT_CANCELLED, /* nobody needs it any more */
	MT_ABORT_PROTOCOL,  /* what the peer sent cannot be served */
	MT_ABORT_SLOW,	    /* the peer gave or took too little for too long */
	MT_ABORT_RELAYED,   /* what it was joined to was cut off */
	MT_ABORT_N_REASONS
};

/* "reset", "connect timeout", ...: for the shell and for error replies. */
const char *mt_close_reason_str(enum mt_close_reason r);

struct mt_stream;
struct mt_tls_context;

/* What the user is told. Events of one burst are merged: `readable` comes once, after the burst. */
struct mt_stream_user {
	/* Another call for this stream comes soon: ask for the user's object. Changes nothing. May be NULL. */
	void (*prefetch)(const struct mt_stream *s);
	void (*connected)(struct mt_stream *s);
	/* New bytes in s->rx. Bytes that are neither taken nor kept (mt_stream_keep()) close the window. */
	void (*readable)(struct mt_stream *s);
	/* The peer's FIN is in sequence and all bytes before it are in s->rx (maybe still not taken). */
	void (*eof)(struct mt_stream *s);
	/* The send queue fell below the low mark after mt_stream_sendable() had said 0. */
	void (*writable)(struct mt_stream *s);
	/* Bytes were acknowledged (progress of a slow reader). May be NULL. */
	void (*acked)(struct mt_stream *s, uint32_t bytes);
	/* The end; the stream must not be used after return. s->rx that was not taken is freed. */
	void (*closed)(struct mt_stream *s, enum mt_close_reason reason);
	/*
	 * Adds what the user keeps of this stream's bytes outside of it (truesize), for the ledger. Once a turn, only
	 * while s->keeps is true; clears it when nothing is kept any more. May be NULL. Changes nothing else.
	 */
	void (*holds)(struct mt_stream *s, struct mt_sums *sums);
	/*
	 * The ledger's share of the class is used up and this stream is the largest of the largest holder's: gives way,
	 * as a rule by aborting it. Comes outside of all other events. NULL: it is passed over.
	 */
	void (*evict)(struct mt_stream *s, enum mt_class c);
	/* The peer that answers for what this stream holds, if it is not the stream's own. May be NULL. */
	struct mt_addr (*holder)(const struct mt_stream *s);
};

/* How far the bytes that were given to mt_stream_send() have come, counted from the stream's first one. */
struct mt_stream_pos {
	uint64_t accepted; /* by mt_stream_send() */
	uint64_t sent;	   /* no byte from here on was ever transmitted */
	uint64_t acked;	   /* the peer's machine has those before */
};

/*
 * What the transport knows of how the peer's end went, for who must decide what the peer can have read. Positions
 * count our bytes, as in struct mt_stream_pos.
 */
struct mt_stream_end {
	struct mt_stream_pos pos;
	uint64_t resent;    /* no byte from here on was transmitted more than once */
	bool fin;	    /* the peer's FIN is in sequence */
	bool quiet;	    /* and nothing has come since, for a retransmission timeout */
	uint64_t fin_acked; /* with fin: what the peer had acknowledged then */
	bool reset;
	bool reset_ack; /* the reset acknowledged something that was outstanding, or just what was */
	uint64_t reset_acked; /* with reset_ack: up to where */
};

/* Whether the peer's application can have read a range of our bytes. */
enum mt_unread {
	MT_UNREAD_UNKNOWN,	  /* it may have: acknowledged in full, or nothing tells */
	MT_UNREAD_PROVEN,	  /* it has none of them */
	MT_UNREAD_IN_PART,	  /* it may have the first of them, but not the last */
	MT_UNREAD_IF_WHOLE_CLOSE, /* proven, if the peer never closes its sending side alone */
};

/* About [first, last), first < last. A pure function of `e`. */
enum mt_unread mt_stream_unread(const struct mt_stream_end *e, uint64_t first, uint64_t last);

/* The same for who believes no word of the peer's: what was never transmitted is proven, all else unknown. */
static inline enum mt_unread mt_stream_unsent(const struct mt_stream_end *e, uint64_t first)
{
	return e->pos.sent <= first ? MT_UNREAD_PROVEN : MT_UNREAD_UNKNOWN;
}

/* What the layer below does. */
struct mt_stream_ops {
	void (*consumed)(struct mt_stream *s);
	void (*send)(struct mt_stream *s, struct mt_chain *c);
	void (*shutdown)(struct mt_stream *s);
	void (*abort)(struct mt_stream *s, enum mt_abort_reason why);
	void (*detach)(struct mt_stream *s);
	void (*refuse)(struct mt_stream *s, uint32_t words);
	bool (*coming)(const struct mt_stream *s); /* NULL: never */
	void (*touch)(struct mt_stream *s);
	void (*again)(struct mt_stream *s);
	void (*class)(struct mt_stream *s, enum mt_class rx, enum mt_class tx);
	const struct mt_tuple *(*ends)(const struct mt_stream *s);
	uint32_t (*room)(const struct mt_stream *s);
	void (*positions)(const struct mt_stream *s, struct mt_stream_pos *pos);
	void (*end)(const struct mt_stream *s, struct mt_stream_end *e);
	int (*reclaim)(
		const struct mt_stream *s, uint64_t first, uint64_t last, struct mt_chain *to);
	bool (*put_back)(struct mt_stream *s); /* NULL: it cannot */
};

/* A stream to be opened. The user's fields are set before any event. */
struct mt_stream_to {
	const struct mt_addr *remote;
	uint16_t port;
	const struct mt_addr *local; /* NULL: chosen, so that this worker owns the stream */
	uint32_t connect_ms;	     /* 0: the transport's default */
	uint16_t silent_ms; /* rounded up to 100 ms, 25.5 s at most; see struct mt_stream */
	/* TLS by this context, which is held as long as that needs it; NULL: clear text. For a transport that can. */
	struct mt_tls_context *tls;
	const struct mt_stream_user *user;
	void *user_ctx;
	uint32_t owner_idx;
};

/* What opens streams: a worker's lib/tcp, or a layer over another transport. */
struct mt_transport {
	struct mt_stream *(*open)(
		struct mt_transport *t, const struct mt_stream_to *to, enum mt_close_reason *why);
};

/* What a listener's owner decides about a new stream, and where accepted ones go. */
struct mt_listen_ops {
	/*
	 * Somebody connects to an address that is ours: the listener's index, or -1 (refused, counted).
	 * Must be cheap: it is called for every SYN, also in a flood.
	 */
	int (*lookup)(void *arg, const struct mt_addr *local, uint16_t lport);
	/*
	 * The handshake is complete: sets s->user, user_ctx, owner_idx, tx_high. false refuses (reset).
	 */
	bool (*accept)(void *arg, struct mt_stream *s, int listener);
};

struct mt_stream {
	const struct mt_stream_ops *ops;
	const struct mt_stream_user
		*user;	    /* never NULL: a detached stream has a user that ignores */
	void *user_ctx;	    /* the user's per-worker context */
	uint32_t owner_idx; /* the user's object, in the user's slab */
	uint32_t tx_queued; /* truesize of what is sent but not acknowledged, or waits */
	uint32_t charged;   /* the transport's: what the ledger has of it */
	uint32_t tx_high;   /* above this mt_stream_sendable() is 0 */
	struct mt_chain rx; /* in-order bytes, read by the user */
	union {
		struct {
			bool rx_eof : 1;	/* FIN seen; nothing follows what is in rx */
			bool tx_shut : 1;	/* shutdown was called */
			bool want_writable : 1; /* sendable() said 0: tell when it changes */
			bool keeps : 1; /* the user keeps some of its bytes: the ledger asks `holds` */
			bool yields : 1; /* the transport may lower tx_high, if its holder has too much */
			bool squeezed : 1; /* the transport's: it has */
			bool no_reclaim : 1; /* the user takes nothing back (mt_stream_reclaim()) any more */
			/* enum mt_class of what comes and goes (mt_stream_class()) */
			uint8_t rx_class, tx_class;
			/*
			 * In 100 ms: while something waits for its acknowledgement, or for a window, and nothing at all
			 * comes from the peer for so long (longer on a slow path), the stream ends: MT_CLOSE_TIMEOUT. 0: when the
			 * transport gives up by itself.
			 */
			uint8_t silent;
		};
		uint32_t settings; /* all of these at once, for a layer to compare */
	};
	uint32_t rx_kept; /* of rx: mt_stream_keep() */
};
_Static_assert(sizeof(struct mt_stream) == 80, "a stream is the begin of each connection");

/*
 * Opens a stream. NULL and *why when it can't even start (no source port, no memory, no route); everything
 * later comes as closed().
 */
static inline struct mt_stream *mt_stream_open(
	struct mt_transport *t, const struct mt_stream_to *to, enum mt_close_reason *why)
{
	return t->open(t, to, why);
}

/* Addresses and ports of both ends, as we see them, and where an accepted one came in; valid as long as the stream. */
static inline const struct mt_tuple *mt_stream_ends(const struct mt_stream *s)
{
	return s->ops->ends(s);
}

/* Also inside closed(). */
static inline struct mt_stream_pos mt_stream_positions(const struct mt_stream *s)
{
	struct mt_stream_pos pos;

	s->ops->positions(s, &pos);
	return pos;
}

/* At any time; what can still come is not there yet. Also inside closed(). */
static inline void mt_stream_end(const struct mt_stream *s, struct mt_stream_end *e)
{
	s->ops->end(s, e);
}

/*
 * Copies the bytes [first, last), first <= last, as they were given to mt_stream_send(), behind `to`, while the
 * transport holds all of them: what is proven unread can be sent on another stream, and nobody need keep a copy of
 * each request for that. 0; -ENODATA: some are acknowledged, were never given, or are not to be had any more (`no_reclaim`; of a
 * layer's record, a part is acknowledged or its key has changed); -ENOMEM. Without 0 nothing is appended. Costs time and memory by the length of the range. Changes nothing in the stream. At any time, also inside
 * closed().
 */
static inline int mt_stream_reclaim(
	const struct mt_stream *s, uint64_t first, uint64_t last, struct mt_chain *to)
{
	return s->ops->reclaim(s, first, last, to);
}

/* Frees the first n bytes of rx. */
static inline void mt_stream_drop(struct mt_stream *s, uint32_t n)
{
	mt_chain_drop(&s->rx, n);
	s->rx_kept = 0;
	s->ops->consumed(s);
}

/*
 * The first n bytes of rx (n <= rx.len) are the begin of something that the user needs whole: they stay there
 * and do not close the window, which opens as if they were taken. They remain charged. Holds until the user
 * says otherwise or takes bytes. To keep fewer without taking them breaks a promise: what comes through the window that was
 * opened may find no room, and its sender waits for its timer.
 */
static inline void mt_stream_keep(struct mt_stream *s, uint32_t n)
{
	s->rx_kept = n;
	s->ops->consumed(s);
}

/*
 * All of rx is the begin of something that the user needs whole, and it has taken nothing of that yet. true: there is no
 * room for more such begins; rx is empty, and what was in it is not acknowledged and comes again. The user forgets what it knew
 * of those bytes. Only what came in this turn, on a stream that held nothing before, is put back.
 */
static inline bool mt_stream_put_back(struct mt_stream *s)
{
	return s->ops->put_back && s->ops->put_back(s);
}

/* After the user changed s->rx itself (mt_chain_forward() out of it): keeps nothing, lets the window open. */
static inline void mt_stream_consumed(struct mt_stream *s)
{
	mt_stream_keep(s, 0);
}

/* Queues all of `c` (empty afterwards). Never refuses; the caller keeps to mt_stream_sendable(). */
static inline void mt_stream_send(struct mt_stream *s, struct mt_chain *c)
{
	s->ops->send(s, c);
}

/* Bytes of truesize that should still be queued; 0: wait for `writable`. */
static inline uint32_t mt_stream_sendable(struct mt_stream *s)
{
	if (s->tx_queued < s->tx_high)
		return s->tx_high - s->tx_queued;
	s->want_writable = true;
	return 0;
}

/* Bytes that may wait in a stream for its windows when they are given to it (mt_stream_room()). */
#define MT_STREAM_AHEAD 2048

/*
 * Bytes that the transport's windows admit now beyond what is queued already, and MT_STREAM_AHEAD; 0: who has others that want
 * to send on it keeps them until the next acknowledgement (want_writable).
 */
static inline uint32_t mt_stream_room(const struct mt_stream *s)
{
	return s->ops->room(s);
}

/* What the user keeps of the stream's bytes has changed in this turn: the ledger settles it again. */
static inline void mt_stream_touch(struct mt_stream *s)
{
	s->keeps = true;
	s->ops->touch(s);
}

/* He keeps none any more: the ledger need not ask. */
static inline void mt_stream_keeps_none(struct mt_stream *s)
{
	if (!s->keeps)
		return;
	s->keeps = false;
	s->ops->touch(s);
}

/*
 * `readable` comes once more, outside of all verbs, though nothing new may have come: for a layer that left bytes because its
 * own user had no room, and whose user has room now.
 */
static inline void mt_stream_again(struct mt_stream *s)
{
	s->ops->again(s);
}

/* What the ledger takes its bytes for, from here on and those that are there. */
static inline void mt_stream_class(struct mt_stream *s, enum mt_class rx, enum mt_class tx)
{
	s->ops->class(s, rx, tx);
}

/* FIN after what is queued. Receiving goes on (half-close). */
static inline void mt_stream_shutdown(struct mt_stream *s)
{
	s->ops->shutdown(s);
}

/* RST now; queues are freed, no event follows, the stream is gone on return. */
static inline void mt_stream_abort(struct mt_stream *s, enum mt_abort_reason why)
{
	s->ops->abort(s, why);
}

/*
 * The user lets go: what is queued is still delivered, then FIN, within a time limit; what arrives
 * is dropped. Before the handshake is complete it just ends. No event follows; the stream must not be
 * used after return.
 */
static inline void mt_stream_detach(struct mt_stream *s)
{
	s->ops->detach(s);
}

/*
 * Nothing more is read: what arrives from here on, behind what has arrived, is not acknowledged, so that its sender knows that
 * nobody has it. Behind mt_stream_detach() who sends such bytes all the same is reset, when it has all of ours. A FIN is still taken. `words`: so many bytes at most are
 * acknowledged and dropped all the same, in which a layer's peer says that it ends, too.
 */
static inline void mt_stream_refuse_but(struct mt_stream *s, uint32_t words)
{
	s->ops->refuse(s, words);
}

static inline void mt_stream_refuse(struct mt_stream *s)
{
	mt_stream_refuse_but(s, 0);
}

/* Bytes have been acknowledged that are not in rx: a layer waits for the rest of what they are the begin of. */
static inline bool mt_stream_coming(const struct mt_stream *s)
{
	return s->ops->coming && s->ops->coming(s);
}
