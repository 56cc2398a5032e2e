/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for tests, made when they are wanted. */
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>

struct cert {
	X509 *x;
	EVP_PKEY *key;
};

/* What a certificate says; zero-filled: a client's that is valid now. */
struct cert_words {
	const char *name;    /* subject's common name; NULL: none */
	const char *alt;     /* "URI:spiffe://x/y,DNS:z"; NULL: none */
	const char *purpose; /* "serverAuth"; NULL: any */
	long from, to;	     /* seconds from now; both 0: an hour before and behind */
	bool authority;
};

/* Signed by `by`; NULL: by itself. */
struct cert cert_make(const struct cert_words *w, const struct cert *by);
void cert_free(struct cert *c);
/* Appends a revocation list of an authority to a PEM file; `revoked` NULL: an empty one. */
void cert_revoke(const struct cert *by, const struct cert *revoked, const char *file);
/* PEM files; NULL: that one is not wanted. */
void cert_write(const struct cert *c, const char *cert_file, const char *key_file);
