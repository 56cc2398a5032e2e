/* SPDX-License-Identifier: Apache-2.0 */
/* What other threads tell a worker: all of it, whole, in each one's order, or an error at once. */
#include "mt_filter_inbox.h"
#include "suites.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct mt_filter_worker fw;

/* Of the exchange `i`. */
static struct mt_filter_ticket ticket(uint32_t i)
{
	struct mt_filter_ctx ctx = {.fw = &fw, .at = 1, .exchange = i, .generation = 2 * i + 1};

	return mt_filter_ticket_of(&ctx);
}

static void start(void)
{
	mt_filter_worker_init(&fw, 0);
	fw.inbox = mt_filter_inbox_new();
	CU_ASSERT_PTR_NOT_NULL_FATAL(fw.inbox);
}

static int tell(uint32_t i)
{
	const struct mt_filter_completion how = {.size = sizeof(how)};
	struct mt_filter_ticket t = ticket(i);

	return mt_filter_complete(&t, &how);
}

struct seen {
	uint32_t n, last, stop_at;
	struct mt_filter_resume r;
	struct mt_mutation changes[MT_FILTER_CHANGES_MAX];
	char text[256], words[256];
};

static bool see(void *arg, const struct mt_filter_resume *r)
{
	struct seen *s = arg;

	s->n++;
	s->last = r->ticket.exchange;
	s->r = *r;
	memcpy(s->changes, r->changes, r->n_changes * sizeof(*r->changes));
	snprintf(s->text, sizeof(s->text), "%s", r->text);
	mt_mutations_str(r->changes, r->n_changes, s->words, sizeof(s->words));
	return s->n != s->stop_at;
}

static void test_full(void)
{
	struct seen s = {0};
	uint32_t n = 0;

	start();
	CU_ASSERT_FALSE(mt_filter_inbox_rung(fw.inbox));
	while (tell(n) == 0)
		n++;
	CU_ASSERT_EQUAL(n, MT_FILTER_INBOX_SIZE - 1);
	CU_ASSERT_EQUAL(tell(n), -EAGAIN);
	CU_ASSERT_TRUE(mt_filter_inbox_rung(fw.inbox));
	/* A bounded number in a turn; what is left has not been forgotten. */
	CU_ASSERT_EQUAL(mt_filter_inbox_take(fw.inbox, &fw, 100, see, &s), 100);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_completions_full], 2);
	CU_ASSERT_TRUE(mt_filter_inbox_rung(fw.inbox));
	CU_ASSERT_EQUAL(tell(n), 0);
	CU_ASSERT_EQUAL(mt_filter_inbox_take(fw.inbox, &fw, 5000, see, &s), n + 1 - 100);
	CU_ASSERT(s.n == n + 1 && s.last == n);
	CU_ASSERT_FALSE(mt_filter_inbox_rung(fw.inbox));
	mt_filter_inbox_free(fw.inbox);
}

static void test_what_it_carries(void)
{
	const struct mt_filter_change changes[] = {
		{{"team", 4}, {"blue", 4}}, {{"old", 3}, {0}}, {{"empty", 5}, {"", 0}}};
	struct mt_filter_completion how = {.size = sizeof(how),
		.verdict = MT_FILTER_REPLY,
		.answer = MT_FILTER_OVER_LIMIT,
		.n_changes = 3,
		.changes = changes};
	char longer[200];
	struct mt_filter_ticket t;
	struct seen s = {0};

	start();
	t = ticket(7);
	memset(longer, 'x', sizeof(longer));
	how.text = (struct mt_filter_text){longer, sizeof(longer)};
	CU_ASSERT_EQUAL(mt_filter_complete(&t, &how), 0);
	mt_filter_inbox_take(fw.inbox, &fw, 9, see, &s);
	CU_ASSERT(s.r.ticket.exchange == 7 && s.r.ticket.generation == 15);
	CU_ASSERT(s.r.verdict == MT_FILTER_REPLY && s.r.reply == MT_REPLY_OVER_LIMIT);
	CU_ASSERT_EQUAL(strlen(s.text), MT_FILTER_TEXT_MAX);
	CU_ASSERT_STRING_EQUAL(s.words, "sets team=blue, removes old, sets empty=");
	CU_ASSERT_PTR_NOT_NULL(s.changes[2].value);
	mt_filter_inbox_free(fw.inbox);
}

static void test_refused(void)
{
	static char bytes[MT_FILTER_CHANGES_BYTES_MAX];
	const struct mt_filter_change large = {{"k", 1}, {bytes, sizeof(bytes)}};
	const struct mt_filter_change fits = {{"k", 1}, {bytes, sizeof(bytes) - 1}};
	const struct mt_filter_completion ok = {
		.size = sizeof(ok), .n_changes = 1, .changes = &fits};
	const struct mt_filter_change unnamed = {{"", 0}, {"x", 1}},
				      nowhere = {{NULL, 4}, {"x", 1}};
	struct mt_filter_completion how[9] = {ok, ok, ok, ok, ok, ok, ok, ok, ok};
	struct mt_filter_ticket t, none = {0};

	start();
	t = ticket(1);
	how[0].verdict = MT_FILTER_SUSPEND;
	how[1].n_changes = MT_FILTER_CHANGES_MAX + 1;
	how[2].changes = &large;
	how[3].answer = MT_FILTER_TIMED_OUT + 1;
	how[4].size = offsetof(struct mt_filter_completion, changes);
	how[5].changes = &unnamed;
	how[6].changes = &nowhere;
	how[7].changes = NULL;
	how[8].text.len = 4;
	for (uint32_t i = 0; i < MT_ARRAY_LEN(how); i++)
		CU_ASSERT_EQUAL(mt_filter_complete(&t, &how[i]), -EINVAL);
	CU_ASSERT_EQUAL(mt_filter_complete(&none, &ok), -EINVAL);
	CU_ASSERT_EQUAL(mt_filter_complete(&t, &ok), 0);
	/* Its worker has ended, and another one has its place. */
	mt_filter_inbox_free(fw.inbox);
	CU_ASSERT_EQUAL(mt_filter_complete(&t, &ok), -ESHUTDOWN);
	start();
	CU_ASSERT_EQUAL(ticket(1).inbox, t.inbox);
	CU_ASSERT_EQUAL(mt_filter_complete(&t, &ok), -ESHUTDOWN);
	mt_filter_inbox_free(fw.inbox);
}

/* From when a worker begins to stop, long before its inbox is freed; the place may be another's by then. */
static void test_closed(void)
{
	struct mt_filter_completion how = {.size = sizeof(how)};
	struct mt_filter_inbox *first;
	struct mt_filter_ticket t;

	start();
	first = fw.inbox;
	t = ticket(1);
	mt_filter_inbox_close(first);
	CU_ASSERT_EQUAL(mt_filter_complete(&t, &how), -ESHUTDOWN);
	start();
	CU_ASSERT_EQUAL(fw.inbox->index, first->index);
	mt_filter_inbox_close(first);
	mt_filter_inbox_free(first);
	CU_ASSERT_EQUAL(tell(2), 0);
	mt_filter_inbox_free(fw.inbox);
	mt_filter_inbox_close(NULL);
}

/* What this worker's filters tell it themselves: no way through the ring, and the ring's come all the same. */
static void test_own(void)
{
	struct seen s = {0};
	uint32_t ring = 0, own = 0;

	start();
	while (tell(ring) == 0)
		ring++;
	mt_filter_inbox_take(fw.inbox, &fw, 0, see, &s);
	mt_filter_inbox_calls(fw.inbox);
	while (tell(5000 + own) == 0)
		own++;
	mt_filter_inbox_calls(NULL);
	CU_ASSERT_EQUAL(own, MT_FILTER_INBOX_SIZE);
	CU_ASSERT_EQUAL(tell(0), -EAGAIN);
	CU_ASSERT_EQUAL(mt_filter_inbox_take(fw.inbox, &fw, 10, see, &s), 10);
	CU_ASSERT_EQUAL(s.last, 4);
	CU_ASSERT_EQUAL(fw.inbox->n_own, own - 5);
	/* The circle goes round. */
	mt_filter_inbox_calls(fw.inbox);
	for (uint32_t i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(tell(5000 + own + i), 0);
	mt_filter_inbox_calls(NULL);
	while (mt_filter_inbox_rung(fw.inbox))
		mt_filter_inbox_take(fw.inbox, &fw, 200, see, &s);
	CU_ASSERT_EQUAL(s.n, ring + own + 5);
	CU_ASSERT_EQUAL(fw.inbox->n_own, 0);
	mt_filter_inbox_free(fw.inbox);
}

/* One that lets the rest wait: it stays, in both places, and is not forgotten. */
static void test_stops(void)
{
	struct seen s = {.stop_at = 1};

	start();
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(tell(i), 0);
	mt_filter_inbox_calls(fw.inbox);
	CU_ASSERT_EQUAL(tell(10), 0);
	CU_ASSERT_EQUAL(tell(11), 0);
	mt_filter_inbox_calls(NULL);
	CU_ASSERT_EQUAL(mt_filter_inbox_take(fw.inbox, &fw, 100, see, &s), 1);
	CU_ASSERT_EQUAL(s.last, 10);
	CU_ASSERT_TRUE(mt_filter_inbox_rung(fw.inbox));
	s.stop_at = 3;
	CU_ASSERT_EQUAL(mt_filter_inbox_take(fw.inbox, &fw, 100, see, &s), 2);
	CU_ASSERT_EQUAL(s.last, 0);
	CU_ASSERT_TRUE(mt_filter_inbox_rung(fw.inbox));
	CU_ASSERT_EQUAL(mt_filter_inbox_take(fw.inbox, &fw, 100, see, &s), 2);
	CU_ASSERT(s.n == 5 && s.last == 2);
	CU_ASSERT_FALSE(mt_filter_inbox_rung(fw.inbox));
	mt_filter_inbox_free(fw.inbox);
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* Who sleeps is woken; who is up is not written to. */
static void test_wakes(void)
{
	struct seen s = {0};
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	start();
	fw.inbox->wake_fd = fd;
	CU_ASSERT_EQUAL(tell(1), 0);
	CU_ASSERT_FALSE(readable(fd));
	CU_ASSERT_FALSE(mt_filter_inbox_sleep(fw.inbox));
	mt_filter_inbox_take(fw.inbox, &fw, 9, see, &s);
	CU_ASSERT_TRUE(mt_filter_inbox_sleep(fw.inbox));
	CU_ASSERT_EQUAL(tell(2), 0);
	CU_ASSERT_TRUE(readable(fd));
	mt_filter_inbox_awake(fw.inbox);
	mt_filter_inbox_free(fw.inbox);
	close(fd);
}

/* ---- threads ------------------------------------------------------------------------------------ */

#define PRODUCERS 4
#define EACH	  20000u

struct producer {
	pthread_t thread;
	uint32_t number, full;
};

/* The i-th of producer k is about exchange k, wait i, and says so all over. */
static void *produce(void *arg)
{
	struct producer *p = arg;
	struct mt_filter_ticket t = ticket(p->number);
	char fill[300];

	for (uint32_t i = 0; i < EACH; i++) {
		const struct mt_filter_change change = {{"k", 1}, {fill, sizeof(fill)}};
		const struct mt_filter_completion how = {
			.size = sizeof(how), .n_changes = 1, .changes = &change};

		t.wait = i;
		memset(fill, (int)(i + p->number), sizeof(fill));
		while (mt_filter_complete(&t, &how) == -EAGAIN) {
			p->full++;
			sched_yield();
		}
	}
	return NULL;
}

struct consumer {
	uint32_t next[PRODUCERS], wrong;
};

static bool consume(void *arg, const struct mt_filter_resume *r)
{
	struct consumer *c = arg;
	uint32_t *next = &c->next[r->ticket.exchange % PRODUCERS];

	c->wrong += r->ticket.wait != (*next)++;
	for (uint32_t i = 0; i < r->changes[0].value_len; i++)
		c->wrong += r->changes[0].value[i] != (char)(r->ticket.wait + r->ticket.exchange);
	return true;
}

static void test_threads(void)
{
	struct producer p[PRODUCERS];
	struct consumer c = {0};
	uint64_t full = 0;
	uint32_t n = 0;

	start();
	for (uint32_t i = 0; i < PRODUCERS; i++) {
		p[i] = (struct producer){.number = i};
		CU_ASSERT_EQUAL_FATAL(pthread_create(&p[i].thread, NULL, produce, &p[i]), 0);
	}
	while (n < PRODUCERS * EACH) {
		if (mt_filter_inbox_rung(fw.inbox))
			n += mt_filter_inbox_take(fw.inbox, &fw, 64, consume, &c);
		else
			sched_yield();
	}
	for (uint32_t i = 0; i < PRODUCERS; i++) {
		pthread_join(p[i].thread, NULL);
		CU_ASSERT_EQUAL(c.next[i], EACH);
		full += p[i].full;
	}
	CU_ASSERT_EQUAL(c.wrong, 0);
	CU_ASSERT_EQUAL(mt_filter_inbox_take(fw.inbox, &fw, 64, consume, &c), 0);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_completions_full], full);
	mt_filter_inbox_free(fw.inbox);
}

const struct mt_test inbox_tests[] = {
	{"a full inbox says so", test_full},
	{"what a completion carries", test_what_it_carries},
	{"what is no completion", test_refused},
	{"closed before it is freed", test_closed},
	{"what a worker tells itself", test_own},
	{"no more for now", test_stops},
	{"a sleeping worker is woken", test_wakes},
	{"four threads lose nothing", test_threads},
	{0},
};
