/* SPDX-License-Identifier: Apache-2.0 */
/* Checks each AuthorizationPolicy by itself, as it is written. */
#include "mt_analyse_priv.h"

#include <string.h>

bool mt_an_is_enforced(const struct mt_authorization_policy *p)
{
	const char *dry = mt_labels_get(&p->meta.annotations, "istio.io/dry-run");

	return p->action.v != MT_POLICY_AUDIT && !(dry && strcmp(dry, "true") == 0);
}

static bool is_empty(const struct mt_policy_rule *r)
{
	return !r->n_from && !r->n_to && !r->n_when;
}

/* ---- what is not enforced -------------------------------------------------------------------- */

bool mt_an_is_about(const struct mt_analysis *a, const struct mt_authorization_policy *p,
	const struct mt_audit_row *r)
{
	if (strcmp(p->meta.ns, r->of->ns) != 0 && strcmp(p->meta.ns, a->in->audit->root_ns) != 0)
		return false;
	return r->class != MT_INSTANCE_OUTSIDE &&
	       (!p->scope.selector || mt_labels_match(&p->scope.selector->labels, &r->labels));
}

/* True for a compiled AuthorizationPolicy; lists also contain rules for STRICT and for tokens. */
static bool is_policy(const struct mt_authz_policy *p)
{
	return p->serial && strstr(p->by, "AuthorizationPolicy ");
}

/* True if a rule of ALLOW admits all calls, so that no other one restricts them. */
static bool lets_all_in(const struct mt_authz *l)
{
	for (uint32_t i = 0; i < l->n_allow; i++)
		for (uint32_t k = 0; k < l->allow[i]->n_rules; k++)
			if (mt_an_rule_is_open(&l->allow[i]->rules[k]))
				return true;
	return false;
}

/* True if `rules` has an enforced policy of the same action; for AUDIT, of any action. */
static bool has_other(const struct mt_authorization_policy *p, const struct mt_authz *rules)
{
	for (; rules; rules = rules->also) {
		if (p->action.v != MT_POLICY_DENY && rules->n_allow && is_policy(rules->allow[0]) &&
			!lets_all_in(rules))
			return true;
		for (uint32_t i = 0; i < rules->n_deny && p->action.v != MT_POLICY_ALLOW; i++)
			if (is_policy(rules->deny[i]) && rules->deny[i]->action == MT_AUTHZ_DENY)
				return true;
	}
	return false;
}

/*
 * True if `p` has no `targetRefs` and would apply to at least one instance, and if each such
 * instance has another policy, which is enforced.
 */
static bool is_rehearsal(const struct mt_analysis *a, const struct mt_authorization_policy *p)
{
	bool any = false;

	for (uint32_t i = 0; i < a->in->audit->n_rows; i++) {
		const struct mt_audit_row *r = &a->in->audit->rows[i];

		if (!mt_an_is_about(a, p, r))
			continue;
		if (!has_other(p, r->rules))
			return false;
		any = true;
	}
	return any && !p->scope.target && !p->scope.n_targets;
}

static void check_unenforced(struct mt_analysis *a, const struct mt_authorization_policy *p)
{
	bool other;

	if (!mt_an_may(a, a->in->audit->n_rows))
		return;
	other = is_rehearsal(a, p);
	mt_an_found(a, other ? MT_FINDING_ID_rehearsal : MT_FINDING_ID_not_enforced, &p->meta,
		p->action.line, "%s: %s",
		p->action.v == MT_POLICY_AUDIT ? "`action: AUDIT`" : "istio.io/dry-run",
		other ? "others are enforced there"
		: p->action.v == MT_POLICY_DENY
			? "it denies no call, and no other DENY policy selects the same endpoints"
			: "it denies no call, and no other policy does");
}

/* ---- rules that do not fit together ---------------------------------------------------------- */

static bool says_who(const struct mt_policy_rule *r)
{
	for (uint32_t i = 0; i < r->n_when; i++)
		if (strncmp(r->when[i].key.s, "source.", 7) == 0 ||
			strncmp(r->when[i].key.s, "remote.", 7) == 0 ||
			strncmp(r->when[i].key.s, "request.auth.", 13) == 0)
			return true;
	return r->n_from > 0;
}

/* True for operations that any caller may use: health, metrics and the like. */
static bool is_for_all(const char *s)
{
	static const char *const words[] = {
		"health", "ready", "alive", "live", "metrics", "ping", "status", "version"};
	const char *slash = strrchr(s, '/');

	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (strcasestr(slash ? slash : s, words[i]))
			return true;
	return false;
}

static bool asks_more(const struct mt_texts *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (!is_for_all(l->v[i].s))
			return true;
	return false;
}

static bool says_what(const struct mt_policy_rule *r)
{
	for (uint32_t i = 0; i < r->n_to; i++) {
		const struct mt_policy_operation *o = r->to[i].operation;

		if (o && (asks_more(&o->methods) || asks_more(&o->paths) ||
				 asks_more(&o->interfaces)))
			return true;
	}
	return false;
}

/*
 * Reports rules that a superfluous dash may have split: one only on callers, one only on
 * operations. A rule with only ports is not reported, because it may well be for all callers, as
 * for metrics.
 */
static void check_split(struct mt_analysis *a, const struct mt_authorization_policy *p)
{
	const struct mt_policy_rule *who = NULL;

	for (uint32_t i = 0; i < p->n_rules && !who; i++)
		if (p->rules[i].n_from && !p->rules[i].n_to && !p->rules[i].n_when)
			who = &p->rules[i];
	for (uint32_t i = 0; who && i < p->n_rules; i++)
		if (!says_who(&p->rules[i]) && says_what(&p->rules[i]))
			mt_an_found(a, MT_FINDING_ID_split_rule, &p->meta, p->rules[i].origin.line,
				"it has conditions on calls only, so all callers may; the rule of "
				"line %u has conditions on callers only, so they may call "
				"everything",
				mt_an_line_or(who->origin.line, &p->meta));
}

/* Reports ALLOW rules that depend on metadata only, which any caller can set. */
static void check_metadata(struct mt_analysis *a, const struct mt_written *w)
{
	const struct mt_policy_rule *r = w->rule;

	for (uint32_t i = 0; !says_who(r) && i < r->n_when; i++)
		if (strncmp(r->when[i].key.s, "request.headers", 15) == 0 && r->when[i].values.n) {
			mt_an_found(a, MT_FINDING_ID_trusts_metadata, &w->p->meta,
				r->when[i].origin.line ? r->when[i].origin.line : r->origin.line,
				"%s is the only condition on callers", r->when[i].key.s);
			return;
		}
}

static bool only_leaves_out(const struct mt_policy_source *s)
{
	return s &&
	       (s->not_principals.n || s->not_namespaces.n || s->not_service_accounts.n ||
		       s->not_ip_blocks.n || s->not_remote_ip_blocks.n) &&
	       !s->principals.n && !s->namespaces.n && !s->service_accounts.n && !s->ip_blocks.n &&
	       !s->remote_ip_blocks.n && !s->request_principals.n && !s->trust_domains.n;
}

bool mt_an_leaves_out_only(const struct mt_policy_rule *r)
{
	for (uint32_t i = 0; i < r->n_from; i++)
		if (!only_leaves_out(r->from[i].source))
			return false;
	for (uint32_t i = 0; i < r->n_when; i++)
		if (r->when[i].values.n)
			return false;
	return r->n_from > 0;
}

static bool shares(const struct mt_texts *a, const struct mt_texts *b)
{
	for (uint32_t i = 0; i < a->n; i++)
		for (uint32_t k = 0; k < b->n; k++)
			if (strcmp(a->v[i].s, b->v[k].s) == 0)
				return true;
	return false;
}

static uint64_t cost_of_shares(const struct mt_policy_source *x, const struct mt_policy_source *y)
{
	return (uint64_t)x->not_principals.n * y->not_principals.n +
	       (uint64_t)x->not_namespaces.n * y->not_namespaces.n +
	       (uint64_t)x->not_ip_blocks.n * y->not_ip_blocks.n;
}

static void check_left_out(struct mt_analysis *a, const struct mt_written *w)
{
	const struct mt_policy_source *first = NULL;

	for (uint32_t i = 0; i < w->rule->n_from; i++) {
		const struct mt_policy_source *s = w->rule->from[i].source;

		if (!only_leaves_out(s))
			continue;
		if (first && !mt_an_may(a, cost_of_shares(first, s)))
			return;
		if (first && !shares(&first->not_principals, &s->not_principals) &&
			!shares(&first->not_namespaces, &s->not_namespaces) &&
			!shares(&first->not_ip_blocks, &s->not_ip_blocks)) {
			mt_an_found(a, MT_FINDING_ID_denies_all, &w->p->meta, s->origin.line,
				"items of `from` add up: callers that this one excepts are denied "
				"by the one of line %u",
				first->origin.line);
			return;
		}
		first = first ? first : s;
	}
}

/* ---- a policy -------------------------------------------------------------------------------- */

bool mt_an_has_authentication(const struct mt_analysis *a, const struct mt_authorization_policy *p)
{
	for (uint32_t i = 0; i < a->m->request_authentications.n; i++) {
		const struct mt_request_authentication *t = a->m->request_authentications.v[i];

		if (strcmp(t->meta.ns, p->meta.ns) == 0 ||
			strcmp(t->meta.ns, a->in->audit->root_ns) == 0 ||
			strcmp(p->meta.ns, a->in->audit->root_ns) == 0)
			return true;
	}
	return false;
}

/*
 * Reports a rule that needs a token, if there is no RequestAuthentication in its namespace or the
 * root namespace.
 */
static void check_token(struct mt_analysis *a, const struct mt_written *w)
{
	const struct mt_texts *asked = NULL;

	for (uint32_t i = 0; i < w->rule->n_from && !asked; i++)
		if (w->rule->from[i].source && w->rule->from[i].source->request_principals.n)
			asked = &w->rule->from[i].source->request_principals;
	if (asked && mt_an_may(a, a->m->request_authentications.n) &&
		!mt_an_has_authentication(a, w->p))
		mt_an_found(a, MT_FINDING_ID_token_of_nobody, &w->p->meta, asked->v[0].line,
			"requestPrincipals: no RequestAuthentication is in namespace %s or in %s",
			w->p->meta.ns, a->in->audit->root_ns);
}

static void check_rule(struct mt_analysis *a, const struct mt_written *w)
{
	const struct mt_policy_rule *r = w->rule;

	if (is_empty(r) && w->p->action.v == MT_POLICY_ALLOW &&
		!mt_an_is_bounded(mt_an_use_of(a, w->p->meta.serial, r->origin.line)))
		mt_an_found(a, MT_FINDING_ID_open_rule, &w->p->meta, r->origin.line,
			"this rule admits all callers");
	if (w->p->action.v == MT_POLICY_ALLOW) {
		check_metadata(a, w);
		check_token(a, w);
	} else if (w->p->action.v == MT_POLICY_DENY)
		check_left_out(a, w);
	for (uint32_t i = 0; i < r->n_from; i++)
		if (r->from[i].source)
			mt_an_source(a, w, r->from[i].source);
	for (uint32_t i = 0; i < r->n_to; i++)
		if (r->to[i].operation)
			mt_an_operation(a, w, r->to[i].operation);
	for (uint32_t i = 0; i < r->n_when; i++)
		mt_an_condition(a, w, &r->when[i]);
}

static void check(struct mt_analysis *a, const struct mt_authorization_policy *p)
{
	if (!mt_an_is_enforced(p)) {
		check_unenforced(a, p);
		return;
	}
	if (p->action.v == MT_POLICY_ALLOW)
		check_split(a, p);
	if (p->action.v == MT_POLICY_DENY && !p->n_rules)
		mt_an_found(a, MT_FINDING_ID_deny_nothing, &p->meta, p->action.line,
			"`action: DENY` without rules denies no call");
	for (uint32_t i = 0; i < p->n_rules; i++)
		check_rule(a, &(struct mt_written){p, &p->rules[i], false});
}

/* ---- rules on identities, on a node without an identity -------------------------------------- */

static bool names_callers(const struct mt_authorization_policy *p)
{
	for (uint32_t i = 0; i < p->n_rules; i++)
		for (uint32_t k = 0; k < p->rules[i].n_from; k++) {
			const struct mt_policy_source *s = p->rules[i].from[k].source;

			if (s && (s->principals.n || s->namespaces.n || s->service_accounts.n ||
					 s->trust_domains.n))
				return true;
		}
	return false;
}

static void check_identity(struct mt_analysis *a)
{
	const struct mt_authorization_policy *first = NULL;
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->m->authorization_policies.n; i++) {
		const struct mt_authorization_policy *p = a->m->authorization_policies.v[i];

		if (!names_callers(p) || !mt_an_policy_use_of(a, p->meta.serial))
			continue;
		first = first ? first : p;
		n++;
	}
	if (first && !a->in->identity && !a->vouched && !(a->m->node && a->m->node->identity))
		mt_an_found(a, MT_FINDING_ID_no_identity, &first->meta, 0,
			"%u policies here need the caller's identity", n);
}

void mt_an_policies(struct mt_analysis *a)
{
	for (uint32_t i = 0; i < a->m->authorization_policies.n; i++)
		check(a, a->m->authorization_policies.v[i]);
	check_identity(a);
}
