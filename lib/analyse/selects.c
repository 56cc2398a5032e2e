/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds policies that select nothing, and why: a typing error in labels, another namespace,
 * instances outside of the mesh.
 */
#include "mt_analyse_priv.h"

#include <string.h>

/* A policy that `show objects` lists as no-effect. */
struct idle {
	struct mt_analysis *a;
	const struct mt_object_row *row;
	const struct mt_meta *meta;
	const struct mt_policy_scope *scope;
	const struct mt_labels *want; /* NULL: all workloads */
};

/* ---- workloads ------------------------------------------------------------------------------- */

static bool fits(const struct idle *p, const struct mt_labels *have)
{
	return !p->want || mt_labels_match(p->want, have);
}

/* `row` is NULL unless it is an instance of a service. */
typedef void workload_fn(void *arg, const struct mt_meta *of, const struct mt_labels *labels,
	int class, const struct mt_audit_row *row);

#define NOT_SERVED (-1)

/* Calls `fn` for each instance of a service, and for all that may become one. */
static void each_workload(const struct mt_analysis *a, workload_fn *fn, void *arg)
{
	const struct mt_model *m = a->m;

	for (uint32_t i = 0; i < a->in->audit->n_rows; i++)
		fn(arg, a->in->audit->rows[i].of, &a->in->audit->rows[i].labels,
			a->in->audit->rows[i].class, &a->in->audit->rows[i]);
	for (uint32_t i = 0; i < m->service_entries.n; i++) {
		const struct mt_service_entry *se = m->service_entries.v[i];

		/*
		 * Also endpoints that are not visible to the node, or whose host belongs to another
		 * ServiceEntry.
		 */
		for (uint32_t k = 0; k < se->n_endpoints; k++)
			fn(arg, &se->meta, &se->endpoints[k].labels, NOT_SERVED, NULL);
		if (se->selector && se->selector->labels.n_kv)
			fn(arg, &se->meta, &se->selector->labels, NOT_SERVED, NULL);
	}
	for (uint32_t i = 0; i < m->workload_entries.n; i++) {
		const struct mt_workload_entry *w = m->workload_entries.v[i];

		fn(arg, &w->meta, &w->w.labels, NOT_SERVED, NULL);
	}
	/* Also selectors of Services: workloads with these labels may be elsewhere. */
	for (uint32_t i = 0; i < m->services.n; i++) {
		const struct mt_kube_service *s = m->services.v[i];

		if (s->selector.n_kv)
			fn(arg, &s->meta, &s->selector, NOT_SERVED, NULL);
	}
	for (uint32_t i = 0; i < m->pods.n; i++) {
		const struct mt_kube_pod *p = m->pods.v[i];

		fn(arg, &p->meta, &p->meta.labels, NOT_SERVED, NULL);
	}
}

/* ---- similar selections ---------------------------------------------------------------------- */

struct near {
	const struct idle *p;
	uint32_t selected, outside, unserved; /* in the policy's namespace */
	uint32_t there;			      /* workloads of the policy's namespace */
	/* a namespace in which the policy would select something */
	const char *elsewhere;
	bool several; /* there are several such namespaces */
	/* a label of the selector, and a similar one that exists */
	const struct mt_kv *wrong, *meant;
	const struct mt_audit_row
		*left; /* an instance that was meant, to which no ALLOW policy applies */
};

static void look_at_label(struct near *n, const struct mt_kv *want, const struct mt_labels *have)
{
	const char *value = mt_labels_get(have, want->key);

	if (value && !mt_an_is_slip(value, want->value))
		return;
	for (uint32_t i = 0; i < have->n_kv && !n->meant; i++) {
		const struct mt_kv *kv = &have->kv[i];
		bool same_key = strcmp(kv->key, want->key) == 0,
		     same_value = strcmp(kv->value, want->value) == 0;

		if ((same_key && mt_an_is_slip(kv->value, want->value)) ||
			(same_value && mt_an_is_slip(kv->key, want->key))) {
			n->wrong = want;
			n->meant = kv;
		}
	}
}

static bool has(const struct mt_labels *l, const struct mt_kv *kv)
{
	const char *value = mt_labels_get(l, kv->key);

	return value && strcmp(value, kv->value) == 0;
}

static void note_left(struct near *n, const struct mt_audit_row *row)
{
	if (row && !n->left && row->class != MT_INSTANCE_OUTSIDE && !mt_an_has_allow(row->rules))
		n->left = row;
}

static void look_at(void *arg, const struct mt_meta *of, const struct mt_labels *labels, int class,
	const struct mt_audit_row *row)
{
	struct near *n = arg;
	const struct idle *p = n->p;
	const char *root = p->a->in->audit->root_ns;
	bool own = strcmp(of->ns, p->meta->ns) == 0 || strcmp(p->meta->ns, root) == 0;

	if (!own) {
		if (!p->want || !fits(p, labels))
			return;
		n->several |= n->elsewhere && strcmp(n->elsewhere, of->ns) != 0;
		n->elsewhere = n->elsewhere ? n->elsewhere : of->ns;
		note_left(n, row);
		return;
	}
	n->there++;
	if (fits(p, labels)) {
		n->selected += class != NOT_SERVED;
		n->unserved += class == NOT_SERVED;
		n->outside += class == MT_INSTANCE_OUTSIDE;
		return;
	}
	for (uint32_t i = 0; p->want && i < p->want->n_kv; i++)
		if (!n->meant)
			look_at_label(n, &p->want->kv[i], labels);
	if (n->meant && !n->left && has(labels, n->meant))
		note_left(n, row);
}

/* True for a policy on gateways: of other nodes, or of this one while it has no such Gateway. */
static bool is_of_gateways(const struct idle *p)
{
	const struct mt_node *node = p->a->m->node;

	if (node && p->want && mt_labels_match(p->want, &node->meta.labels))
		return true;
	for (uint32_t i = 0; p->want && i < p->a->m->gateways.n; i++) {
		const struct mt_gateway *g = p->a->m->gateways.v[i];

		if (g->selector.n_kv && mt_labels_match(p->want, &g->selector))
			return true;
	}
	return false;
}

/* True for a policy of the root namespace with a selector, which may be for workloads elsewhere. */
static bool is_of_root(const struct idle *p)
{
	return strcmp(p->meta->ns, p->a->in->audit->root_ns) == 0 && p->want;
}

/* ---- findings -------------------------------------------------------------------------------- */

static const struct mt_policy_target *first_target(const struct mt_policy_scope *s)
{
	const struct mt_policy_target *t = s->target ? s->target : s->n_targets ? s->targets : NULL;

	return t && t->name.s && t->kind.s ? t : NULL;
}

/* True if the target is among the documents, though not served here. */
static bool is_read(const struct idle *p, const struct mt_policy_target *target)
{
	const struct mt_object_table *t = p->a->in->table;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct mt_object *o = t->rows[i].o;

		if (!o->outside && strcmp(o->kind, target->kind.s) == 0 &&
			strcmp(o->name, target->name.s) == 0 && strcmp(o->ns, p->meta->ns) == 0)
			return true;
	}
	return false;
}

/* The kind of another object with the target's name; NULL: none. */
static const char *other_kind(const struct idle *p, const struct mt_policy_target *target)
{
	static const char *const kinds[] = {"Service", "ServiceEntry", "Gateway"};
	const struct mt_object_table *t = p->a->in->table;

	for (uint32_t i = 0; i < t->n; i++)
		for (size_t k = 0; k < MT_ARRAY_LEN(kinds); k++)
			if (!t->rows[i].o->outside && strcmp(t->rows[i].o->kind, kinds[k]) == 0 &&
				strcmp(t->rows[i].o->name, target->name.s) == 0 &&
				strcmp(t->rows[i].o->ns, p->meta->ns) == 0)
				return kinds[k];
	return NULL;
}

static void tell_target(const struct idle *p, const struct mt_policy_target *t)
{
	const char *other = other_kind(p, t);

	/* GatewayClasses belong to the whole cluster, and are seldom among the documents. */
	if (is_read(p, t) || strcmp(t->kind.s, "GatewayClass") == 0)
		mt_an_found(p->a, MT_FINDING_ID_selects_idle, p->meta, 0,
			"%s %s is not served here", t->kind.s, t->name.s);
	else
		mt_an_found(p->a, MT_FINDING_ID_wrong_target, p->meta, t->name.line,
			"there is no %s %s in namespace %s%s%s%s", t->kind.s, t->name.s,
			p->meta->ns, other ? "; there is a " : "", other ? other : "",
			other ? " of that name" : "");
}

/* "app=web, tier=front" */
static const char *labels_text(struct mt_analysis *a, const struct mt_labels *l)
{
	const char *text = "";

	for (uint32_t i = 0; text && i < l->n_kv; i++)
		text = mt_region_printf(
			&a->region, "%s%s%s=%s", text, i ? ", " : "", l->kv[i].key, l->kv[i].value);
	return text ? text : "";
}

/* Text on who may call while the policy has no effect, which operators want to know first. */
static const char *so(const struct idle *p, const struct near *n)
{
	const char *words;

	if (!n->left || strcmp(p->row->o->kind, "AuthorizationPolicy") != 0)
		return "";
	words = mt_region_printf(&p->a->region, "; so %s may call %s, as far as this policy goes",
		n->left->mode == MT_MTLS_STRICT ? "any member of the mesh" : "everybody",
		n->left->host);
	return words ? words : "";
}

static void tell_labels(const struct idle *p, const struct near *n)
{
	uint32_t line = p->scope->selector->origin.line;

	if (n->meant)
		mt_an_found(p->a, MT_FINDING_ID_selects_nothing, p->meta, line,
			"nothing of namespace %s has %s=%s; %s=%s is there%s", p->meta->ns,
			n->wrong->key, n->wrong->value, n->meant->key, n->meant->value, so(p, n));
	else if (n->elsewhere)
		mt_an_found(p->a, MT_FINDING_ID_wrong_namespace, p->meta, line,
			"nothing of namespace %s has %s; of namespace %s%s something has%s",
			p->meta->ns, labels_text(p->a, p->want), n->elsewhere,
			n->several ? " and others" : "", so(p, n));
	else
		mt_an_found(p->a, MT_FINDING_ID_selects_nothing, p->meta, line,
			"nothing of namespace %s has %s", p->meta->ns, labels_text(p->a, p->want));
}

static void tell_namespace(const struct idle *p)
{
	const char *meant = mt_an_near_of(p->a, &p->a->served, p->meta->ns);

	/* A policy without a selector is for its own namespace, except in the root namespace. */
	if (!meant && !p->want)
		mt_an_found(p->a, MT_FINDING_ID_selects_nothing, p->meta, 0,
			"nothing that is served is of namespace %s; what is for the whole mesh is "
			"written in the root namespace, %s",
			p->meta->ns, p->a->in->audit->root_ns);
	else
		mt_an_found(p->a, MT_FINDING_ID_selects_nothing, p->meta, 0,
			"nothing that is served is of namespace %s%s%s%s", p->meta->ns,
			meant ? "; " : "", meant ? meant : "", meant ? " is there" : "");
}

/*
 * True for a PeerAuthentication of a namespace or the mesh. If all its instances have their own, it
 * is for future ones.
 */
static bool is_passed_over(const struct idle *p)
{
	return strcmp(p->row->o->kind, "PeerAuthentication") == 0 && !p->want;
}

/* True if the policy is for Dubbo, and no instance of its namespace uses Dubbo. */
static bool is_of_another_protocol(const struct idle *p)
{
	const struct mt_audit *all = p->a->in->audit;
	bool there = false;

	if (strcmp(p->row->o->kind, "DubboAuthorizationPolicy") != 0 || p->a->mesh)
		return false;
	for (uint32_t i = 0; i < all->n_rows; i++) {
		if (strcmp(all->rows[i].of->ns, p->meta->ns) != 0)
			continue;
		there = true;
		if (all->rows[i].codec->dubbo_policies)
			return false;
	}
	return there;
}

/*
 * The node's namespace if the node is the gateway that the labels select, but the policy is in
 * another namespace; otherwise NULL.
 */
static const char *gateways_ns(const struct idle *p)
{
	const struct mt_node *node = p->a->m->node;
	const char *ns = p->a->m->mesh.ns;

	if (!node || !ns || !p->want || !node->meta.labels.n_kv ||
		!mt_labels_match(p->want, &node->meta.labels) || strcmp(ns, p->meta->ns) == 0 ||
		strcmp(p->meta->ns, p->a->in->audit->root_ns) == 0)
		return NULL;
	return ns;
}

/* Steps to compare each label of all possible workloads with those wanted. */
static uint64_t cost(const struct idle *p)
{
	const struct mt_model *m = p->a->m;
	uint64_t all = (uint64_t)p->a->in->table->n + p->a->in->audit->n_rows + m->pods.n +
		       m->gateways.n + m->workload_entries.n;

	return all * (1 + (p->want ? p->want->n_kv : 0) * MT_AN_WORD);
}

static void tell(const struct idle *p)
{
	struct near n = {.p = p};
	const struct mt_policy_target *target = first_target(p->scope);

	if (!mt_an_may(p->a, cost(p)))
		return;
	if (target) {
		tell_target(p, target);
		return;
	}
	if (is_of_another_protocol(p)) {
		mt_an_found(p->a, MT_FINDING_ID_wrong_protocol, p->meta, 0,
			"it is about Dubbo, and namespace %s has no port of Dubbo", p->meta->ns);
		return;
	}
	each_workload(p->a, look_at, &n);
	if (!n.selected && gateways_ns(p)) {
		mt_an_found(p->a, MT_FINDING_ID_wrong_namespace, p->meta,
			p->scope->selector->origin.line, "the gateway with %s is in namespace %s",
			labels_text(p->a, p->want), gateways_ns(p));
		return;
	}
	if (n.selected && n.outside == n.selected)
		mt_an_found(p->a, MT_FINDING_ID_outside_only, p->meta, 0,
			"all that it selects is outside of the mesh");
	else if (n.selected && is_passed_over(p))
		return;
	else if (n.selected)
		mt_an_found(p->a, MT_FINDING_ID_selects_nothing, p->meta, 0, "%s",
			p->row->why ? p->row->why : "it is about nothing that is here");
	else if (n.unserved || is_of_gateways(p) ||
		 (!n.meant && mt_an_has_templates(p->a, p->meta->ns)) || !p->a->in->audit->n_rows ||
		 (is_of_root(p) && !n.meant))
		mt_an_found(p->a, MT_FINDING_ID_selects_idle, p->meta, 0,
			"no service here has the endpoints that it selects");
	else if (p->want && (n.there || n.elsewhere))
		tell_labels(p, &n);
	else
		tell_namespace(p);
}

static const struct mt_policy_scope *scope_in(
	const struct mt_objs *l, size_t at, uint64_t serial, const struct mt_meta **meta)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct mt_meta *m = l->v[i];

		if (m->serial != serial)
			continue;
		*meta = m;
		return (const struct mt_policy_scope *)((const char *)l->v[i] + at);
	}
	return NULL;
}

static void look_at_row(struct mt_analysis *a, const struct mt_object_row *row)
{
	const struct mt_model *m = a->m;
	uint64_t serial = row->used->serial;
	struct idle p = {.a = a, .row = row};

	p.scope = scope_in(&m->authorization_policies,
		offsetof(struct mt_authorization_policy, scope), serial, &p.meta);
	if (!p.scope)
		p.scope = scope_in(&m->peer_authentications,
			offsetof(struct mt_peer_authentication, scope), serial, &p.meta);
	if (!p.scope)
		p.scope = scope_in(&m->request_authentications,
			offsetof(struct mt_request_authentication, scope), serial, &p.meta);
	if (!p.scope)
		return;
	if (p.scope->selector && p.scope->selector->labels.n_kv)
		p.want = &p.scope->selector->labels;
	tell(&p);
}

/* True for kinds whose shadowed objects are a mistake; for other kinds, shadowing is usual. */
static bool is_rule(const char *kind)
{
	static const char *const words[] = {
		"PeerAuthentication", "AuthorizationPolicy", "RequestAuthentication"};

	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (strcmp(kind, words[i]) == 0)
			return true;
	return false;
}

static struct mt_meta meta_of(const struct mt_object_row *row)
{
	return (struct mt_meta){.origin = row->o->origin,
		.kind = row->o->kind,
		.ns = row->o->ns,
		.name = row->o->name};
}

/* "; that one says MODE" for the PeerAuthentication that is used instead. */
static const char *instead(struct mt_analysis *a, const struct mt_object_row *row)
{
	static const char *const words[] = {"UNSET", "DISABLE", "PERMISSIVE", "STRICT"};

	for (uint32_t i = 0; row->why && i < a->m->peer_authentications.n; i++) {
		const struct mt_peer_authentication *p = a->m->peer_authentications.v[i];
		const char *name = mt_region_printf(&a->region, "%s/%s ", p->meta.ns, p->meta.name);
		const char *said;

		if (!name || strcmp(row->o->kind, "PeerAuthentication") != 0 ||
			strncmp(row->why, name, strlen(name)) != 0)
			continue;
		said = mt_region_printf(&a->region, ", which has %s%s", words[p->mtls.mode.v],
			p->mtls.mode.v == MT_MTLS_STRICT ? "" : ", so plaintext is accepted");
		return said ? said : "";
	}
	return "";
}

/*
 * True if only the node's identity is missing. Documents may be checked where the node does not
 * run, so that is no mistake in the policy.
 */
static bool is_for_want_of_identity(const struct mt_analysis *a, const struct mt_object_row *row)
{
	return !a->in->identity && strcmp(row->o->kind, "PeerAuthentication") == 0;
}

void mt_an_selects(struct mt_analysis *a)
{
	const struct mt_object_table *t = a->in->table;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct mt_object_row *row = &t->rows[i];

		if (row->status == MT_OBJECT_SHADOWED && is_rule(row->o->kind)) {
			const struct mt_meta m = meta_of(row);
			mt_an_found(a, MT_FINDING_ID_shadowed_object, &m, 0, "%s%s",
				row->why ? row->why : "another one counts", instead(a, row));
		} else if (row->status == MT_OBJECT_FAIL_CLOSED && row->o->restricts) {
			const struct mt_meta m = meta_of(row);

			mt_an_found(a,
				is_for_want_of_identity(a, row) ? MT_FINDING_ID_no_identity
								: MT_FINDING_ID_closes,
				&m, 0, "%s", row->why ? row->why : "it cannot be evaluated");
		} else if (row->status == MT_OBJECT_NO_EFFECT && row->used && !row->unenforced) {
			look_at_row(a, row);
		}
	}
}
