/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that a client may choose, for lines of text and for JSON strings. */
#include "mt_alog_format_priv.h"

/* 1: a byte that is not written as it is. */
static const uint8_t special[256] = {[0 ... 0x1f] = 1, ['"'] = 1, ['\\'] = 1, [0x7f ... 0xff] = 1};

static void put(struct mt_alog_out *o, const void *p, uint32_t n)
{
	memcpy(o->p + o->len, p, n);
	o->len += n;
}

/* Form of a byte in text, \xNN, and in JSON of a byte that is not UTF-8, \\xNN. */
static uint32_t hex(char form[8], uint8_t byte, bool json)
{
	static const char digits[] = "0123456789abcdef";
	uint32_t n = 0;

	form[n++] = '\\';
	if (json)
		form[n++] = '\\';
	form[n++] = 'x';
	form[n++] = digits[byte >> 4];
	form[n++] = digits[byte & 15];
	return n;
}

/* RFC 8259 section 7. */
static uint32_t json_escape(char form[8], uint8_t byte)
{
	static const char digits[] = "0123456789abcdef";
	static const char letters[] = "\bb\ff\nn\rr\tt\"\"\\\\";

	form[0] = '\\';
	for (const char *l = letters; *l; l += 2)
		if ((uint8_t)l[0] == byte) {
			form[1] = l[1];
			return 2;
		}
	memcpy(form + 1, "u00", 3);
	form[4] = digits[byte >> 4];
	form[5] = digits[byte & 15];
	return 6;
}

/* The form of the character at p, which has n bytes; *step: its bytes. */
static uint32_t form_of(char form[8], const uint8_t *p, uint32_t n, bool json, uint32_t *step)
{
	uint32_t len = *p < 0x80 ? 0 : (uint32_t)mt_utf8_len((const char *)p, n);

	*step = len ? len : 1;
	if (len) {
		memcpy(form, p, len);
		return len;
	}
	return json && *p < 0x80 ? json_escape(form, *p) : hex(form, *p, json);
}

void mt_alog_escape(struct mt_alog_out *o, struct mt_slice s, bool json)
{
	uint32_t i = 0, step;
	char form[8];

	while (i < s.len && !o->cut) {
		uint32_t start = i, room = o->end - o->len, n;

		/* A long value is read no further than it may be written. */
		while (i < s.len && i - start <= room && !special[s.p[i]])
			i++;
		n = MT_MIN(i - start, room);
		put(o, s.p + start, n);
		o->cut = n < i - start;
		if (o->cut || i == s.len)
			return;
		n = form_of(form, s.p + i, s.len - i, json, &step);
		o->cut = n > o->end - o->len;
		if (!o->cut)
			put(o, form, n);
		i += step;
	}
}

uint32_t mt_alog_digits(char *to, uint64_t n)
{
	char digits[20];
	uint32_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	memcpy(to, digits + i, sizeof(digits) - i);
	return (uint32_t)sizeof(digits) - i;
}
