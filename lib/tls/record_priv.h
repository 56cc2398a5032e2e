/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_tls_record.h"

#include <rte_byteorder.h>
#include <string.h>

enum content_type {
	CONTENT_CHANGE_CIPHER_SPEC = 20,
	CONTENT_ALERT = 21,
	CONTENT_HANDSHAKE = 22,
	CONTENT_DATA = 23,
};

/* A header, and the explicit part of the nonce. */
#define EXPLICIT_NONCE 8
#define PREFIX_MAX     (MT_TLS_RECORD_HEADER + EXPLICIT_NONCE)

/* Below this length a copy is cheaper than keeping a buffer for it. */
#define SHORT 384

/* Bytes that fit a new buffer in one piece. */
#define FLAT_MAX (MT_BUF_DATA_ROOM - RTE_PKTMBUF_HEADROOM)

/* True if records have an explicit nonce (TLS 1.2 with AES-GCM). */
static inline bool has_explicit_nonce(const struct mt_tls_record *r)
{
	return r->before > MT_TLS_RECORD_HEADER;
}

/* A run of contiguous bytes in a chain; outside of a chain if m is NULL. */
struct run {
	uint8_t *p;
	uint32_t left;
	struct rte_mbuf *m;
};

/* The run from the byte at `off` on; off < len. */
struct run mt_run_at(const struct mt_chain *c, uint32_t off);

/* The first bytes of a header in memory order: type and version. */
static inline uint32_t header_of(uint8_t type)
{
	return type | 0x030300;
}

static inline uint64_t load_nonce(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

typedef uint64_t mt_tls_two_words __attribute__((vector_size(16)));

/* Stores both words at once (mt_aead.h). */
static inline void mt_tls_record_put(uint64_t *to, uint64_t low, uint64_t high)
{
	mt_tls_two_words v = {low, high};

	memcpy(to, &v, sizeof(v));
}

/*
 * Writes the nonce: the first 4 of the IV's 12 bytes, then `last`. Little endian, as DPDK's x86
 * libraries are.
 */
static inline void mt_tls_record_put_nonce(
	const struct mt_tls_record_half *half, uint64_t last, uint64_t *nonce)
{
	uint32_t first;

	memcpy(&first, half->iv, sizeof(first));
	mt_tls_record_put(nonce, first | last << 32, last >> 32);
}

/* The nonce's last 8 bytes: sequence number XOR the end of the IV (RFC 8446 §5.3, RFC 7905 §2). */
static inline uint64_t mt_tls_record_numbered(const struct mt_tls_record_half *half)
{
	uint64_t last;

	memcpy(&last, half->iv + sizeof(uint32_t), sizeof(last));
	return last ^ rte_cpu_to_be_64(half->seq);
}

/* Type, version and length in the header's format: five bytes. */
static inline uint64_t mt_tls_record_said(uint32_t header, uint32_t len)
{
	return header | (uint64_t)rte_cpu_to_be_16((uint16_t)len) << 24;
}

/*
 * Fills in the job that protects one record under the next number of `half`. `explicit_nonce` is as
 * in the record. `said` is type, version and length as additional data: in TLS 1.3 those of the
 * header, in TLS 1.2 with the length of the text alone. Inline, because each record needs it.
 */
static inline void mt_tls_record_job(const struct mt_tls_record *r, struct mt_tls_record_half *half,
	bool seal, uint64_t explicit_nonce, uint64_t said, struct mt_aead_job *j)
{
	j->key = half->key;
	j->hint = &half->hint;
	j->cipher = r->cipher;
	j->seal = seal;
	if (mt_likely(r->is_13)) {
		mt_tls_record_put_nonce(half, mt_tls_record_numbered(half), j->nonce);
		mt_tls_record_put(j->aad, said, 0);
		j->aad_len = MT_TLS_RECORD_HEADER;
		return;
	}
	/* The record's explicit nonce replaces the end of the IV (RFC 5288 §3). */
	mt_tls_record_put_nonce(half,
		has_explicit_nonce(r) ? explicit_nonce : mt_tls_record_numbered(half), j->nonce);
	mt_tls_record_put(j->aad, rte_cpu_to_be_64(half->seq), said); /* RFC 5246 §6.2.3.3 */
	j->aad_len = 8 + MT_TLS_RECORD_HEADER;
}

/* Processes the next n bytes of `at` in place. */
void mt_tls_record_here(struct mt_aead *a, const struct mt_aead_job *j, struct run *at, uint32_t n);
/* Processes the next n bytes of `from` to the position of `to`. */
void mt_tls_record_there(struct mt_aead *a, const struct mt_aead_job *j, struct run *from,
	struct run *to, uint32_t n);

/* Content of an opened record: at `flat`, or in the chain `out` if that is NULL. */
struct opened {
	uint8_t type;
	uint32_t len;
	uint8_t *flat; /* in the room after the user's last byte; not in a chain yet */
	struct mt_chain out;
};

#define OPENED	       0
#define OPEN_NO_MEMORY -1
#define OPEN_DELIVERED -2 /* its text is already appended to `to` */

/*
 * Opens the record with `len` bytes after its header and takes it off `from`. Returns OPENED,
 * OPEN_DELIVERED, OPEN_NO_MEMORY (nothing was taken), or the alert.
 */
int mt_tls_record_open(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *from,
	uint32_t len, struct mt_chain *to, struct opened *o);

/* Fills in the job that opens n protected bytes; `prefix` has header and explicit nonce. */
static inline void mt_tls_record_open_job(
	struct mt_tls_record *r, const uint8_t *prefix, uint32_t n, struct mt_aead_job *j)
{
	uint64_t nonce = has_explicit_nonce(r) ? load_nonce(prefix + MT_TLS_RECORD_HEADER) : 0;

	mt_tls_record_job(r, &r->rx, false, nonce,
		mt_tls_record_said(header_of(prefix[0]), r->is_13 ? n + MT_AEAD_TAG : n), j);
}

/*
 * Finds text and type in n contiguous opened bytes; o->type is the header's before. Returns OPENED
 * or the alert.
 */
static inline int mt_tls_record_content(
	const struct mt_tls_record *r, const uint8_t *text, uint32_t n, struct opened *o)
{
	o->len = n;
	if (mt_unlikely(!r->is_13))
		return OPENED;
	while (n > 0 && text[n - 1] == 0)
		n--;
	if (mt_unlikely(n == 0))
		return MT_TLS_UNEXPECTED_MESSAGE;
	o->len = n - 1;
	o->type = text[n - 1];
	return OPENED;
}

static inline bool mt_tls_record_is_text(const struct mt_tls_record *r, const struct opened *o)
{
	return mt_likely(o->type == CONTENT_DATA && o->len && !r->message_n);
}

/* Process received handshake messages and alerts. */
enum mt_tls_record_got mt_tls_record_messages(
	struct mt_tls_records *w, struct mt_tls_record *r, const struct opened *o, uint64_t now);
enum mt_tls_record_got mt_tls_record_alert_in(
	struct mt_tls_records *w, struct mt_tls_record *r, const struct opened *o, uint64_t now);

/*
 * Count one more record without user data, or one more key update. false: too many in this second.
 */
bool mt_tls_record_may_be_empty(struct mt_tls_records *w, struct mt_tls_record *r, uint64_t now);
bool mt_tls_record_may_update(struct mt_tls_record *r, uint64_t now);

/* Changes the key for receiving. Returns 0 or -ENOMEM. */
int mt_tls_record_next_rx(struct mt_tls_records *w, struct mt_tls_record *r);

enum mt_tls_record_got mt_tls_record_bad(struct mt_tls_record *r, enum mt_tls_alert alert);

/* Seals a short record of our own. */
int mt_tls_record_seal_bytes(struct mt_tls_records *w, struct mt_tls_record *r,
	enum content_type type, const uint8_t *bytes, uint32_t n,
	struct mt_chain *out) mt_must_check;
