/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys in matches and conditions that are nearly a well-known key of the service's protocol.
 * Callers may send metadata of any name, so that only a near key is a finding.
 */
#include "mt_conf_unmatched_priv.h"

#include <stdio.h>
#include <string.h>

/* Shorter words are near to too many others. */
#define KEY_MIN 4

/* The key that was meant. NULL: a protocol of the host has this key, or none has a near one. */
static const char *near_key(const struct mt_host *h, const char *key)
{
	const char *near = NULL;

	if (strlen(key) < KEY_MIN)
		return NULL;
	for (const struct mt_unit *u = h->units; u; u = u->next)
		for (const char *const *k = u->codec->keys; k && *k; k++) {
			uint32_t d = mt_edit_distance(key, *k, 2);

			if (d == 0)
				return NULL;
			if (d == 1)
				near = *k;
		}
	return near;
}

static void tell_key(struct mt_build *b, const struct mt_meta *meta, const struct mt_host *h,
	const struct mt_text *key, const char *path)
{
	const char *near = near_key(h, key->s);
	char remedy[64];

	if (!near)
		return;
	snprintf(remedy, sizeof(remedy), "did you mean %s?", near);
	mt_b_warn(b, meta, key->line, path, remedy,
		"the protocol has no such key, only metadata of this name match");
}

static void tell_conds(struct mt_build *b, const struct mt_meta *meta, const struct mt_host *h,
	const struct mt_rule_match *m, const char *path)
{
	char full[MT_CONF_PATH];

	for (uint32_t i = 0; i < m->n_conds; i++) {
		snprintf(full, sizeof(full), "%s.%.64s", path, m->conds[i].key.s);
		tell_key(b, meta, h, &m->conds[i].key, full);
	}
}

static void tell_list(struct mt_build *b, const struct mt_meta *meta, const struct mt_host *h,
	const struct mt_rule_list *l, const char *prefix)
{
	char path[128];

	l = mt_written_list(l);
	for (uint32_t i = 0; i < l->n_rules; i++) {
		const struct mt_rule *r = &l->rules[i];
		const struct mt_host *of = h;

		/* At a gateway calls have the protocol of the service that they are routed to. */
		if (!of && r->n_dests && r->dests[0].dest.host.s)
			of = mt_b_host(b, r->dests[0].dest.host.s, meta->ns);
		for (uint32_t j = 0; of && j < r->n_matches; j++) {
			snprintf(path, sizeof(path), "%s[%u].match[%u]", prefix,
				l->made_of ? r->at : i, j);
			tell_conds(b, meta, of, &r->matches[j], path);
		}
	}
}

static void tell_global(struct mt_build *b, const struct mt_meta *meta, const struct mt_host *h,
	const struct mt_global_conf *g)
{
	static const char path[] = "spec.globalRateLimit";
	char full[MT_CONF_PATH];

	if (g->match) {
		snprintf(full, sizeof(full), "%s.match", path);
		tell_conds(b, meta, h, g->match, full);
	}
	for (uint32_t i = 0; i < g->n_descriptors; i++) {
		snprintf(full, sizeof(full), "%s.descriptors[%u].property", path, i);
		tell_key(b, meta, h, &g->descriptors[i].property, full);
	}
}

void mt_b_tell_router_keys(struct mt_build *b, const struct mt_meta_router *mr)
{
	const struct mt_host *h = mr->n_hosts ? mt_b_host(b, mr->hosts[0].s, mr->meta.ns) : NULL;
	char path[64];

	if (!h)
		return;
	tell_list(b, &mr->meta, h, &mr->routes, "spec.routes");
	for (uint32_t i = 0; mr->limit && i < mr->limit->n_conds; i++) {
		snprintf(path, sizeof(path), "spec.localRateLimit.conditions[%u].match", i);
		tell_conds(b, &mr->meta, h, mr->limit->conds[i].match, path);
	}
	if (mr->global)
		tell_global(b, &mr->meta, h, mr->global);
}

void mt_b_tell_route_keys(struct mt_build *b, const struct mt_virtual_service *vs)
{
	const struct mt_host *h = vs->n_hosts ? mt_b_host(b, vs->hosts[0].s, vs->meta.ns) : NULL;
	char prefix[96];

	for (uint32_t k = 0; k < vs->n_lists; k++) {
		snprintf(prefix, sizeof(prefix), "spec.%.64s", vs->lists[k].name);
		tell_list(b, &vs->meta, h, &vs->lists[k], prefix);
	}
}
