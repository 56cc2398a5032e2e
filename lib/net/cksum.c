/* SPDX-License-Identifier: Apache-2.0 */
/* Long runs of the Internet checksum: 64 bytes a step in vectors, and checksums over mbufs. */
#include "mt_net_priv.h"

typedef uint32_t vec __attribute__((vector_size(32)));
/* The same at any address. */
typedef uint32_t vec_at __attribute__((vector_size(32), aligned(1), may_alias));

/*
 * Even and odd 16-bit words are added apart in 32-bit lanes, which cannot run over: each step adds at
 * most 2 * 65535, and there are fewer than 2^12 steps. The odd words' weight is that of even ones.
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
__attribute__((target("avx2,tune=haswell"))) uint32_t net_sum_avx2(const uint8_t *p, uint32_t len)
{
	return sum_vectors(p, len);
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

/* Over several mbufs: what begins at an odd offset has its bytes the other way round. */
static uint32_t sum_packet(const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	uint32_t sum = 0, done = 0;

	for (; m && done < len; m = m->next) {
		uint32_t n, part;

		if (off >= m->data_len) {
			off -= m->data_len;
			continue;
		}
		n = MT_MIN(m->data_len - off, len - done);
		part = net_sum(rte_pktmbuf_mtod_offset(m, const void *, off), n);
		sum += done & 1 ? rte_bswap16((uint16_t)part) : part;
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
		sum += net_sum_long(p, len);
	return (uint16_t)~net_sum_fold(sum);
}
