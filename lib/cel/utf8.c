/* SPDX-License-Identifier: Apache-2.0 */
/* Characters of texts. */
#include "mt_cel_priv.h"

#include "mt_utf8.h"

int64_t mt_cel_chars(struct mt_slice s)
{
	int64_t n = 0;

	for (uint32_t i = 0; i < s.len; n++) {
		uint32_t len = mt_utf8_char(s.p + i, s.len - i);

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
