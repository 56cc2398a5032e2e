/* SPDX-License-Identifier: Apache-2.0 */
#include "analyse_test.h"

#define WALL 1790000000

void looked_begin(struct looked *l)
{
	*l = (struct looked){0};
	scene_begin(&l->sc);
	mt_region_init(&l->audit.region, 0);
	mt_conf_set_audit(l->sc.conf, &l->audit);
}

void looked_end(struct looked *l)
{
	mt_region_fini(&l->audit.region);
	scene_end(&l->sc);
}

void looked_load(struct looked *l)
{
	scene_load(&l->sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l->sc.s);
	l->in = (struct mt_analyse_in){
		.table = l->sc.t, .audit = &l->audit, .snap = l->sc.s, .wall = WALL};
}

const char *looked_reason(struct looked *l, const char *finding)
{
	static char text[512];
	json_t *all = mt_analyse(&l->in), *f;
	const char *found = NULL;
	size_t i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	json_array_foreach(json_object_get(all, "findings"), i, f)
	{
		if (found || strcmp(json_string_value(json_object_get(f, "finding")), finding) != 0)
			continue;
		snprintf(text, sizeof(text), "%s", json_string_value(json_object_get(f, "reason")));
		found = text;
	}
	json_decref(all);
	return found;
}

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"subset", subset_tests}, {"names", names_tests},
		{"calls", calls_tests}, {"time", time_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
