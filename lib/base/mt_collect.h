/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that come in pieces, up to a limit, such as the body of an answer. Not for workers. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct mt_collected {
	char *p; /* NULL: no bytes */
	size_t len, max;
	bool too_long;
};

/*
 * Appends n bytes to the struct mt_collected. Returns n; or 0 if there would be more than `max`, or
 * there is no memory. A CURLOPT_WRITEFUNCTION, for which `size` is always 1.
 */
size_t mt_collect(char *data, size_t size, size_t n, void *collected);
/* Frees the bytes; the limit stays. */
void mt_collected_clear(struct mt_collected *c);
