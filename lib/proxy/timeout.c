/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time-out of a call: the configured one of its route or service, else the caller's own, which
 * the message carries, else the node's. The time-out of one attempt (mt_retry.try_ms) is armed when
 * the attempt is sent (lane.c, arm_try_timeout()).
 */
#include "mt_proxy_base.h"

/* The caller's own time-out in ms; 0: the message has none that can be read. */
static mt_inline uint32_t carried(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_key *key = &ex->codec->deadline_key;
	struct mt_slice v;
	uint32_t ms = 0;

	if (ex->msg.timeout_ms || !key->name || ex->in_message)
		return ex->msg.timeout_ms;
	/*
	 * Uses another scratch than the view's, because a filter that requests the time left may
	 * have values in that one.
	 */
	if (!mt_view_get_in(&p->view, key, &v, p->deadline_scratch) || v.len > 8)
		return 0;
	for (uint32_t i = 0; i < v.len; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return 0;
		ms = ms * 10 + (v.p[i] - '0');
	}
	return ms;
}

/* A call's time-out, ms. `configured`: that of its route or service; 0: none. */
static mt_inline uint32_t timeout_of(
	struct mt_proxy *p, struct mt_exchange *ex, uint32_t configured)
{
	uint32_t ms;

	if (configured)
		return configured;
	ms = carried(p, ex);
	if (ms && ms < p->conf.exchange_ms)
		return mt_deadline_round(&p->deadlines, ms + p->conf.grace_ms);
	return ms || !ex->snap->timeout_ms ? p->conf.exchange_ms : ex->snap->timeout_ms;
}

uint32_t mt_call_timeout(struct mt_proxy *p, struct mt_exchange *ex)
{
	return timeout_of(p, ex, mt_snapshot_timeout(ex->route, ex->service));
}

/* The time-out of a call that may have no route or service yet, ms. */
static uint32_t whole(struct mt_proxy *p, struct mt_exchange *ex)
{
	uint32_t configured = 0;

	if (ex->route)
		configured = mt_snapshot_timeout(ex->route, ex->service);
	else if (ex->service)
		configured = ex->service->timeout_ms;
	return timeout_of(p, ex, configured);
}

static uint64_t gone(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	return (p->now - ex->started) / MT_MSEC;
}

bool mt_call_is_late(struct mt_proxy *p, struct mt_exchange *ex)
{
	return gone(p, ex) >= whole(p, ex);
}

uint32_t mt_call_left(struct mt_proxy *p, struct mt_exchange *ex)
{
	uint32_t all = whole(p, ex);
	uint64_t passed = gone(p, ex);

	return passed < all ? mt_deadline_round(&p->deadlines, all - (uint32_t)passed) : 1;
}
