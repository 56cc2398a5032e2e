/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times: strftime(), with %f and %1f to %9f for digits of the second and %s for seconds since 1970.
 * Parts that change once a second are kept for that second.
 */
#include "mt_alog_format_priv.h"

#define PARTS 16

/* Length of "%f", "%3f" or "%s" at p; 0: it is something else. *digits: 0 for seconds. */
static size_t special(const char *p, size_t n, uint8_t *digits)
{
	if (n >= 2 && p[0] == '%' && (p[1] == 'f' || p[1] == 's')) {
		*digits = p[1] == 'f' ? 9 : 0;
		return 2;
	}
	if (n >= 3 && p[0] == '%' && p[1] >= '1' && p[1] <= '9' && p[2] == 'f') {
		*digits = (uint8_t)(p[1] - '0');
		return 3;
	}
	return 0;
}

/* True if strftime() writes a newline for the conversion at p, also with flags and a width. */
static bool is_newline(const char *p, size_t n)
{
	size_t i = 1;

	while (i < n && strchr("-_0^#", p[i]))
		i++;
	while (i < n && p[i] >= '0' && p[i] <= '9')
		i++;
	if (i < n && (p[i] == 'E' || p[i] == 'O'))
		i++;
	return i < n && p[i] == 'n';
}

/* Length of the text before the next special conversion. */
static size_t ordinary(const char *p, size_t n, const char **why)
{
	uint8_t digits;
	size_t i = 0;

	while (i < n && !special(p + i, n - i, &digits)) {
		if (p[i] == '%' && is_newline(p + i, n - i))
			*why = "the format of a time may not contain a newline";
		i += p[i] == '%' && i + 1 < n ? 2 : 1;
	}
	return i;
}

static const char *check(struct mt_slice format)
{
	if (format.len >= MT_ALOG_WHEN_TEXT)
		return "the format of a time has at most 127 bytes";
	for (uint32_t i = 0; i < format.len; i++)
		if (format.p[i] < 0x20)
			return "the format of a time may not contain control characters";
	return NULL;
}

/* Widths of strftime() may be large; a part that is longer than its place is refused here. */
static bool is_short(const char *format)
{
	char text[MT_ALOG_WHEN_TEXT];
	time_t some = 1000000000;
	struct tm tm;

	gmtime_r(&some, &tm);
	return strftime(text, sizeof(text), format, &tm) > 0;
}

struct mt_alog_when *mt_alog_when_compile(
	struct mt_region *a, struct mt_slice format, bool local, const char **why)
{
	const char *p = (const char *)format.p;
	size_t n = format.len;
	struct mt_alog_when *w;

	*why = check(format);
	if (*why)
		return NULL;
	if (local)
		tzset();
	w = mt_region_alloc(a, sizeof(*w) + PARTS * sizeof(w->part[0]));
	if (!w)
		return NULL;
	w->local = local;
	while (n > 0 && !*why) {
		struct mt_alog_when_part *part;
		size_t len;

		if (w->n == PARTS) {
			*why = "the format of a time has too many conversions";
			break;
		}
		part = &w->part[w->n++];
		part->second = INT64_MIN;
		len = special(p, n, &part->digits);
		if (!len) {
			len = ordinary(p, n, why);
			part->strftime = mt_region_strndup(a, p, len);
			if (!part->strftime)
				return NULL;
			if (!*why && !is_short(part->strftime))
				*why = "this format makes no time, or one of more than 127 bytes";
		}
		p += len;
		n -= len;
	}
	return *why ? NULL : w;
}

static void make(const struct mt_alog_when *w, struct mt_alog_when_part *part, int64_t second)
{
	time_t t = (time_t)second;
	struct tm tm;

	if (part->second == second)
		return;
	if (w->local)
		localtime_r(&t, &tm);
	else
		gmtime_r(&t, &tm);
	part->len = (uint8_t)strftime(part->text, sizeof(part->text), part->strftime, &tm);
	part->second = second;
}

uint32_t mt_alog_when_write(struct mt_alog_when *w, uint64_t wall, char text[MT_ALOG_WHEN_MAX])
{
	uint64_t second = wall / MT_SEC, ns = wall % MT_SEC;
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n; i++) {
		struct mt_alog_when_part *part = &w->part[i];
		char digits[20];
		uint32_t len;

		if (part->strftime) {
			make(w, part, (int64_t)second);
			len = MT_MIN(part->len, MT_ALOG_WHEN_MAX - n);
			memcpy(text + n, part->text, len);
		} else if (part->digits) {
			/* A digit before the zeros keeps them. */
			(void)mt_alog_digits(digits, MT_SEC + ns);
			len = MT_MIN(part->digits, MT_ALOG_WHEN_MAX - n);
			memcpy(text + n, digits + 1, len);
		} else {
			len = mt_alog_digits(digits, second);
			len = MT_MIN(len, MT_ALOG_WHEN_MAX - n);
			memcpy(text + n, digits, len);
		}
		n += len;
	}
	return n;
}
