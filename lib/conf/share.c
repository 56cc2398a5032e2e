/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sharing of clusters and services between snapshots. They are made once, reference-counted, and
 * found by name in the last build; mt_conf_work() counts those made and reused.
 * - A cluster is reused while its resource and that of its endpoints have the same serial. For a
 *   document's cluster the serial is a hash of its description. A cluster with endpoints under
 *   policies is made in each build, as the policies are.
 * - A service is reused if its sources are unchanged (a discovery service's listener, routes,
 *   extension and protocols, or the documents that route and limit it), and every name in its
 *   routes leads where it led (struct mt_service_dep): the cluster has the same place and the same
 *   properties that decide when forwarding begins.
 * - The topology, computed here, is a hash of the documents' clusters in order, hosts with aliases
 *   and subsets, gateways and protocols. While it is unchanged, names in documents need no new
 *   lookup. If it changes, each is looked up again, and routes of joined documents (delegates) are
 *   compiled again.
 * - Clusters keep their places in the snapshot when others come and go, documents' before discovery
 *   services'. A new one takes a free place or is appended. If a place becomes free, the last
 *   cluster moves there.
 */
#include "mt_conf_priv.h"

#include <errno.h>
#include <string.h>

/* ---- where names lead ---------------------------------------------------------------------------- */

static uint64_t hash_host(const struct mt_build *b, const struct mt_host *host, uint64_t h)
{
	for (uint32_t i = 0; i < host->se->n_hosts; i++)
		h = mt_hash_text(host->se->hosts[i].s, h);
	/* Another object may have a further one. */
	for (uint32_t i = 1; i < host->se->n_hosts; i++)
		h = mt_hash_u64(mt_strmap_get(&b->hosts, host->se->hosts[i].s) == host, h);
	h = mt_hash_u64(host->se->n_hosts, h);
	for (uint32_t i = 0; host->rule && i < host->rule->n_subsets; i++)
		h = mt_hash_text(host->rule->subsets[i].name.s, h);
	for (const struct mt_unit *u = host->units; u; u = u->next)
		h = mt_hash_u64(u->codec ? mt_codec_identity(u->codec) : 0,
			mt_hash_u64(u->port->number.v, h));
	h = mt_hash_u64((uint64_t)host->no_subsets << 1 | host->over, h);
	return mt_hash_u64(host->rule ? host->rule->n_subsets + 1 : 0, h);
}

static uint64_t hash_documents(const struct mt_objs *objs, uint64_t h)
{
	for (uint32_t i = 0; i < objs->n; i++)
		h = mt_hash_u64(((const struct mt_meta *)objs->v[i])->serial, h);
	return mt_hash_u64(objs->n, h);
}

/* Routes are for clients by the node's namespace and labels. */
static uint64_t hash_clients(const struct mt_build *b, uint64_t h)
{
	const struct mt_node *node = b->model->node;

	for (uint32_t i = 0; node && i < node->meta.labels.n_kv; i++)
		h = mt_hash_text(node->meta.labels.kv[i].value,
			mt_hash_text(node->meta.labels.kv[i].key, h));
	return b->model->mesh.ns ? mt_hash_text(b->model->mesh.ns, h) : mt_hash_u64(0, h);
}

/*
 * Clusters in their order, because routes name them by place; hosts with their aliases, subsets and
 * protocols of ports, which destinations name; gateways and protocols, which documents and lists
 * name.
 */
void mt_b_topology(struct mt_build *b)
{
	uint64_t h = 1;

	for (uint32_t i = 0; i < b->n_clusters; i++)
		h = mt_hash_u64(b->clusters_v[i].id, h);
	for (uint32_t i = 0; i < b->n_hosts; i++)
		h = hash_host(b, &b->host_list[i], h);
	h = hash_documents(&b->model->gateways, h);
	b->topology = mt_b_protocols_hash(b, h);
	b->clients = hash_clients(b, 1);
}

/* ---- references ---------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/*
 * Identifies a document and the lists that were made of it and others. They may change without the
 * document, as those of a TCPRoute by a ReferenceGrant.
 */
static uint64_t checked_id(const struct mt_meta *meta, const struct mt_rule_list *lists, uint32_t n)
{
	uint64_t h = meta->serial;

	for (uint32_t i = 0; i < n; i++)
		h = lists[i].made_of ? mt_hash_u64(lists[i].made_of, h) : h;
	return h;
}

bool mt_b_was_checked(const struct mt_build *b, const struct mt_meta *meta,
	const struct mt_rule_list *lists, uint32_t n)
{
	uint64_t id = checked_id(meta, lists, n);

	return b->conf->n_checked && b->conf->topology == b->topology && meta->serial &&
	       bsearch(&id, b->conf->checked, b->conf->n_checked, sizeof(id), by_id);
}

/* Notes a document in b->conf->checked, which has room for all. */
static void remember(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_rule_list *lists, uint32_t n)
{
	if (!mt_b_leads_nowhere(b, meta))
		b->conf->checked[b->conf->n_checked++] = checked_id(meta, lists, n);
}

void mt_b_remember_checked(struct mt_build *b)
{
	const struct mt_model *m = b->model;
	const size_t n = m->virtual_services.n + m->meta_routers.n + m->envoy_filters.n;

	free(b->conf->checked);
	b->conf->checked = malloc(sizeof(*b->conf->checked) * (n + 1));
	b->conf->n_checked = 0;
	b->conf->topology = b->topology;
	if (!b->conf->checked)
		return;
	for (uint32_t i = 0; i < m->virtual_services.n; i++) {
		const struct mt_virtual_service *vs = m->virtual_services.v[i];

		remember(b, &vs->meta, vs->lists, vs->n_lists);
	}
	for (uint32_t i = 0; i < m->meta_routers.n; i++)
		remember(b, m->meta_routers.v[i], NULL, 0);
	for (uint32_t i = 0; i < m->envoy_filters.n; i++)
		remember(b, m->envoy_filters.v[i], NULL, 0);
	qsort(b->conf->checked, b->conf->n_checked, sizeof(*b->conf->checked), by_id);
}
