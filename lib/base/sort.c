/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_sort.h"

#include <stdint.h>
#include <stdlib.h>

void mt_sort(void *v, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	const uint8_t *p = v;

	for (size_t i = 1; i < n; i++)
		if (cmp(p + (i - 1) * size, p + i * size) > 0) {
			qsort(v, n, size, cmp);
			return;
		}
}
