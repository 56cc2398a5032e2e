/* SPDX-License-Identifier: Apache-2.0 */
/* The connection of a queue, and the calls that send its messages. */
#include "mt_export_message.h"
#include "mt_export_priv.h"

#include "mt_outcome.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_MAX (1u << 20) /* bytes of an answer, and of a message */
#define CONNECT_NS  (5 * MT_SEC)
#define TRIES	    3		 /* calls for a message, at least */
#define SHORT	    (1 * MT_SEC) /* a connection that closes earlier has failed */

static bool stopping(const struct mt_export_queue *q)
{
	return __atomic_load_n(&q->stop, __ATOMIC_ACQUIRE);
}

/* ---- results -------------------------------------------------------------------------------- */

/* The records of the message leave the queue. */
static void end_message(struct mt_export_queue *q)
{
	mt_export_pop(q, q->n);
	free(q->message);
	q->message = NULL;
	q->n = 0;
	q->since = 0;
	mt_export_retry_reset(&q->retry);
}

static void lose(struct mt_export_queue *q, enum mt_export_state why, const char *words)
{
	mt_count_n(q->lost, (uint32_t)why, q->n);
	mt_export_set_state(q, why, words);
	end_message(q);
}

/* A call failed, perhaps only now. */
static void again(struct mt_export_queue *q, enum mt_export_state state, const char *words)
{
	uint64_t now = q->x->now;

	mt_export_set_state(q, state, words);
	mt_export_retry_again(&q->retry, now, &q->x->rng);
	if (q->tries >= TRIES && MT_MAX(now, q->retry.at) - q->first_call >= q->conf.patience)
		lose(q, state, words);
}

static void taken(struct mt_export_queue *q)
{
	uint64_t rejected = MT_MIN(q->rejected, (uint64_t)q->n);

	mt_grpc_useful(q->grpc);
	if (q->conf.answer && !q->readable) {
		lose(q, MT_EXPORT_bad_answer, "the answer cannot be read");
		return;
	}
	mt_count_n(&q->sent, 0, q->n - rejected);
	mt_count_n(&q->bytes, 0, q->n_bytes);
	mt_count_n(q->lost, MT_EXPORT_rejected, rejected);
	/* The answer set the words of rejected records. */
	if (!rejected)
		mt_export_set_state(q, MT_EXPORT_ok, NULL);
	end_message(q);
}

static void on_answer(void *arg, const uint8_t *data, size_t len)
{
	struct mt_export_queue *q = arg;
	char words[200];

	if (!q->conf.answer)
		return;
	q->readable =
		!q->answered && !q->conf.answer(data, len, &q->rejected, words, sizeof(words));
	q->answered = true;
	if (q->readable && q->rejected)
		mt_export_set_state(q, MT_EXPORT_rejected, words);
}

/* The delay is cut, so that all calls of a message start within its time. */
static void on_retry(void *arg, uint64_t delay)
{
	struct mt_export_queue *q = arg;
	uint64_t most = q->conf.patience / (TRIES - 1);

	mt_export_retry_told(&q->retry, q->x->now, MT_MIN(delay, most));
}

static void on_end(void *arg, int status, const char *words)
{
	struct mt_export_queue *q = arg;
	char why[240];

	q->call = NULL;
	if (status == MT_GRPC_OK ||
		(status == MT_GRPC_UNKNOWN && !q->conf.answer && strcmp(words, "EOF") == 0)) {
		taken(q);
		return;
	}
	snprintf(why, sizeof(why), "gRPC status %d%s%s", status, *words ? ", " : "", words);
	if (mt_export_retry_is_temporary(&q->retry, status))
		again(q, MT_EXPORT_unavailable, why);
	else
		lose(q, MT_EXPORT_refused, why);
}

/* ---- calls ---------------------------------------------------------------------------------- */

static bool is_due(struct mt_export_queue *q)
{
	uint64_t used = mt_byte_ring_used(&q->ring), now = q->x->now;

	if (!used)
		return false;
	if (!q->since)
		q->since = now;
	return used >= MT_EXPORT_FULL || stopping(q) || now - q->since >= q->conf.flush;
}

static void make_message(struct mt_export_queue *q)
{
	size_t bytes;
	uint32_t n = mt_export_count(&q->ring, &bytes);

	if (!n)
		return;
	/* Without memory it is tried again at the next turn, and records wait. */
	q->message = mt_export_make(&q->conf, &q->ring, n, bytes, &q->message_len);
	if (!q->message)
		return;
	q->n = n;
	q->n_bytes = bytes;
	q->tries = 0;
}

static void call(struct mt_export_queue *q)
{
	static const struct mt_grpc_stream_events events = {on_answer, on_end, on_retry};

	q->answered = q->readable = false;
	q->rejected = 0;
	mt_export_retry_call(&q->retry);
	q->call = mt_grpc_open(q->grpc, q->conf.path, &events, q);
	if (!q->call)
		return;
	mt_count(&q->calls, 0);
	if (!q->tries++)
		q->first_call = q->x->now;
	q->give_up = q->x->now + q->conf.timeout;
	if (mt_grpc_send(q->call, q->message, q->message_len)) {
		mt_grpc_cancel(q->call);
		q->call = NULL;
		again(q, MT_EXPORT_unavailable, "no memory");
		return;
	}
	mt_grpc_finish(q->call);
}

/* ---- the connection ------------------------------------------------------------------------- */

static void on_up(void *arg)
{
	struct mt_export_queue *q = arg;

	q->up_at = q->x->now;
	mt_export_retry_connected(&q->retry, q->x->now, &q->x->rng);
}

/* Calls have ended before. */
static void on_down(void *arg, const char *why)
{
	struct mt_export_queue *q = arg;
	char words[256];

	if (q->up_at && mt_grpc_has_spoken(q->grpc) && q->x->now - q->up_at >= SHORT) {
		mt_grpc_hurry(q->grpc);
	} else {
		snprintf(words, sizeof(words), "%s: %s", mt_grpc_server(q->grpc), why);
		mt_export_set_state(q, MT_EXPORT_unreachable, words);
	}
	q->up_at = 0;
}

/* 0 or -ENOMEM. */
static int connect_to(struct mt_export_queue *q)
{
	static const struct mt_grpc_events events = {on_up, on_down};
	struct mt_grpc_conf conf = {.max_message = MESSAGE_MAX, .connect_ns = CONNECT_NS};

	mt_grpc_target_fill(q->target, &conf);
	q->grpc = mt_grpc_new(&q->x->fds, q->x->names, &conf, &events, q);
	return q->grpc ? 0 : -ENOMEM;
}

/* Takes the target that the control thread has set, if there is one. */
static void move(struct mt_export_queue *q)
{
	struct mt_grpc_target *next = __atomic_exchange_n(&q->next_target, NULL, __ATOMIC_ACQUIRE);

	if (!next)
		return;
	if (q->call)
		mt_grpc_cancel(q->call);
	q->call = NULL;
	mt_grpc_free(q->grpc);
	q->grpc = NULL;
	mt_grpc_target_drop(q->target);
	q->target = next;
	q->tries = 0;
	q->up_at = 0;
	mt_export_retry_reset(&q->retry);
}

/* ---- iterations ----------------------------------------------------------------------------- */

static bool is_done(const struct mt_export_queue *q)
{
	return !q->message && !mt_byte_ring_used(&q->ring);
}

static void end(struct mt_export_queue *q)
{
	uint32_t len;

	if (q->call)
		mt_grpc_cancel(q->call);
	q->call = NULL;
	while (mt_byte_ring_peek(&q->ring, &len)) {
		mt_byte_ring_pop(&q->ring);
		mt_count(q->lost, MT_EXPORT_stopped);
	}
	mt_grpc_free(q->grpc);
	q->grpc = NULL;
	mt_list_del(&q->node);
	pthread_mutex_lock(&q->x->lock);
	q->ended = true;
	pthread_cond_broadcast(&q->x->end);
	pthread_mutex_unlock(&q->x->lock);
}

bool mt_export_turn(struct mt_export_queue *q)
{
	uint64_t now = q->x->now;

	move(q);
	if (!q->grpc && connect_to(q) && !stopping(q))
		return true;
	if (stopping(q) && (!q->grpc || is_done(q) || now >= q->deadline)) {
		end(q);
		return false;
	}
	mt_grpc_turn(q->grpc, now, &q->x->rng);
	if (q->call && now >= q->give_up) {
		mt_grpc_cancel(q->call);
		q->call = NULL;
		again(q, MT_EXPORT_late, "no answer in time");
	}
	if (mt_grpc_state(q->grpc) != MT_GRPC_UP)
		return true;
	if (q->state == MT_EXPORT_unreachable && mt_grpc_has_spoken(q->grpc))
		mt_export_set_state(q, MT_EXPORT_ok, NULL);
	if (!q->message && is_due(q))
		make_message(q);
	if (q->message && !q->call && now >= q->retry.at)
		call(q);
	return true;
}

bool mt_export_is_busy(const struct mt_export_queue *q)
{
	bool ready = q->grpc && mt_grpc_state(q->grpc) == MT_GRPC_UP && !q->message;

	return q->call || stopping(q) || (ready && mt_byte_ring_used(&q->ring) >= MT_EXPORT_FULL);
}
