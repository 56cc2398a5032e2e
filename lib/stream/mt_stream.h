/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/stream: the verbs that lib/tcp and lib/tls share, so that nobody above asks which it is. A
 * stream is the first member of a connection object; the layer below fills `rx` and calls the user's
 * events, the user takes bytes, sends chains and ends it. One worker owns a stream and everything
 * about it; events never arrive inside a verb, except that mt_stream_abort() reports nothing.
 *
 * Life: (open or accept) -> connected -> readable/writable... -> eof -> closed. After `closed` returned
 * the stream is gone. `owner_idx` names the user's object in the user's own slab.
 */
#pragma once

#include "mt_addr.h"
#include "mt_buf.h"

enum mt_close_reason {
	MT_CLOSE_OK,	  /* both directions ended in order */
	MT_CLOSE_RESET,	  /* the peer reset the connection */
	MT_CLOSE_REFUSED, /* connect answered by RST */
	MT_CLOSE_CONNECT_TIMEOUT,
	MT_CLOSE_TIMEOUT,     /* retransmissions or keep-alive gave up */
	MT_CLOSE_UNREACHABLE, /* neighbour or ICMP says so */
	MT_CLOSE_NO_SOURCE_PORT,
	MT_CLOSE_NO_MEMORY,
	MT_CLOSE_LOCAL, /* ended by our own side (drain, listener gone) */
	MT_CLOSE_N_REASONS
};

/* "reset", "connect timeout", ...: for the shell and for error replies. */
const char *mt_close_reason_str(enum mt_close_reason r);

struct mt_stream;

/* What the user is told. Events of one burst are merged: `readable` comes once, after the burst. */
struct mt_stream_user {
	/* Another call for this stream comes soon: ask for the user's object. Changes nothing. May be NULL. */
	void (*prefetch)(const struct mt_stream *s);
	void (*connected)(struct mt_stream *s);
	/* New bytes in s->rx. Bytes that are not taken stay there and close the window. */
	void (*readable)(struct mt_stream *s);
	/* The peer's FIN is in sequence and all bytes before it are in s->rx (maybe still not taken). */
	void (*eof)(struct mt_stream *s);
	/* The send queue fell below the low mark after mt_stream_sendable() had said 0. */
	void (*writable)(struct mt_stream *s);
	/* Bytes were acknowledged (progress of a slow reader). May be NULL. */
	void (*acked)(struct mt_stream *s, uint32_t bytes);
	/* The end; the stream must not be used after return. s->rx that was not taken is freed. */
	void (*closed)(struct mt_stream *s, enum mt_close_reason reason);
};

/* What the layer below does. */
struct mt_stream_ops {
	void (*consumed)(struct mt_stream *s);
	void (*send)(struct mt_stream *s, struct mt_chain *c);
	void (*shutdown)(struct mt_stream *s);
	void (*abort)(struct mt_stream *s);
	void (*detach)(struct mt_stream *s);
};

struct mt_stream {
	const struct mt_stream_ops *ops;
	const struct mt_stream_user
		*user;	    /* never NULL: a detached stream has a user that ignores */
	void *user_ctx;	    /* the user's per-worker context */
	uint32_t owner_idx; /* the user's object, in the user's slab */
	uint32_t tx_queued; /* truesize of what is sent but not acknowledged, or waits */
	uint32_t tx_bytes;  /* the same in payload bytes */
	uint32_t tx_high;   /* above this mt_stream_sendable() is 0 */
	struct mt_chain rx; /* in-order bytes, read by the user */
	bool rx_eof;	    /* FIN seen; nothing follows what is in rx */
	bool tx_shut;	    /* shutdown was called */
	bool want_writable; /* sendable() said 0: tell when it changes */
};

/*
 * Moves the first n bytes of rx behind `to` and lets the window open. 0, or -ENOMEM when an mbuf had
 * to be cut and there was no memory (nothing lost: bytes are in rx or in `to`).
 */
static inline int mt_stream_take(
	struct mt_stream *s, uint32_t n, struct mt_chain *to, struct mt_pools *p)
{
	int rc = mt_chain_split(&s->rx, n, to, p);

	s->ops->consumed(s);
	return rc;
}

/* Frees the first n bytes of rx. */
static inline void mt_stream_drop(struct mt_stream *s, uint32_t n)
{
	mt_chain_drop(&s->rx, n);
	s->ops->consumed(s);
}

/* After the user changed s->rx itself (mt_chain_forward() out of it): lets the window open. */
static inline void mt_stream_consumed(struct mt_stream *s)
{
	s->ops->consumed(s);
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

/* FIN after what is queued. Receiving goes on (half-close). */
static inline void mt_stream_shutdown(struct mt_stream *s)
{
	s->ops->shutdown(s);
}

/* RST now; queues are freed, no event follows, the stream is gone on return. */
static inline void mt_stream_abort(struct mt_stream *s)
{
	s->ops->abort(s);
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
