/* SPDX-License-Identifier: Apache-2.0 */
/* What the suites of lib/authz share: a call of texts, policies by chance, and a second evaluator that is as plain as can be. */
#pragma once

#include "mt_authz.h"

#define SAID_MAX 8

/* A call as a server may see it. */
struct said {
	const char *peer, *server, *principal; /* principal NULL: none */
	const char *sni;		       /* NULL: none */
	bool mtls, sni_unkept;
	bool bytes; /* a byte stream */
	uint16_t server_port, service_port;
	const char *interfaces[SAID_MAX], *methods[SAID_MAX];
	uint32_t n_interfaces, n_methods;
	struct {
		const char *key, *value; /* value NULL: it has no text */
	} metadata[SAID_MAX];
	uint32_t n_metadata;
	/* Of the token; iss NULL: it has none, and so on. No token: has_token false. */
	bool has_token;
	const char *iss, *sub;
	struct {
		const char *path[2], *value; /* path[1] NULL: one name */
	} claims[SAID_MAX];
	uint32_t n_claims;
	bool no_interfaces, no_methods, no_metadata; /* they cannot be read */
};

/* Judged by lib/authz; *steps may be NULL. */
enum mt_authz_effect said_judge(const struct said *s, const struct mt_authz *a,
	const struct mt_codec *codec, const struct mt_authz_policy **by, uint32_t *steps);

/* ---- the second evaluator: straight from what is written, by strings and by trying everything ---- */

bool naive_allows(struct mt_authorization_policy *const *p, uint32_t n, const struct said *s,
	const struct mt_codec *codec, const struct mt_authz_callers *who);

/* ---- by chance ---- */

/* Where choices come from: random numbers, or a fuzzer's bytes. */
struct chance {
	uint64_t seed;	     /* of data NULL */
	const uint8_t *data; /* 0 behind its end */
	size_t size;
	bool long_words; /* names, principals and values of many letters, alike at both ends */
};

/* Below n. */
uint32_t chance_of(struct chance *c, uint32_t n);
struct mt_authorization_policy *chance_policy(struct chance *c, struct mt_region *r);
struct said chance_call(struct chance *c);
const struct mt_codec *chance_codec(struct chance *c);

/* Policies, a codec and a call by chance: both evaluators agree, and the work is within its bound. The words of a difference, or NULL. */
const char *chance_differs(struct chance *c);
