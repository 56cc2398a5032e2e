/* SPDX-License-Identifier: Apache-2.0 */
/* Who may call: what policies may be asked of callers hangs on whether any of them can show a certificate. */
#include "mt_conf_credentials_priv.h"
#include "mt_conf_listener_priv.h"
#include "mt_conf_policy_priv.h"

/* A port of it ends TLS, whoever's names it asks for. */
static bool ends_tls(const struct mt_gateway *g)
{
	for (uint32_t i = 0; i < g->n_servers; i++) {
		const struct mt_gateway_tls *tls = g->servers[i].tls;

		if (tls && tls->mode.set && tls->mode.v != MT_GATEWAY_PASSTHROUGH &&
			tls->mode.v != MT_GATEWAY_AUTO_PASSTHROUGH)
			return true;
	}
	return false;
}

static bool is_gateway_of_tls(const struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->gateways.n; i++) {
		const struct mt_gateway *g = b->model->gateways.v[i];

		if (mt_b_selects_node(b, &g->selector) && ends_tls(g))
			return true;
	}
	return false;
}

static uint64_t hash_callers(const struct mt_policies *all)
{
	const struct mt_authz_callers *who = &all->callers;
	uint64_t h = mt_hash_u64(who->n_domains, 1 + all->mtls + 2 * all->vouched);

	for (uint32_t i = 0; i < who->n_domains; i++)
		h = mt_hash_text(who->domains[i], h);
	return h;
}

void mt_b_policy_callers(struct mt_build *b)
{
	struct mt_policies *all = b->policies;

	all->callers.tokens = b->model->request_authentications.n > 0;
	all->mtls = mt_b_is_somebody(b);
	all->vouched = mt_b_has_workload_ports(b);
	all->callers.certified = all->mtls || all->vouched || is_gateway_of_tls(b);
	if (!all->callers.certified)
		return;
	all->callers.domains = all->domains;
	all->callers.n_domains = mt_b_trust_domains(b, all->domains);
	all->callers_hash = hash_callers(all);
}
