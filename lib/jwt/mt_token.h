/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/jwt: verifies JSON Web Tokens (RFC 7519, the compact form of RFC 7515) against the rules of
 * RequestAuthentications, and fetches key sets (RFC 7517). This header verifies one token.
 * mt_token_pool.h is the thread that verifies for workers, mt_token_cache.h a worker's cache,
 * mt_claims.h the claims of a valid token in a flat form, mt_jwks.h a key set, mt_jwks_store.h
 * sources of key sets with the thread that fetches them. jansson parses JSON, libcurl does HTTP and
 * TLS, and lib/crypto's library does signatures. Debian's libraries for tokens do not suffice:
 * libjwt 1.10 has no key sets, libcjose no EdDSA, PS384, PS512 and claims; in libjose the token may
 * choose among all algorithms.
 *
 * Invariants:
 * - No worker verifies: it takes tens of microseconds and allocates. A worker copies the token into
 *   a slot and is notified of the result (mt_filter_inbox_ring(), so that no loop iteration polls).
 *   Its only use of OpenSSL is SHA-256 in a context made at boot. Verification runs on service
 *   threads, or on the control thread for its own queries.
 * - A cached result is found by SHA-256 over the rules' id, the places of the token and its bytes;
 *   tokens are not stored. A result is valid while mt_jwks_source_generation() is unchanged, and
 *   never longer than the token. Ids of rules are never reused, and lib/conf finds unchanged rules
 *   again, so a reload keeps the cache.
 * - Only valid tokens evict cached valid tokens; any token evicts invalid ones. So a client with
 *   many invalid tokens costs the thread time, but evicts no other client's valid token.
 * - `none`, `HS256` and the like are not in the table of algorithms, so no public key can serve as
 *   a shared secret.
 * - A call from which the token was removed keeps the claims (mt_exchange.token) until it ends,
 *   because it may be sent again. If they cannot be kept, or other rules apply by then, the call is
 *   refused. With mt_exchange.must_change set, a call is sent with changed metadata or not at all.
 * - After the wait for a token, lib/proxy chooses an endpoint again (mt_call_run()), because the
 *   first one may be gone; at a gateway the filter chain resumes with the same check.
 *
 * Limits: a set has at most 64 keys and 256 KiB; RSA of 2,048 to 8,192 bits, P-256, P-384, P-521,
 * Ed25519. A token without `kid` is tried with at most 8 keys. Tokens have at most 8 KiB; flat
 * claims 8 KiB and 1,024 values, which a token within 8 KiB exceeds only if long object names
 * repeat in the paths of many members. 16 fetches at once, 10 s each, the one that is overdue
 * longest first, so failing sources wait after all others. The last quarter of transfers, and of
 * the 256 sources, is for namespaces that have less than a quarter (may_begin(), has_place()).
 *
 * A token is valid if Envoy's jwt_authn filter would accept it: clocks may differ by 60 s;
 * audiences are compared without http://, https:// and one trailing slash; in a value the token
 * starts with the first base64url character or dot after the prefix, wherever the prefix is.
 * Stricter than Envoy: the prefix matches in any case; base64url must not have leftover bits, and
 * duplicate members are malformed; RSA keys under 2,048 bits and keys with `key_ops` without
 * `verify` are ignored; symmetric keys are not supported; a call with two different tokens is
 * denied (in Istio its principal is undefined).
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
#define MT_TOKEN_RULES 64 /* for one endpoint */
#define MT_TOKEN_SKEW  60 /* s of tolerated clock skew, as in Envoy */
#define MT_TOKEN_TRIES 8  /* most keys tried for a token, which may not name its key */

struct mt_jwks_source;

/* A claim that is copied to the metadata of the request, for the server. */
struct mt_token_output {
	const char *key;
	struct mt_slice path; /* path of the claim */
};

/* A metadata key in which a token may be sent. */
struct mt_token_place {
	const char *key, *prefix; /* of metadata; prefix "": the value is the token */
	uint64_t rules;		  /* a bit for each rule that reads this key */
};

struct mt_token_rule {
	const char *by; /* "RequestAuthentication NAMESPACE/NAME" */
	const char *issuer;
	const char *const *audiences; /* none: any audience is accepted */
	const char *const *spaced; /* claims that are lists of words, including the default ones */
	const char *payload_to;	   /* metadata key for the payload; NULL: none */
	struct mt_token_output *outputs;
	uint32_t n_audiences, n_spaced, n_outputs;
	bool forward; /* keep the token in the metadata */
	struct mt_jwks_source *keys;
};

/*
 * All rules for an endpoint, in order. Immutable and reference-counted: any thread may hold a
 * reference. `id` is never reused, so that results for a token can be cached under it.
 */
struct mt_token_rules {
	uint64_t id;
	uint32_t refs;
	uint32_t n, n_places, n_sanitized;
	struct mt_token_rule *rules;
	struct mt_token_place *places;
	const char *
		*sanitized; /* metadata that only Meltemi sets; the values of callers are removed */
	struct mt_region *mem; /* all memory of the rules; for rules.c only */
};

/* Result of a verification. */
struct mt_token_result {
	enum mt_token_outcome outcome;
	uint32_t rule;	     /* last rule tried for the token's issuer; UINT32_MAX: none */
	uint64_t generation; /* generation of the keys that were used */
	int64_t until;	     /* Unix time until which the outcome may be cached; 0: not at all */
	struct mt_claims claims; /* for MT_TOKEN_valid */
};

/*
 * Verifies a token. `allowed`: a bit for each rule that reads the place of the token. Any thread
 * but a worker. May wait for the key store's lock, which other threads hold while they replace a
 * key set or add a source.
 */
void mt_token_verify(const struct mt_token_rules *rules, uint64_t allowed, const char *token,
	size_t len, int64_t now_s, struct mt_token_result *out);

/* Part of a sentence: "its token has expired". Static. */
const char *mt_token_words(enum mt_token_outcome o);

/*
 * Finds the token in the value of a place, as Envoy does. It starts at the first letter of
 * base64url or dot after `prefix`, which may be anywhere in the value and in any case; without such
 * a letter, the whole value is the token. False: the value does not contain the prefix, so it is
 * not a token.
 */
bool mt_token_in(const char *prefix, struct mt_slice value, struct mt_slice *token);

/* ---- rules.c: rules; control thread ---------------------------------------------------------- */

/*
 * Copies the rules and their places, gives them an `id` and one reference, and collects
 * `sanitized`. NULL: no memory.
 */
struct mt_token_rules *mt_token_rules_new(const struct mt_token_rule *rules, uint32_t n,
	const struct mt_token_place *places, uint32_t n_places);
struct mt_token_rules *mt_token_rules_hold(struct mt_token_rules *r);
/* NULL is allowed. Any thread. */
void mt_token_rules_drop(struct mt_token_rules *r);

/* ---- source.c: sources of keys --------------------------------------------------------------- */

/* Reference-counted; shared by all rules with the same source. */
struct mt_jwks_source *mt_jwks_source_hold(struct mt_jwks_source *s);
void mt_jwks_source_drop(struct mt_jwks_source *s);
/* Number of the current key set; increases whenever the keys change. Any thread. */
uint64_t mt_jwks_source_generation(const struct mt_jwks_source *s);
/* Takes a reference to the current key set; NULL if there is none yet. Any thread but a worker. */
struct mt_jwks *mt_jwks_source_keys(struct mt_jwks_source *s, uint64_t *generation);
/*
 * Reports that a token needs a key that the set lacks, so that the set may be fetched before it is
 * due. Any thread but a worker.
 */
void mt_jwks_source_missed(struct mt_jwks_source *s);
