/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of TLS 1.3 (RFC 8446 §5) and of the AEAD suites of TLS 1.2 (RFC 5288, RFC 7905), once the handshake is over: what came
 * is opened to plain text, plain text is sealed, and what else the protocol says between the two ends is answered or understood.
 * Bytes are chains; nothing here knows a stream, a clock or a timer.
 *
 * struct mt_tls_records is a worker's, struct mt_tls_record a connection's. Where a buffer is ours alone, a record is opened or sealed in
 * place, else into new buffers. Nothing is allocated for a record but those.
 */
#pragma once

#include "mt_aead.h"
#include "mt_buf.h"
#include "mt_tls_alert.h"

#define MT_TLS_RECORD_HEADER 5
#define MT_TLS_RECORD_PLAIN  16384 /* most of a record's plain text */

/* Seldom things, counted for each worker. */
enum mt_tls_record_count {
	MT_TLS_RECORD_N_TICKET,	    /* tickets that nobody can redeem any more, passed over */
	MT_TLS_RECORD_N_UPDATE_IN,  /* the peer changed its key */
	MT_TLS_RECORD_N_UPDATE_OUT, /* we did */
	MT_TLS_RECORD_N_NO_RENEGOTIATION,
	MT_TLS_RECORD_N_EMPTY,	 /* records with nothing for the user */
	MT_TLS_RECORD_N_INPLACE, /* opened or sealed where they lay */
	MT_TLS_RECORD_N_COPIED,	 /* or from one buffer to another, at least in part */
	MT_TLS_RECORD_N_COUNTS
};

struct mt_tls_records {
	struct mt_pools *pools;
	struct mt_aead *aead;
	uint64_t counts[MT_TLS_RECORD_N_COUNTS];
};

/* What mt_tls_record_read() found. From CLOSED on nothing is read any more, and it says so again. */
enum mt_tls_record_got {
	MT_TLS_RECORD_MORE,	 /* no record is there as a whole; nothing was taken */
	MT_TLS_RECORD_NO_MEMORY, /* nothing was taken; later again */
	MT_TLS_RECORD_DATA,	 /* plain text is behind `to` */
	MT_TLS_RECORD_OWN,	 /* nothing for the user; look at mt_tls_record_due() */
	MT_TLS_RECORD_CLOSED,	 /* close_notify: the peer sends no more */
	MT_TLS_RECORD_ALERT,	 /* the peer gave up, for r->alert */
	MT_TLS_RECORD_BAD,	 /* the peer may not do that: r->alert is what to tell it */
};

/* What we ought to write by ourselves. */
enum mt_tls_record_due {
	MT_TLS_RECORD_DUE_UPDATE = 1,  /* KeyUpdate: we are asked to, or our key has done enough */
	MT_TLS_RECORD_DUE_REFUSAL = 2, /* no_renegotiation */
	MT_TLS_RECORD_DUE_DRAIN = 4, /* TLS 1.2: our key has done enough; no new requests, please */
};

/* What a direction's records are protected with. */
struct mt_tls_record_half {
	uint8_t key[32];
	uint64_t seq; /* of the next record */
	uint8_t iv[12];
	uint16_t hint; /* the provider's */
};

/* A line for what a record that comes needs, one for a record that goes, and the rest. */
struct mt_tls_record {
	struct mt_tls_record_half rx;
	uint8_t cipher;
	uint8_t before, behind; /* the text: header and explicit nonce; type and tag */
	uint8_t rx_over;	/* MT_TLS_RECORD_CLOSED or later; 0: it goes on */
	uint8_t message_n; /* of a handshake message that is divided: bytes of its header that are here */
	uint8_t due;	   /* enum mt_tls_record_due */
	bool tx_over; /* close_notify or a fatal alert was the last */
	bool is_13 : 1, server : 1;
	struct mt_tls_record_half tx;
	uint64_t tx_bytes;     /* of plain text under this key */
	uint64_t tx_silent;    /* what it was when we were silent: how large records may be */
	uint32_t tx_ms;	       /* when we sent last */
	uint32_t second;       /* that `empties` and `updates` are of */
	uint32_t message_left; /* bytes of that message's body to come */
	uint16_t empties;
	uint8_t message_head[4];
	uint8_t hash, alert, updates;
	uint8_t rx_secret[48], tx_secret[48];
} mt_cache_aligned;
_Static_assert(sizeof(struct mt_tls_record) <= 256, "one for each connection");
_Static_assert(offsetof(struct mt_tls_record, tx) == MT_CACHE_LINE &&
		       offsetof(struct mt_tls_record, tx_silent) == 2 * MT_CACHE_LINE,
	"a line for each direction");

/* A record comes, or goes, soon. */
static inline void mt_tls_record_prefetch(const struct mt_tls_record *r)
{
	__builtin_prefetch(&r->rx);
	__builtin_prefetch(&r->tx);
}

void mt_tls_record_init(struct mt_tls_record *r, const struct mt_tls_keys *k, bool server);
/* No key is left. */
void mt_tls_record_fini(struct mt_tls_records *w, struct mt_tls_record *r);

/* Bytes of the record that `from` begins with, header and all; 0: its header is not here yet. */
uint32_t mt_tls_record_len(const struct mt_chain *from);

/*
 * Takes one record off `from` (of a stream: its rx, and mt_stream_consumed() is the caller's) and puts its plain text, if it has some, behind `to`. Work and memory are bounded by the record. `now`
 * in nanoseconds: what a peer may do a thousand times it may not do in a second.
 */
enum mt_tls_record_got mt_tls_record_read(struct mt_tls_records *w, struct mt_tls_record *r,
	struct mt_chain *from, struct mt_chain *to, uint64_t now);

/*
 * A record of ours, which had the number `seq` and is all of `from`: its text behind `to`, if its key is still the one that we seal by. 0;
 * -ENODATA: it cannot be opened; -ENOMEM. Without 0 nothing is appended. For the rare case.
 */
int mt_tls_record_reopen(struct mt_tls_records *w, const struct mt_tls_record *r, uint64_t seq,
	struct mt_chain *from, struct mt_chain *to) mt_must_check;

static inline uint8_t mt_tls_record_due(const struct mt_tls_record *r)
{
	return r->due;
}

/* So much goes into one record, whatever segments there are. */
#define MT_TLS_RECORD_LEAST 256

/*
 * How much plain text the next record should have: at first as much as goes into one segment of `mss` bytes, so that a reader need
 * not wait for the second; from 100 KiB on the most. After 1 s without a call again from the begin: who has MT_TLS_RECORD_LEAST or less
 * to send need not ask.
 */
uint32_t mt_tls_record_size(struct mt_tls_record *r, uint32_t mss, uint64_t now);

/*
 * A record of the first n bytes of `plain` (n <= MT_TLS_RECORD_PLAIN, n <= len), which are taken, behind `out`; what is due goes before it. 0; without 0 no plain
 * text was taken (what was due may have gone): -ENOMEM; -EPIPE after the end of what we say; -EOVERFLOW: no key is left. But -EIO: the library
 * has failed, text may be gone, and what stands behind `out` is no record.
 */
int mt_tls_record_seal(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *plain,
	uint32_t n, struct mt_chain *out) mt_must_check;

/*
 * All of `plain` becomes a record where it is, if it lies in one buffer of ours that has room for what frames it, and nothing is due: as most of what
 * is short. 0; -EAGAIN: it is not so, and nothing has happened; -EIO: the library has failed, and `plain` is neither.
 */
int mt_tls_record_seal_alone(
	struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *plain) mt_must_check;

/* The same of [off, off + n), which stays as it is. */
int mt_tls_record_seal_copy(struct mt_tls_records *w, struct mt_tls_record *r,
	const struct mt_chain *plain, uint32_t off, uint32_t n, struct mt_chain *out) mt_must_check;

/* All of `plain`, in records of the size that is due. Without 0 the rest is still there. */
int mt_tls_record_write(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *plain,
	struct mt_chain *out, uint32_t mss, uint64_t now) mt_must_check;

/* Writes what is due. 0, -ENOMEM (some may be due still), -EOVERFLOW. */
int mt_tls_record_own(
	struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *out) mt_must_check;

/* Has a KeyUpdate written, and asks the peer for one where `ask`; TLS 1.3. */
int mt_tls_record_update(struct mt_tls_records *w, struct mt_tls_record *r, bool ask,
	struct mt_chain *out) mt_must_check;

/* The last record that we write: close_notify, or what is wrong (a fatal alert). Errors as of mt_tls_record_seal(). */
int mt_tls_record_end(struct mt_tls_records *w, struct mt_tls_record *r, enum mt_tls_alert alert,
	struct mt_chain *out) mt_must_check;
