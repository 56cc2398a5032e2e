/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

/* The finding of a check about something, as text; NULL: none. */
static char *finding(struct mt_ctl *c, const char *check, const char *about)
{
	char line[64], *out;
	json_t *all, *row;
	char *text = NULL;
	size_t i;
	int code;

	snprintf(line, sizeof(line), "--json show health");
	out = test_run(c, line, &code);
	CU_ASSERT_EQUAL(code, MT_CTL_OK);
	all = json_loads(out, 0, NULL);
	json_array_foreach(json_object_get(all, "health"), i, row)
	{
		if (strcmp(json_string_value(json_object_get(row, "check")), check) == 0 &&
			strcmp(json_string_value(json_object_get(row, "about")), about) == 0 &&
			!text)
			text = json_dumps(row, JSON_COMPACT);
	}
	json_decref(all);
	free(out);
	return text;
}

static bool found(struct mt_ctl *c, const char *check, const char *about, const char *state,
	const char *words)
{
	char *text = finding(c, check, about), want[32];
	bool yes;

	snprintf(want, sizeof(want), "\"state\":\"%s\"", state);
	yes = text && strstr(text, want) && strstr(text, words);
	free(text);
	return yes;
}

/* A node without anything has nothing wrong but that it starts. */
static void test_nothing(void)
{
	struct mt_ctl *c = test_ctl(NULL);

	CU_ASSERT(found(c, "state", "", "note", "starting"));
	mt_ctl_set_state(c, MT_CTL_SERVING);
	CU_ASSERT(found(c, "state", "", "ok", "serving"));
	CU_ASSERT(found(c, "errors", "", "ok", "nothing was refused"));
	mt_ctl_set_state(c, MT_CTL_DRAINING);
	CU_ASSERT(found(c, "state", "", "warning", "draining"));
	mt_ctl_reloaded(c, false, "x.yaml:3: no such field", 1);
	CU_ASSERT(found(c, "configuration", "", "fault", "x.yaml:3"));
	/* The name of a file is bytes, and long words are cut anywhere. */
	mt_ctl_reloaded(c, false, "odd\xff.yaml:3: no such field", 1);
	CU_ASSERT(found(c, "configuration", "", "fault", "odd\\\\xff.yaml:3"));
	mt_ctl_reloaded(c, true, "loaded", 2);
	CU_ASSERT(found(c, "configuration", "", "ok", "in use"));
	mt_ctl_destroy(c);
}

/* What happened more than a minute ago is no trouble any more, though the counter keeps it. */
static void test_recent(void)
{
	static uint64_t counters[MT_TCP_N_OUTCOMES];
	struct mt_ctl *c = test_ctl(NULL);
	uint64_t t = c->now;

	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_tcp_outcomes, counters), 0);
	mt_recent_fini(c);
	CU_ASSERT_EQUAL(mt_recent_init(c), 0);
	mt_ctl_turn(c, t);
	counters[MT_TCP_no_source_port] = 7;
	CU_ASSERT(found(c, "errors", "tcp_no_source_port", "warning", "7 in the last 0 s"));
	for (int s = 10; s <= 60; s += 10)
		mt_ctl_turn(c, t + (uint64_t)s * MT_SEC);
	CU_ASSERT(found(c, "errors", "tcp_no_source_port", "warning", "7 in the last 60 s"));
	mt_ctl_turn(c, t + 70 * MT_SEC);
	CU_ASSERT(found(c, "errors", "", "ok", "nothing was refused"));
	counters[MT_TCP_no_source_port] = 9;
	CU_ASSERT(found(c, "errors", "tcp_no_source_port", "warning", "2 in the last 60 s"));
	mt_ctl_destroy(c);
}

static void test_spread(void)
{
	static struct mt_port_worker workers[2];
	struct mt_port p = {
		.name = "p0", .n_rxq = 2, .n_workers = 2, .workers = workers, .link_up = true};
	struct mt_port *ports[] = {&p};
	struct mt_ctl_env env = {.ports = ports, .n_ports = 1};
	struct mt_ctl *c = test_ctl(&env);

	workers[0].counters[MT_PORT_rx_packets] = 99000;
	CU_ASSERT(found(c, "spread", "", "ok", ""));
	workers[0].counters[MT_PORT_rx_packets] = 990000;
	workers[1].counters[MT_PORT_rx_packets] = 900000;
	CU_ASSERT(found(c, "spread", "", "ok", ""));
	workers[1].counters[MT_PORT_rx_packets] = 0;
	p.n_rxq = 3;
	CU_ASSERT(found(c, "spread", "p0", "warning", "worker 0 got 100 %"));
	CU_ASSERT(found(c, "ports", "", "ok", ""));
	p.link_up = false;
	CU_ASSERT(found(c, "ports", "p0", "fault", "the link is down"));
	mt_ctl_destroy(c);
}

const struct mt_test health_tests[] = {
	{"a node without anything", test_nothing},
	{"the last minute", test_recent},
	{"uneven spread, link down", test_spread},
	{0},
};
