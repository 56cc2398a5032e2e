/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TrafficPolicy: limits of calls by their clients, compiled to the filter "keyed_ratelimit".
 *
 * A policy limits the calls to the services, and those that enter at the ports of the Gateways,
 * that its targetRefs name in its namespace. The oldest policy of a target counts. The rules of all
 * policies are bounded (MT_CLIENT_RULES) and shared by namespace: a policy beyond its share refuses
 * all calls of its targets, because without it they would not be limited.
 */
#include "mt_conf_policy_priv.h"
#include "mt_conf_service_priv.h"

#include "mt_filter_keyed.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * A third of the rules of a table (MT_KEYED_RULES), because those of replaced policies stay in it
 * for a while.
 */
uint32_t mt_conf_client_rules = MT_KEYED_RULES / 3;

/* A policy, in the order of age. */
struct limiter {
	const struct mt_client_policy *p;
	uint32_t n_rules; /* buckets' rules that its targets need */
	bool closed;
};

struct mt_client_target {
	struct limiter *by;
	const struct mt_policy_target *t;
	uint32_t at;	  /* in targetRefs */
	const char *name; /* of what is limited, for people; NULL: it is not here */
};

static const struct mt_client_limits *rules_of(const struct mt_client_policy *p)
{
	return p->rates ? p->rates->local : NULL;
}

static char *target_path(char path[MT_INDEX_PATH], uint32_t i)
{
	return mt_index_path(path, "spec.targetRefs", i, "");
}

/* ---- checks ---------------------------------------------------------------------------------- */

static struct mt_keyed_numbers numbers_of(const struct mt_quota *q)
{
	static const uint32_t seconds[] = {[MT_QUOTA_SECOND] = 1,
		[MT_QUOTA_MINUTE] = 60,
		[MT_QUOTA_HOUR] = 3600,
		[MT_QUOTA_DAY] = 86400};

	return (struct mt_keyed_numbers){q->requests.v, q->requests.v, seconds[q->unit.v] * MT_SEC};
}

static void check_expressions(struct mt_build *b, const struct mt_client_policy *p, uint32_t rule,
	const struct mt_client_selector *s, uint32_t at)
{
	for (uint32_t i = 0; i < s->n_headers; i++) {
		const struct mt_matcher_def def = {.key = s->headers[i].name.s,
			.op = MT_MATCH_REGEX,
			.value = s->headers[i].value.s};
		char err[256] = "", path[MT_CONF_PATH];
		struct mt_matcher *m;

		if (s->headers[i].type.v != MT_SELECT_REGEX)
			continue;
		m = mt_matcher_compile(mt_codec_bytes(), &def, 1, err, sizeof(err));
		snprintf(path, sizeof(path),
			"spec.rateLimit.local.rules[%u].clientSelectors[%u].headers[%u].value",
			rule, at, i);
		if (!m)
			mt_b_error(b, &p->meta, s->headers[i].value.line, path,
				"write it in RE2's syntax", "bad regular expression: %s", err);
		mt_matcher_free(m);
	}
}

static void check(struct mt_build *b, const struct mt_client_policy *p)
{
	const struct mt_client_limits *l = rules_of(p);

	for (uint32_t i = 0; i < l->n_rules; i++) {
		const struct mt_client_limit *r = &l->rules[i];
		const struct mt_keyed_numbers n = numbers_of(r->quota);
		char path[MT_CONF_PATH];

		snprintf(path, sizeof(path), "spec.rateLimit.local.rules[%u].limit.requests", i);
		if (mt_keyed_numbers_bad(&n))
			mt_b_error(b, &p->meta, r->quota->requests.line, path,
				"write fewer, or a longer unit",
				"%u calls are too many to count by key in this unit",
				r->quota->requests.v);
		for (uint32_t k = 0; k < r->n_selectors; k++)
			check_expressions(b, p, i, &r->selectors[k], k);
	}
}

void mt_b_check_clients(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->client_policies.n; i++) {
		const struct mt_client_policy *p = b->model->client_policies.v[i];

		if (rules_of(p) && !mt_b_was_checked(b, &p->meta, NULL, 0))
			check(b, p);
	}
}

/* ---- targets --------------------------------------------------------------------------------- */

static bool is_in_group(const struct mt_policy_target *t, const char *group)
{
	return t->group.s && strcmp(t->group.s, group) == 0;
}

/* The first word of the key of a target. NULL: the kind is not known, or of another group. */
static const char *kind_of(const struct mt_policy_target *t)
{
	if (strcmp(t->kind.s, "Service") == 0)
		return !t->group.s || !*t->group.s || is_in_group(t, "core") ? "Service" : NULL;
	if (strcmp(t->kind.s, "ServiceEntry") == 0)
		return is_in_group(t, "networking.istio.io") ? "ServiceEntry" : NULL;
	if (strcmp(t->kind.s, "Gateway") != 0)
		return NULL;
	if (is_in_group(t, "gateway.networking.k8s.io"))
		return "Gateway API";
	return is_in_group(t, "networking.istio.io") ? "Gateway" : NULL;
}

static const char *key_of(struct mt_build *b, const char *kind, const char *ns, const char *name)
{
	const char *key = mt_region_printf(&b->tmp, "%s %s/%s", kind, ns, name);

	return key ? key : "";
}

static struct mt_client_target *find(
	struct mt_build *b, const char *kind, const char *ns, const char *name)
{
	return mt_strmap_get(&b->client_targets, key_of(b, kind, ns, name));
}

static void add_target(struct mt_build *b, struct limiter *l, uint32_t at)
{
	const struct mt_policy_target *t = &l->p->targets[at];
	const struct mt_meta *meta = &l->p->meta, *first;
	const char *kind = kind_of(t), *key = key_of(b, kind ? kind : "", meta->ns, t->name.s);
	struct mt_client_target *to = kind ? mt_strmap_get(&b->client_targets, key) : NULL;
	char path[MT_INDEX_PATH];

	if (!kind) {
		mt_b_unused(b, meta, t->kind.line, target_path(path, at),
			"name a ServiceEntry or Gateway of networking.istio.io, a Service, or a "
			"Gateway of gateway.networking.k8s.io",
			"%.64s of the group \"%.64s\" cannot be limited", t->kind.s,
			t->group.s ? t->group.s : "");
		return;
	}
	if (to) {
		first = &to->by->p->meta;
		if (first != meta)
			mt_b_shadowed(b, meta, t->name.line, target_path(path, at), NULL,
				"%s %s/%s limits it already", first->kind, first->ns, first->name);
		return;
	}
	to = mt_region_alloc(&b->tmp, sizeof(*to));
	if (!to || mt_strmap_put(&b->client_targets, key, to, NULL)) {
		b->tmp.failed = true;
		return;
	}
	*to = (struct mt_client_target){.by = l, .t = t, .at = at};
}

static void find_hosts(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		struct mt_host *h = &b->host_list[i];
		const struct mt_meta *m = &h->se->meta;

		h->limiter = find(b, m->kind, m->ns, m->name);
		if (!h->limiter)
			continue;
		h->limiter->name = h->se->hosts[0].s;
		mt_diag_host(b->diags, &h->limiter->by->p->meta, h->se->hosts[0].s);
		if (h->forwards)
			mt_b_warn(b, &h->limiter->by->p->meta, h->limiter->t->name.line,
				"spec.targetRefs", "limit them by the Node's spec.forwarding",
				"forwarded ports of %.128s are not limited", h->se->hosts[0].s);
	}
}

struct mt_client_target *mt_b_gateway_clients(struct mt_build *b, const struct mt_gateway *g)
{
	if (!b->client_targets.n)
		return NULL;
	return g->gateway_api ? find(b, "Gateway API", g->meta.ns, g->gateway_api)
			      : find(b, "Gateway", g->meta.ns, g->meta.name);
}

static void find_gateways(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->model->gateways.n; i++) {
		const struct mt_gateway *g = b->model->gateways.v[i];
		struct mt_client_target *t = mt_b_gateway_clients(b, g);

		if (t && !t->name && mt_b_selects_node(b, &g->selector))
			t->name = mt_region_printf(
				&b->tmp, "Gateway %s/%s", g->meta.ns, t->t->name.s);
	}
}

/* ---- shares ---------------------------------------------------------------------------------- */

static uint32_t count_rules(const struct mt_client_policy *p, uint32_t targets)
{
	const struct mt_client_limits *l = rules_of(p);
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n_rules; i++)
		n += l->rules[i].shared.v ? 1 : targets;
	return n;
}

static void count_targets(struct mt_build *b)
{
	const struct mt_client_target *t;
	char path[MT_INDEX_PATH];
	uint32_t pos = 0;

	while ((t = mt_strmap_next(&b->client_targets, &pos, NULL)) != NULL) {
		if (t->name)
			t->by->n_rules++;
		else
			(strcmp(t->t->kind.s, "Gateway") ? mt_b_unused : mt_b_inert)(b,
				&t->by->p->meta, t->t->name.line, target_path(path, t->at),
				"limits are of services and Gateways of the policy's namespace",
				"no %.64s \"%.128s\" of its namespace is served here", t->t->kind.s,
				t->t->name.s);
	}
}

static void share(struct mt_build *b, struct limiter *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		v[i].n_rules = count_rules(v[i].p, v[i].n_rules);
		mt_fair_want(&b->client_shares, &b->tmp, v[i].p->meta.ns, v[i].n_rules);
	}
	mt_fair_settle(&b->client_shares, &b->tmp, mt_conf_client_rules);
	for (uint32_t i = 0; i < n; i++) {
		const struct mt_meta *m = &v[i].p->meta;

		v[i].closed = v[i].n_rules && !mt_fair_take(&b->client_shares, m->ns, v[i].n_rules);
		if (v[i].closed)
			mt_b_dispute(b, m, m->origin.line, "spec.rateLimit.local.rules",
				"write fewer rules or targets, or shared: true",
				"calls of its targets are refused: its rules count %u times, and "
				"its namespace has a share of %u of %u",
				v[i].n_rules, b->client_shares.share, mt_conf_client_rules);
	}
}

void mt_b_client_limits(struct mt_build *b)
{
	const struct mt_objs *all = &b->model->client_policies;
	struct limiter *v = mt_region_alloc(&b->tmp, sizeof(*v) * all->n);
	uint32_t n = 0;

	for (uint32_t i = 0; v && i < all->n; i++) {
		const struct mt_client_policy *p = all->v[i];

		if (!rules_of(p))
			continue;
		v[n] = (struct limiter){.p = p};
		for (uint32_t k = 0; k < p->n_targets; k++)
			add_target(b, &v[n], k);
		n++;
	}
	if (!n)
		return;
	find_hosts(b);
	find_gateways(b);
	count_targets(b);
	share(b, v, n);
}

struct mt_client_target *mt_b_host_clients(const struct mt_host *h)
{
	return h->over ? NULL : h->limiter;
}

const struct mt_meta *mt_b_clients_meta(const struct mt_client_target *t)
{
	return &t->by->p->meta;
}

uint64_t mt_b_clients_hash(const struct mt_client_target *t, uint64_t h)
{
	const struct mt_meta *m = &t->by->p->meta;

	h = mt_hash_text(t->name, mt_hash_text(m->name, mt_hash_text(m->ns, h)));
	return mt_hash_u64(t->by->closed, mt_hash_u64(m->serial, h));
}

/* ---- work ------------------------------------------------------------------------------------ */

#define STEPS_OF_RULE 128

uint64_t mt_b_steps_of_clients(const struct mt_client_target *t)
{
	const struct mt_client_limits *l = rules_of(t->by->p);
	uint64_t steps = MT_STEPS_OF_ROUTE;

	for (uint32_t i = 0; i < l->n_rules; i++) {
		steps += STEPS_OF_RULE;
		for (uint32_t k = 0; k < l->rules[i].n_selectors; k++)
			steps += MT_STEPS_OF_ROUTE +
				 mt_b_steps_of_headers(&l->rules[i].selectors[k]);
	}
	return steps;
}

/* ---- compiled -------------------------------------------------------------------------------- */

bool mt_b_clients_keys(const struct mt_client_target *t,
	bool (*fn)(const struct mt_codec *codec, const char *key), const struct mt_codec *codec)
{
	const struct mt_client_limits *l = rules_of(t->by->p);

	for (uint32_t i = 0; i < l->n_rules; i++)
		for (uint32_t k = 0; k < l->rules[i].n_selectors; k++)
			for (uint32_t j = 0; j < l->rules[i].selectors[k].n_headers; j++)
				if (!fn(codec, l->rules[i].selectors[k].headers[j].name.s))
					return false;
	return true;
}

/* Inverted: calls without the value, also those without the key. */
static void add_header(const struct mt_select_header *h, struct mt_matcher_def *match,
	const char **keys, struct mt_keyed_select_def *to)
{
	if (h->type.v == MT_SELECT_DISTINCT) {
		keys[to->n_keys++] = h->name.s;
		return;
	}
	match[to->n_match++] = (struct mt_matcher_def){.key = h->name.s,
		.op = h->type.v == MT_SELECT_REGEX ? MT_MATCH_REGEX : MT_MATCH_EXACT,
		.value = h->value.s,
		.invert = h->invert.v,
		.missing_as_empty = h->invert.v};
}

static bool add_select(
	struct mt_build *b, const struct mt_client_selector *s, struct mt_keyed_select_def *to)
{
	struct mt_matcher_def *match = mt_region_alloc(&b->tmp, sizeof(*match) * s->n_headers);
	const char **keys = mt_region_alloc(&b->tmp, sizeof(*keys) * s->n_headers);

	if (!match || !keys)
		return false;
	*to = (struct mt_keyed_select_def){.match = match, .keys = keys};
	for (uint32_t i = 0; i < s->n_headers; i++)
		add_header(&s->headers[i], match, keys, to);
	if (s->source) {
		to->has_net = true;
		to->net = s->source->net;
		to->prefix = s->source->prefix;
		if (s->source->type.v == MT_SELECT_SOURCE_DISTINCT)
			to->by |= MT_KEYED_BY_ADDRESS;
	}
	if (s->principal && s->principal->type.v == MT_SELECT_SOURCE_DISTINCT)
		to->by |= MT_KEYED_BY_PRINCIPAL;
	else if (s->principal)
		to->principal = s->principal->value.s;
	if (s->connection.set)
		to->by |= MT_KEYED_BY_CONNECTION;
	return true;
}

/* The policy, the rule and the target identify buckets: a reload finds them with their tokens. */
static bool add_rule(struct mt_build *b, const struct mt_client_target *t, uint32_t i,
	struct mt_keyed_rule_def *to)
{
	const struct mt_client_limit *r = &rules_of(t->by->p)->rules[i];
	const struct mt_meta *m = &t->by->p->meta;
	struct mt_keyed_select_def *selects =
		mt_region_alloc(&b->tmp, sizeof(*selects) * r->n_selectors);

	*to = (struct mt_keyed_rule_def){
		.name = mt_region_printf(&b->tmp, "%s/%s rules[%u]%s%s", m->ns, m->name, i,
			r->shared.v ? "" : " of ", r->shared.v ? "" : t->name),
		.numbers = numbers_of(r->quota),
		.selects = selects,
		.n_selects = r->n_selectors,
		.report_only = r->shadow.v,
		.line = r->origin.line};
	for (uint32_t k = 0; selects && k < r->n_selectors; k++)
		if (!add_select(b, &r->selectors[k], &selects[k]))
			return false;
	return selects && to->name;
}

/* The Node's number counts when the first limit by key is compiled. */
static bool has_table(struct mt_build *b)
{
	const struct mt_node *n = b->model->node;
	uint32_t keys =
		n && n->limits && n->limits->keys.set ? n->limits->keys.v : MT_KEYED_DEFAULT;

	return mt_limit_keyed(b->conf->limits, keys) != NULL;
}

static void *compile(struct mt_build *b, const struct mt_client_target *t,
	const struct mt_codec *codec, char *err, size_t errlen)
{
	const struct mt_client_limits *l = rules_of(t->by->p);
	struct mt_keyed_rule_def *rules = mt_region_alloc(&b->tmp, sizeof(*rules) * l->n_rules);
	const struct mt_keyed_limit_def def = {
		.rules = rules, .n_rules = l->n_rules, .closed = t->by->closed};

	if (!rules || !has_table(b)) {
		b->tmp.failed = true;
		return NULL;
	}
	for (uint32_t i = 0; i < l->n_rules; i++)
		if (!add_rule(b, t, i, &rules[i])) {
			b->tmp.failed = true;
			return NULL;
		}
	return mt_keyed_limit_compile(b->conf->limits, codec, &def, b->now, err, errlen);
}

int mt_b_client_limit(struct mt_build *b, const struct mt_client_target *t,
	const struct mt_codec *codec, struct mt_service *s, uint64_t *hash)
{
	const struct mt_meta *m = &t->by->p->meta;
	struct mt_filter_inst *f = mt_b_filter(b, s);
	char err[256] = "";

	if (!f)
		return -ENOMEM;
	f->type = &mt_filter_keyed_ratelimit;
	f->file = mt_b_file(b, m->origin.file);
	f->line = rules_of(t->by->p)->origin.line;
	f->conf = compile(b, t, codec, err, sizeof(err));
	if (!f->conf) {
		if (!b->tmp.failed)
			mt_b_error(b, m, f->line, "spec.rateLimit.local", NULL, "%s", err);
		return b->tmp.failed ? -ENOMEM : -EINVAL;
	}
	*hash = mt_b_clients_hash(t, *hash);
	s->n_filter_insts++;
	return 0;
}
