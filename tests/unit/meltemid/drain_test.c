/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the daemon closes and ends after a signal, and what the commands `drain` and `return` do. There is one worker, which is what
 * this test says of it; workers_test.c has the call into it.
 */
#include "daemon.h"
#include "mt_proxy.h"
#include "suites.h"

#include <signal.h>

#define START (1000 * MT_SEC)

static struct daemon d;
static struct mt_node node;
/* What the worker answers, and what it was called for. */
static struct {
	bool left, brief, lasted;
	int leaves, stays, closes, ignores;
	uint32_t ms;
	enum mt_ctl_state state;
	int stopping;
} is;

void __wrap_mt_ctl_set_state(struct mt_ctl *c, enum mt_ctl_state s);
bool __wrap_mt_proxy_brief(const struct mt_proxy *p);
bool __wrap_mt_proxy_lasted(const struct mt_proxy *p);
bool __wrap_mt_proxy_left(const struct mt_proxy *p);
void __wrap_mt_proxy_drain(struct mt_proxy *p);
void __wrap_mt_proxy_leave(struct mt_proxy *p, uint32_t ms);
void __wrap_mt_proxy_stay(struct mt_proxy *p);
void __wrap_mt_tcp_ignore_syns(struct mt_tcp *t);

void __wrap_mt_ctl_set_state(struct mt_ctl *c, enum mt_ctl_state s)
{
	is.state = s;
}

bool __wrap_mt_proxy_brief(const struct mt_proxy *p)
{
	return is.brief;
}

bool __wrap_mt_proxy_lasted(const struct mt_proxy *p)
{
	return is.lasted;
}

bool __wrap_mt_proxy_left(const struct mt_proxy *p)
{
	return is.left;
}

void __wrap_mt_proxy_drain(struct mt_proxy *p)
{
	is.closes++;
}

void __wrap_mt_proxy_leave(struct mt_proxy *p, uint32_t ms)
{
	is.leaves++;
	is.ms = ms;
}

void __wrap_mt_proxy_stay(struct mt_proxy *p)
{
	is.stays++;
}

void __wrap_mt_tcp_ignore_syns(struct mt_tcp *t)
{
	is.ignores++;
}

const struct mt_node *config_node(const struct daemon *of)
{
	return &node;
}

void notify_stopping(struct daemon *of)
{
	is.stopping++;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void begin(uint32_t ms, enum mt_drain_then then)
{
	memset(&d, 0, sizeof(d));
	memset(&is, 0, sizeof(is));
	node.drain = (struct mt_node_drain){{.v = ms}, {.v = then}};
	d.n_workers = 1;
	d.workers[0] = busy_worker();
	is.state = MT_CTL_SERVING;
}

/* The second after the signal in which the worker is closed; -1: in none of so many. */
static int closes_at(int seconds)
{
	for (int s = 0; s <= seconds; s++) {
		if (drain_is_over(&d, START + (uint64_t)s * MT_SEC))
			return -2;
		if (is.closes)
			return s;
	}
	return -1;
}

static void signalled(uint32_t ms, enum mt_drain_then then)
{
	begin(ms, then);
	CU_ASSERT_TRUE(drain_signal(&d, SIGTERM, START));
	CU_ASSERT(d.draining && is.leaves == 1 && is.stopping == 1);
	CU_ASSERT_EQUAL(is.state, MT_CTL_DRAINING);
}

/* By default after 10 s, 15 s if calls last, 29 s if opaque connections do, and the end after 30 s. */
static void default_times(void)
{
	signalled(30000, MT_DRAIN_RESET);
	CU_ASSERT_EQUAL(is.ms, 0);
	is.brief = true;
	CU_ASSERT_EQUAL(closes_at(40), 10);
	CU_ASSERT_EQUAL(is.ignores, 1);
	CU_ASSERT_FALSE(drain_is_over(&d, START + 30 * MT_SEC - 1));
	CU_ASSERT_TRUE(drain_is_over(&d, START + 30 * MT_SEC));
	CU_ASSERT_EQUAL(is.closes, 1);
	signalled(30000, MT_DRAIN_RESET);
	is.lasted = true;
	CU_ASSERT_EQUAL(closes_at(40), 15);
	signalled(30000, MT_DRAIN_RESET);
	CU_ASSERT_EQUAL(closes_at(40), 29);
	CU_ASSERT_TRUE(drain_is_over(&d, START + 30 * MT_SEC));
	signalled(30000, MT_DRAIN_RESET);
	is.left = true;
	CU_ASSERT_EQUAL(closes_at(40), 0);
}

/* All of them follow the time of the Node, as it is when the signal comes. */
static void other_times(void)
{
	signalled(6000, MT_DRAIN_RESET);
	node.drain.time.v = 60000;
	is.brief = true;
	CU_ASSERT_EQUAL(closes_at(40), 2);
	CU_ASSERT_TRUE(drain_is_over(&d, START + 6 * MT_SEC));
	signalled(6000, MT_DRAIN_RESET);
	is.lasted = true;
	CU_ASSERT_EQUAL(closes_at(40), 3);
	signalled(6000, MT_DRAIN_RESET);
	CU_ASSERT_EQUAL(closes_at(40), 5);
	signalled(3600000, MT_DRAIN_RESET);
	CU_ASSERT_EQUAL(closes_at(4000), 3599);
}

/* `wait`: as long as a call or an opaque connection lasts. Clients that go on calling are closed meanwhile. */
static void waits(void)
{
	signalled(6000, MT_DRAIN_WAIT);
	CU_ASSERT_EQUAL(is.ms, 6000);
	is.lasted = true;
	CU_ASSERT_EQUAL(closes_at(4000), -1);
	CU_ASSERT_TRUE(d.drain.logged);
	is.brief = true;
	CU_ASSERT_FALSE(drain_is_over(&d, START + 4001 * MT_SEC));
	CU_ASSERT(is.closes == 1 && is.ignores == 1);
	/* Then it accepts no clients, so what is left has the time of the Node. */
	CU_ASSERT_FALSE(drain_is_over(&d, START + 4007 * MT_SEC - 1));
	CU_ASSERT_TRUE(drain_is_over(&d, START + 4007 * MT_SEC));
	CU_ASSERT_FALSE(drain_signal(&d, SIGTERM, START + 8000 * MT_SEC));
	signalled(6000, MT_DRAIN_WAIT);
	is.brief = true;
	CU_ASSERT_EQUAL(closes_at(40), 2);
	CU_ASSERT_FALSE(d.drain.logged);
}

/* The command notifies clients; new ones come as before, until a signal. `return` ends it once, and not after a signal. */
static void by_command(void)
{
	begin(30000, MT_DRAIN_RESET);
	CU_ASSERT_TRUE(drain_return(&d));
	CU_ASSERT_EQUAL(is.stays, 0);
	CU_ASSERT(drain_command(&d, START) && drain_command(&d, START + MT_SEC));
	CU_ASSERT(is.leaves == 1 && is.ms == 30000 && is.state == MT_CTL_DRAINING);
	drain_turn(&d, START + MT_SEC);
	CU_ASSERT_FALSE(d.drain.logged);
	is.left = true;
	drain_turn(&d, START + 2 * MT_SEC);
	CU_ASSERT_TRUE(d.drain.logged);
	CU_ASSERT(drain_return(&d) && is.stays == 1 && is.state == MT_CTL_SERVING);
	CU_ASSERT_TRUE(drain_command(&d, START + 3 * MT_SEC));
	CU_ASSERT(is.leaves == 2 && !d.drain.logged && is.closes == 0);
	CU_ASSERT_TRUE(drain_signal(&d, SIGTERM, START + 4 * MT_SEC));
	CU_ASSERT_FALSE(drain_return(&d) || drain_command(&d, START + 4 * MT_SEC));
	CU_ASSERT_EQUAL(is.state, MT_CTL_DRAINING);
}

/* A signal after the command closes at once when all calls are short, because clients have had their time; opaque connections have theirs. */
static void signal_after_command(void)
{
	begin(30000, MT_DRAIN_RESET);
	is.brief = true;
	CU_ASSERT_TRUE(drain_command(&d, START - 10 * MT_SEC));
	CU_ASSERT_TRUE(drain_signal(&d, SIGTERM, START));
	CU_ASSERT_EQUAL(closes_at(40), 0);
	begin(30000, MT_DRAIN_RESET);
	CU_ASSERT_TRUE(drain_command(&d, START - 100 * MT_SEC));
	CU_ASSERT_TRUE(drain_signal(&d, SIGTERM, START));
	CU_ASSERT_EQUAL(closes_at(40), 29);
}

const struct mt_test drain_tests[] = {{"default_times", default_times},
	{"other_times", other_times}, {"waits", waits}, {"by_command", by_command},
	{"signal_after_command", signal_after_command}, {0}};
