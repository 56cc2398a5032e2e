/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/*
 * qsort(3) for arrays that are usually in order already, such as a sorted list in which one of ten
 * thousand items has changed.
 */
void mt_sort(void *v, size_t n, size_t size, int (*cmp)(const void *, const void *));
