/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy contains, so that its work can be counted before it is compiled: its rules, and if
 * they depend on ports, because such a policy is compiled for each port.
 */
#include "mt_conf_policy_priv.h"

#include <string.h>

static bool is_port(const struct mt_policy_condition *c)
{
	return c->key.s && strcmp(c->key.s, "destination.port") == 0;
}

static bool depends_on_ports(const struct mt_policy_rule *r)
{
	for (uint32_t i = 0; i < r->n_to; i++) {
		const struct mt_policy_operation *o = r->to[i].operation;

		if (o && (o->ports.n || o->not_ports.n))
			return true;
	}
	for (uint32_t i = 0; i < r->n_when; i++)
		if (is_port(&r->when[i]))
			return true;
	return false;
}

static uint64_t values_of_source(const struct mt_policy_source *s)
{
	return (uint64_t)s->principals.n + s->not_principals.n + s->request_principals.n +
	       s->not_request_principals.n + s->namespaces.n + s->not_namespaces.n +
	       s->service_accounts.n + s->not_service_accounts.n + s->trust_domains.n +
	       s->not_trust_domains.n + s->ip_blocks.n + s->not_ip_blocks.n +
	       s->remote_ip_blocks.n + s->not_remote_ip_blocks.n;
}

static uint64_t values_of_operation(const struct mt_policy_operation *o)
{
	return (uint64_t)o->hosts.n + o->not_hosts.n + o->ports.n + o->not_ports.n + o->methods.n +
	       o->not_methods.n + o->paths.n + o->not_paths.n + o->interfaces.n +
	       o->not_interfaces.n;
}

static uint64_t values_of(const struct mt_policy_rule *r)
{
	uint64_t n = 1 + (uint64_t)r->n_from + r->n_to + r->n_when;

	for (uint32_t i = 0; i < r->n_from; i++)
		n += r->from[i].source ? values_of_source(r->from[i].source) : 0;
	for (uint32_t i = 0; i < r->n_to; i++)
		n += r->to[i].operation ? values_of_operation(r->to[i].operation) : 0;
	for (uint32_t i = 0; i < r->n_when; i++)
		n += (uint64_t)r->when[i].values.n + r->when[i].not_values.n;
	return n;
}

void mt_policy_measure(struct mt_policy *p)
{
	const struct mt_authorization_policy *a = p->of.authorization;
	uint64_t values = 0;
	bool by_port = false;

	if (p->kind != MT_POLICY_OF_AUTHORIZATION || !mt_policy_is_real(p)) {
		p->size = (struct mt_policy_sum){.n = 1};
		return;
	}
	for (uint32_t i = 0; i < a->n_rules; i++) {
		by_port |= depends_on_ports(&a->rules[i]);
		values += values_of(&a->rules[i]);
	}
	p->size = (struct mt_policy_sum){
		.n = 1, .rules = a->n_rules, .at_ports = by_port ? values : 0};
}
