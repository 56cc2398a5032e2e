/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/filter: the ring of an inbox. Must be included first, so that DPDK's rings use C11
 * atomics, which the compiler and the thread sanitizer understand.
 */
#pragma once

#define RTE_USE_C11_MEM_MODEL 1
#include "mt_filter_inbox.h"

#include <rte_ring.h>

#define NO_VALUE UINT16_MAX

/*
 * An element of the ring. A producer writes `stamp` last. The ring already provides this ordering,
 * but by a word that it accesses in two sizes, which the thread sanitizer does not follow.
 */
struct letter {
	uint32_t stamp;
	uint8_t verdict, answer, n_changes, text_len;
	struct mt_filter_ticket ticket;
	struct {
		uint16_t key_len, value_len; /* NO_VALUE: the key is removed */
	} change[MT_FILTER_CHANGES_MAX];
	char text[MT_FILTER_TEXT_MAX + 1];
	char bytes[MT_FILTER_CHANGES_BYTES_MAX];
};
_Static_assert(sizeof(struct letter) % 4 == 0, "the ring's elements are words");
