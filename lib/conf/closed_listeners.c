/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners behind which nobody may be called: who connects is refused, as where nobody listens, and nothing is read of him. */
#include "mt_conf_priv.h"

#include "mt_authz.h"

/* False: it may lead to somebody, or is answered natively as it leads nowhere. *by: whoever was found first. */
static bool is_closed(const struct mt_snapshot *s, uint32_t at, const struct mt_closer **by)
{
	if (at >= s->n_clusters || !s->clusters[at].closed_by)
		return false;
	*by = *by ? *by : s->clusters[at].closed_by;
	return true;
}

static bool dests_are_closed(const struct mt_snapshot *s, const struct mt_route_dest *v, uint32_t n,
	const struct mt_closer **by)
{
	for (uint32_t i = 0; i < n; i++)
		if (!is_closed(s, v[i].cluster, by))
			return false;
	return n > 0;
}

static bool routes_are_closed(
	const struct mt_snapshot *s, const struct mt_route_table *t, const struct mt_closer **by)
{
	uint32_t n = mt_route_count(t);

	for (uint32_t i = 0; i < n; i++) {
		const struct mt_route_action *a = mt_route_at(t, i);

		if (!dests_are_closed(s, a->dests, a->n_dests, by))
			return false;
	}
	return n > 0;
}

static bool service_is_closed(const struct mt_snapshot *s, const struct mt_service *svc, bool bytes,
	const struct mt_closer **by)
{
	const struct mt_closer *gate = svc->gate ? mt_b_guard_closes(svc->gate->rules) : NULL;

	if (gate) {
		*by = *by ? *by : gate;
		return true;
	}
	if (svc->routes && !bytes)
		return routes_are_closed(s, svc->routes, by);
	if (svc->n_tcp_dests)
		return dests_are_closed(s, svc->tcp_dests, svc->n_tcp_dests, by);
	return is_closed(s, svc->tcp_cluster, by);
}

/* Chains that are refused anyway open nothing. */
static const struct mt_closer *closer_of(const struct mt_snapshot *s, const struct mt_listener *l)
{
	const struct mt_closer *by = NULL;

	for (uint32_t i = 0; i < l->n_protos; i++)
		for (uint32_t k = 0; k < l->protos[i].n_services; k++)
			if (!service_is_closed(
				    s, l->protos[i].services[k], l->protos[i].codec->opaque, &by))
				return NULL;
	return by;
}

void mt_b_closed_listeners(struct mt_build *b)
{
	struct mt_snapshot *s = &b->snap->pub;

	for (uint32_t i = 0; s->n_closers && i < s->n_listeners; i++)
		s->listeners[i].closed_by = closer_of(s, &s->listeners[i]);
}
