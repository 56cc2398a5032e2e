/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds what one caller may call. lib/authz evaluates the conditions of each rule whose data are
 * known (identity, address, port). The other conditions depend on the call, so a rule matches all
 * calls of the caller, some, or none.
 */
#include "mt_analyse_priv.h"

#include "mt_lend.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Policies that one sentence names, at most. */
#define NAMES_MAX 5u

enum may { NOTHING, SOME, ALL };

struct caller {
	struct mt_analysis *a;
	struct mt_region scratch; /* memory for the evaluation of one rule */
	struct mt_slice principal;
	const struct mt_addr *from; /* NULL: any address */
	bool vouched;		    /* a workload port identifies callers from that address */
	/* The last lookup, as instances of one service are adjacent. */
	const struct mt_cluster *cluster;
	const char *host;
	uint16_t port;
};

/* The rule that decides, and for which calls. */
struct verdict {
	enum may may;
	const struct mt_authz_policy *by; /* NULL: no policy */
	const struct mt_authz_rule *rule; /* NULL: no rule of the policy */
	const char *why;		  /* a reason other than a policy */
};

/* ---- one rule -------------------------------------------------------------------------------- */

static bool is_told(
	const struct caller *c, const struct mt_audit_row *at, const struct mt_authz_cond *w)
{
	static const struct mt_addr nowhere;

	switch ((enum mt_authz_field)w->field) {
	case MT_AUTHZ_PEER:
		return c->from != NULL;
	case MT_AUTHZ_SERVER:
		return memcmp(&at->addr, &nowhere, sizeof(nowhere)) != 0;
	case MT_AUTHZ_PORT:
	case MT_AUTHZ_PRINCIPAL:
	case MT_AUTHZ_NAMESPACE:
	case MT_AUTHZ_ACCOUNT:
	case MT_AUTHZ_TRUST_DOMAIN:
	case MT_AUTHZ_NOBODY:
	case MT_AUTHZ_CLEAR:
		return true;
	default:
		return false;
	}
}

/* Copies the conditions whose data are known; *rest: there are others. */
static struct mt_authz_conds told(
	struct caller *c, const struct mt_audit_row *at, const struct mt_authz_conds *l, bool *rest)
{
	struct mt_authz_conds out = {0};

	for (uint32_t i = 0; l && i < l->n; i++) {
		struct mt_authz_cond *w;

		if (!is_told(c, at, &l->v[i])) {
			*rest = true;
			continue;
		}
		w = mt_region_push(&c->scratch, (void **)&out.v, &out.n, sizeof(*w));
		if (w)
			*w = l->v[i];
	}
	return out;
}

static enum may judge(
	struct caller *c, const struct mt_audit_row *at, const struct mt_authz_rule *r, bool denies)
{
	struct mt_authz_rule copy = *r;
	struct mt_authz_policy p = {
		.action = denies ? MT_AUTHZ_DENY : MT_AUTHZ_ALLOW, .rules = &copy, .n_rules = 1};
	struct mt_authz_policy *one = &p;
	struct mt_authz_call call = {.server = at->addr,
		.server_port = at->server_port,
		.service_port = at->port,
		.principal = c->principal,
		.mtls = c->principal.p,
		.unnamed = c->vouched && !c->principal.p};
	const struct mt_authz_policy *by;
	struct mt_authz *set = mt_authz_set(&c->scratch, &one, 1, NULL);

	if (c->from)
		call.peer = *c->from;
	switch (set ? mt_authz_judge(set, &call, &by) : MT_AUTHZ_UNREAD) {
	case MT_AUTHZ_ALLOWED:
		return denies ? NOTHING : ALL;
	case MT_AUTHZ_DENIED:
		return denies ? ALL : NOTHING;
	case MT_AUTHZ_UNREAD:
		/* Of the known conditions, only those on the caller's name are unread. */
		if (call.unnamed)
			return denies ? ALL : NOTHING;
		return SOME;
	default:
		return SOME;
	}
}

static enum may fits_part(struct caller *c, const struct mt_audit_row *at,
	const struct mt_authz_rule *r, uint32_t f, uint32_t t, bool denies)
{
	bool rest = false;
	struct mt_authz_conds from = told(c, at, r->n_from ? &r->from[f] : NULL, &rest),
			      to = told(c, at, r->n_to ? &r->to[t] : NULL, &rest);
	const struct mt_authz_rule known = {.from = &from,
		.n_from = r->n_from ? 1 : 0,
		.to = &to,
		.n_to = r->n_to ? 1 : 0,
		.when = told(c, at, &r->when, &rest)};
	enum may m = judge(c, at, &known, denies);

	return m == ALL && rest ? SOME : m;
}

/* Steps to evaluate a rule: each conjunction is compiled and evaluated. */
static uint64_t cost(const struct mt_authz_rule *r)
{
	return mt_an_cost(r) + (uint64_t)MT_MAX(r->n_from, 1u) * MT_MAX(r->n_to, 1u) * MT_AN_WORD;
}

static enum may fits(
	struct caller *c, const struct mt_audit_row *at, const struct mt_authz_rule *r, bool denies)
{
	enum may most = NOTHING;

	if (!mt_an_may(c->a, cost(r)))
		return NOTHING;
	mt_region_init(&c->scratch, 0);
	for (uint32_t f = 0; f < MT_MAX(r->n_from, 1u); f++)
		for (uint32_t t = 0; t < MT_MAX(r->n_to, 1u) && most != ALL; t++)
			most = MT_MAX(most, fits_part(c, at, r, f, t, denies));
	c->a->region.failed |= c->scratch.failed;
	mt_region_fini(&c->scratch);
	return most;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/*
 * The rule that matches most calls of the caller; only of policies with a provider (`asks`), or
 * only of those without.
 */
static struct verdict best(struct caller *c, const struct mt_audit_row *at,
	const struct mt_authz_policy *const *v, uint32_t n, bool denies, bool asks)
{
	struct verdict out = {.may = NOTHING, .by = n ? v[0] : NULL};

	for (uint32_t i = 0; i < n; i++) {
		if ((v[i]->asks != NULL) != asks)
			continue;
		for (uint32_t k = 0; k < v[i]->n_rules; k++) {
			enum may m = fits(c, at, &v[i]->rules[k], denies);

			if (m > out.may)
				out = (struct verdict){m, v[i], &v[i]->rules[k], NULL};
		}
	}
	return out;
}

static struct verdict judge_list(
	struct caller *c, const struct mt_audit_row *at, const struct mt_authz *l)
{
	struct verdict deny = best(c, at, l->deny, l->n_deny, true, false),
		       asked = best(c, at, l->deny, l->n_deny, true, true), allow;
	const char *names = "";

	if (deny.may == ALL) {
		deny.may = NOTHING;
		return deny;
	}
	allow = best(c, at, l->allow, l->n_allow, false, false);
	for (uint32_t i = 0; names && i < l->n_allow && i < NAMES_MAX; i++)
		names = mt_region_printf(&c->a->region, "%s%s%s", names, i ? ", " : "",
			i + 1 == NAMES_MAX ? "..." : l->allow[i]->by);
	allow.why = names;
	if (l->n_allow == 0)
		allow = (struct verdict){.may = ALL, .why = "no policy of ALLOW is about it"};
	/* Calls that policies allow also need the provider's decision. */
	if (allow.may != NOTHING && asked.may != NOTHING) {
		asked.may = SOME;
		return asked;
	}
	if (allow.may == ALL && deny.may == SOME) {
		deny.may = SOME;
		return deny;
	}
	return allow;
}

static const struct mt_cluster *cluster_of(struct caller *c, const struct mt_audit_row *at)
{
	const struct mt_snapshot *s = c->a->in->snap;
	char name[512];

	if (c->host == at->host && c->port == at->port)
		return c->cluster;
	snprintf(name, sizeof(name), "outbound|%u||%s", at->port, at->host);
	c->cluster = NULL;
	for (uint32_t i = 0; mt_an_may(c->a, 1) && i < s->n_clusters && !c->cluster; i++)
		if (strcmp(s->clusters[i].name, name) == 0)
			c->cluster = &s->clusters[i];
	c->host = at->host;
	c->port = at->port;
	return c->cluster;
}

/* Why the node cannot call the service for the caller; NULL: it can. */
static const char *unreached(struct caller *c, const struct mt_audit_row *at)
{
	static const struct mt_addr nowhere;
	const struct mt_cluster *cl = cluster_of(c, at);

	if (at->class != MT_INSTANCE_MESHED || !cl)
		return NULL;
	if (cl->n_eps == 0 && !cl->closed_by && memcmp(&at->addr, &nowhere, sizeof(nowhere)) != 0)
		return "its endpoints require mutual TLS, and this node has no identity";
	if (cl->lend && mt_cluster_shows(cl, c->from ? c->from : &nowhere, c->principal, false) < 0)
		return "its endpoints require mutual TLS, and this caller may not use the node's "
		       "identity (spec.mesh.nodeIdentityUse)";
	return NULL;
}

static struct verdict judge_row(struct caller *c, const struct mt_audit_row *at)
{
	struct verdict out = {.may = ALL, .why = "no policy is about it"};
	const char *why = unreached(c, at);

	if (why)
		return (struct verdict){.may = NOTHING, .why = why};
	for (const struct mt_authz *l = at->rules; l; l = l->also) {
		struct verdict v = judge_list(c, at, l);

		if (l == at->rules || v.may < out.may)
			out = v;
	}
	return out;
}

/* ---- output ---------------------------------------------------------------------------------- */

static const char *value_text(struct mt_analysis *a, const struct mt_authz_value *v)
{
	const char *star_before = v->match == MT_AUTHZ_SUFFIX ? "*" : "",
		   *star_behind = v->match == MT_AUTHZ_PREFIX ? "*" : "";

	if (v->match == MT_AUTHZ_PRESENT || v->match == MT_AUTHZ_NONEMPTY)
		return "*";
	return mt_region_printf(&a->region, "%s%.*s%s", star_before, (int)v->text.len,
		(const char *)v->text.p, star_behind);
}

static const char *list_text(
	struct mt_analysis *a, const struct mt_authz_value *v, uint32_t n, const char *text)
{
	for (uint32_t i = 0; text && i < n; i++)
		text = mt_region_printf(
			&a->region, "%s%s%s", text, i ? ", " : " ", value_text(a, &v[i]));
	return text;
}

static const char *cond_text(struct mt_analysis *a, const struct mt_authz_cond *w)
{
	static const char *const names[] = {[MT_AUTHZ_PEER] = "from",
		[MT_AUTHZ_METHOD] = "methods",
		[MT_AUTHZ_INTERFACE] = "interfaces",
		[MT_AUTHZ_PATH] = "paths"};
	const char *name = w->field < MT_ARRAY_LEN(names) ? names[w->field] : NULL, *text;

	if (w->field == MT_AUTHZ_METADATA)
		name = mt_region_printf(&a->region, "metadata %s", w->key.name ? w->key.name : "");
	if (w->field == MT_AUTHZ_SNI)
		name = "server name";
	if (w->field == MT_AUTHZ_PEER)
		return "some addresses";
	if (!name)
		return NULL;
	text = w->n_values ? list_text(a, w->values, w->n_values, name) : name;
	if (w->n_nots)
		text = list_text(a, w->nots, w->n_nots,
			mt_region_printf(&a->region, "%s%s", text, w->n_values ? ", not" : " but"));
	return text;
}

static const char *conds_text(struct mt_analysis *a, const struct caller *c,
	const struct mt_audit_row *at, const struct mt_authz_conds *l, const char *text)
{
	for (uint32_t i = 0; text && i < l->n; i++) {
		const char *one = is_told(c, at, &l->v[i]) ? NULL : cond_text(a, &l->v[i]);

		if (one)
			text = mt_region_printf(&a->region, "%s%s%s", text, *text ? "; " : "", one);
	}
	return text;
}

/* Describes the rule's conditions on the call. */
static const char *which(
	const struct caller *c, const struct mt_audit_row *at, const struct mt_authz_rule *r)
{
	const char *text = "";

	for (uint32_t i = 0; i < r->n_to; i++)
		text = conds_text(c->a, c, at, &r->to[i], text);
	text = conds_text(c->a, c, at, &r->when, text);
	return text && *text ? text : "some calls";
}

static const char *rule_text(const struct caller *c, const struct verdict *v)
{
	const struct mt_object_row *row = v->by ? mt_an_row(c->a, v->by->serial) : NULL;

	if (!v->by)
		return v->why;
	if (!v->rule)
		return mt_region_printf(&c->a->region, "no rule of ALLOW fits (%s)", v->why);
	if (!row)
		return v->by->by;
	return mt_region_printf(&c->a->region, "%s (%s:%u)", v->by->by, row->o->origin.file,
		v->rule->line ? v->rule->line : row->o->origin.line);
}

static json_t *text(const char *s)
{
	json_t *j = s ? json_string(s) : json_null();

	return j ? j : json_string("?");
}

static json_t *row_json(struct caller *c, const struct mt_audit_row *at)
{
	static const char *const words[] = {"nothing", "methods", "all"};
	struct verdict v = judge_row(c, at);
	bool denies = v.by && v.by->action != MT_AUTHZ_ALLOW;
	const char *some = v.may == SOME && v.rule ? which(c, at, v.rule) : NULL;

	if (some && v.by->asks)
		some = "the calls that an external authorization service allows";
	else if (some && denies)
		some = mt_region_printf(&c->a->region, "all but: %s", some);
	return json_pack("{s:o, s:i, s:s, s:o, s:o}", "service", text(at->host), "port",
		(int)at->port, "may", words[v.may], "which", text(some), "rule",
		text(rule_text(c, &v)));
}

static bool is_there(const json_t *list, const json_t *row)
{
	size_t i;
	json_t *other;

	json_array_foreach(list, i, other)
	{
		if (json_equal(other, row))
			return true;
	}
	return false;
}

static json_t *all_rows(struct caller *c)
{
	const struct mt_audit *all = c->a->in->audit;
	json_t *list = json_array();
	const char *host = NULL;
	json_t *of_host = NULL;

	for (uint32_t i = 0; i < all->n_rows; i++) {
		json_t *row = row_json(c, &all->rows[i]);

		/* When the limit on steps was reached, the row may be wrong: leave it out. */
		if (c->a->bounded) {
			json_decref(row);
			break;
		}
		/* Instances with the same result share a row; rows of a host are adjacent. */
		if (!host || strcmp(host, all->rows[i].host) != 0) {
			json_decref(of_host);
			of_host = json_array();
			host = all->rows[i].host;
		}
		if (mt_an_may(c->a, json_array_size(of_host) * MT_AN_WORD) &&
			!is_there(of_host, row)) {
			json_array_append(of_host, row);
			json_array_append(list, row);
		}
		json_decref(row);
	}
	json_decref(of_host);
	return list;
}

json_t *mt_analyse_principal(
	const struct mt_analyse_in *in, const char *principal, const struct mt_addr *from)
{
	const struct mt_bound *bound =
		in->snap && from ? mt_snapshot_bound_at(in->snap, from) : NULL;
	struct mt_analysis a;
	struct caller c = {.a = &a, .from = from, .vouched = bound};
	char none[512] = "none: plaintext";
	json_t *list = NULL;

	/* Without a certificate, the caller is the workload at that address. */
	if (!*principal && bound && bound->principal)
		principal = bound->principal;
	else if (bound && bound->why)
		snprintf(none, sizeof(none), "none: %s", bound->why);
	if (*principal)
		c.principal =
			(struct mt_slice){(const uint8_t *)principal, (uint32_t)strlen(principal)};
	mt_an_begin(&a, in);
	if (a.m)
		list = all_rows(&c);
	if (a.region.failed) {
		json_decref(list);
		list = NULL;
	}
	mt_an_end(&a);
	return list ? json_pack("{s:s, s:b, s:o}", "principal", *principal ? principal : none,
			      "bounded", a.bounded, "calls", list)
		    : NULL;
}
