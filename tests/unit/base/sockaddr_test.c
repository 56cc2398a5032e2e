/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include "mt_sockaddr.h"

#include <netinet/in.h>
#include <sys/un.h>

static struct mt_addr addr(const char *text)
{
	struct mt_addr a;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(text, &a), 0);
	return a;
}

static void to_the_kernel(void)
{
	struct mt_addr v4 = addr("192.0.2.7"), v6 = addr("2001:db8::7");
	struct sockaddr_storage ss;
	const struct sockaddr_in *in = (const void *)&ss;
	const struct sockaddr_in6 *in6 = (const void *)&ss;

	memset(&ss, 0xff, sizeof(ss));
	CU_ASSERT_EQUAL(mt_sockaddr(&v4, 8080, &ss), sizeof(*in));
	CU_ASSERT_EQUAL(in->sin_family, AF_INET);
	CU_ASSERT_EQUAL(in->sin_port, htons(8080));
	CU_ASSERT_EQUAL(in->sin_addr.s_addr, htonl(0xc0000207));
	CU_ASSERT_EQUAL(in->sin_zero[0] | in->sin_zero[7], 0);
	memset(&ss, 0xff, sizeof(ss));
	CU_ASSERT_EQUAL(mt_sockaddr(&v6, 53, &ss), sizeof(*in6));
	CU_ASSERT_EQUAL(in6->sin6_family, AF_INET6);
	CU_ASSERT_EQUAL(in6->sin6_port, htons(53));
	CU_ASSERT_EQUAL(in6->sin6_flowinfo | in6->sin6_scope_id, 0);
	CU_ASSERT_EQUAL(memcmp(&in6->sin6_addr, v6.b, 16), 0);
}

/* IPv4 within IPv6 is IPv4, from both sides; wildcards keep their family. */
static void mapped(void)
{
	static const struct {
		const char *text;
		int family;
	} rows[] = {{"::ffff:192.0.2.7", AF_INET}, {"0.0.0.0", AF_INET}, {"::", AF_INET6},
		{"::ffff:0:192.0.2.7", AF_INET6}, {"::192.0.2.7", AF_INET6}};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
	struct sockaddr_storage ss;
	struct mt_addr a, b = addr("::ffff:192.0.2.7"), v4 = addr("192.0.2.7");
	uint16_t port;

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		a = addr(rows[i].text);
		(void)mt_sockaddr(&a, 1, &ss);
		CU_ASSERT_EQUAL(ss.ss_family, rows[i].family);
	}
	memcpy(&six.sin6_addr, b.b, 16);
	CU_ASSERT(mt_sockaddr_read((const struct sockaddr *)&six, &a, &port));
	CU_ASSERT(mt_addr_is4(&a) && mt_addr_eq(&a, &v4));
	CU_ASSERT_EQUAL(port, 9);
}

static void there_and_back(void)
{
	static const char *const texts[] = {
		"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1"};
	static const uint16_t ports[] = {0, 1, 256, 65535};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts) * MT_ARRAY_LEN(ports); i++) {
		struct mt_addr a = addr(texts[i / MT_ARRAY_LEN(ports)]), b;
		uint16_t want = ports[i % MT_ARRAY_LEN(ports)], port = 77;
		struct sockaddr_storage ss;

		(void)mt_sockaddr(&a, want, &ss);
		CU_ASSERT(mt_sockaddr_read((const struct sockaddr *)&ss, &b, &port));
		CU_ASSERT(mt_addr_eq(&a, &b));
		CU_ASSERT_EQUAL(port, want);
		CU_ASSERT(mt_sockaddr_read((const struct sockaddr *)&ss, &b, NULL));
	}
}

static void other_families(void)
{
	struct sockaddr_storage ss = {.ss_family = AF_UNIX};
	struct mt_addr a;
	uint16_t port;

	memset((char *)&ss + sizeof(ss.ss_family), 0xee, sizeof(ss) - sizeof(ss.ss_family));
	for (int i = 0; i < 2; i++) {
		a = addr("192.0.2.1");
		port = 7;
		CU_ASSERT_FALSE(
			mt_sockaddr_read(i ? NULL : (const struct sockaddr *)&ss, &a, &port));
		CU_ASSERT(mt_addr_is_zero(&a));
		CU_ASSERT_EQUAL(port, 0);
	}
}

const struct mt_test sockaddr_tests[] = {
	{"to_the_kernel", to_the_kernel},
	{"mapped", mapped},
	{"there_and_back", there_and_back},
	{"other_families", other_families},
	{0},
};
