/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of TLS 1.3 (RFC 8446 §5) and of the AEAD suites of TLS 1.2 (RFC 5288, RFC 7905), after
 * the handshake. Opens received records to plain text, seals plain text, and processes or answers
 * the protocol's other messages. Works on chains, without a stream, clock or timer.
 *
 * A struct mt_tls_records is a worker's, a struct mt_tls_record a connection's. A record is opened
 * or sealed in place where its buffer is unshared, else into new buffers. Nothing else is allocated
 * for a record.
 */
#pragma once

#include "mt_aead.h"
#include "mt_buf.h"
#include "mt_tls_alert.h"

#define MT_TLS_RECORD_HEADER 5
#define MT_TLS_RECORD_PLAIN  16384 /* maximum plain text of a record */

/* Counters of a worker. */
enum mt_tls_record_count {
	MT_TLS_RECORD_N_TICKET,	    /* tickets ignored, because nothing here can redeem them */
	MT_TLS_RECORD_N_UPDATE_IN,  /* key updates by the peer */
	MT_TLS_RECORD_N_UPDATE_OUT, /* key updates by us */
	MT_TLS_RECORD_N_NO_RENEGOTIATION,
	MT_TLS_RECORD_N_EMPTY,	 /* records without data for the user */
	MT_TLS_RECORD_N_INPLACE, /* opened or sealed in place */
	MT_TLS_RECORD_N_COPIED,	 /* opened or sealed into another buffer, at least in part */
	MT_TLS_RECORD_N_COUNTS
};

struct mt_tls_records {
	struct mt_pools *pools;
	struct mt_aead *aead;
	uint64_t counts[MT_TLS_RECORD_N_COUNTS];
};

/*
 * Results of mt_tls_record_read(). From MT_TLS_RECORD_CLOSED on nothing more is read, and each call
 * returns the same result.
 */
enum mt_tls_record_got {
	MT_TLS_RECORD_MORE,	 /* no complete record; nothing was taken */
	MT_TLS_RECORD_NO_MEMORY, /* nothing was taken; try again later */
	MT_TLS_RECORD_DATA,	 /* plain text was appended to `to` */
	MT_TLS_RECORD_OWN,	 /* nothing for the user; check mt_tls_record_due() */
	MT_TLS_RECORD_CLOSED,	 /* close_notify: the peer sends no more */
	MT_TLS_RECORD_ALERT,	 /* the peer ended the connection by r->alert */
	MT_TLS_RECORD_BAD,	 /* the connection has failed: send r->alert */
};

/* Records that we have to send on our own. */
enum mt_tls_record_due {
	/* KeyUpdate: the peer requests it, or our key has reached its limit */
	MT_TLS_RECORD_DUE_UPDATE = 1,
	MT_TLS_RECORD_DUE_REFUSAL = 2, /* no_renegotiation */
	/* TLS 1.2: our key has reached its limit; send no new requests */
	MT_TLS_RECORD_DUE_DRAIN = 4,
};

/* Key, IV and sequence number of one direction. */
struct mt_tls_record_half {
	uint8_t key[32];
	uint64_t seq; /* of the next record */
	uint8_t iv[12];
	uint16_t hint; /* the provider's cache index */
};

/* One cache line for a received record, one for a sent record, then the rest. */
struct mt_tls_record {
	struct mt_tls_record_half rx;
	uint8_t cipher;
	/* lengths around the text: header and explicit nonce; type and tag */
	uint8_t before, behind;
	uint8_t rx_over;   /* MT_TLS_RECORD_CLOSED or later: the final result; 0: still open */
	uint8_t message_n; /* of a divided handshake message: header bytes present */
	uint8_t due;	   /* enum mt_tls_record_due */
	bool tx_over;	   /* close_notify or a fatal alert was sent */
	bool is_13 : 1, server : 1;
	struct mt_tls_record_half tx;
	uint64_t tx_bytes;     /* plain text sealed under this key */
	uint64_t tx_silent;    /* tx_bytes after the last pause, to choose the size of records */
	uint32_t tx_ms;	       /* time of the last mt_tls_record_size(), ms */
	uint32_t second;       /* the second that `empties` and `updates` count */
	uint32_t message_left; /* bytes of that message's body still to come */
	uint16_t empties;
	uint8_t message_head[4];
	uint8_t hash, alert, updates;
	uint8_t rx_secret[48], tx_secret[48];
} mt_cache_aligned;
_Static_assert(sizeof(struct mt_tls_record) <= 256, "one for each connection");
_Static_assert(offsetof(struct mt_tls_record, tx) == MT_CACHE_LINE &&
		       offsetof(struct mt_tls_record, tx_silent) == 2 * MT_CACHE_LINE,
	"a line for each direction");

/* Prefetches both directions. Call before a record is opened or sealed. */
static inline void mt_tls_record_prefetch(const struct mt_tls_record *r)
{
	__builtin_prefetch(&r->rx);
	__builtin_prefetch(&r->tx);
}

void mt_tls_record_init(struct mt_tls_record *r, const struct mt_tls_keys *k, bool server);
/* Wipes all keys. */
void mt_tls_record_fini(struct mt_tls_records *w, struct mt_tls_record *r);

/* Length of the first record in `from`, with its header; 0: the header is incomplete. */
uint32_t mt_tls_record_len(const struct mt_chain *from);

/*
 * Takes one record off `from` and appends its plain text, if it has any, to `to`. If `from` is a
 * stream's rx, the caller has to call mt_stream_consumed(). Work and memory are bounded by the
 * record. `now` (ns) limits how many empty records and key updates a peer may send in a second.
 */
enum mt_tls_record_got mt_tls_record_read(struct mt_tls_records *w, struct mt_tls_record *r,
	struct mt_chain *from, struct mt_chain *to, uint64_t now);

/*
 * Opens a record of ours again and appends its text to `to`, for the rare case that the text is
 * needed. The record has the sequence number `seq`, is all of `from`, and must be sealed by our
 * current key. Returns 0, -ENODATA if it cannot be opened, or -ENOMEM. On an error nothing is
 * appended.
 */
int mt_tls_record_reopen(struct mt_tls_records *w, const struct mt_tls_record *r, uint64_t seq,
	struct mt_chain *from, struct mt_chain *to) mt_must_check;

static inline uint8_t mt_tls_record_due(const struct mt_tls_record *r)
{
	return r->due;
}

/* So much plain text goes into one record, whatever the segment size is. */
#define MT_TLS_RECORD_LEAST 256

/*
 * Plain text that the next record should have. At first it fits one segment of `mss` bytes, so that
 * a reader need not wait for the second one; from 100 KiB on it is the maximum. Starts again after
 * 1 s without a call. A caller with MT_TLS_RECORD_LEAST bytes or less to send need not call it.
 */
uint32_t mt_tls_record_size(struct mt_tls_record *r, uint32_t mss, uint64_t now);

/*
 * Seals the first n bytes of `plain` (n <= MT_TLS_RECORD_PLAIN, n <= len), takes them off, and
 * appends the record to `out`, after records that are due. Returns 0, -ENOMEM, -EPIPE after our
 * last record, or -EOVERFLOW if no sequence number is left. On these errors no plain text was
 * taken, but due records may have been written. On -EIO the library has failed: text may be lost,
 * and the end of `out` is not a record.
 */
int mt_tls_record_seal(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *plain,
	uint32_t n, struct mt_chain *out) mt_must_check;

/*
 * Seals all of `plain` in place. It must lie in one unshared buffer with room for header and tag,
 * and nothing may be due, as for most short messages. Returns 0; -EAGAIN, with nothing changed, if
 * that is not so; -EIO if the library has failed, and then `plain` is neither text nor record.
 */
int mt_tls_record_seal_alone(
	struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *plain) mt_must_check;

/* As mt_tls_record_seal(), for [off, off + n) of `plain`, which does not change. */
int mt_tls_record_seal_copy(struct mt_tls_records *w, struct mt_tls_record *r,
	const struct mt_chain *plain, uint32_t off, uint32_t n, struct mt_chain *out) mt_must_check;

/*
 * Seals all of `plain`, in records of mt_tls_record_size(). On an error the rest is still in
 * `plain`.
 */
int mt_tls_record_write(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *plain,
	struct mt_chain *out, uint32_t mss, uint64_t now) mt_must_check;

/* Writes the records that are due. Returns 0, -ENOMEM (some may still be due) or -EOVERFLOW. */
int mt_tls_record_own(
	struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *out) mt_must_check;

/* TLS 1.3: writes a KeyUpdate and changes our key. `ask` requests the peer to change its own. */
int mt_tls_record_update(struct mt_tls_records *w, struct mt_tls_record *r, bool ask,
	struct mt_chain *out) mt_must_check;

/* Writes our last record: close_notify, or a fatal alert. Errors as of mt_tls_record_seal(). */
int mt_tls_record_end(struct mt_tls_records *w, struct mt_tls_record *r, enum mt_tls_alert alert,
	struct mt_chain *out) mt_must_check;
