/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that no call reaches, and calls that no rule takes. */
#include "mt_conf_unmatched_priv.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- rules that are not reached ------------------------------------------------------ */

static bool has_no_condition(const struct mt_rule_match *m)
{
	return !m->n_conds && !m->port.set && !m->n_gateways && !m->n_sni &&
	       !m->source_labels.n_kv && !m->source_ns.s && !m->unsupported.s;
}

/* The rules of a delegate have matches of their own. */
static bool takes_all(const struct mt_rule *r)
{
	if (r->delegate)
		return false;
	for (uint32_t i = 0; i < r->n_matches; i++)
		if (has_no_condition(&r->matches[i]))
			return true;
	return !r->n_matches;
}

void mt_b_tell_unreached(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_rule_list *list, const char *prefix)
{
	const struct mt_rule_list *l = mt_written_list(list);
	char path[128];
	uint32_t i = 0;

	while (i < l->n_rules && !takes_all(&l->rules[i]))
		i++;
	if (l->made_of || i + 1 >= l->n_rules)
		return;
	snprintf(path, sizeof(path), "%s%.64s[%u]", prefix, l->name, i + 1);
	mt_b_warn(b, meta, l->rules[i + 1].origin.line, path, "write the rule that takes all last",
		"it is never reached: %.64s[%u] matches every call", l->name, i);
}

/* ---- matches for clients that are not here ---- */

static void tell_source(struct mt_build *b, const struct mt_virtual_service *vs,
	const struct mt_rule_match *m, const char *path)
{
	char full[MT_CONF_PATH], near[192], remedy[224];
	const char *ns;

	if (m->source_labels.n_kv && !mt_b_selects_node(b, &m->source_labels) &&
		mt_b_near_label(b, &m->source_labels, near, sizeof(near))) {
		snprintf(full, sizeof(full), "%s.sourceLabels", path);
		snprintf(remedy, sizeof(remedy), "did you mean %s?", near);
		mt_b_warn(b, &vs->meta, m->origin.line, full, remedy,
			"the Node does not have these labels: no call matches");
	}
	ns = m->source_ns.s ? mt_b_near_namespace(b, m->source_ns.s) : NULL;
	if (!ns)
		return;
	snprintf(full, sizeof(full), "%s.sourceNamespace", path);
	snprintf(remedy, sizeof(remedy), "did you mean %.64s?", ns);
	mt_b_warn(b, &vs->meta, m->source_ns.line, full, remedy,
		"nothing here is in this namespace: no call matches");
}

void mt_b_tell_sources(struct mt_build *b, const struct mt_virtual_service *vs)
{
	char path[128];

	for (uint32_t k = 0; k < vs->n_lists; k++) {
		const struct mt_rule_list *l = mt_written_list(&vs->lists[k]);

		for (uint32_t i = 0; i < l->n_rules; i++)
			for (uint32_t j = 0; j < l->rules[i].n_matches; j++) {
				snprintf(path, sizeof(path), "spec.%.64s[%u].match[%u]", l->name, i,
					j);
				tell_source(b, vs, &l->rules[i].matches[j], path);
			}
	}
}

/* ---- calls without a route ------------------------------------------------------ */

/* All calls of a service that others share an address with have its name. */
static bool is_own_name(const struct mt_cond *c, const char *host)
{
	return c->op == MT_COND_EXACT && c->value.s && strcasecmp(c->value.s, host) == 0;
}

/* True if the match leaves out calls of the host for certain: it requires one value of a key. */
static bool selects(const struct mt_rule_match *m, const char *host)
{
	for (uint32_t i = 0; i < m->n_conds; i++)
		if (m->conds[i].op == MT_COND_EXACT && !m->conds[i].invert &&
			!is_own_name(&m->conds[i], host))
			return true;
	return false;
}

static bool leaves_some(const struct mt_rule_list *l, const char *host)
{
	for (uint32_t i = 0; i < l->n_rules; i++) {
		if (!l->rules[i].n_matches)
			return false;
		for (uint32_t j = 0; j < l->rules[i].n_matches; j++)
			if (!selects(&l->rules[i].matches[j], host))
				return false;
	}
	return l->n_rules > 0;
}

static bool has_messages(const struct mt_host *h)
{
	for (const struct mt_unit *u = h ? h->units : NULL; u; u = u->next)
		if (!u->codec->opaque)
			return true;
	return false;
}

static void tell_unrouted(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_rule_list *l, const struct mt_text *host)
{
	const struct mt_host *h = mt_b_host(b, host->s, meta->ns);
	char path[96];

	if (!has_messages(h) || !leaves_some(l, h->se->hosts[0].s))
		return;
	snprintf(path, sizeof(path), "spec.%.64s", l->name);
	mt_b_warn(b, meta, l->origin.line, path, "end the list with a rule without a match",
		"calls of %.128s that no match takes have no route, and fail", host->s);
}

static bool is_for_services(const struct mt_virtual_service *vs)
{
	for (uint32_t i = 0; i < vs->n_gateways; i++)
		if (strcmp(vs->gateways[i].s, "mesh") == 0)
			return true;
	return !vs->n_gateways;
}

void mt_b_tell_unrouted(struct mt_build *b, const struct mt_virtual_service *vs)
{
	if (!is_for_services(vs))
		return;
	for (uint32_t i = 0; i < vs->n_lists; i++) {
		const struct mt_rule_list *l = &vs->lists[i];

		if (strcmp(l->name, "tcp") == 0 || strcmp(l->name, "tls") == 0)
			continue;
		for (uint32_t k = 0; k < vs->n_hosts; k++)
			tell_unrouted(b, &vs->meta, l, &vs->hosts[k]);
	}
}

void mt_b_tell_unrouted_of_router(struct mt_build *b, const struct mt_meta_router *mr)
{
	if (mr->n_hosts)
		tell_unrouted(b, &mr->meta, &mr->routes, &mr->hosts[0]);
}
