/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of endpoint/: ejection, admission, waiting calls, counters, learned methods. */
#pragma once

#include "mt_proxy_base.h"

/* account.c: what an exchange adds to the numbers of its service, route and endpoint */
struct mt_service_stats *mt_stats_service(struct mt_proxy *p, const struct mt_service *s);
/*
 * Returns the endpoint's counters. Clears the totals first if another endpoint had the index
 * before.
 */
static inline struct mt_ep_stats *mt_stats_endpoint(struct mt_proxy *p, const struct mt_ep_state *e)
{
	struct mt_ep_stats *st = &p->ep_stats[e->index];

	if (mt_unlikely(st->id != e->id)) {
		st->requests = st->failures = st->connect_failed = st->conns_opened = 0;
		st->heard = 0;
		__atomic_store_n(&st->id, e->id, __ATOMIC_RELEASE);
	}
	return st;
}
/*
 * Returns the state of the attempt's endpoint; NULL: the attempt has none, or another endpoint uses
 * the state by now.
 */
static inline struct mt_ep_state *mt_attempt_ep(const struct mt_attempt *a)
{
	if (!a->ep || __atomic_load_n(&a->ep->id, __ATOMIC_RELAXED) != a->ep_id)
		return NULL;
	return a->ep;
}
/*
 * Counts a connection to the endpoint that failed to open, or was reset without a call that counts
 * as failed. This function and the next two do nothing if another endpoint has the place by now.
 */
void mt_account_connection(struct mt_proxy *p, const struct mt_lanes *ln, bool connecting,
	enum mt_close_reason reason);
/*
 * Counts calls whose connection to the endpoint did not open; another endpoint may get the calls.
 */
void mt_account_unsent(struct mt_proxy *p, const struct mt_lanes *ln, uint32_t calls);
/* Counts a call that was lost with its connection, or not answered in time. */
void mt_account_failed(struct mt_proxy *p, const struct mt_attempt *a);
void mt_account_request(struct mt_proxy *p, const struct mt_exchange *ex);
/*
 * Counts for the service a call that a filter answers by MT_REPLY_OVER_LIMIT. Other values of
 * `what` are not counted.
 */
void mt_account_limited(struct mt_proxy *p, const struct mt_exchange *ex, enum mt_local_reply what);
void mt_account_route(struct mt_proxy *p, const struct mt_exchange *ex);
/*
 * Counts a refusal by an object that fails closed. NULL: an object without a counter of its own;
 * all such objects share one.
 */
void mt_account_closed(struct mt_proxy *p, const struct mt_closer *by);
/* Counts a reply for the attempt's endpoint. */
void mt_account_attempt(struct mt_proxy *p, const struct mt_attempt *a, const struct mt_msg *reply);
/*
 * Counts a reply for the attempt's endpoint and for the call's service. No service is counted if it
 * is gone or the call is a mirrored copy.
 */
void mt_account_reply(struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_attempt *a,
	const struct mt_msg *reply);
/* Counts a reply for the service only; the reply was counted for the endpoint when it came. */
void mt_account_answer(
	struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_msg *reply);
/*
 * Counts a call without a reply: one-way by its message, or (`learnt`) by the evidence of methods.c
 * and oneway.c.
 */
void mt_account_oneway(struct mt_proxy *p, const struct mt_exchange *ex, bool learnt);
void mt_account_left(struct mt_proxy *p, const struct mt_exchange *ex, bool cut_off);
/* Counts a call that ends with a local reply, or is dropped because it is one-way. */
void mt_account_local(struct mt_proxy *p, const struct mt_exchange *ex, enum mt_ending ending);

/* admit.c */
#define MT_ADMIT_FEW 64
bool mt_admit_looks(
	struct mt_proxy *p, const struct mt_exchange *ex, uint32_t ep_index, uint64_t ep_id);
/*
 * True if the endpoint cannot be expected to answer the call in time. The call's deadline must be
 * armed.
 */
static inline bool mt_admit_refuses(
	struct mt_proxy *p, const struct mt_exchange *ex, uint32_t ep_index, uint64_t ep_id)
{
	return mt_unlikely(p->ep_stats[ep_index].outstanding >= MT_ADMIT_FEW) &&
	       mt_admit_looks(p, ex, ep_index, ep_id);
}
/* Adds the duration of an attempt that was answered, or has timed out, to the endpoint's window. */
void mt_admit_answered(struct mt_proxy *p, const struct mt_attempt *a);

/* ejection.c */
static inline struct mt_ep_where mt_lanes_where(const struct mt_lanes *ln)
{
	return (struct mt_ep_where){ln->tls, ln->addr, ln->port, ln->cluster_index, ln->codec,
		ln->codec_opts, ln->of_caller, ln->way, ln->connect_ms};
}
/*
 * Counts a failed connect or a reset against the endpoint, and ejects it if `rule` (NULL: the
 * default) requires that. Does nothing if the failure is this node's own, if the handshake with a
 * caller's identity failed, or if the endpoint's connection settings have changed since.
 * `handshake` is from mt_secure_failure().
 */
void mt_ep_blame(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_outlier_rule *rule,
	const struct mt_ep_where *at, enum mt_close_reason reason, const char *handshake);
/*
 * Call after a function of lib/upstream has ejected the endpoint. Reports the ejection to the
 * control thread. Starts health checks, which end the ejection, if the codec has heartbeats. `why`
 * and `by` are static; `by` names the built-in rule that caused the ejection, NULL: the outlier
 * rule did.
 */
void mt_ejection_begin(struct mt_proxy *p, struct mt_ep_state *ep,
	const struct mt_outlier_rule *rule, const struct mt_ep_where *at, const char *why,
	const char *by);
/* As mt_ejection_begin(), for an endpoint that does not answer. */
void mt_ejection_begin_silent(struct mt_proxy *p, struct mt_ep_state *ep,
	const struct mt_outlier_rule *rule, const struct mt_ep_where *at, const char *why,
	const char *by);
/* Returns an ejected endpoint to rotation, and reports the return. */
void mt_ep_is_back(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_ep_where *at);
/*
 * As mt_ep_is_back(), but only if the endpoint is on trial. Call when the endpoint has replied, or
 * has accepted an opaque connection.
 */
void mt_ep_answered_trial(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_ep_where *at);
/*
 * Evaluates a reply that is an error or comes while the endpoint is on trial. A server error counts
 * against the endpoint if its cluster's rule has `errors`. A refusal (MT_STATUS_REFUSED) is ignored
 * unless it answers the trial call. Every other reply ends a trial; without a trial it counts as a
 * success.
 */
void mt_ep_answered(struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_attempt *a,
	enum mt_msg_status status);
/* Records that the endpoint announced its shutdown (`leaves`), or withdrew the announcement. */
void mt_ep_said(struct mt_proxy *p, const struct mt_lanes *ln, bool leaves);

/* waiting.c: calls that wait for an answer, by endpoint */
/* True if a pass is needed or under way: attempts exist, or the last pass found waiting calls. */
static inline bool mt_waiting_busy(const struct mt_proxy *p)
{
	return p->n_attempts || p->waiting.found || p->waiting.pass;
}
/* Does the next step of a pass. Call when mt_waiting.due is reached, if mt_waiting_busy(). */
void mt_waiting_turn(struct mt_proxy *p);
/* Notes that bytes of a server of this group have arrived. */
static inline void mt_waiting_heard(struct mt_proxy *p, const struct mt_lanes *ln)
{
	struct mt_ep_stats *st = &p->ep_stats[ln->ep_index];

	if (mt_likely(st->id == ln->ep_id))
		st->heard = p->now;
}
/* Notes that the server of an opaque stream gets bytes; or (answered) that it has sent bytes. */
void mt_waiting_asked(struct mt_proxy *p, struct mt_pair *pr);
void mt_waiting_answered(struct mt_proxy *p, struct mt_pair *pr);
/*
 * Ends the wait of an opaque stream, because its server has sent a FIN (`by_server`), or because
 * the server connection is given up or cut (opaque_cut.c).
 */
void mt_waiting_ended(struct mt_proxy *p, struct mt_pair *pr, bool by_server);

/* ---- methods.c ---- */

/* Notes what is known of the call's method, before the call takes a serial connection. */
void mt_method_look(struct mt_proxy *p, const struct mt_exchange *ex, struct mt_attempt *a);
/* Returns the hash of a method's name under the worker's secret (mt_attempt.method); never 0. */
uint64_t mt_method_hash(const struct mt_proxy *p, const uint8_t *s, uint32_t n);
/*
 * Returns the hash of the method that the reply in u->msg names (mt_attempt.method); 0: the reply
 * names none.
 */
uint64_t mt_method_of_reply(struct mt_proxy *p, const struct mt_up *u);
/* Combines the hash of a method with its service (mt_service.owner): mt_attempt.method_key. */
uint64_t mt_method_key(uint64_t method, uint64_t owner);
/* Returns what is known now of the attempt's method. */
enum mt_method_state mt_method_known(struct mt_proxy *p, const struct mt_attempt *a);
/*
 * True if a call that has not been sent completely may get no reply although its message does not
 * mark it as one-way. Serial protocols only.
 */
bool mt_method_may_be_silent(struct mt_proxy *p, const struct mt_exchange *ex);
/*
 * Learns that a reply came that is not a protocol error. `adds` false: does nothing if the method
 * has no entry.
 */
void mt_method_answers(struct mt_proxy *p, uint64_t key, uint64_t owner, bool adds);
/* Counts an observation that the server read a call and did not answer it. */
void mt_method_silent(struct mt_proxy *p, uint64_t key, uint64_t owner);
