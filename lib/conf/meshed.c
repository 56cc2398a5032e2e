/* SPDX-License-Identifier: Apache-2.0 */
/* Instances that are called by the mesh's mTLS only: who reads of the service is told whom they are for. */
#include "mt_conf_cluster_priv.h"
#include "mt_conf_credentials_priv.h"
#include "mt_conf_listener_priv.h"
#include "mt_conf_policy_priv.h"

/*
 * Istio's client would speak mTLS to the instance's port, where nobody has written what is to be spoken. Not where somebody has said
 * that clear text is what is meant.
 */
bool mt_b_asks_for_mtls(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w, uint16_t port)
{
	struct mt_policy *whose;

	if (mt_instance_class(h, w) != MT_INSTANCE_MESHED || b->model->mesh.no_auto_mtls)
		return false;
	return !b->policies || mt_b_peer_mode(b, h, w, port, &whose) != MT_MTLS_DISABLE;
}

bool mt_b_asks_for_hbone(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w, uint16_t port)
{
	return w->proxy == MT_PROXY_AMBIENT && mt_b_asks_for_mtls(b, h, w, port);
}

/* What its clients speak with the instance at a port. */
enum spoken { CLEAR, OTHER_TLS, MESH_TLS, TUNNEL };

static enum spoken spoken(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_workload *w)
{
	const struct mt_meta *by;
	const struct mt_tls_settings *s = mt_b_tls_settings(h, u, NULL, &by);

	if (s && s->mode.v == MT_TLS_DISABLE)
		return CLEAR;
	if (s || u->port->tls_by)
		return s && s->mode.v == MT_TLS_ISTIO_MUTUAL ? MESH_TLS : OTHER_TLS;
	if (!mt_b_asks_for_mtls(b, h, w, mt_b_endpoint_port(u, w)))
		return CLEAR;
	return w->proxy == MT_PROXY_AMBIENT ? TUNNEL : MESH_TLS;
}

/* The same at every port, so that who cannot speak it does not reach it; else clear text. */
static enum spoken spoken_everywhere(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w)
{
	enum spoken all = h->units ? spoken(b, h, h->units, w) : CLEAR;

	for (const struct mt_unit *u = h->units; u; u = u->next)
		if (spoken(b, h, u, w) != all)
			return CLEAR;
	return all;
}

/* Instances of a host that are in use, and those that are not for everybody. */
struct instances {
	uint32_t n, mesh, tunnel; /* with proxies of their own: by the mesh's mTLS, by its tunnel */
};

static void tell(struct mt_build *b, const struct mt_host *h, const struct instances *of)
{
	const struct mt_meta *m = &h->se->meta;

	if (!mt_b_is_somebody(b) && of->mesh + of->tunnel)
		mt_b_warn(b, m, m->origin.line, NULL,
			"write the Node's spec.identity, or a DestinationRule with tls: {mode: "
			"DISABLE}, if they accept plaintext",
			"%u of %u endpoints have a proxy of their own and are not called: it "
			"expects mTLS, and this node has no identity",
			of->mesh + of->tunnel, of->n);
	if (mt_b_is_somebody(b) && of->tunnel)
		mt_b_warn(b, m, m->origin.line, NULL,
			"write a DestinationRule with tls: {mode: DISABLE}, if they accept "
			"plaintext",
			"%u of %u endpoints are of an ambient mesh and are not called: HBONE is "
			"not "
			"spoken",
			of->tunnel, of->n);
	if (mt_b_is_somebody(b) && of->mesh && !b->conf->n_held && !mt_b_is_lent(b, m->ns))
		mt_b_warn(
			b, m, m->origin.line, NULL, MT_LEND_REMEDY, MT_LEND_WORDS, of->mesh, of->n);
}

/* Then any certificate of the mesh is taken for theirs. */
static bool is_anybody(struct mt_build *b, const struct mt_host *h)
{
	const struct mt_res_tls *tls = h->units ? mt_b_document_tls(b, h, h->units, NULL) : NULL;

	return tls && !tls->n_sans && !tls->unmade;
}

static struct instances count(struct mt_build *b, const struct mt_host *h)
{
	struct instances of = {0};

	for (uint32_t k = 0; h->units && k < h->n_workloads; k++) {
		const struct mt_workload *w = h->workloads[k];
		enum spoken all;

		if (!w->weight.v)
			continue;
		all = spoken_everywhere(b, h, w);
		of.n++;
		/* A rule that asks for it of others says so itself. */
		if (mt_instance_class(h, w) != MT_INSTANCE_MESHED)
			continue;
		of.mesh += all == MESH_TLS;
		of.tunnel += all == TUNNEL;
	}
	return of;
}

void mt_b_meshed(struct mt_build *b)
{
	mt_b_tell_shown(b);
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];
		const struct mt_meta *m = &h->se->meta;
		const struct instances of = count(b, h);

		tell(b, h, &of);
		if (of.mesh && mt_b_is_somebody(b) && is_anybody(b, h))
			mt_b_note(b, m, m->origin.line, NULL,
				"write subjectAltNames, or the endpoints' serviceAccount",
				"its endpoints may have any certificate of the mesh: their service "
				"accounts are unknown");
	}
}
