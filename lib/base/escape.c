/* SPDX-License-Identifier: Apache-2.0 */
/* Escapes text with any content, for terminals and logs, and for YAML. */
#include "mt_log.h"
#include "mt_quoted.h"
#include "mt_utf8.h"

#include <stdio.h>
#include <string.h>

size_t mt_utf8_len(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = *p < 0x80 ? 0 : mt_utf8_char(p, len);

	/* C1 controls */
	return n && *p == 0xc2 && p[1] < 0xa0 ? 0 : n;
}

/*
 * Writes the shown form of the character at p; returns its length. *step: bytes of p in the
 * character.
 */
static size_t show_char(char form[8], const unsigned char *p, size_t *step)
{
	size_t n = *p < 0x80 ? 1 : mt_utf8_len((const char *)p, 4);

	*step = n ? n : 1;
	if (*p == '\n' || *p == '\t')
		return (size_t)snprintf(form, 8, "\\%c", *p == '\n' ? 'n' : 't');
	if (n == 0 || *p < 0x20 || *p == 0x7f)
		return (size_t)snprintf(form, 8, "\\x%02x", *p);
	memcpy(form, p, n);
	return n;
}

size_t mt_escape(char *out, size_t size, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = 0, step;

	for (; *p; p += step) {
		char form[8];
		size_t len = show_char(form, p, &step);

		if (n + len >= size)
			break;
		memcpy(out + n, form, len);
		n += len;
	}
	if (size)
		out[n] = '\0';
	return n;
}

/* ---- YAML ------------------------------------------------------------------------------------ */

/* Writes an escape sequence: `kind` and so many hexadecimal digits. */
static void put_hex(FILE *f, char kind, uint32_t c, int digits)
{
	fputc('\\', f);
	fputc(kind, f);
	while (digits-- > 0)
		fputc("0123456789abcdef"[c >> (4 * digits) & 15], f);
}

/* Writes the character at `p`, which is not ASCII, by its number. Returns its length in bytes. */
static size_t put_number(FILE *f, const unsigned char *p)
{
	size_t n = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : *p >= 0xc2 ? 2 : 0;
	uint32_t c = n ? *p & (0x7fu >> n) : 0;

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			n = 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (!n)
		put_hex(f, 'x', *p, 2);
	else if (c > 0xffff)
		put_hex(f, 'U', c, 8);
	else
		put_hex(f, 'u', c, 4);
	return n ? n : 1;
}

void mt_put_quoted(FILE *f, const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	fputc('"', f);
	while (*p) {
		if (*p >= 0x80) {
			p += put_number(f, p);
			continue;
		}
		if (*p < 0x20 || *p == 0x7f) {
			put_hex(f, 'x', *p, 2);
		} else {
			if (*p == '"' || *p == '\\')
				fputc('\\', f);
			fputc(*p, f);
		}
		p++;
	}
	fputc('"', f);
}
