/* SPDX-License-Identifier: Apache-2.0 */
/* An exchange that somebody is asked about; behind mt_proxy_priv.h. */
#pragma once

void mt_policy_asks_init(struct mt_proxy *p);
/* Why nobody is asked: what the caller is told. */
struct mt_unasked {
	enum mt_local_reply reply;
	const char *text;
};
/*
 * Of a call that the view shows, of which `by` wants somebody to be asked. true: it waits, and goes on by
 * mt_verdict_go_on(), or is answered then. false: it is answered by *why.
 */
bool mt_policy_asks_begin(struct mt_proxy *p, struct mt_exchange *ex,
	const struct mt_guard_ask *ask, const struct mt_authz_policy *by, struct mt_unasked *why);
/* What was answered; how many. */
uint32_t mt_policy_asks_turn(struct mt_proxy *p);
/* ext_authz_request.c: the call in words, into the slot. false: there is no room, or it cannot be read. */
bool mt_guard_describe(const struct mt_guard_ask *ask, struct mt_extauthz_slot *s);
