/* SPDX-License-Identifier: Apache-2.0 */
/* secure.c: connections that are TLS's (lib/tls), of clients and to servers, and for whom the node shows who it is. */
#pragma once

#include "mt_lend.h"
#include "mt_proxy_types.h"
#include "mt_tls_layer.h"

/* A layer is attached; the proxy ends: contexts are given back. */
void mt_secure_begin(struct mt_proxy *p);
void mt_secure_end(struct mt_proxy *p);

/* ---- to servers ---- */

/* NULL also where TLS is asked for and there is none: nothing is ever sent in clear text instead. */
struct mt_stream *mt_open(
	struct mt_proxy *p, const struct mt_stream_to *to, enum mt_close_reason *why);
/* Whether connections of the group are as good as new ones by this context, which it then has (NULL: clear text). */
bool mt_lanes_secured(struct mt_lanes *ln, struct mt_tls_context *tls);

/*
 * The cluster, or of it what the caller at the other end of `s` may reach: connections that show the node's identity are not for
 * everybody, and those of others only for them. NULL: nothing. *shows: by which identity (mt_cluster_shows()).
 */
const struct mt_cluster *mt_secure_judge(const struct mt_proxy *p, const struct mt_stream *s,
	bool gateway, const struct mt_cluster *c, uint8_t *shows);
/* `gateway`: he came by one, whose clients have the node's identity, as those of Istio's gateways. */
static inline const struct mt_cluster *mt_secure_reach(const struct mt_proxy *p,
	const struct mt_stream *s, bool gateway, const struct mt_cluster *c, uint8_t *shows)
{
	return mt_likely(!c->lend) ? c : mt_secure_judge(p, s, gateway, c, shows);
}

/* The same for a client's call. Who a connection's client is does not change: he is judged once for a cluster of a snapshot. */
const struct mt_cluster *mt_secure_judge_for_call(const struct mt_proxy *p, struct mt_down *d,
	bool gateway, const struct mt_cluster *c, uint8_t *shows);
static inline const struct mt_cluster *mt_secure_reach_for_call(const struct mt_proxy *p,
	struct mt_down *d, bool gateway, const struct mt_cluster *c, uint8_t *shows)
{
	const struct mt_lent *l = &d->lent;

	if (mt_likely(!c->lend))
		return c;
	if (mt_unlikely(l->cluster != c || l->version != (uint32_t)p->snap->version ||
			l->gateway != gateway))
		return mt_secure_judge_for_call(p, d, gateway, c, shows);
	*shows = l->shows;
	return mt_unlikely(l->unlent) ? c->unlent : c;
}

/* ---- of clients ---- */

/* Who the other end has shown to be; NULL: it is clear text. It holds as long as the stream. */
static inline const struct mt_tls_peer *mt_proxy_tls_peer(
	const struct mt_proxy *p, const struct mt_stream *s)
{
	return mt_unlikely(p->tls) && mt_tls_stream_is(p->tls, s) ? mt_tls_stream_peer(p->tls, s)
								  : NULL;
}

/* As policies write it, "cluster.local/ns/a/sa/b", whoever has signed it; p NULL: none. */
struct mt_slice mt_secure_principal(const struct mt_tls_peer *peer);

/* The chain of a TLS stream, in the listener of the current snapshot; NULL: it is gone. It may judge clients otherwise than it judged this one. */
const struct mt_filter_chain *mt_secure_chain(
	const struct mt_stream *s, const struct mt_listener *l);
/* What the peer of a TLS stream is to a chain that ends TLS. */
enum mt_tls_standing mt_secure_standing(
	const struct mt_proxy *p, const struct mt_stream *s, const struct mt_filter_chain *c);
/* The client's hello is there, for a chain that ends TLS. false: there is no room, and nothing has changed. */
bool mt_secure_take(struct mt_proxy *p, struct mt_stream *s);
