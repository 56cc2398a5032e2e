/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of the talks mean what they say; each mutation is refused at its line. */
#include "conf_test.h"

#include <stdio.h>

#define DOCUMENTS MT_SOURCE_ROOT "/tests/documents/"
#define N_TALKS	  7

static const char *const talks[N_TALKS] = {
	"companion-dubbo.yaml",
	"companion-reviews.yaml",
	"companion-thrift.yaml",
	"dubbo-application-protocol.yaml",
	"dubbo-traffic-splitting.yaml",
	"reviews-canary.yaml",
	"thrift-rate-limit.yaml",
};

/* All of talks/, one of them replaced (or none). */
static struct built build_talks(const char *replaced, const char *by)
{
	char paths[N_TALKS][512];
	const char *list[N_TALKS];

	for (int i = 0; i < N_TALKS; i++) {
		bool other = replaced && strcmp(replaced, talks[i]) == 0;

		snprintf(paths[i], sizeof(paths[i]), DOCUMENTS "%s%s", other ? "" : "talks/",
			other ? by : talks[i]);
		list[i] = paths[i];
	}
	return build_files(list, N_TALKS);
}

static const char *cluster_name(const struct mt_snapshot *s, const struct mt_route_dest *d)
{
	return s->clusters[d->cluster].name;
}

static void dubbo_splitting(void)
{
	struct built b = build_talks(NULL, NULL);
	const struct mt_route_action *a;
	const struct mt_service *s;

	show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.diags.errors + b.diags.warnings, 0);
	s = service(b.s, "org.apache.dubbo.samples.basic.api.demoservice");
	CU_ASSERT_EQUAL_FATAL(mt_route_count(s->routes), 1);
	a = mt_route_at(s->routes, 0);
	CU_ASSERT_STRING_EQUAL(a->name, "traffic-splitting");
	CU_ASSERT_EQUAL_FATAL(a->n_dests, 2);
	CU_ASSERT_STRING_EQUAL(cluster_name(b.s, &a->dests[0]),
		"outbound|20880|v1|org.apache.dubbo.samples.basic.api.demoservice");
	CU_ASSERT_EQUAL(a->dests[0].weight, 20);
	CU_ASSERT_EQUAL(a->dests[1].weight, 80);
	CU_ASSERT_EQUAL(b.s->clusters[a->dests[0].cluster].n_eps, 1);
	unbuild(&b);
}

static void thrift_limits(void)
{
	struct built b = build_talks(NULL, NULL);
	struct mt_limit_info info;
	const struct mt_service *s;
	uint32_t idx = 0, n = 0;
	struct mt_err err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	s = service(b.s, "thrift-sample-server.meta-thrift.svc.cluster.local");
	CU_ASSERT_STRING_EQUAL(mt_route_at(s->routes, 0)->name, "default");
	CU_ASSERT_EQUAL(s->n_filter_insts, 1);
	CU_ASSERT_EQUAL_FATAL(mt_conf_publish(b.conf, b.s, NOW, NULL, &err), 0);
	b.s = NULL;
	while (mt_limit_next(mt_conf_limits(b.conf), &idx, NOW, &info)) {
		bool own = strcmp(info.match, "*") == 0;

		n++;
		CU_ASSERT_EQUAL(info.tokens, own ? 5 : 2);
		CU_ASSERT_EQUAL(info.numbers.max_tokens, own ? 5 : 2);
		CU_ASSERT_EQUAL(info.numbers.tokens_per_fill, own ? 5 : 2);
		CU_ASSERT_EQUAL(info.numbers.fill_ns, (own ? 60 : 10) * MT_SEC);
	}
	CU_ASSERT_EQUAL(n, 2);
	unbuild(&b);
}

static void check_canary(const struct built *b)
{
	const struct mt_route_action *a;
	const struct mt_service *s;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b->s);
	s = service(b->s, "reviews.prod.svc.cluster.local");
	CU_ASSERT_EQUAL_FATAL(mt_route_count(s->routes), 2);
	a = mt_route_at(s->routes, 0);
	CU_ASSERT_STRING_EQUAL(a->name, "canary-route");
	CU_ASSERT_STRING_EQUAL(
		cluster_name(b->s, a->dests), "outbound|9200|v2|reviews.prod.svc.cluster.local");
	a = mt_route_at(s->routes, 1);
	CU_ASSERT_STRING_EQUAL(a->name, "default");
	CU_ASSERT_STRING_EQUAL(
		cluster_name(b->s, a->dests), "outbound|9200|v1|reviews.prod.svc.cluster.local");
}

static void reviews_canary(void)
{
	struct built b = build_talks(NULL, NULL);

	check_canary(&b);
	unbuild(&b);
}

/* The slide's own indentation means the same, with a warning that names the line. */
static void slide_form(void)
{
	struct built b = build_talks("reviews-canary.yaml", "slide/reviews-canary.yaml");

	check_canary(&b);
	CU_ASSERT_EQUAL(b.diags.warnings, 1);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 12, "is next to headers"));
	unbuild(&b);
}

static enum mt_diag_severity severity_of(const char *verdict)
{
	static const struct {
		const char *word;
		enum mt_diag_severity severity;
	} words[] = {{"error", MT_DIAG_ERROR}, {"warning", MT_DIAG_WARNING},
		{"warning: no effect", MT_DIAG_UNUSED}, {"fails closed", MT_DIAG_CLOSED},
		{"note", MT_DIAG_NOTE}};

	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (strcmp(verdict, words[i].word) == 0)
			return words[i].severity;
	CU_FAIL_FATAL("a verdict that this test does not know");
	return MT_DIAG_SEVERITIES;
}

static void one_mutation(char *row)
{
	char *file = strtok(row, "\t"), *stands = strtok(NULL, "\t");
	char *verdict = strtok(NULL, "\t"), *line = strtok(NULL, "\t"), *words = strtok(NULL, "\n");
	enum mt_diag_severity severity;
	char by[256];
	struct built b;
	bool as_expected;

	CU_ASSERT_PTR_NOT_NULL_FATAL(words);
	snprintf(by, sizeof(by), "bad/%s", file);
	b = build_talks(stands, by);
	severity = severity_of(verdict);
	CU_ASSERT_EQUAL(b.s == NULL, severity == MT_DIAG_ERROR);
	as_expected = has_diag(&b, severity, (uint32_t)atoi(line), words) &&
		      has_diag(&b, severity, (uint32_t)atoi(line), file);
	CU_ASSERT_TRUE(as_expected);
	if (!as_expected) {
		fprintf(stderr, "%s wants line %s, %s\n", file, line, words);
		show_diags(&b);
	}
	unbuild(&b);
}

static void mutations(void)
{
	FILE *f = fopen(DOCUMENTS "bad/expected.tsv", "r");
	char row[1024];
	int n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (fgets(row, sizeof(row), f)) {
		if (*row == '#')
			continue;
		one_mutation(row);
		n++;
	}
	fclose(f);
	CU_ASSERT(n >= 12);
}

const struct mt_test documents_tests[] = {
	{"dubbo_splitting", dubbo_splitting},
	{"thrift_limits", thrift_limits},
	{"reviews_canary", reviews_canary},
	{"slide_form", slide_form},
	{"mutations", mutations},
	{0},
};
