/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every document refers to, whether its routes come to be used or not: a mistake is told on the day
 * it is written.
 */
#include "mt_conf_service_priv.h"
#include "mt_conf_unmatched_priv.h"

#include <stdio.h>
#include <string.h>

/* Compiled and thrown away: only the service that uses it knows the codec to compile it for. */
static void check_conds(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_rule_match *m, const char *path)
{
	for (uint32_t i = 0; i < m->n_conds; i++) {
		const struct mt_cond *cond = &m->conds[i];
		struct mt_matcher_def def = {.key = cond->key.s,
			.op = MT_MATCH_REGEX,
			.value = cond->value.s,
			.ignore_case = cond->ignore_case};
		char err[256] = "", full[MT_CONF_PATH];
		struct mt_matcher *compiled;

		if (cond->op != MT_COND_REGEX)
			continue;
		compiled = mt_matcher_compile(mt_codec_bytes(), &def, 1, err, sizeof(err));
		if (!compiled) {
			snprintf(full, sizeof(full), "%s.%.96s.regex", path, cond->key.s);
			mt_b_error(b, meta, cond->value.line, full, "write it in RE2's syntax",
				"bad regular expression: %s", err);
		}
		mt_matcher_free(compiled);
	}
}

static void check_rule(
	struct mt_build *b, const struct mt_meta *meta, const struct mt_rule *r, const char *path)
{
	char below[MT_CONF_PATH];

	for (uint32_t i = 0; i < r->n_matches; i++) {
		snprintf(below, sizeof(below), "%s.match[%u]", path, i);
		check_conds(b, meta, &r->matches[i], below);
	}
	for (uint32_t i = 0; i < r->n_dests; i++) {
		snprintf(below, sizeof(below), "%.200s.route[%u]", path, i);
		mt_b_rule_dest(b, meta, below, &r->dests[i], 0);
	}
	if (r->mirror) {
		snprintf(below, sizeof(below), "%.200s.mirror", path);
		mt_b_dest(b, meta, below, r->mirror, 0);
	}
	for (uint32_t i = 0; i < r->n_mirrors; i++) {
		snprintf(below, sizeof(below), "%.200s.mirrors[%u]", path, i);
		mt_b_rule_dest(b, meta, below, &r->mirrors[i].to, 0);
	}
}

static void check_list(struct mt_build *b, const struct mt_meta *meta, const struct mt_rule_list *l,
	const char *prefix)
{
	for (uint32_t i = 0; i < l->n_rules; i++) {
		char path[128];

		/* One that it was joined with is looked at where it is written. */
		if (l->rules[i].by)
			continue;
		snprintf(path, sizeof(path), "%s%.64s[%u]", prefix, l->name,
			l->made_of ? l->rules[i].at : i);
		check_rule(b, meta, &l->rules[i], path);
	}
}

/* A list's name is http, tcp, or a protocol's. */
static void check_list_name(
	struct mt_build *b, const struct mt_meta *meta, const struct mt_rule_list *l)
{
	struct mt_suggest near = {.word = l->name};
	const struct mt_proto *p;
	char path[96], remedy[96];
	uint32_t pos = 0;

	if (strcmp(l->name, "http") == 0 || strcmp(l->name, "tcp") == 0 ||
		strcmp(l->name, "tls") == 0 || mt_b_protocol(b, l->name))
		return;
	mt_suggest_offer(&near, "http");
	mt_suggest_offer(&near, "tcp");
	while ((p = mt_strmap_next(&b->protocols, &pos, NULL)) != NULL)
		mt_suggest_offer(&near, p->name);
	if (near.best)
		snprintf(remedy, sizeof(remedy), "did you mean %.64s?", near.best);
	else
		snprintf(remedy, sizeof(remedy),
			"write http, tcp or the name of a protocol that is known");
	snprintf(path, sizeof(path), "spec.%.80s", l->name);
	mt_b_error(b, meta, l->origin.line, path, remedy, "neither a field nor a protocol");
}

enum place { PLACE_NOWHERE, PLACE_ELSEWHERE, PLACE_HERE };

/* The first one of a name counts. */
static void index_gateways(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->gateways.n; i++) {
		const struct mt_gateway *g = b->model->gateways.v[i];
		char *key = mt_region_printf(&b->tmp, "%s/%s", g->meta.ns, g->meta.name);

		if (key && !mt_strmap_get(&b->gateways, key) &&
			mt_strmap_put(&b->gateways, key, (void *)g, NULL))
			b->tmp.failed = true;
	}
}

/* ELSEWHERE: it is for nodes with other labels, which take what is bound to it. */
static enum place place_of(const struct mt_build *b, const struct mt_text *name, const char *ns)
{
	const struct mt_gateway *g;
	char key[MT_GATEWAY_KEY];

	if (strcmp(name->s, "mesh") == 0)
		return PLACE_HERE;
	g = mt_strmap_get(&b->gateways, mt_b_gateway_key(name->s, ns, key));
	if (!g)
		return PLACE_NOWHERE;
	return mt_b_selects_node(b, &g->selector) ? PLACE_HERE : PLACE_ELSEWHERE;
}

/*
 * What is bound to gateways of others only has no effect here, as everywhere in the field. `here`: it has another place, and
 * only a gateway that nobody has is a mistake then.
 */
static void check_gateways(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_text *texts, uint32_t n, uint32_t here)
{

	for (uint32_t i = 0; i < n; i++)
		here += place_of(b, &texts[i], meta->ns) == PLACE_HERE;
	for (uint32_t i = 0; i < n; i++) {
		enum place place = place_of(b, &texts[i], meta->ns);
		char path[48];

		if (place == PLACE_HERE || (here && place == PLACE_ELSEWHERE))
			continue;
		snprintf(path, sizeof(path), "spec.gateways[%u]", i);
		if (here)
			mt_b_warn(b, meta, texts[i].line, path,
				"write NAMESPACE/NAME of a Gateway document",
				"no Gateway \"%.128s\" is served here", texts[i].s);
		else
			(place == PLACE_NOWHERE ? mt_b_unused : mt_b_inert)(b, meta, texts[i].line,
				path, "write NAMESPACE/NAME of a Gateway document",
				"no Gateway \"%.128s\" is served here", texts[i].s);
	}
}

static void check_match_gateways(struct mt_build *b, const struct mt_virtual_service *vs,
	const struct mt_rule_match *m, const char *path)
{
	char full[MT_CONF_PATH];

	for (uint32_t i = 0; i < m->n_gateways; i++) {
		if (place_of(b, &m->gateways[i], vs->meta.ns) != PLACE_NOWHERE)
			continue;
		snprintf(full, sizeof(full), "%s.gateways[%u]", path, i);
		mt_b_warn(b, &vs->meta, m->gateways[i].line, full,
			"write mesh, or NAMESPACE/NAME of a Gateway document",
			"there is no Gateway \"%.128s\": no call from there matches",
			m->gateways[i].s);
	}
}

static void check_matches_gateways(struct mt_build *b, const struct mt_virtual_service *vs)
{
	char path[128];

	for (uint32_t k = 0; k < vs->n_lists; k++) {
		const struct mt_rule_list *l = mt_written_list(&vs->lists[k]);

		/* Lists of Gateway API are made here, with its own names of gateways. */
		for (uint32_t i = 0; !l->made_of && i < l->n_rules; i++)
			for (uint32_t j = 0; j < l->rules[i].n_matches; j++) {
				snprintf(path, sizeof(path), "spec.%.64s[%u].match[%u]", l->name, i,
					j);
				check_match_gateways(b, vs, &l->rules[i].matches[j], path);
			}
	}
}

static void check_limit(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_limit_conf *l, const char *prefix)
{
	for (uint32_t i = 0; l && i < l->n_conds; i++) {
		char path[96];

		snprintf(path, sizeof(path), "%s.conditions[%u].match", prefix, i);
		check_conds(b, meta, l->conds[i].match, path);
	}
}

static void check_filter(struct mt_build *b, const struct mt_envoy_filter *ef)
{
	for (uint32_t i = 0; i < ef->n_patches; i++) {
		char path[64];

		snprintf(path, sizeof(path), "spec.configPatches[%u].", i);
		check_list(b, &ef->meta, &ef->patches[i].routes, path);
		check_limit(b, &ef->meta, ef->patches[i].limit, path);
	}
}

/* ---- TLS to endpoints ------------------------------------------------------------------------ */

/* Without a mode the rest of the settings has no effect: endpoints are called as without them. */
static void check_tls_mode(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_traffic_policy *p, const char *path)
{
	const struct mt_tls_settings *tls = p ? p->tls : NULL;
	char full[96];

	for (uint32_t i = 0; p && i < p->n_ports; i++) {
		snprintf(full, sizeof(full), "%s.portLevelSettings[%u]", path, i);
		check_tls_mode(b, meta, &p->ports[i].policy, full);
	}
	if (!tls || tls->mode.set ||
		!(tls->chain.s || tls->key.s || tls->roots.s || tls->credential.s || tls->sni.s ||
			tls->n_sans))
		return;
	snprintf(full, sizeof(full), "%s.tls", path);
	mt_b_warn(b, meta, tls->origin.line, full, "write mode: SIMPLE or MUTUAL",
		"TLS settings without a mode have no effect: calls may be sent in plaintext");
}

static void check_tls_modes(struct mt_build *b, const struct mt_destination_rule *dr)
{
	char path[64];

	check_tls_mode(b, &dr->meta, dr->policy, "spec.trafficPolicy");
	for (uint32_t i = 0; i < dr->n_subsets; i++) {
		snprintf(path, sizeof(path), "spec.subsets[%u].trafficPolicy", i);
		check_tls_mode(b, &dr->meta, dr->subsets[i].policy, path);
	}
}

/* Warnings that depend on the filter alone, at each load. */
static void tell_unreached(struct mt_build *b, const struct mt_envoy_filter *ef)
{
	char path[64];

	for (uint32_t i = 0; i < ef->n_patches; i++) {
		snprintf(path, sizeof(path), "spec.configPatches[%u].", i);
		mt_b_tell_unreached(b, &ef->meta, &ef->patches[i].routes, path);
	}
}

void mt_b_check(struct mt_build *b)
{
	const struct mt_model *m = b->model;

	mt_b_tell_no_endpoints(b);
	index_gateways(b);
	for (uint32_t i = 0; i < m->destination_rules.n; i++)
		check_tls_modes(b, m->destination_rules.v[i]);
	for (uint32_t i = 0; i < m->virtual_services.n; i++) {
		const struct mt_virtual_service *vs = m->virtual_services.v[i];

		check_gateways(b, &vs->meta, vs->gateways, vs->n_gateways, 0);
		check_matches_gateways(b, vs);
		mt_b_tell_match_ports(b, vs);
		mt_b_tell_route_keys(b, vs);
		mt_b_tell_sources(b, vs);
		mt_b_tell_unrouted(b, vs);
		for (uint32_t j = 0; j < vs->n_lists; j++)
			mt_b_tell_unreached(b, &vs->meta, &vs->lists[j], "spec.");
		if (mt_b_was_checked(b, &vs->meta, vs->lists, vs->n_lists))
			continue;
		for (uint32_t j = 0; j < vs->n_lists; j++) {
			check_list_name(b, &vs->meta, &vs->lists[j]);
			check_list(b, &vs->meta, &vs->lists[j], "spec.");
		}
	}
	for (uint32_t i = 0; i < m->meta_routers.n; i++) {
		const struct mt_meta_router *mr = m->meta_routers.v[i];

		if (mr->n_gateways)
			check_gateways(b, &mr->meta, mr->gateways, mr->n_gateways, 1);
		mt_b_tell_router_keys(b, mr);
		mt_b_tell_global(b, mr);
		mt_b_tell_unrouted_of_router(b, mr);
		mt_b_tell_unreached(b, &mr->meta, &mr->routes, "spec.");
		if (mt_b_was_checked(b, &mr->meta, NULL, 0))
			continue;
		check_list(b, &mr->meta, &mr->routes, "spec.");
		check_limit(b, &mr->meta, mr->limit, "spec.localRateLimit");
		if (mr->global && mr->global->match)
			check_conds(b, &mr->meta, mr->global->match, "spec.globalRateLimit.match");
	}
	mt_b_check_clients(b);
	for (uint32_t i = 0; i < m->envoy_filters.n; i++) {
		const struct mt_envoy_filter *ef = m->envoy_filters.v[i];

		tell_unreached(b, ef);
		if (!mt_b_was_checked(b, &ef->meta, NULL, 0))
			check_filter(b, ef);
	}
}
