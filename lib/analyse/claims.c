/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds hosts that two namespaces claim: services with the same name, and routes that send calls of
 * another namespace's service to their own namespace.
 */
#include "mt_analyse_priv.h"

#include <string.h>

/* Maps each host to its service. */
static void gather(struct mt_analysis *a, struct mt_strmap *owners)
{
	const struct mt_audit *all = a->in->audit;

	for (uint32_t i = 0; i < all->n_rows; i++)
		if (!mt_strmap_get(owners, all->rows[i].host))
			(void)mt_strmap_put(
				owners, all->rows[i].host, (void *)all->rows[i].se, NULL);
}

static const struct mt_service_entry *owner_of(const struct mt_analysis *a,
	const struct mt_strmap *owners, const char *word, const char *ns)
{
	char full[MT_MEANT_HOST];
	const char *host = mt_an_host(a, word, ns, full);

	return host ? mt_strmap_get(owners, host) : NULL;
}

/* ---- services -------------------------------------------------------------------------------- */

/*
 * Reports a service if one of another namespace has the same host and is used instead (lib/conf,
 * host_claims.c, decides between them). Policies of the first one's namespace then have no effect
 * on the host.
 */
static void check_service(
	struct mt_analysis *a, const struct mt_strmap *owners, const struct mt_service_entry *se)
{
	const struct mt_object_row *row = mt_an_row(a, se->meta.serial);

	for (uint32_t i = 0; row && row->status == MT_OBJECT_SHADOWED && i < se->n_hosts; i++) {
		const struct mt_service_entry *used = mt_strmap_get(owners, se->hosts[i].s);

		if (used && used != se && strcmp(used->meta.ns, se->meta.ns) != 0)
			mt_an_found(a, MT_FINDING_ID_host_of_two, &se->meta, se->hosts[i].line,
				"%s is that of %s %s/%s, of another namespace, which is used",
				se->hosts[i].s, used->meta.kind, used->meta.ns, used->meta.name);
	}
}

/* ---- routes ---------------------------------------------------------------------------------- */

static bool is_of_mesh(const struct mt_virtual_service *v)
{
	for (uint32_t i = 0; i < v->n_gateways; i++)
		if (strcmp(v->gateways[i].s, "mesh") == 0)
			return true;
	return v->n_gateways == 0;
}

/*
 * True if the route's namespace is neither the service's nor the root namespace nor the node's.
 * Documents in these three are by the operators of the service, the mesh or the node.
 */
static bool is_foreign(const struct mt_analysis *a, const char *ns, const char *service)
{
	const char *own = a->m->mesh.ns;

	return strcmp(ns, service) != 0 && strcmp(ns, a->in->audit->root_ns) != 0 &&
	       !(own && strcmp(ns, own) == 0);
}

/*
 * Reports a rule that routes calls for a service of another namespace to the route's own one,
 * because it gives the authors of the route calls that they could not receive otherwise.
 */
static void check_rule(struct mt_analysis *a, const struct mt_strmap *owners,
	const struct mt_virtual_service *v, const struct mt_rule *r,
	const struct mt_service_entry *of, const char *host)
{
	for (uint32_t i = 0; i < r->n_dests; i++) {
		const struct mt_text *word = &r->dests[i].dest.host;
		const struct mt_service_entry *to =
			word->s ? owner_of(a, owners, word->s, v->meta.ns) : NULL;

		if (!to || strcmp(to->meta.ns, v->meta.ns) != 0)
			continue;
		mt_an_found(a, MT_FINDING_ID_leads_away, &v->meta, word->line,
			"calls of %s, which is in namespace %s, are routed to %s in namespace %s",
			host, of->meta.ns, word->s, to->meta.ns);
		return;
	}
}

static void check_route(
	struct mt_analysis *a, const struct mt_strmap *owners, const struct mt_virtual_service *v)
{
	const struct mt_object_row *row = mt_an_row(a, v->meta.serial);

	if (!row || row->status > MT_OBJECT_NOTES || !is_of_mesh(v) || v->gateway_api)
		return;
	for (uint32_t i = 0; i < row->n_touches; i++) {
		const char *host = row->touches[i];
		const struct mt_service_entry *of = mt_strmap_get(owners, host);

		if (!of || !is_foreign(a, v->meta.ns, of->meta.ns))
			continue;
		for (uint32_t k = 0; k < v->n_lists; k++)
			for (uint32_t n = 0; n < v->lists[k].n_rules; n++)
				check_rule(a, owners, v, &v->lists[k].rules[n], of, host);
	}
}

static uint64_t cost(const struct mt_virtual_service *v, const struct mt_object_row *row)
{
	uint64_t n = 1;

	for (uint32_t k = 0; k < v->n_lists; k++)
		n += v->lists[k].n_rules;
	return n * (row ? row->n_touches + 1 : 1);
}

void mt_an_claims(struct mt_analysis *a)
{
	struct mt_strmap owners = {0};

	gather(a, &owners);
	for (uint32_t i = 0; i < a->m->service_entries.n; i++)
		check_service(a, &owners, a->m->service_entries.v[i]);
	for (uint32_t i = 0; i < a->m->virtual_services.n; i++) {
		const struct mt_virtual_service *v = a->m->virtual_services.v[i];

		if (mt_an_may(a, cost(v, mt_an_row(a, v->meta.serial))))
			check_route(a, &owners, v);
	}
	mt_strmap_fini(&owners);
}
