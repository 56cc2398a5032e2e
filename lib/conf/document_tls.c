/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of `tls`: TLS that is passed through, by the server name that its ClientHello asks for. */
#include "mt_conf_listener_priv.h"

#include <stdio.h>
#include <string.h>

static const struct mt_rule_list *tls_of(const struct mt_virtual_service *vs)
{
	for (uint32_t i = 0; i < vs->n_lists; i++)
		if (strcmp(vs->lists[i].name, "tls") == 0)
			return &vs->lists[i];
	return NULL;
}

uint32_t mt_b_tls_rules(const struct mt_virtual_service *vs)
{
	const struct mt_rule_list *list = tls_of(vs);

	return list ? list->n_rules : 0;
}

/* Whether a gateway's server is for the name: "NAMESPACE/HOST" says whose routes, too. */
static bool is_admitted(const struct mt_tls_door *d, const char *ns, const char *name)
{
	for (uint32_t i = 0; d->server && i < d->server->n_hosts; i++) {
		const char *host = d->server->hosts[i].s, *slash = strchr(host, '/');

		if (slash && !mt_b_is_routes_namespace(host, ns, d->gateway))
			continue;
		host = slash ? slash + 1 : host;
		if (strcmp(host, "*") == 0 || mt_host_covers(host, name))
			return true;
	}
	return !d->server || !d->server->n_hosts;
}

/* The names of those matches that are for clients of the door; *any: one is for every name. */
static void gather(struct mt_build *b, const struct mt_tls_door *d, const struct mt_route_for *f,
	const struct mt_rule *r, struct mt_listen_tls *t, bool *any)
{
	for (uint32_t i = 0; i < r->n_matches; i++) {
		const struct mt_rule_match *m = &r->matches[i];

		for (uint32_t k = 0; k < m->n_sni && mt_b_applies(b, f, m); k++) {
			const char *name = m->sni[k].s;
			const char **slot;

			if (strcmp(name, "*") == 0) {
				*any = true;
				continue;
			}
			if (!is_admitted(d, f->meta->ns, name))
				continue;
			slot = mt_region_push(
				&b->tmp, (void **)&t->names, &t->n_names, sizeof(*slot));
			if (slot)
				*slot = name;
		}
	}
	/* Any name is no name: the others are among them. */
	if (*any)
		t->n_names = 0;
}

/* A list of this rule alone, which knows its place. */
static const struct mt_rule_list *only(
	struct mt_build *b, const struct mt_rule_list *of, uint64_t serial, uint32_t i)
{
	struct mt_rule_list *list = mt_region_alloc(&b->tmp, sizeof(*list));
	struct mt_rule *rule = mt_region_alloc(&b->tmp, sizeof(*rule));

	if (!list || !rule)
		return NULL;
	*rule = of->rules[i];
	rule->at = i;
	*list = *of;
	list->rules = rule;
	list->n_rules = 1;
	/* Made anew with each load: the same of what is the same. */
	list->made_of = mt_hash_u64(i, mt_hash_u64(of->made_of, serial)) | 1;
	return list;
}

/* One rule may be bound to several doors, and several ones to a door. Never NULL. */
static const char *unique_name(struct mt_build *b, const struct mt_tls_door *d,
	const struct mt_virtual_service *vs, const char *name, uint32_t i)
{
	char at[MT_ADDR_STRLEN] = "";
	char *unique;

	if (d->n_addrs)
		mt_addr_port_str(&d->addrs[0], d->port, at);
	unique = mt_region_printf(&b->tmp, "documents %s:%u tls %s %s/%s %s %s/%s %u", name,
		d->port, at, d->gateway ? d->gateway->meta.ns : "",
		d->gateway ? d->gateway->meta.name : "", vs->meta.kind, vs->meta.ns, vs->meta.name,
		i);
	return unique ? unique : "";
}

static bool bind_rule(struct mt_build *b, const struct mt_tls_door *d,
	const struct mt_virtual_service *vs, const struct mt_rule_list *list, uint32_t i)
{
	struct mt_route_for f = {
		.meta = &vs->meta, .ns = d->ns, .port = d->port, .fallback = MT_NO_CLUSTER};
	struct mt_listen_tls t = {.n_names = 0};
	struct mt_listen_port at = {
		.port = d->port, .meta = &vs->meta, .line = list->rules[i].origin.line};
	struct mt_document_service *bound;
	const char *name;
	bool any = false;
	char path[48];

	if (d->gateway)
		f.gateway = mt_region_printf(
			&b->tmp, "%s/%s", d->gateway->meta.ns, d->gateway->meta.name);
	gather(b, d, &f, &list->rules[i], &t, &any);
	if (!t.n_names && !any)
		return false;
	name = t.n_names ? t.names[0] : vs->hosts[0].s;
	t.service = mt_b_service_slot(b, name, name, d->port, vs->meta.origin);
	bound = mt_region_push(&b->tmp, (void **)&b->bound, &b->n_bound, sizeof(*bound));
	if (!t.service || !bound) {
		b->tmp.failed = true;
		return false;
	}
	t.service->unique = unique_name(b, d, vs, name, i);
	f.list = only(b, list, vs->meta.serial, i);
	f.codec = mt_codec_bytes();
	*bound = (struct mt_document_service){.slot = t.service,
		.route = f,
		.limits = {.meta = &vs->meta, .clients = d->clients},
		.gate = d->gate,
		.gate_hash = d->gate_hash,
		.gate_meta = d->gateway ? &d->gateway->meta : NULL};
	snprintf(path, sizeof(path), "spec.tls[%u]", i);
	at.path = path;
	for (uint32_t k = 0; k < d->n_addrs; k++) {
		at.addr = &d->addrs[k];
		mt_b_listen_tls(b, &at, &t);
	}
	return true;
}

bool mt_b_bind_tls(
	struct mt_build *b, const struct mt_tls_door *d, const struct mt_virtual_service *vs)
{
	const struct mt_rule_list *list = tls_of(vs);
	bool bound = false;

	for (uint32_t i = 0; list && i < list->n_rules; i++)
		bound |= bind_rule(b, d, vs, list, i);
	return bound;
}

void mt_b_tls_names(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		struct mt_host *h = &b->host_list[i];

		for (struct mt_unit *u = h->bytes.vs ? h->units : NULL; u; u = u->next) {
			struct mt_tls_door door = {.ns = h->se->meta.ns,
				.addrs = h->addrs,
				.n_addrs = h->n_addrs,
				.port = (uint16_t)u->port->number.v,
				.clients = mt_b_host_clients(h)};

			door.gate = mt_b_gate_of_clients(b, h, u, &door.gate_hash);
			if (u->codec->opaque && u->service)
				h->bytes.used |= mt_b_bind_tls(b, &door, h->bytes.vs);
		}
	}
}
