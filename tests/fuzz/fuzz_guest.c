/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames of a guest. The first byte selects the guest's addresses and if the frame gets the guest's
 * Ethernet address. A frame that passes must have no tag and an allowed source. An answer must be
 * one for an address that the guest does not have, or a router advertisement to the guest.
 */
#include "fuzz.h"

#include "mt_gateway6.h"
#include "mt_guest.h"

#include <string.h>

#define GATEWAY 1 /* last byte of the addresses of this node */

static const uint8_t mac[6] = {0x52, 0x54, 0, 9, 0, 0x0b}, ours[6] = {2, 0, 0, 0, 0, 1};

static const struct mt_addr addresses[] = {
	{.b = {[10] = 0xff, 0xff, 10, 9, 0, 11}},
	{.b = {0xfd, [15] = 0x0b}},
};

static bool is_ours(const void *arg, const struct mt_addr *a)
{
	(void)arg;
	return a->b[15] == GATEWAY;
}

static bool has(const struct mt_guest *g, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < g->n_addresses; i++)
		if (memcmp(a, &g->addresses[i], sizeof(*a)) == 0)
			return true;
	return false;
}

static struct mt_addr four(const uint8_t *p)
{
	return (struct mt_addr){.b = {[10] = 0xff, 0xff, p[0], p[1], p[2], p[3]}};
}

/* What must hold for every frame that passes. */
static void check_passed(const struct mt_guest *g, const uint8_t *f, uint32_t len)
{
	struct mt_addr a;

	MT_ASSERT(len >= 14 && memcmp(f + 6, mac, 6) == 0);
	MT_ASSERT(!(f[12] == 0x81 && f[13] == 0) && !(f[12] == 0x88 && f[13] == 0xa8));
	if (f[12] == 8 && f[13] == 0) {
		a = four(f + 26);
		MT_ASSERT(len >= 34 && (f[20] & 0x1f) == 0 && f[21] == 0);
		MT_ASSERT(has(g, &a) || (memcmp(f + 26, "\0\0\0\0", 4) == 0 && f[23] == 17));
	} else if (f[12] == 8 && f[13] == 6) {
		a = four(f + 28);
		MT_ASSERT(len >= 42 && memcmp(f + 22, mac, 6) == 0);
		MT_ASSERT(has(g, &a) || memcmp(f + 28, "\0\0\0\0", 4) == 0);
	} else if (f[12] == 0x86 && f[13] == 0xdd) {
		MT_ASSERT(len >= 54);
		memcpy(&a, f + 22, 16);
		MT_ASSERT(!mt_addr_is4(&a));
		MT_ASSERT(has(g, &a) || ((mt_addr_is_zero(&a) || mt_addr_is_link_local(&a)) &&
						!is_ours(NULL, &a)));
		MT_ASSERT(!(f[20] == 58 && len > 54 && (f[54] == 134 || f[54] == 137)));
	}
}

static void check_answer(const struct mt_guest *g, const uint8_t *f, const uint8_t *out, uint32_t n)
{
	struct mt_addr a;

	MT_ASSERT(memcmp(out + 6, ours, 6) == 0 && memcmp(out + 12, f + 12, 2) == 0);
	if (f[12] == 8) {
		a = four(out + 28);
		MT_ASSERT(n == 42 && memcmp(out, mac, 6) == 0 && out[21] == 2 && f[21] == 1);
		MT_ASSERT(memcmp(out + 28, f + 38, 4) == 0 && memcmp(out + 38, f + 28, 4) == 0);
	} else {
		memcpy(&a, out + 22, 16);
		MT_ASSERT(n == 86 && f[54] == 135 && out[54] == 136 && memcmp(&a, f + 62, 16) == 0);
		MT_ASSERT(!mt_addr_is4(&a) && a.b[0] != 0xff);
	}
	MT_ASSERT(!has(g, &a));
}

static uint32_t sum_of(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static void check_advertisement(const uint8_t *f, const uint8_t *out, uint32_t n)
{
	static const uint8_t none[16], all[16] = {0xff, 2, [15] = 1};
	bool to_all = memcmp(f + 22, none, 16) == 0;
	uint32_t sum = sum_of(out + 22, n - 22) + 58 + (n - 54);

	MT_ASSERT(f[54] == 133 && f[21] == 255 && n >= 54 + 16 && n <= MT_GATEWAY6_FRAME_MAX);
	MT_ASSERT(memcmp(out + 6, ours, 6) == 0 && (to_all || memcmp(out, mac, 6) == 0));
	MT_ASSERT(memcmp(out + 38, to_all ? all : f + 22, 16) == 0);
	MT_ASSERT((out[18] << 8 | out[19]) == (int)(n - 54) && out[54] == 134 && sum % 0xffff == 0);
	for (uint32_t at = 54 + 16; at < n; at += out[at + 1] * 8u)
		MT_ASSERT(out[at + 1] > 0 && at + out[at + 1] * 8u <= n);
}

/* The first byte also selects the gateway's configuration. */
static void solicit(const struct mt_guest *g, uint8_t choice, const uint8_t *f, uint32_t len)
{
	static const char *const search[] = {"shop.svc.cluster.local", "a..b", "x"};
	static uint8_t out[MT_GATEWAY6_FRAME_MAX];
	struct mt_gateway6 gw = {.address = {.b = {0xfe, 0x80, [15] = GATEWAY}},
		.mtu = (uint16_t)(choice * 64u),
		.lifetime = choice,
		.name_servers = addresses,
		.n_name_servers = choice >> 3 & 1 ? MT_ARRAY_LEN(addresses) : 0,
		.search = search,
		.n_search = choice >> 4 & 3};
	uint32_t n;

	memcpy(gw.mac, ours, sizeof(ours));
	n = mt_gateway6_answer(&gw, g, f, len, out);
	if (n)
		check_advertisement(f, out, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t frame[2048], out[MT_GUEST_ANSWER_MAX];
	struct mt_guest g = {.addresses = addresses, .is_ours = is_ours};
	uint32_t n, len;

	if (size < 1 || size > sizeof(frame))
		return 0;
	len = (uint32_t)size - 1;
	memcpy(frame, data + 1, len);
	memcpy(g.mac, mac, sizeof(mac));
	g.n_addresses = MT_MIN(data[0] & 3u, MT_ARRAY_LEN(addresses));
	if (data[0] & 4 && len >= 14)
		memcpy(frame + 6, mac, 6);
	if (mt_guest_check(&g, frame, len) == MT_GUEST_PASS)
		check_passed(&g, frame, len);
	n = mt_guest_answer(&g, ours, frame, len, out);
	if (n)
		check_answer(&g, frame, out, n);
	solicit(&g, data[0], frame, len);
	return 0;
}
