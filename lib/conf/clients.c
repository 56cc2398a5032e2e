/* SPDX-License-Identifier: Apache-2.0 */
/* Whose calls a route is for: ports, gateways with their hosts, and clients by namespace and labels. */
#include "mt_conf_service_priv.h"
#include "mt_meant.h"

#include <stdio.h>
#include <string.h>

/* Behind a gateway nobody knows the clients: Istio does not ask there, either. */
static bool is_source(
	const struct mt_build *b, const struct mt_route_for *f, const struct mt_rule_match *m)
{
	if (f->gateway)
		return true;
	if (m->source_ns.s && strcmp(m->source_ns.s, mt_b_client_ns(b, f->ns)) != 0)
		return false;
	return !m->source_labels.n_kv || mt_b_selects_node(b, &m->source_labels);
}

bool mt_b_is_of_clients(
	const struct mt_build *b, const struct mt_route_for *f, const struct mt_rule_match *m)
{
	return (!m->port.set || m->port.v == f->port) && is_source(b, f, m);
}

/* No printf, because a document may name thousands of Gateways. */
const char *mt_b_gateway_key(const char *name, const char *ns, char key[MT_GATEWAY_KEY])
{
	size_t len = strlen(name), ns_len = strlen(ns);

	if (memchr(name, '/', len))
		return name;
	ns_len = MT_MIN(ns_len, (size_t)MT_GATEWAY_KEY - 2);
	len = MT_MIN(len, MT_GATEWAY_KEY - 2 - ns_len);
	memcpy(key, ns, ns_len);
	key[ns_len] = '/';
	memcpy(key + ns_len + 1, name, len);
	key[ns_len + 1 + len] = '\0';
	return key;
}

bool mt_b_is_gateway(const char *word, const char *ns, const char *gateway)
{
	size_t len = strlen(ns);

	if (strchr(word, '/'))
		return strcmp(word, gateway) == 0;
	return strncmp(gateway, ns, len) == 0 && gateway[len] == '/' &&
	       strcmp(gateway + len + 1, word) == 0;
}

bool mt_b_is_from(const struct mt_rule_match *m, uint16_t port, const char *ns, const char *gateway)
{
	if (m->port.set && m->port.v != port)
		return false;
	for (uint32_t i = 0; i < m->n_gateways; i++)
		if (mt_b_is_gateway(m->gateways[i].s, ns, gateway))
			return true;
	return !m->n_gateways;
}

bool mt_b_leads_from(
	const struct mt_rule_list *list, uint16_t port, const char *ns, const char *gateway)
{
	for (uint32_t i = 0; i < list->n_rules; i++) {
		const struct mt_rule *r = &list->rules[i];

		if (!r->n_matches)
			return true;
		for (uint32_t j = 0; j < r->n_matches; j++)
			if (mt_b_is_from(&r->matches[j], port, ns, gateway))
				return true;
	}
	return false;
}

/* "*.x" and "a.x" meet, whoever has the star. */
static bool meet(const char *a, const char *b)
{
	return mt_host_covers(a, b) || mt_host_covers(b, a);
}

/* NAMESPACE/HOST: of VirtualServices there; "." is the Gateway's own, "*" is any. */
bool mt_b_is_routes_namespace(const char *word, const char *ns, const struct mt_gateway *g)
{
	size_t len = strcspn(word, "/");

	if (len == 1 && (word[0] == '*' || word[0] == '.'))
		return word[0] == '*' || strcmp(ns, g->meta.ns) == 0;
	return len == strlen(ns) && strncmp(word, ns, len) == 0;
}

static bool has_host(const char *word, const char *host, const char *ns, const struct mt_gateway *g)
{
	const char *slash = strchr(word, '/');

	if (slash && !mt_b_is_routes_namespace(word, ns, g))
		return false;
	return meet(slash ? slash + 1 : word, host);
}

bool mt_b_is_of_server(struct mt_build *b, const struct mt_virtual_service *vs,
	const struct mt_gateway *g, const struct mt_gateway_server *server)
{
	return mt_b_hosts_are_of_server(b, vs->hosts, vs->n_hosts, vs->meta.ns, g, server);
}

bool mt_b_hosts_are_of_server(struct mt_build *b, const struct mt_text *hosts, uint32_t n,
	const char *ns, const struct mt_gateway *g, const struct mt_gateway_server *server)
{
	for (uint32_t i = 0; i < n; i++) {
		const char *host = hosts[i].s;
		char full[MT_MEANT_HOST];
		bool is_short =
			mt_long_name(host, ns, mt_model_domain(b->model), full, sizeof(full));
		/* As in mt_b_host(), but a name at a gateway need not be a service's. */
		bool as_written = !mt_b_means_only_long(b, host, ns);

		for (uint32_t k = 0; k < server->n_hosts; k++)
			if ((as_written && has_host(server->hosts[k].s, host, ns, g)) ||
				(is_short && has_host(server->hosts[k].s, full, ns, g)))
				return true;
	}
	return !server->n_hosts;
}
