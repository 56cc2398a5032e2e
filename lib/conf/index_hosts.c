/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which object has a host that several objects have. Of several namespaces host_claims.c chooses
 * one. In one namespace the ports of the first object count, and the endpoints of all. An object
 * that clients of this node do not see has no host.
 */
#include "mt_conf_holders_priv.h"
#include "mt_conf_unmatched_priv.h"

#include <stdio.h>
#include <string.h>

static void bad_host(struct mt_build *b, const struct mt_service_entry *se, uint32_t i)
{
	char path[32];

	snprintf(path, sizeof(path), "spec.hosts[%u]", i);
	mt_b_error(b, &se->meta, se->hosts[i].line, path,
		"letters, digits, - and _ with dots between them, 253 at most",
		"\"%.128s\" is not a host's name", se->hosts[i].s);
}

const char *mt_b_client_ns(const struct mt_build *b, const char *ns)
{
	return b->model->mesh.ns ? b->model->mesh.ns : ns;
}

static struct mt_exports exports_of(struct mt_text *v, uint32_t n)
{
	return (struct mt_exports){v, n};
}

static bool is_exported(
	struct mt_build *b, const struct mt_service_entry *se, const char *client_ns)
{
	const struct mt_mesh_config *c = b->model->mesh.config;
	struct mt_exports to = se->export_to;

	if (!to.n && c)
		to = exports_of(c->service_export, c->n_service_export);
	return mt_b_exports(b, &to, se->meta.ns, client_ns);
}

static bool is_visible(struct mt_build *b, const struct mt_service_entry *se)
{
	return is_exported(b, se, mt_b_client_ns(b, se->meta.ns));
}

bool mt_b_is_exported_to(struct mt_build *b, const struct mt_service_entry *se, const char *ns)
{
	return is_exported(b, se, mt_b_client_ns(b, ns));
}

struct mt_exports mt_b_rule_exports(
	const struct mt_build *b, const struct mt_exports *to, bool destination)
{
	const struct mt_mesh_config *c = b->model->mesh.config;

	if (to->n || !c)
		return *to;
	return destination ? exports_of(c->rule_export, c->n_rule_export)
			   : exports_of(c->route_export, c->n_route_export);
}

bool mt_b_rule_visible(struct mt_build *b, const struct mt_exports *to, const struct mt_meta *meta,
	bool destination, const char *service_ns)
{
	struct mt_exports e = mt_b_rule_exports(b, to, destination);

	return mt_b_exports(b, &e, meta->ns, mt_b_client_ns(b, service_ns));
}

unsigned int mt_b_host_rank(const struct mt_build *b, const struct mt_service_entry *se)
{
	if (b->model->mesh.ns && strcmp(se->meta.ns, b->model->mesh.ns) == 0)
		return 0;
	return se->kubernetes ? 1 : MT_HOST_RANKS - 1;
}

static bool same_place(const struct mt_service_entry *a, const struct mt_service_entry *b)
{
	return strcmp(a->meta.ns, b->meta.ns) == 0;
}

static bool same_text(const struct mt_text *a, const struct mt_text *b)
{
	return strcmp(a->s ? a->s : "", b->s ? b->s : "") == 0;
}

static bool has_port(const struct mt_service_entry *se, const struct mt_se_port *p)
{
	for (uint32_t i = 0; i < se->n_ports; i++) {
		const struct mt_se_port *q = &se->ports[i];

		if (q->number.v == p->number.v && same_text(&q->name, &p->name) &&
			same_text(&q->protocol, &p->protocol) &&
			same_text(&q->app_protocol, &p->app_protocol))
			return true;
	}
	return false;
}

static void warn_unused(struct mt_build *b, const struct mt_host *h,
	const struct mt_service_entry *se, const char *field, uint32_t at, uint32_t line)
{
	const struct mt_meta *first = &h->se->meta;
	char path[48];

	snprintf(path, sizeof(path), "spec.%s[%u]", field, at);
	mt_b_warn(b, &se->meta, line, path, NULL,
		"no effect: %s %s has \"%.128s\" as well; only endpoints are joined", first->kind,
		first->name, se->hosts[0].s);
}

/* Warns about the first host of a joined ServiceEntry that is not a host of the first one. */
static void warn_hosts(
	struct mt_build *b, const struct mt_host *h, const struct mt_service_entry *se)
{
	for (uint32_t i = 1; i < se->n_hosts; i++)
		if (mt_strmap_get(&b->hosts, se->hosts[i].s) != h) {
			warn_unused(b, h, se, "hosts", i, se->hosts[i].line);
			return;
		}
}

/* Warns about a joined list unless the first one's begins with the same texts. */
static void warn_texts(struct mt_build *b, const struct mt_host *h,
	const struct mt_service_entry *se, const char *field, struct mt_exports l,
	struct mt_exports of_first)
{
	for (uint32_t i = 0; i < l.n; i++)
		if (i >= of_first.n || !same_text(&l.v[i], &of_first.v[i])) {
			warn_unused(b, h, se, field, i, l.v[i].line);
			return;
		}
}

static const struct mt_se_port *port_of(const struct mt_service_entry *se, uint32_t number)
{
	for (uint32_t i = 0; i < se->n_ports; i++)
		if (se->ports[i].number.v == number)
			return &se->ports[i];
	return NULL;
}

/* Warns about BackendTLSPolicies of joined ports if ports of the first one have none. */
static void warn_tls(struct mt_build *b, const struct mt_host *h, const struct mt_service_entry *se)
{
	const struct mt_meta *first = &h->se->meta;

	for (uint32_t i = 0; i < se->n_ports; i++) {
		const struct mt_se_port *p = &se->ports[i], *q = port_of(h->se, p->number.v);

		if (!p->tls_by || (q && q->tls_by))
			continue;
		mt_b_warn(b, p->tls_by, p->tls_by->origin.line, "spec.targetRefs", NULL,
			"no TLS to port %u of %s %s: its endpoints are joined with those of %s %s, "
			"which the policy is not about",
			p->number.v, se->meta.kind, se->meta.name, first->kind, first->name);
	}
}

/* Endpoints join. Ports that the first one does not have, or has otherwise, have no effect. */
static void join(struct mt_build *b, struct mt_host *h, const struct mt_service_entry *se)
{
	const struct mt_service_entry **slot =
		mt_region_push(&b->tmp, (void **)&h->joined, &h->n_joined, sizeof(*slot));
	const struct mt_meta *first = &h->se->meta;

	if (slot)
		*slot = se;
	warn_hosts(b, h, se);
	warn_texts(b, h, se, "addresses", exports_of(se->addresses, se->n_addresses),
		exports_of(h->se->addresses, h->se->n_addresses));
	warn_texts(b, h, se, "subjectAltNames", exports_of(se->sans, se->n_sans),
		exports_of(h->se->sans, h->se->n_sans));
	warn_tls(b, h, se);
	for (uint32_t i = 0; i < se->n_ports; i++) {
		if (has_port(h->se, &se->ports[i]))
			continue;
		mt_b_warn(b, &se->meta, se->hosts[0].line, "spec.ports", NULL,
			"the ports of %s %s are those of \"%.128s\"; endpoints are joined",
			first->kind, first->name, se->hosts[0].s);
		return;
	}
}

/* The place of the host in the object's list. */
static uint32_t place_in(const struct mt_service_entry *se, const char *host)
{
	uint32_t i = 0;

	while (i + 1 < se->n_hosts && strcmp(se->hosts[i].s, host) != 0)
		i++;
	return i;
}

static void stand_back(struct mt_build *b, const struct mt_host_claims *claims,
	const struct mt_service_entry *has, const struct mt_service_entry *se)
{
	const struct mt_meta *first = &has->meta;
	const char *host = se->hosts[0].s;
	uint32_t at = place_in(has, host);
	char path[MT_INDEX_PATH];

	mt_b_shadowed(b, &se->meta, se->hosts[0].line, "spec.hosts[0]", NULL,
		"\"%.128s\" is that of %s %s/%s%s", host, first->kind, first->ns, first->name,
		mt_b_host_reason(b, claims, has, se, 0));
	mt_b_warn(b, first, has->hosts[at].line, mt_index_path(path, "spec.hosts", at, ""), NULL,
		"in place of %s %s/%s, which has the host as well", se->meta.kind, se->meta.ns,
		se->meta.name);
}

/*
 * Warns about a further host that another object has. If it may lose the host to this one, this one
 * is as new after a restart as before it.
 */
static void lose_name(struct mt_build *b, const struct mt_host_claims *claims,
	const struct mt_service_entry *has, const struct mt_service_entry *se, uint32_t i)
{
	bool disputed = !same_place(has, se) && mt_b_host_rank(b, has) == mt_b_host_rank(b, se);
	char path[MT_INDEX_PATH];

	(disputed ? mt_b_dispute : mt_b_warn)(b, &se->meta, se->hosts[i].line,
		mt_index_path(path, "spec.hosts", i, ""), NULL, "\"%.128s\" is that of %s %s/%s%s",
		se->hosts[i].s, has->meta.kind, has->meta.ns, has->meta.name,
		mt_b_host_reason(b, claims, has, se, i));
}

/* Warns about a further host that the control plane has. */
static void leave_name(struct mt_build *b, const struct mt_service_entry *se, uint32_t i)
{
	char path[MT_INDEX_PATH];

	mt_b_warn(b, &se->meta, se->hosts[i].line, mt_index_path(path, "spec.hosts", i, ""), NULL,
		"\"%.128s\" is that of the control plane", se->hosts[i].s);
}

/*
 * True if the control plane has the object's host or an address, which authors of a limited source
 * cannot take from it.
 */
static bool is_of_mesh(struct mt_build *b, const struct mt_service_entry *se)
{
	static const char remedy[] = "use a host and addresses that no service of the mesh has";
	char path[MT_INDEX_PATH];

	if (mt_b_mesh_has_host(b, se, 0)) {
		mt_b_shadowed(b, &se->meta, se->hosts[0].line, "spec.hosts[0]", remedy,
			"\"%.128s\" is that of the control plane", se->hosts[0].s);
		return true;
	}
	for (uint32_t i = 0; i < se->n_addresses; i++) {
		const struct mt_meta *has = mt_b_mesh_has_address(b, se, i);

		if (!has)
			continue;
		mt_b_shadowed(b, &se->meta, se->addresses[i].line,
			mt_index_path(path, "spec.addresses", i, ""), remedy,
			"%.64s is that of listener %.128s of the control plane", se->addresses[i].s,
			has->name);
		return true;
	}
	return false;
}

/* Every host of a ServiceEntry names it; clusters are called by the first. */
static void add_names(struct mt_build *b, const struct mt_host_claims *claims,
	const struct mt_service_entry *se, struct mt_host *h)
{
	for (uint32_t i = 0; i < se->n_hosts; i++) {
		const char *key = se->hosts[i].s;
		const struct mt_host *other = mt_strmap_get(&b->hosts, key);
		const struct mt_service_entry *has = mt_b_host_winner(claims, key);

		if (!mt_b_is_host_name(key))
			bad_host(b, se, i);
		else if (mt_b_mesh_has_host(b, se, i))
			leave_name(b, se, i);
		else if (has && !same_place(has, se))
			lose_name(b, claims, has, se, i);
		else if (!other)
			mt_strmap_put(&b->hosts, key, h, NULL);
		else if (other != h)
			lose_name(b, claims, other->se, se, i);
	}
}

static void add_entry(
	struct mt_build *b, const struct mt_host_claims *claims, const struct mt_service_entry *se)
{
	const struct mt_service_entry *has = mt_b_host_winner(claims, se->hosts[0].s);
	struct mt_host *h = mt_strmap_get(&b->hosts, se->hosts[0].s);

	if (is_of_mesh(b, se))
		return;
	if (has && !same_place(has, se)) {
		stand_back(b, claims, has, se);
	} else if (h) {
		join(b, h, se);
	} else {
		h = &b->host_list[b->n_hosts++];
		h->se = se;
		add_names(b, claims, se, h);
		mt_b_note_owned(b, h);
	}
}

static void tell_hidden(struct mt_build *b, const struct mt_service_entry *se)
{
	char words[160];

	snprintf(words, sizeof(words), "it is not visible in namespace %.64s%s",
		mt_b_client_ns(b, se->meta.ns),
		b->model->mesh.ns ? ""
				  : ", that of clients unless the Node has spec.mesh.namespace");
	mt_b_not_exported(
		b, &se->meta, &se->export_to, se->meta.origin.line, "spec.exportTo", words);
}

/* Sorts the objects by rank; of one rank the older one comes first. */
static struct mt_host_claimant *in_order(struct mt_build *b)
{
	const struct mt_objs *ses = &b->model->service_entries;
	struct mt_host_claimant *v = mt_region_alloc(&b->tmp, sizeof(*v) * MT_MAX(ses->n, 1u));
	uint32_t n = 0;

	for (unsigned int r = 0; v && r < MT_HOST_RANKS; r++)
		for (uint32_t i = 0; i < ses->n; i++) {
			const struct mt_service_entry *se = ses->v[i];

			if (mt_b_host_rank(b, se) == r)
				v[n++] = (struct mt_host_claimant){se, is_visible(b, se)};
		}
	return v;
}

void mt_b_index_hosts(struct mt_build *b)
{
	uint32_t n = b->model->service_entries.n;
	struct mt_host_claimant *v = in_order(b);
	struct mt_host_claims claims = {0};

	b->host_list = mt_region_alloc(&b->tmp, sizeof(*b->host_list) * n);
	if (!v || !b->host_list || mt_strmap_reserve(&b->hosts, n))
		return;
	mt_b_host_claims(b, v, n, &claims);
	for (uint32_t i = 0; i < n; i++)
		if (v[i].visible)
			add_entry(b, &claims, v[i].se);
		else
			tell_hidden(b, v[i].se);
	mt_idmap_fini(&claims.names);
}
