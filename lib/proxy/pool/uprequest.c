/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers what servers send on their own: heartbeats, and requests to their clients (Dubbo's
 * callbacks). Requests are not forwarded, because a connection to a server does not belong to one
 * client. They get a native error, so that the server does not wait for its time-out.
 */
#include "pool/mt_pool_priv.h"

static bool half_sent(struct mt_proxy *p, struct mt_up *u)
{
	const struct mt_exchange *ex = mt_pool_exchange(p, u->exchange);

	return ex && ex->in_message;
}

/*
 * True if an answer may be sent now. No answer goes into the middle of a long request, or after
 * this node's FIN. A server that does not read earlier answers gets no further ones, because
 * unacknowledged answers hold buffers of the worker.
 */
static bool may_answer(struct mt_proxy *p, struct mt_up *u)
{
	return !half_sent(p, u) && !u->s->tx_shut && u->s->tx_queued < u->s->tx_high;
}

void mt_up_heartbeat(struct mt_proxy *p, struct mt_up *u)
{
	const struct mt_codec *codec = u->lanes->codec;
	struct mt_chain out = {0};
	int rc;

	if (!codec->write.heartbeat_reply)
		return;
	/* Bytes that are on their way show that this node is alive. */
	if (!may_answer(p, u)) {
		mt_count(p->counters, MT_PROXY_up_heartbeat_dropped);
		return;
	}
	rc = codec->write.heartbeat_reply(codec, &u->msg, &u->s->rx, &out, p->pools);
	if (rc) {
		if (rc == -ENOMEM)
			mt_count(p->counters, MT_PROXY_no_memory);
		mt_chain_free(&out);
		return;
	}
	mt_count(p->counters, MT_PROXY_heartbeat_answered);
	mt_up_send(u, &out);
}

void mt_up_request(struct mt_proxy *p, struct mt_up *u)
{
	const struct mt_codec *codec = u->lanes->codec;
	struct mt_chain out = {0};
	struct mt_seed seed = {0};

	if (u->msg.kind == MT_MSG_ONEWAY || !u->msg.can_reply || !codec->write.reply ||
		!may_answer(p, u)) {
		mt_count(p->counters, MT_PROXY_up_request_dropped);
		return;
	}
	codec->correlate.save(codec, &u->msg, &u->s->rx, &seed);
	if (codec->write.reply(codec, &seed, MT_REPLY_DENIED,
		    "requests to clients are not forwarded", &out, p->pools)) {
		mt_chain_free(&out);
		mt_count(p->counters, MT_PROXY_up_request_dropped);
		return;
	}
	mt_count(p->counters, MT_PROXY_up_request);
	mt_up_send(u, &out);
}
