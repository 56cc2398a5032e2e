/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A toy of TLS: records of up to 16 KiB, each changed by a key that is updated now and then. What matters is what a layer must do,
 * not what a stranger could read.
 *
 *	type (1) generation of the key (1) length (2) checksum of the plain text (4) text (length)
 *
 * Each side says hello first; who was connected to answers. An update says that the sender's next record has the next key; one that
 * asks is answered by one that does not, by the layer itself. Who ends his side sends a close in front of FIN: FIN without it
 * is taken for a reset, as is an alert.
 */
#pragma once

#include "layer.h"
#include "layer_notes.h"

#include "mt_slab.h"

#define RECORD_HEADER 8
#define RECORD_MAX    16384

enum record_type {
	RECORD_HELLO,
	RECORD_DATA,
	RECORD_UPDATE,	   /* of the key */
	RECORD_UPDATE_ASK, /* and the other side shall update its own */
	RECORD_CLOSE,
	RECORD_ALERT,
	RECORD_N_TYPES
};

struct record {
	enum record_type type;
	uint8_t generation;
	uint32_t len, sum;
};

/* ---- layer_record.c ---- */
/* The record at the head: its header. 1; 0: not all of the header is there; -1: it is none. */
int record_peek(const struct mt_chain *c, struct record *r);
/* Its plain text behind `to`, in buffers of their own. 0; -ENOMEM; -EPROTO: it was changed. */
int record_open(
	const struct mt_chain *c, const struct record *r, struct mt_chain *to, struct mt_pools *p);
/* Bytes [off, off + r->len) of `plain`, as a record, behind `to`. 0 or -ENOMEM. */
int record_seal(const struct mt_chain *plain, uint32_t off, struct record *r, struct mt_chain *to,
	struct mt_pools *p);

struct records {
	struct layer l; /* first */
	struct mt_slab streams;
	struct mt_stream_ops stream_ops;
};

/*
 * A stream of the layer. One queue each way: what is received rests in the lower stream until the user has room for a record; what is
 * sent is sealed at once and rests there, too. Who opened it keeps the plain text until it is acknowledged: sealed text can't be sent
 * on another stream.
 */
struct rec {
	struct mt_stream s; /* first */
	struct mt_stream *lower;
	struct records *layer;
	struct mt_chain plain;		     /* from plain_at on: not acknowledged, or not sealed */
	uint64_t plain_at, sealed, accepted; /* positions of its own */
	struct layer_notes notes;
	uint64_t given;	    /* to the lower stream */
	uint64_t told;	    /* to the user as acknowledged */
	uint64_t own_until; /* where its own records end in the lower stream, */
	uint32_t own_bytes; /* and how many bytes of them may be unacknowledged */
	uint64_t hello_until, update_at, retry_at; /* MT_NEVER: not */
	uint8_t tx_generation, rx_generation;
	uint8_t updates_left;
	uint8_t records;  /* in rx, beyond what the user had when it had room */
	int listener;	  /* that it was accepted by */
	bool opened;	  /* by us; it says hello first, */
	bool established; /* and both have */
	bool hello_due, update_due, answer_due;
	bool closed_in; /* the other side's close */
	bool close_sent, detached, pumping, full;
};

/* ---- layer_records.c ---- */
/* Of a stream that was let go, or is not accepted yet. */
extern const struct mt_stream_user rec_nobody;
/* Of a lower stream whose user has a holder of his own, who is charged. */
extern const struct mt_stream_user rec_lower_user_of_held;
/* The end, by the layer itself. The user is told, while the stream can still say how far it came. */
void rec_fail(struct rec *r, enum mt_abort_reason why, enum mt_close_reason reason);
/* Of a stream that was let go: it ends when all that it owes is given down. */
void rec_maybe_leave(struct rec *r);

/* ---- layer_rec_rx.c ---- */
/* At most one record is above what the user keeps for a longer message. */
bool rec_has_room(struct rec *r);
/* Looks at the clock, and receives what there is room for. The stream may be gone on return. */
void rec_pump(struct rec *r);

/* ---- layer_rec_tx.c ---- */
/* Sends what is due: the layer's own records, then the user's bytes, then the close. */
void rec_flush(struct rec *r);
/* Copies what both streams must agree about. */
void rec_sync(struct rec *r);
