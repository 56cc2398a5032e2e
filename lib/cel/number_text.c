/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as texts, and texts as numbers. */
#include "mt_cel_priv.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool special_text(char *to, double real)
{
	if (isfinite(real))
		return false;
	strcpy(to, isnan(real) ? "NaN" : real < 0 ? "-Inf" : "+Inf");
	return true;
}

uint32_t mt_cel_double_text(char *to, double real, bool fixed)
{
	int digits = 0, power;

	if (special_text(to, real))
		return (uint32_t)strlen(to);
	do
		snprintf(to, MT_CEL_NUMBER, "%.*e", digits, real);
	while (strtod(to, NULL) != real && ++digits < 17);
	power = atoi(strchr(to, 'e') + 1);
	if (fixed || (power >= -4 && power < 6))
		snprintf(to, MT_CEL_NUMBER, "%.*f", MT_MAX(digits - power, 0), real);
	return (uint32_t)strlen(to);
}

/* Digits only, at most 20 and so far too many are an error. */
static bool parse_digits(struct mt_slice s, uint64_t *n)
{
	*n = 0;
	for (uint32_t i = 0; i < s.len; i++)
		if (!isdigit(s.p[i]) || __builtin_mul_overflow(*n, 10, n) ||
			__builtin_add_overflow(*n, (uint64_t)(s.p[i] - '0'), n))
			return false;
	return s.len > 0;
}

bool mt_cel_parse_uint(struct mt_slice s, uint64_t *n)
{
	return parse_digits(s, n);
}

bool mt_cel_parse_int(struct mt_slice s, int64_t *n)
{
	bool minus = s.len && s.p[0] == '-', sign = minus || (s.len && s.p[0] == '+');
	uint64_t u;

	if (!parse_digits((struct mt_slice){sign ? s.p + 1 : s.p, s.len - sign}, &u) ||
		u > (uint64_t)INT64_MAX + (minus ? 1 : 0))
		return false;
	*n = minus ? (int64_t)(0 - u) : (int64_t)u;
	return true;
}

static bool parse_special(const char *word, double *real)
{
	const char *bare = word + (*word == '+' || *word == '-');

	if (strcasecmp(word, "nan") == 0) {
		*real = NAN;
		return true;
	}
	if (strcasecmp(bare, "inf") != 0 && strcasecmp(bare, "infinity") != 0)
		return false;
	*real = *word == '-' ? -INFINITY : INFINITY;
	return true;
}

bool mt_cel_parse_double(struct mt_slice s, double *real)
{
	char word[MT_CEL_NUMBER], *end;

	if (s.len == 0 || s.len >= sizeof(word))
		return false;
	memcpy(word, s.p, s.len);
	word[s.len] = '\0';
	if (parse_special(word, real))
		return true;
	if (strspn(word, "0123456789+-.eE") != s.len)
		return false;
	*real = strtod(word, &end);
	return end == word + s.len && isfinite(*real);
}
