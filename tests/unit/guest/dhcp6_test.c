/* SPDX-License-Identifier: Apache-2.0 */
/* DHCPv6 replies to each message, by what it contains, sizes, and messages without a reply. */
#include "suites.h"
#include "wire6.h"

#define SERVER	 " 2=00030001020000000001"
#define IDS	 SERVER " 1=0003000152540009000b"
#define OWN	 "5={fd00::b 3600 3600}"
#define LEASE	 " 3={1 1800 2880 " OWN "}"
#define DNS	 " 23=fd00:5::35"
#define NAMES	 " 24=shop.svc./x./"
#define GUEST6	 "fd00::b"
#define FOREIGN6 "fd00::c"

static struct wire6 w;
static struct frame f;
static char text[WIRE6_TEXT];
static struct mt_dhcp6_reply reply;

static void expect_at(
	int line, enum mt_dhcp6_verdict v, enum mt_dhcp6_verdict verdict, const char *expected)
{
	CU_ASSERT_EQUAL(v, verdict);
	CU_ASSERT_STRING_EQUAL(text, expected);
	if (v != verdict || strcmp(text, expected) != 0)
		fprintf(stderr, "line %d: %s, not %s; the reply is\n%s\nand not\n%s\n", line,
			mt_dhcp6_verdict_str(v), mt_dhcp6_verdict_str(verdict), text, expected);
}

static void asks_at(
	int line, const struct mt_guest *g, enum mt_dhcp6_verdict verdict, const char *e)
{
	expect_at(line, wire6_ask(&wire6_gateway, g, &w, text, &reply), verdict, e);
}

#define ASKS(verdict, expected) asks_at(__LINE__, &frame_guest, verdict, expected)
#define DROPS(verdict)		ASKS(verdict, "")
#define REPLIES(expected)	ASKS(MT_DHCP6_REPLY, expected)

/* Starts a message with the identifiers that its type needs. */
static void start(uint8_t type)
{
	wire6_message(&w, type);
	wire6_ids(&w, type == REQUEST || type == RENEW || type == RELEASE || type == DECLINE);
}

/* A message of this type with an IA_NA. */
static void with_ia(uint8_t type, const char *first, const char *second)
{
	start(type);
	wire6_ia(&w, 1, first, second);
}

/* ---- clients -------------------------------------------------------------------------------- */

static uint8_t nibble(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Appends bytes that are spelled in hex, with spaces. */
static void add_hex(const char *hex)
{
	for (; *hex; hex++) {
		uint8_t b;

		if (*hex == ' ')
			continue;
		b = (uint8_t)(nibble(hex[0]) << 4 | nibble(hex[1]));
		wire6_bytes(&w, &b, 1);
		hex++;
	}
}

/* Solicits with the options of three clients, in their order. */
static void test_clients(void)
{
	static const struct {
		const char *message, *reply;
		bool committed;
	} rows[] = {
		/* systemd-networkd: rapid commit, IA_NA, name, list, DUID-EN, elapsed time */
		{"01 aabbcc 000e0000 0003000c 36dcf407 00000000 00000000 00270005 01 02766d00"
		 "0006000a 0017 0018 001f 0038 0052 0001000e 00020000ab11 1122334455667788"
		 "00080002 0000",
			"REPLY" SERVER
			" 1=00020000ab111122334455667788 14= 3={920450055 1800 2880 " OWN
			"}" DNS NAMES,
			true},
		/* dhclient: DUID-LLT, list, elapsed time, IA_NA with times */
		{"01 c0ffee 0001000e 00010001 2f3b4c5d 52540009000b 00060004 0017 0018"
		 "00080002 0000 0003000c 0009000b 00000e10 00001518",
			"ADVERTISE" SERVER " 1=000100012f3b4c5d52540009000b 7=ff "
			"3={589835 1800 2880 " OWN "}" DNS NAMES,
			false},
		/* dhcpcd: elapsed time, vendor class, rapid commit, IA_NA, reconfiguration, list */
		{"01 010203 0001000e 00010001 2a2b2c2d 52540009000b 00080002 0000"
		 "00100012 00009f08 000c 6468637063642d392e342e31 000e0000"
		 "0003000c 0009000b 00000000 00000000 00140000 00060008 0018 001f 0052 0053",
			"REPLY" SERVER " 1=000100012a2b2c2d52540009000b 14= "
			"3={589835 1800 2880 " OWN "}" NAMES,
			true},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		w.len = 0;
		add_hex(rows[i].message);
		REPLIES(rows[i].reply);
		CU_ASSERT_EQUAL(reply.committed, rows[i].committed);
		CU_ASSERT(!reply.refused && !reply.cut && !reply.declined && !reply.released);
	}
}

/* Each byte of a reply, with the checksum that another program computed. */
static void test_frame(void)
{
	static const char hex[] = "52540009000b02000000000186dd6000000000791140fe800000000000000000"
				  "000000000001fe80000000000000000000000000000b022302220079a1c40711"
				  "22330002000a000300010200000000010001000a0003000152540009000b0003"
				  "0028000000010000070800000b4000050018fd00000000000000000000000000"
				  "000b00000e1000000e1000170010fd0000050000000000000000000000350018"
				  "000d0473686f700373766300017800";
	const uint32_t len = (sizeof(hex) - 1) / 2;

	with_ia(REQUEST, GUEST6, NULL);
	REPLIES("REPLY" IDS LEASE DNS NAMES);
	CU_ASSERT_EQUAL_FATAL(reply.len, len);
	for (uint32_t i = 0; i < len; i++)
		CU_ASSERT_EQUAL(wire6_last[i], nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
}

/* ---- messages ------------------------------------------------------------------------------- */

static void test_solicit(void)
{
	static const uint8_t iaid[12] = {[3] = 9};
	struct mt_guest g = frame_guest;

	with_ia(SOLICIT, NULL, NULL);
	REPLIES("ADVERTISE" IDS " 7=ff" LEASE DNS NAMES);
	CU_ASSERT(!reply.committed);
	wire6_option(&w, 14, NULL, 0);
	REPLIES("REPLY" IDS " 14=" LEASE DNS NAMES);
	CU_ASSERT(reply.committed);
	/* The client may wish for another address, but gets its own. */
	with_ia(SOLICIT, FOREIGN6, "::");
	REPLIES("ADVERTISE" IDS " 7=ff" LEASE DNS NAMES);
	/* Only the first IA_NA gets addresses. */
	start(SOLICIT);
	wire6_option(&w, 4, iaid, 4);
	wire6_ia(&w, 1, NULL, NULL);
	wire6_option(&w, 25, iaid, 12);
	wire6_ia(&w, 2, NULL, NULL);
	REPLIES("ADVERTISE" IDS " 7=ff 4={9 13=2}" LEASE
		" 25={9 0 0 13=6} 3={2 0 0 13=2}" DNS NAMES);
	CU_ASSERT(reply.refused && !reply.cut);
	start(SOLICIT);
	REPLIES("ADVERTISE" IDS " 7=ff" DNS NAMES);
	/* A guest without an IPv6 address has to ask again, also with rapid commit. */
	g.n_addresses = 2;
	with_ia(SOLICIT, NULL, NULL);
	wire6_option(&w, 14, NULL, 0);
	asks_at(__LINE__, &g, MT_DHCP6_REPLY, "ADVERTISE" IDS " 7=ff 3={1 0 0 13=2}" DNS NAMES);
	CU_ASSERT(reply.refused && !reply.committed);
}

static void test_request(void)
{
	struct mt_guest g = frame_guest;

	with_ia(REQUEST, NULL, NULL);
	REPLIES("REPLY" IDS LEASE DNS NAMES);
	CU_ASSERT(reply.committed && !reply.refused);
	with_ia(REQUEST, GUEST6, FOREIGN6);
	REPLIES("REPLY" IDS " 3={1 0 0 13=4}" DNS NAMES);
	CU_ASSERT(!reply.committed && reply.refused);
	start(REQUEST);
	REPLIES("REPLY" IDS DNS NAMES);
	CU_ASSERT(!reply.committed && !reply.refused);
	g.n_addresses = 0;
	with_ia(REQUEST, NULL, NULL);
	asks_at(__LINE__, &g, MT_DHCP6_REPLY, "REPLY" IDS " 3={1 0 0 13=2}" DNS NAMES);
	CU_ASSERT(!reply.committed);
}

/* An address that the guest has no more gets the lifetime 0. */
static void test_renew(void)
{
	static const uint8_t types[] = {RENEW, REBIND}, iaid[12] = {[3] = 9};
	struct mt_guest g = frame_guest;

	g.n_addresses = 2;
	for (uint32_t i = 0; i < MT_ARRAY_LEN(types); i++) {
		with_ia(types[i], GUEST6, NULL);
		REPLIES("REPLY" IDS LEASE DNS NAMES);
		CU_ASSERT(reply.committed && !reply.refused);
		with_ia(types[i], FOREIGN6, GUEST6);
		REPLIES("REPLY" IDS " 3={1 1800 2880 " OWN " 5={fd00::c 0 0}}" DNS NAMES);
		/* An IPv4 address of the guest is none of IPv6. */
		with_ia(types[i], "::ffff:10.9.0.11", NULL);
		REPLIES("REPLY" IDS " 3={1 1800 2880 " OWN " 5={10.9.0.11 0 0}}" DNS NAMES);
		with_ia(types[i], GUEST6, NULL);
		wire6_option(&w, 25, iaid, 12);
		wire6_ia(&w, 2, FOREIGN6, NULL);
		REPLIES("REPLY" IDS LEASE " 25={9 0 0 13=3} 3={2 0 0 13=3}" DNS NAMES);
		CU_ASSERT(reply.refused);
		/* The guest has only IPv4 addresses now. */
		with_ia(types[i], GUEST6, NULL);
		asks_at(__LINE__, &g, MT_DHCP6_REPLY,
			"REPLY" IDS " 3={1 1800 2880 5={fd00::b 0 0}}" DNS NAMES);
		CU_ASSERT(!reply.committed);
		with_ia(types[i], NULL, NULL);
		asks_at(__LINE__, &g, MT_DHCP6_REPLY, "REPLY" IDS " 3={1 0 0 13=3}" DNS NAMES);
	}
}

static void test_confirm(void)
{
	with_ia(CONFIRM, GUEST6, NULL);
	REPLIES("REPLY" IDS " 13=0");
	CU_ASSERT(!reply.refused && !reply.committed);
	with_ia(CONFIRM, GUEST6, FOREIGN6);
	REPLIES("REPLY" IDS " 13=4");
	CU_ASSERT(reply.refused);
	with_ia(CONFIRM, GUEST6, NULL);
	wire6_ia(&w, 2, FOREIGN6, NULL);
	REPLIES("REPLY" IDS " 13=4");
	with_ia(CONFIRM, NULL, NULL);
	DROPS(MT_DHCP6_NO_ADDRESS);
	start(CONFIRM);
	DROPS(MT_DHCP6_NO_ADDRESS);
}

static void test_end(void)
{
	static const uint8_t types[] = {RELEASE, DECLINE};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(types); i++) {
		bool release = types[i] == RELEASE;

		with_ia(types[i], GUEST6, NULL);
		REPLIES("REPLY" IDS " 13=0");
		CU_ASSERT(reply.released == release && reply.declined == !release);
		CU_ASSERT(!reply.refused);
		with_ia(types[i], FOREIGN6, GUEST6);
		wire6_ia(&w, 2, GUEST6, NULL);
		REPLIES("REPLY" IDS " 13=0 3={2 0 0 13=3}");
		CU_ASSERT(reply.released == release && reply.declined == !release);
		with_ia(types[i], FOREIGN6, NULL);
		REPLIES("REPLY" IDS " 13=0 3={1 0 0 13=3}");
		CU_ASSERT(!reply.released && !reply.declined && reply.refused);
	}
}

static void test_information(void)
{
	static const uint8_t list[] = {0, 24, 0, 32, 0, 23}, refresh[] = {0, 32};
	struct mt_gateway6 gw = wire6_gateway;

	wire6_message(&w, INFORMATION);
	REPLIES("REPLY" SERVER DNS NAMES);
	wire6_ids(&w, true);
	wire6_option(&w, 6, list, sizeof(list));
	REPLIES("REPLY" IDS DNS " 32=3600" NAMES);
	CU_ASSERT(!reply.committed && !reply.refused);
	wire6_ia(&w, 1, NULL, NULL);
	DROPS(MT_DHCP6_IA);
	/* A list without an option that the code knows, and the least time. */
	wire6_message(&w, INFORMATION);
	wire6_option(&w, 6, NULL, 0);
	REPLIES("REPLY" SERVER);
	gw.lease = 60;
	wire6_message(&w, INFORMATION);
	wire6_option(&w, 6, refresh, sizeof(refresh));
	expect_at(__LINE__, wire6_ask(&gw, &frame_guest, &w, text, &reply), MT_DHCP6_REPLY,
		"REPLY" SERVER " 32=600");
}

/* ---- where messages go ---------------------------------------------------------------------- */

static void sends_at(int line, const char *source, const char *destination,
	enum mt_dhcp6_verdict verdict, const char *expected)
{
	enum mt_dhcp6_verdict v;

	wire6_frame(&f, &w, source, destination);
	v = wire6_answer(&wire6_gateway, &frame_guest, &f, f.len, text, &reply);
	expect_at(line, v, verdict, expected);
}

#define SENDS(...) sends_at(__LINE__, __VA_ARGS__)

static void test_unicast(void)
{
	for (uint8_t type = SOLICIT; type <= INFORMATION; type++) {
		bool dropped =
			type == SOLICIT || type == CONFIRM || type == REBIND || type == INFORMATION;

		if (type == ADVERTISE || type == REPLY || type == RECONFIGURE)
			continue;
		start(type);
		if (type != INFORMATION)
			wire6_ia(&w, 1, GUEST6, NULL);
		SENDS(GUEST6, "fe80::1", dropped ? MT_DHCP6_UNICAST : MT_DHCP6_REPLY,
			dropped ? "" : "REPLY" IDS " 13=5");
		if (!dropped)
			CU_ASSERT(reply.refused && !reply.committed && !reply.released &&
				  !reply.declined);
	}
}

static void test_destinations(void)
{
	with_ia(REQUEST, GUEST6, NULL);
	SENDS(WIRE6_LINK, WIRE6_SERVERS, MT_DHCP6_REPLY, "REPLY" IDS LEASE DNS NAMES);
	SENDS(GUEST6, WIRE6_SERVERS, MT_DHCP6_REPLY, "REPLY" IDS LEASE DNS NAMES);
	SENDS(WIRE6_LINK, "ff05::1:3", MT_DHCP6_OTHER, "");
	SENDS(WIRE6_LINK, "fe80::2", MT_DHCP6_OTHER, "");
	SENDS(WIRE6_LINK, "ff02::1", MT_DHCP6_OTHER, "");
	SENDS("::", WIRE6_SERVERS, MT_DHCP6_SOURCE, "");
	SENDS("ff02::1", WIRE6_SERVERS, MT_DHCP6_SOURCE, "");
	SENDS("::ffff:10.9.0.11", WIRE6_SERVERS, MT_DHCP6_SOURCE, "");
}

/* ---- messages without a reply --------------------------------------------------------------- */

static void test_types(void)
{
	for (uint32_t type = 0; type <= 255; type++) {
		static const enum mt_dhcp6_verdict of[] = {MT_DHCP6_UNKNOWN, MT_DHCP6_CLIENT_ID,
			MT_DHCP6_FROM_SERVER, MT_DHCP6_CLIENT_ID, MT_DHCP6_CLIENT_ID,
			MT_DHCP6_CLIENT_ID, MT_DHCP6_CLIENT_ID, MT_DHCP6_FROM_SERVER,
			MT_DHCP6_CLIENT_ID, MT_DHCP6_CLIENT_ID, MT_DHCP6_FROM_SERVER,
			MT_DHCP6_REPLY, MT_DHCP6_FROM_RELAY, MT_DHCP6_FROM_RELAY};

		wire6_message(&w, (uint8_t)type);
		CU_ASSERT_EQUAL(wire6_ask(&wire6_gateway, &frame_guest, &w, text, &reply),
			type < MT_ARRAY_LEN(of) ? of[type] : MT_DHCP6_UNKNOWN);
	}
}

/* Which messages need, or must not have, the identifier of the server (RFC 8415 §16). */
static void test_identifiers(void)
{
	static const uint8_t other[10] = {0, 3, 0, 1, 2, 0, 0, 0, 0, 2};

	for (uint8_t type = SOLICIT; type <= INFORMATION; type++) {
		bool must = type == REQUEST || type == RENEW || type == RELEASE || type == DECLINE;
		bool may = must || type == INFORMATION;

		if (type == ADVERTISE || type == REPLY || type == RECONFIGURE)
			continue;
		for (uint32_t server = 0; server < 4; server++) {
			enum mt_dhcp6_verdict v = MT_DHCP6_REPLY;

			wire6_message(&w, type);
			wire6_ids(&w, false);
			if (type != INFORMATION)
				wire6_ia(&w, 1, GUEST6, NULL);
			if (server == 1)
				wire6_option(&w, 2, wire6_server, 10);
			else if (server == 2)
				wire6_option(&w, 2, other, 10);
			else if (server == 3)
				wire6_option(&w, 2, wire6_server, 9);
			if (server ? !may : must)
				v = MT_DHCP6_SERVER_ID;
			else if (server > 1)
				v = MT_DHCP6_OTHER_SERVER;
			CU_ASSERT_EQUAL(
				wire6_ask(&wire6_gateway, &frame_guest, &w, text, &reply), v);
		}
	}
}

static void test_lengths(void)
{
	static const uint8_t zeros[140] = {0};
	static const struct {
		uint16_t code, len;
		bool good;
	} rows[] = {{1, 2, false}, {1, 3, true}, {1, 130, true}, {1, 131, false}, {2, 2, false},
		{2, 131, false}, {3, 11, false}, {3, 12, true}, {4, 3, false}, {4, 4, true},
		{25, 11, false}, {25, 12, true}, {6, 0, true}, {6, 1, false}, {6, 2, true},
		{7, 0, false}, {8, 0, false}, {8, 1, false}, {8, 2, true}, {8, 3, false},
		{13, 1, false}, {13, 2, true}, {14, 0, true}, {14, 1, false}, {16, 1, true}};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		enum mt_dhcp6_verdict v;

		wire6_message(&w, SOLICIT);
		if (rows[i].code != 1)
			wire6_ids(&w, false);
		wire6_option(&w, rows[i].code, zeros, rows[i].len);
		v = wire6_ask(&wire6_gateway, &frame_guest, &w, text, &reply);
		if (v != (rows[i].good ? MT_DHCP6_REPLY : MT_DHCP6_MALFORMED))
			fprintf(stderr, "row %u: %s\n", i, mt_dhcp6_verdict_str(v));
		CU_ASSERT_EQUAL(v, rows[i].good ? MT_DHCP6_REPLY : MT_DHCP6_MALFORMED);
	}
}

static void test_duplicated(void)
{
	static const uint8_t zeros[12] = {0};
	static const struct {
		uint16_t code, len;
		enum mt_dhcp6_verdict verdict;
	} rows[] = {{1, 10, MT_DHCP6_DUPLICATED}, {6, 2, MT_DHCP6_DUPLICATED},
		{8, 2, MT_DHCP6_DUPLICATED}, {13, 2, MT_DHCP6_DUPLICATED},
		{14, 0, MT_DHCP6_DUPLICATED}, {3, 12, MT_DHCP6_DUPLICATED},
		{4, 4, MT_DHCP6_DUPLICATED}, {25, 12, MT_DHCP6_DUPLICATED},
		/* Classes of users and vendors may be there several times. */
		{15, 4, MT_DHCP6_REPLY}, {16, 4, MT_DHCP6_REPLY}, {17, 4, MT_DHCP6_REPLY}};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		enum mt_dhcp6_verdict v;

		wire6_message(&w, SOLICIT);
		wire6_ids(&w, false);
		for (uint32_t n = rows[i].code == 1; n < 2; n++)
			wire6_option(&w, rows[i].code, zeros, rows[i].len);
		v = wire6_ask(&wire6_gateway, &frame_guest, &w, text, &reply);
		if (v != rows[i].verdict)
			fprintf(stderr, "row %u: %s\n", i, mt_dhcp6_verdict_str(v));
		CU_ASSERT_EQUAL(v, rows[i].verdict);
	}
	/* Two status codes in an IA, and in an address. */
	for (uint32_t depth = 1; depth <= 2; depth++) {
		uint32_t ia, address = 0;

		start(SOLICIT);
		ia = wire6_open(&w, 3, zeros, 12);
		if (depth == 2)
			address = wire6_open(&w, 5, "0123456789abcdef01234567", 24);
		wire6_option(&w, 13, zeros, 2);
		wire6_option(&w, 13, zeros, 2);
		if (depth == 2)
			wire6_close(&w, address);
		wire6_close(&w, ia);
		DROPS(MT_DHCP6_DUPLICATED);
	}
	/* The identifier of the server. */
	with_ia(REQUEST, NULL, NULL);
	wire6_option(&w, 2, wire6_server, 10);
	DROPS(MT_DHCP6_DUPLICATED);
}

/* Each option in each container: most are refused where they have no place. */
static void test_nested(void)
{
	static const uint8_t zeros[30] = {0};
	static const uint16_t outer[] = {3, 4, 25}, heads[] = {12, 4, 12};
	static const struct {
		uint16_t code, len;
		/* in a message, IA_NA, IA_TA, IA_PD */
		bool good[4];
	} rows[] = {{1, 10, {false, false, false, false}}, {3, 12, {true, false, false, false}},
		{4, 4, {true, false, false, false}}, {5, 24, {false, true, true, false}},
		{6, 2, {true, false, false, false}}, {8, 2, {true, false, false, false}},
		{13, 2, {true, true, true, true}}, {14, 0, {true, false, false, false}},
		{25, 12, {true, false, false, false}}, {26, 25, {false, false, false, true}},
		{99, 3, {true, true, true, true}}};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		for (uint32_t in = 0; in < 4; in++) {
			uint32_t place = 0;
			enum mt_dhcp6_verdict v, e = MT_DHCP6_NESTED;

			start(SOLICIT);
			if (in)
				place = wire6_open(
					&w, outer[in - 1], "\1\1\1\1\0\0\0\0\0\0\0", heads[in - 1]);
			wire6_option(&w, rows[i].code, zeros, rows[i].len);
			if (in)
				wire6_close(&w, place);
			if (rows[i].good[in])
				e = MT_DHCP6_REPLY;
			else if (rows[i].code == 1 && !in)
				e = MT_DHCP6_DUPLICATED;
			v = wire6_ask(&wire6_gateway, &frame_guest, &w, text, &reply);
			if (v != e)
				fprintf(stderr, "%u in %u: %s\n", rows[i].code, in,
					mt_dhcp6_verdict_str(v));
			CU_ASSERT_EQUAL(v, e);
		}
	}
}

/* Addresses and prefixes contain a status code, but no address or IA. */
static void test_too_deep(void)
{
	static const uint8_t zeros[30] = {0};
	static const uint16_t codes[] = {3, 4, 5, 25, 26, 13};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(codes); i++)
		for (uint32_t prefix = 0; prefix < 2; prefix++) {
			uint32_t ia, inner;

			start(SOLICIT);
			ia = wire6_open(&w, prefix ? 25 : 3, zeros, 12);
			inner = wire6_open(&w, prefix ? 26 : 5, zeros, prefix ? 25 : 24);
			wire6_option(&w, codes[i], zeros, 25);
			wire6_close(&w, inner);
			wire6_close(&w, ia);
			CU_ASSERT_EQUAL(wire6_ask(&wire6_gateway, &frame_guest, &w, text, &reply),
				codes[i] == 13 ? MT_DHCP6_REPLY : MT_DHCP6_NESTED);
		}
}

static void test_many_ias(void)
{
	for (uint8_t n = 1; n <= 9; n++) {
		start(SOLICIT);
		for (uint8_t i = 0; i < n; i++)
			wire6_ia(&w, i, NULL, NULL);
		CU_ASSERT_EQUAL(wire6_ask(&wire6_gateway, &frame_guest, &w, text, &reply),
			n <= 8 ? MT_DHCP6_REPLY : MT_DHCP6_TOO_MANY);
	}
}

static void test_relays(void)
{
	static const uint8_t codes[] = {9, 18};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(codes); i++) {
		start(SOLICIT);
		wire6_option(&w, codes[i], "\1\2\3\4", 4);
		DROPS(MT_DHCP6_FROM_RELAY);
	}
	/* A message of a relay is refused before the message in it is read. */
	wire6_message(&w, RELAY_FORWARD);
	DROPS(MT_DHCP6_FROM_RELAY);
}

/* ---- lengths -------------------------------------------------------------------------------- */

/* A message that ends at each byte, with lengths of headers that agree with it. */
static void test_cut(void)
{
	static const uint8_t list[] = {0, 23}, zeros[12] = {0};
	uint32_t ends[4], n_ends = 0, whole, ia;

	wire6_message(&w, SOLICIT);
	ends[n_ends++] = w.len;
	wire6_ids(&w, false);
	ends[n_ends++] = w.len;
	wire6_option(&w, 6, list, 2);
	ends[n_ends++] = w.len;
	ia = wire6_open(&w, 3, zeros, 12);
	wire6_option(&w, 5, "0123456789abcdef01234567", 24);
	wire6_option(&w, 13, zeros, 2);
	wire6_close(&w, ia);
	ends[n_ends++] = w.len;
	whole = w.len;
	for (w.len = 0; w.len <= whole; w.len++) {
		enum mt_dhcp6_verdict e = MT_DHCP6_TRUNCATED, v;

		for (uint32_t i = 0; i < n_ends; i++)
			if (ends[i] == w.len)
				e = i ? MT_DHCP6_REPLY : MT_DHCP6_CLIENT_ID;
		v = wire6_ask(&wire6_gateway, &frame_guest, &w, text, &reply);
		if (v != e)
			fprintf(stderr, "%u bytes: %s\n", w.len, mt_dhcp6_verdict_str(v));
		CU_ASSERT_EQUAL(v, e);
	}
	/* Options in an IA that end before their length. */
	for (uint32_t len = 12; len < whole - ia - 4; len++) {
		w.len = ia + 4 + len;
		w.b[ia + 3] = (uint8_t)len;
		CU_ASSERT_EQUAL(wire6_ask(&wire6_gateway, &frame_guest, &w, text, &reply),
			len == 12 || len == 12 + 28 ? MT_DHCP6_REPLY : MT_DHCP6_TRUNCATED);
	}
}

/* The frame ends before the message, or its headers do. */
static void test_frames(void)
{
	static const struct {
		uint32_t at; /* from the Ethernet header on */
		uint8_t value;
		enum mt_dhcp6_verdict verdict;
	} rows[] = {
		{13, 0xde, MT_DHCP6_OTHER},  /* the type of the frame */
		{14, 0x40, MT_DHCP6_OTHER},  /* the version */
		{20, 0, MT_DHCP6_OTHER},     /* an extension header */
		{57, 0x22, MT_DHCP6_OTHER},  /* the port of clients */
		{18, 1, MT_DHCP6_TRUNCATED}, /* the length of IPv6 is above the frame's */
		{19, 7, MT_DHCP6_TRUNCATED}, /* it is below UDP's */
		{58, 1, MT_DHCP6_TRUNCATED}, /* the length of UDP is above that of IPv6 */
		{59, 7, MT_DHCP6_TRUNCATED}, /* it is less than its header */
	};

	with_ia(SOLICIT, NULL, NULL);
	wire6_frame(&f, &w, WIRE6_LINK, WIRE6_SERVERS);
	for (uint32_t len = 0; len < f.len; len++)
		CU_ASSERT_EQUAL(wire6_answer(&wire6_gateway, &frame_guest, &f, len, text, &reply),
			len < 62 ? MT_DHCP6_OTHER : MT_DHCP6_TRUNCATED);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		wire6_frame(&f, &w, WIRE6_LINK, WIRE6_SERVERS);
		f.b[rows[i].at] = rows[i].value;
		CU_ASSERT_EQUAL(wire6_answer(&wire6_gateway, &frame_guest, &f, f.len, text, &reply),
			rows[i].verdict);
	}
	/* Each byte of the message is in the checksum. A checksum must be there. */
	wire6_frame(&f, &w, WIRE6_LINK, WIRE6_SERVERS);
	for (uint32_t i = f.l4 + 6; i < f.len; i++) {
		f.b[i] ^= 4;
		CU_ASSERT_EQUAL(wire6_answer(&wire6_gateway, &frame_guest, &f, f.len, text, &reply),
			MT_DHCP6_CHECKSUM);
		f.b[i] ^= 4;
	}
	f.b[f.l4 + 6] = f.b[f.l4 + 7] = 0;
	CU_ASSERT_EQUAL(wire6_answer(&wire6_gateway, &frame_guest, &f, f.len, text, &reply),
		MT_DHCP6_CHECKSUM);
	/* Bytes after the message are padding. */
	wire6_checksum(&f);
	frame_bytes(&f, "\0\0\0", 3);
	CU_ASSERT_EQUAL(wire6_answer(&wire6_gateway, &frame_guest, &f, f.len, text, &reply),
		MT_DHCP6_REPLY);
}

static uint32_t count(const char *what)
{
	uint32_t n = 0;

	for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
		n++;
	return n;
}

/* Any number of addresses, name servers and domains gives a reply with right lengths. */
static void test_sizes(void)
{
	static struct mt_addr many[100];
	static char names[20][80];
	const char *list[20];
	struct mt_gateway6 gw = wire6_gateway;
	struct mt_guest g = frame_guest;

	for (uint32_t i = 0; i < MT_ARRAY_LEN(many); i++)
		many[i] = (struct mt_addr){.b = {0xfd, 1, [15] = (uint8_t)(i + 1)}};
	for (uint32_t i = 0; i < MT_ARRAY_LEN(list); i++) {
		snprintf(names[i], sizeof(names[i]), "%060u", i);
		list[i] = names[i];
	}
	g.addresses = many;
	gw.name_servers = many;
	gw.search = list;
	gw.n_search = MT_ARRAY_LEN(list);
	with_ia(RENEW, FOREIGN6, NULL);
	for (g.n_addresses = 0; g.n_addresses <= MT_ARRAY_LEN(many); g.n_addresses++)
		for (gw.n_name_servers = 0; gw.n_name_servers <= MT_ARRAY_LEN(many);
			gw.n_name_servers += 10) {
			/* After the identifiers, and the head of the IA. */
			uint32_t room = 1232 - 4 - 14 - 14 - 16, own, servers, domains = 0;

			own = MT_MIN(g.n_addresses, room / 28);
			room -= own * 28;
			if (room >= 28)
				room -= 28; /* the foreign address */
			servers = room < 4 ? 0 : MT_MIN(gw.n_name_servers, (room - 4) / 16);
			if (servers)
				room -= 4 + servers * 16;
			if (room >= 4)
				domains = MT_MIN((room - 4) / 62, gw.n_search);
			CU_ASSERT_EQUAL(wire6_ask(&gw, &g, &w, text, &reply), MT_DHCP6_REPLY);
			CU_ASSERT_EQUAL(count(" 3600 3600}"), own);
			CU_ASSERT_EQUAL(count("./"), domains);
			CU_ASSERT_EQUAL(count(" 23="), servers ? 1u : 0u);
			CU_ASSERT_EQUAL(count(","), servers ? servers - 1 : 0);
			CU_ASSERT(reply.cut);
		}
}

static void test_lease(void)
{
	static const struct {
		uint32_t lease;
		const char *ia;
	} rows[] = {
		{0, " 3={1 0 0 5={fd00::b 0 0}}"},
		{1, " 3={1 0 1 5={fd00::b 1 1}}"},
		{10, " 3={1 5 8 5={fd00::b 10 10}}"},
		{4294967294u, " 3={1 2147483647 3435973836 5={fd00::b 4294967294 4294967294}}"},
		{4294967295u, " 3={1 4294967295 4294967295 5={fd00::b 4294967295 4294967295}}"},
	};
	struct mt_gateway6 gw = wire6_gateway;

	gw.n_name_servers = gw.n_search = 0;
	with_ia(REQUEST, NULL, NULL);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		char expected[256];

		gw.lease = rows[i].lease;
		snprintf(expected, sizeof(expected), "REPLY" IDS "%s", rows[i].ia);
		expect_at(__LINE__, wire6_ask(&gw, &frame_guest, &w, text, &reply), MT_DHCP6_REPLY,
			expected);
	}
}

static void test_names(void)
{
	for (uint32_t v = 0; v < MT_DHCP6_VERDICTS; v++) {
		const char *name = mt_dhcp6_verdict_str((enum mt_dhcp6_verdict)v);

		CU_ASSERT_PTR_NOT_NULL_FATAL(name);
		for (uint32_t i = 0; i < v; i++)
			CU_ASSERT_STRING_NOT_EQUAL(
				name, mt_dhcp6_verdict_str((enum mt_dhcp6_verdict)i));
	}
	CU_ASSERT_STRING_EQUAL(mt_dhcp6_verdict_str(MT_DHCP6_VERDICTS), "no verdict");
}

const struct mt_test dhcp6_tests[] = {
	{"dhcp6_clients", test_clients},
	{"dhcp6_frame", test_frame},
	{"dhcp6_solicit", test_solicit},
	{"dhcp6_request", test_request},
	{"dhcp6_renew", test_renew},
	{"dhcp6_confirm", test_confirm},
	{"dhcp6_end", test_end},
	{"dhcp6_information", test_information},
	{"dhcp6_unicast", test_unicast},
	{"dhcp6_destinations", test_destinations},
	{"dhcp6_types", test_types},
	{"dhcp6_identifiers", test_identifiers},
	{"dhcp6_lengths", test_lengths},
	{"dhcp6_duplicated", test_duplicated},
	{"dhcp6_nested", test_nested},
	{"dhcp6_too_deep", test_too_deep},
	{"dhcp6_many_ias", test_many_ias},
	{"dhcp6_relays", test_relays},
	{"dhcp6_cut", test_cut},
	{"dhcp6_frames", test_frames},
	{"dhcp6_sizes", test_sizes},
	{"dhcp6_lease", test_lease},
	{"dhcp6_names", test_names},
	{0},
};
