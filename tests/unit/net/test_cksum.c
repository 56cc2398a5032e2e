/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of one's complement against two bytes at a time (RFC 1071 §4.1). */
#include "mt_net_cksum.h"
#include "mt_rand.h"
#include "test_net.h"

#define LONGEST 9200

static uint8_t bytes[LONGEST + 64];

static uint32_t plain(const uint8_t *p, uint32_t len)
{
	uint32_t s = 0;

	for (uint32_t i = 0; i < len; i++)
		s += (uint32_t)p[i] << (i & 1 ? 8 : 0);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void check_all(uint32_t at, uint32_t len)
{
	const uint8_t *p = bytes + at;
	uint32_t want = plain(p, len);

	CU_ASSERT_EQUAL(net_sum(p, len), want);
	CU_ASSERT_EQUAL(net_sum_portable(p, len), want);
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		CU_ASSERT_EQUAL(net_sum_avx2(p, len), want);
#endif
}

/* Every length up to 600 at every alignment, then random ones up to a jumbo frame. */
static void sums_agree(void)
{
	struct mt_rand r;

	mt_rand_seed(&r, 4);
	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)mt_rand_u64(&r);
	for (uint32_t len = 0; len <= 600; len++)
		check_all(len % 33, len);
	for (uint32_t i = 0; i < 500; i++)
		check_all(mt_rand_below(&r, 64), mt_rand_below(&r, LONGEST + 1));
}

/* Where each addition carries, and where none of the words is anything but zero. */
static void extremes(void)
{
	static const uint8_t fills[] = {0x00, 0xff, 0x80, 0x01};

	for (size_t f = 0; f < MT_ARRAY_LEN(fills); f++) {
		memset(bytes, fills[f], sizeof(bytes));
		for (uint32_t len = 0; len <= LONGEST; len += len < 300 ? 1 : 97)
			check_all(1, len);
	}
}

const struct mt_test net_cksum_tests[] = {
	{"sums_agree", sums_agree},
	{"extremes", extremes},
	{0},
};
