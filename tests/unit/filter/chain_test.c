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

static void test_find(void)
{
	CU_ASSERT_PTR_EQUAL(mt_filter_find("local_ratelimit"),
		mt_filter_find("aeraki.meta_protocol.filters.local_ratelimit"));
	CU_ASSERT_STRING_EQUAL(mt_filter_find("Mutation")->name, "mutation");
	CU_ASSERT_PTR_NULL(mt_filter_find("aeraki.meta_protocol.filters.ratelimit"));
	for (int i = 0; mt_filters[i]; i++)
		CU_ASSERT_PTR_EQUAL(mt_filter_find(mt_filters[i]->name), mt_filters[i]);
}

static void test_chain(void)
{
	struct mt_filter_inst chain[] = {
		{.type = &silent}, {.type = &suspending}, {.type = &silent}};
	struct mt_filter_ctx ctx = {.fw = &fw};
	uint32_t at;

	CU_ASSERT_EQUAL(mt_filter_run_request(chain, 0, &view, &ctx, &at), MT_FILTER_NEXT);
	CU_ASSERT_EQUAL(mt_filter_run_request(chain, 3, &view, &ctx, &at), MT_FILTER_SUSPEND);
	CU_ASSERT_EQUAL(at, 1);
	CU_ASSERT_EQUAL(mt_filter_run_request(chain + 2, 1, &view, &ctx, &at), MT_FILTER_NEXT);
	CU_ASSERT_EQUAL(at, 1);
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
	{"mutation", test_mutation},
	{"more mutations than fit are counted", test_mutations_full},
	{0},
};
