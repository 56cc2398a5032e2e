/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/x509: certificates and keys as PEM texts, and what a certificate says of itself; RFC 5280 by OpenSSL. For whoever
 * speaks TLS or checks a certificate on the control thread or in a tool: everything here allocates, nothing is kept.
 * OpenSSL's error queue is empty after each call.
 */
#pragma once

#include <limits.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>

#define MT_X509_ALL INT_MAX

/* What a SPIFFE ID begins with (SPIFFE-ID §2): "spiffe://cluster.local/ns/a/sa/b". */
#define MT_SPIFFE "spiffe://"

/*
 * The certificates of a PEM text, in their order, at most `max`; what stands between them, and behind one that cannot be
 * read, is passed over in silence. NULL: there is none. Freed by mt_x509_list_free().
 */
STACK_OF(X509) * mt_x509_list(const char *pem, int max);
void mt_x509_list_free(STACK_OF(X509) * list);

/* The first private key of a PEM text, without a passphrase: nobody is asked for one. NULL: there is none. */
EVP_PKEY *mt_x509_key(const char *pem);

/* Unix time, s; 0: no time. */
int64_t mt_x509_time(const ASN1_TIME *t);

/*
 * A name of a certificate: GEN_DNS, GEN_URI, or GEN_IPADD, which is written as text. `text` is the peer's: it may hold
 * anything, also NUL, and ends only by `len`. false: no further one.
 */
typedef bool mt_x509_name_fn(void *arg, int type, const char *text, size_t len);

/* Subject alternative names of these types among the first `max` of all types. */
void mt_x509_names(const X509 *x, int max, mt_x509_name_fn *fn, void *arg);

/*
 * How a host name is compared (RFC 9525 section 6.3): with DNS names alone, never with the common name, which authorities do not vouch
 * for, and wildcards stand for a whole label. For SSL_set_hostflags(), where the library compares during the handshake.
 */
#define MT_X509_HOST_FLAGS                                                                         \
	(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)

/* True if the certificate is for that host name. A URI is none. */
bool mt_x509_has_host(X509 *x, const char *name);

/* Whether the URI is one of them, byte for byte. */
bool mt_x509_has_uri(const X509 *x, const char *uri);
