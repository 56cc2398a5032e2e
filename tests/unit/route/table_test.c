/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_rand.h"
#include "mt_route_priv.h"
#include "suites.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

static struct mt_view view;
static char err[256];

static void add(
	struct mt_route_builder *b, const struct mt_matcher_def *defs, uint32_t n, uint32_t cluster)
{
	struct mt_route_dest dest = {cluster, 1};
	struct mt_route_action a = {.name = "r", .dests = &dest, .n_dests = 1};

	CU_ASSERT_EQUAL_FATAL(mt_route_builder_add(b, defs, n, &a, err, sizeof(err)), 0);
}

/* Two keys decide, a catch-all in the middle hides what follows. */
static void test_precedence(void)
{
	static const struct {
		const char *text;
		int want;
	} t[] = {
		{"method=m0\n", 0},
		{"method=m7\n", 7},
		{"method=m7\nuser=Jason\n", 7},
		{"method=m19\nuser=Jason\n", 19},
		{"method=other\nuser=Jason\n", 20},
		{"method=other\n", 21},
		{"method=late\n", 21},
	};
	struct mt_route_builder *b = mt_route_builder_new(&kv_codec);
	struct mt_matcher_def def = {.key = "method", .op = MT_MATCH_EXACT};
	struct mt_route_table *table;
	char value[16];
	uint32_t idx;

	for (uint32_t i = 0; i < 20; i++) {
		snprintf(value, sizeof(value), "m%u", i);
		def.value = value;
		add(b, &def, 1, i);
	}
	add(b, &(struct mt_matcher_def){.key = "user", .op = MT_MATCH_EXACT, .value = "Jason"}, 1,
		20);
	add(b, NULL, 0, 21);
	def.value = "late";
	add(b, &def, 1, 22);
	table = mt_route_builder_done(b);
	CU_ASSERT_EQUAL(mt_route_count(table), 23);
	CU_ASSERT_EQUAL(mt_route_linear(table), 2);
	CU_ASSERT_FALSE(mt_route_leading_only(table));
	CU_ASSERT_STRING_EQUAL(mt_route_at(table, 3)->match, "method exact m3");
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		const struct mt_route_action *a;

		kv_view(&view, t[i].text);
		a = mt_route_lookup(table, &view, &idx);
		CU_ASSERT_PTR_NOT_NULL_FATAL(a);
		CU_ASSERT_EQUAL(mt_route_pick(a, 0), t[i].want);
		CU_ASSERT_EQUAL(idx, t[i].want);
	}
	mt_route_table_free(table);
}

/* ---- random tables against an independent reading of the definition -------------------------- */

#define RT_ROUTES 60
#define RT_CONDS  3

/* Values of the last two share the view's scratch. */
static const char *const rt_keys[] = {"method", "interface", "user", "far", "farther"};
#define RT_KEYS MT_ARRAY_LEN(rt_keys)
static const char *const rt_values[] = {"a", "b", "ab", "abc", "c", "ABC", "7", "70", ""};

struct rt_message {
	const char *value[RT_KEYS]; /* NULL: missing */
	char text[128];
};

static const char *pick_value(struct mt_rand *r)
{
	return rt_values[mt_rand_below(r, MT_ARRAY_LEN(rt_values))];
}

static void random_def(struct mt_rand *r, struct mt_matcher_def *d)
{
	memset(d, 0, sizeof(*d));
	d->key = rt_keys[mt_rand_below(r, RT_KEYS)];
	/* Mostly exact, so that indexes are built. */
	d->op = mt_rand_below(r, 3) ? MT_MATCH_EXACT : mt_rand_below(r, MT_MATCH_RANGE + 1);
	d->value = pick_value(r);
	d->lo = mt_rand_below(r, 8);
	d->hi = mt_rand_below(r, 80);
	d->invert = mt_rand_below(r, 8) == 0;
	d->ignore_case = mt_rand_below(r, 8) == 0;
	d->missing_as_empty = mt_rand_below(r, 8) == 0;
}

static void random_message(struct mt_rand *r, struct rt_message *m)
{
	int n = 0;

	m->text[0] = '\0';
	for (uint32_t k = 0; k < RT_KEYS; k++) {
		m->value[k] = mt_rand_below(r, 4) ? pick_value(r) : NULL;
		if (m->value[k])
			n += snprintf(m->text + n, sizeof(m->text) - n, "%s=%s\n", rt_keys[k],
				m->value[k]);
	}
}

static bool naive_value(const struct mt_matcher_def *d, const char *v)
{
	size_t vl = strlen(v), dl = strlen(d->value);
	bool i = d->ignore_case;
	char *end;
	long x;

	switch (d->op) {
	case MT_MATCH_EXACT:
		return i ? !strcasecmp(v, d->value) : !strcmp(v, d->value);
	case MT_MATCH_PREFIX:
		return i ? !strncasecmp(v, d->value, dl) : !strncmp(v, d->value, dl);
	case MT_MATCH_SUFFIX:
		if (vl < dl)
			return false;
		return i ? !strcasecmp(v + vl - dl, d->value) : !strcmp(v + vl - dl, d->value);
	case MT_MATCH_CONTAINS:
		return (i ? strcasestr(v, d->value) : strstr(v, d->value)) != NULL;
	case MT_MATCH_REGEX: /* the values have no special characters */
		return !strcmp(v, d->value);
	case MT_MATCH_RANGE:
		x = strtol(v, &end, 10);
		return *v && !*end && x >= d->lo && x < d->hi;
	case MT_MATCH_PRESENT:
		return true;
	}
	return false;
}

static bool naive_cond(const struct mt_matcher_def *d, const struct rt_message *m)
{
	const char *v = NULL;

	for (uint32_t k = 0; k < RT_KEYS; k++)
		if (!strcmp(rt_keys[k], d->key))
			v = m->value[k];
	if (!v && d->missing_as_empty)
		v = "";
	if (!v)
		return d->op == MT_MATCH_PRESENT && d->invert;
	return naive_value(d, v) != d->invert;
}

static int naive_lookup(struct mt_matcher_def defs[][RT_CONDS], const uint32_t *n_defs, uint32_t n,
	const struct rt_message *m)
{
	for (uint32_t i = 0; i < n; i++) {
		bool all = true;

		for (uint32_t j = 0; j < n_defs[i]; j++)
			all = all && naive_cond(&defs[i][j], m);
		if (all)
			return (int)i;
	}
	return -1;
}

static void test_random(void)
{
	static struct mt_matcher_def defs[RT_ROUTES][RT_CONDS];
	uint32_t n_defs[RT_ROUTES], matched = 0, indexed = 0;
	struct rt_message m;
	struct mt_rand r;

	for (uint64_t seed = 0; seed < 300; seed++) {
		struct mt_route_builder *b = mt_route_builder_new(&kv_codec);
		struct mt_route_table *t;
		uint32_t n;

		mt_rand_seed(&r, seed);
		n = mt_rand_below(&r, RT_ROUTES + 1);
		for (uint32_t i = 0; i < n; i++) {
			n_defs[i] = 1 + mt_rand_below(&r, RT_CONDS);
			for (uint32_t j = 0; j < n_defs[i]; j++)
				random_def(&r, &defs[i][j]);
			add(b, defs[i], n_defs[i], i);
		}
		t = mt_route_builder_done(b);
		indexed += mt_route_linear(t) < n;
		for (int k = 0; k < 100; k++) {
			uint32_t idx = UINT32_MAX;
			int want;

			random_message(&r, &m);
			kv_view(&view, m.text);
			want = naive_lookup(defs, n_defs, n, &m);
			CU_ASSERT_EQUAL(mt_route_lookup(t, &view, &idx) != NULL, want >= 0);
			CU_ASSERT_EQUAL((int)idx, want);
			matched += want >= 0;
		}
		mt_route_table_free(t);
	}
	/* The run did real work. */
	CU_ASSERT(matched > 10000 && indexed > 200);
}

/* With exact keys that decide, ten thousand routes read no more metadata than ten. */
static void test_cost(void)
{
	static const uint32_t sizes[] = {10, 100, 10000};
	uint32_t reads[3];
	char value[32], text[64];

	for (int k = 0; k < 3; k++) {
		struct mt_route_builder *b = mt_route_builder_new(&kv_codec);
		struct mt_route_table *t;
		uint32_t idx;

		for (uint32_t i = 0; i < sizes[k]; i++) {
			struct mt_matcher_def d[] = {
				{.key = "interface", .op = MT_MATCH_EXACT, .value = "org.Demo"},
				{.key = "method", .op = MT_MATCH_EXACT, .value = value}};

			snprintf(value, sizeof(value), "method-%u", i);
			add(b, d, 2, i);
		}
		t = mt_route_builder_done(b);
		CU_ASSERT_EQUAL(mt_route_linear(t), 0);
		snprintf(
			text, sizeof(text), "interface=org.Demo\nmethod=method-%u\n", sizes[k] - 1);
		kv_view(&view, text);
		kv_reads = 0;
		CU_ASSERT_PTR_NOT_NULL(mt_route_lookup(t, &view, &idx));
		CU_ASSERT_EQUAL(idx, sizes[k] - 1);
		reads[k] = kv_reads;
		mt_route_table_free(t);
	}
	CU_ASSERT(reads[0] == 2 && reads[1] == 2 && reads[2] == 2);
}

static void test_weights(void)
{
	struct mt_route_dest d[] = {{7, 20}, {8, 80}, {9, 0}};
	struct mt_route_action a = {.dests = d, .n_dests = 3, .total_weight = 100};
	uint32_t hits[10] = {0};

	for (uint64_t rnd = 0; rnd < 1000; rnd++)
		hits[mt_route_pick(&a, rnd)]++;
	CU_ASSERT(hits[7] == 200 && hits[8] == 800 && hits[9] == 0);
	CU_ASSERT_EQUAL(mt_route_pick(&a, 19), 7);
	CU_ASSERT_EQUAL(mt_route_pick(&a, 20), 8);
	a.n_dests = 0;
	CU_ASSERT_EQUAL(mt_route_pick(&a, 1), UINT32_MAX);
}

/* The builder keeps its own copies, and a refused route leaves it as it was. */
static void test_copies(void)
{
	char key[] = "team", value[] = "blue", name[] = "canary", file[] = "a.yaml";
	struct mt_mutation mut[] = {{key, value, 4, 4}, {key, NULL, 4, 0}};
	struct mt_route_dest dest[] = {{1, 30}, {2, 70}};
	struct mt_route_action a = {.name = name,
		.dests = dest,
		.n_dests = 2,
		.req_mut = mut,
		.n_req_mut = 2,
		.file = file,
		.line = 9};
	struct mt_matcher_def bad = {.key = "k", .op = MT_MATCH_REGEX, .value = "["};
	struct mt_route_builder *b = mt_route_builder_new(&kv_codec);
	const struct mt_route_action *got;
	struct mt_route_table *t;

	CU_ASSERT_EQUAL(mt_route_builder_add(b, &bad, 1, &a, err, sizeof(err)), -EINVAL);
	CU_ASSERT_EQUAL(mt_route_builder_add(b, NULL, 0, &a, err, sizeof(err)), 0);
	memset(key, 'x', 4);
	memset(value, 'x', 4);
	memset(name, 'x', 6);
	memset(file, 'x', 6);
	memset(dest, 0, sizeof(dest));
	t = mt_route_builder_done(b);
	CU_ASSERT_EQUAL(mt_route_count(t), 1);
	CU_ASSERT_TRUE(mt_route_leading_only(t));
	got = mt_route_at(t, 0);
	CU_ASSERT_STRING_EQUAL(got->name, "canary");
	CU_ASSERT_STRING_EQUAL(got->file, "a.yaml");
	CU_ASSERT(got->total_weight == 100 && got->dests[1].cluster == 2);
	CU_ASSERT(memcmp(got->req_mut[0].key, "team", 4) == 0 &&
		  memcmp(got->req_mut[0].value, "blue", 4) == 0);
	CU_ASSERT_PTR_NULL(got->req_mut[1].value);
	CU_ASSERT_PTR_NULL(mt_route_at(t, 1));
	mt_route_table_free(t);
	b = mt_route_builder_new(&kv_codec);
	mt_route_builder_free(b);
}

#define CHOSEN 1024

/* Values whose hashes agree in the bits that a table of twice as many slots uses. */
static const char *chosen(uint32_t i)
{
	static char values[CHOSEN][16];
	static uint32_t n, next;

	for (; n < CHOSEN; next++) {
		int len = snprintf(values[n], sizeof(values[n]), "v%u", next);

		n += (mt_balance_hash(values[n], (size_t)len, 0) & (2 * CHOSEN - 1)) == 7;
	}
	return values[i];
}

/* An author's values do not make lookups slow; usual ones have the hash that is cheap. */
static void test_chosen(void)
{
	for (int crowded = 0; crowded < 2; crowded++) {
		struct mt_route_builder *b = mt_route_builder_new(&kv_codec);
		struct mt_matcher_def def = {.key = "method", .op = MT_MATCH_EXACT};
		struct mt_route_table *t;
		const struct mt_exact_index *x;
		uint32_t row = 0, most = 0, found, n;
		char value[16];

		for (uint32_t i = 0; i < CHOSEN; i++) {
			snprintf(value, sizeof(value), "m%u", i);
			def.value = crowded ? chosen(i) : value;
			add(b, &def, 1, i);
		}
		t = mt_route_builder_done(b);
		CU_ASSERT_EQUAL_FATAL(t->n_index, 1);
		x = &t->index[0];
		for (uint32_t i = 0; i <= 2 * x->mask; i++) {
			row = x->slots[i & x->mask].value ? row + 1 : 0;
			most = MT_MAX(most, row);
		}
		CU_ASSERT(most <= 256);
		for (uint32_t i = 0; i < CHOSEN; i++) {
			const char *v = crowded ? chosen(i) : value;

			snprintf(value, sizeof(value), "m%u", i);
			found = *mt_exact_find(
				x, (struct mt_slice){(const uint8_t *)v, (uint32_t)strlen(v)}, &n);
			CU_ASSERT(found == i && n == 1);
		}
		CU_ASSERT_PTR_NULL(
			mt_exact_find(x, (struct mt_slice){(const uint8_t *)"none", 4}, &n));
		mt_route_table_free(t);
	}
}

const struct mt_test table_tests[] = {
	{"first match wins", test_precedence},
	{"random tables against the definition", test_random},
	{"cost does not grow with routes", test_cost},
	{"weights", test_weights},
	{"copies and refusals", test_copies},
	{"chosen values", test_chosen},
	{0},
};
