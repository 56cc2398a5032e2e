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

/* Calls that a list of rules leaves without a route for certain, by one look at its matches. */
struct unrouted {
	const struct mt_rule_list *list;
	bool found;		/* the others are set */
	bool none;		/* some rule may take every call */
	struct mt_strmap named; /* by lower-case host: all of its calls are taken by its name */
};

/*
 * The only value that calls of a match must have, be it of several keys. NULL: it requires none, or
 * (*selects) values that differ.
 */
static const char *only_value(const struct mt_rule_match *m, bool *selects)
{
	const char *value = NULL;

	*selects = false;
	for (uint32_t i = 0; i < m->n_conds; i++) {
		const struct mt_cond *c = &m->conds[i];

		if (c->op != MT_COND_EXACT || c->invert)
			continue;
		if (!c->value.s || (*selects && strcasecmp(c->value.s, value) != 0)) {
			*selects = true;
			return NULL;
		}
		value = c->value.s;
		*selects = true;
	}
	return value;
}

static void find_unrouted(struct mt_build *b, struct unrouted *x)
{
	const struct mt_rule_list *l = x->list;

	x->found = true;
	x->none = !l->n_rules;
	for (uint32_t i = 0; i < l->n_rules && !x->none; i++) {
		x->none = !l->rules[i].n_matches;
		for (uint32_t j = 0; j < l->rules[i].n_matches && !x->none; j++) {
			bool selects;
			const char *value = only_value(&l->rules[i].matches[j], &selects);
			char *host = value ? mt_b_lower(b, value) : NULL;

			x->none = !selects;
			if (host && mt_strmap_put(&x->named, host, b, NULL))
				b->tmp.failed = true;
		}
	}
}

/* A match for a service's own name takes all of its calls, where others share its address. */
static bool leaves_some(struct mt_build *b, struct unrouted *x, const char *host)
{
	if (!x->found)
		find_unrouted(b, x);
	return !x->none && !mt_strmap_get(&x->named, host);
}

static bool has_messages(const struct mt_host *h)
{
	for (const struct mt_unit *u = h ? h->units : NULL; u; u = u->next)
		if (!u->codec->opaque)
			return true;
	return false;
}

static void tell_unrouted(struct mt_build *b, const struct mt_meta *meta, struct unrouted *x,
	const struct mt_text *host)
{
	const struct mt_host *h = mt_b_host(b, host->s, meta->ns);
	char path[96];

	if (!has_messages(h) || !leaves_some(b, x, h->se->hosts[0].s))
		return;
	snprintf(path, sizeof(path), "spec.%.64s", x->list->name);
	mt_b_warn(b, meta, x->list->origin.line, path, "end the list with a rule without a match",
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
		struct unrouted x = {.list = &vs->lists[i]};

		if (strcmp(x.list->name, "tcp") == 0 || strcmp(x.list->name, "tls") == 0)
			continue;
		for (uint32_t k = 0; k < vs->n_hosts; k++)
			tell_unrouted(b, &vs->meta, &x, &vs->hosts[k]);
		mt_strmap_fini(&x.named);
	}
}

void mt_b_tell_unrouted_of_router(struct mt_build *b, const struct mt_meta_router *mr)
{
	struct unrouted x = {.list = &mr->routes};

	if (mr->n_hosts)
		tell_unrouted(b, &mr->meta, &x, &mr->hosts[0]);
	mt_strmap_fini(&x.named);
}
