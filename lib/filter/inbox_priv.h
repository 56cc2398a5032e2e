/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/filter: the ring of an inbox. To be included first: DPDK's rings are to use C11's atomics, which the compiler
 * and the thread sanitizer know.
 */
#pragma once

#define RTE_USE_C11_MEM_MODEL 1
#include "mt_filter_inbox.h"

#include <rte_ring.h>

#define NO_VALUE UINT16_MAX

/*
 * What the ring holds. `stamp` is the last thing that a producer writes: the ring orders that already, but by a word that it
 * reads in two sizes, which the thread sanitizer does not follow.
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
