/* SPDX-License-Identifier: Apache-2.0 */
/* Finds, makes, drains and frees lane groups: all connections of this worker to one endpoint. */
#include "mt_codec_registry.h"
#include "pool/mt_pool_priv.h"

static mt_noinline struct mt_lanes *lanes_new(struct mt_proxy *p, const struct mt_codec *codec,
	uint8_t opts, const struct mt_cluster *c, const struct mt_endpoint *ep, uint8_t lane_class,
	struct mt_tls_context *tls)
{
	struct mt_ref ref;
	struct mt_lanes *ln = mt_slab_alloc(&p->lanes, &ref);

	if (!ln)
		return NULL;
	ln->self = ref;
	ln->ep_index = ep->state->index;
	ln->ep_id = ep->state->id;
	ln->state = ep->state;
	ln->codec = codec;
	ln->codec_opts = opts;
	ln->lane_class = lane_class;
	ln->ids = !codec->id_max				   ? MT_IDS_ABSENT
		  : mt_correlation_of(codec, opts) == MT_CORR_SAFE ? MT_IDS_ECHOED
								   : MT_IDS_UNKNOWN;
	MT_ASSERT(!ep->tls == !tls);
	ln->tls = tls ? mt_tls_context_hold(tls) : NULL;
	ln->of_caller = tls && tls != c->tls;
	ln->addr = ep->addr;
	ln->port = ep->port;
	ln->seen = p->snap->version;
	ln->cluster_index = c->index;
	for (size_t i = 0; i < MT_ARRAY_LEN(ln->conns); i++) {
		mt_list_init(&ln->conns[i]);
		mt_list_init(&ln->idle[i]);
	}
	mt_list_init(&ln->bulk);
	mt_list_init(&ln->hungry_node);
	mt_list_init(&ln->former_node);
	mt_former_look(p, ln);
	mt_timer_init(&ln->timer);
	ln->next_class = p->lanes_by_ep[ln->ep_index];
	p->lanes_by_ep[ln->ep_index] = ln;
	return ln;
}

/*
 * True if the group belongs to another endpoint or has another protocol. Opaque TCP does not count
 * as another protocol: a port for messages may also forward TLS, in a separate group, and neither
 * group ends the other. Nor does another version of a codec file, because clients that drain call
 * by the earlier one (former.c).
 */
static bool is_outdated(
	const struct mt_lanes *ln, const struct mt_codec *codec, const struct mt_ep_state *st)
{
	return ln->ep_id != st->id ||
	       (!mt_codec_same(ln->codec, codec) && !ln->codec->opaque && !codec->opaque &&
		       !mt_codec_is_version(ln->codec, codec));
}

/* Drains outdated groups: the index belongs to another endpoint now, or the protocol changed. */
static mt_noinline void drain_outdated(
	struct mt_proxy *p, const struct mt_codec *codec, const struct mt_ep_state *st)
{
	struct mt_lanes *ln = p->lanes_by_ep[st->index];

	while (ln) {
		if (!is_outdated(ln, codec, st)) {
			ln = ln->next_class;
			continue;
		}
		mt_lanes_drain(p, ln);
		ln = p->lanes_by_ep[st->index];
	}
}

/* `shows`: mt_cluster_shows(); read only if the endpoint has TLS. */
static mt_inline struct mt_lanes *lanes_get(struct mt_proxy *p, const struct mt_codec *codec,
	uint8_t opts, const struct mt_cluster *c, const struct mt_endpoint *ep, uint8_t lane_class,
	const uint8_t *shows)
{
	struct mt_lanes *ln = p->lanes_by_ep[ep->state->index];
	struct mt_tls_context *tls = mt_unlikely(ep->tls) ? mt_cluster_tls(c, *shows) : NULL;

	opts |= c->multiplexing ? MT_CODEC_OPT_MULTIPLEXING : 0;
	if (mt_unlikely(ln && ln->ep_id != ep->state->id)) {
		drain_outdated(p, codec, ep->state);
		ln = p->lanes_by_ep[ep->state->index];
	}
	/* A reload may change options; connections with the old options end when they are idle. */
	while (ln && mt_unlikely(!mt_codec_same(ln->codec, codec) || ln->lane_class != lane_class ||
				 ln->codec_opts != opts ||
				 (ln->tls != tls && !mt_lanes_secured(ln, tls))))
		ln = ln->next_class;
	if (mt_unlikely(!ln)) {
		drain_outdated(p, codec, ep->state);
		ln = lanes_new(p, codec, opts, c, ep, lane_class, tls);
		if (!ln)
			return NULL;
	}
	mt_former_used(p, ln);
	ln->way = mt_endpoint_way(c, ep);
	ln->connect_ms = c->connect_ms ? c->connect_ms : p->conf.connect_ms;
	ln->conns_max = c->max_connections;
	return ln;
}

struct mt_lanes *mt_lanes_get(
	struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_endpoint *ep)
{
	return lanes_get(p, ex->codec, ex->codec_opts, ex->attempt.cluster, ep, ex->msg.lane_class,
		&ex->attempt.shows);
}

struct mt_lanes *mt_lanes_opaque(
	struct mt_proxy *p, const struct mt_connecting *j, const struct mt_endpoint *ep)
{
	return lanes_get(p, j->codec, j->codec_opts, j->cluster, ep, 0, &j->shows);
}

void mt_lanes_maybe_free(struct mt_proxy *p, struct mt_lanes *ln)
{
	if (!ln || !ln->gone || ln->pinned || ln->n_queued)
		return;
	for (size_t i = 0; i < MT_ARRAY_LEN(ln->conns); i++)
		if (ln->n_conns[i])
			return;
	mt_list_del(&ln->hungry_node);
	mt_wheel_cancel(&p->wheel, &ln->timer);
	mt_tls_context_leave(ln->tls);
	mt_slab_free(&p->lanes, ln);
}

static void drain_list(struct mt_proxy *p, struct mt_list *conns)
{
	struct mt_list *n, *tmp;

	mt_list_foreach_safe (n, tmp, conns)
		mt_up_drain(p, mt_list_entry(n, struct mt_up, node));
}

void mt_lanes_drain(struct mt_proxy *p, struct mt_lanes *ln)
{
	struct mt_lanes **at = &p->lanes_by_ep[ln->ep_index];

	while (*at && *at != ln)
		at = &(*at)->next_class;
	if (*at)
		*at = ln->next_class;
	ln->next_class = NULL;
	/* The end of the last connection must not free the group, which the loops still use. */
	ln->pinned = true;
	ln->gone = true;
	mt_former_forget(ln);
	for (int role = MT_UP_SHARED; role <= MT_UP_BULK; role++) {
		drain_list(p, &ln->idle[role]);
		drain_list(p, &ln->conns[role]);
	}
	ln->pinned = false;
	mt_lanes_maybe_free(p, ln);
}
