/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A toy of HTTP/2: many streams on one lower stream, a link. What matters is what a layer must do.
 *
 *	type (1) nothing (1) length (2) stream (4) payload (length)
 *
 * Each side begins with its settings. Who connected opens streams, with odd numbers that grow. Bytes of a stream need credit of the
 * stream, which comes back when its user takes them, and of the link, which comes back on receipt: who does not read stops only himself.
 * A stream ends by a close each way, or by a reset; the link goes on. Going away, a side asks for no more streams.
 */
#pragma once

#include "layer.h"
#include "layer_notes.h"

#include "mt_list.h"
#include "mt_slab.h"

#define FRAME_HEADER   8
#define FRAME_MAX      4096
#define MUX_STREAMS    24    /* of one link */
#define MUX_CREDIT     65536 /* of a link */
#define MUX_CREDIT_MAX 0x7fffffffu
/* Bytes of answers that may wait in a link: who asks for more is not read. */
#define MUX_RESERVE 4096

enum frame_type {
	FRAME_SETTINGS, /* the credit that each stream begins with */
	FRAME_OPEN,
	FRAME_DATA,
	FRAME_CREDIT, /* so much more, of a stream, or of the link (0) */
	FRAME_CLOSE,
	FRAME_RESET, /* 1: nothing of the stream was looked at; 0 */
	FRAME_AWAY,
	FRAME_N_TYPES
};

struct frame {
	enum frame_type type;
	uint32_t len, id;
};

struct muxes {
	struct layer l; /* first */
	struct mt_slab links, streams;
	struct mt_stream_ops stream_ops;
};

struct mux_link {
	struct muxes *layer;
	struct mt_stream *lower;
	struct mt_list streams; /* the next to send is the first */
	struct mt_addr to;	/* of who opened it, */
	uint16_t port;
	int listener; /* and of who accepted it */
	bool opened, ready, away, dying, settings_due, away_due;
	uint32_t n;			   /* streams */
	uint32_t last_id;		   /* opened so far */
	uint32_t first_credit, own_credit; /* of streams: the other side's settings, ours */
	uint32_t credit;		   /* to send */
	uint32_t credit_left, credit_due;  /* of the other side; what has to be returned to it */
	uint64_t given;			   /* to the lower stream */
	uint64_t own_until;		   /* where its own frames end in it, */
	uint32_t own_bytes;		   /* and how many bytes of them may be unacknowledged */
	uint64_t ready_until, idle_at, away_at, retry_at; /* MT_NEVER: not */
};

struct mux {
	struct mt_stream s; /* first */
	struct mux_link *link;
	struct mt_list node; /* of link->streams */
	struct mt_chain tx;  /* that waits for credit, or for the link */
	struct layer_notes notes;
	uint64_t accepted, told;
	uint32_t id;		 /* 0: not opened yet */
	uint32_t credit;	 /* to send */
	uint32_t credit_left;	 /* of the other side */
	uint32_t promised;	 /* the most that the user kept or added since s.rx was empty */
	uint32_t had;		 /* length of s.rx after its last known change */
	uint64_t detached_until; /* MT_NEVER: it is not detached */
	bool told_connected, closed_in, close_sent, refused;
};

/* ---- layer_mux_tx.c ---- */
/* Sends what is due of a link and its streams. */
void mux_flush(struct mux_link *k);
void mux_sync(struct mux *m);
bool mux_send_frame(struct mux_link *k, enum frame_type type, uint32_t id, uint32_t value);

/* ---- layer_mux_rx.c ---- */
/* Receives frames and tells users; the link may be gone on return. */
void mux_pump(struct mux_link *k);
/* Call after the user changed s->rx. */
void mux_rx_changed(struct mux *m);

/* ---- layer_mux.c ---- */
extern const struct mt_stream_user mux_nobody;
struct mux *mux_new(struct mux_link *k);
/* Forgets a stream, and what it holds. */
void mux_free(struct mux *m);
/* Tells the user that it is over, and frees it. */
void mux_end(struct mux *m, enum mt_close_reason reason);
/* The link and all its streams. */
void mux_link_fail(struct mux_link *k, enum mt_abort_reason why, enum mt_close_reason reason);
