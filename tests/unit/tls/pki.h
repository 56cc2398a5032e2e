/* SPDX-License-Identifier: Apache-2.0 */
/* A mesh's certificates, made on the spot. */
#pragma once

#include "mt_credential.h"

#define PKI_ALICE "spiffe://cluster.local/ns/shop/sa/alice"
#define PKI_BOB	  "spiffe://cluster.local/ns/shop/sa/bob"

struct pki_node {
	X509 *cert;
	EVP_PKEY *key;
};

/* Of a leaf or an authority; all zero: a leaf for TLS without names, valid for an hour each way. */
struct pki_how {
	const char *san;     /* "URI:spiffe://…,DNS:…", as OpenSSL writes it */
	int64_t from, until; /* s from now; both 0: an hour each way */
	const char *purpose; /* extendedKeyUsage; NULL: both */
	bool authority, rsa;
};

/* `by` NULL: signed by itself. Serial numbers grow from 1 on. */
struct pki_node pki_make(const struct pki_node *by, const struct pki_how *how);
/* Another certificate of the same name and contents, by `by` (NULL: by itself): of the same key, or of a new one. */
struct pki_node pki_twin(const struct pki_node *of, const struct pki_node *by, bool same_key);
void pki_free(struct pki_node *n);
/* Of certificates, and of a key, behind each other; free(). */
char *pki_pem(const X509 *const *certs, uint32_t n);
char *pki_key(const EVP_PKEY *key);
/* Of an authority; `gone`: revoked, or NULL. Valid for an hour; `stale`: no more. free(). */
char *pki_crl(const struct pki_node *by, const X509 *gone, bool stale);
/* The same, valid, with an authority key identifier. free(). */
char *pki_crl_identified(const struct pki_node *by, const X509 *gone);

/* A leaf, whose chain has `by` behind it if that is no root, with roots; NULL: trusts nobody. */
struct mt_credential *pki_credential(
	const struct pki_node *leaf, const struct pki_node *by, const char *roots, const char *crl);

/* Made at the first call, for all tests. */
struct pki {
	struct pki_node root, other_root, mid;
	char *roots, *other_roots;
	struct mt_credential *alice, *bob; /* by root and by mid; both trust root */
};
const struct pki *pki(void);
void pki_end(void);
