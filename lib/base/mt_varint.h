/* SPDX-License-Identifier: Apache-2.0 */
/* Varints (LEB128, as in protobuf and in Thrift's compact protocol). */
#pragma once

#include "mt_base.h"

#define MT_VARINT_MOST 10 /* bytes */

static inline uint32_t mt_varint_len(uint64_t v)
{
	uint32_t n = 1;

	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

/* Writes it in the fewest bytes; returns their number. */
static inline uint32_t mt_varint_put(uint8_t *to, uint64_t v)
{
	uint32_t n = 0;

	for (; v >= 0x80; v >>= 7)
		to[n++] = (uint8_t)(v | 0x80);
	to[n++] = (uint8_t)v;
	return n;
}
