/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of guests' annotations. */
#include "suites.h"

#include "mt_model_guest.h"

#include <errno.h>

static void macs(void)
{
	static const char *const good[] = {
		"52:54:00:0a:Bc:0F", "02:00:00:00:00:00", "00:00:00:00:00:01"};
	static const char *const bad[] = {"", "5", "52", "52:", "52:54:00:0a:bc",
		"52:54:00:0a:bc:0", "52:54:00:0a:bc:0f:", "52:54:00:0a:bc:0f ", "52-54-00-0a-bc-0f",
		"5g:54:00:0a:bc:0f", "g5:54:00:0a:bc:0f", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff",
		"53:54:00:0a:bc:0f"};
	uint8_t mac[6];

	for (uint32_t i = 0; i < MT_ARRAY_LEN(good); i++)
		CU_ASSERT_EQUAL(mt_mac_parse(good[i], mac), 0);
	CU_ASSERT_EQUAL(mt_mac_parse(good[0], mac), 0);
	CU_ASSERT_EQUAL(memcmp(mac, "\x52\x54\0\x0a\xbc\x0f", 6), 0);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(bad); i++)
		CU_ASSERT_EQUAL(mt_mac_parse(bad[i], mac), -EINVAL);
}

static void rates(void)
{
	static const struct {
		const char *text;
		int rc;
		uint32_t v;
	} rows[] = {
		{"0/s", 0, 0},
		{"1000/s", 0, 1000},
		{"4294967295/s", 0, UINT32_MAX},
		{"4294967296/s", -ERANGE, 0},
		{"99999999999999999999999999/s", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"/s", -EINVAL, 0},
		{"10", -EINVAL, 0},
		{"10/", -EINVAL, 0},
		{"10/sec", -EINVAL, 0},
		{"-1/s", -EINVAL, 0},
		{" 1/s", -EINVAL, 0},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		uint32_t v = 0;

		CU_ASSERT_EQUAL(mt_rate_parse(rows[i].text, strlen(rows[i].text), &v), rows[i].rc);
		CU_ASSERT_EQUAL(v, rows[i].v);
	}
	CU_ASSERT_EQUAL(mt_rate_parse("10/s,", 4, &(uint32_t){0}), 0);
	CU_ASSERT_EQUAL(mt_rate_parse("10/s", 3, &(uint32_t){0}), -EINVAL);
}

#define FORMS " is not one of packets=N/s, bytes=N/s, newConnections=N/s, connections=N, calls=N/s"

static void limits(void)
{
	static const struct {
		const char *text, *wrong;
	} rows[] = {
		{"packets=1/s", NULL},
		{"", "column 1: \"\"" FORMS},
		{",", "column 1: \"\"" FORMS},
		{"packets=1/s,", "column 13: \"\"" FORMS},
		{"packets=1/s,  packets", "column 15: \"packets\"" FORMS},
		{"packets", "column 1: \"packets\"" FORMS},
		{"packets =1/s", "column 1: \"packets =1/s\"" FORMS},
		{"Packets=1/s", "column 1: \"Packets=1/s\"" FORMS},
		{"packet=1/s", "column 1: \"packet=1/s\"" FORMS},
		{"packets=", "column 9: \"packets=\" is not a rate from 1 to 4294967295 with /s"},
		{"packets=5", "column 9: \"packets=5\" is not a rate from 1 to 4294967295 with /s"},
		{"calls=4294967296/s", "column 7: \"calls=4294967296/s\" is not a rate from 1 to "
				       "4294967295 with /s"},
		{"bytes=9999/s", "column 7: \"bytes=9999/s\" is not a rate from 10000 to "
				 "4294967295 with /s"},
		{"connections=0",
			"column 13: \"connections=0\" is not a number from 1 to 4294967295"},
		{"connections=5/s",
			"column 13: \"connections=5/s\" is not a number from 1 to 4294967295"},
		{"connections=4294967296", "column 13: \"connections=4294967296\" is not a number "
					   "from 1 to 4294967295"},
		{"calls=1/s,calls=1/s", "column 11: calls is written twice"},
		{"packets=10/s,newConnections=11/s",
			"column 14: newConnections=11/s has no effect, because each has a packet, "
			"and packets "
			"is 10/s"},
		{"packets=1000/s,bytes=27999/s", "column 1: packets=1000/s has no effect, because "
						 "packets have at least 28 bytes, and "
						 "bytes is 27999/s"},
		{"packets=1000/s,bytes=28000/s,newConnections=1000/s", NULL},
	};
	struct mt_guest_limits l;
	char why[256];

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const char *wrong = mt_guest_limits_parse(rows[i].text, 3, &l, why, sizeof(why));

		CU_ASSERT((wrong == NULL) == (rows[i].wrong == NULL));
		CU_ASSERT(!wrong || !rows[i].wrong || strcmp(wrong, rows[i].wrong) == 0);
	}
	CU_ASSERT_PTR_NULL(
		mt_guest_limits_parse("packets=1000/s, bytes=100000/s,  newConnections=20/s,"
				      "connections=30,calls=40/s",
			3, &l, why, sizeof(why)));
	CU_ASSERT(l.packets.v == 1000 && l.bytes.v == 100000 && l.new_connections.v == 20);
	CU_ASSERT(l.connections.v == 30 && l.calls.v == 40);
	CU_ASSERT(l.calls.set && l.calls.line == 3 && l.origin.line == 3);
}

const struct mt_test guest_tests[] = {{"macs", macs}, {"rates", rates}, {"limits", limits}, {0}};
