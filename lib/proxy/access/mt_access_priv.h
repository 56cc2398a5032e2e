/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of access/: authorization, tokens, verdicts that are waited for. */
#pragma once

#include "pool/mt_pool_priv.h"

/* ---- authorize*.c ---- */

/* Who is not let through, by what has judged him; counted. */
void mt_authorize_count(
	struct mt_proxy *p, enum mt_authz_effect e, const struct mt_authz_policy *by);
/*
 * authorize.c: whether the call, or the stream of bytes, may go to this endpoint, which is guarded. false: it is counted, and a
 * call is answered.
 */
bool mt_authorize_call(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep);
/* Whether a copy of the call may go to an endpoint of another cluster. Nothing is counted or answered. */
bool mt_authorize_copy(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_cluster *c,
	const struct mt_endpoint *ep);
void mt_authorize_count_closed_opaque(struct mt_proxy *p, const struct mt_closer *by);
bool mt_authorize_opaque(
	struct mt_proxy *p, const struct mt_pair *pr, const struct mt_cluster *c, uint32_t at);
/* Whether the current rules deny a stream that is joined, or about to be: counted then. */
bool mt_authorize_opaque_at_gateway(
	struct mt_proxy *p, const struct mt_pair *pr, const struct mt_gate_guard *gate);
bool mt_authorize_opaque_ends(struct mt_proxy *p, const struct mt_pair *pr, uint32_t *cost);

/* ---- tokens.c ---- */

enum mt_tokens_verdict {
	MT_TOKENS_PASS,	  /* judged on, with `claims` if it has a token */
	MT_TOKENS_WAITS,  /* mt_call_run() goes on */
	MT_TOKENS_UNREAD, /* whether it has one cannot be read */
	MT_TOKENS_ANSWER, /* denied or refused: `reply` and `text` */
};

struct mt_tokens_judged {
	const struct mt_claims *claims; /* until the end of the turn's step */
	struct mt_token_known *known;	/* they are of; NULL: of nothing that lasts */
	const char *by;			/* who denies */
	enum mt_local_reply reply;
	bool reply_given; /* nothing is left to do with the call now */
	char text[96];
};

void mt_tokens_init(struct mt_proxy *p);
void mt_tokens_fini(struct mt_proxy *p);
/* Of a call that the view shows; counted. PASS: the view has the changes that the server is to see. */
enum mt_tokens_verdict mt_tokens_judge(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_authorize_request *ask, const struct mt_authz_tokens *t,
	struct mt_tokens_judged *j);
/* It is sent without its token: what that says is kept until the call ends. */
void mt_tokens_hold(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_tokens_judged *j);
void mt_tokens_drop(struct mt_proxy *p, struct mt_exchange *ex);
/*
 * tokens_metadata.c: removes what a caller says where only we may; and besides that puts in what a valid token says, taking it out itself
 * unless it is forwarded. `len`: of p->tokens.token. false: there is no room.
 */
bool mt_tokens_sanitize(struct mt_proxy *p, const struct mt_authz_tokens *t);
bool mt_tokens_adorn(struct mt_proxy *p, const struct mt_authz_tokens *t, uint32_t rule,
	const struct mt_claims *claims, uint32_t len);
/*
 * The view's metadata of that key, which is without case, are removed under each name that they are there by. Texts are in p->filters.text.
 * false: there is no room.
 */
bool mt_metadata_strip(struct mt_proxy *p, const struct mt_key *key);
/* What was verified; how many. */
uint32_t mt_tokens_turn(struct mt_proxy *p);

/*
 * The token of a loaded exchange was removed, and its claims are in the cache of the
 * worker that was saved. An endpoint that needs them refuses the call.
 */
void mt_tokens_forget(struct mt_exchange *ex);

/* ---- verdict.c ---- */

/*
 * A verdict is waited for, a token's (tokens.c) or somebody's who is asked (ext_authz.c): the call is suspended, within bounds. false: too
 * many wait, or it has waited too often; nothing has changed. The caller puts it into a list. And its end: it goes on where it began to wait,
 * in the newest configuration.
 */
bool mt_verdict_wait(struct mt_proxy *p, struct mt_exchange *ex, bool at_gate);
void mt_verdict_go_on(struct mt_proxy *p, struct mt_exchange *ex);
/* It waits no more, and stands in no list. */
void mt_verdict_left(struct mt_proxy *p, struct mt_exchange *ex);
/* Of a suspended one: why it is answered. */
const char *mt_verdict_expired(struct mt_proxy *p, const struct mt_exchange *ex);
/* It waits in front of an endpoint. */
bool mt_verdict_in_front(const struct mt_proxy *p, const struct mt_exchange *ex);

/* ---- ext_authz.c ---- */

void mt_ext_authz_init(struct mt_proxy *p);
/* Why nobody is asked: what the caller is told. */
struct mt_unasked {
	enum mt_local_reply reply;
	const char *text;
};
/*
 * Of a call that the view shows, of which `by` wants somebody to be asked. true: it waits, and goes on by
 * mt_verdict_go_on(), or is answered then. false: it is answered by *why.
 */
bool mt_ext_authz_begin(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_authorize_request *ask, const struct mt_authz_policy *by,
	struct mt_unasked *why);
/* What was answered; how many. */
uint32_t mt_ext_authz_turn(struct mt_proxy *p);
/* ext_authz_request.c: the call in words, into the slot. false: there is no room, or it cannot be read. */
bool mt_ext_authz_describe(const struct mt_authorize_request *ask, struct mt_extauthz_slot *s);
