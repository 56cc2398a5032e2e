/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region: many small objects that are freed together (a configuration model, a snapshot). Memory
 * is zeroed and 16-byte aligned. Boot and control thread only. Without memory a call returns NULL
 * and the region stays `failed`, so that a long build can check once at its end.
 */
#pragma once

#include "mt_base.h"

#include <stdarg.h>

struct mt_region_block;

struct mt_region {
	struct mt_region_block *head;
	size_t used;  /* bytes handed out */
	size_t limit; /* 0: none; allocations beyond it fail */
	size_t first; /* bytes of the first block; 0: 4,096. Set less for very many small regions */
	bool failed;  /* some allocation returned NULL */
	bool wipe;    /* it contains private keys: memory is overwritten before it is freed */
};

void mt_region_init(struct mt_region *a, size_t limit);
void mt_region_fini(struct mt_region *a);

void *mt_region_alloc(struct mt_region *a, size_t size);
char *mt_region_strdup(struct mt_region *a, const char *s);
char *mt_region_strndup(struct mt_region *a, const char *s, size_t len);
char *mt_region_printf(struct mt_region *a, const char *fmt, ...) mt_printf(2, 3);
char *mt_region_vprintf(struct mt_region *a, const char *fmt, va_list ap) mt_printf(2, 0);

/*
 * Adds an item to an array of `n` items of `size` bytes; the array grows at powers of two and may
 * move. The new item is zeroed. NULL without memory; the old array stays.
 */
void *mt_region_push(struct mt_region *a, void **items, uint32_t *n, size_t size);
