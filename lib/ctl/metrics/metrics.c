/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents of the registry: the counters of every library, and the families, which are all other
 * numbers. `show meaning`, the exposition's HELP, TYPE and UNIT lines, and
 * docs/reference/metrics.md come from it.
 */
#include "mt_ctl_metrics_priv.h"
#include "mt_ctl_otlp_priv.h"
#include "mt_extauthz.h"
#include "mt_jwks_store.h"
#include "mt_tls_layer.h"

#include <errno.h>
#include <string.h>

const struct mt_outcome_set *const mt_ctl_sets[] = {&mt_port_outcomes, &mt_net_outcomes,
	&mt_l4_outcomes, &mt_tcp_outcomes, &mt_buf_outcomes, &mt_proxy_outcomes,
	&mt_upstream_outcomes, &mt_filter_outcomes, &mt_worker_outcomes, &mt_tls_outcomes,
	&mt_tls_failed_outcomes, &mt_token_outcomes, &mt_jwks_outcomes, &mt_extauthz_outcomes,
	&mt_dns_outcomes, &mt_otlp_outcomes};
const size_t mt_n_ctl_sets = MT_ARRAY_LEN(mt_ctl_sets);

const struct mt_family_row *const mt_family_tables[] = {mt_families_istio, mt_families_service,
	mt_families_forwarding, mt_families_node, mt_families_load, mt_families_mesh,
	mt_families_identity, mt_families_log, NULL};

const struct mt_family_row *mt_family_at(uint32_t i)
{
	for (uint32_t t = 0; mt_family_tables[t]; t++)
		for (const struct mt_family_row *r = mt_family_tables[t]; r->name; r++)
			if (i-- == 0)
				return r;
	return NULL;
}

/* Argument of collect(), one per family. */
struct mt_ctl_family {
	const struct mt_ctl *c;
	const struct mt_family_row *row;
};

static uint32_t collect(void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos)
{
	const struct mt_ctl_family *x = arg;
	struct mt_collect k = {x->c, out, f, x->row->offset, pos, false};

	x->row->collect(&k);
	return k.more ? k.pos : 0;
}

static int add_families(struct mt_ctl *c)
{
	const struct mt_family_row *r;
	uint32_t n = 0;

	while (mt_family_at(n))
		n++;
	c->families = calloc(n, sizeof(*c->families));
	c->family_args = calloc(n, sizeof(*c->family_args));
	if (!c->families || !c->family_args)
		return -ENOMEM;
	for (uint32_t i = 0; (r = mt_family_at(i)) != NULL; i++) {
		c->family_args[i] = (struct mt_ctl_family){c, r};
		c->families[i] = (struct mt_family){
			r->name, r->type, r->unit, r->labels, r->help, collect, &c->family_args[i]};
	}
	return mt_metrics_add_families(c->metrics, c->families, n);
}

/* ---- counters ------------------------------------------------------------------------------- */

static int add_tls(struct mt_metrics *m, const struct mt_tls_layer *l)
{
	int rc = l ? mt_metrics_add(m, &mt_tls_outcomes, l->counts) : 0;

	if (!l || rc)
		return rc;
	return mt_metrics_add(m, &mt_tls_failed_outcomes, l->failed + 1);
}

static int add_worker(struct mt_metrics *m, struct mt_worker *w)
{
	const struct {
		const struct mt_outcome_set *set;
		const uint64_t *counters;
	} all[] = {
		{&mt_worker_outcomes, mt_worker_stats(w)->counters},
		{&mt_dns_outcomes, mt_worker_names_counters(w)},
		{&mt_net_outcomes, mt_net_counters(mt_worker_net(w))},
		{&mt_tcp_outcomes, mt_tcp_counters(mt_worker_tcp(w))},
		{&mt_proxy_outcomes, mt_proxy_counters(mt_worker_proxy(w))},
		{&mt_upstream_outcomes, mt_proxy_upstream_counters(mt_worker_proxy(w))},
		{&mt_filter_outcomes, mt_proxy_filter_counters(mt_worker_proxy(w))},
		{&mt_token_outcomes, mt_proxy_token_counters(mt_worker_proxy(w))},
		{&mt_buf_outcomes, mt_worker_pools(w)->counters},
	};
	int rc = 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(all) && rc == 0; i++)
		rc = mt_metrics_add(m, all[i].set, all[i].counters);
	if (!rc && mt_worker_l4(w))
		rc = mt_metrics_add(m, &mt_l4_outcomes, mt_l4_counters(mt_worker_l4(w)));
	return rc ? rc : add_tls(m, mt_worker_tls(w));
}

int mt_ctl_metrics_init(struct mt_ctl *c)
{
	int rc = 0;

	c->metrics = mt_metrics_new();
	if (!c->metrics)
		return -ENOMEM;
	for (uint16_t i = 0; i < c->env.n_ports && rc == 0; i++) {
		const struct mt_port *p = c->env.ports[i];

		for (uint16_t w = 0; p->workers && w < p->n_workers && rc == 0; w++)
			rc = mt_metrics_add(c->metrics, &mt_port_outcomes, p->workers[w].counters);
	}
	for (uint16_t w = 0; w < c->env.n_workers && rc == 0; w++)
		rc = add_worker(c->metrics, c->env.workers[w]);
	if (rc == 0 && c->env.conf)
		rc = mt_metrics_add(c->metrics, &mt_jwks_outcomes,
			mt_jwks_store_counters(mt_conf_jwks(c->env.conf)));
	if (rc == 0 && c->env.asks)
		rc = mt_metrics_add(
			c->metrics, &mt_extauthz_outcomes, mt_extauthz_counters(c->env.asks));
	if (rc == 0 && c->env.dns)
		rc = mt_metrics_add(
			c->metrics, &mt_dns_outcomes, mt_dns_server_counters(c->env.dns));
	return rc ? rc : add_families(c);
}

void mt_ctl_metrics_fini(struct mt_ctl *c)
{
	for (int k = 0; k < MT_SERIES_KINDS; k++)
		mt_fold_free(c->folds[k]);
	mt_joined_free(c->joined);
	mt_metrics_free(c->metrics);
	free(c->families);
	free(c->family_args);
}
