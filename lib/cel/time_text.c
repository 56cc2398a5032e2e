/* SPDX-License-Identifier: Apache-2.0 */
/* Times (RFC 3339) and durations (as 1h30m, 1.5s) as texts. */
#include "mt_cel_priv.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Reads n digits, then the byte `after` unless that is 0. */
static bool field(struct mt_slice *s, uint32_t n, char after, int32_t *value)
{
	*value = 0;
	if (s->len < n + (after != 0))
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (!isdigit(s->p[i]))
			return false;
		*value = *value * 10 + (s->p[i] - '0');
	}
	if (after && s->p[n] != after)
		return false;
	n += after != 0;
	s->p += n;
	s->len -= n;
	return true;
}

/* Reads `.123`; digits after the ninth count as nothing. */
static bool fraction(struct mt_slice *s, int64_t *ns)
{
	int64_t unit = MT_CEL_NS;
	uint32_t i = 1;

	*ns = 0;
	if (s->len == 0 || s->p[0] != '.')
		return true;
	for (; i < s->len && isdigit(s->p[i]); i++) {
		unit /= 10;
		*ns += unit * (s->p[i] - '0');
	}
	s->p += i;
	s->len -= i;
	return i > 1;
}

static bool zone(struct mt_slice s, int64_t *offset)
{
	int32_t hours, minutes, sign;

	*offset = 0;
	if (s.len == 1)
		return s.p[0] == 'Z';
	if (s.len != 6 || (s.p[0] != '+' && s.p[0] != '-'))
		return false;
	sign = s.p[0] == '-' ? -1 : 1;
	s.p++;
	s.len--;
	if (!field(&s, 2, ':', &hours) || !field(&s, 2, 0, &minutes) || hours > 23 || minutes > 59)
		return false;
	*offset = (int64_t)sign * (hours * 60 + minutes) * 60;
	return true;
}

static int32_t days_in(int32_t year, int32_t month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

struct mt_cel_value mt_cel_parse_time(struct mt_slice s)
{
	const struct mt_cel_value bad = mt_cel_error("the text is not a time of RFC 3339");
	int32_t year, month, day, hour, minute, second;
	int64_t ns, offset;

	if (!field(&s, 4, '-', &year) || !field(&s, 2, '-', &month) || !field(&s, 2, 'T', &day) ||
		!field(&s, 2, ':', &hour) || !field(&s, 2, ':', &minute) ||
		!field(&s, 2, 0, &second) || !fraction(&s, &ns) || !zone(s, &offset))
		return bad;
	if (month < 1 || month > 12 || day < 1 || day > days_in(year, month) || hour > 23 ||
		minute > 59 || second > 59)
		return bad;
	return mt_cel_timestamp(mt_cel_days_of(year, month, day) * 86400 + hour * 3600 +
					minute * 60 + second - offset,
		ns);
}

struct mt_cel_value mt_cel_time_text(struct mt_cel_frame *f, const struct mt_cel_value *t)
{
	struct mt_cel_civil c = mt_cel_civil_of(t->n);
	char text[80];
	uint8_t *to;
	int n = snprintf(text, sizeof(text), "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d", c.year,
		c.month, c.day, c.hour, c.minute, c.second);

	if (t->ns) {
		n += snprintf(text + n, sizeof(text) - (size_t)n, ".%09u", t->ns);
		while (text[n - 1] == '0')
			n--;
	}
	text[n++] = 'Z';
	to = mt_cel_scratch(f, (uint64_t)n);
	if (!to)
		return mt_cel_error("the texts are longer than 4096 bytes");
	memcpy(to, text, (size_t)n);
	return mt_cel_text((struct mt_slice){to, (uint32_t)n});
}

/* ---- durations ------------------------------------------------------------------------------ */

/* Reads a unit; 0: there is none. */
static uint64_t unit_of(struct mt_slice *s)
{
	static const struct {
		const char *word;
		uint64_t ns;
	} units[] = {{"ns", 1}, {"us", MT_USEC}, {"µs", MT_USEC}, {"μs", MT_USEC}, {"ms", MT_MSEC},
		{"s", MT_SEC}, {"m", 60 * MT_SEC}, {"h", 3600 * MT_SEC}};

	for (size_t i = 0; i < MT_ARRAY_LEN(units); i++) {
		uint32_t n = (uint32_t)strlen(units[i].word);

		if (s->len < n || memcmp(s->p, units[i].word, n) != 0)
			continue;
		s->p += n;
		s->len -= n;
		return units[i].ns;
	}
	return 0;
}

/* Reads a number with its unit, as 1.5h. */
static bool part(struct mt_slice *s, uint64_t *ns)
{
	uint64_t whole = 0, rest = 0, unit;
	double scale = 1;
	uint32_t digits = 0;

	for (; s->len && isdigit(s->p[0]); s->p++, s->len--, digits++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
			__builtin_add_overflow(whole, (uint64_t)(s->p[0] - '0'), &whole))
			return false;
	if (s->len && s->p[0] == '.') {
		s->p++;
		s->len--;
		for (; s->len && isdigit(s->p[0]); s->p++, s->len--, digits++) {
			if (rest > (INT64_MAX - 9) / 10)
				continue; /* too small to count */
			rest = rest * 10 + (uint64_t)(s->p[0] - '0');
			scale *= 10;
		}
	}
	unit = unit_of(s);
	if (!digits || !unit || __builtin_mul_overflow(whole, unit, &whole))
		return false;
	return !__builtin_add_overflow(
		whole, (uint64_t)((double)rest * ((double)unit / scale)), ns);
}

struct mt_cel_value mt_cel_parse_duration(struct mt_slice s)
{
	const struct mt_cel_value bad = mt_cel_error("the text is not a duration as 1h30m or 1.5s");
	bool minus = s.len && s.p[0] == '-';
	uint64_t total = 0, ns;

	if (s.len && (minus || s.p[0] == '+')) {
		s.p++;
		s.len--;
	}
	if (s.len == 1 && s.p[0] == '0')
		return (struct mt_cel_value){.type = MT_CEL_DURATION};
	if (s.len == 0)
		return bad;
	while (s.len)
		if (!part(&s, &ns) || __builtin_add_overflow(total, ns, &total) ||
			total > (uint64_t)INT64_MAX + 1)
			return bad;
	if (total > (uint64_t)INT64_MAX + (minus ? 1 : 0))
		return bad;
	return (struct mt_cel_value){
		.type = MT_CEL_DURATION, .n = minus ? (int64_t)(0 - total) : (int64_t)total};
}
