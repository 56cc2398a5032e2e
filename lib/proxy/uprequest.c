/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers what servers send on their own: heartbeats, and requests to their clients (Dubbo's
 * callbacks). Requests are not forwarded, because a connection to a server does not belong to one
 * client. They get a native error, so that the server does not wait for its time-out.
 */
#include "mt_proxy_priv.h"

static bool half_sent(struct mt_proxy *p, struct mt_up *u)
{
	const struct mt_exchange *ex = mt_attempt_exchange_of(p, u->attempt);

	return ex && ex->in_message;
}

void mt_up_heartbeat(struct mt_proxy *p, struct mt_up *u)
{
	const struct mt_codec *codec = u->lanes->codec;
	struct mt_chain out = {0};

	/* In the middle of a long request its bytes show that this node is alive. */
	if (!codec->heartbeat || half_sent(p, u) ||
		codec->heartbeat(&u->msg, &u->s->rx, u->msg.id, &out, p->pools))
		return;
	mt_count(p->counters, MT_PROXY_heartbeat_answered);
	mt_up_send(u, &out);
}

void mt_up_request(struct mt_proxy *p, struct mt_up *u)
{
	const struct mt_codec *codec = u->lanes->codec;
	struct mt_chain out = {0};
	struct mt_seed seed = {0};

	/*
	 * Send no answer in the middle of a long request, or while the server does not read earlier
	 * ones.
	 */
	if (u->msg.kind == MT_MSG_ONEWAY || !u->msg.can_reply || !codec->reply || half_sent(p, u) ||
		u->s->tx_queued >= u->s->tx_high) {
		mt_count(p->counters, MT_PROXY_up_request_dropped);
		return;
	}
	codec->save(&u->msg, &u->s->rx, &seed);
	if (codec->reply(&seed, MT_REPLY_DENIED, "requests to clients are not forwarded", &out,
		    p->pools)) {
		mt_chain_free(&out);
		mt_count(p->counters, MT_PROXY_up_request_dropped);
		return;
	}
	mt_count(p->counters, MT_PROXY_up_request);
	mt_up_send(u, &out);
}
