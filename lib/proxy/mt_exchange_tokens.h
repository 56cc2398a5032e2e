/* SPDX-License-Identifier: Apache-2.0 */
/* An exchange and its token; behind mt_proxy_priv.h. */
#pragma once

enum mt_tokens_verdict {
	MT_TOKENS_PASS,	  /* judged on, with `claims` if it has a token */
	MT_TOKENS_WAITS,  /* mt_dispatch_verified() or mt_exchange_filters_again() goes on */
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
	const struct mt_guard_ask *ask, const struct mt_authz_tokens *t,
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
