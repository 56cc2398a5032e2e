/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_callout_priv.h"

#include "mt_rights.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Descriptors handled in one loop iteration. */
#define READY 64

struct mt_callout_lane *mt_callout_lane(struct mt_callout *x, uint32_t worker)
{
	MT_ASSERT(worker < x->n_lanes);
	return &x->lanes[worker];
}

/* ---- loop ------------------------------------------------------------------------------------ */

static uint64_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * MT_SEC + (uint64_t)t.tv_nsec;
}

static void on_bell(struct mt_fd_watch *w, uint32_t events)
{
	uint64_t n;

	(void)!read(w->fd, &n, sizeof(n));
}

static void take_queries(struct mt_callout *x)
{
	struct mt_callout_slot *s;

	for (uint32_t i = 0; i < x->n_lanes; i++)
		while ((s = mt_callout_lane_asked(&x->lanes[i])))
			mt_callout_begin(x, s);
}

static void *loop(void *arg)
{
	struct mt_callout *x = arg;

	while (!__atomic_load_n(&x->stop, __ATOMIC_ACQUIRE)) {
		bool busy = __atomic_exchange_n(&x->rung, 0, __ATOMIC_SEQ_CST);
		int wait;

		x->now = clock_now();
		if (busy)
			take_queries(x);
		wait = mt_callout_channels_turn(x);
		mt_resolver_turn(x->names);
		__atomic_store_n(&x->asleep, 1, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&x->rung, __ATOMIC_SEQ_CST))
			wait = 0;
		mt_fds_dispatch(&x->fds, READY, wait);
		__atomic_store_n(&x->asleep, 0, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

/* ---- boot ------------------------------------------------------------------------------------ */

static int start(struct mt_callout *x)
{
	int rc = mt_rights_thread(&x->id, x->kind->thread, loop, x);

	x->started = rc == 0;
	return rc;
}

static int prepare(struct mt_callout *x, struct mt_err *e)
{
	uint64_t seed;
	int rc = mt_fds_init(&x->fds);

	if (rc)
		return rc;
	mt_rand_secret(&seed, sizeof(seed));
	mt_rand_seed(&x->rng, seed);
	x->names = mt_resolver_new(&x->fds, e);
	x->bell = (struct mt_fd_watch){
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .events = EPOLLIN, .ready = on_bell};
	if (!x->names)
		return -EIO;
	return x->bell.fd < 0 ? -errno : mt_fds_add(&x->fds, &x->bell);
}

static int make(struct mt_callout *x, uint32_t n_workers, struct mt_err *e)
{
	int rc;

	x->lanes = aligned_alloc(MT_CACHE_LINE, n_workers * sizeof(*x->lanes));
	for (; x->lanes && x->n_lanes < n_workers; x->n_lanes++)
		if (!mt_callout_lane_init(x, &x->lanes[x->n_lanes]))
			break;
	if (!x->lanes || x->n_lanes < n_workers)
		return -ENOMEM;
	rc = prepare(x, e);
	return rc ? rc : start(x);
}

int mt_callout_init(struct mt_callout *x, const struct mt_callout_kind *kind, uint32_t n_workers,
	struct mt_err *e)
{
	int rc;

	x->kind = kind;
	x->bell.fd = x->fds.epoll = -1;
	mt_list_init(&x->channels);
	pthread_mutex_init(&x->lock, NULL);
	rc = make(x, n_workers, e);
	if (rc == 0)
		return 0;
	mt_err(e, rc, "the %s thread: %s", kind->what, strerror(-rc));
	mt_callout_fini(x);
	return rc;
}

void mt_callout_fini(struct mt_callout *x)
{
	if (x->started) {
		__atomic_store_n(&x->stop, 1, __ATOMIC_SEQ_CST);
		mt_callout_ring_bell(x);
		pthread_join(x->id, NULL);
	}
	mt_callout_channels_fini(x);
	for (uint32_t i = 0; i < x->n_lanes; i++)
		mt_callout_lane_fini(&x->lanes[i]);
	if (x->bell.fd >= 0) {
		int fd = x->bell.fd;

		mt_fds_remove(&x->fds, &x->bell);
		close(fd);
	}
	if (x->names)
		mt_resolver_free(x->names);
	mt_fds_fini(&x->fds);
	pthread_mutex_destroy(&x->lock);
	free(x->lanes);
}
