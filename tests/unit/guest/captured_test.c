/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of real clients (tests/vectors/dhcp), which accepted such replies. */
#include "suites.h"
#include "wire.h"

#include <errno.h>

static uint32_t vector(const char *name, uint8_t buf[WIRE_MAX])
{
	char path[512], line[1024];
	uint32_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/dhcp/%s.hex", MT_VECTORS, name);
	f = fopen(path, "r");
	if (!f) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		CU_FAIL_FATAL("no such vector");
	}
	while (fgets(line, sizeof(line), f)) {
		unsigned int b;
		int used;

		for (char *at = line;
			line[0] != '#' && n < WIRE_MAX && sscanf(at, "%2x%n", &b, &used) == 1;
			at += used)
			buf[n++] = (uint8_t)b;
	}
	fclose(f);
	return n;
}

#define FRESH	" to=10.9.0.11 your=10.9.0.11 client=0.0.0.0 54=10.9.0.1"
#define RENEWED " to=10.9.0.11 your=10.9.0.11 client=10.9.0.11 54=10.9.0.1"
#define ROUTES	" 51=3600 1=255.255.255.0 3=10.9.0.1"
#define SERVED	ROUTES " 6=10.9.0.1"
#define NAMED	" 12=vm1 15=shop.svc.cluster.local"
#define MAC_ID	" 61=0152540009000b"
#define DUID	" 61=ff36dcf40700020000ab110000112233445566"
#define LISTED	" 119=shop.svc.cluster.local./svc.cluster.local./"

static const struct {
	const char *name;
	enum mt_dhcp_verdict verdict;
	const char *reply;
} rows[] = {
	{"udhcpc-discover", MT_DHCP_REPLY, "OFFER" FRESH MAC_ID SERVED NAMED},
	{"udhcpc-request", MT_DHCP_REPLY, "ACK" FRESH MAC_ID SERVED NAMED},
	{"udhcpc-renew", MT_DHCP_REPLY, "ACK" RENEWED MAC_ID SERVED NAMED},
	{"udhcpc-release", MT_DHCP_RELEASED, ""},
	{"dhclient-discover", MT_DHCP_REPLY, "OFFER" FRESH SERVED NAMED},
	{"dhclient-request", MT_DHCP_REPLY, "ACK" FRESH SERVED NAMED},
	{"dhclient-reboot", MT_DHCP_REPLY, "ACK" FRESH SERVED NAMED},
	{"dhclient-release", MT_DHCP_RELEASED, ""},
	{"dhcpcd-discover", MT_DHCP_REPLY, "OFFER" FRESH ROUTES},
	{"dhcpcd-request", MT_DHCP_REPLY, "ACK" FRESH ROUTES},
	{"dhcpcd-release", MT_DHCP_RELEASED, ""},
	{"networkd-discover", MT_DHCP_REPLY, "OFFER" FRESH DUID SERVED " 26=1450" NAMED LISTED},
	{"networkd-request", MT_DHCP_REPLY, "ACK" FRESH DUID SERVED " 26=1450" NAMED LISTED},
};

static void test_clients(void)
{
	static uint8_t msg[WIRE_MAX];
	static char text[WIRE_TEXT];
	struct mt_dhcp_reply reply;

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		uint32_t n = vector(rows[i].name, msg);

		CU_ASSERT_EQUAL(wire_answer(&wire_guest, msg, n, text, &reply), rows[i].verdict);
		CU_ASSERT_STRING_EQUAL(text, rows[i].reply);
		if (strcmp(text, rows[i].reply) != 0)
			fprintf(stderr, "%s:\n%s\nand not\n%s\n", rows[i].name, text,
				rows[i].reply);
	}
}

/* The documents have another address for the guest than at its last start. */
static void test_moved(void)
{
	static const char *const names[] = {"dhclient-reboot", "udhcpc-renew"};
	static uint8_t msg[WIRE_MAX];
	static char text[WIRE_TEXT];
	struct mt_dhcp_guest g = wire_guest;
	struct mt_dhcp_reply reply;

	g.address = OTHER;
	for (uint32_t i = 0; i < MT_ARRAY_LEN(names); i++) {
		uint32_t n = vector(names[i], msg);

		CU_ASSERT_EQUAL(wire_answer(&g, msg, n, text, &reply), MT_DHCP_REPLY);
		CU_ASSERT(reply.refused && reply.to == MT_DHCP_EVERYONE);
	}
}

const struct mt_test captured_tests[] = {
	{"captured_clients", test_clients},
	{"captured_moved", test_moved},
	{0},
};
