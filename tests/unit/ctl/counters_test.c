/* SPDX-License-Identifier: Apache-2.0 */
/* Counters: their words, remedies and causes, and views of them. */
#include "suites.h"

/* A sentence that says what is counted: some words, no full stop, nothing that a table breaks on. */
static bool is_meaning(const char *words)
{
	size_t len = strlen(words), blanks = 0;

	for (const char *p = words; *p; p++)
		blanks += *p == ' ';
	return blanks >= 1 && len < 400 && words[len - 1] != '.' && !strpbrk(words, "\t\n");
}

/* Every counter of every room is described, and every error and refusal has something that helps. */
static void test_meanings(void)
{
	const char *room, *name;
	uint32_t rows = 0;

	for (size_t s = 0; s < mt_n_ctl_sets; s++) {
		const struct mt_outcome_set *set = mt_ctl_sets[s];

		for (uint32_t i = 0; i < set->n; i++, rows++) {
			const struct mt_outcome *o = &set->rows[i];
			bool trouble = o->severity == MT_SEV_ERROR || o->severity == MT_SEV_REFUSE;
			const char *remedy = mt_remedy(set->room, o->name);

			if (!is_meaning(o->words) || (trouble && !remedy))
				printf("\n  %s_%s: no words or no remedy", set->room, o->name);
			CU_ASSERT_TRUE(is_meaning(o->words));
			CU_ASSERT(!trouble || remedy);
			CU_ASSERT(!remedy || is_meaning(remedy));
			CU_ASSERT_PTR_NOT_NULL(mt_unit(o->name));
		}
	}
	CU_ASSERT(rows > 200);
	/* And no remedy for what is not counted any more. */
	for (uint32_t i = 0; mt_remedy_row(i, &room, &name); i++) {
		bool found = false;

		for (size_t s = 0; s < mt_n_ctl_sets; s++)
			for (uint32_t k = 0; k < mt_ctl_sets[s]->n; k++)
				found |= strcmp(mt_ctl_sets[s]->room, room) == 0 &&
					 strcmp(mt_ctl_sets[s]->rows[k].name, name) == 0;
		if (!found)
			printf("\n  remedy of %s_%s: no such outcome", room, name);
		CU_ASSERT_TRUE(found);
	}
}

/* Outcomes and their causes exist, an effect is above INFO, and no outcome causes itself. */
static bool is_outcome(const char *name, size_t len, enum mt_severity *severity)
{
	char full[128];

	for (size_t s = 0; s < mt_n_ctl_sets; s++)
		for (uint32_t i = 0; i < mt_ctl_sets[s]->n; i++) {
			snprintf(full, sizeof(full), "%s_%s", mt_ctl_sets[s]->room,
				mt_ctl_sets[s]->rows[i].name);
			*severity = mt_ctl_sets[s]->rows[i].severity;
			if (strlen(full) == len && memcmp(full, name, len) == 0)
				return true;
		}
	return false;
}

/* True if `name` is in the chain of causes that starts with these. */
static bool leads_back(const char *causes, const char *name, int deep)
{
	char one[128];

	for (const char *c = causes; deep && c && *c; c += strspn(c, " ")) {
		size_t len = strcspn(c, " ");

		snprintf(one, sizeof(one), "%.*s", (int)len, c);
		if (strcmp(one, name) == 0 || leads_back(mt_causes(one), name, deep - 1))
			return true;
		c += len;
	}
	return false;
}

static void test_causes(void)
{
	const char *name;
	uint32_t i = 0;

	for (; (name = mt_causes_row(i)) != NULL; i++) {
		enum mt_severity severity;

		CU_ASSERT(is_outcome(name, strlen(name), &severity) && severity != MT_SEV_INFO);
		CU_ASSERT_FALSE(leads_back(mt_causes(name), name, 8));
		for (const char *c = mt_causes(name); *c; c += strspn(c, " ")) {
			size_t len = strcspn(c, " ");

			if (!is_outcome(c, len, &severity) || severity == MT_SEV_INFO)
				printf("\n  cause %.*s of %s", (int)len, c, name);
			CU_ASSERT(is_outcome(c, len, &severity) && severity != MT_SEV_INFO);
			c += len;
		}
	}
	CU_ASSERT(i > 20);
}

/* A refusal that counts twice is one row, as long as its cause has counted. */
static void test_one_row_for_a_cause(void)
{
	static uint64_t proxy[MT_PROXY_N_OUTCOMES], filter[MT_FILTER_N_OUTCOMES];
	struct mt_ctl *c = test_ctl(NULL);
	json_t *shown;
	char *out;
	int code;

	proxy[MT_PROXY_reply_over_limit] = 7;
	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_proxy_outcomes, proxy), 0);
	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_filter_outcomes, filter), 0);
	out = test_run(c, "show errors", &code);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "proxy_reply_over_limit      7"));
	CU_ASSERT_PTR_NULL(strstr(out, "also_counted"));
	free(out);
	filter[MT_FILTER_rate_limited] = 7;
	proxy[MT_PROXY_up_connect_failed] = 3;
	proxy[MT_PROXY_up_reset] = 1;
	proxy[MT_PROXY_reply_no_endpoint] = 2;
	out = test_run(c, "--json show errors", &code);
	shown = json_loads(out, 0, NULL);
	free(out);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(shown, "errors")), 2);
	json_decref(shown);
	out = test_run(c, "show errors", &code);
	CU_ASSERT_PTR_NOT_NULL(strstr(
		out, "\n    also_counted: proxy_up_reset (1), proxy_reply_no_endpoint (2)\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\n    also_counted: proxy_reply_over_limit (7)\n"));
	free(out);
	out = test_run(c, "show errors reply_over_limit", &code);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "filter_rate_limited"));
	CU_ASSERT_PTR_NULL(strstr(out, "proxy_up_connect_failed"));
	free(out);
	filter[MT_FILTER_rate_limited] = 0;
	filter[MT_FILTER_global_limited] = proxy[MT_PROXY_opaque_over_limit] = 2;
	out = test_run(c, "show errors", &code);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "proxy_reply_over_limit (7)"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "proxy_opaque_over_limit (2)"));
	free(out);
	mt_ctl_destroy(c);
}

/* The tables count from then on, and the counters themselves go on. */
static void test_clear(void)
{
	static uint64_t counters[MT_TCP_N_OUTCOMES];
	struct mt_ctl *c = test_ctl(NULL);
	struct mt_metric m;
	uint64_t pos = 0, sum = 0;
	char *out;
	int code;

	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_tcp_outcomes, counters), 0);
	counters[MT_TCP_conns_full] = 5;
	out = test_run(c, "clear counters undo", &code);
	CU_ASSERT(code == MT_CTL_FAILED && strstr(out, "not cleared"));
	free(out);
	out = test_run(c, "show counters conns_full", &code);
	CU_ASSERT(strstr(out, "tcp_conns_full  5\n") && !strstr(out, "counted_since"));
	free(out);
	free(test_run(c, "clear counters", &code));
	CU_ASSERT_EQUAL(code, MT_CTL_OK);
	out = test_run(c, "show counters", &code);
	CU_ASSERT(strstr(out, "tcp_conns_full ") && strstr(out, "counted_since"));
	free(out);
	out = test_run(c, "show errors", &code);
	CU_ASSERT(!strstr(out, "tcp_conns_full") && strstr(out, "counted_since"));
	free(out);
	counters[MT_TCP_conns_full] = 7;
	out = test_run(c, "show counters conns_full", &code);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "tcp_conns_full  2\n"));
	free(out);
	out = test_run(c, "show errors", &code);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "tcp_conns_full      2"));
	free(out);
	while (mt_metrics_next(c->metrics, &pos, &m))
		sum += m.value;
	CU_ASSERT_EQUAL(sum, 7);
	free(test_run(c, "clear counters undo", &code));
	out = test_run(c, "show counters conns_full", &code);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "tcp_conns_full  7\n"));
	free(out);
	free(test_run(c, "clear counters all", &code));
	CU_ASSERT_EQUAL(code, MT_CTL_FAILED);
	mt_ctl_destroy(c);
}

/* What `show counters` counts is what `show meaning` explains; errors come with both sentences. */
static void test_errors_say_what_helps(void)
{
	static uint64_t counters[MT_TCP_N_OUTCOMES], port[MT_PORT_N_OUTCOMES];
	struct mt_ctl *c = test_ctl(NULL);
	json_t *shown, *v;
	const char *key;
	char *out;
	int code;

	counters[MT_TCP_no_source_port] = 7;
	counters[MT_TCP_conns_full] = 1;
	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_tcp_outcomes, counters), 0);
	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_port_outcomes, port), 0);
	out = test_run(c, "show errors", &code);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "tcp_no_source_port      7            7  refused"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(out, "\n    reason: connects refused because no source port"));
	/* The command of the remedy, where it has one, else the room's. */
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "  show connections\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "  show workers\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "\n    remedy: add addresses to spec.sourceAddresses"));
	free(out);
	out = test_run(c, "--json show counters", &code);
	shown = json_loads(out, 0, NULL);
	free(out);
	out = test_run(c, "show meaning", &code);
	CU_ASSERT_EQUAL(json_object_size(shown), MT_TCP_N_OUTCOMES + MT_PORT_N_OUTCOMES);
	json_object_foreach(shown, key, v)
	{
		char line[160];

		snprintf(line, sizeof(line), "\n%s ", key);
		CU_ASSERT_PTR_NOT_NULL(strstr(out, line));
	}
	free(out);
	out = test_run(c, "show meaning rx_bytes", &code);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "port_rx_bytes  bytes  info"));
	free(out);
	json_decref(shown);
	mt_ctl_destroy(c);
}

const struct mt_test counters_tests[] = {
	{"every counter is described", test_meanings},
	{"errors say what helps", test_errors_say_what_helps},
	{"causes", test_causes},
	{"one row for a cause", test_one_row_for_a_cause},
	{"counters cleared", test_clear},
	{0},
};
