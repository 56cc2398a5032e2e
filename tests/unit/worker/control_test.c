/* SPDX-License-Identifier: Apache-2.0 */
/* Mailbox, idle steps and the clock; a real thread where the subject is threads. */
#include "fakes.h"
#include "suites.h"
#include "../../outcomes_seen.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <rte_rcu_qsbr.h>

static struct mt_pools pools;

static struct mt_worker *make(struct mt_clock *clock, struct rte_rcu_qsbr *qsbr)
{
	static const struct mt_tcp_conf tcp;
	static const struct mt_proxy_conf proxy;
	static const uint8_t secret[32];
	static struct mt_snapshot *current;
	struct mt_worker_conf c = {.workers = 1,
		.pools = &pools,
		.tcp = &tcp,
		.proxy = &proxy,
		.secret = secret,
		.current = &current,
		.idle = MT_WORKER_ADAPTIVE,
		.qsbr = qsbr,
		.clock = clock};
	struct mt_worker *w;

	fakes_reset();
	CU_ASSERT_EQUAL_FATAL(mt_pools_init(&pools, "c", 127, 127, MT_BUF_DATA_ROOM, 0), 0);
	w = mt_worker_create(&c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	return w;
}

static void unmake(struct mt_worker *w)
{
	outcomes_seen(&mt_worker_outcomes, mt_worker_stats(w)->counters);
	mt_worker_destroy(w);
	mt_pools_fini(&pools);
}

static void count(struct mt_worker *w, void *arg)
{
	++*(uint32_t *)arg;
}

static void commands_run_at_the_foot_of_a_turn(void)
{
	struct mt_worker *w = make(NULL, NULL);
	uint32_t ran = 0;

	for (int i = 0; i < MT_MAILBOX; i++)
		CU_ASSERT_TRUE(mt_worker_post(w, count, &ran));
	CU_ASSERT_FALSE(mt_worker_post(w, count, &ran));
	CU_ASSERT_EQUAL(ran, 0);
	CU_ASSERT_EQUAL(mt_worker_turn(w, 1, 1), MT_MAILBOX);
	CU_ASSERT_EQUAL(ran, MT_MAILBOX);
	CU_ASSERT_TRUE(mt_worker_post(w, count, &ran));
	mt_worker_turn(w, 2, 2);
	CU_ASSERT_EQUAL(ran, MT_MAILBOX + 1);
	CU_ASSERT_EQUAL(mt_worker_stats(w)->counters[MT_WORKER_commands], MT_MAILBOX + 1);
	/* Nobody turns it: a call is made in place. */
	CU_ASSERT_EQUAL(mt_worker_call(w, count, &ran, 1), 0);
	CU_ASSERT_EQUAL(ran, MT_MAILBOX + 2);
	mt_worker_quiesce(w);
	unmake(w);
}

static void commands_of_the_last_turns_are_dropped(void)
{
	struct mt_worker *w = make(NULL, NULL);
	uint32_t ran = 0;

	for (int i = 0; i < MT_MAILBOX; i++)
		CU_ASSERT_TRUE(mt_worker_post(w, count, &ran));
	mt_worker_reset_all(w);
	(void)mt_worker_turn(w, 1, 1);
	CU_ASSERT_EQUAL(ran, 0);
	CU_ASSERT_TRUE(mt_worker_post(w, count, &ran));
	unmake(w);
}

/* Filters' threads learn at once that nobody will hear them, not when the worker is freed. */
static void filters_learn_of_the_stop(void)
{
	const struct mt_filter_completion how = {.size = sizeof(how)};
	static struct mt_filter_worker fw;
	struct mt_worker *w = make(NULL, NULL);
	struct mt_filter_ticket t;

	fw.inbox = w->idle.inbox = mt_filter_inbox_new();
	t = mt_filter_ticket_of(&(struct mt_filter_ctx){.fw = &fw});
	CU_ASSERT_EQUAL(mt_filter_complete(&t, &how), 0);
	mt_worker_reset_all(w);
	(void)mt_worker_turn(w, 1, 1);
	CU_ASSERT_EQUAL(mt_filter_complete(&t, &how), -ESHUTDOWN);
	unmake(w);
	mt_filter_inbox_free(fw.inbox);
}

/* What is turned is what it then has, within what it can do. */
static void settings(void)
{
	struct mt_worker *w = make(NULL, NULL);
	struct mt_worker_knobs k = mt_worker_knobs(w);

	CU_ASSERT_EQUAL(k.burst, MT_WORKER_BURST_MAX);
	k = (struct mt_worker_knobs){MT_WORKER_ADAPTIVE, 1000, 77, 5};
	mt_worker_turn_knobs(w, &k);
	k = mt_worker_knobs(w);
	CU_ASSERT(
		k.idle == MT_WORKER_ADAPTIVE && k.burst == MT_WORKER_BURST_MAX && k.coalesce == 77);
	CU_ASSERT_EQUAL(k.sampling_ms, 5);
	k = (struct mt_worker_knobs){MT_WORKER_POLL, 0, 0, 0};
	mt_worker_turn_knobs(w, &k);
	k = mt_worker_knobs(w);
	CU_ASSERT(
		k.idle == MT_WORKER_POLL && k.burst == 1 && k.coalesce == 0 && k.sampling_ms == 0);
	unmake(w);
}

static void *run(void *w)
{
	mt_worker_run(w);
	return NULL;
}

static void a_running_worker_answers(void)
{
	struct rte_rcu_qsbr *qsbr = aligned_alloc(64, rte_rcu_qsbr_get_memsize(1));
	struct mt_clock clock;
	struct mt_worker *w;
	pthread_t thread;
	uint32_t ran = 0, early = 0;
	uint64_t turns;

	rte_rcu_qsbr_init(qsbr, 1);
	mt_clock_init(&clock);
	w = make(&clock, qsbr);
	mt_worker_launching(w);
	/* The loop has not begun: a call neither runs in place, beside it, nor is it lost. */
	CU_ASSERT_EQUAL(mt_worker_call(w, count, &early, 1), -ETIMEDOUT);
	CU_ASSERT_EQUAL(early, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run, w), 0);
	mt_worker_quiesce(w);
	CU_ASSERT_EQUAL(__atomic_load_n(&early, __ATOMIC_ACQUIRE), 1);
	for (uint32_t i = 1; i <= 100; i++) {
		CU_ASSERT_EQUAL(mt_worker_call(w, count, &ran, 10000), 0);
		CU_ASSERT_EQUAL(ran, i);
	}
	turns = __atomic_load_n(&w->turn, __ATOMIC_ACQUIRE);
	mt_worker_quiesce(w);
	CU_ASSERT_TRUE(__atomic_load_n(&w->turn, __ATOMIC_ACQUIRE) >= turns + 2);
	rte_rcu_qsbr_synchronize(qsbr, RTE_QSBR_THRID_INVALID);
	mt_worker_stop(w);
	pthread_join(thread, NULL);
	CU_ASSERT_TRUE(mt_worker_stats(w)->run_ns >= mt_worker_stats(w)->idle_ns);
	/* It has ended: what comes now is done in place, also what it left in its mailbox. */
	CU_ASSERT_TRUE(mt_worker_post(w, count, &early));
	w->running = true;
	w->stop = true;
	mt_worker_not_launched(w);
	CU_ASSERT_EQUAL(mt_worker_call(w, count, &ran, 1), 0);
	CU_ASSERT_EQUAL(ran, 101);
	mt_worker_quiesce(w);
	unmake(w);
	free(qsbr);
}

static void idle_steps(void)
{
	static const struct {
		enum mt_worker_idle profile;
		uint64_t since_busy, next_in, sleep;
	} rows[] = {
		{MT_WORKER_ADAPTIVE, 0, MT_SEC, 0},
		{MT_WORKER_ADAPTIVE, 99 * MT_USEC, MT_SEC, 0},
		{MT_WORKER_ADAPTIVE, 100 * MT_USEC, MT_SEC, 50 * MT_USEC},
		{MT_WORKER_ADAPTIVE, 2 * MT_MSEC, MT_SEC, 100 * MT_USEC},
		{MT_WORKER_ADAPTIVE, 2 * MT_MSEC, 70 * MT_USEC, 70 * MT_USEC},
		{MT_WORKER_ADAPTIVE, 100 * MT_USEC, 20 * MT_USEC, 20 * MT_USEC},
		{MT_WORKER_ADAPTIVE, 100 * MT_USEC, 4 * MT_USEC, 0},
		{MT_WORKER_ADAPTIVE, 100 * MT_USEC, 0, 0},
		{MT_WORKER_POLL, MT_SEC, MT_SEC, 0},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_idle idle = {0};
		uint64_t now = MT_SEC + rows[i].since_busy;

		mt_idle_init(&idle, rows[i].profile, MT_SEC);
		CU_ASSERT_EQUAL(mt_idle_step(&idle, now, now + rows[i].next_in), rows[i].sleep);
	}
}

/* On a descriptor: until it is readable; a wake-up that finds nothing is followed by a step. */
static void idle_waits_for_packets(void)
{
	struct mt_port port = {.n_rxq = 1};
	struct mt_polled polled = {&port, 0};
	struct mt_worker w = {.workers = 1, .n_polled = 1, .polled = &polled};
	uint64_t now = MT_SEC + 200 * MT_USEC;
	int fds[2], none = -1;

	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	mt_idle_init(&w.idle, MT_WORKER_ADAPTIVE, MT_SEC);
	/* no descriptor, one that is not there, a second worker that hands packets over: it has to look */
	mt_idle_open(&w);
	CU_ASSERT_EQUAL(w.idle.epoll, -1);
	port.rx_fds = &none;
	mt_idle_open(&w);
	CU_ASSERT_EQUAL(w.idle.epoll, -1);
	port.rx_fds = fds;
	w.workers = 2;
	mt_idle_open(&w);
	CU_ASSERT_EQUAL(w.idle.epoll, -1);
	w.workers = 1;
	mt_idle_open(&w);
	CU_ASSERT_FATAL(w.idle.epoll >= 0);

	CU_ASSERT_EQUAL(mt_idle_step(&w.idle, now, MT_NEVER), 5 * MT_MSEC);
	CU_ASSERT_EQUAL(mt_idle_step(&w.idle, now, now + MT_MSEC), MT_MSEC);
	CU_ASSERT_EQUAL(mt_idle_step(&w.idle, MT_SEC, MT_NEVER), 0);
	mt_idle_sleep(&w.idle, MT_USEC);
	CU_ASSERT_FALSE(w.idle.woken);
	CU_ASSERT_EQUAL(write(fds[1], "x", 1), 1);
	for (int i = 0; i < 6; i++) {
		mt_idle_sleep(&w.idle, 999 * MT_MSEC);
		CU_ASSERT_TRUE(w.idle.woken);
		CU_ASSERT_EQUAL(mt_idle_step(&w.idle, now, MT_NEVER), (i < 4 ? 10 : 50) * MT_USEC);
		mt_idle_sleep(&w.idle, MT_USEC);
		CU_ASSERT_FALSE(w.idle.woken);
	}
	mt_idle_busy(&w.idle, now);
	mt_idle_sleep(&w.idle, 999 * MT_MSEC);
	CU_ASSERT_EQUAL(mt_idle_step(&w.idle, now + 200 * MT_USEC, MT_NEVER), 10 * MT_USEC);
	mt_idle_close(&w.idle);
	close(fds[0]);
	close(fds[1]);
}

static void *tells_when_it_sleeps(void *arg)
{
	struct mt_filter_worker *fw = arg;
	const struct mt_filter_completion how = {.size = sizeof(how)};
	struct mt_filter_ticket t = mt_filter_ticket_of(&(struct mt_filter_ctx){.fw = fw});

	while (!__atomic_load_n(&fw->inbox->asleep, __ATOMIC_SEQ_CST))
		sched_yield();
	CU_ASSERT_EQUAL(mt_filter_complete(&t, &how), 0);
	return NULL;
}

/* A filter's thread ends a sleep on descriptors, and there is no sleep while what it has told lies there. */
static void idle_waits_for_filters(void)
{
	static struct mt_filter_worker fw;
	int fds[2];
	struct mt_port port = {.n_rxq = 1, .rx_fds = fds};
	struct mt_polled polled = {&port, 0};
	struct mt_worker w = {.workers = 1, .n_polled = 1, .polled = &polled};
	pthread_t thread;
	uint64_t n;

	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	mt_idle_init(&w.idle, MT_WORKER_ADAPTIVE, MT_SEC);
	fw.inbox = w.idle.inbox = mt_filter_inbox_new();
	mt_idle_open(&w);
	CU_ASSERT_FATAL(w.idle.epoll >= 0 && w.idle.wake >= 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, tells_when_it_sleeps, &fw), 0);
	while (!mt_filter_inbox_rung(fw.inbox))
		mt_idle_sleep(&w.idle, 999 * MT_MSEC);
	pthread_join(thread, NULL);
	/* Found without a look for packets in between, and told once. */
	CU_ASSERT_FALSE(w.idle.woken);
	mt_idle_sleep(&w.idle, 999 * MT_MSEC);
	CU_ASSERT_FALSE(w.idle.inbox->asleep);
	CU_ASSERT_EQUAL(read(w.idle.wake, &n, sizeof(n)), -1);
	mt_filter_inbox_free(fw.inbox);
	mt_idle_fini(&w.idle);
	CU_ASSERT(w.idle.epoll == -1 && w.idle.wake == -1);
	close(fds[0]);
	close(fds[1]);
}

static void next_is_the_earliest(void)
{
	struct mt_worker *w = make(NULL, NULL);

	CU_ASSERT_EQUAL(mt_worker_next(w), MT_NEVER);
	fakes[0].tcp_next = 30;
	fakes[0].proxy_next = 20;
	fakes[0].net_next = 25;
	CU_ASSERT_EQUAL(mt_worker_next(w), 20);
	fakes[0].net_next = 10;
	CU_ASSERT_EQUAL(mt_worker_next(w), 10);
	unmake(w);
}

static int save(struct mt_worker *w, struct mt_image *im)
{
	static const struct mt_proxy_names names;

	return mt_worker_save(w, im, &names);
}

static bool takes(void *arg, const struct mt_filter_resume *r)
{
	++*(uint32_t *)arg;
	return true;
}

/* What filters have decided is taken first; the image would lose it. */
static void not_with_completions(struct mt_worker *w)
{
	static struct mt_filter_worker fw;
	const struct mt_filter_completion how = {.size = sizeof(how)};
	struct mt_filter_ticket t;
	struct mt_image im;
	uint32_t taken = 0;

	fw.inbox = w->idle.inbox = mt_filter_inbox_new();
	t = mt_filter_ticket_of(&(struct mt_filter_ctx){.fw = &fw});
	CU_ASSERT_EQUAL(mt_filter_complete(&t, &how), 0);
	CU_ASSERT_EQUAL(save(w, &im), -EAGAIN);
	mt_image_free(&im);
	CU_ASSERT_EQUAL(mt_filter_inbox_take(fw.inbox, &fw, 9, takes, &taken), 1);
	CU_ASSERT_EQUAL(save(w, &im), 0);
	mt_image_free(&im);
	/* The worker's end does not touch it, because its proxy is none. */
	w->idle.inbox = NULL;
	mt_filter_inbox_free(fw.inbox);
}

static void saved_between_turns_only(void)
{
	struct mt_worker *w = make(NULL, NULL);
	static const struct mt_proxy_names names;
	struct mt_dns_lane *const lane = (void *)w; /* any */
	struct mt_image im, in;
	uint32_t ran = 0;

	CU_ASSERT_TRUE(mt_worker_post(w, count, &ran));
	CU_ASSERT_EQUAL(save(w, &im), -EAGAIN);
	mt_image_free(&im);
	mt_worker_turn(w, MT_SEC, MT_SEC);
	CU_ASSERT_EQUAL(ran, 1);
	w->names.lane = lane;
	CU_ASSERT_EQUAL(save(w, &im), -ENOTSUP);
	mt_image_free(&im);
	w->names.lane = NULL;
	w->to[0].n = 1;
	CU_ASSERT_EQUAL(save(w, &im), -EAGAIN);
	mt_image_free(&im);
	w->to[0].n = 0;
	not_with_completions(w);
	fakes[0].calls[0] = '\0';
	CU_ASSERT_EQUAL(save(w, &im), 0);
	CU_ASSERT_STRING_EQUAL(
		fakes[0].calls, "tcp-parts proxy-parts net-image tcp-image proxy-image ");
	w->turn = 99;
	CU_ASSERT_EQUAL(mt_image_open(&in, im.bytes, im.len, &pools), 0);
	CU_ASSERT_EQUAL(mt_worker_load(w, &in, &names), 0);
	CU_ASSERT_EQUAL(w->turn, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(fakes[0].calls, "take-over"));
	/* Without all of it the worker before goes on, in its place. */
	fakes[0].calls[0] = '\0';
	CU_ASSERT_EQUAL(mt_image_open(&in, im.bytes, im.len, &pools), 0);
	mt_image_fail(&in, -ENOMEM, "");
	CU_ASSERT_EQUAL(mt_worker_load(w, &in, &names), -ENOMEM);
	CU_ASSERT_PTR_NULL(strstr(fakes[0].calls, "take-over"));
	mt_image_free(&im);
	unmake(w);
}

static void the_clock_goes_on(void)
{
	struct mt_clock c;
	uint64_t a, b;

	mt_clock_init(&c);
	a = mt_clock_now(&c);
	b = mt_clock_now(&c);
	CU_ASSERT_TRUE(a >= c.base_ns && b >= a);
	CU_ASSERT_EQUAL(mt_clock_wall(&c, a) - a, (uint64_t)c.wall_offset);
	/* the years since 1970, whatever the monotonic clock says */
	CU_ASSERT_TRUE(mt_clock_wall(&c, a) > 1600000000 * MT_SEC);
	c.ns_per_tick = 0;
	CU_ASSERT_TRUE(mt_clock_now(&c) >= c.base_ns);
}

const struct mt_test control_tests[] = {
	{"commands_run_at_the_foot_of_a_turn", commands_run_at_the_foot_of_a_turn},
	{"commands_of_the_last_turns_are_dropped", commands_of_the_last_turns_are_dropped},
	{"filters_learn_of_the_stop", filters_learn_of_the_stop},
	{"settings", settings},
	{"a_running_worker_answers", a_running_worker_answers},
	{"idle_steps", idle_steps},
	{"idle_waits_for_packets", idle_waits_for_packets},
	{"idle_waits_for_filters", idle_waits_for_filters},
	{"next_is_the_earliest", next_is_the_earliest},
	{"saved_between_turns_only", saved_between_turns_only},
	{"the_clock_goes_on", the_clock_goes_on},
	{0},
};
