/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_telemetry.h"
#include "mt_test.h"

static const struct mt_outcome net_rows[] = {
	{"received", MT_SEV_INFO, "packets received"},
	{"bad", MT_SEV_DROP, "packets with a \\ or\na line break"},
};
static const struct mt_outcome_set net = {"net", net_rows, 2};
static const struct mt_outcome tcp_rows[] = {{"resets", MT_SEV_REFUSE, "resets sent"}};
static const struct mt_outcome_set tcp = {"tcp", tcp_rows, 1};
static const struct mt_outcome_set none = {"none", NULL, 0};

static void test_sums(void)
{
	uint64_t w0[] = {5, 1}, w1[] = {7, 0}, t0[] = {3}, pos = 0;
	static const struct {
		const char *room, *name;
		uint64_t value;
	} want[] = {{"net", "received", 12}, {"net", "bad", 1}, {"tcp", "resets", 3}};
	struct mt_metrics *m = mt_metrics_new();
	struct mt_metric c;
	size_t n = 0;

	CU_ASSERT_FALSE(mt_metrics_next(m, &pos, &c));
	mt_metrics_add(m, &net, w0);
	mt_metrics_add(m, &none, w0);
	mt_metrics_add(m, &tcp, t0);
	mt_metrics_add(m, &net, w1);
	for (pos = 0; mt_metrics_next(m, &pos, &c); n++) {
		CU_ASSERT_FATAL(n < 3);
		CU_ASSERT_STRING_EQUAL(c.room, want[n].room);
		CU_ASSERT_STRING_EQUAL(c.name, want[n].name);
		CU_ASSERT_EQUAL(c.value, want[n].value);
	}
	CU_ASSERT_EQUAL(n, 3);
	/* The arrays are read anew each time. */
	mt_count(w1, 0);
	pos = 0;
	mt_metrics_next(m, &pos, &c);
	CU_ASSERT_EQUAL(c.value, 13);
	mt_metrics_free(m);
}

static void gauge(void *arg, struct mt_text_buf *out, const struct mt_family *f)
{
	struct mt_label l[] = {{"service", "a\"b\\c\nd"}, {"zone", "z"}};

	mt_sample(out, f, l, 2, *(const double *)arg);
	mt_sample(out, f, NULL, 0, 0.25);
}

static void histogram(void *arg, struct mt_text_buf *out, const struct mt_family *f)
{
	static const double bounds[] = {0.001, 1, 1000};
	static const uint64_t counts[] = {1, 0, 5, 2};
	struct mt_label l = {"service", "s"};

	mt_sample_histogram(out, f, &l, 1, bounds, counts, 3, 12.5);
}

static void test_prometheus(void)
{
	static double value = 12345678901.0;
	static const struct mt_family families[] = {
		{"meltemi_things", MT_GAUGE, "things now", gauge, &value},
		{"meltemi_time_milliseconds", MT_HISTOGRAM, "time taken", histogram, NULL},
	};
	static const char want[] =
		"# HELP meltemi_net_received_total packets received\n"
		"# TYPE meltemi_net_received_total counter\n"
		"meltemi_net_received_total 18446744073709551615\n"
		"# HELP meltemi_net_bad_total packets with a \\\\ or\\na line break\n"
		"# TYPE meltemi_net_bad_total counter\n"
		"meltemi_net_bad_total 0\n"
		"# HELP meltemi_things things now\n"
		"# TYPE meltemi_things gauge\n"
		"meltemi_things{service=\"a\\\"b\\\\c\\nd\",zone=\"z\"} 12345678901\n"
		"meltemi_things 0.25\n"
		"# HELP meltemi_time_milliseconds time taken\n"
		"# TYPE meltemi_time_milliseconds histogram\n"
		"meltemi_time_milliseconds_bucket{service=\"s\",le=\"0.001\"} 1\n"
		"meltemi_time_milliseconds_bucket{service=\"s\",le=\"1\"} 1\n"
		"meltemi_time_milliseconds_bucket{service=\"s\",le=\"1000\"} 6\n"
		"meltemi_time_milliseconds_bucket{service=\"s\",le=\"+Inf\"} 8\n"
		"meltemi_time_milliseconds_sum{service=\"s\"} 12.5\n"
		"meltemi_time_milliseconds_count{service=\"s\"} 8\n";
	uint64_t counters[] = {UINT64_MAX, 0};
	struct mt_metrics *m = mt_metrics_new();
	struct mt_text_buf out = {0};

	mt_metrics_add(m, &net, counters);
	mt_metrics_add_families(m, families, 2);
	CU_ASSERT_EQUAL(mt_metrics_prometheus(m, &out), 0);
	CU_ASSERT_STRING_EQUAL(out.p, want);
	mt_text_fini(&out);
	mt_metrics_free(m);
}

static void test_text(void)
{
	struct mt_text_buf t = {0};
	size_t len = 0;

	for (int i = 0; i < 5000; i++) {
		mt_text_add(&t, "%d,", i);
		len += (size_t)snprintf(NULL, 0, "%d,", i);
		CU_ASSERT_FATAL(t.len == len && strlen(t.p) == len);
	}
	mt_text_fini(&t);
	CU_ASSERT_PTR_NULL(t.p);
}

static const struct mt_test tests[] = {
	{"counters are summed over workers", test_sums},
	{"text exposition", test_prometheus},
	{"text grows", test_text},
	{0},
};

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"telemetry", tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
