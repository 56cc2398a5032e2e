/* SPDX-License-Identifier: Apache-2.0 */
/* The heap in use, for tests whose program must not grow. */
#pragma once

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
size_t __sanitizer_get_current_allocated_bytes(void); /* GCC has no header with it */

/* Bytes that are allocated and not freed. glibc's own figures do not change in a sanitized build. */
static inline size_t heap_used(void)
{
	return __sanitizer_get_current_allocated_bytes();
}
#else
#include <malloc.h>

static inline size_t heap_used(void)
{
	return mallinfo2().uordblks;
}
#endif
