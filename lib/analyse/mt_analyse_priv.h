/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of lib/analyse. */
#pragma once

#include "mt_analyse.h"
#include "mt_strmap.h"

struct mt_finding {
	enum mt_finding_id id;
	const char *object; /* "AuthorizationPolicy NAMESPACE/NAME"; "": none */
	struct mt_origin origin;
	const char *text;
	uint32_t more; /* places that say the same */
};

/* A rule of a policy, wherever it is enforced. */
struct mt_rule_use {
	uint64_t serial; /* of the policy */
	uint32_t line;
	uint32_t seen;			  /* lists of rules that it is in */
	uint32_t covered, denied;	  /* of these: another one fits whatever it fits; of DENY */
	const struct mt_authz_policy *by; /* who does, in the first of them */
	uint32_t by_line;
	bool others;	/* elsewhere it is another one */
	uint32_t clear; /* where callers in clear text get past it, as nobody */
	const char *clear_host;
	uint32_t lone; /* where it admits callers that have shown no certificate */
	const char *lone_host;
	uint32_t nameless; /* where only clear text is taken, and it asks for a name */
	const char *nameless_host;
	uint32_t
		unasked; /* where it asks for a name, and the gateway's port asks for no certificate */
	const struct mt_audit_gate *unasked_gate;
	uint32_t
		tokenless; /* where it goes by what a token says, and who brings none is not meant, but gets past */
	const char *tokenless_host;
	uint32_t
		bounded; /* where it admits everybody, and a DENY leaves only those that it names */
	uint32_t untokened;    /* where it asks for a token, and nobody's count */
	bool impossible, open; /* in some list no call fits it, or every one */
};

/* A policy, wherever it is enforced. */
struct mt_policy_use {
	bool messages, bytes, dubbo; /* before ports of */
	bool kubernetes;	     /* and of Services */
	bool gates;		     /* at gateways */
	bool unsure; /* somebody else judges by it, who may know fields of a call that are not known here */
	uint32_t lists,
		beside; /* of rules; of these: an ALLOW with rules that is as wide stands beside it */
	const struct mt_authz_policy *by;
	const char *vanished, *dropped;
	const char *dropped_of_messages; /* which no message of theirs has */
};

/* One comparison of words, letter by letter, is so many of values. */
#define MT_AN_WORD 16u

struct mt_analysis {
	const struct mt_analyse_in *in;
	const struct mt_model *m;
	struct mt_region region;
	struct mt_finding *v;
	uint32_t n;
	struct mt_strmap namespaces, accounts, interfaces,
		methods;	    /* of the documents; keys are of `region`, or longer */
	struct mt_strmap served;    /* namespaces of workloads */
	struct mt_strmap listed;    /* namespaces whose accounts are all known */
	struct mt_strmap uses;	    /* "SERIAL LINE": struct mt_rule_use */
	struct mt_strmap policies;  /* "SERIAL": struct mt_policy_use */
	struct mt_strmap templates; /* namespaces; of the root namespace: of all */
	bool vouched, strangers;    /* some port vouches for who enters by it; some does not */
	bool mesh;		    /* discovery services name instances, too */
	struct mt_strmap named;	    /* hosts of services, whoever guards them */
	struct mt_strmap hosts;	    /* that somebody guards, or that are outside */
	uint64_t steps;		    /* so far */
	bool bounded;		    /* something was not looked at, as all steps were done */
	struct mt_strmap written;   /* "SERIAL": struct mt_authorization_policy */
	struct mt_strmap rows;	    /* "SERIAL": const struct mt_object_row */
	bool all_namespaces;	    /* `namespaces` are all there are */
};

/* ---- analyse.c ---- */
/* Begins, before anything else; the model NULL: no memory. */
void mt_an_begin(struct mt_analysis *a, const struct mt_analyse_in *in);
void mt_an_end(struct mt_analysis *a);
/* Whether there is room for so many more comparisons, which are counted. Asked before them: half a look would say what is not so. */
bool mt_an_may(struct mt_analysis *a, uint64_t steps);
/* The document; NULL: it is no AuthorizationPolicy. */
const struct mt_authorization_policy *mt_an_written(const struct mt_analysis *a, uint64_t serial);
void mt_an_found(struct mt_analysis *a, enum mt_finding_id id, const struct mt_meta *of,
	uint32_t line, const char *fmt, ...) mt_printf(5, 6);
/* The row of what the compiler used; NULL: none. */
const struct mt_object_row *mt_an_row(const struct mt_analysis *a, uint64_t serial);
/* Its first line is the document's. */
static inline uint32_t mt_an_line_or(uint32_t line, const struct mt_meta *m)
{
	return line ? line : m->origin.line;
}

/* ---- names.c: what there is ---- */
void mt_an_names_gather(struct mt_analysis *a);
/* A slip of the pen: one letter is too much, missing, another or has changed places, so that one is meant by the other. */
bool mt_an_is_slip(const char *a, const char *b);
/* The one of the map's keys that was meant; NULL: none is like it. */
const char *mt_an_slip_of(struct mt_analysis *a, const struct mt_strmap *m, const char *word);
/* The same for whole names, of which nobody has a second one on purpose: also two letters, and the last one of a word. */
bool mt_an_is_near(const char *a, const char *b);
const char *mt_an_near_of(struct mt_analysis *a, const struct mt_strmap *m, const char *word);
/* Something there makes workloads of which the documents say nothing: Deployments and the like. */
bool mt_an_has_templates(const struct mt_analysis *a, const char *ns);
/* "NAMESPACE/ACCOUNT". */
bool mt_an_knows_account(const struct mt_analysis *a, const char *ns, const char *account);
const char *mt_an_account_slip(struct mt_analysis *a, const char *ns, const char *account);

/* ---- policies.c: AuthorizationPolicies as they are written ---- */
void mt_an_policies(struct mt_analysis *a);
/* Neither AUDIT nor a dry run. */
bool mt_an_is_enforced(const struct mt_authorization_policy *p);
/* Whether it would be about that instance by its namespace and labels; `targetRefs` are not looked at. */
bool mt_an_is_about(const struct mt_analysis *a, const struct mt_authorization_policy *p,
	const struct mt_audit_row *r);
/* Whether a RequestAuthentication is in its namespace, or one of the two is for all. */
bool mt_an_has_authentication(const struct mt_analysis *a, const struct mt_authorization_policy *p);
/* Whether all that it says of the caller is who he must not be. */
bool mt_an_leaves_out_only(const struct mt_policy_rule *r);
/* ---- principals.c, addresses.c, operations.c: parts of their rules ---- */
struct mt_written {
	const struct mt_authorization_policy *p;
	const struct mt_policy_rule *rule;
	bool wanted; /* of words: who is meant, not who is left out */
};
/* Whether a `*` in it is a letter, which is told then. */
bool mt_an_star_inside(struct mt_analysis *a, const struct mt_written *w, const struct mt_text *t);
void mt_an_source(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_policy_source *s);
void mt_an_addresses(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_policy_source *s);
void mt_an_operation(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_policy_operation *o);
void mt_an_condition(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_policy_condition *c);
/* A principal that somebody may have. */
void mt_an_principal_text(
	struct mt_analysis *a, const struct mt_written *w, const struct mt_text *t);

/* ---- selects.c: who selects nothing ---- */
void mt_an_selects(struct mt_analysis *a);

/* ---- status.c: refused, held, kept closed, hosts of nobody ---- */
void mt_an_status(struct mt_analysis *a);
/* ---- unequal.c: instances of one service, and services of one address, that are not judged alike ---- */
void mt_an_unequal(struct mt_analysis *a);

/* ---- subset.c ---- */
/* One of `from`, one of `to` and `when` of a rule, all of which are to fit. */
struct mt_conjunction {
	const struct mt_authz_conds *part[3]; /* NULL: nothing is asked */
};
/* Whether whatever fits rule `x` fits `y`, for certain. */
bool mt_an_rule_within(
	const struct mt_authz_rule *x, const struct mt_authz_rule *y, bool other_action);
/* Whether no call fits it, for certain. */
bool mt_an_rule_is_impossible(const struct mt_authz_rule *x);
/* What holding one rule against another may cost at most, and a rule against itself. */
uint64_t mt_an_cost_within(const struct mt_authz_rule *x, const struct mt_authz_rule *y);
uint64_t mt_an_cost_impossible(const struct mt_authz_rule *x);
/* Of looking at each of its values, in each of its conjunctions. */
uint64_t mt_an_cost(const struct mt_authz_rule *x);
/* Whether every call fits it, for certain: `{}`, an empty source, any method. */
bool mt_an_rule_is_open(const struct mt_authz_rule *x);
bool mt_an_rule_is_empty(const struct mt_authz_rule *x);

/* ---- nots.c: what rules leave out ---- */
static inline bool mt_an_is_name(const struct mt_authz_cond *c)
{
	return c->field >= MT_AUTHZ_PRINCIPAL && c->field <= MT_AUTHZ_TRUST_DOMAIN;
}
/* Of his token. */
static inline bool mt_an_is_token(const struct mt_authz_cond *c)
{
	return c->field == MT_AUTHZ_NOBODY || c->field == MT_AUTHZ_TOKEN ||
	       c->field == MT_AUTHZ_CLAIM;
}
/* Whether it asks for what a token says. */
bool mt_an_wants_token(const struct mt_authz_rule *r);
/* Whether no call without a token fits it. */
bool mt_an_needs_token(const struct mt_authz_rule *r);
/* What the rules of a list say together. */
struct mt_list_words {
	bool denies_tokenless; /* a DENY is for some calls without a token */
	bool allows_tokens;    /* rules of ALLOW ask for one, and those that do not for who calls */
	bool bounds;	       /* a DENY leaves only callers that it names */
};
/* In one step for each of its rules. */
struct mt_list_words mt_an_list_words(const struct mt_authz *l);
/* Whether who brings no token gets past what a rule of the list says of tokens. */
bool mt_an_is_evaded(const struct mt_list_words *l, const struct mt_authz_rule *r, bool allow);

/* ---- uses.c: rules where they are enforced ---- */
void mt_an_uses_gather(struct mt_analysis *a);
/* Whether it fits nobody who has no name. */
bool mt_an_wants_name(const struct mt_authz_rule *r);
/* Some ALLOW of a document's is there. */
bool mt_an_has_allow(const struct mt_authz *rules);
/* And whoever has no name is asked for his address by each rule that he may fit. */
bool mt_an_goes_by_address(const struct mt_authz *rules);
/* Everywhere a DENY leaves only those that it names. */
bool mt_an_is_bounded(const struct mt_rule_use *u);
/* NULL: it is enforced nowhere. */
struct mt_policy_use *mt_an_policy_use_of(const struct mt_analysis *a, uint64_t serial);
struct mt_rule_use *mt_an_use_of(struct mt_analysis *a, uint64_t serial, uint32_t line);
/* ---- rules.c: what comes of that ---- */
void mt_an_rules(struct mt_analysis *a);

/* ---- clear.c: services: open, in clear text ---- */
void mt_an_clear(struct mt_analysis *a);
json_t *mt_an_services_json(struct mt_analysis *a);
/* Whether who has shown no certificate is refused there whatever he calls. */
bool mt_an_asks_certificate(const struct mt_authz *rules);
/* ---- gateways.c, tokens.c, tls.c, drops.c, mesh.c ---- */
void mt_an_gateways(struct mt_analysis *a);
void mt_an_tokens(struct mt_analysis *a);
void mt_an_tls(struct mt_analysis *a);
void mt_an_drops(struct mt_analysis *a);
/* ---- claims.c: hosts that another namespace claims ---- */
void mt_an_claims(struct mt_analysis *a);
/* The DestinationRule whose policy it is: rules of one host are joined, and one of them gives it. NULL: none. */
const struct mt_destination_rule *mt_an_rule_of(
	const struct mt_analysis *a, const struct mt_traffic_policy *p);
/* Of a DestinationRule for a port of its host; NULL: it says none. */
const struct mt_tls_settings *mt_an_settings_of(const struct mt_traffic_policy *p, uint16_t port);
void mt_an_mesh(struct mt_analysis *a);
