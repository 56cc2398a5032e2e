/* SPDX-License-Identifier: Apache-2.0 */
#include "allocations.h"

#include <stddef.h>

static uint64_t made;

void *__real_malloc(size_t len);
void *__real_calloc(size_t n, size_t len);
void *__real_realloc(void *p, size_t len);
void *__real_aligned_alloc(size_t align, size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t n, size_t len);
void *__wrap_realloc(void *p, size_t len);
void *__wrap_aligned_alloc(size_t align, size_t len);

void *__wrap_malloc(size_t len)
{
	made++;
	return __real_malloc(len);
}

void *__wrap_calloc(size_t n, size_t len)
{
	made++;
	return __real_calloc(n, len);
}

void *__wrap_realloc(void *p, size_t len)
{
	made++;
	return __real_realloc(p, len);
}

void *__wrap_aligned_alloc(size_t align, size_t len)
{
	made++;
	return __real_aligned_alloc(align, len);
}

uint64_t allocations(void)
{
	return made;
}
