/* SPDX-License-Identifier: Apache-2.0 */
/* Events of calls on server connections, reported by the pool. Included by mt_pool_priv.h. */
#pragma once

#include "mt_proxy_base.h"

enum mt_up_end {
	MT_UP_END_GONE, /* the stream has ended: inside closed() */
	MT_UP_END_ABORT,
	MT_UP_END_DETACH, /* aborted instead if a call is provably unread */
};
/* The calls that ended with their connection. */
struct mt_up_lost {
	bool any;
	/*
	 * Some of them count as failures of the endpoint. Calls that are known to have no reply do
	 * not.
	 */
	bool counted;
};

/* call/exchange.c has the table. */
struct mt_pool_user {
	/*
	 * Called for a complete reply that is an error, before the reply leaves its connection. True:
	 * the call waits for another attempt, and the pool drops the reply. (mt_again_rejects())
	 */
	bool (*rejects)(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply);
	/*
	 * A complete reply, which the view shows, goes to filters of the call. False: a filter
	 * waits, or has answered the call, and the bytes are taken. (mt_exchange_filters_reply())
	 */
	bool (*filters)(struct mt_proxy *p, struct mt_exchange *ex, struct mt_reading *reading,
		const struct mt_msg *msg, struct mt_chain *reply);
	/*
	 * Adds headers of rate limit services to the changes of the reply, which the view shows. Only
	 * for calls with such headers. (mt_reply_headers_show())
	 */
	void (*limit_headers)(struct mt_proxy *p, const struct mt_exchange *ex);
	/* A reply, or the start of a long one, is about to be forwarded: counts its outcome. */
	void (*replied)(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply);
	/* The call has no reply, or its reply is dropped: ends the exchange. */
	void (*ended)(struct mt_proxy *p, struct mt_exchange *ex);
	/* No connection opens: the unsent call tries another endpoint, or is answered by `what`. */
	void (*unreached)(struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what);
	/* A one-way call was sent. False: the call ends now. (mt_unacked_wait()) */
	bool (*sent_oneway)(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a);
	/*
	 * Bytes were acknowledged, and one-way calls wait for their acknowledgement. False: the
	 * connection has ended. (mt_unacked_look())
	 */
	bool (*acked)(struct mt_proxy *p, struct mt_up *u);
	/* The connection ends: ends its calls, and its stream by `how`. (mt_up_end_calls()) */
	struct mt_up_lost (*conn_ends)(struct mt_proxy *p, struct mt_up *u, struct mt_stream *s,
		enum mt_up_end how, enum mt_local_reply what, const char *text,
		enum mt_abort_reason why);
	/* The server has sent FIN, and all bytes before it are decoded. (mt_up_peer_ended()) */
	void (*peer_ended)(struct mt_proxy *p, struct mt_up *u);
};
extern const struct mt_pool_user mt_pool_user;
