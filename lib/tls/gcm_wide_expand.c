/* SPDX-License-Identifier: Apache-2.0 */
/* The key schedule and powers of H, of both ciphers. */
#include "gcm_lanes.h"

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
	_mm_store_si128((__m128i *)(void *)(to + GCM_BLOCK * i), k);
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

/* H as it is kept, its bytes reversed: H << 1 modulo x^128 + x^127 + x^126 + x^121 + 1. */
WIDE_INLINE __m128i doubled(__m128i h)
{
	const __m128i poly = _mm_set_epi64x((long long)0xc200000000000000, 1);
	__m128i top;

	h = _mm_shuffle_epi8(h, byte_reversal());
	top = _mm_shuffle_epi32(_mm_srai_epi32(h, 31), 0xff);
	h = _mm_or_si128(_mm_slli_epi64(h, 1), _mm_slli_si128(_mm_srli_epi64(h, 63), 8));
	return _mm_xor_si128(h, _mm_and_si128(top, poly));
}

/* Of each of four: a * b, kept in the same way. */
WIDE_INLINE __m512i times(__m512i a, __m512i b)
{
	return reduced(product_of(a, b));
}

/* a * a, whose two products in the middle are the same and go away. */
WIDE_INLINE __m512i square(__m512i a)
{
	return reduced((struct product){
		.lo = _mm512_clmulepi64_epi128(a, a, 0x00),
		.mid = _mm512_setzero_si512(),
		.hi = _mm512_clmulepi64_epi128(a, a, 0x11),
	});
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
	_mm512_storeu_si512(h1 -= 3 * GCM_BLOCK, a);
	b = times(a, by);
	_mm512_storeu_si512(h1 -= GCM_LANES, b);
	by = first(b);
	for (uint32_t done = 8; done < blocks; done += 4) {
		next = times(a, by);
		_mm512_storeu_si512(h1 -= GCM_LANES, next);
		a = b;
		b = next;
	}
}

/* The library reads a power for each block; here the additional data and the lengths have theirs, too. */
WIDE void mt_gcm_wide_expand(
	struct gcm_key_data *to, const uint8_t *key, uint32_t key_len, uint32_t n)
{
	uint32_t blocks = (n + GCM_BLOCK - 1) / GCM_BLOCK;
	uint32_t read = n <= MT_GCM_WIDE_RECORD_MAX ? blocks + 2 : MT_MIN(blocks, GCM_POWERS);
	uint8_t *h1 = to->ghash_keys.vaes_avx512.shifted_hkey + gcm_power_at(1);

	if (key_len == 16)
		powers(h1, schedule_128(to->expanded_keys, key), read);
	else
		powers(h1, schedule_256(to->expanded_keys, key), read);
	(void)cleared(true);
}
