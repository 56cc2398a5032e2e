/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's drain. /ready answers 503, clients are notified and leave, and new ones are accepted
 * and served, because they may not know another node yet.
 * - By the command `drain` the daemon goes on. Clients that stay are closed between two calls.
 *   `return` ends it.
 * - By SIGTERM or SIGINT the daemon ends. Once that is short, or the time of the Node (spec.drain)
 *   requires it, it stops to accept clients and closes those that are left; then it is away until
 *   the next process answers, and resets what is left after that time at the latest. A second
 *   signal stops at once.
 */
#include "daemon.h"

#include <signal.h>

/* Until the end of the time, to close opaque connections in order. */
#define LAST_NS MT_SEC

/* The times of the Node document as it is now. */
static void read_times(struct daemon *d)
{
	const struct mt_node_drain *n = &config_node(d)->drain;
	struct drain *r = &d->drain;
	uint64_t end = n->time.v * MT_MSEC;
	bool waits = n->then.v == MT_DRAIN_WAIT;

	r->ms = (uint32_t)n->time.v;
	r->times = (struct drain_times){
		.close = end / 3,
		.calls = waits ? MT_NEVER : end / 2,
		.most = waits ? MT_NEVER : end - LAST_NS,
		.end = waits ? MT_NEVER : end,
	};
}

/* ---- by the command ----------------------------------------------------------------------- */

bool drain_command(struct daemon *d, uint64_t now)
{
	if (d->draining)
		return false;
	if (d->drain.from)
		return true;
	read_times(d);
	d->drain.from = now;
	workers_leave(d, d->drain.ms);
	mt_ctl_set_state(d->ctl, MT_CTL_DRAINING);
	return true;
}

bool drain_return(struct daemon *d)
{
	if (d->draining)
		return false;
	if (!d->drain.from)
		return true;
	d->drain = (struct drain){0};
	workers_stay(d);
	mt_ctl_set_state(d->ctl, MT_CTL_SERVING);
	return true;
}

void drain_turn(struct daemon *d, uint64_t now)
{
	struct drain *r = &d->drain;

	if (!r->from || r->logged || d->draining || !workers_left(d))
		return;
	r->logged = true;
	mt_log(MT_LOG_INFO, "boot",
		"drained after %llu s: no client is connected; the daemon goes on until SIGTERM or "
		"`return`",
		(unsigned long long)((now - r->from) / MT_SEC));
}

/* ---- by a signal -------------------------------------------------------------------------- */

static void log_signal(const struct daemon *d, int sig)
{
	const struct drain_times *t = &d->drain.times;
	const char *name = sig == SIGTERM ? "TERM" : "INT";
	unsigned long long close = t->close / MT_SEC;

	if (t->end == MT_NEVER)
		mt_log(MT_LOG_INFO, "boot",
			"draining by SIG%s: clients are served until they have gone, new ones, "
			"too, for %llu s and until no call or opaque connection lasts; a second "
			"signal stops at once",
			name, close);
	else
		mt_log(MT_LOG_INFO, "boot",
			"draining by SIG%s: clients are served until they have gone, new ones, "
			"too, for %llu s; calls under way are answered for %llu s at most; a "
			"second signal stops at once",
			name, close, (unsigned long long)(t->end / MT_SEC));
}

bool drain_signal(struct daemon *d, int sig, uint64_t now)
{
	struct drain *r = &d->drain;

	if (d->draining) {
		mt_log(MT_LOG_WARN, "boot", "stopping without waiting for what is under way");
		return false;
	}
	read_times(d);
	log_signal(d, sig);
	d->draining = true;
	r->signal_at = now;
	r->from = r->from ? r->from : now;
	r->logged = false;
	mt_ctl_set_state(d->ctl, MT_CTL_DRAINING);
	notify_stopping(d);
	/*
	 * Without a time, clients that go on calling stay until the node closes, so that none
	 * connects here twice. After the command `drain` its time stays.
	 */
	workers_leave(d, r->times.end == MT_NEVER ? r->ms : 0);
	return true;
}

/* True once the daemon need not wait any longer before it stops to accept clients. */
static bool closes_now(struct daemon *d, uint64_t now)
{
	const struct drain *r = &d->drain;
	uint64_t age = now - r->signal_at;

	if (age >= r->times.most || workers_left(d))
		return true;
	if (age >= r->times.calls && !workers_calls_are_short(d))
		return true;
	return now - r->from >= r->times.close && workers_brief(d);
}

/* Stops to accept clients once that is the shortest way to the next process. */
static void close_due(struct daemon *d, uint64_t now)
{
	if (!closes_now(d, now))
		return;
	d->drain.close_at = now;
	workers_close(d);
	mt_log(MT_LOG_INFO, "boot",
		"closing after %llu s: clients that are left are closed between two calls, and new "
		"ones wait for the next process",
		(unsigned long long)((now - d->drain.signal_at) / MT_SEC));
}

static void log_wait(struct drain *r, unsigned long long s)
{
	if (r->logged)
		return;
	r->logged = true;
	mt_log(MT_LOG_WARN, "boot",
		"not drained after %llu s: waits for calls and opaque connections "
		"(spec.drain.then: "
		"wait; `show connections`); a second signal resets them",
		s);
}

/* True if connections that are left are to be reset. */
static bool is_late(const struct drain *r, uint64_t now)
{
	/* With `wait`, too, a node that accepts no clients is away for this time at most. */
	if (r->close_at && now - r->close_at >= r->ms * MT_MSEC)
		return true;
	return now - r->signal_at >= r->times.end;
}

bool drain_is_over(struct daemon *d, uint64_t now)
{
	struct drain *r = &d->drain;
	unsigned long long s = (now - r->signal_at) / MT_SEC;

	if (!r->close_at)
		close_due(d, now);
	if (r->close_at && workers_drained(d, now)) {
		mt_log(MT_LOG_INFO, "boot", "drained after %llu s: no client is connected", s);
		return true;
	}
	if (!r->close_at && r->times.end == MT_NEVER && now - r->signal_at >= r->ms * MT_MSEC)
		log_wait(r, s);
	if (!is_late(r, now))
		return false;
	mt_log(MT_LOG_WARN, "boot", "not drained after %llu s: connections that are left are reset",
		s);
	return true;
}
