/* SPDX-License-Identifier: Apache-2.0 */
/* Filters on workers: which entries outputs want, and that mt-log would decide the same. */
#include "mt_alog.h"

#include "heap_used.h"
#include "sinks.h"
#include "suites.h"

#include <stdlib.h>
#include <unistd.h>

static struct mt_alog_trial *trial;

static struct mt_alog_sieve *sieve_of(const struct mt_alog_sift *outputs, uint32_t n)
{
	struct mt_alog_sieve *s = NULL;

	if (!trial)
		trial = malloc(mt_alog_trial_size());
	CU_ASSERT_PTR_NOT_NULL_FATAL(trial);
	CU_ASSERT_TRUE_FATAL(mt_alog_sieve_new(outputs, n, &s));
	return s;
}

static struct mt_alog_sift sift(const char *filter)
{
	return (struct mt_alog_sift){.general = true,
		.unserved = true,
		.calls = true,
		.streams = true,
		.filter = filter};
}

/* A call of which all is known that filters read; its texts are after it. */
struct call {
	struct mt_alog_entry head;
	char texts[1024];
	uint8_t kept[MT_ALOG_KEPT];
};

static void fill(struct call *c, const char *interface, const char *method, const char *reason)
{
	struct mt_alog_entry *e = &c->head;

	memset(e, 0, sizeof(*e));
	e->wall = 1767323045ull * MT_SEC + 678 * MT_MSEC;
	e->started = 1000 * MT_MSEC;
	e->connecting = 1001 * MT_MSEC;
	e->sent = 1002 * MT_MSEC;
	e->replied = 1006 * MT_MSEC;
	e->ended = 1007 * MT_MSEC;
	e->bytes_in = 241;
	e->bytes_out = 120;
	e->protocol = "dubbo";
	e->host = "demo";
	e->route = "canary";
	e->cluster = "outbound|20880||demo";
	(void)mt_addr_parse("192.0.2.2", &e->client);
	(void)mt_addr_parse("2001:db8::1", &e->endpoint);
	e->client_port = 57632;
	e->endpoint_port = 20880;
	e->attempts = 1;
	e->ending = MT_ENDING_ok;
	e->interface_len = (uint16_t)strlen(interface);
	e->method_len = (uint16_t)strlen(method);
	e->reason_len = (uint16_t)strlen(reason);
	snprintf(c->texts, sizeof(c->texts), "%s%s%s", interface, method, reason);
	(void)mt_alog_keep(c->kept, &e->kept_len, MT_ALOG_REQUEST,
		(struct mt_slice){(const uint8_t *)"x-user", 6},
		(struct mt_slice){(const uint8_t *)"Jason", 5});
	(void)mt_alog_keep(c->kept, &e->kept_len, MT_ALOG_RESPONSE,
		(struct mt_slice){(const uint8_t *)"x-cost", 6},
		(struct mt_slice){(const uint8_t *)"7", 1});
}

/* Calls of several kinds. Returns their number. */
static uint32_t fill_all(struct call calls[3])
{
	fill(&calls[0], "org.apache.Demo", "sayHello", "");
	fill(&calls[1], "", "x", "policy a/b");
	calls[1].head.ending = MT_ENDING_denied;
	calls[1].head.endpoint = (struct mt_addr){0};
	calls[1].head.sent = calls[1].head.replied = 0;
	fill(&calls[2], "", "", "");
	calls[2].head.interface_len = calls[2].head.method_len = MT_ALOG_NO_TEXT;
	calls[2].head.kept_len = 0;
	calls[2].head.ending = MT_ENDING_bad_request;
	calls[2].head.host = calls[2].head.cluster = calls[2].head.route = NULL;
	return 3;
}

static bool takes(const struct mt_alog_sieve *s, const struct call *c, struct mt_alog_verdict *v)
{
	const struct mt_alog_parts parts = {&c->head, c->texts, c->kept};

	return mt_alog_sieve_takes(s, trial, &parts, v);
}

/* ---- which entries -------------------------------------------------------------------------- */

static void free_of(const char *filter, bool is_for_workers)
{
	const struct mt_alog_sift o = sift(filter);
	struct mt_alog_sieve *s = sieve_of(&o, 1);

	CU_ASSERT_EQUAL(s != NULL, is_for_workers);
	mt_alog_sieve_free(s);
}

/* Without a filter for workers, and without a draw, there is nothing to refuse. */
static void none(void)
{
	char text[4096] = "request.size == 0";

	CU_ASSERT_PTR_NULL(sieve_of(NULL, 0));
	free_of(NULL, false);
	free_of("response.code >= 400", true);
	free_of("request.path.matches('a')", false);
	free_of("response.code >= 400 && request.path.matches('a')", false);
	free_of("string(request.size) == '7'", false);
	for (uint32_t i = 0; i < 20; i++)
		snprintf(text + strlen(text), 64, " || request.size == %u", i);
	free_of(text, true);
	for (uint32_t i = 20; i < 60; i++)
		snprintf(text + strlen(text), 64, " || request.size == %u", i);
	free_of(text, false);
}

/* The filter of each output counts for the calls that reach it. */
static void outputs(void)
{
	static const struct mt_alog_scope one = {1, {1}}, two = {1, {2}}, other = {1, {9}};
	struct mt_alog_sift o[3] = {sift("response.code >= 400"), sift("response.code == 200"),
		sift("response.code >= 400")};
	const uint64_t errors = mt_alog_filter_id("response.code >= 400"),
		       good = mt_alog_filter_id("response.code == 200");
	struct mt_alog_verdict v;
	struct mt_alog_sieve *s;
	struct call c;

	o[0].key = 1;
	o[1].key = 2;
	o[1].general = o[1].unserved = false;
	s = sieve_of(o, 3);
	fill(&c, "i", "m", "");
	CU_ASSERT_FALSE(takes(s, &c, &v));
	c.head.scope = &one;
	CU_ASSERT_FALSE(takes(s, &c, &v));
	c.head.scope = &other;
	CU_ASSERT_FALSE(takes(s, &c, &v));
	CU_ASSERT_EQUAL(mt_alog_verdict_of(&v, errors), -1);
	c.head.scope = &two;
	CU_ASSERT_TRUE(takes(s, &c, &v));
	CU_ASSERT_EQUAL(mt_alog_verdict_of(&v, good), 1);
	CU_ASSERT_EQUAL(mt_alog_verdict_of(&v, errors), -1);
	CU_ASSERT_EQUAL(mt_alog_verdict_of(&v, errors + 1), -1);
	c.head.scope = NULL;
	c.head.ending = MT_ENDING_no_route;
	CU_ASSERT_TRUE(takes(s, &c, &v));
	CU_ASSERT_EQUAL(mt_alog_verdict_of(&v, errors), 1);
	c.head.host = NULL;
	CU_ASSERT_TRUE(takes(s, &c, &v));
	mt_alog_sieve_free(s);
}

/* Without a filter for workers an output wants each call, and no filter is evaluated for that. */
static void open_output(void)
{
	struct mt_alog_sift o[2] = {sift("response.code >= 400"), sift(NULL)};
	const char *const opens[] = {NULL, "request.method.matches('nothing')"};
	struct mt_alog_verdict v;
	struct call c;

	fill(&c, "i", "m", "");
	for (size_t i = 0; i < MT_ARRAY_LEN(opens); i++) {
		struct mt_alog_sieve *s;

		o[1].filter = opens[i];
		s = sieve_of(o, 2);
		CU_ASSERT_TRUE(takes(s, &c, &v));
		CU_ASSERT_PTR_NULL(v.by);
		c.head.type = MT_ALOG_TCP_END;
		o[1].streams = false;
		mt_alog_sieve_free(s);
		s = sieve_of(o, 2);
		CU_ASSERT_FALSE(takes(s, &c, &v));
		c.head.type = MT_ALOG_DOWNSTREAM_END;
		o[1].streams = true;
		mt_alog_sieve_free(s);
	}
}

/* Draws refuse calls before filters, and each output as mt-log does. */
static void draws(void)
{
	struct mt_alog_sift o[2] = {sift(NULL), sift("response.code == 200")};
	struct mt_alog_verdict v;
	struct mt_alog_sieve *s;
	uint32_t taken = 0, told = 0;
	struct call c;

	o[0].draw = o[1].draw = (struct mt_alog_draw){500000, true};
	o[0].key = 3;
	o[1].key = 4;
	s = sieve_of(o, 2);
	fill(&c, "i", "m", "");
	for (uint32_t i = 0; i < 2000; i++) {
		bool first, second;

		c.head.started = i;
		first = !mt_alog_draw_skips(&o[0].draw, 3, &c.head);
		second = !mt_alog_draw_skips(&o[1].draw, 4, &c.head);
		CU_ASSERT_EQUAL(takes(s, &c, &v), first || second);
		CU_ASSERT_EQUAL(v.by != NULL, second && !first);
		taken += first || second;
		told += v.by != NULL;
	}
	CU_ASSERT(taken > 1300 && taken < 1700);
	CU_ASSERT(told > 350 && told < 650);
	mt_alog_sieve_free(s);
}

/* ---- the same as on mt-log ------------------------------------------------------------------ */

/* The decision of mt-log for the entry as it is in a ring. */
static bool is_passed_in_ring(const struct mt_alog_filter *f, const struct call *c)
{
	static uint64_t bytes[512];
	struct mt_alog_entry *e = (struct mt_alog_entry *)(void *)bytes;
	uint32_t len =
		mt_alog_texts_len(c->head.interface_len, c->head.method_len, c->head.reason_len);
	struct mt_alog_made made;
	struct mt_alog_record r;

	*e = c->head;
	memcpy(mempcpy(e->texts, c->texts, len), c->kept, c->head.kept_len);
	mt_alog_entry_view(e, &made, &r);
	return mt_alog_filter_passes(f, trial, &r);
}

/* True if the text is a filter for workers. */
static bool is_same(const char *text, const struct call *calls, uint32_t n, uint32_t *passed)
{
	struct mt_alog_sift o = sift(text);
	struct mt_err e;
	struct mt_alog_filter *f = mt_alog_filter_new(text, &e);
	struct mt_alog_sieve *s = f ? sieve_of(&o, 1) : NULL;
	struct mt_alog_verdict v;

	for (uint32_t i = 0; s && i < n; i++) {
		bool want = is_passed_in_ring(f, &calls[i]), got = takes(s, &calls[i], &v);

		if (got != want)
			printf("\n  `%s` is %s of call %u", text, got ? "true" : "false", i);
		CU_ASSERT_EQUAL(got, want);
		CU_ASSERT_EQUAL(mt_alog_verdict_of(&v, mt_alog_filter_id(text)), want);
		*passed += want;
	}
	mt_alog_filter_free(f);
	mt_alog_sieve_free(s);
	return s != NULL;
}

/* The expressions that cel-go has answered, as far as they read what calls have. */
static void corpus(void)
{
	FILE *f = fopen(CEL_ANSWERS, "r");
	struct call calls[3];
	uint32_t n = fill_all(calls), filters = 0, passed = 0;
	char line[1024], twice[2100], *text;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		text = strchr(line, '\t');
		CU_ASSERT_PTR_NOT_NULL_FATAL(text++);
		/* Values that are no bool are compared with themselves. */
		snprintf(twice, sizeof(twice), "dyn(%s) == dyn(%s)", text, text);
		filters += is_same(text, calls, n, &passed) || is_same(twice, calls, n, &passed);
	}
	fclose(f);
	CU_ASSERT_TRUE(filters >= 700);
	CU_ASSERT_TRUE(passed > 300 && passed < filters * n);
}

/* Each attribute, true for one call and false for another. */
static void attributes(void)
{
	static const char *const texts[] = {"request.path == '/org.apache.Demo/sayHello'",
		"request.url_path.endsWith('x')", "request.method == 'x'", "request.host == 'demo'",
		"request.protocol == 'dubbo'",
		"request.time == timestamp('2026-01-02T03:04:05.678Z')",
		"request.duration == duration('7ms')", "request.size == 241",
		"response.code == 200", "response.code_details.contains('policy_a/b')",
		"response.flags != 0", "response.total_size == 120",
		"response.backend_latency == duration('4ms')",
		"source.address == '192.0.2.2:57632'", "source.port == 57632",
		"!has(destination.address)", "upstream.address == '[2001:db8::1]:20880'",
		"upstream.port == 20880", "upstream.request_attempt_count == 1u",
		"xds.cluster_name.startsWith('outbound')", "xds.route_name == 'canary'",
		"request.headers['X-User'] == 'Jason'", "int(response.headers['x-cost']) == 7"};
	struct call calls[3];
	uint32_t n = fill_all(calls);

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		uint32_t passed = 0;

		CU_ASSERT_TRUE(is_same(texts[i], calls, n, &passed));
		if (!passed)
			printf("\n  `%s` is never true", texts[i]);
		CU_ASSERT_TRUE(passed > 0);
	}
}

/* A worker's decision takes no memory. */
static void heap(void)
{
	struct mt_alog_sift o[] = {sift("request.path.contains('nothing')"),
		sift("source.address + upstream.address == '' || response.code_details == ''"),
		sift("request.headers['x-user'] == 'anna' && double('0.5') < 1.0"),
		sift("request.time.getHours('+01:00') == 99")};
	struct mt_alog_sieve *s = sieve_of(o, MT_ARRAY_LEN(o));
	struct mt_alog_verdict v;
	struct call calls[3];
	uint32_t n = fill_all(calls);
	size_t before = heap_used();

	for (uint32_t i = 0; i < 100 * n; i++)
		if (takes(s, &calls[i % n], &v))
			break;
	CU_ASSERT_EQUAL(heap_used(), before);
	CU_ASSERT_FALSE(takes(s, &calls[0], &v));
	CU_ASSERT_EQUAL(v.told, 0xf);
	mt_alog_sieve_free(s);
}

/* ---- what mt-log does with it --------------------------------------------------------------- */

static void add(struct mt_alog *l, enum mt_ending ending, const struct mt_alog_verdict *v)
{
	struct mt_byte_ring *r = mt_alog_ring(l, 0);
	struct mt_alog_entry *e =
		mt_byte_ring_reserve(r, mt_alog_entry_size(MT_ALOG_NO_TEXT, MT_ALOG_NO_TEXT, 0, 0));

	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	memset(e, 0, sizeof(*e));
	e->interface_len = e->method_len = MT_ALOG_NO_TEXT;
	e->ending = (uint8_t)ending;
	e->verdict = *v;
	mt_byte_ring_publish(r);
}

/* mt-log takes a worker's word for a filter, and evaluates what the worker has not. */
static void told(void)
{
	struct mt_alog_sift o = sift("response.code >= 400");
	struct mt_alog_want w = {.document = "MeshConfig: accessLogFile",
		.place = {(char *)(uintptr_t)sinks_directory(), (char *)(uintptr_t) "sieve", 0},
		.general = true,
		.unserved = true,
		.filter = o.filter};
	struct mt_alog_sieve *s = sieve_of(&o, 1);
	struct mt_alog_output_stats st;
	struct mt_err e = {""};
	struct mt_alog *l = mt_alog_new(1, &e);

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_EQUAL(mt_alog_set(l, &w, 1, &e), 0);
	/* The words are wrong, so that they are seen to count. */
	add(l, MT_ENDING_ok, &(struct mt_alog_verdict){s, 1, 1});
	add(l, MT_ENDING_no_route, &(struct mt_alog_verdict){s, 1, 0});
	add(l, MT_ENDING_ok, &(struct mt_alog_verdict){s, 0, 0});
	add(l, MT_ENDING_no_route, &(struct mt_alog_verdict){s, 0, 0});
	add(l, MT_ENDING_no_route, &(struct mt_alog_verdict){NULL, 0, 0});
	mt_alog_stop(l, MT_ALOG_STOP);
	CU_ASSERT_TRUE_FATAL(mt_alog_output(l, 0, &st));
	CU_ASSERT_EQUAL(st.wanted, 3);
	CU_ASSERT_EQUAL(st.sink.written, 3);
	mt_alog_free(l);
	mt_alog_sieve_free(s);
}

const struct mt_test sieve_tests[] = {{"sieves that refuse nothing", none},
	{"outputs of a sieve", outputs}, {"an output without a filter for workers", open_output},
	{"draws on workers", draws}, {"decisions as on mt-log", corpus},
	{"attributes on workers", attributes}, {"filters on workers and the heap", heap},
	{"what a worker tells mt-log", told}, {0}};
