/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic of GHASH on four blocks at a time, as the code for VAES and AVX-512 of ipsec-mb has it: blocks with their bytes reversed,
 * and powers of the hash key H times x, so that a product is reduced by two multiplications (Gueron and Kounavis, "Intel Carry-Less Multiplication
 * Instruction and its Usage for Computing the GCM Mode").
 */
#pragma once

#include "gcm_wide.h"

#include <immintrin.h>

/* The rest of the project is built for older CPUs. */
#define WIDE                                                                                       \
	__attribute__((                                                                            \
		target("aes,pclmul,avx2,avx512f,avx512bw,avx512dq,avx512vl,vaes,vpclmulqdq")))
#define WIDE_INLINE static inline __attribute__((always_inline)) WIDE

#define GCM_BLOCK  16
#define GCM_LANES  (4 * GCM_BLOCK) /* bytes of a register: four blocks beside each other */
#define GCM_POWERS 48 /* that the library has places for: the last is that of H itself */

_Static_assert(sizeof(((struct gcm_key_data *)0)->ghash_keys.vaes_avx512.shifted_hkey) ==
		       GCM_BLOCK * GCM_POWERS,
	"of H^48 .. H^1");

/* Where H^i is in shifted_hkey: those of lower powers are behind it. */
static inline uint32_t gcm_power_at(uint32_t i)
{
	return GCM_BLOCK * (GCM_POWERS - i);
}

/* The order that reverses a block's bytes. */
WIDE_INLINE __m128i byte_reversal(void)
{
	return _mm_set_epi64x(0x0001020304050607, 0x08090a0b0c0d0e0f);
}

/* Of each of four, not reduced yet: the middle part lies across the other two. */
struct product {
	__m512i lo, mid, hi;
};

/* 0x96: the truth table of a ^ b ^ c. */
WIDE_INLINE __m512i xor3(__m512i a, __m512i b, __m512i c)
{
	return _mm512_ternarylogic_epi64(a, b, c, 0x96);
}

WIDE_INLINE struct product product_of(__m512i a, __m512i b)
{
	return (struct product){
		.lo = _mm512_clmulepi64_epi128(a, b, 0x00),
		.mid = _mm512_xor_si512(
			_mm512_clmulepi64_epi128(a, b, 0x01), _mm512_clmulepi64_epi128(a, b, 0x10)),
		.hi = _mm512_clmulepi64_epi128(a, b, 0x11),
	};
}

WIDE_INLINE struct product plus(struct product p, struct product q)
{
	return (struct product){
		.lo = _mm512_xor_si512(p.lo, q.lo),
		.mid = _mm512_xor_si512(p.mid, q.mid),
		.hi = _mm512_xor_si512(p.hi, q.hi),
	};
}

/* Each of two multiplications takes 64 bits away. */
WIDE_INLINE __m512i reduced(struct product p)
{
	const __m512i poly = _mm512_set1_epi64((long long)0xc200000000000000);
	__m512i mid = xor3(
		p.mid, _mm512_shuffle_epi32(p.lo, 0x4e), _mm512_clmulepi64_epi128(p.lo, poly, 0));

	return xor3(p.hi, _mm512_shuffle_epi32(mid, 0x4e), _mm512_clmulepi64_epi128(mid, poly, 0));
}

#define CLEAR(reg) "vpxorq %%" reg ", %%" reg ", %%" reg "\n\t"

/* Nothing of keys, powers of H and keystreams stays in registers, as the library has it, once `result` is computed and all is written. */
WIDE_INLINE bool cleared(bool result)
{
	__asm__ volatile("vzeroall\n\t" /* the first 16, as wide as they are */
			 CLEAR("xmm16") CLEAR("xmm17") CLEAR("xmm18") CLEAR("xmm19") CLEAR("xmm20")
				 CLEAR("xmm21") CLEAR("xmm22") CLEAR("xmm23") CLEAR("xmm24")
					 CLEAR("xmm25") CLEAR("xmm26") CLEAR("xmm27") CLEAR("xmm28")
						 CLEAR("xmm29") CLEAR("xmm30") CLEAR("xmm31")
			 : "+r"(result)
			 :
			 : "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
			 "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
			 "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",
			 "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
	return result;
}
