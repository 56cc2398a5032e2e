/* SPDX-License-Identifier: Apache-2.0 */
/* Durations in documents and annotations. */
#include "mt_model_types.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *name;
	double ms;
};

/* Longer names come first, so that "ms" is found before "m". */
static const struct unit units[] = {{"ns", 1e-6}, {"us", 1e-3}, {"\xc2\xb5s", 1e-3}, {"ms", 1.0},
	{"s", 1000.0}, {"m", 60000.0}, {"h", 3600000.0}};

static const struct unit *find_unit(const char *s)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(units); i++)
		if (strncmp(s, units[i].name, strlen(units[i].name)) == 0)
			return &units[i];
	return NULL;
}

int mt_duration_parse(const char *text, uint64_t *ms)
{
	double sum = 0;
	const char *p = text;

	if (!*p)
		return -EINVAL;
	while (*p) {
		const struct unit *u;
		char *end;
		double v;

		/* A duration has no sign, "inf" or hexadecimal number, which strtod() accepts. */
		if (strspn(p, "0123456789.") == 0)
			return -EINVAL;
		if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
			return -EINVAL;
		v = strtod(p, &end);
		if (end == p || (size_t)(end - p) != strspn(p, "0123456789."))
			return -EINVAL;
		u = find_unit(end);
		if (!u)
			return -EINVAL;
		sum += v * u->ms;
		p = end + strlen(u->name);
	}
	if (!(sum <= (double)UINT32_MAX))
		return -ERANGE;
	/* Round up, so that a wait is never shorter than configured. */
	*ms = (uint64_t)sum + (sum > (double)(uint64_t)sum);
	return 0;
}
