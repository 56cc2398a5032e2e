/* SPDX-License-Identifier: Apache-2.0 */
/* What became of each policy, in words and as a status. */
#include "mt_conf_unmatched_priv.h"

#include <stdio.h>
#include <string.h>

#define HERE	  "`meltemi show objects` names the services"
#define INTERNAL  "write location: MESH_INTERNAL in the ServiceEntry"
#define PLACE	  INTERNAL ", or MESH_EXTERNAL if it is to stay open"
#define PODS	  "add the Pods to the documents, or name the policy in the Node's `unenforced`"
#define LABELS	  "write it without a selector, or name the policy in the Node's `unenforced`"
#define UNWRITTEN "write metadata.namespace at the services, or sources[].namespace in the Node"

static uint32_t n_of(const struct mt_policy *p)
{
	return p->selected[MT_INSTANCE_OUTSIDE] + p->selected[MT_INSTANCE_MESHED] +
	       p->selected[MT_INSTANCE_BARE];
}

/* Instances that this node enforces it in front of. */
static uint32_t n_ours(const struct mt_policy *p)
{
	uint32_t n = p->selected[MT_INSTANCE_BARE];

	return n + (mt_policy_has_targets(p) ? p->selected[MT_INSTANCE_OUTSIDE] : 0);
}

static void warn(struct mt_build *b, const struct mt_policy *p, const char *path, const char *fmt,
	const char *word)
{
	mt_b_warn(b, p->meta, p->meta->origin.line, path, NULL, fmt, word);
}

static void tell_nothing(struct mt_build *b, const struct mt_policy *p)
{
	struct mt_unmatched why;

	if (mt_policy_is_unmatched(b, p, &why))
		mt_b_unused(b, p->meta, why.line, why.path, *why.remedy ? why.remedy : NULL,
			"it selects nothing that is here: %s", why.words);
	else
		mt_b_verdict(b, MT_DIAG_INERT, p->meta, NULL, "it selects nothing that is here");
}

/*
 * Reports a policy of endpoints outside the mesh only. A selector or target means just these, so
 * that they are open. A policy of a whole namespace may be for workloads of other nodes, unless it
 * restricts calls and an author of these endpoints has forgotten to write where they are.
 */
static void tell_outside(struct mt_build *b, const struct mt_policy *p)
{
	bool means = mt_policy_is_real(p) && (mt_policy_selector(p) || mt_policy_has_targets(p));
	bool restricts =
		p->kind == MT_POLICY_OF_TOKENS ? p->of.tokens->n_rules > 0 : mt_policy_protects(p);

	if (p->unplaced && (means || restricts))
		mt_b_verdict(b, MT_DIAG_UNUSED, p->meta, PLACE,
			"it selects only endpoints outside the mesh, where it is not enforced: "
			"%.64s %.64s/%.64s has no location",
			p->unplaced->meta.kind, p->unplaced->meta.ns, p->unplaced->meta.name);
	else
		mt_b_verdict(b, means ? MT_DIAG_UNUSED : MT_DIAG_INERT, p->meta, INTERNAL,
			"it selects only endpoints outside the mesh, where it is not enforced");
}

/* Of those that select nothing that this node would guard. true: it is told. */
static bool tell_absent(struct mt_build *b, const struct mt_policy *p)
{
	if (p->at_gateways)
		return false;
	if (p->drifts) {
		mt_b_verdict(b, MT_DIAG_CLOSED, p->meta, UNWRITTEN,
			"nothing is in its namespace, and endpoints with matching labels have no "
			"namespace: they are closed");
		return true;
	}
	if (n_of(p) == 0 && p->winner && mt_policy_is_twin(p, p->winner)) {
		mt_b_verdict(b, MT_DIAG_SHADOWED, p->meta, "keep one of them",
			"the stricter one of this name counts");
		return true;
	}
	if (n_of(p) == 0 && p->winner) {
		mt_b_verdict(b, MT_DIAG_SHADOWED, p->meta, "keep one of them",
			"%s/%s is older and counts instead", p->winner->meta->ns,
			p->winner->meta->name);
		mt_b_warn(b, p->winner->meta, p->winner->meta->origin.line, NULL, NULL,
			"in place of %s %s/%s, which is newer", p->meta->kind, p->meta->ns,
			p->meta->name);
		return true;
	}
	if (n_of(p) == 0) {
		tell_nothing(b, p);
		return true;
	}
	if (n_ours(p) == 0 && p->selected[MT_INSTANCE_MESHED] == 0) {
		tell_outside(b, p);
		return true;
	}
	return false;
}

static bool is_mode(const struct mt_policy *p, enum mt_mtls_mode mode)
{
	return p->of.peers->mtls.mode.v == (uint32_t)mode;
}

/* What it means for a service that is called by a node without an identity: its calls fail, though nobody here denies them. */
static const char *refusal(const struct mt_build *b, const struct mt_policy *p)
{
	return !b->policies->mtls && p->kind == MT_POLICY_OF_PEERS && is_mode(p, MT_MTLS_STRICT)
		       ? ", so that they refuse this node's calls: it has no identity"
		       : "";
}

static bool tell_elsewhere(struct mt_build *b, const struct mt_policy *p)
{
	if (n_ours(p) || p->at_gateways)
		return false;
	mt_b_verdict(b, MT_DIAG_ELSEWHERE, p->meta, NULL,
		"the proxies of the %u endpoints that it selects enforce it%s",
		p->selected[MT_INSTANCE_MESHED], refusal(b, p));
	return true;
}

static void note_meshed(struct mt_build *b, const struct mt_policy *p)
{
	if (p->selected[MT_INSTANCE_MESHED] && n_ours(p))
		(*refusal(b, p) ? mt_b_warn : mt_b_note)(b, p->meta, p->meta->origin.line, NULL,
			NULL,
			"%u of %u endpoints have proxies of their own, which enforce it there%s",
			p->selected[MT_INSTANCE_MESHED], n_of(p), refusal(b, p));
}

/* true: it is told. */
static bool tell_unsure(struct mt_build *b, const struct mt_policy *p)
{
	if (!p->n_unsure)
		return false;
	if (p->n_unsure_told == p->n_unsure) {
		mt_b_verdict(b, MT_DIAG_CLOSED, p->meta, LABELS,
			"it may select %u endpoints of a discovery server, which sends neither "
			"labels nor objects: they are closed",
			p->n_unsure);
		return true;
	}
	mt_b_verdict(b, MT_DIAG_CLOSED, p->meta, PODS,
		"its selector may select %u endpoints with Pods that are not among the documents: "
		"they are closed",
		p->n_unsure);
	return true;
}

/* Suggests a condition for an unknown key. One with a name is compared up to its bracket. */
static void near_condition(const char *key, char *remedy, size_t size)
{
	char head[64];
	struct mt_suggest near = {.word = head};
	const char *known;

	snprintf(head, sizeof(head), "%.*s", (int)(strcspn(key, "[") + (strchr(key, '[') != NULL)),
		key);
	for (uint32_t i = 0; (known = mt_authz_condition_key(i)) != NULL; i++)
		mt_suggest_offer(&near, known);
	if (near.best)
		snprintf(remedy, size, "did you mean %s%s?", near.best,
			strchr(near.best, '[') ? "NAME]" : "");
	else
		snprintf(remedy, size, "%s", HERE);
}

/* Reports the first condition with an unknown key. False: there is none. */
static bool tell_condition(struct mt_build *b, const struct mt_policy *p)
{
	const struct mt_authorization_policy *a = p->of.authorization;
	char path[64], remedy[96];

	for (uint32_t i = 0; i < a->n_rules; i++)
		for (uint32_t k = 0; k < a->rules[i].n_when; k++) {
			const struct mt_text *key = &a->rules[i].when[k].key;

			if (mt_authz_is_condition(key->s))
				continue;
			snprintf(path, sizeof(path), "spec.rules[%u].when[%u].key", i, k);
			near_condition(key->s, remedy, sizeof(remedy));
			mt_b_closed(b, p->meta, key->line, path, remedy,
				"\"%.64s\" is not a known condition: what the rest of its rule "
				"fits is closed",
				key->s);
			return true;
		}
	return false;
}

static void tell_closed(struct mt_build *b, const struct mt_policy *p)
{
	if (!p->unasked && tell_condition(b, p))
		return;
	if (p->unasked)
		mt_b_verdict(b, MT_DIAG_CLOSED, p->meta, HERE,
			"its provider cannot be queried: calls that match its rules are denied "
			"(%s)",
			p->unasked);
	else
		mt_b_verdict(b, MT_DIAG_CLOSED, p->meta, HERE,
			"a condition cannot be evaluated: what the rest of its rule fits is "
			"closed");
}

static void tell_authorization(struct mt_build *b, const struct mt_policy *p)
{
	if (tell_absent(b, p))
		return;
	mt_b_tell_policy_ports(b, p);
	if (tell_elsewhere(b, p))
		return;
	note_meshed(b, p);
	if (p->of.authorization->action.v == MT_POLICY_AUDIT)
		warn(b, p, "spec.action", "%s: no call is denied, and nothing is written", "AUDIT");
	else if (p->of.authorization->action.v == MT_POLICY_DENY && !p->of.authorization->n_rules)
		warn(b, p, "spec.rules", "%s without rules: no call is denied", "DENY");
	else if (!mt_policy_is_real(p))
		warn(b, p, "metadata.annotations", "%s: it is never enforced", "istio.io/dry-run");
	if (p->dropped) {
		mt_b_warn(b, p->meta, p->meta->origin.line, "spec.rules", NULL,
			"%s has no \"%s\": what is denied there does not depend on it",
			p->dropped_by, p->dropped);
	}
	if (p->vanished) {
		mt_b_warn(b, p->meta, p->meta->origin.line, "spec.rules", NULL,
			"%s has no \"%s\": a rule with it allows nothing there", p->vanished_by,
			p->vanished);
	}
	if (p->other) {
		mt_b_warn(b, p->meta, p->meta->origin.line, "spec.rules",
			"if they execute what it names, write \"executes: named\" in the codec "
			"file, or list the key in executes.keys",
			"servers of %s may execute another call than \"%s\" means: calls that "
			"match the rest of its rule are denied there",
			p->other_by, p->other);
	}
	if (!tell_unsure(b, p) && p->closes)
		tell_closed(b, p);
}

static void tell_peers(struct mt_build *b, const struct mt_policy *p)
{
	bool selects = p->scope->selector && p->scope->selector->labels.n_kv;

	if (selects && strcmp(p->meta->ns, mt_b_root_namespace(b)) == 0) {
		mt_b_verdict(b, MT_DIAG_UNUSED, p->meta, "write it in the endpoints' namespace",
			"a selector in the root namespace selects nothing");
		return;
	}
	if (tell_absent(b, p))
		return;
	if (selects)
		mt_b_tell_policy_ports(b, p);
	/* What a proxy wants of its callers is what this node, who is one, does. */
	if (!is_mode(p, MT_MTLS_DISABLE) && tell_elsewhere(b, p))
		return;
	if (!is_mode(p, MT_MTLS_DISABLE))
		note_meshed(b, p);
	if (p->of.peers->n_ports && !selects)
		warn(b, p, "spec.portLevelMtls", "%s needs a selector and is passed over",
			"portLevelMtls");
	if (is_mode(p, MT_MTLS_PERMISSIVE) && !b->policies->mtls)
		warn(b, p, "spec.mtls.mode", "%s: no TLS is terminated, plaintext passes",
			"PERMISSIVE");
	if (!tell_unsure(b, p) && p->closes)
		mt_b_verdict(b, MT_DIAG_CLOSED, p->meta, HERE,
			"without an identity of the node no certificate of a caller can be "
			"verified: services that require one are closed");
}

/* Whose tokens are never valid, as nobody has written or says where the keys are. */
static void note_keys(struct mt_build *b, const struct mt_policy *p, const struct mt_jwt_rule *r)
{
	struct mt_err e;
	struct mt_jwks *k = r->jwks.s ? mt_jwks_parse(r->jwks.s, strlen(r->jwks.s), &e) : NULL;

	if (k && !k->n)
		mt_b_warn(b, p->meta, r->jwks.line, "spec.jwtRules",
			"write RSA of 2048 to 8192 bits, EC of P-256, P-384 or P-521, or Ed25519",
			"none of these keys verifies tokens: none of %.64s is valid", r->issuer.s);
	mt_jwks_drop(k);
	if (!r->jwks.s && !r->jwks_uri.s && strncmp(r->issuer.s, "http", 4) != 0)
		mt_b_warn(b, p->meta, r->issuer.line, "spec.jwtRules", "write jwks or jwksUri",
			"the location of the keys of %.64s is unknown: none of its tokens is valid",
			r->issuer.s);
}

/* Where calls have no such thing. */
static void note_places(struct mt_build *b, const struct mt_policy *p)
{
	for (uint32_t i = 0; p->enforced && i < p->of.tokens->n_rules; i++) {
		const struct mt_jwt_rule *r = &p->of.tokens->rules[i];

		note_keys(b, p, r);
		if (r->params.n || r->cookies.n)
			mt_b_warn(b, p->meta, r->origin.line, "spec.jwtRules",
				"write fromHeaders, with a key of the metadata",
				"calls have no %s: no token is taken from there",
				r->params.n ? "query parameters" : "cookies");
	}
}

/* True if it takes tokens from where no protocol has any. */
static bool wants_places(const struct mt_policy *p)
{
	for (uint32_t i = 0; i < p->of.tokens->n_rules; i++)
		if (p->of.tokens->rules[i].params.n || p->of.tokens->rules[i].cookies.n)
			return true;
	return false;
}

static void tell_tokens(struct mt_build *b, const struct mt_policy *p)
{
	if (tell_absent(b, p) || tell_elsewhere(b, p))
		return;
	if (!p->enforced && p->of.tokens->n_rules) {
		mt_b_verdict(b, wants_places(p) ? MT_DIAG_UNUSED : MT_DIAG_INERT, p->meta, NULL,
			"no call to what it selects can carry a token");
		return;
	}
	note_meshed(b, p);
	if (p->closes)
		mt_b_verdict(b, MT_DIAG_CLOSED, p->meta, "write fewer jwtRules",
			"more than %d rules for tokens are in front of an endpoint",
			MT_TOKEN_RULES);
	if (p->n_unsure)
		mt_b_warn(b, p->meta, p->meta->origin.line, NULL, PODS,
			"it may select %u endpoints: calls to them that carry a token are denied",
			p->n_unsure);
	note_places(b, p);
	if (p->keeps_token)
		mt_b_note(b, p->meta, p->meta->origin.line, "spec.jwtRules",
			"write forwardOriginalToken: true",
			"metadata of %s cannot be changed: servers get the token", p->keeps_token);
	if (p->claimed)
		mt_b_warn(b, p->meta, p->meta->origin.line, "spec.jwtRules",
			"remove it, or if servers take it from where the codec file finds it, list "
			"the key in executes.keys",
			"servers of %s may take \"%s\" from elsewhere than the token's claim is "
			"written: each call is refused there",
			p->claimed_by, p->claimed);
}

static void tell_closing(struct mt_build *b, const struct mt_policy *p)
{
	const char *why = p->of.closing->why;

	if (p->of.closing->harmless) {
		if (!p->n_hosts || p->selected[MT_INSTANCE_MESHED])
			(void)(tell_absent(b, p) || n_ours(p) || tell_elsewhere(b, p));
		return;
	}
	if (p->closes || p->n_closed_hosts) {
		note_meshed(b, p);
		mt_b_verdict(b, MT_DIAG_CLOSED, p->meta, HERE, "%s %s/%s closes %u services%s: %s",
			p->meta->kind, p->meta->ns, p->meta->name, p->n_closed_hosts,
			p->at_gateways ? ", and ports of gateways" : "",
			why ? why : "it cannot be evaluated");
		return;
	}
	if (!tell_absent(b, p))
		(void)tell_elsewhere(b, p);
}

/* A port that it closes only because the port is forwarded. */
static void tell_forwarded(struct mt_build *b, const struct mt_policy *p)
{
	if (p->closes_forward && !p->n_unsure && !p->drifts && p->kind != MT_POLICY_OF_CLOSING)
		mt_b_verdict(b, MT_DIAG_CLOSED, p->meta, HERE,
			"it closes the forwarded port %u of %.128s: it %s",
			p->closed_port->port->number.v, p->closed_port->host, p->closes_forward);
}

void mt_b_policies_tell(struct mt_build *b)
{
	static void (*const tell[])(struct mt_build * b, const struct mt_policy *p) = {
		[MT_POLICY_OF_AUTHORIZATION] = tell_authorization,
		[MT_POLICY_OF_PEERS] = tell_peers,
		[MT_POLICY_OF_TOKENS] = tell_tokens,
		[MT_POLICY_OF_CLOSING] = tell_closing};

	for (uint32_t i = 0; b->policies && i < b->policies->n; i++) {
		tell[b->policies->v[i].kind](b, &b->policies->v[i]);
		tell_forwarded(b, &b->policies->v[i]);
	}
}
