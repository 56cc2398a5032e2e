/* SPDX-License-Identifier: Apache-2.0 */
/* What was in force when: entries and their bounds, the clock of `commit confirm`, differences by object. */
#include "../../../lib/ctl/mt_history.h"
#include "suites.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/mt-history-XXXXXX";

/* The texts of a directory with one file of this content. */
static struct mt_source_texts *texts(struct mt_source_cache *cache, const char *content)
{
	const char *const dirs[] = {dir};
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/a.yaml", dir);
	f = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(content, f);
	fclose(f);
	mt_diags_init(&diags);
	CU_ASSERT_EQUAL(mt_source_load(cache, m, &diags, NULL, dirs, 1), 0);
	mt_diags_fini(&diags);
	mt_model_free(m);
	return mt_source_texts_new(cache);
}

static void add(struct mt_history *h, uint64_t version, struct mt_source_texts *t)
{
	struct mt_history_entry e = {.version = version, .from = "files", .texts = t, .what = "x"};

	CU_ASSERT_EQUAL(mt_history_add(h, &e), 0);
}

static void test_entries(void)
{
	struct mt_history *h = mt_history_new(4, 0);
	struct mt_history_entry push = {.from = "discovery", .merges = true};

	CU_ASSERT_PTR_NULL(mt_history_at(h, 0));
	for (uint64_t v = 1; v <= 6; v++)
		add(h, v, NULL);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(mt_history_at(h, i)->version, 6 - i);
	CU_ASSERT(!mt_history_at(h, 4) && !mt_history_find(h, 2) && mt_history_find(h, 3));
	/* Pushes in a row are one entry, until ten seconds have passed. */
	push.what = (char *)"1 service changed";
	for (uint64_t v = 7; v <= 30; v++) {
		char changes[32];

		snprintf(changes, sizeof(changes), "service s%u changed", (unsigned int)v);
		push.changes = changes;
		push.version = v;
		push.wall = v * MT_SEC;
		CU_ASSERT_EQUAL(mt_history_add(h, &push), 0);
	}
	CU_ASSERT_EQUAL(mt_history_at(h, 0)->version, 30);
	CU_ASSERT_EQUAL(mt_history_at(h, 1)->version, 6);
	CU_ASSERT_STRING_EQUAL(
		mt_history_at(h, 0)->what, "24 changes, the last one: 1 service changed");
	CU_ASSERT_PTR_NOT_NULL(strstr(mt_history_at(h, 0)->changes,
		"service s30 changed; service s29 changed; service s28 changed; "));
	CU_ASSERT_PTR_NOT_NULL(strstr(mt_history_at(h, 0)->changes, "service s7 changed"));
	push.changes = NULL;
	push.version = 31;
	push.wall = 40 * MT_SEC;
	CU_ASSERT_EQUAL(mt_history_add(h, &push), 0);
	CU_ASSERT_EQUAL(mt_history_at(h, 1)->version, 30);
	mt_history_free(h);
}

/* Actions stand between configurations, hide none of them, and those of one kind are one entry. */
static void test_actions(void)
{
	struct mt_history *h = mt_history_new(4, 0);
	struct mt_history_entry act = {.from = "close", .action = true, .what = (char *)"one"};
	uint64_t until;

	for (uint64_t v = 1; v <= 3; v++)
		add(h, v, NULL);
	CU_ASSERT_TRUE(mt_history_arm(h, 5));
	for (act.version = 3, act.wall = 1; act.wall < 100; act.wall++)
		CU_ASSERT_EQUAL(mt_history_add(h, &act), 0);
	CU_ASSERT_EQUAL(mt_history_at(h, 0)->merged, 98);
	CU_ASSERT_TRUE(mt_history_at(h, 0)->action);
	CU_ASSERT_STRING_EQUAL(mt_history_at(h, 1)->from, "files");
	CU_ASSERT(mt_history_find(h, 1) && mt_history_find(h, 3) == mt_history_at(h, 1));
	snprintf(act.from, sizeof(act.from), "clear");
	CU_ASSERT_EQUAL(mt_history_add(h, &act), 0);
	CU_ASSERT_STRING_EQUAL(mt_history_at(h, 0)->what, "one");
	/* No configuration has replaced the one to return to. */
	CU_ASSERT_EQUAL(mt_history_armed(h, &until), 3);
	CU_ASSERT_EQUAL(mt_history_lapsed(h, 6), 0);
	/* Those of two kinds in turn displace each other. */
	for (uint32_t i = 0; i < 9; i++) {
		snprintf(act.from, sizeof(act.from), i % 2 ? "clear" : "close");
		CU_ASSERT_EQUAL(mt_history_add(h, &act), 0);
		CU_ASSERT_STRING_EQUAL(mt_history_at(h, 0)->from, act.from);
	}
	for (uint64_t v = 1; v <= 3; v++)
		CU_ASSERT_PTR_NOT_NULL(mt_history_find(h, v));
	mt_history_free(h);
}

/* An action does not cost the configuration in force its texts, to which `commit confirm` returns. */
static void test_action_and_texts(void)
{
	struct mt_source_cache *cache = mt_source_cache_new();
	struct mt_history *h = mt_history_new(4, 1);
	const struct mt_history_entry act = {
		.version = 2, .from = "close", .action = true, .what = (char *)"one"};
	char path[64];

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(strcpy(dir, "/tmp/mt-history-XXXXXX")));
	add(h, 1, texts(cache, "a: 1\n"));
	add(h, 2, texts(cache, "a: 2\n"));
	CU_ASSERT_EQUAL(mt_history_add(h, &act), 0);
	CU_ASSERT_PTR_NULL(mt_history_find(h, 1)->texts);
	CU_ASSERT_PTR_NOT_NULL(mt_history_find(h, 2)->texts);
	mt_history_free(h);
	mt_source_cache_free(cache);
	snprintf(path, sizeof(path), "%s/a.yaml", dir);
	unlink(path);
	rmdir(dir);
}

/* Thousands of pushes: a bounded text of the newest ones, cut between two. */
static void test_many_changes(void)
{
	struct mt_history *h = mt_history_new(4, 0);
	struct mt_history_entry push = {.from = "discovery", .merges = true, .what = (char *)"x"};
	const char *all;

	for (uint64_t v = 1; v <= 1000; v++) {
		char changes[32];

		snprintf(changes, sizeof(changes), "service s%u changed", (unsigned int)v);
		push.changes = changes;
		push.version = v;
		push.wall = MT_SEC + v * MT_MSEC;
		CU_ASSERT_EQUAL(mt_history_add(h, &push), 0);
	}
	all = mt_history_at(h, 0)->changes;
	CU_ASSERT(strlen(all) < MT_HISTORY_CHANGES && strlen(all) > MT_HISTORY_CHANGES - 100);
	CU_ASSERT_EQUAL(strncmp(all, "service s1000 changed; ", 23), 0);
	CU_ASSERT_STRING_EQUAL(strrchr(all, ';'), "; and older ones");
	CU_ASSERT_STRING_EQUAL(mt_history_at(h, 0)->what, "1000 changes, the last one: x");
	mt_history_free(h);
}

/* Texts that did not change cost nothing; with too many bytes the oldest ones go, never the newest. */
static void test_bytes(void)
{
	struct mt_source_cache *cache = mt_source_cache_new();
	struct mt_history *h = mt_history_new(16, 60000);
	static char content[10000];
	char path[64];
	size_t one;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	memset(content, '#', sizeof(content) - 2);
	add(h, 1, texts(cache, content));
	one = mt_history_bytes(h);
	CU_ASSERT(one > 10000 && one < 20000);
	add(h, 2, mt_source_texts_new(cache));
	CU_ASSERT(mt_history_bytes(h) < one + 1000);
	for (uint64_t v = 3; v <= 12; v++) {
		content[0] = (char)('#' + 0);
		snprintf(content + 1, 8, "%06llu", (unsigned long long)v);
		content[7] = '#';
		add(h, v, texts(cache, content));
	}
	CU_ASSERT(mt_history_bytes(h) <= 60000);
	CU_ASSERT_PTR_NOT_NULL(mt_history_at(h, 0)->texts);
	CU_ASSERT_PTR_NOT_NULL(mt_history_find(h, 10)->texts);
	CU_ASSERT(mt_history_find(h, 3) && !mt_history_find(h, 3)->texts);
	mt_history_free(h);
	mt_source_cache_free(cache);
	snprintf(path, sizeof(path), "%s/a.yaml", dir);
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

static void test_confirm(void)
{
	struct mt_history *h = mt_history_new(4, 0);
	uint64_t until;

	CU_ASSERT_FALSE(mt_history_arm(h, 10));
	CU_ASSERT_FALSE(mt_history_confirm(h));
	add(h, 1, NULL);
	/* Confirmed: nothing comes back. */
	CU_ASSERT_TRUE(mt_history_arm(h, 60 * MT_SEC));
	add(h, 2, NULL);
	CU_ASSERT_EQUAL(mt_history_armed(h, &until), 1);
	CU_ASSERT_EQUAL(until, 60 * MT_SEC);
	CU_ASSERT_EQUAL(mt_history_lapsed(h, 59 * MT_SEC), 0);
	CU_ASSERT_TRUE(mt_history_confirm(h));
	CU_ASSERT_EQUAL(mt_history_lapsed(h, 61 * MT_SEC), 0);
	/* Not confirmed: once, to what was current first, however often the time was changed. */
	CU_ASSERT_TRUE(mt_history_arm(h, 100 * MT_SEC));
	add(h, 3, NULL);
	CU_ASSERT_TRUE(mt_history_arm(h, 200 * MT_SEC));
	add(h, 4, NULL);
	CU_ASSERT_EQUAL(mt_history_lapsed(h, 100 * MT_SEC), 0);
	CU_ASSERT_EQUAL(mt_history_lapsed(h, 200 * MT_SEC), 2);
	CU_ASSERT_EQUAL(mt_history_lapsed(h, 201 * MT_SEC), 0);
	/* Nothing has changed: there is nothing to undo. */
	CU_ASSERT_TRUE(mt_history_arm(h, 300 * MT_SEC));
	CU_ASSERT_EQUAL(mt_history_lapsed(h, 300 * MT_SEC), 0);
	/* It is still there, however much changes meanwhile; what is newer is as it was. */
	CU_ASSERT_TRUE(mt_history_arm(h, 400 * MT_SEC));
	for (uint64_t v = 5; v < 30; v++) {
		add(h, v, NULL);
		CU_ASSERT_PTR_NOT_NULL(mt_history_find(h, 4));
		CU_ASSERT_EQUAL(mt_history_at(h, 0)->version, v);
	}
	CU_ASSERT_EQUAL(mt_history_at(h, 1)->version, 28);
	CU_ASSERT_EQUAL(mt_history_at(h, 2)->version, 27);
	CU_ASSERT_EQUAL(mt_history_at(h, 3)->version, 4);
	CU_ASSERT_PTR_NULL(mt_history_at(h, 4));
	CU_ASSERT_EQUAL(mt_history_lapsed(h, 400 * MT_SEC), 4);
	add(h, 30, NULL);
	CU_ASSERT_PTR_NULL(mt_history_find(h, 4));
	mt_history_free(h);
}

#define SECRET(data)                                                                               \
	"---\napiVersion: v1\nkind: Secret\nmetadata: {name: pair}\ndata: {k: " data "}\n"
#define ENTRY(name, host)                                                                          \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name      \
	"}\nspec: {hosts: [" host "]}\n"

/* The differences of two entries, one per line; the caller frees it. */
static char *differences(const struct mt_history_entry *a, const struct mt_history_entry *b)
{
	json_t *rows = json_array(), *row;
	char *text = strdup(""), *more;
	size_t i;

	CU_ASSERT_EQUAL(mt_history_diff(a, b, rows), 0);
	json_array_foreach(rows, i, row)
	{
		const char *origin = json_string_value(json_object_get(row, "origin"));

		CU_ASSERT_NOT_EQUAL(asprintf(&more, "%s%s %s %s\n", text,
					    json_string_value(json_object_get(row, "change")),
					    json_string_value(json_object_get(row, "object")),
					    origin ? strrchr(origin, '/') + 1 : "-"),
			-1);
		free(text);
		text = more;
	}
	json_decref(rows);
	return text;
}

/* Objects that differ are named with their places, whatever order, comments and values are. */
static void test_differences(void)
{
	struct mt_source_cache *cache = mt_source_cache_new();
	struct mt_history_entry a = {.overrides = (char *)"drain x:1\nweight y 5 (kept)\n"},
				b = {.overrides = (char *)"weight y 5\ndrain x:1\n"};
	char *text, path[64];

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(strcpy(dir, "/tmp/mt-history-XXXXXX")));
	a.texts = texts(
		cache, ENTRY("gone", "a") ENTRY("same", "b") SECRET("djE=") ENTRY("other", "c"));
	b.texts = texts(cache, "# a comment\n" SECRET("djI=") ENTRY("same", "b") ENTRY("other", "d")
				       ENTRY("new", "e"));
	text = differences(&a, &b);
	CU_ASSERT_STRING_EQUAL(text, "changed Secret default/pair a.yaml:3\n"
				     "removed ServiceEntry default/gone a.yaml:2\n"
				     "added ServiceEntry default/new a.yaml:18\n"
				     "changed ServiceEntry default/other a.yaml:13\n"
				     "removed override: weight y 5 (kept) -\n"
				     "added override: weight y 5 -\n");
	free(text);
	text = differences(&b, &b);
	CU_ASSERT_STRING_EQUAL(text, "");
	free(text);
	mt_source_texts_free(a.texts);
	mt_source_texts_free(b.texts);
	mt_source_cache_free(cache);
	snprintf(path, sizeof(path), "%s/a.yaml", dir);
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

const struct mt_test history_tests[] = {
	{"entries", test_entries},
	{"actions of operators", test_actions},
	{"many_changes", test_many_changes},
	{"bytes", test_bytes},
	{"confirm", test_confirm},
	{"differences", test_differences},
	{"an action and texts", test_action_and_texts},
	{0},
};
