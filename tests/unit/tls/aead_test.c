/* SPDX-License-Identifier: Apache-2.0 */
/* Providers: beside each other and a context of OpenSSL's made for each call, and their caches of keys. */
#include "key_cache.h"
#include "scene.h"

#include <openssl/evp.h>

#define N 600

static uint8_t text[N], sealed[N + MT_AEAD_TAG], is[N + MT_AEAD_TAG];

static const EVP_CIPHER *cipher_of(uint8_t c)
{
	return c == MT_TLS_AES_128_GCM	 ? EVP_aes_128_gcm()
	       : c == MT_TLS_AES_256_GCM ? EVP_aes_256_gcm()
					 : EVP_chacha20_poly1305();
}

static void reference(const struct mt_aead_job *j, const uint8_t *in, uint32_t n, uint8_t *out)
{
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	int part;

	MT_ASSERT(x && EVP_CipherInit_ex(
			       x, cipher_of(j->cipher), NULL, j->key, mt_aead_nonce(j), 1) == 1);
	MT_ASSERT(EVP_CipherUpdate(x, NULL, &part, mt_aead_aad(j), j->aad_len) == 1);
	MT_ASSERT(n == 0 || EVP_CipherUpdate(x, out, &part, in, (int)n) == 1);
	MT_ASSERT(EVP_CipherFinal_ex(x, out + n, &part) == 1);
	MT_ASSERT(EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, 16, out + n) == 1);
	EVP_CIPHER_CTX_free(x);
}

static struct mt_aead_job job(uint8_t cipher, const uint8_t *key, uint32_t number)
{
	struct mt_aead_job j = {.key = key, .cipher = cipher, .aad_len = number & 1 ? 5 : 13};

	scene_fill((uint8_t *)j.nonce, MT_AEAD_NONCE, number);
	scene_fill((uint8_t *)j.aad, 13, number * 3);
	return j;
}

/* In parts of `piece`. */
static bool run(struct mt_aead *a, struct mt_aead_job *j, bool seal, uint8_t *bytes, uint32_t n,
	uint32_t piece)
{
	j->seal = seal;
	if (piece == 0)
		return a->ops->whole(a, j, bytes, bytes, n, bytes + n);
	a->ops->begin(a, j);
	for (uint32_t at = 0, part; at < n; at += part) {
		part = MT_MIN(piece, n - at);
		a->ops->more(a, j, bytes + at, bytes + at, part);
	}
	return a->ops->end(a, j, bytes + n);
}

static void test_reference(void)
{
	static const uint32_t pieces[] = {0, 1, 7, 15, 16, 17, 333};
	uint8_t key[32];

	scene_fill(text, N, 7);
	for (uint32_t a = 0; tls_aead[a]; a++)
		for (uint8_t cipher = 0; cipher < 3; cipher++)
			for (uint32_t n = 0; n <= N; n += n < 70 ? 1 : 53)
				for (uint32_t p = 0; p < MT_ARRAY_LEN(pieces); p++) {
					struct mt_aead_job j = job(cipher, key, n);

					scene_fill(key, sizeof(key), n / 10 * 1000);
					reference(&j, text, n, sealed);
					memcpy(is, text, n);
					CU_ASSERT_TRUE(
						run(tls_aead[a], &j, true, is, n, pieces[p]));
					CU_ASSERT_EQUAL(memcmp(is, sealed, n + MT_AEAD_TAG), 0);
					CU_ASSERT_TRUE(
						run(tls_aead[a], &j, false, is, n, pieces[p]));
					CU_ASSERT_EQUAL(memcmp(is, text, n), 0);
				}
}

/* Each bit of the tag counts. */
static void test_wrong_tags(void)
{
	uint8_t key[32];

	scene_fill(key, sizeof(key), 99);
	for (uint32_t a = 0; tls_aead[a]; a++)
		for (uint8_t cipher = 0; cipher < 3; cipher++)
			for (uint32_t bit = 0; bit < 128; bit++) {
				struct mt_aead_job j = job(cipher, key, 3);

				reference(&j, text, 50, sealed);
				sealed[50 + bit / 8] ^= (uint8_t)(1u << bit % 8);
				CU_ASSERT_FALSE(
					run(tls_aead[a], &j, false, sealed, 50, bit & 1 ? 9 : 0));
			}
}

/* More keys than places, in turn and again and again: each record is under its own. */
static void keys_in_turn(uint32_t places)
{
	static uint8_t keys[64][32];

	for (int kind = MT_AEAD_OPENSSL; kind <= MT_AEAD_IPSEC_MB; kind++) {
		struct mt_aead *a = mt_aead_new((enum mt_aead_kind)kind, places, SOCKET_ID_ANY);

		if (!a)
			continue;
		for (uint32_t i = 0; i < 2000; i++) {
			uint32_t k = i % 7 * (i % 11) % 64;
			struct mt_aead_job j = job((uint8_t)(k % 3), keys[k], i);

			scene_fill(keys[k], 32, k * 12345);
			reference(&j, text, 40, sealed);
			memcpy(is, text, 40);
			CU_ASSERT_TRUE(run(a, &j, true, is, 40, i % 3));
			CU_ASSERT_EQUAL(memcmp(is, sealed, 40 + MT_AEAD_TAG), 0);
			if (i % 5 == 0)
				a->ops->forget(a, j.cipher, j.key);
		}
		mt_aead_free(a);
	}
}

static void test_keys(void)
{
	keys_in_turn(0);
	keys_in_turn(1);
	keys_in_turn(4);
	keys_in_turn(64);
}

/* Who is busy keeps the place; who comes twice in a row gets it. */
static void test_cache(void)
{
	struct mt_key_place places[4];
	struct mt_key_cache c;
	uint8_t long_ones[2][32] = {{3, 0, 0, 0, 'x', [30] = 1}, {3, 0, 0, 0, 'x', [30] = 2}};
	uint8_t a[32] = {1, 0, 0, 0, 'a'}, b[32] = {1, 0, 0, 0, 'b'}, other[32] = {2, 0, 0, 0, 'c'};
	bool load;

	mt_key_cache_init(&c, places, 4);
	CU_ASSERT_TRUE(mt_key_cache_find(&c, 0, a, 16, &load) == 1 && load);
	CU_ASSERT_TRUE(mt_key_cache_find(&c, 0, a, 16, &load) == 1 && !load);
	/* The same bytes for another cipher are another key. */
	CU_ASSERT_TRUE(mt_key_cache_find(&c, 1, a, 32, &load) == 4 && load);
	CU_ASSERT_TRUE(mt_key_cache_find(&c, 0, a, 16, &load) == 1 && !load);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(mt_key_cache_find(&c, 0, b, 16, &load) == 4 && load);
		CU_ASSERT_TRUE(mt_key_cache_find(&c, 0, a, 16, &load) == 1 && !load);
	}
	CU_ASSERT_TRUE(mt_key_cache_find(&c, 0, other, 16, &load) == 2 && load);
	CU_ASSERT_TRUE(mt_key_cache_find(&c, 0, b, 16, &load) == 4 && load);
	CU_ASSERT_TRUE(mt_key_cache_find(&c, 0, b, 16, &load) == 1 && load);
	CU_ASSERT_TRUE(mt_key_cache_find(&c, 0, b, 16, &load) == 1 && !load);
	/* All of a long key counts. */
	CU_ASSERT_TRUE(mt_key_cache_find(&c, 1, long_ones[0], 32, &load) == 3 && load);
	CU_ASSERT_TRUE(mt_key_cache_find(&c, 1, long_ones[1], 32, &load) == 4 && load);
	CU_ASSERT_TRUE(mt_key_cache_find(&c, 1, long_ones[0], 32, &load) == 3 && !load);
	CU_ASSERT_EQUAL(mt_key_cache_forget(&c, 0, a, 16), 4);
	CU_ASSERT_EQUAL(mt_key_cache_forget(&c, 0, b, 16), 1);
	CU_ASSERT_TRUE(mt_key_cache_find(&c, 0, b, 16, &load) == 1 && load);
}

/* What was expanded is gone with its key: looked for in all that the provider holds. */
static void test_forgotten(void)
{
	struct mt_key_place place;
	struct mt_key_cache c;
	uint8_t key[32], other[32], none[32] = {0};
	bool load;

	scene_fill(key, sizeof(key), 1);
	scene_fill(other, sizeof(other), 2);
	mt_key_cache_init(&c, &place, 1);
	mt_key_cache_find(&c, 1, key, 32, &load);
	CU_ASSERT_EQUAL(memcmp(place.key, key, 32), 0);
	mt_key_cache_forget(&c, 1, key, 32);
	CU_ASSERT_EQUAL(memcmp(place.key, none, 32), 0);
	/* Nor bits of one that had no place. */
	mt_key_cache_find(&c, 1, key, 32, &load);
	mt_key_cache_find(&c, 1, other, 32, &load);
	CU_ASSERT_TRUE(place.wanted != 0);
	CU_ASSERT_EQUAL(mt_key_cache_forget(&c, 1, other, 32), 1);
	CU_ASSERT_EQUAL(place.wanted, 0);
	CU_ASSERT_EQUAL(memcmp(place.key, key, 32), 0);
}

const struct mt_test aead_tests[] = {{"beside a reference", test_reference},
	{"wrong tags", test_wrong_tags}, {"many keys", test_keys}, {"which keys stay", test_cache},
	{"forgotten keys", test_forgotten}, {0}};
