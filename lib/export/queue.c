/* SPDX-License-Identifier: Apache-2.0 */
/* Queues: their memory, what the producer puts, their counters and their end. */
#include "mt_export_priv.h"

#include "mt_outcome.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- start ---------------------------------------------------------------------------------- */

static bool copy_frames(struct mt_export_queue *q, const struct mt_export_conf *conf)
{
	size_t size = 0;
	uint8_t *to;

	for (uint32_t i = 0; i < conf->n_frames; i++)
		size += conf->frames[i].len;
	q->heads = to = malloc(size + 1);
	for (uint32_t i = 0; to && i < conf->n_frames; i++) {
		const struct mt_export_frame *f = &conf->frames[i];

		if (f->len)
			memcpy(to, f->before, f->len);
		q->conf.frames[i].before = to;
		to += f->len;
	}
	return q->heads != NULL;
}

static bool prepare(struct mt_export_queue *q, const struct mt_export_conf *conf)
{
	q->conf = *conf;
	q->conf.timeout = conf->timeout ? conf->timeout : 10 * MT_SEC;
	q->conf.flush = conf->flush ? conf->flush : 1 * MT_SEC;
	q->conf.patience = conf->patience ? conf->patience : 300 * MT_SEC;
	q->target = mt_grpc_target_hold(conf->target);
	q->way = conf->http ? &mt_export_by_http : &mt_export_by_grpc;
	q->post = conf->http ? mt_export_post_new(conf->path, conf->http) : NULL;
	if (!q->post != !conf->http)
		return false;
	/* The caller owns these. */
	q->conf.name = NULL;
	q->conf.target = NULL;
	if (conf->http)
		q->conf.path = NULL;
	q->conf.http = NULL;
	/* Only pages that are used become resident. */
	q->memory = calloc(1, MT_EXPORT_QUEUE);
	if (!q->memory || !copy_frames(q, conf))
		return false;
	mt_byte_ring_init(&q->ring, q->memory, MT_EXPORT_QUEUE);
	mt_export_retry_reset(&q->retry);
	return true;
}

void mt_export_destroy(struct mt_export_queue *q)
{
	mt_grpc_target_drop(q->target);
	mt_grpc_target_drop(q->next_target);
	mt_export_post_free(q->post);
	free(q->heads);
	free(q->message);
	free(q->memory);
	free(q);
}

struct mt_export_queue *mt_export_queue_new(
	struct mt_export *x, const struct mt_export_conf *conf, struct mt_err *e)
{
	struct mt_export_queue *q = aligned_alloc(MT_CACHE_LINE, sizeof(*q));
	int rc = -ENOMEM;

	MT_ASSERT(conf->n_frames <= MT_EXPORT_FRAMES);
	if (q) {
		memset(q, 0, sizeof(*q));
		q->x = x;
		mt_list_init(&q->node);
		rc = prepare(q, conf) ? mt_export_start(x) : -ENOMEM;
	}
	if (rc) {
		(void)mt_err(e, rc, "export to %s: %s", conf->name, strerror(-rc));
		if (q)
			mt_export_destroy(q);
		return NULL;
	}
	pthread_mutex_lock(&x->lock);
	mt_list_add_tail(&x->added, &q->node);
	pthread_mutex_unlock(&x->lock);
	mt_export_ring(x);
	return q;
}

void mt_export_queue_move(struct mt_export_queue *q, struct mt_grpc_target *target)
{
	struct mt_grpc_target *unused =
		__atomic_exchange_n(&q->next_target, mt_grpc_target_hold(target), __ATOMIC_ACQ_REL);

	mt_grpc_target_drop(unused);
	mt_export_ring(q->x);
}

/* ---- end ------------------------------------------------------------------------------------ */

void mt_export_queue_stop(struct mt_export_queue *q, uint64_t ns)
{
	mt_byte_ring_publish(&q->ring);
	q->deadline = mt_export_now() + ns;
	__atomic_store_n(&q->stop, true, __ATOMIC_RELEASE);
	mt_export_ring(q->x);
}

bool mt_export_queue_ended(struct mt_export_queue *q)
{
	bool ended;

	pthread_mutex_lock(&q->x->lock);
	ended = q->ended;
	pthread_mutex_unlock(&q->x->lock);
	return ended;
}

void mt_export_queue_join(struct mt_export_queue *q)
{
	pthread_mutex_lock(&q->x->lock);
	while (!q->ended)
		pthread_cond_wait(&q->x->end, &q->x->lock);
	pthread_mutex_unlock(&q->x->lock);
}

void mt_export_queue_free(struct mt_export_queue *q)
{
	if (!q)
		return;
	MT_ASSERT(q->ended);
	mt_export_destroy(q);
}

/* ---- counters ------------------------------------------------------------------------------- */

void mt_export_set_state(struct mt_export_queue *q, enum mt_export_state s, const char *why)
{
	__atomic_store_n(&q->state, s, __ATOMIC_RELAXED);
	pthread_mutex_lock(&q->x->lock);
	snprintf(q->why, sizeof(q->why), "%s", why ? why : "");
	pthread_mutex_unlock(&q->x->lock);
}

void mt_export_pop(struct mt_export_queue *q, uint32_t n)
{
	uint32_t len;

	while (n-- && mt_byte_ring_peek(&q->ring, &len))
		mt_byte_ring_pop(&q->ring);
}

void mt_export_stats(struct mt_export_queue *q, struct mt_export_stats *to)
{
	memset(to, 0, sizeof(*to));
	to->sent = mt_count_read(&q->sent);
	for (uint32_t i = 0; i < MT_EXPORT_STATES; i++)
		to->lost[i] = mt_count_read(&q->full[i]) + mt_count_read(&q->lost[i]);
	to->wanted = mt_count_read(&q->wanted);
	to->bytes = mt_count_read(&q->bytes);
	to->calls = mt_count_read(&q->calls);
	to->state = __atomic_load_n(&q->state, __ATOMIC_RELAXED);
	pthread_mutex_lock(&q->x->lock);
	memcpy(to->why, q->why, sizeof(to->why));
	pthread_mutex_unlock(&q->x->lock);
}

/* ---- the producer --------------------------------------------------------------------------- */

bool mt_export_put(struct mt_export_queue *q, const uint8_t *data, uint32_t len)
{
	void *to;

	MT_ASSERT(len <= MT_EXPORT_BATCH);
	if (!len)
		return true;
	to = mt_byte_ring_reserve(&q->ring, len);
	mt_count(&q->wanted, 0);
	if (!to) {
		mt_count(q->full, (uint32_t)__atomic_load_n(&q->state, __ATOMIC_RELAXED));
		return false;
	}
	memcpy(to, data, len);
	return true;
}

void mt_export_flush(struct mt_export_queue *q)
{
	if (mt_byte_ring_position(&q->ring) == __atomic_load_n(&q->ring.head, __ATOMIC_RELAXED))
		return;
	mt_byte_ring_publish(&q->ring);
	if (mt_byte_ring_used(&q->ring) >= MT_EXPORT_FULL)
		mt_export_ring(q->x);
}
