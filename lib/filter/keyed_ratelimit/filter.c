/* SPDX-License-Identifier: Apache-2.0 */
/* Takes tokens by key. */
#include "keyed.h"

#include <stdio.h>
#include <string.h>

#define OVER   "over limit"
#define CLOSED "its limit cannot be enforced"

/* A call, or a stream (v NULL), and what is known of its caller. */
struct subject {
	struct mt_view *v;
	struct mt_filter_ctx *ctx; /* NULL: of `explain` */
	const struct mt_addr *addr;
	bool asked;
	struct mt_filter_caller caller;
};

static const struct mt_filter_caller *caller_of(struct subject *who)
{
	if (!who->asked && who->ctx && who->ctx->caller)
		who->ctx->caller(who->ctx, &who->caller);
	who->asked = true;
	return &who->caller;
}

/* ---- keys ------------------------------------------------------------------------------------ */

struct made {
	uint64_t hash;
	bool any;
};

static inline void add_part(const struct mt_keyed_rule *r, struct made *k, uint64_t part)
{
	k->hash = k->any ? mt_keyed_hash_both(r, k->hash, part) : part;
	k->any = true;
}

static uint64_t hash_text(const struct mt_keyed_rule *r, struct mt_slice text)
{
	return mt_keyed_hash(r, text.len ? (const void *)text.p : "", text.len);
}

static uint64_t hash_connection(const struct mt_keyed_rule *r, const struct mt_filter_caller *c)
{
	const uint64_t of[3] = {c->addr.q[0], c->addr.q[1], c->port};

	return mt_keyed_hash(r, of, sizeof(of));
}

/* False: the call has no value of a key. */
static bool add_metadata(const struct mt_keyed_rule *r, const struct mt_keyed_select *s,
	struct subject *who, struct made *k)
{
	struct mt_slice value;

	for (uint32_t i = 0; i < s->n_keys; i++) {
		if (!mt_view_get(who->v, &s->keys[i], &value))
			return false;
		add_part(r, k, hash_text(r, value));
	}
	return true;
}

static bool is_principal(const struct mt_keyed_select *s, struct subject *who)
{
	const struct mt_slice is = caller_of(who)->principal;

	return is.p && is.len == s->principal_len && memcmp(is.p, s->principal, is.len) == 0;
}

/* As mt_prefix_contains(): families must agree. */
static inline bool is_in_network(const struct mt_keyed_select *s, const struct mt_addr *a)
{
	if (((a->q[0] ^ s->net.q[0]) & s->mask.q[0]) | ((a->q[1] ^ s->net.q[1]) & s->mask.q[1]))
		return false;
	return s->net4 || !mt_addr_is4(a);
}

/* True if the selector matches; its key is in *k. */
static inline bool selects(const struct mt_keyed_rule *r, const struct mt_keyed_select *s,
	struct subject *who, struct made *k)
{
	*k = (struct made){0};
	if (s->has_net && !is_in_network(s, who->addr))
		return false;
	if (s->reads && !who->v)
		return false;
	if (s->match && !mt_matcher_test(s->match, who->v))
		return false;
	if (s->principal && !is_principal(s, who))
		return false;
	if (s->by & MT_KEYED_BY_ADDRESS)
		add_part(r, k, mt_keyed_hash_addr(r, who->addr));
	if (s->by & MT_KEYED_BY_PRINCIPAL)
		add_part(r, k, hash_text(r, caller_of(who)->principal));
	if (s->by & MT_KEYED_BY_CONNECTION)
		add_part(r, k, hash_connection(r, caller_of(who)));
	if (!add_metadata(r, s, who, k))
		return false;
	if (mt_unlikely(s->salted))
		add_part(r, k, s->salt);
	return true;
}

/* The selector that matches first, and the hash of its key; NULL with `true`: the rule has none. */
static inline bool applies(const struct mt_keyed_limit_rule *r, struct subject *who,
	const struct mt_keyed_select **by, uint64_t *hash)
{
	struct made k;

	*by = NULL;
	*hash = r->all;
	for (uint32_t i = 0; i < r->n_selects; i++) {
		if (!selects(r->rule, &r->selects[i], who, &k))
			continue;
		*by = &r->selects[i];
		*hash = k.any ? k.hash : r->all;
		return true;
	}
	return r->n_selects == 0;
}

/* ---- names of keys --------------------------------------------------------------------------- */

struct text {
	char buf[MT_KEYED_NAME];
	size_t len;
};

static void add_text(struct text *t, const void *p, size_t len)
{
	if (t->len && t->len + 2 < sizeof(t->buf)) {
		memcpy(t->buf + t->len, ", ", 2);
		t->len += 2;
	}
	len = MT_MIN(len, sizeof(t->buf) - t->len);
	if (len)
		memcpy(t->buf + t->len, p, len);
	t->len += len;
}

static void add_slice(struct text *t, struct mt_slice s)
{
	add_text(t, s.p, s.len);
}

static void add_addr(struct text *t, const struct mt_addr *a)
{
	const struct mt_addr client = mt_addr_client(a);
	char words[MT_ADDR_STRLEN + 4];

	mt_addr_str(&client, words);
	if (!mt_addr_is4(a))
		strcat(words, "/64");
	add_text(t, words, strlen(words));
}

static void name_key(const struct mt_keyed_select *s, struct subject *who, struct text *t)
{
	char port[MT_ADDR_STRLEN + 8];
	struct mt_slice value;

	t->len = 0;
	if (s->by & MT_KEYED_BY_ADDRESS)
		add_addr(t, who->addr);
	if (s->by & MT_KEYED_BY_PRINCIPAL)
		add_slice(t, caller_of(who)->principal);
	if (s->by & MT_KEYED_BY_CONNECTION) {
		mt_addr_port_str(&caller_of(who)->addr, caller_of(who)->port, port);
		add_text(t, port, strlen(port));
	}
	for (uint32_t i = 0; i < s->n_keys; i++)
		if (mt_view_get(who->v, &s->keys[i], &value))
			add_slice(t, value);
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static mt_noinline enum mt_filter_verdict refuse(
	struct mt_filter_ctx *ctx, enum mt_ending ending, const char *text)
{
	mt_count(ctx->fw->counters, MT_FILTER_rate_limited);
	ctx->reply = MT_REPLY_OVER_LIMIT;
	ctx->ending = ending;
	ctx->reply_text = text;
	return MT_FILTER_REPLY;
}

/* No token is left. */
static mt_noinline enum mt_filter_verdict is_over(const struct mt_keyed_limit_rule *r,
	const struct mt_keyed_select *by, struct subject *who, uint64_t hash)
{
	struct mt_filter_ctx *ctx = who->ctx;
	struct text name = {.len = 0};

	if (!mt_keyed_note_again(r->rule, ctx->fw->worker, hash, ctx->now)) {
		if (by)
			name_key(by, who, &name);
		mt_keyed_note(r->rule, ctx->fw->worker, hash, name.buf, name.len, ctx->now);
	}
	if (!r->report_only)
		return refuse(ctx, MT_ENDING_ok, OVER);
	mt_count(ctx->fw->counters, MT_FILTER_would_be_limited);
	return MT_FILTER_NEXT;
}

static enum mt_filter_verdict take_all(const struct mt_keyed_limit *l, struct subject *who)
{
	struct mt_filter_ctx *ctx = who->ctx;
	const struct mt_keyed_select *by;
	enum mt_filter_verdict verdict;
	uint64_t hash;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct mt_keyed_limit_rule *r = &l->rules[i];

		if (!applies(r, who, &by, &hash))
			continue;
		if (mt_likely(mt_keyed_take(r->rule, ctx->fw->worker, hash, 1, ctx->now)))
			continue;
		verdict = is_over(r, by, who, hash);
		if (verdict != MT_FILTER_NEXT)
			return verdict;
	}
	return MT_FILTER_NEXT;
}

static enum mt_filter_verdict on_request(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	const struct mt_keyed_limit *l = f->conf;
	struct subject who = {.v = v, .ctx = ctx, .addr = &v->peer};

	if (mt_unlikely(l->closed))
		return refuse(ctx, MT_ENDING_limit_error, CLOSED);
	return take_all(l, &who);
}

static enum mt_filter_verdict on_stream(const struct mt_filter_inst *f, struct mt_filter_ctx *ctx)
{
	const struct mt_keyed_limit *l = f->conf;
	struct subject who = {.ctx = ctx};

	if (l->closed || (l->reads && !l->opaque))
		return refuse(ctx, MT_ENDING_ok, OVER);
	who.addr = &caller_of(&who)->addr;
	return take_all(l, &who);
}

/* ---- explain --------------------------------------------------------------------------------- */

/* The rule's bucket depends on the caller's certificate or connection, which `explain` lacks. */
static bool is_unknown(const struct mt_keyed_limit_rule *r)
{
	for (uint32_t i = 0; i < r->n_selects; i++)
		if (r->selects[i].principal ||
			(r->selects[i].by & (MT_KEYED_BY_PRINCIPAL | MT_KEYED_BY_CONNECTION)))
			return true;
	return false;
}

static void explain(const struct mt_filter_inst *f, struct mt_view *v, uint64_t now,
	struct mt_filter_told *told)
{
	const struct mt_keyed_limit *l = f->conf;
	struct subject who = {.v = l->opaque ? NULL : v, .addr = &v->peer};
	const struct mt_keyed_select *by;
	size_t len = 0;
	uint64_t hash;

	if (l->closed) {
		told->verdict = MT_FILTER_REPLY;
		told->reply = MT_REPLY_OVER_LIMIT;
		snprintf(told->words, sizeof(told->words), CLOSED ": all calls are refused");
		return;
	}
	for (uint32_t i = 0; i < l->n && len < sizeof(told->words); i++) {
		const struct mt_keyed_limit_rule *r = &l->rules[i];
		const char *sep = len ? "; " : "";
		bool overflow;
		uint32_t left;

		if (is_unknown(r)) {
			len += (size_t)snprintf(told->words + len, sizeof(told->words) - len,
				"%s%s: depends on the caller's connection", sep, r->name);
			continue;
		}
		if (!applies(r, &who, &by, &hash))
			continue;
		left = mt_keyed_left(r->rule, hash, now, &overflow);
		len += (size_t)snprintf(told->words + len, sizeof(told->words) - len,
			"%s%s: %u of %u tokens are there%s", sep, r->name, left,
			r->numbers.max_tokens, r->report_only ? "; it only reports" : "");
		if (left || r->report_only || told->verdict == MT_FILTER_REPLY)
			continue;
		told->verdict = MT_FILTER_REPLY;
		told->reply = MT_REPLY_OVER_LIMIT;
		told->line = r->line;
	}
	if (!len)
		snprintf(told->words, sizeof(told->words), "no rule applies: not limited");
}

const struct mt_filter mt_filter_keyed_ratelimit = {
	.name = "keyed_ratelimit",
	.on_request = on_request,
	.on_stream = on_stream,
	.explain = explain,
	.free_conf = mt_keyed_limit_free,
};
