/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that are answered for, with their chains; and the table of names. */
#include "golden.h"

#include "mt_authz.h"
#include "mt_dns.h"
#include "mt_dns_priv.h"
#include "mt_l4.h"
#include "mt_tls_priv.h"

#include <stdio.h>
#include <string.h>

/* ---- chains ------------------------------------------------------------------------------------- */

static json_t *prefixes(const struct mt_prefix *p, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++) {
		char text[MT_ADDR_STRLEN];

		add_text(list, "%s/%u", mt_addr_str(&p[i].addr, text), p[i].bits);
	}
	return list;
}

static json_t *texts(const char *const *v, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		add_text(list, "%s", v[i]);
	return list;
}

static json_t *match(const struct mt_filter_chain_match *m)
{
	static const char *const transports[] = {"", "plain", "tls"};
	static const char *const sources[] = {"", "local", "external"};
	json_t *one = json_object(), *ports = json_array();

	for (uint32_t i = 0; i < m->n_src_ports; i++)
		add_text(ports, "%u", m->src_ports[i]);
	put_number(one, "port", m->dst_port);
	put_json(one, "destinations", prefixes(m->dst, m->n_dst));
	put_json(one, "server names", texts(m->server_names, m->n_server_names));
	put_text(one, "transport", transports[m->transport]);
	put_json(one, "alpn", texts(m->alpn, m->n_alpn));
	put_text(one, "source", sources[m->source]);
	put_json(one, "sources", prefixes(m->src, m->n_src));
	put_json(one, "source ports", ports);
	return one;
}

/* In their order: binary search over keys goes by it. */
static json_t *services(const struct mt_filter_chain_proto *p)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < p->n_services; i++) {
		char *name = golden_service_name(p->services[i]);

		if (p->service_key.name)
			add_text(list, "%s by %s", name, p->services[i]->key);
		else
			add_text(list, "%s", name);
		free(name);
	}
	return list;
}

static json_t *protocols(const struct mt_filter_chain *c)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->n_protos; i++) {
		const struct mt_filter_chain_proto *p = &c->protos[i];
		json_t *one = json_object();

		put_text(one, "codec", p->codec->name);
		put_true(one, "multiplexing", p->codec_opts & MT_CODEC_OPT_MULTIPLEXING);
		put_number(one, "idle_s", p->idle_s);
		put_text(one, "service key", p->service_key.name);
		put_json(one, "services", services(p));
		json_array_append_new(list, one);
	}
	return list;
}

#define NODE "spiffe://cluster.local/ns/shop/sa/alice" /* as picture.c has it */

/* Whom clients are shown, if that is somebody else than the node. */
static void put_shown(json_t *one, const struct mt_tls_context *c)
{
	struct mt_credential_leaf leaf;

	if (c && mt_credential_leaf(c->credential, &leaf) && leaf.principal[0] &&
		strcmp(leaf.principal, NODE) != 0)
		put_text(one, "shows", leaf.principal);
}

static json_t *chains(const struct mt_listener *l)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < l->n_chains; i++) {
		const struct mt_filter_chain *c = &l->chains[i];
		json_t *one = json_object();

		put_text(one, "name", c->name);
		put_json(one, "match", match(&c->match));
		put_text(one, "refuses", c->refuse);
		put_true(one, "ends TLS", c->tls != NULL);
		if (c->tls && golden_details)
			put_tls_identity(one, c->tls);
		put_shown(one, c->tls);
		put_number(one, "idle_s", c->idle_s);
		put_json(one, "protocols", protocols(c));
		json_array_append_new(list, one);
	}
	return list;
}

/* ---- listeners ---------------------------------------------------------------------------------- */

/* Found by its own address, as a connection would. */
static json_t *listener(const struct mt_snapshot *s, const struct mt_listener *l)
{
	json_t *one = json_object();
	char text[MT_ADDR_STRLEN];

	put_text(one, "address", mt_addr_port_str(&l->addr, l->port, text));
	put_true(one, "is not found", mt_snapshot_listener(s, &l->addr, l->port) != l);
	put_identity(one, "id", l->id);
	put_file(one, l->file, l->line);
	put_text(one, "closed by", l->closed_by ? l->closed_by->by : NULL);
	put_number(one, "detect_ms", l->detect_ms);
	put_true(one, "decided", l->decided);
	put_json(one, "chains", chains(l));
	return one;
}

json_t *golden_listeners(const struct mt_snapshot *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->n_listeners; i++)
		json_array_append_new(list, listener(s, &s->listeners[i]));
	return sorted(list, "address");
}

/* ---- forwarded ports ------------------------------------------------------------------------- */

static void put_limits(json_t *one, const struct mt_snapshot *s, const struct mt_forward *f)
{
	const struct mt_l4_row *r = s->l4 ? mt_l4_row(s->l4, &f->addr, f->port, f->protocol) : NULL;

	for (uint32_t i = 0; r && i < MT_L4_LIMITS; i++)
		if (r->limits.max[i])
			put_number(one, mt_l4_limit_names[i], r->limits.max[i]);
}

json_t *golden_forwards(const struct mt_snapshot *s)
{
	json_t *list = json_array();
	char text[MT_ADDR_STRLEN];

	for (uint32_t i = 0; i < s->n_forwards; i++) {
		const struct mt_forward *f = &s->forwards[i];
		const struct mt_cluster *c = &s->clusters[f->cluster];
		json_t *one = json_object();

		put_text(one, "address", mt_addr_port_str(&f->addr, f->port, text));
		put_number(one, "protocol", f->protocol);
		put_text(one, "mode", mt_forwarding_str(f->mode));
		put_text(one, "service", f->service);
		put_text(one, "cluster", c->name);
		put_true(one, "by source", c->hash_by == MT_LB_HASH_SOURCE);
		put_text(one, "closed by", c->closed_by ? c->closed_by->by : NULL);
		put_limits(one, s, f);
		put_identity(one, "id", f->id);
		put_file(one, f->file, f->line);
		json_array_append_new(list, one);
	}
	return sorted(list, "address");
}

/* Addresses and ports of flows towards endpoints. */
json_t *golden_nat(const struct mt_snapshot *s)
{
	json_t *one = json_object(), *list = json_array();
	char text[MT_ADDR_STRLEN];

	for (uint32_t i = 0; s->l4 && i < s->l4->n_nat4; i++)
		add_text(list, "%s", mt_addr_str(&s->l4->nat4[i], text));
	for (uint32_t i = 0; s->l4 && i < s->l4->n_nat6; i++)
		add_text(list, "%s", mt_addr_str(&s->l4->nat6[i], text));
	put_number(one, "first port", s->l4 ? s->l4->nat_lo : 0);
	put_number(one, "last port", s->l4 ? s->l4->nat_hi : 0);
	put_json(one, "addresses", sorted(list, NULL));
	return one;
}

/* ---- names -------------------------------------------------------------------------------------- */

static const char *const origins[MT_DNS_N_ORIGINS] = {"documents", "name table", "listeners"};

static json_t *hosts(const struct mt_dns_table *t)
{
	struct mt_dns_name_info *info = calloc(1, sizeof(*info));
	json_t *all = json_array();
	uint32_t at = 0;

	MT_ASSERT(info);
	while (mt_dns_table_next(t, &at, info)) {
		json_t *one = json_object(), *list = json_array();

		put_text(one, "host", info->host);
		put_text(one, "of", origins[info->origin]);
		put_true(one, "differs", info->differs);
		for (uint32_t i = 0; i < info->n_addrs; i++) {
			char text[MT_ADDR_STRLEN];

			add_text(list, "%s", mt_addr_str(&info->addrs[i], text));
		}
		put_json(one, "addresses", sorted(list, NULL));
		json_array_append_new(all, one);
	}
	free(info);
	return sorted(all, "host");
}

static json_t *domains(const struct dns_name *v, uint32_t n)
{
	json_t *list = json_array();
	char text[256];

	for (uint32_t i = 0; i < n; i++) {
		dns_name_text(v[i].b, text);
		add_text(list, "%s", text);
	}
	return list;
}

json_t *golden_names(const struct mt_snapshot *s)
{
	const struct mt_dns_table *t = s->dns;
	json_t *one = json_object();

	if (!t)
		return one;
	put_number(one, "ttl", t->ttl);
	put_json(one, "domain", domains(&t->domain, 1));
	put_json(one, "namespace", domains(&t->ns_svc, 1));
	put_json(one, "zones", domains(t->zones, t->n_zones));
	put_json(one, "search", domains(t->search, t->n_search));
	put_json(one, "hosts", hosts(t));
	return one;
}
