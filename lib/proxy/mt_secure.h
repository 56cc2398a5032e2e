/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of client and server connections (lib/tls), and for which callers the node presents an
 * identity to servers (secure.c). Unless noted, on the worker's thread only.
 */
#pragma once

#include "mt_lend.h"
#include "mt_proxy_types.h"
#include "mt_tls_layer.h"

/* Starts to use the attached TLS layer. mt_secure_end() releases contexts when the proxy ends. */
void mt_secure_begin(struct mt_proxy *p);
void mt_secure_end(struct mt_proxy *p);

/* ---- to servers ---- */

/*
 * Opens a server connection. NULL on error, with *why set. If TLS is required and no layer is
 * attached this is an error, too: plaintext never replaces TLS.
 */
struct mt_stream *mt_open(
	struct mt_proxy *p, const struct mt_stream_to *to, enum mt_close_reason *why);
/*
 * True if the group's connections may be used where `tls` is required (NULL: plaintext). The group
 * then holds this context.
 */
bool mt_lanes_secured(struct mt_lanes *ln, struct mt_tls_context *tls);

/*
 * The principal of the client of stream `s`: by its certificate, if an authority of the mesh has
 * signed it, else by the workload port where it entered. p NULL: none.
 */
struct mt_slice mt_secure_caller(const struct mt_proxy *p, const struct mt_stream *s);
/*
 * The endpoints of `c` that the client of stream `s` may use: `c` itself, or only those without TLS
 * (mt_cluster.unlent), or NULL for none. Endpoints with TLS need an identity that the node presents
 * for this caller; *shows is set to it (mt_cluster_shows()). `gateway`: the client uses a gateway;
 * for clients of gateways the node presents its own identity.
 */
const struct mt_cluster *mt_secure_judge(const struct mt_proxy *p, const struct mt_stream *s,
	bool gateway, const struct mt_cluster *c, uint8_t *shows);
/*
 * As mt_secure_judge(). Returns a cluster that needs no decision at once, without setting *shows.
 */
static inline const struct mt_cluster *mt_secure_reach(const struct mt_proxy *p,
	const struct mt_stream *s, bool gateway, const struct mt_cluster *c, uint8_t *shows)
{
	return mt_likely(!c->lend) ? c : mt_secure_judge(p, s, gateway, c, shows);
}

/*
 * mt_secure_judge() and mt_secure_reach() for a client's call. The identity of a connection does
 * not change, so mt_down.lent keeps the result for one cluster of a snapshot.
 */
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

/* Why the TLS handshake of a stream that is being closed has failed, static; NULL: it has not. */
const char *mt_secure_failure(const struct mt_proxy *p, const struct mt_stream *s);

/* ---- of clients ---- */

/* TLS identity of the other end; NULL: plaintext. Valid as long as the stream. */
static inline const struct mt_tls_peer *mt_proxy_tls_peer(
	const struct mt_proxy *p, const struct mt_stream *s)
{
	return mt_unlikely(p->tls) && mt_tls_stream_is(p->tls, s) ? mt_tls_stream_peer(p->tls, s)
								  : NULL;
}

/* The TLS stream above `s`, a stream of the transport; without one `s` itself. */
static inline const struct mt_stream *mt_secure_top(
	const struct mt_proxy *p, const struct mt_stream *s)
{
	const struct mt_stream *over = p->tls ? mt_tls_stream_above(p->tls, s) : NULL;

	return over ? over : s;
}

/*
 * The peer's principal as policies contain it, "cluster.local/ns/a/sa/b"; p NULL: none. Any
 * authority may have signed it (mt_tls_peer.member). The text is in *peer. Any thread.
 */
struct mt_slice mt_secure_principal(const struct mt_tls_peer *peer);

/*
 * The chain of a TLS stream in a listener of the current snapshot; NULL: it is gone or cannot
 * serve. Its rules for clients may have changed since this client was accepted, see
 * mt_secure_standing().
 */
const struct mt_filter_chain *mt_secure_chain(
	const struct mt_stream *s, const struct mt_listener *l);
/* Evaluates whether a chain that terminates TLS would accept the peer of this TLS stream now. */
enum mt_tls_standing mt_secure_standing(
	const struct mt_proxy *p, const struct mt_stream *s, const struct mt_filter_chain *c);
/*
 * Passes a client connection to the TLS layer, after its ClientHello selected a chain that
 * terminates TLS. False: the layer has no room; the stream is unchanged, and the refusal is
 * counted.
 */
bool mt_secure_take(struct mt_proxy *p, struct mt_stream *s);
