/* SPDX-License-Identifier: Apache-2.0 */
/* Replies to each message, by the state of the client, sizes, and malformed messages. */
#include "suites.h"
#include "wire.h"

static struct wire w;
static char text[WIRE_TEXT];
static struct mt_dhcp_reply reply;

#define NAMES " 12=vm1 15=shop.svc.cluster.local 119=shop.svc.cluster.local./svc.cluster.local./"
#define ALL   " 1=255.255.255.0 3=10.9.0.1 6=10.9.0.1 26=1450" NAMES

static void asks(enum mt_dhcp_verdict verdict, const char *expected)
{
	enum mt_dhcp_verdict v = wire_ask(&wire_guest, &w, text, &reply);

	CU_ASSERT_EQUAL(v, verdict);
	CU_ASSERT_STRING_EQUAL(text, expected);
	if (v != verdict || strcmp(text, expected) != 0)
		fprintf(stderr, "verdict %d, not %d; the reply is\n%s\nand not\n%s\n", v, verdict,
			text, expected);
}

static void test_discover(void)
{
	static const uint8_t list[] = {1, 3, 28, 42, 121};

	wire_message(&w, DISCOVER);
	asks(MT_DHCP_REPLY,
		"OFFER to=10.9.0.11 your=10.9.0.11 client=0.0.0.0 54=10.9.0.1 51=3600" ALL);
	CU_ASSERT(!reply.cut && reply.len == 352);
	/* The client may request an address, but gets its own. */
	wire_option32(&w, 50, OTHER);
	wire_option(&w, 55, list, sizeof(list));
	asks(MT_DHCP_REPLY, "OFFER to=10.9.0.11 your=10.9.0.11 client=0.0.0.0 54=10.9.0.1 51=3600 "
			    "1=255.255.255.0 3=10.9.0.1");
	CU_ASSERT_EQUAL(reply.len, MT_DHCP_REPLY_MIN);
	/* A client that cannot receive its address before it has it. */
	w.b[10] = 0x80;
	wire_field(&w, 12, OTHER);
	asks(MT_DHCP_REPLY, "OFFER to=255.255.255.255 your=10.9.0.11 client=0.0.0.0 54=10.9.0.1 "
			    "51=3600 1=255.255.255.0 3=10.9.0.1");
}

#define NONE 0u

/* The address that the client means, by its state (RFC 2131 §4.3.2). */
static void test_request(void)
{
	static const struct {
		uint32_t server, requested, ciaddr;
		enum mt_dhcp_verdict verdict;
		const char *head;
	} rows[] = {
		/* SELECTING */
		{GATEWAY, GUEST, NONE, MT_DHCP_REPLY,
			"ACK to=10.9.0.11 your=10.9.0.11 client=0.0.0.0"},
		{GATEWAY, OTHER, NONE, MT_DHCP_REPLY,
			"NAK to=255.255.255.255 your=0.0.0.0 client=0.0.0.0"},
		{OTHER, GUEST, NONE, MT_DHCP_OTHER_SERVER, ""},
		{GATEWAY, NONE, NONE, MT_DHCP_MALFORMED, ""},
		/* INIT-REBOOT */
		{NONE, GUEST, NONE, MT_DHCP_REPLY,
			"ACK to=10.9.0.11 your=10.9.0.11 client=0.0.0.0"},
		{NONE, OTHER, NONE, MT_DHCP_REPLY,
			"NAK to=255.255.255.255 your=0.0.0.0 client=0.0.0.0"},
		/* RENEWING, REBINDING */
		{NONE, NONE, GUEST, MT_DHCP_REPLY,
			"ACK to=10.9.0.11 your=10.9.0.11 client=10.9.0.11"},
		{NONE, NONE, OTHER, MT_DHCP_REPLY,
			"NAK to=255.255.255.255 your=0.0.0.0 client=0.0.0.0"},
		{GATEWAY, NONE, GUEST, MT_DHCP_REPLY,
			"ACK to=10.9.0.11 your=10.9.0.11 client=10.9.0.11"},
		{NONE, NONE, NONE, MT_DHCP_MALFORMED, ""},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		char expected[512] = "";

		wire_message(&w, REQUEST);
		wire_field(&w, 12, rows[i].ciaddr);
		if (rows[i].server)
			wire_option32(&w, 54, rows[i].server);
		if (rows[i].requested)
			wire_option32(&w, 50, rows[i].requested);
		if (rows[i].head[0])
			snprintf(expected, sizeof(expected), "%s 54=10.9.0.1%s", rows[i].head,
				rows[i].head[0] == 'A'
					? " 51=3600" ALL
					: " 56=the documents give this guest another address");
		asks(rows[i].verdict, expected);
	}
}

static void test_inform(void)
{
	wire_message(&w, INFORM);
	asks(MT_DHCP_OTHER_SOURCE, "");
	wire_field(&w, 12, OTHER);
	asks(MT_DHCP_OTHER_SOURCE, "");
	wire_field(&w, 12, GUEST);
	asks(MT_DHCP_REPLY, "ACK to=10.9.0.11 your=0.0.0.0 client=10.9.0.11 54=10.9.0.1" ALL);
}

static void test_no_reply(void)
{
	for (uint32_t type = 0; type <= 255; type++) {
		static const enum mt_dhcp_verdict of[] = {MT_DHCP_UNKNOWN, MT_DHCP_REPLY,
			MT_DHCP_FROM_SERVER, MT_DHCP_MALFORMED, MT_DHCP_DECLINED,
			MT_DHCP_FROM_SERVER, MT_DHCP_FROM_SERVER, MT_DHCP_RELEASED,
			MT_DHCP_OTHER_SOURCE};

		wire_message(&w, (uint8_t)type);
		CU_ASSERT_EQUAL(wire_ask(&wire_guest, &w, text, &reply),
			type < MT_ARRAY_LEN(of) ? of[type] : MT_DHCP_UNKNOWN);
	}
}

/* Fixed fields with values that a guest's client does not have. */
static void test_fields(void)
{
	static const struct {
		uint32_t at;
		uint8_t value;
		enum mt_dhcp_verdict verdict;
	} rows[] = {
		{0, 0, MT_DHCP_MALFORMED},
		{0, 2, MT_DHCP_FROM_SERVER},
		{0, 3, MT_DHCP_MALFORMED},
		{1, 6, MT_DHCP_OTHER_MAC},
		{2, 0, MT_DHCP_OTHER_MAC},
		{2, 16, MT_DHCP_OTHER_MAC},
		{28, 0x53, MT_DHCP_OTHER_MAC},
		{33, 0x0c, MT_DHCP_OTHER_MAC},
		{24, 10, MT_DHCP_FROM_RELAY},
		{27, 1, MT_DHCP_FROM_RELAY},
		{236, 0, MT_DHCP_UNKNOWN},
		{239, 0, MT_DHCP_UNKNOWN},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		wire_message(&w, DISCOVER);
		w.b[rows[i].at] = rows[i].value;
		asks(rows[i].verdict, "");
	}
}

/* Replies have the identifier, also a NAK (RFC 6842). */
static void test_client_identifier(void)
{
	uint8_t id[255];
	char expected[WIRE_TEXT];
	int n;

	wire_message(&w, REQUEST);
	wire_option(&w, 61, "\1\2\3", 3);
	wire_option32(&w, 50, OTHER);
	asks(MT_DHCP_REPLY,
		"NAK to=255.255.255.255 your=0.0.0.0 client=0.0.0.0 54=10.9.0.1 61=010203"
		" 56=the documents give this guest another address");
	/* The longest one leaves room for addresses, but not for names. */
	memset(id, 0x11, sizeof(id));
	wire_message(&w, DISCOVER);
	wire_option(&w, 61, id, sizeof(id));
	n = snprintf(expected, sizeof(expected),
		"OFFER to=10.9.0.11 your=10.9.0.11 client=0.0.0.0 54=10.9.0.1 61=");
	for (uint32_t i = 0; i < sizeof(id); i++)
		n += snprintf(expected + n, sizeof(expected) - (size_t)n, "11");
	snprintf(expected + n, sizeof(expected) - (size_t)n,
		" 51=3600 1=255.255.255.0 3=10.9.0.1 6=10.9.0.1 26=1450 12=vm1");
	asks(MT_DHCP_REPLY, expected);
	CU_ASSERT(reply.cut && reply.len <= 576 - 28);
}

static void test_lengths(void)
{
	static const struct {
		uint8_t code, len;
	} rows[] = {{50, 0}, {50, 3}, {50, 5}, {54, 3}, {54, 8}, {57, 1}, {57, 3}, {61, 0}, {52, 0},
		{52, 2}};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		wire_message(&w, DISCOVER);
		wire_option(&w, rows[i].code, "\0\0\0\0\0\0\0", rows[i].len);
		asks(MT_DHCP_MALFORMED, "");
	}
	wire_message(&w, 0);
	wire_option(&w, 53, "\1\1", 2);
	asks(MT_DHCP_MALFORMED, "");
	/* The first of several counts. */
	wire_message(&w, DISCOVER);
	wire_option(&w, 53, "\7", 1);
	CU_ASSERT_EQUAL(wire_ask(&wire_guest, &w, text, &reply), MT_DHCP_REPLY);
}

/* A truncated message is malformed, unless it ends between two options. */
static void test_cut(void)
{
	static const uint8_t list[] = {1};

	wire_message(&w, DISCOVER);
	wire_option(&w, 55, list, sizeof(list));
	wire_option(&w, 61, "\1\2\3", 3);
	for (uint32_t n = 0; n < w.len; n++) {
		enum mt_dhcp_verdict v = wire_answer(&wire_guest, w.b, n, text, &reply);

		if (n < 236)
			CU_ASSERT_EQUAL(v, MT_DHCP_MALFORMED)
		else if (n <= 240)
			CU_ASSERT_EQUAL(v, MT_DHCP_UNKNOWN)
		else
			CU_ASSERT_EQUAL(
				v, n == 243 || n == 246 ? MT_DHCP_REPLY : MT_DHCP_MALFORMED);
	}
	CU_ASSERT_EQUAL(wire_answer(&wire_guest, w.b, w.len, text, &reply), MT_DHCP_REPLY);
}

/* Options in the fields `file` and `sname`. */
static void test_overload(void)
{
	static const uint8_t file[] = {0, 0, 50, 4, 10, 9, 0, 12, 255},
			     name[] = {54, 4, 10, 9, 0, 12, 255};
	const char *const nak = "NAK to=255.255.255.255 your=0.0.0.0 client=0.0.0.0 54=10.9.0.1"
				" 56=the documents give this guest another address";

	for (uint8_t overload = 0; overload <= 3; overload++) {
		wire_message(&w, REQUEST);
		memcpy(w.b + 108, file, sizeof(file));
		memcpy(w.b + 44, name, sizeof(name));
		wire_option(&w, 52, &overload, 1);
		if (overload & 2)
			asks(MT_DHCP_OTHER_SERVER, "");
		else
			asks(overload ? MT_DHCP_REPLY : MT_DHCP_MALFORMED, overload ? nak : "");
	}
	wire_message(&w, DISCOVER);
	wire_option(&w, 52, "\1", 1);
	w.b[234] = 50;
	w.b[235] = 1;
	asks(MT_DHCP_MALFORMED, "");
}

/*
 * Requests a search list of 24 names, 100 bytes each. Returns the number of names in the reply, all
 * of them complete.
 */
static uint32_t names_of(uint16_t mtu, uint32_t size, uint32_t most)
{
	static const uint8_t list[] = {119};
	static char label[24][100];
	const char *search[24];
	struct mt_dhcp_guest g = wire_guest;
	uint32_t n = 0;

	for (uint32_t i = 0; i < MT_ARRAY_LEN(search); i++) {
		snprintf(label[i], sizeof(label[i]), "%049u.%048u", i, i);
		search[i] = label[i];
	}
	g.mtu = mtu;
	g.search = search;
	g.n_search = MT_ARRAY_LEN(search);
	wire_message(&w, DISCOVER);
	wire_option(&w, 55, list, sizeof(list));
	if (size) {
		const uint8_t b[] = {(uint8_t)(size >> 8), (uint8_t)size};

		wire_option(&w, 57, b, sizeof(b));
	}
	CU_ASSERT_EQUAL(wire_ask(&g, &w, text, &reply), MT_DHCP_REPLY);
	CU_ASSERT(reply.cut && reply.len <= most);
	for (const char *at = strchr(text, '/'); at; at = strchr(at + 1, '/'), n++)
		CU_ASSERT(at[-1] == '.');
	CU_ASSERT_EQUAL(reply.len, MT_MAX(256 + n * 100 + (n * 100 + 254) / 255 * 2, 300));
	return n;
}

static void test_sizes(void)
{
	CU_ASSERT_EQUAL(names_of(1450, 0, 548), 2);
	CU_ASSERT_EQUAL(names_of(1450, 300, 548), 2);
	CU_ASSERT_EQUAL(names_of(1450, 700, 672), 4);
	CU_ASSERT_EQUAL(names_of(1450, 1500, 1422), 11);
	CU_ASSERT_EQUAL(names_of(0, 1500, 1472), 12);
	CU_ASSERT_EQUAL(names_of(9000, 65535, 1472), 12);
	CU_ASSERT_EQUAL(names_of(100, 1500, 548), 2);
}

static void test_configurations(void)
{
	static const char *const names[] = {"", "a..b", ".", "corp.example.", "x"};
	static const struct {
		uint8_t prefix;
		const char *mask;
	} rows[] = {{0, " 1=0.0.0.0 "}, {8, " 1=255.0.0.0 "}, {31, " 1=255.255.255.254 "},
		{32, " 1=255.255.255.255 "}};
	struct mt_dhcp_guest g = wire_guest;

	wire_message(&w, DISCOVER);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		g.prefix = rows[i].prefix;
		CU_ASSERT_EQUAL(wire_ask(&g, &w, text, &reply), MT_DHCP_REPLY);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, rows[i].mask));
	}
	g = wire_guest;
	g.mtu = 0;
	g.host = NULL;
	g.domain = "corp.example.";
	g.search = names;
	g.n_search = MT_ARRAY_LEN(names);
	CU_ASSERT_EQUAL(wire_ask(&g, &w, text, &reply), MT_DHCP_REPLY);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, " 6=10.9.0.1 15=corp.example 119=corp.example./x./"));
	CU_ASSERT(!reply.cut);
	g.domain = "-a..b";
	g.n_search = 0;
	CU_ASSERT_EQUAL(wire_ask(&g, &w, text, &reply), MT_DHCP_REPLY);
	CU_ASSERT_PTR_NULL(strstr(text, " 15="));
	CU_ASSERT_PTR_NULL(strstr(text, " 119="));
}

/* A long option in parts, which follow each other in options, `file` and `sname` (RFC 3396). */
static void test_parts(void)
{
	static const uint8_t file[] = {61, 2, 3, 4, 55, 1, 3, 255}, name[] = {61, 1, 5, 255};
	static const uint8_t list[] = {1};
	uint8_t id[255];

	wire_message(&w, DISCOVER);
	memcpy(w.b + 108, file, sizeof(file));
	memcpy(w.b + 44, name, sizeof(name));
	wire_option(&w, 55, list, sizeof(list));
	wire_option(&w, 61, "\1", 1);
	wire_option(&w, 61, "\2", 1);
	wire_option(&w, 52, "\3", 1);
	asks(MT_DHCP_REPLY, "OFFER to=10.9.0.11 your=10.9.0.11 client=0.0.0.0 54=10.9.0.1 "
			    "61=0102030405 51=3600 1=255.255.255.0 3=10.9.0.1");
	/* Parts that together have one byte more than a reply can have. */
	memset(id, 0x11, sizeof(id));
	for (uint32_t second = 0; second <= 1; second++) {
		wire_message(&w, DISCOVER);
		wire_option(&w, 61, id, sizeof(id));
		wire_option(&w, 61, id, (uint8_t)second);
		CU_ASSERT_EQUAL(wire_ask(&wire_guest, &w, text, &reply),
			second ? MT_DHCP_MALFORMED : MT_DHCP_REPLY);
	}
	/* Parts without a byte. */
	wire_message(&w, DISCOVER);
	wire_option(&w, 61, id, 0);
	wire_option(&w, 61, id, 0);
	asks(MT_DHCP_MALFORMED, "");
}

/* A parameter list has codes of the whole range; an empty one requests nothing. */
static void test_list(void)
{
	static const uint8_t list[] = {0, 63, 64, 119, 127, 128, 191, 192, 255};
	const char *const head = "OFFER to=10.9.0.11 your=10.9.0.11 client=0.0.0.0 54=10.9.0.1 "
				 "51=3600";
	char expected[512];

	wire_message(&w, DISCOVER);
	wire_option(&w, 55, list, sizeof(list));
	snprintf(expected, sizeof(expected), "%s 119=shop.svc.cluster.local./svc.cluster.local./",
		head);
	asks(MT_DHCP_REPLY, expected);
	wire_message(&w, DISCOVER);
	wire_option(&w, 55, list, 0);
	asks(MT_DHCP_REPLY, head);
}

/* Information of a relay, which the guest must not claim to be (RFC 3046 §2.1). */
static void test_relay_information(void)
{
	wire_message(&w, REQUEST);
	wire_option32(&w, 50, GUEST);
	wire_option(&w, 82, "\1\2ab", 4);
	asks(MT_DHCP_FROM_RELAY, "");
	wire_message(&w, DISCOVER);
	wire_option(&w, 82, "", 0);
	asks(MT_DHCP_FROM_RELAY, "");
}

const struct mt_test dhcp_tests[] = {
	{"dhcp_discover", test_discover},
	{"dhcp_request", test_request},
	{"dhcp_inform", test_inform},
	{"dhcp_no_reply", test_no_reply},
	{"dhcp_fields", test_fields},
	{"dhcp_client_identifier", test_client_identifier},
	{"dhcp_lengths", test_lengths},
	{"dhcp_cut", test_cut},
	{"dhcp_overload", test_overload},
	{"dhcp_parts", test_parts},
	{"dhcp_list", test_list},
	{"dhcp_relay_information", test_relay_information},
	{"dhcp_sizes", test_sizes},
	{"dhcp_configurations", test_configurations},
	{0},
};
