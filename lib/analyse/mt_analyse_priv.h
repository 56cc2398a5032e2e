/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared by the files of lib/analyse. */
#pragma once

#include "mt_analyse.h"
#include "mt_meant.h"
#include "mt_strmap.h"

struct mt_finding {
	enum mt_finding_id id;
	const char *object; /* "AuthorizationPolicy NAMESPACE/NAME"; "": none */
	struct mt_origin origin;
	const char *text;
	uint32_t more; /* further places with the same finding */
};

/* A rule of a policy, with counts over all policy lists in which it is enforced. */
struct mt_rule_use {
	uint64_t serial; /* of the policy */
	uint32_t line;
	uint32_t seen; /* lists that contain it */
	/* of these: lists where another rule matches all its calls; where a DENY does */
	uint32_t covered, denied;
	const struct mt_authz_policy *by; /* policy of that other rule, in the first such list */
	uint32_t by_line;
	bool others;	/* the other rule is not the same in all lists */
	uint32_t clear; /* lists where plaintext callers have no identity and so bypass it */
	const char *clear_host;
	uint32_t lone; /* lists where it admits callers without a certificate */
	const char *lone_host;
	uint32_t nameless; /* lists where it needs an identity, but endpoints are plaintext-only */
	const char *nameless_host;
	uint32_t
		unasked; /* gateway ports that request no certificate, where it needs an identity */
	const struct mt_audit_gate *unasked_gate;
	uint32_t
		tokenless; /* lists where it depends on tokens, and callers without one bypass it */
	const char *tokenless_host;
	uint32_t
		bounded; /* lists where a DENY rule denies all callers except those that it names */
	/* lists where it needs a token, but no RequestAuthentication applies */
	uint32_t untokened;
	bool impossible, open; /* in some list: no call matches it; every call does */
};

/* A policy, over all places where it is enforced. */
struct mt_policy_use {
	bool messages, bytes, dubbo; /* at ports for messages, opaque TCP, Dubbo */
	bool kubernetes;	     /* at ports of Kubernetes Services */
	bool gates;		     /* at gateways */
	bool unsure; /* sidecars enforce it, and may know more fields of a call than this node */
	uint32_t lists,
		beside; /* lists; of these, lists where an ALLOW with rules is for more instances */
	const struct mt_authz_policy *by;
	const char *vanished, *dropped;
	const char *dropped_of_messages; /* `dropped` at a port of messages */
};

/* Steps of comparing two words letter by letter; comparing two values is one step. */
#define MT_AN_WORD 16u

struct mt_analysis {
	const struct mt_analyse_in *in;
	const struct mt_model *m;
	struct mt_region region;
	struct mt_finding *v;
	uint32_t n;
	struct mt_strmap namespaces, accounts, interfaces,
		methods;	    /* in the documents; keys live at least as long as `region` */
	struct mt_strmap served;    /* namespaces of workloads */
	struct mt_strmap listed;    /* namespaces whose accounts are all known */
	struct mt_strmap uses;	    /* "SERIAL LINE": struct mt_rule_use */
	struct mt_strmap policies;  /* "SERIAL": struct mt_policy_use */
	struct mt_strmap templates; /* namespaces with objects that create workloads */
	/* some port is a workload port, which identifies callers; some port is not */
	bool vouched, strangers;
	bool mesh;		  /* discovery services add endpoints, too */
	struct mt_strmap named;	  /* hosts of all services */
	struct mt_strmap owners;  /* host -> struct mt_service_entry in use */
	struct mt_strmap hosts;	  /* host -> "guarded" if restricted or outside, else the host */
	uint64_t steps;		  /* steps done so far */
	bool bounded;		  /* a check was skipped, as no steps were left */
	struct mt_strmap written; /* "SERIAL": struct mt_authorization_policy */
	struct mt_strmap rows;	  /* "SERIAL": const struct mt_object_row */
	bool all_namespaces;	  /* `namespaces` is complete */
};

/* ---- analyse.c ------------------------------------------------------------------------------- */
/* Initializes an analysis; call it first. a->m stays NULL if memory is short. */
void mt_an_begin(struct mt_analysis *a, const struct mt_analyse_in *in);
void mt_an_end(struct mt_analysis *a);
/*
 * Counts the steps of a check before it runs. False, and sets `bounded`, if they exceed the limit:
 * then skip the whole check, because part of it could give a wrong finding.
 */
bool mt_an_may(struct mt_analysis *a, uint64_t steps);
/* The AuthorizationPolicy with this serial; NULL: none. */
const struct mt_authorization_policy *mt_an_written(const struct mt_analysis *a, uint64_t serial);
void mt_an_found(struct mt_analysis *a, enum mt_finding_id id, const struct mt_meta *of,
	uint32_t line, const char *fmt, ...) mt_printf(5, 6);
/* The object row of a document that was compiled; NULL: none. */
const struct mt_object_row *mt_an_row(const struct mt_analysis *a, uint64_t serial);
/* `line`, or the document's first line if that is 0. */
static inline uint32_t mt_an_line_or(uint32_t line, const struct mt_meta *m)
{
	return line ? line : m->origin.line;
}

/* ---- names.c: names in the documents --------------------------------------------------------- */
void mt_an_names_gather(struct mt_analysis *a);
/* The host in use that a document of namespace `ns` means by `word` (mt_meant_host()). */
const char *mt_an_host(
	const struct mt_analysis *a, const char *word, const char *ns, char buf[MT_MEANT_HOST]);
/*
 * True if one word is probably a typing error for the other: a letter is added, missing or
 * replaced, or two letters have changed places.
 */
bool mt_an_is_slip(const char *a, const char *b);
/* The key of the map for which `word` is a typing error; NULL: none. */
const char *mt_an_slip_of(struct mt_analysis *a, const struct mt_strmap *m, const char *word);
/*
 * The same for whole names, which are seldom alike on purpose: also with two different letters, or
 * a different last letter of a word.
 */
bool mt_an_is_near(const char *a, const char *b);
const char *mt_an_near_of(struct mt_analysis *a, const struct mt_strmap *m, const char *word);
/*
 * True if the namespace has objects that create workloads which the documents lack, such as
 * Deployments.
 */
bool mt_an_has_templates(const struct mt_analysis *a, const char *ns);
/* "NAMESPACE/ACCOUNT". */
bool mt_an_knows_account(const struct mt_analysis *a, const char *ns, const char *account);
const char *mt_an_account_slip(struct mt_analysis *a, const char *ns, const char *account);

/* ---- policies.c: AuthorizationPolicies as they are written ----------------------------------- */
void mt_an_policies(struct mt_analysis *a);
/* True if the policy is neither AUDIT nor a dry run. */
bool mt_an_is_enforced(const struct mt_authorization_policy *p);
/* True if the policy applies to the instance by its namespace and labels. Ignores `targetRefs`. */
bool mt_an_is_about(const struct mt_analysis *a, const struct mt_authorization_policy *p,
	const struct mt_audit_row *r);
/*
 * True if a RequestAuthentication is in the policy's namespace, or one of the two is in the root
 * namespace.
 */
bool mt_an_has_authentication(const struct mt_analysis *a, const struct mt_authorization_policy *p);
/* True if the rule has only `not...` conditions on the caller. */
bool mt_an_leaves_out_only(const struct mt_policy_rule *r);
/* ---- principals.c, addresses.c, operations.c: parts of their rules --------------------------- */
struct mt_written {
	const struct mt_authorization_policy *p;
	const struct mt_policy_rule *rule;
	bool wanted; /* the values are of a positive field, not of a `not...` field */
};
/* Reports a `*` that is not a wildcard because of its place; true if there is one. */
bool mt_an_star_inside(struct mt_analysis *a, const struct mt_written *w, const struct mt_text *t);
void mt_an_source(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_policy_source *s);
void mt_an_addresses(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_policy_source *s);
void mt_an_operation(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_policy_operation *o);
void mt_an_condition(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_policy_condition *c);
/* Checks a principal in a policy. */
void mt_an_principal_text(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_text *t);

/* ---- selects.c: policies that select nothing ------------------------------------------------- */
void mt_an_selects(struct mt_analysis *a);

/* ---- status.c: status of documents ----------------------------------------------------------- */
void mt_an_status(struct mt_analysis *a);
/* ---- unequal.c: instances of one service or address with different policies ------------------ */
void mt_an_unequal(struct mt_analysis *a);

/* ---- subset.c -------------------------------------------------------------------------------- */
/* One item of `from`, one of `to`, and `when`, all of which have to match. */
struct mt_conjunction {
	const struct mt_authz_conds *part[3]; /* NULL: no conditions */
};
/*
 * True if it is certain that every call that matches `x` matches `y`. `other_action`: one of them
 * is of ALLOW and the other one of DENY.
 */
bool mt_an_rule_within(
	const struct mt_authz_rule *x, const struct mt_authz_rule *y, bool other_action);
/* True if it is certain that no call matches the rule. */
bool mt_an_rule_is_impossible(const struct mt_authz_rule *x);
/* Most steps of comparing two rules, and of checking one rule against itself. */
uint64_t mt_an_cost_within(const struct mt_authz_rule *x, const struct mt_authz_rule *y);
uint64_t mt_an_cost_impossible(const struct mt_authz_rule *x);
/* Steps of reading each value of the rule in each of its conjunctions. */
uint64_t mt_an_cost(const struct mt_authz_rule *x);
/* True if it is certain that every call matches the rule: `{}`, an empty source, any method. */
bool mt_an_rule_is_open(const struct mt_authz_rule *x);
bool mt_an_rule_is_empty(const struct mt_authz_rule *x);

/* ---- nots.c: callers that rules do not consider ---------------------------------------------- */
static inline bool mt_an_is_name(const struct mt_authz_cond *c)
{
	return c->field >= MT_AUTHZ_PRINCIPAL && c->field <= MT_AUTHZ_TRUST_DOMAIN;
}
/* True for conditions on the caller's token. */
static inline bool mt_an_is_token(const struct mt_authz_cond *c)
{
	return c->field == MT_AUTHZ_NOBODY || c->field == MT_AUTHZ_TOKEN ||
	       c->field == MT_AUTHZ_CLAIM;
}
/* True if the rule requires a value in a token. */
bool mt_an_wants_token(const struct mt_authz_rule *r);
/* True if no call without a token matches the rule. */
bool mt_an_needs_token(const struct mt_authz_rule *r);
/* Properties of all rules of a list together. */
struct mt_list_words {
	bool denies_tokenless; /* a DENY is for calls without a token */
	/* each rule of ALLOW requires a token or an identity, and some a token */
	bool allows_tokens;
	bool bounds; /* a DENY denies all callers except those that it names */
};
/* Takes one step for each rule of the list. */
struct mt_list_words mt_an_list_words(const struct mt_authz *l);
/* True if callers without a token bypass the rule's conditions on tokens. */
bool mt_an_is_evaded(const struct mt_list_words *l, const struct mt_authz_rule *r, bool allow);

/* ---- uses.c: rules where they are enforced --------------------------------------------------- */
void mt_an_uses_gather(struct mt_analysis *a);
/* True if only callers with an identity or a token match the rule. */
bool mt_an_wants_name(const struct mt_authz_rule *r);
/* True if an ALLOW policy of a document applies. */
bool mt_an_has_allow(const struct mt_authz *rules);
/* True if ALLOW rules admit some callers without an identity, and all those only by address. */
bool mt_an_goes_by_address(const struct mt_authz *rules);
/* True if in every list of the rule a DENY denies all callers except those that it names. */
bool mt_an_is_bounded(const struct mt_rule_use *u);
/* NULL: the policy is enforced nowhere. */
struct mt_policy_use *mt_an_policy_use_of(const struct mt_analysis *a, uint64_t serial);
struct mt_rule_use *mt_an_use_of(struct mt_analysis *a, uint64_t serial, uint32_t line);
/* ---- rules.c: findings about rules, by their use --------------------------------------------- */
void mt_an_rules(struct mt_analysis *a);

/* ---- clear.c: unrestricted and plaintext services -------------------------------------------- */
void mt_an_clear(struct mt_analysis *a);
json_t *mt_an_services_json(struct mt_analysis *a);
/* True if callers without a certificate are denied for every call. */
bool mt_an_asks_certificate(const struct mt_authz *rules);
/* ---- gateways.c, tokens.c, tls.c, drops.c, mesh.c -------------------------------------------- */
void mt_an_gateways(struct mt_analysis *a);
void mt_an_tokens(struct mt_analysis *a);
void mt_an_tls(struct mt_analysis *a);
void mt_an_drops(struct mt_analysis *a);
/* ---- claims.c: hosts that another namespace claims ------------------------------------------- */
void mt_an_claims(struct mt_analysis *a);
/*
 * The DestinationRule from which policy `p` was taken, among those that are merged for a host.
 * NULL: none.
 */
const struct mt_destination_rule *mt_an_rule_of(
	const struct mt_analysis *a, const struct mt_traffic_policy *p);
/* TLS settings of a DestinationRule for a port of its host; NULL: none. */
const struct mt_tls_settings *mt_an_settings_of(const struct mt_traffic_policy *p, uint16_t port);
void mt_an_mesh(struct mt_analysis *a);
