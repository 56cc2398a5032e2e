/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small objects that are allocated and freed by the thousand, on the control thread. They are in
 * pages with objects of one size each, separate from malloc(). A page is unmapped with its last
 * object, where malloc() would keep holes between what stays. A page with room is filled before a
 * new one is mapped. Not thread-safe.
 */
#pragma once

#include "mt_base.h"

/*
 * The largest objects in pages; malloc() has larger ones, and returns them to the system by itself.
 */
#define MT_HEAP_MAX  2048u
#define MT_HEAP_STEP 32u

struct mt_heap_page;

/* All zero: empty. */
struct mt_heap {
	struct mt_heap_page
		*room[MT_HEAP_MAX / MT_HEAP_STEP]; /* by size: pages that are not full */
	uint64_t pages;
};

/* Bytes in the pages of all heaps of the process. Any thread. */
uint64_t mt_heap_mapped(void);
/* Zeroed, aligned for anything; NULL: no memory. */
void *mt_heap_alloc(struct mt_heap *h, size_t size);
/*
 * `size` as in mt_heap_alloc(). NULL is allowed. When all objects are freed, the heap has no
 * memory.
 */
void mt_heap_free(struct mt_heap *h, void *p, size_t size);
