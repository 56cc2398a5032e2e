/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the policies of a namespace that may be about an instance, so that it is not compared with
 * all of them: those with its labels, those that target its service, and those of the whole
 * namespace. A selector is found by its rarest label among the selectors of the namespace. All of
 * a list are found if they are few, or if labels of the instance are not known.
 */
#include "mt_conf_policy_priv.h"

#include "mt_secret_hash.h"

#include <stdlib.h>

/* Comparing so few policies is cheaper than hashing the labels of an instance. */
#define FEW 16

/* ---- the index ------------------------------------------------------------------------------- */

/* Adds the policy to the sum of what the label finds. */
static void add_to_sum(struct mt_build *b, struct mt_policy_list *list, const struct mt_bag *bag,
	const struct mt_policy *p)
{
	struct mt_policy_sum *sum = mt_idmap_get(&list->sums, (uintptr_t)bag);

	if (!sum) {
		sum = mt_region_alloc(&b->tmp, sizeof(*sum));
		if (!sum || mt_idmap_put(&list->sums, (uintptr_t)bag, sum)) {
			b->tmp.failed = true;
			return;
		}
		*sum = (struct mt_policy_sum){0};
	}
	mt_policy_sum_add(sum, &p->size);
}

static void add_label(struct mt_build *b, struct mt_policy_list *list, struct mt_by_label *x,
	const struct mt_policy *p, struct mt_kv *label)
{
	const struct mt_labels labels = {label, 1};

	x->region = &b->tmp;
	mt_by_label_add(x, p->meta->ns, &labels, (void *)p);
	add_to_sum(b, list, mt_by_label_find(x, p->meta->ns, &labels), p);
}

static struct mt_kv target_label(const struct mt_policy_target *t)
{
	return (struct mt_kv){.key = t->kind.s, .value = t->name.s};
}

/* The label of a selector that the fewest selectors of the namespace have. */
static struct mt_kv *rarest_of(
	const struct mt_by_label *all, const char *ns, const struct mt_labels *want)
{
	struct mt_kv *rarest = NULL;
	uint32_t least = 0;

	for (uint32_t i = 0; i < want->n_kv; i++) {
		const struct mt_bag *bag =
			mt_by_label_find(all, ns, &(const struct mt_labels){&want->kv[i], 1});

		if (rarest && bag->n >= least)
			continue;
		rarest = &want->kv[i];
		least = bag->n;
	}
	return rarest;
}

static void add_targets(struct mt_build *b, struct mt_policy_list *list, const struct mt_policy *p)
{
	const struct mt_policy_scope *s = p->scope;
	struct mt_kv label;

	if (s->target) {
		label = target_label(s->target);
		add_label(b, list, &list->targets, p, &label);
	}
	for (uint32_t i = 0; i < s->n_targets; i++) {
		label = target_label(&s->targets[i]);
		add_label(b, list, &list->targets, p, &label);
	}
}

static void add_whole(struct mt_build *b, struct mt_policy_list *list, struct mt_policy *p)
{
	struct mt_policy **slot =
		mt_region_push(&b->tmp, (void **)&list->whole, &list->n_whole, sizeof(*slot));

	if (slot)
		*slot = p;
}

static void sum_list(struct mt_build *b, struct mt_policy_list *list)
{
	for (uint32_t i = 0; i < list->n; i++)
		mt_policy_sum_add(&list->all_sum, &list->v[i]->size);
	for (uint32_t i = 0; i < list->n_whole; i++)
		mt_policy_sum_add(&list->whole_sum, &list->whole[i]->size);
}

static uint64_t label_id(const struct mt_kv *label)
{
	uint64_t h = mt_secret_hash_text(label->value, mt_secret_hash_text(label->key, 0));

	return h ? h : 1;
}

/* Notes the labels of all selectors: only by these endpoints can have different policies. */
static void note_labels(struct mt_build *b, struct mt_policy_list *list)
{
	for (uint32_t i = 0; i < list->n; i++) {
		const struct mt_labels *want =
			mt_policy_has_targets(list->v[i]) ? NULL : mt_policy_selector(list->v[i]);

		for (uint32_t k = 0; want && k < want->n_kv; k++)
			if (mt_idmap_put(&list->labels, label_id(&want->kv[k]), list))
				b->tmp.failed = true;
	}
}

void mt_b_policy_index(struct mt_build *b, struct mt_policy_list *list)
{
	struct mt_by_label all = {.region = &b->tmp};

	note_labels(b, list);
	if (list->n <= FEW) {
		sum_list(b, list);
		return;
	}
	for (uint32_t i = 0; i < list->n; i++)
		if (!mt_policy_has_targets(list->v[i]) && mt_policy_selector(list->v[i]))
			mt_by_label_add(&all, list->v[i]->meta->ns, mt_policy_selector(list->v[i]),
				list->v[i]);
	for (uint32_t i = 0; i < list->n; i++) {
		struct mt_policy *p = list->v[i];
		const struct mt_labels *want = mt_policy_selector(p);

		if (mt_policy_has_targets(p))
			add_targets(b, list, p);
		else if (want)
			add_label(b, list, &list->selectors, p, rarest_of(&all, p->meta->ns, want));
		else
			add_whole(b, list, p);
	}
	mt_by_label_fini(&all);
	sum_list(b, list);
	list->found = mt_region_alloc(&b->tmp, sizeof(*list->found) * list->n);
	list->more = mt_region_alloc(&b->tmp, sizeof(*list->more) * list->n);
}

void mt_policy_index_fini(struct mt_policy_list *list)
{
	mt_by_label_fini(&list->selectors);
	mt_by_label_fini(&list->targets);
	mt_idmap_fini(&list->sums);
	mt_idmap_fini(&list->labels);
}

/* ---- what an instance finds ------------------------------------------------------------------ */

static bool finds_all(const struct mt_policy_list *list, const struct mt_workload *w)
{
	return list->n <= FEW || w->labels_unknown || !list->found || !list->more;
}

static const struct mt_bag *bag_at(
	const struct mt_by_label *x, const struct mt_policy_list *list, struct mt_kv *label)
{
	return mt_by_label_find(x, list->v[0]->meta->ns, &(const struct mt_labels){label, 1});
}

/* Policies that target a service of this kind and name, whatever its namespace. */
static const struct mt_bag *targeting(const struct mt_policy_list *list, const struct mt_host *h)
{
	static const struct mt_bag none;
	struct mt_kv label = {.key = h->se->meta.kind, .value = h->se->meta.name};

	return list->targets.map.n ? bag_at(&list->targets, list, &label) : &none;
}

void mt_policy_sum_add(struct mt_policy_sum *to, const struct mt_policy_sum *more)
{
	to->n += more->n;
	to->twins += more->twins;
	to->rules += more->rules;
	to->parts += more->parts;
	to->values += more->values;
	to->keys += more->keys;
	to->fields |= more->fields;
	to->at_ports += more->at_ports;
	to->closings += more->closings;
	to->varies += more->varies;
	to->compiled += more->compiled;
	to->networks += more->networks;
	to->looks += more->looks;
	to->tokens += more->tokens;
	to->places += more->places;
}

/* Adds what one label or target finds. */
static void add_bag_sum(
	const struct mt_policy_list *list, const struct mt_bag *bag, struct mt_policy_sum *to)
{
	const struct mt_policy_sum *sum = mt_idmap_get(&list->sums, (uintptr_t)bag);

	if (sum)
		mt_policy_sum_add(to, sum);
}

/* Equal for endpoints that have the same of the labels that selectors name. */
static uint64_t labels_id(const struct mt_policy_list *list, const struct mt_workload *w)
{
	uint64_t id = mt_secret_hash(&list, sizeof(list), w->labels_unknown);

	for (uint32_t i = 0; list->labels.n && i < w->labels.n_kv; i++) {
		uint64_t label = label_id(&w->labels.kv[i]);

		if (mt_idmap_get(&list->labels, label))
			id += mt_secret_hash(&list, sizeof(list), label);
	}
	return id;
}

struct mt_policy_sum mt_policy_by_labels(
	const struct mt_policy_bag *bag, const struct mt_workload *w, uint64_t *id)
{
	const struct mt_policy_list *list = bag ? &bag->all : NULL;
	struct mt_policy_sum sum = {0};

	*id = 0;
	if (!list)
		return sum;
	*id = labels_id(list, w);
	if (finds_all(list, w))
		return list->all_sum;
	for (uint32_t i = 0; list->selectors.map.n && i < w->labels.n_kv; i++)
		add_bag_sum(list, bag_at(&list->selectors, list, &w->labels.kv[i]), &sum);
	return sum;
}

struct mt_policy_sum mt_policy_by_host(
	const struct mt_policy_bag *bag, const struct mt_host *h, const struct mt_workload *w)
{
	const struct mt_policy_list *list = bag ? &bag->all : NULL;
	struct mt_policy_sum sum = {0};

	/* mt_policy_by_labels() has counted all of them. */
	if (!list || finds_all(list, w))
		return sum;
	sum = list->whole_sum;
	add_bag_sum(list, targeting(list, h), &sum);
	return sum;
}

static int by_place(const void *a, const void *b)
{
	const struct mt_policy *const *x = a, *const *y = b;

	return (*x > *y) - (*x < *y);
}

/* Returns the new number of `more`. A policy may target a service twice, but is there once. */
static uint32_t add_bag(struct mt_policy_list *list, const struct mt_bag *bag, uint32_t n)
{
	for (uint32_t i = 0; i < bag->n && n < list->n; i++)
		if (!i || bag->v[i] != bag->v[i - 1])
			list->more[n++] = bag->v[i];
	return n;
}

/* Both parts are in order of age, and so is the result. */
static uint32_t merge(struct mt_policy_list *list, uint32_t n_more)
{
	uint32_t n = 0, i = 0, k = 0;

	while (i < list->n_whole || k < n_more)
		if (k == n_more || (i < list->n_whole && list->whole[i] < list->more[k]))
			list->found[n++] = list->whole[i++];
		else
			list->found[n++] = list->more[k++];
	return n;
}

struct mt_policies_found mt_policy_find(
	struct mt_policy_list *list, const struct mt_host *h, const struct mt_workload *w)
{
	uint32_t n = 0;

	if (!list)
		return (struct mt_policies_found){NULL, 0};
	if (finds_all(list, w))
		return (struct mt_policies_found){list->v, list->n};
	n = add_bag(list, targeting(list, h), n);
	for (uint32_t i = 0; list->selectors.map.n && i < w->labels.n_kv; i++)
		n = add_bag(list, bag_at(&list->selectors, list, &w->labels.kv[i]), n);
	if (n > 1)
		qsort(list->more, n, sizeof(*list->more), by_place);
	return (struct mt_policies_found){list->found, merge(list, n)};
}
