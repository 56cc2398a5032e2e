/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DHCPv6 messages of a guest. The first byte selects the configuration, and if the input is a whole
 * frame, or a message to which the target adds headers with the right checksum. Each reply must be
 * a message that a client can read, with the guest's own addresses, and the same for each call.
 */
#include "fuzz.h"

#include "mt_dhcp6.h"
#include "mt_guest.h"

#include <string.h>

#define HEADERS (14 + 40 + 8)

enum { WHOLE = 1, NO_ADDRESSES = 2, FEW_NAMES = 4, UNICAST = 8, OF_US = 16 };

static const struct mt_addr addresses[] = {
	{.b = {[10] = 0xff, 0xff, 10, 9, 0, 11}},
	{.b = {0xfd, [15] = 0x0b}},
	{.b = {0xfd, 1, [15] = 0x0b}},
};

static const char *const search[] = {"shop.svc.cluster.local", "a..b", "svc.cluster.local",
	"012345678901234567890123456789012345678901234567890123456789."
	"012345678901234567890123456789012345678901234567890123456789.x",
	"x"};

static const struct mt_gateway6 gateway = {
	.mac = {2, 0, 0, 0, 0, 1},
	.address = {.b = {0xfe, 0x80, [15] = 1}},
	.lease = 3600,
	.name_servers = addresses,
	.n_name_servers = MT_ARRAY_LEN(addresses),
	.search = search,
	.n_search = MT_ARRAY_LEN(search),
};

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* The sum of a datagram with its pseudo header. */
static uint32_t sum_of(const uint8_t *ip, uint32_t len)
{
	uint64_t sum = len + 17;

	for (uint32_t i = 8; i < 40 + len; i++)
		sum += i & 1 ? ip[i] : (uint32_t)ip[i] << 8;
	return (uint32_t)(sum % 0xffff);
}

/* Makes a frame of a message. Returns its length. */
static uint32_t frame_of(uint8_t choice, const uint8_t *message, uint32_t len, uint8_t *f)
{
	static const uint8_t ether[] = {2, 0, 0, 0, 0, 1, 0x52, 0x54, 0, 9, 0, 0x0b, 0x86, 0xdd,
		0x60, 0, 0, 0, 0, 0, 17, 1, 0xfe, 0x80, [37] = 0x0b};
	static const uint8_t group[16] = {0xff, 2, [13] = 1, [15] = 2}, udp[] = {2, 0x22, 2, 0x23};
	static const uint8_t server[] = {0, 2, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 0, 1};
	uint8_t *ip = f + 14;
	uint32_t sum, n = len;

	memset(f, 0, HEADERS);
	memcpy(f, ether, sizeof(ether));
	memcpy(ip + 24, choice & UNICAST ? gateway.address.b : group, 16);
	memcpy(ip + 40, udp, sizeof(udp));
	memcpy(f + HEADERS, message, len);
	if (choice & OF_US) {
		memcpy(f + HEADERS + len, server, sizeof(server));
		n += sizeof(server);
	}
	put16(ip + 4, n + 8);
	put16(ip + 44, n + 8);
	sum = 0xffff - sum_of(ip, n + 8);
	put16(ip + 46, sum ? sum : 0xffff);
	return HEADERS + n;
}

/* Checks that an address with a lifetime is the guest's, and that others have none. */
static void check_address(const struct mt_guest *g, const uint8_t *p)
{
	static const uint8_t zeros[8] = {0};
	bool own = false;

	for (uint32_t i = 0; i < g->n_addresses; i++)
		own |= !mt_addr_is4(&g->addresses[i]) && memcmp(p, &g->addresses[i], 16) == 0;
	MT_ASSERT(own == (memcmp(p + 16, zeros, sizeof(zeros)) != 0));
}

static void check_ia(const struct mt_guest *g, const uint8_t *p, uint32_t len)
{
	for (uint32_t at = 0, n; at < len; at += 4 + n) {
		MT_ASSERT(at + 4 <= len);
		n = be16(p + at + 2);
		MT_ASSERT(at + 4 + n <= len);
		if (be16(p + at) == 5) {
			MT_ASSERT(n == 24);
			check_address(g, p + at + 4);
		} else {
			MT_ASSERT(be16(p + at) == 13 && n == 2);
		}
	}
}

static void check(const struct mt_guest *g, const uint8_t *f, const uint8_t *out,
	const struct mt_dhcp6_reply *r)
{
	static const uint8_t server[] = {0, 2, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 0, 1};
	const uint8_t *ip = out + 14, *m = ip + 48;
	uint32_t len = r->len - 14 - 40;

	MT_ASSERT(r->len >= HEADERS + 4 + sizeof(server) && r->len <= MT_GATEWAY6_FRAME_MAX);
	MT_ASSERT(memcmp(out, g->mac, 6) == 0 && memcmp(out + 6, gateway.mac, 6) == 0);
	MT_ASSERT(be16(ip + 4) == len && be16(ip + 44) == len && ip[6] == 17);
	MT_ASSERT(be16(ip + 46) != 0 && sum_of(ip, len) == 0);
	MT_ASSERT(memcmp(ip + 24, f + 22, 16) == 0 && ip[24] != 0xff);
	MT_ASSERT(be16(ip + 40) == 547 && be16(ip + 42) == 546);
	MT_ASSERT((m[0] == 2 || m[0] == 7) && memcmp(m + 1, f + HEADERS + 1, 3) == 0);
	MT_ASSERT(memcmp(m + 4, server, sizeof(server)) == 0);
	len -= 8;
	for (uint32_t at = 4, n; at < len; at += 4 + n) {
		uint32_t code;

		MT_ASSERT(at + 4 <= len);
		code = be16(m + at);
		n = be16(m + at + 2);
		MT_ASSERT(at + 4 + n <= len);
		if (code == 3 || code == 4 || code == 25) {
			uint32_t head = code == 4 ? 4 : 12;

			MT_ASSERT(n >= head);
			check_ia(g, m + at + 4 + head, n - head);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t frame[HEADERS + 4096 + 14], out[MT_GATEWAY6_FRAME_MAX],
		again[MT_GATEWAY6_FRAME_MAX];
	struct mt_guest g = {
		.mac = {0x52, 0x54, 0, 9, 0, 0x0b}, .addresses = addresses, .n_addresses = 3};
	struct mt_gateway6 gw = gateway;
	struct mt_dhcp6_reply r, r2;
	enum mt_dhcp6_verdict v;
	uint32_t len;

	if (size < 1 || size > 4096)
		return 0;
	if (data[0] & NO_ADDRESSES)
		g.n_addresses = 1;
	if (data[0] & FEW_NAMES)
		gw.n_search = 1;
	len = (uint32_t)size - 1;
	if (data[0] & WHOLE)
		memcpy(frame, data + 1, len);
	else
		len = frame_of(data[0], data + 1, len, frame);
	v = mt_dhcp6_answer(&gw, &g, frame, len, out, &r);
	MT_ASSERT(v < MT_DHCP6_VERDICTS && mt_dhcp6_verdict_str(v));
	if (v != MT_DHCP6_REPLY)
		return 0;
	check(&g, frame, out, &r);
	MT_ASSERT(mt_dhcp6_answer(&gw, &g, frame, len, again, &r2) == v && r.len == r2.len);
	MT_ASSERT(memcmp(out, again, r.len) == 0);
	return 0;
}
