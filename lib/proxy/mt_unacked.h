/* SPDX-License-Identifier: Apache-2.0 */
/* unacked.c: one-way calls that were sent and are not acknowledged. Included by mt_proxy_priv.h. */
#pragma once

#include "mt_proxy_types.h"

/*
 * The call, one-way by its own words, is sent in full: its exchange lives until its bytes are acknowledged, and counts neither for its
 * endpoint nor for its client's limit. false: there are too many of them, it is to end now.
 */
bool mt_unacked_wait(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a);
/* It is a call that waits for a server again. */
void mt_unacked_again(struct mt_proxy *p, struct mt_exchange *ex);
/* Nothing has acknowledged it for too long: its connection goes on without it. */
void mt_unacked_expired(struct mt_proxy *p, struct mt_exchange *ex);
/* It ends as one that was sent. */
void mt_unacked_end(struct mt_proxy *p, struct mt_exchange *ex);
/* Those that are acknowledged up to this position leave the connection for another list. */
void mt_unacked_take(struct mt_up *u, uint64_t acked, struct mt_list *to);
/* Something was acknowledged, and some wait for it. false: the connection is gone. */
bool mt_unacked_look(struct mt_proxy *p, struct mt_up *u);
