/* SPDX-License-Identifier: Apache-2.0 */
/* Reports findings on rules over all places where they are enforced. */
#include "mt_analyse_priv.h"

#include <stdlib.h>
#include <string.h>

/* Names the rule that covers or denies this one, with its file and line. */
static const char *name_of(struct mt_analysis *a, const struct mt_rule_use *u)
{
	const struct mt_authorization_policy *by = mt_an_written(a, u->by->serial);
	const char *words;

	if (!by)
		return u->by->by;
	words = mt_region_printf(&a->region, "%s (%s:%u)%s", u->by->by, by->meta.origin.file,
		mt_an_line_or(u->by_line, &by->meta), u->others ? ", elsewhere another one" : "");
	return words ? words : u->by->by;
}

static const char *mode_word(const struct mt_gateway_server *s)
{
	if (!s->tls)
		return "plaintext";
	switch ((enum mt_gateway_tls_mode)s->tls->mode.v) {
	case MT_GATEWAY_PASSTHROUGH:
		return "tls.mode PASSTHROUGH: the server that terminates TLS may request one";
	case MT_GATEWAY_AUTO_PASSTHROUGH:
		return "tls.mode AUTO_PASSTHROUGH: the server that terminates TLS may request one";
	default:
		return "tls.mode SIMPLE";
	}
}

static void check_use(
	struct mt_analysis *a, const struct mt_authorization_policy *p, const struct mt_rule_use *u)
{
	bool allow = p->action.v == MT_POLICY_ALLOW;

	if (u->seen && u->denied == u->seen)
		mt_an_found(a, MT_FINDING_ID_denied_rule, &p->meta, u->line,
			"all calls that it admits are denied by %s", name_of(a, u));
	else if (u->seen && u->covered + u->denied == u->seen)
		mt_an_found(a, MT_FINDING_ID_shadowed_rule, &p->meta, u->line,
			"all calls that it %s, %s %s", allow ? "admits" : "denies", name_of(a, u),
			allow ? "admits as well" : "denies as well");
	if (u->clear)
		mt_an_found(a, MT_FINDING_ID_deny_clear_text, &p->meta, u->line,
			"%s accepts plaintext, and plaintext callers have no identity",
			u->clear_host);
	if (u->untokened && u->untokened == u->seen &&
		(!allow || (mt_an_may(a, a->m->request_authentications.n) &&
				   mt_an_has_authentication(a, p))))
		mt_an_found(a, MT_FINDING_ID_token_of_nobody, &p->meta, u->line,
			"no RequestAuthentication applies to the endpoints that it selects, so it "
			"%s no call",
			allow ? "admits" : "denies");
	else if (u->tokenless)
		mt_an_found(a,
			allow ? MT_FINDING_ID_allow_without_token
			      : MT_FINDING_ID_deny_without_token,
			&p->meta, u->line, "a caller of %s without a token %s", u->tokenless_host,
			allow ? "has no claim that it excepts, and may call"
			      : "has no claim that it denies, and no policy requires a token");
	if (u->nameless && u->nameless == u->seen && a->in->identity)
		mt_an_found(a, MT_FINDING_ID_nameless_rule, &p->meta, u->line,
			"it needs the caller's identity, and %s accepts plaintext only, where "
			"callers have none",
			u->nameless_host);
	if (u->unasked && u->unasked == u->seen)
		mt_an_found(a, MT_FINDING_ID_nameless_rule, &p->meta, u->line,
			"it needs the caller's identity, and port %u of Gateway %s/%s requires no "
			"certificate (%s)",
			u->unasked_gate->server->port.number.v, u->unasked_gate->gateway->meta.ns,
			u->unasked_gate->gateway->meta.name, mode_word(u->unasked_gate->server));
	if (u->lone)
		mt_an_found(a, MT_FINDING_ID_open_without_certificate, &p->meta, u->line,
			"%s accepts plaintext, and plaintext callers are none of those that are "
			"excepted",
			u->lone_host);
}

/* ---- rules that are enforced nowhere, of policies that are ----------------------------------- */

static bool has_ports(const struct mt_policy_rule *r, const char **one, uint32_t *line)
{
	for (uint32_t i = 0; i < r->n_to; i++) {
		const struct mt_policy_operation *o = r->to[i].operation;

		if (!o || !o->ports.n)
			continue;
		*one = o->ports.v[0].s;
		*line = o->ports.v[0].line;
		return true;
	}
	for (uint32_t i = 0; i < r->n_when; i++)
		if (strcmp(r->when[i].key.s, "destination.port") == 0 && r->when[i].values.n) {
			*one = r->when[i].values.v[0].s;
			*line = r->when[i].values.v[0].line;
			return true;
		}
	return false;
}

static bool has_message_fields(const struct mt_policy_rule *r)
{
	for (uint32_t i = 0; i < r->n_to; i++) {
		const struct mt_policy_operation *o = r->to[i].operation;

		if (o && (o->methods.n || o->not_methods.n || o->paths.n || o->not_paths.n ||
				 o->interfaces.n || o->not_interfaces.n || o->hosts.n ||
				 o->not_hosts.n))
			return true;
	}
	for (uint32_t i = 0; i < r->n_when; i++)
		if (strncmp(r->when[i].key.s, "request.", 8) == 0)
			return true;
	for (uint32_t i = 0; i < r->n_from; i++) {
		const struct mt_policy_source *s = r->from[i].source;

		if (s && (s->request_principals.n || s->not_request_principals.n))
			return true;
	}
	return false;
}

/* True if the ports of all instances that the policy may select are known. */
static bool is_all_known(const struct mt_analysis *a, const struct mt_authorization_policy *p)
{
	return !a->mesh && !mt_an_has_templates(a, p->meta.ns);
}

static void check_absent(struct mt_analysis *a, const struct mt_authorization_policy *p,
	const struct mt_policy_rule *r, const struct mt_policy_use *use)
{
	const char *port = NULL;
	uint32_t line = 0;

	if (use->unsure && has_message_fields(r))
		return;
	if (use->vanished && p->action.v == MT_POLICY_ALLOW && has_message_fields(r))
		mt_an_found(a, MT_FINDING_ID_no_such_field, &p->meta, r->origin.line,
			"\"%s\" is not known of any call to what it selects", use->vanished);
	else if (is_all_known(a, p) && has_ports(r, &port, &line))
		mt_an_found(a, MT_FINDING_ID_unknown_port, &p->meta, line,
			"nothing that it selects has port %s", port);
}

/*
 * `notPorts` compare with the instance's port. If `word` is only the service's port, it excludes
 * nothing: returns the instance's port. Otherwise returns 0.
 */
static uint16_t instance_port(
	const struct mt_analysis *a, const struct mt_authorization_policy *p, const char *word)
{
	unsigned long port = strtoul(word, NULL, 10);
	uint16_t found = 0;

	for (uint32_t i = 0; i < a->in->audit->n_rows; i++) {
		const struct mt_audit_row *r = &a->in->audit->rows[i];

		if (r->labels_unknown || !mt_an_is_about(a, p, r))
			continue;
		if (r->server_port == port)
			return 0;
		if (r->port == port)
			found = r->server_port;
	}
	return found;
}

static bool has_number(const struct mt_texts *l, uint16_t port)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (strtoul(l->v[i].s, NULL, 10) == port)
			return true;
	return false;
}

static void check_left_ports(
	struct mt_analysis *a, const struct mt_authorization_policy *p, const struct mt_texts *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		uint16_t port =
			mt_an_may(a, a->in->audit->n_rows) ? instance_port(a, p, l->v[i].s) : 0;

		/* No mistake if the list has the instance's port, too. */
		if (port && !has_number(l, port))
			mt_an_found(a, MT_FINDING_ID_unknown_port, &p->meta, l->v[i].line,
				"%s is the service's port, so it leaves out nothing: the "
				"endpoint's is %u",
				l->v[i].s, port);
	}
}

static void check_ports(struct mt_analysis *a, const struct mt_authorization_policy *p,
	const struct mt_policy_rule *r)
{
	if (p->scope.target || p->scope.n_targets)
		return;
	for (uint32_t i = 0; i < r->n_to; i++)
		if (r->to[i].operation)
			check_left_ports(a, p, &r->to[i].operation->not_ports);
	for (uint32_t i = 0; i < r->n_when; i++)
		if (strcmp(r->when[i].key.s, "destination.port") == 0)
			check_left_ports(a, p, &r->when[i].not_values);
}

static void check_rule(struct mt_analysis *a, const struct mt_authorization_policy *p,
	const struct mt_policy_rule *r, const struct mt_rule_use *u)
{
	check_ports(a, p, r);
	if (u->impossible) {
		mt_an_found(a, MT_FINDING_ID_impossible_rule, &p->meta, r->origin.line,
			"its conditions exclude each other");
		return;
	}
	if (p->action.v == MT_POLICY_ALLOW && u->open && !mt_an_is_bounded(u))
		mt_an_found(a, MT_FINDING_ID_open_rule, &p->meta, r->origin.line,
			"this rule admits all callers");
	check_use(a, p, u);
	if (p->action.v == MT_POLICY_ALLOW && !u->lone && mt_an_leaves_out_only(r))
		mt_an_found(a, MT_FINDING_ID_all_but, &p->meta, r->origin.line,
			"it admits all callers but those that it excepts");
}

static void check_policy(struct mt_analysis *a, const struct mt_authorization_policy *p,
	const struct mt_policy_use *use)
{
	if (use->beside && use->beside == use->lists && !p->n_rules &&
		p->action.v == MT_POLICY_ALLOW)
		mt_an_found(a, MT_FINDING_ID_allow_nothing, &p->meta, 0,
			"it has no rules, and %s is for more endpoints and admits calls",
			use->by->by);
	if (use->dropped && (!use->messages || use->dropped_of_messages) &&
		p->action.v == MT_POLICY_DENY)
		mt_an_found(a, MT_FINDING_ID_deny_widened, &p->meta, 0,
			"\"%s\" is not known of any call to what it selects, so it is passed over",
			use->dropped_of_messages ? use->dropped_of_messages : use->dropped);
	for (uint32_t i = 0; i < p->n_rules; i++) {
		const struct mt_rule_use *u =
			mt_an_use_of(a, p->meta.serial, p->rules[i].origin.line);

		if (u && u->seen) {
			check_rule(a, p, &p->rules[i], u);
		} else {
			check_absent(a, p, &p->rules[i], use);
		}
	}
}

/* A DENY without any rule left denies no call and is in no list. */
static void check_gone(struct mt_analysis *a, const struct mt_authorization_policy *p)
{
	const struct mt_object_row *row = mt_an_row(a, p->meta.serial);
	const char *port;
	uint32_t line;

	if (!row || row->status > MT_OBJECT_ELSEWHERE || !row->n_touches || !is_all_known(a, p))
		return;
	for (uint32_t i = 0; i < p->n_rules; i++)
		if (has_ports(&p->rules[i], &port, &line))
			mt_an_found(a, MT_FINDING_ID_unknown_port, &p->meta, line,
				"nothing that it selects has port %s", port);
}

void mt_an_rules(struct mt_analysis *a)
{
	for (uint32_t i = 0; i < a->m->authorization_policies.n; i++) {
		const struct mt_authorization_policy *p = a->m->authorization_policies.v[i];
		const struct mt_policy_use *use = mt_an_policy_use_of(a, p->meta.serial);

		if (!mt_an_is_enforced(p) || p->action.v == MT_POLICY_CUSTOM)
			continue;
		if (use)
			check_policy(a, p, use);
		else if (p->action.v == MT_POLICY_DENY)
			check_gone(a, p);
	}
}
