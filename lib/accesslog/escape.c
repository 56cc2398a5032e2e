/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that a client may choose, for lines of text and for JSON strings. */
#include "mt_alog_escape.h"

#include "mt_log.h"

#include <string.h>

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

#define EACH(byte) (0x0101010101010101ull * (byte))

/* Non-zero if one of the 8 bytes is special. */
static uint64_t any_special(uint64_t x)
{
	uint64_t quote = x ^ EACH('"'), backslash = x ^ EACH('\\'), delete = x ^ EACH(0x7f);

	/* The high bit of a byte: it is 0x80 or more, below 0x20, or equal. */
	return (x | (x - EACH(0x20)) | (quote - EACH(1)) | (backslash - EACH(1)) |
		       (delete - EACH(1))) &
	       EACH(0x80);
}

/* Copies bytes up to the first special one, at most n. Returns their number. */
static uint32_t copy_ordinary(char *to, const uint8_t *p, uint32_t n)
{
	uint32_t i = 0;
	uint64_t x = 0;

	for (; n - i >= sizeof(x); i += (uint32_t)sizeof(x)) {
		memcpy(&x, p + i, sizeof(x));
		if (any_special(x))
			break;
		memcpy(to + i, &x, sizeof(x));
	}
	/* The last 8 bytes, some of them again. */
	if (i && n - i < sizeof(x)) {
		memcpy(&x, p + n - sizeof(x), sizeof(x));
		if (!any_special(x)) {
			memcpy(to + n - sizeof(x), &x, sizeof(x));
			return n;
		}
	}
	for (; i < n && !special[p[i]]; i++)
		to[i] = (char)p[i];
	return i;
}

void mt_alog_escape(struct mt_alog_out *o, struct mt_slice s, bool json)
{
	uint32_t i = 0, step;
	char form[8];

	while (i < s.len) {
		/* A long value is read no further than it may be written. */
		uint32_t room = o->end - o->len;
		uint32_t n = copy_ordinary(o->p + o->len, s.p + i, MT_MIN(s.len - i, room));

		o->len += n;
		i += n;
		if (i == s.len)
			return;
		n = form_of(form, s.p + i, s.len - i, json, &step);
		if (n > o->end - o->len) {
			o->cut = true;
			return;
		}
		put(o, form, n);
		i += step;
	}
}

uint32_t mt_alog_digits(char *to, uint64_t n)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930"
				    "31323334353637383940414243444546474849505152535455565758596061"
				    "62636465666768697071727374757677787980818283848586878889909192"
				    "93949596979899";
	uint64_t power = 10;
	uint32_t len = 1, i;

	for (; len < 20 && n >= power; len++)
		power *= 10;
	for (i = len; i >= 2; n /= 100)
		memcpy(to + (i -= 2), pairs + n % 100 * 2, 2);
	if (i)
		*to = (char)('0' + n);
	return len;
}
