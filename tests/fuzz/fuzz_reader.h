/* SPDX-License-Identifier: Apache-2.0 */
/* An input that says what to do, number by number; behind its end all are 0. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct reader {
	const uint8_t *at;
	size_t left;
};

static inline uint32_t u8(struct reader *r)
{
	if (!r->left)
		return 0;
	r->left--;
	return *r->at++;
}

static inline uint32_t u16(struct reader *r)
{
	uint32_t high = u8(r);

	return high << 8 | u8(r);
}
