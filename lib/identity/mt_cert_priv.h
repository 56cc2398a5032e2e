/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_cert.h"
#include "mt_x509.h"

/* More certificates of one text are not looked at. */
#define MT_CERT_TEXT 64

/* What a certificate says. */
void mt_cert_describe(X509 *x, struct mt_cert *out);
