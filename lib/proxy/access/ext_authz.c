/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for the decision of an external authorization service. */
#include "access/mt_access_priv.h"

#include "mt_filter_inbox.h"

#include <string.h>

#define QUARTER (MT_EXTAUTHZ_SLOTS / 4)

_Static_assert(MT_EXTAUTHZ_SLOTS <= UINT8_MAX, "questions of a client are counted by a byte");

void mt_ext_authz_init(struct mt_proxy *p)
{
	for (uint32_t i = 0; i < MT_EXTAUTHZ_SLOTS; i++) {
		mt_list_init(&p->ext_authz.by_slot[i]);
		p->ext_authz.client[i] = MT_VERDICT_CLIENTS;
	}
}

void mt_proxy_attach_asks(struct mt_proxy *p, struct mt_extauthz_lane *lane)
{
	mt_extauthz_wake(lane, mt_filter_inbox_ring, mt_filter_inbox_who(p->filters.inbox));
	p->ext_authz.lane = lane;
}

/* ---- requests -------------------------------------------------------------------------------- */

static const struct mt_unasked full = {MT_ENDING_overload,
				       "too many calls wait for an authorization decision"},
			       too_often = {MT_ENDING_overload, mt_verdict_too_often},
			       unread = {MT_ENDING_denied, MT_DENIED_BY_POLICY};

/*
 * True if the client may use a slot. The last quarter of the slots is for client buckets that have
 * less than a quarter of all.
 */
static bool has_room(const struct mt_proxy *p)
{
	const struct mt_extauthz_lane *l = p->ext_authz.lane;
	uint32_t own = p->ext_authz.by_client[mt_fair_bucket(p, &p->view.peer)];

	return l && (mt_extauthz_room(l) > QUARTER || own < QUARTER);
}

/* Id of the token rules at the endpoint, or gateway's port, of the request; 0: none. */
static uint64_t token_rules_of(const struct mt_authorize_request *ask)
{
	const struct mt_authz *a =
		ask->gate ? ask->gate->rules : ask->cluster->guards[ask->ep - ask->cluster->eps];

	return a->tokens ? a->tokens->rules->id : 0;
}

void mt_ext_authz_compare(
	struct mt_proxy *p, struct mt_exchange *ex, struct mt_authorize_request *ask)
{
	if (mt_exchange_side(p, ex)->asked_rules == token_rules_of(ask))
		return;
	mt_ext_authz_forget(p, ex);
	ask->asked = 0;
}

bool mt_ext_authz_begin(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_authorize_request *ask, const struct mt_authz_policy *by,
	struct mt_unasked *why)
{
	struct mt_ext_authz_calls *k = &p->ext_authz;
	struct mt_extauthz_slot *s;
	uint32_t left = mt_call_left(p, ex);

	*why = too_often;
	if (!mt_verdict_may_wait(p, ex))
		return false;
	*why = full;
	s = has_room(p) ? mt_extauthz_slot(k->lane) : NULL;
	if (!s) {
		mt_count(p->counters, MT_PROXY_extauthz_full);
		return false;
	}
	/* A call that cannot be described completely is denied, even if the provider fails open. */
	if (!mt_ext_authz_describe(ask, s)) {
		*why = unread;
		p->denied.by = by->by;
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
	mt_exchange_side(p, ex)->asked_rules = token_rules_of(ask);
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

/* ---- decisions ------------------------------------------------------------------------------- */

static struct mt_mutation change_of(
	const struct mt_extauthz_slot *s, const struct mt_extauthz_change *c)
{
	const char *key = mt_extauthz_text(s, c->key);

	return (struct mt_mutation){.key = key,
		.key_len = (uint16_t)strlen(key),
		.value = c->remove ? NULL : mt_extauthz_text(s, c->value),
		.value_len = c->remove ? 0 : c->value.len};
}

/* The service gets names in lower case, so its change applies to all spellings of a name. */
static bool change(struct mt_proxy *p, const struct mt_mutation *m)
{
	struct mt_key key = mt_key_make_icase(p->view.codec, m->key);

	return mt_metadata_strip(p, &key) && mt_filter_change(&p->filters, &p->view, m);
}

/* At a gateway: adds the service's changes to the kept ones, so that all endpoints get them. */
static bool change_at_gateway(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_extauthz_slot *s)
{
	struct mt_mutation m;

	mt_call_show(p, ex);
	for (uint32_t i = 0; i < s->n_changes; i++) {
		m = change_of(s, &s->change[i]);
		if (!change(p, &m))
			return false;
	}
	return mt_overlay_keep_view(p, ex) == 0;
}

/* Keeps the service's changes for endpoints with a policy that queries this service. */
static bool keep_decision(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_extauthz_slot *s)
{
	struct mt_chain kept = {0};
	struct mt_mutation m;

	for (uint32_t i = 0; i < s->n_changes; i++) {
		m = change_of(s, &s->change[i]);
		if (mt_overlay_put(p, &kept, &m) == 0)
			continue;
		mt_chain_free(&kept);
		return false;
	}
	mt_overlay_replace(p, ex, &mt_exchange_side(p, ex)->decision, &kept);
	return true;
}

static bool keep_changes(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_extauthz_slot *s)
{
	ex->must_change |= s->n_changes > 0;
	if (!mt_exchange_side(p, ex)->verdict_at_gate)
		return keep_decision(p, ex, s);
	return !s->n_changes || change_at_gateway(p, ex, s);
}

static bool asks(const struct mt_authz *a, uint32_t service)
{
	for (; a; a = a->also)
		for (uint32_t i = 0; i < a->n_deny; i++)
			if (a->deny[i]->asks_id == service)
				return true;
	return false;
}

bool mt_ext_authz_changes(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_authz *a)
{
	const struct mt_chain *decision = &mt_exchange_side(p, ex)->decision;
	struct mt_mutation m;
	uint32_t at = 0;

	if (!ex->changes_kept || !decision->len || !asks(a, ex->asked))
		return true;
	while (mt_overlay_next(p, decision, &at, &m))
		if (!change(p, &m))
			return false;
	return true;
}

void mt_ext_authz_forget(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_chain none = {0};

	ex->asked = 0;
	if (ex->changes_kept)
		mt_overlay_replace(p, ex, &mt_exchange_side(p, ex)->decision, &none);
}

static void answer(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_ending ending, const char *text)
{
	mt_list_del(&ex->queue_node);
	mt_verdict_left(p, ex);
	mt_reply_ending(p, ex, ending, text);
}

/*
 * True if the call has timed out. Its deadline may not have been processed: an iteration processes
 * a limited number of expired deadlines before decisions, and the time that the service was given
 * may end before the deadline.
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
	bool denied = s->verdict == MT_EXTAUTHZ_DENY, kept;

	if (is_over(p, ex, s)) {
		mt_access_user.expired(p, ex);
		return;
	}
	if (!passes) {
		mt_count(p->counters,
			denied ? MT_PROXY_exchange_denied : MT_PROXY_exchange_extauthz_failed);
		p->denied.by = "external authorization";
		answer(p, ex, denied ? MT_ENDING_ext_authz_denied : MT_ENDING_ext_authz_error,
			MT_DENIED_BY_POLICY);
		return;
	}
	kept = keep_changes(p, ex, s);
	mt_resumes_spend(p);
	if (!kept) {
		answer(p, ex, MT_ENDING_overload, "its metadata cannot be changed as it has to be");
		return;
	}
	ex->asked = s->asked;
	mt_verdict_go_on(p, ex);
}

/* Ends a slot's query. A query by the worker that was saved (image.c) counts for no client. */
static void query_ends(struct mt_ext_authz_calls *k, uint32_t slot)
{
	if (k->client[slot] < MT_VERDICT_CLIENTS)
		k->by_client[k->client[slot]]--;
	k->client[slot] = MT_VERDICT_CLIENTS;
}

/* The next answer. NULL: there is none, or no steps are left and the next iteration continues. */
static struct mt_extauthz_slot *next_answer(struct mt_proxy *p)
{
	if (mt_likely(mt_resumes_may(p)))
		return mt_extauthz_take(p->ext_authz.lane);
	mt_filter_inbox_ring(mt_filter_inbox_who(p->filters.inbox));
	return NULL;
}

uint32_t mt_ext_authz_turn(struct mt_proxy *p)
{
	struct mt_ext_authz_calls *k = &p->ext_authz;
	struct mt_extauthz_slot *s;
	uint32_t n = 0;

	mt_resumes_begin(p);
	for (; k->lane && n < MT_EXTAUTHZ_SLOTS && (s = next_answer(p)); n++) {
		struct mt_list *waiting = &k->by_slot[mt_extauthz_index(k->lane, s)];

		query_ends(k, mt_extauthz_index(k->lane, s));
		/* The call may have left the slot's list. */
		if (!mt_list_empty(waiting))
			told(p, mt_list_entry(waiting->next, struct mt_exchange, queue_node), s);
		mt_extauthz_give_back(k->lane, s);
	}
	return n;
}
