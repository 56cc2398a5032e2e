/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_base.h"

#include <stdio.h>
#include <string.h>

void mt_assert_failed(const char *file, int line, const char *expr)
{
	fprintf(stderr, "meltemi: %s:%d: broken invariant: %s\n", file, line, expr);
	abort();
}

bool mt_slice_eq_str(struct mt_slice s, const char *str)
{
	size_t n = strlen(str);

	return s.len == n && memcmp(s.p, str, n) == 0;
}
