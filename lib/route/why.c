/* SPDX-License-Identifier: Apache-2.0 */
/* Explains why a route does not match a message, by testing its conditions one by one. */
#include "mt_route_priv.h"

#include <stdio.h>

#define SHOWN 64 /* bytes of a value */

static void cond_words(const struct mt_cond *c, char *buf, size_t size)
{
	const struct mt_matcher_def def = {.key = c->key.name,
		.op = c->op,
		.value = c->value,
		.lo = c->lo,
		.hi = c->hi,
		.invert = c->invert,
		.ignore_case = c->ignore_case,
		.missing_as_empty = c->missing_as_empty};

	mt_matcher_str(&def, 1, buf, size);
}

static void value_words(const struct mt_cond *c, struct mt_view *v, char *buf, size_t size)
{
	struct mt_slice s;

	if (!mt_view_get(v, &c->key, &s))
		snprintf(buf, size, "it is not there");
	else
		snprintf(buf, size, "it is \"%.*s\"%s", (int)MT_MIN(s.len, (uint32_t)SHOWN), s.p,
			s.len > SHOWN ? " and more" : "");
}

bool mt_route_why_not(
	const struct mt_route_table *t, uint32_t idx, struct mt_view *v, char *buf, size_t size)
{
	const struct mt_matcher *m = &t->routes[idx].match;
	char cond[256], value[128];

	for (uint32_t i = 0; i < m->n; i++) {
		struct mt_value_cache none;

		none.known = none.present = 0;
		if (mt_cond_list_test(&m->conds[i], 1, v, &none))
			continue;
		cond_words(&m->conds[i], cond, sizeof(cond));
		value_words(&m->conds[i], v, value, sizeof(value));
		snprintf(buf, size, "%s: %s", cond, value);
		return true;
	}
	return false;
}
