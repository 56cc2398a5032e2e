/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread mt-export. It sleeps in epoll_wait() until a descriptor is ready, the bell rings, or
 * 50 ms have passed, which is as often as its connections need time.
 */
#include "mt_export_priv.h"

#include "mt_rights.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define READY	64 /* descriptors of one iteration */
#define BUSY_MS 5
#define IDLE_MS 50

uint64_t mt_export_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * MT_SEC + (uint64_t)t.tv_nsec;
}

/* ---- bell ----------------------------------------------------------------------------------- */

void mt_export_ring(struct mt_export *x)
{
	const uint64_t one = 1;

	if (!__atomic_exchange_n(&x->rung, 1, __ATOMIC_SEQ_CST))
		(void)!write(x->bell.fd, &one, sizeof(one));
}

static void on_bell(struct mt_fd_watch *w, uint32_t events)
{
	struct mt_export *x = mt_container_of(w, struct mt_export, bell);
	uint64_t n;

	(void)!read(w->fd, &n, sizeof(n));
	__atomic_store_n(&x->rung, 0, __ATOMIC_SEQ_CST);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void adopt(struct mt_export *x)
{
	pthread_mutex_lock(&x->lock);
	while (!mt_list_empty(&x->added)) {
		struct mt_list *n = x->added.next;

		mt_list_del(n);
		mt_list_add_tail(&x->queues, n);
	}
	pthread_mutex_unlock(&x->lock);
}

/* How many ms the thread may sleep; -1: until the bell rings. */
static int turn(struct mt_export *x)
{
	struct mt_list *n = x->queues.next;
	bool busy = false;

	while (n != &x->queues) {
		struct mt_export_queue *q = mt_list_entry(n, struct mt_export_queue, node);

		n = n->next;
		if (mt_export_turn(q))
			busy |= mt_export_is_busy(q);
	}
	return busy ? BUSY_MS : mt_list_empty(&x->queues) ? -1 : IDLE_MS;
}

static void *loop(void *arg)
{
	struct mt_export *x = arg;

	while (!__atomic_load_n(&x->stop, __ATOMIC_ACQUIRE)) {
		int wait;

		x->now = mt_export_now();
		adopt(x);
		wait = turn(x);
		mt_resolver_turn(x->names);
		mt_fds_dispatch(&x->fds, READY, wait);
	}
	return NULL;
}

/* ---- start and end -------------------------------------------------------------------------- */

static int prepare(struct mt_export *x, struct mt_err *e)
{
	uint64_t seed;
	int rc = mt_fds_init(&x->fds);

	if (rc)
		return rc;
	mt_rand_secret(&seed, sizeof(seed));
	mt_rand_seed(&x->rng, seed);
	x->names = mt_resolver_new(&x->fds, e);
	if (!x->names)
		return -EIO;
	x->bell = (struct mt_fd_watch){
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .events = EPOLLIN, .ready = on_bell};
	return x->bell.fd < 0 ? -errno : mt_fds_add(&x->fds, &x->bell);
}

struct mt_export *mt_export_new(struct mt_err *e)
{
	struct mt_export *x = calloc(1, sizeof(*x));
	int rc = -ENOMEM;

	if (x) {
		x->bell.fd = x->fds.epoll = -1;
		mt_list_init(&x->added);
		mt_list_init(&x->queues);
		pthread_mutex_init(&x->lock, NULL);
		pthread_cond_init(&x->end, NULL);
		rc = prepare(x, e);
	}
	if (rc == 0)
		return x;
	(void)mt_err(e, rc, "the export thread: %s", strerror(-rc));
	mt_export_free(x);
	return NULL;
}

int mt_export_start(struct mt_export *x)
{
	int rc = x->started ? 0 : mt_rights_thread(&x->id, "mt-export", loop, x);

	x->started |= rc == 0;
	return rc;
}

void mt_export_free(struct mt_export *x)
{
	if (!x)
		return;
	if (x->started) {
		__atomic_store_n(&x->stop, true, __ATOMIC_RELEASE);
		mt_export_ring(x);
		pthread_join(x->id, NULL);
	}
	MT_ASSERT(mt_list_empty(&x->queues) && mt_list_empty(&x->added));
	if (x->bell.fd >= 0) {
		int fd = x->bell.fd;

		mt_fds_remove(&x->fds, &x->bell);
		close(fd);
	}
	if (x->names)
		mt_resolver_free(x->names);
	mt_fds_fini(&x->fds);
	pthread_mutex_destroy(&x->lock);
	pthread_cond_destroy(&x->end);
	free(x);
}
