/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/authz: decides which calls are allowed, by rules compiled from AuthorizationPolicies.
 * docs/how-to/authorization.md specifies the meaning of a rule for RPC. The control thread compiles
 * rules, which are then immutable and shared by workers. lib/conf decides which policies apply to
 * an endpoint (policies.c), and lib/proxy calls the evaluation (access/authorize.c).
 *
 * The result of a match is one of NO < UNKNOWN < UNREAD < YES. UNKNOWN is the result of a condition
 * that Meltemi cannot evaluate. UNREAD is the result for a value that the server may read and
 * Meltemi cannot. "All of" takes the least result and "one of" the greatest.
 * - A DENY rule denies the call unless its result is NO. An ALLOW rule allows the call only if its
 *   result is YES. So UNKNOWN and UNREAD never allow a call, and they have no effect if other
 *   conditions decide.
 * - UNREAD is also the result for namespace and account of a principal that contains /ns/ but does
 *   not have the form DOMAIN/ns/NAMESPACE/sa/ACCOUNT, because Istio's expressions may match such a
 *   principal.
 * - The server may read one of several interfaces and methods from a message. A DENY rule matches
 *   if one such pair matches, an ALLOW rule only if all do. The same applies to several values of a
 *   metadata key. A single ALLOW rule must match them all.
 *
 * Invariants:
 * - Evaluation is pure: no clock, no lock, no allocation. A reader supplies names and metadata when
 *   a condition needs them. Evaluation takes at most mt_authz_work() steps, with or without an
 *   index: rules times values, times 16 for operations (8 interfaces, 2 methods), and times the
 *   entries for metadata and claims (256).
 * - Two policies with the same name are in separate sets, linked by `also`, and a call must pass
 *   all sets. For a call that passes all rules lib/proxy takes a token from the set's `limit`.
 * - The compiler knows which identities callers can have (struct mt_authz_callers). Only reports
 *   (`closes`) and the form of principals of the trust domain depend on this. Evaluation uses the
 *   call's own identity. With TLS this is the stream's peer after the handshake; without TLS it is
 *   the workload with the client's address on the port of arrival (mt_snapshot_bound(), in the
 *   current snapshot). A workload port counts as mTLS.
 * - A call has the claims of a valid token or none (`tokens`). Issuer and subject of a request
 *   principal are compared separately, claims by path.
 * - mt_authz_closes_all() finds a policy that cannot be evaluated and therefore denies every call
 *   at the set's ports. Then lib/conf makes the endpoint fail closed; a service fails closed with
 *   its last endpoint.
 * - A set that allows every call (mt_authz_is_idle()) is not attached to the endpoint, so calls to
 *   the endpoint have no cost.
 *
 * Index (index.c, narrow.c): a set of 16 to 1,024 rules has an index over the fields that at least
 * four rules use. Each field has one or two probes. A probe is two bytes at the position of the
 * text where the rules' values differ most. The two bytes select a row with a bit for each rule
 * that the text may match. The rules in the AND of all rows are few and are evaluated in full, so a
 * row with too many rules costs time and changes no decision. Absent and short values have rows of
 * their own; unreadable and repeated values exclude no rule. The last value that was found is
 * cached, if its key equals the condition's key in each letter (MT_AUTHZ_LAST), because some rules
 * may ignore the case of a key. If the last of a hundred policies decides, a call costs 247
 * instructions, and 16,100 without the index (bench/micro/run.sh --only authz). Up to 128 rules the
 * rows are two words, which stay in registers.
 *
 * tests/unit/authz compares the decisions about random policies and calls with a second evaluator,
 * which works on the documents' text; test_envoy_rbac.py compares them with a real Envoy.
 */
#pragma once

#include "mt_addr_range.h"
#include "mt_codec.h"
#include "mt_model.h"
#include "mt_region.h"
#include "mt_token.h"

/* ---- the call -------------------------------------------------------------------------------- */

/*
 * Limits of the interface and method names that a server may read from one call. If there are more,
 * the names are UNREADABLE.
 */
#define MT_AUTHZ_INTERFACES 8
#define MT_AUTHZ_METHODS    2

/* Result of a reader's function. */
enum mt_authz_read {
	MT_AUTHZ_NOT_READ,
	MT_AUTHZ_READ,
	/* the server may read data that Meltemi cannot; conditions are UNREAD */
	MT_AUTHZ_UNREADABLE,
};

struct mt_authz_call;

#define MT_AUTHZ_LAST UINT32_MAX

/* Functions that read names and metadata of the call when a rule needs them. */
struct mt_authz_reader {
	/* Fills c->interfaces, at least one. */
	enum mt_authz_read (*interfaces)(struct mt_authz_call *c);
	/* Fills c->methods, at least one. */
	enum mt_authz_read (*methods)(struct mt_authz_call *c);
	/*
	 * Finds the first entry of the key at or after *pos. Sets *v to the entry's value and *pos
	 * to the start of the next search. Returns MT_AUTHZ_READ with v->p NULL if no entry is
	 * left. A reader may set *pos to MT_AUTHZ_LAST if this is the last entry and its name
	 * equals the key's letter by letter. *v is valid until the next value is found.
	 */
	enum mt_authz_read (*metadata)(struct mt_authz_call *c, const struct mt_key *key,
		uint32_t *pos, struct mt_slice *v);
};

/* For opaque TCP (mt_authz_call.bytes): reads nothing. */
extern const struct mt_authz_reader mt_authz_of_bytes;

struct mt_authz_call {
	struct mt_addr peer, server;
	uint16_t server_port, service_port;
	struct mt_slice principal; /* "cluster.local/ns/a/sa/b"; p is NULL if there is none */
	struct mt_slice sni; /* SNI of the ClientHello, in lower case; p is NULL if there is none */
	bool sni_unkept;     /* TLS is forwarded and its SNI was not kept */
	/*
	 * the call came from a workload port but has no principal; conditions on identity are
	 * UNREAD
	 */
	bool unnamed;
	/* the caller has a mesh certificate, or its workload port identifies it */
	bool mtls;
	/* claims of the caller's valid token; NULL if there is none */
	const struct mt_claims *claims;
	uint32_t asked; /* asks_id of the provider that allowed the call; else 0 */
	const struct mt_authz_reader *reader; /* NULL: no rule has conditions on messages */
	bool bytes; /* opaque TCP: conditions on messages and tokens cannot be read */
	void *arg;  /* argument for the reader */
	/* The reader sets names and results. */
	struct mt_slice interfaces[MT_AUTHZ_INTERFACES], methods[MT_AUTHZ_METHODS];
	uint8_t n_interfaces, n_methods;
	uint8_t interfaces_read, methods_read; /* enum mt_authz_read */
	/*
	 * For the index: the only value of key `kept_of`, which was found last. kept_of NULL: no
	 * value is cached.
	 */
	const struct mt_key *kept_of;
	struct mt_slice kept;
	uint32_t steps; /* work so far: compared values, evaluated conditions and rules */
};

/* ---- rules ----------------------------------------------------------------------------------- */

enum mt_authz_field {
	MT_AUTHZ_PEER,
	MT_AUTHZ_SERVER,
	MT_AUTHZ_PORT,
	MT_AUTHZ_PRINCIPAL,
	MT_AUTHZ_NAMESPACE,
	MT_AUTHZ_ACCOUNT,
	MT_AUTHZ_TRUST_DOMAIN,
	MT_AUTHZ_SNI,
	MT_AUTHZ_TOKEN,	 /* issuer and subject of the token */
	MT_AUTHZ_CLAIM,	 /* one claim of the token */
	MT_AUTHZ_NOBODY, /* no call has a value */
	MT_AUTHZ_METHOD,
	MT_AUTHZ_INTERFACE,
	MT_AUTHZ_PATH,
	MT_AUTHZ_METADATA,
	MT_AUTHZ_CLEAR,	  /* the call is not mTLS; no values */
	MT_AUTHZ_UNKNOWN, /* a condition that cannot be evaluated */
};

enum mt_authz_match {
	MT_AUTHZ_EXACT,
	MT_AUTHZ_PREFIX,
	MT_AUTHZ_SUFFIX,
	MT_AUTHZ_PRESENT,  /* any text, also an empty one */
	MT_AUTHZ_NONEMPTY, /* any text that is not empty */
	MT_AUTHZ_BEGINS,   /* as PREFIX, ignoring case */
	MT_AUTHZ_STARS,	   /* each "*" in the text matches any number of letters, also none */
};

struct mt_authz_value {
	uint8_t match;	   /* enum mt_authz_match, for texts */
	uint8_t bits;	   /* prefix length, for addresses */
	uint8_t sub_match; /* for TOKEN: how `sub` matches the subject; `match` is for the issuer */
	uint16_t port;
	struct mt_slice text, sub;
	struct mt_addr net;
};

/* Matches if one of `values` matches (or there are none) and none of `nots` matches. */
struct mt_authz_cond {
	uint8_t field; /* enum mt_authz_field */
	uint32_t n_values, n_nots;
	struct mt_authz_value *values, *nots;
	struct mt_key key;    /* of METADATA */
	struct mt_slice path; /* of CLAIM */
};

/* Conditions that must all match. */
struct mt_authz_conds {
	struct mt_authz_cond *v;
	uint32_t n;
};

/* Matches if one of `from`, one of `to` and all of `when` match; an empty list always matches. */
struct mt_authz_rule {
	struct mt_authz_conds *from, *to, when;
	uint32_t n_from, n_to;
	/* `to` has conditions on interface (method), or on the path */
	bool by_interface, by_method;
	uint32_t line; /* line in the document; 0: the rule is in no document */
};

/*
 * An object that fails closed for the endpoints that it selects. Workers count the denials because
 * of this object, at `index` of their counters.
 */
struct mt_closer {
	const char *by; /* "KIND NAMESPACE/NAME" */
	const char *kind, *ns, *name;
	/* hash of `by`; identifies the owner of `index`, because an index may be reused later */
	uint64_t id;
	uint32_t
		/*
		 * less than MT_AUTHZ_CLOSERS_MAX; 0 is shared by all objects that found no free
		 * index
		 */
		index;
};

#define MT_AUTHZ_CLOSERS_MAX 1024

enum mt_authz_action {
	MT_AUTHZ_ALLOW,
	MT_AUTHZ_DENY,
	/* a provider decides on matching calls; without a provider they are CLOSED */
	MT_AUTHZ_CLOSE,
};

struct mt_filter_inst;

/* How a call's token is verified before the rules are evaluated. */
struct mt_authz_tokens {
	struct mt_token_rules *rules;	   /* the creator holds the reference */
	struct mt_key *places, *sanitized; /* the keys of `rules`, compiled for the codec */
};

struct mt_authz_policy {
	uint8_t action; /* enum mt_authz_action */
	const char *by; /* "AuthorizationPolicy NAMESPACE/NAME" */
	struct mt_authz_rule *rules;
	uint32_t n_rules;
	/* Findings for reports about the policy. */
	/* DENY, CLOSE: the first field that was left out because the codec lacks it */
	const char *dropped;
	/* ALLOW: the first field that the codec lacks; the rule with it was left out */
	const char *vanished;
	/*
	 * the first field that cannot be evaluated, because servers of the codec may execute
	 * another service or method than it names, or use other metadata
	 */
	const char *other;
	bool closes;	 /* a call may match a rule of CLOSE, or a rule that cannot be evaluated */
	bool closes_all; /* DENY, CLOSE: every call at the policy's ports matches such a rule */
	bool admits;	 /* ALLOW: some call may match a rule */
	/*
	 * CLOSE: the lib/extauthz provider that decides on matching calls; NULL: matching calls are
	 * denied. Set by the creator.
	 */
	struct mt_extauthz_provider *asks;
	uint32_t asks_id;		/* mt_extauthz_id() of `asks`; 0 without a provider */
	const struct mt_closer *closer; /* for policies that fail closed; set by the creator */
	uint64_t serial;		/* serial number of the document; 0: none */
};

/* The policies that apply to the calls of an endpoint. */
struct mt_authz {
	const struct mt_authz_policy **deny, **allow; /* deny: first CLOSE, then DENY */
	uint32_t n_deny, n_allow;
	const struct mt_authz_index
		*index;		     /* index of the rules; NULL: evaluate all policies in turn */
	const struct mt_authz *also; /* another set that must also allow the call; NULL: none */
	const struct mt_authz_tokens *tokens; /* NULL: tokens are not verified */
	const struct mt_filter_inst *
		/*
		 * rate limit of lib/filter from which each allowed call takes a token; NULL: none
		 */
		limit;
	bool reads;    /* evaluation needs names or metadata of the message */
	bool searches; /* evaluation needs data that follow the arguments of the message */
};

/* ---- compilation, on the control thread ------------------------------------------------------ */

/* Ports at which calls arrive. Rules for other ports are left out. */
struct mt_authz_ports {
	uint16_t server, service;
};

/* The identities that callers can have. */
struct mt_authz_callers {
	bool tokens; /* callers may have a valid token; if false, no call has a request principal */
	/*
	 * callers may have a certificate or use workload ports; if false, no call has a principal
	 */
	bool certified;
	const char *const *domains; /* the mesh's trust domain and its aliases */
	uint32_t n_domains;
};

/*
 * Compiles a policy for messages of this codec at these ports (NULL: any ports) from these callers
 * (NULL: no call has a principal). Copies all texts that it needs into `r`. Must not be called for
 * AUDIT or a dry run. Returns NULL if out of memory.
 */
struct mt_authz_policy *mt_authz_compile(struct mt_region *r,
	const struct mt_authorization_policy *p, const struct mt_codec *codec,
	const struct mt_authz_ports *at, const struct mt_authz_callers *who);
/*
 * The same in two steps, so that the conditions of a policy are compiled once for many ports: all
 * rules, and the policy at some ports. It shares conditions, or all of its rules, with `rules`, and
 * both must be in one region. The second step reads `p` and `who` again.
 */
struct mt_authz_rules;
struct mt_authz_rules *mt_authz_rules_of(struct mt_region *r,
	const struct mt_authorization_policy *p, const struct mt_codec *codec,
	const struct mt_authz_callers *who);
struct mt_authz_policy *mt_authz_at_ports(
	struct mt_region *r, const struct mt_authz_rules *rules, const struct mt_authz_ports *at);
/*
 * True if servers may take what the key names from another part of the message than the codec, so
 * that its value can neither be known nor removed.
 */
bool mt_authz_is_elsewhere(const struct mt_codec *codec, const struct mt_key *key);
/* True if messages of the codec may carry tokens. */
bool mt_authz_carries(const struct mt_codec *codec);
/*
 * Prepares in `r` the verification of tokens by `rules` for messages of the codec. Returns NULL if
 * out of memory (r->failed), or if messages of the codec carry no tokens.
 */
const struct mt_authz_tokens *mt_authz_tokens_for(
	struct mt_region *r, struct mt_token_rules *rules, const struct mt_codec *codec);
/*
 * Makes a policy that denies calls with a token in one of the places that `p` specifies. Returns
 * NULL if out of memory (r->failed), or if messages of the codec carry no tokens.
 */
struct mt_authz_policy *mt_authz_compile_tokens(struct mt_region *r,
	const struct mt_request_authentication *p, const struct mt_codec *codec);
/* Makes a policy of CLOSE that matches every call. Copies `by`. */
struct mt_authz_policy *mt_authz_compile_closing(struct mt_region *r, const char *by);
/* Makes a policy that denies every call that is not mTLS. Copies `by`. */
struct mt_authz_policy *mt_authz_compile_strict(struct mt_region *r, const char *by);
/*
 * Makes the set of these policies, in their order. The policies must be in `r`, too. `also`:
 * another set that must allow the call, or NULL. Returns NULL if out of memory.
 */
struct mt_authz *mt_authz_set(struct mt_region *r, struct mt_authz_policy *const *policies,
	uint32_t n, const struct mt_authz *also);
/*
 * Returns the policy that denies every call because it cannot be evaluated. NULL: some call may
 * pass, or policies that can be evaluated deny all calls.
 */
const struct mt_authz_policy *mt_authz_closes_all(const struct mt_authz *a);
/* Returns the first ALLOW policy of an object. NULL: none. */
const struct mt_authz_policy *mt_authz_allow(const struct mt_authz *a);
/*
 * Two services have one endpoint. Returns a policy of `guarded` that calls to the service with the
 * policies `open` bypass. NULL: none, or `open` denies all calls. Either set may be NULL. An author
 * may give services of one namespace policies of their own, so there only a service without any
 * ALLOW policy bypasses those of another one.
 */
const struct mt_authz_policy *mt_authz_bypassed(
	const struct mt_authz *guarded, const struct mt_authz *open, bool one_namespace);
/*
 * True if the policies may change the metadata of a call that they allow: they verify tokens, or
 * query a provider. NULL: false.
 */
bool mt_authz_changes(const struct mt_authz *a);
/*
 * Returns the addresses of clients without identity from which the set allows connections of opaque
 * TCP, or packets, to this server at these ports. In `r`; without memory `r` is failed.
 */
struct mt_addr_ranges mt_authz_clients(struct mt_region *r, const struct mt_authz *a,
	const struct mt_addr *server, const struct mt_authz_ports *at);
/* True if the set allows every call. */
bool mt_authz_is_idle(const struct mt_authz *a);

/* True if conditions with this key can be evaluated. */
bool mt_authz_is_condition(const char *key);
/*
 * Returns condition key i: "source.ip", or "request.headers[" for a key with a name in brackets;
 * NULL after the last one.
 */
const char *mt_authz_condition_key(uint32_t i);

/* ---- evaluation, on workers ------------------------------------------------------------------ */

enum mt_authz_effect {
	MT_AUTHZ_ALLOWED,
	MT_AUTHZ_DENIED,
	MT_AUTHZ_UNREAD, /* denied, because a rule needs data that cannot be read */
	MT_AUTHZ_CLOSED, /* denied, because a rule cannot be evaluated or the policy is of CLOSE */
	MT_AUTHZ_ASK,	 /* denied, unless the policy's provider `asks` allows the call */
};

/*
 * Decides on a call. *by becomes NULL if the call is allowed, otherwise the policy that decided; if
 * no ALLOW policy matches, the one that came nearest to a match. ALLOWED is valid for every name
 * and value that the server may read from the call.
 */
enum mt_authz_effect mt_authz_judge(
	const struct mt_authz *a, struct mt_authz_call *c, const struct mt_authz_policy **by);
/* Returns the policy's name for operators. */
static inline const char *mt_authz_by(const struct mt_authz_policy *by)
{
	return by ? by->by : "policies";
}

/*
 * Returns the bound of the steps of an evaluation for a call with this number of metadata entries.
 */
uint64_t mt_authz_work(const struct mt_authz *a, uint32_t entries);
