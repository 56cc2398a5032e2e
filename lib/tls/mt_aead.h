/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam below records: who encrypts and authenticates. A provider belongs to one worker, works on bytes wherever they lie
 * (in place, or from one buffer to another), in one piece or in many, and allocates nothing after it was made.
 * Connections keep raw keys only; what a provider expands of them it keeps in a cache of its own.
 */
#pragma once

#include "mt_base.h"
#include "mt_tls_keys.h"

#define MT_AEAD_TAG   16
#define MT_AEAD_NONCE 12

/* One record. Must stay as it is from begin() to end(). */
struct mt_aead_job {
	const uint8_t *key; /* as many bytes as the cipher has */
	uint16_t *hint;	    /* of the key's owner, for the provider, who trusts it with nothing */
	uint8_t cipher;	    /* enum mt_tls_cipher */
	bool seal;
	uint8_t aad_len;
	/*
	 * At most 16 bytes of additional data. Each is written by one store, because the library loads
	 * it as a vector, and that load would wait for several stores.
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
	 * begin, any number of more with n > 0, end. `to` and `from` are the same or do not overlap. end() writes the tag
	 * (seal), or says whether it is the one given, in constant time (open); false for what was sealed means that the library
	 * failed.
	 */
	void (*begin)(struct mt_aead *a, const struct mt_aead_job *j);
	void (*more)(struct mt_aead *a, const struct mt_aead_job *j, uint8_t *to,
		const uint8_t *from, uint32_t n);
	bool (*end)(struct mt_aead *a, const struct mt_aead_job *j, uint8_t *tag);
	/* The three in one; n may be 0. */
	bool (*whole)(struct mt_aead *a, const struct mt_aead_job *j, uint8_t *to,
		const uint8_t *from, uint32_t n, uint8_t *tag);
	/* Nothing of this key is left. */
	void (*forget)(struct mt_aead *a, enum mt_tls_cipher c, const uint8_t *key);
	void (*free)(struct mt_aead *a);
};

struct mt_aead {
	const struct mt_aead_ops *ops;
};

enum mt_aead_kind {
	MT_AEAD_BEST,	 /* the fastest that this machine and this build have */
	MT_AEAD_OPENSSL, /* runs anywhere */
	MT_AEAD_IPSEC_MB,
};

/*
 * A provider that keeps at most `keys` expanded keys (a power of two; 0: none, each record expands its own); about 1 KiB
 * each. NULL: no memory, or this kind is not here.
 */
struct mt_aead *mt_aead_new(enum mt_aead_kind kind, uint32_t keys, int socket) mt_must_check;
void mt_aead_free(struct mt_aead *a);
