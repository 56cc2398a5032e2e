/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include "mt_by_label.h"
#include "mt_diag.h"
#include "mt_model.h"

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

static void add_many(struct mt_diags *d, const char *ns, enum mt_diag_severity s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct mt_meta about = {
			.origin = {ns, 1}, .ns = ns, .serial = 1000 + d->n + i};

		mt_diag_object(d, s, &about, i, NULL, NULL, "x");
	}
}

/* One namespace cannot use up the list; what is not kept is known by its object. */
static void shares_of_the_list(void)
{
	const struct mt_meta about = {.origin = {"a", 1}, .ns = "a", .serial = 7},
			     free_of = {.origin = {"node", 1}, .serial = 8};
	struct mt_diags d, mark, copy;
	struct mt_diag room;
	uint32_t common = MT_DIAG_KEEP - MT_DIAG_KEEP / 4;

	mt_diags_init(&d);
	add_many(&d, "a", MT_DIAG_NOTE, MT_DIAG_KEEP);
	CU_ASSERT_EQUAL(d.n, common);
	CU_ASSERT_EQUAL(d.notes, MT_DIAG_KEEP);
	CU_ASSERT_EQUAL(d.n_beyond, 0);
	mark = d;
	add_many(&d, "b", MT_DIAG_WARNING, MT_DIAG_KEEP_OWNER + 1);
	CU_ASSERT_EQUAL(d.n, common + MT_DIAG_KEEP_OWNER);
	mt_diag_object(&d, MT_DIAG_ERROR, &about, 1, NULL, NULL, "bad");
	mt_diag_object(&d, MT_DIAG_ERROR, &about, 2, NULL, NULL, "bad");
	mt_diag_object(&d, MT_DIAG_UNREADABLE, &about, 2, NULL, NULL, "bad");
	CU_ASSERT_EQUAL(d.n, common + MT_DIAG_KEEP_OWNER);
	CU_ASSERT_EQUAL(d.errors, 2);
	CU_ASSERT_EQUAL_FATAL(d.n_beyond, 2);
	CU_ASSERT_EQUAL(mt_diags_entry(&d, d.n, &room)->object, 7);
	CU_ASSERT_EQUAL(mt_diags_entry(&d, d.n, &room)->severity, MT_DIAG_ERROR);
	CU_ASSERT_EQUAL(mt_diags_entry(&d, d.n + 1, &room)->severity, MT_DIAG_UNREADABLE);
	/* What the operator writes is kept whatever authors do. */
	mt_diag_object(&d, MT_DIAG_ERROR, &free_of, 1, NULL, NULL, "bad");
	CU_ASSERT_EQUAL(d.items[d.n - 1].object, 8);
	mt_diags_init(&copy);
	mt_diags_copy_all(&copy, &d);
	CU_ASSERT_EQUAL(copy.n, d.n);
	CU_ASSERT_EQUAL(copy.n_beyond, 2);
	/* Entries that only the first list has counted: notes, a warning, and a second error. */
	CU_ASSERT_EQUAL(mt_diags_count(&copy) + MT_DIAG_KEEP / 4 + 2, mt_diags_count(&d));
	mt_diags_fini(&copy);
	mt_diags_rewind(&d, &mark);
	CU_ASSERT_EQUAL(d.n, common);
	CU_ASSERT_EQUAL(d.n_beyond, 0);
	CU_ASSERT_EQUAL(d.errors, 0);
	CU_ASSERT_STRING_EQUAL(d.items[common - 1].origin.file, "a");
	add_many(&d, "b", MT_DIAG_WARNING, MT_DIAG_KEEP_OWNER + 1);
	CU_ASSERT_EQUAL(d.n, common + MT_DIAG_KEEP_OWNER);
	mt_diags_fini(&d);
}

/* Long texts count by their bytes; a source's entries count for it, whatever their namespaces. */
static void bytes_of_the_list(void)
{
	static char file[1900];
	struct mt_diags d;

	memset(file, 'f', sizeof(file) - 1);
	mt_diags_init(&d);
	d.owner = "a, b";
	for (uint32_t i = 0; i < MT_DIAG_KEEP / 2; i++) {
		const struct mt_meta about = {
			.origin = {file, 1}, .ns = i % 2 ? "a" : "z", .serial = 1 + i};

		mt_diag_object(&d, MT_DIAG_NOTE, &about, i, NULL, NULL, "x");
	}
	CU_ASSERT(d.region.used < MT_DIAG_BYTES);
	CU_ASSERT(d.bytes >= MT_DIAG_BYTES / 4 * 3);
	CU_ASSERT_EQUAL(d.owners.n, 1);
	d.owner = NULL;
	add_many(&d, "z", MT_DIAG_NOTE, 2);
	CU_ASSERT_STRING_EQUAL(d.items[d.n - 1].owner->name, "z");
	mt_diags_fini(&d);
}

/* A load that compiles many times has the memory of one compilation. */
static void removed_entries_take_no_memory(void)
{
	struct mt_diags d, mark;
	size_t used;

	mt_diags_init(&d);
	add_many(&d, "a", MT_DIAG_NOTE, 1000);
	mark = d;
	used = d.region.used;
	for (int i = 0; i < 300; i++) {
		add_many(&d, "b", MT_DIAG_NOTE, 1000);
		mt_diags_rewind(&d, &mark);
	}
	CU_ASSERT_EQUAL(d.n, 1000);
	CU_ASSERT_STRING_EQUAL(d.items[999].message, "x");
	CU_ASSERT(d.region.used < 4 * used + (2u << 20));
	mt_diags_fini(&d);
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

/* Hosts are in lower case from the moment that they are read; the namespace before them is kept. */
static void hosts(void)
{
	static const char *const rows[][2] = {{"Shop.Example", "shop.example"},
		{"*.Shop.Example", "*.shop.example"}, {"Team/*.Shop", "Team/*.shop"}, {"", ""},
		{"\xc3\x84.Test", "\xc3\x84.test"}};
	struct mt_region r = {0};
	char full[64];

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		CU_ASSERT_STRING_EQUAL(mt_host_name(&r, rows[i][0]), rows[i][1]);
	CU_ASSERT_PTR_NULL(mt_host_name(&r, NULL));
	CU_ASSERT_STRING_EQUAL(
		mt_service_host(&r, "Web", "Shop", "Mesh.Test"), "web.shop.svc.mesh.test");
	CU_ASSERT(mt_long_name("web", "Shop", "cluster.local", full, sizeof(full)));
	CU_ASSERT_STRING_EQUAL(full, "web.shop.svc.cluster.local");
	mt_region_fini(&r);
}

/* A selector is compared with the items that have the rarest of its labels, in their order. */
static void items_by_label(void)
{
	struct mt_kv common = {.key = "app", .value = "a"}, rare = {.key = "v", .value = "1"};
	struct mt_kv both[] = {common, rare}, lost[] = {common, {.key = "v", .value = "2"}};
	const struct mt_labels one = {&common, 1}, two = {both, 2}, none = {NULL, 0};
	const struct mt_bag *bag;
	struct mt_region r;
	struct mt_by_label x = {.region = &r};
	int items[4];

	mt_region_init(&r, 0);
	for (int i = 0; i < 4; i++)
		mt_by_label_add(&x, "ns", i % 2 ? &two : &one, &items[i]);
	bag = mt_by_label_find(&x, "ns", &two);
	CU_ASSERT_EQUAL_FATAL(bag->n, 2);
	CU_ASSERT_PTR_EQUAL(bag->v[0], &items[1]);
	CU_ASSERT_PTR_EQUAL(bag->v[1], &items[3]);
	CU_ASSERT_EQUAL(mt_by_label_find(&x, "ns", &one)->n, 4);
	CU_ASSERT_EQUAL(mt_by_label_find(&x, "ns", &(struct mt_labels){lost, 2})->n, 0);
	CU_ASSERT_EQUAL(mt_by_label_find(&x, "other", &one)->n, 0);
	CU_ASSERT_EQUAL(mt_by_label_find(&x, "ns", &none)->n, 0);
	CU_ASSERT_FALSE(r.failed);
	mt_by_label_fini(&x);
	mt_region_fini(&r);
}

int main(int argc, char **argv)
{
	const struct mt_test tests[] = {
		{"items_by_label", items_by_label},
		{"suggestions", suggestions},
		{"long_words", long_words},
		{"printed_like_a_compiler", printed_like_a_compiler},
		{"shares_of_the_list", shares_of_the_list},
		{"bytes_of_the_list", bytes_of_the_list},
		{"removed_entries_take_no_memory", removed_entries_take_no_memory},
		{"many_are_counted", many_are_counted},
		{"labels", labels},
		{"hosts", hosts},
		{0},
	};
	const struct mt_suite suites[] = {{"model", tests}, {"guest", guest_tests},
		{"owned", owned_tests}, {"peer", peer_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
