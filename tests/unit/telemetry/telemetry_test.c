/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_telemetry.h"
#include "mt_test.h"
#include "otlp.pb-c.h"

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

static uint32_t gauge(void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	struct mt_label l[] = {{"service", "a\"b\\c\nd"}, {"zone", "z"}};

	if (pos == 0)
		mt_sample(out, f, l, 2, *(const double *)arg);
	else
		mt_sample(out, f, NULL, 0, 0.25);
	return pos == 0;
}

static uint32_t histogram(void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	static const double bounds[] = {0.001, 1, 1000};
	static const uint64_t counts[] = {1, 0, 5, 2};
	/* What is beside an empty bucket was seen before its count. */
	static const struct mt_example examples[] = {
		{"trace_id=\"4bf9\",span_id=\"00f0\"", 0.000128, 1520879607789000000},
		{"trace_id=\"0\"", 0.5, MT_SEC}, {NULL, 0, 0},
		{"exchange_id=\"0-1-1\"", 33554432, MT_SEC + MT_MSEC}};

	mt_sample_histogram(
		out, f, "service=\"s\"", bounds, counts, 3, 12.5, arg ? examples : NULL);
	return 0;
}

static uint32_t bytes(void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	mt_sample_made(out, f, "", "", UINT64_MAX);
	mt_sample_made(out, f, "a=\"b\"", "c=\"d\"", 7);
	return 0;
}

static double value = 3;
static const struct mt_family families[] = {
	{"meltemi_load", MT_GAUGE, "share", "service, zone", "how \"much\"", gauge, &value},
	{"meltemi_sent_bytes_total", MT_COUNTER, "bytes", "", "sent", bytes, NULL},
	{"meltemi_time_milliseconds", MT_HISTOGRAM, "milliseconds", "service", "time taken",
		histogram, NULL},
};

#define HISTOGRAM                                                                                  \
	"meltemi_time_milliseconds_bucket{service=\"s\",le=\"0.001\"} 1\n"                         \
	"meltemi_time_milliseconds_bucket{service=\"s\",le=\"1.0\"} 1\n"                           \
	"meltemi_time_milliseconds_bucket{service=\"s\",le=\"1000.0\"} 6\n"                        \
	"meltemi_time_milliseconds_bucket{service=\"s\",le=\"+Inf\"} 8\n"                          \
	"meltemi_time_milliseconds_sum{service=\"s\"} 12.5\n"                                      \
	"meltemi_time_milliseconds_count{service=\"s\"} 8\n"
#define WITH_EXAMPLES                                                                              \
	"meltemi_time_milliseconds_bucket{service=\"s\",le=\"0.001\"} 1 # "                        \
	"{trace_id=\"4bf9\",span_id=\"00f0\"} 0.000128 1520879607.789\n"                           \
	"meltemi_time_milliseconds_bucket{service=\"s\",le=\"1.0\"} 1\n"                           \
	"meltemi_time_milliseconds_bucket{service=\"s\",le=\"1000.0\"} 6\n"                        \
	"meltemi_time_milliseconds_bucket{service=\"s\",le=\"+Inf\"} 8 # "                         \
	"{exchange_id=\"0-1-1\"} 33554432 1.001\n"                                                 \
	"meltemi_time_milliseconds_sum{service=\"s\"} 12.5\n"                                      \
	"meltemi_time_milliseconds_count{service=\"s\"} 8\n"
#define LOAD                                                                                       \
	"meltemi_load{service=\"a\\\"b\\\\c\\nd\",zone=\"z\"} 3\n"                                 \
	"meltemi_load 0.25\n"
#define BYTES                                                                                      \
	"meltemi_sent_bytes_total 18446744073709551615\n"                                          \
	"meltemi_sent_bytes_total{a=\"b\",c=\"d\"} 7\n"

static const char want_text[] =
	"# TYPE meltemi_net_received_total counter\n"
	"# HELP meltemi_net_received_total packets received\n"
	"meltemi_net_received_total 18446744073709551615\n"
	"# TYPE meltemi_net_bad_total counter\n"
	"# HELP meltemi_net_bad_total packets with a \\\\ or\\na line break\n"
	"meltemi_net_bad_total 0\n"
	"# TYPE meltemi_load gauge\n"
	"# HELP meltemi_load how \"much\"\n" LOAD "# TYPE meltemi_sent_bytes_total counter\n"
	"# HELP meltemi_sent_bytes_total sent\n" BYTES
	"# TYPE meltemi_time_milliseconds histogram\n"
	"# HELP meltemi_time_milliseconds time taken\n" HISTOGRAM;

static const char want_open[] =
	"# TYPE meltemi_net_received counter\n"
	"# HELP meltemi_net_received packets received\n"
	"meltemi_net_received_total 18446744073709551615\n"
	"# TYPE meltemi_net_bad counter\n"
	"# HELP meltemi_net_bad packets with a \\\\ or\\na line break\n"
	"meltemi_net_bad_total 0\n"
	"# TYPE meltemi_load gauge\n"
	"# HELP meltemi_load how \\\"much\\\"\n" LOAD "# TYPE meltemi_sent_bytes counter\n"
	"# UNIT meltemi_sent_bytes bytes\n"
	"# HELP meltemi_sent_bytes sent\n" BYTES "# TYPE meltemi_time_milliseconds histogram\n"
	"# UNIT meltemi_time_milliseconds milliseconds\n"
	"# HELP meltemi_time_milliseconds time taken\n" HISTOGRAM "# EOF\n";

static void test_examples(void)
{
	static const struct mt_family f = {"meltemi_time_milliseconds", MT_HISTOGRAM,
		"milliseconds", "service", "time taken", histogram, &value};
	struct mt_text_buf out = {0};

	histogram(f.arg, &(struct mt_sink){.text = &out}, &f, 0);
	CU_ASSERT_STRING_EQUAL(out.p, WITH_EXAMPLES);
	mt_text_fini(&out);
}

static void test_formats(void)
{
	static const char *const want[] = {want_text, want_open};
	uint64_t counters[] = {UINT64_MAX, 0};
	struct mt_metrics *m = mt_metrics_new();

	mt_metrics_add(m, &net, counters);
	mt_metrics_add_families(m, families, 3);
	for (int f = MT_FORMAT_TEXT; f <= MT_FORMAT_OPENMETRICS; f++) {
		struct mt_text_buf out = {0};
		struct mt_exposition e;

		mt_exposition_begin(&e, m, (enum mt_format)f);
		while (mt_exposition_next(&e, &(struct mt_sink){.text = &out}))
			;
		CU_ASSERT_STRING_EQUAL(out.p, want[f]);
		mt_text_fini(&out);
	}
	mt_metrics_free(m);
}

static uint32_t fill(void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_label of = {"of", arg};

	(void)pos;
	mt_sample(out, f, &of, 1, 1);
	return 0;
}

/* Like families of many items. */
static uint32_t three(void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	(void)arg;
	for (; pos < 3 && !mt_sink_full(out); pos++)
		mt_sample(out, f, &(const struct mt_label){"of", "item"}, 1, pos);
	return pos < 3 ? pos : 0;
}

/* A slice may end anywhere, also after the head of a family: each item is there, and each head once. */
static void test_slices(void)
{
	static char long_text[MT_SLICE];
	const struct mt_family two[] = {
		{"meltemi_first", MT_GAUGE, "", "of", "fills the slice", fill, long_text},
		{"meltemi_second", MT_GAUGE, "", "of", "has items", three, NULL}};
	struct mt_metrics *m = mt_metrics_new();

	mt_metrics_add_families(m, two, 2);
	for (size_t left = 1; left < 400; left++) {
		struct mt_text_buf out = {0};
		struct mt_exposition e;
		uint32_t items = 0, heads = 0;

		memset(long_text, 'x', sizeof(long_text) - left);
		long_text[sizeof(long_text) - left] = '\0';
		mt_exposition_begin(&e, m, MT_FORMAT_TEXT);
		for (bool more = true; more; out.len = 0) {
			more = mt_exposition_next(&e, &(struct mt_sink){.text = &out});
			mt_text_bytes(&out, "", 1);
			for (const char *p = out.p; (p = strstr(p, "meltemi_second{")); p++)
				items++;
			for (const char *p = out.p; (p = strstr(p, "# TYPE meltemi_second")); p++)
				heads++;
		}
		CU_ASSERT_EQUAL(items, 3);
		CU_ASSERT_EQUAL(heads, 1);
		mt_text_fini(&out);
	}
	mt_metrics_free(m);
}

/* What is in the exposition, as messages. */
static void test_otlp(void)
{
	const struct mt_label who[] = {{"service.name", "s"}};
	uint64_t counters[] = {UINT64_MAX, 2};
	struct mt_metrics *m = mt_metrics_new();
	struct mt_otlp *o = mt_otlp_new(who, 1, 1000);
	Otlp__ExportMetricsServiceRequest *r;
	const Otlp__ScopeMetrics *s;
	struct mt_exposition e;
	uint8_t *bytes;
	size_t len = 0;

	mt_metrics_add(m, &net, counters);
	mt_metrics_add_families(m, families, 3);
	mt_exposition_begin(&e, m, MT_FORMAT_TEXT);
	mt_otlp_begin(o, 5000);
	CU_ASSERT_FALSE(mt_exposition_next(&e, &(struct mt_sink){.otlp = o}));
	CU_ASSERT_EQUAL(mt_otlp_points(o), 7);
	bytes = mt_otlp_pack(o, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	r = otlp__export_metrics_service_request__unpack(NULL, len, bytes);
	free(bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_STRING_EQUAL(
		r->resource_metrics[0]->resource->attributes[0]->value->string_value, "s");
	s = r->resource_metrics[0]->scope_metrics[0];
	CU_ASSERT_EQUAL_FATAL(s->n_metrics, 5);
	CU_ASSERT_STRING_EQUAL(s->metrics[0]->name, "meltemi_net_received_total");
	CU_ASSERT_TRUE(s->metrics[0]->sum->is_monotonic);
	/* More than the format can hold is the most that it can. */
	CU_ASSERT_EQUAL(s->metrics[0]->sum->data_points[0]->as_int, INT64_MAX);
	CU_ASSERT_EQUAL(s->metrics[1]->sum->data_points[0]->as_int, 2);
	CU_ASSERT_EQUAL(s->metrics[1]->sum->data_points[0]->start_time_unix_nano, 1000);
	CU_ASSERT_EQUAL(s->metrics[2]->gauge->n_data_points, 2);
	CU_ASSERT_EQUAL(s->metrics[2]->gauge->data_points[0]->as_double, value);
	CU_ASSERT_STRING_EQUAL(
		s->metrics[2]->gauge->data_points[0]->attributes[0]->value->string_value,
		"a\"b\\c\nd");
	CU_ASSERT_EQUAL(s->metrics[2]->gauge->data_points[1]->n_attributes, 0);
	CU_ASSERT_EQUAL(s->metrics[4]->histogram->data_points[0]->count, 8);
	CU_ASSERT_EQUAL(s->metrics[4]->histogram->data_points[0]->n_bucket_counts, 4);
	CU_ASSERT_EQUAL(s->metrics[4]->histogram->data_points[0]->explicit_bounds[2], 1000);
	CU_ASSERT_EQUAL(s->metrics[3]->sum->data_points[1]->n_attributes, 2);
	CU_ASSERT_STRING_EQUAL(s->metrics[3]->sum->data_points[1]->attributes[1]->key, "c");
	otlp__export_metrics_service_request__free_unpacked(r, NULL);
	mt_otlp_free(o);
	mt_metrics_free(m);
}

static void test_otlp_answers(void)
{
	static const struct {
		const char *bytes;
		size_t len;
		int rc;
		uint64_t rejected;
		const char *words;
	} t[] = {
		{"", 0, 0, 0, ""},
		{"\x0a\x05\x08\x05\x12\x01x", 7, 0, 5, "x"},
		/* less than nothing was rejected */
		{"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13, 0, 0, ""},
		{"\x0a\xff\xff\xff\xff\x7f", 6, -1, 0, ""},
		{"\x0a", 1, -1, 0, ""},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		uint64_t rejected = 99;
		char words[8] = "?";

		CU_ASSERT_EQUAL(mt_otlp_answer((const uint8_t *)t[i].bytes, t[i].len, &rejected,
					words, sizeof(words)),
			t[i].rc);
		CU_ASSERT_EQUAL(rejected, t[i].rejected);
		CU_ASSERT_STRING_EQUAL(words, t[i].words);
	}
}

static void test_accept(void)
{
	static const struct {
		const char *accept;
		enum mt_format want;
	} t[] = {
		{NULL, MT_FORMAT_TEXT},
		{"", MT_FORMAT_TEXT},
		{"*/*", MT_FORMAT_TEXT},
		{"text/html", MT_FORMAT_TEXT},
		{"application/openmetrics-text; version=1.0.0", MT_FORMAT_OPENMETRICS},
		{"application/openmetrics-text;version=1.0.0,application/"
		 "openmetrics-text;version=0."
		 "0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
			MT_FORMAT_OPENMETRICS},
		{"text/plain;q=0.5, Application/OpenMetrics-Text;q=0.4", MT_FORMAT_TEXT},
		{"text/plain; q=0.25,application/openmetrics-text ; q=0.251",
			MT_FORMAT_OPENMETRICS},
		{"application/openmetrics-text;q=0", MT_FORMAT_TEXT},
		{",,;q=,", MT_FORMAT_TEXT},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++)
		CU_ASSERT_EQUAL(mt_format_accepted(t[i].accept), t[i].want);
}

/* The first ones keep series of their own; the sum of the others never goes back. */
static void test_fold(void)
{
	struct mt_fold *f = mt_fold_new(2, 1, false);
	uint64_t v[4] = {1, 2, 10, 20};

	mt_fold_begin(f);
	for (uint64_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(mt_fold_own(f, i + 1, &v[i]), i < 2);
	CU_ASSERT_EQUAL(mt_fold_other(f)[0], 30);
	mt_fold_begin(f);
	for (uint64_t i = 0; i < 4; i++)
		v[i] += i + 1;
	for (uint64_t i = 4; i-- > 0;)
		CU_ASSERT_EQUAL(mt_fold_own(f, i + 1, &v[i]), i < 2);
	CU_ASSERT_EQUAL(mt_fold_other(f)[0], 37);
	/* One of the others went, another began anew: what they had counted stays. */
	mt_fold_begin(f);
	v[2] = 5;
	CU_ASSERT_FALSE(mt_fold_own(f, 3, &v[2]));
	CU_ASSERT_EQUAL(mt_fold_other(f)[0], 42);
	/* Both of the first went for good: there is room for others. */
	for (int i = 0; i < 40; i++) {
		mt_fold_begin(f);
		CU_ASSERT_FALSE(mt_fold_own(f, 3, &v[2]));
	}
	CU_ASSERT_TRUE(mt_fold_own(f, 9, &v[0]));
	for (uint64_t i = 100; i < 1000; i++)
		CU_ASSERT_EQUAL(mt_fold_own(f, i, &v[0]), i == 100);
	CU_ASSERT_EQUAL(mt_fold_other(f)[0], 42 + 899 * v[0]);
	mt_fold_free(f);
}

/* One round with that many requests of item `id`, and failed ones among them. */
static const uint64_t *counted(struct mt_fold *f, uint64_t id, uint64_t all, uint64_t failed)
{
	static uint64_t v[2];

	v[0] = all;
	v[1] = failed;
	mt_fold_begin(f);
	return mt_fold_own(f, id, v) ? v : mt_fold_other(f);
}

/* Of sums, with series of their own and in that of others, neither counter goes back or jumps. */
static void test_fold_of_sums(void)
{
	/* Two workers; the second one's part, of 100 requests, starts again in the third round. */
	static const uint64_t rounds[][4] = {{200, 60, 200, 60}, {210, 60, 210, 60},
		{115, 65, 210, 60}, {120, 66, 215, 61}, {20, 6, 215, 61}, {21, 6, 216, 61}};
	struct mt_fold *f = mt_fold_new(1, 2, true);

	for (uint64_t id = 1; id <= 2; id++)
		for (size_t i = 0; i < MT_ARRAY_LEN(rounds); i++) {
			const uint64_t *v = counted(f, id, rounds[i][0], rounds[i][1]);

			CU_ASSERT_EQUAL(v[0], rounds[i][2]);
			CU_ASSERT_EQUAL(v[1], rounds[i][3]);
		}
	mt_fold_free(f);
}

/* One round of two items of a sum. 0: the item is not there. */
static uint64_t joined(struct mt_joined *j, uint64_t a, uint64_t b)
{
	const uint64_t *sum = NULL;

	mt_joined_begin(j);
	if (a)
		sum = mt_joined_add(j, 7, 1, &a, 1);
	if (b)
		sum = mt_joined_add(j, 7, 2, &b, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sum);
	return sum[0];
}

/* A sum has what its items counted, also of those that went, came back, or began again at 0. */
static void test_joined(void)
{
	static const uint64_t rounds[][3] = {{3, 5, 8}, {3, 5, 8}, {4, 7, 11}, {4, 0, 11},
		{6, 0, 13}, {6, 7, 13}, {6, 8, 14}, {1, 8, 15}};
	struct mt_joined *j = mt_joined_new();

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	for (size_t i = 0; i < MT_ARRAY_LEN(rounds); i++)
		CU_ASSERT_EQUAL(joined(j, rounds[i][0], rounds[i][1]), rounds[i][2]);
	/* Gone for long, and back. */
	for (int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(joined(j, 1, 0), 15);
	CU_ASSERT_EQUAL(joined(j, 1, 9), 16);
	mt_joined_free(j);
	mt_joined_free(NULL);
}

/* Sums are apart, whatever their items are, and with each of their counters. */
static void test_joined_apart(void)
{
	static const uint64_t a[] = {1, 20}, b[] = {300, 4000};
	struct mt_joined *j = mt_joined_new();
	const uint64_t *sum;

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	mt_joined_begin(j);
	sum = mt_joined_add(j, 1, 5, a, 2);
	CU_ASSERT_TRUE(sum && sum[0] == 1 && sum[1] == 20);
	sum = mt_joined_add(j, 2, 5, a, 2);
	CU_ASSERT_TRUE(sum && sum[0] == 1 && sum[1] == 20);
	sum = mt_joined_add(j, 1, 6, b, 2);
	CU_ASSERT_TRUE(sum && sum[0] == 301 && sum[1] == 4020);
	mt_joined_free(j);
}

/* Many items that are gone are forgotten, but no sum that is still there. */
static void test_joined_many(void)
{
	struct mt_joined *j = mt_joined_new();
	uint64_t one = 1;

	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	CU_ASSERT_EQUAL(joined(j, 5, 0), 5);
	for (uint64_t i = 0; i < 20000; i++)
		CU_ASSERT_PTR_NOT_NULL(mt_joined_add(j, 8, 100 + i, &one, 1));
	for (int i = 0; i < 40; i++)
		CU_ASSERT_EQUAL(joined(j, 6, 0), 6);
	/* A new sum: the old one is forgotten with its items. */
	CU_ASSERT_EQUAL(mt_joined_add(j, 8, 100, &one, 1)[0], 1);
	mt_joined_free(j);
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
	{"text exposition and OpenMetrics", test_formats},
	{"slices", test_slices},
	{"examples", test_examples},
	{"which one a client wants", test_accept},
	{"OTLP requests", test_otlp},
	{"OTLP answers", test_otlp_answers},
	{"bounded cardinality", test_fold},
	{"bounded cardinality of sums", test_fold_of_sums},
	{"sums of several items", test_joined},
	{"several sums", test_joined_apart},
	{"sums of many items", test_joined_many},
	{"text grows", test_text},
	{0},
};

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"telemetry", tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
