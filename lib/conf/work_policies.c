/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the policies of endpoints before they are compared and compiled (work_counts.c). Endpoints
 * of a service with the same policies share one set of them; as many sets are counted as there are
 * different choices of the labels that selectors name, because labels choose from 15 policies in
 * 2^15 ways. If a policy depends on ports, its rules are chosen and its sets are made for each
 * port. Services may share both; each pays whole, because the others may be closed.
 */
#include "mt_conf_policy_priv.h"

#include "mt_secret_hash.h"

#include <string.h>

/* A policy that is compared with an endpoint, which is done twice, takes about 300 ns. */
#define STEPS_OF_POLICY 3
/* A set with this many rules has an index (lib/authz). */
#define INDEX_LEAST	16
#define INDEX_MOST	UINT64_C(1024)
#define INDEX_FIELDS	UINT64_C(12)
#define INDEX_KEYS	UINT64_C(24)
#define INDEX_SAMPLES	256
#define STEPS_OF_INDEX	64
#define STEPS_OF_FIELD	128
#define STEPS_OF_BITS	4
#define STEPS_OF_PART	5
#define STEPS_OF_SAMPLE 10
/* A list of rules for tokens, before these are copied; keys that are compared in one step. */
#define STEPS_OF_TOKENS 160
#define STEP_OF_PLACES	20
/* Values that are compared in one step. */
#define STEP_OF_VALUES 4
/* A network has up to 256 rows in two tables. */
#define STEPS_OF_NETWORK 8
/* Labels are looked for again in each service with the endpoint, if they are few. */
#define FEW_LABELS 16

/* Policies that an endpoint finds. */
struct found {
	struct mt_policy_sum sum;
	uint64_t id;
	uint64_t compiled; /* steps for each codec, of those of the service's namespace */
	uint64_t looks;	   /* for labels, if they are many */
};

static uint64_t id_of(const void *of, size_t size, uint64_t what)
{
	uint64_t h = mt_secret_hash(of, size, what);

	return h ? h : 1;
}

/* Several services may select an endpoint with many labels: they are looked for once. */
static struct found find(
	struct mt_build *b, const struct mt_policy_bag *bag, const struct mt_workload *w)
{
	const void *of[] = {bag, w->labels.kv};
	uint64_t key = id_of(of, sizeof(of), w->labels_unknown);
	struct found f = {.looks = 0}, *known;

	if (w->labels.n_kv <= FEW_LABELS) {
		f.sum = mt_policy_by_labels(bag, w, &f.id);
		return f;
	}
	known = mt_idmap_get(&b->work.found, key);
	if (known)
		return *known;
	f.sum = mt_policy_by_labels(bag, w, &f.id);
	known = mt_region_alloc(&b->tmp, sizeof(*known));
	if (!known || mt_idmap_put(&b->work.found, key, known))
		b->tmp.failed = true;
	else
		*known = f;
	return f;
}

/* Adds the policies of a namespace, and their id. */
static void add_ns(struct mt_build *b, const char *ns, const struct mt_host *h,
	const struct mt_workload *w, struct found *to)
{
	const struct mt_policy_bag *bag = mt_b_policies_of(b, ns);
	struct mt_policy_sum of_host;
	struct found f;

	if (!bag)
		return;
	f = find(b, bag, w);
	to->looks += w->labels.n_kv > FEW_LABELS && bag->all.labels.n ? w->labels.n_kv : 0;
	of_host = mt_policy_by_host(bag, h, w);
	mt_policy_sum_add(&to->sum, &f.sum);
	mt_policy_sum_add(&to->sum, &of_host);
	to->id += f.id;
	/* Authors of the root namespace are the operator's. */
	if (strcmp(ns, mt_b_root_namespace(b)) != 0)
		to->compiled += f.sum.compiled + of_host.compiled;
}

/* The endpoint's own ports, which a set that depends on ports is compiled for. */
static uint64_t ports_id(const struct mt_workload *w)
{
	uint64_t id = 0;

	for (uint32_t i = 0; i < w->ports.n_kv; i++)
		id += mt_secret_hash_text(
			w->ports.kv[i].value, mt_secret_hash_text(w->ports.kv[i].key, 0));
	return id;
}

/*
 * Steps of the index: for each field up to two tables with a bit for each rule, and a search for
 * the bytes that differ most, in samples of the values. A set with more rules than INDEX_MOST has
 * none, but fewer may be left of those that are counted: policies are found by one of their labels,
 * and some are for other ports, protocols or classes of endpoints.
 */
static uint64_t steps_of_index(const struct mt_policy_sum *s)
{
	uint64_t fields = (uint64_t)__builtin_popcount(s->fields) + s->keys, samples;
	uint64_t rules = s->rules + s->closings;

	if (rules < INDEX_LEAST)
		return 0;
	/* Policies of Istio and of Aeraki have a set each. */
	rules = MT_MIN(rules, 2 * INDEX_MOST);
	fields = MT_MIN(fields, INDEX_FIELDS);
	samples = MT_MIN(s->values, fields * INDEX_SAMPLES);
	return STEPS_OF_INDEX +
	       fields * (STEPS_OF_FIELD + rules * STEPS_OF_BITS + s->parts * STEPS_OF_PART) +
	       s->parts * MT_MIN(s->keys, INDEX_KEYS) + samples * STEPS_OF_SAMPLE +
	       s->values / STEP_OF_VALUES + s->networks * STEPS_OF_NETWORK;
}

/* The rules for tokens have one list, in which each metadata key is compared with all others. */
static uint64_t steps_of_tokens(const struct mt_policy_sum *s)
{
	return s->tokens ? STEPS_OF_TOKENS + s->tokens + s->places * s->places / STEP_OF_PLACES : 0;
}

uint64_t mt_b_steps_of_set(const struct mt_policy_sum *s)
{
	/* Each twin has a set of all policies. */
	return steps_of_tokens(s) + s->rules + s->closings + s->at_ports +
	       (1 + s->twins) * steps_of_index(s) + s->twins * (s->n + s->rules);
}

/*
 * Adds the set if no other endpoint of the service has it: one that the same policies select, which
 * this node enforces by its class.
 */
static void add_set(struct mt_build *b, const struct mt_host *h, const struct mt_workload *w,
	const struct found *f, struct mt_policy_sets *to)
{
	const uint64_t of[] = {(uintptr_t)h, f->id + (f->sum.varies ? ports_id(w) : 0),
		f->sum.varies > 0, mt_instance_class(h, w)};
	struct mt_policy_sum sum = f->sum;
	uint64_t id = id_of(of, sizeof(of), 0);

	if (mt_idmap_get(&b->work.sets, id))
		return;
	if (mt_idmap_put(&b->work.sets, id, b))
		b->tmp.failed = true;
	sum.closings += to->n_outbound;
	to->of_codec += f->compiled;
	*(sum.varies ? &to->at_ports : &to->of_codec) += mt_b_steps_of_set(&sum);
}

uint64_t mt_b_steps_of_policies(struct mt_build *b, const struct mt_host *h,
	const struct mt_workload *w, struct mt_policy_sets *to)
{
	const char *ns, *root = mt_b_root_namespace(b);
	struct found f = {.id = 0};
	uint64_t n;

	if (!b->policies && !b->n_inbound)
		return 0;
	ns = mt_instance_meta(h, w)->ns;
	n = mt_b_inbound_of(b, ns);
	if (strcmp(ns, root) != 0)
		n += mt_b_inbound_of(b, root);
	if (b->policies) {
		add_ns(b, ns, h, w, &f);
		if (strcmp(ns, root) != 0)
			add_ns(b, root, h, w, &f);
		add_set(b, h, w, &f, to);
		to->rules += f.sum.rules + f.sum.parts / MT_PARTS_OF_STEP;
	}
	return (n + f.sum.n) * STEPS_OF_POLICY + f.sum.looks + f.looks;
}
