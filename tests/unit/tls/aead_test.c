/* SPDX-License-Identifier: Apache-2.0 */
/* Providers: beside each other and a context of OpenSSL's made for each call, and their caches of keys. */
#include "aead_priv.h"
#include "allocate.h"
#include "scene.h"

#include <openssl/evp.h>
#include <rte_malloc.h>
#include <sys/mman.h>
#include <unistd.h>

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
	/* Of all keys: a hint may be wrong. */
	static uint16_t hint = UINT16_MAX;
	struct mt_aead_job j = {
		.key = key, .hint = &hint, .cipher = cipher, .aad_len = number & 1 ? 5 : 13};

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

/* Each bit counts: of the nonce, of the additional data, of what is sealed and of its tag. */
static void wrong_bits(struct mt_aead *a, uint8_t cipher, uint32_t n, uint32_t piece)
{
	uint32_t nonce = 8 * MT_AEAD_NONCE, aad = 8 * 5, all = nonce + aad + 8 * (n + MT_AEAD_TAG);
	struct mt_aead_job right;
	uint8_t key[32];

	scene_fill(key, sizeof(key), 99);
	right = job(cipher, key, 3);
	for (uint32_t bit = 0; bit <= all; bit++) {
		struct mt_aead_job j = right;
		uint8_t *part = bit < nonce	    ? (uint8_t *)j.nonce
				: bit < nonce + aad ? (uint8_t *)j.aad
						    : sealed;
		uint32_t at = bit < nonce	  ? bit
			      : bit < nonce + aad ? bit - nonce
						  : bit - nonce - aad;

		reference(&right, text, n, sealed);
		/* The last time all is as it should be. */
		if (bit < all)
			part[at / 8] ^= (uint8_t)(1u << at % 8);
		CU_ASSERT_EQUAL(run(a, &j, false, sealed, n, piece), bit == all);
	}
}

static void test_wrong_bits(void)
{
	/* One for each number of 64-byte vectors that a short one lies in, and a longer one. */
	static const uint32_t lengths[] = {1, 50, 100, 150, 200, 300, 400};

	for (uint32_t a = 0; tls_aead[a]; a++)
		for (uint8_t cipher = 0; cipher < 3; cipher++)
			for (uint32_t l = 0; l < MT_ARRAY_LEN(lengths); l++) {
				wrong_bits(tls_aead[a], cipher, lengths[l], 0);
				wrong_bits(tls_aead[a], cipher, lengths[l], 9);
			}
}

/* Of n bytes that end where no page is: nobody may read, or write, behind them. */
static uint8_t *before_nothing(uint8_t *pages, uint32_t n)
{
	return pages + getpagesize() - n;
}

static uint8_t *one_page(void)
{
	uint8_t *p = mmap(NULL, 2 * (size_t)getpagesize(), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MT_ASSERT(p != MAP_FAILED &&
		  mprotect(p + getpagesize(), (size_t)getpagesize(), PROT_NONE) == 0);
	return p;
}

/* What lies before n bytes stays as it is. */
static bool untouched(const uint8_t *pages, uint32_t n)
{
	for (uint32_t i = 0; i < getpagesize() - n; i++)
		if (pages[i] != 0xee)
			return false;
	return true;
}

static void to_another_buffer(
	struct mt_aead *a, uint8_t cipher, uint32_t n, uint8_t *pages_in, uint8_t *pages_out)
{
	uint8_t key[32], tag[MT_AEAD_TAG], *in = before_nothing(pages_in, n),
					   *out = before_nothing(pages_out, n);
	struct mt_aead_job j;

	scene_fill(key, sizeof(key), n / 100);
	j = job(cipher, key, n);
	scene_fill(in, n, n);
	reference(&j, in, n, sealed);
	memset(pages_out, 0xee, (size_t)getpagesize());
	j.seal = true;
	CU_ASSERT_TRUE(a->ops->whole(a, &j, out, in, n, tag));
	CU_ASSERT_TRUE(memcmp(out, sealed, n) == 0 && memcmp(tag, sealed + n, MT_AEAD_TAG) == 0);
	CU_ASSERT_TRUE(untouched(pages_out, n));
	memcpy(in, sealed, n);
	memset(pages_out, 0xee, (size_t)getpagesize());
	j.seal = false;
	CU_ASSERT_TRUE(a->ops->whole(a, &j, out, in, n, tag));
	scene_fill(in, n, n);
	CU_ASSERT_EQUAL(memcmp(out, in, n), 0);
	CU_ASSERT_TRUE(untouched(pages_out, n));
}

static void test_other_buffers(void)
{
	uint8_t *in = one_page(), *out = one_page();

	for (uint32_t a = 0; tls_aead[a]; a++)
		for (uint8_t cipher = 0; cipher < 3; cipher++)
			for (uint32_t n = 0; n <= N; n++)
				to_another_buffer(tls_aead[a], cipher, n, in, out);
	munmap(in, 2 * (size_t)getpagesize());
	munmap(out, 2 * (size_t)getpagesize());
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

static struct mt_key_places all(struct mt_key_place *first)
{
	return (struct mt_key_places){first->key, &first->mark, sizeof(*first)};
}

/* Wanted at `place`, which holds it; or expanded there first. */
static void wanted(
	struct mt_key_cache *c, uint8_t cipher, const uint8_t *key, uint32_t place, bool expand)
{
	static uint16_t hint; /* the last key's */
	bool load;

	CU_ASSERT_EQUAL(mt_key_cache_find(c, cipher, key, cipher ? 32 : 16, &hint, &load), place);
	CU_ASSERT_EQUAL(hint, place);
	CU_ASSERT_EQUAL(load, expand);
}

/* A set of four, of eight places: who is busy keeps the place; others come to have that of one who is not. */
static void test_cache(void)
{
	enum { SCRATCH = 8 };
	struct mt_key_place places[8];
	struct mt_key_set sets[2];
	struct mt_key_cache c;
	uint8_t keys[6][16] = {{1, 0, 0, 0, 'a'}, {1, 0, 0, 0, 'b'}, {3, 0, 0, 0, 'c'},
		{1, 0, 0, 0, 'd'}, {1, 0, 0, 0, 'e'}, {1, 0, 0, 0, 'f'}};

	CU_ASSERT_EQUAL(mt_key_cache_sets(8), 2);
	mt_key_cache_init(&c, all(places), sets, 8);
	for (uint32_t i = 0; i < 4; i++)
		wanted(&c, 0, keys[i], 4 + i, true);
	for (uint32_t round = 0; round < 4 * MT_KEY_CACHE_ONE_IN; round++) {
		wanted(&c, 0, keys[4], SCRATCH, true);
		for (uint32_t i = 0; i < 4; i++)
			wanted(&c, 0, keys[i], 4 + i, false);
	}
	/* One of them does not come any more. Two others look now and then: that all are busy, and that this one is not. */
	for (uint32_t i = 0; i < 2 * MT_KEY_CACHE_ONE_IN - 1; i++) {
		wanted(&c, 0, keys[4 + i % 2], SCRATCH, true);
		wanted(&c, 0, keys[0], 4, false);
		wanted(&c, 0, keys[2], 6, false);
		wanted(&c, 0, keys[3], 7, false);
	}
	wanted(&c, 0, keys[5], 5, true);
	wanted(&c, 0, keys[5], 5, false);
	wanted(&c, 0, keys[0], 4, false);
	wanted(&c, 0, keys[1], SCRATCH, true);
	/* The other set has room. */
	wanted(&c, 0, (const uint8_t[16]){2, 0, 0, 0, 'g'}, 0, true);
	CU_ASSERT_EQUAL(mt_key_cache_forget(&c, 0, keys[1], 16), SCRATCH);
	CU_ASSERT_EQUAL(mt_key_cache_forget(&c, 0, keys[5], 16), 5);
	wanted(&c, 0, keys[1], 5, true);
}

/* All of a key counts, and its cipher. */
static void test_cache_compares(void)
{
	struct mt_key_place places[4];
	struct mt_key_set set;
	struct mt_key_cache c;
	uint8_t a[32] = {1, 0, 0, 0, 'a'}, b[32] = {1, 0, 0, 0, 'a', [15] = 1},
		l[2][32] = {{1, 0, 0, 0, 'a', [30] = 1}, {1, 0, 0, 0, 'a', [30] = 2}};

	mt_key_cache_init(&c, all(places), &set, 4);
	wanted(&c, 0, a, 0, true);
	wanted(&c, 0, b, 1, true);
	wanted(&c, 1, l[0], 2, true);
	wanted(&c, 1, l[1], 3, true);
	wanted(&c, 2, l[1], 4, true);
	wanted(&c, 0, a, 0, false);
	wanted(&c, 0, b, 1, false);
	wanted(&c, 1, l[0], 2, false);
	wanted(&c, 1, l[1], 3, false);
	CU_ASSERT_EQUAL(mt_key_cache_forget(&c, 2, l[0], 32), 4);
	CU_ASSERT_EQUAL(mt_key_cache_forget(&c, 1, l[0], 32), 2);
	wanted(&c, 1, l[1], 3, false);
}

/* What was expanded is gone with its key: looked for in all that the provider holds. */
static void test_forgotten(void)
{
	struct mt_key_place place;
	struct mt_key_set set;
	struct mt_key_cache c;
	uint8_t key[32], other[32], none[32] = {0};
	uint16_t hint = 0;
	bool load;

	scene_fill(key, sizeof(key), 1);
	scene_fill(other, sizeof(other), 2);
	mt_key_cache_init(&c, all(&place), &set, 1);
	mt_key_cache_find(&c, 1, key, 32, &hint, &load);
	CU_ASSERT_EQUAL(memcmp(place.key, key, 32), 0);
	mt_key_cache_forget(&c, 1, key, 32);
	CU_ASSERT_EQUAL(memcmp(place.key, none, 32), 0);
	CU_ASSERT_EQUAL(set.tags[0], 0);
	/* Nor the end of one that a shorter one has followed. */
	mt_key_cache_find(&c, 1, key, 32, &hint, &load);
	for (uint32_t i = 0; place.mark.cipher != 0 && i < 3 * MT_KEY_CACHE_ONE_IN; i++)
		mt_key_cache_find(&c, 0, other, 16, &hint, &load);
	CU_ASSERT_EQUAL(memcmp(place.key, other, 16), 0);
	CU_ASSERT_EQUAL(memcmp(place.key + 16, none, 16), 0);
	mt_key_cache_forget(&c, 0, other, 16);
	/* Nor is another's place touched by one that had none. */
	mt_key_cache_find(&c, 1, key, 32, &hint, &load);
	mt_key_cache_find(&c, 1, other, 32, &hint, &load);
	CU_ASSERT_EQUAL(mt_key_cache_forget(&c, 1, other, 32), 1);
	CU_ASSERT_EQUAL(memcmp(place.key, key, 32), 0);
}

/*
 * The second key has the scratch, then takes the first one's only place; forgets it there. Expanded
 * keys of AES and ChaCha20 begin with the key, so none may be found in OpenSSL's memory afterwards.
 * Returns whether it was there before.
 */
static bool use_and_forget(struct mt_aead *a, uint8_t cipher, uint32_t seed)
{
	uint8_t keys[2][32];
	bool held;

	for (uint32_t k = 0; k < 2; k++)
		scene_fill(keys[k], 32, seed + k);
	for (uint32_t i = 0; i < 4 * MT_KEY_CACHE_ONE_IN; i++) {
		struct mt_aead_job j = job(cipher, keys[i >= 2], i);

		CU_ASSERT_TRUE(run(a, &j, true, is, 100, i & 1 ? 9 : 0));
	}
	held = allocate_holds(keys[1], 16);
	a->ops->forget(a, cipher, keys[1]);
	CU_ASSERT_FALSE(allocate_holds(keys[1], 16));
	return held;
}

/* A provider's own memory does not depend on keys that it has forgotten, nor does OpenSSL's hold them. */
static void wiped(struct mt_aead *a, bool by_openssl)
{
	uint8_t *before;
	bool held;
	size_t n;

	CU_ASSERT_EQUAL_FATAL(rte_malloc_validate(a, &n), 0);
	before = malloc(n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(before);
	for (uint8_t cipher = 0; cipher < 3; cipher++) {
		(void)use_and_forget(a, cipher, 1000);
		memcpy(before, a, n);
		held = use_and_forget(a, cipher, 2000);
		CU_ASSERT_EQUAL(memcmp(before, a, n), 0);
		/* Without AES instructions an expanded key of AES may look otherwise. */
		CU_ASSERT(!by_openssl || held || cipher != MT_TLS_CHACHA20_POLY1305);
	}
	free(before);
}

static void test_wiped(void)
{
	for (int kind = MT_AEAD_OPENSSL; kind <= MT_AEAD_IPSEC_MB; kind++) {
		struct mt_aead *a;

		allocate_watch(true);
		a = mt_aead_new((enum mt_aead_kind)kind, 1, SOCKET_ID_ANY);
		if (a)
			wiped(a, kind == MT_AEAD_OPENSSL);
		mt_aead_free(a);
		allocate_watch(false);
	}
}

const struct mt_test aead_tests[] = {{"beside a reference", test_reference},
	{"wrong bits", test_wrong_bits}, {"to other buffers", test_other_buffers},
	{"many keys", test_keys}, {"which keys stay", test_cache},
	{"keys are compared", test_cache_compares}, {"forgotten keys", test_forgotten},
	{"forgotten keys are wiped", test_wiped}, {0}};
