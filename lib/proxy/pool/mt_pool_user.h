/* SPDX-License-Identifier: Apache-2.0 */
/* Events of calls on server connections, reported by the pool. Included by mt_pool_priv.h. */
#pragma once

#include "mt_proxy_base.h"

enum mt_up_end {
	MT_UP_END_GONE, /* inside closed() */
	MT_UP_END_ABORT,
	MT_UP_END_DETACH, /* but aborted if something has to be sent again */
};
/* The calls that ended with their connection. */
struct mt_up_lost {
	bool any;
	bool counted; /* as failures of the endpoint; not if all of them are known to have no reply */
};

/* call/exchange.c has the table. */
struct mt_pool_user {
	/*
	 * A complete reply is an error. True: the call waits for another attempt, and the pool drops
	 * the reply. (mt_again_rejects())
	 */
	bool (*rejects)(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply);
	/*
	 * A complete reply goes to filters of the call, which the view shows. False: one of them waits,
	 * or has answered; the bytes are taken. (mt_exchange_filters_reply())
	 */
	bool (*filters)(struct mt_proxy *p, struct mt_exchange *ex, struct mt_reading *reading,
		const struct mt_msg *msg, struct mt_chain *reply);
	/* A reply, or the start of a long one, is about to be forwarded: counts its outcome. */
	void (*replied)(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply);
	/* The call has no reply, or its reply goes nowhere: ends the exchange. */
	void (*ended)(struct mt_proxy *p, struct mt_exchange *ex);
	/* No connection can be had: the unsent call goes elsewhere, or is answered by `what`. */
	void (*unreached)(struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what);
	/* A one-way call was sent. False: it ends now. (mt_unacked_wait()) */
	bool (*sent_oneway)(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a);
	/*
	 * Bytes were acknowledged, and one-way calls wait for that. False: the connection is gone.
	 * (mt_unacked_look())
	 */
	bool (*acked)(struct mt_proxy *p, struct mt_up *u);
	/* The connection ends, and its stream as `how` specifies. (mt_up_end_calls()) */
	struct mt_up_lost (*conn_ends)(struct mt_proxy *p, struct mt_up *u, struct mt_stream *s,
		enum mt_up_end how, enum mt_local_reply what, const char *text,
		enum mt_abort_reason why);
	/* The server has sent FIN, and all bytes before it are decoded. (mt_up_peer_ended()) */
	void (*peer_ended)(struct mt_proxy *p, struct mt_up *u);
};
extern const struct mt_pool_user mt_pool_user;
