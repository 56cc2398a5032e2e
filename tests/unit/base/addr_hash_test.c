/* SPDX-License-Identifier: Apache-2.0 */
/* Keyed hashes of addresses: rows of used slots stay as short as chance makes them, whatever the addresses are. */
#include "crowd.h"
#include "mt_addr_hash.h"
#include "mt_secret_hash.h"
#include "suites.h"

#define ADDRS 65535
#define SLOTS 131072

struct row {
	struct mt_addr addr;
	uint16_t port;
};

static struct row made(int kind, uint32_t i)
{
	struct row r = {.addr = crowd_addr(i), .port = 80};
	uint32_t v4 = 0x0a000000 + i;

	switch (kind) {
	case 1: /* consecutive */
		r.addr = mt_addr4(__builtin_bswap32(v4));
		break;
	case 2: /* consecutive when their bytes are swapped */
		r.addr = mt_addr4(i + 1);
		break;
	case 3: /* consecutive interface identifiers */
		r.addr = crowd_addr(0);
		r.addr.q[1] = __builtin_bswap64(i);
		break;
	case 4: /* consecutive networks */
		r.addr = crowd_addr(0);
		r.addr.w[1] = i << 16;
		break;
	case 5: /* ports of one address */
		r.addr = crowd_addr(0);
		r.port = (uint16_t)(i + 1);
		break;
	case 6: /* 256 ports of each of 256 addresses */
		r.addr = mt_addr4(__builtin_bswap32(0x0a000000 + (i >> 8)));
		r.port = (uint16_t)(i & 255);
		break;
	default:;
	}
	return r;
}

static uint32_t longest_row(int kind, bool with_port)
{
	static uint32_t slots[SLOTS];

	memset(slots, 0, sizeof(slots));
	for (uint32_t i = 0; i < ADDRS; i++) {
		struct row r = made(kind, i);
		uint32_t at =
			with_port ? mt_addr_port_hash(&r.addr, r.port, 6) : mt_addr_hash(&r.addr);

		while (slots[at % SLOTS])
			at++;
		slots[at % SLOTS] = 1;
	}
	return crowd_longest_row(slots, SLOTS);
}

static void short_rows(void)
{
	for (uint8_t k = 0; k < 8; k++) {
		mt_secret_hash_set_key((const uint8_t[16]){k, 3});
		for (int kind = 0; kind < 7; kind++) {
			if (kind < 5)
				CU_ASSERT(longest_row(kind, false) < CROWD_ROW);
			CU_ASSERT(longest_row(kind, true) < CROWD_ROW);
		}
	}
}

/* The protocol, the port and each bit of the address count, and so does the key. */
static void all_bits(void)
{
	struct mt_addr a = crowd_addr(0), b;
	uint32_t before = 0;

	for (uint8_t k = 0; k < 8; k++) {
		mt_secret_hash_set_key((const uint8_t[16]){k});
		mt_addr_hash_ready();
		CU_ASSERT_NOT_EQUAL(mt_addr_hash(&a), before);
		before = mt_addr_hash(&a);
		for (int bit = 0; bit < 128; bit++) {
			b = a;
			b.b[bit / 8] ^= (uint8_t)(1u << bit % 8);
			CU_ASSERT_NOT_EQUAL(mt_addr_hash(&b), before);
		}
		CU_ASSERT_NOT_EQUAL(mt_addr_port_hash(&a, 53, 17), mt_addr_port_hash(&a, 53, 6));
		CU_ASSERT_NOT_EQUAL(mt_addr_port_hash(&a, 53, 17), mt_addr_port_hash(&a, 54, 17));
	}
}

const struct mt_test addr_hash_tests[] = {{"short rows", short_rows}, {"all bits", all_bits}, {0}};
