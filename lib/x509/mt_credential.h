/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who we are and whom we trust, as TLS needs it: a certificate chain with its key, the roots, revocation lists. Read once,
 * never changed, counted by who holds it, on any thread.
 */
#pragma once

#include "mt_log.h"
#include "mt_x509.h"

#define MT_CREDENTIAL_CERTS 32	 /* of a chain */
#define MT_CREDENTIAL_ROOTS 1024 /* a machine's own list has some 150 */
#define MT_CREDENTIAL_CRLS  32

/* PEM texts; what is NULL is not there. */
struct mt_credential_texts {
	const char *chain, *key; /* both or neither */
	const char *roots;
	const char
		*crl; /* with roots only: every authority on the way to a root needs a valid one */
	bool crl_leaf_only; /* only who issued the leaf needs one */
};

/* Numbers of certificates (marks.c), sorted. */
struct mt_marks {
	uint64_t *at;
	uint32_t n;
};

struct mt_credential {
	uint32_t refs;		/* any thread; mt_credential_hold(), mt_credential_drop() */
	STACK_OF(X509) * chain; /* the leaf first; NULL: none */
	EVP_PKEY *key;
	X509_STORE *trust;		   /* NULL: nobody is trusted */
	STACK_OF(X509_NAME) * authorities; /* the roots' names, that a client may choose by */
	int64_t not_before, not_after;	   /* of the leaf, Unix, s; 0: there is none */
	uint8_t chain_digest[32], trust_digest[32]; /* SHA-256; all 0: not there */
	struct mt_marks trusted;		    /* mt_x509_key_mark() of the roots */
	struct mt_marks
		revoked; /* mt_x509_issue_mark() of what is on the lists, whoever has signed those */
	bool revoked_leaf_only; /* only leaves are looked for on the lists */
};

/* NULL with *e: the texts cannot be used, or do not belong together. */
struct mt_credential *mt_credential_new(const struct mt_credential_texts *t, struct mt_err *e);
struct mt_credential *mt_credential_hold(struct mt_credential *c);
/* The last one frees it, key overwritten. NULL is allowed. */
void mt_credential_drop(struct mt_credential *c);

/* ---- certificates that were verified before: marks.c ---------------------------------------------------- */

/* Of whose it is and its key: a root that was issued again has the same. 0: no memory, which no mark is. */
uint64_t mt_x509_key_mark(const X509 *x);
/* Of its authority's name and its number there. */
uint64_t mt_x509_issue_mark(const X509 *x);
/* Any thread: allocates nothing. */
bool mt_marks_have(const struct mt_marks *m, uint64_t mark);
/* Fills `trusted` and `revoked`; false: no memory. */
bool mt_credential_mark(struct mt_credential *c);

/* ---- what it says of itself, for people: about.c ------------------------------------------------------ */

#define MT_CREDENTIAL_TEXT 256

struct mt_credential_leaf {
	char principal[MT_CREDENTIAL_TEXT];    /* "spiffe://cluster.local/ns/a/sa/b"; "": none */
	char trust_domain[MT_CREDENTIAL_TEXT]; /* of it */
	char serial[64];		       /* hexadecimal, as its authority counts */
	char issuer[128];		       /* "O=cluster.local" */
};

struct mt_credential_root {
	char subject[128], serial[64];
	int64_t not_after; /* Unix, s */
};

struct mt_credential_crl {
	char issuer[128];
	int64_t this_update, next_update; /* Unix, s; 0: it has none */
};

/* false: it has no certificate. */
bool mt_credential_leaf(const struct mt_credential *c, struct mt_credential_leaf *out);
/* Root number `which`, from 0 on, in the library's order; false: there are no more. */
bool mt_credential_root(
	const struct mt_credential *c, uint32_t which, struct mt_credential_root *out);
/* Revocation list number `which`, likewise. */
bool mt_credential_crl(
	const struct mt_credential *c, uint32_t which, struct mt_credential_crl *out);
