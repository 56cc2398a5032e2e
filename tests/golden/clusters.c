/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters with their endpoints, priorities, limits and tables. */
#include "golden.h"
#include "mt_authz.h"
#include "mt_lend.h"
#include "mt_snapshot.h"
#include "mt_tls_priv.h"

const char *golden_cluster_name(const struct mt_snapshot *s, uint32_t at)
{
	if (at == MT_ROUTE_NO_CLUSTER)
		return "(unknown)";
	return at < s->n_clusters ? s->clusters[at].name : "(beyond the clusters)";
}

/* In their order: priorities are ranges of it, and round robin follows it. */
static json_t *endpoints(const struct mt_cluster *c)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->n_eps; i++) {
		const struct mt_endpoint *e = &c->eps[i];
		const char *zone = mt_endpoint_zone(c, e);
		char name[MT_ADDR_STRLEN];

		add_text(list, "%s weight %u%s%s%s%s", mt_endpoint_name(e, name), e->weight,
			zone ? " zone " : "", zone ? zone : "",
			e->drain || e->state->draining ? " draining" : "", e->tls ? " by TLS" : "");
	}
	return list;
}

/* What is built of endpoints, weights and the balancer: sizes tell that it was built, and of what. */
static void put_tables(json_t *to, const struct mt_cluster *c)
{
	put_number(to, "maglev slots", c->maglev.size);
	put_number(to, "ring points", c->ring.n);
	put_number(to, "weighted turns", c->wseq.n);
}

/* As workers see them: each a cluster of its own. */
static json_t *priorities(const struct mt_cluster *c)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->n_levels; i++) {
		const struct mt_lb_level *l = &c->levels[i];
		json_t *one = json_object();

		json_object_set_new(one, "percent of calls", json_integer(l->load));
		json_object_set_new(one, "first endpoint", json_integer(l->first));
		put_json(one, "endpoints", endpoints(&l->in));
		put_text(one, "balancer", mt_lb_str(l->in.lb));
		put_tables(one, &l->in);
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *hash_keys(const struct mt_cluster *c)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->n_hash_keys; i++)
		add_text(list, "%s%s", c->hash_keys[i].name,
			c->hash_keys[i].id < 0 ? "" : " (known)");
	return list;
}

static json_t *retry_budget(const struct mt_retry_budget *b)
{
	json_t *j = json_object();

	if (b->bound == MT_RETRY_BOUND_SHARE)
		json_object_set_new(j, "1/100 % of calls", json_integer(b->share));
	json_object_set_new(
		j, b->bound == MT_RETRY_BOUND_SHARE ? "at least" : "at most", json_integer(b->n));
	return j;
}

static json_t *warmup(const struct mt_warmup_rule *r)
{
	json_t *one = json_object();

	put_number(one, "ms", r->ms);
	put_number(one, "hundredths of a percent at first", r->least);
	put_number(one, "hundredths of aggression", r->aggression);
	return one;
}

static json_t *outlier(const struct mt_outlier_rule *o)
{
	json_t *one = json_object();

	put_number(one, "failures", o->failures);
	put_number(one, "errors", o->errors);
	put_number(one, "base_ms", o->base_ms);
	put_number(one, "max_ms", o->max_ms);
	put_number(one, "percent ejected at most", o->most);
	return one;
}

/* Who may call each endpoint that is guarded: the objects, in the order in which they are asked. */
static json_t *guards(const struct mt_cluster *c)
{
	json_t *list = json_array();

	for (uint32_t i = 0; c->guards && i < c->n_eps; i++) {
		const struct mt_authz_tokens *t = c->guards[i] ? c->guards[i]->tokens : NULL;
		char name[MT_ADDR_STRLEN];

		if (golden_details && c->guards[i])
			json_array_append_new(list, golden_rules(c->guards[i]));
		for (uint32_t k = 0; t && k < t->rules->n; k++)
			add_text(list, "%s verifies tokens by %s",
				mt_endpoint_name(&c->eps[i], name), t->rules->rules[k].by);
		for (const struct mt_authz *a = c->guards[i]; a; a = a->also) {
			for (uint32_t k = 0; k < a->n_deny; k++)
				add_text(list, "%s %s %s", mt_endpoint_name(&c->eps[i], name),
					a->deny[k]->action == MT_AUTHZ_CLOSE ? "closes" : "denies",
					a->deny[k]->by);
			for (uint32_t k = 0; k < a->n_allow; k++)
				add_text(list, "%s allows %s", mt_endpoint_name(&c->eps[i], name),
					a->allow[k]->by);
		}
	}
	return list;
}

json_t *golden_gate(const struct mt_gate_guard *g)
{
	const struct mt_authz_tokens *t = g ? g->rules->tokens : NULL;
	json_t *list = json_array();

	if (golden_details && g)
		json_array_append_new(list, golden_rules(g->rules));
	for (uint32_t k = 0; t && k < t->rules->n; k++)
		add_text(list, "%u verifies tokens by %s", g->port, t->rules->rules[k].by);
	for (const struct mt_authz *a = g ? g->rules : NULL; a; a = a->also) {
		for (uint32_t k = 0; k < a->n_deny; k++)
			add_text(list, "%u %s %s", g->port,
				a->deny[k]->action == MT_AUTHZ_CLOSE ? "closes" : "denies",
				a->deny[k]->by);
		for (uint32_t k = 0; k < a->n_allow; k++)
			add_text(list, "%u allows %s", g->port, a->allow[k]->by);
	}
	return list;
}

/* As it goes over the wire: lengths before names. */
static json_t *protocols(const struct mt_tls_context *t)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < t->alpn_len; i += 1u + t->alpn[i])
		add_text(list, "%.*s", (int)t->alpn[i], (const char *)t->alpn + i + 1);
	return list;
}

void put_tls_identity(json_t *to, const struct mt_tls_context *c)
{
	if (golden_numbers || golden_details)
		put_number(to, "TLS's", mt_tls_context_id(c));
}

static json_t *tls(const struct mt_tls_context *t)
{
	json_t *one = json_object(), *names = json_array();

	for (uint32_t i = 0; i < t->n_sans; i++)
		add_text(names, "%s%s", t->sans[i].text, t->sans[i].prefix ? "*" : "");
	put_text(one, "server name", t->sni);
	put_json(one, "protocols", protocols(t));
	put_true(one, "any certificate", t->trust == MT_TLS_ANYBODY);
	put_json(one, "names", names);
	put_true(one, "shows a certificate", t->credential->chain != NULL);
	return one;
}

static json_t *lend(const struct mt_lend *l)
{
	json_t *list = json_array();
	char text[MT_ADDR_STRLEN];

	for (uint32_t i = 0; i < l->n_prefixes; i++)
		add_text(list, "%s/%u", mt_addr_str(&l->prefixes[i].addr, text),
			l->prefixes[i].bits);
	for (uint32_t i = 0; i < l->n_principals; i++)
		add_text(list, "%.*s", (int)l->principals[i].len, (const char *)l->principals[i].p);
	return list;
}

static json_t *held(const struct mt_cluster *c)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < c->lend->n_held; i++)
		add_text(list, "%.*s%s", (int)c->lend->held[i].len,
			(const char *)c->lend->held[i].p, c->as[i] ? "" : ": cannot be had");
	return list;
}

static json_t *cluster(const struct mt_cluster *c)
{
	json_t *one = json_object();

	put_text(one, "name", c->name);
	put_identity(one, "id", c->id);
	put_identity(one, "index", c->index + 1);
	for (uint32_t i = 0; i < c->n_eps; i++) {
		char name[MT_ADDR_STRLEN];

		put_identity(one, mt_endpoint_name(&c->eps[i], name), c->eps[i].state->index + 1);
	}
	put_file(one, c->file, 0);
	put_text(one, "endpoints' resource", c->endpoints_resource);
	put_text(one, "closed by", c->closed_by ? c->closed_by->by : NULL);
	put_text(one, "balancer", mt_lb_str(c->lb));
	put_true(one, "hashes by source", c->hash_by == MT_LB_HASH_SOURCE);
	put_json(one, "hashes by", hash_keys(c));
	put_number(one, "ring_min", c->ring_min);
	put_number(one, "ring_max", c->ring_max);
	put_tables(one, c);
	put_json(one, "endpoints", endpoints(c));
	if (c->tls) {
		put_json(one, "TLS", tls(c->tls));
		put_tls_identity(one, c->tls);
	}
	if (c->lend)
		put_json(one, "lent to", lend(c->lend));
	if (c->as)
		put_json(one, "by callers' own", held(c));
	if (c->unlent)
		put_json(one, "to others", endpoints(c->unlent));
	put_text(one, "closed by", c->closed_by ? c->closed_by->by : NULL);
	put_json(one, "guards", guards(c));
	put_number(one, "out of rotation", c->n_out);
	put_json(one, "priorities", priorities(c));
	put_json(one, "outlier", outlier(&c->outlier));
	put_number(one, "percent in rotation at least", c->min_health);
	if (c->warmup)
		put_json(one, "warm-up", warmup(&c->warmup->rule));
	put_number(one, "connect_ms", c->connect_ms);
	put_number(one, "max_connections", c->max_connections);
	put_number(one, "max_outstanding", c->max_outstanding);
	put_number(one, "max_pending", c->max_pending);
	if (c->retry_budget.bound)
		put_json(one, "retry budget", retry_budget(&c->retry_budget));
	put_true(one, "multiplexing", c->multiplexing);
	put_true(one, "on demand", c->demand != NULL);
	put_number(one, "demand_ms", c->demand_ms);
	return one;
}

json_t *golden_clusters(const struct mt_snapshot *s)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < s->n_clusters; i++)
		json_array_append_new(list, cluster(&s->clusters[i]));
	return sorted(list, "name");
}
