/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents that select nothing here, probably by a typing mistake. A policy for a workload of
 * another node is none, so that a finding needs evidence: endpoints in the policy's namespace and
 * none with its labels, or a name that is nearly the right one. Labels of what is not served
 * (Pods, WorkloadEntries, entries that are not exported to this node) count as well.
 */
#include "mt_conf_unmatched_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* At most so many objects are compared with everything that is here. */
#define LOOKS_MAX 1000
#define LABEL	  160

/* ---- labels ---------------------------------------------------------------------------------- */

struct look {
	const struct mt_labels *want;
	bool fits;	  /* something has the labels */
	bool peopled;	  /* an endpoint that this node serves is in the namespace */
	char near[LABEL]; /* "key: value" of what has all of them but one, which is near; else "" */
	uint32_t distance;
};

/* The label of `want` that `have` lacks, if it lacks just one. */
static const struct mt_kv *only_missing(const struct mt_labels *want, const struct mt_labels *have)
{
	const struct mt_kv *missing = NULL;

	for (uint32_t i = 0; i < want->n_kv; i++) {
		const char *value = mt_labels_get(have, want->kv[i].key);

		if (value && strcmp(value, want->kv[i].value) == 0)
			continue;
		if (missing)
			return NULL;
		missing = &want->kv[i];
	}
	return missing;
}

static void compare(struct look *l, const struct mt_labels *have)
{
	const struct mt_kv *missing = only_missing(l->want, have);
	char word[LABEL], other[LABEL];
	uint32_t allowed, d;

	l->fits |= mt_labels_match(l->want, have);
	if (!missing)
		return;
	snprintf(word, sizeof(word), "%.64s: %.64s", missing->key, missing->value);
	allowed = MT_MAX(1u, MT_MIN((uint32_t)strlen(missing->value) / 3, 3u));
	for (uint32_t i = 0; i < have->n_kv; i++) {
		snprintf(other, sizeof(other), "%.64s: %.64s", have->kv[i].key, have->kv[i].value);
		d = mt_edit_distance(word, other, allowed + 1);
		if (d > allowed || (*l->near && d >= l->distance))
			continue;
		l->distance = d;
		memcpy(l->near, other, sizeof(other));
	}
}

const char *mt_b_near_label(
	const struct mt_build *b, const struct mt_labels *want, char *buf, size_t size)
{
	struct look l = {.want = want};

	if (b->model->node)
		compare(&l, &b->model->node->meta.labels);
	snprintf(buf, size, "%s", l.near);
	return *l.near ? buf : NULL;
}

void mt_b_not_node(struct mt_build *b, const struct mt_meta *meta, uint32_t line, const char *path,
	const struct mt_labels *want, const char *words)
{
	char remedy[LABEL + 32], near[LABEL];

	if (mt_b_near_label(b, want, near, sizeof(near))) {
		snprintf(remedy, sizeof(remedy), "did you mean %s?", near);
		mt_b_unused(b, meta, line, path, remedy, "%s", words);
	} else {
		mt_b_inert(b, meta, line, path, "labels of the Node are its metadata.labels", "%s",
			words);
	}
}

/* ---- what is here ---------------------------------------------------------------------------- */

static bool is_in(const char *ns, const struct mt_meta *meta)
{
	return !ns || strcmp(ns, meta->ns) == 0;
}

static bool is_peopled(const struct mt_host *h, const char *ns)
{
	const struct mt_service_entry *se = h->se;

	if (!mt_host_is_served(h))
		return false;
	for (uint32_t k = 0; k < h->n_workloads; k++)
		if (is_in(ns, mt_instance_meta(h, h->workloads[k])) &&
			mt_instance_class(h, h->workloads[k]) != MT_INSTANCE_OUTSIDE)
			return true;
	/* Their names are not resolved yet. */
	return !h->n_workloads && se->n_endpoints && is_in(ns, &se->meta) &&
	       se->location.v != MT_LOCATION_MESH_EXTERNAL;
}

static bool has_endpoints(const struct mt_build *b, const char *ns)
{
	for (uint32_t i = 0; i < b->n_hosts; i++)
		if (is_peopled(&b->host_list[i], ns))
			return true;
	return false;
}

/* Compares with the labels of everything in the namespace, and with the selectors of services. */
static void look_at_labels(const struct mt_build *b, const char *ns, struct look *l)
{
	const struct mt_model *m = b->model;

	for (uint32_t i = 0; i < m->service_entries.n; i++) {
		const struct mt_service_entry *se = m->service_entries.v[i];

		if (!is_in(ns, &se->meta))
			continue;
		if (se->selector)
			compare(l, &se->selector->labels);
		for (uint32_t k = 0; k < se->n_endpoints; k++)
			compare(l, &se->endpoints[k].labels);
	}
	for (uint32_t i = 0; i < m->workload_entries.n; i++) {
		const struct mt_workload_entry *we = m->workload_entries.v[i];

		if (is_in(ns, &we->meta))
			compare(l, &we->w.labels);
	}
	for (uint32_t i = 0; i < m->pods.n; i++) {
		const struct mt_kube_pod *p = m->pods.v[i];

		if (is_in(ns, &p->meta))
			compare(l, &p->meta.labels);
	}
	for (uint32_t i = 0; i < m->services.n; i++) {
		const struct mt_kube_service *s = m->services.v[i];

		if (is_in(ns, &s->meta))
			compare(l, &s->selector);
	}
}

/* ---- namespaces ------------------------------------------------------------------------------ */

/*
 * True for two neighbours that are swapped, a letter too many or too few, and another letter inside
 * a name. "team-a" and "team-b", "shop" and "shop2" are different names.
 */
static bool is_mistyped(const char *word, const char *name)
{
	size_t a = strlen(word), c = strlen(name), at = 0;
	const char *longer = a > c ? word : name;

	if (mt_edit_distance(word, name, 2) != 1)
		return false;
	while (word[at] && word[at] == name[at])
		at++;
	if (a != c)
		return isalpha((unsigned char)longer[at]) &&
		       !(at > 0 && longer[at - 1] == '-' && !longer[at + 1]);
	if (word[at] == name[at + 1] && word[at + 1] == name[at])
		return true;
	return at > 0 && word[at + 1] && word[at + 1] != '-' && word[at - 1] != '-' &&
	       isalpha((unsigned char)word[at]) && isalpha((unsigned char)name[at]);
}

const char *mt_b_near_namespace(struct mt_build *b, const char *ns)
{
	const struct mt_model *m = b->model;
	const char *near = NULL;

	if (b->n_namespaces_looked++ >= LOOKS_MAX)
		return NULL;
	for (uint32_t i = 0; i < m->namespaces.n; i++)
		if (strcmp(((const struct mt_kube_namespace *)m->namespaces.v[i])->meta.name, ns) ==
			0)
			return NULL;
	for (uint32_t i = 0; i < m->workload_entries.n; i++)
		if (is_in(ns, &((const struct mt_workload_entry *)m->workload_entries.v[i])->meta))
			return NULL;
	for (uint32_t i = 0; i < m->service_entries.n; i++) {
		const struct mt_service_entry *se = m->service_entries.v[i];

		if (is_in(ns, &se->meta))
			return NULL;
		if (!near && is_mistyped(ns, se->meta.ns))
			near = se->meta.ns;
	}
	return near;
}

void mt_b_not_exported(struct mt_build *b, const struct mt_meta *meta, const struct mt_exports *to,
	uint32_t line, const char *path, const char *words)
{
	char remedy[96];

	for (uint32_t i = 0; i < to->n; i++) {
		const char *near = mt_b_near_namespace(b, to->v[i].s);

		if (!near)
			continue;
		snprintf(remedy, sizeof(remedy), "did you mean %.64s?", near);
		mt_b_unused(b, meta, to->v[i].line, "spec.exportTo", remedy, "%s", words);
		return;
	}
	mt_b_inert(b, meta, line, path, NULL, "%s", words);
}

/* ---- services -------------------------------------------------------------------------------- */

/*
 * A Service of Kubernetes may have no Pod for a while: only a near label is evidence there. A
 * ServiceEntry has just its documents.
 */
static void tell_empty(struct mt_build *b, const struct mt_host *h)
{
	const struct mt_service_entry *se = h->se;
	struct look l = {.want = &se->selector->labels};
	char remedy[LABEL + 32] = "write a WorkloadEntry with them, or correct them";

	for (uint32_t i = 0; i < b->model->workload_entries.n; i++) {
		const struct mt_workload_entry *we = b->model->workload_entries.v[i];

		if (is_in(se->meta.ns, &we->meta))
			compare(&l, &we->w.labels);
	}
	for (uint32_t i = 0; i < b->model->pods.n; i++) {
		const struct mt_kube_pod *p = b->model->pods.v[i];

		if (is_in(se->meta.ns, &p->meta))
			compare(&l, &p->meta.labels);
	}
	if (l.fits || (se->kubernetes && !*l.near))
		return;
	if (*l.near)
		snprintf(remedy, sizeof(remedy), "did you mean %s?", l.near);
	mt_b_warn(b, &se->meta, se->selector->origin.line,
		se->kubernetes ? "spec.selector" : "spec.workloadSelector", remedy,
		"nothing in its namespace has these labels: it has no endpoints, so that every "
		"call fails");
}

/* Services of Kubernetes may have no endpoints for a while. */
static void tell_unwritten(struct mt_build *b, const struct mt_host *h)
{
	const struct mt_service_entry *se = h->se;

	if (!se->kubernetes && se->resolution.v == MT_RESOLUTION_STATIC)
		mt_b_warn(b, &se->meta,
			se->selector ? se->selector->origin.line : se->meta.origin.line,
			se->selector ? "spec.workloadSelector" : "spec.endpoints",
			"write endpoints, or a workloadSelector with labels",
			"it has no endpoints, so that every call fails");
}

/* Reports a service of which no endpoint takes calls, at the first of them. */
static void tell_unfit(struct mt_build *b, const struct mt_host *h)
{
	const struct mt_workload *w = h->n_workloads ? h->workloads[0] : NULL;

	for (uint32_t i = 0; i < h->n_workloads; i++)
		if (h->workloads[i]->fitness != MT_UNFIT)
			return;
	if (w)
		mt_b_warn(b, mt_instance_meta(h, w), w->fitness_line, "status.conditions",
			"see its health check",
			"no endpoint of %.128s is healthy: every call fails", h->se->hosts[0].s);
}

void mt_b_tell_no_endpoints(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];
		const struct mt_selector *s = h->se->selector;

		if (!h->se->n_ports && !h->se->kubernetes && !h->n_joined)
			mt_b_warn(b, &h->se->meta, h->se->meta.origin.line, "spec.ports",
				"write its ports", "it has no ports, and is not served");
		if (h->over)
			continue;
		if (mt_host_is_served(h))
			tell_unfit(b, h);
		if (!mt_host_is_served(h) || h->n_workloads || h->n_joined || h->se->n_endpoints)
			continue;
		if (!s || !s->labels.n_kv)
			tell_unwritten(b, h);
		else if (b->n_empty_looked++ < LOOKS_MAX)
			tell_empty(b, h);
	}
}

/* ---- policies -------------------------------------------------------------------------------- */

/* A service that is not here; targets of other kinds are gateways, maybe other nodes'. */
static bool misses(struct mt_build *b, const struct mt_policy *p, const struct mt_policy_target *t,
	struct mt_unmatched *out)
{
	struct mt_suggest near = {.word = t->name.s ? t->name.s : ""};
	const char *kind = NULL;
	bool peopled = false;

	if (!t->kind.s ||
		(strcmp(t->kind.s, "Service") != 0 && strcmp(t->kind.s, "ServiceEntry") != 0))
		return false;
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_meta *meta = &b->host_list[i].se->meta;

		if (!is_in(p->meta->ns, meta) || !mt_host_is_served(&b->host_list[i]))
			continue;
		peopled = true;
		if (strcmp(meta->name, near.word) == 0)
			kind = meta->kind;
		mt_suggest_offer(&near, meta->name);
	}
	if (!peopled)
		return false;
	out->path = p->scope->n_targets ? "spec.targetRefs" : "spec.targetRef";
	out->line = t->origin.line;
	out->words = "no service of its namespace is the one that it names";
	if (kind)
		snprintf(out->remedy, sizeof(out->remedy), "write kind: %s, group: %s", kind,
			strcmp(kind, "Service") == 0 ? "\"\"" : "networking.istio.io");
	else if (near.best)
		snprintf(out->remedy, sizeof(out->remedy), "did you mean %.64s?", near.best);
	return true;
}

static bool misses_all(struct mt_build *b, const struct mt_policy *p, struct mt_unmatched *out)
{
	if (p->scope->target && misses(b, p, p->scope->target, out))
		return true;
	for (uint32_t i = 0; i < p->scope->n_targets; i++)
		if (misses(b, p, &p->scope->targets[i], out))
			return true;
	return false;
}

/*
 * A selector in the root namespace is often for a gateway, which is another node: only a near label
 * is evidence there.
 */
static bool misses_labels(struct mt_build *b, const struct mt_policy *p, struct mt_unmatched *out)
{
	const char *ns = strcmp(p->meta->ns, mt_b_root_namespace(b)) == 0 ? NULL : p->meta->ns;
	struct look l = {.want = mt_policy_selector(p)};

	look_at_labels(b, ns, &l);
	if (l.fits || !(ns || *l.near || has_endpoints(b, p->meta->ns)))
		return false;
	out->path = "spec.selector";
	out->line = p->scope->selector->origin.line;
	out->words = ns ? "no endpoint of its namespace has these labels"
			: "no endpoint has these labels";
	if (*l.near)
		snprintf(out->remedy, sizeof(out->remedy), "did you mean %s?", l.near);
	return true;
}

static bool is_elsewhere(struct mt_build *b, const struct mt_policy *p, struct mt_unmatched *out)
{
	const char *near = p->meta->ns_unwritten ? NULL : mt_b_near_namespace(b, p->meta->ns);

	if (!near && !(p->meta->ns_unwritten && has_endpoints(b, NULL)))
		return false;
	out->path = "metadata.namespace";
	out->words = near ? "nothing here is in this namespace"
			  : "without a namespace it is for \"default\", which has no endpoint here";
	if (near)
		snprintf(out->remedy, sizeof(out->remedy), "did you mean %.64s?", near);
	else
		snprintf(out->remedy, sizeof(out->remedy),
			"write the namespace of the endpoints that it protects");
	return true;
}

bool mt_policy_is_unmatched(struct mt_build *b, const struct mt_policy *p, struct mt_unmatched *out)
{
	*out = (struct mt_unmatched){.line = p->meta->origin.line};
	if (!mt_policy_is_real(p) || p->gateway ||
		(p->kind == MT_POLICY_OF_CLOSING && p->of.closing->harmless) ||
		b->n_selectors_looked++ >= LOOKS_MAX)
		return false;
	if (mt_policy_has_targets(p))
		return misses_all(b, p, out);
	if (!has_endpoints(b, p->meta->ns) && is_elsewhere(b, p, out))
		return true;
	return mt_policy_selector(p) &&
	       (has_endpoints(b, p->meta->ns) ||
		       strcmp(p->meta->ns, mt_b_root_namespace(b)) == 0) &&
	       misses_labels(b, p, out);
}
