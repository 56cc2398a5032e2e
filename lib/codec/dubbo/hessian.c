/* SPDX-License-Identifier: Apache-2.0 */
#include "hessian.h"

#include <errno.h>

static void str_tag(struct hs_str *s, uint8_t tag)
{
	s->phase = HS_CHARS;
	s->bytes = 0;
	s->more = false;
	if (tag <= 0x1f) {
		s->units = tag;
	} else if (tag >= 0x30 && tag <= 0x33) {
		s->units = (uint16_t)((tag & 3) << 8);
		s->phase = HS_LEN2;
	} else if (tag == 'S' || tag == 'R') {
		s->more = tag == 'R';
		s->chunked |= s->more;
		s->phase = HS_LEN1;
	} else if (tag == 'N' && !s->chunked) {
		s->null = true;
		s->phase = HS_DONE;
	} else {
		s->phase = HS_BAD;
	}
}

/* Reads the first byte of a character: how many follow, and how many UTF-16 units it is. */
static bool char_head(struct hs_str *s, uint8_t b)
{
	if (b < 0x80) {
		s->units--;
	} else if (b >= 0xc2 && b < 0xe0) {
		s->cont = 1;
		s->units--;
	} else if (b >= 0xe0 && b < 0xf0) {
		s->cont = 2;
		s->units--;
	} else if (b >= 0xf0 && b < 0xf8 && s->units >= 2) {
		s->cont = 3;
		s->units -= 2;
	} else {
		return false;
	}
	/* Below this value fewer bytes would do. */
	s->least = b == 0xe0 ? 0xa0 : b == 0xf0 ? 0x90 : 0x80;
	return true;
}

static uint32_t str_chars(struct hs_str *s, const uint8_t *p, uint32_t n)
{
	uint32_t i = 0, run;

	while (i < n && (s->units || s->cont)) {
		s->slow++;
		if (s->cont) {
			if (p[i] < s->least || p[i] > 0xbf) {
				s->phase = HS_BAD;
				break;
			}
			i++;
			s->least = 0x80;
			s->cont--;
		} else if ((run = hs_ascii_run(p + i, MT_MIN((uint32_t)s->units, n - i))) > 0) {
			s->units = (uint16_t)(s->units - run);
			i += run;
		} else if (!char_head(s, p[i++])) {
			s->phase = HS_BAD;
			break;
		}
	}
	s->bytes += i;
	return i;
}

uint32_t hs_str_feed(struct hs_str *s, const uint8_t *p, uint32_t n)
{
	uint32_t i = 0;

	if (mt_likely(s->phase == HS_TAG && !s->chunked && n > 0)) {
		struct mt_slice text;

		i = hs_short_str(p, n, &text);
		if (mt_likely(i > 0)) {
			s->bytes = text.len;
			s->phase = HS_DONE;
			return i;
		}
	}

	while (s->phase < HS_DONE) {
		if (s->phase == HS_CHARS) {
			i += str_chars(s, p + i, n - i);
			if (s->phase == HS_BAD || s->units || s->cont)
				break;
			s->phase = s->more ? HS_TAG : HS_DONE;
			continue;
		}
		if (i == n)
			break;
		s->slow++;
		if (s->phase == HS_TAG) {
			str_tag(s, p[i++]);
		} else if (s->phase == HS_LEN1) {
			s->units = (uint16_t)(p[i++] << 8);
			s->phase = HS_LEN2;
		} else {
			s->units |= p[i++];
			s->phase = HS_CHARS;
		}
	}
	return i;
}

/* Length of the UTF-8 character at t; 0: not valid. */
static uint32_t utf8_len(const uint8_t *t, uint32_t left)
{
	uint32_t n = t[0] < 0x80   ? 1
		     : t[0] < 0xc2 ? 0
		     : t[0] < 0xe0 ? 2
		     : t[0] < 0xf0 ? 3
		     : t[0] < 0xf5 ? 4
				   : 0;

	if (n > left)
		return 0;
	for (uint32_t i = 1; i < n; i++)
		if ((t[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

uint32_t hs_units(const char *text, uint32_t len)
{
	uint32_t units = 0, n;

	for (uint32_t i = 0; i < len; i += n ? n : 1) {
		n = utf8_len((const uint8_t *)text + i, len - i);
		units += n == 4 ? 2 : 1;
	}
	return units;
}

/* Writes a character as Java does; returns its bytes (at most 6). What is not UTF-8 becomes '?'. */
static uint32_t java_char(const uint8_t *t, uint32_t n, uint8_t *out)
{
	uint32_t cp, s[2];

	if (n == 0) {
		out[0] = '?';
		return 1;
	}
	if (n < 4) {
		memcpy(out, t, n);
		return n;
	}
	cp = (uint32_t)(t[0] & 7) << 18 | (uint32_t)(t[1] & 63) << 12 | (uint32_t)(t[2] & 63) << 6 |
	     (t[3] & 63);
	s[0] = 0xd800 + ((cp - 0x10000) >> 10);
	s[1] = 0xdc00 + ((cp - 0x10000) & 0x3ff);
	for (int i = 0; i < 2; i++) {
		out[3 * i] = (uint8_t)(0xe0 | s[i] >> 12);
		out[3 * i + 1] = (uint8_t)(0x80 | (s[i] >> 6 & 63));
		out[3 * i + 2] = (uint8_t)(0x80 | (s[i] & 63));
	}
	return 6;
}

static uint32_t str_head(uint8_t *h, uint32_t units)
{
	if (units <= 0x1f) {
		h[0] = (uint8_t)units;
		return 1;
	}
	if (units <= 1023) {
		h[0] = (uint8_t)(0x30 | units >> 8);
		h[1] = (uint8_t)units;
		return 2;
	}
	h[0] = 'S';
	h[1] = (uint8_t)(units >> 8);
	h[2] = (uint8_t)units;
	return 3;
}

int hs_write_str(struct mt_chain *out, const char *text, uint32_t len, struct mt_pools *p)
{
	uint32_t units = MT_MIN(hs_units(text, len), (uint32_t)UINT16_MAX);
	uint8_t buf[256];
	uint32_t put = str_head(buf, units);

	for (uint32_t i = 0, n; i < len && units > 0; i += n ? n : 1) {
		if (put > sizeof(buf) - 6) {
			if (mt_chain_write(out, p, buf, put))
				return -ENOMEM;
			put = 0;
		}
		n = utf8_len((const uint8_t *)text + i, len - i);
		/* A pair that the limit would split becomes one unit. */
		if (n == 4 && units == 1) {
			buf[put++] = '?';
			break;
		}
		put += java_char((const uint8_t *)text + i, n, buf + put);
		units -= n == 4 ? 2 : 1;
	}
	return mt_chain_write(out, p, buf, put);
}
