/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The portable provider. Its OpenSSL contexts are created once, each for one cipher, because a
 * context allocates when its cipher changes. A context that has the key already gets only the IV.
 */
#include "aead_priv.h"
#include "mt_tls_kdf.h"

#include <openssl/evp.h>
#include <rte_malloc.h>

#define N_CIPHERS 3

struct aead_openssl {
	struct mt_aead a;
	struct mt_key_cache cache;
	EVP_CIPHER_CTX *now; /* of the current record */
	bool failed;
	EVP_CIPHER_CTX **contexts; /* N_CIPHERS for each place, then those of the scratch */
	struct mt_key_set *sets;
	struct mt_key_place places[];
};

static struct aead_openssl *self(struct mt_aead *a)
{
	return mt_container_of(a, struct aead_openssl, a);
}

static const EVP_CIPHER *cipher_of(uint32_t c)
{
	switch (c) {
	case MT_TLS_AES_128_GCM:
		return EVP_aes_128_gcm();
	case MT_TLS_AES_256_GCM:
		return EVP_aes_256_gcm();
	default:
		return EVP_chacha20_poly1305();
	}
}

static void wipe(const struct aead_openssl *s, uint32_t place, uint32_t cipher)
{
	static const uint8_t nothing[32];

	EVP_CipherInit_ex(s->contexts[place * N_CIPHERS + cipher], NULL, NULL, nothing, nothing, 1);
}

static void begin(struct mt_aead *a, const struct mt_aead_job *j)
{
	struct aead_openssl *s = self(a);
	bool load;
	uint32_t i = mt_key_cache_find(
		&s->cache, j->cipher, j->key, mt_tls_key_len(j->cipher), j->hint, &load);
	int n;

	/* The place may have had a key of another cipher. */
	for (uint32_t c = 0; mt_unlikely(load) && i != s->cache.n && c < N_CIPHERS; c++)
		if (c != j->cipher)
			wipe(s, i, c);
	s->now = s->contexts[i * N_CIPHERS + j->cipher];
	s->failed = EVP_CipherInit_ex(s->now, NULL, NULL, load ? j->key : NULL, mt_aead_nonce(j),
			    j->seal) != 1 ||
		    EVP_CipherUpdate(s->now, NULL, &n, mt_aead_aad(j), j->aad_len) != 1;
}

static void more(struct mt_aead *a, const struct mt_aead_job *j, uint8_t *to, const uint8_t *from,
	uint32_t n)
{
	struct aead_openssl *s = self(a);
	int out;

	if (EVP_CipherUpdate(s->now, to, &out, from, (int)n) != 1)
		s->failed = true;
}

static bool end(struct mt_aead *a, const struct mt_aead_job *j, uint8_t *tag)
{
	struct aead_openssl *s = self(a);
	uint8_t none[EVP_MAX_BLOCK_LENGTH];
	int n;

	if (!j->seal && EVP_CIPHER_CTX_ctrl(s->now, EVP_CTRL_AEAD_SET_TAG, MT_AEAD_TAG, tag) != 1)
		return false;
	if (EVP_CipherFinal_ex(s->now, none, &n) != 1 || s->failed)
		return false;
	return !j->seal ||
	       EVP_CIPHER_CTX_ctrl(s->now, EVP_CTRL_AEAD_GET_TAG, MT_AEAD_TAG, tag) == 1;
}

static bool whole(struct mt_aead *a, const struct mt_aead_job *j, uint8_t *to, const uint8_t *from,
	uint32_t n, uint8_t *tag)
{
	begin(a, j);
	if (n)
		more(a, j, to, from, n);
	return end(a, j, tag);
}

/* Wipes the scratch, too, which may contain the key. */
static void forget(struct mt_aead *a, enum mt_tls_cipher c, const uint8_t *key)
{
	struct aead_openssl *s = self(a);
	uint32_t i = mt_key_cache_forget(&s->cache, c, key, mt_tls_key_len(c));

	wipe(s, i, c);
	if (i != s->cache.n)
		wipe(s, s->cache.n, c);
}

static void free_all(struct mt_aead *a)
{
	struct aead_openssl *s = self(a);

	for (uint32_t i = 0; s->contexts && i < (s->cache.n + 1) * N_CIPHERS; i++)
		EVP_CIPHER_CTX_free(s->contexts[i]);
	rte_free(s->contexts);
	rte_free(s->sets);
	OPENSSL_cleanse(s->places, s->cache.n * sizeof(s->places[0]));
	rte_free(s);
}

static const struct mt_aead_ops ops = {
	.name = "openssl",
	.begin = begin,
	.more = more,
	.end = end,
	.whole = whole,
	.forget = forget,
	.free = free_all,
};

struct mt_aead *mt_aead_openssl_new(uint32_t keys, int socket)
{
	size_t n = (size_t)(keys + 1) * N_CIPHERS;
	struct aead_openssl *s = rte_zmalloc_socket(
		"aead", sizeof(*s) + keys * sizeof(s->places[0]), MT_CACHE_LINE, socket);
	struct mt_key_places places;

	if (!s)
		return NULL;
	s->a.ops = &ops;
	s->sets =
		rte_zmalloc_socket("aead", mt_key_cache_sets(keys) * sizeof(s->sets[0]), 0, socket);
	if (!s->sets) {
		free_all(&s->a);
		return NULL;
	}
	places = (struct mt_key_places){s->places[0].key, &s->places[0].mark, sizeof(s->places[0])};
	mt_key_cache_init(&s->cache, places, s->sets, keys);
	s->contexts = rte_zmalloc_socket("aead", n * sizeof(s->contexts[0]), 0, socket);
	for (size_t i = 0; s->contexts && i < n; i++) {
		static const uint8_t nothing[32];
		EVP_CIPHER_CTX *x = s->contexts[i] = EVP_CIPHER_CTX_new();

		if (!x || EVP_CipherInit_ex(
				  x, cipher_of(i % N_CIPHERS), NULL, nothing, nothing, 1) != 1) {
			free_all(&s->a);
			return NULL;
		}
	}
	if (s->contexts)
		return &s->a;
	free_all(&s->a);
	return NULL;
}
