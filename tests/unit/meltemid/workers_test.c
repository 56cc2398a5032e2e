/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drain and stop wait for all workers, not for some of them. The workers are objects of this test:
 * each function that workers.c calls for a worker is wrapped (meson.build).
 */
#include "daemon.h"
#include "mt_proxy.h"
#include "suites.h"

#include <errno.h>

#define WORKERS 3

enum worker_state {
	IDLE,
	BUSY,	/* lib/proxy serves something */
	OWES,	/* lib/tcp has bytes that a peer has not acknowledged */
	SILENT, /* it does not answer in time */
	STATES
};

static struct worker {
	enum worker_state state;
	bool lingers;	/* a client has not closed yet */
	uint32_t calls; /* mt_worker_call() */
	bool resets;	/* mt_worker_reset_all() was called */
	uint32_t polls; /* mt_worker_all_reset() is false so often */
	bool stopped;	/* mt_worker_stop() was called */
} workers[WORKERS];
static uint32_t waited, tallied;

/* The worker behind any of the pointers that the wrapped functions take. */
static struct worker *of(const void *w)
{
	return &workers[(const struct worker *)w - workers];
}

void tally(struct daemon *d)
{
	tallied++;
}

/* ---- the wrapped functions ------------------------------------------------------------------ */

int __wrap_mt_worker_call(
	struct mt_worker *w, mt_worker_command run, void *arg, uint32_t timeout_ms);
void __wrap_mt_worker_quiesce(struct mt_worker *w);
struct mt_proxy *__wrap_mt_worker_proxy(struct mt_worker *w);
struct mt_tcp *__wrap_mt_worker_tcp(struct mt_worker *w);
bool __wrap_mt_proxy_idle(const struct mt_proxy *p);
bool __wrap_mt_tcp_owes(const struct mt_tcp *t);
bool __wrap_mt_tcp_lingers(const struct mt_tcp *t);
void __wrap_mt_worker_reset_all(struct mt_worker *w);
bool __wrap_mt_worker_all_reset(const struct mt_worker *w);
void __wrap_mt_worker_stop(struct mt_worker *w);
void __wrap_rte_eal_mp_wait_lcore(void);

int __wrap_mt_worker_call(
	struct mt_worker *w, mt_worker_command run, void *arg, uint32_t timeout_ms)
{
	of(w)->calls++;
	if (of(w)->state == SILENT)
		return -ETIMEDOUT;
	run(w, arg);
	return 0;
}

void __wrap_mt_worker_quiesce(struct mt_worker *w)
{
}

struct mt_proxy *__wrap_mt_worker_proxy(struct mt_worker *w)
{
	return (void *)w;
}

struct mt_tcp *__wrap_mt_worker_tcp(struct mt_worker *w)
{
	return (void *)w;
}

bool __wrap_mt_proxy_idle(const struct mt_proxy *p)
{
	return of(p)->state != BUSY;
}

bool __wrap_mt_tcp_owes(const struct mt_tcp *t)
{
	return of(t)->state == OWES;
}

bool __wrap_mt_tcp_lingers(const struct mt_tcp *t)
{
	return of(t)->lingers;
}

void __wrap_mt_worker_reset_all(struct mt_worker *w)
{
	of(w)->resets = true;
}

bool __wrap_mt_worker_all_reset(const struct mt_worker *w)
{
	if (of(w)->polls == 0)
		return of(w)->resets;
	of(w)->polls--;
	return false;
}

void __wrap_mt_worker_stop(struct mt_worker *w)
{
	for (uint32_t i = 0; i < WORKERS; i++)
		CU_ASSERT(workers[i].resets && workers[i].polls == 0);
	of(w)->stopped = true;
}

void __wrap_rte_eal_mp_wait_lcore(void)
{
	waited++;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static struct daemon d;

static void workers_begin(uint16_t n)
{
	memset(&d, 0, sizeof(d));
	memset(workers, 0, sizeof(workers));
	waited = tallied = 0;
	d.n_workers = n;
	for (uint16_t i = 0; i < n; i++)
		d.workers[i] = (void *)&workers[i];
}

struct mt_worker *busy_worker(void)
{
	memset(workers, 0, sizeof(workers));
	workers[0].state = BUSY;
	return (void *)&workers[0];
}

/* All combinations of states, for one to three workers: the drain ends when all are idle. */
static void all_are_idle(void)
{
	for (uint16_t n = 1; n <= WORKERS; n++) {
		uint32_t combinations = 1;

		for (uint16_t i = 0; i < n; i++)
			combinations *= STATES;
		for (uint32_t k = 0; k < combinations; k++) {
			bool all = true;

			workers_begin(n);
			for (uint32_t i = 0, rest = k; i < n; i++, rest /= STATES) {
				workers[i].state = (enum worker_state)(rest % STATES);
				all &= workers[i].state == IDLE;
			}
			CU_ASSERT_EQUAL(workers_idle(&d), all);
			for (uint32_t i = 0; all && i < n; i++)
				CU_ASSERT_EQUAL(workers[i].calls, 1);
		}
	}
}

/* The workers become idle one after another, and each of them is the last one once. */
static void last_one(void)
{
	for (uint16_t last = 0; last < WORKERS; last++) {
		workers_begin(WORKERS);
		for (uint32_t i = 0; i < WORKERS; i++)
			workers[i].state = BUSY;
		for (uint32_t i = 1; i < WORKERS; i++) {
			workers[(last + i) % WORKERS].state = IDLE;
			CU_ASSERT_FALSE(workers_idle(&d));
		}
		workers[last].state = OWES;
		CU_ASSERT_FALSE(workers_idle(&d));
		workers[last].state = IDLE;
		CU_ASSERT_TRUE(workers_idle(&d));
	}
}

/* A client has 100 ms to read its last reply and to close, before it is reset. */
static void clients_read(void)
{
	const uint64_t now = 5 * MT_SEC;

	for (uint16_t last = 0; last < WORKERS; last++) {
		workers_begin(WORKERS);
		CU_ASSERT_TRUE(workers_drained(&d, now));
		workers[last].lingers = true;
		d.drain.idle_at = 0;
		CU_ASSERT_FALSE(workers_drained(&d, now));
		CU_ASSERT_FALSE(workers_drained(&d, now + 99 * MT_MSEC));
		CU_ASSERT_TRUE(workers_drained(&d, now + 100 * MT_MSEC));
		/* A worker that is busy again begins anew. */
		workers[last].state = OWES;
		CU_ASSERT_FALSE(workers_drained(&d, now + MT_SEC));
		workers[last].state = IDLE;
		CU_ASSERT_FALSE(workers_drained(&d, now + MT_SEC));
		workers[last].lingers = false;
		CU_ASSERT_TRUE(workers_drained(&d, now + MT_SEC + MT_MSEC));
	}
}

/* No worker is stopped before all of them have reset their connections. */
static void all_have_reset(void)
{
	for (uint16_t slow = 0; slow < WORKERS; slow++) {
		workers_begin(WORKERS);
		d.launched = true;
		workers[slow].polls = 4;
		launch_stop(&d);
		for (uint32_t i = 0; i < WORKERS; i++)
			CU_ASSERT_TRUE(workers[i].stopped);
		CU_ASSERT(waited == 1 && tallied == 1 && !d.launched);
		launch_stop(&d);
		CU_ASSERT(waited == 1 && tallied == 1);
	}
}

const struct mt_test workers_tests[] = {{"all_are_idle", all_are_idle}, {"last_one", last_one},
	{"clients_read", clients_read}, {"all_have_reset", all_have_reset}, {0}};
