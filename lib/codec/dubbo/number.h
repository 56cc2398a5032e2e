/* SPDX-License-Identifier: Apache-2.0 */
/* Tags of values: the kind, the length if it is fixed, and the values of numbers. */
#pragma once

#include <stdint.h>

/* Big-endian, sign-extended from the first byte. */
static inline int64_t hs_get_int(const uint8_t *p, uint32_t n)
{
	int64_t v = (int8_t)p[0];

	for (uint32_t i = 1; i < n; i++)
		v = (int64_t)((uint64_t)v << 8 | p[i]);
	return v;
}

enum hs_class {
	HS_C_NONE, /* no value starts with this tag */
	HS_C_STRING,
	HS_C_INT,
	HS_C_LONG,
	HS_C_FIXED,
	HS_C_BINARY,
	HS_C_NUMBERED, /* a tag and an int: an object's class, a list's length, a reference */
	HS_C_CONTAINER,
	HS_C_DEFINITION,
};

/* The class in the upper 4 bits. The length in the lower 4 bits, with the tag, if it is fixed. */
#define HS_TAG_IS(class, len) ((uint8_t)((class) << 4 | (len)))

static const uint8_t hs_tags[256] = {
	[0x00 ... 0x1f] = HS_TAG_IS(HS_C_STRING, 0),
	[0x20 ... 0x2f] = HS_TAG_IS(HS_C_BINARY, 0),
	[0x30 ... 0x33] = HS_TAG_IS(HS_C_STRING, 0),
	[0x34 ... 0x37] = HS_TAG_IS(HS_C_BINARY, 0),
	[0x38 ... 0x3f] = HS_TAG_IS(HS_C_LONG, 3),
	['A'] = HS_TAG_IS(HS_C_BINARY, 0),
	['B'] = HS_TAG_IS(HS_C_BINARY, 0),
	['C'] = HS_TAG_IS(HS_C_DEFINITION, 0),
	['D'] = HS_TAG_IS(HS_C_FIXED, 9),
	['F'] = HS_TAG_IS(HS_C_FIXED, 1),
	['H'] = HS_TAG_IS(HS_C_CONTAINER, 0),
	['I'] = HS_TAG_IS(HS_C_INT, 5),
	['J'] = HS_TAG_IS(HS_C_FIXED, 9),
	['K'] = HS_TAG_IS(HS_C_FIXED, 5),
	['L'] = HS_TAG_IS(HS_C_LONG, 9),
	['M'] = HS_TAG_IS(HS_C_CONTAINER, 0),
	['N'] = HS_TAG_IS(HS_C_FIXED, 1),
	['O'] = HS_TAG_IS(HS_C_NUMBERED, 0),
	['Q'] = HS_TAG_IS(HS_C_NUMBERED, 0),
	['R'] = HS_TAG_IS(HS_C_STRING, 0),
	['S'] = HS_TAG_IS(HS_C_STRING, 0),
	['T'] = HS_TAG_IS(HS_C_FIXED, 1),
	['U'] = HS_TAG_IS(HS_C_CONTAINER, 0),
	['V'] = HS_TAG_IS(HS_C_CONTAINER, 0),
	['W'] = HS_TAG_IS(HS_C_CONTAINER, 0),
	['X'] = HS_TAG_IS(HS_C_NUMBERED, 0),
	['Y'] = HS_TAG_IS(HS_C_LONG, 5),
	[0x5b ... 0x5c] = HS_TAG_IS(HS_C_FIXED, 1),
	[0x5d] = HS_TAG_IS(HS_C_FIXED, 2),
	[0x5e] = HS_TAG_IS(HS_C_FIXED, 3),
	[0x5f] = HS_TAG_IS(HS_C_FIXED, 5),
	[0x60 ... 0x7f] = HS_TAG_IS(HS_C_CONTAINER, 0),
	[0x80 ... 0xbf] = HS_TAG_IS(HS_C_INT, 1),
	[0xc0 ... 0xcf] = HS_TAG_IS(HS_C_INT, 2),
	[0xd0 ... 0xd7] = HS_TAG_IS(HS_C_INT, 3),
	[0xd8 ... 0xef] = HS_TAG_IS(HS_C_LONG, 1),
	[0xf0 ... 0xff] = HS_TAG_IS(HS_C_LONG, 2),
};

static inline enum hs_class hs_class_of(uint8_t tag)
{
	return (enum hs_class)(hs_tags[tag] >> 4);
}

/* For an int, a long or a value of fixed width. */
static inline uint32_t hs_len_of(uint8_t tag)
{
	return hs_tags[tag] & 15;
}

static inline int64_t hs_int_value(const uint8_t *p)
{
	switch (hs_len_of(p[0])) {
	case 1:
		return p[0] - 0x90;
	case 2:
		return (int64_t)(p[0] - 0xc8) * 256 + p[1];
	case 3:
		return (int64_t)(p[0] - 0xd4) * 65536 + (p[1] << 8 | p[2]);
	default:
		return hs_get_int(p + 1, 4);
	}
}

static inline int64_t hs_long_value(const uint8_t *p)
{
	switch (hs_len_of(p[0])) {
	case 1:
		return p[0] - 0xe0;
	case 2:
		return (int64_t)(p[0] - 0xf8) * 256 + p[1];
	case 3:
		return (int64_t)(p[0] - 0x3c) * 65536 + (p[1] << 8 | p[2]);
	case 5:
		return hs_get_int(p + 1, 4);
	default:
		return hs_get_int(p + 1, 8);
	}
}
