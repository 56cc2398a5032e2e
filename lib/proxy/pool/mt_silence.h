/* SPDX-License-Identifier: Apache-2.0 */
/* silence.c: servers that do not respond. Included by mt_pool_priv.h. */
#pragma once

#include "mt_proxy_base.h"

/* Shortest time without a received byte after which a heartbeat is sent. */
#define MT_SILENCE_LEAST (1 * MT_SEC)
/* Notes that a call was sent on a SHARED or WIDE connection. */
static inline void mt_silence_sent(struct mt_proxy *p, struct mt_up *u)
{
	uint32_t ms = (uint32_t)((p->now + MT_SILENCE_LEAST) / MT_MSEC);

	if (u->silence.first_sent > u->last_rx)
		return;
	u->silence.first_sent = p->now;
	if (!mt_timer_armed(&u->timer) || (int32_t)(u->timer.due_ms - ms) > 0)
		mt_wheel_arm(&p->wheel, &u->timer, p->now + MT_SILENCE_LEAST);
}
/* When mt_silence_look() is due on the connection; MT_NEVER: not. */
uint64_t mt_silence_due(const struct mt_up *u);
/* Sends a heartbeat if one is due, or evaluates the outstanding one. May end the connection. */
void mt_silence_look(struct mt_proxy *p, struct mt_up *u);
/* The answer to a heartbeat came. */
void mt_silence_answered(struct mt_proxy *p, struct mt_up *u);
/* Notes a response of the server's application that is not a reply. */
void mt_silence_heard(const struct mt_lanes *ln);
/*
 * Call if a call has timed out, while its attempt exists. May send a heartbeat, and may count the
 * call against its endpoint, which may be ejected.
 */
void mt_silence_timed_out(struct mt_proxy *p, const struct mt_exchange *ex);
/*
 * Call if the client has closed its connection (`client`) before the reply. May count the call
 * against its endpoint, which may be ejected. Does not end the exchange.
 */
void mt_silence_given_up(
	struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_stream *client);
/* Notes a reply to a call that has ended, because it shows that the server responds. */
void mt_silence_replied(const struct mt_lanes *ln);
/* True if the endpoint has answered a heartbeat. */
bool mt_ep_beats(const struct mt_lanes *ln);
