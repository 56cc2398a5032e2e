/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold of each snapshot that follows another one, whatever the control plane does:
 *
 * - nothing is in force but what it said, and what was sound of that;
 * - what comes in place of something leads to nobody new who has no endpoints, unless the time for that has passed;
 * - what was in force leaves by the control plane's words only, or when nobody names it, or when its time to live ends,
 *   and not before those who name it;
 * - nothing goes back to what was said before;
 * - and without news a snapshot differs from the one before it.
 */
#include "world.h"

#include "mt_snapshot.h"

#include <stdlib.h>
#include <string.h>

/* A loop's turn, and the time that changes are gathered. */
#define SLACK (500 * MT_MSEC)

static uint32_t serial_of_name(const char *s)
{
	return s && *s == 's' ? (uint32_t)strtoul(s + 1, NULL, 10) : 0;
}

static uint32_t serial_of(enum mt_xds_type type, const void *obj)
{
	const struct mt_res_listener *l = obj;
	const struct mt_res_routes *r = obj;

	switch (type) {
	case MT_XDS_CDS:
		return ((const struct mt_res_cluster *)obj)->connect_ms;
	case MT_XDS_EDS:
		return ((const struct mt_res_endpoints *)obj)->overprovisioning - 100;
	case MT_XDS_LDS:
		return l->n_chains ? serial_of_name(l->chains[0].name) : 0;
	default:
		return r->list.n_rules ? serial_of_name(r->list.rules[0].name.s) : 0;
	}
}

struct in_force force_of(struct world *w, const struct mt_model *m)
{
	const struct mt_objs *const objs[PLANE_TYPES] = {[MT_XDS_CDS] = &m->res_clusters,
		[MT_XDS_EDS] = &m->res_endpoints,
		[MT_XDS_LDS] = &m->res_listeners,
		[MT_XDS_RDS] = &m->res_routes};
	struct in_force f = {0};

	for (int i = 0; i < PLANE_TYPES; i++)
		for (uint32_t k = 0; k < objs[i]->n; k++) {
			const struct mt_meta *meta = objs[i]->v[k];
			int at = index_of((enum mt_xds_type)i, meta->name);
			uint32_t serial = serial_of((enum mt_xds_type)i, objs[i]->v[k]);

			if (at < 0 || !serial)
				world_wrong(w, "%s %s was never said",
					mt_xds_name((enum mt_xds_type)i), meta->name);
			else
				f.serial[i][at] = serial;
		}
	return f;
}

static const struct body *at(
	const struct world *w, const struct in_force *f, enum mt_xds_type type, uint32_t i)
{
	return plane_find(&w->plane, type, i, f->serial[type][i]);
}

/* ---- who names whom -------------------------------------------------------------------------------- */

static bool names(const struct body *b, enum mt_xds_type type, uint32_t i)
{
	if (b->type == MT_XDS_CDS)
		return type == MT_XDS_EDS && !b->fixed && b->name == i;
	if (b->type == MT_XDS_LDS && (b->meta ? MT_XDS_RDS : MT_XDS_CDS) != type)
		return false;
	if (b->type == MT_XDS_RDS && type != MT_XDS_CDS)
		return false;
	for (uint32_t k = 0; k < b->n_targets; k++)
		if (b->targets[k] == i)
			return true;
	return false;
}

static bool is_named(
	const struct world *w, const struct in_force *f, enum mt_xds_type type, uint32_t i)
{
	for (int t = 0; t < PLANE_TYPES; t++)
		for (uint32_t k = 0; k < names_of((enum mt_xds_type)t); k++) {
			const struct body *b = at(w, f, (enum mt_xds_type)t, k);

			if (b && b->type != MT_XDS_EDS && names(b, type, i))
				return true;
		}
	return false;
}

/* It, or what is sound and was said of the resource after it: that one's time counts, also while it is not in force yet. */
static bool has_expired(const struct world *w, const struct body *old)
{
	for (uint32_t i = 0; i < w->plane.n_bodies; i++) {
		const struct body *b = w->plane.bodies[i];

		if (b->type == old->type && b->name == old->name && b->said >= old->said &&
			!b->bad && !b->empty && b->ttl_s &&
			w->now + SLACK >= MT_MAX(b->first_at, b->heard_at) + b->ttl_s * MT_SEC)
			return true;
	}
	return false;
}

/* ---- one snapshot after another --------------------------------------------------------------------- */

static uint32_t endpoints_in(const struct mt_snapshot *s, uint32_t cluster)
{
	for (uint32_t i = 0; i < s->n_clusters; i++)
		if (strcmp(s->clusters[i].name, name_of(MT_XDS_CDS, cluster)) == 0)
			return s->clusters[i].n_eps;
	return 0;
}

static bool leads_to(const struct body *b, uint32_t cluster)
{
	return b && names(b, MT_XDS_CDS, cluster);
}

/*
 * In place of another one: it leads to no new cluster without endpoints. One that had some in the snapshot before lost them by the
 * control plane's word, which may come between the moment in which it was led to and the load: in two steps it would end the same.
 */
static void check_new(
	struct world *w, const struct mt_snapshot *s, const struct body *old, const struct body *b)
{
	if (!old || old == b || b->type == MT_XDS_CDS || b->type == MT_XDS_EDS ||
		(b->type == MT_XDS_LDS && b->meta))
		return;
	for (uint32_t k = 0; k < b->n_targets; k++) {
		uint32_t c = b->targets[k];

		if (leads_to(old, c) || endpoints_in(s, c) || w->eps[c] ||
			w->now + SLACK >= b->first_at + FETCH_S * MT_SEC)
			continue;
		world_wrong(w, "%s %s, serial %u after %u, leads to c%u, which has no endpoints",
			mt_xds_name(b->type), name_of(b->type, b->name), b->serial, old->serial, c);
	}
}

static void check_gone(struct world *w, const struct in_force *to, const struct body *old)
{
	bool named = is_named(w, to, old->type, old->name);
	bool whole = old->type == MT_XDS_CDS || old->type == MT_XDS_LDS;

	/* From here on there is nothing that a bad one could leave in force. */
	w->plane.last_gone[old->type][old->name] = ++w->plane.counter;
	if (has_expired(w, old))
		return;
	/* Who starts anew cannot be told of it. */
	whole &= !w->restarts || w->plane.has[old->type][old->name];
	if (named || (whole && !w->plane.told_gone[old->type][old->name]))
		world_wrong(w, "%s %s, serial %u, has left, %s", mt_xds_name(old->type),
			name_of(old->type, old->name), old->serial,
			named ? "and is named" : "and nobody took it away");
}

static void check_one(struct world *w, const struct mt_snapshot *s, const struct in_force *to,
	enum mt_xds_type type, uint32_t i)
{
	const struct body *old = at(w, &w->force, type, i), *b = at(w, to, type, i);

	if (!b) {
		if (to->serial[type][i])
			world_wrong(w, "%s %s has a content that never was: %u", mt_xds_name(type),
				name_of(type, i), to->serial[type][i]);
		else if (old)
			check_gone(w, to, old);
		return;
	}
	if (b->bad || b->empty || !b->said)
		world_wrong(w, "%s %s, serial %u, is in force, and was %s", mt_xds_name(type),
			name_of(type, i), b->serial, b->said ? "not sound" : "not said");
	/* That the old one was said again need not have been heard. */
	if (old && w->force_said[type][i] > b->said)
		world_wrong(w, "%s %s goes back from serial %u to %u", mt_xds_name(type),
			name_of(type, i), old->serial, b->serial);
	check_new(w, s, old, b);
}

static void remember(struct world *w, const struct in_force *to)
{
	for (int t = 0; t < PLANE_TYPES; t++)
		for (uint32_t i = 0; i < names_of((enum mt_xds_type)t); i++) {
			struct body *b =
				plane_find(&w->plane, (enum mt_xds_type)t, i, to->serial[t][i]);

			if (b)
				b->was_in_force = true;
			if (!b || b != at(w, &w->force, (enum mt_xds_type)t, i))
				w->force_said[t][i] = b ? b->said : 0;
		}
}

void check_publish(struct world *w, const struct mt_snapshot *s, const struct in_force *to)
{
	/* What came and went within one turn of the client's loop is no news either, but may cost a load. */
	if (w->publishes && w->news == w->plane.news && memcmp(&w->force, to, sizeof(*to)) == 0)
		world_wrong(w, "a snapshot that says what the one before it said");
	for (int t = 0; t < PLANE_TYPES; t++)
		for (uint32_t i = 0; i < names_of((enum mt_xds_type)t); i++)
			check_one(w, s, to, (enum mt_xds_type)t, i);
	remember(w, to);
	for (uint32_t i = 0; i < names_of(MT_XDS_CDS); i++)
		w->eps[i] = endpoints_in(s, i);
	w->news = w->plane.news;
}

/* ---- all is quiet ----------------------------------------------------------------------------------- */

/* What has to be in force of something that the plane has: it, or the last sound one before it. */
static void check_there(struct world *w, enum mt_xds_type type, uint32_t i, bool must)
{
	const struct body *has = w->plane.has[type][i], *b = at(w, &w->force, type, i);
	const struct body *sure = plane_sure(&w->plane, type, i);

	if (has && has->ttl_s)
		return;
	if (has && !has->bad && !has->empty) {
		if (must && b != has)
			world_wrong(w, "in the end %s %s is serial %u, not %u", mt_xds_name(type),
				name_of(type, i), b ? b->serial : 0, has->serial);
		return;
	}
	/* The last good one stays. */
	if (must && sure && !sure->ttl_s && (!b || b->said < sure->heard) &&
		!w->plane.told_gone[type][i])
		world_wrong(w, "in the end %s %s is serial %u, and %u was good", mt_xds_name(type),
			name_of(type, i), b ? b->serial : 0, sure->serial);
}

void check_end(struct world *w)
{
	if (w->wrong[0])
		return;
	for (int t = 0; t < PLANE_TYPES; t++)
		for (uint32_t i = 0; i < names_of((enum mt_xds_type)t); i++) {
			enum mt_xds_type type = (enum mt_xds_type)t;
			bool named = is_named(w, &w->force, type, i);
			bool whole = type == MT_XDS_CDS || type == MT_XDS_LDS;
			const struct body *has = w->plane.has[t][i];

			if (whole && has)
				check_there(w, type, i, true);
			else if (!whole)
				check_there(w, type, i, named);
			if (!named && at(w, &w->force, type, i) && !(whole && has))
				world_wrong(w, "in the end %s %s is in force, and nobody names it",
					mt_xds_name(type), name_of(type, i));
		}
}
