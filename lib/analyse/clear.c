/* SPDX-License-Identifier: Apache-2.0 */
/* Checks services as a whole: which policies apply, and what is called in plaintext. */
#include "mt_analyse_priv.h"

#include "mt_lend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One port of a service. */
struct service {
	const struct mt_audit_row *first;
	uint32_t classes[MT_INSTANCE_CLASSES];
	uint32_t guarded, strict, disabled;   /* of instances that are not outside */
	uint32_t allowed;		      /* of these: policies specify who may call */
	uint32_t tls, clear, unreached, lend; /* how clients here call the instances */
};

struct services {
	struct service **v;
	uint32_t n;
	struct mt_strmap by_name; /* "HOST PORT" */
};

static const char *name_of(struct mt_analysis *a, const char *host, uint16_t port)
{
	return mt_region_printf(&a->region, "outbound|%u||%s", port, host);
}

static struct service *service_of(
	struct mt_analysis *a, struct services *all, const struct mt_audit_row *r)
{
	const char *key = name_of(a, r->host, r->port);
	struct service *s = key ? mt_strmap_get(&all->by_name, key) : NULL, **slot;

	if (s || !key)
		return s;
	s = mt_region_alloc(&a->region, sizeof(*s));
	slot = mt_region_push(&a->region, (void **)&all->v, &all->n, sizeof(*slot));
	if (!s || !slot)
		return NULL;
	*slot = s;
	s->first = r;
	(void)mt_strmap_put(&all->by_name, key, s, NULL);
	return s;
}

static bool is_guarded(const struct mt_audit_row *r)
{
	return r->rules && !mt_authz_is_idle(r->rules);
}

/* True if a policy of ALLOW specifies who may call, or a DENY denies all. */
static bool says_who(const struct mt_authz *rules)
{
	for (; rules; rules = rules->also) {
		if (rules->n_allow)
			return true;
		for (uint32_t i = 0; i < rules->n_deny; i++)
			for (uint32_t k = 0; k < rules->deny[i]->n_rules; k++)
				if (mt_an_rule_is_empty(&rules->deny[i]->rules[k]))
					return true;
	}
	return false;
}

static void gather(struct mt_analysis *a, struct services *all)
{
	const struct mt_audit *audit = a->in->audit;
	const struct mt_snapshot *snap = a->in->snap;

	for (uint32_t i = 0; i < audit->n_rows; i++) {
		const struct mt_audit_row *r = &audit->rows[i];
		struct service *s = service_of(a, all, r);

		if (!s)
			return;
		s->classes[r->class]++;
		if (r->class == MT_INSTANCE_OUTSIDE)
			continue;
		s->guarded += is_guarded(r);
		s->allowed += says_who(r->rules);
		s->strict += r->mode == MT_MTLS_STRICT;
		s->disabled += r->mode == MT_MTLS_DISABLE;
	}
	for (uint32_t i = 0; i < snap->n_clusters; i++) {
		const struct mt_cluster *c = &snap->clusters[i];
		struct service *s = mt_strmap_get(&all->by_name, c->name);

		if (!s)
			continue;
		for (uint32_t k = 0; k < c->n_eps; k++) {
			s->tls += c->eps[k].tls;
			s->clear += !c->eps[k].tls;
		}
		s->lend += mt_cluster_need_lend(c);
	}
}

/* ---- open ------------------------------------------------------------------------------------ */

static uint32_t inside(const struct service *s)
{
	return s->classes[MT_INSTANCE_BARE] + s->classes[MT_INSTANCE_MESHED];
}

/*
 * True if some instance has no restriction. Without any AuthorizationPolicy here, instances with
 * sidecars do not count, because their policies may be elsewhere.
 */
static bool is_open(const struct mt_analysis *a, const struct service *s)
{
	if (s->classes[MT_INSTANCE_BARE] == 0 && a->m->authorization_policies.n == 0)
		return false;
	return inside(s) && s->guarded < inside(s);
}

static void check(struct mt_analysis *a, const struct service *s)
{
	if (!is_open(a, s))
		return;
	if (s->guarded == 0)
		mt_an_found(a, MT_FINDING_ID_open_service, &s->first->se->meta, 0,
			"every client may call %s:%u", s->first->host, s->first->port);
	else
		mt_an_found(a, MT_FINDING_ID_open_service, &s->first->se->meta, 0,
			"every client may call %u of the %u endpoints of %s:%u",
			inside(s) - s->guarded, inside(s), s->first->host, s->first->port);
}

/* ---- outside by default ---------------------------------------------------------------------- */

static bool would_select(
	const struct mt_audit_row *r, const struct mt_meta *m, const struct mt_policy_scope *scope)
{
	return strcmp(m->ns, r->of->ns) == 0 && !scope->target && !scope->n_targets &&
	       (!scope->selector || mt_labels_match(&scope->selector->labels, &r->labels));
}

/*
 * A policy of the instance's namespace that would select it. Policies of the root namespace do not
 * count, because they are for whatever is in the mesh.
 */
static const struct mt_meta *would_be_about(
	const struct mt_analysis *a, const struct mt_audit_row *r)
{
	for (uint32_t i = 0; i < a->m->authorization_policies.n; i++) {
		const struct mt_authorization_policy *p = a->m->authorization_policies.v[i];

		if (would_select(r, &p->meta, &p->scope))
			return &p->meta;
	}
	return NULL;
}

static void check_outside(struct mt_analysis *a, const struct mt_audit_row *r)
{
	const struct mt_meta *by;

	/* A service that is resolved by DNS is outside anyway. */
	if (r->class != MT_INSTANCE_OUTSIDE || r->se->location.set || r->se->kubernetes ||
		r->se->resolution.v >= MT_RESOLUTION_DNS)
		return;
	if (!mt_an_may(a, a->m->authorization_policies.n))
		return;
	by = would_be_about(a, r);
	if (by)
		mt_an_found(a, MT_FINDING_ID_outside_by_default, &r->se->meta, 0,
			"%s is outside of the mesh, as `location` is not written; %s %s/%s would "
			"be about "
			"it",
			r->host, by->kind, by->ns, by->name);
}

/* ---- forwarded ports ------------------------------------------------------------------------- */

static const struct mt_meta *meta_of(const struct mt_analysis *a, const char *host)
{
	for (uint32_t i = 0; i < a->m->service_entries.n; i++) {
		const struct mt_service_entry *se = a->m->service_entries.v[i];

		if (se->n_hosts && strcmp(se->hosts[0].s, host) == 0)
			return &se->meta;
	}
	return NULL;
}

/* Each port once, at whatever addresses it is. */
static void check_forwarded(struct mt_analysis *a)
{
	const struct mt_snapshot *s = a->in->snap;

	for (uint32_t i = 0; i < s->n_forwards; i++) {
		const struct mt_forward *f = &s->forwards[i];
		const struct mt_meta *meta = meta_of(a, f->service);
		uint32_t k = 0;

		while (s->forwards[k].cluster != f->cluster)
			k++;
		if (k == i && meta && !s->clusters[f->cluster].closed_by)
			mt_an_found(a, MT_FINDING_ID_forwarded_port, meta, f->line,
				"port %u of %s is forwarded by %s", f->port, f->service,
				mt_forwarding_str(f->mode));
	}
}

void mt_an_clear(struct mt_analysis *a)
{
	struct services all = {0};

	gather(a, &all);
	for (uint32_t i = 0; i < all.n; i++)
		check(a, all.v[i]);
	for (uint32_t i = 0; i < a->in->audit->n_rows; i++)
		check_outside(a, &a->in->audit->rows[i]);
	check_forwarded(a);
	mt_strmap_fini(&all.by_name);
}

/* ---- a row for each service ------------------------------------------------------------------ */

/* What callers may use: mutual TLS, plaintext, or both. */
static const char *callers(const struct mt_analysis *a, const struct service *s)
{
	if (inside(s) && s->strict == inside(s))
		return "mutual TLS";
	if (!a->in->identity || inside(s) == 0 || s->disabled == inside(s))
		return "plaintext";
	return "plaintext or mutual TLS";
}

/*
 * How the node calls the instances. For an external name that is not resolved yet, the
 * DestinationRule decides.
 */
static const char *called(const struct service *s)
{
	const struct mt_tls_settings *t = mt_an_settings_of(s->first->policy, s->first->port);

	if (!s->tls && !s->clear && s->first->class == MT_INSTANCE_OUTSIDE)
		return t && t->mode.set && t->mode.v != MT_TLS_DISABLE ? "TLS" : "plaintext";
	if (s->tls && s->clear)
		return "plaintext and TLS";
	return s->tls ? "TLS" : s->clear ? "plaintext" : "not called";
}

static json_t *text(const char *s)
{
	json_t *j = json_string(s);

	return j ? j : json_string("?");
}

/* How far the service is restricted, in one word. */
static const char *guarded(const struct mt_analysis *a, const struct service *s)
{
	if (inside(s) == 0)
		return "outside";
	if (s->guarded == 0)
		return "open";
	if (is_open(a, s))
		return "in part";
	if (s->allowed == inside(s))
		return "yes";
	return s->strict == inside(s) ? "members" : "all but";
}

static json_t *service_json(const struct mt_analysis *a, const struct service *s)
{
	const struct mt_meta *m = &s->first->se->meta;
	char where[600];

	snprintf(where, sizeof(where), "%s:%u", m->origin.file ? m->origin.file : "",
		m->origin.line);
	return json_pack("{s:o, s:i, s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:o}", "service",
		text(s->first->host), "port", (int)s->first->port, "protocol",
		s->first->codec->name, "guarded", guarded(a, s), "callers", callers(a, s),
		"instances", called(s), "without_proxies", (int)s->classes[MT_INSTANCE_BARE],
		"with_proxies", (int)s->classes[MT_INSTANCE_MESHED], "outside",
		(int)s->classes[MT_INSTANCE_OUTSIDE], "need_node_identity", (int)s->lend, "where",
		text(where));
}

static int by_name(const void *x, const void *y)
{
	const struct service *const *a = x, *const *b = y;
	int c = strcmp((*a)->first->host, (*b)->first->host);

	return c ? c : (int)(*a)->first->port - (int)(*b)->first->port;
}

json_t *mt_an_services_json(struct mt_analysis *a)
{
	struct services all = {0};
	json_t *list = json_array();

	gather(a, &all);
	if (all.n)
		qsort(all.v, all.n, sizeof(*all.v), by_name);
	for (uint32_t i = 0; i < all.n; i++)
		json_array_append_new(list, service_json(a, all.v[i]));
	mt_strmap_fini(&all.by_name);
	return list;
}
