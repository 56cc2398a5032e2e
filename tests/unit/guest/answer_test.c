/* SPDX-License-Identifier: Apache-2.0 */
/* Answers to ARP requests and neighbour solicitations, and what gets none. */
#include "frame.h"
#include "suites.h"

#define GUEST4	"10.9.0.11"
#define GUEST6	"fd00::b"
#define GATEWAY "10.9.0.1"

static struct frame f;
static uint8_t out[MT_GUEST_ANSWER_MAX];

static const uint8_t meltemi[6] = {2, 0, 0, 0, 0, 1};

static void test_arp(void)
{
	static const struct {
		uint16_t op;
		const char *sender, *target;
		bool answered;
	} rows[] = {
		{1, GUEST4, GATEWAY, true},
		{1, GUEST4, "10.9.0.99", true},
		{1, GUEST4, "10.0.0.1", true},
		{1, GUEST4, "169.254.169.254", true},
		/* a probe of its own address, and of one that it must not use */
		{1, "0.0.0.0", GUEST4, false},
		{1, "0.0.0.0", "10.9.0.99", true},
		/* an announcement */
		{1, GUEST4, GUEST4, false},
		{1, GUEST4, "10.9.0.12", false},
		{1, GUEST4, "0.0.0.0", false},
		{2, GUEST4, GATEWAY, false},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		uint8_t expected[42] = {0x52, 0x54, 0, 9, 0, 0x0b, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8,
			0, 6, 4, 0, 2, 2, 0, 0, 0, 0, 1};

		frame_arp(&f, rows[i].op, rows[i].sender, rows[i].target);
		memcpy(expected + 28, f.b + f.l3 + 24, 4);
		memcpy(expected + 32, f.b + f.l3 + 8, 10);
		CU_ASSERT_EQUAL(frame_answer(&f, f.len, out), rows[i].answered ? 42 : 0);
		if (rows[i].answered)
			CU_ASSERT_EQUAL(memcmp(out, expected, sizeof(expected)), 0);
		for (uint32_t len = 0; len < f.len; len++)
			CU_ASSERT_EQUAL(frame_answer(&f, len, out), 0);
	}
	frame_arp(&f, 1, GUEST4, GATEWAY);
	for (uint32_t i = 0; i < 8; i++) {
		f.b[f.l3 + i] ^= 4;
		CU_ASSERT_EQUAL(frame_answer(&f, f.len, out), 0);
		f.b[f.l3 + i] ^= 4;
	}
}

static void solicit(const char *source, const char *target, uint8_t option)
{
	frame_ip6(&f, 58, source, "ff02::1:ff00:1");
	frame_nd(&f, 135, target);
	if (option)
		frame_nd_option(&f, option, frame_guest.mac);
	frame_finish(&f);
}

/* Checks each field of an advertisement for the target of f. */
static void check_advertisement(bool probe)
{
	static const uint8_t nodes[16] = {0xff, 2, [15] = 1}, group[6] = {0x33, 0x33, 0, 0, 0, 1};
	const uint8_t *ip = out + 14, *nd = ip + 40, *asked = f.b + f.l3;

	CU_ASSERT_EQUAL(memcmp(out, probe ? group : frame_guest.mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(out + 6, meltemi, 6), 0);
	CU_ASSERT_EQUAL(memcmp(out + 12, "\x86\xdd\x60\0\0\0\0\x20\x3a\xff", 10), 0);
	CU_ASSERT_EQUAL(memcmp(ip + 8, asked + 48, 16), 0);
	CU_ASSERT_EQUAL(memcmp(ip + 24, probe ? nodes : asked + 8, 16), 0);
	CU_ASSERT_EQUAL(nd[0], 136);
	CU_ASSERT_EQUAL(nd[1], 0);
	CU_ASSERT_EQUAL(frame_icmp6_sum(ip, 32), 0xffff);
	/* of a router, to a solicitation (not if it is a probe), overriding */
	CU_ASSERT_EQUAL(nd[4], probe ? 0xa0 : 0xe0);
	CU_ASSERT_EQUAL(memcmp(nd + 5, "\0\0\0", 3), 0);
	CU_ASSERT_EQUAL(memcmp(nd + 8, asked + 48, 16), 0);
	CU_ASSERT_EQUAL(memcmp(nd + 24, "\2\1", 2), 0);
	CU_ASSERT_EQUAL(memcmp(nd + 26, meltemi, 6), 0);
}

static void test_nd(void)
{
	static const struct {
		const char *source, *target;
		uint8_t option;
		bool answered;
	} rows[] = {
		{GUEST6, "fd00::1", 1, true},
		{GUEST6, "fd00::1", 0, true},
		{GUEST6, "2001:db8::1", 1, true},
		{GUEST6, "fd00:5::1", 1, true},
		{GUEST6, "fe80::1", 1, true},
		{"fe80::b", "fe80::1", 1, true},
		{"fe80::b", "fe80::77", 1, true},
		/* duplicate address detection: its own, others, link-local ones */
		{"::", GUEST6, 0, false},
		{"::", "fd00::c", 0, true},
		{"::", "fd00:5::1", 0, true},
		{"::", "fe80::b", 0, false},
		{"::", "fe80::1", 0, true},
		{"::", "fd00::c", 1, false},
		{"::", "fd00::c", 14, true}, /* a nonce (RFC 7527) */
		{"fe80::b", "fe80::b", 1, false},
		{GUEST6, GUEST6, 1, false},
		{GUEST6, "::", 1, false},
		{GUEST6, "::ffff:10.9.0.99", 1, false},
		{GUEST6, "ff02::1", 1, false},
		{"ff02::1", "fd00::1", 1, false},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		uint32_t n;

		solicit(rows[i].source, rows[i].target, rows[i].option);
		n = frame_answer(&f, f.len, out);
		if (n != (rows[i].answered ? 86u : 0))
			fprintf(stderr, "row %u: %u\n", i, n);
		CU_ASSERT_EQUAL(n, rows[i].answered ? 86u : 0);
		if (n)
			check_advertisement(rows[i].source[0] == ':');
	}
}

static void test_nd_malformed(void)
{
	static const struct {
		uint32_t at; /* from the IPv6 header on */
		uint8_t value;
	} rows[] = {{0, 0x40}, {6, 17}, {7, 254}, {40, 136}, {40, 134}, {41, 1}, {65, 0}, {65, 2},
		{4, 1}, {5, 23}, {5, 33}};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		uint8_t *field;

		solicit(GUEST6, "fd00::1", 1);
		field = f.b + f.l3 + rows[i].at;
		*field = rows[i].value;
		/* With the right checksum, so that only the field stops it. */
		f.b[f.l3 + 42] = f.b[f.l3 + 43] = 0;
		if (f.b[f.l3] == 0x60 && rows[i].at > 5) {
			uint16_t sum = (uint16_t)~frame_icmp6_sum(f.b + f.l3, 32);

			f.b[f.l3 + 42] = (uint8_t)(sum >> 8);
			f.b[f.l3 + 43] = (uint8_t)sum;
		}
		CU_ASSERT_EQUAL(frame_answer(&f, f.len, out), 0);
	}
	/* Each byte is in the checksum, and each must be there. */
	solicit(GUEST6, "fd00::1", 1);
	for (uint32_t i = f.l3 + 8; i < f.len; i++) {
		f.b[i] ^= 2;
		CU_ASSERT_EQUAL(frame_answer(&f, f.len, out), 0);
		f.b[i] ^= 2;
	}
	for (uint32_t len = 0; len < f.len; len++)
		CU_ASSERT_EQUAL(frame_answer(&f, len, out), 0);
	frame_bytes(&f, "\0\0\0", 3); /* padding */
	CU_ASSERT_EQUAL(frame_answer(&f, f.len, out), 86);
	frame_ether(&f, 0x0800);
	frame_bytes(&f, frame_guest.mac, 6);
	CU_ASSERT_EQUAL(frame_answer(&f, f.len, out), 0);
}

const struct mt_test answer_tests[] = {
	{"answer_arp", test_arp},
	{"answer_nd", test_nd},
	{"answer_nd_malformed", test_nd_malformed},
	{0},
};
