/* SPDX-License-Identifier: Apache-2.0 */
/* Access policies: what each selects, how much that is, and what it does there. */
#include "mt_ctl_priv.h"

#include "mt_authz.h"
#include "mt_objects.h"
#include "mt_strmap.h"

#include <stdio.h>

/* A policy and the number of endpoints, and of services of gateways, that evaluate it. */
struct policy {
	const struct mt_object_row *row;
	const struct mt_authorization_policy *calls; /* one of these three is not NULL */
	const struct mt_peer_authentication *peers;
	const struct mt_request_authentication *tokens;
	char by[512]; /* "KIND NAMESPACE/NAME", as in struct mt_authz_policy */
	uint32_t endpoints, at_gateways;
};

/* ---- the policies ---------------------------------------------------------------------------- */

static void *only(const struct mt_objs *l)
{
	return l->n ? l->v[0] : NULL;
}

/* True for policies that deny nothing and only report. */
static bool is_report(const struct policy *p)
{
	const char *dry =
		p->calls ? mt_labels_get(&p->calls->meta.annotations, "istio.io/dry-run") : NULL;

	return p->calls && (p->calls->action.v == MT_POLICY_AUDIT || (dry && !strcmp(dry, "true")));
}

/* True if the row's object is a policy in use; fills *p. */
static bool is_policy(const struct mt_object_row *row, struct policy *p)
{
	const struct mt_object *o = row->used;

	if (!o || !o->part)
		return false;
	*p = (struct policy){.row = row,
		.calls = only(&o->part->authorization_policies),
		.peers = only(&o->part->peer_authentications),
		.tokens = only(&o->part->request_authentications)};
	if (!p->calls && !p->peers && !p->tokens)
		return false;
	snprintf(p->by, sizeof(p->by), "%s %s/%s", o->kind, o->ns, o->name);
	switch (row->status) {
	case MT_OBJECT_IN_FORCE:
	case MT_OBJECT_NOTES:
	case MT_OBJECT_ELSEWHERE:
	case MT_OBJECT_FAIL_CLOSED:
	case MT_OBJECT_LAST_GOOD:
		return true;
	default:
		return row->unenforced || is_report(p);
	}
}

/* ---- endpoints ------------------------------------------------------------------------------- */

/* Adds 1 to `endpoints`, or to `at_gateways`, of each policy of the set. */
static void count_in(const struct mt_strmap *by, const struct mt_authz *set, bool gateway)
{
	for (; set; set = set->also)
		for (uint32_t i = 0; i < set->n_deny + set->n_allow; i++) {
			const struct mt_authz_policy *rule =
				i < set->n_deny ? set->deny[i] : set->allow[i - set->n_deny];
			struct policy *p = mt_strmap_get(by, mt_authz_by(rule));

			if (p && gateway)
				p->at_gateways++;
			else if (p)
				p->endpoints++;
		}
}

/* Subsets have a part of the endpoints of their host's cluster, so that they are not counted. */
static void count(const struct mt_snapshot *s, const struct mt_strmap *by)
{
	for (uint32_t i = 0; s && i < s->n_clusters; i++) {
		const struct mt_cluster *c = &s->clusters[i];

		for (uint32_t k = 0; c->guards && mt_cluster_host(c) && k < c->n_eps; k++)
			if (c->eps[k].guarded)
				count_in(by, c->guards[k], false);
	}
	for (uint32_t i = 0; s && i < s->n_services; i++)
		if (s->services[i]->gate)
			count_in(by, s->services[i]->gate->rules, true);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void put_target(struct mt_text_buf *out, const struct mt_policy_target *t)
{
	mt_text_add(out, "%s%s %s", out->len ? ", " : "", t->kind.s, t->name.s);
}

/* Writes the selection of the policy in its namespace. */
static void put_scope(struct mt_text_buf *out, const struct mt_policy_scope *s)
{
	if (s->target)
		put_target(out, s->target);
	for (uint32_t i = 0; i < s->n_targets; i++)
		put_target(out, &s->targets[i]);
	for (uint32_t i = 0; s->selector && i < s->selector->labels.n_kv; i++)
		mt_text_add(out, "%s%s=%s", i ? "," : "", s->selector->labels.kv[i].key,
			s->selector->labels.kv[i].value);
	if (!out->len)
		mt_text_add(out, "everything");
}

static const char *mode_str(uint32_t mode)
{
	return mode == MT_MTLS_STRICT	    ? "STRICT"
	       : mode == MT_MTLS_PERMISSIVE ? "PERMISSIVE"
	       : mode == MT_MTLS_DISABLE    ? "DISABLE"
					    : "UNSET";
}

static void put_action(struct mt_text_buf *out, const struct policy *p)
{
	static const char *const actions[] = {[MT_POLICY_ALLOW] = "ALLOW",
		[MT_POLICY_DENY] = "DENY",
		[MT_POLICY_AUDIT] = "AUDIT",
		[MT_POLICY_CUSTOM] = "CUSTOM"};

	if (p->calls) {
		mt_text_add(out, "%s", actions[p->calls->action.v]);
		if (p->calls->action.v == MT_POLICY_CUSTOM)
			mt_text_add(out, " %s",
				p->calls->provider.name.s ? p->calls->provider.name.s : "");
		mt_text_add(out, p->calls->n_rules == 1 ? ", %u rule" : ", %u rules",
			p->calls->n_rules);
	} else if (p->peers) {
		mt_text_add(out, "%s", mode_str(p->peers->mtls.mode.v));
		for (uint32_t i = 0; i < p->peers->n_ports; i++)
			mt_text_add(out, ", port %u %s", p->peers->ports[i].port,
				mode_str(p->peers->ports[i].mtls.mode.v));
	} else {
		mt_text_add(out, "tokens of");
		for (uint32_t i = 0; i < p->tokens->n_rules; i++)
			mt_text_add(out, "%s %s", i ? "," : "", p->tokens->rules[i].issuer.s);
	}
}

static json_t *take_text(struct mt_text_buf *b)
{
	json_t *j = mt_json_text(b->p ? b->p : "");

	mt_text_fini(b);
	return j;
}

static const char *mode_of(const struct policy *p)
{
	if (p->row->unenforced)
		return "exempt";
	if (is_report(p))
		return "report only";
	return p->row->status == MT_OBJECT_ELSEWHERE	 ? "by other proxies"
	       : p->row->status == MT_OBJECT_FAIL_CLOSED ? "fails closed"
							 : "enforced";
}

/* Number of services: those of its endpoints, or of the gateways that evaluate it. */
static uint32_t services_of(const struct policy *p)
{
	return p->row->n_touches ? p->row->n_touches : p->at_gateways;
}

static json_t *row_of(const struct policy *p)
{
	const struct mt_policy_scope *scope = p->calls	 ? &p->calls->scope
					      : p->peers ? &p->peers->scope
							 : &p->tokens->scope;
	const struct mt_object *o = p->row->used;
	struct mt_text_buf selects = {0}, action = {0};

	put_scope(&selects, scope);
	put_action(&action, p);
	return mt_json_object(MT_M("kind", o->kind), MT_M("namespace", o->ns),
		MT_M("name", o->name), MT_M("selects", take_text(&selects)),
		MT_M("action", take_text(&action)), MT_M("mode", mode_of(p)),
		MT_M("services", services_of(p)),
		MT_M("endpoints", p->tokens ? json_null() : json_integer(p->endpoints)),
		MT_M("status", mt_object_status_str(p->row->status)),
		MT_M("origin", mt_json_origin(o->origin.file, o->origin.line)));
}

json_t *mt_show_policies(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_object_table *t = c->env.objects ? c->env.objects(c->env.arg) : NULL;
	struct policy *v = calloc(t ? t->n + 1 : 1, sizeof(*v));
	json_t *list = json_array();
	struct mt_strmap by = {0};
	uint32_t n = 0;

	if (t)
		mt_table_touch(t);
	for (uint32_t i = 0; v && t && i < t->n; i++)
		n += is_policy(&t->rows[i], &v[n]);
	for (uint32_t i = 0; i < n; i++)
		(void)mt_strmap_put(&by, v[i].by, &v[i], NULL);
	count(mt_ctl_snapshot(c), &by);
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(list, row_of(&v[i]));
	mt_strmap_fini(&by);
	free(v);
	return mt_json_object(MT_M("policies", list));
}
