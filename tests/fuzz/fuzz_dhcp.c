/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DHCP messages of a guest. The guest has the hardware address of the message, so that the check of
 * addresses does not stop it. A byte of the transaction id selects the guest's configuration. Each
 * reply must be a message that a client can read, for this guest.
 */
#include "fuzz.h"

#include "mt_dhcp.h"

#include <string.h>

static const char *const search[] = {"shop.svc.cluster.local", "a..b", "svc.cluster.local",
	"012345678901234567890123456789012345678901234567890123456789."
	"012345678901234567890123456789012345678901234567890123456789.x",
	"x"};

static struct mt_dhcp_guest guest_of(uint8_t choice, const uint8_t *msg, uint32_t len)
{
	struct mt_dhcp_guest g = {
		.prefix = choice % 33, .address = 0x0a09000b, .gateway = 0x0a090001, .lease = 3600};

	g.mtu = choice & 1 ? (uint16_t)(choice * 257u) : 0;
	g.host = choice & 2 ? "vm1" : NULL;
	g.domain = choice & 4 ? search[choice / 8 % MT_ARRAY_LEN(search)] : NULL;
	g.search = search;
	g.n_search = choice % (MT_ARRAY_LEN(search) + 1);
	if (len >= 34)
		memcpy(g.mac, msg + 28, sizeof(g.mac));
	return g;
}

/* Checks that all options are complete, and that END and zeros follow. Returns the first of the code. */
static const uint8_t *option(const uint8_t *p, uint32_t len, uint8_t code)
{
	const uint8_t *found = NULL;
	uint32_t at = 240;

	while (p[at] != 255) {
		MT_ASSERT(at + 2 < len && at + 2u + p[at + 1] < len);
		if (p[at] == code && !found)
			found = p + at;
		at += 2u + p[at + 1];
	}
	for (at++; at < len; at++)
		MT_ASSERT(p[at] == 0);
	return found;
}

static void check(const struct mt_dhcp_guest *g, const uint8_t *msg, const uint8_t *out,
	const struct mt_dhcp_reply *r)
{
	const uint8_t address[] = {10, 9, 0, 0x0b}, gateway[] = {54, 4, 10, 9, 0, 1}, none[4] = {0};
	const uint8_t *type, *lease;

	MT_ASSERT(r->len >= MT_DHCP_REPLY_MIN && r->len <= MT_DHCP_REPLY_MAX);
	MT_ASSERT(r->to == g->address || r->to == MT_DHCP_EVERYONE);
	MT_ASSERT(out[0] == 2 && memcmp(out + 4, msg + 4, 4) == 0 &&
		  memcmp(out + 28, g->mac, 6) == 0);
	type = option(out, r->len, 53);
	lease = option(out, r->len, 51);
	MT_ASSERT(type && type[1] == 1 && (type[2] == 2 || type[2] == 5 || type[2] == 6));
	MT_ASSERT(r->refused == (type[2] == 6));
	MT_ASSERT(memcmp(option(out, r->len, 54), gateway, sizeof(gateway)) == 0);
	MT_ASSERT(memcmp(out + 16, lease ? address : none, 4) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[MT_DHCP_REPLY_MAX];
	struct mt_dhcp_guest g;
	struct mt_dhcp_reply r;

	if (size > 9000)
		return 0;
	g = guest_of(size > 7 ? data[7] : 0, data, (uint32_t)size);
	memset(out, 0xa5, sizeof(out));
	if (mt_dhcp_answer(&g, data, (uint32_t)size, out, &r) == MT_DHCP_REPLY)
		check(&g, data, out, &r);
	return 0;
}
