/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record of few blocks in one go (NIST SP 800-38D §7): all its counters are encrypted beside each other, all its products are added before
 * the one reduction, and where the number of registers is known no branch asks for the length again. The hash of what is authenticated beside
 * the text does not wait for the cipher.
 */
#include "gcm_lanes.h"

#define PARTS_MAX (MT_GCM_WIDE_RECORD_MAX / GCM_LANES)

/* Unrolled as a whole, so that each part, which is what a register holds, stays in its own. */
#define EACH_PART(i, parts) _Pragma("GCC unroll 5") for (uint32_t i = 0; i < (parts); i++)

_Static_assert(PARTS_MAX == 5, "EACH_PART");
_Static_assert(4 * PARTS_MAX + 1 < 256, "counter_blocks() adds to the last byte alone");

/* The text, and the keystream it is xored with; tag_mask is xored with the hash: E(K, J0). Behind a text's end are zeros. */
struct work {
	__m512i text[PARTS_MAX], keystream[PARTS_MAX];
	__mmask64 last_bytes; /* of the last part */
	__m128i tag_mask;
};

WIDE_INLINE __m512i round_key(const uint8_t *keys, uint32_t i)
{
	return _mm512_broadcast_i32x4(
		_mm_load_si128((const __m128i *)(const void *)(keys + GCM_BLOCK * i)));
}

WIDE_INLINE void one_round(struct work *w, const uint8_t *keys, uint32_t i, uint32_t parts)
{
	__m512i k = round_key(keys, i);

	w->tag_mask = _mm_aesenc_si128(w->tag_mask, _mm512_castsi512_si128(k));
	EACH_PART(p, parts)
	w->keystream[p] = _mm512_aesenc_epi128(w->keystream[p], k);
}

WIDE_INLINE void last_round(struct work *w, const uint8_t *keys, uint32_t i, uint32_t parts)
{
	__m512i k = round_key(keys, i);

	w->tag_mask = _mm_aesenclast_si128(w->tag_mask, _mm512_castsi512_si128(k));
	EACH_PART(p, parts)
	w->keystream[p] = _mm512_aesenclast_epi128(w->keystream[p], k);
}

/* A counter as it stands in the last word of its block, in big endian. */
#define COUNTER(i) ((i) << 24)

/* Each block's, with the first round key: 1 is the tag's, 2 the first one's of the text. */
WIDE_INLINE void counter_blocks(
	struct work *w, const struct mt_aead_job *j, const uint8_t *keys, uint32_t parts)
{
	const __m512i first = _mm512_set_epi32(
		COUNTER(5), 0, 0, 0, COUNTER(4), 0, 0, 0, COUNTER(3), 0, 0, 0, COUNTER(2), 0, 0, 0);
	const __m512i step = _mm512_broadcast_i32x4(_mm_set_epi32(COUNTER(4), 0, 0, 0));
	__m128i nonce = _mm_load_si128((const __m128i *)(const void *)j->nonce);
	__m512i k = round_key(keys, 0), at;

	nonce = _mm_insert_epi32(nonce, 0, 3);
	at = _mm512_or_si512(_mm512_broadcast_i32x4(nonce), first);
	w->tag_mask =
		_mm_xor_si128(_mm_insert_epi32(nonce, COUNTER(1), 3), _mm512_castsi512_si128(k));
	EACH_PART(p, parts)
	{
		w->keystream[p] = _mm512_xor_si512(at, k);
		at = _mm512_add_epi32(at, step);
	}
}

/* AES-256 has four rounds more. */
WIDE_INLINE void encrypt_counters(
	struct work *w, const struct mt_aead_job *j, const uint8_t *keys, uint32_t parts)
{
	uint32_t last = 10;

	counter_blocks(w, j, keys, parts);
	_Pragma("GCC unroll 9") for (uint32_t i = 1; i < 10; i++) one_round(w, keys, i, parts);
	if (j->cipher == MT_TLS_AES_256_GCM) {
		_Pragma("GCC unroll 4") for (uint32_t i = 10; i < 14; i++)
			one_round(w, keys, i, parts);
		last = 14;
	}
	last_round(w, keys, last, parts);
}

WIDE_INLINE __m256i pair(__m128i first, __m128i second)
{
	return _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
}

WIDE_INLINE __m128i power(const uint8_t *powers, uint32_t i)
{
	return _mm_loadu_si128((const __m128i *)(const void *)(powers + gcm_power_at(i)));
}

/* What is hashed before the text, of `blocks`, and behind it: the additional data, of one block at most, and both lengths in bits. */
WIDE_INLINE struct product hash_aad_and_lengths(
	const uint8_t *powers, const struct mt_aead_job *j, uint32_t n, uint32_t blocks)
{
	__m128i aad = _mm_load_si128((const __m128i *)(const void *)j->aad);
	__m128i lengths = _mm_set_epi64x((long long)j->aad_len * 8, (long long)n * 8);

	aad = _mm_maskz_mov_epi8((__mmask16)((1u << j->aad_len) - 1), aad);
	return product_of(
		_mm512_zextsi256_si512(pair(_mm_shuffle_epi8(aad, byte_reversal()), lengths)),
		_mm512_zextsi256_si512(pair(power(powers, blocks + 2), power(powers, 1))));
}

/* Four blocks of ciphertext; `left` are from the first of them to the text's end. Of the last part those behind the end are 0, and nothing is read for them. */
WIDE_INLINE struct product hash_part(
	const uint8_t *powers, __m512i ciphertext, uint32_t left, bool last)
{
	__mmask8 words = last ? (__mmask8)(0xffu >> (8 - 2 * left)) : 0xff;

	return product_of(_mm512_shuffle_epi8(ciphertext, _mm512_broadcast_i32x4(byte_reversal())),
		_mm512_maskz_loadu_epi64(words, powers + gcm_power_at(left + 1)));
}

WIDE_INLINE __m128i sum_of_lanes(__m512i v)
{
	__m256i half = _mm256_xor_si256(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));

	return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

WIDE_INLINE void load_text(struct work *w, const uint8_t *from, uint32_t n, uint32_t parts)
{
	w->last_bytes = ~0ull >> (GCM_LANES * parts - n);
	EACH_PART(p, parts)
	w->text[p] = p + 1 < parts ? _mm512_loadu_si512(from + GCM_LANES * p)
				   : _mm512_maskz_loadu_epi8(w->last_bytes, from + GCM_LANES * p);
}

/* Writes a part, and gives the form of it that is ciphertext. */
WIDE_INLINE __m512i xor_part(struct work *w, uint8_t *to, uint32_t p, bool last, bool seal)
{
	__m512i other = _mm512_xor_si512(w->text[p], w->keystream[p]);

	if (!last) {
		_mm512_storeu_si512(to + GCM_LANES * p, other);
		return seal ? other : w->text[p];
	}
	_mm512_mask_storeu_epi8(to + GCM_LANES * p, w->last_bytes, other);
	return seal ? _mm512_maskz_mov_epi8(w->last_bytes, other) : w->text[p];
}

/* The tag. `parts` and `seal` are constants: there is code for each of them. */
WIDE_INLINE __m128i record_of_parts(const struct gcm_key_data *key, const struct mt_aead_job *j,
	uint8_t *to, const uint8_t *from, uint32_t n, bool seal, uint32_t parts)
{
	const uint8_t *powers = key->ghash_keys.vaes_avx512.shifted_hkey;
	uint32_t blocks = (n + GCM_BLOCK - 1) / GCM_BLOCK;
	struct product sum = hash_aad_and_lengths(powers, j, n, blocks);
	struct work w;
	__m128i hash;

	load_text(&w, from, n, parts);
	encrypt_counters(&w, j, key->expanded_keys, parts);
	EACH_PART(p, parts)
	{
		bool last = p + 1 == parts;
		__m512i ciphertext = xor_part(&w, to, p, last, seal);

		sum = plus(sum, hash_part(powers, ciphertext, blocks - 4 * p, last));
	}
	hash = sum_of_lanes(reduced(sum));
	return _mm_xor_si128(w.tag_mask, _mm_shuffle_epi8(hash, byte_reversal()));
}

WIDE_INLINE __m128i record(const struct gcm_key_data *key, const struct mt_aead_job *j, uint8_t *to,
	const uint8_t *from, uint32_t n, bool seal)
{
	if (mt_likely(n <= GCM_LANES))
		return record_of_parts(key, j, to, from, n, seal, 1);
	if (n <= 2 * GCM_LANES)
		return record_of_parts(key, j, to, from, n, seal, 2);
	if (n <= 3 * GCM_LANES)
		return record_of_parts(key, j, to, from, n, seal, 3);
	if (n <= 4 * GCM_LANES)
		return record_of_parts(key, j, to, from, n, seal, 4);
	return record_of_parts(key, j, to, from, n, seal, 5);
}

WIDE void mt_gcm_wide_seal(const struct gcm_key_data *key, const struct mt_aead_job *j, uint8_t *to,
	const uint8_t *from, uint32_t n, uint8_t *tag)
{
	_mm_storeu_si128((__m128i *)(void *)tag, record(key, j, to, from, n, true));
	(void)cleared(true);
}

WIDE bool mt_gcm_wide_open(const struct gcm_key_data *key, const struct mt_aead_job *j, uint8_t *to,
	const uint8_t *from, uint32_t n, const uint8_t *tag)
{
	__m128i is = record(key, j, to, from, n, false);
	__m128i differs = _mm_xor_si128(_mm_loadu_si128((const __m128i *)(const void *)tag), is);

	return cleared(_mm_testz_si128(differs, differs));
}
