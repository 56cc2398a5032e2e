/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that pass without a query, by quotas and leases. */
#include "global_lab.h"

#include "mt_callout_priv.h"
#include "ratelimit.pb-c.h"

/* Of both descriptors, or of their set: three calls until 2100, which count until the next day. */
#define QUOTAS                                                                                     \
	"\x08\x01\x12\x0e\x08\x01\x2a\x0a\x08\x03\x12\x06\x08\x80\xae\x99\xa4\x0f"                 \
	"\x12\x0e\x08\x01\x2a\x0a\x08\x03\x12\x06\x08\x80\xae\x99\xa4\x0f"
#define QUOTA_OF_SET                                                                               \
	"\x08\x01\x12\x02\x08\x01\x12\x02\x08\x01\x3a\x0a\x08\x03\x12\x06\x08\x80"                 \
	"\xae\x99\xa4\x0f"

/* As many calls pass without a query as the service has granted; then they are refused. */
static void test_quotas(void)
{
	for (uint32_t of_set = 0; of_set < 2; of_set++) {
		set_up(true);
		CU_ASSERT_EQUAL(call("method=say\nuser=joe\n", 1, NOW), MT_FILTER_SUSPEND);
		if (of_set)
			ANSWERS(asked(), QUOTA_OF_SET);
		else
			ANSWERS(asked(), QUOTAS);
		CU_ASSERT_EQUAL(resumed(NOW).verdict, MT_FILTER_NEXT);
		for (uint32_t i = 0; i < 2; i++)
			CU_ASSERT_EQUAL(call("method=say\nuser=joe\n", 2, NOW), MT_FILTER_NEXT);
		CU_ASSERT_EQUAL(lab.fw.counters[MT_FILTER_global_granted], 2);
		CU_ASSERT_EQUAL(call("method=say\nuser=joe\n", 3, NOW), MT_FILTER_REPLY);
		CU_ASSERT_EQUAL(lab.refused_as, MT_ENDING_over_global_limit);
		CU_ASSERT_EQUAL(lab.fw.counters[MT_FILTER_global_limited], 1);
		CU_ASSERT_EQUAL(counted(of_set ? "shop" : "shop: m"), 1);
		CU_ASSERT_PTR_NULL(mt_callout_lane_asked(lab.lane));
		CU_ASSERT_EQUAL(
			call("method=say\nuser=joe\n", 4, NOW + 86400 * MT_SEC), MT_FILTER_SUSPEND);
		ANSWERS(asked(), BOTH_OK);
		CU_ASSERT_EQUAL(resumed(NOW + 86400 * MT_SEC).n, 1);
		tear_down();
	}
}

/* 100 hits remain, and 60 s of the window. */
#define REMAIN                                                                                     \
	"\x08\x01\x12\x08\x08\x01\x18\x64\x22\x02\x08\x3c\x12\x08\x08\x01\x18\x64"                 \
	"\x22\x02\x08\x3c"

static uint32_t hits_asked(const struct mt_rls_slot *s)
{
	Xds__RateLimitRequest *r = xds__rate_limit_request__unpack(NULL, s->len, s->query);
	uint32_t hits;

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL(r->n_descriptors, 2);
	hits = r->hits_addend;
	xds__rate_limit_request__free_unpacked(r, NULL);
	return hits;
}

/* The second query counts ten hits, so that nine calls pass without one. */
static void test_lease(void)
{
	struct mt_rls_slot *s;

	lab.lease = 10;
	set_up(false);
	for (uint32_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(call("method=say\nuser=joe\n", 1, NOW), MT_FILTER_SUSPEND);
		s = asked();
		CU_ASSERT_EQUAL(hits_asked(s), i ? 10 : 0);
		ANSWERS(s, REMAIN);
		CU_ASSERT_EQUAL(resumed(NOW).verdict, MT_FILTER_NEXT);
	}
	for (uint32_t i = 0; i < 9; i++)
		CU_ASSERT_EQUAL(call("method=say\nuser=joe\n", 2, NOW), MT_FILTER_NEXT);
	CU_ASSERT_EQUAL(lab.fw.counters[MT_FILTER_global_granted], 9);
	/* A lease that is lost: the next query counts one hit. */
	for (uint32_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(call("method=say\nuser=joe\n", 3, NOW), MT_FILTER_SUSPEND);
		s = asked();
		CU_ASSERT_EQUAL(hits_asked(s), i ? 0 : 10);
		fails(s, MT_CALLOUT_LATE);
		CU_ASSERT_EQUAL(resumed(NOW).verdict, MT_FILTER_REPLY);
	}
	tear_down();
	lab.lease = 0;
}

const struct mt_test global_grants_tests[] = {{"quotas", test_quotas}, {"lease", test_lease}, {0}};
