/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_service.h"

#include "mt_rights.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct queue {
	struct mt_task *first, **end;
};

struct mt_service {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	struct queue todo, done; /* under the lock */
	uint32_t n;		 /* submitted, done() not yet called; control thread */
	bool busy, stop;	 /* under the lock */
	bool left;		 /* the thread frees the service; under the lock */
	bool stuck;		 /* given up; control thread */
	int failed;		 /* mt_service_failed(); control thread */
	size_t failed_bytes;
	uint64_t patience;
	int fd;
};

static void push(struct queue *q, struct mt_task *t)
{
	t->next = NULL;
	*q->end = t;
	q->end = &t->next;
}

static struct mt_task *take_all(struct queue *q)
{
	struct mt_task *t = q->first;

	*q = (struct queue){NULL, &q->first};
	return t;
}

static struct mt_task *next_task(struct mt_service *s)
{
	struct mt_task *t;

	while (!s->todo.first && !s->stop) {
		s->busy = false;
		pthread_cond_broadcast(&s->idle);
		pthread_cond_wait(&s->work, &s->lock);
	}
	t = s->todo.first;
	if (!t)
		return NULL;
	s->todo.first = t->next;
	if (!s->todo.first)
		s->todo.end = &s->todo.first;
	s->busy = true;
	return t;
}

static void destroy(struct mt_service *s)
{
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->idle);
	pthread_mutex_destroy(&s->lock);
	close(s->fd);
	free(s);
}

static void *loop(void *arg)
{
	struct mt_service *s = arg;
	const uint64_t one = 1;
	struct mt_task *t;
	bool left;

	pthread_mutex_lock(&s->lock);
	while ((t = next_task(s)) != NULL) {
		pthread_mutex_unlock(&s->lock);
		t->rc = t->run(t);
		pthread_mutex_lock(&s->lock);
		push(&s->done, t);
		(void)!write(s->fd, &one, sizeof(one));
	}
	s->busy = false;
	pthread_cond_broadcast(&s->idle);
	left = s->left;
	pthread_mutex_unlock(&s->lock);
	if (left)
		destroy(s);
	return NULL;
}

/* Uses the monotonic clock, which is never set. */
static void init_lock(struct mt_service *s)
{
	pthread_condattr_t clock;

	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&s->idle, &clock);
	pthread_condattr_destroy(&clock);
}

struct mt_service *mt_service_new(const char *name, struct mt_err *e)
{
	struct mt_service *s = calloc(1, sizeof(*s));
	int rc;

	if (!s) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	s->todo.end = &s->todo.first;
	s->done.end = &s->done.first;
	s->patience = MT_SERVICE_PATIENCE;
	init_lock(s);
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = s->fd < 0 ? -errno : mt_rights_thread(&s->thread, name, loop, s);
	if (rc == 0)
		return s;
	mt_err(e, rc, "%s: %s", name, strerror(-rc));
	if (s->fd >= 0)
		close(s->fd);
	free(s);
	return NULL;
}

void mt_service_free(struct mt_service *s)
{
	pthread_t thread;
	bool left;

	if (!s)
		return;
	mt_service_drain(s);
	thread = s->thread;
	left = s->stuck;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	s->left = left;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	/* The thread may hang until the process ends; it uses `s` until it returns. */
	if (left) {
		pthread_detach(thread);
		return;
	}
	pthread_join(thread, NULL);
	destroy(s);
}

int mt_service_submit(struct mt_service *s, struct mt_task *t)
{
	if (!s) {
		t->rc = t->run(t);
		t->done(t, t->rc);
		return 0;
	}
	if (s->n == MT_SERVICE_TASKS || s->stuck)
		return -EAGAIN;
	s->n++;
	pthread_mutex_lock(&s->lock);
	push(&s->todo, t);
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	return 0;
}

int mt_service_failed(struct mt_service *s, size_t *bytes)
{
	int rc = s ? s->failed : 0;

	if (!rc)
		return 0;
	*bytes = s->failed_bytes;
	s->failed = 0;
	return rc;
}

int mt_service_fd(const struct mt_service *s)
{
	return s->fd;
}

void mt_service_turn(struct mt_service *s)
{
	struct mt_task *t, *next;
	uint64_t n;

	(void)!read(s->fd, &n, sizeof(n));
	pthread_mutex_lock(&s->lock);
	t = take_all(&s->done);
	pthread_mutex_unlock(&s->lock);
	for (; t; t = next) {
		next = t->next;
		s->n--;
		if (t->state_bytes && t->rc < 0) {
			s->failed = t->rc;
			s->failed_bytes = t->state_bytes;
		}
		t->done(t, t->rc);
	}
}

/* Waits until no task is left; false on timeout. Call under the lock. */
static bool wait_idle(struct mt_service *s)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (time_t)(s->patience / MT_SEC);
	until.tv_nsec += (long)(s->patience % MT_SEC);
	until.tv_sec += until.tv_nsec / (long)MT_SEC;
	until.tv_nsec %= (long)MT_SEC;
	while ((s->todo.first || s->busy) && rc == 0)
		rc = pthread_cond_timedwait(&s->idle, &s->lock, &until);
	return rc == 0;
}

/* Gives up the thread and its queue. Call under the lock. */
static void give_up(struct mt_service *s)
{
	s->stuck = true;
	(void)take_all(&s->todo);
	mt_log(MT_LOG_ERROR, "state",
		"the disk has not answered for %llu ms: %u files that wait for it are not written",
		(unsigned long long)(s->patience / MT_MSEC), s->n);
}

void mt_service_drain(struct mt_service *s)
{
	/* done() may submit more. */
	while (s && s->n && !s->stuck) {
		pthread_mutex_lock(&s->lock);
		if (!wait_idle(s))
			give_up(s);
		pthread_mutex_unlock(&s->lock);
		if (!s->stuck)
			mt_service_turn(s);
	}
}

void mt_service_patience(struct mt_service *s, uint64_t ns)
{
	s->patience = ns;
}
