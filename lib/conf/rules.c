/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of a document to the route table of a service, or to the destinations of a port of bytes. */
#include "mt_conf_priv.h"
#include "mt_conf_service_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const enum mt_match_op ops[] = {
	[MT_COND_EXACT] = MT_MATCH_EXACT,
	[MT_COND_PREFIX] = MT_MATCH_PREFIX,
	[MT_COND_SUFFIX] = MT_MATCH_SUFFIX,
	[MT_COND_CONTAINS] = MT_MATCH_CONTAINS,
	[MT_COND_REGEX] = MT_MATCH_REGEX,
	[MT_COND_PRESENT] = MT_MATCH_PRESENT,
	[MT_COND_RANGE] = MT_MATCH_RANGE,
};

/* The list that is named after the protocol comes before http; bytes know only tcp. */
const struct mt_rule_list *mt_b_rule_list(const struct mt_virtual_service *vs, const char *protocol)
{
	const struct mt_rule_list *http = NULL;

	for (uint32_t i = 0; i < vs->n_lists; i++) {
		const struct mt_rule_list *l = &vs->lists[i];

		if (strcasecmp(l->name, protocol ? protocol : "tcp") == 0)
			return l;
		if (protocol && strcmp(l->name, "http") == 0)
			http = l;
	}
	return http;
}

/* Borrows the model's strings: lib/route copies what it keeps. */
struct mt_matcher_def *mt_b_defs(struct mt_build *b, const struct mt_rule_match *m)
{
	struct mt_matcher_def *defs = mt_region_alloc(&b->tmp, sizeof(*defs) * m->n_conds);

	for (uint32_t i = 0; defs && i < m->n_conds; i++) {
		const struct mt_cond *c = &m->conds[i];

		defs[i] = (struct mt_matcher_def){.key = c->key.s,
			.op = ops[c->op],
			.value = c->value.s,
			.lo = c->lo,
			.hi = c->hi,
			.invert = c->invert,
			.ignore_case = c->ignore_case,
			.missing_as_empty = c->missing_as_empty};
	}
	return defs;
}

uint64_t mt_b_hash_match(const struct mt_rule_match *m, uint64_t h)
{
	for (uint32_t i = 0; m && i < m->n_conds; i++) {
		const struct mt_cond *c = &m->conds[i];

		h = mt_hash_text(c->value.s, mt_hash_text(c->key.s, h));
		h = mt_hash_u64(((uint64_t)c->op << 3) | (uint64_t)c->missing_as_empty << 2 |
					(uint64_t)c->invert << 1 | c->ignore_case,
			h);
		h = mt_hash_u64((uint64_t)c->hi, mt_hash_u64((uint64_t)c->lo, h));
	}
	return h;
}

static bool names_mesh(const struct mt_rule_match *m)
{
	for (uint32_t i = 0; i < m->n_gateways; i++)
		if (strcmp(m->gateways[i].s, "mesh") == 0)
			return true;
	return false;
}

/* Whether clients of this listener are meant. */
bool mt_b_applies(
	const struct mt_build *b, const struct mt_route_for *f, const struct mt_rule_match *m)
{
	if (!mt_b_is_of_clients(b, f, m))
		return false;
	if (!m->n_gateways)
		return true;
	if (!f->gateway)
		return names_mesh(m);
	for (uint32_t i = 0; i < m->n_gateways; i++)
		if (mt_b_is_gateway(m->gateways[i].s, f->meta->ns, f->gateway))
			return true;
	return false;
}

/* A condition that cannot be tested is refused: left out, it would send more than was meant. */
static int unsupported(struct mt_build *b, const struct mt_route_for *f, const struct mt_text *what,
	const char *path)
{
	char full[MT_CONF_PATH];

	snprintf(full, sizeof(full), "%.180s.%.64s", path, what->s);
	mt_b_error(b, f->meta, what->line, full, "remove it, or match by headers",
		"cannot be applied to %s", f->codec->opaque ? "bytes" : f->codec->name);
	return -EINVAL;
}

/* Adds a destination that has a share; one that is not here, or not known yet, keeps its own. */
static void fill_dest(struct mt_build *b, const struct mt_route_for *f, const struct mt_rule *r,
	const char *path, uint32_t i, const struct mt_override *override, struct mt_route_action *a)
{
	/* One destination gets everything, whatever its weight says. */
	uint32_t weight = r->n_dests == 1 ? 1 : r->dests[i].weight.v;
	char below[MT_CONF_PATH];
	uint32_t cluster;

	snprintf(below, sizeof(below), "%.200s.route[%u]", path, i);
	cluster = mt_b_rule_dest(b, f->meta, below, &r->dests[i], f->port);
	mt_b_tell_protocol(b, f, &r->dests[i], below);
	if (override)
		weight = mt_b_overridden_share(b, override, cluster, weight);
	if (!weight) {
		if (cluster != MT_NO_CLUSTER)
			a->idle[a->n_idle++] =
				mt_region_strdup(b->keep, b->clusters_v[cluster].name);
		return;
	}
	a->dests[a->n_dests++] = (struct mt_route_dest){cluster, weight};
	a->total_weight += weight;
}

/* Destinations with their shares; none is left when all weights are 0. */
static int fill_dests(struct mt_build *b, const struct mt_route_for *f, const struct mt_rule *r,
	const char *path, struct mt_route_action *a)
{
	const struct mt_override *override =
		mt_overrides_split(&b->conf->overrides, f->service, a->name);

	a->dests = mt_region_alloc(b->keep, sizeof(*a->dests) * r->n_dests);
	a->idle = mt_region_alloc(b->keep, sizeof(*a->idle) * MT_MAX(r->n_dests, 1u));
	if (!a->dests || !a->idle)
		return -ENOMEM;
	for (uint32_t i = 0; i < r->n_dests; i++)
		fill_dest(b, f, r, path, i, override, a);
	if (!override || a->n_dests)
		return 0;
	/* Its destinations have other names by now: it must not leave the route with none. */
	mt_b_warn(b, f->meta, r->origin.line, path, "set the override again, or drop it",
		"the split that was set at run time names none of its destinations");
	a->n_idle = 0;
	for (uint32_t i = 0; i < r->n_dests; i++)
		fill_dest(b, f, r, path, i, NULL, a);
	return 0;
}

/* Lengths fit: lib/source refuses longer ones than 16 KiB. */
static struct mt_mutation *mutations(
	struct mt_build *b, const struct mt_rule_mutation *list, uint32_t n)
{
	struct mt_mutation *m = mt_region_alloc(&b->tmp, sizeof(*m) * n);

	for (uint32_t i = 0; m && i < n; i++)
		m[i] = (struct mt_mutation){.key = list[i].key.s,
			.key_len = (uint16_t)strlen(list[i].key.s),
			.value = list[i].value.s,
			.value_len = list[i].value.s ? (uint16_t)strlen(list[i].value.s) : 0};
	return m;
}

/* A mirror whose cluster is not known gets nothing, and the route goes on without it. */
static void add_mirror(struct mt_build *b, const struct mt_route_for *f, const char *path,
	uint32_t cluster, const struct mt_rule_percent *percent, struct mt_route_action *a)
{
	uint32_t ppm = percent ? percent->ppm.v : 1000000;

	if (cluster == MT_NO_CLUSTER || !ppm)
		return;
	if (a->n_mirrors == MT_ROUTE_MIRRORS_MAX) {
		mt_b_note(b, f->meta, a->line, path, "remove one",
			"a route has at most %u mirrors: this one gets no copies",
			MT_ROUTE_MIRRORS_MAX);
		return;
	}
	a->mirrors[a->n_mirrors++] = (struct mt_route_mirror){cluster, ppm};
}

static int fill_mirrors(struct mt_build *b, const struct mt_route_for *f, const struct mt_rule *r,
	const char *path, struct mt_route_action *a)
{
	char below[MT_CONF_PATH];

	if (!r->mirror && !r->n_mirrors)
		return 0;
	a->mirrors = mt_region_alloc(&b->tmp, sizeof(*a->mirrors) * MT_ROUTE_MIRRORS_MAX);
	if (!a->mirrors)
		return -ENOMEM;
	if (r->mirror) {
		snprintf(below, sizeof(below), "%.200s.mirror", path);
		add_mirror(b, f, below, mt_b_dest(b, f->meta, below, r->mirror, f->port),
			r->mirror_percent, a);
	}
	for (uint32_t i = 0; i < r->n_mirrors; i++) {
		const struct mt_rule_mirror *m = &r->mirrors[i];

		snprintf(below, sizeof(below), "%.200s.mirrors[%u]", path, i);
		add_mirror(b, f, below, mt_b_rule_dest(b, f->meta, below, &m->to, f->port),
			m->percent, a);
	}
	return 0;
}

/* Names borrow the model's strings: lib/route copies them. */
static struct mt_key *hash_keys(
	struct mt_build *b, const struct mt_route_for *f, const struct mt_rule *r)
{
	struct mt_key *k = mt_region_alloc(&b->tmp, sizeof(*k) * r->n_hash_keys);

	for (uint32_t i = 0; k && i < r->n_hash_keys; i++)
		k[i] = mt_key_make(f->codec, r->hash_keys[i].s ? r->hash_keys[i].s : "");
	return k;
}

/* Envoy's defaults: the first wait is up to this, and later ones up to so many times as much. */
#define BACK_OFF_MS	25u
#define BACK_OFF_FACTOR 10u

/* A policy that allows no attempt, and does not limit the time of one, is none. */
static int fill_retry(
	struct mt_build *b, const struct mt_rule_retries *r, struct mt_route_action *a)
{
	uint32_t base = r && r->backoff.set ? r->backoff.v : BACK_OFF_MS;
	uint32_t attempts = r && r->on ? r->attempts.v : 0;
	struct mt_retry *to;

	_Static_assert((int)MT_RULE_RETRY_UNSENT == (int)MT_RETRY_UNSENT &&
			       (int)MT_RULE_RETRY_UNREAD == (int)MT_RETRY_UNREAD &&
			       (int)MT_RULE_RETRY_LOST == (int)MT_RETRY_LOST &&
			       (int)MT_RULE_RETRY_UNAVAILABLE == (int)MT_RETRY_UNAVAILABLE &&
			       (int)MT_RULE_RETRY_OVERLOAD == (int)MT_RETRY_OVERLOAD &&
			       (int)MT_RULE_RETRY_DEADLINE == (int)MT_RETRY_DEADLINE &&
			       (int)MT_RULE_RETRY_SERVER_ERROR == (int)MT_RETRY_SERVER_ERROR,
		"the model's bits are those of lib/route");
	if (!attempts && !(r && r->per_try.v))
		return 0;
	a->retry = to = mt_region_alloc(&b->tmp, sizeof(*to));
	if (!to)
		return -ENOMEM;
	*to = (struct mt_retry){.on = r->on,
		.attempts = attempts,
		.try_ms = r->per_try.v,
		.base_ms = base,
		.max_ms = r->backoff_max.set ? r->backoff_max.v : BACK_OFF_FACTOR * base,
		.same_hosts = r->other_hosts.set && !r->other_hosts.v};
	return 0;
}

static int fill_action(struct mt_build *b, const struct mt_route_for *f, const struct mt_rule *r,
	const char *path, uint32_t i, struct mt_route_action *a)
{
	*a = (struct mt_route_action){.timeout_ms = r->timeout.v,
		.n_req_mut = r->n_req_mut,
		.n_rsp_mut = r->n_rsp_mut,
		.hash.n_keys = MT_MIN(r->n_hash_keys, (uint32_t)MT_CLUSTER_HASH_KEYS),
		.hash.source = r->hash_source,
		.file = mt_b_file(b, f->meta->origin.file),
		.line = r->origin.line};
	a->name = r->name.s ? r->name.s : mt_region_printf(&b->tmp, "%s-%u", f->meta->name, i);
	a->req_mut = mutations(b, r->req_mut, r->n_req_mut);
	a->rsp_mut = mutations(b, r->rsp_mut, r->n_rsp_mut);
	a->hash.keys = hash_keys(b, f, r);
	if (!a->name || !a->req_mut || !a->rsp_mut || !a->hash.keys)
		return -ENOMEM;
	if (fill_retry(b, r->retries ? r->retries : f->retries, a) ||
		fill_mirrors(b, f, r, path, a))
		return -ENOMEM;
	return fill_dests(b, f, r, path, a);
}

static uint64_t hash_cluster(const struct mt_build *b, uint32_t at, uint64_t h)
{
	return mt_hash_u64(at == MT_NO_CLUSTER ? 0 : b->clusters_v[at].id, h);
}

static uint64_t hash_retry(const struct mt_retry *r, uint64_t h)
{
	if (!r)
		return h;
	h = mt_hash_u64((uint64_t)r->on << 32 | r->attempts, h);
	h = mt_hash_u64((uint64_t)r->try_ms << 32 | r->base_ms, h);
	return mt_hash_u64((uint64_t)r->max_ms << 1 | r->same_hosts, h);
}

/* Clusters by name and not by place: places move when a service is added before them. */
static uint64_t hash_action(const struct mt_build *b, const struct mt_route_action *a, uint64_t h)
{
	h = mt_hash_u64(a->timeout_ms, mt_hash_text(a->name, h));
	for (uint32_t i = 0; i < a->n_dests; i++)
		h = mt_hash_u64(a->dests[i].weight, hash_cluster(b, a->dests[i].cluster, h));
	for (uint32_t i = 0; i < a->n_req_mut; i++)
		h = mt_hash_text(a->req_mut[i].value, mt_hash_text(a->req_mut[i].key, h));
	for (uint32_t i = 0; i < a->n_rsp_mut; i++)
		h = mt_hash_text(a->rsp_mut[i].value, mt_hash_text(a->rsp_mut[i].key, h));
	for (uint32_t i = 0; i < a->n_mirrors; i++)
		h = mt_hash_u64(a->mirrors[i].ppm, hash_cluster(b, a->mirrors[i].cluster, h));
	for (uint32_t i = 0; i < a->hash.n_keys; i++)
		h = mt_hash_text(a->hash.keys[i].name, h);
	return hash_retry(a->retry, mt_hash_u64(a->hash.source, h));
}

/* What the steps of one route table share. */
struct table_build {
	struct mt_build *b;
	const struct mt_route_for *f;
	struct mt_route_builder *builder;
	struct mt_service *service;
	uint64_t *hash;
};

static int add_route(struct table_build *t, struct mt_route_action *a,
	const struct mt_rule_match *m, uint32_t line, const char *path)
{
	static const struct mt_rule_match all;
	struct mt_matcher_def *defs;
	char err[256] = "";
	int rc;

	m = m ? m : &all;
	defs = mt_b_defs(t->b, m);
	if (!defs)
		return -ENOMEM;
	a->id = mt_b_hash_match(m, mt_hash_text(a->name, t->service->id));
	a->index = mt_route_index_get(&t->b->conf->routes, a->id);
	*t->hash = mt_b_hash_match(m, hash_action(t->b, a, *t->hash));
	rc = mt_route_builder_add(t->builder, defs, m->n_conds, a, err, sizeof(err));
	if (rc == -EINVAL)
		mt_b_error(t->b, t->f->meta, line, path, NULL, "%s", err);
	return rc;
}

/* Name of the rule's list in its document, which for a rule of a joined list is another one. */
static const char *list_of(const struct mt_route_for *f, const struct mt_rule *r)
{
	return r->list ? r->list : f->list->name;
}

/* Matches are alternatives: each becomes a route of its own with the rule's action. */
static int add_rule(struct table_build *table, const struct mt_rule *r, uint32_t i)
{
	struct mt_route_for f = *table->f;
	struct table_build own = *table, *t = &own;
	struct mt_route_action action;
	char path[MT_CONF_PATH];
	int rc;

	/* A delegate's rule is that document's, in the list of another one. */
	if (r->by)
		f.meta = r->by;
	if (f.list->made_of)
		i = r->at;
	own.f = &f;
	snprintf(path, sizeof(path), "spec.%.64s[%u]", list_of(t->f, r), i);
	if (r->unsupported.s)
		return unsupported(t->b, t->f, &r->unsupported, path);
	rc = fill_action(t->b, t->f, r, path, i, &action);
	if (rc || !r->n_matches)
		return rc ? rc : add_route(t, &action, NULL, r->origin.line, path);
	for (uint32_t j = 0; j < r->n_matches && rc == 0; j++) {
		const struct mt_rule_match *m = &r->matches[j];

		if (!mt_b_applies(t->b, table->f, m))
			continue;
		rc = m->unsupported.s ? unsupported(t->b, t->f, &m->unsupported, path)
				      : add_route(t, &action, m, m->origin.line, path);
	}
	return rc;
}

/* A service that nobody routes goes to its own instances, whatever the message says. */
static int add_default(struct table_build *t)
{
	struct mt_route_dest dest = {t->f->fallback, 1};
	struct mt_route_action a = {.name = "default",
		.dests = &dest,
		.n_dests = 1,
		.total_weight = 1,
		.file = t->service->file,
		.line = t->service->line};

	if (fill_retry(t->b, t->f->retries, &a))
		return -ENOMEM;
	return add_route(t, &a, NULL, t->service->line, "spec");
}

static int route_messages(
	struct mt_build *b, const struct mt_route_for *f, struct mt_service *s, uint64_t *hash)
{
	struct table_build t = {b, f, mt_route_builder_new(f->codec), s, hash};
	int rc = t.builder ? 0 : -ENOMEM;

	for (uint32_t i = 0; f->list && i < f->list->n_rules && rc == 0; i++)
		rc = add_rule(&t, &f->list->rules[i], i);
	if (rc == 0 && !f->list)
		rc = add_default(&t);
	if (rc) {
		mt_route_builder_free(t.builder);
		return rc;
	}
	s->routes = mt_route_builder_done(t.builder);
	return s->routes ? 0 : -ENOMEM;
}

const struct mt_rule *mt_b_tcp_rule(
	const struct mt_build *b, const struct mt_route_for *f, uint32_t *at)
{
	for (*at = 0; f->list && *at < f->list->n_rules; ++*at) {
		const struct mt_rule *r = &f->list->rules[*at];

		if (!r->n_matches)
			return r;
		for (uint32_t j = 0; j < r->n_matches; j++)
			if (mt_b_applies(b, f, &r->matches[j]))
				return r;
	}
	return NULL;
}

/*
 * Returns the field of a rule of bytes that cannot be applied, or NULL. Only the port is known
 * before the first byte, and actions are HTTP's.
 */
static const struct mt_text *tcp_unsupported(const struct mt_rule *r)
{
	if (r->unsupported.s)
		return &r->unsupported;
	for (uint32_t j = 0; j < r->n_matches; j++) {
		const struct mt_rule_match *m = &r->matches[j];

		if (m->unsupported.s)
			return &m->unsupported;
		if (m->n_conds)
			return &m->conds[0].key;
	}
	return NULL;
}

void mt_b_tcp_tell(
	struct mt_build *b, const struct mt_meta *meta, const struct mt_rule *r, const char *path)
{
	if (r->mirror || r->n_mirrors)
		mt_b_note(b, meta, r->origin.line, path, "remove its mirror",
			"opaque TCP connections are not copied");
	if (r->retries)
		mt_b_note(b, meta, r->retries->origin.line, path, "remove its retries",
			"opaque TCP connections have no further attempts");
}

static int route_bytes(
	struct mt_build *b, const struct mt_route_for *f, struct mt_service *s, uint64_t *hash)
{
	struct mt_route_action a = {.name = "tcp"};
	struct mt_route_for of = *f;
	const struct mt_text *bad;
	const struct mt_rule *r;
	char path[MT_CONF_PATH];
	uint32_t i;
	int rc;

	s->tcp_cluster = f->fallback;
	r = mt_b_tcp_rule(b, f, &i);
	if (!r && f->fallback == MT_NO_CLUSTER) {
		mt_b_error(b, f->meta, f->list->origin.line, "spec.tcp", "add a rule without match",
			"no rule is for port %u of gateway %s", f->port, f->gateway);
		return -EINVAL;
	}
	if (!r) {
		*hash = mt_hash_u64(b->clusters_v[f->fallback].id, *hash);
		return 0;
	}
	/* A rule of a joined list is reported for its own document. */
	of.meta = r->by ? r->by : f->meta;
	snprintf(path, sizeof(path), "spec.%.64s[%u]", list_of(f, r), f->list->made_of ? r->at : i);
	bad = tcp_unsupported(r);
	rc = bad ? unsupported(b, &of, bad, path) : 0;
	mt_b_tcp_tell(b, of.meta, r, path);
	if (rc == 0)
		rc = fill_dests(b, &of, r, path, &a);
	if (rc)
		return rc;
	*hash = hash_action(b, &a, *hash);
	s->tcp_cluster = a.n_dests ? a.dests[0].cluster : f->fallback;
	s->tcp_idle = a.idle;
	s->n_tcp_idle = a.n_idle;
	if (a.n_dests > 1) {
		s->tcp_dests = a.dests;
		s->n_tcp_dests = a.n_dests;
		s->tcp_total_weight = a.total_weight;
	}
	return 0;
}

/* ---- before they are compiled ----------------------------------------------------------------------- */

/* Returns the field of a rule of messages that add_rule() refuses, or NULL. */
static const struct mt_text *unsupported_of(
	const struct mt_build *b, const struct mt_route_for *f, const struct mt_rule *r)
{
	if (r->unsupported.s)
		return &r->unsupported;
	for (uint32_t j = 0; j < r->n_matches; j++)
		if (r->matches[j].unsupported.s && mt_b_applies(b, f, &r->matches[j]))
			return &r->matches[j].unsupported;
	return NULL;
}

/* False if the rule cannot be compiled; `tell`: reports it. */
static bool can_use(struct mt_build *b, const struct mt_route_for *f, uint32_t i, bool tell)
{
	const struct mt_rule *r = &f->list->rules[i];
	const struct mt_text *bad = f->codec->opaque ? tcp_unsupported(r) : unsupported_of(b, f, r);
	struct mt_route_for of = *f;
	char path[MT_CONF_PATH];

	if (!bad || !tell)
		return !bad;
	of.meta = r->by ? r->by : f->meta;
	snprintf(path, sizeof(path), "spec.%.64s[%u]", list_of(f, r), f->list->made_of ? r->at : i);
	(void)unsupported(b, &of, bad, path);
	return false;
}

bool mt_b_can_route(struct mt_build *b, const struct mt_route_for *f, bool tell)
{
	bool can = true;
	uint32_t i;

	/* Only one rule of a list for bytes is compiled. */
	if (f->codec->opaque)
		return !mt_b_tcp_rule(b, f, &i) || can_use(b, f, i, tell);
	for (i = 0; i < f->list->n_rules; i++)
		can &= can_use(b, f, i, tell);
	return can;
}

int mt_b_route_service(
	struct mt_build *b, const struct mt_route_for *f, struct mt_service *s, uint64_t *hash)
{
	struct mt_route_for named = *f;

	named.service = s->name;
	return f->codec->opaque ? route_bytes(b, &named, s, hash)
				: route_messages(b, &named, s, hash);
}
