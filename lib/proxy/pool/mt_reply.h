/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies, and events of clients' streams, reported to client/ by the folders below. Included by
 * mt_pool_priv.h.
 */
#pragma once

#include "mt_proxy_base.h"

/* client/reply.c has the table. */
struct mt_client_user {
	/* mt_reply_whole(), mt_reply_local(), mt_reply_aside() */
	void (*whole)(struct mt_proxy *p, struct mt_exchange *ex, struct mt_chain *reply);
	void (*local)(struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what,
		const char *text);
	void (*aside)(struct mt_proxy *p, struct mt_down *d, struct mt_chain *c);
	/* mt_reply_budget() and mt_reply_settle() */
	void (*sent)(struct mt_proxy *p, struct mt_down *d);
	void (*ended)(struct mt_proxy *p, struct mt_ref down);
	/*
	 * A reply has come to a call whose client has closed (mt_down.left): ends the call. May end
	 * the client's connection, and a server connection that carries this call alone.
	 */
	void (*left)(struct mt_proxy *p, struct mt_exchange *ex);
	/* A reason to pause a client's connection is gone: decodes the received bytes. */
	void (*readable)(struct mt_proxy *p, struct mt_down *d);
	/* The TLS layer has accepted a client of this chain. False: the client is refused. */
	bool (*accepted)(struct mt_proxy *p, struct mt_stream *s, const struct mt_listener *l,
		const struct mt_filter_chain *chain);
};
extern const struct mt_client_user mt_client_user;

/* Sends bytes to the client. The time limit of a slow reader starts with the first unread byte. */
static inline void mt_reply_send(struct mt_proxy *p, struct mt_down *d, struct mt_chain *c)
{
	if (d->s->tx_queued == 0)
		d->last_ack = p->now;
	mt_stream_send(d->s, c);
}
/* Sends a complete reply (takes the chain) when its turn comes, and ends the exchange. */
static inline void mt_reply_whole(
	struct mt_proxy *p, struct mt_exchange *ex, struct mt_chain *reply)
{
	mt_client_user.whole(p, ex, reply);
}
/* Answers a call by a local reply, usually the protocol's native error, and ends the exchange. */
static inline void mt_reply_local(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what, const char *text)
{
	mt_client_user.local(p, ex, what, text);
}
/*
 * As mt_reply_local(), for a reason that access logs and metrics distinguish from others with the
 * same local reply, mt_reply_of_ending().
 */
static inline void mt_reply_ending(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_ending ending, const char *text)
{
	ex->local_ending = (uint8_t)ending;
	mt_client_user.local(p, ex, mt_reply_of_ending(ending), text);
}
/*
 * Sends bytes that belong to no exchange, such as heartbeat answers and refusals without an
 * exchange. While a long reply is being forwarded, these bytes wait for its end. They count in the
 * client's reply budget.
 */
static inline void mt_reply_aside(struct mt_proxy *p, struct mt_down *d, struct mt_chain *c)
{
	mt_client_user.aside(p, d, c);
}
/* Call after replies were sent or held: notes if the client's reply budget (*soft*) is exceeded. */
static inline void mt_reply_budget(struct mt_proxy *p, struct mt_down *d)
{
	mt_client_user.sent(p, d);
}
/* Call after an exchange has ended: sends, decodes or ends what waited for its end. */
static inline void mt_reply_settle(struct mt_proxy *p, struct mt_ref down)
{
	mt_client_user.ended(p, down);
}
