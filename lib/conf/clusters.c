/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbound|PORT|SUBSET|HOST: one cluster for each served port, and one more for each subset; outbound_.PORT_.SUBSET_.HOST beside them, where a
 * gateway passes TLS on.
 */
#include "mt_conf_cluster_priv.h"
#include "mt_conf_credentials_priv.h"
#include "mt_conf_forward_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

uint16_t mt_b_endpoint_port(const struct mt_unit *u, const struct mt_workload *w)
{
	const char *own = mt_labels_get(&w->ports, u->port->name.s);

	if (own)
		return (uint16_t)strtoul(own, NULL, 10);
	return (uint16_t)(u->port->target_port.set ? u->port->target_port.v : u->port->number.v);
}

/*
 * False if the snapshot has a cluster of that name already, which is an error: two ports with one number, say. Each place in the
 * snapshot is one cluster's.
 */
static bool is_new(struct mt_build *b, const struct mt_host *h, const char *name)
{
	if (!mt_strmap_get(&b->clusters, name))
		return true;
	mt_b_error(b, &h->se->meta, h->se->meta.origin.line, NULL,
		"give each port its own number and each subset its own name",
		"it makes the cluster %.128s twice", name);
	return false;
}

/* Found or compiled, after those that are there. `by`: the document that is wrong without room. */
static int take(struct mt_build *b, const struct mt_host *h, struct mt_document_cluster *d,
	const struct mt_meta *by)
{
	struct mt_snap *s = b->snap;
	struct mt_cluster_said said = {&d->cluster, NULL, &d->guards, h->se->meta.ns};
	struct mt_shared_cluster **slot, *sc, *old;

	if (!is_new(b, h, d->cluster.meta.name))
		return 0;
	slot = mt_region_push(&s->region, (void **)&s->clusters, &s->n_clusters, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	old = mt_strmap_get(&b->conf->shared.clusters, d->cluster.meta.name);
	sc = mt_b_cluster(b, &said, old);
	if (!sc) {
		s->n_clusters--;
		if (!b->tmp.failed)
			mt_b_no_room_for_cluster(b, by);
		return b->tmp.failed ? -ENOMEM : 0;
	}
	if (sc != old)
		mt_b_grew(b, by, sc->c.n_eps);
	/* Whoever is a document's is none of the mesh's any more. */
	sc->at = MT_NO_CLUSTER;
	*slot = sc;
	/* Its place is known when all are there. */
	return mt_strmap_put(&b->clusters, sc->name, (void *)(uintptr_t)s->n_clusters, NULL);
}

static int add_cluster(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_subset *subset)
{
	const struct mt_meta *by = !subset	? &h->se->meta
				   : subset->by ? subset->by
						: &h->rule->meta;
	struct mt_document_cluster d;

	if (mt_b_document_cluster(b, h, u, subset, &d))
		return -ENOMEM;
	return take(b, h, &d, by);
}

/* A name that nobody could be reached by is none. */
static int add_passed(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_subset *subset, const struct mt_meta *by)
{
	struct mt_document_cluster d;

	if (mt_b_passed_cluster(b, h, u, subset, &d))
		return -ENOMEM;
	return d.endpoints.n_eps ? take(b, h, &d, by) : 0;
}

static int passed_clusters(
	struct mt_build *b, const struct mt_host *h, const struct mt_meta *gateway)
{
	int rc = 0;

	for (struct mt_unit *u = h->units; u && rc == 0; u = u->next) {
		rc = add_passed(b, h, u, NULL, gateway);
		for (uint32_t i = 0; i < mt_host_subsets(h) && rc == 0; i++)
			rc = add_passed(b, h, u, &h->rule->subsets[i], gateway);
	}
	return rc;
}

/* All of them are there: each has its place from now on. */
static int list_clusters(struct mt_build *b)
{
	struct mt_snap *s = b->snap;
	uint32_t n = s->n_doc_clusters = s->n_clusters;

	b->clusters_v = mt_region_alloc(&s->region, sizeof(*b->clusters_v) * n);
	if (!b->clusters_v || mt_b_place_clusters(b, s->clusters, n))
		return -ENOMEM;
	b->n_clusters = n;
	for (uint32_t i = 0; i < n; i++) {
		b->clusters_v[i] = s->clusters[i]->c;
		mt_strmap_put(&b->clusters, s->clusters[i]->name, (void *)(uintptr_t)(i + 1), NULL);
	}
	return 0;
}

#define NO_TLS                                                                                     \
	"TLS to endpoints cannot be established: %s. They are not called, because plaintext is "   \
	"not permitted"
#define NO_LAST_GOOD  ", unless a last good version with as strong TLS is there"
#define NO_TLS_REMEDY "write mode: DISABLE for plaintext"

static void tell_tls(struct mt_build *b, const struct mt_host *h, const struct mt_meta *meta,
	const struct mt_tls_settings *tls, const char *path, const char *field)
{
	char full[MT_CONF_PATH];
	const struct mt_tls_fields fields = {.path = full,
		.rest = tls && tls->credential.s ? "credentialName" : "mode",
		.line = !tls		    ? 0
			: tls->credential.s ? tls->credential.line
					    : tls->mode.line,
		.texts = {NULL, tls ? &tls->chain : NULL, tls ? &tls->key : NULL,
			tls ? &tls->roots : NULL, tls ? &tls->crl : NULL},
		.names = {NULL, "clientCertificate", "privateKey", "caCertificates", "caCrl"}};
	struct mt_tls_trouble trouble;
	struct mt_res_tls made;

	if (!tls || !tls->mode.set || tls->mode.v == MT_TLS_DISABLE)
		return;
	mt_b_settings_tls(b, tls, meta->ns, &made);
	mt_b_tls_trouble(b, &made, &trouble);
	snprintf(full, sizeof(full), "%s.%s", path, field);
	if (trouble.why)
		mt_b_tell_trouble(b, meta, &fields, &trouble, NO_TLS_REMEDY,
			trouble.material ? NO_TLS NO_LAST_GOOD : NO_TLS);
	else
		mt_b_tell_unlent(b, h, meta, tls, full);
}

/* The BackendTLSPolicy of a port. */
static void check_backend_tls(struct mt_build *b, const struct mt_se_port *port)
{
	const struct mt_tls_fields fields = {
		.path = "spec.validation", .line = port->tls_by->origin.line};
	struct mt_tls_trouble trouble;
	struct mt_res_tls made;

	mt_b_settings_tls(b, port->tls, port->tls_by->ns, &made);
	mt_b_tls_trouble(b, &made, &trouble);
	if (trouble.why)
		mt_b_tell_trouble(b, port->tls_by, &fields, &trouble, NULL,
			trouble.material ? NO_TLS NO_LAST_GOOD : NO_TLS);
}

/* Each once. */
static void check_backend_policies(struct mt_build *b, const struct mt_service_entry *se)
{
	for (uint32_t i = 0; i < se->n_ports; i++) {
		uint32_t k = 0;

		while (se->ports[k].tls_by != se->ports[i].tls_by)
			k++;
		if (se->ports[i].tls_by && k == i)
			check_backend_tls(b, &se->ports[i]);
	}
}

static void check_tls(struct mt_build *b, const struct mt_host *h, const struct mt_meta *meta,
	const struct mt_traffic_policy *p, const char *path)
{
	char field[64];

	if (!p)
		return;
	tell_tls(b, h, meta, p->tls, path, "tls");
	for (uint32_t i = 0; i < p->n_ports; i++) {
		snprintf(field, sizeof(field), "portLevelSettings[%u].tls", i);
		tell_tls(b, h, meta, p->ports[i].policy.tls, path, field);
	}
}

/* Only an ejected endpoint is replaced by others. */
static void check_failover(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_traffic_policy *own, const struct mt_traffic_policy *top, const char *path)
{
	const struct mt_locality_policy *p = own && own->lb ? own->lb->locality : NULL;

	if (p && (p->n_failover || p->n_labels) && !(p->enabled.set && !p->enabled.v) &&
		!own->outlier && !(top && top->outlier))
		mt_b_warn(b, meta, p->origin.line, path, "write outlierDetection, or remove it",
			"no endpoint takes over, because none is ever ejected");
}

static void warn_hash(struct mt_build *b, const struct mt_host *h, uint32_t i)
{
	const struct mt_traffic_policy *top = h->rule->policy;
	const struct mt_subset *s = &h->rule->subsets[i];
	char path[64];

	if (!top || !top->lb || !top->lb->hash || top->lb->hash->use_source_ip.v ||
		(s->policy && s->policy->lb))
		return;
	snprintf(path, sizeof(path), "spec.subsets[%u]", s->by ? s->at : i);
	mt_b_warn(b, s->by ? s->by : &h->rule->meta, s->origin.line, path,
		"write consistentHash in the subset's own trafficPolicy",
		"subset \"%.64s\" does not take over consistentHash", s->name.s);
}

/* Names, TLS and empty subsets, once for each rule of a served host. */
static void check_rule(struct mt_build *b, const struct mt_host *h)
{
	const struct mt_destination_rule *dr = h->rule;

	check_tls(b, h, &dr->meta, dr->policy, "spec.trafficPolicy");
	check_failover(b, &dr->meta, dr->policy, NULL, "spec.trafficPolicy.loadBalancer");
	for (uint32_t i = 0; i < dr->n_subsets; i++) {
		const struct mt_subset *s = &dr->subsets[i];
		const struct mt_meta *meta = s->by ? s->by : &dr->meta;
		uint32_t members = 0, at = s->by ? s->at : i;
		char path[80];

		snprintf(path, sizeof(path), "spec.subsets[%u].trafficPolicy", at);
		check_tls(b, h, meta, s->policy, path);
		snprintf(path, sizeof(path), "spec.subsets[%u].trafficPolicy.loadBalancer", at);
		check_failover(b, meta, s->policy, dr->policy, path);
		warn_hash(b, h, i);
		for (uint32_t j = 0; j < h->n_workloads; j++)
			members += mt_labels_match(&s->labels, &h->workloads[j]->labels);
		if (!members && h->n_workloads)
			mt_b_empty_subset(b, h, s, meta, at);
	}
}

static void check_subset_names(struct mt_build *b, const struct mt_destination_rule *dr)
{
	struct mt_strmap names = {0};

	for (uint32_t i = 0; i < dr->n_subsets; i++) {
		const struct mt_subset *s = &dr->subsets[i], *first;
		char path[64];
		void *before;

		mt_strmap_put(&names, s->name.s, (void *)s, &before);
		first = before;
		snprintf(path, sizeof(path), "spec.subsets[%u].name", i);
		(void)mt_b_label(b, &dr->meta, &s->name, path, "subset");
		if (first)
			mt_b_error(b, &dr->meta, s->name.line, path,
				"give each subset its own name", "\"%.64s\" is already on line %u",
				s->name.s, first->name.line);
	}
	mt_strmap_fini(&names);
}

/* ---- forwarded ports ------------------------------------------------------------------ */

static void path_of(const struct mt_unit *u, char path[MT_INDEX_PATH])
{
	mt_index_path(path, "spec.ports", (uint32_t)(u->port - u->se->ports), "");
}

static void count_tls_endpoints(
	struct mt_build *b, const struct mt_forward_dest *d, uint32_t *n, uint32_t *all)
{
	for (uint32_t i = 0; i < d->h->n_workloads; i++) {
		const struct mt_workload *w = d->h->workloads[i];
		bool counts = d->weight > 0 && w->weight.v > 0 &&
			      (!d->subset || mt_labels_match(&d->subset->labels, &w->labels));

		*all += counts;
		*n += counts && mt_b_forward_by_tls(b, d, w);
	}
}

/* Endpoints that are called by TLS where the port is terminated. */
static void tell_tls_endpoints(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u)
{
	char path[MT_INDEX_PATH];
	uint32_t n = 0, all = 0;

	for (uint32_t i = 0; u->route && i < u->route->n; i++)
		count_tls_endpoints(b, &u->route->v[i], &n, &all);
	path_of(u, path);
	if (n)
		mt_b_warn(b, &h->se->meta, u->port->origin.line, path,
			"write a DestinationRule with tls: {mode: DISABLE} for the port, if they "
			"accept plaintext",
			"%u of %u endpoints get no packets: they expect TLS, which is not spoken "
			"on a forwarded port",
			n, all);
}

#define CLOSED_REMEDY                                                                              \
	"write the policy without it for this port, or name the policy in the Node's `unenforced`"

static const struct mt_closer *closer_of(
	struct mt_build *b, const struct mt_host *h, const struct mt_unit *u)
{
	struct mt_forward_closing closing;
	const struct mt_meta *by;
	char path[MT_INDEX_PATH];

	if (h->over)
		return mt_b_closer(b, &h->se->meta);
	if (!mt_b_forward_closed(b, h, u, &closing))
		return NULL;
	by = closing.by->meta;
	path_of(u, path);
	(closing.evaluated ? mt_b_note : mt_b_warn)(b, &h->se->meta, u->port->origin.line, path,
		closing.evaluated ? NULL : CLOSED_REMEDY,
		"forwarded port %u is closed: %s %.64s/%.128s %s", u->port->number.v, by->kind,
		by->ns, by->name, closing.why);
	return mt_b_closer(b, by);
}

static int forwarded_clusters(struct mt_build *b, const struct mt_host *h)
{
	int rc = 0;

	for (struct mt_unit *u = h->forwards; u && rc == 0; u = u->next) {
		const struct mt_closer *by = closer_of(b, h, u);
		uint32_t n = b->snap->n_clusters;
		struct mt_document_cluster d;

		if (!by)
			tell_tls_endpoints(b, h, u);
		rc = mt_b_forwarded_cluster(b, h, u, by, &d) ? -ENOMEM
							     : take(b, h, &d, &h->se->meta);
		u->cluster = b->snap->n_clusters > n ? b->snap->clusters[n] : NULL;
	}
	return rc;
}

/* All that routes may name, referred to or not: a route that is edited in finds its cluster's state. */
static int host_clusters(struct mt_build *b, const struct mt_host *h)
{
	const struct mt_meta *gateway;
	int rc = 0;

	for (struct mt_unit *u = h->units; u && rc == 0; u = u->next) {
		uint32_t n = b->snap->n_clusters;

		rc = add_cluster(b, h, u, NULL);
		u->cluster = b->snap->n_clusters > n ? b->snap->clusters[n] : NULL;
		for (uint32_t i = 0; i < mt_host_subsets(h) && rc == 0; i++)
			rc = add_cluster(b, h, u, &h->rule->subsets[i]);
	}
	if (rc == 0)
		rc = forwarded_clusters(b, h);
	gateway = rc ? NULL : mt_b_passed_by(b, h);
	return gateway ? passed_clusters(b, h, gateway) : rc;
}

void mt_b_clusters(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];
		uint32_t errors = b->diags->errors;

		(void)mt_b_pay(b, &h->se->meta);
		if (b->work.full)
			break;
		if (h->rule)
			check_subset_names(b, h->rule);
		if (h->rule && mt_host_is_served(h) && !h->over)
			check_rule(b, h);
		check_backend_policies(b, h->se);
		if (b->diags->errors == errors && host_clusters(b, h))
			b->tmp.failed = true;
	}
	(void)mt_b_pay(b, NULL);
	if (list_clusters(b))
		b->tmp.failed = true;
}
