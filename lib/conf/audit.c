/* SPDX-License-Identifier: Apache-2.0 */
/* What documents' instances are judged by, written down for who analyses it. */
#include "mt_conf_policy_priv.h"

#include <string.h>

void mt_conf_set_audit(struct mt_conf *c, struct mt_audit *a)
{
	c->audit = a;
}

static void add(struct mt_build *b, const struct mt_policed *to)
{
	struct mt_audit *a = b->conf->audit;
	const struct mt_host *h = to->h;
	struct mt_audit_row *r =
		mt_region_push(&a->region, (void **)&a->rows, &a->n_rows, sizeof(*r));
	struct mt_policy *whose = NULL;

	if (!r)
		return;
	*r = (struct mt_audit_row){.host = h->se->hosts[0].s,
		.se = h->se,
		.of = mt_instance_meta(h, to->w),
		.labels = to->w->labels,
		.account = to->w->service_account.s,
		.policy = h->rule ? h->rule->policy : NULL,
		.codec = to->u->codec,
		.rules = mt_b_guard_whole(b, to),
		.addr = to->w->address,
		.port = (uint16_t)to->u->port->number.v,
		.server_port = to->port,
		.class = (uint8_t)mt_instance_class(h, to->w),
		.labels_unknown = to->w->labels_unknown};
	if (b->policies)
		r->mode = (uint8_t)mt_b_peer_mode(b, h, to->w, to->port, &whose);
	r->mode_by = whose ? whose->meta : NULL;
}

/* A service without endpoints whose name is to be resolved is its own instance. */
static const struct mt_workload *by_name(struct mt_build *b, const struct mt_host *h)
{
	struct mt_workload *w;

	if (h->n_workloads || h->se->n_endpoints || h->se->selector ||
		h->se->resolution.v < MT_RESOLUTION_DNS)
		return NULL;
	w = mt_region_alloc(&b->conf->audit->region, sizeof(*w));
	if (w)
		w->copy_of_inline = h->se;
	return w;
}

/* Names that lead to nobody yet are instances, too. */
static void add_host(struct mt_build *b, const struct mt_host *h)
{
	const struct mt_service_entry *se = h->se;
	const struct mt_workload *name = by_name(b, h);

	for (const struct mt_unit *u = h->over ? NULL : h->units; u; u = u->next) {
		for (uint32_t k = 0; k < h->n_workloads; k++) {
			const struct mt_workload *w = h->workloads[k];

			add(b, &(struct mt_policed){h, w, u, mt_b_endpoint_port(u, w), false});
		}
		if (name)
			add(b, &(struct mt_policed){
				       h, name, u, mt_b_endpoint_port(u, name), false});
		for (uint32_t k = 0; !h->n_workloads && k < se->n_endpoints; k++) {
			const struct mt_workload *w = &se->endpoints[k];

			add(b, &(struct mt_policed){h, w, u, mt_b_endpoint_port(u, w), false});
		}
	}
}

void mt_b_audit(struct mt_build *b)
{
	struct mt_audit *a = b->conf->audit;
	const char *domains[MT_B_DOMAINS];

	if (!a)
		return;
	a->root_ns = mt_b_root_namespace(b);
	a->domain = mt_model_domain(b->model);
	a->n_domains = MT_MIN(mt_b_trust_domains(b, domains), (uint32_t)MT_AUDIT_DOMAINS);
	for (uint32_t i = 0; i < a->n_domains; i++)
		a->domains[i] = mt_region_strdup(&a->region, domains[i]);
	for (uint32_t i = 0; i < b->n_hosts; i++)
		if (b->host_list[i].units)
			add_host(b, &b->host_list[i]);
}

void mt_b_audit_gate(struct mt_build *b, const struct mt_gate *at, const struct mt_authz *rules)
{
	struct mt_audit *a = b->conf->audit;
	struct mt_audit_gate *g =
		a ? mt_region_push(&a->region, (void **)&a->gates, &a->n_gates, sizeof(*g)) : NULL;

	if (g)
		*g = (struct mt_audit_gate){at->gateway, at->server, at->codec, rules};
}
