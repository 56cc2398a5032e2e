/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluates tokens of calls, by the cache or after another thread has verified the token. */
#include "access/mt_access_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Value of mt_exchange.token: the token was valid, but the cache does not have its claims. */
#define LOST UINT16_MAX

void mt_tokens_init(struct mt_proxy *p)
{
	mt_list_init(&p->tokens.later);
	for (uint32_t i = 0; i < MT_TOKEN_SLOTS; i++)
		mt_list_init(&p->tokens.by_slot[i]);
}

int mt_proxy_attach_tokens(struct mt_proxy *p, struct mt_token_lane *lane)
{
	p->tokens.cache = mt_token_cache_new();
	if (!p->tokens.cache)
		return -ENOMEM;
	lane->wake = mt_filter_inbox_ring;
	lane->who = mt_filter_inbox_who(p->filters.inbox);
	p->tokens.lane = lane;
	return 0;
}

void mt_tokens_fini(struct mt_proxy *p)
{
	mt_token_cache_free(p->tokens.cache);
	p->tokens.cache = NULL;
}

const uint64_t *mt_proxy_token_counters(const struct mt_proxy *p)
{
	return p->tokens.counters;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/*
 * List of calls that wait for the token with this digest; NULL: the token is not being verified.
 * Leaves out the list of k->unfinished: if calls could still join that list, it might never become
 * empty, and until it is empty no result of another token is taken (next_result()).
 */
static struct mt_list *under_way(struct mt_tokens *k, const uint8_t *digest)
{
	for (uint32_t i = 0; i < MT_TOKEN_SLOTS; i++)
		if (!mt_list_empty(&k->by_slot[i]) && &k->lane->slots[i] != k->unfinished &&
			memcmp(k->lane->slots[i].digest, digest, MT_TOKEN_DIGEST) == 0)
			return &k->by_slot[i];
	return NULL;
}

static struct mt_list *ask_for(struct mt_proxy *p, const struct mt_authz_tokens *t,
	const struct mt_tokens_found *f, const uint8_t *digest)
{
	struct mt_tokens *k = &p->tokens;
	struct mt_list *list = under_way(k, digest);
	struct mt_token_slot *s = list ? NULL : mt_token_lane_slot(k->lane);

	if (!s)
		return list ? list : &k->later;
	s->allowed = f->allowed;
	s->now_s = (int64_t)(p->wall / MT_SEC);
	memcpy(s->digest, digest, sizeof(s->digest));
	s->len = f->len;
	memcpy(s->token, k->token, f->len);
	mt_token_lane_ask(k->lane, s, t->rules);
	return &k->by_slot[mt_token_lane_index(k->lane, s)];
}

static bool begin_to_wait(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_authz_tokens *t, const struct mt_tokens_found *f, const uint8_t *digest,
	bool at_gate)
{
	uint32_t left = mt_call_left(p, ex);

	if (!mt_verdict_wait(p, ex, at_gate)) {
		mt_count(p->counters, MT_PROXY_token_full);
		return false;
	}
	mt_count(p->counters, MT_PROXY_token_waited);
	mt_exchange_side(p, ex)->asks = false;
	mt_list_add_tail(ask_for(p, t, f, digest), &ex->queue_node);
	mt_deadline_arm(
		&p->deadlines, &ex->deadline, p->now, MT_MIN(left, (uint32_t)MT_TOKENS_WAIT_MS));
	mt_exchange_trace_queued(p, ex, "its token has to be verified");
	return true;
}

/* Resumes the first call of a list. */
static void go_on(struct mt_proxy *p, struct mt_list *list)
{
	mt_verdict_go_on(p, mt_list_entry(list->next, struct mt_exchange, queue_node));
}

/*
 * Resumes calls that wait for a slot, while a slot is free. If no steps are left, the next
 * iteration continues.
 */
static void fill_slots(struct mt_proxy *p)
{
	struct mt_tokens *k = &p->tokens;

	while (k->lane && k->lane->n_free && !mt_list_empty(&k->later)) {
		if (mt_unlikely(!mt_resumes_may(p))) {
			mt_filter_inbox_ring(mt_filter_inbox_who(p->filters.inbox));
			return;
		}
		go_on(p, &k->later);
	}
}

/* Slot with the next result, or NULL. k->unfinished is first: calls still wait for its result. */
static struct mt_token_slot *next_result(struct mt_tokens *k)
{
	struct mt_token_slot *s = k->unfinished;

	k->unfinished = NULL;
	if (s)
		return s;
	s = mt_token_lane_take(k->lane);
	if (s)
		mt_token_cache_put(k->cache, s->rules_id, s->digest, &s->result, s->now_s);
	return s;
}

/*
 * Resumes the calls that wait for the slot's result. False: steps ran out, and some calls still
 * wait. Without steps mt_call_run() would put a call off until k->fresh is NULL; a result that
 * found no place in the cache is only in k->fresh.
 */
static bool use(struct mt_proxy *p, struct mt_token_slot *s)
{
	struct mt_tokens *k = &p->tokens;
	struct mt_list *waiting = &k->by_slot[mt_token_lane_index(k->lane, s)];

	k->fresh = s;
	while (!mt_list_empty(waiting) && mt_resumes_may(p))
		go_on(p, waiting);
	k->fresh = NULL;
	if (mt_unlikely(!mt_list_empty(waiting)))
		return false;
	mt_token_lane_give_back(k->lane, s);
	return true;
}

uint32_t mt_tokens_turn(struct mt_proxy *p)
{
	struct mt_tokens *k = &p->tokens;
	struct mt_token_slot *s;
	uint32_t n = 0;

	mt_resumes_begin(p);
	for (; k->lane && n < MT_TOKEN_SLOTS && (s = next_result(k)); n++) {
		if (mt_likely(use(p, s)))
			continue;
		k->unfinished = s;
		mt_filter_inbox_ring(mt_filter_inbox_who(p->filters.inbox));
		return n + 1;
	}
	fill_slots(p);
	return n;
}

/* ---- decisions ------------------------------------------------------------------------------- */

static enum mt_tokens_verdict denied(struct mt_proxy *p, enum mt_token_outcome o,
	const struct mt_authz_tokens *t, uint32_t rule, struct mt_tokens_judged *j)
{
	mt_count(p->tokens.counters, o);
	mt_count(p->counters, MT_PROXY_exchange_unauthenticated);
	j->ending = MT_ENDING_token_refused;
	snprintf(j->text, sizeof(j->text), MT_DENIED_TOKEN "%s", mt_token_words(o));
	if (rule < t->rules->n)
		j->by = t->rules->rules[rule].by;
	p->denied.by = j->by;
	return MT_TOKENS_ANSWER;
}

static enum mt_tokens_verdict overloaded(struct mt_tokens_judged *j, const char *why)
{
	j->ending = MT_ENDING_overload;
	snprintf(j->text, sizeof(j->text), "%s", why);
	return MT_TOKENS_ANSWER;
}

/*
 * Requires the call's metadata changes, which include those of its token. `ok` false: the token's
 * changes could not be made.
 */
static enum mt_tokens_verdict changed(
	struct mt_proxy *p, struct mt_exchange *ex, bool ok, struct mt_tokens_judged *j)
{
	if (!ok)
		return overloaded(j, "its metadata cannot be changed as its token requires");
	ex->must_change |= p->view.n_mutations > 0;
	return MT_TOKENS_PASS;
}

/*
 * Uses the claims that the call keeps: the gateway's rules, or those of the endpoint of an earlier
 * attempt, have made the token's changes already, and may have removed the token.
 */
static enum mt_tokens_verdict again(struct mt_proxy *p, const struct mt_exchange *ex,
	const struct mt_authz_tokens *t, struct mt_tokens_judged *j)
{
	const struct mt_token_known *k =
		ex->token == LOST ? NULL : mt_token_cache_held(p->tokens.cache, ex->token);

	if (!k || k->rules != t->rules->id)
		return overloaded(j, "its token would have to be verified again");
	j->claims = &k->claims;
	return MT_TOKENS_PASS;
}

static enum mt_tokens_verdict valid(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_authz_tokens *t, const struct mt_tokens_found *f, uint32_t rule,
	const struct mt_claims *claims, struct mt_tokens_judged *j)
{
	/* If the call has ex->token, its valid token was counted before. */
	if (!ex->token)
		mt_count(p->tokens.counters, MT_TOKEN_valid);
	j->claims = claims;
	return changed(p, ex, mt_tokens_adorn(p, t, rule, claims, f->len), j);
}

static enum mt_tokens_verdict look_up(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_authz_tokens *t, const struct mt_tokens_found *f, bool at_gate,
	struct mt_tokens_judged *j)
{
	const struct mt_token_slot *fresh = p->tokens.fresh;
	uint8_t digest[MT_TOKEN_DIGEST];
	enum mt_token_outcome o;

	mt_token_cache_digest(
		p->tokens.cache, t->rules, f->allowed, p->tokens.token, f->len, digest);
	if (mt_token_cache_find(p->tokens.cache, t->rules, digest, (int64_t)(p->wall / MT_SEC), &o,
		    &j->known)) {
		if (j->known)
			return valid(p, ex, t, f, j->known->rule, &j->known->claims, j);
		return denied(p, o, t, UINT32_MAX, j);
	}
	/* The calls of `fresh` are being resumed; its result found no place in the cache. */
	if (fresh && memcmp(fresh->digest, digest, sizeof(digest)) == 0) {
		if (fresh->result.outcome == MT_TOKEN_valid)
			return valid(p, ex, t, f, fresh->result.rule, &fresh->result.claims, j);
		return denied(p, fresh->result.outcome, t, fresh->result.rule, j);
	}
	if (!mt_verdict_may_wait(p, ex))
		return overloaded(j, mt_verdict_too_often);
	if (begin_to_wait(p, ex, t, f, digest, at_gate))
		return MT_TOKENS_WAITS;
	return overloaded(j, "too many tokens have to be verified");
}

enum mt_tokens_verdict mt_tokens_judge(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_authorize_request *ask, const struct mt_authz_tokens *t,
	struct mt_tokens_judged *j)
{
	struct mt_tokens_found f;
	enum mt_token_outcome o;

	*j = (struct mt_tokens_judged){.by = t->rules->n ? t->rules->rules[0].by : NULL};
	if (ex->token && (ask->gate || ex->layered))
		return again(p, ex, t, j);
	mt_tokens_find(ask, t, p->tokens.token, &f);
	if (f.read != MT_AUTHZ_READ)
		return MT_TOKENS_UNREAD;
	o = f.too_long ? MT_TOKEN_too_long : f.n > 1 ? MT_TOKEN_several : MT_TOKEN_valid;
	if (o)
		return denied(p, o, t, UINT32_MAX, j);
	if (!f.n)
		return changed(p, ex, mt_tokens_sanitize(p, t), j);
	if (!p->tokens.lane)
		return denied(p, MT_TOKEN_internal, t, UINT32_MAX, j);
	return look_up(p, ex, t, &f, ask->gate != NULL, j);
}

void mt_tokens_hold(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_tokens_judged *j)
{
	/* These rules use no token, so claims that were held for other rules are dropped. */
	if (!j->claims) {
		if (ex->token)
			mt_tokens_drop(p, ex);
		return;
	}
	/* Without `known`, j->claims are those that the call holds, or are not in the cache. */
	if (ex->token && !j->known)
		return;
	if (ex->token)
		mt_tokens_drop(p, ex);
	ex->token = j->known ? (uint16_t)mt_token_cache_hold(p->tokens.cache, j->known) : LOST;
	ex->side = true;
}

void mt_tokens_drop(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (ex->token != LOST)
		mt_token_cache_drop(p->tokens.cache, ex->token);
	ex->token = 0;
}

void mt_tokens_forget(struct mt_exchange *ex)
{
	if (ex->token)
		ex->token = LOST;
}
