/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/crypto: cryptography by OpenSSL (3.0 or later) or AWS-LC, which have the same API. The build
 * option tls_library chooses one. Libraries of Meltemi include <openssl/...> directly and use only
 * what both provide. The functions below cover the differences (crypto_openssl.c, crypto_aws_lc.c);
 * lib/tls/mt_tls_library.h does so for handshakes. Any thread may call them. The caller frees the
 * objects that they return.
 *
 * Invariants:
 * - Only these two headers depend on the library. Only tests distinguish the libraries elsewhere,
 *   where a peer built with AWS-LC cannot do what the test needs (padding, a renegotiation request,
 *   early data that was not offered).
 * - Two libraries in one process: libcurl, and loaded DPDK drivers, bring libssl.so.3 and
 *   libcrypto.so.3 in every build. A library from `tls_prefix` is linked statically, and the linker
 *   hides its symbols (--exclude-libs). So Meltemi's calls are bound at link time, and the loader
 *   binds libcurl's to OpenSSL. A shared AWS-LC is not supported, because it would answer libcurl's
 *   calls.
 * - No object passes from one library to the other: libcurl gets no key, certificate or context.
 * - Stack sizes are int in one library and size_t in the other; code casts them where it compares
 *   them.
 * - Keys are locked in memory as far as each library permits. OpenSSL has a locked heap for them.
 *   AWS-LC has none, so the process locks all memory as it is touched (mlockall(2)) if CAP_IPC_LOCK
 *   or an unlimited RLIMIT_MEMLOCK permits it; with a limit, later mappings would fail. AWS-LC
 *   overwrites all memory that it frees.
 *
 * interop/tls/long_aws_lc makes the build with AWS-LC, checks that none of its symbols is visible,
 * and repeats the tests of TLS with it. BoGo runs with OpenSSL alone, because its list of cases
 * that do not apply is for OpenSSL.
 */
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Name and version: "OpenSSL 3.0.17", "AWS-LC 5.12.0". Valid until this thread's next call. */
const char *mt_crypto_library(void);

/* Frees the library's per-thread state. Call it last on a thread that has used the library. */
void mt_crypto_thread_end(void);

/* Generates a key on P-256; NULL on failure. */
EVP_PKEY *mt_crypto_new_key(void);

/*
 * Make a public key from its numbers. NULL if they are invalid or memory is short; the caller
 * clears the library's error queue.
 */
EVP_PKEY *mt_crypto_rsa_key(const BIGNUM *n, const BIGNUM *e);
/* `curve`: P-256, P-384 or P-521. `point`: octets (SEC 1 §2.3.3); must be on the curve. */
EVP_PKEY *mt_crypto_ec_key(const char *curve, const uint8_t *point, size_t n);

/* Starts the digest of `x` again, in place and without allocation. False if `x` has no digest. */
bool mt_crypto_digest_again(EVP_MD_CTX *x);

/*
 * Memory BIO for the text of a private key. It overwrites its old buffer when it is freed and when
 * it grows. NULL: no memory.
 */
BIO *mt_crypto_secret_text(void);

/* True if both have the same public key. */
bool mt_crypto_same_key(const EVP_PKEY *a, const EVP_PKEY *b);

/* True if `x` is its own issuer by names and key identifiers, and with `verify` by signature. */
bool mt_crypto_self_signed(X509 *x, bool verify);

/* True if two of the certificates have one subject. */
bool mt_crypto_share_a_name(const STACK_OF(X509) * all);

/*
 * Both libraries build chains by names: they take the first certificate of a name and do not
 * backtrack (RFC 4158 §2.4). With OpenSSL the next two functions choose among certificates that
 * share a name; with AWS-LC they do not, and the first is taken.
 *
 * Makes the store compare signatures where several of its certificates share a name. Call before
 * the store is used.
 */
void mt_crypto_issuers_by_signature(X509_STORE *store);
/*
 * Like X509_verify_cert(). If the peer sent several certificates with one name, it first leaves out
 * those from which no chain leads to a certificate of the store.
 */
int mt_crypto_verify(X509_STORE_CTX *x);

#define MT_KEYS_BYTES (4 * 1024 * 1024) /* OpenSSL: enough for 1,000 RSA keys of 4,096 bits */

/*
 * Keeps private keys that are read from now on in memory that is never swapped. Call once, before
 * the first key is read and before threads are started.
 *
 * With OpenSSL, keys lie in a heap of MT_KEYS_BYTES between guard pages, which core files leave out
 * (OPENSSL_secure_malloc(3)). When the heap is full, reading a key fails.
 *
 * AWS-LC has no such heap, so all memory of the process is locked as it is touched (mlockall(2)).
 *
 * False if keys can still be swapped, because the system does not let the process lock memory.
 */
bool mt_crypto_lock_keys(void);
