/* SPDX-License-Identifier: Apache-2.0 */
/* Differences that are meant: each rule describes one situation, and what it may change. */
#include "explained.h"

#include <string.h>

struct rule {
	const char *name;
	uint64_t least, most; /* of 10,000 sequences */
	const char *stricter, *rfc, *why;
	uint32_t (*explains)(const struct df_case *c, bool *end);
};

static const struct rule rules[] = {
#define EXPLAINED(name, least, most, stricter, rfc, why)                                           \
	{#name, least, most, stricter, rfc, why, df_rule_##name},
#include "explained.def"
#undef EXPLAINED
	{NULL, 0, 0, NULL, NULL, NULL, NULL}};

uint32_t df_rules_count(void)
{
	return MT_ARRAY_LEN(rules) - 1;
}

const char *df_rule_name(uint32_t rule)
{
	return rules[rule].name;
}

#define PER  10000
#define MANY 100000 /* sequences in which each rule is needed */

enum df_count df_rule_count(uint32_t rule, uint64_t n, uint64_t sequences)
{
	if (n * PER > rules[rule].most * MT_MAX(sequences, (uint64_t)PER))
		return DF_COUNT_ABOVE;
	if (sequences >= PER && n * PER < rules[rule].least * sequences)
		return DF_COUNT_BELOW;
	return n == 0 && sequences >= MANY ? DF_COUNT_BELOW : DF_COUNT_GOOD;
}

int32_t df_rule_find(const char *name)
{
	for (uint32_t i = 0; i < df_rules_count(); i++)
		if (!strcmp(rules[i].name, name))
			return (int32_t)i;
	return -1;
}

void df_rules_print(void)
{
	for (uint32_t i = 0; i < df_rules_count(); i++)
		printf("| `%s` | %s | %s | %s | %llu to %llu |\n", rules[i].name, rules[i].why,
			rules[i].rfc, rules[i].stricter, (unsigned long long)rules[i].least,
			(unsigned long long)rules[i].most);
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
