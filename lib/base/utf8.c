/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_utf8.h"

#include <string.h>

/* Neither overlong forms nor surrogates, and nothing above U+10FFFF. */
uint32_t mt_utf8_char(const uint8_t *p, size_t n)
{
	uint8_t lo = 0x80, hi = 0xbf;
	uint32_t len;

	if (n == 0 || p[0] < 0x80)
		return n > 0;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
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

bool mt_is_utf8(struct mt_slice s)
{
	for (uint32_t i = 0, len; i < s.len; i += len) {
		len = mt_utf8_char(s.p + i, s.len - i);
		if (!len)
			return false;
	}
	return true;
}

bool mt_is_protobuf_text(struct mt_slice s)
{
	return !s.len || (!memchr(s.p, 0, s.len) && mt_is_utf8(s));
}
