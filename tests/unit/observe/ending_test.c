/* SPDX-License-Identifier: Apache-2.0 */
/* Codes, flags and details of endings. */
#include "mt_ending.h"

#include "suites.h"

#define ROW(e) (&mt_endings[MT_ENDING_##e])

static bool is(const struct mt_ending_row *r, uint16_t code, const char *flags, const char *details)
{
	char text[MT_FLAGS_TEXT];

	(void)mt_flags_text(r->flags, false, text);
	return r->code == code && strcmp(text, flags) == 0 && r->details &&
	       strcmp(r->details, details) == 0;
}

/* Envoy's and Istio's values, which filters and dashboards compare. */
static void test_known(void)
{
	CU_ASSERT_TRUE(is(ROW(ok), 200, "-", "via_upstream"));
	CU_ASSERT_TRUE(is(ROW(no_route), 404, "NR", "route_not_found"));
	CU_ASSERT_TRUE(is(ROW(no_cluster), 503, "NC", "cluster_not_found"));
	CU_ASSERT_TRUE(is(ROW(no_endpoint), 503, "UH", "no_healthy_upstream"));
	CU_ASSERT_TRUE(is(ROW(over_local_limit), 429, "RL", "local_rate_limited"));
	CU_ASSERT_TRUE(is(ROW(timeout), 504, "UT", "response_timeout"));
	CU_ASSERT_TRUE(is(ROW(client_closed), 0, "DC", "downstream_remote_disconnect"));
	CU_ASSERT_TRUE(
		is(ROW(breaker), 503, "UO", "upstream_reset_before_response_started{overflow}"));
}

/* Names are unique, codes are HTTP's, and a reason has a place between two brackets. */
static void test_rows(void)
{
	for (uint32_t i = 0; i < MT_N_ENDINGS; i++) {
		const struct mt_ending_row *r = &mt_endings[i];

		CU_ASSERT_TRUE(r->code == 0 || (r->code >= 200 && r->code < 600));
		CU_ASSERT_TRUE(!r->details || !strchr(r->details, ' '));
		CU_ASSERT_TRUE(strlen(r->bracket) == 0 || strlen(r->bracket) == 2);
		for (uint32_t j = 0; j < i; j++)
			CU_ASSERT_STRING_NOT_EQUAL(r->name, mt_endings[j].name);
	}
}

static void test_flags(void)
{
	char text[MT_FLAGS_TEXT];

	CU_ASSERT_EQUAL(mt_flags_text(0, true, text), 1);
	CU_ASSERT_STRING_EQUAL(text, "-");
	CU_ASSERT_EQUAL(mt_flags_text(MT_FLAG_UC | MT_FLAG_URX, false, text), 6);
	CU_ASSERT_STRING_EQUAL(text, "UC,URX");
	(void)mt_flags_text(MT_FLAG_UC | MT_FLAG_URX, true, text);
	CU_ASSERT_STRING_EQUAL(text, "UpstreamConnectionTermination,UpstreamRetryLimitExceeded");
	/* Bits without a name, and all that have one. */
	(void)mt_flags_text(1u << 31, false, text);
	CU_ASSERT_STRING_EQUAL(text, "-");
	CU_ASSERT_EQUAL(mt_flags_text(UINT32_MAX, true, text), strlen(text));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "NoHealthyUpstream,"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, ",OverloadManagerTerminated"));
}

const struct mt_test ending_tests[] = {
	{"known", test_known}, {"rows", test_rows}, {"flags", test_flags}, {0}};
