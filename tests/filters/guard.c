/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter as an author outside of Meltemi would write it, with nothing of Meltemi but its ABI. Its
 * own thread gets the value of a key of each request, or (AT_REPLY) of each reply, and lets the
 * message pass with a mark on it, or denies it. The configuration is the key's name.
 */
#include "mt_filter_abi.h"

#include "guard.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUEUE 64

/* The version of the ABI for which it is built: replies wait since 2. */
#ifndef VERSION
#define VERSION MT_FILTER_ABI_VERSION
#endif

struct question {
	struct mt_filter_ticket ticket;
	char said[16];
	uint32_t len;
};

struct guard {
	char key[32];
	uint32_t key_len;
	pthread_t thread;
	bool stop; /* under the lock, as what follows */
	struct question queue[QUEUE];
	uint32_t first, n;
};

/* What it keeps with an exchange. */
struct mark {
	uint32_t asked;
};

static const struct mt_filter_host *host;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

struct guard_control guard_control = {.lock = &lock, .changed = &changed, .may = UINT32_MAX};

/*
 * Longest wait for its thread. With 0 the time-out of the call would be the only limit. Objects for
 * version 1 have no limit of their own.
 */
#define WAIT_MS (VERSION < 2 ? 0 : 5000)

/* ---- its thread ---------------------------------------------------------------------------------- */

static void decide(const struct question *q)
{
	const struct mt_filter_change mark = {{"checked", 7}, {q->said, q->len}};
	struct mt_filter_completion how = {.size = sizeof(how), .verdict = MT_FILTER_NEXT};
	static const struct timespec pause = {.tv_nsec = 1000000};
	int rc;

	if (q->len == 4 && memcmp(q->said, "evil", 4) == 0) {
		how.verdict = MT_FILTER_REPLY;
		how.answer = MT_FILTER_DENIED;
		how.text = (struct mt_filter_text){"not you", 7};
	} else {
		how.changes = &mark;
		how.n_changes = 1;
	}
	/* Without the lock: on_message() takes it on the worker, which must not wait. */
	while ((rc = host->complete(&q->ticket, &how)) == -EAGAIN)
		nanosleep(&pause, NULL);
	pthread_mutex_lock(&lock);
	guard_control.completed++;
	guard_control.last = rc;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void *think(void *arg)
{
	struct guard *g = arg;

	pthread_mutex_lock(&lock);
	for (;;) {
		struct question q;

		while (!g->stop && (g->n == 0 || guard_control.begun == guard_control.may))
			pthread_cond_wait(&changed, &lock);
		if (g->stop)
			break;
		q = g->queue[g->first++ % QUEUE];
		g->n--;
		guard_control.begun++;
		pthread_mutex_unlock(&lock);
		decide(&q);
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

/* ---- the filter ---------------------------------------------------------------------------------- */

static int configure(const struct mt_filter_host *h, const char *text, size_t len, void **conf,
	char *err, size_t err_size)
{
	struct guard *g = calloc(1, sizeof(*g));

	host = h;
	if (h->abi_version != VERSION) {
		strncpy(err, "another version of the filter ABI", err_size - 1);
		free(g);
		return -EINVAL;
	}
	if (!g || len == 0 || len > sizeof(g->key) || pthread_create(&g->thread, NULL, think, g)) {
		strncpy(err, "the key's name is missing, or too long", err_size - 1);
		free(g);
		return -EINVAL;
	}
	memcpy(g->key, text, len);
	g->key_len = (uint32_t)len;
	*conf = g;
	return 0;
}

static void release(void *conf)
{
	struct guard *g = conf;

	pthread_mutex_lock(&lock);
	g->stop = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	pthread_join(g->thread, NULL);
	free(g);
}

static bool ask(struct guard *g, const struct question *q)
{
	bool room;

	pthread_mutex_lock(&lock);
	room = g->n < QUEUE;
	if (room)
		g->queue[(g->first + g->n++) % QUEUE] = *q;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return room;
}

/* A request or a reply. */
static enum mt_filter_verdict on_message(void *conf, struct mt_filter_call *c)
{
	struct mark *mark = host->bytes(c);
	struct mt_filter_text said;
	struct guard *g = conf;
	struct question q = {0};

	if (!host->get(c, g->key, g->key_len, &said) || said.len > sizeof(q.said)) {
		host->answer(c, MT_FILTER_DENIED, "who are you?", 12);
		return MT_FILTER_REPLY;
	}
	if (said.len == 4 && memcmp(said.p, "free", 4) == 0)
		return MT_FILTER_NEXT;
	memcpy(q.said, said.p, said.len);
	q.len = said.len;
	host->pause(c, &q.ticket);
	if (!ask(g, &q)) {
		host->answer(c, MT_FILTER_OVERLOADED, "too many ask", 12);
		return MT_FILTER_REPLY;
	}
	mark->asked = 1;
	return MT_FILTER_SUSPEND;
}

static void on_end(void *conf, struct mt_filter_call *c, const struct mt_filter_end *end)
{
	struct mark *mark = host->bytes(c);

	guard_control.ended++;
	guard_control.ended_asked += mark->asked;
	guard_control.how = end->how;
	guard_control.by = conf;
}

const struct mt_filter_module mt_filter_module = {
	.abi_version = VERSION,
	.size = sizeof(struct mt_filter_module),
	.name = "guard",
	.bytes = sizeof(struct mark),
	.wait_ms = WAIT_MS,
	.configure = configure,
	.release = release,
#ifdef AT_REPLY
	.on_reply = on_message,
#else
	.on_request = on_message,
#endif
	.on_end = on_end,
};
