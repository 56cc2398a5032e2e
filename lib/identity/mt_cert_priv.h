/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_cert.h"

#include <openssl/x509.h>

/* What a certificate says. */
void mt_cert_describe(X509 *x, struct mt_cert *out);
/* Every certificate of a PEM text, in their order; NULL: there is none. Freed by sk_X509_pop_free(). */
STACK_OF(X509) * mt_cert_list(const char *pem);
/* The first private key of a PEM text that has no password; NULL: there is none. */
EVP_PKEY *mt_key_read(const char *pem);
