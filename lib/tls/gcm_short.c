/* SPDX-License-Identifier: Apache-2.0 */
#include "gcm_short.h"

#include <immintrin.h>
#include <openssl/crypto.h>
#include <string.h>

#define POWERS	 48 /* that the library has places for: the last is that of H itself */
#define ALL_WAYS (16 * POWERS + 16) /* bytes: longer records read the same powers */

/* The rest of the project is built for older CPUs. */
#define WIDE                                                                                       \
	__attribute__((                                                                            \
		target("aes,pclmul,avx2,avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq")))
#define WIDE_INLINE static inline __attribute__((always_inline)) WIDE

_Static_assert(
	sizeof(((struct gcm_key_data *)0)->ghash_keys.vaes_avx512.shifted_hkey) == 16 * POWERS,
	"of H^48 .. H^1");

/* k ^ k << 32 ^ k << 64 ^ k << 96: what the last step of the key schedule adds of its own words. */
WIDE_INLINE __m128i own_words(__m128i k)
{
	k = _mm_xor_si128(k, _mm_slli_si128(k, 4));
	return _mm_xor_si128(k, _mm_slli_si128(k, 8));
}

/* SubWord(RotWord(last)) ^ rcon in all words (FIPS 197 §5.2): of four equal columns ShiftRows makes the same. */
WIDE_INLINE __m128i rotated(__m128i last, int rcon)
{
	const __m128i word = _mm_set1_epi32(0x0c0f0e0d);

	return _mm_aesenclast_si128(_mm_shuffle_epi8(last, word), _mm_set1_epi32(rcon));
}

WIDE_INLINE __m128i not_rotated(__m128i last)
{
	return _mm_aesenclast_si128(_mm_shuffle_epi32(last, 0xff), _mm_setzero_si128());
}

WIDE_INLINE void put(uint8_t *to, uint32_t i, __m128i k)
{
	_mm_store_si128((__m128i *)(void *)(to + 16 * i), k);
}

/* All round keys; H is 0 encrypted, which goes along as they come. */
WIDE_INLINE __m128i schedule_128(uint8_t *to, const uint8_t *key)
{
	static const uint8_t rcon[] = {1, 2, 4, 8, 16, 32, 64, 128, 27, 54};
	__m128i k = _mm_loadu_si128((const __m128i *)(const void *)key), h = k;

	put(to, 0, k);
	for (uint32_t i = 0; i < 10; i++) {
		k = _mm_xor_si128(own_words(k), rotated(k, rcon[i]));
		put(to, i + 1, k);
		h = i < 9 ? _mm_aesenc_si128(h, k) : _mm_aesenclast_si128(h, k);
	}
	return h;
}

WIDE_INLINE __m128i schedule_256(uint8_t *to, const uint8_t *key)
{
	__m128i a = _mm_loadu_si128((const __m128i *)(const void *)key);
	__m128i b = _mm_loadu_si128((const __m128i *)(const void *)(key + 16));
	__m128i h = _mm_aesenc_si128(a, b);

	put(to, 0, a);
	put(to, 1, b);
	for (uint32_t i = 0; i < 7; i++) {
		a = _mm_xor_si128(own_words(a), rotated(b, 1 << i));
		put(to, 2 * i + 2, a);
		if (i == 6)
			break;
		h = _mm_aesenc_si128(h, a);
		b = _mm_xor_si128(own_words(b), not_rotated(a));
		put(to, 2 * i + 3, b);
		h = _mm_aesenc_si128(h, b);
	}
	return _mm_aesenclast_si128(h, a);
}

/* H as it is kept, its bytes turned around: H << 1 modulo x^128 + x^127 + x^126 + x^121 + 1. */
WIDE_INLINE __m128i doubled(__m128i h)
{
	const __m128i turn = _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
	const __m128i poly = _mm_set_epi64x((long long)0xc200000000000000, 1);
	__m128i top;

	h = _mm_shuffle_epi8(h, turn);
	top = _mm_shuffle_epi32(_mm_srai_epi32(h, 31), 0xff);
	h = _mm_or_si128(_mm_slli_epi64(h, 1), _mm_slli_si128(_mm_srli_epi64(h, 63), 8));
	return _mm_xor_si128(h, _mm_and_si128(top, poly));
}

WIDE_INLINE __m512i xor3(__m512i a, __m512i b, __m512i c)
{
	return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}

/* Of each of four products, whose middle part lies across the other two. Each of two multiplications takes 64 bits away. */
WIDE_INLINE __m512i reduced(__m512i lo, __m512i mid, __m512i hi)
{
	const __m512i poly = _mm512_set1_epi64((long long)0xc200000000000000);

	mid = xor3(mid, _mm512_shuffle_epi32(lo, 0x4e), _mm512_clmulepi64_epi128(lo, poly, 0x00));
	return xor3(hi, _mm512_shuffle_epi32(mid, 0x4e), _mm512_clmulepi64_epi128(mid, poly, 0x00));
}

/* Of each of four: a * b, kept in the same way. */
WIDE_INLINE __m512i times(__m512i a, __m512i b)
{
	__m512i mid = _mm512_xor_si512(
		_mm512_clmulepi64_epi128(a, b, 0x01), _mm512_clmulepi64_epi128(a, b, 0x10));

	return reduced(
		_mm512_clmulepi64_epi128(a, b, 0x00), mid, _mm512_clmulepi64_epi128(a, b, 0x11));
}

/* a * a, whose two products in the middle are the same and go away. */
WIDE_INLINE __m512i square(__m512i a)
{
	return reduced(_mm512_clmulepi64_epi128(a, a, 0x00), _mm512_setzero_si512(),
		_mm512_clmulepi64_epi128(a, a, 0x11));
}

/* The first of four, four times. */
WIDE_INLINE __m512i first(__m512i v)
{
	return _mm512_shuffle_i64x2(v, v, 0);
}

/* H at h1, the others before it, up to H^blocks or somewhat further. From H^8 on two chains beside each other. */
WIDE_INLINE void powers(uint8_t *h1, __m128i h, uint32_t blocks)
{
	__m512i one = _mm512_broadcast_i64x2(doubled(h)), two = square(one), a, b, next, by;

	a = times(two, _mm512_mask_blend_epi64(0x0c, two, one)); /* H^4, H^3 */
	by = first(a);
	a = _mm512_mask_blend_epi64(0x30, _mm512_mask_blend_epi64(0xc0, a, one), two);
	_mm512_storeu_si512(h1 -= 48, a);
	b = times(a, by);
	_mm512_storeu_si512(h1 -= 64, b);
	by = first(b);
	for (uint32_t done = 8; done < blocks; done += 4) {
		next = times(a, by);
		_mm512_storeu_si512(h1 -= 64, next);
		a = b;
		b = next;
	}
}

WIDE void mt_gcm_short_expand(
	struct gcm_key_data *to, const uint8_t *key, uint32_t key_len, uint32_t n)
{
	uint8_t *k = to->expanded_keys, *powers_of_h = to->ghash_keys.vaes_avx512.shifted_hkey;
	uint8_t *h1 = powers_of_h + 16 * (POWERS - 1);
	uint32_t blocks = MT_MIN((n + 15) / 16, (uint32_t)POWERS);

	if (key_len == 16)
		powers(h1, schedule_128(k, key), blocks);
	else
		powers(h1, schedule_256(k, key), blocks);
}

/* What the library makes of a record with either expansion. */
struct trial {
	IMB_MGR *mgr;
	struct gcm_key_data full mt_cache_aligned, brief mt_cache_aligned;
	struct gcm_context_data context;
	uint8_t key[32], in[MT_GCM_SHORT_MAX], out[2][MT_GCM_SHORT_MAX], tag[2][16];
	uint8_t nonce[16], aad[16];
	uint64_t chance;
};

static void fill(struct trial *t, uint8_t *to, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		t->chance = t->chance * 6364136223846793005ull + 1442695040888963407ull;
		to[i] = (uint8_t)(t->chance >> 56);
	}
}

static bool same_record(struct trial *t, uint32_t key_len, uint32_t n, uint32_t aad_len, bool seal)
{
	const aes_gcm_enc_dec_t run = key_len == 16
					      ? (seal ? t->mgr->gcm128_enc : t->mgr->gcm128_dec)
					      : (seal ? t->mgr->gcm256_enc : t->mgr->gcm256_dec);

	/* What is left of the last trial, or a 0 that was there, must not help. */
	memset(&t->brief, 0xa5, sizeof(t->brief));
	mt_gcm_short_expand(&t->brief, t->key, key_len, n);
	run(&t->full, &t->context, t->out[0], t->in, n, t->nonce, t->aad, aad_len, t->tag[0], 16);
	run(&t->brief, &t->context, t->out[1], t->in, n, t->nonce, t->aad, aad_len, t->tag[1], 16);
	return !memcmp(t->out[0], t->out[1], n) && !memcmp(t->tag[0], t->tag[1], 16);
}

static bool same_records(struct trial *t, uint32_t key_len)
{
	bool same = true;

	fill(t, t->key, sizeof(t->key));
	fill(t, t->nonce, sizeof(t->nonce));
	fill(t, t->aad, sizeof(t->aad));
	fill(t, t->in, sizeof(t->in));
	if (key_len == 16)
		IMB_AES128_GCM_PRE(t->mgr, t->key, &t->full);
	else
		IMB_AES256_GCM_PRE(t->mgr, t->key, &t->full);
	for (uint32_t n = 0; n <= MT_GCM_SHORT_MAX; n++)
		for (uint32_t way = 0; way < 4; way++)
			if (n <= ALL_WAYS || way == n / 16 % 4)
				same &= same_record(t, key_len, n, way & 1 ? 5 : 13, way & 2);
	return same;
}

static bool works(IMB_MGR *mgr)
{
	struct trial t = {.mgr = mgr};
	bool same = true;

	for (uint32_t keys = 0; keys < 2; keys++)
		same &= same_records(&t, 16) && same_records(&t, 32);
	OPENSSL_cleanse(&t, sizeof(t));
	return same && imb_get_errno(mgr) == 0;
}

bool mt_gcm_short_works(IMB_MGR *mgr)
{
	const uint64_t needs = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ | IMB_FEATURE_AVX2 |
			       IMB_FEATURE_AVX512_SKX | IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ;
	static enum { UNKNOWN, NO, YES } known;

	if (mgr->used_arch != IMB_ARCH_AVX512 || (mgr->features & needs) != needs)
		return false;
	if (known == UNKNOWN)
		known = works(mgr) ? YES : NO;
	return known == YES;
}
