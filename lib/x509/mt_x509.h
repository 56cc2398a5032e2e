/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/x509: reads certificates and keys from PEM texts, and the names and times of a certificate
 * (RFC 5280, by lib/crypto's library). It is the only place that does so, for TLS and for checks on
 * the control thread or in a tool. mt_credential.h combines them for handshakes. lib/identity
 * (mt_cert.h) uses both. Functions may allocate, and none keeps state.
 *
 * Invariants:
 * - Nothing prompts for a passphrase: an encrypted key counts as absent.
 * - A name is text of the peer. It ends by its length only and may contain NUL; the code that
 *   prints it escapes it.
 * - Names are compared byte for byte. A DNS name never equals a URI.
 * - The TLS library's error queue is empty after each call; otherwise an old error would be
 *   reported for another connection.
 * - Callers set the bounds: certificates per text, names per certificate.
 * - A root may be an intermediate authority. With OpenSSL signatures distinguish roots with the
 *   same subject (mt_crypto_issuers_by_signature()); AWS-LC takes the first.
 * - With a revocation list every authority on the way to the root needs a valid list, as in Envoy.
 *   With crl_leaf_only only the issuer of the leaf needs one.
 */
#pragma once

#include <limits.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdint.h>

#define MT_X509_ALL INT_MAX

/* Prefix of a SPIFFE ID (SPIFFE-ID §2): "spiffe://cluster.local/ns/a/sa/b". */
#define MT_SPIFFE "spiffe://"

/*
 * Reads the certificates of a PEM text in their order, at most `max`. Ignores other text between
 * them, and everything from the first one on that cannot be read. NULL if there is none. Free the
 * list by mt_x509_list_free().
 */
STACK_OF(X509) * mt_x509_list(const char *pem, int max);
void mt_x509_list_free(STACK_OF(X509) * list);

/*
 * Reads the first private key of a PEM text; an encrypted key cannot be read, and no passphrase is
 * requested. NULL if there is none. The caller frees the key.
 */
EVP_PKEY *mt_x509_key(const char *pem);

/* Unix time in s; 0 if it is invalid. */
int64_t mt_x509_time(const ASN1_TIME *t);

/*
 * Receives a name of a certificate: GEN_DNS, GEN_URI, or GEN_IPADD, which is given as text. `text`
 * is chosen by the peer: it may contain any bytes, also NUL, and is not NUL-terminated, so use
 * `len`. Return false to stop.
 */
typedef bool mt_x509_name_fn(void *arg, int type, const char *text, size_t len);

/* Calls `fn` for each alternative name of these types, among the first `max` of all types. */
void mt_x509_names(const X509 *x, int max, mt_x509_name_fn *fn, void *arg);

/*
 * How to compare a host name (RFC 9525 section 6.3): only with DNS names, never with the common
 * name, for which authorities do not vouch; a wildcard stands for a whole label. For
 * SSL_set_hostflags(), where the library compares during the handshake.
 */
#define MT_X509_HOST_FLAGS                                                                         \
	(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)

/* True if the certificate is for this host name. False for a URI. */
bool mt_x509_has_host(X509 *x, const char *name);

/* True if the URI is one of the subject alternative names, byte for byte. */
bool mt_x509_has_uri(const X509 *x, const char *uri);
