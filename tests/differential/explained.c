/* SPDX-License-Identifier: Apache-2.0 */
/* Differences that are meant: each rule describes one situation, and what it may change. */
#include "explained.h"

struct rule {
	const char *name, *stricter, *rfc, *why;
	uint32_t (*explains)(const struct df_case *c, bool *end);
};

static const struct rule rules[] = {
#define EXPLAINED(name, stricter, rfc, why) {#name, stricter, rfc, why, df_rule_##name},
#include "explained.def"
#undef EXPLAINED
	{NULL, NULL, NULL, NULL, NULL}};

uint32_t df_rules_count(void)
{
	return MT_ARRAY_LEN(rules) - 1;
}

const char *df_rule_name(uint32_t rule)
{
	return rules[rule].name;
}

void df_rules_print(void)
{
	for (uint32_t i = 0; i < df_rules_count(); i++)
		printf("| `%s` | %s | %s | %s |\n", rules[i].name, rules[i].why, rules[i].rfc,
			rules[i].stricter);
}

uint32_t df_explain(const struct df_case *c, uint64_t *used, bool *end)
{
	uint32_t explained = 0;

	for (uint32_t i = 0; i < df_rules_count(); i++) {
		bool ends = false;
		uint32_t f = rules[i].explains(c, &ends) & c->fields & ~explained;

		if (!f)
			continue;
		explained |= f;
		*used |= 1ull << i;
		*end |= ends;
	}
	return explained;
}
