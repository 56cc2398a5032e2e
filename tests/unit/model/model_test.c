/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_diag.h"
#include "mt_model.h"
#include "mt_test.h"

#include <stdio.h>

struct near_case {
	const char *word, *best; /* best NULL: nothing is near */
};

static const char *const candidates[] = {"host", "hosts", "ports", "number", "weight", "v1", "v2"};

static const struct near_case nears[] = {
	{"hsot", "host"},
	{"hosst", "host"},
	{"Ports", "ports"},
	{"numbr", "number"},
	{"v3", "v1"},
	{"wieghts", "weight"},
	{"address", NULL},
	{"x", NULL},
	{"", NULL},
};

static void suggestions(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(nears); i++) {
		struct mt_suggest s = {.word = nears[i].word};

		for (size_t j = 0; j < MT_ARRAY_LEN(candidates); j++)
			mt_suggest_offer(&s, candidates[j]);
		CU_ASSERT_EQUAL(s.best == NULL, nears[i].best == NULL);
		if (s.best && nears[i].best)
			CU_ASSERT_STRING_EQUAL(s.best, nears[i].best);
	}
}

/* Words of any length are compared without harm. */
static void long_words(void)
{
	char a[300];

	memset(a, 'a', sizeof(a) - 1);
	a[sizeof(a) - 1] = '\0';
	CU_ASSERT_EQUAL(mt_edit_distance(a, "b", 5), 5);
	CU_ASSERT_EQUAL(mt_edit_distance("b", a, 5), 5);
	CU_ASSERT_EQUAL(mt_edit_distance(a, a, 5), 5);
}

static void printed_like_a_compiler(void)
{
	static const char expect[] = "a.yaml:12: error: spec.x[0]: b 7 (mend it)\n"
				     "b.yaml: error: d\n"
				     "a.yaml:3: warning: spec: c\n";
	struct mt_diags d;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	mt_diags_init(&d);
	mt_diag_add(&d, MT_DIAG_ERROR, (struct mt_origin){"b.yaml", 0}, NULL, NULL, "d");
	mt_diag_add(&d, MT_DIAG_ERROR, (struct mt_origin){"a.yaml", 12}, "spec.x[0]", "mend it",
		"b %d", 7);
	mt_diag_add(&d, MT_DIAG_WARNING, (struct mt_origin){"a.yaml", 3}, "spec", NULL, "c");
	mt_diags_print(&d, out);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, expect);
	CU_ASSERT_EQUAL(d.errors, 2);
	CU_ASSERT_EQUAL(d.warnings, 1);
	mt_diags_fini(&d);
	free(text);
}

/* A flood of mistakes in one object is counted, not kept; it hides nothing of another. */
static void many_are_counted(void)
{
	struct mt_meta flood = {.origin = {"f", 1}, .serial = 7},
		       other = {.origin = {"g", 1}, .serial = 8};
	char *text = NULL;
	size_t size;
	struct mt_diags d;
	FILE *out = open_memstream(&text, &size);

	mt_diags_init(&d);
	for (uint32_t i = 0; i < 3 * MT_DIAG_KEEP_OBJECT; i++)
		mt_diag_object(&d, MT_DIAG_WARNING, &flood, i, NULL, NULL, "x");
	mt_diag_object(&d, MT_DIAG_ERROR, &flood, 9, NULL, NULL, "worse");
	mt_diag_object(&d, MT_DIAG_ERROR, &other, 3, NULL, NULL, "bad");
	CU_ASSERT_EQUAL(d.n, MT_DIAG_KEEP_OBJECT + 2);
	CU_ASSERT_EQUAL(d.warnings, 3 * MT_DIAG_KEEP_OBJECT);
	CU_ASSERT_EQUAL(d.items[d.n - 1].object, 8);
	mt_diags_print(&d, out);
	fclose(out);
	/* Errors first: nobody reads a hundred warnings to the end. */
	CU_ASSERT_EQUAL(strncmp(text, "f:9: error: worse\ng:3: error: bad\nf:0: w", 20), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "and 80 more\n"));
	mt_diags_fini(&d);
	free(text);
}

static void labels(void)
{
	struct mt_kv have_kv[] = {{.key = "app", .value = "a"}, {.key = "tier", .value = ""}};
	struct mt_kv want_kv[] = {{.key = "tier", .value = ""}, {.key = "app", .value = "b"}};
	const struct mt_labels have = {have_kv, 2};
	struct mt_labels want = {want_kv, 1};

	CU_ASSERT_STRING_EQUAL(mt_labels_get(&have, "app"), "a");
	CU_ASSERT_PTR_NULL(mt_labels_get(&have, "ap"));
	CU_ASSERT_TRUE(mt_labels_match(&want, &have));
	want.n_kv = 2;
	CU_ASSERT_FALSE(mt_labels_match(&want, &have));
	want.n_kv = 0;
	CU_ASSERT_TRUE(mt_labels_match(&want, &have));
}

int main(int argc, char **argv)
{
	const struct mt_test tests[] = {
		{"suggestions", suggestions},
		{"long_words", long_words},
		{"printed_like_a_compiler", printed_like_a_compiler},
		{"many_are_counted", many_are_counted},
		{"labels", labels},
		{0},
	};
	const struct mt_suite suites[] = {{"model", tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
