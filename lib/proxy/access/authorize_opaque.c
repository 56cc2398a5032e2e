/* SPDX-License-Identifier: Apache-2.0 */
/* Authorizes opaque streams at gateways' ports and endpoints, at the start and in new snapshots. */
#include "mt_authorize.h"

#include "access/mt_access_priv.h"

static void count_bytes(struct mt_proxy *p, const struct mt_pair *pr, enum mt_authz_effect e,
	const struct mt_authz_policy *by)
{
	if (e == MT_AUTHZ_CLOSED)
		mt_authorize_count_closed_opaque(p, by->closer);
	else
		mt_count(p->counters, MT_PROXY_opaque_denied);
	mt_denied_stream(p, pr, by ? by->by : NULL, MT_DENIED_BY_POLICY);
}

void mt_authorize_count_closed_opaque(struct mt_proxy *p, const struct mt_closer *by)
{
	mt_count(p->counters, MT_PROXY_opaque_closed);
	mt_account_closed(p, by);
}

bool mt_authorize_opaque(
	struct mt_proxy *p, const struct mt_pair *pr, const struct mt_cluster *c, uint32_t at)
{
	const struct mt_authorize_request ask = {.peer = mt_stream_ends(pr->down)->remote,
		.who = mt_proxy_tls_peer(p, pr->down),
		.bound = mt_snapshot_bound(p->snap, pr->down),
		.sni_unkept = pr->sni_unkept,
		.cluster = c,
		.ep = &c->eps[at]};
	const struct mt_authz_policy *by;
	enum mt_authz_effect e = mt_authorize_at_endpoint(&ask, &by);

	if (e == MT_AUTHZ_ALLOWED)
		return true;
	count_bytes(p, pr, e, by);
	return false;
}

bool mt_authorize_opaque_at_gateway(
	struct mt_proxy *p, const struct mt_pair *pr, const struct mt_gate_guard *gate)
{
	const struct mt_tuple *ends = mt_stream_ends(pr->down);
	const struct mt_authorize_request ask = {.peer = ends->remote,
		.who = mt_proxy_tls_peer(p, pr->down),
		.bound = mt_snapshot_bound(p->snap, pr->down),
		.sni_unkept = pr->sni_unkept,
		.local = ends->local,
		.gate = gate};
	const struct mt_authz_policy *by;
	enum mt_authz_effect e = mt_authorize_at_gateway(&ask, &by);

	if (e == MT_AUTHZ_ALLOWED)
		return true;
	count_bytes(p, pr, e, by);
	return false;
}

/*
 * True if the current rules deny the stream at its endpoint in the cluster with index `at`; counts
 * the denial. Adds the number of endpoints that it searched to *cost.
 */
static bool is_denied_at(
	struct mt_proxy *p, const struct mt_pair *pr, uint32_t at, bool gateway, uint32_t *cost)
{
	const struct mt_cluster *c;
	uint8_t shows;

	if (at == MT_ROUTE_NO_CLUSTER)
		return false;
	c = &p->snap->clusters[at];
	if (c->closed_by) {
		mt_authorize_count_closed_opaque(p, c->closed_by);
		mt_denied_stream(p, pr, c->closed_by->by, MT_DENIED_BY_POLICY);
		return true;
	}
	for (uint32_t i = 0; (c->guards || c->lend) && i < c->n_eps; i++) {
		(*cost)++;
		if (c->eps[i].state != pr->lanes->state)
			continue;
		/* The node has no identity any more that it may present for this client. */
		if (c->eps[i].tls && mt_secure_reach(p, pr->down, gateway, c, &shows) != c) {
			mt_count(p->counters, MT_PROXY_opaque_no_node_identity);
			mt_denied_stream(p, pr, NULL, MT_DENIED_NO_IDENTITY);
			return true;
		}
		return c->eps[i].guarded && !mt_authorize_opaque(p, pr, c, i);
	}
	return false;
}

bool mt_authorize_opaque_ends(struct mt_proxy *p, const struct mt_pair *pr, uint32_t *cost)
{
	const struct mt_filter_chain_proto *proto;
	const struct mt_service *svc;

	if (!pr->lanes || !pr->down)
		return false;
	proto = mt_opaque_proto(p, pr);
	svc = proto ? mt_opaque_service(proto) : NULL;
	if (!svc)
		return false;
	if (svc->gate && !mt_authorize_opaque_at_gateway(p, pr, svc->gate))
		return true;
	if (svc->n_tcp_dests == 0)
		return is_denied_at(p, pr, svc->tcp_cluster, svc->gateway, cost);
	for (uint32_t i = 0; i < svc->n_tcp_dests; i++)
		if (is_denied_at(p, pr, svc->tcp_dests[i].cluster, svc->gateway, cost))
			return true;
	return false;
}
