/* SPDX-License-Identifier: Apache-2.0 */
/* Messages by gRPC: the connection of a queue, and a call for each message. */
#include "mt_export_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX (1u << 20) /* bytes of an answer, and of a message */
#define CONNECT_NS  (5 * MT_SEC)
#define SHORT	    (1 * MT_SEC) /* a connection that closes earlier has failed */

/* ---- calls ---------------------------------------------------------------------------------- */

static void on_answer(void *arg, const uint8_t *data, size_t len)
{
	mt_export_answered(arg, data, len);
}

static void on_retry(void *arg, uint64_t delay)
{
	mt_export_told(arg, delay);
}

static void on_end(void *arg, int status, const char *words)
{
	struct mt_export_queue *q = arg;
	char why[240];

	q->call = NULL;
	if (status == MT_GRPC_OK ||
		(status == MT_GRPC_UNKNOWN && !q->conf.answer && strcmp(words, "EOF") == 0)) {
		mt_grpc_useful(q->grpc);
		mt_export_taken(q);
		return;
	}
	snprintf(why, sizeof(why), "gRPC status %d%s%s", status, *words ? ", " : "", words);
	if (mt_export_retry_is_temporary(&q->retry, status))
		mt_export_again(q, MT_EXPORT_unavailable, why);
	else
		mt_export_lose(q, MT_EXPORT_refused, why);
}

static bool open_call(struct mt_export_queue *q)
{
	static const struct mt_grpc_stream_events events = {on_answer, on_end, on_retry};

	q->call = mt_grpc_open(q->grpc, q->conf.path, &events, q);
	return q->call != NULL;
}

static void cancel(struct mt_export_queue *q)
{
	if (q->call)
		mt_grpc_cancel(q->call);
	q->call = NULL;
}

static void on_late(struct mt_export_queue *q)
{
	cancel(q);
	mt_export_again(q, MT_EXPORT_late, "no answer in time");
}

static void send_message(struct mt_export_queue *q)
{
	if (mt_grpc_send(q->call, q->message, q->message_len)) {
		cancel(q);
		mt_export_again(q, MT_EXPORT_unavailable, "no memory");
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

static void close_connection(struct mt_export_queue *q)
{
	mt_grpc_free(q->grpc);
	q->grpc = NULL;
	q->up_at = 0;
}

static bool is_open(const struct mt_export_queue *q)
{
	return q->grpc && mt_grpc_state(q->grpc) == MT_GRPC_UP;
}

static bool turn(struct mt_export_queue *q)
{
	if (!q->grpc && connect_to(q))
		return false;
	mt_grpc_turn(q->grpc, q->x->now, &q->x->rng);
	if (!is_open(q))
		return false;
	if (q->state == MT_EXPORT_unreachable && mt_grpc_has_spoken(q->grpc))
		mt_export_set_state(q, MT_EXPORT_ok, NULL);
	return true;
}

const struct mt_export_way mt_export_by_grpc = {
	turn, is_open, open_call, send_message, cancel, on_late, close_connection};
