/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_keyed_priv.h"
#include "mt_test.h"

#define WORKERS 4

extern const struct mt_test bucket_tests[], rule_tests[], schedule_tests[], thread_tests[],
	top_tests[];

static inline struct mt_keyed_def rule_def(
	const char *name, uint32_t max, uint32_t per_fill, uint64_t fill_ns)
{
	return (struct mt_keyed_def){.name = name, .numbers = {max, per_fill, fill_ns}};
}

static inline struct mt_keyed_rule *rule_for(
	struct mt_keyed *t, const struct mt_keyed_def *def, uint64_t now)
{
	struct mt_keyed_rule *r = NULL;

	CU_ASSERT_EQUAL_FATAL(mt_keyed_rule_get(t, def, now, &r), 0);
	return r;
}

static inline struct mt_keyed_rule *rule_of(
	struct mt_keyed *t, uint32_t max, uint32_t per_fill, uint64_t fill_ns)
{
	struct mt_keyed_def def = rule_def("rule", max, per_fill, fill_ns);

	return rule_for(t, &def, 0);
}

static inline uint64_t key(const struct mt_keyed_rule *r, uint64_t n)
{
	return mt_keyed_hash(r, &n, sizeof(n));
}

/* How many of n takes are admitted. */
static inline uint32_t takes(struct mt_keyed_rule *r, uint64_t hash, uint32_t n, uint64_t now)
{
	uint32_t admitted = 0;

	for (uint32_t i = 0; i < n; i++)
		admitted += mt_keyed_take(r, 0, hash, 1, now);
	return admitted;
}

static inline struct mt_keyed_info info_of(const struct mt_keyed *t, const struct mt_keyed_rule *r)
{
	struct mt_keyed_info info;
	uint32_t idx = 0;

	while (mt_keyed_next(t, &idx, &info))
		if (strcmp(info.name, r->def.name) == 0)
			return info;
	return (struct mt_keyed_info){0};
}

static inline uint64_t overflowed(const struct mt_keyed *t, const struct mt_keyed_rule *r)
{
	return info_of(t, r).overflowed;
}
