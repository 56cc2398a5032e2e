/* SPDX-License-Identifier: Apache-2.0 */
#include "re2_shim.h"

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>

#include <re2/re2.h>

struct mt_re2 {
	explicit mt_re2(const re2::StringPiece &pattern, const RE2::Options &options)
	    : re(pattern, options)
	{
	}
	RE2 re;
};

struct mt_re2 *mt_re2_new(const char *pattern, size_t len, char *errbuf, size_t errlen)
{
	RE2::Options options;
	mt_re2 *r;

	options.set_log_errors(false);
	options.set_never_capture(true);
	options.set_max_mem(MT_RE2_MEM);
	/* Values are not lines: a line feed must not evade "admin.*". */
	options.set_dot_nl(true);
	r = new (std::nothrow) mt_re2(re2::StringPiece(pattern, len), options);
	if (!r) {
		snprintf(errbuf, errlen, "no memory for a regex");
		return nullptr;
	}
	if (!r->re.ok()) {
		snprintf(errbuf, errlen, "bad regex: %s", r->re.error().c_str());
		delete r;
		return nullptr;
	}
	return r;
}

void mt_re2_free(struct mt_re2 *re)
{
	delete re;
}

/* ---- values that are not UTF-8 ---------------------------------------------------------------------- */

static bool is_between(uint8_t b, uint8_t lo, uint8_t hi)
{
	return b >= lo && b <= hi;
}

/* Bytes of the character at the start of the text (RFC 3629 §4); 0: none. */
static size_t character(const uint8_t *p, size_t n)
{
	const uint8_t b = p[0];
	uint8_t lo = 0x80, hi = 0xbf;
	size_t len;

	if (b < 0x80)
		return 1;
	if (!is_between(b, 0xc2, 0xf4))
		return 0;
	len = b < 0xe0 ? 2 : b < 0xf0 ? 3 : 4;
	/* Neither overlong forms nor surrogates, and nothing above U+10FFFF. */
	if (b == 0xe0)
		lo = 0xa0;
	else if (b == 0xed)
		hi = 0x9f;
	else if (b == 0xf0)
		lo = 0x90;
	else if (b == 0xf4)
		hi = 0x8f;
	if (n < len || !is_between(p[1], lo, hi))
		return 0;
	for (size_t i = 2; i < len; i++)
		if (!is_between(p[i], 0x80, 0xbf))
			return 0;
	return len;
}

static bool is_utf8(const uint8_t *p, size_t n)
{
	for (size_t i = 0, len; i < n; i += len) {
		len = character(p + i, n - i);
		if (!len)
			return false;
	}
	return true;
}

/*
 * Matches the text with U+FFFD for each byte that is not part of a character. False if it is longer
 * than any value of a call. Not inlined, because its copy takes 96 KiB of stack, which calls of
 * UTF-8 need not touch.
 */
__attribute__((noinline)) static bool match_replaced(const struct mt_re2 *re, const uint8_t *p, size_t n)
{
	static const char replacement[] = "\xef\xbf\xbd";
	char text[3 * MT_RE2_VALUE];
	size_t to = 0;

	if (n > MT_RE2_VALUE)
		return false;
	for (size_t i = 0; i < n;) {
		const size_t len = character(p + i, n - i);

		if (len) {
			memcpy(text + to, p + i, len);
			to += len;
		} else {
			memcpy(text + to, replacement, 3);
			to += 3;
		}
		i += len ? len : 1;
	}
	return RE2::FullMatch(re2::StringPiece(text, to), re->re);
}

bool mt_re2_full_match(const struct mt_re2 *re, const char *text, size_t len)
{
	const uint8_t *p = reinterpret_cast<const uint8_t *>(text);

	if (RE2::FullMatch(re2::StringPiece(text, len), re->re))
		return true;
	return !is_utf8(p, len) && match_replaced(re, p, len);
}
