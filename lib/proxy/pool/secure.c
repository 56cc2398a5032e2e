/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS of client and server connections. A client's connection is in chain selection until its
 * ClientHello is complete, then in the TLS layer until the end of the handshake. Then the TLS layer
 * passes it to the proxy as a new stream, which continues in the same chain.
 */
#include "mt_secure.h"

#include "pool/mt_pool_priv.h"

#include <string.h>

/* ---- to servers ------------------------------------------------------------------------------ */

struct mt_stream *mt_open(
	struct mt_proxy *p, const struct mt_stream_to *to, enum mt_close_reason *why)
{
	if (mt_likely(!to->tls || p->tls))
		return mt_stream_open(p->out, to, why);
	*why = MT_CLOSE_HANDSHAKE;
	return NULL;
}

bool mt_lanes_secured(struct mt_lanes *ln, struct mt_tls_context *tls)
{
	if (!tls || !ln->tls || mt_tls_context_id(tls) != mt_tls_context_id(ln->tls))
		return tls == ln->tls;
	mt_tls_context_leave(ln->tls);
	ln->tls = mt_tls_context_hold(tls);
	return true;
}

const char *mt_secure_failure(const struct mt_proxy *p, const struct mt_stream *s)
{
	enum mt_tls_reason r = MT_TLS_WHY_none;

	if (p->tls && mt_tls_stream_is(p->tls, s))
		r = mt_tls_stream_why(s).reason;
	return r == MT_TLS_WHY_none ? NULL : mt_tls_reason_failed(r);
}

/* ---- identity of callers at servers ---------------------------------------------------------- */

struct mt_slice mt_secure_principal(const struct mt_tls_peer *peer)
{
	const size_t len = strlen(MT_SPIFFE);

	if (strncmp(peer->principal, MT_SPIFFE, len) != 0)
		return (struct mt_slice){0};
	return (struct mt_slice){
		(const uint8_t *)peer->principal + len, (uint32_t)strlen(peer->principal + len)};
}

/* Returns the peer's principal; empty if it is in no trust domain of the context. */
static struct mt_slice member(const struct mt_tls_peer *peer)
{
	return peer && peer->member ? mt_secure_principal(peer) : (struct mt_slice){0};
}

struct mt_slice mt_secure_caller(const struct mt_proxy *p, const struct mt_stream *s)
{
	const struct mt_bound *bound = mt_snapshot_bound(p->snap, s);
	struct mt_slice name = member(mt_proxy_tls_peer(p, s));

	if (!name.p && bound && bound->principal)
		name = (struct mt_slice){
			(const uint8_t *)bound->principal, (uint32_t)strlen(bound->principal)};
	return name;
}

const struct mt_cluster *mt_secure_judge(const struct mt_proxy *p, const struct mt_stream *s,
	bool gateway, const struct mt_cluster *c, uint8_t *shows)
{
	const struct mt_tuple *ends = mt_stream_ends(s);
	int as = mt_cluster_shows(c, &ends->remote, mt_secure_caller(p, s), gateway);

	*shows = as > 0 ? (uint8_t)as : 0;
	return as < 0 ? c->unlent : c;
}

const struct mt_cluster *mt_secure_judge_for_call(const struct mt_proxy *p, struct mt_down *d,
	bool gateway, const struct mt_cluster *c, uint8_t *shows)
{
	const struct mt_cluster *to = mt_secure_judge(p, d->s, gateway, c, shows);

	d->lent = (struct mt_lent){.cluster = c,
		.version = (uint32_t)p->snap->version,
		.shows = *shows,
		.gateway = gateway,
		.unlent = to != c};
	return to;
}

/* ---- of clients ------------------------------------------------------------------------------ */

static const struct mt_listener *listener_of(const struct mt_proxy *p, const struct mt_stream *s)
{
	const struct mt_tuple *t = mt_stream_ends(s);

	return p->snap ? mt_snapshot_listener(p->snap, &t->local, t->lport) : NULL;
}

/* Selects the context when the ClientHello is complete, and again if the hello waits for room. */
static struct mt_tls_context *choose_context(void *arg, const struct mt_stream *lower, int listener,
	const struct mt_hello_says *says, uint64_t *tag)
{
	struct mt_proxy *p = arg;
	const struct mt_listener *l = listener_of(p, lower);
	const struct mt_tuple *t = mt_stream_ends(lower);
	const struct mt_filter_chain_facts f = {.local = t->local,
		.remote = t->remote,
		.lport = t->lport,
		.rport = t->rport,
		.tls = true,
		.name = says->name,
		.alpn = says->alpn};
	const struct mt_filter_chain *c = l && l->drain != MT_LISTENER_REFUSES && !p->draining
						  ? mt_filter_chain_choose(l, &f)
						  : NULL;

	(void)listener;
	if (!c || c->refuse || !c->tls)
		return NULL;
	*tag = c->kin;
	return c->tls;
}

const struct mt_filter_chain *mt_secure_chain(
	const struct mt_stream *s, const struct mt_listener *l)
{
	for (uint32_t i = 0; i < l->n_chains; i++)
		if (l->chains[i].kin == mt_tls_stream_tag(s))
			return l->chains[i].tls && !l->chains[i].refuse ? &l->chains[i] : NULL;
	return NULL;
}

enum mt_tls_standing mt_secure_standing(
	const struct mt_proxy *p, const struct mt_stream *s, const struct mt_filter_chain *c)
{
	if (mt_tls_stream_context_id(s) == mt_tls_context_id(c->tls))
		return MT_TLS_STANDS;
	return mt_tls_context_standing(c->tls, mt_proxy_tls_peer(p, s));
}

bool mt_secure_take(struct mt_proxy *p, struct mt_stream *s)
{
	if (!p->tls || !mt_tls_door_take(&p->door, s, 0))
		return mt_down_no_room(p, s);
	mt_count(p->counters, MT_PROXY_down_to_tls);
	mt_count(p->counters, MT_PROXY_down_closed);
	return true;
}

/* Not used to listen: connections come from the transport below the TLS layer. */
static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	(void)arg;
	(void)local;
	(void)lport;
	return -1;
}

/* The handshake of a client connection is complete. */
static bool on_accept(void *arg, struct mt_stream *s, int listener)
{
	struct mt_proxy *p = arg;
	const struct mt_listener *l = listener_of(p, s);
	const struct mt_filter_chain *c = l ? mt_secure_chain(s, l) : NULL;

	(void)listener;
	if (p->draining || (l && l->drain == MT_LISTENER_REFUSES))
		return mt_down_drained(p, s);
	if (mt_downs_full(p)) {
		mt_count(p->counters, MT_PROXY_down_full);
		mt_stream_log_refused(p, s, p->now, MT_ENDING_overload);
		return false;
	}
	if (!c) {
		mt_count(p->counters, MT_PROXY_down_listener_gone);
		return false;
	}
	/* The rules may have changed during the handshake. */
	if (mt_secure_standing(p, s, c) == MT_TLS_CONDEMNED) {
		mt_count(p->counters, MT_PROXY_down_revoked);
		return false;
	}
	mt_count(p->counters, MT_PROXY_down_accepted);
	return mt_client_user.accepted(p, s, l, c);
}

static const struct mt_listen_ops above = {on_lookup, on_accept};

void mt_secure_begin(struct mt_proxy *p)
{
	p->door = (struct mt_tls_door){
		.layer = p->tls, .listen = &above, .arg = p, .context = choose_context};
}

void mt_secure_end(struct mt_proxy *p)
{
	struct mt_lanes *ln;
	struct mt_health_check *pr;
	uint32_t i = 0;

	while ((ln = mt_slab_next(&p->lanes, &i)))
		mt_tls_context_leave(ln->tls);
	i = 0;
	while ((pr = mt_slab_next(&p->health_checks, &i)))
		mt_tls_context_leave(pr->at.tls);
}
