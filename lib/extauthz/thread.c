/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_extauthz_priv.h"

#include "mt_rights.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Descriptors handled in one loop iteration. */
#define READY 64

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "extauthz_outcomes.def"
#undef MT_OUTCOME
};
const struct mt_outcome_set mt_extauthz_outcomes = {"extauthz", rows, MT_ARRAY_LEN(rows)};

uint64_t mt_extauthz_counter(const struct mt_extauthz *x, enum mt_extauthz_outcome o)
{
	return __atomic_load_n(&x->counters[o], __ATOMIC_RELAXED);
}

const uint64_t *mt_extauthz_counters(const struct mt_extauthz *x)
{
	return x->counters;
}

struct mt_extauthz_lane *mt_extauthz_lane(struct mt_extauthz *x, uint32_t worker)
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

static void take_questions(struct mt_extauthz *x)
{
	struct mt_extauthz_call *c;

	for (uint32_t i = 0; i < x->n_lanes; i++)
		while ((c = mt_extauthz_lane_asked(&x->lanes[i])))
			mt_extauthz_begin(x, c);
}

static void *loop(void *arg)
{
	struct mt_extauthz *x = arg;

	while (!__atomic_load_n(&x->stop, __ATOMIC_ACQUIRE)) {
		bool busy = __atomic_exchange_n(&x->rung, 0, __ATOMIC_SEQ_CST);
		int wait;

		x->now = clock_now();
		if (busy)
			take_questions(x);
		wait = mt_extauthz_channels_turn(x);
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

static int start(struct mt_extauthz *x)
{
	int rc = mt_rights_thread(&x->id, "mt-extauthz", loop, x);

	x->started = rc == 0;
	return rc;
}

static int prepare(struct mt_extauthz *x, struct mt_err *e)
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

struct mt_extauthz *mt_extauthz_new(uint32_t n_workers, struct mt_err *e)
{
	struct mt_extauthz *x = aligned_alloc(MT_CACHE_LINE, sizeof(*x));
	int rc = -ENOMEM;

	if (x) {
		memset(x, 0, sizeof(*x));
		x->bell.fd = x->fds.epoll = -1;
		mt_list_init(&x->channels);
		pthread_mutex_init(&x->lock, NULL);
		x->lanes = aligned_alloc(MT_CACHE_LINE, n_workers * sizeof(*x->lanes));
	}
	for (; x && x->lanes && x->n_lanes < n_workers; x->n_lanes++)
		if (!mt_extauthz_lane_init(x, &x->lanes[x->n_lanes]))
			break;
	if (x && x->n_lanes == n_workers)
		rc = prepare(x, e);
	if (rc == 0)
		rc = start(x);
	if (rc == 0)
		return x;
	mt_err(e, rc, "the external authorization thread: %s", strerror(-rc));
	mt_extauthz_free(x);
	return NULL;
}

void mt_extauthz_free(struct mt_extauthz *x)
{
	if (!x)
		return;
	if (x->started) {
		__atomic_store_n(&x->stop, 1, __ATOMIC_SEQ_CST);
		mt_extauthz_ring_bell(x);
		pthread_join(x->id, NULL);
	}
	mt_extauthz_channels_fini(x);
	for (uint32_t i = 0; i < x->n_lanes; i++)
		mt_extauthz_lane_fini(&x->lanes[i]);
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
	free(x);
}
