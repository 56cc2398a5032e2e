/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

void *one_bucket(struct mt_limit_registry *r, struct mt_bucket_numbers numbers, uint64_t now)
{
	struct mt_limit_def def = {.service = "svc:1", .has_bucket = true, .numbers = numbers};
	char err[128];
	void *l = mt_limit_compile(r, &kv_codec, &def, now, err, sizeof(err));

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	mt_limit_commit(r, now);
	return l;
}

bool passes(void *limit, struct mt_filter_worker *fw, uint64_t now)
{
	struct mt_filter_inst f = {.type = mt_filter_types[0], .conf = limit};
	struct mt_filter_ctx ctx = {.now = now, .worker = fw->worker, .fw = fw};

	return f.type->on_request(&f, NULL, &ctx) == MT_FILTER_NEXT;
}

struct mt_limit_info the_bucket(struct mt_limit_registry *r, uint64_t now)
{
	struct mt_limit_info info = {0}, other;
	uint32_t idx = 0;

	CU_ASSERT_TRUE(mt_limit_next(r, &idx, now, &info));
	CU_ASSERT_FALSE(mt_limit_next(r, &idx, now, &other));
	return info;
}

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"bucket", bucket_tests}, {"limit", limit_tests},
		{"chain", chain_tests}, {"turned", turned_tests}, {"threads", thread_tests},
		{"inbox", inbox_tests}, {"load", load_tests}, {"global", global_tests},
		{"global_routes", global_routes_tests}, {"global_grants", global_grants_tests},
		{"global_stream", global_stream_tests}, {"keyed", keyed_tests},
		{"tally", tally_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
