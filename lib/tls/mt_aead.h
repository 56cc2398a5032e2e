/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AEAD providers: encryption and authentication of TLS records. A provider belongs to one worker.
 * It works on bytes in place or from one buffer to another, in one piece (`whole`) or in several,
 * and allocates nothing after its creation. Tags are compared in constant time. mt_aead_new() uses
 * intel-ipsec-mb if it was built in (meson option ipsec_mb) and the CPU has AES and carry-less
 * multiplication, otherwise OpenSSL or AWS-LC.
 * - ipsec-mb's direct calls choose their code by CPU. Expanded keys must be aligned to 16 bytes. It
 *   computes a tag and leaves the comparison to the caller. Each OpenSSL context has one fixed
 *   cipher, because a context that changes its cipher allocates.
 * - Connections store raw keys only, since an expanded key takes 1 KiB. A provider caches expanded
 *   keys: 1,024 on a worker of a node with an identity. A connection remembers the place of each of
 *   its keys and compares the key there, so an entry cannot be stale.
 * - The cache is 4-way set-associative, and the first bits of a key choose its set. Of 256 keys
 *   nearly all have a place. A full set replaces by second chance, and only on every sixteenth
 *   miss. Other misses expand into scratch memory, so that connections in turn do not displace each
 *   other. An attacker that can watch this CPU's caches learns the few bits that choose the set.
 * - forget() wipes everything derived from a key, at the connection's end and with each new key.
 */
#pragma once

#include "mt_base.h"
#include "mt_tls_keys.h"

#define MT_AEAD_TAG   16
#define MT_AEAD_NONCE 12

/* One record. Must not change between begin() and end(). */
struct mt_aead_job {
	const uint8_t *key; /* as long as the cipher's key */
	/* the provider's cache index, stored by the key's owner; any value is safe */
	uint16_t *hint;
	uint8_t cipher; /* enum mt_tls_cipher */
	bool seal;
	uint8_t aad_len;
	/*
	 * The nonce, and at most 16 bytes of additional data. Each is written by one store, because
	 * the library loads it as a vector, and that load would wait for several stores.
	 */
	uint64_t nonce[2] __attribute__((aligned(16)));
	uint64_t aad[2] __attribute__((aligned(16)));
};

static inline const uint8_t *mt_aead_nonce(const struct mt_aead_job *j)
{
	return (const uint8_t *)j->nonce;
}

static inline const uint8_t *mt_aead_aad(const struct mt_aead_job *j)
{
	return (const uint8_t *)j->aad;
}

struct mt_aead;

struct mt_aead_ops {
	const char *name;
	/*
	 * Call begin(), then more() any number of times with n > 0, then end(). `to` and `from` are
	 * equal or do not overlap. To seal, end() writes the tag. To open, it compares the tag with
	 * the given one in constant time and returns the result. If it returns false for a sealed
	 * record, the library has failed.
	 */
	void (*begin)(struct mt_aead *a, const struct mt_aead_job *j);
	void (*more)(struct mt_aead *a, const struct mt_aead_job *j, uint8_t *to,
		const uint8_t *from, uint32_t n);
	bool (*end)(struct mt_aead *a, const struct mt_aead_job *j, uint8_t *tag);
	/* begin(), more() and end() in one call; n may be 0. */
	bool (*whole)(struct mt_aead *a, const struct mt_aead_job *j, uint8_t *to,
		const uint8_t *from, uint32_t n, uint8_t *tag);
	/* Wipes everything derived from this key. */
	void (*forget)(struct mt_aead *a, enum mt_tls_cipher c, const uint8_t *key);
	void (*free)(struct mt_aead *a);
};

struct mt_aead {
	const struct mt_aead_ops *ops;
};

enum mt_aead_kind {
	MT_AEAD_BEST,	 /* the fastest that this CPU and this build support */
	MT_AEAD_OPENSSL, /* runs on every CPU */
	MT_AEAD_IPSEC_MB,
};

/*
 * Creates a provider that caches at most `keys` expanded keys of about 1 KiB each. `keys` is a
 * power of two, or 0: then each record expands its key. Returns NULL if there is no memory or this
 * kind is not available.
 */
struct mt_aead *mt_aead_new(enum mt_aead_kind kind, uint32_t keys, int socket) mt_must_check;
void mt_aead_free(struct mt_aead *a);
