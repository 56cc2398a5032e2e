/* SPDX-License-Identifier: Apache-2.0 */
/* Router advertisements: unasked, as answers, with their sizes, and what gets none. */
#include "frame.h"
#include "suites.h"

#include "mt_gateway6.h"

#define GUEST6	"fd00::b"
#define LINK	"fe80::b"
#define ROUTERS "ff02::2"

#define HEADERS (14 + 40)
#define SERVERS 200

static struct frame f;
static uint8_t out[MT_GATEWAY6_FRAME_MAX];

static const struct mt_addr servers[] = {
	{.b = {0xfd, 0, 0, 5, [15] = 0x35}}, {.b = {[10] = 0xff, 0xff, 10, 9, 0, 1}}};
static const char *const search[] = {"shop.svc", "a..b", "x."};

static const struct mt_gateway6 gateway = {
	.mac = {2, 0, 0, 0, 0, 1},
	.address = {.b = {0xfe, 0x80, [15] = 1}},
	.mtu = 1450,
	.lifetime = 1800,
	.name_servers = servers,
	.n_name_servers = 2,
	.search = search,
	.n_search = 3,
};

/* What follows the checksum of an advertisement of `gateway`. */
static const uint8_t message[] = {
	/* hops 64, M, 1,800 s, no times for reachability */
	64, 0x80, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0,
	/* source address, MTU */
	1, 1, 2, 0, 0, 0, 0, 1, 5, 1, 0, 0, 0, 0, 5, 0xaa,
	/* name servers: the one with an IPv6 address */
	25, 3, 0, 0, 0, 0, 7, 8, 0xfd, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x35,
	/* search list: the two valid domains, then zeros */
	31, 3, 0, 0, 0, 0, 7, 8, 4, 's', 'h', 'o', 'p', 3, 's', 'v', 'c', 0, 1, 'x', 0, 0, 0, 0};

/* mt_gateway6_answer() of the first `len` bytes, in blocks of their exact lengths. */
static uint32_t answer_to(const struct mt_gateway6 *gw, uint32_t len)
{
	uint8_t *p = malloc(len ? len : 1), *o = malloc(MT_GATEWAY6_FRAME_MAX);
	uint32_t n;

	memcpy(p, f.b, len);
	memset(o, 0xa5, MT_GATEWAY6_FRAME_MAX);
	n = mt_gateway6_answer(gw, &frame_guest, p, len, o);
	memcpy(out, o, MT_GATEWAY6_FRAME_MAX);
	free(p);
	free(o);
	return n;
}

static uint32_t advertise(const struct mt_gateway6 *gw)
{
	uint8_t *o = malloc(MT_GATEWAY6_FRAME_MAX);
	uint32_t n;

	memset(o, 0xa5, MT_GATEWAY6_FRAME_MAX);
	n = mt_gateway6_advertise(gw, o);
	memcpy(out, o, MT_GATEWAY6_FRAME_MAX);
	free(o);
	return n;
}

static void solicit(const char *source, const char *destination, uint8_t option)
{
	frame_ip6(&f, 58, source, destination);
	frame_nd(&f, 133, NULL);
	if (option)
		frame_nd_option(&f, option, frame_guest.mac);
	frame_finish(&f);
}

/* Each byte of an advertisement, with the checksum that another program computed. */
static void check_frame(uint32_t n, const uint8_t mac[6], const char *to, uint16_t checksum)
{
	static const uint8_t ether[] = {2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 80, 58, 255,
		0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
	struct mt_addr a;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(to, &a), 0);
	CU_ASSERT_EQUAL_FATAL(n, HEADERS + 80);
	CU_ASSERT_EQUAL(memcmp(out, mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(out + 6, ether, sizeof(ether)), 0);
	CU_ASSERT_EQUAL(memcmp(out + 38, &a, 16), 0);
	CU_ASSERT_EQUAL(memcmp(out + 54, "\x86", 2), 0);
	CU_ASSERT_EQUAL(out[56] << 8 | out[57], checksum);
	CU_ASSERT_EQUAL(memcmp(out + 58, message, sizeof(message)), 0);
}

static void test_frames(void)
{
	static const uint8_t group[6] = {0x33, 0x33, 0, 0, 0, 1};

	check_frame(advertise(&gateway), group, "ff02::1", 0x2e94);
	solicit(LINK, ROUTERS, 1);
	check_frame(answer_to(&gateway, f.len), frame_guest.mac, LINK, 0x2f0c);
	solicit(GUEST6, ROUTERS, 0);
	check_frame(answer_to(&gateway, f.len), frame_guest.mac, GUEST6, 0x308c);
	/* A guest without an address gets it as all nodes. */
	solicit("::", ROUTERS, 0);
	check_frame(answer_to(&gateway, f.len), group, "ff02::1", 0x2e94);
}

static void test_solicitations(void)
{
	static const struct {
		const char *source, *destination;
		uint8_t option;
		bool answered;
	} rows[] = {
		{LINK, ROUTERS, 1, true},
		{LINK, ROUTERS, 0, true},
		{LINK, "ff02::1", 1, true},
		{GUEST6, "fe80::1", 1, true},
		{LINK, "fe80::2", 1, false},
		{LINK, "ff02::3", 1, false},
		{LINK, "ff05::2", 1, false},
		{"::", ROUTERS, 0, true},
		{"::", ROUTERS, 14, true}, /* a nonce */
		{"::", ROUTERS, 1, false},
		{"ff02::1", ROUTERS, 0, false},
		{"::ffff:10.9.0.11", ROUTERS, 0, false},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		uint32_t n;

		solicit(rows[i].source, rows[i].destination, rows[i].option);
		n = answer_to(&gateway, f.len);
		if (n != (rows[i].answered ? HEADERS + 80 : 0))
			fprintf(stderr, "row %u: %u\n", i, n);
		CU_ASSERT_EQUAL(n, rows[i].answered ? HEADERS + 80 : 0);
	}
}

static void test_malformed(void)
{
	static const struct {
		uint32_t at; /* from the IPv6 header on */
		uint8_t value;
	} rows[] = {{0, 0x40}, {6, 17}, {6, 0}, {7, 254}, {40, 134}, {40, 135}, {41, 1}, {49, 0},
		{49, 2}};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		uint16_t sum;

		solicit(LINK, ROUTERS, 1);
		f.b[f.l3 + rows[i].at] = rows[i].value;
		/* With the right checksum, so that only the field stops it. */
		f.b[f.l3 + 42] = f.b[f.l3 + 43] = 0;
		sum = (uint16_t)~frame_icmp6_sum(f.b + f.l3, 16);
		f.b[f.l3 + 42] = (uint8_t)(sum >> 8);
		f.b[f.l3 + 43] = (uint8_t)sum;
		CU_ASSERT_EQUAL(answer_to(&gateway, f.len), 0);
	}
	/* Each byte is in the checksum, and each must be there. */
	solicit(LINK, ROUTERS, 1);
	for (uint32_t i = f.l3 + 8; i < f.len; i++) {
		f.b[i] ^= 2;
		CU_ASSERT_EQUAL(answer_to(&gateway, f.len), 0);
		f.b[i] ^= 2;
	}
	for (uint32_t len = 0; len < f.len; len++)
		CU_ASSERT_EQUAL(answer_to(&gateway, len), 0);
	frame_bytes(&f, "\0\0\0", 3); /* padding */
	CU_ASSERT_EQUAL(answer_to(&gateway, f.len), HEADERS + 80);
	f.b[13] = 0xde;
	CU_ASSERT_EQUAL(answer_to(&gateway, f.len), 0);
	/* Less than a solicitation's head. */
	solicit(LINK, ROUTERS, 0);
	f.b[f.l3 + 5] = 7;
	CU_ASSERT_EQUAL(answer_to(&gateway, f.len), 0);
}

/* Returns the length of the option of this type, after a check that all are complete; 0: none. */
static uint32_t option(uint32_t n, uint8_t type)
{
	uint32_t found = 0;

	CU_ASSERT_FATAL(n <= MT_GATEWAY6_FRAME_MAX);
	CU_ASSERT_EQUAL(out[18] << 8 | out[19], n - HEADERS);
	CU_ASSERT_EQUAL(frame_icmp6_sum(out + 14, n - HEADERS), 0xffff);
	for (uint32_t at = HEADERS + 16; at < n; at += out[at + 1] * 8u) {
		CU_ASSERT_FATAL(out[at + 1] > 0 && at + out[at + 1] * 8u <= n);
		if (out[at] == type)
			found = out[at + 1] * 8u;
	}
	return found;
}

static void test_configurations(void)
{
	static const char *const invalid[] = {"", "a..b", "."};
	struct mt_gateway6 gw = gateway;
	uint32_t n;

	gw.mtu = 1279;
	CU_ASSERT_EQUAL(option(advertise(&gw), 5), 0);
	gw.mtu = 1280;
	CU_ASSERT_EQUAL(option(advertise(&gw), 5), 8);
	gw.mtu = 0;
	gw.name_servers = servers + 1; /* IPv4 */
	gw.n_name_servers = 1;
	gw.search = invalid;
	n = advertise(&gw);
	CU_ASSERT_EQUAL(n, HEADERS + 16 + 8);
	CU_ASSERT_EQUAL(option(n, 1), 8);
	gw.name_servers = NULL;
	gw.search = NULL;
	gw.n_name_servers = gw.n_search = 0;
	CU_ASSERT_EQUAL(advertise(&gw), HEADERS + 16 + 8);
	/* A gateway that ends also ends the use of its name servers. */
	gw = gateway;
	gw.lifetime = 0;
	n = advertise(&gw);
	CU_ASSERT_EQUAL(option(n, 25), 24);
	CU_ASSERT_EQUAL(memcmp(out + HEADERS + 6, "\0", 2), 0);
	CU_ASSERT_EQUAL(memcmp(out + HEADERS + 36, "\0\0\0", 4), 0);
	CU_ASSERT_EQUAL(memcmp(out + HEADERS + 60, "\0\0\0", 4), 0);
}

/* Any number of name servers and domains of any length gives a complete advertisement. */
static void test_sizes(void)
{
	static struct mt_addr many[SERVERS];
	static char names[20][200];
	const char *list[20];
	struct mt_gateway6 gw = gateway;

	for (uint32_t i = 0; i < SERVERS; i++)
		many[i] = (struct mt_addr){.b = {0xfd, [15] = (uint8_t)i}};
	gw.name_servers = many;
	gw.search = list;
	for (uint32_t len = 2; len <= 63; len++) {
		for (uint32_t i = 0; i < MT_ARRAY_LEN(list); i++) {
			snprintf(names[i], sizeof(names[i]), "%0*u.%0*u", (int)len, 1, (int)len, i);
			list[i] = names[i];
		}
		for (gw.n_name_servers = 0; gw.n_name_servers <= SERVERS; gw.n_name_servers += 8) {
			/* The room after the other options, and what fits into it. */
			uint32_t fits = MT_MIN(gw.n_name_servers, (1240 - 32 - 8) / 16u);
			uint32_t servers_len = fits ? 8 + fits * 16 : 0;
			uint32_t room = 1240 - 32 - servers_len, name = 2 * len + 3, domains = 0, n;

			gw.n_search = MT_ARRAY_LEN(list);
			if (room > 8)
				domains = MT_MIN((room - 8) / name, gw.n_search);
			n = advertise(&gw);
			CU_ASSERT_EQUAL(option(n, 25), servers_len);
			CU_ASSERT_EQUAL(
				option(n, 31), domains ? (8 + domains * name + 7) / 8 * 8 : 0);
		}
	}
}

const struct mt_test gateway6_tests[] = {
	{"gateway6_frames", test_frames},
	{"gateway6_solicitations", test_solicitations},
	{"gateway6_malformed", test_malformed},
	{"gateway6_configurations", test_configurations},
	{"gateway6_sizes", test_sizes},
	{0},
};
