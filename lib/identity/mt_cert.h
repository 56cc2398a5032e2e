/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and keys as PEM texts: what they say, whether they belong together, whom they convince, and
 * making a key with a signing request. Control thread and tools only; everything here allocates.
 */
#pragma once

#include "mt_file.h"
#include "mt_log.h"

struct mt_cert {
	int64_t not_before, not_after;	/* Unix time, s */
	char subject[128], issuer[128]; /* "O=cluster.local", escaped */
	char uri[256];			/* the first URI among its names (SPIFFE ID); "" none */
	char names[256];		/* the first of its DNS names and URIs, for messages */
	bool authority;			/* may sign others */
};

/* Certificates of a PEM text; 0 when it holds none. */
uint32_t mt_cert_count(const char *pem);
/* The certificate number `which` of a PEM text. 0; -ENOENT, -EINVAL with *e set. */
int mt_cert_read(const char *pem, uint32_t which, struct mt_cert *out, struct mt_err *e);

/* Whether the private key belongs to the first certificate. 0; -EINVAL with *e set. */
int mt_cert_fits(const char *chain, const char *key, struct mt_err *e);
/* Whether the first certificate leads to one of the roots, at the time `at` (Unix, s). 0; -EACCES with *e set. */
int mt_cert_trusted(const char *chain, const char *roots, int64_t at, struct mt_err *e);

/*
 * The certificates of several PEM texts as one chain, written anew: the first one, and after it those that are
 * not signed by themselves. malloc'd; NULL with *e set.
 */
char *mt_cert_chain(char *const *pems, size_t n, struct mt_err *e);

/*
 * The roots and what `answer`, a chain from an authority that is trusted, shows behind its first certificate: those
 * that are authorities signed by themselves and valid at `at` (Unix, s). Roots that have expired are left out.
 * malloc'd; NULL: there is no new one, or there would be more than MT_CERT_ROOTS.
 */
#define MT_CERT_ROOTS 16
char *mt_cert_merge(const char *roots, const char *answer, int64_t at);

/* The private key of a PEM text, which may hold more, written anew; mt_wipe_free(). NULL with *e set. */
char *mt_key_text(const char *pem, struct mt_err *e);

/*
 * A new P-256 key and a signing request (PKCS #10, RFC 2986) for the URI. Both are PEM texts of the caller;
 * the key's goes to mt_wipe_free(). 0; -EINVAL, -ENOMEM with *e set.
 */
int mt_csr_new(const char *uri, char **key, char **csr, struct mt_err *e);

/* "2026-11-20 18:04:05 UTC". Returns buf. */
const char *mt_time_words(int64_t unix_s, char *buf, size_t size);
/* The two greatest units of a span: "3 d 4 h", "12 min 5 s". Returns buf. */
const char *mt_span_words(int64_t s, char *buf, size_t size);
