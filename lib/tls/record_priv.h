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

/* Below this a copy is cheaper than a buffer that is kept for it. */
#define SHORT 384

/* What a new buffer holds in one piece. */
#define FLAT_MAX (MT_BUF_DATA_ROOM - RTE_PKTMBUF_HEADROOM)

/* How a direction's records are protected. */
static inline bool has_explicit_nonce(const struct mt_tls_record *r)
{
	return r->before > MT_TLS_RECORD_HEADER;
}

/* Runs of bytes in a chain, or one that lies anywhere (m NULL). */
struct run {
	uint8_t *p;
	uint32_t left;
	struct rte_mbuf *m;
};

/* From the byte at `off` on; off < len. */
struct run mt_run_at(const struct mt_chain *c, uint32_t off);

/* The first bytes of a header, as they lie in memory: type and version. */
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

/* In one store: mt_aead.h. */
static inline void mt_tls_record_put(uint64_t *to, uint64_t low, uint64_t high)
{
	mt_tls_two_words v = {low, high};

	memcpy(to, &v, sizeof(v));
}

/* The IV is 12 bytes; `last` are the nonce's last 8. Little endian, as all that DPDK's x86 rooms are. */
static inline void mt_tls_record_put_nonce(
	const struct mt_tls_record_half *half, uint64_t last, uint64_t *nonce)
{
	uint32_t first;

	memcpy(&first, half->iv, sizeof(first));
	mt_tls_record_put(nonce, first | last << 32, last >> 32);
}

/* The number over the IV's end: RFC 8446 §5.3, RFC 7905 §2. */
static inline uint64_t mt_tls_record_numbered(const struct mt_tls_record_half *half)
{
	uint64_t last;

	memcpy(&last, half->iv + sizeof(uint32_t), sizeof(last));
	return last ^ rte_cpu_to_be_64(half->seq);
}

/* Header and length as the header has them, five bytes. */
static inline uint64_t mt_tls_record_said(uint32_t header, uint32_t len)
{
	return header | (uint64_t)rte_cpu_to_be_16((uint16_t)len) << 24;
}

/*
 * One record's protection under the next number of `half`. `explicit_nonce` as it lies in the record; `said` is what TLS 1.3 has in the header,
 * TLS 1.2 beside it: the length with all that protects, and of the text alone. In line: it is of each record.
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
	/* In place of its end what the record says: RFC 5288 §3. */
	mt_tls_record_put_nonce(half,
		has_explicit_nonce(r) ? explicit_nonce : mt_tls_record_numbered(half), j->nonce);
	mt_tls_record_put(j->aad, rte_cpu_to_be_64(half->seq), said); /* RFC 5246 §6.2.3.3 */
	j->aad_len = 8 + MT_TLS_RECORD_HEADER;
}

/* The next n bytes of `at` in place. */
void mt_tls_record_here(struct mt_aead *a, const struct mt_aead_job *j, struct run *at, uint32_t n);
/* The next n bytes of `from` to where `to` stands. */
void mt_tls_record_there(struct mt_aead *a, const struct mt_aead_job *j, struct run *from,
	struct run *to, uint32_t n);

/* What a record held: its bytes are `flat`, or if that is NULL the chain. */
struct opened {
	uint8_t type;
	uint32_t len;
	uint8_t *flat; /* in the room behind the user's last byte; nobody's so far */
	struct mt_chain out;
};

#define OPENED	       0
#define OPEN_NO_MEMORY -1
#define OPEN_DELIVERED -2 /* its text is behind `to` already */

/* Takes the record of `len` bytes behind its header off `from`. OPENED; OPEN_NO_MEMORY: nothing was taken; else the alert. */
int mt_tls_record_open(struct mt_tls_records *w, struct mt_tls_record *r, struct mt_chain *from,
	uint32_t len, struct mt_chain *to, struct opened *o);

/* Of n protected bytes behind `prefix`, which has header and explicit nonce. */
static inline void mt_tls_record_open_job(
	struct mt_tls_record *r, const uint8_t *prefix, uint32_t n, struct mt_aead_job *j)
{
	uint64_t nonce = has_explicit_nonce(r) ? load_nonce(prefix + MT_TLS_RECORD_HEADER) : 0;

	mt_tls_record_job(r, &r->rx, false, nonce,
		mt_tls_record_said(header_of(prefix[0]), r->is_13 ? n + MT_AEAD_TAG : n), j);
}

/* Text and type of n opened bytes in one piece (o->type is the header's so far): OPENED, or the alert. */
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

/* Messages and alerts that came. */
enum mt_tls_record_got mt_tls_record_messages(
	struct mt_tls_records *w, struct mt_tls_record *r, const struct opened *o, uint64_t now);
enum mt_tls_record_got mt_tls_record_alert_in(
	struct mt_tls_records *w, struct mt_tls_record *r, const struct opened *o, uint64_t now);

/* Nothing for the user once more, a key update once more; false: too often in this second. */
bool mt_tls_record_may_be_empty(struct mt_tls_records *w, struct mt_tls_record *r, uint64_t now);
bool mt_tls_record_may_update(struct mt_tls_record *r, uint64_t now);

/* The peer changes its key. 0 or -ENOMEM. */
int mt_tls_record_next_rx(struct mt_tls_records *w, struct mt_tls_record *r);

enum mt_tls_record_got mt_tls_record_bad(struct mt_tls_record *r, enum mt_tls_alert alert);

/* A record of few bytes of ours. */
int mt_tls_record_seal_bytes(struct mt_tls_records *w, struct mt_tls_record *r,
	enum content_type type, const uint8_t *bytes, uint32_t n,
	struct mt_chain *out) mt_must_check;
