/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that somebody outside is asked about, and what he answers. */
#include "mt_proxy_priv.h"

#include "mt_filter_inbox.h"

#define QUARTER (MT_EXTAUTHZ_SLOTS / 4)

_Static_assert(MT_EXTAUTHZ_SLOTS <= UINT8_MAX, "questions of a client are counted by a byte");

void mt_policy_asks_init(struct mt_proxy *p)
{
	for (uint32_t i = 0; i < MT_EXTAUTHZ_SLOTS; i++)
		mt_list_init(&p->policy_asks.by_slot[i]);
}

void mt_proxy_attach_asks(struct mt_proxy *p, struct mt_extauthz_lane *lane)
{
	mt_extauthz_wake(lane, mt_filter_inbox_ring, mt_filter_inbox_who(p->filters.inbox));
	p->policy_asks.lane = lane;
}

/* ---- asked ----------------------------------------------------------------------------------------- */

static const struct mt_unasked full = {MT_REPLY_OVERLOAD,
				       "too many calls wait for an authorization decision"},
			       unread = {MT_REPLY_DENIED, "denied by policy"};

/* The last quarter is for clients' addresses that do not have a quarter already. */
static bool has_room(const struct mt_proxy *p)
{
	const struct mt_extauthz_lane *l = p->policy_asks.lane;
	uint32_t own = p->policy_asks.by_client[mt_fair_bucket(p, &p->view.peer)];

	return l && (mt_extauthz_room(l) > QUARTER || own < QUARTER);
}

bool mt_policy_asks_begin(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_guard_ask *ask, const struct mt_authz_policy *by, struct mt_unasked *why)
{
	struct mt_asks_of_policy *k = &p->policy_asks;
	struct mt_extauthz_slot *s = has_room(p) ? mt_extauthz_slot(k->lane) : NULL;
	uint32_t left = mt_dispatch_left(p, ex);

	*why = full;
	if (!s) {
		mt_count(p->counters, MT_PROXY_extauthz_full);
		return false;
	}
	/* What is not shown whole is not judged, whatever is said of services that cannot judge. */
	if (!mt_guard_describe(ask, s)) {
		*why = unread;
		mt_count(p->counters, MT_PROXY_exchange_unreadable);
		mt_extauthz_give_back(k->lane, s);
		return false;
	}
	if (!mt_verdict_wait(p, ex, ask->gate != NULL)) {
		mt_count(p->counters, MT_PROXY_extauthz_full);
		mt_extauthz_give_back(k->lane, s);
		return false;
	}
	mt_count(p->counters, MT_PROXY_extauthz_waited);
	mt_exchange_side(p, ex)->asks = true;
	s->id = (uint64_t)ex->self.idx << 32 | ex->self.gen;
	s->timeout = left * MT_MSEC;
	mt_list_add_tail(&k->by_slot[mt_extauthz_index(k->lane, s)], &ex->queue_node);
	k->client[mt_extauthz_index(k->lane, s)] = mt_exchange_side(p, ex)->verdict_client;
	k->by_client[mt_exchange_side(p, ex)->verdict_client]++;
	mt_deadline_arm(&p->deadlines, &ex->deadline, p->now, left);
	mt_exchange_trace_queued(p, ex, "waits for an external authorization decision");
	mt_extauthz_ask(k->lane, s, by->asks);
	return true;
}

/* ---- answered --------------------------------------------------------------------------------------- */

/* The service knows names in small letters alone, and means each one that it was told so. */
static bool change(
	struct mt_proxy *p, const struct mt_extauthz_slot *s, const struct mt_extauthz_change *c)
{
	struct mt_key key = mt_key_make(p->view.codec, mt_extauthz_text(s, c->key));
	const struct mt_mutation m = {.key = key.name,
		.key_len = key.len,
		.value = c->remove ? NULL : mt_extauthz_text(s, c->value),
		.value_len = c->remove ? 0 : c->value.len};

	key.icase = true;
	return mt_metadata_strip(p, &key) && mt_filter_change(&p->filters, &p->view, &m);
}

/* Behind the changes that its filters have made. */
static bool keep_changes(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_extauthz_slot *s)
{
	if (!s->n_changes)
		return true;
	mt_dispatch_view(p, ex);
	mt_overlay_restore(p, ex);
	/* No change of the view has its text there. */
	p->filters.text_used = 0;
	for (uint32_t i = 0; i < s->n_changes; i++)
		if (!change(p, s, &s->change[i]))
			return false;
	ex->must_change = true;
	return mt_overlay_keep(p, ex) == 0;
}

static void answer(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what, const char *text)
{
	mt_list_del(&ex->queue_node);
	mt_verdict_left(p, ex);
	mt_reply_local(p, ex, what, text);
}

/*
 * Its time is over. A turn takes only so many expired deadlines before it comes to answers, and a deadline may be armed later than
 * the time that the question was given.
 */
static bool is_over(
	const struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_extauthz_slot *s)
{
	return s->verdict == MT_EXTAUTHZ_EXPIRED || p->now >= ex->deadline.at;
}

static void told(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_extauthz_slot *s)
{
	bool passes = s->verdict == MT_EXTAUTHZ_ALLOW ||
		      (s->verdict == MT_EXTAUTHZ_UNJUDGED && s->fails_open);

	if (is_over(p, ex, s)) {
		mt_exchange_expired(p, ex);
		return;
	}
	if (!passes) {
		mt_count(p->counters, s->verdict == MT_EXTAUTHZ_DENY
					      ? MT_PROXY_exchange_denied
					      : MT_PROXY_exchange_extauthz_failed);
		answer(p, ex, MT_REPLY_DENIED, "denied by policy");
		return;
	}
	if (!keep_changes(p, ex, s)) {
		answer(p, ex, MT_REPLY_OVERLOAD, "its metadata cannot be changed as it has to be");
		return;
	}
	ex->asked = s->asked;
	mt_verdict_go_on(p, ex);
}

uint32_t mt_policy_asks_turn(struct mt_proxy *p)
{
	struct mt_asks_of_policy *k = &p->policy_asks;
	struct mt_extauthz_slot *s;
	uint32_t n = 0;

	for (; k->lane && n < MT_EXTAUTHZ_SLOTS && (s = mt_extauthz_take(k->lane)); n++) {
		struct mt_list *waiting = &k->by_slot[mt_extauthz_index(k->lane, s)];

		k->by_client[k->client[mt_extauthz_index(k->lane, s)]]--;
		/* Its call may have left. */
		if (!mt_list_empty(waiting))
			told(p, mt_list_entry(waiting->next, struct mt_exchange, queue_node), s);
		mt_extauthz_give_back(k->lane, s);
	}
	return n;
}
