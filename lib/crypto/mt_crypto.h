/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library that certificates, keys and handshakes are by: OpenSSL, or AWS-LC with the same API (the build's tls_library). All
 * rooms include its <openssl/...> and are written to what both have; what they have not in common is here (crypto_openssl.c,
 * crypto_aws_lc.c), and for handshakes in lib/tls/mt_tls_library.h. Any thread; who gets an object frees it.
 */
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Name and version: "OpenSSL 3.0.17", "AWS-LC 5.12.0". Until this thread asks again. */
const char *mt_crypto_library(void);

/* The last call of a thread that has called the library: frees what it keeps for each. */
void mt_crypto_thread_end(void);

/* A new key on P-256; NULL: it cannot be made. */
EVP_PKEY *mt_crypto_new_key(void);

/* Public keys of their numbers; NULL: none, or no memory. Whoever calls empties the queue of errors. */
EVP_PKEY *mt_crypto_rsa_key(const BIGNUM *n, const BIGNUM *e);
/* `curve`: P-256, P-384, P-521. `point` as octets (SEC 1 §2.3.3); one that is not on the curve is refused. */
EVP_PKEY *mt_crypto_ec_key(const char *curve, const uint8_t *point, size_t n);

/* The digest that `x` was made for from its beginning, where it lies: nothing is allocated. false: there is none. */
bool mt_crypto_digest_again(EVP_MD_CTX *x);

/* A memory for the text of a private key: it overwrites what it held, also when it grows. NULL: no memory. */
BIO *mt_crypto_secret_text(void);

/* Whether their public halves are one. */
bool mt_crypto_same_key(const EVP_PKEY *a, const EVP_PKEY *b);

/* Whether its issuer is itself, by names and identifiers; `verify`: and by its signature. */
bool mt_crypto_self_signed(X509 *x, bool verify);

/*
 * Chains are built by names: the library takes the first certificate of a name and never goes back
 * (RFC 4158 §2.4). The next two functions help where several have one name, with OpenSSL only;
 * AWS-LC takes the first.
 *
 * Tells the store's certificates of one name apart by signatures. Call before the store is used.
 */
void mt_crypto_issuers_by_signature(X509_STORE *store);
/*
 * As X509_verify_cert(). If the peer has shown several certificates of one name, it first leaves
 * out all that lead to no certificate of the store.
 */
int mt_crypto_verify(X509_STORE_CTX *x);

#define MT_KEYS_BYTES (4 * 1024 * 1024) /* OpenSSL: 1,000 keys of RSA with 4,096 bits */

/*
 * Private keys that are read from now on lie in memory that is never swapped. Before the first key, once; threads later.
 * OpenSSL: in MT_KEYS_BYTES between pages that nobody may touch, in no core file (OPENSSL_secure_malloc(3)); beyond it a key
 * cannot be read. AWS-LC has no such heap: all memory of the process stays where it is once it is touched (mlockall(2)).
 * false: they can be swapped all the same, because the system locks no memory for us.
 */
bool mt_crypto_lock_keys(void);
