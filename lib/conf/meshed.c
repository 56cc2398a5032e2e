/* SPDX-License-Identifier: Apache-2.0 */
/* Instances behind proxies of their own, which expect the mesh's mTLS: none is made yet, and who reads of the service is told. */
#include "mt_conf_policy_priv.h"

static const struct mt_tls_settings *rule_of(const struct mt_host *h)
{
	const struct mt_traffic_policy *p = h->rule ? h->rule->policy : NULL;

	return p && p->tls && p->tls->mode.set ? p->tls : NULL;
}

/* Somebody has said that clear text is what is meant. */
static bool is_plain(struct mt_build *b, const struct mt_host *h, const struct mt_workload *w)
{
	const struct mt_tls_settings *tls = rule_of(h);
	struct mt_policy *whose;

	if (tls || b->model->mesh.no_auto_mtls)
		return !tls || tls->mode.v == MT_TLS_DISABLE;
	for (const struct mt_unit *u = b->policies ? h->units : NULL; u; u = u->next)
		if (mt_b_peer_mode(b, h, w, mt_b_endpoint_port(u, w), &whose) != MT_MTLS_DISABLE)
			return false;
	return b->policies != NULL;
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
				  !is_plain(b, h, w);
		}
		if (meshed)
			mt_b_warn(b, &h->se->meta, h->se->meta.origin.line, NULL, NULL,
				"%u of %u instances have a proxy of their own, which expects mTLS: "
				"TLS to instances is not made yet, so they are %s",
				meshed, n,
				rule_of(h) ? "not called"
					   : "called in clear text, and one that is STRICT "
					     "refuses");
	}
}
