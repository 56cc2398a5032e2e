/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of addresses and ports that an author chose so that their hashes would be equal without a key. */
#include "crowd.h"
#include "mt_net_priv.h"
#include "test_net.h"

static struct mt_addr crowd[CROWD];

static void choose(void)
{
	for (uint32_t i = 0; i < CROWD; i++)
		crowd[i] = crowd_addr(i);
}

static void addresses(void)
{
	struct mt_addr other = {.q = {0, MT_ADDR4_HALF(7)}};
	struct net_set s;

	choose();
	CU_ASSERT_EQUAL_FATAL(net_set_init(&s, CROWD), 0);
	for (uint32_t i = 0; i < CROWD; i++)
		net_set_add(&s, &(struct net_addr){.addr = crowd[i]});
	CU_ASSERT_EQUAL(s.n, CROWD);
	CU_ASSERT(crowd_longest_row(s.slots, s.mask + 1) <= CROWD_ROW);
	for (uint32_t i = 0; i < CROWD; i++)
		CU_ASSERT_PTR_EQUAL(net_set_find(&s, &crowd[i]), &s.list[i]);
	CU_ASSERT_PTR_NULL(net_set_find(&s, &other));
	net_set_fini(&s);
}

/* The most slots in a row that are in use. */
static uint32_t longest_row(const struct net_rows *r)
{
	uint32_t row = 0, most = 0;

	for (uint32_t i = 0; i <= 2 * r->mask + 1; i++) {
		row = r->slots[i & r->mask].port ? row + 1 : 0;
		most = MT_MAX(most, row);
	}
	return most;
}

static void ports(bool of_one_address)
{
	static struct mt_net_row rows[CROWD];
	struct mt_addr other = {.q = {0, MT_ADDR4_HALF(7)}};
	struct net_rows r;

	choose();
	for (uint32_t i = 0; i < CROWD; i++)
		rows[i] = (struct mt_net_row){.addr = of_one_address ? crowd[0] : crowd[i],
			.port = of_one_address ? (uint16_t)(i + 1) : 53,
			.proto = IPPROTO_UDP};
	CU_ASSERT_EQUAL_FATAL(net_rows_init(&r, rows, CROWD), 0);
	CU_ASSERT_EQUAL(r.n, CROWD);
	CU_ASSERT(longest_row(&r) <= CROWD_ROW);
	for (uint32_t i = 0; i < CROWD; i++)
		CU_ASSERT(net_rows_has(&r, &rows[i].addr, rows[i].port, IPPROTO_UDP));
	CU_ASSERT(!net_rows_has(&r, &rows[0].addr, rows[0].port, IPPROTO_TCP));
	CU_ASSERT(!net_rows_has(&r, &other, 53, IPPROTO_UDP));
	free(r.slots);
}

static void ports_of_chosen_addresses(void)
{
	ports(false);
}

static void ports_of_one_address(void)
{
	ports(true);
}

const struct mt_test net_set_tests[] = {{"chosen addresses", addresses},
	{"a port of chosen addresses", ports_of_chosen_addresses},
	{"ports of one address", ports_of_one_address}, {0}};
