/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps of traced exchanges: one function for each place at which the proxy records a step.
 * mt_exchange_trace_…() tests whether the exchange is traced, the only cost if it is not;
 * mt_traced_…() in trace.c records the step.
 */
#pragma once

#include "mt_proxy_types.h"

/* A request was decoded. Starts its trace if the trace's expression may match it. */
void mt_traced_begin(struct mt_proxy *p, struct mt_down *d, struct mt_exchange *ex, bool complete);
static inline void mt_exchange_trace_begin(
	struct mt_proxy *p, struct mt_down *d, struct mt_exchange *ex, bool complete)
{
	if (mt_traced(p->trace))
		mt_traced_begin(p, d, ex, complete);
}

void mt_traced_service(struct mt_proxy *p, struct mt_exchange *ex);
static inline void mt_exchange_trace_service(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (mt_traced(ex->trace))
		mt_traced_service(p, ex);
}

void mt_traced_route(struct mt_proxy *p, struct mt_exchange *ex, uint32_t rule);
static inline void mt_exchange_trace_route(
	struct mt_proxy *p, struct mt_exchange *ex, uint32_t rule)
{
	if (mt_traced(ex->trace))
		mt_traced_route(p, ex, rule);
}

/*
 * Runs the steps of a traced call from p->filter_ctx.at on, as mt_filter_run() does, and records
 * each verdict.
 */
enum mt_filter_verdict mt_traced_filters(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filter_step *steps, uint32_t n);

/* n changes of metadata were made, or (not ok) could not be made. */
void mt_traced_mutated(struct mt_proxy *p, struct mt_exchange *ex, uint32_t n, bool ok);
static inline void mt_exchange_trace_mutated(
	struct mt_proxy *p, struct mt_exchange *ex, uint32_t n, bool ok)
{
	if (mt_traced(ex->trace))
		mt_traced_mutated(p, ex, n, ok);
}

/*
 * An endpoint is about to be picked. Copies the balancer's counters; by those that have changed,
 * mt_exchange_trace_endpoint() records why the endpoint was picked.
 */
void mt_traced_pick(struct mt_proxy *p);
static inline void mt_exchange_trace_pick(struct mt_proxy *p, const struct mt_exchange *ex)
{
	if (mt_traced(ex->trace))
		mt_traced_pick(p);
}

void mt_traced_passed_by(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep);
static inline void mt_exchange_trace_passed_by(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep)
{
	if (mt_traced(ex->trace))
		mt_traced_passed_by(p, ex, ep);
}

void mt_traced_denied(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep, const char *by);
static inline void mt_exchange_trace_denied(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep, const char *by)
{
	if (mt_traced(ex->trace))
		mt_traced_denied(p, ex, ep, by);
}

void mt_traced_endpoint(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep);
static inline void mt_exchange_trace_endpoint(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep)
{
	if (mt_traced(ex->trace))
		mt_traced_endpoint(p, ex, ep);
}

/* Traces a mirrored copy of the call. ep NULL: none is made, because of `why`. */
void mt_traced_mirror(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_cluster *c,
	const struct mt_endpoint *ep, const char *why);
static inline void mt_exchange_trace_mirror(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_cluster *c, const struct mt_endpoint *ep, const char *why)
{
	if (mt_traced(ex->trace))
		mt_traced_mirror(p, ex, c, ep, why);
}

void mt_traced_queued(struct mt_proxy *p, struct mt_exchange *ex, const char *why);
static inline void mt_exchange_trace_queued(
	struct mt_proxy *p, struct mt_exchange *ex, const char *why)
{
	if (mt_traced(ex->trace))
		mt_traced_queued(p, ex, why);
}

/* The call waits for a connection that is being opened. */
void mt_traced_waits(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_up *u);
static inline void mt_exchange_trace_waits(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_up *u)
{
	if (mt_traced(ex->trace))
		mt_traced_waits(p, ex, u);
}

void mt_traced_send(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_attempt *a,
	const struct mt_up *u);
static inline void mt_exchange_trace_send(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_attempt *a, const struct mt_up *u)
{
	if (mt_traced(ex->trace))
		mt_traced_send(p, ex, a, u);
}

void mt_traced_retry(struct mt_proxy *p, struct mt_exchange *ex);
static inline void mt_exchange_trace_retry(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (mt_traced(ex->trace))
		mt_traced_retry(p, ex);
}

void mt_traced_retry_unread(struct mt_proxy *p, struct mt_exchange *ex);
static inline void mt_exchange_trace_retry_unread(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (mt_traced(ex->trace))
		mt_traced_retry_unread(p, ex);
}

/* The connection has decoded the reply, `u->msg`. */
void mt_traced_reply(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_up *u);
static inline void mt_exchange_trace_reply(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_up *u)
{
	if (mt_traced(ex->trace))
		mt_traced_reply(p, ex, u);
}

void mt_traced_local(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what, const char *text);
static inline void mt_exchange_trace_local(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what, const char *text)
{
	if (mt_traced(ex->trace))
		mt_traced_local(p, ex, what, text);
}

/* The reply is sent to the client. */
void mt_traced_client(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_down *d,
	const struct mt_chain *reply);
static inline void mt_exchange_trace_client(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_down *d, const struct mt_chain *reply)
{
	if (mt_traced(ex->trace))
		mt_traced_client(p, ex, d, reply);
}

/* The reply waits for replies to earlier calls. */
void mt_traced_held(struct mt_proxy *p, struct mt_exchange *ex);
static inline void mt_exchange_trace_held(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (mt_traced(ex->trace))
		mt_traced_held(p, ex);
}

/* A part of a long reply is sent to the client; `left` bytes are still to come. */
void mt_traced_part(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_down *d,
	const struct mt_chain *part, uint32_t left);
static inline void mt_exchange_trace_part(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_down *d, const struct mt_chain *part, uint32_t left)
{
	if (mt_traced(ex->trace))
		mt_traced_part(p, ex, d, part, left);
}

/* The exchange ended. The caller has tested whether it is traced. */
void mt_traced_end(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_record *r);
