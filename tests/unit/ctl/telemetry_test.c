/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `show telemetry`, `log reopen`, and the check of `show health`, with a real log and file. Flags of
 * istio_requests_total.
 */
#include "suites.h"

#include "mt_alog.h"
#include "mt_ending.h"
#include "mt_ctl_metrics_priv.h"

#include <sys/stat.h>
#include <unistd.h>

static bool answers(struct mt_ctl *c, const char *line, int want, const char *words)
{
	int code;
	char *out = test_run(c, line, &code);
	bool yes = code == want && strstr(out, words);

	if (!yes)
		printf("\n  %s: %d: %s\n", line, code, out);
	free(out);
	return yes;
}

/* The same within 5 s. */
static bool answers_soon(struct mt_ctl *c, const char *line, const char *words)
{
	for (int i = 0; i < 500; i++) {
		int code;
		char *out = test_run(c, line, &code);
		bool yes = strstr(out, words) != NULL;

		free(out);
		if (yes)
			return true;
		usleep(10000);
	}
	return answers(c, line, MT_CTL_OK, words);
}

static void test_none(void)
{
	struct mt_ctl *c = test_ctl(NULL);

	CU_ASSERT(answers(c, "--json show telemetry", MT_CTL_OK, "\"sinks\""));
	CU_ASSERT(answers(c, "show health", MT_CTL_OK, "no output of an access log fails"));
	CU_ASSERT(answers(c, "log reopen", MT_CTL_FAILED, "writes no access log"));
	mt_ctl_destroy(c);
}

/* True if the metrics have a sample `NAME{sink="DIRECTORY/PATH"MORE} VALUE`. */
static bool counts(struct mt_ctl *c, const char *name, const struct mt_alog_place *at,
	const char *more, uint32_t value)
{
	struct mt_scrape *scrape = mt_scrape_new(c, MT_FORMAT_TEXT);
	struct mt_text_buf out = {0};
	char sample[256];
	bool failed = false, yes;

	CU_ASSERT_PTR_NOT_NULL_FATAL(scrape);
	while (mt_scrape_next(scrape, &(struct mt_sink){.text = &out}, &failed))
		;
	CU_ASSERT_FALSE(failed);
	mt_scrape_free(scrape);
	snprintf(sample, sizeof(sample), "%s{sink=\"%s/%s\"%s} %u\n", name, at->directory, at->path,
		more, value);
	yes = strstr(out.p, sample) != NULL;
	if (!yes)
		printf("\n  no %s", sample);
	mt_text_fini(&out);
	return yes;
}

static void log_call(struct mt_alog *log)
{
	struct mt_byte_ring *r = mt_alog_ring(log, 0);
	struct mt_alog_entry *e =
		mt_byte_ring_reserve(r, mt_alog_entry_size(MT_ALOG_NO_TEXT, MT_ALOG_NO_TEXT, 0, 0));

	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	memset(e, 0, sizeof(*e));
	e->interface_len = e->method_len = MT_ALOG_NO_TEXT;
	mt_byte_ring_publish(r);
}

/* A file whose directory is missing: a warning, until the directory exists. */
static void test_repaired(void)
{
	char dir[] = "/tmp/unit-ctl-XXXXXX", missing[64], path[] = "missing/calls.log";
	struct mt_alog_want want = {"MeshConfig mesh: accessLogFile", {dir, path, 0},
		{NULL, 0, MT_ALOG_TEXT, false}, 0, true, true, NULL, NULL, {0, false}};
	struct mt_ctl_env env = {.node = "edge-1"};
	struct mt_err e = {""};
	struct mt_ctl *c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	env.log = mt_alog_new(1, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(env.log);
	CU_ASSERT_EQUAL_FATAL(mt_alog_set(env.log, &want, 1, &e), 0);
	c = test_ctl(&env);
	log_call(env.log);
	CU_ASSERT(answers_soon(c, "show telemetry", "not_open"));
	CU_ASSERT(answers(c, "show telemetry", MT_CTL_OK, "missing/calls.log"));
	CU_ASSERT(answers(c, "show telemetry wide", MT_CTL_OK, "MeshConfig mesh: accessLogFile"));
	CU_ASSERT(answers(c, "show health", MT_CTL_OK, "lines are not written: the file cannot"));
	snprintf(missing, sizeof(missing), "%s/missing", dir);
	CU_ASSERT_EQUAL(mkdir(missing, 0755), 0);
	CU_ASSERT(answers(c, "log reopen", MT_CTL_OK, "opened again"));
	CU_ASSERT(answers_soon(c, "--json show telemetry", "\"written\": 1"));
	CU_ASSERT(answers(c, "show telemetry", MT_CTL_OK, " ok "));
	CU_ASSERT(answers(c, "show health", MT_CTL_OK, "no output of an access log fails"));
	CU_ASSERT(counts(c, "meltemi_access_log_written_total", &want.place, "", 1));
	CU_ASSERT(counts(c, "meltemi_access_log_lost_total", &want.place, ",reason=\"ring\"", 0));
	/* Without time the next line is lost, before or after it is rendered. */
	log_call(env.log);
	mt_alog_stop(env.log, 0);
	CU_ASSERT(
		counts(c, "meltemi_access_log_written_total", &want.place, "", 2) ||
		counts(c, "meltemi_access_log_lost_total", &want.place, ",reason=\"ring\"", 1) ||
		counts(c, "meltemi_access_log_lost_total", &want.place, ",reason=\"stopped\"", 1));
	mt_ctl_destroy(c);
	mt_alog_free(env.log);
	snprintf(missing, sizeof(missing), "%s/missing/calls.log", dir);
	CU_ASSERT_EQUAL(unlink(missing), 0);
	snprintf(missing, sizeof(missing), "%s/missing", dir);
	CU_ASSERT_EQUAL(rmdir(missing), 0);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

/* Requests with these flags; each pair of flags has one row. */
static uint64_t with_flags(const struct mt_istio_bad *bad, uint32_t flags)
{
	uint64_t n = 0;
	uint32_t found = 0;

	for (uint32_t i = 0; i < bad->n; i++)
		if (bad->rows[i].flags == flags) {
			n += bad->rows[i].requests;
			found++;
		}
	CU_ASSERT(found <= 1);
	return n;
}

/* The metric has the flags that the access log of the same calls has. */
static void test_flags(void)
{
	static const struct {
		enum mt_ending ending;
		uint32_t flags;
	} rows[] = {
		{MT_ENDING_no_route, MT_FLAG_NR},
		{MT_ENDING_no_cluster, MT_FLAG_NC},
		{MT_ENDING_no_endpoint, MT_FLAG_UH},
		{MT_ENDING_connect_failed, MT_FLAG_UF},
		{MT_ENDING_over_local_limit, MT_FLAG_RL},
		{MT_ENDING_overload, MT_FLAG_OM},
		{MT_ENDING_breaker, MT_FLAG_UO},
		{MT_ENDING_fault, MT_FLAG_FI},
		{MT_ENDING_timeout, MT_FLAG_UT},
		{MT_ENDING_try_timeout, MT_FLAG_UT},
		{MT_ENDING_connection_lost, MT_FLAG_UC},
		{MT_ENDING_bad_request, MT_FLAG_DPE},
		{MT_ENDING_bad_reply, MT_FLAG_UPE},
		{MT_ENDING_ext_authz_denied, MT_FLAG_UAEX},
		{MT_ENDING_ext_authz_error, MT_FLAG_UAEX},
		{MT_ENDING_on_demand_late, 0},
		{MT_ENDING_unsupported, 0},
		{MT_ENDING_denied, 0},
		{MT_ENDING_no_identity, 0},
		{MT_ENDING_token_refused, 0},
		{MT_ENDING_too_large, 0},
		{MT_ENDING_no_upgrade, 0},
	};
	struct mt_service_stats all = {
		.app_error = 1, .proto_error = 2, .client_left = 5, .cut_off = 7};
	struct mt_istio_bad bad;

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_service_stats one = {0};

		one.local[rows[i].ending] = 3;
		all.local[rows[i].ending] = 10;
		mt_istio_bad_requests(&one, &bad);
		CU_ASSERT_EQUAL(bad.n, rows[i].flags ? 2 : 1);
		CU_ASSERT_EQUAL(with_flags(&bad, rows[i].flags), 3);
	}
	mt_istio_bad_requests(&all, &bad);
	CU_ASSERT_EQUAL(bad.n, 16);
	CU_ASSERT_EQUAL(with_flags(&bad, 0), 73);
	CU_ASSERT_EQUAL(with_flags(&bad, MT_FLAG_UAEX), 20);
	CU_ASSERT_EQUAL(with_flags(&bad, MT_FLAG_DC), 5);
	CU_ASSERT_EQUAL(with_flags(&bad, MT_FLAG_LR), 7);
	CU_ASSERT_EQUAL(with_flags(&bad, MT_FLAG_OM), 10);
	all = (struct mt_service_stats){0};
	mt_istio_bad_requests(&all, &bad);
	CU_ASSERT_EQUAL(bad.n, 1);
}

const struct mt_test telemetry_tests[] = {{"no log", test_none},
	{"a directory is missing", test_repaired}, {"flags of Istio's metric", test_flags}, {0}};
