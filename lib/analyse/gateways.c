/* SPDX-License-Identifier: Apache-2.0 */
/* Checks ports of gateways on this node: what they accept, and where they route it. */
#include "mt_analyse_priv.h"

#include <string.h>
#include <strings.h>

/* ---- plaintext ------------------------------------------------------------------------------- */

/* True for "*", also with a namespace in front of it. */
static bool is_any(const char *host)
{
	const char *slash = strchr(host, '/');

	return strcmp(slash ? slash + 1 : host, "*") == 0;
}

static bool asks_who(const struct mt_audit_gate *g)
{
	const struct mt_gateway_tls *t = g->server->tls;

	/* With passthrough, the server that terminates TLS asks for certificates. */
	if (t && (t->mode.v == MT_GATEWAY_MUTUAL || t->mode.v == MT_GATEWAY_ISTIO_MUTUAL ||
			 t->mode.v == MT_GATEWAY_PASSTHROUGH ||
			 t->mode.v == MT_GATEWAY_AUTO_PASSTHROUGH))
		return true;
	return g->rules && !mt_authz_is_idle(g->rules);
}

static void check_text(struct mt_analysis *a, const struct mt_audit_gate *g)
{
	const struct mt_gateway_server *s = g->server;
	bool bytes = s->port.protocol.s && strcasecmp(s->port.protocol.s, "TCP") == 0;

	for (uint32_t i = 0; !s->tls && i < s->n_hosts; i++)
		if (is_any(s->hosts[i].s) || (bytes && !asks_who(g))) {
			mt_an_found(a, MT_FINDING_ID_plain_gateway, &g->gateway->meta,
				s->origin.line, "port %u accepts plaintext for %s",
				s->port.number.v, s->hosts[i].s);
			return;
		}
}

/* ---- AUTO_PASSTHROUGH ------------------------------------------------------------------------ */

/* Number of service ports that TLS is forwarded to now; each has a cluster without a subset. */
static uint32_t count_passed(const struct mt_snapshot *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; s && i < s->n_clusters; i++)
		n += strncmp(s->clusters[i].name, "outbound_.", 10) == 0 &&
		     strstr(s->clusters[i].name, "_._.") != NULL;
	return n;
}

static void check_passing(struct mt_analysis *a, const struct mt_audit_gate *g)
{
	const struct mt_gateway_server *s = g->server;
	bool any = s->n_hosts == 0;

	for (uint32_t i = 0; i < s->n_hosts; i++)
		any |= strcmp(s->hosts[i].s, "*") == 0 || strcmp(s->hosts[i].s, "*/*") == 0;
	if (any && s->tls && s->tls->mode.v == MT_GATEWAY_AUTO_PASSTHROUGH &&
		!(g->rules && !mt_authz_is_idle(g->rules)))
		mt_an_found(a, MT_FINDING_ID_passes_everything, &g->gateway->meta, s->origin.line,
			"port %u routes to all %u ports of services that have proxies",
			s->port.number.v, count_passed(a->in->snap));
}

/* ---- routes of gateways ---------------------------------------------------------------------- */

static bool names_gateway(const struct mt_virtual_service *v, const struct mt_gateway *g)
{
	for (uint32_t i = 0; i < v->n_gateways; i++) {
		const char *s = v->gateways[i].s, *slash = strchr(s, '/');
		size_t len = slash ? (size_t)(slash - s) : 0;

		if (strcmp(slash ? slash + 1 : s, g->meta.name) != 0)
			continue;
		if (!slash ? strcmp(v->meta.ns, g->meta.ns) == 0
			   : strncmp(s, g->meta.ns, len) == 0 && !g->meta.ns[len])
			return true;
	}
	return false;
}

static void note_hosts(struct mt_analysis *a)
{
	static char guarded[] = "guarded";

	for (uint32_t i = 0; i < a->in->audit->n_rows; i++) {
		const struct mt_audit_row *r = &a->in->audit->rows[i];
		bool closed = r->class == MT_INSTANCE_OUTSIDE ||
			      (r->rules && !mt_authz_is_idle(r->rules));

		if (closed || !mt_strmap_get(&a->hosts, r->host))
			(void)mt_strmap_put(
				&a->hosts, r->host, closed ? guarded : (char *)r->host, NULL);
	}
}

/* The host of a service that no policy restricts; NULL: there is no such host, or a policy does. */
static const char *unguarded(const struct mt_analysis *a, const char *word, const char *ns)
{
	char full[MT_MEANT_HOST];
	const char *host = mt_an_host(a, word, ns, full);
	const char *found = host ? mt_strmap_get(&a->hosts, host) : NULL;

	return found && strcmp(found, "guarded") != 0 ? found : NULL;
}

static const char *first_open(const struct mt_analysis *a, const struct mt_virtual_service *v)
{
	for (uint32_t i = 0; i < v->n_lists; i++)
		for (uint32_t k = 0; k < v->lists[i].n_rules; k++) {
			const struct mt_rule *r = &v->lists[i].rules[k];

			for (uint32_t d = 0; d < r->n_dests; d++) {
				const char *word = r->dests[d].dest.host.s,
					   *host = word ? unguarded(a, word, v->meta.ns) : NULL;

				if (host)
					return host;
			}
		}
	return NULL;
}

static void check_way(struct mt_analysis *a, const struct mt_audit_gate *g)
{
	if (asks_who(g) || !mt_an_may(a, a->m->virtual_services.n))
		return;
	for (uint32_t i = 0; i < a->m->virtual_services.n; i++) {
		const struct mt_virtual_service *v = a->m->virtual_services.v[i];
		const char *host = names_gateway(v, g->gateway) ? first_open(a, v) : NULL;

		if (host)
			mt_an_found(a, MT_FINDING_ID_open_gateway, &g->gateway->meta,
				g->server->origin.line,
				"port %u routes all clients to %s, by VirtualService %s/%s",
				g->server->port.number.v, host, v->meta.ns, v->meta.name);
	}
}

void mt_an_gateways(struct mt_analysis *a)
{
	note_hosts(a);
	for (uint32_t i = 0; i < a->in->audit->n_gates; i++) {
		check_text(a, &a->in->audit->gates[i]);
		check_way(a, &a->in->audit->gates[i]);
		check_passing(a, &a->in->audit->gates[i]);
	}
}
