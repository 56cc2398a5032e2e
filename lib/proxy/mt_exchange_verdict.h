/* SPDX-License-Identifier: Apache-2.0 */
/* An exchange that waits for a verdict; behind mt_proxy_priv.h. */
#pragma once

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
