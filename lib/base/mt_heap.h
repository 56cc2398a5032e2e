/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small objects that come by the thousand and go by the thousand, on the control thread: pages of one size of object
 * each, apart from what malloc() has. A page goes back to the system with its last object, where malloc() would keep
 * holes between what stays; one that has room is filled before a new one is made. Not thread-safe.
 */
#pragma once

#include "mt_base.h"

/* Objects of up to this many bytes; longer ones are malloc()'s, which gives those back by itself. */
#define MT_HEAP_MAX  2048u
#define MT_HEAP_STEP 32u

struct mt_heap_page;

/* All zero: empty. */
struct mt_heap {
	struct mt_heap_page
		*room[MT_HEAP_MAX / MT_HEAP_STEP]; /* by size: pages that are not full */
	uint64_t pages;
};

/* Bytes of the pages that all heaps of the process hold. Any thread. */
uint64_t mt_heap_mapped(void);
/* Zeroed, aligned for anything; NULL: no memory. */
void *mt_heap_alloc(struct mt_heap *h, size_t size);
/* `size` as it was asked for. NULL: nothing to do. The heap holds nothing of its own once all is freed. */
void mt_heap_free(struct mt_heap *h, void *p, size_t size);
