/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Graceful drain of a client connection: no request that TCP has acknowledged is lost.
 * 1. Draining: notify the client if the codec has a GOAWAY, after a long reply that is being sent.
 *    Serve requests until for a second nothing arrived, no reply was acknowledged and none is
 *    outstanding, or for a third of drain_ms (10 s).
 * 2. Last: serve until no reply is outstanding, nothing is received and no message has begun; then
 *    FIN.
 * 3. Refuses, from half of drain_ms on, between two messages: received data is not acknowledged
 *    (mt_stream_refuse()). FIN when no reply is outstanding.
 * 4. Closing, after two thirds of drain_ms, or at once after undecodable input or for excessive
 *    memory use: do not decode. FIN when no reply is outstanding. After the FIN further data is not
 *    acknowledged, and the connection is reset a tenth of a second after the client has all
 *    replies. So the client's host can prove that this data was not read (mt_stream_unread());
 *    another Meltemi sends the call elsewhere.
 *
 * While the whole worker leaves but still accepts clients (worker_drain.c), step 1 lasts until the
 * client is quiet. When it closes, each connection is in step 2 for a fifth of a second, then in
 * step 3, and a message that has begun has one second.
 *
 * A connection that has been quiet for a second ends at once if its protocol has no notification;
 * so does an idle one. A message that has begun has 10 s; if it stalls, outstanding replies are
 * still sent. mt_proxy_drain() refuses new connections at their SYN, so that no client sends data
 * on one.
 */
#include "client/mt_client_priv.h"

/* Nothing came and nothing was answered for so long: it has heard, or asks for nothing more. */
#define QUIET_NS MT_SEC
/* A client that is never quiet is looked at so often for a moment between its messages. */
#define LOOK_NS (10 * MT_MSEC)

/* Of the time of a drain: when it is looked for such a moment, and when there need be none. The rest is for what is owed. */
#define SERVED_PART 3
#define LAST_PART   2
/* The same of a worker that closes. */
#define CLOSE_LAST_NS (200 * MT_MSEC)
#define CLOSE_CUT_NS  MT_SEC

static uint64_t drain_ns(const struct mt_proxy *p)
{
	return p->conf.drain_ms * MT_MSEC;
}

static void tell(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_chain out = {0};

	if (!d->codec->write.goaway || d->eof)
		return;
	if (d->codec->write.goaway(d->codec, mt_rand_u64(&p->rnd) & INT32_MAX, &out, p->pools)) {
		mt_count(p->counters, MT_PROXY_no_memory);
		mt_chain_free(&out);
		return;
	}
	d->told = true;
	mt_count(p->counters, MT_PROXY_down_goaway_sent);
	mt_reply_aside(p, d, &out);
}

static uint64_t quiet_at(const struct mt_down *d)
{
	uint64_t last = MT_MAX(d->last_rx, d->last_ack);

	return (d->told ? MT_MAX(last, d->drain_started) : last) + QUIET_NS;
}

/* Between two messages, and all of those that have come are taken. */
static bool between(const struct mt_down *d)
{
	return d->s->rx.len == 0 && !d->msg_started && !mt_down_in_message(d) &&
	       !mt_stream_coming(d->s);
}

void mt_down_cut_short(struct mt_proxy *p, struct mt_down *d, enum mt_proxy_outcome why)
{
	mt_count(p->counters, why);
	mt_stream_refuse(d->s);
	mt_down_close(p, d);
}

/* True if the worker drains its clients and still accepts others. */
static bool open_still(const struct mt_proxy *p)
{
	return p->drain.leave_at && !p->draining;
}

/* When to look again, or 0: there is nothing to look for. */
static uint64_t next_look(const struct mt_proxy *p, const struct mt_down *d)
{
	uint64_t quiet = MT_MAX(quiet_at(d), p->now + LOOK_NS);

	switch (d->ending) {
	case MT_DOWN_DRAINING:
		return open_still(p) ? quiet
				     : MT_MIN(d->drain_started + drain_ns(p) / SERVED_PART, quiet);
	case MT_DOWN_LAST:
		return p->now + LOOK_NS;
	default:
		return 0;
	}
}

/* The steps of ending a connection that are due. */
struct due {
	bool last, refuses, cut;
};

static struct due due(const struct mt_proxy *p, const struct mt_down *d)
{
	uint64_t age = p->now - d->drain_started, closed = p->now - p->drain.close_at;
	bool quiet = p->now >= quiet_at(d) && mt_down_owed(d) == 0 && between(d);

	if (p->drain.close_at)
		return (struct due){true, closed >= CLOSE_LAST_NS, closed >= CLOSE_CUT_NS};
	if (open_still(p) && d->ending == MT_DOWN_DRAINING)
		return (struct due){.last = quiet};
	return (struct due){.last = quiet || age >= drain_ns(p) / SERVED_PART,
		.refuses = age >= drain_ns(p) / LAST_PART,
		.cut = age >= drain_ns(p) / SERVED_PART * LAST_PART};
}

/* The same time is for what found no memory: it is not put off, and not forgotten. */
static void look_at(struct mt_down *d, uint64_t at)
{
	if (!d->retry_at || (at && at < d->retry_at))
		d->retry_at = at;
}

bool mt_down_drain_on(struct mt_proxy *p, struct mt_down *d)
{
	const struct due is = due(p, d);
	struct mt_ref ref = d->self;

	if (d->ending == MT_DOWN_DRAINING && is.last)
		mt_down_becomes(d, MT_DOWN_LAST);
	if (d->ending == MT_DOWN_LAST && is.refuses && between(d)) {
		mt_down_becomes(d, MT_DOWN_REFUSES);
		mt_stream_refuse(d->s);
	}
	if (d->ending == MT_DOWN_LAST && is.cut)
		mt_down_cut_short(p, d, MT_PROXY_down_drain_timeout);
	else
		mt_down_maybe_finish(p, d);
	if (!mt_slab_live(&p->downs, ref))
		return false;
	look_at(d, next_look(p, d));
	return true;
}

void mt_down_drain(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_ref ref = d->self;

	if (!d->s || d->ending)
		return;
	mt_down_becomes(d, MT_DOWN_DRAINING);
	d->drain_started = p->now;
	tell(p, d);
	if (!d->decoding && mt_down_drain_on(p, d))
		mt_down_arm(p, d);
	else if (mt_slab_live(&p->downs, ref))
		mt_wheel_arm(&p->wheel, &d->timer, p->now);
}

void mt_down_unserve(struct mt_proxy *p, struct mt_down *d, enum mt_local_reply what)
{
	d->unserved = (uint8_t)(1 + what);
	d->proto = NULL;
	mt_down_drain(p, d);
}

void mt_down_end(struct mt_proxy *p, struct mt_down *d)
{
	if (!d->ending)
		mt_down_becomes(d, MT_DOWN_LAST);
	mt_down_maybe_finish(p, d);
}

void mt_down_close(struct mt_proxy *p, struct mt_down *d)
{
	mt_down_becomes(d, MT_DOWN_CLOSING);
	d->msg_started = 0;
	d->paused_by_bytes = false; /* nothing of it is decoded any more */
	/* The rest of a message that was taken still goes; one that has only begun does not. */
	if (d->s && !mt_down_in_message(d))
		mt_stream_drop(d->s, d->s->rx.len);
	mt_down_maybe_finish(p, d);
}
