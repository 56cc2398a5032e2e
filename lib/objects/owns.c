/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refuses objects with addresses or hosts that the Node gives to another source
 * (spec.sources[].owns), whatever was applied before. Objects of sources without `namespaces` may
 * have them all. Routes for such a host are refused, too, if clients of other namespaces than the
 * source's follow them: they could lead these clients elsewhere. Endpoints, destinations and rules
 * of other objects may name them: they only lead calls of clients there.
 */
#include "mt_gateway_api_priv.h"
#include "mt_objects_priv.h"

#include "mt_meant.h"
#include "mt_owned.h"

#include <stdio.h>
#include <string.h>

#define CLAIM_PATH 80 /* "spec.gateways[N].match[N].sniHosts[N]" with any numbers */

/* One version of an object, as one of a source. */
struct claim {
	const struct mt_object_table *t;
	const struct mt_object *o;
	uint32_t self; /* the source; MT_OWNED_NO_SOURCE: none of the Node */
	/* the first entry of another source that it overlaps */
	const struct mt_owned_entry *e;
	const char *text, *remedy;
	uint32_t line;
	bool searched; /* only because of names that DNS clients query */
	char path[CLAIM_PATH];
};

static const struct mt_node *node_of(const struct mt_object_table *t)
{
	return t->node->part->node;
}

void mt_table_own(struct mt_object_table *t, const struct mt_object *node)
{
	t->node = node;
	if (node && node->part->node)
		t->owned = mt_owned_new(&t->region, node_of(t), NULL, NULL);
}

/* ---- what an object has ---------------------------------------------------------------------- */

static bool found(struct claim *c, const struct mt_owned_entry *e, const char *text, uint32_t line,
	const char *path)
{
	if (!e)
		return false;
	c->e = e;
	c->text = text;
	c->line = line;
	snprintf(c->path, sizeof(c->path), "%s", path);
	return true;
}

static bool has_address(
	struct claim *c, const struct mt_addr *a, const struct mt_text *t, const char *path)
{
	uint8_t whole = mt_addr_is4(a) ? 32 : 128;

	return !mt_addr_is_zero(a) &&
	       found(c, mt_owned_address(c->t->owned, a, whole, c->self), t->s, t->line, path);
}

/* An address or a network. The compiler takes no other text for an address either. */
static bool has_network(struct claim *c, const struct mt_text *t, const char *path)
{
	struct mt_addr a;
	uint8_t prefix;

	return t->s && mt_prefix_parse(t->s, &a, &prefix) == 0 &&
	       found(c, mt_owned_address(c->t->owned, &a, prefix, c->self), t->s, t->line, path);
}

static bool has_networks(struct claim *c, const struct mt_text *v, uint32_t n, const char *field)
{
	char path[CLAIM_PATH];

	for (uint32_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s[%u]", field, i);
		if (has_network(c, &v[i], path))
			return true;
	}
	return false;
}

static bool has_host(
	struct claim *c, const char *host, const char *text, uint32_t line, const char *path)
{
	return host && found(c, mt_owned_host(c->t->owned, host, c->self), text, line, path);
}

/* A host that DNS clients get addresses of. */
static bool has_name(
	struct claim *c, const char *host, const char *text, uint32_t line, const char *path)
{
	if (!host || has_host(c, host, text, line, path))
		return host != NULL;
	c->searched = found(c, mt_owned_name(c->t->owned, host, c->self), text, line, path);
	return c->searched;
}

static bool service_entry(struct claim *c, const struct mt_service_entry *se)
{
	char path[CLAIM_PATH];

	for (uint32_t i = 0; i < se->n_hosts; i++) {
		snprintf(path, sizeof(path), "spec.hosts[%u]", i);
		if (has_name(c, se->hosts[i].s, se->hosts[i].s, se->hosts[i].line, path))
			return true;
	}
	return has_networks(c, se->addresses, se->n_addresses, "spec.addresses");
}

static bool service(struct claim *c, const struct mt_kube_service *s)
{
	const char *domain = mt_node_domain(node_of(c->t));
	struct mt_region r;
	bool has;

	mt_region_init(&r, 0);
	has = has_name(c, mt_service_host(&r, s->meta.name, s->meta.ns, domain), s->meta.name,
		s->meta.origin.line, "metadata.name");
	has |= r.failed;
	mt_region_fini(&r);
	return has || has_network(c, &s->cluster_ip, "spec.clusterIP") ||
	       has_networks(c, s->cluster_ips, s->n_cluster_ips, "spec.clusterIPs");
}

static bool gateway(struct claim *c, const struct mt_gateway *g)
{
	char path[CLAIM_PATH];

	for (uint32_t i = 0; i < g->n_servers; i++) {
		const struct mt_gateway_server *s = &g->servers[i];

		snprintf(path, sizeof(path), "spec.servers[%u].bind", i);
		if (has_address(c, &s->bind_addr, &s->bind, path))
			return true;
	}
	return false;
}

/* ---- routes ---------------------------------------------------------------------------------- */

/* True for a namespace of the object's source, and of no other source with `owns`. */
static bool is_own(const struct claim *c, const char *ns, size_t len)
{
	const struct mt_node *n = node_of(c->t);

	if (mt_node_is_of_owner(n, c->self, ns, len))
		return false;
	if (c->self != MT_OWNED_NO_SOURCE && mt_node_source_has(&n->sources[c->self], ns, len))
		return true;
	return strlen(c->o->ns) == len && memcmp(c->o->ns, ns, len) == 0;
}

/* True if the namespace of the object itself is its own. */
static bool is_at_home(const struct claim *c)
{
	return is_own(c, c->o->ns, strlen(c->o->ns));
}

/*
 * True if clients of other namespaces see the object. The default of a MeshConfig does not count,
 * so that the Node alone decides.
 */
static bool is_for_others(const struct claim *c, const struct mt_exports *to)
{
	for (uint32_t i = 0; i < to->n; i++) {
		const char *ns = strcmp(to->v[i].s, ".") == 0 ? c->o->ns : to->v[i].s;

		if (strcmp(ns, "~") != 0 && !is_own(c, ns, strlen(ns)))
			return true;
	}
	return to->n == 0;
}

/* True for the name of a Gateway of another namespace. */
static bool is_gateway_of_others(const struct claim *c, const char *name)
{
	const char *slash = strchr(name, '/');

	if (slash)
		return !is_own(c, name, (size_t)(slash - name));
	return strcmp(name, "mesh") != 0 && !is_at_home(c);
}

/* The remedy for the author of routes. */
static const char *remedy_of(const struct claim *c, bool gateways, bool mesh)
{
	if (!is_at_home(c))
		return "write the routes in a namespace that no other source with `owns` has";
	if (gateways && mesh)
		return "name only Gateways of its own namespaces, and for clients of its own "
		       "namespace alone write exportTo: [.]";
	return gateways ? "name only Gateways of its own namespaces"
			: "for clients of its own namespace alone write exportTo: [.]";
}

/* The routes of a VirtualService or a MetaRouter. */
struct routes {
	const struct mt_text *hosts, *gateways;
	uint32_t n_hosts, n_gateways;
	const struct mt_exports *to;
	bool mesh; /* for clients of the hosts' own addresses */
	const struct mt_rule_list *lists;
	uint32_t n_lists;
};

/* Server names of TLS, which need not be among the hosts. */
static bool server_names(struct claim *c, const struct mt_rule_list *l, uint32_t at)
{
	const struct mt_rule *r = &l->rules[at];
	char path[CLAIM_PATH];

	for (uint32_t i = 0; i < r->n_matches; i++)
		for (uint32_t k = 0; k < r->matches[i].n_sni; k++) {
			const struct mt_text *name = &r->matches[i].sni[k];

			snprintf(path, sizeof(path), "spec.%.8s[%u].match[%u].sniHosts[%u]",
				l->name, at, i, k);
			if (has_host(c, name->s, name->s, name->line, path))
				return true;
		}
	return false;
}

static bool routes(struct claim *c, const struct routes *r)
{
	const char *domain = mt_node_domain(node_of(c->t));
	bool mesh = r->mesh, others = false;
	char path[CLAIM_PATH], full[MT_MEANT_HOST];

	for (uint32_t i = 0; i < r->n_gateways; i++) {
		mesh |= strcmp(r->gateways[i].s, "mesh") == 0;
		others |= is_gateway_of_others(c, r->gateways[i].s);
	}
	mesh = mesh && is_for_others(c, r->to);
	if (!others && !mesh)
		return false;
	c->remedy = remedy_of(c, others, mesh);
	for (uint32_t i = 0; i < r->n_hosts; i++) {
		const char *host = r->hosts[i].s;

		snprintf(path, sizeof(path), "spec.hosts[%u]", i);
		if (has_host(c, host, host, r->hosts[i].line, path))
			return true;
		/* A name without a dot is one of the object's namespace. */
		if (host && !strchr(host, '.') &&
			mt_long_name(host, c->o->ns, domain, full, sizeof(full)) &&
			has_host(c, full, host, r->hosts[i].line, path))
			return true;
	}
	for (uint32_t i = 0; others && i < r->n_lists; i++)
		for (uint32_t k = 0; k < r->lists[i].n_rules; k++)
			if (server_names(c, &r->lists[i], k))
				return true;
	return false;
}

static bool virtual_service(struct claim *c, const struct mt_virtual_service *vs)
{
	const struct routes r = {vs->hosts, vs->gateways, vs->n_hosts, vs->n_gateways,
		&vs->export_to, vs->n_gateways == 0, vs->lists, vs->n_lists};

	return routes(c, &r);
}

static bool meta_router(struct claim *c, const struct mt_meta_router *mr)
{
	const struct routes r = {mr->hosts, mr->gateways, mr->n_hosts, mr->n_gateways,
		&mr->export_to, true, NULL, 0};

	return routes(c, &r);
}

/*
 * A TCPRoute or TLSRoute. One that has a Service of another namespace as its parent is for clients
 * of the route's namespace. A Gateway admits routes to its listeners itself (`allowedRoutes`).
 */
static bool gateway_api_route(struct claim *c, const struct mt_gwapi_route *g)
{
	const char *domain = mt_node_domain(node_of(c->t));
	struct mt_region r;
	bool has = false;
	char path[CLAIM_PATH];

	mt_region_init(&r, 0);
	for (uint32_t i = 0; i < g->n_parents && !has; i++) {
		const struct mt_gwapi_ref *p = &g->parents[i];
		const char *ns = p->ns.s ? p->ns.s : g->meta.ns;

		if (!mt_gwapi_is_service(p, false) || !p->name.s ||
			(strcmp(ns, g->meta.ns) != 0 && is_at_home(c)))
			continue;
		snprintf(path, sizeof(path), "spec.parentRefs[%u]", i);
		has = has_host(c, mt_service_host(&r, p->name.s, ns, domain), p->name.s,
			p->name.line, path);
	}
	has |= r.failed;
	mt_region_fini(&r);
	return has;
}

/* True if the version has what another source owns. */
static bool has_others(struct claim *c)
{
	const struct mt_model *part = c->o->part;
	bool has = false;

	c->remedy = "write another one";
	for (uint32_t i = 0; i < part->workload_entries.n && !has; i++) {
		const struct mt_workload *w =
			&((const struct mt_workload_entry *)part->workload_entries.v[i])->w;

		/* A host name gives no workload its principal, whatever it resolves to. */
		has = has_address(c, &w->address, &w->address_text, "spec.address");
	}
	for (uint32_t i = 0; i < part->service_entries.n && !has; i++)
		has = service_entry(c, part->service_entries.v[i]);
	for (uint32_t i = 0; i < part->services.n && !has; i++)
		has = service(c, part->services.v[i]);
	for (uint32_t i = 0; i < part->gateways.n && !has; i++)
		has = gateway(c, part->gateways.v[i]);
	for (uint32_t i = 0; i < part->virtual_services.n && !has; i++)
		has = virtual_service(c, part->virtual_services.v[i]);
	for (uint32_t i = 0; i < part->meta_routers.n && !has; i++)
		has = meta_router(c, part->meta_routers.v[i]);
	for (uint32_t i = 0; i < part->gwapi_routes.n && !has; i++)
		has = gateway_api_route(c, part->gwapi_routes.v[i]);
	return has;
}

/* ---- which source an object is of ------------------------------------------------------------ */

static const struct mt_node_source *source_of(
	const struct mt_object_table *t, const char *file, uint32_t *index)
{
	const struct mt_node *n = node_of(t);
	const struct mt_node_source *s = mt_node_source_of(n, file);

	*index = s ? (uint32_t)(s - n->sources) : MT_OWNED_NO_SOURCE;
	return s;
}

/* True for a version of an earlier load if its source is limited to some namespaces. */
static bool was_limited(const struct mt_object *o, const struct mt_node_source *s)
{
	return o->only || (s && s->n_namespaces);
}

/* True for a list of namespaces, with commas, that has one of `len` bytes. */
static bool lists(const char *names, const char *ns, size_t len)
{
	size_t n;

	for (; *names; names += n + strspn(names + n, ", ")) {
		n = strcspn(names, ",");
		if (n == len && memcmp(names, ns, n) == 0)
			return true;
	}
	return false;
}

/*
 * True if the source of the object has all namespaces that the last good version was stored with.
 * So that may be a version of the object, although the Node names its directory no more. A source
 * of all namespaces has none that was stored with some.
 */
static bool has_namespaces_of(const struct mt_object *o, const struct mt_kept_one *one)
{
	/* An earlier version of Meltemi has not stored them: assume the narrowest limit. */
	const char *at = one->known ? one->only : o->ns;
	size_t n;

	if (!o->only)
		return !at;
	for (; at && *at; at += n + strspn(at + n, ", ")) {
		n = strcspn(at, ",");
		if (!lists(o->only, at, n))
			return false;
	}
	return true;
}

/* ---- what follows ---------------------------------------------------------------------------- */

/* Adds the error about a version, and returns its words for the row's reason. */
static const char *report(
	struct mt_object_table *t, const struct mt_object *of, const struct claim *c, bool last)
{
	const struct mt_meta about = {
		.origin = c->o->origin, .serial = of->serial, .ns = mt_object_owner(of)};
	const struct mt_node_source *owner;
	char what[800], remedy[256];

	if (!c->e) {
		t->region.failed = true;
		return NULL;
	}
	owner = &node_of(t)->sources[c->e->source];
	snprintf(remedy, sizeof(remedy),
		"%s; an operator may write the object there or in a source without `namespaces`, "
		"or change `owns` of the Node",
		c->remedy);
	snprintf(what, sizeof(what),
		"%s%.128s belongs to the source of %.200s: the Node gives it %.128s at %.128s:%u%s",
		last ? "its last good version is not used either: " : "", c->text,
		owner->directory.s, c->e->text->s, t->node->origin.file, c->e->text->line,
		c->searched ? ", and DNS clients query both by one name with a search domain" : "");
	mt_diag_object(&t->owns, MT_DIAG_ERROR, &about, c->line, c->path, remedy, "%s", what);
	return mt_region_printf(&t->region, "%s: %s (%s)", c->path, what, remedy);
}

/* True if a version has what another source than `self` owns. */
static bool is_of_others(
	const struct mt_object_table *t, const struct mt_object *version, uint32_t self)
{
	struct claim c = {.t = t, .o = version, .self = self};

	return has_others(&c);
}

/* The last good version with the identity of an object. */
struct last {
	const struct mt_object *good; /* NULL: none */
	uint32_t source;	      /* of its file; MT_OWNED_NO_SOURCE: none of the Node */
	bool fits; /* its source has no namespaces, or none that the object's source lacks */
};

static struct last last_good(struct mt_object_table *t, const struct mt_source_reading *r,
	struct mt_kept *kept, const struct mt_object *o)
{
	struct mt_kept_one *one = mt_strmap_get(&kept->all, mt_object_key(o));
	struct last last = {.source = MT_OWNED_NO_SOURCE};
	const struct mt_node_source *s;

	if (!one || !one->file)
		return last;
	s = source_of(t, one->file, &last.source);
	last.fits = s ? !s->n_namespaces : has_namespaces_of(o, one);
	last.good = mt_kept_absent_good(one, r);
	return last;
}

bool mt_good_is_unnamed(struct mt_object_table *t, const struct mt_source_reading *r,
	struct mt_kept *kept, const struct mt_object *o)
{
	struct mt_kept_one *one = t->owned ? mt_strmap_get(&kept->all, mt_object_key(o)) : NULL;
	const struct mt_object *good;
	uint32_t ignored;

	if (!one || !one->file || o->is_node || source_of(t, one->file, &ignored) ||
		has_namespaces_of(o, one))
		return false;
	good = mt_kept_absent_good(one, r);
	return good && is_of_others(t, good, MT_OWNED_NO_SOURCE);
}

/*
 * True if the last good version is of another source, which may have more than `self`, and its file
 * cannot be read: then the file may still have the object.
 */
static bool is_held(struct mt_object_table *t, const struct mt_source_reading *r,
	struct mt_kept *kept, const struct mt_object *o, uint32_t self)
{
	struct mt_kept_one *one =
		r->n_partial || r->n_unread ? mt_strmap_get(&kept->all, mt_object_key(o)) : NULL;
	const struct mt_node_source *s;
	const struct mt_object *good;
	uint32_t was;

	if (!one || !one->file)
		return false;
	s = source_of(t, one->file, &was);
	if (was == self)
		return false;
	good = mt_kept_absent_good(one, r);
	return good && mt_source_holder(r, one->file, good) && is_of_others(t, good, self) &&
	       !(s && s->n_namespaces && is_of_others(t, good, was));
}

bool mt_row_is_held(struct mt_object_table *t, struct mt_kept *kept, struct mt_object_row *row)
{
	const struct mt_object *o = row->o;
	const struct mt_kept_one *one = mt_strmap_get(&kept->all, mt_object_key(o));
	const struct mt_meta about = {
		.origin = o->origin, .serial = o->serial, .ns = mt_object_owner(o)};

	if (!row->apart || !one)
		return false;
	row->status = MT_OBJECT_REFUSED;
	row->why = mt_region_printf(&t->region,
		"%.200s has this object, too, with an address or a host that the Node gives to a "
		"source, and cannot be read",
		one->file);
	if (row->why)
		mt_diag_object(&t->owns, MT_DIAG_ERROR, &about, o->origin.line, "metadata.name",
			"write another one, or repair that file", "%s", row->why);
	return true;
}

enum mt_owning mt_object_owning(struct mt_object_table *t, const struct mt_source_reading *r,
	struct mt_kept *kept, const struct mt_object *o, bool *foreign)
{
	bool limited = o->only != NULL, refused = o->status == MT_OBJECT_REFUSED;
	struct last last;
	uint32_t self;

	*foreign = false;
	if (!t->owned || o->is_node || o->status == MT_OBJECT_IGNORED)
		return MT_OWNING_NONE;
	(void)source_of(t, o->origin.file, &self);
	if (!refused && !(limited && is_of_others(t, o, self))) {
		*foreign = limited && is_held(t, r, kept, o, self);
		if (*foreign)
			return MT_OWNING_OTHERS;
		return is_of_others(t, o, MT_OWNED_NO_SOURCE) ? MT_OWNING_SOME : MT_OWNING_NONE;
	}
	last = last_good(t, r, kept, o);
	if (last.good && limited && is_of_others(t, last.good, self)) {
		*foreign = last.source != self;
		return refused && last.source == self ? MT_OWNING_NONE : MT_OWNING_OTHERS;
	}
	if (!refused)
		return MT_OWNING_OTHERS;
	return last.good && (last.source == self || last.fits) &&
			       is_of_others(t, last.good, MT_OWNED_NO_SOURCE)
		       ? MT_OWNING_SOME
		       : MT_OWNING_NONE;
}

bool mt_row_is_disowned(struct mt_object_table *t, struct mt_object_row *row)
{
	struct claim c = {.t = t, .o = row->o};

	if (!t->owned || !row->o->only)
		return false;
	(void)source_of(t, row->o->origin.file, &c.self);
	if (!has_others(&c))
		return false;
	row->status = MT_OBJECT_REFUSED;
	row->why = report(t, row->o, &c, false);
	return true;
}

/* True if a last good version has what another source owns, as one of the source `self`. */
static bool good_has(
	struct mt_object_table *t, const struct mt_object_row *row, uint32_t self, const char **why)
{
	struct claim c = {.t = t, .o = row->good, .self = self};

	if (!has_others(&c))
		return false;
	/* Otherwise the object itself has no error, or has it for the same reason. */
	if (row->absent || row->o->status == MT_OBJECT_REFUSED)
		*why = report(t, row->o, &c, !row->absent);
	return true;
}

/*
 * The source that holds a version that is in no file: that of its file, or one with its namespaces
 * that cannot be read, because the name of its directory may be a mistake.
 */
static const struct mt_node_source *source_of_absent(const struct mt_object_table *t,
	const struct mt_source_reading *r, const struct mt_object *o, uint32_t *index)
{
	const char *holder = mt_source_holder(r, o->origin.file, o);
	const char *only = holder ? mt_source_root_only(r, holder) : NULL;

	if (!only || !o->only || strcmp(only, o->only) != 0)
		return NULL;
	return source_of(t, holder, index);
}

bool mt_good_is_disowned(struct mt_object_table *t, const struct mt_source_reading *r,
	const struct mt_object_row *row, const char **why)
{
	const struct mt_object *good = row->good;
	const struct mt_node_source *s;
	uint32_t self, now;

	*why = NULL;
	if (!t->owned || !good || good->is_node)
		return false;
	s = source_of(t, good->origin.file, &self);
	if (!s && row->absent)
		(void)source_of_absent(t, r, good, &self);
	else if (!s || !s->n_namespaces)
		/* The Node may have given the directory another name, or an operator had the object. */
		(void)source_of(t, row->o->origin.file, &self);
	if (was_limited(good, s) && good_has(t, row, self, why))
		return true;
	/* A version of another file is one of the source that has the object now. */
	if (row->absent || !row->o->only)
		return false;
	(void)source_of(t, row->o->origin.file, &now);
	return now != self && good_has(t, row, now, why);
}
