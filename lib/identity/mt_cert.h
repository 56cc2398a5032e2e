/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and keys as PEM texts: their content, whether a key belongs to a certificate,
 * whether roots trust it, and new keys with signing requests. Control thread and tools only;
 * everything here allocates.
 */
#pragma once

#include "mt_file.h"
#include "mt_log.h"

struct mt_cert {
	int64_t not_before, not_after;	/* Unix time, s */
	char subject[128], issuer[128]; /* "O=cluster.local", escaped */
	char uri[256];			/* the first URI of its names (SPIFFE ID); "": none */
	char names[256];		/* its first DNS names and URIs, for messages */
	bool authority;			/* CA: may sign others */
};

/* Returns the number of certificates in a PEM text. */
uint32_t mt_cert_count(const char *pem);
/*
 * Reads certificate number `which`, from 0, of a PEM text. Returns 0, or -ENOENT or -EINVAL with *e
 * set.
 */
int mt_cert_read(const char *pem, uint32_t which, struct mt_cert *out, struct mt_err *e);

/*
 * Checks that the private key belongs to the first certificate. Returns 0, or -EINVAL with *e set.
 */
int mt_cert_fits(const char *chain, const char *key, struct mt_err *e);
/*
 * Verifies the first certificate against the roots at the time `at` (Unix, s). Returns 0, or
 * -EACCES with *e set.
 */
int mt_cert_trusted(const char *chain, const char *roots, int64_t at, struct mt_err *e);

/*
 * Writes the certificates of several PEM texts as one chain: the first one, then those that are not
 * self-signed. The caller frees the text. NULL with *e set.
 */
char *mt_cert_chain(char *const *pems, size_t n, struct mt_err *e);

/*
 * Merges `roots` with new roots in `answer`, a chain from a trusted authority. New roots are the
 * self-signed CA certificates after the first certificate that are valid at `at` (Unix, s).
 * Certificates that are not valid at `at` are left out. The caller frees the text. NULL: none is
 * new, there would be more than MT_CERT_ROOTS, or no memory.
 */
#define MT_CERT_ROOTS 16
char *mt_cert_merge(const char *roots, const char *answer, int64_t at);

/*
 * Returns the private key of a PEM text, which may contain more, as a new text. Free it with
 * mt_wipe_free(). NULL with *e set.
 */
char *mt_key_text(const char *pem, struct mt_err *e);

/*
 * Generates a P-256 key and a signing request (PKCS #10, RFC 2986) for the URI, as PEM texts. The
 * caller frees them, the key with mt_wipe_free(). Returns 0, or -ENOMEM with *e set.
 */
int mt_csr_new(const char *uri, char **key, char **csr, struct mt_err *e);

/* Writes "2026-11-20 18:04:05 UTC". Returns buf. */
const char *mt_time_words(int64_t unix_s, char *buf, size_t size);
/* Writes the two largest units of a time span: "3 d 4 h", "12 min 5 s". Returns buf. */
const char *mt_span_words(int64_t s, char *buf, size_t size);
