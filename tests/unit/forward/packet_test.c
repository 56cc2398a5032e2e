/* SPDX-License-Identifier: Apache-2.0 */
/* Forwarding of one packet: checks, hop counts, ICMP errors and fragments. */
#include "mt_buf.h"
#include "mt_forward_packet.h"
#include "mt_rand.h"

#include "suites.h"

#include <errno.h>

/* UDP from 192.0.2.1 to 198.51.100.2, 8 bytes of payload. */
static const uint8_t udp4[36] = {0x45, 0, 0, 36, 0x12, 0x34, 0, 0, 64, 17, 0x7d, 0x2c, 192, 0, 2, 1,
	198, 51, 100, 2, 0x30, 0x39, 0, 53, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
/* The same over IPv6, from 2001:db8::1 to 2001:db8:1::2. */
static const uint8_t udp6[56] = {0x60, 0, 0, 0, 0, 16, 17, 64, 0x20, 1, 0x0d, 0xb8, [23] = 1, 0x20,
	1, 0x0d, 0xb8, 0, 1, [39] = 2, 0x30, 0x39, 0, 53, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};

/* Written apart from the library: big-endian words, so that it shares no mistake with it. */
static uint32_t words(const uint8_t *p, uint32_t n, uint32_t sum)
{
	for (uint32_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void fix(uint8_t *ip)
{
	uint32_t sum;

	ip[10] = ip[11] = 0;
	sum = words(ip, (ip[0] & 15u) * 4, 0);
	ip[10] = (uint8_t)(~sum >> 8);
	ip[11] = (uint8_t)~sum;
}

static enum mt_fwd_fault read_all(const uint8_t *ip, uint32_t n, struct mt_fwd_packet *p)
{
	return mt_fwd_read(ip, n, n, p);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void test_read(void)
{
	uint8_t b[64] = {0};
	struct mt_fwd_packet p, q;

	memcpy(b, udp4, sizeof(udp4));
	fix(b);
	CU_ASSERT_EQUAL(read_all(b, 60, &p), MT_FWD_GOOD);
	CU_ASSERT(p.is4 && !p.df && !p.fragment && p.proto == 17 && p.ttl == 64);
	CU_ASSERT(p.head == 20 && p.l4 == 20 && p.len == 36);
	CU_ASSERT(p.dst.b[12] == 198 && p.src.b[15] == 1);
	b[23]++; /* a port makes another flow, */
	CU_ASSERT(read_all(b, 36, &q) == MT_FWD_GOOD && q.flow != p.flow);
	b[6] = 0x20; /* but not in fragments */
	fix(b);
	CU_ASSERT(read_all(b, 36, &p) == MT_FWD_GOOD && p.fragment && !p.later);
	b[23]++;
	CU_ASSERT(read_all(b, 36, &q) == MT_FWD_GOOD && q.flow == p.flow);
	CU_ASSERT_EQUAL(read_all(udp6, sizeof(udp6), &p), MT_FWD_GOOD);
	CU_ASSERT(!p.is4 && p.df && p.proto == 17 && p.head == 40 && p.l4 == 40 && p.len == 56);
}

struct bad {
	uint8_t at, value;
	enum mt_fwd_fault fault;
};

static void test_faults(void)
{
	static const struct bad four[] = {{0, 0x44, MT_FWD_SHORT}, {0, 0x4f, MT_FWD_SHORT},
		{0, 0x55, MT_FWD_VERSION}, {3, 19, MT_FWD_SHORT}, {3, 37, MT_FWD_SHORT},
		{12, 0, MT_FWD_SOURCE}, {12, 127, MT_FWD_SOURCE}, {12, 224, MT_FWD_SOURCE},
		{12, 255, MT_FWD_SOURCE}, {16, 0, MT_FWD_DESTINATION},
		{16, 239, MT_FWD_DESTINATION}, {16, 127, MT_FWD_DESTINATION}, {17, 51, MT_FWD_GOOD},
		{16, 10, MT_FWD_GOOD}};
	static const struct bad six[] = {{5, 17, MT_FWD_SHORT}, {4, 0xff, MT_FWD_SHORT},
		{8, 0xff, MT_FWD_SOURCE}, {24, 0xff, MT_FWD_DESTINATION}, {5, 0, MT_FWD_GOOD}};
	struct mt_fwd_packet p;
	uint8_t b[64];

	for (uint32_t i = 0; i < MT_ARRAY_LEN(four); i++) {
		memcpy(b, udp4, sizeof(udp4));
		b[four[i].at] = four[i].value;
		if ((b[0] & 15) == 5)
			fix(b);
		CU_ASSERT_EQUAL(read_all(b, sizeof(udp4), &p), four[i].fault);
	}
	for (uint32_t i = 0; i < MT_ARRAY_LEN(six); i++) {
		memcpy(b, udp6, sizeof(udp6));
		b[six[i].at] = six[i].value;
		CU_ASSERT_EQUAL(read_all(b, sizeof(udp6), &p), six[i].fault);
	}
	memcpy(b, udp4, sizeof(udp4));
	fix(b);
	b[11] ^= 1;
	CU_ASSERT_EQUAL(read_all(b, sizeof(udp4), &p), MT_FWD_CHECKSUM);
	for (uint32_t n = 0; n < 20; n++)
		CU_ASSERT_EQUAL(mt_fwd_read(b, n, 36, &p), MT_FWD_SHORT);
	for (uint32_t n = 20; n < 40; n++)
		CU_ASSERT_EQUAL(mt_fwd_read(udp6, n, 56, &p), MT_FWD_SHORT);
	CU_ASSERT_EQUAL(mt_fwd_read(udp6, 56, 55, &p), MT_FWD_SHORT);
	CU_ASSERT_STRING_EQUAL(mt_fwd_fault_str(MT_FWD_OPTIONS), "options");
}

/* Link-local, loopback, unspecified and mapped addresses of IPv6, as both ends. */
static void test_local6(void)
{
	static const char *const local[] = {"fe80::1", "::1", "::", "::ffff:10.0.0.1", "ff02::1"};
	struct mt_fwd_packet p;
	struct mt_addr a;
	uint8_t b[56];

	for (uint32_t i = 0; i < MT_ARRAY_LEN(local); i++) {
		CU_ASSERT_EQUAL_FATAL(mt_addr_parse(local[i], &a), 0);
		memcpy(b, udp6, sizeof(b));
		memcpy(b + 8, &a, 16);
		CU_ASSERT_EQUAL(read_all(b, sizeof(b), &p), MT_FWD_SOURCE);
		memcpy(b, udp6, sizeof(b));
		memcpy(b + 24, &a, 16);
		CU_ASSERT_EQUAL(read_all(b, sizeof(b), &p), MT_FWD_DESTINATION);
	}
}

static void with_options(const uint8_t options[8], enum mt_fwd_fault want)
{
	struct mt_fwd_packet p;
	uint8_t b[44];

	memcpy(b, udp4, 20);
	memcpy(b + 20, options, 8);
	memcpy(b + 28, udp4 + 20, 16);
	b[0] = 0x47;
	b[3] = sizeof(b);
	fix(b);
	CU_ASSERT_EQUAL(read_all(b, sizeof(b), &p), want);
}

static void test_options(void)
{
	with_options((const uint8_t[8]){1, 1, 148, 4, 0, 0, 0, 0}, MT_FWD_GOOD);
	with_options((const uint8_t[8]){0, 131, 0, 0, 0, 0, 0, 0}, MT_FWD_GOOD);
	with_options((const uint8_t[8]){131, 7, 4, 1, 2, 3, 4, 0}, MT_FWD_OPTIONS);
	with_options((const uint8_t[8]){1, 137, 7, 4, 1, 2, 3, 4}, MT_FWD_OPTIONS);
	with_options((const uint8_t[8]){7, 9, 4, 0, 0, 0, 0, 0}, MT_FWD_OPTIONS);
	with_options((const uint8_t[8]){7, 1, 4, 0, 0, 0, 0, 0}, MT_FWD_OPTIONS);
	with_options((const uint8_t[8]){1, 1, 1, 1, 1, 1, 1, 7}, MT_FWD_OPTIONS);
}

/* ---- hop count and length -------------------------------------------------------------------- */

static void test_decrement(void)
{
	struct mt_rand r;
	uint8_t b[64], want[64];
	uint32_t wrong = 0;

	mt_rand_seed(&r, 3);
	for (uint32_t i = 0; i < 200000; i++) {
		memcpy(b, udp4, sizeof(udp4));
		b[4] = (uint8_t)mt_rand_u64(&r);
		b[5] = (uint8_t)mt_rand_u64(&r);
		b[9] = (uint8_t)mt_rand_u64(&r);
		b[8] = (uint8_t)(2 + mt_rand_below(&r, 254));
		fix(b);
		memcpy(want, b, sizeof(udp4));
		want[8]--;
		fix(want);
		mt_fwd_decrement(b);
		wrong += memcmp(b, want, sizeof(udp4)) != 0;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	memcpy(b, udp6, sizeof(udp6));
	mt_fwd_decrement(b);
	CU_ASSERT(b[7] == 63 && memcmp(b + 8, udp6 + 8, 48) == 0);
}

static void test_decide(void)
{
	struct mt_fwd_packet p = {.ttl = 2, .len = 1500};

	CU_ASSERT_EQUAL(mt_fwd_decide(&p, 1500), MT_FWD_SEND);
	CU_ASSERT_EQUAL(mt_fwd_decide(&p, 1499), MT_FWD_SPLIT);
	p.df = true;
	CU_ASSERT_EQUAL(mt_fwd_decide(&p, 1499), MT_FWD_TOO_BIG);
	p.ttl = 1;
	CU_ASSERT_EQUAL(mt_fwd_decide(&p, 1499), MT_FWD_TIME_EXCEEDED);
	p.ttl = 0;
	CU_ASSERT_EQUAL(mt_fwd_decide(&p, 1500), MT_FWD_TIME_EXCEEDED);
}

/* ---- ICMP errors ----------------------------------------------------------------------------- */

static bool may(const uint8_t *ip, uint32_t have, bool group)
{
	struct mt_fwd_packet p;

	CU_ASSERT_EQUAL(mt_fwd_read(ip, have, 56, &p), MT_FWD_GOOD);
	return mt_fwd_may_error(&p, ip, have, group);
}

static bool may_icmp4(uint8_t type)
{
	uint8_t b[56] = {0};

	memcpy(b, udp4, sizeof(udp4));
	b[9] = 1;
	b[20] = type;
	fix(b);
	return may(b, 36, false);
}

static bool may_icmp6(uint8_t type, bool extended)
{
	uint8_t b[56];

	memcpy(b, udp6, sizeof(udp6));
	b[6] = extended ? 60 : 58;
	b[40] = extended ? 58 : type;
	b[41] = 0;
	b[48] = type;
	return may(b, 56, false);
}

static void test_may_error(void)
{
	uint8_t b[56] = {0};

	memcpy(b, udp4, sizeof(udp4));
	fix(b);
	CU_ASSERT(may(b, 36, false) && !may(b, 36, true));
	b[6] = 0x20;
	fix(b);
	CU_ASSERT(may(b, 36, false));
	b[7] = 1;
	fix(b);
	CU_ASSERT(!may(b, 36, false));
	CU_ASSERT(may_icmp4(8) && may_icmp4(0) && may_icmp4(13) && may_icmp4(17));
	CU_ASSERT(!may_icmp4(3) && !may_icmp4(4) && !may_icmp4(5) && !may_icmp4(11));
	CU_ASSERT(!may_icmp4(12) && !may_icmp4(200));
	CU_ASSERT(may(udp6, 56, false) && !may(udp6, 56, true));
	for (int extended = 0; extended < 2; extended++) {
		CU_ASSERT(may_icmp6(128, extended) && may_icmp6(129, extended));
		CU_ASSERT(!may_icmp6(1, extended) && !may_icmp6(3, extended));
		CU_ASSERT(!may_icmp6(127, extended) && !may_icmp6(137, extended));
	}
	/* The header after the extension is not among the bytes given. */
	memcpy(b, udp6, sizeof(b));
	b[6] = 60;
	b[40] = 58;
	b[41] = 1;
	CU_ASSERT(!may(b, 48, false) && !may(b, 40, false));
}

static void test_error4(void)
{
	struct mt_addr from = mt_addr4(htobe32(0x0a090001));
	uint8_t b[1500] = {0}, out[600];
	struct mt_fwd_packet p;
	uint32_t n;

	memcpy(b, udp4, sizeof(udp4));
	b[2] = 1500 >> 8;
	b[3] = 1500 & 0xff;
	fix(b);
	CU_ASSERT_EQUAL_FATAL(read_all(b, sizeof(b), &p), MT_FWD_GOOD);
	n = mt_fwd_error(&p, b, 1500, MT_FWD_ERROR_TOO_BIG, 1400, &from, out, sizeof(out));
	CU_ASSERT_EQUAL(n, MT_FWD_ERROR4_MAX);
	CU_ASSERT(out[0] == 0x45 && out[1] == 0xc0 && out[2] == 576 >> 8 && out[3] == (576 & 255));
	CU_ASSERT(out[8] == 64 && out[9] == 1 && words(out, 20, 0) == 0xffff);
	CU_ASSERT(memcmp(out + 12, "\x0a\x09\0\1\xc0\0\2\1", 8) == 0);
	CU_ASSERT(out[20] == 3 && out[21] == 4 && words(out + 20, n - 20, 0) == 0xffff);
	CU_ASSERT(memcmp(out + 24, "\0\0\x05\x78", 4) == 0 && memcmp(out + 28, b, n - 28) == 0);
	n = mt_fwd_error(&p, b, 1500, MT_FWD_ERROR_TIME, 0, &from, out, 56);
	CU_ASSERT(n == 56 && out[20] == 11 && out[21] == 0 && words(out + 20, 36, 0) == 0xffff);
	CU_ASSERT_EQUAL(mt_fwd_error(&p, b, 1500, MT_FWD_ERROR_TIME, 0, &from, out, 55), 0);
	n = mt_fwd_error(&p, b, 36, MT_FWD_ERROR_HOST, 0, &from, out, sizeof(out));
	CU_ASSERT(n == 64 && out[20] == 3 && out[21] == 1 && memcmp(out + 24, "\0\0\0", 4) == 0);
}

/* Sum of the pseudo header and the message. */
static uint32_t sum6(const uint8_t *out, uint32_t n)
{
	return words(out + 40, n - 40, words(out + 8, 32, n - 40 + 58));
}

static void test_error6(void)
{
	static const uint8_t codes[MT_FWD_ERRORS][2] = {{3, 0}, {1, 0}, {1, 3}, {1, 1}, {2, 0}};
	uint8_t b[1500] = {0}, out[1500];
	struct mt_fwd_packet p;
	struct mt_addr from;
	uint32_t n;

	CU_ASSERT_EQUAL(mt_addr_parse("2001:db8::fe", &from), 0);
	memcpy(b, udp6, sizeof(udp6));
	b[4] = 1460 >> 8;
	b[5] = 1460 & 0xff;
	CU_ASSERT_EQUAL_FATAL(read_all(b, sizeof(b), &p), MT_FWD_GOOD);
	for (int kind = 0; kind < MT_FWD_ERRORS; kind++) {
		n = mt_fwd_error(&p, b, 1500, (enum mt_fwd_error)kind, 1400, &from, out, 1500);
		CU_ASSERT(n == MT_FWD_ERROR6_MAX && out[4] == 1240 >> 8 && out[5] == (1240 & 255));
		CU_ASSERT(out[6] == 58 && out[7] == 64 && sum6(out, n) == 0xffff);
		CU_ASSERT(memcmp(out + 8, &from, 16) == 0 && memcmp(out + 24, b + 8, 16) == 0);
		CU_ASSERT(out[40] == codes[kind][0] && out[41] == codes[kind][1]);
		CU_ASSERT(memcmp(out + 44, kind == 4 ? "\0\0\x05\x78" : "\0\0\0", 4) == 0);
		CU_ASSERT(memcmp(out + 48, b, n - 48) == 0);
	}
	/* No link has less. */
	n = mt_fwd_error(&p, b, 1500, MT_FWD_ERROR_TOO_BIG, 576, &from, out, 1500);
	CU_ASSERT(n == 1280 && memcmp(out + 44, "\0\0\x05\0", 4) == 0);
	CU_ASSERT_EQUAL(mt_fwd_error(&p, b, 1500, MT_FWD_ERROR_TIME, 0, &from, out, 95), 0);
	CU_ASSERT_EQUAL(mt_fwd_error(&p, b, 1500, MT_FWD_ERROR_TIME, 0, &from, out, 96), 96);
}

/* ---- fragments ------------------------------------------------------------------------------- */

#define BIG 1600

static struct mt_pools pools;

static void make_pools(void)
{
	CU_ASSERT_EQUAL_FATAL(
		mt_pools_init(&pools, "fwd", 255, 63, MT_BUF_DATA_ROOM, SOCKET_ID_ANY), 0);
}

/* A packet with `len` bytes in two mbufs. */
static struct rte_mbuf *packet(const uint8_t *b, uint16_t len, uint16_t first)
{
	struct rte_mbuf *m = mt_buf_data(&pools), *n = mt_buf_data(&pools);

	CU_ASSERT_FATAL(m && n);
	memcpy(rte_pktmbuf_append(m, first), b, first);
	memcpy(rte_pktmbuf_append(n, (uint16_t)(len - first)), b + first, len - first);
	CU_ASSERT_EQUAL_FATAL(rte_pktmbuf_chain(m, n), 0);
	return m;
}

/* Writes the fragments' payloads into `whole`; returns where the last one ends. */
static uint32_t join(struct rte_mbuf **f, int n, uint16_t mtu, uint16_t base, uint8_t *whole)
{
	uint32_t end = 0;

	for (int i = 0; i < n; i++) {
		const uint8_t *ip = rte_pktmbuf_mtod(f[i], const uint8_t *);
		uint32_t head = (ip[0] & 15u) * 4, len = (uint32_t)(ip[2] << 8 | ip[3]);
		uint32_t at = ((ip[6] & 0x1fu) << 8 | ip[7]) * 8 - base;
		struct mt_fwd_packet p;

		CU_ASSERT_EQUAL_FATAL(read_all(ip, f[i]->pkt_len, &p), MT_FWD_GOOD);
		CU_ASSERT(f[i]->nb_segs == 1 && f[i]->pkt_len == len && len <= mtu && p.fragment);
		CU_ASSERT(rte_pktmbuf_headroom(f[i]) == RTE_PKTMBUF_HEADROOM);
		CU_ASSERT(i == n - 1 || ((len - head) % 8 == 0 && ip[6] & 0x20));
		CU_ASSERT_FATAL(at == end && at + len - head <= BIG);
		memcpy(whole + at, ip + head, len - head);
		end = at + len - head;
	}
	return end;
}

/* Splits a packet of BIG bytes with `head` bytes of header at fragment offset `base`. */
static void split(uint16_t head, uint16_t base, bool more, uint16_t mtu, int want)
{
	struct rte_mbuf *m, *out[MT_FWD_FRAGMENTS_MAX];
	uint8_t b[BIG], whole[BIG];
	int n;

	for (uint32_t i = 0; i < BIG; i++)
		b[i] = (uint8_t)(i * 7 + i / 256);
	memcpy(b, udp4, 20);
	if (head > 20)
		memcpy(b + 20, "\x94\4\0\0\1\1\1\0", 8); /* router alert, which is copied */
	b[0] = (uint8_t)(0x40 + head / 4);
	b[2] = BIG >> 8;
	b[3] = BIG & 0xff;
	b[6] = (uint8_t)(base / 8 >> 8 | (more ? 0x20 : 0));
	b[7] = (uint8_t)(base / 8);
	fix(b);
	m = packet(b, BIG, 700);
	n = mt_fwd_split(m, mtu, pools.data, out);
	CU_ASSERT_EQUAL(n, want);
	CU_ASSERT(m->pkt_len == BIG && rte_mbuf_refcnt_read(m) == 1);
	if (n > 0) {
		const uint8_t *last = rte_pktmbuf_mtod(out[n - 1], const uint8_t *);

		CU_ASSERT_EQUAL(join(out, n, mtu, base, whole), (uint32_t)(BIG - head));
		CU_ASSERT(memcmp(whole, b + head, (size_t)(BIG - head)) == 0);
		CU_ASSERT_EQUAL((last[6] & 0x20) != 0, more);
		CU_ASSERT(head == 20 || (last[0] > 0x45 && last[20] == 0x94));
		for (int i = 0; i < n; i++)
			mt_buf_free(out[i]);
	}
	mt_buf_free(m);
}

static void test_split(void)
{
	unsigned int before;

	make_pools();
	before = rte_mempool_avail_count(pools.data);
	split(20, 0, false, 1500, 2);
	split(20, 0, false, 576, 3);
	split(20, 0, false, 68, 33);
	split(28, 0, false, 576, 3);
	split(20, 800, true, 1000, 2);
	split(20, 800, false, 1000, 2);
	split(20, 0, false, 27, -EINVAL);
	split(20, 0, false, 36, -EINVAL); /* 99 fragments */
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pools.data), before);
	mt_pools_fini(&pools);
}

/* The pool has room for one of two fragments: none is made. */
static void test_split_memory(void)
{
	struct rte_mbuf *all[256], *m, *out[MT_FWD_FRAGMENTS_MAX];
	uint8_t b[BIG] = {0};
	uint32_t n = 0;

	make_pools();
	memcpy(b, udp4, sizeof(udp4));
	m = packet(b, BIG, 700);
	while (rte_mempool_avail_count(pools.data) > 1)
		all[n++] = mt_buf_data(&pools);
	CU_ASSERT_EQUAL(mt_fwd_split(m, 1500, pools.data, out), -ENOMEM);
	CU_ASSERT_EQUAL(rte_mempool_avail_count(pools.data), 1);
	mt_buf_free_bulk(all, n);
	mt_buf_free(m);
	mt_pools_fini(&pools);
}

const struct mt_test packet_tests[] = {
	{"packet_read", test_read},
	{"packet_faults", test_faults},
	{"packet_local6", test_local6},
	{"packet_options", test_options},
	{"packet_decrement", test_decrement},
	{"packet_decide", test_decide},
	{"packet_may_error", test_may_error},
	{"packet_error4", test_error4},
	{"packet_error6", test_error6},
	{"packet_split", test_split},
	{"packet_split_memory", test_split_memory},
	{0},
};
