/* SPDX-License-Identifier: Apache-2.0 */
/* Instances that are called by the mesh's mTLS only: who reads of the service is told whom they are for. */
#include "mt_conf_cluster_priv.h"
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

/* What its clients speak with the instance at a port. */
enum spoken { CLEAR, OTHER_TLS, MESH_TLS };

static enum spoken spoken(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_workload *w)
{
	const struct mt_meta *by;
	const struct mt_tls_settings *s = mt_b_tls_settings(h, u, NULL, &by);

	if (s && s->mode.v == MT_TLS_DISABLE)
		return CLEAR;
	if (s || h->se->tls_by)
		return s && s->mode.v == MT_TLS_ISTIO_MUTUAL ? MESH_TLS : OTHER_TLS;
	return mt_b_asks_for_mtls(b, h, w, mt_b_endpoint_port(u, w)) ? MESH_TLS : CLEAR;
}

/* At every port, so that who has no identity does not reach it. */
static bool is_for_the_mesh(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w)
{
	for (const struct mt_unit *u = h->units; u; u = u->next)
		if (spoken(b, h, u, w) != MESH_TLS)
			return false;
	return h->units != NULL;
}

static void tell(struct mt_build *b, const struct mt_host *h, uint32_t n, uint32_t of)
{
	const struct mt_meta *m = &h->se->meta;

	if (!b->conf->identity)
		mt_b_warn(b, m, m->origin.line, NULL,
			"write the Node's spec.identity, or a DestinationRule with tls: {mode: "
			"DISABLE}, if they take clear text",
			"%u of %u instances have a proxy of their own and are not called: it "
			"expects mTLS, and this node has no identity",
			n, of);
	else if (!mt_b_is_lent(b, m->ns))
		mt_b_warn(b, m, m->origin.line, NULL, MT_LEND_REMEDY, MT_LEND_WORDS, n, of);
}

/* Then any certificate of the mesh is taken for theirs. */
static bool is_anybody(struct mt_build *b, const struct mt_host *h)
{
	const struct mt_res_tls *tls = h->units ? mt_b_document_tls(b, h, h->units, NULL) : NULL;

	return tls && !tls->n_sans && !tls->unmade;
}

void mt_b_meshed(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];
		const struct mt_meta *m = &h->se->meta;
		uint32_t n = 0, meshed = 0;

		for (uint32_t k = 0; h->units && k < h->n_workloads; k++) {
			const struct mt_workload *w = h->workloads[k];

			n += w->weight.v > 0;
			/* Without an identity a rule that asks for it of others tells so itself. */
			meshed += w->weight.v && is_for_the_mesh(b, h, w) &&
				  (b->conf->identity ||
					  mt_instance_class(h, w) == MT_INSTANCE_MESHED);
		}
		if (meshed)
			tell(b, h, meshed, n);
		if (meshed && b->conf->identity && is_anybody(b, h))
			mt_b_warn(b, m, m->origin.line, NULL,
				"write subjectAltNames, or the instances' serviceAccount",
				"any certificate of the mesh is taken for its instances': nobody "
				"says which they have");
	}
}
