/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delegation between VirtualServices. A VirtualService whose rules delegate (the root) is compiled
 * as a copy that contains the delegates' rules in place of those rules. Each joined rule has to
 * match what both the root's rule and the delegate's rule match. Delegates are one level deep. A
 * rule is left out if its delegate does not exist or is not exported to the root's namespace.
 */
#include "mt_objects_priv.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct joining {
	struct mt_object_table *t;
	struct mt_model *m;
	struct mt_strmap delegates; /* struct mt_virtual_service, by "NAMESPACE/NAME" */
	struct mt_virtual_service *copy;
	struct mt_rule_list *list;
	uint32_t at; /* index of the delegating rule in the root */
	uint64_t used, left_of_one;
	struct mt_strmap spaces; /* struct space, by namespace of the roots */
	struct space *space;	 /* that of the current root */
};

/* A namespace, and what its roots have used. */
struct space {
	uint64_t used;
};

/*
 * Most rules, matches and conditions that joining may create, for one VirtualService and for all.
 * Without a limit two documents of 1,000 rules each would join to a million. This is a fraction of
 * what a model may hold. The last quarter is for namespaces that have less than a quarter, so that
 * one namespace cannot use up what others need.
 */
#define JOINED_OF_ONE (1u << 18)
#define JOINED	      (1u << 19)
#define JOINED_SHARE  (JOINED / 4)

static void tell(struct joining *x, const struct mt_meta *meta, uint32_t line, uint32_t at,
	const char *remedy, const char *words)
{
	char path[48];

	snprintf(path, sizeof(path), "spec.http[%u].delegate", at);
	mt_diag_object(&x->t->translated, MT_DIAG_WARNING, meta, line, path, remedy, "%s",
		words ? words : "");
}

/* ---- matches --------------------------------------------------------------------------------- */

/*
 * True if the delegate's condition on a key is not narrower than the root's, by the rules of
 * istiod. Regular expressions and presence always conflict.
 */
static bool conflicts(const struct mt_cond *root, const struct mt_cond *leaf)
{
	const char *r = root->value.s ? root->value.s : "", *l = leaf->value.s ? leaf->value.s : "";

	if (root->op == MT_COND_REGEX || root->op == MT_COND_PRESENT || leaf->op == MT_COND_REGEX ||
		leaf->op == MT_COND_PRESENT)
		return true;
	if (root->op == MT_COND_EXACT)
		return leaf->op != MT_COND_EXACT || strcmp(r, l) != 0;
	return strncmp(l, r, strlen(r)) != 0;
}

static bool is_same_key(const struct mt_cond *a, const struct mt_cond *b)
{
	return a->invert == b->invert && strcasecmp(a->key.s, b->key.s) == 0;
}

static bool has_gateway(const struct mt_rule_match *m, const char *name)
{
	for (uint32_t i = 0; i < m->n_gateways; i++)
		if (strcmp(m->gateways[i].s, name) == 0)
			return true;
	return m->n_gateways == 0;
}

static bool is_below(const struct mt_rule_match *root, const struct mt_rule_match *leaf)
{
	if (root->port.set && leaf->port.set && root->port.v != leaf->port.v)
		return false;
	for (uint32_t i = 0; i < leaf->n_gateways; i++)
		if (!has_gateway(root, leaf->gateways[i].s))
			return false;
	for (uint32_t i = 0; i < leaf->n_conds; i++)
		for (uint32_t k = 0; k < root->n_conds; k++)
			if (is_same_key(&root->conds[k], &leaf->conds[i]) &&
				conflicts(&root->conds[k], &leaf->conds[i]))
				return false;
	return true;
}

/* Joins two matches: everything in the leaf, and from the root what the leaf leaves open. */
static void join_match(struct joining *x, struct mt_rule *to, const struct mt_rule_match *root,
	const struct mt_rule_match *leaf)
{
	struct mt_rule_match *m =
		mt_region_push(&x->m->region, (void **)&to->matches, &to->n_matches, sizeof(*m));

	if (!m)
		return;
	*m = *leaf;
	if (!m->n_gateways) {
		m->gateways = root->gateways;
		m->n_gateways = root->n_gateways;
	}
	if (!m->port.set)
		m->port = root->port;
	if (!m->unsupported.s)
		m->unsupported = root->unsupported;
	m->conds = mt_region_alloc(
		&x->m->region, sizeof(*m->conds) * (root->n_conds + leaf->n_conds + 1));
	m->n_conds = 0;
	if (!m->conds)
		return;
	for (uint32_t i = 0; i < root->n_conds; i++) {
		bool said = false;

		for (uint32_t k = 0; k < leaf->n_conds && !said; k++)
			said = is_same_key(&root->conds[i], &leaf->conds[k]);
		if (!said)
			m->conds[m->n_conds++] = root->conds[i];
	}
	for (uint32_t i = 0; i < leaf->n_conds; i++)
		m->conds[m->n_conds++] = leaf->conds[i];
}

/*
 * Joins each match of the delegate with the root's that contain it. False if none of the root's
 * contains one of them.
 */
static bool join_matches(struct joining *x, struct mt_rule *to, const struct mt_rule *root,
	const struct mt_rule *leaf)
{
	to->matches = NULL;
	to->n_matches = 0;
	if (!root->n_matches || !leaf->n_matches) {
		const struct mt_rule *from = root->n_matches ? root : leaf;

		to->matches = from->matches;
		to->n_matches = from->n_matches;
		return true;
	}
	for (uint32_t i = 0; i < leaf->n_matches; i++) {
		uint32_t before = to->n_matches;

		for (uint32_t k = 0; k < root->n_matches; k++)
			if (is_below(&root->matches[k], &leaf->matches[i]))
				join_match(x, to, &root->matches[k], &leaf->matches[i]);
		if (to->n_matches == before)
			return false;
	}
	return true;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static struct mt_rule *push(struct joining *x)
{
	return mt_region_push(
		&x->m->region, (void **)&x->list->rules, &x->list->n_rules, sizeof(struct mt_rule));
}

/* Adds a rule of the delegate; fields that it does not set are inherited from the root's rule. */
static void join_rule(struct joining *x, const struct mt_rule *root,
	const struct mt_virtual_service *delegate, const struct mt_rule *leaf, uint32_t at)
{
	struct mt_rule joined = *leaf, *slot;

	if (!join_matches(x, &joined, root, leaf)) {
		tell(x, &x->copy->meta, root->delegate->origin.line, x->at, NULL,
			mt_region_printf(&x->m->region,
				"rule %u of VirtualService %s/%s matches what this one does not: "
				"it is "
				"left out",
				at, delegate->meta.ns, delegate->meta.name));
		return;
	}
	joined.by = &delegate->meta;
	joined.at = at;
	if (root->name.s && leaf->name.s)
		joined.name.s =
			mt_region_printf(&x->m->region, "%s-%s", root->name.s, leaf->name.s);
	else if (root->name.s)
		joined.name = root->name;
	if (!leaf->timeout.set)
		joined.timeout = root->timeout;
	if (!leaf->retries)
		joined.retries = root->retries;
	if (!leaf->mirror && !leaf->n_mirrors) {
		joined.mirror = root->mirror;
		joined.mirror_percent = root->mirror_percent;
		joined.mirrors = root->mirrors;
		joined.n_mirrors = root->n_mirrors;
	}
	if (!leaf->n_req_mut && !leaf->n_rsp_mut) {
		joined.req_mut = root->req_mut;
		joined.n_req_mut = root->n_req_mut;
		joined.rsp_mut = root->rsp_mut;
		joined.n_rsp_mut = root->n_rsp_mut;
	}
	slot = push(x);
	if (slot)
		*slot = joined;
}

static const struct mt_rule_list *http_of(const struct mt_virtual_service *vs)
{
	for (uint32_t i = 0; i < vs->n_lists; i++)
		if (strcmp(vs->lists[i].name, "http") == 0)
			return &vs->lists[i];
	return NULL;
}

static bool is_visible(
	const struct mt_model *m, const struct mt_virtual_service *vs, const char *root_ns)
{
	const struct mt_mesh_config *c = m->mesh.config;
	struct mt_exports unsaid = {0};

	if (c)
		unsaid = (struct mt_exports){c->route_export, c->n_route_export};
	return mt_is_exported(&vs->export_to, &unsaid, vs->meta.ns, root_ns);
}

static const struct mt_virtual_service *find(struct joining *x, const struct mt_rule *root)
{
	const struct mt_rule_delegate *d = root->delegate;
	const char *ns = d->ns.s ? d->ns.s : x->copy->meta.ns;
	char *key = mt_region_printf(&x->m->region, "%s/%s", ns, d->name.s);
	const struct mt_virtual_service *vs = key ? mt_strmap_get(&x->delegates, key) : NULL;

	if (!vs)
		tell(x, &x->copy->meta, d->origin.line, x->at,
			"a delegate is a VirtualService without hosts",
			mt_region_printf(&x->m->region,
				"no VirtualService %s/%s to delegate to: the rule is left out", ns,
				d->name.s));
	else if (!is_visible(x->m, vs, x->copy->meta.ns))
		tell(x, &x->copy->meta, d->origin.line, x->at, NULL,
			mt_region_printf(&x->m->region,
				"VirtualService %s/%s is not exported to this namespace: the rule "
				"is "
				"left out",
				ns, d->name.s));
	else
		return vs;
	return NULL;
}

static uint64_t conds_of(const struct mt_rule *r)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < r->n_matches; i++)
		n += r->matches[i].n_conds;
	return n;
}

/* Returns how much of the limit of all the current root's namespace may still use. */
static uint64_t left_of_all(const struct joining *x)
{
	uint64_t own = x->space->used, common = JOINED - JOINED_SHARE;
	uint64_t left = x->used < common ? common - x->used : 0;
	uint64_t share = own < JOINED_SHARE ? JOINED_SHARE - own : 0;

	return MT_MAX(left, MT_MIN(share, JOINED - x->used));
}

/* Reserves the cost of joining the root's rule with a delegate; false: it exceeds a limit. */
static bool has_room(struct joining *x, const struct mt_rule *root, const struct mt_rule_list *list)
{
	const uint64_t left = MT_MIN(left_of_all(x), x->left_of_one), of_root = conds_of(root);
	uint64_t cost = 0;

	for (uint32_t i = 0; list && i < list->n_rules && cost <= left; i++) {
		const struct mt_rule *leaf = &list->rules[i];

		cost += 1 + (uint64_t)root->n_matches * leaf->n_matches +
			of_root * leaf->n_matches + conds_of(leaf) * root->n_matches;
	}
	if (cost > left)
		return false;
	x->used += cost;
	x->space->used += cost;
	x->left_of_one -= cost;
	return true;
}

static void join_delegate(struct joining *x, const struct mt_rule *root)
{
	const struct mt_virtual_service *vs = find(x, root);
	const struct mt_rule_list *list = vs ? http_of(vs) : NULL;
	const struct mt_meta **slot;

	if (!vs)
		return;
	if (!has_room(x, root, list)) {
		tell(x, &x->copy->meta, root->delegate->origin.line, x->at,
			"delegate less often, or to fewer rules",
			"too many rules are delegated to: the rule is left out");
		return;
	}
	slot = mt_region_push(
		&x->m->region, (void **)&x->copy->delegates, &x->copy->n_delegates, sizeof(*slot));
	if (slot)
		*slot = &vs->meta;
	x->list->made_of =
		mt_hash_bytes(&vs->meta.serial, sizeof(vs->meta.serial), x->list->made_of);
	/* Rules of the delegate that delegate again are skipped; pass_over() warns once. */
	for (uint32_t i = 0; list && i < list->n_rules; i++)
		if (!list->rules[i].delegate)
			join_rule(x, root, vs, &list->rules[i], i);
}

static void join_list(struct joining *x, const struct mt_rule_list *of)
{
	x->list->rules = NULL;
	x->list->n_rules = 0;
	x->list->made_of =
		mt_hash_bytes(&x->copy->meta.serial, sizeof(x->copy->meta.serial), 1) | 1;
	for (x->at = 0; x->at < of->n_rules; x->at++) {
		struct mt_rule *slot;

		if (of->rules[x->at].delegate) {
			join_delegate(x, &of->rules[x->at]);
			continue;
		}
		slot = push(x);
		if (!slot)
			return;
		*slot = of->rules[x->at];
		slot->at = x->at;
	}
}

/* ---- documents ------------------------------------------------------------------------------- */

static bool delegates(const struct mt_virtual_service *vs)
{
	const struct mt_rule_list *list = http_of(vs);

	for (uint32_t i = 0; list && i < list->n_rules; i++)
		if (list->rules[i].delegate)
			return true;
	return false;
}

/* The namespace, which is added if it is new; NULL: no memory. */
static struct space *space_of(struct joining *x, const char *ns)
{
	struct space *s = mt_strmap_get(&x->spaces, ns);

	if (s)
		return s;
	s = mt_region_alloc(&x->m->region, sizeof(*s));
	if (!s || mt_strmap_put(&x->spaces, ns, s, NULL)) {
		x->m->region.failed = true;
		return NULL;
	}
	*s = (struct space){0};
	return s;
}

static struct mt_virtual_service *join(struct joining *x, const struct mt_virtual_service *vs)
{
	struct mt_virtual_service *copy = mt_region_alloc(&x->m->region, sizeof(*copy));
	struct mt_rule_list *lists = mt_region_alloc(&x->m->region, sizeof(*lists) * vs->n_lists);
	const struct mt_rule_list *http = http_of(vs);

	x->space = space_of(x, vs->meta.ns);
	if (!copy || !lists || !x->space)
		return NULL;
	*copy = *vs;
	memcpy(lists, vs->lists, sizeof(*lists) * vs->n_lists);
	copy->lists = lists;
	x->copy = copy;
	x->left_of_one = JOINED_OF_ONE;
	x->list = &lists[http - vs->lists];
	x->list->written = http;
	join_list(x, http);
	return copy;
}

/* Warns about each rule of a delegate that delegates again. */
static void pass_over(struct joining *x, const struct mt_virtual_service *vs)
{
	const struct mt_rule_list *list = http_of(vs);

	for (uint32_t i = 0; list && i < list->n_rules; i++)
		if (list->rules[i].delegate)
			tell(x, &vs->meta, list->rules[i].delegate->origin.line, i,
				"delegate to it from the one that has the hosts",
				"delegates are one level deep: the rule is passed over");
}

static void index_delegates(struct joining *x)
{
	for (uint32_t i = 0; i < x->m->virtual_services.n; i++) {
		struct mt_virtual_service *vs = x->m->virtual_services.v[i];
		char *key = vs->n_hosts ? NULL
					: mt_region_printf(&x->m->region, "%s/%s", vs->meta.ns,
						  vs->meta.name);

		if (!key)
			continue;
		mt_strmap_put(&x->delegates, key, vs, NULL);
		pass_over(x, vs);
	}
}

void mt_table_delegate(struct mt_object_table *t, struct mt_model *m)
{
	struct joining x = {.t = t, .m = m};

	index_delegates(&x);
	for (uint32_t i = 0; i < m->virtual_services.n; i++) {
		struct mt_virtual_service *vs = m->virtual_services.v[i], *copy = NULL;

		if (vs->n_hosts && delegates(vs))
			copy = join(&x, vs);
		if (copy)
			m->virtual_services.v[i] = copy;
	}
	mt_strmap_fini(&x.delegates);
	mt_strmap_fini(&x.spaces);
}

/* ---- statuses -------------------------------------------------------------------------------- */

static bool is_used(const struct mt_object_table *t, const struct mt_virtual_service *vs)
{
	const struct mt_object_row *row = mt_table_row(t, vs->meta.serial);

	return row && row->status != MT_OBJECT_NO_EFFECT && row->status != MT_OBJECT_SHADOWED;
}

/* A delegate to which no applied VirtualService delegates has no effect. */
void mt_table_delegates_settle(struct mt_object_table *t)
{
	const struct mt_objs *all = t->model ? &t->model->virtual_services : NULL;
	struct mt_object_row *row;

	for (uint32_t i = 0; i < t->n; i++)
		t->rows[i].delegated = false;
	for (uint32_t i = 0; all && i < all->n; i++) {
		const struct mt_virtual_service *vs = all->v[i];

		for (uint32_t k = 0; k < vs->n_delegates && is_used(t, vs); k++) {
			row = mt_table_row(t, vs->delegates[k]->serial);
			if (row)
				row->delegated = true;
		}
	}
	for (uint32_t i = 0; all && i < all->n; i++) {
		const struct mt_virtual_service *vs = all->v[i];

		row = vs->n_hosts ? NULL : mt_table_row(t, vs->meta.serial);
		if (!row || row->delegated || row->status >= MT_OBJECT_FAIL_CLOSED)
			continue;
		row->status = MT_OBJECT_NO_EFFECT;
		row->why = "it has no hosts, and nothing that is in force delegates to it";
	}
}
