/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of listeners, and their server names, that authors chose so that their hashes would be equal without a key. */
#include "crowd.h"
#include "mt_strmap.h"
#include "scene.h"

#include <stdio.h>

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

#define NAMES 1000

/* Names that agree in the low 12 bits of their FNV-1a. */
static const char *chosen_name(uint32_t i)
{
	static char names[NAMES][24];
	static uint32_t n, next;

	for (; n < NAMES; next++) {
		int len = snprintf(names[n], sizeof(names[n]), "h%u.example", next);

		n += (mt_hash_bytes(names[n], (size_t)len, 1) & 0xfff) == 7;
	}
	return names[i];
}

static void names_of_chains(void)
{
	static struct mt_filter_chain chains[NAMES];
	static const char *names[NAMES];
	struct mt_listener l = {.chains = chains, .n_chains = NAMES};
	uint32_t row = 0, most = 0, chain;

	for (uint32_t i = 0; i < NAMES; i++) {
		names[i] = chosen_name(i);
		chains[i] = (struct mt_filter_chain){
			.match = {.server_names = &names[i], .n_server_names = 1}};
	}
	CU_ASSERT_EQUAL_FATAL(mt_chain_names_build(&l), 0);
	for (uint32_t i = 0; i <= 2 * l.names->mask; i++) {
		row = l.names->slots[i & l.names->mask].name ? row + 1 : 0;
		most = MT_MAX(most, row);
	}
	CU_ASSERT(most <= CROWD_ROW);
	for (uint32_t i = 0; i < NAMES; i++) {
		struct mt_slice s = {(const uint8_t *)names[i], (uint32_t)strlen(names[i])};
		uint32_t at = 0;

		CU_ASSERT(mt_chain_names_next(l.names, s, &at, &chain) && chain == i);
		CU_ASSERT(!mt_chain_names_next(l.names, s, &at, &chain));
	}
	free(l.names);
}

const struct mt_test chosen_tests[] = {
	{"addresses of listeners", addresses}, {"server names of chains", names_of_chains}, {0}};
