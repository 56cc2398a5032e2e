/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a line has about the end of a call or connection, for each row of endings.def: Envoy's flags
 * and details and a code of HTTP, written out here, because filters, dashboards and alerts of others
 * compare them. In text and in JSON.
 */
#include "suites.h"

#include "mt_ending.h"

#define LOST(when, why) "upstream_reset_" when "_response_started{" why "}"
#define DENIED		"rbac_access_denied_matched_policy"

static const struct {
	uint16_t code;
	const char *flags, *words; /* NULL: none */
	const char *details;	   /* NULL: none */
} rows[MT_N_ENDINGS] = {
	[MT_ENDING_ok] = {200, NULL, NULL, "via_upstream"},
	[MT_ENDING_application_error] = {200, NULL, NULL, "via_upstream"},
	[MT_ENDING_server_bad_request] = {400, NULL, NULL, "via_upstream"},
	[MT_ENDING_server_error] = {500, NULL, NULL, "via_upstream"},
	[MT_ENDING_server_overload] = {503, NULL, NULL, "via_upstream"},
	[MT_ENDING_server_unavailable] = {503, NULL, NULL, "via_upstream"},
	[MT_ENDING_server_timeout] = {504, NULL, NULL, "via_upstream"},
	[MT_ENDING_oneway] = {200, NULL, NULL, "via_upstream"},
	[MT_ENDING_bad_request] = {400, "DPE", "DownstreamProtocolError", "meltemi:bad_request"},
	[MT_ENDING_too_large] = {413, NULL, NULL, "request_payload_too_large"},
	[MT_ENDING_unsupported] = {501, NULL, NULL, "meltemi:unsupported"},
	[MT_ENDING_no_upgrade] = {501, NULL, NULL, "meltemi:no_upgrade"},
	[MT_ENDING_token_refused] = {401, NULL, NULL, "jwt_authn_access_denied"},
	[MT_ENDING_denied] = {403, NULL, NULL, DENIED "[none]"},
	[MT_ENDING_no_identity] = {403, NULL, NULL, "meltemi:no_node_identity"},
	[MT_ENDING_ext_authz_denied] = {403, "UAEX", "UnauthorizedExternalService",
		"ext_authz_denied"},
	[MT_ENDING_ext_authz_error] = {403, "UAEX", "UnauthorizedExternalService",
		"ext_authz_error"},
	[MT_ENDING_no_route] = {404, "NR", "NoRouteFound", "route_not_found"},
	[MT_ENDING_no_cluster] = {503, "NC", "NoClusterFound", "cluster_not_found"},
	[MT_ENDING_on_demand_late] = {503, NULL, NULL, "meltemi:on_demand_late"},
	[MT_ENDING_over_local_limit] = {429, "RL", "RateLimited", "local_rate_limited"},
	[MT_ENDING_over_global_limit] = {429, "RL", "RateLimited", "request_rate_limited"},
	[MT_ENDING_limit_error] = {500, "RLSE", "RateLimitServiceError", "rate_limiter_error"},
	[MT_ENDING_overload] = {503, "OM", "OverloadManagerTerminated", "overload"},
	[MT_ENDING_drained] = {503, NULL, NULL, "meltemi:drained"},
	[MT_ENDING_fault] = {503, "FI", "FaultInjected", "fault_filter_abort"},
	[MT_ENDING_no_endpoint] = {503, "UH", "NoHealthyUpstream", "no_healthy_upstream"},
	[MT_ENDING_connect_failed] = {503, "UF", "UpstreamConnectionFailure",
		LOST("before", "connection_failure")},
	[MT_ENDING_breaker] = {503, "UO", "UpstreamOverflow", LOST("before", "overflow")},
	[MT_ENDING_connection_lost] = {503, "UC", "UpstreamConnectionTermination",
		LOST("before", "connection_termination")},
	[MT_ENDING_lost_in_reply] = {503, "UC", "UpstreamConnectionTermination",
		LOST("after", "connection_termination")},
	[MT_ENDING_bad_reply] = {502, "UPE", "UpstreamProtocolError",
		LOST("before", "protocol_error")},
	[MT_ENDING_timeout] = {504, "UT", "UpstreamRequestTimeout", "response_timeout"},
	[MT_ENDING_try_timeout] = {504, "UT", "UpstreamRequestTimeout", "upstream_per_try_timeout"},
	[MT_ENDING_client_closed] = {0, "DC", "DownstreamConnectionTermination",
		"downstream_remote_disconnect"},
	[MT_ENDING_reset] = {0, "LR", "LocalReset", "meltemi:reset"},
	[MT_ENDING_stream] = {0, NULL, NULL, NULL},
	[MT_ENDING_no_chain] = {0, "NR", "NoRouteFound", "filter_chain_not_found"},
	[MT_ENDING_connection_denied] = {0, NULL, NULL, DENIED "[none]"},
	[MT_ENDING_connection_limited] = {0, "RL", "RateLimited", "local_rate_limited"},
	[MT_ENDING_connection_over_global] = {0, "RL", "RateLimited", "request_rate_limited"},
	[MT_ENDING_connection_limit_error] = {0, "RLSE", "RateLimitServiceError",
		"rate_limiter_error"},
};

static const char *or_dash(const char *text)
{
	return text ? text : "-";
}

static void is(enum mt_ending e, const char *got, const char *want)
{
	CU_ASSERT_STRING_EQUAL(got, want);
	if (strcmp(got, want) != 0)
		printf("\n  %s: %s  not %s", mt_endings[e].name, got, want);
}

static void test_text(void)
{
	static const char format[] = "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG% "
				     "%RESPONSE_CODE_DETAILS%";
	struct mt_alog_record r;
	char want[256];

	record_of_call(&r);
	for (uint32_t i = 0; i < MT_N_ENDINGS; i++) {
		r.ending = (enum mt_ending)i;
		snprintf(want, sizeof(want), "%u %s %s %s\n", rows[i].code, or_dash(rows[i].flags),
			or_dash(rows[i].words), or_dash(rows[i].details));
		is(r.ending, line_of(format, MT_ALOG_TEXT, false, &r), want);
	}
}

/* Codes are numbers. Only details that are not known are null. */
static void test_json(void)
{
	static const char format[] =
		"{\"code\":\"%RESPONSE_CODE%\",\"details\":\"%RESPONSE_CODE_DETAILS%\","
		"\"flags\":\"%RESPONSE_FLAGS%\",\"words\":\"%RESPONSE_FLAGS_LONG%\"}";
	struct mt_alog_record r;
	char want[256];

	record_of_call(&r);
	for (uint32_t i = 0; i < MT_N_ENDINGS; i++) {
		const char *quote = rows[i].details ? "\"" : "";

		r.ending = (enum mt_ending)i;
		snprintf(want, sizeof(want),
			"{\"code\":%u,\"details\":%s%s%s,\"flags\":\"%s\",\"words\":\"%s\"}\n",
			rows[i].code, quote, rows[i].details ? rows[i].details : "null", quote,
			or_dash(rows[i].flags), or_dash(rows[i].words));
		is(r.ending, line_of(format, MT_ALOG_JSON, false, &r), want);
	}
}

/* A new row of endings.def needs one here. */
static void test_all(void)
{
	for (uint32_t i = 0; i < MT_N_ENDINGS; i++)
		CU_ASSERT_TRUE(rows[i].details || i == MT_ENDING_stream);
}

const struct mt_test endings_tests[] = {{"every ending in text", test_text},
	{"every ending in JSON", test_json}, {"rows of all endings", test_all}, {0}};
