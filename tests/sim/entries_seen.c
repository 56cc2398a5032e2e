/* SPDX-License-Identifier: Apache-2.0 */
/* Which rows of endings.def the entries of a run had. */
#include "entries.h"

#include <inttypes.h>
#include <string.h>

#define MANY_SEEDS	500 /* of all scenarios, from 1 on */
#define SCENARIOS_SEEDS 20

enum seen { ALWAYS, IN_SCENARIO, SOMETIMES, NEVER };

static const struct row {
	enum seen seen;
	const char *words; /* the scenario, when, or why not */
} rows[MT_N_ENDINGS] = {
#define SEEN(name)		[MT_ENDING_##name] = {ALWAYS, "seeds 1-500 do"},
#define SEEN_IN(name, scenario) [MT_ENDING_##name] = {IN_SCENARIO, scenario},
#define MAY_SEE(name, when)	[MT_ENDING_##name] = {SOMETIMES, when},
#define UNSEEN(name, why)	[MT_ENDING_##name] = {NEVER, why},
#include "entries_seen.def"
#undef SEEN
#undef SEEN_IN
#undef MAY_SEE
#undef UNSEEN
};

/* A row without words is missing in the table. */
static bool is_wrong(const struct row *r, uint64_t n, uint64_t seeds, const struct sim_options *o)
{
	if (!r->words || (r->seen == NEVER && n))
		return true;
	if (n || o->mutant || o->cases)
		return false;
	if (r->seen == IN_SCENARIO)
		return o->scenario && !strcmp(o->scenario, r->words) && seeds >= SCENARIOS_SEEDS;
	return r->seen == ALWAYS && !o->scenario && o->seed_from == 1 && seeds >= MANY_SEEDS;
}

bool entries_seen(const uint64_t n[MT_N_ENDINGS], uint64_t seeds, const struct sim_options *o)
{
	static const char *const says[] = {"", "in scenario ", "if ", "never: "};
	bool ok = true;

	for (uint32_t i = 0; i < MT_N_ENDINGS; i++) {
		const struct row *r = &rows[i];
		bool wrong = is_wrong(r, n[i], seeds, o);

		printf("%sending %s: %" PRIu64, wrong ? "floor: " : "", mt_endings[i].name, n[i]);
		if (wrong || !n[i])
			printf(" (%s%s)", says[r->seen], r->words ? r->words : "no row");
		printf("\n");
		ok &= !wrong;
	}
	return ok;
}
