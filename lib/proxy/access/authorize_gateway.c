/* SPDX-License-Identifier: Apache-2.0 */
/* Authorizes calls at the gateway's port, as a filter before all others. */
#include "mt_authorize.h"

#include "access/mt_access_priv.h"

#include <stdio.h>

static void set_reply(struct mt_filter_ctx *ctx, enum mt_ending ending, const char *text)
{
	ctx->reply = mt_reply_of_ending(ending);
	ctx->ending = ending;
	ctx->reply_text = text;
}

static enum mt_filter_verdict ask_gate(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	struct mt_proxy *p = mt_container_of(ctx, struct mt_proxy, filter_ctx);
	struct mt_exchange *ex = mt_slab_at(&p->exchanges, ctx->exchange);
	const struct mt_stream *down = mt_exchange_down(p, ex)->s;
	struct mt_authorize_request ask = {.v = v,
		.peer = v->peer,
		.who = mt_proxy_tls_peer(p, down),
		.bound = mt_snapshot_bound(p->snap, down),
		.gate = f->conf,
		.local = mt_stream_ends(down)->local,
		.service = ex->service,
		.scratch = &p->authorize_scratch,
		.asked = ex->asked,
		.whole = !ex->in_message};
	const struct mt_authz_policy *by = NULL;
	enum mt_authz_effect e = MT_AUTHZ_UNREAD;
	struct mt_tokens_judged token = {0};

	if (ex->asked)
		mt_ext_authz_compare(p, ex, &ask);
	switch (ask.gate->rules->tokens
			? mt_tokens_judge(p, ex, &ask, ask.gate->rules->tokens, &token)
			: MT_TOKENS_PASS) {
	case MT_TOKENS_PASS:
		ask.claims = token.claims;
		e = mt_authorize_at_gateway(&ask, &by);
		break;
	case MT_TOKENS_WAITS:
		return MT_FILTER_SUSPEND;
	case MT_TOKENS_ANSWER:
		set_reply(ctx, token.ending, p->filters.answer);
		snprintf(p->filters.answer, sizeof(p->filters.answer), "%s", token.text);
		return MT_FILTER_REPLY;
	case MT_TOKENS_UNREAD:
		break;
	}
	if (e == MT_AUTHZ_ALLOWED) {
		/* The result applies to the gateway's port only; endpoints check again. */
		ex->asked = 0;
		if (ex->token)
			mt_tokens_drop(p, ex);
		return MT_FILTER_NEXT;
	}
	if (e == MT_AUTHZ_ASK) {
		struct mt_unasked why;

		mt_tokens_hold(p, ex, &token);
		if (mt_ext_authz_begin(p, ex, &ask, by, &why))
			return MT_FILTER_SUSPEND;
		set_reply(ctx, why.ending, why.text);
		return MT_FILTER_REPLY;
	}
	mt_authorize_count(p, e, by);
	set_reply(ctx, MT_ENDING_denied, MT_DENIED_BY_POLICY);
	return MT_FILTER_REPLY;
}

const char *mt_authorize_effect_str(enum mt_authz_effect e)
{
	return e == MT_AUTHZ_ASK      ? "decided by the authorization service of"
	       : e == MT_AUTHZ_CLOSED ? "closed by"
				      : "denied by";
}

void mt_authorize_explain(const struct mt_filter_inst *f, struct mt_view *v,
	const struct mt_tls_peer *who, const struct mt_bound *bound, int64_t now_s,
	struct mt_filter_told *told)
{
	static struct mt_authorize_scratch scratch; /* control thread only */
	struct mt_authorize_request ask = {.v = v,
		.peer = v->peer,
		.who = who,
		.bound = bound,
		.gate = f->conf,
		.scratch = &scratch,
		.whole = true};
	const struct mt_authz_tokens *tokens = ask.gate->rules->tokens;
	const struct mt_authz_policy *by;
	const char *why = tokens ? mt_tokens_explain(&ask, tokens, now_s, &ask.claims) : NULL;
	enum mt_authz_effect e = why ? MT_AUTHZ_DENIED : mt_authorize_at_gateway(&ask, &by);

	if (e == MT_AUTHZ_ALLOWED)
		return;
	told->verdict = MT_FILTER_REPLY;
	told->reply = MT_REPLY_DENIED;
	if (why) {
		snprintf(told->words, sizeof(told->words), "unauthenticated: %s", why);
		return;
	}
	snprintf(told->words, sizeof(told->words), "%s %s", mt_authorize_effect_str(e),
		mt_authz_by(by));
}

static void explain_gate(const struct mt_filter_inst *f, struct mt_view *v, uint64_t now,
	struct mt_filter_told *told)
{
	mt_authorize_explain(f, v, NULL, NULL, (int64_t)(now / MT_SEC), told);
}

/* The snapshot owns the configuration. */
static void keep_conf(void *conf)
{
}

const struct mt_filter mt_gate_filter = {.name = "authorization",
	.on_request = ask_gate,
	.explain = explain_gate,
	.free_conf = keep_conf};
