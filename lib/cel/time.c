/* SPDX-License-Identifier: Apache-2.0 */
/* Times of the calendar, and their parts. */
#include "mt_cel_priv.h"

#include <ctype.h>
#include <string.h>

/* Days since 1970-01-01 of a date, in the proleptic Gregorian calendar. */
int64_t mt_cel_days_of(int64_t year, int32_t month, int32_t day)
{
	int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct mt_cel_civil mt_cel_civil_of(int64_t seconds)
{
	int64_t days = seconds / 86400, rest = seconds % 86400, z, era, of_era, y, of_year, m;
	struct mt_cel_civil c;

	if (rest < 0) {
		rest += 86400;
		days--;
	}
	z = days + 719468;
	era = (z >= 0 ? z : z - 146096) / 146097;
	of_era = z - era * 146097;
	y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * y + y / 4 - y / 100);
	m = (5 * of_year + 2) / 153;
	c.day = (int32_t)(of_year - (153 * m + 2) / 5 + 1);
	c.month = (int32_t)(m < 10 ? m + 3 : m - 9);
	c.year = y + era * 400 + (c.month <= 2);
	c.hour = (int32_t)(rest / 3600);
	c.minute = (int32_t)(rest / 60 % 60);
	c.second = (int32_t)(rest % 60);
	c.weekday = (int32_t)(((days + 4) % 7 + 7) % 7);
	c.yearday = (int32_t)(days - mt_cel_days_of(c.year, 1, 1));
	return c;
}

struct mt_cel_value mt_cel_timestamp(int64_t seconds, int64_t ns)
{
	struct mt_cel_value v = {.type = MT_CEL_TIMESTAMP};

	if (seconds < 2 * MT_CEL_FIRST_SECOND || seconds > 2 * MT_CEL_LAST_SECOND)
		return mt_cel_error(MT_CEL_RANGE);
	seconds += ns / MT_CEL_NS;
	ns %= MT_CEL_NS;
	if (ns < 0) {
		ns += MT_CEL_NS;
		seconds--;
	}
	if (seconds < MT_CEL_FIRST_SECOND || seconds > MT_CEL_LAST_SECOND)
		return mt_cel_error(MT_CEL_RANGE);
	v.n = seconds;
	v.ns = (uint32_t)ns;
	return v;
}

#define MT_CEL_ZONE 32 /* bytes of a zone, which may have leading zeros */

/* Reads "UTC", "" or an offset as -07:30; names of zones would need their database. */
static bool zone_offset(struct mt_slice s, int64_t *offset)
{
	const uint8_t *colon = s.len && s.len <= MT_CEL_ZONE ? memchr(s.p, ':', s.len) : NULL;
	int64_t hours, minutes;
	uint32_t n;

	*offset = 0;
	if (!colon)
		return s.len == 0 || (s.len == 3 && memcmp(s.p, "UTC", 3) == 0);
	n = (uint32_t)(colon - s.p);
	if (!mt_cel_parse_int((struct mt_slice){s.p, n}, &hours) ||
		!mt_cel_parse_int((struct mt_slice){colon + 1, s.len - n - 1}, &minutes))
		return false;
	if (hours < -23 || hours > 23 || minutes < 0 || minutes > 59)
		return false;
	*offset = (hours * 60 + (s.p[0] == '-' ? -minutes : minutes)) * 60;
	return true;
}

static struct mt_cel_value of_duration(uint8_t op, int64_t ns)
{
	switch (op) {
	case MT_CEL_OP_HOURS:
		return mt_cel_int(ns / (3600 * MT_CEL_NS));
	case MT_CEL_OP_MINUTES:
		return mt_cel_int(ns / (60 * MT_CEL_NS));
	case MT_CEL_OP_SECONDS:
		return mt_cel_int(ns / MT_CEL_NS);
	case MT_CEL_OP_MILLISECONDS:
		return mt_cel_int(ns / (int64_t)MT_MSEC);
	default:
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	}
}

static struct mt_cel_value of_civil(uint8_t op, const struct mt_cel_civil *c, uint32_t ns)
{
	switch (op) {
	case MT_CEL_OP_FULL_YEAR:
		return mt_cel_int(c->year);
	case MT_CEL_OP_MONTH:
		return mt_cel_int(c->month - 1);
	case MT_CEL_OP_DAY_OF_YEAR:
		return mt_cel_int(c->yearday);
	case MT_CEL_OP_DAY_OF_MONTH:
		return mt_cel_int(c->day - 1);
	case MT_CEL_OP_DATE:
		return mt_cel_int(c->day);
	case MT_CEL_OP_DAY_OF_WEEK:
		return mt_cel_int(c->weekday);
	case MT_CEL_OP_HOURS:
		return mt_cel_int(c->hour);
	case MT_CEL_OP_MINUTES:
		return mt_cel_int(c->minute);
	case MT_CEL_OP_SECONDS:
		return mt_cel_int(c->second);
	default:
		return mt_cel_int(ns / MT_MSEC);
	}
}

struct mt_cel_value mt_cel_get_time(
	uint8_t op, const struct mt_cel_value *a, const struct mt_cel_value *zone)
{
	struct mt_cel_civil c;
	int64_t offset = 0;

	if (a->type == MT_CEL_DURATION && !zone)
		return of_duration(op, a->n);
	if (a->type != MT_CEL_TIMESTAMP || (zone && zone->type != MT_CEL_STRING))
		return mt_cel_error(MT_CEL_NO_OVERLOAD);
	if (zone && !zone_offset(zone->text, &offset))
		return mt_cel_error("the zone is neither UTC nor an offset as +01:00");
	c = mt_cel_civil_of(a->n + offset);
	return of_civil(op, &c, a->ns);
}
