/* SPDX-License-Identifier: Apache-2.0 */
/* oneway.c: calls that look two-way and have no reply. Included by mt_pool_priv.h. */
#pragma once

#include "mt_proxy_base.h"
#include "pool/mt_match.h"

/* ---- oneway.c ---- */

/*
 * The connection of this group that the call must share with its client's earlier calls; NULL: the
 * call may take any connection.
 */
struct mt_up *mt_oneway_shared(
	struct mt_proxy *p, const struct mt_lanes *ln, const struct mt_exchange *ex);
static inline struct mt_up *mt_oneway_conn(
	struct mt_proxy *p, const struct mt_lanes *ln, const struct mt_exchange *ex)
{
	const struct mt_down *d = mt_exchange_down(p, ex);

	return mt_likely(!d || mt_ref_is_none(d->serial)) ? NULL : mt_oneway_shared(p, ln, ex);
}
/*
 * Returns the endpoint of the connection that the call must share, and adds it to
 * mt_exchange.tried. NULL: the call may take any endpoint.
 */
const struct mt_endpoint *mt_oneway_bound(struct mt_proxy *p, struct mt_exchange *ex);
static inline const struct mt_endpoint *mt_oneway_endpoint(
	struct mt_proxy *p, struct mt_exchange *ex)
{
	return mt_likely(mt_ref_is_none(mt_exchange_down(p, ex)->serial)) ? NULL
									  : mt_oneway_bound(p, ex);
}
/* Call before a call that may be one-way is sent on the connection, which is in doubt then. */
void mt_oneway_begin(struct mt_proxy *p, struct mt_up *u, const struct mt_exchange *ex);
/* Call after a call was sent: adds it to the connection's calls, as the first or the last one. */
void mt_oneway_sent(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a);
/*
 * Call after a call of a silent method was sent. True: the call may end, and the connection is now
 * bound to the client. False: a reply to an earlier call is outstanding, or the server does not
 * read.
 */
bool mt_oneway_silent(struct mt_proxy *p, struct mt_up *u, const struct mt_attempt *a);
/* Takes the attempt off the connection. */
void mt_oneway_off(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a);
/*
 * Returns the last call on the connection if its time-out is not armed and no byte of its reply is
 * forwarded; else NULL. Such a time-out was cancelled when a later call was sent, because the later
 * call's time-out was for both. The later call has ended since.
 */
struct mt_exchange *mt_oneway_untimed(struct mt_proxy *p, const struct mt_up *u);
/* The first call has ended: makes the next one the first. */
void mt_oneway_next(struct mt_proxy *p, struct mt_up *u);
/*
 * mt_match() for a connection in doubt. Calls before the answered one had no reply: they end, and
 * the answered one becomes the first.
 */
enum mt_whose mt_oneway_match(struct mt_proxy *p, struct mt_up *u, struct mt_exchange **ex);
/*
 * For MT_WHOSE_CLIENT: sends the reply to the client with the client's id, without reply filters.
 */
void mt_oneway_pass(struct mt_proxy *p, struct mt_up *u);
/*
 * A bound connection has no call left. True: it stays with its client. False: treat it as any other
 * connection.
 */
bool mt_oneway_keep(struct mt_proxy *p, struct mt_up *u);
/*
 * Sends FIN after the last call. The replies that come before the server's FIN show which calls the
 * server answers.
 */
void mt_oneway_ask(struct mt_proxy *p, struct mt_up *u);
/*
 * Sends FIN on the bound connection that has been idle for longest. Does nothing while at least as
 * many connections are ending as calls wait for one (`waiting`).
 */
void mt_oneway_make_room(struct mt_proxy *p, struct mt_lanes *ln, uint32_t waiting);
/* The connection no longer counts in mt_lanes.n_bound. */
void mt_oneway_unbound(struct mt_up *u);
/* Call when a call on a connection in doubt has ended without a reply: mt_oneway_ask(). */
void mt_oneway_left(struct mt_proxy *p, struct mt_up *u, const struct mt_attempt *a);
/*
 * The client has sent FIN: mt_oneway_ask() on each of its connections whose last call may be
 * one-way.
 */
void mt_oneway_client_ended(struct mt_proxy *p, struct mt_down *d);
/*
 * The client's connection has ended: closes the server connection that is bound to it, if no call
 * is outstanding there.
 */
void mt_oneway_client_gone(struct mt_proxy *p, struct mt_down *d);
/*
 * mt_oneway_expired(): call when a call has timed out. mt_oneway_lost(): call when its connection
 * is lost. True: the call's method never has a reply, so the call has ended as a one-way call.
 */
bool mt_oneway_expired(struct mt_proxy *p, struct mt_exchange *ex);
bool mt_oneway_lost(struct mt_proxy *p, struct mt_attempt *a);
/*
 * Call when the server's FIN came after mt_oneway_ask(): calls that the server acknowledged and did
 * not answer end as one-way calls, unless their method is known to answer.
 */
void mt_oneway_confirm(struct mt_proxy *p, struct mt_up *u);
/* When mt_oneway_ask() is due because many calls wait without a reply; MT_NEVER: not. */
uint64_t mt_oneway_due(struct mt_proxy *p, const struct mt_up *u);
