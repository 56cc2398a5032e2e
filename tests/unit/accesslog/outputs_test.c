/* SPDX-License-Identifier: Apache-2.0 */
/* The entries that leave lines in an output of the log: by scope, by filter, by draw. */
#include "log_scene.h"
#include "mt_outcome.h"
#include "suites.h"

#include <unistd.h>

static void add_for(struct mt_alog *l, const char *host, const struct mt_alog_scope *scope)
{
	struct mt_byte_ring *r = mt_alog_ring(l, 0);
	struct mt_alog_entry *e = log_reserve(r);

	e->host = host;
	e->scope = scope;
	mt_byte_ring_publish(r);
}

/* Entries of each kind: without a service, of one without a scope, and with keys 1, 2, both, none. */
static void add_kinds(struct mt_alog *l)
{
	static const struct mt_alog_scope one = {1, {1}}, two = {1, {2}}, both = {2, {2, 1}},
					  none = {0};

	add_for(l, NULL, NULL);
	add_for(l, "a", NULL);
	add_for(l, "a", &one);
	add_for(l, "a", &one);
	add_for(l, "a", &two);
	add_for(l, "a", &both);
	add_for(l, "a", &none);
}

/* Lines of each output after the log has stopped. */
static void stop_with(struct mt_alog *l, uint64_t a, uint64_t b, uint64_t c)
{
	mt_alog_stop(l, MT_ALOG_STOP);
	CU_ASSERT_EQUAL(log_counted(l, 0).sink.written, a);
	CU_ASSERT_EQUAL(log_counted(l, 1).sink.written, b);
	CU_ASSERT_EQUAL(log_counted(l, 2).sink.written, c);
	mt_alog_free(l);
}

/* A call leaves a line in the outputs of its service's scope. */
static void test_scopes(void)
{
	struct mt_alog_want w[] = {wants("scope_general", "%REQ(:AUTHORITY)%"),
		wants("scope_1", FORMAT), wants("scope_2", FORMAT)};
	struct mt_alog *l = log_new(1);

	w[1].key = 1;
	w[2].key = 2;
	w[1].general = w[2].general = w[1].unserved = w[2].unserved = false;
	log_set(l, w, 3);
	add_kinds(l);
	stop_with(l, 2, 3, 2);
	/* Without a general output, calls without a service leave a line in those for them. */
	l = log_new(1);
	w[0].general = false;
	w[0].key = 3;
	w[2].unserved = true;
	log_set(l, w, 3);
	add_kinds(l);
	stop_with(l, 1, 3, 3);
	l = log_new(1);
	w[0].unserved = w[2].unserved = false;
	log_set(l, w, 3);
	add_kinds(l);
	stop_with(l, 0, 3, 2);
	/* An output may be for both kinds. */
	l = log_new(1);
	w[1].general = w[1].unserved = true;
	log_set(l, w, 3);
	add_kinds(l);
	stop_with(l, 0, 5, 2);
}

/* ---- filters -------------------------------------------------------------------------------- */

static void add_ended(struct mt_alog *l, enum mt_ending ending)
{
	struct mt_byte_ring *r = mt_alog_ring(l, 0);
	log_reserve(r)->ending = (uint8_t)ending;
	mt_byte_ring_publish(r);
}

/* A call for which the filter is not true leaves no line, and is not counted as wanted. */
static void test_filters(void)
{
	struct mt_alog_want w[] = {wants("filter_all", FORMAT), wants("filter_bad", FORMAT),
		wants("filter_error", FORMAT)};
	struct mt_alog *l = log_new(1);

	w[1].filter = "response.code >= 400";
	w[2].filter = "request.method == 'a' && response.code >= 400";
	log_set(l, w, 3);
	for (uint32_t i = 0; i < 10; i++)
		add_ended(l, i % 5 ? MT_ENDING_ok : MT_ENDING_no_route);
	mt_alog_stop(l, MT_ALOG_STOP);
	CU_ASSERT_EQUAL(log_counted(l, 0).sink.written, 10);
	CU_ASSERT_EQUAL(log_counted(l, 1).sink.written, 2);
	CU_ASSERT_EQUAL(log_counted(l, 1).wanted, 2);
	CU_ASSERT_EQUAL(log_counted(l, 2).wanted, 0);
	mt_alog_free(l);
}

/* An output with another filter is another output; one with the same filter stays. */
static void test_filter_changes(void)
{
	struct mt_alog_want w = wants("filter_changes", FORMAT);
	struct mt_alog *l = log_new(1);
	char copy[] = "response.code >= 400";
	struct mt_err e = {""};

	w.filter = "response.code >= 400";
	log_set(l, &w, 1);
	w.filter = copy;
	log_set(l, &w, 1);
	CU_ASSERT_EQUAL(log_counted(l, 0).number, 1);
	w.filter = "response.code >= 500";
	log_set(l, &w, 1);
	CU_ASSERT_EQUAL(log_counted(l, 0).number, 2);
	w.filter = NULL;
	log_set(l, &w, 1);
	CU_ASSERT_EQUAL(log_counted(l, 0).number, 3);
	w.filter = "response.code >=";
	CU_ASSERT_EQUAL(mt_alog_set(l, &w, 1, &e), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "column 17"));
	CU_ASSERT_EQUAL(log_counted(l, 0).number, 3);
	log_end(l);
}

/* Outputs with the same draw have lines of the same calls, unless they draw for themselves. */
static void test_draws(void)
{
	struct mt_alog_want w[] = {wants("draw_half", FORMAT), wants("draw_same", FORMAT),
		wants("draw_own", FORMAT), wants("draw_none", FORMAT)};
	struct mt_alog *l = log_new(1);
	struct mt_byte_ring *r = mt_alog_ring(l, 0);
	struct mt_alog_output_stats st;

	w[0].draw = w[1].draw = (struct mt_alog_draw){500000, false};
	w[2].draw = (struct mt_alog_draw){500000, true};
	w[2].key = 7;
	w[3].draw = (struct mt_alog_draw){1000000, false};
	log_set(l, w, 4);
	for (uint32_t i = 0; i < 2000; i++) {
		log_reserve(r)->started = i;
		mt_byte_ring_publish(r);
	}
	mt_alog_stop(l, MT_ALOG_STOP);
	st = log_counted(l, 0);
	CU_ASSERT(st.wanted > 800 && st.wanted < 1200);
	CU_ASSERT_EQUAL(log_counted(l, 1).wanted, st.wanted);
	st = log_counted(l, 2);
	CU_ASSERT(st.wanted > 800 && st.wanted < 1200);
	CU_ASSERT_EQUAL(log_counted(l, 3).wanted, 0);
	mt_alog_free(l);
}

/* An output with another draw is another output. */
static void test_draw_changes(void)
{
	struct mt_alog_want w = wants("draw_changes", FORMAT);
	struct mt_alog *l = log_new(1);

	w.draw.skips = 1;
	log_set(l, &w, 1);
	log_set(l, &w, 1);
	CU_ASSERT_EQUAL(log_counted(l, 0).number, 1);
	w.draw.skips = 2;
	log_set(l, &w, 1);
	CU_ASSERT_EQUAL(log_counted(l, 0).number, 2);
	w.draw.own = true;
	log_set(l, &w, 1);
	CU_ASSERT_EQUAL(log_counted(l, 0).number, 3);
	log_end(l);
}

/* Outputs stay while their keys change. */
static void test_scopes_change(void)
{
	static const struct mt_alog_scope two = {1, {2}};
	struct mt_alog_want w = wants("changing", FORMAT);
	struct mt_alog *l = log_new(1);

	w.key = 1;
	log_set(l, &w, 1);
	log_add_all(mt_alog_ring(l, 0), 0, 1);
	CU_ASSERT_TRUE(log_wrote(l, 0, 1));
	w.key = 2;
	log_set(l, &w, 1);
	for (uint32_t n = 0; n < 10000 && log_counted(l, 0).sink.written == 1; n++) {
		add_for(l, "a", &two);
		usleep(1000);
	}
	CU_ASSERT_TRUE(log_counted(l, 0).sink.written > 1);
	CU_ASSERT_EQUAL(log_counted(l, 0).number, 1);
	log_end(l);
}

const struct mt_test output_tests[] = {
	{"scopes of services", test_scopes},
	{"scopes change", test_scopes_change},
	{"filters of outputs", test_filters},
	{"filters change", test_filter_changes},
	{"draws of outputs", test_draws},
	{"draws change", test_draw_changes},
	{0},
};
