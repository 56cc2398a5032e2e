/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger beside plain sums. */
#include "buf_test.h"

#include "mt_ledger.h"
#include "mt_rand.h"
#include "mt_test.h"

#define CONNS	600
#define PEERS	60
#define PRESSED 1 /* a share so small that each account finds its holder at once */

static struct mt_ledger ledger;

/* Connection i belongs to peer i % PEERS; odd peers are servers. */
static struct {
	uint32_t account;
	struct mt_sums holds;
} conns[CONNS];

static struct mt_account_owner owner_of(uint32_t conn)
{
	uint32_t peer = conn % PEERS;
	struct mt_account_owner o = {
		.conn = conn, .side = peer % 2 ? MT_SIDE_SERVER : MT_SIDE_CLIENT};

	/* Half of them IPv6, each connection from another address of its /64. */
	if (peer < PEERS / 2)
		o.peer = mt_addr4(__builtin_bswap32(0x0a000000 + peer));
	else
		o.peer = (struct mt_addr){.b = {0x20, 1, 0xd, 0xb8, 0, 0, 0,
						  (uint8_t)peer, [15] = (uint8_t)(conn / PEERS)}};
	return o;
}

static void open_ledger(uint64_t share)
{
	static const uint64_t key[2] = {0x1234567, 0xabcdef};

	memset(conns, 0, sizeof(conns));
	CU_ASSERT_EQUAL_FATAL(mt_ledger_init(&ledger, CONNS, key), 0);
	for (int c = 0; c < MT_N_CLASSES; c++)
		ledger.classes[c].share = share;
	if (share == PRESSED)
		ledger.pressed = (1u << MT_N_CLASSES) - 1;
}

static void settle_as(uint32_t conn, bool find)
{
	struct mt_account_owner o = owner_of(conn);
	struct mt_sums none = {0};

	mt_ledger_settle(&ledger, &conns[conn].account, &none, &conns[conn].holds, &o, find);
}

static void settle(uint32_t conn, enum mt_class c, uint32_t bytes)
{
	conns[conn].holds.of[c] = bytes;
	settle_as(conn, false);
}

static void find_all(void)
{
	for (uint32_t i = 0; i < CONNS; i++)
		settle_as(i, true);
}

static void settle_nothing(void)
{
	for (uint32_t i = 0; i < CONNS; i++)
		for (int c = 0; c < MT_N_CLASSES; c++)
			settle(i, c, 0);
	CU_ASSERT_EQUAL(ledger.accounts.in_use, 0);
	CU_ASSERT_EQUAL(ledger.places.in_use, 0);
	CU_ASSERT_EQUAL(ledger.holders.in_use, 0);
	CU_ASSERT_EQUAL(ledger.by_key.n, 0);
	for (int c = 0; c < MT_N_CLASSES; c++) {
		CU_ASSERT_EQUAL(ledger.classes[c].charged, 0);
		CU_ASSERT_EQUAL(ledger.classes[c].holders, 0);
		CU_ASSERT_EQUAL(ledger.classes[c].lists.used, 0);
	}
}

static uint64_t class_sum(enum mt_class c)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < CONNS; i++)
		all += conns[i].holds.of[c];
	return all;
}

/* The most that the accounts of one peer hold; *largest: the largest account of that of `conn`. */
static uint64_t of_peer(uint32_t peer, enum mt_class c, uint32_t *largest)
{
	uint64_t all = 0;

	*largest = 0;
	for (uint32_t i = peer; i < CONNS; i += PEERS) {
		all += conns[i].holds.of[c];
		*largest = MT_MAX(*largest, conns[i].holds.of[c]);
	}
	return all;
}

/* The victim is the largest of the largest, both within a factor of two. */
static void check_victim(enum mt_class c)
{
	uint64_t most = 0, its;
	uint32_t conn, largest;

	for (uint32_t p = 0; p < PEERS; p++)
		most = MT_MAX(most, of_peer(p, c, &largest));
	if (!mt_ledger_victim(&ledger, c, &conn)) {
		CU_ASSERT(most < MT_MAX(ledger.classes[c].share / PEERS, MT_LEDGER_FIRST * 2));
		return;
	}
	its = of_peer(conn % PEERS, c, &largest);
	CU_ASSERT(2 * its > most || its >= (uint64_t)MT_LEDGER_FIRST << (MT_LEDGER_LISTS - 1));
	CU_ASSERT(2 * conns[conn].holds.of[c] > largest || conns[conn].holds.of[c] == largest);
}

static uint32_t draw_size(struct mt_rand *r)
{
	uint32_t bits = (uint32_t)(mt_rand_u64(r) % 25);

	return mt_rand_u64(r) % 3 ? (uint32_t)(mt_rand_u64(r) % (1u << bits)) : 0;
}

static void test_random(void)
{
	struct mt_rand r;

	mt_rand_seed(&r, 42);
	open_ledger(PRESSED);
	for (int i = 0; i < 200000; i++) {
		enum mt_class c = (enum mt_class)(mt_rand_u64(&r) % MT_N_CLASSES);
		uint32_t conn = (uint32_t)(mt_rand_u64(&r) % CONNS);

		settle(conn, c, draw_size(&r));
		if (i % 500)
			continue;
		CU_ASSERT_EQUAL(ledger.classes[c].charged, class_sum(c));
		CU_ASSERT(memcmp(mt_ledger_sums(&ledger, conns[conn].account).of,
				  conns[conn].holds.of, sizeof(conns[conn].holds.of)) == 0);
	}
	settle_nothing();
	mt_ledger_fini(&ledger);
}

static void test_victims(void)
{
	struct mt_rand r;

	mt_rand_seed(&r, 7);
	open_ledger(1 << 20);
	for (int i = 0; i < 20000; i++) {
		uint32_t conn = (uint32_t)(mt_rand_u64(&r) % CONNS);

		settle(conn, MT_CLASS_REPLYING, draw_size(&r));
		if (i % 20)
			continue;
		find_all();
		check_victim(MT_CLASS_REPLYING);
	}
	settle_nothing();
	mt_ledger_fini(&ledger);
}

/* As long as there is room, who holds little is only part of the sum. */
static void test_small_accounts_find_no_holder(void)
{
	uint32_t conn;

	open_ledger(64 << 20);
	for (uint32_t i = 0; i < 500; i++)
		settle(i, MT_CLASS_RECEIVING, MT_LEDGER_SMALL - 1);
	CU_ASSERT_EQUAL(ledger.accounts.in_use, 500);
	CU_ASSERT_EQUAL(ledger.holders.in_use, 0);
	CU_ASSERT_FALSE(mt_ledger_victim(&ledger, MT_CLASS_RECEIVING, &conn));
	settle(500, MT_CLASS_RECEIVING, MT_LEDGER_SMALL);
	CU_ASSERT_EQUAL(ledger.holders.in_use, 1);
	settle_nothing();
	mt_ledger_fini(&ledger);
}

/* Many small connections of one peer are found when their class is full; the others are not its victims. */
static void test_sweep_finds_who_came_in_small_pieces(void)
{
	uint32_t conn;

	open_ledger(1 << 20);
	for (uint32_t i = 3; i < CONNS; i += PEERS)
		settle(i, MT_CLASS_RECEIVING, 12000);
	settle(4, MT_CLASS_RECEIVING, MT_LEDGER_SMALL + 1); /* found, but not the one */
	for (int c = 0; c < MT_N_CLASSES; c++)
		ledger.classes[c].share = 100000;
	CU_ASSERT(mt_ledger_full(&ledger, MT_CLASS_RECEIVING));
	CU_ASSERT_FALSE(mt_ledger_victim(&ledger, MT_CLASS_RECEIVING, &conn));
	find_all();
	CU_ASSERT(mt_ledger_victim(&ledger, MT_CLASS_RECEIVING, &conn));
	CU_ASSERT_EQUAL(conn % PEERS, 3);
	settle_nothing();
	mt_ledger_fini(&ledger);
}

/* n holders of equal size: each holds more than half of an even part, and a lesser one is never the victim. */
static void test_lesser_holder_is_never_the_victim(void)
{
	uint32_t conn;

	open_ledger(PEERS / 2 * (uint64_t)40000);
	settle(0, MT_CLASS_REPLYING, 17000);
	for (uint32_t i = 1; i < PEERS; i++)
		settle(i, MT_CLASS_REPLYING, 40000);
	while (mt_ledger_full(&ledger, MT_CLASS_REPLYING)) {
		CU_ASSERT_FATAL(mt_ledger_victim(&ledger, MT_CLASS_REPLYING, &conn));
		CU_ASSERT_NOT_EQUAL(conn, 0);
		settle(conn, MT_CLASS_REPLYING, 0);
	}
	settle_nothing();
	mt_ledger_fini(&ledger);
}

/* Also where all are small: who holds four buffers gives way before those with one. */
static void test_small_victim_is_the_largest(void)
{
	uint32_t conn;

	open_ledger(PEERS * 2304);
	ledger.pressed = 1u << MT_CLASS_RECEIVING;
	settle(7, MT_CLASS_RECEIVING, 4 * 2304);
	for (uint32_t i = 0; i < PEERS; i++)
		if (i != 7)
			settle(i, MT_CLASS_RECEIVING, i % 2 ? 1000 : 2304);
	CU_ASSERT_FATAL(mt_ledger_victim(&ledger, MT_CLASS_RECEIVING, &conn));
	CU_ASSERT_EQUAL(conn, 7);
	settle_nothing();
	mt_ledger_fini(&ledger);
}

static void test_neighbours_count_as_one_when_there_are_too_many(void)
{
	const struct mt_holder *h[4];

	open_ledger(PRESSED);
	ledger.wide = true;
	settle(0, MT_CLASS_STREAMING, 50000); /* 10.0.0.0 */
	settle(2, MT_CLASS_STREAMING, 70000); /* 10.0.0.2 */
	settle(1, MT_CLASS_STREAMING, 90000); /* a server's connection, 10.0.0.1 */
	CU_ASSERT_EQUAL(mt_ledger_largest(&ledger, MT_CLASS_STREAMING, h, 4), 2);
	CU_ASSERT_EQUAL(
		h[0]->charged[MT_CLASS_STREAMING] + h[1]->charged[MT_CLASS_STREAMING], 210000);
	CU_ASSERT(h[0]->n == 2 || h[1]->n == 2);
	CU_ASSERT_EQUAL(h[0]->prefix, 24);
	settle_nothing();
	mt_ledger_fini(&ledger);
}

static struct mt_account_owner in_network(uint32_t conn)
{
	return (struct mt_account_owner){
		.conn = conn, .peer = mt_addr4(__builtin_bswap32(0x0b000000 + conn))};
}

/*
 * A class is full of holders with a buffer or two: an even part tells nothing any more, and their networks count. Until then it is
 * each for himself, and when the class has room again, too.
 */
static void test_networks_count_when_parts_are_tiny(void)
{
	enum { ALONE = 300, BYTES = 4608 };
	struct mt_sums none = {0}, some = {.of = {[MT_CLASS_RECEIVING] = BYTES}};
	struct mt_account_owner o;
	uint32_t conn;

	open_ledger((ALONE + 1) * BYTES);
	ledger.pressed = 1u << MT_CLASS_RECEIVING;
	for (uint32_t i = 0; i < ALONE; i++) {
		o = in_network(i);
		if (i % 2) /* half of them from networks of their own */
			o.peer = mt_addr4(__builtin_bswap32(0x0c000000 + (i << 8)));
		mt_ledger_settle(&ledger, &conns[i].account, &none, &some, &o, false);
	}
	mt_ledger_turn(&ledger);
	CU_ASSERT_FALSE(ledger.wide); /* not full */
	some.of[MT_CLASS_RECEIVING] = 2 * BYTES;
	o = in_network(0);
	mt_ledger_settle(&ledger, &conns[0].account, &none, &some, &o, false);
	mt_ledger_turn(&ledger);
	CU_ASSERT_TRUE(ledger.wide && ledger.again);
	CU_ASSERT_EQUAL(ledger.holders.in_use, ALONE);
	some.of[MT_CLASS_RECEIVING] = BYTES;
	for (uint32_t i = 1; i < ALONE; i++) {
		o = in_network(i);
		if (i % 2)
			o.peer = mt_addr4(__builtin_bswap32(0x0c000000 + (i << 8)));
		mt_ledger_settle(&ledger, &conns[i].account, &none, &some, &o, false);
	}
	o = in_network(0);
	mt_ledger_settle(&ledger, &conns[0].account, &none, &some, &o, false);
	CU_ASSERT_EQUAL(ledger.holders.in_use, ALONE / 2 + 2); /* 11.0.0.0/24 and 11.0.1.0/24 */
	CU_ASSERT_PTR_NULL(mt_ledger_wrong(&ledger));
	CU_ASSERT(mt_ledger_victim(&ledger, MT_CLASS_RECEIVING, &conn));
	CU_ASSERT_EQUAL(conn % 2, 0);
	for (uint32_t i = 0; i < ALONE; i++) {
		o = in_network(i);
		mt_ledger_settle(&ledger, &conns[i].account, &none, &none, &o, false);
	}
	mt_ledger_turn(&ledger);
	CU_ASSERT_FALSE(ledger.wide || ledger.again);
	settle_nothing();
	mt_ledger_fini(&ledger);
}

static void hold_in_own_network(uint32_t conn, uint32_t bytes)
{
	struct mt_account_owner o = {
		.conn = conn, .peer = mt_addr4(__builtin_bswap32(0x0c000000 + (conn << 8)))};
	struct mt_sums none = {0}, some = {.of = {[MT_CLASS_RECEIVING] = bytes}};

	mt_ledger_settle(&ledger, &conns[conn].account, &none, &some, &o, false);
}

#define CROWD	    300
#define CROWD_BYTES 4608 /* each, at first: two buffers */

/* A class full of networks with two buffers each, all of them found. */
static void open_crowded(void)
{
	open_ledger(CROWD * CROWD_BYTES);
	ledger.pressed = 1u << MT_CLASS_RECEIVING;
	for (uint32_t i = 0; i < CROWD; i++)
		hold_in_own_network(i, CROWD_BYTES);
	mt_ledger_turn(&ledger);
	mt_ledger_crowd(&ledger, 1);
	CU_ASSERT_TRUE(ledger.again);
	CU_ASSERT_FALSE(ledger.crowded); /* neighbours may turn out to be one */
	for (uint32_t i = 0; i < CROWD; i++)
		hold_in_own_network(i, CROWD_BYTES);
	ledger.again = false;
	mt_ledger_turn(&ledger);
	mt_ledger_crowd(&ledger, 1);
	CU_ASSERT_TRUE(ledger.crowded);
}

static void close_crowded(void)
{
	for (uint32_t i = 0; i < CROWD; i++)
		hold_in_own_network(i, 0);
	settle_nothing();
	mt_ledger_fini(&ledger);
}

/* From the whole share on until a sixteenth of it is free. */
static void test_crowd_until_there_is_room(void)
{
	uint32_t i = 0;

	open_crowded();
	for (; i < CROWD / 16; i++)
		hold_in_own_network(i, 0);
	mt_ledger_crowd(&ledger, 2);
	CU_ASSERT_TRUE(ledger.crowded);
	hold_in_own_network(i++, 0);
	mt_ledger_crowd(&ledger, 2);
	CU_ASSERT_FALSE(ledger.crowded);
	for (; i > 1; i--)
		hold_in_own_network(i - 1, CROWD_BYTES);
	mt_ledger_crowd(&ledger, 3);
	CU_ASSERT_FALSE(ledger.crowded); /* not full again */
	hold_in_own_network(0, CROWD_BYTES);
	mt_ledger_crowd(&ledger, 4);
	CU_ASSERT_TRUE(ledger.crowded);
	for (i = 0; i < CROWD / 2 + 1; i++)
		hold_in_own_network(i, 0);
	mt_ledger_turn(&ledger);
	CU_ASSERT_FALSE(ledger.pressed | ledger.crowded); /* nobody has to ask */
	close_crowded();
}

/* A few of them hold all: they give way, and nobody has to wait for it. */
static void test_crowd_until_some_are_large(void)
{
	open_crowded();
	for (uint32_t i = CROWD / 4; i < CROWD; i++)
		hold_in_own_network(i, 0);
	for (uint32_t i = 0; i < CROWD / 4; i++)
		hold_in_own_network(i, 4 * CROWD_BYTES);
	mt_ledger_turn(&ledger);
	mt_ledger_crowd(&ledger, 2);
	CU_ASSERT_TRUE(mt_ledger_full(&ledger, MT_CLASS_RECEIVING));
	CU_ASSERT_FALSE(ledger.crowded);
	close_crowded();
}

/* Who goes on for ever with what he holds shuts others out for half of the time. */
static void test_crowd_for_half_of_the_time(void)
{
	open_crowded();
	mt_ledger_crowd(&ledger, MT_LEDGER_CROWD);
	CU_ASSERT_TRUE(ledger.crowded);
	mt_ledger_crowd(&ledger, 1 + MT_LEDGER_CROWD);
	CU_ASSERT_FALSE(ledger.crowded);
	mt_ledger_crowd(&ledger, 2 * MT_LEDGER_CROWD);
	CU_ASSERT_FALSE(ledger.crowded);
	mt_ledger_crowd(&ledger, 1 + 2 * MT_LEDGER_CROWD);
	CU_ASSERT_TRUE(ledger.crowded);
	close_crowded();
}

/* What was only added up is the account's once there is one. */
static void test_added_bytes_become_the_accounts(void)
{
	struct mt_account_owner o = owner_of(9);
	struct mt_sums before = {.of = {[MT_CLASS_REPLYING] = 9000}}, now = before;
	struct mt_ledger_numbers n;

	open_ledger(32768);
	mt_ledger_add(&ledger, MT_CLASS_REPLYING, 9000);
	mt_ledger_turn(&ledger);
	CU_ASSERT_EQUAL(ledger.pressed, 0);
	now.of[MT_CLASS_REPLYING] = 20000;
	mt_ledger_settle(&ledger, &conns[9].account, &before, &now, &o, false);
	CU_ASSERT_EQUAL(ledger.classes[MT_CLASS_REPLYING].charged, 20000);
	mt_ledger_turn(&ledger);
	CU_ASSERT_EQUAL(ledger.pressed, 1u << MT_CLASS_REPLYING);
	CU_ASSERT_EQUAL(ledger.classes[MT_CLASS_REPLYING].peak, 20000);
	ledger.classes[MT_CLASS_REPLYING].evicted = 3;
	mt_ledger_add(&ledger, MT_CLASS_REPLYING, -5000);
	n = mt_ledger_read(&ledger, MT_CLASS_REPLYING);
	CU_ASSERT_EQUAL(n.charged, 15000);
	CU_ASSERT_EQUAL(n.share, 32768);
	CU_ASSERT_EQUAL(n.peak, 20000);
	CU_ASSERT_EQUAL(n.holders, 1);
	CU_ASSERT_EQUAL(n.evicted, 3);
	mt_ledger_add(&ledger, MT_CLASS_REPLYING, 5000);
	settle_nothing();
	mt_ledger_fini(&ledger);
}

/* Of a pressed class: half of an even part, divided among its connections, for those whose holder has more than that. */
static void test_part_of_who_holds_much(void)
{
	open_ledger(400000);
	settle(0, MT_CLASS_STREAMING, 150000);
	settle(PEERS, MT_CLASS_STREAMING, 20000); /* the same peer's */
	settle(2, MT_CLASS_STREAMING, 80000);
	CU_ASSERT_EQUAL(mt_ledger_part(&ledger, conns[0].account, MT_CLASS_STREAMING), 0);
	mt_ledger_turn(&ledger);
	CU_ASSERT_EQUAL(mt_ledger_part(&ledger, conns[0].account, MT_CLASS_STREAMING), 50000);
	CU_ASSERT_EQUAL(mt_ledger_part(&ledger, conns[PEERS].account, MT_CLASS_STREAMING), 50000);
	CU_ASSERT_EQUAL(mt_ledger_part(&ledger, conns[2].account, MT_CLASS_STREAMING), 0);
	CU_ASSERT_EQUAL(mt_ledger_part(&ledger, 0, MT_CLASS_STREAMING), 0);
	for (uint32_t conn = 0; conn < CONNS; conn++) {
		struct mt_account_owner o = owner_of(conn);

		CU_ASSERT_EQUAL(mt_ledger_part_of(&ledger, o.side, &o.peer, MT_CLASS_STREAMING),
			conn % PEERS == 0 ? 50000 : 0);
		CU_ASSERT_EQUAL(mt_ledger_part_of(&ledger, o.side, &o.peer, MT_CLASS_RESENDING), 0);
	}
	CU_ASSERT_EQUAL(mt_ledger_part(&ledger, conns[0].account, MT_CLASS_RESENDING), 0);
	settle_nothing();
	mt_ledger_fini(&ledger);
}

const struct mt_test ledger_tests[] = {
	{"networks count when parts are tiny", test_networks_count_when_parts_are_tiny},
	{"small victim is the largest", test_small_victim_is_the_largest},
	{"crowd until there is room", test_crowd_until_there_is_room},
	{"crowd until some are large", test_crowd_until_some_are_large},
	{"crowd for half of the time", test_crowd_for_half_of_the_time},
	{"part of who holds much", test_part_of_who_holds_much},
	{"random settlements", test_random},
	{"victims", test_victims},
	{"small accounts find no holder", test_small_accounts_find_no_holder},
	{"sweep finds who came in small pieces", test_sweep_finds_who_came_in_small_pieces},
	{"added bytes become the account's", test_added_bytes_become_the_accounts},
	{"lesser holder is never the victim", test_lesser_holder_is_never_the_victim},
	{"neighbours count as one when there are too many",
		test_neighbours_count_as_one_when_there_are_too_many},
	{0},
};
