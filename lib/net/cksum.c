/* SPDX-License-Identifier: Apache-2.0 */
/* Internet checksums: vector sums for long runs, and sums over mbufs. */
#include "mt_net_priv.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

typedef uint32_t vec __attribute__((vector_size(32)));
/* The same without alignment. */
typedef uint32_t vec_at __attribute__((vector_size(32), aligned(1), may_alias));

/*
 * Even and odd 16-bit words are added separately in 32-bit lanes, which cannot overflow: each step
 * adds at most 2 * 65535, and there are fewer than 2^12 steps. Odd words weigh as much as even
 * ones.
 */
static inline __attribute__((always_inline)) uint32_t sum_vectors(const uint8_t *p, uint32_t len)
{
	vec even = {0}, odd = {0};
	uint64_t s = 0;

	for (; len >= 2 * sizeof(vec); p += 2 * sizeof(vec), len -= 2 * (uint32_t)sizeof(vec)) {
		vec a = *(const vec_at *)p, b = *(const vec_at *)(p + sizeof(vec));

		even += (a & 0xffff) + (b & 0xffff);
		odd += (a >> 16) + (b >> 16);
	}
	even += odd;
	for (uint32_t i = 0; i < sizeof(vec) / sizeof(uint32_t); i++)
		s += even[i];
	return net_sum_fold(net_sum_add(s, net_sum_words(p, len)));
}

uint32_t net_sum_portable(const uint8_t *p, uint32_t len)
{
	return sum_vectors(p, len);
}

#ifdef __x86_64__
#define SUM_STEP 128u

/*
 * One instruction multiplies 16-bit words by 1 and adds them in pairs, but treats them as signed.
 * So 0x8000 is subtracted from each word first and added back at the end. A lane gets at most 2^12
 * steps of 2 * 2^16.
 */
__attribute__((target("avx2,tune=haswell"))) uint32_t net_sum_avx2(const uint8_t *p, uint32_t len)
{
	const __m256i ones = _mm256_set1_epi16(1), bias = _mm256_set1_epi16(INT16_MIN);
	uint32_t left = len % SUM_STEP;
	const uint8_t *end = p + (len - left);
	__m256i a = {0}, b = {0};
	int32_t lanes[8];
	int64_t s = 0;

	for (; p < end; p += SUM_STEP) {
		const __m256i_u *v = (const __m256i_u *)p;

		a = _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_xor_si256(v[0], bias), ones));
		b = _mm256_add_epi32(b, _mm256_madd_epi16(_mm256_xor_si256(v[1], bias), ones));
		a = _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_xor_si256(v[2], bias), ones));
		b = _mm256_add_epi32(b, _mm256_madd_epi16(_mm256_xor_si256(v[3], bias), ones));
	}
	_mm256_storeu_si256((__m256i_u *)lanes, _mm256_add_epi32(a, b));
	for (uint32_t i = 0; i < MT_ARRAY_LEN(lanes); i++)
		s += lanes[i];
	s += (int64_t)((len - left) / 2) << 15;
	return net_sum_fold(net_sum_add((uint64_t)s, net_sum_words(end, left)));
}
#endif

uint32_t (*net_sum_long)(const uint8_t *p, uint32_t len) = net_sum_portable;

void net_sum_choose(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		net_sum_long = net_sum_avx2;
#endif
}

/*
 * Adds `v` < 2^16, a sum of bytes that start at offset `place`. At an odd offset its bytes are
 * swapped, because its words straddle those of `sum`.
 */
static uint32_t sum_behind(uint32_t sum, uint32_t v, uint32_t place)
{
	return sum + (place & 1 ? rte_bswap16((uint16_t)v) : v);
}

/*
 * Sum of [off, off + n) of this mbuf's data, less than 2^16. Uses the stored sum if it covers the
 * tail of the range.
 */
static uint32_t sum_mbuf(const struct rte_mbuf *m, uint32_t off, uint32_t n)
{
	const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, off);
	const struct mt_link *l = mt_link(m);
	uint32_t front;

	if (!(m->ol_flags & mt_buf_summed) || off + n != m->data_len ||
		l->sum_off < m->data_off + off)
		return net_sum(p, n);
	front = l->sum_off - m->data_off - off;
	return net_sum_fold(sum_behind(net_sum(p, front), l->sum, front));
}

/* The same over several mbufs. */
static uint32_t sum_packet(const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	uint32_t sum = 0, done = 0;

	for (; m && done < len; m = m->next) {
		uint32_t n;

		if (off >= m->data_len) {
			off -= m->data_len;
			continue;
		}
		n = MT_MIN(m->data_len - off, len - done);
		sum = sum_behind(sum, sum_mbuf(m, off, n), done);
		done += n;
		off = 0;
	}
	return sum;
}

uint16_t net_cksum(const struct rte_mbuf *m, uint32_t off, uint32_t len, uint32_t start)
{
	const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, off);
	uint64_t sum = start;

	if (mt_unlikely(m->data_len < off + len))
		sum += sum_packet(m, off, len);
	else if (len < NET_SUM_LONG)
		sum = net_sum_add(sum, net_sum_words(p, len)); /* folded once */
	else
		sum += sum_mbuf(m, off, len);
	return (uint16_t)~net_sum_fold(sum);
}

uint32_t net_sum_keep(struct rte_mbuf *m, uint32_t off, uint32_t front)
{
	const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, off);
	struct mt_link *l = mt_link(m);
	uint32_t len = m->data_len - off;

	l->sum_off = (uint16_t)(m->data_off + off + front);
	l->sum = (uint16_t)net_sum(p + front, len - front);
	m->ol_flags |= mt_buf_summed;
	return sum_behind(net_sum(p, front), l->sum, front);
}
