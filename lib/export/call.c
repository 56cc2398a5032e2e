/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of a queue and their results. grpc.c and http.c send them. */
#include "mt_export_message.h"
#include "mt_export_priv.h"

#include "mt_outcome.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 3 /* sendings of a message, at least */

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

void mt_export_lose(struct mt_export_queue *q, enum mt_export_state why, const char *words)
{
	q->sending = false;
	mt_count_n(q->lost, (uint32_t)why, q->n);
	mt_export_set_state(q, why, words);
	end_message(q);
}

void mt_export_again(struct mt_export_queue *q, enum mt_export_state state, const char *words)
{
	uint64_t now = q->x->now;

	q->sending = false;
	mt_export_set_state(q, state, words);
	mt_export_retry_again(&q->retry, now, &q->x->rng);
	if (q->tries >= TRIES && MT_MAX(now, q->retry.at) - q->first_call >= q->conf.patience)
		mt_export_lose(q, state, words);
}

void mt_export_unreached(struct mt_export_queue *q, const char *words)
{
	q->sending = false;
	q->tries--;
	mt_export_set_state(q, MT_EXPORT_unreachable, words);
	mt_export_retry_again(&q->retry, q->x->now, &q->x->rng);
}

void mt_export_taken(struct mt_export_queue *q)
{
	uint64_t rejected = MT_MIN(q->rejected, (uint64_t)q->n);

	if (q->conf.answer && !q->readable) {
		mt_export_lose(q, MT_EXPORT_bad_answer, "the answer cannot be read");
		return;
	}
	q->sending = false;
	mt_count_n(&q->sent, 0, q->n - rejected);
	mt_count_n(&q->bytes, 0, q->n_bytes);
	mt_count_n(q->lost, MT_EXPORT_rejected, rejected);
	/* The answer set the words of rejected records. */
	if (!rejected)
		mt_export_set_state(q, MT_EXPORT_ok, NULL);
	end_message(q);
}

void mt_export_answered(struct mt_export_queue *q, const uint8_t *data, size_t len)
{
	char words[200];

	if (!q->conf.answer)
		return;
	q->readable =
		!q->answered && !q->conf.answer(data, len, &q->rejected, words, sizeof(words));
	q->answered = true;
	if (q->readable && q->rejected)
		mt_export_set_state(q, MT_EXPORT_rejected, words);
}

/* The delay is cut, so that all sendings of a message start within its time. */
void mt_export_told(struct mt_export_queue *q, uint64_t delay)
{
	uint64_t most = q->conf.patience / (TRIES - 1);

	mt_export_retry_told(&q->retry, q->x->now, MT_MIN(delay, most));
}

/* ---- messages ------------------------------------------------------------------------------- */

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

static void start_sending(struct mt_export_queue *q)
{
	q->answered = q->readable = false;
	q->rejected = 0;
	mt_export_retry_call(&q->retry);
	if (!q->way->open(q))
		return;
	mt_count(&q->calls, 0);
	if (!q->tries++)
		q->first_call = q->x->now;
	q->give_up = q->x->now + q->conf.timeout;
	q->sending = true;
	q->way->send(q);
}

static void cancel(struct mt_export_queue *q)
{
	if (q->sending)
		q->way->cancel(q);
	q->sending = false;
}

/* Takes the target that the control thread has set, if there is one. */
static void move(struct mt_export_queue *q)
{
	struct mt_grpc_target *next = __atomic_exchange_n(&q->next_target, NULL, __ATOMIC_ACQUIRE);

	if (!next)
		return;
	cancel(q);
	q->way->close(q);
	mt_grpc_target_drop(q->target);
	q->target = next;
	q->tries = 0;
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

	cancel(q);
	while (mt_byte_ring_peek(&q->ring, &len)) {
		mt_byte_ring_pop(&q->ring);
		mt_count(q->lost, MT_EXPORT_stopped);
	}
	q->way->close(q);
	mt_list_del(&q->node);
	pthread_mutex_lock(&q->x->lock);
	q->ended = true;
	pthread_cond_broadcast(&q->x->end);
	pthread_mutex_unlock(&q->x->lock);
}

bool mt_export_turn(struct mt_export_queue *q)
{
	uint64_t now = q->x->now;
	bool open;

	move(q);
	if (stopping(q) && (is_done(q) || now >= q->deadline)) {
		end(q);
		return false;
	}
	open = q->way->turn(q);
	if (q->sending && now >= q->give_up)
		q->way->late(q);
	if (!open)
		return true;
	if (!q->message && is_due(q))
		make_message(q);
	if (q->message && !q->sending && now >= q->retry.at)
		start_sending(q);
	return true;
}

bool mt_export_is_busy(const struct mt_export_queue *q)
{
	bool ready = !q->message && q->way->is_open(q);

	return q->sending || stopping(q) ||
	       (ready && mt_byte_ring_used(&q->ring) >= MT_EXPORT_FULL);
}
