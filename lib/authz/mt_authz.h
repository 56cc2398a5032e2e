/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/authz: who may call, as compiled rules and one function that judges a call by them. What a rule means for RPC is
 * docs/operations/authorization.md. Compiled on the control thread, immutable and shared after that; judging is pure: no
 * clock, no lock, no allocation, and what it costs is bounded by rules, values and names (mt_authz_work()).
 */
#pragma once

#include "mt_codec.h"
#include "mt_model.h"
#include "mt_region.h"
#include "mt_token.h"

/* ---- what is judged -------------------------------------------------------------------------------- */

/* Names that the server may take the call for; a call with more cannot be read. */
#define MT_AUTHZ_INTERFACES 8
#define MT_AUTHZ_METHODS    2

/* Of what a reader gives. */
enum mt_authz_read {
	MT_AUTHZ_NOT_READ,
	MT_AUTHZ_READ,
	MT_AUTHZ_UNREADABLE, /* the server may see more than we do: what asks for it denies */
};

struct mt_authz_call;

#define MT_AUTHZ_LAST UINT32_MAX

/* Asked when a rule wants to know, and not before. */
struct mt_authz_reader {
	/* Fills c->interfaces, at least one. */
	enum mt_authz_read (*interfaces)(struct mt_authz_call *c);
	/* Fills c->methods, at least one. */
	enum mt_authz_read (*methods)(struct mt_authz_call *c);
	/*
	 * The value of the key's entry at *pos or behind it; *pos is then where to look for its next one. READ without a value
	 * (v->p NULL): there is no other. *pos MT_AUTHZ_LAST with a value: nor is there one behind it, and its name is the key's letter
	 * by letter; a reader need not know. The value holds until another one is found.
	 */
	enum mt_authz_read (*metadata)(struct mt_authz_call *c, const struct mt_key *key,
		uint32_t *pos, struct mt_slice *v);
};

/* For byte streams (mt_authz_call.bytes): reads nothing. */
extern const struct mt_authz_reader mt_authz_of_bytes;

struct mt_authz_call {
	struct mt_addr peer, server;
	uint16_t server_port, service_port;
	struct mt_slice principal; /* "cluster.local/ns/a/sa/b"; p NULL: none */
	struct mt_slice sni; /* that the caller's TLS asked for, in small letters; p NULL: none */
	bool sni_unkept;     /* he has asked for one that nobody knows any more */
	bool unnamed; /* his port says that he is one of the mesh's, and nobody can say which: what asks for his name cannot be read */
	bool mtls; /* he has shown a certificate that was verified, or his port says by name who he is */
	const struct mt_claims *claims; /* of his token, which is valid; NULL: he has none */
	uint32_t asked;			/* the one of asks_id has allowed it; 0: nobody was asked */
	const struct mt_authz_reader *reader; /* NULL: no rule is for messages */
	bool bytes; /* byte stream: rules may name its messages and tokens, which cannot be read */
	void *arg;  /* the reader's */
	/* By the reader. */
	struct mt_slice interfaces[MT_AUTHZ_INTERFACES], methods[MT_AUTHZ_METHODS];
	uint8_t n_interfaces, n_methods;
	uint8_t interfaces_read, methods_read; /* enum mt_authz_read */
	/* The index's: the only value of that key, the last that was found; kept_of NULL: there is none. */
	const struct mt_key *kept_of;
	struct mt_slice kept;
	uint32_t steps; /* work done so far: values compared, conditions and rules looked at */
};

/* ---- rules ----------------------------------------------------------------------------------------- */

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
	MT_AUTHZ_CLAIM,	 /* one of it */
	MT_AUTHZ_NOBODY, /* no call has it */
	MT_AUTHZ_METHOD,
	MT_AUTHZ_INTERFACE,
	MT_AUTHZ_PATH,
	MT_AUTHZ_METADATA,
	MT_AUTHZ_CLEAR,	  /* who has shown no certificate; no values */
	MT_AUTHZ_UNKNOWN, /* whether it fits cannot be said */
};

enum mt_authz_match {
	MT_AUTHZ_EXACT,
	MT_AUTHZ_PREFIX,
	MT_AUTHZ_SUFFIX,
	MT_AUTHZ_PRESENT,  /* also without a text */
	MT_AUTHZ_NONEMPTY, /* with one */
	MT_AUTHZ_BEGINS,   /* as PREFIX, whatever the case */
	MT_AUTHZ_STARS,	   /* each "*" in the text is any letters, also none */
};

struct mt_authz_value {
	uint8_t match;	   /* enum mt_authz_match, of texts */
	uint8_t bits;	   /* of addresses */
	uint8_t sub_match; /* of TOKEN: of the subject, as `match` is of the issuer */
	uint16_t port;
	struct mt_slice text, sub;
	struct mt_addr net;
};

/* Fits what one of `values` fits, if there are any, and none of `nots`. */
struct mt_authz_cond {
	uint8_t field; /* enum mt_authz_field */
	uint32_t n_values, n_nots;
	struct mt_authz_value *values, *nots;
	struct mt_key key;    /* of METADATA */
	struct mt_slice path; /* of CLAIM */
};

/* All of them. */
struct mt_authz_conds {
	struct mt_authz_cond *v;
	uint32_t n;
};

/* One of `from`, one of `to`, and all of `when`; none of a kind: it fits everybody. */
struct mt_authz_rule {
	struct mt_authz_conds *from, *to, when;
	uint32_t n_from, n_to;
	bool by_interface, by_method; /* what `to` asks for */
	uint32_t line;		      /* where it was written; 0: nowhere */
};

/* An object that closes what it selects. What is refused because of it is counted by it, in a place of workers' counters. */
struct mt_closer {
	const char *by; /* "KIND NAMESPACE/NAME" */
	const char *kind, *ns, *name;
	uint64_t id; /* of `by`: whose the place is, which may serve another one later */
	uint32_t
		index; /* under MT_AUTHZ_CLOSERS_MAX; 0: that of all that have found no place of their own */
};

#define MT_AUTHZ_CLOSERS_MAX 1024

enum mt_authz_action {
	MT_AUTHZ_ALLOW,
	MT_AUTHZ_DENY,
	MT_AUTHZ_CLOSE, /* who fits cannot be judged: denied, and told apart */
};

struct mt_filter_inst;

/* What a call's token is verified by before it is judged. */
struct mt_authz_tokens {
	struct mt_token_rules *rules;	   /* its maker's to hold */
	struct mt_key *places, *sanitized; /* as in `rules` */
};

struct mt_authz_policy {
	uint8_t action; /* enum mt_authz_action */
	const char *by; /* "AuthorizationPolicy NAMESPACE/NAME" */
	struct mt_authz_rule *rules;
	uint32_t n_rules;
	/* What about it is to be told. */
	const char *dropped;  /* a field that the codec does not have: of DENY it was left out */
	const char *vanished; /* and a rule of ALLOW with it */
	bool closes;	      /* some call may fit of which it cannot be said whether it should */
	bool closes_all;      /* of DENY and CLOSE: every call at its ports is one */
	bool admits;	      /* of ALLOW: some call may fit a rule */
	/* Of CLOSE: who is asked about whoever fits, lib/extauthz's; its maker's to set. NULL: nobody, it is closed. */
	struct mt_extauthz_provider *asks;
	uint32_t asks_id;		/* of it; 0: of none */
	const struct mt_closer *closer; /* of what closes: its maker's to set */
	uint64_t serial;		/* of the document; 0: of none */
};

/* All that an endpoint's calls are judged by. */
struct mt_authz {
	const struct mt_authz_policy **deny, **allow; /* deny: with CLOSE, which come first */
	uint32_t n_deny, n_allow;
	const struct mt_authz_index
		*index;		     /* of rules, where there are many; NULL: each is asked */
	const struct mt_authz *also; /* who calls has to pass it, too; NULL: that is all */
	const struct mt_authz_tokens *tokens; /* NULL: nothing is asked of tokens */
	const struct mt_filter_inst *
		limit; /* lib/filter's, for its own endpoint: calls that may pass take a token; NULL: none */
	bool reads;    /* what a message is: names or metadata */
	bool searches; /* what stands behind its arguments */
};

/* ---- compiled, on the control thread --------------------------------------------------------------- */

/* Where calls arrive; rules that name other ports are none there. */
struct mt_authz_ports {
	uint16_t server, service;
};

/* Who may call at all. */
struct mt_authz_callers {
	bool tokens; /* some may have a token that is valid; false: nobody has a request principal */
	bool certified; /* some may show a certificate, or enter where the port vouches for them; false: nobody has a principal */
	const char *const *domains; /* trust domains of the mesh: its own, and aliases */
	uint32_t n_domains;
};

/*
 * A policy for messages of this codec at these ports (NULL: at any), for these callers (NULL: nobody has a principal). What it says is copied into `r`. AUDIT and
 * dry run are nobody's to compile. NULL: no memory.
 */
struct mt_authz_policy *mt_authz_compile(struct mt_region *r,
	const struct mt_authorization_policy *p, const struct mt_codec *codec,
	const struct mt_authz_ports *at, const struct mt_authz_callers *who);
/* Whether messages of the codec may carry tokens. */
bool mt_authz_carries(const struct mt_codec *codec);
/* Of these rules, for messages of the codec, in `r`; NULL with r->failed not set: no message of it carries any. */
const struct mt_authz_tokens *mt_authz_tokens_for(
	struct mt_region *r, struct mt_token_rules *rules, const struct mt_codec *codec);
/* Denies calls with a token where the rules look for one; NULL with r->failed not set: no message of the codec carries any. */
struct mt_authz_policy *mt_authz_compile_tokens(struct mt_region *r,
	const struct mt_request_authentication *p, const struct mt_codec *codec);
/* Closes for everybody. `by` is copied. */
struct mt_authz_policy *mt_authz_compile_closing(struct mt_region *r, const char *by);
/* Denies who has shown no certificate. `by` is copied. */
struct mt_authz_policy *mt_authz_compile_strict(struct mt_region *r, const char *by);
/* Of these, in their order; they live in `r` as well. `also`: as it is there. NULL: no memory. */
struct mt_authz *mt_authz_set(struct mt_region *r, struct mt_authz_policy *const *policies,
	uint32_t n, const struct mt_authz *also);
/*
 * Returns the policy that refuses every call because it cannot be evaluated. NULL: some call may
 * pass, or policies that can be evaluated refuse all.
 */
const struct mt_authz_policy *mt_authz_closes_all(const struct mt_authz *a);
/* Whether everybody passes, whoever calls. */
bool mt_authz_is_idle(const struct mt_authz *a);

/* Whether conditions of that key can be evaluated. */
bool mt_authz_is_condition(const char *key);
/* The keys, one by one: "source.ip"; "request.headers[" of those that name something in brackets. NULL: there are no more. */
const char *mt_authz_condition_key(uint32_t i);

/* ---- judged, on workers ---------------------------------------------------------------------------- */

enum mt_authz_effect {
	MT_AUTHZ_ALLOWED,
	MT_AUTHZ_DENIED,
	MT_AUTHZ_UNREAD, /* denied: a rule asks for what cannot be read */
	MT_AUTHZ_CLOSED, /* denied: whether a rule fits cannot be said */
	MT_AUTHZ_ASK,	 /* denied, unless whom the policy `asks` allows it */
};

/*
 * *by: whose rule decided; NULL: no rule of any ALLOW fits, or it is allowed. What is ALLOWED is so for each name and value
 * that the server may go by.
 */
enum mt_authz_effect mt_authz_judge(
	const struct mt_authz *a, struct mt_authz_call *c, const struct mt_authz_policy **by);
/* The policy's name for who operates the node. */
static inline const char *mt_authz_by(const struct mt_authz_policy *by)
{
	return by ? by->by : "policies";
}

/* The most steps that judging can take of a call with so many metadata entries. */
uint64_t mt_authz_work(const struct mt_authz *a, uint32_t entries);
