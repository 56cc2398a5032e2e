/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens (RFC 7519, the compact form of RFC 7515) against rules of RequestAuthentications. What is valid is what Envoy's
 * filter jwt_authn takes, without symmetric keys. Verifying costs tens of microseconds, and allocates: it is done on service threads,
 * and on the control thread for who asks there; never on a worker.
 */
#pragma once

#include "mt_claims.h"
#include "mt_jwks.h"
#include "mt_outcome.h"

enum mt_token_outcome {
#define MT_OUTCOME(n, s, w) MT_TOKEN_##n,
#include "jwt_outcomes.def"
#undef MT_OUTCOME
	MT_TOKEN_N_OUTCOMES
};

extern const struct mt_outcome_set mt_token_outcomes;

#define MT_TOKEN_MAX   8192
#define MT_TOKEN_RULES 64 /* in front of one instance */
#define MT_TOKEN_SKEW  60 /* s by which clocks may differ, as in Envoy */
#define MT_TOKEN_TRIES 8  /* keys that one token is tried by, if it does not say which */

struct mt_jwks_source;

/* A claim that servers are told in the metadata. */
struct mt_token_output {
	const char *key;
	struct mt_slice path; /* of the claim */
};

/* Where a token may stand. */
struct mt_token_place {
	const char *key, *prefix; /* of metadata; prefix "": the value is the token */
	uint64_t rules;		  /* a bit for each one that looks there */
};

struct mt_token_rule {
	const char *by; /* "RequestAuthentication NAMESPACE/NAME" */
	const char *issuer;
	const char *const *audiences; /* none: any will do */
	const char *const *spaced; /* claims that are lists of words, with those that always are */
	const char *payload_to;	   /* metadata key, NULL: none */
	struct mt_token_output *outputs;
	uint32_t n_audiences, n_spaced, n_outputs;
	bool forward; /* the token stays in the metadata */
	struct mt_jwks_source *keys;
};

/*
 * All rules in front of an instance, in their order; immutable and counted: any thread may hold them. `id` is never another one's:
 * what was found of a token by these rules can be kept under it.
 */
struct mt_token_rules {
	uint64_t id;
	uint32_t refs;
	uint32_t n, n_places, n_sanitized;
	struct mt_token_rule *rules;
	struct mt_token_place *places;
	const char *
		*sanitized; /* metadata that only we may set: what a caller says there is removed */
	struct mt_region *mem; /* all of it; rules.c's */
};

/* What a verification found. */
struct mt_token_result {
	enum mt_token_outcome outcome;
	uint32_t rule;	     /* whose issuer it is; UINT32_MAX: not known */
	uint64_t generation; /* of that one's keys, that it was verified by */
	int64_t until; /* seconds since 1970: so long it is no use to ask again; 0: ask again whenever it is wanted */
	struct mt_claims claims; /* valid */
};

/*
 * `allowed`: the rules that look where it stood. Any thread but a worker. May wait for who replaces a set of keys just now, which is
 * a pointer long.
 */
void mt_token_verify(const struct mt_token_rules *rules, uint64_t allowed, const char *token,
	size_t len, int64_t now_s, struct mt_token_result *out);

/* A sentence's part: "its token has expired". Static. */
const char *mt_token_words(enum mt_token_outcome o);

/*
 * The token in a value of a place: what begins behind `prefix` (whatever its case, wherever it is) with the first letter that a token
 * may have, as Envoy takes it. false: the prefix is not there, and the value is no token.
 */
bool mt_token_in(const char *prefix, struct mt_slice value, struct mt_slice *token);

/* ---- rules.c: made and kept; control thread ---------------------------------------------------------- */

/* Copied whole, with `id` its own and one reference; places and what is sanitized are found here. NULL: no memory. */
struct mt_token_rules *mt_token_rules_new(const struct mt_token_rule *rules, uint32_t n,
	const struct mt_token_place *places, uint32_t n_places);
struct mt_token_rules *mt_token_rules_hold(struct mt_token_rules *r);
/* NULL is allowed. Any thread. */
void mt_token_rules_drop(struct mt_token_rules *r);

/* ---- source.c: where a rule's keys are from ---------------------------------------------------------- */

/* Counted, and shared by all rules that say the same. */
struct mt_jwks_source *mt_jwks_source_hold(struct mt_jwks_source *s);
void mt_jwks_source_drop(struct mt_jwks_source *s);
/* Which set of keys it is; grows with each other one. Any thread. */
uint64_t mt_jwks_source_generation(const struct mt_jwks_source *s);
/* Held; NULL: none is there yet. Any thread but a worker. */
struct mt_jwks *mt_jwks_source_keys(struct mt_jwks_source *s, uint64_t *generation);
/* A token asks for a key that it does not have: it may be looked for before its time. Any thread but a worker. */
void mt_jwks_source_missed(struct mt_jwks_source *s);
