/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of endpoint/: ejection, silence, admission, counters, learned methods. */
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
/* The state of the attempt's endpoint; NULL: none, or another endpoint has it by now. */
static inline struct mt_ep_state *mt_attempt_ep(const struct mt_attempt *a)
{
	if (!a->ep || __atomic_load_n(&a->ep->id, __ATOMIC_RELAXED) != a->ep_id)
		return NULL;
	return a->ep;
}
/*
 * Counts a connection to the endpoint that failed to open, or was reset without the loss of a call.
 * This and the next two do nothing if another endpoint has the place by now.
 */
void mt_account_connection(struct mt_proxy *p, const struct mt_lanes *ln, bool connecting,
	enum mt_close_reason reason);
/* Counts calls whose connection to the endpoint did not open; they may be sent elsewhere. */
void mt_account_unsent(struct mt_proxy *p, const struct mt_lanes *ln, uint32_t calls);
/* Counts a call that was lost with its connection, or not answered in time. */
void mt_account_failed(struct mt_proxy *p, const struct mt_attempt *a);
void mt_account_request(struct mt_proxy *p, const struct mt_exchange *ex);
/* Counts for the service that a limit, or another filter, answers the call by `what`. */
void mt_account_limited(struct mt_proxy *p, const struct mt_exchange *ex, enum mt_local_reply what);
void mt_account_route(struct mt_proxy *p, const struct mt_exchange *ex);
/* Counts a refusal by an object that fails closed. NULL: by one without a counter of its own. */
void mt_account_closed(struct mt_proxy *p, const struct mt_closer *by);
/* Counts a reply for the attempt's endpoint. */
void mt_account_attempt(struct mt_proxy *p, const struct mt_attempt *a, const struct mt_msg *reply);
/* The same, and for the service, unless it is gone or the call is a copy. */
void mt_account_reply(struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_attempt *a,
	const struct mt_msg *reply);
/* Counts a reply for the service only, because it has counted for the endpoint when it came. */
void mt_account_answer(
	struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_msg *reply);
/*
 * Counts a call without a reply: one-way by its message, or (`learnt`) because its method never had
 * a reply.
 */
void mt_account_oneway(struct mt_proxy *p, const struct mt_exchange *ex, bool learnt);
void mt_account_left(struct mt_proxy *p, const struct mt_exchange *ex, bool cut_off);

/* admit.c */
#define MT_ADMIT_FEW 64
bool mt_admit_looks(
	struct mt_proxy *p, const struct mt_exchange *ex, uint32_t ep_index, uint64_t ep_id);
/*
 * True if the endpoint cannot be expected to answer the call in time. Its deadline must be armed.
 */
static inline bool mt_admit_refuses(
	struct mt_proxy *p, const struct mt_exchange *ex, uint32_t ep_index, uint64_t ep_id)
{
	return mt_unlikely(p->ep_stats[ep_index].outstanding >= MT_ADMIT_FEW) &&
	       mt_admit_looks(p, ex, ep_index, ep_id);
}
/* The attempt was answered, or has timed out: counts its duration for the endpoint's pace. */
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
 */
void mt_ep_blame(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_outlier_rule *rule,
	const struct mt_ep_where *at, enum mt_close_reason reason);
/*
 * Call after a function of lib/upstream has ejected the endpoint. Reports that to the control
 * thread, and starts the health checks that end the ejection. `why` and `by` are static; `by` names
 * a rule of lib/proxy, NULL: `rule`.
 */
void mt_ejection_begin(struct mt_proxy *p, struct mt_ep_state *ep,
	const struct mt_outlier_rule *rule, const struct mt_ep_where *at, const char *why,
	const char *by);
/* The same, because the endpoint does not answer. */
void mt_ejection_begin_silent(struct mt_proxy *p, struct mt_ep_state *ep,
	const struct mt_outlier_rule *rule, const struct mt_ep_where *at, const char *why,
	const char *by);
/* Returns an ejected endpoint to rotation, and reports that. */
void mt_ep_is_back(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_ep_where *at);
/* The same, if the endpoint is on trial: it has replied, or accepted an opaque connection. */
void mt_ep_answered_trial(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_ep_where *at);
/*
 * Evaluates a reply that is an error or comes while the endpoint is on trial. A server error counts
 * against the endpoint if its cluster's rule has `errors`. Any other such reply ends the trial;
 * without a trial it is a success. A refusal (MT_STATUS_REFUSED) counts for the trial call only.
 */
void mt_ep_answered(struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_attempt *a,
	enum mt_msg_status status);
/* Records that the endpoint announced its shutdown (`leaves`), or withdrew that. */
void mt_ep_said(struct mt_proxy *p, const struct mt_lanes *ln, bool leaves);

/* waiting.c: calls that wait for an answer, by endpoint */
/* True if there is something to count, or to withdraw. */
static inline bool mt_waiting_busy(const struct mt_proxy *p)
{
	return p->n_attempts || p->waiting.found || p->waiting.pass;
}
/* The next step of a pass. Call when mt_waiting.due is reached, if mt_waiting_busy(). */
void mt_waiting_turn(struct mt_proxy *p);
/* Notes that bytes of a server of this group have arrived. */
static inline void mt_waiting_heard(struct mt_proxy *p, const struct mt_lanes *ln)
{
	struct mt_ep_stats *st = &p->ep_stats[ln->ep_index];

	if (mt_likely(st->id == ln->ep_id))
		st->heard = p->now;
}
/* Notes that an opaque stream's server gets bytes; that it has sent some. */
void mt_waiting_asked(struct mt_proxy *p, struct mt_pair *pr);
void mt_waiting_answered(struct mt_proxy *p, struct mt_pair *pr);
/* The opaque stream waits no more: its server has sent a FIN (by_server), or is left. */
void mt_waiting_ended(struct mt_proxy *p, struct mt_pair *pr, bool by_server);

/* ---- methods.c ---- */

/* Notes what is known of the call's method, before the call takes a serial connection. */
void mt_method_look(struct mt_proxy *p, const struct mt_exchange *ex, struct mt_attempt *a);
/* The hash of a method's name under the worker's secret (mt_attempt.method); never 0. */
uint64_t mt_method_hash(const struct mt_proxy *p, const uint8_t *s, uint32_t n);
/* The method that the reply in u->msg names, as a hash (mt_attempt.method); 0: it names none. */
uint64_t mt_method_of_reply(struct mt_proxy *p, const struct mt_up *u);
/* Such a hash with its service (mt_service.owner): mt_attempt.method_key. */
uint64_t mt_method_key(uint64_t method, uint64_t owner);
/* What is known now of the attempt's method. */
enum mt_method_state mt_method_known(struct mt_proxy *p, const struct mt_attempt *a);
/*
 * True if the call, which has not been sent completely, may have no reply although its message does
 * not show that. Serial protocols only.
 */
bool mt_method_may_be_silent(struct mt_proxy *p, const struct mt_exchange *ex);
/*
 * Learns that a reply came that is not a protocol error. `adds` false: only if the method is known
 * already.
 */
void mt_method_answers(struct mt_proxy *p, uint64_t key, uint64_t owner, bool adds);
/* Learns that the server read a call and did not answer it. */
void mt_method_silent(struct mt_proxy *p, uint64_t key, uint64_t owner);
