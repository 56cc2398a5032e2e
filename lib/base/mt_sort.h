/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* qsort(3) for what is nearly always in order already, as lists are that were in order before one of ten thousand changed. */
void mt_sort(void *v, size_t n, size_t size, int (*cmp)(const void *, const void *));
