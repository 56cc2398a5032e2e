/* SPDX-License-Identifier: Apache-2.0 */
/* UDP headers that lie, and IP packets that end within them. */
#include "scene.h"
#include "test_l4.h"

static struct scene s;
static struct fx_pkt p;

static void good(const char *src, const char *dst)
{
	const struct sc_udp u = {.src = src, .dst = dst, .sport = 7, .dport = 4000, .data = 20};

	sc_frame(&u, &p);
}

static void bad(bool is4)
{
	uint64_t before = sc_count(&s, MT_L4_header_bad);

	fx_clear(&s.f);
	sc_in(&s, 0, &p, is4 ? 20 : 40);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_header_bad), before + 1);
	CU_ASSERT_EQUAL(s.f.port[0].n, 0);
}

static void family(const char *src, const char *dst, bool is4)
{
	uint8_t *udp = p.b + 14 + (is4 ? 20 : 40);

	for (uint16_t len = 0; len < 8; len++) {
		good(src, dst);
		p.len = (uint16_t)(udp - p.b + len); /* the IP packet ends here */
		bad(is4);
	}
	for (uint16_t claims = 0; claims < 8; claims++) {
		good(src, dst);
		udp[5] = (uint8_t)claims;
		bad(is4);
	}
	for (uint32_t claims = 29; claims <= 0xffff; claims = claims * 2 + 1) {
		good(src, dst);
		udp[4] = (uint8_t)(claims >> 8);
		udp[5] = (uint8_t)claims;
		bad(is4);
	}
	good(src, dst);
	udp[0] = udp[1] = 0;
	bad(is4);
	good(src, dst);
	udp[2] = udp[3] = 0;
	bad(is4);
	/* A datagram shorter than its IP packet is allowed (RFC 768). */
	good(src, dst);
	udp[5] = 8;
	sc_in(&s, 0, &p, is4 ? 20 : 40);
}

static void headers(void)
{
	sc_open(&s, 1, 64);
	family("10.1.1.1", "192.0.2.80", true);
	family("2001:db8:1::1", "2001:db8::80", false);
	sc_turn(&s, 2 * MT_MSEC);
	sc_turn(&s, 2 * MT_MSEC);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_made), 2);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_forwarded), 2);
	CU_ASSERT(sc_close(&s));
}

/* Only IPv4 allows a datagram without a checksum (RFC 8200 §8.1). */
static void checksum_missing(void)
{
	struct sc_udp u = {.src = "2001:db8:1::1",
		.dst = "2001:db8::80",
		.sport = 7,
		.dport = 4000,
		.data = 20,
		.no_sum = true};

	sc_open(&s, 1, 64);
	CU_ASSERT_PTR_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_checksum_missing), 1);
	CU_ASSERT_EQUAL(sc_flows(&s), 0);
	u.src = "10.1.1.1";
	u.dst = "192.0.2.80";
	CU_ASSERT_PTR_NOT_NULL(sc_pass(&s, &u));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_checksum_missing), 1);
	CU_ASSERT(sc_close(&s));
}

const struct mt_test malformed_tests[] = {
	{"headers", headers}, {"checksum_missing", checksum_missing}, {0}};
