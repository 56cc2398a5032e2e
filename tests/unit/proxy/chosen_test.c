/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of listeners that authors chose so that their hashes would be equal without a key. */
#include "crowd.h"
#include "scene.h"

/* What mt_snapshot.lookup points to. */
struct lookup {
	uint32_t mask;
	uint32_t slots[];
};

/* The i-th of many that agree in q[0] * 0x9e3779b97f4a7c15 ^ q[1]. */
static struct mt_addr chosen(uint32_t i)
{
	struct mt_addr a = {.b = {0x20, 0x01, 0x0d, 0xb8}};

	a.q[0] += (uint64_t)i << 32;
	a.q[1] = a.q[0] * 0x9e3779b97f4a7c15ull ^ 1;
	return a;
}

static void addresses(void)
{
	static struct mt_listener listeners[CROWD];
	struct mt_snapshot s = {.listeners = listeners, .n_listeners = CROWD};
	const struct lookup *l;
	struct mt_addr other = chosen(CROWD);

	for (uint32_t i = 0; i < CROWD; i++)
		listeners[i] = (struct mt_listener){.addr = chosen(i), .port = 80};
	CU_ASSERT_EQUAL_FATAL(mt_snapshot_index(&s), 0);
	l = s.lookup;
	CU_ASSERT(crowd_longest_row(l->slots, l->mask + 1) <= CROWD_ROW);
	for (uint32_t i = 0; i < CROWD; i++)
		CU_ASSERT_PTR_EQUAL(
			mt_snapshot_listener(&s, &listeners[i].addr, 80), &listeners[i]);
	CU_ASSERT_PTR_NULL(mt_snapshot_listener(&s, &listeners[0].addr, 81));
	CU_ASSERT_PTR_NULL(mt_snapshot_listener(&s, &other, 80));
	mt_snapshot_index_free(&s);
}

const struct mt_test chosen_tests[] = {{"addresses of listeners", addresses}, {0}};
