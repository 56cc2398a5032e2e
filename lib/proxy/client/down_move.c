/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves a client connection to the current snapshot: finds the chain and protocol that serve it
 * there, and drains or denies it if that chain's rules require it.
 */
#include "client/mt_client_priv.h"
#include "mt_callers.h"

/* The chain and protocol that serve the connection now; `to` NULL: none. */
struct heir {
	const struct mt_filter_chain_proto *to;
	enum mt_tls_standing standing; /* of the client, by the TLS rules of that chain */
	bool changed;		       /* `to` was found by successor_of() */
	uint32_t drain_ms;	       /* an operator drains the listener, in this time; 0: no */
};

/*
 * For a connection whose chain is gone, matches other connections now or no longer terminates TLS:
 * finds the protocol that serves the connection until it closes.
 */
static const struct mt_filter_chain_proto *successor_of(
	const struct mt_down *d, const struct mt_listener *l)
{
	const struct mt_tuple *t = mt_stream_ends(d->s);
	const struct mt_filter_chain_facts f = {.local = t->local,
		.remote = t->remote,
		.lport = t->lport,
		.rport = t->rport,
		.tls = d->proto->chain->tls != NULL};

	return mt_filter_chain_successor(l, d->proto, &f);
}

/* Cost of a search through the listener's protocols that ended at `found`; NULL: found none. */
static uint32_t cost_of_walk(const struct mt_listener *l, const struct mt_filter_chain_proto *found)
{
	uint32_t n = found ? (uint32_t)(found - l->protos) : l->n_protos;

	return n / MT_MOVE_ENTRIES;
}

/*
 * Finds the chain and protocol that serve the connection now. Adds the cost of the search to *cost,
 * because a listener may have thousands of chains.
 */
static struct heir heir_of(const struct mt_proxy *p, const struct mt_down *d, uint32_t *cost)
{
	const struct mt_tuple *t = mt_stream_ends(d->s);
	const struct mt_listener *l = mt_snapshot_listener(p->snap, &t->local, t->lport);
	const struct mt_filter_chain *was = d->proto->chain;
	struct heir h = {.standing = MT_TLS_STANDS};

	if (!l)
		return h;
	/* A client that came while the listener drained has a turn of its own. */
	if (l->drain == MT_LISTENER_REFUSES || (l->drain && !d->drain_due))
		h.drain_ms = l->drain_ms;
	h.to = mt_filter_chain_find(l, was->id, d->codec, d->codec_opts);
	*cost += cost_of_walk(l, h.to);
	if (mt_likely(h.to))
		return h;
	if (was->tls) {
		h.to = mt_filter_chain_heir(l, was->kin, d->codec, d->codec_opts);
		*cost += cost_of_walk(l, h.to);
	}
	if (!h.to) {
		h.to = successor_of(d, l);
		h.changed = h.to != NULL;
		*cost += l->n_protos / MT_MOVE_CHAINS;
	}
	/* A chain for plaintext has no rules for certificates. */
	if (h.to && h.to->chain->tls)
		h.standing = mt_secure_standing(p, d->s, h.to->chain);
	return h;
}

static void drain_for(struct mt_proxy *p, struct mt_down *d, enum mt_proxy_outcome why, uint32_t ms)
{
	if (!d->ending)
		mt_count(p->counters, why);
	mt_down_drain_in(p, d, ms);
}

/*
 * Denies all calls of a connection that the chain's rules for clients condemn. Drains a connection
 * that another chain or a protocol with another version of its codec serves now, that is outdated
 * by these rules, or with a listener that is drained. A drain under way, as by `drain`, may have
 * more time than these reasons give.
 */
static void judged_otherwise(struct mt_proxy *p, struct mt_down *d, const struct heir *h)
{
	if (h->standing == MT_TLS_CONDEMNED) {
		mt_count(p->counters, MT_PROXY_down_revoked);
		mt_down_unserve(p, d, MT_REPLY_DENIED);
	} else if (h->changed || !mt_codec_same(h->to->codec, d->codec)) {
		drain_for(p, d, MT_PROXY_down_chain_changed, p->conf.drain_ms);
	} else if (h->standing == MT_TLS_OUTDATED) {
		drain_for(p, d, MT_PROXY_down_tls_outdated, p->conf.drain_ms);
	} else if (h->drain_ms) {
		drain_for(p, d, MT_PROXY_down_listener_drained, h->drain_ms);
	}
}

void mt_down_drain_late(struct mt_proxy *p, struct mt_down *d)
{
	const struct mt_tuple *t = mt_stream_ends(d->s);
	const struct mt_listener *l = mt_snapshot_listener(p->snap, &t->local, t->lport);

	d->drain_due = 0;
	if (l && l->drain)
		drain_for(p, d, MT_PROXY_down_listener_drained, l->drain_ms);
}

/* Drains a connection that no chain and protocol of the current snapshot serve. */
static void listener_gone(struct mt_proxy *p, struct mt_down *d)
{
	mt_count(p->counters, MT_PROXY_down_listener_gone);
	mt_down_unserve(p, d, MT_REPLY_NO_ROUTE);
}

uint32_t mt_down_snap_move(struct mt_proxy *p, struct mt_down *d)
{
	struct heir h = {0};
	uint32_t cost = 1;

	if (d->snap == p->snap || !d->snap || !d->s || d->decoding)
		return cost;
	if (mt_likely(d->proto))
		h = heir_of(p, d, &cost);
	if (h.to && h.to->idle_s != d->proto->idle_s)
		mt_wheel_arm(&p->wheel, &d->timer, p->now); /* the timer uses the new idle time */
	mt_snap_switch(p, &d->snap, p->snap);
	d->caller = mt_caller_of(p, d->s);
	d->proto = h.to;
	if (h.to)
		judged_otherwise(p, d, &h);
	else if (!d->unserved)
		listener_gone(p, d);
	return cost;
}
