/* SPDX-License-Identifier: Apache-2.0 */
/* Instances behind proxies of their own, which expect the mesh's mTLS: none is made yet, and who reads of the service is told. */
#include "mt_conf_policy_priv.h"

static const struct mt_tls_settings *rule_of(const struct mt_host *h)
{
	const struct mt_traffic_policy *p = h->rule ? h->rule->policy : NULL;

	return p && p->tls && p->tls->mode.set ? p->tls : NULL;
}

/*
 * Istio's client would speak mTLS to the instance's port, which is not made yet: clear text instead would be worse than not to call it.
 * Not where somebody has said that clear text is what is meant.
 */
bool mt_b_asks_for_mtls(
	struct mt_build *b, const struct mt_host *h, const struct mt_workload *w, uint16_t port)
{
	struct mt_policy *whose;

	if (mt_instance_class(h, w) != MT_INSTANCE_MESHED)
		return false;
	/* A rule's own word is obeyed for the whole cluster. */
	if (rule_of(h) || b->model->mesh.no_auto_mtls)
		return false;
	return !b->policies || mt_b_peer_mode(b, h, w, port, &whose) != MT_MTLS_DISABLE;
}

static bool is_called(struct mt_build *b, const struct mt_host *h, const struct mt_workload *w)
{
	const struct mt_tls_settings *tls = rule_of(h);

	if (tls && tls->mode.v != MT_TLS_DISABLE)
		return false;
	for (const struct mt_unit *u = h->units; u; u = u->next)
		if (!mt_b_asks_for_mtls(b, h, w, mt_b_endpoint_port(u, w)))
			return true;
	return false;
}

void mt_b_meshed(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];
		uint32_t n = 0, meshed = 0;

		for (uint32_t k = 0; h->units && k < h->n_workloads; k++) {
			const struct mt_workload *w = h->workloads[k];

			n += w->weight.v > 0;
			meshed += w->weight.v && mt_instance_class(h, w) == MT_INSTANCE_MESHED &&
				  !is_called(b, h, w);
		}
		if (meshed)
			mt_b_warn(b, &h->se->meta, h->se->meta.origin.line, NULL,
				"write a DestinationRule with tls: {mode: DISABLE}, if they take "
				"clear "
				"text",
				"%u of %u instances have a proxy of their own and are not called: "
				"it "
				"expects mTLS, which is not made yet",
				meshed, n);
	}
}
