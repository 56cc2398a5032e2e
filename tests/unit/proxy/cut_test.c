/* SPDX-License-Identifier: Apache-2.0 */
/* Byte streams of which one side is cut off: the other one gets what was acknowledged, and then the reset. */
#include "scene.h"

#include "mt_proxy_priv.h"

#include <string.h>

#define ALL   60000u
#define FIRST 4284u

static uint8_t bytes[ALL], got[ALL];

/* Joins a client and its server; `server_ends`: the server will be cut off. */
static void joined(bool server_ends, struct fake_conn **ends, struct fake_conn **left)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .half_closed_s = 30};
	struct fake_conn *c, *s;

	for (uint32_t i = 0; i < ALL; i++)
		bytes[i] = (uint8_t)(i * 31 >> 3);
	memset(got, 0, sizeof(got));
	scene_start_with(1, &conf);
	c = lab_client(CONFIG_OPAQUE);
	s = scene_connected_server(0);
	*ends = server_ends ? s : c;
	*left = server_ends ? c : s;
}

/* Reads what it has not read yet, so many bytes at once, while its connection is there. */
static uint32_t read_on(struct fake_conn *left, uint32_t have, uint32_t at_once)
{
	while (have < ALL && left->live) {
		uint32_t n = lab_take(left, got + have, at_once);

		if (n == 0)
			break;
		have += n;
	}
	return have;
}

static void check_counts(uint64_t lost)
{
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_reset), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_rest), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_rest_lost), lost);
	CU_ASSERT_EQUAL(lab.p->pairs.in_use, 0);
}

/* The other side reads a part first, and the rest a second after the reset. */
static void test_read_later(void)
{
	struct fake_conn *ends, *left;

	for (int from = 0; from < 2; from++)
		for (int held = 0; held < 2; held++) {
			uint32_t have;

			joined(from, &ends, &left);
			/* Most of it waits in the receive window for room on the other side. */
			if (held)
				left->s.tx_high = FIRST;
			lab_feed(ends, bytes, FIRST);
			lab_feed(ends, bytes + FIRST, ALL - FIRST);
			if (held)
				CU_ASSERT_EQUAL(ends->s.rx.len, ALL - FIRST);
			lab_close(ends, MT_CLOSE_RESET);
			have = lab_take(left, got, FIRST);
			CU_ASSERT_FALSE(left->aborted);
			lab_advance(MT_SEC);
			have = read_on(left, have, FIRST);
			CU_ASSERT_EQUAL(have, ALL);
			CU_ASSERT_EQUAL(memcmp(got, bytes, ALL), 0);
			CU_ASSERT_TRUE(left->aborted && !left->shut);
			check_counts(0);
			scene_stop();
		}
}

/* The side has sent its FIN, too, and is reset by what the other side still sends. */
static void test_after_its_fin(void)
{
	struct fake_conn *ends, *left;

	for (int from = 0; from < 2; from++)
		for (int held = 0; held < 2; held++) {
			uint32_t have;

			joined(from, &ends, &left);
			if (held)
				left->s.tx_high = FIRST;
			lab_feed(ends, bytes, FIRST);
			lab_feed(ends, bytes + FIRST, ALL - FIRST);
			lab_fin(ends);
			CU_ASSERT_EQUAL(left->shut, !held);
			lab_feed(left, "more", 4);
			lab_close(ends, MT_CLOSE_RESET);
			CU_ASSERT_TRUE(left->shut && left->refuses);
			lab_advance(MT_SEC);
			have = read_on(left, 0, FIRST);
			CU_ASSERT_EQUAL(have, ALL);
			CU_ASSERT_EQUAL(memcmp(got, bytes, ALL), 0);
			/* The reset must not overtake the FIN. */
			CU_ASSERT_FALSE(left->aborted);
			lab_advance(MT_SEC);
			CU_ASSERT_TRUE(left->aborted);
			check_counts(0);
			scene_stop();
		}
}

/* What it sends to the one that is gone is neither kept nor acknowledged. */
static void test_nothing_more_is_read(void)
{
	struct fake_conn *ends, *left;

	joined(true, &ends, &left);
	lab_feed(ends, bytes, ALL);
	left->s.rx_kept = 0;
	lab_close(ends, MT_CLOSE_TIMEOUT);
	CU_ASSERT_TRUE(left->refuses);
	CU_ASSERT_EQUAL(left->s.rx.len, 0);
	/* It ends on its own. */
	lab_close(left, MT_CLOSE_RESET);
	check_counts(1);
	scene_stop();
}

/* A side that reads nothing for ten seconds, or too little for as long as a half-closed stream may be quiet, is reset. */
static void test_never_read(void)
{
	struct fake_conn *ends, *left;
	uint32_t s = 0;

	for (int from = 0; from < 2; from++) {
		joined(from, &ends, &left);
		lab_feed(ends, bytes, ALL);
		lab_close(ends, MT_CLOSE_RESET);
		lab_advance(9 * MT_SEC);
		CU_ASSERT_FALSE(left->aborted);
		lab_advance(2 * MT_SEC);
		CU_ASSERT_TRUE(left->aborted);
		check_counts(1);
		scene_stop();
	}
	joined(true, &ends, &left);
	lab_feed(ends, bytes, ALL);
	lab_close(ends, MT_CLOSE_RESET);
	for (; left->live && s < 100; s++) {
		lab_take(left, got, 1);
		lab_advance(MT_SEC);
	}
	CU_ASSERT(s >= 29 && s <= 31);
	check_counts(1);
	scene_stop();
}

static void test_memory_is_short(void)
{
	struct fake_conn *ends, *left;

	for (int from = 0; from < 2; from++) {
		joined(from, &ends, &left);
		lab_feed(ends, bytes, ALL);
		lab_close(ends, MT_CLOSE_RESET);
		lab_evict(left, MT_CLASS_STREAMING);
		CU_ASSERT_TRUE(left->aborted);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_evicted_streaming), 1);
		check_counts(1);
		scene_stop();
	}
}

/* All of it is there: the reset does not wait. */
static void test_nothing_is_left(void)
{
	struct fake_conn *ends, *left;

	for (int from = 0; from < 2; from++) {
		joined(from, &ends, &left);
		lab_feed(ends, bytes, ALL);
		CU_ASSERT_EQUAL(read_on(left, 0, ALL), ALL);
		lab_close(ends, MT_CLOSE_RESET);
		CU_ASSERT_TRUE(left->aborted);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_rest), 0);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_reset), 1);
		scene_stop();
	}
}

const struct mt_test cut_tests[] = {{"read later", test_read_later},
	{"after its fin", test_after_its_fin}, {"nothing more is read", test_nothing_more_is_read},
	{"never read", test_never_read}, {"memory is short", test_memory_is_short},
	{"nothing is left", test_nothing_is_left}, {0}};
