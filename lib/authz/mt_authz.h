/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/authz: decides which calls are allowed, by rules compiled from AuthorizationPolicies.
 * docs/how-to/authorization.md specifies what a rule means for RPC. The control thread compiles
 * rules; after that they are immutable and shared. lib/conf decides which policies apply to an
 * endpoint (policies.c), and lib/proxy calls the evaluation (access/authorize.c).
 *
 * The result of a match is one of NO < UNKNOWN < UNREAD < YES. UNKNOWN is a condition that Meltemi
 * cannot evaluate; UNREAD is a value that the server may see and Meltemi cannot read. "All of"
 * takes the least result and "one of" the greatest.
 * - A DENY rule denies unless its result equals NO. An ALLOW rule allows only if it is YES. So
 *   unknown values never allow a call, and do not matter where other conditions decide.
 * - UNREAD is also the result for the namespace or account of a principal that contains /ns/ but is
 *   not DOMAIN/ns/NAMESPACE/sa/ACCOUNT, because Istio's expressions may find a match in it.
 * - The server may take one of several interfaces and methods from a message. DENY matches if one
 *   such pair matches, ALLOW only if all do. The same holds for each value of a metadata key. One
 *   rule alone has to match all of them.
 *
 * Invariants:
 * - Evaluation is pure: no clock, no lock, no allocation. A reader supplies names and metadata when
 *   a condition needs them. It takes at most mt_authz_work() steps, with or without an index: rules
 *   times values, times 16 for operations (8 interfaces, 2 methods), and once for each entry of
 *   metadata or claims (256).
 * - If two policies have the same name, each is in a list of its own (`also`), and a call must pass
 *   all lists. lib/proxy takes a token from a set's `limit` for calls that pass all rules.
 * - The compiler knows which identities callers can have (struct mt_authz_callers). Only reports
 *   (`closes`) and the form of principals of the trust domain depend on it; evaluation uses the
 *   call's own identity: the peer of the stream after the handshake, or without TLS the workload at
 *   its address on the port of arrival (mt_snapshot_bound(), in the current snapshot). A workload
 *   port counts as mTLS.
 * - A call has the claims of a valid token or none (`tokens`). Issuer and subject of a request
 *   principal are compared separately, claims by path.
 * - mt_authz_closes_all() finds a policy that cannot be evaluated and denies every call at the
 *   set's ports. Then lib/conf makes the endpoint fail closed, and with its last endpoint the
 *   service.
 * - A set that allows every call (mt_authz_is_idle()) is not attached to the endpoint, so its calls
 *   cost nothing.
 *
 * Index (index.c, narrow.c): a set of 16 to 1,024 rules has one, over fields that at least four
 * rules use. Each field has one or two probes: two bytes at one position of the text, where the
 * rules' values differ most. They select a row of bits, one for each rule that such a text may
 * match. The few rules in the combination of all rows are evaluated in full, so an index error
 * costs time and never changes a decision. Absent or short values have a row of their own;
 * unreadable or repeated values exclude no rule. A value is cached until another one is found, and
 * only if its key's name is equal exactly (MT_AUTHZ_LAST), because some rules may ignore the case
 * of a key. If the last of a hundred policies decides, a call costs 247 instructions, and 16,100
 * without the index (bench/micro/run.sh --only authz). Up to 128 rules the rows are two words,
 * which stay in registers.
 *
 * tests/unit/authz compares random policies and calls with a second evaluator that works on the
 * documents' text, test_envoy_rbac.py with a real Envoy.
 */
#pragma once

#include "mt_codec.h"
#include "mt_model.h"
#include "mt_region.h"
#include "mt_token.h"

/* ---- the call -------------------------------------------------------------------------------- */

/*
 * Limits of the interface and method names by which the server may know a call; a call with more
 * cannot be read.
 */
#define MT_AUTHZ_INTERFACES 8
#define MT_AUTHZ_METHODS    2

/* Result of a reader's function. */
enum mt_authz_read {
	MT_AUTHZ_NOT_READ,
	MT_AUTHZ_READ,
	MT_AUTHZ_UNREADABLE, /* the server may read more than Meltemi: conditions are UNREAD */
};

struct mt_authz_call;

#define MT_AUTHZ_LAST UINT32_MAX

/* Reads names and metadata of the call, only when a rule needs them. */
struct mt_authz_reader {
	/* Fills c->interfaces, at least one. */
	enum mt_authz_read (*interfaces)(struct mt_authz_call *c);
	/* Fills c->methods, at least one. */
	enum mt_authz_read (*methods)(struct mt_authz_call *c);
	/*
	 * Finds the first entry of the key at or after *pos, sets *v to its value and *pos to where
	 * the next search starts. MT_AUTHZ_READ with v->p NULL: no entry is left. *pos
	 * MT_AUTHZ_LAST with a value: this is the last entry, and its name equals the key's letter
	 * by letter; a reader need not report that. *v is valid until the next value is found.
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
	struct mt_slice sni; /* of the ClientHello, in lower case; p is NULL if there is none */
	bool sni_unkept;     /* forwarded TLS, whose SNI was not kept */
	bool unnamed;	     /* no principal in spite of a workload port; identity is UNREAD */
	/* the caller has a mesh certificate, or its workload port identifies it */
	bool mtls;
	const struct mt_claims *claims; /* of the caller's valid token; NULL if it has none */
	uint32_t asked;			/* asks_id of the provider that allowed the call; else 0 */
	const struct mt_authz_reader *reader; /* NULL: no rule is for messages */
	bool bytes; /* opaque TCP: conditions on messages and tokens cannot be read */
	void *arg;  /* for the reader */
	/* Set by the reader. */
	struct mt_slice interfaces[MT_AUTHZ_INTERFACES], methods[MT_AUTHZ_METHODS];
	uint8_t n_interfaces, n_methods;
	uint8_t interfaces_read, methods_read; /* enum mt_authz_read */
	/* For the index: the only value of key `kept_of`, found last; kept_of NULL: none. */
	const struct mt_key *kept_of;
	struct mt_slice kept;
	uint32_t steps; /* work done so far: values compared, conditions and rules evaluated */
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
	MT_AUTHZ_UNKNOWN, /* cannot be evaluated */
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
	uint8_t sub_match; /* of TOKEN: how `sub` matches the subject; `match` is for the issuer */
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
	bool by_interface, by_method; /* `to` has conditions on it, or on the path */
	uint32_t line;		      /* line in the document; 0: it is in no document */
};

/*
 * An object that fails closed for the endpoints it selects. Workers count the denials that it
 * causes, at `index` of their counters.
 */
struct mt_closer {
	const char *by; /* "KIND NAMESPACE/NAME" */
	const char *kind, *ns, *name;
	uint64_t id; /* hash of `by`; tells which object owns `index`, which may be reused later */
	uint32_t
		index; /* less than MT_AUTHZ_CLOSERS_MAX; 0: shared by all that found no free one */
};

#define MT_AUTHZ_CLOSERS_MAX 1024

enum mt_authz_action {
	MT_AUTHZ_ALLOW,
	MT_AUTHZ_DENY,
	MT_AUTHZ_CLOSE, /* matching calls go to a provider; without a provider they are CLOSED */
};

struct mt_filter_inst;

/* How a call's token is verified before the rules are evaluated. */
struct mt_authz_tokens {
	struct mt_token_rules *rules;	   /* reference, which the creator holds */
	struct mt_key *places, *sanitized; /* the keys of `rules`, for the codec */
};

struct mt_authz_policy {
	uint8_t action; /* enum mt_authz_action */
	const char *by; /* "AuthorizationPolicy NAMESPACE/NAME" */
	struct mt_authz_rule *rules;
	uint32_t n_rules;
	/* Findings about the policy, to be reported. */
	const char *dropped; /* of DENY, CLOSE: first field left out because the codec lacks it */
	/* of ALLOW: the first field that the codec lacks; its rule was left out */
	const char *vanished;
	bool closes;	 /* a call may match a rule of CLOSE, or one that cannot be evaluated */
	bool closes_all; /* of DENY and CLOSE: every call at its ports matches such a rule */
	bool admits;	 /* of ALLOW: some call may match a rule */
	/*
	 * Of CLOSE: the lib/extauthz provider that decides on matching calls; NULL: they are
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
		*index; /* of the rules; NULL: no index, evaluate all policies in turn */
	const struct mt_authz *also; /* another set that must also allow the call; NULL: none */
	const struct mt_authz_tokens *tokens; /* NULL: tokens are not verified */
	const struct mt_filter_inst *
		limit; /* rate limit of lib/filter from which allowed calls take a token; or NULL */
	bool reads;    /* evaluation needs names or metadata of the message */
	bool searches; /* evaluation needs data that follow the arguments of the message */
};

/* ---- compilation, on the control thread ------------------------------------------------------ */

/* Ports at which calls arrive; rules for other ports are left out. */
struct mt_authz_ports {
	uint16_t server, service;
};

/* What identities callers can have. */
struct mt_authz_callers {
	bool tokens; /* callers may have a valid token; false: no call has a request principal */
	/* callers may have a certificate or use workload ports; false: no call has a principal */
	bool certified;
	const char *const *domains; /* the mesh's trust domain and its aliases */
	uint32_t n_domains;
};

/*
 * Compiles a policy for messages of this codec at these ports (NULL: any ports) from these callers
 * (NULL: no call has a principal). Copies what it needs into `r`. Must not be called for AUDIT or a
 * dry run. NULL: no memory.
 */
struct mt_authz_policy *mt_authz_compile(struct mt_region *r,
	const struct mt_authorization_policy *p, const struct mt_codec *codec,
	const struct mt_authz_ports *at, const struct mt_authz_callers *who);
/* True if messages of the codec may carry tokens. */
bool mt_authz_carries(const struct mt_codec *codec);
/*
 * Prepares token verification by `rules` for messages of the codec, in `r`. NULL with r->failed not
 * set: messages of the codec carry no tokens.
 */
const struct mt_authz_tokens *mt_authz_tokens_for(
	struct mt_region *r, struct mt_token_rules *rules, const struct mt_codec *codec);
/*
 * Makes a policy that denies calls with a token in a place where the rules look for one. NULL with
 * r->failed not set: messages of the codec carry no tokens.
 */
struct mt_authz_policy *mt_authz_compile_tokens(struct mt_region *r,
	const struct mt_request_authentication *p, const struct mt_codec *codec);
/* Makes a policy of CLOSE that matches every call. Copies `by`. */
struct mt_authz_policy *mt_authz_compile_closing(struct mt_region *r, const char *by);
/* Makes a policy that denies every call that is not mTLS. Copies `by`. */
struct mt_authz_policy *mt_authz_compile_strict(struct mt_region *r, const char *by);
/*
 * Makes the set of these policies, in their order; they must be in `r`, too. `also` becomes the
 * set's `also`. NULL: no memory.
 */
struct mt_authz *mt_authz_set(struct mt_region *r, struct mt_authz_policy *const *policies,
	uint32_t n, const struct mt_authz *also);
/*
 * Returns the policy that refuses every call because it cannot be evaluated. NULL: some call may
 * pass, or policies that can be evaluated refuse all.
 */
const struct mt_authz_policy *mt_authz_closes_all(const struct mt_authz *a);
/* True if the set allows every call. */
bool mt_authz_is_idle(const struct mt_authz *a);

/* True if conditions with this key can be evaluated. */
bool mt_authz_is_condition(const char *key);
/*
 * The i-th condition key: "source.ip", or "request.headers[" for a key with a name in brackets.
 * NULL after the last one.
 */
const char *mt_authz_condition_key(uint32_t i);

/* ---- evaluation, on workers ------------------------------------------------------------------ */

enum mt_authz_effect {
	MT_AUTHZ_ALLOWED,
	MT_AUTHZ_DENIED,
	MT_AUTHZ_UNREAD, /* denied, because a rule needs data that cannot be read */
	MT_AUTHZ_CLOSED, /* denied, because a rule cannot be evaluated or the policy is of CLOSE */
	MT_AUTHZ_ASK,	 /* denied, unless the provider `asks` of the policy allows it */
};

/*
 * *by: the policy that decided; NULL if the call is allowed. If no ALLOW policy matches, it is the
 * one that came nearest. ALLOWED holds for every name and value that the server may take from the
 * call.
 */
enum mt_authz_effect mt_authz_judge(
	const struct mt_authz *a, struct mt_authz_call *c, const struct mt_authz_policy **by);
/* The policy's name, for operators. */
static inline const char *mt_authz_by(const struct mt_authz_policy *by)
{
	return by ? by->by : "policies";
}

/* The most steps that evaluation takes for a call with this number of metadata entries. */
uint64_t mt_authz_work(const struct mt_authz *a, uint32_t entries);
