/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service, whoever says it: its routes and filters are made once, and shared by snapshots as long as they would come out the
 * same and every cluster that they name is where it was.
 */
#include "mt_conf_mesh_priv.h"
#include "mt_secret_hash.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Most services are small and there may be ten thousand. */
#define FIRST_BLOCK 512u

static void free_service(struct mt_conf *c, struct mt_shared_service *sv)
{
	struct mt_service *s = sv->s;

	mt_shared_last_forget(&c->shared.last_services, sv->at, sv);
	if (s && s->routes)
		mt_route_table_free(s->routes);
	for (uint32_t i = 0; s && i < s->n_filter_insts; i++)
		s->filter_insts[i].type->free_conf(s->filter_insts[i].conf);
	if (sv->index)
		mt_indexes_put(&c->services, sv->index);
	mt_region_fini(&sv->region);
	free(sv);
}

void mt_shared_service_put(struct mt_conf *c, struct mt_shared_service *sv)
{
	if (--sv->refs)
		return;
	if (mt_strmap_get(&c->shared.services, sv->name) == sv)
		mt_strmap_del(&c->shared.services, sv->name);
	free_service(c, sv);
}

/* ---- where its routes lead -------------------------------------------------------------------------- */

/* What of a cluster a service's compilation reads. */
static uint64_t hash_of(const struct mt_build *b, uint32_t at)
{
	const struct mt_cluster *c = &b->clusters_v[at];
	uint64_t h = (uint64_t)c->guards_read << 1 | c->guards_search;

	for (uint32_t i = 0; i < c->n_hash_keys; i++)
		h = mt_hash_text(c->hash_keys[i].name, h + 1);
	return h;
}

struct mt_service_dep *mt_b_note_dep(struct mt_build *b, enum mt_service_dep_kind kind, uint32_t at)
{
	struct mt_service_deps *deps = b->deps;
	struct mt_service_dep *d;

	if (!deps)
		return NULL;
	d = mt_region_push(deps->region, (void **)&deps->v, &deps->n, sizeof(*d));
	if (!d)
		return NULL;
	*d = (struct mt_service_dep){.kind = (uint8_t)kind, .at = at};
	if (at != MT_NO_CLUSTER) {
		d->id = b->clusters_v[at].id;
		d->hash = hash_of(b, at);
	}
	return d;
}

static bool is_there(const struct mt_build *b, const struct mt_service_dep *d)
{
	return d->at < b->n_clusters && b->clusters_v[d->at].id == d->id &&
	       hash_of(b, d->at) == d->hash;
}

/* What was written leads there still. */
static bool leads_there(struct mt_build *b, const struct mt_service_dep *d, const char *ns)
{
	const struct mt_codec *codec;

	switch ((enum mt_service_dep_kind)d->kind) {
	case MT_DEP_UNKNOWN:
		return d->of.name && !mt_strmap_get(&b->clusters, d->of.name) &&
		       mt_mesh_place(b, d->of.name) == MT_NO_CLUSTER;
	case MT_DEP_DESTINATION:
		return mt_b_find_dest(b, d->of.destination, ns, d->port, &codec) == d->at &&
		       mt_codec_same(codec, d->codec);
	case MT_DEP_JOINED:
		return false;
	case MT_DEP_CLUSTER:
		return mt_b_find_cluster(b, d->of.cluster) == d->at;
	case MT_DEP_PLACE:
		break;
	}
	return true;
}

bool mt_b_service_leads(struct mt_build *b, struct mt_shared_service *sv, const char *ns)
{
	for (uint32_t i = 0; i < sv->deps.n; i++) {
		const struct mt_service_dep *d = &sv->deps.v[i];

		bool unknown = d->kind == MT_DEP_UNKNOWN;

		if (!unknown && !is_there(b, d))
			return false;
		if ((unknown || sv->topology != b->topology) && !leads_there(b, d, ns))
			return false;
	}
	sv->topology = b->topology;
	return true;
}

/* ---- made ------------------------------------------------------------------------------------------- */

/* What it is counted by. 0, -EINVAL when it is told that there is no room, or -ENOMEM. */
static int name_it(
	struct mt_build *b, struct mt_shared_service *sv, const struct mt_service_said *said)
{
	char *id = mt_region_printf(&b->tmp, "%s:%u", said->name, said->port);
	struct mt_service *s = sv->s = mt_region_alloc(&sv->region, sizeof(*s));

	if (!id || !s)
		return -ENOMEM;
	sv->index = mt_indexes_get(&b->conf->services, id, MT_SNAPSHOT_SERVICES_MAX);
	if (!sv->index) {
		mt_b_error(b, said->meta, said->origin.line, NULL, "fewer services, or more memory",
			"there is no room for its counters (%u services at most)",
			MT_SNAPSHOT_SERVICES_MAX);
		return -EINVAL;
	}
	s->name = mt_b_keep(b, said->name);
	s->key = mt_b_keep(b, mt_b_lower(b, said->key));
	s->id = mt_secret_hash_text(id, 0);
	s->owner = mt_service_owner(said->ns ? mt_secret_hash_text(said->ns, 0) : 0, s->id);
	s->index = sv->index->v;
	s->ns = said->ns ? mt_b_keep(b, said->ns) : NULL;
	s->file = mt_b_file(b, said->origin.file);
	s->line = said->origin.line;
	s->tcp_cluster = MT_NO_CLUSTER;
	return 0;
}

struct mt_shared_service *mt_b_service_begin(struct mt_build *b, const struct mt_service_said *said)
{
	size_t len = strlen(said->unique) + 1;
	struct mt_shared_service *sv = calloc(1, sizeof(*sv) + len);
	int rc;

	if (!sv) {
		b->tmp.failed = true;
		return NULL;
	}
	memcpy(sv->name, said->unique, len);
	sv->at = sv->routes_at = MT_NO_CLUSTER;
	mt_region_init(&sv->region, 0);
	sv->region.first = FIRST_BLOCK;
	sv->topology = b->topology;
	sv->codec = said->codec;
	sv->opts = said->opts;
	sv->hash = mt_hash_u64(mt_codec_identity(said->codec), said->opts);
	sv->deps.region = b->keep = &sv->region;
	b->last_file.kept_in = NULL;
	b->deps = &sv->deps;
	rc = name_it(b, sv, said);
	if (rc == 0)
		return sv;
	return mt_b_service_end(b, sv, rc);
}

int mt_b_service_route(
	struct mt_build *b, struct mt_shared_service *sv, const struct mt_route_for *f)
{
	int rc = mt_b_route_service(b, f, sv->s, &sv->hash);

	return rc == 0 && sv->region.failed ? -ENOMEM : rc;
}

struct mt_shared_service *mt_b_service_end(struct mt_build *b, struct mt_shared_service *sv, int rc)
{
	b->keep = &b->snap->region;
	b->deps = NULL;
	b->tmp.failed |= rc == -ENOMEM || sv->region.failed;
	if (rc || b->tmp.failed) {
		free_service(b->conf, sv);
		return NULL;
	}
	sv->override_stamp = mt_overrides_service_stamp(&b->conf->overrides, sv->s->name);
	if (mt_strmap_put(&b->conf->shared.services, sv->name, sv, NULL)) {
		free_service(b->conf, sv);
		b->tmp.failed = true;
		return NULL;
	}
	b->conf->shared.work.services_made++;
	sv->refs = 1;
	return sv;
}

/* ---- what it waits for ------------------------------------------------------------------------------ */

/*
 * Names in conditions do not regard case and this does: a key in other letters is taken for a late one,
 * which only costs the early start.
 */
static bool key_is_leading(const struct mt_codec *codec, const char *key)
{
	struct mt_key k = mt_key_make(codec, key);

	return k.id >= 0 && k.id < 32 && (codec->leading_keys >> k.id & 1);
}

static bool limit_is_leading(const struct mt_codec *codec, const struct mt_limit_conf *l)
{
	for (uint32_t i = 0; l && i < l->n_conds; i++)
		for (uint32_t j = 0; j < l->conds[i].match->n_conds; j++)
			if (!key_is_leading(codec, l->conds[i].match->conds[j].key.s))
				return false;
	return true;
}

/* A balancer that hashes a late key must wait for it. */
static bool dests_are_leading(
	const struct mt_build *b, const struct mt_codec *codec, const struct mt_route_action *a)
{
	for (uint32_t i = 0; i < a->n_dests; i++) {
		const struct mt_cluster *c;

		if (a->dests[i].cluster == MT_NO_CLUSTER)
			continue;
		c = &b->clusters_v[a->dests[i].cluster];
		if (c->guards_search)
			return false;
		for (uint32_t j = 0; j < c->n_hash_keys; j++)
			if (!key_is_leading(codec, c->hash_keys[j].name))
				return false;
	}
	for (uint32_t i = 0; i < a->n_mirrors; i++)
		if (b->clusters_v[a->mirrors[i].cluster].guards_search)
			return false;
	for (uint32_t i = 0; i < a->hash.n_keys; i++)
		if (!key_is_leading(codec, a->hash.keys[i].name))
			return false;
	return true;
}

/* Whoever judges a call has to have it before any of it goes on. */
static bool is_judged(const struct mt_build *b, const struct mt_service *s)
{
	for (uint32_t i = 0; i < mt_route_count(s->routes); i++) {
		const struct mt_route_action *a = mt_route_at(s->routes, i);

		for (uint32_t k = 0; k < a->n_dests; k++)
			if (a->dests[k].cluster != MT_NO_CLUSTER &&
				b->clusters_v[a->dests[k].cluster].guards_read)
				return true;
	}
	return false;
}

/* Whether not only leading metadata decide, or requests are changed. */
static bool searches(const struct mt_build *b, const struct mt_codec *codec,
	const struct mt_service_limits *l, const struct mt_service *s)
{
	if (!mt_route_leading_only(s->routes) || !limit_is_leading(codec, l->local))
		return true;
	if (l->clients && !mt_b_clients_keys(l->clients, key_is_leading, codec))
		return true;
	for (uint32_t i = 0; i < mt_route_count(s->routes); i++) {
		const struct mt_route_action *a = mt_route_at(s->routes, i);

		if (a->n_req_mut || !dests_are_leading(b, codec, a))
			return true;
	}
	return false;
}

/* Other filters need messages. */
static int finish_bytes(struct mt_build *b, const struct mt_service_limits *l,
	const struct mt_codec *codec, uint16_t port, struct mt_service *s, uint64_t *hash)
{
	bool local = l->local && l->local->label, global = l->global && l->global->of_streams;
	int rc = l->clients ? mt_b_client_limit(b, l->clients, codec, s, hash) : 0;

	if (rc == 0 && global && l->global_first)
		rc = mt_b_global(b, l->global_meta, l->global, codec, port, s, hash);
	if (rc == 0 && local)
		rc = mt_b_limit(b, l->meta, l->local, codec, port, s, hash);
	if (rc == 0 && global && !l->global_first)
		rc = mt_b_global(b, l->global_meta, l->global, codec, port, s, hash);
	return rc;
}

int mt_b_finish_service(struct mt_build *b, const struct mt_service_limits *l,
	const struct mt_codec *codec, uint16_t port, struct mt_service *s, uint64_t *hash)
{
	int rc;

	if (codec->opaque)
		return finish_bytes(b, l, codec, port, s, hash);
	rc = mt_b_fault(b, s, hash);
	/* First, so that a client over its own limit takes no token of all clients. */
	if (rc == 0 && l->clients)
		rc = mt_b_client_limit(b, l->clients, codec, s, hash);
	if (rc == 0 && l->global && l->global_first)
		rc = mt_b_global(b, l->global_meta, l->global, codec, port, s, hash);
	if (rc == 0 && l->local)
		rc = mt_b_limit(b, l->meta, l->local, codec, port, s, hash);
	/* Calls that the node's own limit refuses cost no query. */
	if (rc == 0 && l->global && !l->global_first)
		rc = mt_b_global(b, l->global_meta, l->global, codec, port, s, hash);
	if (rc == 0)
		rc = mt_b_chain(b, l->meta, s);
	if (rc)
		return rc;
	s->searches = searches(b, codec, l, s) || (s->filters && s->filters->reads);
	/* A request that may be held back is not begun to be forwarded. */
	s->early_ok = !s->searches && !is_judged(b, s) &&
		      !mt_overrides_fault(&b->conf->overrides, s->name);
	return 0;
}

/* ---- all of them ------------------------------------------------------------------------------------ */

/* Documents' first, then those of discovery services that are served somewhere. */
int mt_b_services_finish(struct mt_build *b)
{
	struct mt_snap *s = b->snap;
	struct mt_service **all = mt_region_alloc(&s->region, sizeof(*all) * s->n_services);
	uint32_t n = 0;

	if (!all)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n_services; i++)
		if (i < s->n_doc_services || s->services[i]->n_served)
			all[n++] = s->services[i]->s;
	s->pub.services = all;
	s->pub.n_services = n;
	return 0;
}
