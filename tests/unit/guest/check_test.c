/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of a guest, and frames that claim to be of another station. */
#include "frame.h"
#include "suites.h"

#define GUEST4 "10.9.0.11"
#define GUEST6 "fd00::b"
#define LINK   "fe80::b"
#define OTHER4 "10.9.0.99"
#define PEER4  "192.0.2.1"
#define PEER6  "2001:db8::1"
#define NODES  "ff02::1"

enum { TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58 };

static struct frame f;

static void expect_at(int line, enum mt_guest_verdict wanted)
{
	enum mt_guest_verdict v = frame_check(&frame_guest, &f, f.len);

	if (v != wanted)
		fprintf(stderr, "line %d: %s, not %s\n", line, mt_guest_verdict_str(v),
			mt_guest_verdict_str(wanted));
	CU_ASSERT_EQUAL(v, wanted);
}

#define EXPECT(v) expect_at(__LINE__, v)

static void test_ethernet(void)
{
	static const uint16_t tags[] = {0x8100, 0x88a8, 0x9100};

	frame_ip4(&f, TCP, GUEST4, PEER4);
	frame_finish(&f);
	EXPECT(MT_GUEST_PASS);
	for (uint32_t i = 6; i < 12; i++) {
		f.b[i] ^= 1;
		EXPECT(MT_GUEST_MAC);
		f.b[i] ^= 1;
	}
	for (uint32_t len = 0; len < 14; len++)
		CU_ASSERT_EQUAL(frame_check(&frame_guest, &f, len), MT_GUEST_MAC);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(tags); i++) {
		frame_ether(&f, tags[i]);
		frame_bytes(&f, "\0\0\x08\0", 4);
		EXPECT(MT_GUEST_VLAN);
	}
	/* LLDP, the announcement of QEMU after a migration, and a frame of IEEE 802.3 */
	frame_ether(&f, 0x88cc);
	EXPECT(MT_GUEST_PASS);
	frame_ether(&f, 0x8035);
	EXPECT(MT_GUEST_PASS);
	frame_ether(&f, 38);
	EXPECT(MT_GUEST_PASS);
}

static void test_sources(void)
{
	static const struct {
		const char *source;
		enum mt_guest_verdict verdict;
	} rows[] = {
		{GUEST4, MT_GUEST_PASS},
		{"10.9.0.12", MT_GUEST_PASS},
		{OTHER4, MT_GUEST_IP4},
		{"0.0.0.0", MT_GUEST_IP4},
		{"255.255.255.255", MT_GUEST_IP4},
		{"224.0.0.1", MT_GUEST_IP4},
		{"10.0.0.1", MT_GUEST_VIP},
		{GUEST6, MT_GUEST_PASS},
		{"fd00::c", MT_GUEST_IP6},
		{"fd00:5::1", MT_GUEST_VIP},
		{"::1", MT_GUEST_IP6},
		{"::", MT_GUEST_IP6},
		{NODES, MT_GUEST_IP6},
		/* IPv6 may not borrow an IPv4 address, nor one of a service. */
		{"::ffff:10.9.0.11", MT_GUEST_IP6},
		{"::ffff:10.0.0.1", MT_GUEST_IP6},
		/* The documents do not have it, so no policy knows it. */
		{LINK, MT_GUEST_IP6},
		{"fe80::1", MT_GUEST_VIP},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		bool six = strchr(rows[i].source, ':');

		if (six)
			frame_ip6(&f, TCP, "::", PEER6);
		else
			frame_ip4(&f, TCP, rows[i].source, PEER4);
		if (six) {
			struct mt_addr a;

			CU_ASSERT_EQUAL_FATAL(mt_addr_parse(rows[i].source, &a), 0);
			memcpy(f.b + f.l3 + 8, &a, 16);
		}
		frame_finish(&f);
		if (frame_check(&frame_guest, &f, f.len) != rows[i].verdict)
			fprintf(stderr, "%s\n", rows[i].source);
		EXPECT(rows[i].verdict);
	}
}

static void test_ip4_header(void)
{
	frame_ip4(&f, TCP, GUEST4, PEER4);
	frame_finish(&f);
	for (uint32_t len = 14; len < f.len; len++)
		CU_ASSERT_EQUAL(frame_check(&frame_guest, &f, len), MT_GUEST_IP4);
	f.b[f.l3] = 0x65;
	EXPECT(MT_GUEST_IP4);
	f.b[f.l3] = 0x44;
	EXPECT(MT_GUEST_IP4);
	f.b[f.l3] = 0x46; /* with options that the frame does not have */
	EXPECT(MT_GUEST_IP4);
	f.b[f.l3] = 0x45;
	f.b[f.l3 + 3] = 19;
	EXPECT(MT_GUEST_IP4);
	/* UDP after options */
	frame_ip4(&f, UDP, GUEST4, PEER4);
	f.b[f.l3] = 0x46;
	frame_bytes(&f, "\1\1\1\1", 4);
	frame_udp(&f, 67, 4000);
	frame_finish(&f);
	EXPECT(MT_GUEST_DHCP_SERVER);
	f.b[f.l3 + 25] = 53;
	EXPECT(MT_GUEST_PASS);
}

static void test_fragments(void)
{
	frame_ip4(&f, UDP, GUEST4, PEER4);
	frame_udp(&f, 4000, 53);
	frame_finish(&f);
	f.b[f.l3 + 6] = 0x40; /* do not fragment */
	EXPECT(MT_GUEST_PASS);
	f.b[f.l3 + 6] = 0x20; /* the first one */
	EXPECT(MT_GUEST_PASS);
	f.b[f.l3 + 7] = 1;
	EXPECT(MT_GUEST_FRAGMENT);
	f.b[f.l3 + 6] = 0x1f;
	f.b[f.l3 + 7] = 0;
	EXPECT(MT_GUEST_FRAGMENT);
	f.b[f.l3 + 15] = 99; /* of another source */
	EXPECT(MT_GUEST_IP4);
	/* The first fragment of IPv6, later ones, and one of another source. */
	frame_ip6(&f, 44, GUEST6, PEER6);
	frame_extension(&f, UDP);
	f.b[f.l4 + 3] = 1;
	frame_udp(&f, 4000, 53);
	frame_finish(&f);
	EXPECT(MT_GUEST_PASS);
	f.b[f.l4 + 3] = 9;
	EXPECT(MT_GUEST_FRAGMENT);
	f.b[f.l4 + 3] = 0;
	f.b[f.l4 + 2] = 0x80;
	EXPECT(MT_GUEST_FRAGMENT);
	f.b[f.l4] = 44; /* what follows a later one is no header */
	EXPECT(MT_GUEST_FRAGMENT);
	f.b[f.l3 + 23] = 99;
	EXPECT(MT_GUEST_IP6);
}

static void test_dhcp4(void)
{
	static const struct {
		const char *source;
		uint16_t from, to;
		enum mt_guest_verdict verdict;
	} rows[] = {
		{"0.0.0.0", 68, 67, MT_GUEST_PASS},
		{GUEST4, 68, 67, MT_GUEST_PASS},
		{OTHER4, 68, 67, MT_GUEST_IP4},
		{"0.0.0.0", 68, 69, MT_GUEST_IP4},
		{"0.0.0.0", 4000, 67, MT_GUEST_IP4},
		{"0.0.0.0", 67, 68, MT_GUEST_IP4},
		{GUEST4, 67, 68, MT_GUEST_DHCP_SERVER},
		{GUEST4, 67, 67, MT_GUEST_DHCP_SERVER},
		{GUEST4, 4000, 68, MT_GUEST_DHCP_SERVER},
		{GUEST4, 547, 546, MT_GUEST_PASS},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		frame_ip4(&f, UDP, rows[i].source, "255.255.255.255");
		frame_udp(&f, rows[i].from, rows[i].to);
		frame_finish(&f);
		EXPECT(rows[i].verdict);
	}
	/* A later fragment of a client is not DHCP, and TCP at these ports is neither. */
	frame_ip4(&f, UDP, "0.0.0.0", "255.255.255.255");
	frame_udp(&f, 68, 67);
	frame_finish(&f);
	f.b[f.l3 + 7] = 1;
	EXPECT(MT_GUEST_IP4);
	frame_ip4(&f, TCP, "0.0.0.0", "255.255.255.255");
	frame_udp(&f, 68, 67);
	frame_finish(&f);
	EXPECT(MT_GUEST_IP4);
	frame_ip4(&f, TCP, GUEST4, PEER4);
	frame_udp(&f, 67, 68);
	frame_finish(&f);
	EXPECT(MT_GUEST_PASS);
	/* Ports that are not in the packet, though in the frame. */
	frame_ip4(&f, UDP, GUEST4, PEER4);
	frame_udp(&f, 4000, 53);
	f.b[f.l3 + 3] = 23;
	EXPECT(MT_GUEST_DHCP_SERVER);
}

static void test_dhcp6(void)
{
	/* With and without an extension header before the datagram. */
	for (uint32_t extended = 0; extended < 2; extended++) {
		frame_ip6(&f, extended ? 0 : UDP, GUEST6, PEER6);
		if (extended)
			frame_extension(&f, UDP);
		f.l4 = f.len;
		frame_udp(&f, 547, 4000);
		f.l4 -= extended * 8;
		frame_finish(&f);
		EXPECT(MT_GUEST_DHCP_SERVER);
		memcpy(f.b + f.len - 8, "\x0f\xa0\x02\x22", 4); /* 4000, 546 */
		EXPECT(MT_GUEST_DHCP_SERVER);
		memcpy(f.b + f.len - 8, "\x02\x22\x02\x23", 4); /* a client: 546, 547 */
		EXPECT(MT_GUEST_PASS);
		for (uint32_t len = f.len - 8; len < f.len - 4; len++)
			CU_ASSERT_EQUAL(frame_check(&frame_guest, &f, len), MT_GUEST_DHCP_SERVER);
	}
	/* Clients use link-local sources, and send to a group. */
	frame_ip6(&f, UDP, LINK, "ff02::1:2");
	frame_udp(&f, 546, 547);
	frame_finish(&f);
	EXPECT(MT_GUEST_PASS);
	memcpy(f.b + f.l4, "\x02\x23\x02\x22", 4);
	EXPECT(MT_GUEST_DHCP_SERVER);
}

static void test_routers(void)
{
	static const uint8_t types[] = {134, 137};
	static const char *const sources[] = {LINK, GUEST6, "fe80::1", "fd00::c", "::"};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(types); i++)
		for (uint32_t k = 0; k < MT_ARRAY_LEN(sources); k++)
			/* Extension headers must not hide it (RFC 7113). */
			for (uint32_t n = 0; n <= 9; n++) {
				static const uint8_t kinds[] = {
					0, 60, 43, 60, 44, 135, 139, 140, 60};

				frame_ip6(&f, n ? kinds[0] : ICMP6, sources[k], NODES);
				for (uint32_t j = 0; j < n; j++)
					frame_extension(&f, j + 1 < n ? kinds[j + 1] : ICMP6);
				frame_bytes(&f, &types[i], 1);
				frame_finish(&f);
				if (n <= 8)
					EXPECT(MT_GUEST_RA);
				else
					CU_ASSERT_NOT_EQUAL(frame_check(&frame_guest, &f, f.len),
						MT_GUEST_PASS);
			}
	frame_ip4(&f, ICMP, GUEST4, "224.0.0.1");
	frame_bytes(&f, "\x09", 1);
	frame_finish(&f);
	EXPECT(MT_GUEST_RA);
	CU_ASSERT_EQUAL(frame_check(&frame_guest, &f, f.len - 1), MT_GUEST_RA);
	f.b[f.l4] = 8;
	EXPECT(MT_GUEST_PASS);
}

/* Headers before the upper-layer header that end in the frame's middle, or are too many. */
static void test_extensions(void)
{
	for (uint32_t n = 1; n <= 9; n++) {
		frame_ip6(&f, 60, GUEST6, PEER6);
		for (uint32_t j = 1; j <= n; j++)
			frame_extension(&f, j < n ? 60 : TCP);
		frame_finish(&f);
		EXPECT(n <= 8 ? MT_GUEST_PASS : MT_GUEST_RA);
		for (uint32_t len = f.l4; len < f.len; len++)
			CU_ASSERT_EQUAL(frame_check(&frame_guest, &f, len), MT_GUEST_RA);
	}
	/* A header of 2,048 bytes, and an authentication header of 12. */
	frame_ip6(&f, 60, GUEST6, PEER6);
	frame_extension(&f, TCP);
	f.b[f.l4 + 1] = 255;
	frame_finish(&f);
	EXPECT(MT_GUEST_RA);
	frame_ip6(&f, 51, GUEST6, PEER6);
	frame_extension(&f, UDP);
	f.b[f.l4 + 1] = 1;
	frame_bytes(&f, "\0\0\0\0", 4);
	frame_udp(&f, 547, 4000);
	frame_finish(&f);
	EXPECT(MT_GUEST_DHCP_SERVER);
	/* The payload's length ends before the type of an advertisement. */
	frame_ip6(&f, ICMP6, GUEST6, PEER6);
	frame_bytes(&f, "\x86", 1);
	EXPECT(MT_GUEST_RA);
	for (uint32_t len = 14; len < 54; len++)
		CU_ASSERT_EQUAL(frame_check(&frame_guest, &f, len), MT_GUEST_IP6);
	f.b[f.l3] = 0x40;
	EXPECT(MT_GUEST_IP6);
}

static void test_arp(void)
{
	static const struct {
		uint16_t op;
		const char *sender;
		enum mt_guest_verdict verdict;
	} rows[] = {
		{1, GUEST4, MT_GUEST_PASS},
		{2, GUEST4, MT_GUEST_PASS},
		{1, "0.0.0.0", MT_GUEST_PASS},
		{2, "0.0.0.0", MT_GUEST_ARP},
		{1, OTHER4, MT_GUEST_ARP},
		{2, OTHER4, MT_GUEST_ARP},
		{1, "10.0.0.1", MT_GUEST_VIP},
		{2, "10.0.0.1", MT_GUEST_VIP},
		{0, GUEST4, MT_GUEST_ARP},
		{3, GUEST4, MT_GUEST_ARP},
		{257, GUEST4, MT_GUEST_ARP},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		frame_arp(&f, rows[i].op, rows[i].sender, "10.9.0.1");
		EXPECT(rows[i].verdict);
	}
	frame_arp(&f, 1, GUEST4, "10.9.0.1");
	for (uint32_t i = 0; i < 14; i++) {
		f.b[f.l3 + i] ^= 1;
		if (i != 7) /* the request becomes a reply or an unknown operation */
			EXPECT(MT_GUEST_ARP);
		f.b[f.l3 + i] ^= 1;
	}
	for (uint32_t len = 14; len < f.len; len++)
		CU_ASSERT_EQUAL(frame_check(&frame_guest, &f, len), MT_GUEST_ARP);
}

/* One message of neighbour discovery, with an option of this type and Ethernet address. */
static void nd(uint8_t type, const char *source, const char *destination, const char *target,
	uint8_t option, const uint8_t *mac)
{
	frame_ip6(&f, ICMP6, source, destination);
	frame_nd(&f, type, target);
	if (option)
		frame_nd_option(&f, option, mac);
	frame_finish(&f);
}

static void test_claims(void)
{
	static const uint8_t *const own = frame_guest.mac, *const other = frame_other_mac;
	static const struct {
		uint8_t type;
		const char *source, *destination, *target;
		uint8_t option;
		bool foreign;
		enum mt_guest_verdict verdict;
	} rows[] = {
		{136, GUEST6, PEER6, GUEST6, 2, false, MT_GUEST_PASS},
		{136, LINK, NODES, GUEST6, 2, false, MT_GUEST_PASS},
		{136, LINK, NODES, LINK, 2, false, MT_GUEST_PASS},
		{136, LINK, "fe80::1", LINK, 0, false, MT_GUEST_PASS},
		{136, GUEST6, PEER6, "fd00::c", 2, false, MT_GUEST_NA},
		{136, LINK, NODES, "fd00:5::1", 2, false, MT_GUEST_VIP},
		{136, LINK, NODES, "fe80::1", 2, false, MT_GUEST_VIP},
		{136, "fe80::1", NODES, LINK, 2, false, MT_GUEST_VIP},
		{136, LINK, NODES, "::ffff:10.9.0.11", 2, false, MT_GUEST_NA},
		{136, LINK, NODES, GUEST6, 2, true, MT_GUEST_NA},
		{136, LINK, NODES, GUEST6, 1, true, MT_GUEST_NA},
		{136, "::", NODES, GUEST6, 2, false, MT_GUEST_IP6},
		{135, GUEST6, "ff02::1:ff00:1", "fd00::1", 1, false, MT_GUEST_PASS},
		{135, LINK, "ff02::1:ff00:1", "fe80::1", 1, false, MT_GUEST_PASS},
		{135, "::", "ff02::1:ff00:c", "fd00::c", 0, false, MT_GUEST_PASS},
		{135, GUEST6, "ff02::1:ff00:1", "fd00::1", 1, true, MT_GUEST_NA},
		{135, "fd00::c", "ff02::1:ff00:1", "fd00::1", 1, false, MT_GUEST_IP6},
		{133, LINK, "ff02::2", NULL, 1, false, MT_GUEST_PASS},
		{133, "::", "ff02::2", NULL, 0, false, MT_GUEST_PASS},
		{133, LINK, "ff02::2", NULL, 1, true, MT_GUEST_NA},
		{133, LINK, "fe80::1", NULL, 1, false, MT_GUEST_IP6},
		/* MLD: reports, but not the query of a router */
		{143, "::", "ff02::16", NULL, 0, false, MT_GUEST_PASS},
		{131, LINK, "ff02::16", NULL, 0, false, MT_GUEST_PASS},
		{132, LINK, "ff02::2", NULL, 0, false, MT_GUEST_PASS},
		{143, LINK, "fe80::1", NULL, 0, false, MT_GUEST_IP6},
		{130, LINK, NODES, NULL, 0, false, MT_GUEST_IP6},
		/* An echo request needs an address that policies know. */
		{128, LINK, NODES, NULL, 0, false, MT_GUEST_IP6},
		{128, GUEST6, PEER6, NULL, 0, false, MT_GUEST_PASS},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		bool mapped = rows[i].target && strncmp(rows[i].target, "::ffff", 6) == 0;

		nd(rows[i].type, rows[i].source, rows[i].destination, rows[i].target,
			rows[i].option, rows[i].foreign ? other : own);
		CU_ASSERT(!mapped || f.b[f.l4 + 18] == 0xff);
		if (frame_check(&frame_guest, &f, f.len) != rows[i].verdict)
			fprintf(stderr, "row %u\n", i);
		EXPECT(rows[i].verdict);
	}
}

static void test_claims_cut(void)
{
	nd(136, GUEST6, PEER6, GUEST6, 2, frame_guest.mac);
	for (uint32_t len = f.l4 + 1; len < f.len; len++)
		CU_ASSERT_EQUAL(frame_check(&frame_guest, &f, len),
			len == f.l4 + 24 ? MT_GUEST_PASS : MT_GUEST_NA);
	/* An option of length 0, one beyond the end, and a foreign one after the guest's. */
	f.b[f.l4 + 25] = 0;
	EXPECT(MT_GUEST_NA);
	f.b[f.l4 + 25] = 2;
	EXPECT(MT_GUEST_NA);
	f.b[f.l4 + 25] = 1;
	frame_nd_option(&f, 2, frame_other_mac);
	frame_finish(&f);
	EXPECT(MT_GUEST_NA);
	/* Bytes after the packet are not options. */
	nd(136, GUEST6, PEER6, GUEST6, 2, frame_guest.mac);
	frame_bytes(&f, "\2\0", 2);
	EXPECT(MT_GUEST_PASS);
}

/* A guest without addresses, and a caller without a function for its own. */
static void test_guests(void)
{
	struct mt_guest g = frame_guest;

	g.n_addresses = 0;
	g.is_ours = NULL;
	frame_ip4(&f, TCP, GUEST4, PEER4);
	frame_finish(&f);
	CU_ASSERT_EQUAL(frame_check(&g, &f, f.len), MT_GUEST_IP4);
	frame_ip4(&f, TCP, "10.0.0.1", PEER4);
	frame_finish(&f);
	CU_ASSERT_EQUAL(frame_check(&g, &f, f.len), MT_GUEST_IP4);
	nd(136, "fe80::1", NODES, "fe80::1", 2, g.mac);
	CU_ASSERT_EQUAL(frame_check(&g, &f, f.len), MT_GUEST_PASS);
	CU_ASSERT_STRING_EQUAL(mt_guest_verdict_str(MT_GUEST_DHCP_SERVER), "dhcp_server");
	CU_ASSERT_STRING_EQUAL(mt_guest_verdict_str(MT_GUEST_VERDICTS), "unknown");
}

const struct mt_test check_tests[] = {
	{"check_ethernet", test_ethernet},
	{"check_sources", test_sources},
	{"check_ip4_header", test_ip4_header},
	{"check_fragments", test_fragments},
	{"check_dhcp4", test_dhcp4},
	{"check_dhcp6", test_dhcp6},
	{"check_routers", test_routers},
	{"check_extensions", test_extensions},
	{"check_arp", test_arp},
	{"check_claims", test_claims},
	{"check_claims_cut", test_claims_cut},
	{"check_guests", test_guests},
	{0},
};
