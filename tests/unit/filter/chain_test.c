/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"
#include "../../outcomes_seen.h"

static struct mt_view view;
static struct mt_filter_worker fw;

static enum mt_filter_verdict suspend(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	return MT_FILTER_SUSPEND;
}

static const struct mt_filter suspending = {.name = "suspending", .on_request = suspend};
static const struct mt_filter silent = {.name = "silent"};
static const struct mt_filter large = {.name = "large", .bytes = 56};

static uint32_t ended;

static void on_end(
	const struct mt_filter_inst *f, const struct mt_filter_end *end, struct mt_filter_ctx *ctx)
{
	ended = end->how;
}

static const struct mt_filter ending = {
	.name = "ending", .on_reply = suspend, .on_end = on_end, .bytes = 3};

static void test_find(void)
{
	CU_ASSERT_PTR_EQUAL(mt_filter_find("local_ratelimit"),
		mt_filter_find("aeraki.meta_protocol.filters.local_ratelimit"));
	CU_ASSERT_STRING_EQUAL(mt_filter_find("Mutation")->name, "mutation");
	CU_ASSERT_STRING_EQUAL(
		mt_filter_find("aeraki.meta_protocol.filters.ratelimit")->name, "global_ratelimit");
	CU_ASSERT_PTR_NULL(mt_filter_find("aeraki.meta_protocol.filters.router"));
	for (int i = 0; mt_filter_types[i]; i++)
		CU_ASSERT_PTR_EQUAL(mt_filter_find(mt_filter_types[i]->name), mt_filter_types[i]);
}

/* The place behind the filter that waits; 0: none did. */
static uint32_t run(const struct mt_filters *c, uint32_t from)
{
	struct mt_filter_ctx ctx = {.fw = &fw, .at = from};

	return mt_filter_run(c->request, c->n_request, &view, &ctx) == MT_FILTER_SUSPEND ? ctx.at
											 : 0;
}

static void test_chain(void)
{
	struct mt_filter_inst filters[] = {
		{.type = &silent}, {.type = &suspending}, {.type = &silent}, {.type = &ending}};
	struct mt_filter_ctx ctx = {.fw = &fw};
	struct mt_filter_end end = {.how = 7};
	void *mem = malloc(mt_filters_size(4));
	char err[256] = "";
	struct mt_filters *c = mt_filters_compile(mem, filters, 0, err, sizeof(err));

	CU_ASSERT_EQUAL(run(c, 0), 0);
	/* Who has nothing to do is not in the list. */
	c = mt_filters_compile(mem, filters, 4, err, sizeof(err));
	CU_ASSERT(c->n_request == 1 && c->n_reply == 1 && c->n_end == 1 && !c->reads);
	CU_ASSERT_EQUAL(run(c, 0), 1);
	CU_ASSERT_EQUAL(run(c, 1), 0);
	mt_filter_run_end(c, &end, &ctx);
	CU_ASSERT_EQUAL(ended, 7);
	free(mem);
}

/* Each has its own, aligned, and all of them fit or the chain is refused. */
static void test_bytes(void)
{
	struct mt_filter_inst filters[] = {
		{.type = &ending}, {.type = &silent}, {.type = &large}, {.type = &ending}};
	void *mem = malloc(mt_filters_size(MT_FILTERS_MAX + 1));
	struct mt_filter_inst many[MT_FILTERS_MAX + 1];
	struct mt_filters *c;
	char err[256] = "";

	c = mt_filters_compile(mem, filters, 3, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT(filters[0].own == 0 && filters[2].own == 8 && c->bytes == 64);
	CU_ASSERT_PTR_NULL(mt_filters_compile(mem, filters, 4, err, sizeof(err)));
	CU_ASSERT_STRING_EQUAL(err, "the filters up to \"ending\" need 72 bytes with each call, "
				    "and there are 64 for all of them; remove one");
	for (uint32_t i = 0; i < MT_ARRAY_LEN(many); i++)
		many[i] = (struct mt_filter_inst){.type = &silent};
	CU_ASSERT_PTR_NULL(mt_filters_compile(mem, many, MT_ARRAY_LEN(many), err, sizeof(err)));
	CU_ASSERT_STRING_EQUAL(err, "17 filters, and a service has at most 16");
	free(mem);
}

static void test_mutation(void)
{
	char value[] = "blue";
	struct mt_mutation req[] = {{"team", value, 4, 4}, {"old", NULL, 3, 0}};
	struct mt_mutation rsp[] = {{"seen", "1", 4, 1}};
	struct mt_filter_inst f = {.type = mt_filter_find("mutation")};
	struct mt_filter_ctx ctx = {.fw = &fw};
	struct mt_mutation green = {"team", "green", 4, 5};

	mt_filter_worker_init(&fw, 0);
	f.conf = mt_mutation_compile(req, 2, rsp, 1);
	value[0] = 'g';
	kv_view(&view, "");
	CU_ASSERT_EQUAL(f.type->on_request(&f, &view, &ctx), MT_FILTER_NEXT);
	CU_ASSERT_EQUAL(view.n_mutations, 2);
	CU_ASSERT_EQUAL(memcmp(view.mutations[0].value, "blue", 4), 0);
	CU_ASSERT_PTR_NULL(view.mutations[1].value);
	/* The later change of a key wins, in its place. */
	mt_filter_mutate(&fw, &view, &green, 1);
	CU_ASSERT_EQUAL(view.n_mutations, 2);
	CU_ASSERT_EQUAL(memcmp(view.mutations[0].value, "green", 5), 0);
	kv_view(&view, "");
	CU_ASSERT_EQUAL(f.type->on_reply(&f, &view, &ctx), MT_FILTER_NEXT);
	CU_ASSERT(view.n_mutations == 1 && memcmp(view.mutations[0].key, "seen", 4) == 0);
	f.type->free_conf(f.conf);
}

static void test_mutations_full(void)
{
	static char keys[MT_VIEW_MUTATIONS + 3];

	mt_filter_worker_init(&fw, 0);
	kv_view(&view, "");
	for (uint32_t i = 0; i < sizeof(keys); i++) {
		struct mt_mutation m = {&keys[i], "v", 1, 1};

		keys[i] = (char)('!' + i);
		mt_filter_mutate(&fw, &view, &m, 1);
	}
	CU_ASSERT_EQUAL(view.n_mutations, MT_VIEW_MUTATIONS);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_mutations_full], 3);
	outcomes_seen(&mt_filter_outcomes, fw.counters);
}

const struct mt_test chain_tests[] = {
	{"found by both names", test_find},
	{"a chain stops where a filter says so", test_chain},
	{"bytes of filters' own", test_bytes},
	{"mutation", test_mutation},
	{"more mutations than fit are counted", test_mutations_full},
	{0},
};
