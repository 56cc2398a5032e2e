/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of one thread. */
#include "client.h"

#include <math.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#define EVENTS	      64
#define SENDS_AT_ONCE 64 /* open loop: calls sent before replies are processed again */
#define SLEEP_MAX     (50 * MT_MSEC)

static volatile sig_atomic_t stop_now;

uint64_t blast_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * MT_SEC + (uint64_t)ts.tv_nsec;
}

bool blast_stopped(void)
{
	return stop_now;
}

static void interrupted(int number)
{
	(void)number;
	stop_now = 1;
}

/* Processor time of this thread. */
static uint64_t thread_cpu(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * MT_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t blast_due(const struct blast_worker *w)
{
	uint64_t due = w->start + (uint64_t)w->due_exact;

	return w->o->rate > 0 && w->issuing && due < w->end ? due : UINT64_MAX;
}

/*
 * The schedules of all threads together give the total rate: Poisson processes add up to one, and
 * uniform schedules are shifted by their index.
 */
static void next_arrival(struct blast_worker *w)
{
	double gap = 1e9 * w->o->threads / w->o->rate;

	w->arrivals++;
	if (w->o->arrivals == BLAST_UNIFORM)
		w->due_exact = gap * ((double)w->arrivals - 1 + (double)w->index / w->o->threads);
	else
		w->due_exact -= gap * log1p(-(double)(mt_rand_u64(&w->rand) >> 11) * 0x1p-53);
}

static void send_due(struct blast_worker *w)
{
	uint64_t now = blast_now();

	for (int i = 0; i < SENDS_AT_ONCE && blast_due(w) <= now && !mt_list_empty(&w->ready);
		i++) {
		struct mt_list *n = mt_list_first(&w->ready);
		struct blast_conn *c = mt_list_entry(n, struct blast_conn, node);

		mt_list_del(n);
		blast_call_issue(w, c, blast_due(w), now);
		next_arrival(w);
		/* Moves the connection to the tail, so that connections alternate. */
		blast_conn_next(w, c, now);
		now = blast_now();
	}
}

static uint64_t wake_at(const struct blast_worker *w, uint64_t now)
{
	uint64_t at = now + SLEEP_MAX;
	struct mt_list *n;

	if (!mt_list_empty(&w->ready))
		at = MT_MIN(at, blast_due(w));
	n = w->sent.next;
	if (n != &w->sent)
		at = MT_MIN(at, mt_list_entry(n, struct blast_call, node)->sent + w->o->timeout);
	n = w->down.next;
	if (n != &w->down && !w->n_connecting)
		at = MT_MIN(at, mt_list_entry(n, struct blast_conn, node)->since);
	if (now < w->end)
		at = MT_MIN(at, w->marked ? w->end : MT_MAX(w->measure_from, now));
	return at;
}

static void turn(struct blast_worker *w)
{
	struct epoll_event events[EVENTS];
	uint64_t now = blast_now(), at = w->o->spin ? now : wake_at(w, now), sent, after;
	int n = w->io->ops->wait(w->io, events, EVENTS, at, &w->waited);

	after = blast_now();
	sent = w->counts[BLAST_SENT];
	for (int i = 0; i < n; i++)
		blast_conn_event(w, events[i].data.ptr, events[i].events);
	send_due(w);
	now = blast_now();
	blast_calls_expire(w, now);
	blast_conns_run(w, now);
	/* An iteration without work counts as waiting; --spin makes many of them. */
	if (n <= 0 && sent == w->counts[BLAST_SENT])
		w->waited += blast_now() - after;
}

/* Waits until all connections are up; false if there was no progress for the timeout. */
static bool open_all(struct blast_worker *w)
{
	uint64_t since = blast_now();
	uint32_t best = 0;

	while (w->n_up < w->n_conns && !stop_now) {
		turn(w);
		if (w->n_up > best) {
			best = w->n_up;
			since = blast_now();
		}
		if (blast_now() - since > w->o->timeout)
			return false;
	}
	return true;
}

static void mark(struct blast_worker *w)
{
	w->waited_before = w->waited;
	w->cpu_before = thread_cpu();
	w->marked = true;
}

static void finish(struct blast_worker *w)
{
	uint64_t until;

	w->waited -= w->waited_before;
	w->cpu = thread_cpu() - w->cpu_before;
	w->up_at_end = w->n_up;
	/* Calls due before the end are still sent, or their latency would be missing. */
	w->issuing = w->o->rate > 0;
	for (until = blast_now() + w->o->timeout; blast_now() < until && !stop_now;) {
		if (mt_list_empty(&w->sent) && blast_due(w) == UINT64_MAX)
			break;
		turn(w);
	}
	for (; blast_due(w) != UINT64_MAX; next_arrival(w)) {
		mt_count(w->counts, BLAST_UNSENT);
		w->measured[BLAST_UNSENT] += blast_due(w) >= w->measure_from;
		w->max_lag = MT_MAX(w->max_lag, blast_now() - blast_due(w));
	}
	/* Interrupted, or sent so late that their timeout has not passed yet. */
	while (!mt_list_empty(&w->sent))
		blast_call_end(w, mt_list_entry(mt_list_first(&w->sent), struct blast_call, node),
			BLAST_ABANDONED, blast_now());
}

static void work(struct blast_worker *w)
{
	w->issuing = true;
	next_arrival(w);
	for (uint32_t i = 0; i < w->n_conns; i++)
		blast_conn_next(w, &w->conns[i], blast_now());
	while (blast_now() < w->end && !stop_now) {
		if (!w->marked && blast_now() >= w->measure_from)
			mark(w);
		turn(w);
	}
	if (stop_now)
		w->end = MT_MIN(w->end, blast_now());
	finish(w);
}

void *blast_worker_main(void *worker)
{
	struct blast_worker *w = worker;
	struct sigaction stop = {.sa_handler = interrupted, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &stop, NULL);
	/* Makes sleeps end on time, not 50 us later. */
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	w->failed = w->io->ops->attach(w->io) || !open_all(w);
	pthread_barrier_wait(&w->run->opened);
	pthread_barrier_wait(&w->run->started);
	if (!w->run->abort)
		work(w);
	blast_conns_fini(w);
	w->io->ops->detach(w->io);
	return NULL;
}
