/* SPDX-License-Identifier: Apache-2.0 */
/* Whether endpoints answer: who is put aside, asked, and back. The last part of mt_proxy_priv.h, which includes it. */
#pragma once

#include "mt_proxy_priv.h"

/* ejection.c */
static inline struct mt_ep_where mt_lanes_where(const struct mt_lanes *ln)
{
	return (struct mt_ep_where){ln->tls, ln->addr, ln->port, ln->cluster_index, ln->codec,
		ln->codec_opts, ln->of_caller, ln->way, ln->connect_ms};
}
/* A connection to it could not be had, or was reset: it may be put aside. rule NULL: the usual one. */
void mt_ep_blame(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_outlier_rule *rule,
	const struct mt_ep_where *at, enum mt_close_reason reason);
/*
 * By the caller it was put aside, for a reason, and by a rule of lib/proxy's (NULL: by `rule`), both static: that is told, and
 * somebody sees to it that it comes back.
 */
void mt_ep_aside(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_outlier_rule *rule,
	const struct mt_ep_where *at, const char *why, const char *by);
/* It has answered. */
void mt_ep_is_back(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_ep_where *at);
/* A reply of it came that is an error, or to a call on trial. */
void mt_ep_answered(struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_attempt *a,
	enum mt_msg_status status);
/* The endpoint of these lanes said that it leaves, or that it stays. */
void mt_ep_said(struct mt_proxy *p, const struct mt_lanes *ln, bool leaves);

/* silence.c */
/* So long without a byte is the least reason to ask whether a server is there. */
#define MT_SILENCE_LEAST (1 * MT_SEC)
/* A call left on a SHARED or WIDE connection. */
static inline void mt_silence_sent(struct mt_proxy *p, struct mt_up *u)
{
	uint32_t ms = (uint32_t)((p->now + MT_SILENCE_LEAST) / MT_MSEC);

	if (u->silence.first_sent > u->last_rx)
		return;
	u->silence.first_sent = p->now;
	if (!mt_timer_armed(&u->timer) || (int32_t)(u->timer.due_ms - ms) > 0)
		mt_wheel_arm(&p->wheel, &u->timer, p->now + MT_SILENCE_LEAST);
}
/* When to look at the connection for that; MT_NEVER: not. */
uint64_t mt_silence_due(const struct mt_up *u);
/* Looks whether it is time to ask, or has the answer that is due. The connection may end. */
void mt_silence_look(struct mt_proxy *p, struct mt_up *u);
/* The answer to a heartbeat came. */
void mt_silence_answered(struct mt_proxy *p, struct mt_up *u);
/* The server's program has done something that is no reply: it does not hang. */
void mt_silence_heard(const struct mt_lanes *ln);
/* The call's time is over, and its attempt still there. */
void mt_silence_timed_out(struct mt_proxy *p, const struct mt_exchange *ex);
/*
 * The call's client, of this connection, has closed it before the reply. May eject the endpoint.
 * Does not end the exchange.
 */
void mt_silence_given_up(
	struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_stream *client);
/* A reply came to a call that nothing waits for any more. */
void mt_silence_replied(const struct mt_lanes *ln);
/* Whether the endpoint is known to answer heartbeats. */
bool mt_ep_beats(const struct mt_lanes *ln);

/* waiting.c: calls that wait for an answer, by endpoint */
/* True if there is something to count, or to withdraw. */
static inline bool mt_waiting_busy(const struct mt_proxy *p)
{
	return p->attempts.in_use || p->waiting.found || p->waiting.pass;
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

/* health_check.c */
extern const struct mt_stream_user mt_probe_user;
/* Asks an endpoint that was just put aside whether it is back; when its time is over, until it answers. */
void mt_probe_begin(struct mt_proxy *p, struct mt_ep_state *ep, const struct mt_ep_where *at);
void mt_probe_timer(struct mt_proxy *p, struct mt_probe *pr);
