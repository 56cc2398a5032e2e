/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drain of the whole worker, by passes over its clients in slices, because ending all of them at
 * once would delay a loop iteration.
 * 1. mt_proxy_leave(): new clients are still accepted. One pass starts to drain each connected
 *    client (drain.c). Further passes look for calls, messages and opaque streams that last, so
 *    that the daemon can choose a moment when the next step is short. If mt_proxy_leave() has a
 *    time, clients accepted later drain, too, by a pass in each third of it.
 * 2. mt_proxy_drain(): new clients are refused. One pass ends each client between two messages.
 * If mt_proxy_leave() was not called, the pass of step 2 only starts to drain each client, as in
 * step 1.
 * Opaque streams end by themselves, or when the daemon ends.
 */
#include "client/mt_client_priv.h"

#define SLICE 256 /* clients in one loop iteration */
/* Calls and messages older than this are lasting work. */
#define BRIEF_NS (500 * MT_MSEC)
/* If no client was accepted for this time, new clients connect elsewhere. */
#define QUIET_NS MT_SEC
/* Pause between passes that look for lasting work. */
#define PASS_NS (50 * MT_MSEC)
/* The time of mt_proxy_leave() has so many passes that notify clients. */
#define NOTIFY_PART 3

static bool lasts(const struct mt_proxy *p, struct mt_down *d)
{
	struct mt_list *first = mt_list_first(&d->exchanges);
	uint64_t since = p->now - MT_MIN(p->now, BRIEF_NS);

	if (!d->s)
		return false;
	if (d->msg_started && d->msg_started < since)
		return true;
	return first && mt_list_entry(first, struct mt_exchange, down_node)->started < since;
}

static void visit(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_ref ref = d->self;

	if (p->drain.looks) {
		p->drain.lasting |= lasts(p, d);
		return;
	}
	mt_down_drain_in(p, d, p->drain.leave_at ? p->drain.ms : p->conf.drain_ms);
	/* In step 1 a draining connection waits for its client; its timer starts step 2 now. */
	if (!p->drain.close_at || !mt_slab_live(&p->downs, ref) || !d->s || !d->drain_started)
		return;
	d->retry_at = p->now;
	mt_down_arm(p, d);
}

static void pass(struct mt_proxy *p, bool looks, uint64_t at)
{
	p->drain.down = p->drain.selections = 0;
	p->drain.looks = looks;
	p->drain.lasting = false;
	p->drain.next = at;
}

/* True if clients that were accepted meanwhile are to drain, too. */
static bool notifies_again(const struct mt_proxy *p)
{
	return p->drain.ms && p->now - p->drain.notified_at >= p->drain.ms * MT_MSEC / NOTIFY_PART;
}

static void pass_ends(struct mt_proxy *p)
{
	struct mt_drain *w = &p->drain;
	bool again = notifies_again(p);

	if (w->looks) {
		w->brief = !w->lasting && p->pairs.in_use == 0;
		w->lasted |= w->lasting;
	}
	if (again)
		w->notified_at = p->now;
	pass(p, !again, p->draining ? MT_NEVER : p->now + PASS_NS);
}

void mt_drain_turn(struct mt_proxy *p)
{
	struct mt_drain *w = &p->drain;
	struct mt_chain_selection *u;
	struct mt_down *d;

	for (uint32_t n = 0; n < SLICE; n++) {
		d = mt_slab_next(&p->downs, &w->down);
		u = d || !p->draining ? NULL : mt_slab_next(&p->selections, &w->selections);
		if (d) {
			visit(p, d);
		} else if (u) {
			mt_chain_selection_reset(p, u, MT_PROXY_down_draining);
		} else {
			pass_ends(p);
			return;
		}
	}
}

void mt_proxy_leave(struct mt_proxy *p, uint32_t ms)
{
	if (p->draining)
		return;
	p->drain.lasted = false;
	if (p->drain.leave_at)
		return;
	p->drain.leave_at = MT_MAX(p->now, 1u);
	p->drain.ms = ms;
	p->drain.notified_at = p->now;
	pass(p, false, p->now);
}

void mt_proxy_stay(struct mt_proxy *p)
{
	if (p->draining || !p->drain.leave_at)
		return;
	p->drain.leave_at = 0;
	p->drain.ms = 0;
	p->drain.brief = p->drain.lasted = false;
	pass(p, true, MT_NEVER);
}

void mt_proxy_drain(struct mt_proxy *p)
{
	if (p->draining)
		return;
	p->draining = true;
	if (p->drain.leave_at)
		p->drain.close_at = MT_MAX(p->now, 1u);
	pass(p, false, p->now);
}

bool mt_proxy_idle(const struct mt_proxy *p)
{
	return p->downs.in_use == 0 && p->pairs.in_use == 0 && p->selections.in_use == 0 &&
	       p->exchanges.in_use == p->mirror.n;
}

bool mt_proxy_left(const struct mt_proxy *p)
{
	return mt_proxy_idle(p) && p->now - p->drain.accepted_at >= QUIET_NS;
}

bool mt_proxy_brief(const struct mt_proxy *p)
{
	return p->drain.brief && p->pairs.in_use == 0;
}

bool mt_proxy_lasted(const struct mt_proxy *p)
{
	return p->drain.lasted;
}
