/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_cert.h"
#include "mt_x509.h"

/* Maximum number of certificates that are read of one text. */
#define MT_CERT_TEXT 64

/* Reads the content of a certificate. */
void mt_cert_describe(X509 *x, struct mt_cert *out);
