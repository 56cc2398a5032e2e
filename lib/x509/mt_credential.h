/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identity and trust for TLS: a certificate chain with its key, roots, and revocation lists. A
 * credential is read once and never changes. It is reference-counted, and any thread may use it.
 */
#pragma once

#include "mt_log.h"
#include "mt_x509.h"

#define MT_CREDENTIAL_CERTS 32	 /* in a chain */
#define MT_CREDENTIAL_ROOTS 1024 /* the list of a Linux host has some 150 */
#define MT_CREDENTIAL_CRLS  32

/* PEM texts; NULL: absent. */
struct mt_credential_texts {
	const char *chain, *key; /* both or neither */
	const char *roots;
	/*
	 * With roots only. Each authority from the peer's issuer up to the first root of the chain
	 * needs a valid list; the issuer of a root that is an intermediate authority needs none.
	 */
	const char *crl;
	bool crl_leaf_only; /* only the issuer of the leaf needs a list */
};

/* Hashes of certificates (marks.c), sorted. */
struct mt_marks {
	uint64_t *at;
	uint32_t n;
};

struct mt_credential {
	uint32_t refs;		/* atomic; mt_credential_hold(), mt_credential_drop() */
	STACK_OF(X509) * chain; /* the leaf first; NULL: none */
	EVP_PKEY *key;
	X509_STORE *trust;			    /* NULL: trusts no certificate */
	STACK_OF(X509_NAME) * authorities;	    /* the roots' names, for clients to choose by */
	int64_t not_before, not_after;		    /* of the leaf, Unix time in s; 0: no leaf */
	uint8_t chain_digest[32], trust_digest[32]; /* SHA-256; all 0: absent */
	struct mt_marks trusted;		    /* mt_x509_key_mark() of the roots */
	struct mt_marks
		revoked; /* mt_x509_issue_mark() of all entries of the lists, whoever signed them */
	bool revoked_leaf_only; /* only leaves are checked against the lists */
};

/* Reads a credential. NULL with *e: a text is invalid, the texts do not match, or no memory. */
struct mt_credential *mt_credential_new(const struct mt_credential_texts *t, struct mt_err *e);
struct mt_credential *mt_credential_hold(struct mt_credential *c);
/* Releases a reference; the last one frees the credential and wipes the key. NULL is allowed. */
void mt_credential_drop(struct mt_credential *c);

/*
 * Verification callback of a store that checks every certificate against lists
 * (X509_V_FLAG_CRL_CHECK_ALL) and trusts intermediate authorities. Requires no list of the issuer
 * of an anchor, which may be an intermediate authority: OpenSSL cannot verify such a list, because
 * the chain ends at the anchor. An anchor that is the peer's own certificate still needs one.
 */
int mt_x509_on_verify(int ok, X509_STORE_CTX *x);

/* ---- certificates that were verified earlier: marks.c ---------------------------------------- */

/*
 * Hash of the subject and the public key: a root that is issued again has the same. 0 if memory is
 * short; no hash is 0.
 */
uint64_t mt_x509_key_mark(const X509 *x);
/* Hash of the issuer's name and the serial number. */
uint64_t mt_x509_issue_mark(const X509 *x);
/* True if the hash is in the set. Any thread; allocates nothing. */
bool mt_marks_have(const struct mt_marks *m, uint64_t mark);
/* Fills `trusted` and `revoked`; false if memory is short. */
bool mt_credential_mark(struct mt_credential *c);

/* ---- description for people: about.c --------------------------------------------------------- */

#define MT_CREDENTIAL_TEXT 256

struct mt_credential_leaf {
	char principal[MT_CREDENTIAL_TEXT];    /* "spiffe://cluster.local/ns/a/sa/b"; "": none */
	char trust_domain[MT_CREDENTIAL_TEXT]; /* of the principal */
	char serial[64];		       /* hexadecimal, as its issuer assigned it */
	char issuer[128];		       /* "O=cluster.local" */
};

struct mt_credential_root {
	char subject[128], serial[64];
	int64_t not_after; /* Unix time in s */
};

struct mt_credential_crl {
	char issuer[128];
	int64_t this_update, next_update; /* Unix time in s; 0: not given */
};

/* Describes the leaf; false if there is none. */
bool mt_credential_leaf(const struct mt_credential *c, struct mt_credential_leaf *out);
/* Describes root number `which`, from 0 on, in the library's order; false if there are fewer. */
bool mt_credential_root(
	const struct mt_credential *c, uint32_t which, struct mt_credential_root *out);
/* Describes revocation list number `which`, likewise. */
bool mt_credential_crl(
	const struct mt_credential *c, uint32_t which, struct mt_credential_crl *out);
