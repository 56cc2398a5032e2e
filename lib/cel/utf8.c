/* SPDX-License-Identifier: Apache-2.0 */
/* Characters of texts (RFC 3629 section 4). */
#include "mt_cel_priv.h"

uint32_t mt_cel_char(const uint8_t *p, size_t n)
{
	uint8_t lo = 0x80, hi = 0xbf;
	uint32_t len;

	if (n == 0 || p[0] < 0x80)
		return n > 0;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	/* Neither overlong forms nor surrogates, and nothing above U+10FFFF. */
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (n < len || p[1] < lo || p[1] > hi)
		return 0;
	for (uint32_t i = 2; i < len; i++)
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	return len;
}

bool mt_cel_is_utf8(struct mt_slice s)
{
	for (uint32_t i = 0, len; i < s.len; i += len) {
		len = mt_cel_char(s.p + i, s.len - i);
		if (!len)
			return false;
	}
	return true;
}

int64_t mt_cel_chars(struct mt_slice s)
{
	int64_t n = 0;

	for (uint32_t i = 0; i < s.len; n++) {
		uint32_t len = mt_cel_char(s.p + i, s.len - i);

		i += len ? len : 1;
	}
	return n;
}

uint32_t mt_cel_put_char(uint8_t *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (uint8_t)(0xc0 | c >> 6);
		to[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (uint8_t)(0xe0 | c >> 12);
		to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		to[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (uint8_t)(0xf0 | c >> 18);
	to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	to[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}
