/* SPDX-License-Identifier: Apache-2.0 */
/* What a record is known by, the slowest of them, and the end of a journey. */
#include "mt_slow.h"
#include "mt_trace.h"

#include "suites.h"

#include <string.h>

static const struct mt_record some = {.exchange = {7, 3},
	.worker = 2,
	.client_port = 1000,
	.local_port = 80,
	.proto = "dubbo",
	.state = "ok",
	.service = "a.Demo",
	.bytes_in = 100,
	.bytes_out = 30,
	.took = 4 * MT_MSEC};

static bool holds(const struct mt_record *r, const char *expr)
{
	struct mt_expr_values v = {0};
	struct mt_record_texts made;
	struct mt_expr x;
	struct mt_err e;

	CU_ASSERT_EQUAL_FATAL(mt_expr_compile(&x, expr, ~0ull, &e), 0);
	mt_record_know(r, &made, &v);
	return mt_expr_eval(&x, &v) == MT_TRI_YES;
}

static void test_known(void)
{
	struct mt_record r = some;

	CU_ASSERT_TRUE(holds(&r, "exchange=2-7-3 proto=dubbo status=ok state=ok service=*.Demo"));
	CU_ASSERT_TRUE(holds(&r, "bytes=130 took=4ms age=4ms sport=1000 dport=80 worker=2"));
	/* What is not there equals nothing. */
	CU_ASSERT_FALSE(holds(&r, "endpoint=*"));
	CU_ASSERT_FALSE(holds(&r, "method=*"));
	CU_ASSERT_TRUE(holds(&r, "method!=sayHello"));
	r.server = mt_addr4(0x01010101);
	r.server_port = 90;
	CU_ASSERT_TRUE(holds(&r, "endpoint=1.1.1.1:90"));
}

static void test_texts(void)
{
	char to[4 + sizeof(MT_CUT)];

	mt_record_text(to, 4, "four", 4);
	CU_ASSERT_STRING_EQUAL(to, "four");
	mt_record_text(to, 4, "fives", 5);
	CU_ASSERT_STRING_EQUAL(to, "five" MT_CUT);
	mt_record_text(to, 4, "", 0);
	CU_ASSERT_STRING_EQUAL(to, "");
}

static void took(struct mt_slow *s, uint64_t ns)
{
	struct mt_record r = some;

	r.took = ns;
	if (ns >= s->floor)
		mt_slow_keep(s, &r);
}

static void test_slow(void)
{
	static struct mt_record out[2 * MT_SLOW_CALLS];
	static struct mt_slow s;
	uint64_t least = MT_NEVER;

	mt_slow_turn(&s, 5);
	CU_ASSERT_EQUAL(s.until, 5 + MT_SLOW_WINDOW);
	for (uint64_t i = 0; i < 40; i++)
		took(&s, 1 + i * 7 % 40);
	CU_ASSERT_EQUAL(s.floor, 26);
	CU_ASSERT_EQUAL_FATAL(mt_slow_read(&s, out, 2 * MT_SLOW_CALLS), MT_SLOW_CALLS);
	for (uint32_t i = 0; i < MT_SLOW_CALLS; i++)
		least = MT_MIN(least, out[i].took);
	CU_ASSERT_EQUAL(least, 25);
	/* The window before this one stays, one more does not. */
	mt_slow_turn(&s, 6);
	took(&s, 1);
	CU_ASSERT_EQUAL(mt_slow_read(&s, out, 2 * MT_SLOW_CALLS), MT_SLOW_CALLS + 1);
	CU_ASSERT_EQUAL(mt_slow_read(&s, out, 3), 3);
	mt_slow_turn(&s, 7);
	CU_ASSERT_EQUAL(mt_slow_read(&s, out, 2 * MT_SLOW_CALLS), 1);
}

/* How a traced call ended is known from its record, and its last step says it. */
static void test_over(void)
{
	struct mt_trace_conf conf = {.exchanges = true, .count = 9};
	static struct mt_trace_journey out;
	struct mt_expr_values v = {0};
	struct mt_trace *t;
	struct mt_err e;
	uint32_t at = 0;

	CU_ASSERT_EQUAL_FATAL(
		mt_expr_compile(&conf.expr, "status=ok bytes=130 took=4ms", ~0ull, &e), 0);
	t = mt_trace_new(&conf);
	mt_trace_over(t, mt_trace_journey(t, mt_trace_begin(t, 5, &v), 5), &some);
	mt_trace_turn_end(t);
	CU_ASSERT_TRUE_FATAL(mt_trace_take(t, &at, &out));
	CU_ASSERT_EQUAL_FATAL(out.n_steps, 1);
	CU_ASSERT_EQUAL(out.steps[0].point, MT_TRACE_end);
	CU_ASSERT_STRING_EQUAL(out.steps[0].text, "ok");
	CU_ASSERT_EQUAL(out.steps[0].numbers[0], 4000);
	mt_trace_free(t);
}

const struct mt_test record_tests[] = {{"what an expression may ask", test_known},
	{"names are cut", test_texts}, {"the slowest stay", test_slow},
	{"the end of a journey", test_over}, {0}};
