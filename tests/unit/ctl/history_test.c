/* SPDX-License-Identifier: Apache-2.0 */
/* What was in force when: entries and their bounds, the clock of `commit confirm`, differences line by line. */
#include "../../../lib/ctl/mt_history.h"
#include "suites.h"

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

static void test_lines(void)
{
	static const struct {
		const char *a, *b, *out;
	} t[] = {
		{"a\nb\n", "a\nb\n", ""},
		{"a\nb\nc\n", "a\nx\nc\n", "f, line 2:\n  a\n- b\n+ x\n  c\n"},
		{"", "a\n", "f, line 1:\n+ a\n"},
		{"a\n", "", "f, line 1:\n- a\n"},
		{"a\nb", "a\nb\nc", "f, line 3:\n  a\n  b\n+ c\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\nx\n4\n5\n6\n7\ny\n8\n",
			"f, line 3:\n  1\n  2\n- 3\n+ x\n  4\n  5\n  ...\n+ y\n  8\n"},
		{"a\na\na\n", "a\na\n", "f, line 3:\n  a\n  a\n- a\n"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_text_buf out = {0};

		mt_line_diff("f", t[i].a, strlen(t[i].a), t[i].b, strlen(t[i].b), &out);
		CU_ASSERT_STRING_EQUAL(out.p ? out.p : "", t[i].out);
		mt_text_fini(&out);
	}
}

/* Of a file with a Secret nothing is shown, whichever side has it. */
static void test_secrets(void)
{
	static const char *const texts[] = {"a: 1\nkind: Secret\ndata: {k: djE=}\n",
		"{\"kind\" : \"Secret\", \"data\": {\"k\": \"djE=\"}}", "kind:\n  'Secret'\n",
		"x: -----BEGIN EC PRIVATE KEY-----\n", "x: LS0tLS1CRUdJTiBQUklWQVRF\n"};
	static const char grant[] = "kind: ReferenceGrant\nto: Secret\n";

	for (size_t i = 0; i < 2 * MT_ARRAY_LEN(texts); i++) {
		const char *a = i % 2 ? texts[i / 2] : "b: 2\n",
			   *b = i % 2 ? "b: 2\n" : texts[i / 2];
		struct mt_text_buf out = {0};

		mt_line_diff("f", a, strlen(a), b, strlen(b), &out);
		CU_ASSERT_STRING_EQUAL(
			out.p, "f: differs; it holds a Secret, and its lines are not shown\n");
		mt_text_fini(&out);
	}
	for (size_t n = 0; n < sizeof(grant); n++) {
		struct mt_text_buf out = {0};

		mt_line_diff("f", grant, n, "x\n", 2, &out);
		CU_ASSERT_PTR_NULL(strstr(out.p, "not shown"));
		mt_text_fini(&out);
	}
}

/* Two long texts without a line in common are shown whole, and soon. */
static void test_long(void)
{
	static char a[40000], b[40000];
	struct mt_text_buf out = {0};
	size_t lines = 0;

	for (size_t i = 0; i < sizeof(a); i += 4) {
		memcpy(a + i, "aaa\n", 4);
		memcpy(b + i, "bbb\n", 4);
	}
	mt_line_diff("f", a, sizeof(a), b, sizeof(b), &out);
	for (const char *p = out.p; *p; p++)
		lines += *p == '\n';
	CU_ASSERT_EQUAL(lines, 1 + 2 * sizeof(a) / 4);
	mt_text_fini(&out);
}

const struct mt_test history_tests[] = {
	{"entries", test_entries},
	{"many_changes", test_many_changes},
	{"bytes", test_bytes},
	{"confirm", test_confirm},
	{"lines", test_lines},
	{"secrets", test_secrets},
	{"long", test_long},
	{0},
};
