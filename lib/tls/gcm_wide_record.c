/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record of few blocks in one go (NIST SP 800-38D §7): all its counters are encrypted beside each other, all its products are added before
 * the one reduction, and where a length is known no branch asks for it again. What is authenticated beside the text does not
 * wait for the cipher.
 */
#include "gcm_lanes.h"

#define PART	  (4 * GCM_BLOCK) /* what a register holds */
#define PARTS_MAX (MT_GCM_WIDE_RECORD_MAX / PART)

/* Loops over the parts are none: each part is in its register. */
#define EACH_PART(i, parts) _Pragma("GCC unroll 5") for (uint32_t i = 0; i < (parts); i++)

_Static_assert(PARTS_MAX == 5, "EACH_PART");

/* The text, and what it is xored with; the same of the tag. Behind a text's end are zeros. */
struct work {
	__m512i text[PARTS_MAX], pad[PARTS_MAX];
	__mmask64 bytes; /* of the last part */
	__m128i tag_pad;
};

WIDE_INLINE __m512i round_key(const uint8_t *keys, uint32_t i)
{
	return _mm512_broadcast_i32x4(
		_mm_load_si128((const __m128i *)(const void *)(keys + GCM_BLOCK * i)));
}

WIDE_INLINE void one_round(struct work *w, const uint8_t *keys, uint32_t i, uint32_t parts)
{
	__m512i k = round_key(keys, i);

	w->tag_pad = _mm_aesenc_si128(w->tag_pad, _mm512_castsi512_si128(k));
	EACH_PART(p, parts)
	w->pad[p] = _mm512_aesenc_epi128(w->pad[p], k);
}

WIDE_INLINE void last_round(struct work *w, const uint8_t *keys, uint32_t i, uint32_t parts)
{
	__m512i k = round_key(keys, i);

	w->tag_pad = _mm_aesenclast_si128(w->tag_pad, _mm512_castsi512_si128(k));
	EACH_PART(p, parts)
	w->pad[p] = _mm512_aesenclast_epi128(w->pad[p], k);
}

/* Counters: 1 is the tag's, 2 the first block's. */
WIDE_INLINE void count_blocks(
	struct work *w, const struct mt_aead_job *j, const uint8_t *keys, uint32_t parts)
{
	const __m512i first = _mm512_set_epi32(
		5 << 24, 0, 0, 0, 4 << 24, 0, 0, 0, 3 << 24, 0, 0, 0, 2 << 24, 0, 0, 0);
	const __m512i step = _mm512_broadcast_i32x4(_mm_set_epi32(4 << 24, 0, 0, 0));
	__m128i nonce = _mm_load_si128((const __m128i *)(const void *)j->nonce);
	__m512i k = round_key(keys, 0), at;

	nonce = _mm_insert_epi32(nonce, 0, 3);
	at = _mm512_or_si512(_mm512_broadcast_i32x4(nonce), first);
	w->tag_pad = _mm_xor_si128(_mm_insert_epi32(nonce, 1 << 24, 3), _mm512_castsi512_si128(k));
	EACH_PART(p, parts)
	{
		w->pad[p] = _mm512_xor_si512(at, k);
		at = _mm512_add_epi32(at, step);
	}
}

/* AES-256 has four rounds more. */
WIDE_INLINE void encrypt(
	struct work *w, const struct mt_aead_job *j, const uint8_t *keys, uint32_t parts)
{
	uint32_t last = 10;

	count_blocks(w, j, keys, parts);
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

WIDE_INLINE __m128i power(const struct gcm_key_data *key, uint32_t i)
{
	return _mm_loadu_si128((const __m128i *)(const void *)GCM_POWER(key, i));
}

/* What is hashed before the text and behind it: the additional data and both lengths in bits. */
WIDE_INLINE struct product around(
	const struct gcm_key_data *key, const struct mt_aead_job *j, uint32_t n, uint32_t blocks)
{
	__m128i aad = _mm_load_si128((const __m128i *)(const void *)j->aad);
	__m128i lengths = _mm_set_epi64x((long long)j->aad_len * 8, (long long)n * 8);

	aad = _mm_maskz_mov_epi8((__mmask16)((1u << j->aad_len) - 1), aad);
	return product_of(_mm512_zextsi256_si512(pair(_mm_shuffle_epi8(aad, turned()), lengths)),
		_mm512_zextsi256_si512(pair(power(key, blocks + 2), power(key, 1))));
}

/* Part p of what is sealed, of which `blocks` are from there to the end; those behind the end have no power and are 0. */
WIDE_INLINE struct product part_hashed(
	const struct gcm_key_data *key, __m512i sealed, uint32_t blocks, bool last)
{
	__mmask8 lanes = last ? (__mmask8)(0xffu >> (8 - 2 * blocks)) : 0xff;

	return product_of(_mm512_shuffle_epi8(sealed, _mm512_broadcast_i32x4(turned())),
		_mm512_maskz_loadu_epi64(lanes, GCM_POWER(key, blocks + 1)));
}

WIDE_INLINE __m128i sum_of_lanes(__m512i v)
{
	__m256i half = _mm256_xor_si256(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));

	return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

WIDE_INLINE void load(struct work *w, const uint8_t *from, uint32_t n, uint32_t parts)
{
	w->bytes = ~0ull >> (PART * parts - n);
	EACH_PART(p, parts)
	w->text[p] = p + 1 < parts ? _mm512_loadu_si512(from + PART * p)
				   : _mm512_maskz_loadu_epi8(w->bytes, from + PART * p);
}

/* Writes the text's other form, and gives the one that is sealed. */
WIDE_INLINE __m512i part_done(struct work *w, uint8_t *to, uint32_t p, bool last, bool seal)
{
	__m512i other = _mm512_xor_si512(w->text[p], w->pad[p]);

	if (!last) {
		_mm512_storeu_si512(to + PART * p, other);
		return seal ? other : w->text[p];
	}
	_mm512_mask_storeu_epi8(to + PART * p, w->bytes, other);
	return seal ? _mm512_maskz_mov_epi8(w->bytes, other) : w->text[p];
}

/* The tag. `parts` and `seal` are constants: code for each of them. */
WIDE_INLINE __m128i record(const struct gcm_key_data *key, const struct mt_aead_job *j, uint8_t *to,
	const uint8_t *from, uint32_t n, bool seal, uint32_t parts)
{
	uint32_t blocks = (n + GCM_BLOCK - 1) / GCM_BLOCK;
	struct product sum = around(key, j, n, blocks);
	struct work w;
	__m128i hash;

	load(&w, from, n, parts);
	encrypt(&w, j, key->expanded_keys, parts);
	EACH_PART(p, parts)
	{
		bool last = p + 1 == parts;
		__m512i sealed = part_done(&w, to, p, last, seal);

		sum = plus(sum, part_hashed(key, sealed, blocks - 4 * p, last));
	}
	hash = sum_of_lanes(reduced(sum));
	return _mm_xor_si128(w.tag_pad, _mm_shuffle_epi8(hash, turned()));
}

WIDE_INLINE __m128i record_of_any(const struct gcm_key_data *key, const struct mt_aead_job *j,
	uint8_t *to, const uint8_t *from, uint32_t n, bool seal)
{
	if (mt_likely(n <= PART))
		return record(key, j, to, from, n, seal, 1);
	if (n <= 2 * PART)
		return record(key, j, to, from, n, seal, 2);
	if (n <= 3 * PART)
		return record(key, j, to, from, n, seal, 3);
	if (n <= 4 * PART)
		return record(key, j, to, from, n, seal, 4);
	return record(key, j, to, from, n, seal, 5);
}

WIDE void mt_gcm_wide_seal(const struct gcm_key_data *key, const struct mt_aead_job *j, uint8_t *to,
	const uint8_t *from, uint32_t n, uint8_t *tag)
{
	_mm_storeu_si128((__m128i *)(void *)tag, record_of_any(key, j, to, from, n, true));
}

WIDE bool mt_gcm_wide_open(const struct gcm_key_data *key, const struct mt_aead_job *j, uint8_t *to,
	const uint8_t *from, uint32_t n, const uint8_t *tag)
{
	/* Read before `to` is written: the tag may lie behind it. */
	__m128i want = _mm_loadu_si128((const __m128i *)(const void *)tag);
	__m128i differs = _mm_xor_si128(want, record_of_any(key, j, to, from, n, false));

	return _mm_testz_si128(differs, differs);
}
