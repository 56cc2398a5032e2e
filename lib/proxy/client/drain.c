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
 * 4. Closing, if step 2 still lasts after two thirds of drain_ms because a message has not ended,
 *    or at once after undecodable input or for excessive memory use: do not decode. FIN when no
 *    reply is outstanding.
 * After the FIN, in each step, further data is not acknowledged, and the connection is reset a
 * tenth of a second after the client has all replies. So the client's host can prove that this data
 * was not read (mt_stream_unread()); another Meltemi sends the call elsewhere.
 *
 * While the whole worker leaves but still accepts clients (worker_drain.c), the time of
 * mt_proxy_leave() takes the place of drain_ms, and without one step 1 lasts until the client is
 * quiet. A connection keeps the time with which its drain began, also if the worker does not leave
 * any more; a further reason can only shorten it. From mt_proxy_drain() on, each connection is in
 * step 2 for a fifth of a second, then in step 3; a message that has begun may take one second.
 *
 * A connection that has been quiet for a second ends at once if its client was not notified; so
 * does a connection at its idle time-out. A message that stalls (message_ms, 10 s) during
 * the drain is given up, and outstanding replies are still sent (step 4). If a part of that message
 * was forwarded, the connection is reset. mt_proxy_drain() refuses new connections at their SYN, so
 * that no client sends data on one.
 */
#include "client/mt_client_priv.h"

/*
 * A client that sends and acknowledges nothing for this time has handled the GOAWAY, or has no more
 * requests.
 */
#define QUIET_NS MT_SEC
/* Interval of the checks if a client that is never quiet is between two messages. */
#define LOOK_NS (10 * MT_MSEC)

/*
 * Step 2 starts after drain_ms / SERVED_PART at the latest, step 3 after drain_ms / LAST_PART. If
 * step 2 still lasts after LAST_PART * drain_ms / SERVED_PART, step 4 follows. The rest of drain_ms
 * is for outstanding replies.
 */
#define SERVED_PART 3
#define LAST_PART   2
/* Start of steps 3 and 4 after mt_proxy_drain(), if mt_proxy_leave() came before. */
#define CLOSE_LAST_NS (200 * MT_MSEC)
#define CLOSE_CUT_NS  MT_SEC

static uint64_t drain_ns(const struct mt_proxy *p, const struct mt_down *d)
{
	return (d->drain_ms ? d->drain_ms : p->conf.drain_ms) * MT_MSEC;
}

/* A random id of the codec's range, of at most 31 bits; 0: the codec has no ids. */
static uint64_t id_of_goaway(struct mt_proxy *p, const struct mt_codec *codec)
{
	uint64_t id = mt_rand_u64(&p->rnd) & INT32_MAX;

	if (!codec->id_max || codec->id_max >= INT32_MAX)
		return codec->id_max ? id : 0;
	return codec->id_min + id % (codec->id_max - codec->id_min);
}

static void tell(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_chain out = {0};

	if (!d->codec->write.goaway || d->eof)
		return;
	if (d->codec->write.goaway(d->codec, id_of_goaway(p, d->codec), &out, p->pools)) {
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

/* True if the connection is between two messages, and no received bytes are left. */
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

/* True if the client chooses the time of its end, because the worker still accepts clients. */
static bool open_still(const struct mt_proxy *p, const struct mt_down *d)
{
	return !d->drain_ms && p->drain.leave_at && !p->draining;
}

static uint64_t cut_after(uint64_t ns)
{
	return ns / SERVED_PART * LAST_PART;
}

/* Time of the drain's next check; 0: none. */
static uint64_t next_look(const struct mt_proxy *p, const struct mt_down *d)
{
	uint64_t quiet = MT_MAX(quiet_at(d), p->now + LOOK_NS);

	switch (d->ending) {
	case MT_DOWN_DRAINING:
		return open_still(p, d)
			       ? quiet
			       : MT_MIN(d->drain_started + drain_ns(p, d) / SERVED_PART, quiet);
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
	if (open_still(p, d) && d->ending == MT_DOWN_DRAINING)
		return (struct due){.last = quiet};
	return (struct due){.last = quiet || age >= drain_ns(p, d) / SERVED_PART,
		.refuses = age >= drain_ns(p, d) / LAST_PART,
		.cut = age >= cut_after(drain_ns(p, d))};
}

/* retry_at is also for retries after a lack of memory, so it may only become earlier. */
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

/*
 * A drain that has begun gets the time of a further reason, from now on, if it then ends earlier.
 * Otherwise the first reason's time stays.
 */
static void shorten(struct mt_proxy *p, struct mt_down *d, uint32_t ms)
{
	if (!d->drain_started || !ms)
		return;
	if (!open_still(p, d) &&
		p->now + cut_after(ms * MT_MSEC) >= d->drain_started + cut_after(drain_ns(p, d)))
		return;
	d->drain_started = p->now;
	d->drain_ms = ms;
	mt_wheel_arm(&p->wheel, &d->timer, p->now);
}

void mt_down_drain_in(struct mt_proxy *p, struct mt_down *d, uint32_t ms)
{
	struct mt_ref ref = d->self;

	if (!d->s)
		return;
	if (d->ending) {
		shorten(p, d, ms);
		return;
	}
	mt_down_becomes(d, MT_DOWN_DRAINING);
	d->drain_started = p->now;
	d->drain_ms = ms;
	tell(p, d);
	if (!d->decoding && mt_down_drain_on(p, d))
		mt_down_arm(p, d);
	else if (mt_slab_live(&p->downs, ref))
		mt_wheel_arm(&p->wheel, &d->timer, p->now);
}

/* The lower half of the time in ms. */
static uint32_t ms_of(uint64_t ns)
{
	return (uint32_t)(ns / MT_MSEC);
}

void mt_down_drain_later(const struct mt_proxy *p, struct mt_down *d, uint32_t ms)
{
	d->drain_due = MT_MAX(ms_of(p->now) + ms / SERVED_PART, 1u);
}

uint64_t mt_down_drain_due(const struct mt_proxy *p, const struct mt_down *d)
{
	int32_t left = (int32_t)(d->drain_due - ms_of(p->now));

	return d->drain_due ? p->now + (uint64_t)MT_MAX(left, 0) * MT_MSEC : MT_NEVER;
}

void mt_down_drain(struct mt_proxy *p, struct mt_down *d)
{
	mt_down_drain_in(p, d, p->conf.drain_ms);
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
	d->paused_by_bytes = false; /* no further message is decoded */
	/* Drop received bytes, unless they belong to a message whose first part was taken. */
	if (d->s && !mt_down_in_message(d))
		mt_stream_drop(d->s, d->s->rx.len);
	mt_down_maybe_finish(p, d);
}
