/* SPDX-License-Identifier: Apache-2.0 */
/* leave.c: clients that close their connection while calls wait. Included by mt_proxy_priv.h. */
#pragma once

#include "mt_proxy_types.h"

/* True if the client has sent FIN and its protocol's clients never half-close. */
static inline bool mt_down_closed(const struct mt_down *d)
{
	return mt_unlikely(d->eof) && d->codec->client_whole_close;
}

/*
 * Ends the calls of a client that has closed its connection, except those that go on, and sets
 * mt_down.leave_at. Does not close the connection, but look whether it is still there.
 */
void mt_leave(struct mt_proxy *p, struct mt_down *d);

/* The same for a call that is decoded after its client's FIN. True if it has ended. */
bool mt_leave_call(struct mt_proxy *p, struct mt_down *d, struct mt_exchange *ex);

/*
 * Ends a call when its reply comes, because of mt_down.left. Its client's connection may end, and a
 * server connection that the call has alone.
 */
void mt_leave_answered(struct mt_proxy *p, struct mt_exchange *ex);
