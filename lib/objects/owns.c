/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refuses objects with addresses or hosts that the Node gives to another source
 * (spec.sources[].owns), whatever was applied before. Objects of sources without `namespaces` may
 * have them all. Endpoints, routes and rules of other objects may name them: they only lead calls
 * of clients there.
 */
#include "mt_objects_priv.h"

#include "mt_owned.h"

#include <stdio.h>
#include <string.h>

/* One version of an object, as one of a source. */
struct claim {
	const struct mt_object_table *t;
	const struct mt_object *o;
	uint32_t self; /* the source; MT_OWNED_NO_SOURCE: none of the Node */
	/* the first entry of another source that it overlaps */
	const struct mt_owned_entry *e;
	const char *text;
	uint32_t line;
	char path[48];
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
	char path[48];

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

static bool service_entry(struct claim *c, const struct mt_service_entry *se)
{
	char path[48];

	for (uint32_t i = 0; i < se->n_hosts; i++) {
		snprintf(path, sizeof(path), "spec.hosts[%u]", i);
		if (has_host(c, se->hosts[i].s, se->hosts[i].s, se->hosts[i].line, path))
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
	has = has_host(c, mt_service_host(&r, s->meta.name, s->meta.ns, domain), s->meta.name,
		s->meta.origin.line, "metadata.name");
	has |= r.failed;
	mt_region_fini(&r);
	return has || has_network(c, &s->cluster_ip, "spec.clusterIP") ||
	       has_networks(c, s->cluster_ips, s->n_cluster_ips, "spec.clusterIPs");
}

static bool gateway(struct claim *c, const struct mt_gateway *g)
{
	char path[48];

	for (uint32_t i = 0; i < g->n_servers; i++) {
		const struct mt_gateway_server *s = &g->servers[i];

		snprintf(path, sizeof(path), "spec.servers[%u].bind", i);
		if (has_address(c, &s->bind_addr, &s->bind, path))
			return true;
	}
	return false;
}

/* True if the version has what another source owns. */
static bool has_others(struct claim *c)
{
	const struct mt_model *part = c->o->part;
	bool has = false;

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
	return has;
}

/* ---- which source an object is of ------------------------------------------------------------ */

static const struct mt_node_source *source_of(
	const struct mt_object_table *t, const char *file, uint32_t *index)
{
	const struct mt_node *n = node_of(t);
	const struct mt_node_source *s = mt_source_of_file(n, file);

	*index = s ? (uint32_t)(s - n->sources) : MT_OWNED_NO_SOURCE;
	return s;
}

/* True for a version of an earlier load if its source is limited to some namespaces. */
static bool was_limited(const struct mt_object *o, const struct mt_node_source *s)
{
	return o->only || (s && s->n_namespaces);
}

/* ---- what follows ---------------------------------------------------------------------------- */

/* Adds the error about a version, and returns its words for the row's reason. */
static const char *report(
	struct mt_object_table *t, const struct mt_object *of, const struct claim *c, bool last)
{
	const struct mt_meta about = {
		.origin = c->o->origin, .serial = of->serial, .ns = mt_object_owner(of)};
	const struct mt_node_source *owner;
	static const char remedy[] = "write another one; an operator may write the object there or "
				     "in a source without `namespaces`, or change `owns` of the "
				     "Node";
	char what[800];

	if (!c->e) {
		t->region.failed = true;
		return NULL;
	}
	owner = &node_of(t)->sources[c->e->source];
	snprintf(what, sizeof(what),
		"%s%.128s belongs to the source of %.200s: the Node gives it %.128s at %.128s:%u",
		last ? "its last good version is not used either: " : "", c->text,
		owner->directory.s, c->e->text->s, t->node->origin.file, c->e->text->line);
	mt_diag_object(&t->owns, MT_DIAG_ERROR, &about, c->line, c->path, remedy, "%s", what);
	return mt_region_printf(&t->region, "%s: %s (%s)", c->path, what, remedy);
}

/*
 * True if the last good version with the identity of an object is one of another source, and has
 * what the object's source may not have.
 */
static bool is_foreign(struct mt_object_table *t, const struct mt_source_reading *r,
	struct mt_kept *kept, const struct mt_object *o, uint32_t self)
{
	struct mt_kept_one *one = mt_strmap_get(&kept->all, mt_object_key(o));
	struct claim c = {.t = t, .self = self};
	uint32_t was;

	if (!one || !one->file)
		return false;
	(void)source_of(t, one->file, &was);
	c.o = was != self ? mt_kept_absent_good(one, r) : NULL;
	return c.o && has_others(&c);
}

enum mt_owning mt_object_owning(struct mt_object_table *t, const struct mt_source_reading *r,
	struct mt_kept *kept, const struct mt_object *o, bool *foreign)
{
	bool refused = o->status == MT_OBJECT_REFUSED;
	struct claim c = {.t = t, .o = o};

	*foreign = false;
	if (!t->owned || o->is_node || o->status == MT_OBJECT_IGNORED)
		return MT_OWNING_NONE;
	(void)source_of(t, o->origin.file, &c.self);
	if (o->only && (refused || has_others(&c))) {
		*foreign = is_foreign(t, r, kept, o, c.self);
		return refused && !*foreign ? MT_OWNING_NONE : MT_OWNING_OTHERS;
	}
	c.self = MT_OWNED_NO_SOURCE;
	return !refused && has_others(&c) ? MT_OWNING_SOME : MT_OWNING_NONE;
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
	if (was_limited(good, s) && good_has(t, row, self, why))
		return true;
	/* A version of another file is one of the source that has the object now. */
	if (row->absent || !row->o->only)
		return false;
	(void)source_of(t, row->o->origin.file, &now);
	return now != self && good_has(t, row, now, why);
}
