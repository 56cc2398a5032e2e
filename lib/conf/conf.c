/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_conf_credentials_priv.h"
#include "mt_credential.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What outlives snapshots is made here and only here. */
struct mt_conf *mt_conf_create(const struct mt_conf_options *o, struct mt_err *err)
{
	struct mt_conf *c = calloc(1, sizeof(*c));

	if (!c) {
		mt_err(err, -ENOMEM, "no memory");
		return NULL;
	}
	c->o = *o;
	c->codecs = mt_codec_registry_hold(mt_codec_registry_built_in());
	c->o.workers = MT_MAX(c->o.workers, 1);
	c->upstreams = mt_upstream_registry_new();
	c->limits = mt_limit_registry_new(c->o.workers);
	c->tallies = mt_tally_registry_new(c->o.workers);
	if (!c->upstreams || !c->limits || !c->tallies || mt_conf_tokens_init(&c->tokens)) {
		mt_err(err, -ENOMEM, "no memory");
		goto fail;
	}
	if (o->state_dir && (size_t)snprintf(c->state_dir, sizeof(c->state_dir), "%s",
				    o->state_dir) >= sizeof(c->state_dir)) {
		mt_err(err, -ENAMETOOLONG, "stateDirectory is longer than %zu bytes",
			sizeof(c->state_dir) - 1);
		goto fail;
	}
	c->o.state_dir = o->state_dir ? c->state_dir : NULL;
	if (!o->read_only && mt_callers_init(&c->callers)) {
		mt_err(err, -ENOMEM, "no memory");
		goto fail;
	}
	if (c->o.state_dir && mt_vips_load(&c->vips, c->state_dir, o->read_only, err))
		goto fail;
	return c;
fail:
	mt_conf_destroy(c);
	return NULL;
}

void mt_conf_set_identity(struct mt_conf *c, struct mt_credential *credential)
{
	if (credential == c->identity)
		return;
	mt_credential_drop(c->identity);
	c->identity = credential ? mt_credential_hold(credential) : NULL;
	c->identity_serial++;
}

void mt_conf_set_codecs(struct mt_conf *c, struct mt_codec_registry *r)
{
	mt_codec_registry_hold(r);
	mt_codec_registry_drop(c->codecs);
	c->codecs = r;
}

const struct mt_codec_registry *mt_conf_codecs(const struct mt_conf *c)
{
	return c->current ? mt_container_of(c->current, struct mt_snap, pub)->codecs
			  : mt_codec_registry_built_in();
}

void mt_conf_set_ports(struct mt_conf *c, const struct mt_node *node)
{
	c->started_as = node;
}

/* Snapshots first: they give back to the registries. Also takes a half-made one. */
void mt_conf_destroy(struct mt_conf *c)
{
	struct mt_snap *next;

	if (!c)
		return;
	if (c->current)
		mt_snap_free(c, mt_container_of(c->current, struct mt_snap, pub), 0);
	for (struct mt_snap *s = c->retired; s; s = next) {
		next = s->next;
		mt_snap_free(c, s, 0);
	}
	mt_caller_rows_put(c, c->callers.rows);
	mt_callers_fini(&c->callers);
	mt_strmap_fini(&c->shared.clusters);
	mt_strmap_fini(&c->shared.services);
	mt_items_reset(&c->items);
	mt_idmap_fini(&c->memory.of);
	free(c->shared.seen);
	free(c->shared.last_clusters.v);
	free(c->shared.last_services.v);
	mt_indexes_fini(&c->services);
	mt_indexes_fini(&c->closers);
	mt_indexes_fini(&c->forwards);
	mt_indexes_fini(&c->forward_rules);
	mt_route_indexes_fini(&c->routes);
	mt_vips_fini(&c->vips);
	free(c->checked);
	mt_overrides_fini(&c->overrides);
	free(c->limit_rules);
	mt_credentials_fini(c);
	mt_conf_tokens_fini(&c->tokens);
	mt_conf_providers_fini(&c->providers);
	mt_credential_drop(c->identity);
	free(c->kernel);
	mt_held_fini(c);
	mt_own_paths_fini(c);
	mt_codec_registry_drop(c->codecs);
	if (c->upstreams)
		mt_upstream_registry_free(c->upstreams);
	if (c->limits)
		mt_limit_registry_free(c->limits);
	mt_tally_registry_free(c->tallies);
	free(c);
}

void mt_conf_set_log(struct mt_conf *c, const struct mt_alog *log)
{
	c->log = log;
}

void mt_conf_serve(struct mt_conf *c, struct mt_service *s)
{
	c->vips.disk.service = s;
}

void mt_conf_kept_hosts(const struct mt_conf *c, mt_conf_host_fn *fn, void *arg)
{
	for (uint32_t n = 0; c->vips.by_n && n < MT_VIP_MAX; n++)
		if (c->vips.by_n[n] && !c->vips.by_n[n]->gone)
			fn(arg, c->vips.by_n[n]->host);
}

const struct mt_conf_items *mt_conf_items(const struct mt_conf *c)
{
	return &c->items;
}

struct mt_upstream_registry *mt_conf_upstreams(struct mt_conf *c)
{
	return c->upstreams;
}

struct mt_jwks_store *mt_conf_jwks(struct mt_conf *c)
{
	return c->tokens.store;
}

struct mt_limit_registry *mt_conf_limits(struct mt_conf *c)
{
	return c->limits;
}

struct mt_tally_registry *mt_conf_tallies(struct mt_conf *c)
{
	return c->tallies;
}

const struct mt_peer *mt_conf_caller(const struct mt_conf *c, uint64_t id)
{
	const struct mt_caller_labels *l = mt_caller_labels_find(&c->callers, id);

	return l ? l->peer : NULL;
}

uint32_t mt_conf_callers_unplaced(const struct mt_conf *c)
{
	return c->callers.unplaced;
}
