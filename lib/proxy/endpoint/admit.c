/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission control: refuses a call at once with a local reply if its endpoint cannot be expected
 * to answer in time. Otherwise an overloaded server's queue would grow until every call in it is
 * answered after its caller has given up.
 *
 * A worker measures for each endpoint the pace (the time between two replies, in windows of at
 * least 20 ms and 8 replies that had at least 32 calls outstanding throughout), the mean response
 * time of the last window, and the lowest such mean, from before there was a queue. Outstanding
 * calls times pace is the expected wait of a new call (Little's law). A call is refused if this
 * wait is longer than
 *
 *     max(half of its remaining time,
 *         min(twice the lowest mean, three quarters of its remaining time))
 *
 * - The pace rises by at most a quarter per window, because replies arrive in bursts after a pause
 *   of the network. A window that consisted mostly of one silence of more than half a second does
 *   not change it, unless the previous window did, too. A pace older than a second refuses only if
 *   the replies of the current window confirm it.
 * - The pace of an endpoint with little to do does not show its capacity, so fewer than 64
 *   outstanding calls are never too many. Fewer than 1,024 are too many only if replies take twice
 *   as long as before and more than 32 ms, or a third of the call's remaining time. So a service
 *   with slow but parallel calls is not limited, nor are calls with long time-outs.
 */
#include "mt_mutant.h"
#include "endpoint/mt_endpoint_priv.h"

#define WINDOW	(20 * MT_MSEC) /* a window lasts at least so long, and until ENOUGH replies came */
#define ENOUGH	8
#define STALE	(1 * MT_SEC) /* an older pace is replaced, not averaged */
#define FEW	MT_ADMIT_FEW
#define BUSY	(FEW / 2) /* with so many outstanding calls the endpoint always has work */
#define MANY	1024
#define LONG_NS (32 * MT_MSEC) /* replies faster than this show no queue */
#define DRIFT	1024	       /* `least` rises by at most 1/DRIFT per window: doubles in 14 s */

static void note_queue(struct mt_admit *a)
{
	if (!a->queueing) {
		a->least = a->least ? MT_MIN(a->mean, a->least + a->least / DRIFT) : a->mean;
		a->queueing = a->mean > LONG_NS && a->mean > 2 * a->least;
		return;
	}
	/* Keep `least`, because under load the mean does not show the time without a queue. */
	a->queueing = a->mean > LONG_NS / 2 && a->mean > a->least + a->least / 4;
}

/*
 * True if most of the window was one silence, in which the network or the server stood still. False
 * if this was also true of the previous window: then the silence shows how the server works, for
 * example with a few long calls at a time.
 */
static bool stood_still(struct mt_admit *a, uint64_t now)
{
	bool is_long = a->silence > STALE / 2 && a->silence > (now - a->since) / 2;
	bool still = is_long && !a->stood_still;

	a->stood_still = is_long;
	return still;
}

/*
 * Learns the pace from a window in which at least BUSY calls were always outstanding. The pace
 * rises by a quarter at most, because after a pause, for example of the network, replies come in a
 * burst. After a longer pause (stood_still()) the pace is kept and counts as learned now, because
 * the burst does not show a new one.
 */
static void note_pace(struct mt_admit *a, uint64_t now)
{
	uint64_t pace = (now - a->since) / a->n;

	if (stood_still(a, now)) {
		a->known_at = now;
		return;
	}
	if (a->pace && now - a->known_at < STALE)
		pace = MT_MIN((a->pace + pace) / 2, a->pace + a->pace / 4 + 1);
	a->pace = pace;
	a->known_at = now;
}

static void end_window(struct mt_admit *a, uint64_t now, bool busy)
{
	if (a->busy)
		note_pace(a, now);
	a->mean = a->took / a->n;
	note_queue(a);
	a->took = a->n = a->silence = 0;
	a->since = now;
	a->busy = busy;
}

static struct mt_admit *admit_of(struct mt_proxy *p, uint32_t ep_index, uint64_t ep_id)
{
	struct mt_admit *a = &p->admit[ep_index];

	if (mt_unlikely(a->ep_id != ep_id)) /* the place served another endpoint before */
		*a = (struct mt_admit){.ep_id = ep_id, .since = p->now, .last = p->now};
	return a;
}

void mt_admit_answered(struct mt_proxy *p, const struct mt_attempt *at)
{
	struct mt_admit *a = admit_of(p, at->ep_index, at->ep_id);

	a->took += p->now - at->picked;
	a->n++;
	a->silence = MT_MAX(a->silence, p->now - a->last);
	a->last = p->now;
	a->busy &= p->ep_stats[at->ep_index].outstanding >= BUSY;
	if (mt_unlikely(a->n >= ENOUGH && p->now - a->since >= WINDOW))
		end_window(a, p->now, p->ep_stats[at->ep_index].outstanding >= BUSY);
}

/* Returns the longest wait that is accepted for a call with this time left. */
static uint64_t most(const struct mt_admit *a, uint64_t left)
{
	return MT_MAX(left / 2, MT_MIN(2 * a->least, left - left / 4));
}

/*
 * True if the endpoint can answer `out` calls within `wait`, at the rate of replies in the current
 * window.
 */
static bool in_time(const struct mt_proxy *p, const struct mt_admit *a, uint64_t out, uint64_t wait)
{
	uint64_t passed = p->now - a->since;

	return out * (a->busy ? passed : MT_MIN(passed, WINDOW)) <=
	       wait * MT_MAX(a->n, UINT64_C(1));
}

bool mt_admit_looks(
	struct mt_proxy *p, const struct mt_exchange *ex, uint32_t ep_index, uint64_t ep_id)
{
	uint64_t out = p->ep_stats[ep_index].outstanding, left, wait;
	const struct mt_admit *a;

	if (ex->oneway || ex->deadline.at <= p->now || mt_mutant(MT_MUTANT_admits_all))
		return false;
	a = admit_of(p, ep_index, ep_id);
	left = ex->deadline.at - p->now;
	if (out < MANY && !a->queueing && a->mean < left / 3)
		return false;
	wait = most(a, left);
	if (mt_unlikely(!a->pace))
		return !in_time(p, a, out, wait);
	if (mt_likely(out * a->pace <= wait))
		return false;
	/*
	 * The server may have changed since an old pace was measured: such a pace refuses only
	 * calls that the current window refuses, too.
	 */
	return p->now - a->known_at < STALE || !in_time(p, a, out, wait);
}
