/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/stream: the operations common to lib/tcp and the layers above it. A stream is the first
 * member of a connection object. The layer below fills `rx` and calls the user's events. The user
 * takes bytes, sends chains and ends the stream. One worker owns a stream and everything about it.
 * Events never arrive inside an operation; mt_stream_abort() causes no event at all.
 *
 * Streams come from a transport (mt_stream_open(), struct mt_listen_ops). A layer is a transport
 * over another one. Its stream is the user of a lower stream; it implements some operations itself
 * and forwards others (mt_stream_ends(), for example). Positions are each layer's own.
 *
 * Life: (open or accept) -> connected -> readable/writable... -> eof -> closed. After closed()
 * returned the stream is gone. `owner_idx` is the index of the user's object in the user's own
 * slab.
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
	MT_CLOSE_UNREACHABLE, /* reported by the neighbour's state or ICMP */
	MT_CLOSE_NO_SOURCE_PORT,
	MT_CLOSE_NO_MEMORY,
	MT_CLOSE_LOCAL,	    /* ended by our own side (drain, listener gone) */
	MT_CLOSE_HANDSHAKE, /* a layer's handshake failed */
	MT_CLOSE_BUSY,	    /* our own side did not process the handshake in time */
	MT_CLOSE_N_REASONS
};

/*
 * True if the stream ended by a shortage or a decision of our own, which is no evidence about the
 * peer.
 */
static inline bool mt_close_is_ours(enum mt_close_reason r)
{
	return r == MT_CLOSE_NO_SOURCE_PORT || r == MT_CLOSE_NO_MEMORY || r == MT_CLOSE_LOCAL ||
	       r == MT_CLOSE_BUSY;
}

/* Why a stream is aborted: counted, and sent to a peer if its protocol can express it. */
enum mt_abort_reason {
	MT_ABORT_CANCELLED, /* no longer needed */
	MT_ABORT_PROTOCOL,  /* what the peer sent cannot be served */
	MT_ABORT_SLOW,	    /* the peer sent or took too little for too long */
	MT_ABORT_RELAYED,   /* the stream it was joined to was reset */
	MT_ABORT_N_REASONS
};

/* "reset by peer", "connect timeout", ...: for the CLI and for error replies. */
const char *mt_close_reason_str(enum mt_close_reason r);

struct mt_stream;
struct mt_tls_context;

/* Events of a stream. Those of one burst are merged: `readable` comes once, after the burst. */
struct mt_stream_user {
	/*
	 * Another event for this stream comes soon: prefetch the user's object. Changes nothing.
	 * May be NULL.
	 */
	void (*prefetch)(const struct mt_stream *s);
	void (*connected)(struct mt_stream *s);
	/*
	 * New bytes are in s->rx. Bytes that are neither taken nor kept (mt_stream_keep()) close
	 * the window.
	 */
	void (*readable)(struct mt_stream *s);
	/*
	 * The peer's FIN is in sequence and all bytes before it are in s->rx (maybe not taken yet).
	 */
	void (*eof)(struct mt_stream *s);
	/* The send queue fell below the low mark after mt_stream_sendable() had returned 0. */
	void (*writable)(struct mt_stream *s);
	/* The peer acknowledged bytes (progress of a slow reader). May be NULL. */
	void (*acked)(struct mt_stream *s, uint32_t bytes);
	/* The end. The stream must not be used after return. Bytes left in s->rx are freed. */
	void (*closed)(struct mt_stream *s, enum mt_close_reason reason);
	/*
	 * Adds the truesize of the stream's bytes that the user keeps outside of it, for the
	 * ledger. Called once in a loop iteration, and only while s->keeps is true; clears it when
	 * nothing is kept any more. Changes nothing else. May be NULL.
	 */
	void (*holds)(struct mt_stream *s, struct mt_sums *sums);
	/*
	 * The ledger's share of the class is used up, and this stream is the largest of the largest
	 * holder. The user releases memory, usually by aborting the stream. Comes outside of all
	 * other events. NULL: the stream is skipped.
	 */
	void (*evict)(struct mt_stream *s, enum mt_class c);
	/*
	 * The peer that is charged for what this stream holds, if it is not the stream's own peer.
	 * May be NULL.
	 */
	struct mt_addr (*holder)(const struct mt_stream *s);
};

/* Progress of the bytes given to mt_stream_send(), counted from the stream's first byte. */
struct mt_stream_pos {
	uint64_t accepted; /* given to mt_stream_send() */
	uint64_t sent;	   /* bytes from here on were never transmitted */
	uint64_t acked;	   /* the peer's TCP has the bytes before */
};

/*
 * How the connection ended on the peer's side, as far as the transport knows, to decide what the
 * peer can have read. Positions count our bytes, as in struct mt_stream_pos.
 */
struct mt_stream_end {
	struct mt_stream_pos pos;
	uint64_t resent;    /* bytes from here on were transmitted once at most */
	bool fin;	    /* the peer's FIN is in sequence */
	bool quiet;	    /* `fin`, and nothing has come since for a retransmission timeout */
	uint64_t fin_acked; /* with `fin`: what the peer had acknowledged then */
	bool reset;
	/* the reset acknowledges a position from `pos.acked` to the end of what was sent */
	bool reset_ack;
	uint64_t reset_acked; /* with `reset_ack`: the position it acknowledged */
};

/* Whether the peer's application can have read a range of our bytes. */
enum mt_unread {
	MT_UNREAD_UNKNOWN,	  /* it may have: all are acknowledged, or there is no evidence */
	MT_UNREAD_PROVEN,	  /* it has read none of them */
	MT_UNREAD_IN_PART,	  /* it may have read the first of them, but not the last */
	MT_UNREAD_IF_WHOLE_CLOSE, /* proven if the peer never half-closes */
};

/* Decides for [first, last), first < last. A pure function of `e`. */
enum mt_unread mt_stream_unread(const struct mt_stream_end *e, uint64_t first, uint64_t last);

/*
 * As mt_stream_unread(), for callers that trust nothing from the peer: bytes that were never
 * transmitted are proven unread, all others are unknown.
 */
static inline enum mt_unread mt_stream_unsent(const struct mt_stream_end *e, uint64_t first)
{
	return e->pos.sent <= first ? MT_UNREAD_PROVEN : MT_UNREAD_UNKNOWN;
}

/* Operations of the layer below. */
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
	bool (*put_back)(struct mt_stream *s); /* NULL: not supported */
};

/* A stream to open. The user's fields are set before any event. */
struct mt_stream_to {
	const struct mt_addr *remote;
	uint16_t port;
	const struct mt_addr *local; /* NULL: chosen so that this worker owns the stream */
	uint32_t connect_ms;	     /* 0: the transport's default */
	uint16_t silent_ms; /* rounded up to 100 ms, 25.5 s at most; see struct mt_stream */
	/*
	 * Context for TLS, referenced as long as needed; NULL: plaintext. For transports that
	 * support TLS.
	 */
	struct mt_tls_context *tls;
	const struct mt_stream_user *user;
	void *user_ctx;
	uint32_t owner_idx;
};

/* Opens streams: a worker's lib/tcp, or a layer over another transport. */
struct mt_transport {
	struct mt_stream *(*open)(
		struct mt_transport *t, const struct mt_stream_to *to, enum mt_close_reason *why);
};

/* Decisions of a listener about new streams, and where accepted ones go. */
struct mt_listen_ops {
	/*
	 * A client connects to one of our addresses: returns the listener's index, or -1 (refused,
	 * counted). Must be cheap, because it is called for every SYN, also in a flood.
	 */
	int (*lookup)(void *arg, const struct mt_addr *local, uint16_t lport);
	/*
	 * The handshake is complete: sets s->user, user_ctx, owner_idx and tx_high. false refuses
	 * the stream (reset).
	 */
	bool (*accept)(void *arg, struct mt_stream *s, int listener);
};

struct mt_stream {
	const struct mt_stream_ops *ops;
	const struct mt_stream_user
		*user;	    /* never NULL: a detached stream has a user that ignores events */
	void *user_ctx;	    /* the user's per-worker context */
	uint32_t owner_idx; /* the user's object, in the user's slab */
	uint32_t tx_queued; /* truesize of bytes that are not acknowledged, or wait to be sent */
	uint32_t charged;   /* the transport's: truesize charged to the ledger */
	uint32_t tx_high;   /* from this queue length on mt_stream_sendable() returns 0 */
	struct mt_chain rx; /* in-order bytes, read by the user */
	union {
		struct {
			bool rx_eof : 1;  /* FIN received; nothing follows what is in rx */
			bool tx_shut : 1; /* mt_stream_shutdown() was called */
			/* call writable() when mt_stream_sendable() is not 0 any more */
			bool want_writable : 1;
			/* the user keeps some of its bytes: the ledger calls holds() */
			bool keeps : 1;
			/* the transport may lower tx_high if the holder has too much */
			bool yields : 1;
			bool squeezed : 1; /* the transport's: tx_high is lowered */
			/* the user takes nothing back any more (mt_stream_reclaim()) */
			bool no_reclaim : 1;
			/* enum mt_class of received and sent bytes (mt_stream_class()) */
			uint8_t rx_class, tx_class;
			/*
			 * In units of 100 ms. If bytes wait for their acknowledgement or for a
			 * window, and nothing at all comes from the peer for so long (longer on a
			 * slow path), the stream ends with MT_CLOSE_TIMEOUT. 0: only the
			 * transport's own limit applies.
			 */
			uint8_t silent;
		};
		uint32_t settings; /* all of these fields at once, for a layer to compare */
	};
	uint32_t rx_kept; /* bytes of rx kept by mt_stream_keep() */
};
_Static_assert(sizeof(struct mt_stream) == 80, "a stream is the begin of each connection");

/*
 * Opens a stream. Returns NULL with *why if it cannot start (no source port, no memory, no route).
 * Later failures come as closed().
 */
static inline struct mt_stream *mt_stream_open(
	struct mt_transport *t, const struct mt_stream_to *to, enum mt_close_reason *why)
{
	return t->open(t, to, why);
}

/*
 * Addresses and ports of both ends as seen here, and where an accepted stream came in. Valid as
 * long as the stream.
 */
static inline const struct mt_tuple *mt_stream_ends(const struct mt_stream *s)
{
	return s->ops->ends(s);
}

/* Progress of the sent bytes. Also inside closed(). */
static inline struct mt_stream_pos mt_stream_positions(const struct mt_stream *s)
{
	struct mt_stream_pos pos;

	s->ops->positions(s, &pos);
	return pos;
}

/*
 * How the connection has ended on the peer's side so far; more evidence may still come. At any
 * time, also inside closed().
 */
static inline void mt_stream_end(const struct mt_stream *s, struct mt_stream_end *e)
{
	s->ops->end(s, e);
}

/*
 * Appends a copy of the bytes [first, last), first <= last, as given to mt_stream_send(), to `to`,
 * if the transport still has all of them. So what is proven unread can be sent on another stream,
 * and no copy of each request is needed. Returns 0; -ENODATA if some bytes are acknowledged, were
 * never given, or are not available any more (`no_reclaim`; a layer's record that is acknowledged
 * in part or whose key has changed); or -ENOMEM. On an error nothing is appended. Time and memory
 * grow with the length of the range. Changes nothing in the stream. At any time, also inside
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
 * Keeps the first n bytes of rx (n <= rx.len), which are the start of a message that the user needs
 * complete. They stay in rx and remain charged, but do not close the window, which opens as if they
 * were taken. Valid until the next call, or until the user takes bytes. Do not lower n without
 * taking bytes: bytes that the peer sends into the opened window may find no room, and the peer
 * then waits for its retransmission timer.
 */
static inline void mt_stream_keep(struct mt_stream *s, uint32_t n)
{
	s->rx_kept = n;
	s->ops->consumed(s);
}

/*
 * Offers to give back all of rx: the start of a message that the user needs complete. The user must
 * not have taken any of it. Returns true if there is no room for more such starts. Then rx is
 * empty, and its bytes are not acknowledged and will come again, so the user must forget what it
 * knew of them. Puts back only what came in this loop iteration on a stream that held nothing
 * before.
 */
static inline bool mt_stream_put_back(struct mt_stream *s)
{
	return s->ops->put_back && s->ops->put_back(s);
}

/*
 * Call after changing s->rx directly (mt_chain_forward() out of it): keeps nothing, lets the window
 * open.
 */
static inline void mt_stream_consumed(struct mt_stream *s)
{
	mt_stream_keep(s, 0);
}

/* Queues all of `c` (empty afterwards). Never refuses; the caller observes mt_stream_sendable(). */
static inline void mt_stream_send(struct mt_stream *s, struct mt_chain *c)
{
	s->ops->send(s, c);
}

/* Truesize that may still be queued; 0: wait for `writable`. */
static inline uint32_t mt_stream_sendable(struct mt_stream *s)
{
	if (s->tx_queued < s->tx_high)
		return s->tx_high - s->tx_queued;
	s->want_writable = true;
	return 0;
}

/* Bytes that may be given to a stream to wait for its windows (mt_stream_room()). */
#define MT_STREAM_AHEAD 2048

/*
 * Bytes that the transport's windows admit beyond what is queued, and MT_STREAM_AHEAD. 0: a user
 * that sends for several sources keeps their bytes until the next acknowledgement (want_writable).
 */
static inline uint32_t mt_stream_room(const struct mt_stream *s)
{
	return s->ops->room(s);
}

/*
 * Call when what the user keeps of the stream's bytes has changed: the ledger settles the stream in
 * this loop iteration.
 */
static inline void mt_stream_touch(struct mt_stream *s)
{
	s->keeps = true;
	s->ops->touch(s);
}

/* The user keeps no bytes any more: the ledger need not call holds(). */
static inline void mt_stream_keeps_none(struct mt_stream *s)
{
	if (!s->keeps)
		return;
	s->keeps = false;
	s->ops->touch(s);
}

/*
 * Makes `readable` come once more, outside of all operations, although nothing new may have come.
 * For a layer that left bytes because its own user had no room, and now has room.
 */
static inline void mt_stream_again(struct mt_stream *s)
{
	s->ops->again(s);
}

/* Sets the ledger classes of the stream's bytes, also of those that are already there. */
static inline void mt_stream_class(struct mt_stream *s, enum mt_class rx, enum mt_class tx)
{
	s->ops->class(s, rx, tx);
}

/* Sends FIN after what is queued. Receiving goes on (half-close). */
static inline void mt_stream_shutdown(struct mt_stream *s)
{
	s->ops->shutdown(s);
}

/* Sends RST now. The queues are freed, no event follows, and the stream is gone on return. */
static inline void mt_stream_abort(struct mt_stream *s, enum mt_abort_reason why)
{
	s->ops->abort(s, why);
}

/*
 * Detaches the user. What is queued is still delivered, then FIN, within a time limit; what arrives
 * is dropped. Before the handshake is complete the stream just ends. No event follows; the stream
 * must not be used after return.
 */
static inline void mt_stream_detach(struct mt_stream *s)
{
	s->ops->detach(s);
}

/*
 * Stops reading. What arrives after the bytes already received is not acknowledged, so that its
 * sender knows that it was not read. After mt_stream_detach() a peer that sends such bytes is
 * reset, once it has all of ours. A FIN is still accepted. At most `words` bytes are nevertheless
 * acknowledged and dropped: room for the message with which the peer of a layer ends its stream
 * (close_notify).
 */
static inline void mt_stream_refuse_but(struct mt_stream *s, uint32_t words)
{
	s->ops->refuse(s, words);
}

static inline void mt_stream_refuse(struct mt_stream *s)
{
	mt_stream_refuse_but(s, 0);
}

/*
 * True if bytes that are not in rx have been acknowledged, because a layer waits for the rest of
 * their record.
 */
static inline bool mt_stream_coming(const struct mt_stream *s)
{
	return s->ops->coming && s->ops->coming(s);
}
