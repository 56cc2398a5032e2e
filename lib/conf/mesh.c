/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What discovery services say, behind the documents. Each resource stands alone: one that cannot be
 * compiled is left out and told of by its name, the others and the documents go on. Documents come first
 * where both say something about a name or an address, then whoever is listed first.
 */
#include "mt_conf_mesh_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LEND_TOLD 64 /* clusters that are told of by name: it may be all of a mesh */

void mt_mesh_passing(struct mt_build *b, const struct mt_meta *meta)
{
	struct mt_mesh_build *m = b->mesh_build;

	if (m->n_passing++)
		return;
	m->passing = meta->name;
	m->passing_file = meta->origin.file;
}

/* ---- clusters ----------------------------------------------------------------------------------- */

/* *at: where they are in the model's list. */
static const struct mt_res_endpoints *endpoints_of(struct mt_build *b,
	const struct mt_res_cluster *mc, const struct mt_shared_cluster *old, uint32_t *at)
{
	*at = old ? old->eps_at : MT_NO_CLUSTER;
	if (mc->discovery == MT_RES_STATIC)
		return NULL;
	return mt_mesh_find(b, MT_RES_NAMED_ENDPOINTS,
		mc->endpoints_name ? mc->endpoints_name : mc->meta.name, at);
}

/* The newest of its name; NULL: none. Names that are asked for on demand share a serial. */
static struct mt_shared_cluster *newest_of(
	const struct mt_build *b, uint32_t at, const struct mt_res_cluster *mc)
{
	const struct mt_shared_last *l = &b->conf->shared.last_clusters;
	struct mt_shared_cluster *sc = at < l->n ? l->v[at] : NULL;

	if (sc && sc->serial && sc->serial == mc->meta.serial && !mc->demand_ms)
		return sc;
	return mt_strmap_get(&b->conf->shared.clusters, mc->meta.name);
}

/* Whether it can be one of the snapshot's; says why not. */
static bool wanted(
	struct mt_build *b, const struct mt_res_cluster *mc, const struct mt_shared_cluster *same)
{
	const char *no_tls;

	if (mc->discovery == MT_RES_ORIGINAL_DST) {
		mt_mesh_passing(b, &mc->meta);
		mt_strmap_put(&b->mesh_build->original, mc->meta.name, (void *)mc, NULL);
		return false;
	}
	if (b->clusters.n && mt_strmap_get(&b->clusters, mc->meta.name)) {
		mt_diag_resource(b->diags, MT_DIAG_LEFT_OUT, &mc->meta, NULL, NULL,
			"a document has a cluster of this name, which is used");
		return false;
	}
	if (same && same->build == b->mesh_build->id) {
		mt_diag_resource(b->diags, MT_DIAG_LEFT_OUT, &mc->meta, NULL,
			"give one of them another name", "another source has one of this name");
		return false;
	}
	/* To go on in clear text where encryption was asked for would be worse than not to answer. */
	no_tls = mc->tls && !mc->tls_by_endpoint ? mt_b_no_tls(b, mc->tls) : NULL;
	if (no_tls)
		mt_diag_resource(b->diags, MT_DIAG_NOT_SERVED, &mc->meta, "transport_socket",
			"write spec.identity, or let it be plain text",
			"connections to endpoints cannot be encrypted: %s", no_tls);
	return !no_tls;
}

static void tell_refused(
	struct mt_build *b, const struct mt_res_cluster *mc, const struct mt_shared_cluster *sc)
{
	const char *no_tls = sc->tls_why	    ? sc->tls_why
			     : sc->n_tls && mc->tls ? mt_b_no_tls(b, mc->tls)
						    : NULL;

	if (sc->n_refused)
		mt_diag_resource(b->diags, MT_DIAG_WARNING, &mc->meta, NULL, NULL,
			"%u of its endpoints are not used: their addresses are no other host, or "
			"this node itself",
			sc->n_refused);
	if (sc->n_tls)
		mt_diag_resource(b->diags, MT_DIAG_WARNING, &mc->meta, "transport_socket_matches",
			"write spec.identity, or let them be plain text",
			"%u of its endpoints are not used: they require TLS, which cannot be "
			"established: %s",
			sc->n_tls, no_tls ? no_tls : "");
}

/* "n of m endpoints need the node's identity": only callers in nodeIdentityUse have it. */
static void tell_lend(
	struct mt_build *b, const struct mt_res_cluster *mc, const struct mt_shared_cluster *sc)
{
	uint32_t n = mt_cluster_need_lend(&sc->c);

	if (!n)
		return;
	b->mesh_build->lend_file = mc->meta.origin.file;
	if (b->mesh_build->n_lend++ < LEND_TOLD)
		mt_diag_resource(b->diags, MT_DIAG_WARNING, &mc->meta, "transport_socket",
			MT_LEND_REMEDY, MT_LEND_WORDS, n, sc->c.n_eps);
}

/* Of a name alone nothing is told: somebody else has the cluster, then that one is used. */
static bool has_it(const struct mt_build *b, const char *name, const struct mt_shared_cluster *same)
{
	return mt_strmap_get(&b->clusters, name) || mt_strmap_get(&b->mesh_build->original, name) ||
	       (same && same->build == b->mesh_build->id);
}

/* As its workloads' metadata say. */
static const char *ns_of(const struct mt_res_cluster *mc, const struct mt_res_endpoints *e)
{
	e = mc->dns ? mc->dns->fixed : e ? e : mc->endpoints;
	return e ? e->ns : NULL;
}

static void no_room(struct mt_build *b, const struct mt_res_cluster *mc)
{
	mt_diag_resource(b->diags, MT_DIAG_LEFT_OUT, &mc->meta, NULL,
		"fewer clusters and endpoints, or more memory",
		"there is no room for it (%u endpoints and %u clusters at most)",
		MT_UPSTREAM_EPS_MAX, MT_UPSTREAM_CLUSTERS_MAX);
}

static void take_cluster(struct mt_build *b, const struct mt_res_cluster *mc, uint32_t i)
{
	struct mt_shared_cluster *old = newest_of(b, i, mc), *sc;
	const struct mt_res_endpoints *eps;
	struct mt_cluster_said said;
	struct mt_snap *s = b->snap;
	uint32_t at;

	if (b->tmp.failed || (mc->demand_ms ? has_it(b, mc->meta.name, old) : !wanted(b, mc, old)))
		return;
	eps = endpoints_of(b, mc, old, &at);
	said = (struct mt_cluster_said){mc, eps, NULL, ns_of(mc, eps)};
	sc = mt_b_cluster(b, &said, old);
	if (!sc && !b->tmp.failed)
		no_room(b, mc);
	if (!sc)
		return;
	b->conf->shared.last_clusters.v[i] = sc;
	sc->at = i;
	sc->eps_at = at;
	sc->build = b->mesh_build->id;
	s->clusters[s->n_clusters++] = sc;
	tell_refused(b, mc, sc);
	tell_lend(b, mc, sc);
}

/* Takes what the build uses, behind the documents'; 0 or -ENOMEM. */
static int take_clusters(struct mt_build *b)
{
	const struct mt_objs *objs = &b->model->res_clusters;
	struct mt_snap *s = b->snap;
	struct mt_shared_cluster **all = mt_region_alloc(
		&s->region, sizeof(struct mt_shared_cluster *) * (s->n_clusters + objs->n));
	uint32_t n_names = 0;

	if (!all)
		return -ENOMEM;
	if (s->n_clusters)
		memcpy(all, s->clusters, sizeof(*all) * s->n_clusters);
	s->clusters = all;
	if (!mt_shared_last_resize(&b->conf->shared.last_clusters, objs->n))
		return -ENOMEM;
	/* Names alone come last: whoever has the cluster comes first. */
	for (uint32_t i = 0; i < objs->n; i++) {
		const struct mt_res_cluster *mc = objs->v[i];

		n_names += mc->demand_ms != 0;
		if (!mc->demand_ms)
			take_cluster(b, mc, i);
	}
	for (uint32_t i = 0; i < objs->n && n_names; i++) {
		const struct mt_res_cluster *mc = objs->v[i];

		if (mc->demand_ms)
			take_cluster(b, mc, i);
	}
	return b->tmp.failed ? -ENOMEM : 0;
}

static int clusters(struct mt_build *b)
{
	uint32_t n_doc = b->n_clusters, n;
	struct mt_cluster *all;

	if (take_clusters(b))
		return -ENOMEM;
	n = b->snap->n_clusters;
	if (mt_b_place_clusters(b, b->snap->clusters + n_doc, n - n_doc))
		return -ENOMEM;
	all = mt_region_alloc(&b->snap->region, sizeof(*all) * n);
	if (!all)
		return -ENOMEM;
	if (n_doc)
		memcpy(all, b->clusters_v, sizeof(*all) * n_doc);
	for (uint32_t i = n_doc; i < n; i++) {
		all[i] = b->snap->clusters[i]->c;
		if (b->policies && mt_b_may_be_guarded(b, mt_mesh_ns(b, b->snap->clusters[i])))
			all[i].guards_read = all[i].guards_search = true;
	}
	b->clusters_v = b->snap->pub.clusters = all;
	b->n_clusters = b->snap->pub.n_clusters = n;
	return 0;
}

uint32_t mt_mesh_place(const struct mt_build *b, const char *name)
{
	const struct mt_shared_cluster *sc = mt_strmap_get(&b->conf->shared.clusters, name);

	if (!sc || sc->build != b->mesh_build->id)
		return MT_NO_CLUSTER;
	return b->snap->n_doc_clusters + sc->place;
}

/* NULL: none are known. */
static const struct mt_res_endpoints *eps_of(
	const struct mt_build *b, const struct mt_shared_cluster *sc)
{
	const struct mt_res_cluster *mc = b->model->res_clusters.v[sc->at];

	return sc->eps_at == MT_NO_CLUSTER ? mc->endpoints : b->model->res_endpoints.v[sc->eps_at];
}

const struct mt_res_cluster *mt_mesh_said(
	const struct mt_build *b, const char *name, const struct mt_res_endpoints **eps)
{
	const struct mt_shared_cluster *sc = mt_strmap_get(&b->conf->shared.clusters, name);

	if (!sc || sc->build != b->mesh_build->id)
		return NULL;
	*eps = eps_of(b, sc);
	return b->model->res_clusters.v[sc->at];
}

const char *mt_mesh_ns(const struct mt_build *b, const struct mt_shared_cluster *sc)
{
	return ns_of(b->model->res_clusters.v[sc->at], eps_of(b, sc));
}

/* ---- all of it ---------------------------------------------------------------------------------- */

static void tell_passing(struct mt_build *b)
{
	const struct mt_mesh_build *m = b->mesh_build;

	if (m->n_passing)
		mt_diag_add(b->diags, MT_DIAG_WARNING, (struct mt_origin){m->passing_file, 0}, NULL,
			NULL,
			"%u listeners and clusters only forward redirected connections and are not "
			"used (%.64s%s)",
			m->n_passing, m->passing, m->n_passing > 1 ? ", ..." : "");
}

static void tell_more_lend(struct mt_build *b)
{
	const struct mt_mesh_build *m = b->mesh_build;

	if (m->n_lend > LEND_TOLD)
		mt_diag_add(b->diags, MT_DIAG_WARNING, (struct mt_origin){m->lend_file, 0}, NULL,
			MT_LEND_REMEDY,
			"%u more clusters have endpoints that need the node's identity (`show "
			"objects` names the services)",
			m->n_lend - LEND_TOLD);
}

static int build(struct mt_build *b)
{
	int rc;

	mt_mesh_names_begin(b);
	rc = clusters(b);
	if (rc == 0)
		rc = mt_mesh_listeners(b);
	tell_passing(b);
	tell_more_lend(b);
	return rc;
}

int mt_b_mesh(struct mt_build *b)
{
	const struct mt_model *m = b->model;
	struct mt_mesh_build mb = {
		.id = ++b->conf->shared.builds, .protocols = mt_b_protocols_hash(b, 1)};
	int rc;

	if (!m->res_clusters.n && !m->res_listeners.n)
		return 0;
	b->mesh_build = &mb;
	rc = build(b);
	mt_mesh_names_end(b);
	mt_strmap_fini(&mb.original);
	b->mesh_build = NULL;
	return rc;
}

const struct mt_cluster *mt_conf_cluster(const struct mt_conf *c, const char *name)
{
	const struct mt_shared_cluster *sc = mt_strmap_get(&c->shared.clusters, name);

	return sc ? &sc->c : NULL;
}

struct mt_conf_work mt_conf_work(const struct mt_conf *c)
{
	return c->shared.work;
}
