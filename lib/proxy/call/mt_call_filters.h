/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filters.c, reply_wait.c: the filters of a call's service. Included by mt_call_priv.h.
 */
#pragma once

#include "mt_proxy_base.h"

/* ---- filters.c ---- */

/*
 * Runs the service's filters on the request that the view shows, from ex->filter_at on. The service
 * must have filters. False: the call waits, or was answered.
 */
bool mt_exchange_filters_request(struct mt_proxy *p, struct mt_exchange *ex);
/* Notifies the exchange's filters of its end. The exchange must have filters. */
void mt_exchange_filters_end(struct mt_proxy *p, struct mt_exchange *ex, enum mt_filter_ended how);
/*
 * Gives the exchange the filters of its service in another snapshot; if they differ, notifies its
 * filters of its end. `to` NULL: the service is gone.
 */
void mt_exchange_filters_snap_move(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_service *to);
/* True if both services have the same filters in the same places. `b` may be NULL. */
bool mt_exchange_filters_same(const struct mt_service *a, const struct mt_service *b);
/*
 * True if an exchange that a filter of `a` suspended may continue with the filters of `b`: both
 * are the same, and filters that keep data of an exchange, get its end, or share their
 * configuration with other threads, have the same configuration.
 */
bool mt_exchange_filters_wait_on(const struct mt_service *a, const struct mt_service *b);
/* Processes completions by other threads, and verdicts that have come. Returns how many. */
uint32_t mt_exchange_filters_turn(struct mt_proxy *p);
/* Implements mt_filter_ctx.left: ns until the exchange of the context times out. */
uint64_t mt_exchange_filters_left(struct mt_filter_ctx *ctx);
/* Implements mt_filter_ctx.caller. */
void mt_exchange_filters_caller(struct mt_filter_ctx *ctx, struct mt_filter_caller *who);

/* Makes the worker's filter context that of this exchange. */
void mt_filters_bind(struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_filters *c,
	enum mt_filter_direction direction, uint32_t at);
/* Runs filters in the bound context, from its position on, on the message that the view shows. */
static inline enum mt_filter_verdict mt_filters_run(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filter_step *steps, uint32_t n)
{
	if (mt_traced(ex->trace))
		return mt_traced_filters(p, ex, steps, n);
	return mt_filter_run(steps, n, &p->view, &p->filter_ctx);
}
/* Answers the call as a filter decided later. */
void mt_filters_answer(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what, const char *text);
/* Answers the call as the filter decided that has stopped mt_filters_run(). */
void mt_filters_stopped(struct mt_proxy *p, struct mt_exchange *ex);

/* ---- reply_headers.c ---- */

/* Keeps the headers that a rate limit service sets in the server's reply to the call. */
void mt_reply_headers_keep(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filter_resume *r);
/*
 * Adds the kept headers to the changes of the view, which shows the reply, unless its keys are
 * changed already. Call only with mt_exchange.limit_headers.
 */
void mt_reply_headers_show(struct mt_proxy *p, const struct mt_exchange *ex);

/* ---- reply_wait.c ---- */

/*
 * Runs the exchange's filters on its complete reply `msg`, which the view shows, and counts the
 * filters' steps as decoding of the server connection. The exchange must have filters. False: a
 * filter waits, or has answered the call; the bytes of `reply` are taken.
 */
bool mt_exchange_filters_reply(struct mt_proxy *p, struct mt_exchange *ex,
	struct mt_reading *reading, const struct mt_msg *msg, struct mt_chain *reply);
/* ns: the end of the time-out of a call that was sent. */
uint64_t mt_reply_wait_end(const struct mt_proxy *p, const struct mt_exchange *ex);
/* The filter at which the reply waits (FILTERING) has decided. */
void mt_reply_wait_over(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filter_resume *r);
