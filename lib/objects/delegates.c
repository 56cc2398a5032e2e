/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Delegation between VirtualServices. The compiler gets a VirtualService whose rules delegate (the
 * root) as a copy, with the delegates' rules in place of the delegating rules. A joined rule
 * matches the calls that match both the root's rule and the delegate's rule. Delegates are one
 * level deep. A rule is left out if its delegate does not exist or is not exported to the root's
 * namespace.
 */
#include "mt_objects_priv.h"

#include "mt_share.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/*
 * Cost of a join: the number of rules, matches and conditions that it creates, and of its
 * comparisons, which is conditions of one side times conditions of the other.
 */
struct cost {
	uint64_t joined, compared;
};

/* Rules in numbers; `words`: 16 bytes each of the texts that are compared. */
struct size {
	uint64_t rules, matches, conds, cond_words, gateways, gateway_words;
	uint64_t named; /* those with a name */
	uint64_t names; /* cost of joined names that have theirs */
};

/* A VirtualService without hosts. */
struct delegate {
	const struct mt_virtual_service *vs;
	const struct mt_rule_list *http; /* NULL: none */
	struct size size;		 /* of all rules of `http` */
};

struct joining {
	struct mt_object_table *t;
	struct mt_model *m;
	struct mt_strmap delegates; /* struct delegate, by "NAMESPACE/NAME" */
	struct mt_virtual_service *copy;
	struct mt_rule_list *list;
	uint32_t at; /* index of the delegating rule in the root */
	struct cost used, left_of_one;
	struct mt_strmap owners; /* struct cost of all roots of an owner, by mt_object_owner() */
	struct cost *own;	 /* cost of the current root's owner */
};

/*
 * Limits of the cost of joins, for one VirtualService and for all. Without them two documents of
 * 1,000 rules each would join to a million rules, and the comparison of two with 65,000 conditions
 * each would take minutes. The joined rules take a fraction of a model's memory. The last quarter
 * is for owners that have used less than a quarter (mt_share_left()).
 */
static const struct cost most_of_one = {1u << 18, 1u << 24}, most = {1u << 19, 1u << 25};

/* Longest "NAMESPACE/NAME" of an object. */
#define NAME_SIZE 512

static void tell(struct joining *x, const struct mt_meta *meta, uint32_t line, uint32_t at,
	const char *remedy, const char *words)
{
	char path[48];

	snprintf(path, sizeof(path), "spec.http[%u].delegate", at);
	mt_diag_object(&x->t->translated, MT_DIAG_WARNING, meta, line, path, remedy, "%s", words);
}

/* ---- matches --------------------------------------------------------------------------------- */

/*
 * True if the delegate's condition on a key matches values that the root's does not, by the rules
 * of istiod. Regular expressions and conditions on presence always conflict.
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

/*
 * Joins two matches: all conditions of the leaf (the delegate's match), and those of the root that
 * the leaf does not have.
 */
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
 * Joins each match of the delegate with the root's matches that contain it. Returns false if a
 * match of the delegate is contained in no match of the root.
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

/* Returns the next free rule of the list, which has memory for all rules. */
static struct mt_rule *push(struct joining *x)
{
	return &x->list->rules[x->list->n_rules++];
}

/*
 * Adds a rule of the delegate, which inherits the fields that it does not set from the root's rule.
 */
static void join_rule(struct joining *x, const struct mt_rule *root,
	const struct mt_virtual_service *delegate, const struct mt_rule *leaf, uint32_t at)
{
	struct mt_rule joined = *leaf;

	if (!join_matches(x, &joined, root, leaf)) {
		char words[NAME_SIZE + 100];

		snprintf(words, sizeof(words),
			"rule %u of VirtualService %s/%s matches what this one does not: it is "
			"left out",
			at, delegate->meta.ns, delegate->meta.name);
		tell(x, &x->copy->meta, root->delegate->origin.line, x->at, NULL, words);
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
	*push(x) = joined;
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

static const struct delegate *find(struct joining *x, const struct mt_rule *root)
{
	const struct mt_rule_delegate *d = root->delegate;
	const char *ns = d->ns.s ? d->ns.s : x->copy->meta.ns;
	char key[NAME_SIZE], words[NAME_SIZE + 100];
	const struct delegate *found;

	/* Names of objects have at most 253 characters, so a truncated name finds nothing. */
	snprintf(key, sizeof(key), "%.254s/%.254s", ns, d->name.s);
	found = mt_strmap_get(&x->delegates, key);
	if (found && is_visible(x->m, found->vs, x->copy->meta.ns))
		return found;
	snprintf(words, sizeof(words),
		found ? "VirtualService %s is not exported to this namespace: the rule is left out"
		      : "no VirtualService %s to delegate to: the rule is left out",
		key);
	tell(x, &x->copy->meta, d->origin.line, x->at,
		found ? NULL : "a delegate is a VirtualService without hosts", words);
	return NULL;
}

/* ---- limits ---------------------------------------------------------------------------------- */

/*
 * Longest text whose length is measured. A longer text counts as 1 MiB, because aliases may repeat
 * a text of megabytes.
 */
#define TEXT_MAX   4096u
#define LONG_WORDS (1u << 16)

static uint64_t words_of(const char *s)
{
	size_t len = s ? strnlen(s, TEXT_MAX) : 0;

	return len < TEXT_MAX ? 1 + len / 16 : LONG_WORDS;
}

/*
 * Returns the cost that this name adds to a joined name. For a long name the cost exceeds the
 * limit.
 */
static uint64_t cost_of_name(const char *s)
{
	uint64_t words = words_of(s);

	return !s ? 0 : words == LONG_WORDS ? most_of_one.joined + 1 : words / 8;
}

static void add_size(struct size *n, const struct mt_rule *r)
{
	n->rules++;
	n->matches += r->n_matches;
	n->named += r->name.s != NULL;
	n->names += cost_of_name(r->name.s);
	for (uint32_t i = 0; i < r->n_matches; i++) {
		const struct mt_rule_match *m = &r->matches[i];

		n->conds += m->n_conds;
		n->gateways += m->n_gateways;
		for (uint32_t k = 0; k < m->n_conds; k++)
			n->cond_words +=
				words_of(m->conds[k].key.s) + words_of(m->conds[k].value.s);
		for (uint32_t k = 0; k < m->n_gateways; k++)
			n->gateway_words += words_of(m->gateways[k].s);
	}
}

/*
 * Cost of joining a rule of the root with each rule of a delegate. From the sums, because rules
 * times rules would be work that no limit bounds. A document has 4 million values at most
 * (MT_YAML_NODES), so that no product overflows.
 */
static struct cost cost_of(const struct size *root, const struct size *leaf)
{
	return (struct cost){.joined = leaf->rules + root->matches * leaf->matches +
				       root->conds * leaf->matches + leaf->conds * root->matches +
				       root->named * (leaf->named * root->names + leaf->names),
		.compared = leaf->conds * root->cond_words + leaf->gateways * root->gateway_words};
}

/* Returns the cost that remains for the current root. */
static struct cost left(const struct joining *x)
{
	const struct cost *used = &x->used, *own = x->own, *one = &x->left_of_one;

	return (struct cost){
		MT_MIN(one->joined, mt_share_left(most.joined, used->joined, own->joined)),
		MT_MIN(one->compared, mt_share_left(most.compared, used->compared, own->compared))};
}

static void add(struct cost *to, const struct cost *c)
{
	to->joined += c->joined;
	to->compared += c->compared;
}

/*
 * Reserves the cost of joining the root's rule with a delegate. Returns false if the cost exceeds a
 * limit.
 */
static bool has_room(struct joining *x, const struct mt_rule *root, const struct delegate *d)
{
	const struct cost most_now = left(x);
	struct size of_root = {0};
	struct cost c;

	add_size(&of_root, root);
	c = cost_of(&of_root, &d->size);
	if (c.joined > most_now.joined || c.compared > most_now.compared)
		return false;
	add(&x->used, &c);
	add(x->own, &c);
	x->left_of_one.joined -= c.joined;
	x->left_of_one.compared -= c.compared;
	return true;
}

/* ---- lists ----------------------------------------------------------------------------------- */

/* Returns the delegate that replaces the root's rule; NULL: the rule is left out and reported. */
static const struct delegate *choose(struct joining *x, const struct mt_rule *root)
{
	const struct delegate *d = find(x, root);

	if (!d || has_room(x, root, d))
		return d;
	tell(x, &x->copy->meta, root->delegate->origin.line, x->at,
		"delegate less often, or to fewer rules",
		"too many rules are delegated to: the rule is left out");
	return NULL;
}

static void join_delegate(struct joining *x, const struct mt_rule *root, const struct delegate *d)
{
	const struct mt_rule_list *list = d->http;
	const struct mt_virtual_service *vs = d->vs;
	const struct mt_meta **slot;

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

/*
 * Chooses the delegates of a list and allocates the joined list at once, because a list that grows
 * would take four times as much memory. NULL: no memory.
 */
static const struct delegate **choose_all(struct joining *x, const struct mt_rule_list *of)
{
	struct mt_region *r = &x->m->region;
	const struct delegate **chosen = mt_region_alloc(r, sizeof(*chosen) * of->n_rules);
	size_t n = 0;

	for (x->at = 0; chosen && x->at < of->n_rules; x->at++) {
		const struct mt_rule *rule = &of->rules[x->at];

		chosen[x->at] = rule->delegate ? choose(x, rule) : NULL;
		if (!rule->delegate)
			n++;
		else if (chosen[x->at] && chosen[x->at]->http)
			n += chosen[x->at]->http->n_rules;
	}
	x->list->n_rules = 0;
	x->list->rules = mt_region_alloc(r, sizeof(*x->list->rules) * n);
	return x->list->rules ? chosen : NULL;
}

static void join_list(struct joining *x, const struct mt_rule_list *of)
{
	const struct delegate **chosen = choose_all(x, of);

	x->list->made_of =
		mt_hash_bytes(&x->copy->meta.serial, sizeof(x->copy->meta.serial), 1) | 1;
	for (x->at = 0; chosen && x->at < of->n_rules; x->at++) {
		const struct mt_rule *rule = &of->rules[x->at];
		struct mt_rule *slot;

		if (chosen[x->at])
			join_delegate(x, rule, chosen[x->at]);
		if (rule->delegate)
			continue;
		slot = push(x);
		*slot = *rule;
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

/* Returns the cost so far of all roots of this root's owner; NULL: no memory. */
static struct cost *used_by_owner(struct joining *x, const struct mt_virtual_service *vs)
{
	const struct mt_object_row *row = mt_table_row(x->t, vs->meta.serial);
	const char *owner = row ? mt_object_owner(row->o) : vs->meta.ns;

	return mt_share_account(&x->owners, &x->m->region, owner, sizeof(struct cost));
}

static struct mt_virtual_service *join(struct joining *x, const struct mt_virtual_service *vs)
{
	struct mt_virtual_service *copy = mt_region_alloc(&x->m->region, sizeof(*copy));
	struct mt_rule_list *lists = mt_region_alloc(&x->m->region, sizeof(*lists) * vs->n_lists);
	const struct mt_rule_list *http = http_of(vs);

	x->own = used_by_owner(x, vs);
	if (!copy || !lists || !x->own)
		return NULL;
	*copy = *vs;
	memcpy(lists, vs->lists, sizeof(*lists) * vs->n_lists);
	copy->lists = lists;
	x->copy = copy;
	x->left_of_one = most_of_one;
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

static void index_delegate(struct joining *x, const struct mt_virtual_service *vs)
{
	struct mt_region *r = &x->m->region;
	struct delegate *d = mt_region_alloc(r, sizeof(*d));
	char *key = mt_region_printf(r, "%s/%s", vs->meta.ns, vs->meta.name);

	if (!d || !key)
		return;
	*d = (struct delegate){.vs = vs, .http = http_of(vs)};
	for (uint32_t i = 0; d->http && i < d->http->n_rules; i++)
		add_size(&d->size, &d->http->rules[i]);
	if (mt_strmap_put(&x->delegates, key, d, NULL))
		r->failed = true;
	pass_over(x, vs);
}

static void index_delegates(struct joining *x)
{
	for (uint32_t i = 0; i < x->m->virtual_services.n; i++) {
		const struct mt_virtual_service *vs = x->m->virtual_services.v[i];

		if (!vs->n_hosts)
			index_delegate(x, vs);
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
	mt_strmap_fini(&x.owners);
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
